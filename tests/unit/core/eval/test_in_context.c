// test_in_context.c - losses and verdicts as a forward pass of each prompt alone says them; bits that do not depend on slots, threads or
// on where a run was taken up; prompts longer than the model.
#include "core/eval/in_context.h"

#include "tests/unit/folder.h"

#include <math.h>

#include "core/base/stop.h"
#include "core/eval/scores.h"
#include "tests/unit/core/eval/small_model.h"

enum { ROWS = 40, TASKS = 4 };

static const struct task tasks[TASKS] = {
    {.name = "letters", .question = "q", .choices = "c", .answer = "a", .grader = GRADER_LOSS, .shots = 3, .delimiter = "\nA: "},
    {.name = "ends", .question = "q", .choices = "c", .answer = "a", .grader = GRADER_LOSS, .shots = 1},
    {.name = "twins",
     .question = "q",
     .choices = "c",
     .answer = "a",
     .grader = GRADER_LOSS,
     .prompt = "{choice}{delimiter}{question}"},
    {.name = "words", .question = "q", .answer = "a", .grader = GRADER_EXACT_GREEDY, .shots = 2}};

static void put_word(FILE *file, uint64_t seed, uint64_t at, int most)
{
    int n = 1 + (int)(golden_mix(seed, at) % (uint64_t)most);
    for (int i = 0; i < n; i++)
        fputc('a' + (int)(golden_mix(seed + 1 + at, (uint64_t)i) % 26), file);
}

// Questions of 1 to 12 letters; choices of one letter each, or of up to 9, some of which begin others or are equal.
static void write_rows(const char *path, bool letters)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (uint64_t i = 0; i < ROWS; i++) {
        fputs("{\"q\": \"", file);
        put_word(file, 40, i, 12);
        fputs("\", \"c\": [", file);
        int n = 2 + (int)(i % 3);
        for (int k = 0; k < n; k++) {
            fputs(k ? ", \"" : "\"", file);
            if (letters)
                fputc('A' + k, file);
            else
                put_word(file, 50 + (uint64_t)k % (i % 7 ? 9 : 1), i, 9);
            fputc('"', file);
        }
        fprintf(file, "], \"a\": %d}\n", (int)(golden_mix(60, i) % (uint64_t)n));
    }
    assert_int_equal(fclose(file), 0);
}

// Questions as above, answers of 1 to 3 letters.
static void write_words(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (uint64_t i = 0; i < ROWS; i++) {
        fputs("{\"q\": \"", file);
        put_word(file, 70, i, 12);
        fputs("\", \"a\": \"", file);
        put_word(file, 80, i, 3);
        fputs("\"}\n", file);
    }
    assert_int_equal(fclose(file), 0);
}

struct bench {
    struct small_model small;
    struct document_part parts[TASKS];
    struct in_context_task tasks[TASKS];
    struct table examples;
    struct in_context c;
};

static void open_bench(struct bench *b, int n_slots, int64_t most)
{
    *b = (struct bench){0};
    small_model_open(&b->small);
    write_rows("letters.jsonl", true);
    write_rows("ends.jsonl", false);
    write_words("words.jsonl");
    static const char *const files[TASKS] = {"letters.jsonl", "ends.jsonl", "ends.jsonl", "words.jsonl"};
    for (int i = 0; i < TASKS; i++) {
        b->parts[i] = (struct document_part){.form = DOCUMENT_JSONL, .path = files[i]};
        b->tasks[i] = (struct in_context_task){
            .name = tasks[i].name, .suite = "all", .task = &tasks[i], .parts = &b->parts[i], .n_parts = 1, .most = most};
    }
    b->examples = (struct table){
        .members = example_score_members, .n_members = EXAMPLE_SCORE_MEMBERS, .row_bytes = sizeof(struct example_score)};
    b->c = (struct in_context){.tasks = b->tasks,
                               .n_tasks = TASKS,
                               .model = &b->small.model,
                               .tokenizer = b->small.tokenizer,
                               .n_slots = n_slots,
                               .examples = &b->examples};
    assert_good(in_context_open(&b->c));
}

static void close_bench(struct bench *b)
{
    in_context_close(&b->c);
    table_release(&b->examples);
    small_model_close(&b->small);
}

