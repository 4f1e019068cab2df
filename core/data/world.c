// world.c - writing documents and records: programs run over one table of values.
//
// Names have dynamic scope: values[] is the value of every name now; scope[] remembers, in order, what each binding hid, so
// that the end of a part takes its bindings back. scope[] is also what "differs from all items in scope" looks at.
//
// Random numbers: one Philox block a need, counted from 0; training and held-out documents have different streams (the top
// bit), or a document without facts would be in both. Records have streams of their own, by list. Each try at a record begins at
// another multiple of 2^32, so that what one try used moves nothing in the next.
#include "core/data/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/philox.h"
#include "core/base/stop.h"
#include "core/data/world_program.h"

enum { FIRST_BYTES = 2048, TRIES = 64, RECORD_TRIES = 10000, CALLED = 256 };

struct value {
    int set; // or WORLD_INTEGER
    int64_t number;
};

struct binding {
    int name; // or -1
    struct value value, hidden;
};

struct called {
    const struct world_list *list;
    int program;
};

struct writer {
    const struct world_compiled *c;
    struct philox random;
    uint64_t stream, counter;
    bool held_out;

    struct value values[WORLD_NAMES];
    struct binding scope[WORLD_BOUND];
    int n_scope;
    struct called called[CALLED]; // by the running templates, outermost first
    int n_called;

    char *text;
    size_t n, capacity;
};

static bool put(struct writer *w, const char *s, size_t n)
{
    if (w->n + n + 1 > w->capacity) {
        size_t capacity = w->capacity * 2 > w->n + n + 1 ? w->capacity * 2 : w->n + n + FIRST_BYTES;
        char *text = block_resize(w->text, w->n, capacity);
        if (!text)
            return false;
        w->text = text;
        w->capacity = capacity;
    }
    memcpy(w->text + w->n, s, n);
    w->n += n;
    w->text[w->n] = '\0';
    return true;
}

static uint64_t draw_word(struct writer *w)
{
    uint32_t words[4];
    philox_words(w->random, w->stream, w->counter++, words);
    return (uint64_t)words[0] << 32 | words[1];
}

// 0 .. n-1; n is small against 2^32, so the bias is too.
static int64_t draw_below(struct writer *w, int64_t n)
{
    return (int64_t)((draw_word(w) >> 32) * (uint64_t)n >> 32);
}

