// engine.c - a queue of (job, sample) and slots that take the next of them when they are free.
//
//     admit      free slots take rows from the queue; new prompts are prefilled; the rows' first tokens are drawn
//     step       all slots with a row: the last token goes in, the next is drawn
//     emit       turn.h has its say; a row that ends is told and its slot is free
//
// 1. Rows leave the queue in order, so at most one job, the last that was begun, has samples both in slots (now or before) and in the
//    queue. run.source is a slot that has its prompt at positions 0 .. n_prompt-1, and prompt_logits are the logits behind it.
// 2. A slot's positions are overwritten from 0 on only by a row of another job, and another job begins only when all samples of the
//    one before are out of the queue: so run.source stays good as long as it is needed, whatever row the slot has meanwhile.
// 3. Copies from run.source come before prefills, which may overwrite it.
#include "core/infer/engine.h"

#include <omp.h>
#include <string.h>

#include "core/base/stop.h"

struct engine_slot {
    bool is_taken;
    int job, sample, n;
    int32_t next; // goes into the model in the next step
    struct turn turn;
    int32_t *ids; // [capacity]
    uint8_t *mask;
};

struct run {
    struct engine *engine;
    const struct engine_job *jobs;
    int n_jobs;
    struct philox random;
    struct engine_hooks hooks;
    int job, sample; // the head of the queue
    int source;      // -1: the job at the head has not begun
};

struct error *engine_open(struct engine *g, struct model *m, const struct tokenizer *tokenizer, int n_slots, int capacity)
{
    *g = (struct engine){
        .model = m, .tokenizer = tokenizer, .n_slots = n_slots, .capacity = capacity, .n_threads = device_threads(m->dev)};
    if (n_slots < 1 || capacity < 1)
        return error_plain(ERROR_FAILED, "an engine needs a slot and a position at least");
    if (tokenizer->n_vocab != m->shape.n_vocab)
        return error_plain(ERROR_DATA, "the tokenizer has %d tokens and the model %d", tokenizer->n_vocab, m->shape.n_vocab);
    size_t V = (size_t)m->shape.n_vocab, R = (size_t)n_slots;
    g->slots = arena_array(m->arena, R, sizeof *g->slots);
    g->logits = arena_array(m->arena, R * V, sizeof *g->logits);
    g->prompt_logits = arena_array(m->arena, V, sizeof *g->prompt_logits);
    g->scratch = arena_array(m->arena, (size_t)g->n_threads * V, sizeof *g->scratch);
    g->row_logits = arena_array(m->arena, R, sizeof *g->row_logits);
    g->prompts = arena_array(m->arena, R, sizeof *g->prompts);
    g->lengths = arena_array(m->arena, R, sizeof *g->lengths);
    g->rows = arena_array(m->arena, R, sizeof *g->rows);
    g->ids = arena_array(m->arena, R, sizeof *g->ids);
    int32_t *ids = arena_array(m->arena, R * (size_t)capacity, sizeof *ids);
    uint8_t *mask = arena_array(m->arena, R * (size_t)capacity, sizeof *mask);
    if (!g->slots || !g->logits || !g->prompt_logits || !g->scratch || !g->row_logits || !g->prompts || !g->lengths || !g->rows ||
        !g->ids || !ids || !mask)
        return error_memory();
    struct error *e = encoder_init(&g->encoder, tokenizer);
    for (size_t i = 0; i < R && !e; i++) {
        g->slots[i].ids = ids + i * (size_t)capacity;
        g->slots[i].mask = mask + i * (size_t)capacity;
        e = turn_begin(&g->slots[i].turn, &g->encoder);
    }
    if (!e)
        e = decoder_open(&g->decoder, m, n_slots, capacity);
    if (!e)
        e = decoder_reserve(&g->decoder);
    if (e)
        engine_close(g);
    return e;
}

void engine_close(struct engine *g)
{
    for (int i = 0; i < g->n_slots && g->slots; i++)
        turn_release(&g->slots[i].turn);
    encoder_release(&g->encoder);
    *g = (struct engine){0};
}

