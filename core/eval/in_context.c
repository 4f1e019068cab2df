// in_context.c - a window of examples at a time: prompts, tokens, losses, verdicts, rows of the table.
//
// 1. What is asked next follows from the length of the table alone.
// 2. A row is all zero behind its texts: tables are compared bit for bit.
// 3. The scorer is opened for the longest prompt seen so far, and again where a window has a longer one: nothing depends on its size.
#include "core/eval/in_context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/stop.h"
#include "core/eval/scores.h"

enum { WINDOW = 4, LEAST_CAPACITY = 256 }; // a window is so many times what goes through at once: who is killed loses one

struct run {
    struct in_context *c;
    const struct in_context_task *task;
    struct encoder encoder;
    struct scorer scorer;
    struct arena arena; // of the scorer's host parts
    size_t mark;        // of the device, before the scorer
    int capacity;       // 0: not open
    struct ids ids;     // scratch
    struct bytes text;
};

struct question { // of a window
    struct made_prompts made;
    struct scored_prompt *prompts;
    int n_prompts;
    bool was_cut;
};

static struct error *unfit(const struct run *r, const struct task_item *item, const char *fix, const char *what)
{
    return error_new(ERROR_DATA, NOWHERE, fix, "row %lld of task '%s': %s", (long long)item->row, r->task->name, what);
}

// --- tokens -----------------------------------------------------------------------------------------------------------------------

static struct error *encode(struct run *r, struct item_text text, struct arena *arena, const int32_t **ids, int *n)
{
    int32_t bos = tokenizer_special(r->c->tokenizer, "<|bos|>");
    r->ids.n = 0;
    struct error *e = bos < 0 ? error_plain(ERROR_DATA, "the tokenizer has no special token '<|bos|>'") : ids_push(&r->ids, bos);
    if (!e)
        e = encoder_encode(&r->encoder, (const uint8_t *)text.text, text.n, &r->ids);
    if (e)
        return e;
    int32_t *copy = r->ids.n <= INT32_MAX ? arena_array(arena, r->ids.n, sizeof *copy) : NULL;
    if (!copy)
        return error_memory();
    memcpy(copy, r->ids.id, r->ids.n * sizeof *copy);
    *ids = copy;
    *n = (int)r->ids.n;
    return NULL;
}

// Keeps the last tokens that the model has positions for. False: nothing had to go.
static bool cut(struct scored_prompt *p, int most)
{
    int over = p->n - most;
    if (over <= 0)
        return false;
    bool empty = p->span.start >= p->span.end || p->span.start < 1;
    p->ids += over;
    p->n -= over;
    p->span.end -= over;
    p->span.start = empty ? p->span.end : p->span.start - over > 1 ? p->span.start - over : 1;
    return true;
}

// What comes without the answer is no beginning, in tokens, of what comes with it.
static struct error *no_answer(const struct run *r, const struct made_prompts *made)
{
    const struct item_text *without = &made->texts[0], *with = &made->texts[1];
    if (!made->item->options[0].n)
        return unfit(r, made->item, "leave the row out", "its answer is empty");
    if (without->n > with->n || memcmp(without->text, with->text, without->n))
        return unfit(r, made->item,
                     "let the prompt begin with something: of the question and of what comes before it blanks are dropped",
                     "what is asked begins with a blank, or is empty");
    return unfit(r, made->item, "let the delimiter end, or the answer begin, with a blank",
                 "its answer does not begin where a token does");
}

