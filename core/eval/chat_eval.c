// chat_eval.c - questions are asked a window at a time; their rows join the table in the order of the examples.
//
// 1. Inside a window questions are done in any order: choices by the length of their prompts, so that little is padded, written answers
//    as the engine's rows end. A row joins the table when all before it have, so the table is a prefix of the examples at any moment.
// 2. What is asked next follows from the length of the table alone: going on needs nothing else.
// 3. A row is all zero behind its texts: tables are compared bit for bit.
#include "core/eval/chat_eval.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/stop.h"
#include "core/eval/grader.h"
#include "core/eval/scores.h"

// A window is so many times what the engine does at once. Of choices sorted by length nothing is kept before the window is nearly done,
// so it is short: who is killed loses little. Written answers start in order, and are kept nearly so.
enum { CHOICE_WINDOW = 4, WRITE_WINDOW = 64 };

struct question {
    int at; // in the window
    int64_t row;
    int n_prompt;
    int32_t *prompt;
    struct task_answer answer;
};

struct window {
    struct chat_eval *eval;
    const struct chat_eval_task *task;
    int64_t of;         // examples of all tasks
    struct arena arena; // of this window
    struct question *questions;
    struct example_score *scores;
    struct program_score *programs; // of python_tests
    bool *done;
    int n, n_added;
    struct bytes text; // scratch
};

static int64_t all_examples(const struct chat_eval *s)
{
    int64_t n = 0;
    for (int i = 0; i < s->n_tasks; i++)
        n += s->tasks[i].n_examples;
    return n;
}

static struct error *unfit(const struct window *w, int64_t row, const char *what)
{
    return error_plain(ERROR_DATA, "row %lld of task '%s' %s", (long long)row, w->task->name, what);
}

static struct error *read_question(struct window *w, int at, int64_t row)
{
    const struct chat_eval *s = w->eval;
    const struct task_rows *rows = w->task->rows;
    struct question *q = &w->questions[at];
    int64_t n = task_rows_prompt(rows, row, s->prompt_tokens, NULL);
    if (!n)
        return unfit(w, row, "has nothing to ask: its last message is not the assistant's");
    *q = (struct question){.at = at, .row = row, .n_prompt = (int)n, .answer = task_rows_answer(rows, row)};
    if (w->task->grader == GRADER_CHOICE && (q->answer.n_letters < 1 || q->answer.right < 0))
        return unfit(w, row, "has no choices");
    q->prompt = arena_array(&w->arena, (size_t)s->prompt_tokens + 1, sizeof *q->prompt);
    if (!q->prompt)
        return error_memory();
    task_rows_prompt(rows, row, s->prompt_tokens, q->prompt);
    table_text(w->scores[at].task, sizeof w->scores[at].task, w->task->name, strlen(w->task->name));
    w->scores[at].row = row;
    return NULL;
}

static struct error *open_window(struct window *w, const int64_t *rows)
{
    w->n_added = 0;
    w->questions = arena_array(&w->arena, (size_t)w->n, sizeof *w->questions);
    w->scores = arena_array(&w->arena, (size_t)w->n, sizeof *w->scores);
    w->programs = arena_array(&w->arena, (size_t)w->n, sizeof *w->programs);
    w->done = arena_array(&w->arena, (size_t)w->n, sizeof *w->done);
    struct error *e = w->questions && w->scores && w->programs && w->done ? NULL : error_memory();
    for (int i = 0; i < w->n && !e; i++)
        e = read_question(w, i, rows[i]);
    return e;
}

// Adds the rows that have all before them.
static struct error *add_done(struct window *w)
{
    struct chat_eval *s = w->eval;
    struct error *e = NULL;
    int before = w->n_added;
    while (w->n_added < w->n && w->done[w->n_added] && !e) {
        if (w->task->grader == GRADER_PYTHON_TESTS)
            e = table_add(&s->programs, &w->programs[w->n_added]);
        if (!e)
            e = table_add(&s->examples, &w->scores[w->n_added]);
        w->n_added += !e;
    }
    if (w->n_added > before && s->progress)
        s->progress(s->self, w->task->name, s->examples.n, w->of);
    if (!e && w->n_added > before && s->save)
        e = s->save(s->self);
    return e;
}

static struct error *token_text(struct window *w, const int32_t *ids, size_t n)
{
    w->text.n = 0;
    return tokenizer_text(w->eval->engine->tokenizer, ids, n, &w->text);
}

// Choices

static int by_length(const void *a, const void *b)
{
    const struct question *p = a, *q = b;
    return p->n_prompt != q->n_prompt ? (p->n_prompt > q->n_prompt) - (p->n_prompt < q->n_prompt)
                                      : (p->at > q->at) - (p->at < q->at);
}