// --- one prompt, one forward pass -------------------------------------------------------------------------------------------------

static int bytes_of(const struct bench *b, struct item_text text, int32_t *ids)
{
    ids[0] = tokenizer_special(b->small.tokenizer, "<|bos|>");
    for (size_t i = 0; i < text.n; i++)
        ids[i + 1] = (uint8_t)text.text[i];
    return (int)text.n + 1;
}

// The mean loss of a span, and whether it is what is likeliest, from the logits of all positions.
static double plain_loss(struct bench *b, const int32_t *ids, int n, struct span span, bool *greedy, double *margin)
{
    enum { MOST = 1024 };
    static float logits[MOST * SMALL_V];
    struct model *m = &b->small.model;
    struct arena *of_model = m->arena, scratch = {0};
    size_t mark = device_mark(m->dev);
    double sum = 0;
    assert_true(n <= MOST);
    m->arena = &scratch;
    assert_good(model_reserve(m, 1, n, false));
    struct tensor out = device_tensor(m->dev, n, SMALL_V);
    model_logits(m, (struct batch){.B = 1, .T = n, .inputs = ids}, out);
    device_get(m->dev, logits, out, 0, (int64_t)n * SMALL_V);
    device_reset(m->dev, mark);
    m->arena = of_model;
    arena_release(&scratch);
    m->reserved_rows = m->reserved_T = 0;
    *greedy = span.start > 0 && span.start < span.end;
    *margin = INFINITY;
    for (int at = span.start; at < span.end && span.start > 0; at++) {
        const float *row = logits + (at - 1) * SMALL_V;
        double total = 0, second = -INFINITY;
        int best = 0;
        for (int v = 1; v < SMALL_V; v++)
            best = row[v] > row[best] ? v : best;
        for (int v = 0; v < SMALL_V; v++) {
            total += exp((double)row[v]);
            if (v != best && row[v] > second)
                second = row[v];
        }
        sum += log(total) - (double)row[ids[at]];
        *greedy &= best == ids[at];
        *margin = fmin(*margin, row[best] - second);
    }
    return span.start > 0 && span.start < span.end ? sum / (span.end - span.start) : NAN;
}

// What example i of a task is by forward passes of its own; its margin in nats.
static bool plain_verdict(struct bench *b, int task, int64_t i, int64_t *row, double *margin)
{
    enum { PROMPTS = 8, MOST = 1024 };
    static int32_t ids[PROMPTS][MOST];
    struct made_prompts made;
    struct arena arena = {0};
    const int32_t *all[PROMPTS];
    int n_ids[PROMPTS], chosen = 0;
    struct span spans[PROMPTS] = {{0}};
    double losses[PROMPTS], gap;
    bool greedy = false;
    assert_good(prompts_make(&b->tasks[task].prompts, i, &arena, &made));
    for (int k = 0; k < made.n_texts; k++) {
        n_ids[k] = bytes_of(b, made.texts[k], ids[k]);
        all[k] = ids[k];
    }
    assert_true(spans_find(made.rule, all, n_ids, made.n_texts, spans));
    *row = made.item->row;
    int right = made.item->right, n = made.n_texts;
    if (made.rule == SPAN_ANSWER) {
        plain_loss(b, ids[1], n_ids[1], spans[1], &greedy, margin);
        arena_release(&arena);
        return greedy;
    }
    for (int k = 0; k < n; k++)
        losses[k] = plain_loss(b, ids[k], n_ids[k], spans[k], &greedy, &gap);
    for (int k = 1; k < n; k++)
        chosen = losses[k] < losses[chosen] ? k : chosen;
    *margin = INFINITY;
    for (int k = 0; k < n; k++)
        if (k != chosen && !isnan(losses[chosen]) && !isnan(losses[k]) &&
            strcmp(made.item->options[k].text, made.item->options[chosen].text))
            *margin = fmin(*margin, losses[k] - losses[chosen]);
    arena_release(&arena);
    return chosen == right;
}