static struct error *check_prompt(const struct engine *g, const int32_t *prompt, int n, int most, int job)
{
    if (n < 1)
        return error_plain(ERROR_DATA, "prompt %d is empty", job);
    if (n > most)
        return error_plain(ERROR_DATA, "prompt %d has %d tokens, and there is room for %d", job, n, most);
    for (int i = 0; i < n; i++)
        if (prompt[i] < 0 || prompt[i] >= g->model->shape.n_vocab)
            return error_plain(ERROR_DATA, "token %d of prompt %d is %d, outside of 0 .. %d", i, job, prompt[i],
                               g->model->shape.n_vocab - 1);
    return NULL;
}

static struct error *finish(struct run *run, struct engine_slot *slot, bool complete)
{
    slot->is_taken = false;
    struct engine_row row = {
        .job = slot->job, .sample = slot->sample, .ids = slot->ids, .mask = slot->mask, .n = slot->n, .complete = complete};
    return run->hooks.row ? run->hooks.row(run->hooks.self, &row) : NULL;
}

static struct error *emit(struct run *run, struct engine_slot *slot, int32_t sampled)
{
    const struct engine_job *job = &run->jobs[slot->job];
    struct turn_token token;
    bool go_on = true;
    struct error *e = turn_next(&slot->turn, sampled, &token);
    if (!e && run->hooks.token)
        e = run->hooks.token(run->hooks.self, slot->job, slot->sample, token, &go_on);
    if (e)
        return e;
    if (!slot->turn.ended) {
        slot->next = token.id;
        slot->ids[slot->n] = token.id;
        slot->mask[slot->n++] = !token.forced;
        go_on = go_on && slot->n < job->max_tokens && job->n_prompt + slot->n < run->engine->capacity;
    }
    return slot->turn.ended || !go_on ? finish(run, slot, slot->turn.ended) : NULL;
}

// The next token of n rows, g->rows, from g->row_logits. Forced ones need no drawing.
static struct error *draw(struct run *run, int n)
{
    struct engine *g = run->engine;
    int V = g->model->shape.n_vocab;
#pragma omp parallel for num_threads(g->n_threads) schedule(dynamic, 1) if (n > 1 && (int64_t)n * V > 1 << 13)
    for (int i = 0; i < n; i++) {
        const struct engine_slot *slot = &g->slots[g->rows[i]];
        const struct engine_job *job = &run->jobs[slot->job];
        if (!turn_is_forced(&slot->turn))
            g->ids[i] = sample_token(g->row_logits[i], V, job->sampling, run->random, job->stream + (uint64_t)slot->sample,
                                     (uint64_t)slot->n, g->scratch + (size_t)omp_get_thread_num() * (size_t)V);
    }
    struct error *e = NULL;
    for (int i = 0; i < n && !e; i++)
        e = emit(run, &g->slots[g->rows[i]], g->ids[i]);
    return e;
}

// Rows without tokens need no slot.
static struct error *skip_empty(struct run *run)
{
    struct error *e = NULL;
    while (!e && run->job < run->n_jobs && run->jobs[run->job].max_tokens <= 0) {
        struct engine_row row = {.job = run->job, .sample = run->sample};
        e = run->hooks.row ? run->hooks.row(run->hooks.self, &row) : NULL;
        if (++run->sample >= run->jobs[run->job].n_samples) {
            run->job++;
            run->sample = 0;
        }
    }
    return e;
}

// The head of the queue goes into a slot.
static struct error *take(struct run *run, struct engine_slot *slot)
{
    slot->is_taken = true;
    slot->job = run->job;
    slot->sample = run->sample;
    slot->n = 0;
    turn_restart(&slot->turn);
    if (++run->sample < run->jobs[run->job].n_samples)
        return NULL;
    run->job++;
    run->sample = 0;
    return skip_empty(run);
}

// Fills free slots from the queue and draws the first token of each row.
static struct error *admit(struct run *run)
{
    struct engine *g = run->engine;
    size_t V = (size_t)g->model->shape.n_vocab;
    int begun = run->source >= 0 ? run->job : -1, n = 0;
    struct error *e = NULL;
    for (int s = 0; s < g->n_slots && run->job < run->n_jobs && !e; s++)
        if (!g->slots[s].is_taken) {
            g->rows[n++] = s;
            e = take(run, &g->slots[s]);
        }
    if (e || !n)
        return e;

