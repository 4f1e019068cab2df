// The engine: rows that do not depend on each other, equal to computing everything again, with every way to end.
#include "core/infer/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/stop.h"
#include "tests/unit/core/infer/vocabulary.h"
#include "tests/unit/core/model/golden.h"

enum { N_JOBS = 50, N_MIXED = 24, MOST = 48, CAPACITY = GOLDEN_T };
enum { BOS = GOLDEN_V - TOKEN_SPECIALS, ASSISTANT_END = BOS + 4, PYTHON, PYTHON_END, OUTPUT, OUTPUT_END };

struct fixture {
    struct arena arena;
    struct device *dev;
    struct model m;
    struct tokenizer *tokenizer;
    struct engine engine;
    int32_t prompts[N_JOBS][CAPACITY];
    struct engine_job jobs[N_JOBS];
};

// The small model with all that 2026 adds, and windows that most answers leave.
static struct shape shape_of_2026(void)
{
    struct shape s;
    assert_null(shape_from_depth_2026(&s, GOLDEN_L, 42, 32, GOLDEN_V, GOLDEN_T));
    assert_int_equal(s.n_embd, GOLDEN_C);
    s.n_kv_head = 2;
    s.window_short = 9;
    assert_null(shape_check(&s));
    return s;
}

// Of 2026: what the initial weights leave at zero, is not.
static void weights_of(struct model *m)
{
    const double lambda = 0.25;
    if (!m->shape.smear_channels) {
        golden_weights(m);
        return;
    }
    model_init_weights_2026(m, 1);
    golden_weights(m);
    for (int l = 0; l < GOLDEN_L; l++)
        if (m->layers[l].values >= 0) {
            golden_fill(m, m->layers[l].gate, 14 + 10 * (uint64_t)l, 1.0 / 2);
            golden_fill(m, m->layers[l].values, 200 + (uint64_t)l, 1.0 / 2);
        }
    golden_fill(m, m->smear_gate, 300, 1.0 / 2);
    device_put_f64(m->dev, m->params[m->smear_lambda].w.master, 0, 1, &lambda);
    model_prepare(m);
}

// 50 prompts of 1 .. 40 tokens, so that the shortest rows have room for 48 more and the longest for 24.
static void start_in(struct fixture *f, struct shape shape, enum device_kind kind, enum precision precision, int threads,
                     int n_slots)
{
    struct fault fault;
    memset(f, 0, sizeof *f);
    f->dev = device_open(kind, threads, &fault);
    assert_non_null(f->dev);
    device_set_precision(f->dev, precision);
    device_set_alone(f->dev, 0);
    f->tokenizer = vocabulary(&f->arena, GOLDEN_V - 256 - TOKEN_SPECIALS);
    assert_null(model_open(&f->m, f->dev, &shape, &f->arena));
    weights_of(&f->m);
    assert_null(engine_open(&f->engine, &f->m, f->tokenizer, n_slots, CAPACITY));
    for (int i = 0; i < N_JOBS; i++) {
        int n = 1 + (int)(golden_mix(500, (uint64_t)i) % 40);
        for (int t = 0; t < n; t++)
            f->prompts[i][t] = (int32_t)(golden_mix(501 + (uint64_t)i, (uint64_t)t) % GOLDEN_V);
        f->jobs[i] = (struct engine_job){
            .prompt = f->prompts[i], .n_prompt = n, .n_samples = 1, .stream = 100 * (uint64_t)i, .max_tokens = 8 + i % 17};
    }
}

static void start_with(struct fixture *f, struct shape shape, enum device_kind kind, int threads, int n_slots)
{
    start_in(f, shape, kind, PRECISION_F32, threads, n_slots);
}

static void start(struct fixture *f, enum device_kind kind, int threads, int n_slots)
{
    start_with(f, golden_shape(), kind, threads, n_slots);
}

static void end(struct fixture *f)
{
    assert_int_equal(device_fault(f->dev).kind, FAULT_NONE);
    engine_close(&f->engine);
    device_close(f->dev);
    arena_release(&f->arena);
}