static void verdicts(void **state)
{
    (void)state;
    struct bench b;
    int n_close = 0, n_right[TASKS] = {0};
    open_bench(&b, 3, 0);
    assert_good(in_context_run(&b.c));
    assert_int_equal(b.examples.n, TASKS * ROWS);
    assert_true(b.c.n_computed < b.c.n_all);
    const struct example_score *rows = b.examples.rows;
    for (int t = 0; t < TASKS; t++)
        for (int64_t i = 0; i < ROWS; i++, rows++) {
            int64_t row;
            double margin;
            bool right = plain_verdict(&b, t, i, &row, &margin);
            assert_string_equal(rows->task, tasks[t].name);
            assert_int_equal(rows->row, row);
            n_right[t] += right;
            if (margin < 1e-5)
                n_close++;
            else if (right != rows->right)
                fail_msg("row %d of '%s' is %d, not %d (margin %g)", (int)row, rows->task, (int)rows->right, right, margin);
        }
    assert_true(n_close < 4);
    for (int t = 0; t < TASKS - 1; t++)
        assert_true(n_right[t] > 0 && n_right[t] < ROWS);
    close_bench(&b);
}

// An answer that the model would give is right, and any other is not.
static void greedy_answers(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 2, 0);
    for (int pass = 0; pass < 2; pass++) {
        struct scorer s;
        struct arena scratch = {0}, *of_model = b.small.model.arena;
        size_t mark = device_mark(b.small.dev);
        int32_t ids[40] = {(int32_t)tokenizer_special(b.small.tokenizer, "<|bos|>"), 'x', 'y'}, predicted[8];
        int n = 3;
        b.small.model.arena = &scratch;
        assert_good(scorer_open(&s, &b.small.model, 2, 64));
        for (; n < 9; n++) { // grow the text by what is likeliest
            struct scored_prompt p = {.ids = ids, .n = n + 1, .span = {n, n + 1}, .predicted = predicted};
            struct scored_question q = {&p, 1};
            ids[n] = 0;
            assert_good(scorer_run(&s, &q, 1));
            ids[n] = predicted[0];
        }
        if (pass)
            ids[7] = ids[7] == 'q' ? 'p' : 'q';
        struct scored_prompt p = {.ids = ids, .n = n, .span = {3, n}, .predicted = predicted};
        struct scored_question q = {&p, 1};
        assert_good(scorer_run(&s, &q, 1));
        assert_int_equal(p.greedy, !pass);
        assert_true(p.loss > 0);
        device_reset(b.small.dev, mark);
        b.small.model.arena = of_model;
        arena_release(&scratch);
    }
    close_bench(&b);
}

// --- bits -------------------------------------------------------------------------------------------------------------------------

static void scored(struct bench *b, int n_slots, double losses[], int n)
{
    struct scorer s;
    struct arena scratch = {0}, *of_model = b->small.model.arena;
    size_t mark = device_mark(b->small.dev);
    static int32_t ids[64][300];
    static struct scored_prompt prompts[64];
    static struct scored_question questions[32];
    b->small.model.arena = &scratch;
    for (int i = 0; i < n; i++) {
        int shared = 1 + (int)(golden_mix(90, (uint64_t)i) % 150), own = 1 + (int)(golden_mix(91, (uint64_t)i) % 140);
        for (int k = 0; k < 2; k++) {
            for (int t = 0; t < shared + own; t++)
                ids[2 * i + k][t] =
                    (int32_t)('a' + golden_mix(92 + (uint64_t)i, (uint64_t)(t < shared ? t : 300 * (k + 1) + t)) % 26);
            prompts[2 * i + k] = (struct scored_prompt){.ids = ids[2 * i + k], .n = shared + own, .span = {shared, shared + own}};
        }
        questions[i] = (struct scored_question){&prompts[2 * i], 2};
    }
    assert_good(scorer_open(&s, &b->small.model, n_slots, 300));
    assert_good(scorer_run(&s, questions, n));
    for (int i = 0; i < 2 * n; i++)
        losses[i] = prompts[i].loss;
    device_reset(b->small.dev, mark);
    b->small.model.arena = of_model;
    arena_release(&scratch);
}