    int n_prompts = 0;
    for (int i = 0; i < n; i++) {
        int s = g->rows[i], job = g->slots[s].job;
        if (job == begun) {
            if (s != run->source)
                decoder_copy(&g->decoder, run->source, s, run->jobs[job].n_prompt);
            else
                g->decoder.position[s] = run->jobs[job].n_prompt;
            g->row_logits[i] = g->prompt_logits;
        } else if (i == 0 || g->slots[g->rows[i - 1]].job != job) {
            g->ids[n_prompts] = s;
            g->prompts[n_prompts] = run->jobs[job].prompt;
            g->lengths[n_prompts] = run->jobs[job].n_prompt;
            g->row_logits[i] = g->logits + (size_t)n_prompts++ * V;
        } else {
            g->row_logits[i] = g->row_logits[i - 1];
        }
    }
    e = decoder_prefill(&g->decoder, g->ids, g->prompts, g->lengths, n_prompts, g->logits);
    if (e)
        return e;
    for (int i = 0, first = 0; i < n; i++) {
        int job = g->slots[g->rows[i]].job;
        if (job == begun)
            continue;
        if (i == 0 || g->slots[g->rows[i - 1]].job != job)
            first = g->rows[i];
        else
            decoder_copy(&g->decoder, first, g->rows[i], run->jobs[job].n_prompt);
    }
    e = draw(run, n);
    // Only now: until here rows drew from the prompt_logits of the job before.
    if (run->sample == 0) {
        run->source = -1;
    } else if (run->job != begun) {
        run->source = g->rows[n - 1];
        memcpy(g->prompt_logits, g->row_logits[n - 1], V * sizeof *g->prompt_logits);
    }
    return e;
}

static struct error *step(struct run *run)
{
    struct engine *g = run->engine;
    size_t V = (size_t)g->model->shape.n_vocab;
    int n = 0;
    for (int s = 0; s < g->n_slots; s++)
        if (g->slots[s].is_taken) {
            g->rows[n] = s;
            g->row_logits[n] = g->logits + (size_t)n * V;
            g->ids[n++] = g->slots[s].next;
        }
    if (!n)
        return NULL;
    struct error *e = decoder_step(&g->decoder, g->rows, g->ids, n, g->logits);
    return e ? e : draw(run, n);
}

static bool is_busy(const struct engine *g)
{
    for (int s = 0; s < g->n_slots; s++)
        if (g->slots[s].is_taken)
            return true;
    return false;
}

struct error *engine_run(struct engine *g, const struct engine_job *jobs, int n_jobs, struct philox random,
                         struct engine_hooks hooks)
{
    for (int i = 0; i < n_jobs; i++) {
        struct error *e = check_prompt(g, jobs[i].prompt, jobs[i].n_prompt, g->capacity - 1, i);
        if (e)
            return e;
        if (jobs[i].n_samples < 1)
            return error_plain(ERROR_FAILED, "job %d has %d samples", i, jobs[i].n_samples);
    }
    for (int s = 0; s < g->n_slots; s++)
        g->slots[s].is_taken = false;
    decoder_restart(&g->decoder);
    struct run run = {.engine = g, .jobs = jobs, .n_jobs = n_jobs, .random = random, .hooks = hooks, .source = -1};
    struct error *e = skip_empty(&run);
    while (!e && (run.job < n_jobs || is_busy(g))) {
        if (stop_requested())
            e = error_stopped();
        if (!e && run.job < n_jobs)
            e = admit(&run);
        if (!e)
            e = step(&run);
    }
    return e;
}

struct error *engine_logits(struct engine *g, const int32_t *const *prompts, const int *n_prompts, int n, float *logits)
{
    if (n > g->n_slots)
        return error_plain(ERROR_FAILED, "%d prompts are more than the %d slots", n, g->n_slots);
    for (int i = 0; i < n; i++) {
        struct error *e = check_prompt(g, prompts[i], n_prompts[i], g->capacity, i);
        if (e)
            return e;
    }
    return decoder_prefill(&g->decoder, NULL, prompts, n_prompts, n, logits);
}