static struct error *choose(struct window *w, const struct question *q, const float *logits)
{
    struct example_score *score = &w->scores[q->at];
    const int32_t *letters = q->answer.letters;
    int best = 0;
    for (int i = 1; i < q->answer.n_letters; i++)
        if (logits[letters[i]] > logits[letters[best]])
            best = i;
    score->right = best == q->answer.right;
    struct error *e = token_text(w, &letters[q->answer.right], 1);
    if (!e)
        table_text(score->expected, sizeof score->expected, (const char *)w->text.byte, w->text.n);
    if (!e)
        e = token_text(w, &letters[best], 1);
    if (!e)
        table_text(score->answer, sizeof score->answer, (const char *)w->text.byte, w->text.n);
    w->done[q->at] = !e;
    return e;
}

static struct error *ask_choices(struct window *w)
{
    struct engine *engine = w->eval->engine;
    size_t V = (size_t)engine->model->shape.n_vocab;
    int most = w->n < engine->n_slots ? w->n : engine->n_slots;
    float *logits = arena_array(&w->arena, (size_t)most * V, sizeof *logits);
    const int32_t **prompts = arena_array(&w->arena, (size_t)most, sizeof *prompts);
    int *lengths = arena_array(&w->arena, (size_t)most, sizeof *lengths);
    struct error *e = logits && prompts && lengths ? NULL : error_memory();
    qsort(w->questions, (size_t)w->n, sizeof *w->questions, by_length);
    for (int first = 0; first < w->n && !e; first += most) {
        int n = w->n - first < most ? w->n - first : most;
        const struct question *q = w->questions + first;
        for (int i = 0; i < n; i++) {
            prompts[i] = q[i].prompt;
            lengths[i] = q[i].n_prompt;
        }
        e = stop_requested() ? error_stopped() : engine_logits(engine, prompts, lengths, n, logits);
        for (int i = 0; i < n && !e; i++)
            e = choose(w, &q[i], logits + (size_t)i * V);
        if (!e)
            e = add_done(w);
    }
    return e;
}

// Written answers

// What the table says was expected: the number that counts, the last line of the tests, or the text.
static struct error *expected_text(struct window *w, const struct question *q, struct example_score *score)
{
    const char *text = q->answer.text;
    size_t n = q->answer.n_text, n_number;
    if (w->task->grader == GRADER_NUMBER) {
        char *number = arena_alloc(&w->arena, n + 1);
        if (!number)
            return error_memory();
        if (grade_number(text, n, number, &n_number)) {
            text = number;
            n = n_number;
        }
    }
    if (w->task->grader == GRADER_PYTHON_TESTS) {
        const char *end = memrchr(text, '\n', n);
        n -= end ? (size_t)(end + 1 - text) : 0;
        text = end ? end + 1 : text;
    }
    table_text(score->expected, sizeof score->expected, text, n);
    return NULL;
}

// How an answer begins and how it ends: there stands the result.
static void both_ends(char *to, size_t size, const char *text, size_t n)
{
    static const char gap[] = " ... ";
    char whole[EXAMPLE_ANSWER];
    assert(size <= sizeof whole);
    if (n < size) {
        table_text(to, size, text, n);
        return;
    }
    size_t half = (size - sizeof gap) / 2, head = half, tail = n - half;
    while (head > 0 && (text[head] & 0xC0) == 0x80)
        head--;
    while (tail < n && (text[tail] & 0xC0) == 0x80)
        tail++;
    memcpy(whole, text, head);
    memcpy(whole + head, gap, sizeof gap - 1);
    memcpy(whole + head + sizeof gap - 1, text + tail, n - tail);
    table_text(to, size, whole, head + sizeof gap - 1 + n - tail);
}

static struct error *run_program(struct window *w, const struct question *q, const char *text, size_t n)
{
    struct sandbox_outcome outcome;
    struct program_score *program = &w->programs[q->at];
    struct error *e = grade_program(w->eval->sandbox, q->answer.text, q->answer.n_text, text, n, &outcome);
    if (e)
        return e;
    const char *verdict = sandbox_verdict_name(outcome.verdict);
    w->scores[q->at].right = outcome.verdict == SANDBOX_PASSED;
    program->row = q->row;
    table_text(program->task, sizeof program->task, w->task->name, strlen(w->task->name));
    table_text(program->verdict, sizeof program->verdict, verdict, strlen(verdict));
    table_text(program->error, sizeof program->error, outcome.error, strlen(outcome.error));
    return NULL;
}

static struct error *take_answer(void *self, const struct engine_row *row)
{
    struct window *w = self;
    const struct question *q = &w->questions[row->job];
    struct example_score *score = &w->scores[q->at];
    struct error *e = token_text(w, row->ids, (size_t)row->n);
    if (!e)
        e = expected_text(w, q, score);
    if (e)
        return e;
    const char *text = w->text.n ? (const char *)w->text.byte : "";
    if (w->task->grader == GRADER_PYTHON_TESTS)
        e = run_program(w, q, text, w->text.n);
    else
        score->right = grade(w->task->grader, q->answer.text, q->answer.n_text, text, w->text.n);
    if (e)
        return e;
    both_ends(score->answer, sizeof score->answer, text, w->text.n);
    w->done[q->at] = true;
    return add_done(w);
}