// A row that has ended, and how often.
struct told {
    int32_t ids[MOST];
    uint8_t mask[MOST];
    int n, times;
    bool complete;
};

enum { SAMPLES = 20 };

struct results {
    struct told rows[N_JOBS][SAMPLES];
    const int *job_of; // the number that a job has here; NULL: its own
    int n_rows, n_tokens, stop_after;
    struct error *refuse;
};

static struct error *tell_row(void *self, const struct engine_row *row)
{
    struct results *r = self;
    struct told *told = &r->rows[r->job_of ? r->job_of[row->job] : row->job][row->sample];
    assert_true(row->n <= MOST);
    if (row->n) {
        memcpy(told->ids, row->ids, (size_t)row->n * sizeof *row->ids);
        memcpy(told->mask, row->mask, (size_t)row->n);
    }
    told->n = row->n;
    told->complete = row->complete;
    told->times++;
    r->n_rows++;
    return r->refuse;
}

static struct error *tell_token(void *self, int job, int sample, struct turn_token token, bool *go_on)
{
    struct results *r = self;
    struct told *told = &r->rows[job][sample];
    assert_int_equal(told->times, 0);
    assert_true(*go_on);
    told->ids[told->n++] = token.id;
    r->n_tokens++;
    *go_on = !r->stop_after || told->n < r->stop_after;
    return NULL;
}

static const struct philox random_numbers = {{17, 4}};

static struct results *results_of(struct fixture *f, const struct engine_job *jobs, int n_jobs, const int *job_of)
{
    struct results *r = arena_array(&f->arena, 1, sizeof *r);
    r->job_of = job_of;
    assert_null(engine_run(&f->engine, jobs, n_jobs, random_numbers, (struct engine_hooks){.self = r, .row = tell_row}));
    return r;
}

static void same(const struct results *a, const struct results *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    assert_memory_equal(a->rows, b->rows, sizeof a->rows);
}

// --- against computing everything again ------------------------------------------------------------------------------------

