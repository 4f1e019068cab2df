// scorer.c - questions become jobs: a beginning, and what follows it, once a prompt.
//
//     prefill    the beginnings of n_slots jobs, sorted by length; the logits behind them score the first token of each span that
//                begins there
//     extend     prompt k of every job of the batch behind its beginning, SCORER_ROWS tokens at a time, then prompt k + 1 over the
//                same positions
//
// 1. A beginning is never longer than the least start of a span: the token before a span is the last one whose logits are in reach.
// 2. The last token of a prompt is predicted and never read, so it does not go through.
// 3. Prompts that share nothing (they were cut to different ends) are jobs of their own.
#include "core/eval/scorer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/stop.h"

struct job {
    struct scored_prompt **prompts;
    int n_prompts;
    int n_prefix; // tokens that all have in common
    int at;       // among the jobs: sorting is stable
};

struct scorer_row { // a token whose logits are wanted: they score token `at` of the prompt
    struct scored_prompt *prompt;
    int at;
    const float *logits; // [V]
    int32_t best;
    double loss;
};

struct error *scorer_open(struct scorer *s, struct model *m, int n_slots, int capacity)
{
    size_t V = (size_t)m->shape.n_vocab, most = SCORER_ROWS > n_slots ? SCORER_ROWS : (size_t)n_slots;
    *s = (struct scorer){0};
    s->logits = arena_array(m->arena, most * V, sizeof *s->logits);
    s->slots = arena_array(m->arena, most, sizeof *s->slots);
    s->ids = arena_array(m->arena, most, sizeof *s->ids);
    s->wanted = arena_array(m->arena, most, sizeof *s->wanted);
    s->rows = arena_array(m->arena, most, sizeof *s->rows);
    s->prefixes = arena_array(m->arena, (size_t)n_slots, sizeof *s->prefixes);
    s->lengths = arena_array(m->arena, (size_t)n_slots, sizeof *s->lengths);
    if (!s->logits || !s->slots || !s->ids || !s->wanted || !s->rows || !s->prefixes || !s->lengths)
        return error_memory();
    struct error *e = decoder_open_wide(&s->decoder, m, n_slots, (int)most, capacity);
    return e ? e : decoder_reserve(&s->decoder);
}

static bool is_scored(const struct scored_prompt *p)
{
    return p->span.start > 0 && p->span.start < p->span.end && p->span.end <= p->n;
}

// --- jobs -------------------------------------------------------------------------------------------------------------------------

static int common_prefix(struct scored_prompt *const *prompts, int n)
{
    int common = prompts[0]->span.start;
    for (int i = 1; i < n; i++) {
        int most = common < prompts[i]->span.start ? common : prompts[i]->span.start;
        for (common = 0; common < most && prompts[i]->ids[common] == prompts[0]->ids[common];)
            common++;
    }
    return common;
}

static void add_job(struct job *jobs, int *n_jobs, struct scored_prompt **prompts, int n, int n_prefix)
{
    jobs[*n_jobs] = (struct job){.prompts = prompts, .n_prompts = n, .n_prefix = n_prefix, .at = *n_jobs};
    ++*n_jobs;
}

// room: for the prompts of all questions.
static int make_jobs(struct scored_question *questions, int n, struct job *jobs, struct scored_prompt **room)
{
    int n_jobs = 0;
    for (int i = 0; i < n; i++) {
        struct scored_prompt **prompts = room;
        int n_prompts = 0;
        for (int k = 0; k < questions[i].n_prompts; k++) {
            struct scored_prompt *p = &questions[i].prompts[k];
            p->greedy = is_scored(p);
            p->loss = p->greedy ? 0 : NAN;
            if (p->greedy)
                prompts[n_prompts++] = p;
        }
        room += n_prompts;
        int common = n_prompts ? common_prefix(prompts, n_prompts) : 0;
        if (common)
            add_job(jobs, &n_jobs, prompts, n_prompts, common);
        for (int k = 0; k < n_prompts && !common; k++)
            add_job(jobs, &n_jobs, prompts + k, 1, prompts[k]->span.start);
    }
    return n_jobs;
}

static int by_length(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    return x->n_prefix != y->n_prefix ? (x->n_prefix > y->n_prefix) - (x->n_prefix < y->n_prefix)
                                      : (x->at > y->at) - (x->at < y->at);
}

// --- scoring ----------------------------------------------------------------------------------------------------------------------

// Of a row of logits -log softmax of the target, and the likeliest token.
static double loss_of(const float *logits, int V, int32_t target, int32_t *best)
{
    double sum = 0;
    *best = 0;
    for (int v = 1; v < V; v++)
        if (logits[v] > logits[*best])
            *best = v;
    float most = logits[*best];
    for (int v = 0; v < V; v++)
        sum += exp((double)(logits[v] - most));
    return log(sum) - (double)(logits[target] - most);
}

