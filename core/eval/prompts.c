// prompts.c - rows are read once and kept as texts; prompts are put together when they are asked for.
#include "core/eval/prompts.h"

#include <string.h>

#include "core/base/shuffle.h"
#include "core/base/stop.h"
#include "core/data/slots.h"
#include "core/text/utf8.h"

static const char BETWEEN[] = "\n\n";

static const char *prompt_of(const struct task *t)
{
    return t->prompt ? t->prompt : t->grader == GRADER_LOSS ? "{question}{delimiter}{choice}" : "{question}{delimiter}{answer}";
}

static enum span_rule rule_of(const struct task *t)
{
    const char *prompt = prompt_of(t), *choice = strstr(prompt, "{choice}"), *question = strstr(prompt, "{question}");
    if (t->grader == GRADER_EXACT_GREEDY)
        return SPAN_ANSWER;
    return choice && question && choice < question ? SPAN_SUFFIX : SPAN_AFTER_PREFIX;
}

// As Python's str.isspace has it.
static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static struct item_text strip(struct item_text text)
{
    const uint8_t *s = (const uint8_t *)text.text;
    size_t from = 0, to = 0; // to: behind the last that is no blank
    bool seen = false;
    for (size_t at = 0, n; at < text.n; at += n) {
        uint32_t code;
        n = utf8_next(s + at, text.n - at, &code);
        if (is_blank(code))
            continue;
        if (!seen)
            from = at;
        seen = true;
        to = at + n;
    }
    return (struct item_text){text.text + from, to - from};
}

// --- rows -------------------------------------------------------------------------------------------------------------------------

static struct error *add_item(struct prompts *p, int64_t *capacity, const struct record *record)
{
    if (p->n_all == *capacity) {
        int64_t more = *capacity ? 2 * *capacity : 256;
        struct task_item *items = block_resize(p->items, (size_t)p->n_all * sizeof *items, (size_t)more * sizeof *items);
        if (!items)
            return error_memory();
        p->items = items;
        *capacity = more;
    }
    struct error *e = task_read_item(p->task, record, &p->arena, &p->items[p->n_all]);
    if (e)
        return e;
    p->items[p->n_all].row = p->n_all; // of all parts
    p->n_all++;
    return NULL;
}

static struct error *read_part(struct prompts *p, int64_t *capacity, const struct document_part *part)
{
    const char *paths[TASK_PATHS];
    int n_paths;
    struct records *records = NULL;
    const struct record *record = NULL;
    struct error *e = task_paths(p->task, &p->arena, paths, &n_paths);
    if (!e)
        e = records_open(&records, part, paths, n_paths);
    while (!e && !(e = records_next(records, &record)) && record) {
        if (stop_requested())
            e = error_stopped();
        else
            e = skips_take(part->skips, add_item(p, capacity, record));
    }
    records_close(records);
    bool told = !e || e->kind != ERROR_DATA || e->at.file || !part->path; // where it stands
    return told ? e : error_while(e, NOWHERE, "reading '%s'", part->path);
}

struct error *prompts_open(struct prompts *p, const struct task *task, const struct document_part *parts, int n_parts,
                           int64_t most)
{
    int64_t capacity = 0;
    struct error *e = NULL;
    *p = (struct prompts){.task = task};
    for (int i = 0; i < n_parts && !e; i++)
        e = read_part(p, &capacity, &parts[i]);
    const char *path = n_parts ? parts[0].path : NULL;
    if (!e && !p->n_all)
        e = path ? error_plain(ERROR_DATA, "task '%s' has no rows in '%s'", task->name, path)
                 : error_plain(ERROR_DATA, "task '%s' has no rows", task->name);
    if (!e && !(p->order = block_alloc((size_t)p->n_all * sizeof *p->order)))
        e = error_memory();
    if (!e)
        e = shuffle_python(PROMPTS_SHUFFLE_SEED, p->n_all, p->order);
    p->n = p->n_all;
    if (task->examples > 0 && task->examples < p->n)
        p->n = task->examples;
    if (most > 0 && most < p->n)
        p->n = most;
    if (!e && task->shots > 0 && p->n <= task->shots)
        e = error_new(ERROR_DATA, NOWHERE, "ask more, or give the task fewer shots",
                      "task '%s' shows %lld worked examples before each question, and %lld are all there are", task->name,
                      (long long)task->shots, (long long)p->n);
    if (e)
        prompts_close(p);
    return e;
}

void prompts_close(struct prompts *p)
{
    block_free(p->items);
    block_free(p->order);
    arena_release(&p->arena);
    *p = (struct prompts){0};
}

// --- prompts ----------------------------------------------------------------------------------------------------------------------