static int draw_any_program(struct writer *w, const struct world_list *list)
{
    double at = (double)(draw_word(w) >> 11) * 0x1p-53 * list->weight;
    int low = 0, high = list->n - 1; // the first whose until is above at
    while (low < high) {
        int middle = (low + high) / 2;
        if (list->programs[middle].until > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// An alternative that the running template has not called yet; first is where its calls begin in called[].
static int draw_program(struct writer *w, const struct world_list *list, int first)
{
    int n_called = 0, chosen = 0;
    for (int i = first; i < w->n_called; i++)
        n_called += w->called[i].list == list;
    if (list->n == 1)
        return 0;
    for (int i = 0; i < TRIES; i++) {
        chosen = draw_any_program(w, list);
        bool again = false;
        for (int k = first; k < w->n_called && n_called < list->n; k++)
            again |= w->called[k].list == list && w->called[k].program == chosen;
        if (!again)
            break;
    }
    if (w->n_called < CALLED)
        w->called[w->n_called++] = (struct called){list, chosen};
    return chosen;
}

static bool in_scope(const struct writer *w, int set, int item)
{
    for (int i = 0; i < w->n_scope; i++)
        if (w->scope[i].value.set == set && w->scope[i].value.number == item)
            return true;
    return false;
}

static int draw_item(struct writer *w, const struct world_op *op)
{
    const int *candidates = op->candidates[w->held_out];
    int n = candidates ? op->n_candidates[w->held_out] : w->c->sets[op->index].n, item = 0;
    for (int i = 0; i < TRIES; i++) {
        int k = (int)draw_below(w, n);
        item = candidates ? candidates[k] : k;
        if (!in_scope(w, op->index, item))
            return item;
    }
    for (int k = 0; k < n; k++) {
        int other = candidates ? candidates[k] : k;
        if (!in_scope(w, op->index, other))
            return other;
    }
    return item;
}

static void bind(struct writer *w, int name, struct value value)
{
    struct binding *b = &w->scope[w->n_scope++];
    *b = (struct binding){.name = name, .value = value};
    if (name >= 0) {
        b->hidden = w->values[name];
        w->values[name] = value;
    }
}

static void unbind(struct writer *w, int n_scope)
{
    while (w->n_scope > n_scope) {
        const struct binding *b = &w->scope[--w->n_scope];
        if (b->name >= 0)
            w->values[b->name] = b->hidden;
    }
}

static bool sum(const struct writer *w, const struct world_op *op, int64_t *result)
{
    int64_t total = 0, product = 0;
    bool overflow = false;
    for (int i = 0; i < op->n; i++) {
        const struct world_factor *f = &op->factors[i];
        int64_t value = f->name < 0 ? f->constant : w->values[f->name].number;
        if (f->sign == '*') {
            overflow |= __builtin_mul_overflow(product, value, &product);
            continue;
        }
        overflow |= __builtin_add_overflow(total, product, &total);
        product = value;
        if (f->sign == '-')
            overflow |= __builtin_sub_overflow(0, value, &product);
    }
    overflow |= __builtin_add_overflow(total, product, &total);
    *result = total;
    return !overflow;
}

static bool is_vowel(char c)
{
    return c && strchr("aeiouAEIOU", c);
}

static bool put_plural(struct writer *w, const char *s, size_t n)
{
    char last = s[n - 1], before = n > 1 ? s[n - 2] : '\0';
    if (last == 'y' && before && !is_vowel(before))
        return put(w, s, n - 1) && put(w, "ies", 3);
    bool es = last == 's' || last == 'x' || last == 'z' || (last == 'h' && (before == 'c' || before == 's'));
    return put(w, s, n) && put(w, es ? "es" : "s", es ? 2 : 1);
}

static bool say(struct writer *w, const struct world_op *op, struct value value)
{
    char digits[24];
    const char *s = digits;
    size_t n;
    if (value.set == WORLD_INTEGER) {
        n = (size_t)snprintf(digits, sizeof digits, "%" PRId64, value.number);
    } else {
        const struct world_item *item = &w->c->sets[value.set].items[value.number];
        s = item->text;
        n = (size_t)item->n_bytes;
    }
    bool plural = op->plural && !(op->count >= 0 && w->values[op->count].number == 1);
    if (op->article && !(is_vowel(*s) ? put(w, "an ", 3) : put(w, "a ", 2)))
        return false;
    return plural ? put_plural(w, s, n) : put(w, s, n);
}

static struct error *write_program(struct writer *w, const struct world_program *program);

static struct error *write_op(struct writer *w, const struct world_op *op, const struct world_program *program, int first)
{
    struct value value = {.set = WORLD_INTEGER};
    switch (op->kind) {
    case WORLD_TEXT:
        return put(w, op->text, (size_t)op->n) ? NULL : error_memory();
    case WORLD_CALL: {
        const struct world_list *list = &w->c->lists[op->index];
        return write_program(w, &list->programs[draw_program(w, list, first)]);
    }
    case WORLD_SAY:
        value = w->values[op->name];
        break;
    case WORLD_DRAW:
        value = (struct value){op->index, draw_item(w, op)};
        break;
    case WORLD_RANGE: {
        const struct world_range *range = &w->c->ranges[op->index];
        value.number = range->low + draw_below(w, range->high - range->low + 1);
        break;
    }
    case WORLD_FACT:
        value.number = w->values[op->index].number;
        for (int i = 0; i < op->n; i++)
            value.number = w->c->facts[op->facts[i]].value[value.number];
        value.set = w->c->facts[op->facts[op->n - 1]].is;
        break;
    case WORLD_SUM:
        if (!sum(w, op, &value.number))
            return error_new(ERROR_RECIPE, program->at, "use smaller ranges, or fewer factors",
                             "a sum of this template does not fit in 64 bits");
        break;
    }
    if (op->kind == WORLD_DRAW || (op->kind != WORLD_SAY && op->name >= 0))
        bind(w, op->name, value);
    return op->silent || say(w, op, value) ? NULL : error_memory();
}

static struct error *write_program(struct writer *w, const struct world_program *program)
{
    int n_scope = w->n_scope, first = w->n_called;
    for (int i = 0; i < program->n_ops; i++) {
        size_t start = w->n;
        struct error *e = write_op(w, &program->ops[i], program, first);
        if (e)
            return e;
        if (program->ops[i].capital && start < w->n && w->text[start] >= 'a' && w->text[start] <= 'z')
            w->text[start] += 'A' - 'a';
    }
    unbind(w, n_scope);
    w->n_called = first;
    return NULL;
}

// Starts document or record i and draws its template. values[] need no start: programs bind before they read.
static const struct world_program *start(struct writer *w, const struct world *world, const struct world_list *list,
                                         struct philox random, int64_t i, bool held_out)
{
    w->c = world->compiled;
    w->random = random;
    w->stream = (uint64_t)i | (uint64_t)held_out << 63;
    w->counter = 0;
    w->held_out = held_out;
    w->n_scope = w->n_called = 0;
    w->text = NULL;
    w->n = w->capacity = 0;
    return &list->programs[list->n == 1 ? 0 : draw_any_program(w, list)];
}

static const struct world_program *start_document(struct writer *w, const struct world *world, uint64_t seed, int64_t i,
                                                  bool held_out)
{
    return start(w, world, &world->compiled->lists[0], philox_for(seed, PHILOX_WORLD), i, held_out);
}

// Where `by` begins in what the writer wrote: behind the texts of all fields, at the end if there is none.
static size_t fields_end(const struct writer *w, const struct world_record_template *template)
{
    const char *s = w->text;
    for (int k = 0; k < template->n_fields; k++)
        for (int j = 0; j < template->fields[k].n_texts; j++)
            s += strlen(s) + 1;
    return (size_t)(s - w->text);
}

static bool is_held_out(const struct world_record_template *template, const char *by)
{
    return (double)(world_hash("record", by, "", NULL) >> 11) * 0x1p-53 < template->hold_out;
}

struct error *world_compile(struct world *world, struct arena *arena)
{
    struct world_compiled *c = arena_alloc(arena, sizeof *c);
    if (!c)
        return error_memory();
    struct error *e = world_sets_compile(c, world, arena);
    if (!e)
        e = world_lists_compile(c, world, arena);
    if (!e)
        e = world_records_compile(c, world, arena);
    if (!e)
        world->compiled = c;
    return e;
}

struct error *world_write(const struct world *world, uint64_t seed, int64_t i, bool held_out, char **text, size_t *n_bytes)
{
    struct writer w;
    const struct world_program *program = start_document(&w, world, seed, i, held_out);
    struct error *e = put(&w, "", 0) ? write_program(&w, program) : error_memory();
    if (e) {
        block_free(w.text);
        return e;
    }
    *text = w.text;
    *n_bytes = w.n;
    return NULL;
}

int world_template_of(const struct world *world, uint64_t seed, int64_t i, bool held_out)
{
    struct writer w;
    return start_document(&w, world, seed, i, held_out)->template;
}

struct error *world_record(const struct world *world, const char *list, uint64_t seed, int64_t i, bool held_out,
                           struct world_record *record)
{
    const struct world_records *records = world_find_records(world->compiled, list);
    if (!records)
        return error_new(ERROR_RECIPE, (struct place){.file = world->path},
                         "list it under records:", "this world has no records '%s'", list);
    struct writer w;
    const struct philox random = philox_for(seed ^ records->hash, PHILOX_RECORDS);
    const struct world_program *program = start(&w, world, &records->list, random, i, held_out);
    const struct world_record_template *template = &world->records[program->template];
    struct error *e = put(&w, "", 0) ? NULL : error_memory();
    for (int k = 1; !e; k++) {
        w.counter = (uint64_t)k << 32;
        w.n = 0;
        if ((e = write_program(&w, program)))
            break;
        size_t n = fields_end(&w, template);
        if (!template->by || is_held_out(template, w.text + n) == held_out) {
            *record = (struct world_record){.template = template, .text = w.text, .n_bytes = n};
            return NULL;
        }
        if (k == RECORD_TRIES)
            e = error_new(ERROR_RECIPE, template->at, held_out ? "raise hold_out, or let by say more" : "lower hold_out",
                          "none of %d combinations drawn from this template is %s", RECORD_TRIES, held_out ? "held out" : "kept");
        else if (stop_requested())
            e = error_stopped();
    }
    block_free(w.text);
    return e;
}
