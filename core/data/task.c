// task.c - the fields of a row, checked, and put together as messages.
//
// 1. Paths are asked for in one fixed order (enum part), those of messages alone; a record's fields come in that order.
// 2. Data is only ever copied: slots are looked for in the task's own texts.
#include "core/data/task.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/base/philox.h"
#include "core/data/program.h"
#include "core/data/slots.h"

enum { CALLS_MOST = 1 << 14, TESTS_MOST = 1 << 12, DRAW_LETTER = 0, DRAW_ORDER = 1, SEED = 42 };

enum part { QUESTION, CHOICES, LABELS, RIGHT, WRONG, ANSWER, TESTS, ENTRY_POINT, PART_COUNT }; // of a task that maps no messages
enum { ROLE, CONTENT };

_Static_assert((int)PART_COUNT <= (int)TASK_PATHS && (int)TASK_PATHS <= (int)RECORD_PATHS, "a path each");

static const char CHOICE_PROMPT[] =
    "Multiple Choice question: {question}\n{choices}\nRespond only with the letter of the correct answer.";

struct row { // a row that is made an example
    const struct task *task;
    const struct record *record;
    struct arena *arena;
    struct example *example;
};

static const char *path_of(const struct task *t, enum part part)
{
    const char *const paths[PART_COUNT] = {
        [QUESTION] = t->question, [CHOICES] = t->choices, [LABELS] = t->labels, [RIGHT] = t->right,
        [WRONG] = t->wrong,       [ANSWER] = t->answer,   [TESTS] = t->tests,   [ENTRY_POINT] = t->entry_point};
    return paths[part];
}