static int32_t largest(const float *v)
{
    int best = 0;
    for (int i = 1; i < GOLDEN_V; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

static void whole_row(struct fixture *f, const struct engine_job *job, struct told *row, struct tensor out)
{
    int32_t ids[CAPACITY];
    float logits[GOLDEN_V];
    struct turn turn;
    memcpy(ids, job->prompt, (size_t)job->n_prompt * sizeof *ids);
    assert_null(turn_begin(&turn, &f->engine.encoder));
    while (row->n < job->max_tokens && job->n_prompt + row->n < CAPACITY) {
        int n = job->n_prompt + row->n;
        struct turn_token token;
        out.rows = n;
        model_logits(&f->m, (struct batch){.B = 1, .T = n, .inputs = ids}, out);
        device_get(f->dev, logits, out, (int64_t)(n - 1) * GOLDEN_V, GOLDEN_V);
        assert_null(turn_next(&turn, largest(logits), &token));
        if ((row->complete = turn.ended))
            break;
        ids[n] = row->ids[row->n] = token.id;
        row->mask[row->n++] = !token.forced;
    }
    row->times = 1;
    turn_release(&turn);
}

static void recompute(struct shape shape, enum device_kind kind)
{
    struct fixture f;
    start_with(&f, shape, kind, 1, 7);
    for (int i = 0; i < N_JOBS && kind == DEVICE_REF; i++)
        f.jobs[i].max_tokens = 2 + i % 3; // it is slow
    assert_null(model_reserve(&f.m, 1, CAPACITY, false));
    struct tensor out = device_tensor(f.dev, CAPACITY, GOLDEN_V);
    struct results *r = results_of(&f, f.jobs, N_JOBS, NULL);
    assert_int_equal(r->n_rows, N_JOBS);
    int n_tokens = 0;
    for (int i = 0; i < N_JOBS; i++) {
        struct told again = {0};
        whole_row(&f, &f.jobs[i], &again, out);
        n_tokens += again.n;
        assert_memory_equal(&again, &r->rows[i][0], sizeof again);
    }
    assert_true(n_tokens > 2 * N_JOBS);
    end(&f);
}

static void recomputed(void **state)
{
    recompute(golden_shape(), *(const enum device_kind *)*state);
}

static void recomputed_of_2026(void **state)
{
    recompute(shape_of_2026(), *(const enum device_kind *)*state);
}

// The residual stream is not rounded under bf16, in steps and pieces as in the whole: with blocks that add nothing the logits are the
// same bits, whatever order attention sums in.
static void stream_in_bf16(void **state)
{
    enum { N = 3, STEPS = 12, PIECE = 4 };
    static float whole[GOLDEN_T * GOLDEN_V], steps[N * GOLDEN_V], piece[PIECE * GOLDEN_V];
    static const int32_t slots[N] = {2, 0, 1}, piece_slots[PIECE] = {3, 3, 3, 3}, wanted[PIECE] = {0, 1, 2, 3};
    struct fixture f;
    struct golden_rows rows;
    start_in(&f, shape_of_2026(), *(const enum device_kind *)*state, PRECISION_BF16, 1, N + 1);
    struct decoder *d = &f.engine.decoder;
    for (int l = 0; l < GOLDEN_L; l++) {
        op_zero(f.dev, f.m.params[f.m.layers[l].o].w.master);
        op_zero(f.dev, f.m.params[f.m.layers[l].proj].w.master);
    }
    model_prepare(&f.m);
    golden_batch(&rows);
    assert_null(model_reserve(&f.m, 1, CAPACITY, false));
    struct tensor out = device_tensor(f.dev, CAPACITY, GOLDEN_V);
    model_logits(&f.m, (struct batch){.B = 1, .T = GOLDEN_T, .inputs = rows.inputs}, out);
    device_get(f.dev, whole, out, 0, (int64_t)GOLDEN_T * GOLDEN_V);
    decoder_restart(d);
    for (int t = 0; t < STEPS; t++) { // the later slots behind the others, so that some begin while some go on
        int32_t ids[N];
        int n = t + 1 < N ? t + 1 : N;
        for (int r = 0; r < n; r++)
            ids[r] = rows.inputs[t - r];
        assert_null(decoder_step(d, slots, ids, n, steps));
        for (int r = 0; r < n; r++)
            assert_memory_equal(steps + (size_t)r * GOLDEN_V, whole + (size_t)(t - r) * GOLDEN_V, GOLDEN_V * sizeof *whole);
    }
    for (int t = 0; t + PIECE <= STEPS; t += PIECE) {
        assert_null(decoder_extend(d, piece_slots, rows.inputs + t, PIECE, wanted, PIECE, piece));
        assert_memory_equal(piece, whole + (size_t)t * GOLDEN_V, sizeof piece);
    }
    end(&f);
}

static void known_ids(void **state)
{
    static const int32_t ids[2][10] = {{268, 27, 101, 134, 88, 76, 30, 117, 23, 293},
                                       {202, 245, 180, 261, 38, 38, 38, 38, 38, 38}};
    struct fixture f;
    struct golden_rows rows;
    start(&f, *(const enum device_kind *)*state, 1, 2);
    golden_batch(&rows);
    struct engine_job jobs[2] = {{.prompt = rows.inputs, .n_prompt = 16, .n_samples = 1, .max_tokens = 10},
                                 {.prompt = rows.inputs + GOLDEN_T, .n_prompt = 40, .n_samples = 1, .max_tokens = 10}};
    struct results *r = results_of(&f, jobs, 2, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(r->rows[i][0].n, 10);
        assert_memory_equal(r->rows[i][0].ids, ids[i], sizeof ids[i]);
    }
    end(&f);
}

// --- rows do not depend on each other --------------------------------------------------------------------------------------

static void mixed_jobs(struct fixture *f)
{
    for (int i = 0; i < N_MIXED; i++) {
        f->jobs[i].max_tokens = 3 + i % 8;
        f->jobs[i].n_samples = i % 7 == 3 ? SAMPLES - i % 5 : 1 + i % 2;
        f->jobs[i].sampling = (struct sampling){.temperature = i % 3 ? 1.5 : 0, .top_k = i % 4 ? 50 : 0};
    }
}

static void are_independent(struct shape shape, enum device_kind kind)
{
    static const int slots[] = {1, 3, 64};
    static const int threads[] = {1, 1, 2};
    struct fixture first;
    start_with(&first, shape, kind, 1, 11);
    mixed_jobs(&first);
    struct results *want = results_of(&first, first.jobs, N_MIXED, NULL);
    for (int i = 0; i < N_MIXED; i++)
        for (int k = 0; k < SAMPLES; k++)
            assert_int_equal(want->rows[i][k].times, k < first.jobs[i].n_samples);
    same(want, results_of(&first, first.jobs, N_MIXED, NULL)); // nothing stays of a run
    for (size_t s = 0; s < countof(slots); s++) {
        struct fixture f;
        start_with(&f, shape, kind, threads[s], slots[s]);
        mixed_jobs(&f);
        same(want, results_of(&f, f.jobs, N_MIXED, NULL));

        int order[N_MIXED];
        struct engine_job shuffled[N_MIXED];
        for (int i = 0; i < N_MIXED; i++) {
            order[i] = (i * 7 + 11) % N_MIXED;
            shuffled[i] = f.jobs[order[i]];
        }
        same(want, results_of(&f, shuffled, N_MIXED, order));
        end(&f);
    }
    end(&first);
}

static void independent(void **state)
{
    are_independent(golden_shape(), *(const enum device_kind *)*state);
}

static void independent_of_2026(void **state)
{
    are_independent(shape_of_2026(), *(const enum device_kind *)*state);
}

// Activations that the model has reserved for training serve the prefill, and give the same bits.
static void shared_activations(void **state)
{
    (void)state;
    struct fixture own, f;
    struct fault fault;
    struct shape shape = golden_shape();
    start(&own, DEVICE_CPU, 1, 8);
    mixed_jobs(&own);
    memset(&f, 0, sizeof f);
    f.dev = device_open(DEVICE_CPU, 1, &fault);
    f.tokenizer = own.tokenizer;
    assert_null(model_open(&f.m, f.dev, &shape, &f.arena));
    golden_weights(&f.m);
    assert_null(model_reserve(&f.m, 2, CAPACITY, true));
    assert_null(engine_open(&f.engine, &f.m, f.tokenizer, 8, CAPACITY));
    assert_true(own.engine.decoder.has_own);
    assert_false(f.engine.decoder.has_own);
    assert_int_equal(f.engine.decoder.prefill_tokens, 2 * CAPACITY);

    // A loss in between, and again: no memory is taken, and nothing is disturbed.
    struct golden_rows rows;
    double losses[2][GOLDEN_N];
    struct results *want = results_of(&own, own.jobs, N_MIXED, NULL);
    size_t mark = 0;
    struct batch batch = {GOLDEN_B, GOLDEN_T, rows.inputs, rows.targets, NULL};
    golden_batch(&rows);
    for (int i = 0; i < 2; i++) {
        model_loss(&f.m, batch, NULL);
        model_losses(&f.m, batch, losses[i]);
        same(want, results_of(&f, own.jobs, N_MIXED, NULL));
        if (mark)
            assert_int_equal(device_mark(f.dev), mark);
        mark = device_mark(f.dev);
    }
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
    end(&f);
    end(&own);
}

// A first token of its own for each sample; and one that is drawn as sample_token would from the logits behind the prompt.
static void many_samples(void **state)
{
    (void)state;
    struct fixture f;
    static float logits[GOLDEN_V], scratch[GOLDEN_V];
    start(&f, DEVICE_CPU, 1, 6);
    struct engine_job job = f.jobs[5];
    job.n_samples = SAMPLES;
    job.sampling = (struct sampling){.temperature = 2};
    struct results *r = results_of(&f, &job, 1, NULL);
    assert_null(engine_logits(&f.engine, &job.prompt, &job.n_prompt, 1, logits));
    int n_different = 0;
    for (int k = 0; k < SAMPLES; k++) {
        int32_t id = sample_token(logits, GOLDEN_V, job.sampling, random_numbers, job.stream + (uint64_t)k, 0, scratch);
        if (r->rows[0][k].n)
            assert_int_equal(r->rows[0][k].ids[0], id);
        n_different += r->rows[0][k].ids[0] != r->rows[0][0].ids[0];
    }
    assert_true(n_different > SAMPLES / 2);
    // Sample k of a job is sample 0 of the job whose stream is k further.
    struct engine_job one = job;
    one.n_samples = 1;
    one.stream += 13;
    struct results *alone = results_of(&f, &one, 1, NULL);
    assert_memory_equal(&alone->rows[0][0], &r->rows[0][13], sizeof alone->rows[0][0]);
    end(&f);
}

static void logits_of_prompts(void **state)
{
    struct fixture f;
    static float together[N_JOBS * GOLDEN_V], alone[GOLDEN_V];
    const int32_t *prompts[N_JOBS];
    int lengths[N_JOBS];
    start(&f, *(const enum device_kind *)*state, 1, N_JOBS);
    for (int i = 0; i < N_JOBS; i++) {
        prompts[i] = f.jobs[i].prompt;
        lengths[i] = i == 20 ? CAPACITY : f.jobs[i].n_prompt;
    }
    assert_null(engine_logits(&f.engine, prompts, lengths, N_JOBS, together));
    assert_null(model_reserve(&f.m, 1, CAPACITY, false));
    struct tensor out = device_tensor(f.dev, CAPACITY, GOLDEN_V);
    for (int i = 0; i < N_JOBS; i++) {
        out.rows = lengths[i];
        model_logits(&f.m, (struct batch){.B = 1, .T = lengths[i], .inputs = prompts[i]}, out);
        device_get(f.dev, alone, out, (int64_t)(lengths[i] - 1) * GOLDEN_V, GOLDEN_V);
        assert_memory_equal(alone, together + (size_t)i * GOLDEN_V, sizeof alone);
    }
    end(&f);
}

// --- ends ------------------------------------------------------------------------------------------------------------------

// A model that follows a table: after token i comes next[i]. The residual stream is the embedding, of one direction
// a token; blocks add nothing.
static void follow(struct model *m, const int32_t *next)
{
    for (int i = 0; i < m->n_params; i++)
        op_zero(m->dev, m->params[i].w.master);
    for (int32_t i = 0; i < GOLDEN_V; i++) {
        float code[GOLDEN_C];
        for (int c = 0; c < GOLDEN_C; c++)
            code[c] = golden_mix(900 + (uint64_t)i, (uint64_t)c) & 1 ? 1 : -1;
        device_put(m->dev, m->params[m->wte].w.master, (int64_t)i * GOLDEN_C, GOLDEN_C, code);
    }
    for (int32_t i = 0; i < GOLDEN_V; i++) { // head[next[i]] += code of i
        float code[GOLDEN_C], row[GOLDEN_C];
        device_get(m->dev, code, m->params[m->wte].w.master, (int64_t)i * GOLDEN_C, GOLDEN_C);
        device_get(m->dev, row, m->params[m->lm_head].w.master, (int64_t)next[i] * GOLDEN_C, GOLDEN_C);
        for (int c = 0; c < GOLDEN_C; c++)
            row[c] += code[c] / 10;
        device_put(m->dev, m->params[m->lm_head].w.master, (int64_t)next[i] * GOLDEN_C, GOLDEN_C, row);
    }
    model_prepare(m);
}

static struct told *tell_one(struct fixture *f, const int32_t *prompt, int n, int max_tokens)
{
    struct engine_job job = {.prompt = prompt, .n_prompt = n, .n_samples = 1, .max_tokens = max_tokens};
    struct results *r = results_of(f, &job, 1, NULL);
    assert_int_equal(r->n_rows, 1);
    return &r->rows[0][0];
}

static void ends(void **state)
{
    (void)state;
    struct fixture f;
    int32_t next[GOLDEN_V];
    start(&f, DEVICE_CPU, 1, 3);
    for (int i = 0; i < GOLDEN_V; i++)
        next[i] = i;
    next['a'] = 'b';
    next['b'] = 'c';
    next['c'] = ASSISTANT_END;
    next['d'] = BOS;
    next['e'] = PYTHON;
    next[PYTHON] = '9';
    next['9'] = PYTHON_END;
    next[PYTHON_END] = 'q'; // sampled, and replaced
    next[OUTPUT_END] = 'a';
    follow(&f.m, next);

    const int32_t a = 'a', d = 'd', e = 'e', z[CAPACITY] = {0};
    struct told *row = tell_one(&f, &a, 1, 40);
    assert_true(row->complete && row->n == 2 && row->ids[0] == 'b' && row->ids[1] == 'c');
    row = tell_one(&f, &a, 1, 3); // the end fits just in
    assert_true(row->complete && row->n == 2);
    row = tell_one(&f, &a, 1, 2);
    assert_true(!row->complete && row->n == 2);
    row = tell_one(&f, &a, 1, 0);
    assert_true(!row->complete && row->n == 0);
    row = tell_one(&f, &d, 1, 5);
    assert_true(row->complete && row->n == 0);
    row = tell_one(&f, &e, 1, 40);
    static const int32_t said[] = {PYTHON, '9', PYTHON_END, OUTPUT, '9', OUTPUT_END, 'a', 'b', 'c'};
    static const uint8_t mask[] = {1, 1, 1, 0, 0, 0, 1, 1, 1};
    assert_true(row->complete);
    assert_int_equal(row->n, countof(said));
    assert_memory_equal(row->ids, said, sizeof said);
    assert_memory_equal(row->mask, mask, sizeof mask);
    row = tell_one(&f, &e, 1, 4);
    assert_true(!row->complete && row->n == 4);
    row = tell_one(&f, z, CAPACITY - 9, 40);
    assert_true(!row->complete && row->n == 9);
    row = tell_one(&f, z, CAPACITY - 1, 40);
    assert_true(!row->complete && row->n == 1);

    // Rows that end at once leave their slots: 20 samples through three slots, then a job without tokens, then another.
    struct engine_job jobs[3] = {{.prompt = &d, .n_prompt = 1, .n_samples = SAMPLES, .max_tokens = 9},
                                 {.prompt = &a, .n_prompt = 1, .n_samples = 4, .max_tokens = 0},
                                 {.prompt = &a, .n_prompt = 1, .n_samples = 5, .max_tokens = 9}};
    struct results *r = results_of(&f, jobs, 3, NULL);
    assert_int_equal(r->n_rows, SAMPLES + 9);
    for (int k = 0; k < SAMPLES; k++)
        assert_true(r->rows[0][k].complete && r->rows[0][k].n == 0 && r->rows[0][k].times == 1);
    for (int k = 0; k < 5; k++)
        assert_true(r->rows[2][k].complete && r->rows[2][k].n == 2 && r->rows[2][k].times == 1);

    // The token hook sees the end too, and may end a row.
    struct results *h = arena_array(&f.arena, 1, sizeof *h);
    jobs[0].n_samples = 1;
    assert_null(engine_run(&f.engine, jobs, 3, random_numbers, (struct engine_hooks){.self = h, .token = tell_token}));
    assert_int_equal(h->n_tokens, 1 + 5 * 3);
    assert_int_equal(h->rows[2][4].ids[2], ASSISTANT_END);
    memset(h, 0, sizeof *h);
    h->stop_after = 2;
    assert_null(engine_run(&f.engine, jobs, 3, random_numbers, (struct engine_hooks){.self = h, .token = tell_token}));
    assert_int_equal(h->n_tokens, 1 + 5 * 2);

    // An error of a hook ends the run, and the next one starts anew.
    memset(h, 0, sizeof *h);
    h->refuse = error_plain(ERROR_FAILED, "no more");
    struct error *error = engine_run(&f.engine, jobs + 2, 1, random_numbers, (struct engine_hooks){.self = h, .row = tell_row});
    assert_ptr_equal(error, h->refuse);
    assert_int_equal(h->n_rows, 1);
    error_free(error);
    row = tell_one(&f, &a, 1, 40);
    assert_true(row->complete && row->n == 2);
    end(&f);
}

static void expect(struct error *e, enum error_kind kind, const char *what)
{
    assert_non_null(e);
    assert_int_equal(e->kind, kind);
    assert_string_equal(e->what, what);
    error_free(e);
}

static void bad_prompts(void **state)
{
    (void)state;
    struct fixture f;
    float logits[GOLDEN_V];
    const int32_t ids[CAPACITY + 1] = {1, 2, GOLDEN_V}, negative = -1, *prompt = ids;
    struct engine_hooks none = {0};
    start(&f, DEVICE_CPU, 1, 1);
    struct engine_job job = {.prompt = ids, .n_prompt = 0, .n_samples = 1, .max_tokens = 4};
    expect(engine_run(&f.engine, &job, 1, random_numbers, none), ERROR_DATA, "prompt 0 is empty");
    job.n_prompt = CAPACITY;
    expect(engine_run(&f.engine, &job, 1, random_numbers, none), ERROR_DATA, "prompt 0 has 64 tokens, and there is room for 63");
    job.n_prompt = 3;
    expect(engine_run(&f.engine, &job, 1, random_numbers, none), ERROR_DATA, "token 2 of prompt 0 is 300, outside of 0 .. 299");
    job.prompt = &negative;
    job.n_prompt = 1;
    expect(engine_run(&f.engine, &job, 1, random_numbers, none), ERROR_DATA, "token 0 of prompt 0 is -1, outside of 0 .. 299");
    job = (struct engine_job){.prompt = ids, .n_prompt = 2, .max_tokens = 4};
    expect(engine_run(&f.engine, &job, 1, random_numbers, none), ERROR_FAILED, "job 0 has 0 samples");
    expect(engine_logits(&f.engine, &prompt, &(int){CAPACITY + 1}, 1, logits), ERROR_DATA,
           "prompt 0 has 65 tokens, and there is room for 64");
    expect(engine_logits(&f.engine, &prompt, &(int){2}, 2, logits), ERROR_FAILED, "2 prompts are more than the 1 slots");
    struct engine other;
    expect(engine_open(&other, &f.m, vocabulary(&f.arena, 3), 1, CAPACITY), ERROR_DATA,
           "the tokenizer has 268 tokens and the model 300");
    end(&f);
}

// --- sampling --------------------------------------------------------------------------------------------------------------

// The k largest by sorting, ties by lower ids; then the same sums.
static int32_t sorted_sample(const float *logits, int n, struct sampling s, uint64_t stream)
{
    static uint8_t in[5000];
    int best = 0, k = s.top_k > 0 && s.top_k < n ? s.top_k : n;
    memset(in, 0, sizeof in);
    for (int i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    for (int j = 0; j < k; j++) {
        int most = -1;
        for (int i = 0; i < n; i++)
            if (!in[i] && (most < 0 || logits[i] > logits[most]))
                most = i;
        in[most] = 1;
    }
    double total = 0, at;
    for (int i = 0; i < n; i++)
        total += in[i] ? (float)exp(((double)logits[i] - logits[best]) / s.temperature) : 0;
    at = philox_uniform(random_numbers, stream, 3) * total;
    for (int i = 0; i < n; i++)
        if (in[i] && (at -= (float)exp(((double)logits[i] - logits[best]) / s.temperature)) < 0)
            return i;
    return best;
}

static void sampling(void **state)
{
    (void)state;
    static const struct {
        int n, k, values; // few values: many ties
    } cases[] = {{1, 1, 9},           {2, 1, 9},     {63, 5, 1 << 20},     {64, 64, 3},    {65, 64, 3},
                 {300, 50, 1 << 20},  {300, 50, 4},  {300, 0, 7},          {1500, 400, 5}, {5000, 1, 1 << 20},
                 {5000, 50, 1 << 20}, {5000, 50, 6}, {5000, 700, 1 << 20}, {5000, 0, 90}};
    static float logits[5000], scratch[5000];
    for (size_t c = 0; c < countof(cases); c++) {
        int n = cases[c].n;
        for (int round = 0; round < 6; round++) {
            for (int i = 0; i < n; i++)
                logits[i] = (float)(golden_mix(1000 + c, (uint64_t)(round * n + i)) % (uint64_t)cases[c].values) * 10 /
                            (float)cases[c].values;
            if (round == 5) // the collection rises all the time
                for (int i = 0; i < n; i++)
                    logits[i] = (float)i / (float)n;
            struct sampling s = {.temperature = 0.7 + round, .top_k = cases[c].k};
            for (uint64_t stream = 0; stream < 4; stream++)
                assert_int_equal(sample_token(logits, n, s, random_numbers, stream, 3, scratch),
                                 sorted_sample(logits, n, s, stream));
            int best = 0;
            for (int i = 1; i < n; i++)
                best = logits[i] > logits[best] ? i : best;
            s.temperature = 0;
            assert_int_equal(sample_token(logits, n, s, random_numbers, 0, 0, scratch), best);
        }
        for (int i = 0; i < n; i++)
            logits[i] = i % 3 ? NAN : -INFINITY;
        int32_t id = sample_token(logits, n, (struct sampling){1, cases[c].k}, random_numbers, 0, 0, scratch);
        assert_true(id >= 0 && id < n);
    }
}

// Last: a request to stop is never taken back.
static struct error *ask_to_stop(void *self, int job, int sample, struct turn_token token, bool *go_on)
{
    (void)job;
    (void)sample;
    (void)token;
    (void)go_on;
    if (++*(int *)self == 5)
        stop_request();
    return NULL;
}

static void stopped(void **state)
{
    (void)state;
    struct fixture f;
    float logits[GOLDEN_V];
    int n = 0;
    start(&f, DEVICE_CPU, 1, 2);
    struct engine_hooks hooks = {.self = &n, .token = ask_to_stop};
    struct error *e = engine_run(&f.engine, f.jobs, N_JOBS, random_numbers, hooks);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_STOPPED);
    assert_true(n >= 5 && n < 9);
    error_free(e);
    const int32_t *prompt = f.prompts[0];
    e = engine_logits(&f.engine, &prompt, &f.jobs[0].n_prompt, 1, logits);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_STOPPED);
    error_free(e);
    end(&f);
}

static const enum device_kind ref = DEVICE_REF, cpu = DEVICE_CPU;

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(recomputed, (void *)&ref),
        cmocka_unit_test_prestate(recomputed, (void *)&cpu),
        cmocka_unit_test_prestate(recomputed_of_2026, (void *)&ref),
        cmocka_unit_test_prestate(recomputed_of_2026, (void *)&cpu),
        cmocka_unit_test_prestate(stream_in_bf16, (void *)&ref),
        cmocka_unit_test_prestate(stream_in_bf16, (void *)&cpu),
        cmocka_unit_test_prestate(known_ids, (void *)&ref),
        cmocka_unit_test_prestate(known_ids, (void *)&cpu),
        cmocka_unit_test_prestate(independent, (void *)&cpu),
        cmocka_unit_test_prestate(independent_of_2026, (void *)&cpu),
        cmocka_unit_test(shared_activations),
        cmocka_unit_test(many_samples),
        cmocka_unit_test_prestate(logits_of_prompts, (void *)&ref),
        cmocka_unit_test_prestate(logits_of_prompts, (void *)&cpu),
        cmocka_unit_test(ends),
        cmocka_unit_test(bad_prompts),
        cmocka_unit_test(sampling),
        cmocka_unit_test(stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