static struct error *read_question(struct run *r, int64_t i, struct arena *arena, struct question *q)
{
    struct error *e = prompts_make(&r->task->prompts, i, arena, &q->made);
    if (e)
        return e;
    int n = q->made.n_texts, first = q->made.rule == SPAN_ANSWER ? 1 : 0;
    const int32_t **ids = arena_array(arena, (size_t)n, sizeof *ids);
    int *n_ids = arena_array(arena, (size_t)n, sizeof *n_ids);
    struct span *spans = arena_array(arena, (size_t)n, sizeof *spans);
    q->prompts = arena_array(arena, (size_t)n, sizeof *q->prompts);
    if (!ids || !n_ids || !spans || !q->prompts)
        return error_memory();
    for (int k = 0; k < n && !e; k++)
        e = encode(r, q->made.texts[k], arena, &ids[k], &n_ids[k]);
    if (e)
        return e;
    if (!spans_find(q->made.rule, ids, n_ids, n, spans))
        return no_answer(r, &q->made);
    for (int k = first; k < n; k++) {
        struct scored_prompt *p = &q->prompts[q->n_prompts++];
        *p = (struct scored_prompt){.ids = ids[k], .n = n_ids[k], .span = spans[k]};
        q->was_cut |= cut(p, r->c->model->n_positions);
    }
    if (first) {
        struct scored_prompt *p = &q->prompts[0];
        p->predicted = arena_array(arena, (size_t)(p->span.end - p->span.start), sizeof *p->predicted);
        e = p->predicted ? NULL : error_memory();
    }
    return e;
}

// --- verdicts ---------------------------------------------------------------------------------------------------------------------

static struct error *predicted_text(struct run *r, const struct scored_prompt *p)
{
    r->text.n = 0;
    return tokenizer_text(r->c->tokenizer, p->predicted, (size_t)(p->span.end - p->span.start), &r->text);
}

// The least loss, the first among equals; NaN is never less, and nothing is less than NaN.
static int least(const struct scored_prompt *prompts, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (prompts[i].loss < prompts[best].loss)
            best = i;
    return best;
}

static struct error *judge(struct run *r, const struct question *q, struct example_score *score)
{
    const struct task_item *item = q->made.item;
    const struct item_text *right = &item->options[item->right];
    table_text(score->task, sizeof score->task, r->task->name, strlen(r->task->name));
    table_text(score->expected, sizeof score->expected, right->text, right->n);
    score->row = item->row;
    if (q->made.rule == SPAN_ANSWER) {
        struct error *e = predicted_text(r, &q->prompts[0]);
        score->right = q->prompts[0].greedy;
        if (!e)
            table_text(score->answer, sizeof score->answer, (const char *)r->text.byte, r->text.n);
        return e;
    }
    int chosen = least(q->prompts, q->n_prompts);
    score->right = chosen == item->right;
    table_text(score->answer, sizeof score->answer, item->options[chosen].text, item->options[chosen].n);
    return NULL;
}

// --- windows ----------------------------------------------------------------------------------------------------------------------

static void close_scorer(struct run *r)
{
    if (!r->capacity)
        return;
    r->c->n_computed += r->scorer.n_computed;
    r->c->n_all += r->scorer.n_all;
    device_reset(r->c->model->dev, r->mark);
    arena_release(&r->arena);
    r->arena = (struct arena){0};
    r->capacity = 0;
}

// A scorer for prompts of so many tokens.
static struct error *open_scorer(struct run *r, int longest)
{
    struct model *m = r->c->model;
    if (longest <= r->capacity)
        return NULL;
    close_scorer(r);
    int capacity = LEAST_CAPACITY;
    while (capacity < longest)
        capacity += capacity / 2;
    capacity = capacity < m->n_positions ? capacity : m->n_positions;
    struct arena *of_model = m->arena; // what is opened goes before the model does
    m->arena = &r->arena;
    r->mark = device_mark(m->dev);
    r->capacity = capacity;
    struct error *e = scorer_open(&r->scorer, m, r->c->n_slots, capacity);
    m->arena = of_model;
    return e;
}