static struct error *fault(const struct row *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static struct error *fault(const struct row *r, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_new(ERROR_DATA, NOWHERE, "mend the row, or the task's fields; skip_bad: N leaves out so many rows",
                     "row %lld of task '%s': %s", (long long)r->record->row, r->task->name, what);
}

static const struct record_field *field_of(const struct row *r, enum part part)
{
    int f = 0;
    for (int before = 0; before < (int)part; before++)
        f += path_of(r->task, before) != NULL;
    return &r->record->fields[f];
}

// The one value of a field. Its text is there.
static struct error *one_value(const struct row *r, enum part part, struct record_value *value)
{
    const struct record_field *field = field_of(r, part);
    const char *path = path_of(r->task, part);
    if (field->is_list)
        return fault(r, "'%s' is a list where one value should be", path);
    if (field->n_values == 0)
        return fault(r, "'%s' is missing", path);
    *value = field->values[0];
    return value->text ? NULL : fault(r, "'%s' is null", path);
}

static struct error *check_list(const struct row *r, const char *path, const struct record_field *field)
{
    if (!field->is_list && field->n_values == 0)
        return fault(r, "'%s' is missing", path);
    for (int i = 0; i < field->n_values; i++)
        if (!field->values[i].text)
            return fault(r, "value %d of '%s' is missing or null", i, path);
        else if (field->values[i].is_json && !(r->task->messages && field == &r->record->fields[CONTENT]))
            return fault(r, "value %d of '%s' is a list", i, path);
    return NULL;
}

static bool same_text(const struct record_value *a, const struct record_value *b)
{
    return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

// Texts that others take as a C string.
static struct error *check_no_zero(const struct row *r, const char *what, const struct record_value *value)
{
    return memchr(value->text, 0, value->n) ? fault(r, "%s has a zero byte", what) : NULL;
}

static struct chat_part *text_part(struct arena *arena, const char *text, size_t n)
{
    struct chat_part *part = arena_alloc(arena, sizeof *part);
    if (part)
        *part = (struct chat_part){CHAT_TEXT, text, n};
    return part;
}

// The template with its slots filled, n bytes in the arena; NULL: out of memory.
static char *fill(struct arena *arena, const char *template, const struct slot *slots, int n_slots, size_t *n)
{
    *n = slots_fill(template, slots, n_slots, NULL);
    char *text = arena_alloc(arena, *n + 1);
    if (text)
        slots_fill(template, slots, n_slots, text);
    return text;
}

// A user's message of the prompt; what the assistant says comes from the caller.
static struct error *put_messages(struct row *r, const struct slot *slots, int n_slots, const char *default_prompt,
                                  const struct chat_part *answer, size_t n_answer)
{
    const char *prompt = r->task->prompt ? r->task->prompt : default_prompt;
    size_t n;
    const char *text = fill(r->arena, prompt, slots, n_slots, &n);
    struct chat_message *messages = arena_array(r->arena, 2, sizeof *messages);
    if (!text || !messages)
        return error_memory();
    messages[0] = (struct chat_message){CHAT_USER, text_part(r->arena, text, n), 1};
    messages[1] = (struct chat_message){CHAT_ASSISTANT, answer, n_answer};
    r->example->conversation = (struct conversation){messages, 2};
    return messages[0].parts ? NULL : error_memory();
}

// One of the parts of messages[i].
static struct error *take_part(const struct row *r, size_t i, size_t k, const json_t *object, struct chat_part *part)
{
    static const char *const kinds[CHAT_PART_KIND_COUNT] = {
        [CHAT_TEXT] = "text", [CHAT_PYTHON] = "python", [CHAT_PYTHON_OUTPUT] = "python_output"};
    const json_t *type = json_object_get(object, "type"), *text = json_object_get(object, "text");
    int kind = 0;
    while (kind < CHAT_PART_KIND_COUNT && !(json_is_string(type) && strcmp(kinds[kind], json_string_value(type)) == 0))
        kind++;
    if (kind == CHAT_PART_KIND_COUNT || !json_is_string(text))
        return fault(r, "part %zu of messages[%zu] has no %s", k, i,
                     json_is_string(text) ? "type text, python or python_output" : "text");
    size_t n = json_string_length(text);
    char *copy = arena_alloc(r->arena, n + 1);
    if (!copy)
        return error_memory();
    memcpy(copy, json_string_value(text), n);
    *part = (struct chat_part){(enum chat_part_kind)kind, copy, n};
    return NULL;
}

static struct error *take_parts(const struct row *r, size_t i, const struct record_value *content, struct chat_message *message)
{
    if (message->role != CHAT_ASSISTANT)
        return fault(r, "messages[%zu] has parts, as only the assistant's may", i);
    json_t *list = json_loadb(content->text, content->n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    message->n_parts = json_array_size(list);
    struct chat_part *parts = arena_array(r->arena, message->n_parts + 1, sizeof *parts);
    struct error *e = list && parts ? NULL : error_memory();
    for (size_t k = 0; k < message->n_parts && !e; k++)
        e = take_part(r, i, k, json_array_get(list, k), &parts[k]);
    message->parts = parts;
    json_decref(list);
    return e;
}

static struct error *take_messages(struct row *r)
{
    static const char *const names[CHAT_ROLE_COUNT] = {
        [CHAT_SYSTEM] = "system", [CHAT_USER] = "user", [CHAT_ASSISTANT] = "assistant"};
    const struct record_field *roles = &r->record->fields[ROLE], *contents = &r->record->fields[CONTENT];
    struct error *e = check_list(r, "role", roles);
    if (e || (e = check_list(r, "content", contents)))
        return e;
    if (roles->n_values != contents->n_values)
        return fault(r, "%d roles of %d messages", roles->n_values, contents->n_values);
    size_t n = (size_t)roles->n_values;
    struct chat_message *messages = arena_array(r->arena, n, sizeof *messages);
    struct chat_part *parts = arena_array(r->arena, n, sizeof *parts);
    if (!messages || !parts)
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        const struct record_value *role = &roles->values[i], *content = &contents->values[i];
        int k = 0;
        while (k < CHAT_ROLE_COUNT && (role->n != strlen(names[k]) || memcmp(role->text, names[k], role->n) != 0))
            k++;
        if (k == CHAT_ROLE_COUNT)
            return fault(r, "messages[%zu] has role '%.40s', not system, user or assistant", i, role->text);
        parts[i] = (struct chat_part){CHAT_TEXT, content->text, content->n};
        messages[i] = (struct chat_message){(enum chat_role)k, &parts[i], 1};
        if (content->is_json && (e = take_parts(r, i, content, &messages[i])))
            return e;
    }
    if (n < (n > 0 && messages[0].role == CHAT_SYSTEM ? 3 : 2))
        return fault(r, "a question and an answer are missing: it has %zu messages", n);
    r->example->conversation = (struct conversation){messages, n};
    return NULL;
}

// A whole number below n, at one place of the row's stream.
static int draw(const struct row *r, int at, int n)
{
    return (int)(philox_uniform(philox_for(SEED, PHILOX_CHOICES), (uint64_t)r->record->row, (uint64_t)at) * n);
}

// The letters of n choices: the row's labels, or the task's.
static struct error *take_letters(struct row *r, int n, struct record_value *letters)
{
    const struct task *t = r->task;
    if (n < 1 || n > TASK_LETTERS)
        return fault(r, "%d choices, not 1 to %d", n, TASK_LETTERS);
    if (!t->labels && n > t->n_letters)
        return fault(r, "%d choices and only %d letters", n, t->n_letters);
    const struct record_field *labels = t->labels ? field_of(r, LABELS) : NULL;
    struct error *e = labels ? check_list(r, t->labels, labels) : NULL;
    if (e)
        return e;
    if (labels && labels->n_values != n)
        return fault(r, "%d labels of %d choices", labels->n_values, n);
    const char **texts = arena_array(r->arena, (size_t)n, sizeof *texts);
    if (!texts)
        return error_memory();
    for (int i = 0; i < n; i++) {
        letters[i] = labels ? labels->values[i] : (struct record_value){.text = t->letters[i], .n = strlen(t->letters[i])};
        if ((e = check_no_zero(r, "a label", &letters[i])))
            return e;
        for (int k = 0; k < i; k++)
            if (same_text(&letters[k], &letters[i]))
                return fault(r, "the letter '%.40s' stands for two choices", letters[i].text);
        texts[i] = letters[i].text;
    }
    r->example->letters = texts;
    r->example->n_letters = n;
    return NULL;
}

// A text where a list should be would be the one choice, and always right.
static struct error *check_choices(const struct row *r, const struct record_field *field)
{
    struct error *e = check_list(r, r->task->choices, field);
    return e || field->is_list ? e : fault(r, "'%s' is one value where a list of choices should be", r->task->choices);
}

// Whether a row's own labels are counted: then a number is one of them, and not an index from 0.
static bool are_counted(const struct row *r, const struct record_value *letters, int n)
{
    bool counted = false;
    for (int i = 0; i < n && r->task->labels; i++)
        counted |= letters[i].is_integer || (letters[i].n && strspn(letters[i].text, "0123456789") == letters[i].n);
    return counted;
}

static struct error *find_right(const struct row *r, const struct record_value *letters, int n, int *right)
{
    struct record_value answer;
    struct error *e = one_value(r, ANSWER, &answer);
    if (e)
        return e;
    if (answer.is_integer && !are_counted(r, letters, n)) {
        if (answer.integer < 0 || answer.integer >= n)
            return fault(r, "'%s' is %lld of %d choices, counted from 0", r->task->answer, (long long)answer.integer, n);
        *right = (int)answer.integer;
        return NULL;
    }
    for (*right = 0; *right < n; ++*right)
        if (same_text(&letters[*right], &answer))
            return NULL;
    bool by_text = grader_is_prompted(r->task->grader) && !r->task->labels;
    return fault(r,
                 by_text ? "'%s' is '%.40s', which is no choice, nor the number of one"
                         : "'%s' is '%.40s', which is the letter of no choice",
                 r->task->answer, answer.text);
}

// The right choice and the wrong ones, in an order drawn for the row.
static struct error *order_choices(const struct row *r, struct record_value choices[TASK_LETTERS], int *n, int *right)
{
    const struct record_field *wrong = field_of(r, WRONG);
    struct error *e = one_value(r, RIGHT, &choices[0]);
    if (e || (e = check_list(r, r->task->wrong, wrong)))
        return e;
    if (wrong->n_values >= TASK_LETTERS)
        return fault(r, "%d wrong choices, more than %d", wrong->n_values, TASK_LETTERS - 1);
    for (int i = 0; i < wrong->n_values; i++) {
        choices[i + 1] = wrong->values[i];
        if (same_text(&choices[0], &choices[i + 1]))
            return fault(r, "the right choice '%.80s' is among the wrong ones", choices[0].text);
    }
    *n = wrong->n_values + 1;
    *right = 0;
    for (int i = *n - 1; i > 0; i--) {
        int k = draw(r, DRAW_ORDER + i, i + 1);
        struct record_value kept = choices[i];
        choices[i] = choices[k];
        choices[k] = kept;
        *right = *right == i ? k : *right == k ? i : *right;
    }
    return NULL;
}

static struct error *take_choice(struct row *r)
{
    const struct task *t = r->task;
    const char *line = t->choice_line ? t->choice_line : "- {choice}={letter}\n";
    struct record_value question, choices[TASK_LETTERS], letters[TASK_LETTERS];
    int n = 0, right = 0;
    struct error *e = one_value(r, QUESTION, &question);
    if (!e && t->choices) {
        const struct record_field *field = field_of(r, CHOICES);
        e = check_choices(r, field);
        n = field->n_values;
        for (int i = 0; i < n && i < TASK_LETTERS; i++)
            choices[i] = field->values[i];
    } else if (!e) {
        e = order_choices(r, choices, &n, &right);
    }
    if (!e)
        e = take_letters(r, n, letters);
    if (!e && t->choices)
        e = find_right(r, letters, n, &right);
    if (e)
        return e;
    if (t->shuffled_labels)
        right = draw(r, DRAW_LETTER, n);
    size_t n_lines = 0;
    char *lines = NULL;
    for (int pass = 0; pass < 2; pass++) { // the length, then the text
        if (pass == 1 && !(lines = arena_alloc(r->arena, n_lines + 1)))
            return error_memory();
        n_lines = 0;
        for (int i = 0; i < n; i++) {
            const struct slot slots[] = {{"{choice}", choices[i].text, choices[i].n},
                                         {"{letter}", letters[i].text, letters[i].n}};
            n_lines += slots_fill(line, slots, 2, lines ? lines + n_lines : NULL);
        }
    }
    const struct slot slots[] = {{"{question}", question.text, question.n}, {"{choices}", lines, n_lines}};
    const struct chat_part *answer = text_part(r->arena, letters[right].text, letters[right].n);
    r->example->answer = letters[right].text;
    r->example->right = right;
    return answer ? put_messages(r, slots, 2, CHOICE_PROMPT, answer, 1) : error_memory();
}

// The first mark of a call in [s, end), *after behind it. A start that fails at the first sign of an end fails for all starts
// before that sign, so no byte is searched twice.
static const char *find_call(const struct task *t, const char *s, const char *end, const char **after)
{
    size_t n_begin = strlen(t->call_begin), n_end = strlen(t->call_end);
    while ((s = memmem(s, (size_t)(end - s), t->call_begin, n_begin))) {
        const char *inside = s + n_begin, *stop = memchr(inside, t->call_end[0], (size_t)(end - inside));
        if (!stop)
            return NULL;
        if (stop > inside && (size_t)(end - stop) >= n_end && memcmp(stop, t->call_end, n_end) == 0) {
            *after = stop + n_end;
            return s;
        }
        s = stop + 1 - n_begin > s ? stop + 1 - n_begin : s + 1;
    }
    return NULL;
}

static void put_piece(const struct task *t, const char *s, size_t n, struct chat_part *parts, size_t *n_parts)
{
    size_t n_begin = strlen(t->call_begin), n_middle = strlen(t->call_middle), n_end = strlen(t->call_end);
    if (n < n_begin + n_end || memcmp(s, t->call_begin, n_begin) != 0 || memcmp(s + n - n_end, t->call_end, n_end) != 0) {
        parts[(*n_parts)++] = (struct chat_part){CHAT_TEXT, s, n};
        return;
    }
    s += n_begin;
    n -= n_begin + n_end;
    const char *output = s + n;
    size_t n_call = n;
    for (size_t at = n >= n_middle ? n - n_middle + 1 : 0; at-- > 0;)
        if (memcmp(s + at, t->call_middle, n_middle) == 0) {
            n_call = at;
            output = s + at + n_middle;
            break;
        }
    parts[(*n_parts)++] = (struct chat_part){CHAT_PYTHON, s, n_call};
    parts[(*n_parts)++] = (struct chat_part){CHAT_PYTHON_OUTPUT, output, (size_t)(s + n - output)};
}

static struct error *cut_calls(const struct row *r, const struct record_value *answer, struct chat_part **parts, size_t *n_parts)
{
    const struct task *t = r->task;
    const char *s = answer->text, *end = s + answer->n, *after, *mark;
    size_t n_calls = 0;
    for (const char *at = s; find_call(t, at, end, &after); at = after)
        if (++n_calls > CALLS_MOST)
            return fault(r, "'%s' has more than %d calls", t->answer, CALLS_MOST);
    *parts = arena_array(r->arena, 2 * (2 * n_calls + 1), sizeof **parts); // each piece makes one or two
    if (!*parts)
        return error_memory();
    for (; (mark = find_call(t, s, end, &after)); s = after) {
        put_piece(t, s, (size_t)(mark - s), *parts, n_parts);
        put_piece(t, mark, (size_t)(after - mark), *parts, n_parts);
    }
    put_piece(t, s, (size_t)(end - s), *parts, n_parts);
    return NULL;
}

// What the assistant says: the row's answer, with what the task puts around it.
static struct error *fill_answer(const struct row *r, const struct record_value *question, struct record_value *answer)
{
    const struct slot slots[] = {{"{question}", question->text, question->n}, {"{answer}", answer->text, answer->n}};
    if (!r->task->answer_text)
        return NULL;
    size_t n;
    const char *text = fill(r->arena, r->task->answer_text, slots, countof(slots), &n);
    *answer = (struct record_value){.text = text, .n = n};
    return text ? NULL : error_memory();
}

// What the code of an answer is graded against.
static struct error *take_tests(struct row *r, const struct record_value *question)
{
    const struct task *t = r->task;
    const struct record_field *field = field_of(r, TESTS);
    struct record_value entry_point = {0};
    struct error *e = check_list(r, t->tests, field);
    if (!e && t->entry_point)
        e = one_value(r, ENTRY_POINT, &entry_point);
    if (e)
        return e;
    if (field->n_values < 1 || field->n_values > TESTS_MOST)
        return fault(r, "'%s' has %d tests, not 1 to %d", t->tests, field->n_values, TESTS_MOST);
    struct program_text *tests = arena_array(r->arena, (size_t)field->n_values, sizeof *tests);
    if (!tests)
        return error_memory();
    for (int i = 0; i < field->n_values; i++)
        tests[i] = (struct program_text){field->values[i].text, field->values[i].n};
    struct bytes text = {0};
    e = program_tests(&text, (struct program_text){question->text, question->n}, tests, field->n_values,
                      (struct program_text){entry_point.text, entry_point.n});
    const struct record_value whole = {.text = (const char *)text.byte, .n = text.n};
    if (!e)
        e = check_no_zero(r, "what the answer is tested by", &whole);
    if (!e && !(r->example->answer = arena_strndup(r->arena, whole.text, whole.n)))
        e = error_memory();
    bytes_release(&text);
    return e;
}

static struct error *take_answer(struct row *r)
{
    struct record_value question, answer;
    struct chat_part *parts = NULL;
    size_t n_parts = 0;
    struct error *e = one_value(r, QUESTION, &question);
    if (e || (e = one_value(r, ANSWER, &answer)) || (e = check_no_zero(r, "the answer", &answer)) ||
        (e = fill_answer(r, &question, &answer)))
        return e;
    if (r->task->call_begin) {
        if ((e = cut_calls(r, &answer, &parts, &n_parts)))
            return e;
    } else {
        parts = text_part(r->arena, answer.text, answer.n);
        n_parts = 1;
    }
    if (!parts || !(r->example->answer = arena_strndup(r->arena, parts[n_parts - 1].text, parts[n_parts - 1].n)))
        return error_memory();
    if (r->task->tests && (e = take_tests(r, &question)))
        return e;
    const struct slot slot = {"{question}", question.text, question.n};
    return put_messages(r, &slot, 1, "{question}", parts, n_parts);
}

// "messages | ." with ".role" becomes "messages.role | ..role | role".
static const char *path_of_messages(const char *messages, const char *name, struct arena *arena)
{
    const char *path = "";
    for (const char *s = messages; s && path;) {
        const char *bar = strstr(s, " | "), *between = *path ? " | " : "";
        int n = bar ? (int)(bar - s) : (int)strlen(s);
        path = n == 1 && *s == '.' ? arena_printf(arena, "%s%s..%s | %s", path, between, name, name)
                                   : arena_printf(arena, "%s%s%.*s.%s", path, between, n, s, name);
        s = bar ? bar + 3 : NULL;
    }
    return path;
}

const char *grader_name(enum task_grader grader)
{
    static const char *const names[GRADER_COUNT] = {[GRADER_NONE] = "none",
                                                    [GRADER_CHOICE] = "choice",
                                                    [GRADER_NUMBER] = "number",
                                                    [GRADER_EXACT] = "exact",
                                                    [GRADER_LOSS] = "loss",
                                                    [GRADER_EXACT_GREEDY] = "exact_greedy",
                                                    [GRADER_PYTHON_TESTS] = "python_tests"};
    return names[grader];
}

bool grader_is_prompted(enum task_grader grader)
{
    return grader == GRADER_LOSS || grader == GRADER_EXACT_GREEDY;
}

struct error *task_paths(const struct task *t, struct arena *arena, const char *paths[TASK_PATHS], int *n_paths)
{
    *n_paths = 0;
    if (t->messages) {
        paths[ROLE] = path_of_messages(t->messages, "role", arena);
        paths[CONTENT] = path_of_messages(t->messages, "content", arena);
        *n_paths = 2;
        return paths[ROLE] && paths[CONTENT] ? NULL : error_memory();
    }
    if (!t->question || !(t->answer || (!t->choices && t->right && t->wrong)))
        return error_new(ERROR_RECIPE, NOWHERE, "map messages, or question with answer or with right and wrong",
                         "task '%s' has no fields to make a conversation of", t->name);
    for (int part = 0; part < PART_COUNT; part++)
        if (path_of(t, part))
            paths[(*n_paths)++] = path_of(t, part);
    return NULL;
}

struct error *task_example(const struct task *t, const struct record *record, struct arena *arena, struct example *example)
{
    *example = (struct example){.answer = "", .right = -1};
    struct row r = {t, record, arena, example};
    if (t->messages)
        return take_messages(&r);
    return t->choices || (t->right && t->wrong) ? take_choice(&r) : take_answer(&r);
}

// Of labels, where rows have them, the answer is one; else it is a number from 0, or the text of the right choice.
static struct error *find_right_option(struct row *r, const struct record_value *choices, int n, int *right)
{
    const struct record_field *labels = r->task->labels ? field_of(r, LABELS) : NULL;
    struct error *e = labels ? check_list(r, r->task->labels, labels) : NULL;
    if (!e && labels && labels->n_values != n)
        e = fault(r, "%d labels of %d choices", labels->n_values, n);
    return e ? e : find_right(r, labels ? labels->values : choices, n, right);
}

static struct error *take_options(struct row *r, struct record_value *choices, int *n, int *right)
{
    const struct task *t = r->task;
    if (!t->choices)
        return order_choices(r, choices, n, right);
    const struct record_field *field = field_of(r, CHOICES);
    struct error *e = check_choices(r, field);
    if (!e && (field->n_values < 1 || field->n_values > TASK_LETTERS))
        e = fault(r, "%d choices, not 1 to %d", field->n_values, TASK_LETTERS);
    if (e)
        return e;
    *n = field->n_values;
    memcpy(choices, field->values, (size_t)*n * sizeof *choices);
    return find_right_option(r, choices, *n, right);
}

static struct error *copy_text(struct arena *arena, const struct record_value *value, struct item_text *to)
{
    *to = (struct item_text){arena_strndup(arena, value->text, value->n), value->n};
    return to->text ? NULL : error_memory();
}

struct error *task_read_item(const struct task *t, const struct record *record, struct arena *arena, struct task_item *item)
{
    struct row r = {t, record, arena, NULL};
    struct record_value question, options[TASK_LETTERS];
    int n = 1, right = 0;
    *item = (struct task_item){.row = record->row};
    struct error *e = one_value(&r, QUESTION, &question);
    if (!e)
        e = t->grader == GRADER_LOSS ? take_options(&r, options, &n, &right) : one_value(&r, ANSWER, &options[0]);
    if (e)
        return e;
    struct item_text *texts = arena_array(arena, (size_t)n, sizeof *texts);
    if (!texts)
        return error_memory();
    for (int i = 0; i < n && !e; i++)
        e = copy_text(arena, &options[i], &texts[i]);
    item->options = texts;
    item->n_options = n;
    item->right = right;
    return e ? e : copy_text(arena, &question, &item->question);
}