// n of s->rows. The threads share them; sums are made in their order.
static void score(struct scorer *s, int n)
{
    int V = s->decoder.model->shape.n_vocab, n_threads = device_threads(s->decoder.model->dev);
#pragma omp parallel for num_threads(n_threads) schedule(static) if (n > 1 && (int64_t)n * V > 1 << 13)
    for (int i = 0; i < n; i++) {
        struct scorer_row *row = &s->rows[i];
        row->loss = loss_of(row->logits, V, row->prompt->ids[row->at], &row->best);
    }
    for (int i = 0; i < n; i++) {
        struct scored_prompt *p = s->rows[i].prompt;
        int at = s->rows[i].at;
        p->loss += s->rows[i].loss;
        p->greedy = p->greedy && s->rows[i].best == p->ids[at];
        if (p->predicted)
            p->predicted[at - p->span.start] = s->rows[i].best;
    }
}

// Lets n rows through; those that are wanted score.
static struct error *flush(struct scorer *s, int n, int n_wanted)
{
    struct error *e = stop_requested() ? error_stopped() : NULL;
    if (!e)
        e = decoder_extend(&s->decoder, s->slots, s->ids, n, s->wanted, n_wanted, s->logits);
    s->n_computed += n;
    if (!e)
        score(s, n_wanted);
    return e;
}

// Prompt k of each job behind its beginning.
static struct error *extend(struct scorer *s, const struct job *jobs, int n_jobs, int k)
{
    size_t V = (size_t)s->decoder.model->shape.n_vocab;
    int n = 0, n_wanted = 0;
    struct error *e = NULL;
    for (int j = 0; j < n_jobs && !e; j++) {
        struct scored_prompt *p = k < jobs[j].n_prompts ? jobs[j].prompts[k] : NULL;
        s->decoder.position[j] = jobs[j].n_prefix;
        for (int at = jobs[j].n_prefix; p && at < p->span.end - 1 && !e; at++) {
            s->slots[n] = j;
            s->ids[n] = p->ids[at];
            if (at + 1 >= p->span.start) {
                s->rows[n_wanted] = (struct scorer_row){.prompt = p, .at = at + 1, .logits = s->logits + (size_t)n_wanted * V};
                s->wanted[n_wanted++] = n;
            }
            if (++n < SCORER_ROWS)
                continue;
            e = flush(s, n, n_wanted);
            n = n_wanted = 0;
        }
    }
    return e || !n ? e : flush(s, n, n_wanted);
}

// The first token of prompt k of each job, where its span begins right behind what is shared.
static void score_first(struct scorer *s, const struct job *jobs, int n_jobs, int k)
{
    size_t V = (size_t)s->decoder.model->shape.n_vocab;
    int n = 0;
    for (int j = 0; j < n_jobs; j++) {
        struct scored_prompt *p = k < jobs[j].n_prompts ? jobs[j].prompts[k] : NULL;
        if (p && p->span.start == jobs[j].n_prefix)
            s->rows[n++] = (struct scorer_row){.prompt = p, .at = p->span.start, .logits = s->logits + (size_t)j * V};
    }
    score(s, n);
}

static struct error *run_batch(struct scorer *s, const struct job *jobs, int n)
{
    int most = 0;
    for (int j = 0; j < n; j++) {
        s->slots[j] = j;
        s->prefixes[j] = jobs[j].prompts[0]->ids;
        s->lengths[j] = jobs[j].n_prefix;
        s->n_computed += jobs[j].n_prefix;
        most = jobs[j].n_prompts > most ? jobs[j].n_prompts : most;
    }
    struct error *e = decoder_prefill(&s->decoder, s->slots, s->prefixes, s->lengths, n, s->logits);
    for (int k = 0; k < most && !e; k++)
        score_first(s, jobs, n, k);
    for (int k = 0; k < most && !e; k++)
        e = extend(s, jobs, n, k);
    for (int j = 0; j < n && !e; j++)
        for (int k = 0; k < jobs[j].n_prompts; k++) {
            struct scored_prompt *p = jobs[j].prompts[k];
            p->loss /= p->span.end - p->span.start;
            s->n_all += p->n;
        }
    return e;
}

struct error *scorer_run(struct scorer *s, struct scored_question *questions, int n)
{
    size_t n_prompts = 0;
    struct arena scratch = {0};
    for (int i = 0; i < n; i++)
        n_prompts += (size_t)questions[i].n_prompts;
    struct job *jobs = arena_array(&scratch, n_prompts + 1, sizeof *jobs);
    struct scored_prompt **room = arena_array(&scratch, n_prompts + 1, sizeof *room);
    struct error *e = jobs && room ? NULL : error_memory();
    int n_jobs = e ? 0 : make_jobs(questions, n, jobs, room);
    if (n_jobs)
        qsort(jobs, (size_t)n_jobs, sizeof *jobs, by_length);
    for (int first = 0; first < n_jobs && !e; first += s->decoder.n_slots) {
        int some = n_jobs - first < s->decoder.n_slots ? n_jobs - first : s->decoder.n_slots;
        e = stop_requested() ? error_stopped() : run_batch(s, jobs + first, some);
    }
    arena_release(&scratch);
    return e;
}