static struct error *ask_to_write(struct window *w)
{
    struct engine_job *jobs = arena_array(&w->arena, (size_t)w->n, sizeof *jobs);
    if (!jobs)
        return error_memory();
    for (int i = 0; i < w->n; i++)
        jobs[i] = (struct engine_job){.prompt = w->questions[i].prompt,
                                      .n_prompt = w->questions[i].n_prompt,
                                      .n_samples = 1,
                                      .max_tokens = w->eval->max_tokens};
    struct philox none = {{0}}; // greedily nothing is drawn
    return engine_run(w->eval->engine, jobs, w->n, none, (struct engine_hooks){.self = w, .row = take_answer});
}

static struct error *run_task(struct window *w, int64_t first)
{
    const struct chat_eval_task *task = w->task;
    const struct engine *engine = w->eval->engine;
    assert(task->grader != GRADER_PYTHON_TESTS || w->eval->sandbox);
    assert(task->grader > GRADER_NONE && task->grader < GRADER_COUNT && task->n_examples <= task->rows->n);
    if (task->rows->n_vocab > engine->model->shape.n_vocab)
        return error_plain(ERROR_DATA, "the rows have a vocabulary of %lld, the model one of %d", (long long)task->rows->n_vocab,
                           engine->model->shape.n_vocab);
    int64_t most = (int64_t)(task->grader == GRADER_CHOICE ? CHOICE_WINDOW : WRITE_WINDOW) * engine->n_slots;
    int64_t *order = block_alloc((size_t)task->rows->n * sizeof *order);
    struct error *e = order ? task_rows_order(task->rows->n, order) : error_memory();
    while (first < task->n_examples && !e) {
        int64_t left = task->n_examples - first;
        w->n = (int)(left < most ? left : most);
        e = open_window(w, order + first);
        if (!e)
            e = task->grader == GRADER_CHOICE ? ask_choices(w) : ask_to_write(w);
        arena_release(&w->arena);
        w->arena = (struct arena){0};
        first += w->n;
    }
    block_free(order);
    return e;
}

void chat_eval_init(struct chat_eval *s)
{
    s->examples = (struct table){
        .members = example_score_members, .n_members = EXAMPLE_SCORE_MEMBERS, .row_bytes = sizeof(struct example_score)};
    s->programs = (struct table){
        .members = program_score_members, .n_members = PROGRAM_SCORE_MEMBERS, .row_bytes = sizeof(struct program_score)};
}

int chat_eval_capacity(const struct chat_eval *s, int n_positions)
{
    int64_t most = 0;
    for (int t = 0; t < s->n_tasks; t++)
        for (int64_t i = 0; i < s->tasks[t].rows->n; i++) {
            int64_t n = task_rows_prompt(s->tasks[t].rows, i, s->prompt_tokens, NULL);
            n += s->tasks[t].grader == GRADER_CHOICE ? 0 : s->max_tokens;
            most = n > most ? n : most;
        }
    return (int)(most < n_positions ? most : n_positions);
}

struct error *chat_eval_run(struct chat_eval *s)
{
    struct window w = {.eval = s, .of = all_examples(s)};
    struct error *e = NULL;
    if (s->examples.n >= w.of) // what is behind them is others'
        return NULL;
    int64_t skip = s->examples.n;
    for (int i = 0; i < s->n_tasks && !e; i++) {
        w.task = &s->tasks[i];
        if (skip < w.task->n_examples)
            e = error_while(run_task(&w, skip), NOWHERE, "scoring task '%s'", w.task->name);
        skip = skip > w.task->n_examples ? skip - w.task->n_examples : 0;
    }
    bytes_release(&w.text);
    return e;
}

struct error *chat_eval_scores(const struct chat_eval *s, struct table *scores)
{
    *scores =
        (struct table){.members = task_score_members, .n_members = TASK_SCORE_MEMBERS, .row_bytes = sizeof(struct task_score)};
    const struct example_score *example = s->examples.rows, *end = example + s->examples.n;
    struct error *e = NULL;
    for (int i = 0; i < s->n_tasks && !e; i++) {
        const struct chat_eval_task *task = &s->tasks[i];
        const char *grader = grader_name(task->grader);
        struct task_score score = {.n_all = task->rows->n, .baseline = task->baseline};
        table_text(score.task, sizeof score.task, task->name, strlen(task->name));
        table_text(score.grader, sizeof score.grader, grader, strlen(grader));
        for (; score.n < task->n_examples && example < end; example++) {
            score.n++;
            score.right += example->right;
        }
        table_text(score.suite, sizeof score.suite, task->suite ? task->suite : "", strlen(task->suite ? task->suite : ""));
        score_finish(&score);
        e = table_add(scores, &score);
    }
    return e;
}

int64_t chat_eval_programs(const struct chat_eval *s, const char *task, enum sandbox_verdict verdict)
{
    const struct program_score *program = s->programs.rows;
    int64_t n = 0;
    for (int64_t i = 0; i < s->programs.n; i++)
        n += !strcmp(program[i].task, task) && !strcmp(program[i].verdict, sandbox_verdict_name(verdict));
    return n;
}

void chat_eval_release(struct chat_eval *s)
{
    table_release(&s->examples);
    table_release(&s->programs);
}