struct error *prompts_shots(const struct prompts *p, int64_t i, int64_t *shots)
{
    if (!p->task->shots)
        return NULL;
    struct error *e = shuffle_sample(PROMPTS_SHOTS_SEED + (uint64_t)i, p->n - 1, p->task->shots, shots);
    for (int64_t k = 0; k < p->task->shots && !e; k++)
        shots[k] += shots[k] >= i; // all but i
    return e;
}

// The task's prompt with one of the options. Returns the length; writes where out is not NULL.
static size_t fill(const struct task *t, const char *template, const struct task_item *item, int option, char *out)
{
    const char *delimiter = t->delimiter ? t->delimiter : " ";
    struct item_text question = t->grader == GRADER_EXACT_GREEDY ? strip(item->question) : item->question;
    const struct item_text *text = &item->options[option];
    const struct slot slots[] = {{"{question}", question.text, question.n},
                                 {"{delimiter}", delimiter, strlen(delimiter)},
                                 {t->grader == GRADER_LOSS ? "{choice}" : "{answer}", text->text, text->n}};
    return slots_fill(template, slots, 3, out);
}

// All shots, each with what is right.
static size_t fill_shots(const struct prompts *p, const int64_t *shots, char *out)
{
    size_t n = 0;
    for (int64_t k = 0; k < p->task->shots; k++) {
        const struct task_item *item = &p->items[p->order[shots[k]]];
        n += fill(p->task, prompt_of(p->task), item, item->right, out ? out + n : NULL);
        if (out)
            memcpy(out + n, BETWEEN, sizeof BETWEEN - 1);
        n += sizeof BETWEEN - 1;
    }
    return n;
}

static struct error *make_text(const struct prompts *p, const char *template, const struct task_item *item, int option,
                               struct item_text before, struct arena *arena, struct item_text *made)
{
    size_t n = before.n + fill(p->task, template, item, option, NULL);
    char *text = arena_alloc(arena, n + 1);
    if (!text)
        return error_memory();
    if (before.n)
        memcpy(text, before.text, before.n);
    fill(p->task, template, item, option, text + before.n);
    *made = (struct item_text){text, n};
    return NULL;
}

struct error *prompts_make(const struct prompts *p, int64_t i, struct arena *arena, struct made_prompts *made)
{
    const struct task *t = p->task;
    const struct task_item *item = &p->items[p->order[i]];
    const char *template = prompt_of(t), *answer = strstr(template, "{answer}");
    int64_t shots[TASK_SHOTS_MOST];
    *made = (struct made_prompts){.rule = rule_of(t), .item = item};
    made->n_texts = made->rule == SPAN_ANSWER ? 2 : item->n_options;
    made->texts = arena_array(arena, (size_t)made->n_texts, sizeof *made->texts);
    struct error *e = made->texts ? prompts_shots(p, i, shots) : error_memory();
    if (e)
        return e;
    struct item_text before = {.n = fill_shots(p, shots, NULL)};
    char *text = arena_alloc(arena, before.n + 1);
    if (!text)
        return error_memory();
    fill_shots(p, shots, text);
    before.text = text;
    if (made->rule != SPAN_ANSWER) {
        for (int k = 0; k < made->n_texts && !e; k++)
            e = make_text(p, template, item, k, before, arena, &made->texts[k]);
        return e;
    }
    const char *up_to = arena_strndup(arena, template, answer ? (size_t)(answer - template) : strlen(template));
    e = up_to ? make_text(p, up_to, item, 0, before, arena, &made->texts[0]) : error_memory();
    if (e)
        return e;
    made->texts[0] = strip(made->texts[0]);
    return make_text(p, template, item, 0, before, arena, &made->texts[1]);
}

// --- tokens -----------------------------------------------------------------------------------------------------------------------

static int shortest(const int *n_ids, int n)
{
    int least = n_ids[0];
    for (int i = 1; i < n; i++)
        least = n_ids[i] < least ? n_ids[i] : least;
    return least;
}

static bool same_at(const int32_t *const *ids, const int *n_ids, int n, int at, bool from_end)
{
    for (int i = 1; i < n; i++)
        if (from_end ? ids[i][n_ids[i] - 1 - at] != ids[0][n_ids[0] - 1 - at] : ids[i][at] != ids[0][at])
            return false;
    return true;
}

bool spans_find(enum span_rule rule, const int32_t *const *ids, const int *n_ids, int n, struct span *spans)
{
    int least = shortest(n_ids, n), common = 0;
    while (common < least && same_at(ids, n_ids, n, common, rule == SPAN_SUFFIX))
        common++;
    if (rule == SPAN_ANSWER) {
        spans[1] = (struct span){n_ids[0], n_ids[1]};
        return common == n_ids[0] && n_ids[0] < n_ids[1];
    }
    for (int i = 0; i < n; i++)
        spans[i] = (struct span){rule == SPAN_SUFFIX ? n_ids[i] - common : common, n_ids[i]};
    return true;
}