static struct error *ask(struct run *r, const struct question *questions, int n, struct arena *arena)
{
    struct scored_question *asked = arena_array(arena, (size_t)n, sizeof *asked);
    int longest = 1;
    if (!asked)
        return error_memory();
    for (int i = 0; i < n; i++) {
        asked[i] = (struct scored_question){questions[i].prompts, questions[i].n_prompts};
        for (int k = 0; k < questions[i].n_prompts; k++)
            longest = questions[i].prompts[k].n > longest ? questions[i].prompts[k].n : longest;
    }
    struct error *e = open_scorer(r, longest);
    return e ? e : scorer_run(&r->scorer, asked, n);
}

static struct error *run_window(struct run *r, int64_t first, int n)
{
    struct in_context *c = r->c;
    struct arena arena = {0};
    struct question *questions = arena_array(&arena, (size_t)n, sizeof *questions);
    struct error *e = questions ? NULL : error_memory();
    for (int i = 0; i < n && !e; i++)
        e = stop_requested() ? error_stopped() : read_question(r, first + i, &arena, &questions[i]);
    if (!e)
        e = ask(r, questions, n, &arena);
    for (int i = 0; i < n && !e; i++) {
        struct example_score score = {0};
        e = judge(r, &questions[i], &score);
        if (!e)
            e = table_add(c->examples, &score);
        c->n_cut += !e && questions[i].was_cut;
    }
    arena_release(&arena);
    if (!e && c->progress)
        c->progress(c->self, r->task->name, c->examples->n, c->first + c->n);
    return !e && c->save ? c->save(c->self) : e;
}

static struct error *run_task(struct run *r, int64_t first)
{
    int64_t most = (int64_t)WINDOW * r->c->n_slots;
    struct error *e = NULL;
    for (int64_t n; first < r->task->prompts.n && !e; first += n) {
        n = r->task->prompts.n - first < most ? r->task->prompts.n - first : most;
        e = run_window(r, first, (int)n);
    }
    return e;
}

struct error *in_context_open(struct in_context *c)
{
    struct error *e = NULL;
    c->n = 0;
    for (int i = 0; i < c->n_tasks && !e; i++) {
        struct in_context_task *t = &c->tasks[i];
        e = prompts_open(&t->prompts, t->task, t->parts, t->n_parts, t->most);
        c->n += t->prompts.n;
    }
    return e;
}

struct error *in_context_run(struct in_context *c)
{
    struct run r = {.c = c};
    int64_t skip = c->examples->n - c->first;
    struct error *e = encoder_init(&r.encoder, c->tokenizer);
    for (int i = 0; i < c->n_tasks && !e; i++) {
        int64_t n = c->tasks[i].prompts.n;
        r.task = &c->tasks[i];
        if (skip < n)
            e = error_while(run_task(&r, skip), NOWHERE, "scoring task '%s'", r.task->name);
        skip = skip > n ? skip - n : 0;
    }
    close_scorer(&r);
    encoder_release(&r.encoder);
    ids_release(&r.ids);
    bytes_release(&r.text);
    return e;
}

struct error *in_context_scores(const struct in_context *c, struct table *scores)
{
    if (!c->n_tasks) // and then nobody has filled it in
        return NULL;
    const struct example_score *examples = c->examples->rows;
    int64_t at = c->first, end = c->examples->n;
    struct error *e = NULL;
    for (int i = 0; i < c->n_tasks && !e; i++) {
        const struct in_context_task *t = &c->tasks[i];
        struct task_score score = {.n_all = t->prompts.n_all, .baseline = t->task->baseline};
        const char *grader = grader_name(t->task->grader);
        table_text(score.task, sizeof score.task, t->name, strlen(t->name));
        table_text(score.suite, sizeof score.suite, t->suite, strlen(t->suite));
        table_text(score.grader, sizeof score.grader, grader, strlen(grader));
        for (; score.n < t->prompts.n && at < end; at++) {
            score.n++;
            score.right += examples[at].right;
        }
        score_finish(&score);
        e = table_add(scores, &score);
    }
    return e;
}

void in_context_close(struct in_context *c)
{
    for (int i = 0; i < c->n_tasks; i++)
        prompts_close(&c->tasks[i].prompts);
}