// The losses themselves, to the bit, for any number of slots and beside any other questions.
static void losses_stand_alone(void **state)
{
    (void)state;
    struct bench b;
    double first[64], again[64];
    open_bench(&b, 1, 0);
    scored(&b, 1, first, 32);
    static const int slots[] = {2, 5, 32};
    for (size_t i = 0; i < countof(slots); i++) {
        scored(&b, slots[i], again, 32);
        assert_memory_equal(first, again, sizeof first);
        scored(&b, slots[i], again, 7);
        assert_memory_equal(first, again, 14 * sizeof *first);
    }
    close_bench(&b);
}

static struct error *stop_now(void *self)
{
    int *left = self;
    return --*left ? NULL : error_stopped();
}

// Taken up after any window it ends with the same table.
static void taken_up(void **state)
{
    (void)state;
    struct bench whole;
    open_bench(&whole, 4, 0);
    assert_good(in_context_run(&whole.c));
    for (int windows = 1; windows < 9; windows += 2) {
        struct bench b;
        int left = windows;
        open_bench(&b, 1 + windows % 3, 0);
        b.c.self = &left;
        b.c.save = stop_now;
        struct error *e = in_context_run(&b.c);
        assert_non_null(e);
        assert_int_equal(e->kind, ERROR_STOPPED);
        error_free(e);
        assert_true(b.examples.n > 0 && b.examples.n < whole.examples.n);
        b.c.save = NULL;
        assert_good(in_context_run(&b.c));
        assert_int_equal(b.examples.n, whole.examples.n);
        assert_memory_equal(b.examples.rows, whole.examples.rows, (size_t)b.examples.n * b.examples.row_bytes);
        close_bench(&b);
    }
    close_bench(&whole);
}

// Rows of other tasks in front of the table stay, and scores count one's own.
static void behind_others(void **state)
{
    (void)state;
    struct bench b;
    struct example_score other = {.task = "other", .right = 1};
    struct table scores = {
        .members = task_score_members, .n_members = TASK_SCORE_MEMBERS, .row_bytes = sizeof(struct task_score)};
    open_bench(&b, 4, 5);
    assert_good(table_add(&b.examples, &other));
    b.c.first = 1;
    assert_good(in_context_run(&b.c));
    assert_int_equal(b.c.n, 5 * TASKS);
    assert_int_equal(b.examples.n, 1 + 5 * TASKS);
    assert_good(in_context_scores(&b.c, &scores));
    const struct task_score *s = scores.rows;
    const struct example_score *rows = (const struct example_score *)b.examples.rows + 1;
    for (int t = 0; t < TASKS; t++) {
        int64_t right = 0;
        for (int i = 0; i < 5; i++)
            right += rows++->right;
        assert_string_equal(s[t].task, tasks[t].name);
        assert_string_equal(s[t].suite, "all");
        assert_int_equal(s[t].n, 5);
        assert_int_equal(s[t].n_all, ROWS);
        assert_int_equal(s[t].right, right);
    }
    table_release(&scores);
    close_bench(&b);
}

// A prompt of more tokens than the model has positions loses its beginning, all choices alike.
static void long_prompts(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 2, 4);
    in_context_close(&b.c);
    FILE *file = fopen("long.jsonl", "w");
    assert_non_null(file);
    for (int i = 0; i < 4; i++) {
        fputs("{\"q\": \"", file);
        for (int k = 0; k < (i % 2 ? 900 : 90); k++)
            fputc('a' + k % 26, file);
        fputs("\", \"c\": [\"one\", \"seven\", \"three hundred\"], \"a\": 0}\n", file);
    }
    assert_int_equal(fclose(file), 0);
    struct task task = {.name = "long", .question = "q", .choices = "c", .answer = "a", .grader = GRADER_LOSS};
    b.parts[0].path = "long.jsonl";
    b.tasks[0] = (struct in_context_task){.name = "long", .suite = "", .task = &task, .parts = b.parts, .n_parts = 1};
    b.c.n_tasks = 1;
    assert_int_equal(b.small.model.n_positions, 640);
    assert_good(in_context_open(&b.c));
    assert_good(in_context_run(&b.c));
    assert_int_equal(b.examples.n, 4);
    assert_int_equal(b.c.n_cut, 2);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts),           cmocka_unit_test(greedy_answers),
                                       cmocka_unit_test(losses_stand_alone), cmocka_unit_test(taken_up),
                                       cmocka_unit_test(behind_others),      cmocka_unit_test(long_prompts)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
