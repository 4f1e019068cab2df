// The model and its optimizer against numbers made by the reference modules and by an independent implementation.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/infer/decoder.h"
#include "core/train/optimizer.h"
#include "tests/unit/core/model/golden.h"

// What a device must reach.
struct bounds {
    enum device_kind kind;
    double loss_value, loss, logits, gradient, steps, change;
};

// ref meets every printed digit (a unit of the last one: the printed logits were made in float32), cpu the float32 bounds.
static const struct bounds ref_bounds = {DEVICE_REF, 5.805638763, 1e-9, 1e-6, 6e-6, 6e-7, 6e-6};
static const struct bounds cpu_bounds = {DEVICE_CPU, 5.805638790, 1e-6, 1e-5, 1e-5, 1e-4, 1e-4};

struct fixture {
    struct arena arena;
    struct device *dev;
    struct model m;
    struct golden_rows rows;
};

static void start_in(struct fixture *f, enum device_kind kind, enum precision precision)
{
    struct fault fault;
    memset(f, 0, sizeof *f);
    f->dev = device_open(kind, 1, &fault);
    assert_non_null(f->dev);
    device_set_precision(f->dev, precision);
    struct shape shape = golden_shape();
    assert_null(model_open(&f->m, f->dev, &shape, &f->arena));
    golden_weights(&f->m);
    golden_batch(&f->rows);
    assert_null(model_reserve(&f->m, GOLDEN_B, GOLDEN_T, true));
}

static void start(struct fixture *f, enum device_kind kind)
{
    start_in(f, kind, PRECISION_F32);
}

static void end(struct fixture *f)
{
    assert_int_equal(device_fault(f->dev).kind, FAULT_NONE);
    device_close(f->dev);
    arena_release(&f->arena);
}

static struct batch batch_of(const struct fixture *f)
{
    return (struct batch){GOLDEN_B, GOLDEN_T, f->rows.inputs, f->rows.targets, f->rows.weights};
}

static double mean_loss(struct fixture *f, const struct tensor *gradients)
{
    double losses[GOLDEN_N], sum = 0;
    model_loss(&f->m, batch_of(f), gradients);
    model_losses(&f->m, batch_of(f), losses);
    for (int i = 0; i < GOLDEN_N; i++)
        sum += losses[i];
    return sum / GOLDEN_N;
}

static void near_relative(double got, double wanted, double bound)
{
    if (!(fabs(got - wanted) <= bound * fabs(wanted)))
        fail_msg("%.10g, wanted %.10g within %g relative", got, wanted, bound);
}

static void near_absolute(double got, double wanted, double bound)
{
    if (!(fabs(got - wanted) <= bound))
        fail_msg("%.12g, wanted %.12g within %g", got, wanted, bound);
}

static double norm_of(struct device *dev, struct tensor t)
{
    int64_t n = t.rows * t.cols;
    double *v = block_alloc((size_t)n * sizeof *v), sum = 0;
    device_get_f64(dev, v, t, 0, n);
    for (int64_t i = 0; i < n; i++)
        sum += v[i] * v[i];
    block_free(v);
    return sqrt(sum);
}

static void definitions(void **state)
{
    (void)state;
    struct golden_rows g;
    golden_batch(&g);
    assert_true(golden_mix(0, 0) == 16294208416658607535u);
    assert_true(golden_mix(400, 0) == 11735673669912065462u);
    static const int32_t row0[] = {62, 0, 132, 40, 207, 299}, row1[] = {71, 62, 124};
    assert_memory_equal(g.inputs, row0, sizeof row0);
    assert_memory_equal(g.targets + GOLDEN_N - 3, row1, sizeof row1);
    struct shape shape = golden_shape();
    assert_int_equal(shape_params(&shape), 617472);
    near_absolute(shape_flops_per_token(&shape), 3769344, 0);
}

static void loss_and_logits(void **state)
{
    const struct bounds *b = *state;
    struct fixture f;
    start(&f, b->kind);
    double first[3];
    device_get_f64(f.dev, first, f.m.params[f.m.wte].w.master, 0, 3);
    near_absolute(first[0], 0.7666216, 6e-8);
    near_absolute(first[1], 0.1331230, 6e-8);
    near_absolute(first[2], 0.1823794, 6e-8);
    near_absolute(mean_loss(&f, NULL), b->loss_value, b->loss);

    struct tensor out = device_tensor(f.dev, GOLDEN_N, GOLDEN_V);
    static double logits[GOLDEN_N * GOLDEN_V];
    model_logits(&f.m, batch_of(&f), out);
    device_get_f64(f.dev, logits, out, 0, GOLDEN_N * GOLDEN_V);
    static const double head[] = {0.270837, 0.082332, 0.365546, 0.539012}, tail[] = {0.346132, 0.360001, -0.408550, 0.540434};
    double sum = 0, largest = 0;
    for (int i = 0; i < GOLDEN_N * GOLDEN_V; i++) {
        sum += fabs(logits[i]);
        largest = fmax(largest, fabs(logits[i]));
    }
    for (int i = 0; i < 4; i++) {
        near_absolute(logits[i], head[i], b->logits);
        near_absolute(logits[GOLDEN_N * GOLDEN_V - 4 + i], tail[i], b->logits);
    }
    near_absolute(sum / (GOLDEN_N * GOLDEN_V), 0.328573, b->logits);
    near_absolute(largest, 1.654971, b->logits);

    int counted = 0;
    for (int i = 0; i < GOLDEN_N; i++) {
        if (i % GOLDEN_T % 3 == 0)
            f.rows.targets[i] = -1;
        counted += f.rows.targets[i] >= 0;
    }
    assert_int_equal(counted, 84);
    near_absolute(mean_loss(&f, NULL) * GOLDEN_N / 84, 5.864745, b->kind == DEVICE_REF ? 5.1e-7 : 1e-6);
    end(&f);
}

static void gradient_norms(void **state)
{
    const struct bounds *b = *state;
    static const double blocks[GOLDEN_L][6] = {{1.05740e-1, 1.03944e-1, 1.59497e-1, 1.57711e-1, 3.48733e-1, 6.06699e-1},
                                               {7.57599e-2, 7.49242e-2, 1.16133e-1, 1.20620e-1, 2.78569e-1, 4.77898e-1},
                                               {5.59876e-2, 5.66438e-2, 1.05518e-1, 1.05220e-1, 2.51972e-1, 4.30083e-1}};
    struct fixture f;
    struct tensor *g;
    start(&f, b->kind);
    assert_null(model_gradients(&f.m, &g));
    mean_loss(&f, g);
    double total = 0;
    for (int i = 0; i < f.m.n_params; i++)
        total += pow(norm_of(f.dev, g[i]), 2);
    near_relative(sqrt(total), 1.477097, b->gradient);
    near_relative(norm_of(f.dev, g[f.m.wte]), 7.55095e-2, b->gradient);
    near_relative(norm_of(f.dev, g[f.m.lm_head]), 9.95858e-1, b->gradient);
    for (int l = 0; l < GOLDEN_L; l++) {
        const struct layer *w = &f.m.layers[l];
        const int order[6] = {w->q, w->k, w->v, w->o, w->fc, w->proj};
        for (int i = 0; i < 6; i++)
            near_relative(norm_of(f.dev, g[order[i]]), blocks[l][i], b->gradient);
    }
    end(&f);
}

static double rms_change(struct device *dev, struct tensor now, const double *before, double *first)
{
    int64_t n = now.rows * now.cols;
    double *v = block_alloc((size_t)n * sizeof *v), sum = 0;
    device_get_f64(dev, v, now, 0, n);
    for (int64_t i = 0; i < n; i++)
        sum += (v[i] - before[i]) * (v[i] - before[i]);
    *first = v[0];
    block_free(v);
    return sqrt(sum / (double)n);
}

static void ten_steps(const struct bounds *b, double clip, const double losses[11], const double wte[2], const double head[2],
                      const double blocks[GOLDEN_L][6])
{
    struct fixture f;
    struct tensor *g;
    struct optimizer o;
    start(&f, b->kind);
    struct rates rates = {.matrix_lr = 0.02, .embedding_lr = 0.2, .unembedding_lr = 0.004, .grad_clip = clip};
    assert_null(optimizer_open(&o, &f.m, &rates));
    assert_null(model_gradients(&f.m, &g));
    double *before[20];
    assert_true(f.m.n_params <= 20);
    for (int i = 0; i < f.m.n_params; i++) {
        int64_t n = f.m.params[i].rows * f.m.params[i].cols;
        before[i] = block_alloc((size_t)n * sizeof(double));
        device_get_f64(f.dev, before[i], f.m.params[i].w.master, 0, n);
    }
    for (int it = 0; it <= 10; it++) {
        for (int i = 0; i < f.m.n_params; i++)
            op_zero(f.dev, g[i]);
        double loss = mean_loss(&f, g);
        // Printed with six decimals: half a unit of the last counts beside the relative bound.
        near_absolute(loss, losses[it], b->steps * losses[it] + 5e-7);
        optimizer_measure(&o, g, it, 1, 0.85 + 0.1 * it / 300, 1);
        double norm = device_grad_norm(f.dev);
        if (clip > 0 && it == 0)
            near_relative(norm, 1.47710, 1e-5);
        if (clip > 0 && it == 1)
            near_relative(norm, 1.36178, b->kind == DEVICE_REF ? 1e-5 : 1e-4);
        if (clip > 0 && it == 9)
            near_relative(norm, 0.05671, b->kind == DEVICE_REF ? 1e-4 : 1e-3);
        optimizer_step(&o, g);
        if (it != 1)
            continue;
        double first;
        near_relative(rms_change(f.dev, f.m.params[f.m.wte].w.master, before[f.m.wte], &first), wte[0], b->change);
        near_absolute(first, wte[1], b->kind == DEVICE_REF ? 6e-7 : 1e-5);
        near_relative(rms_change(f.dev, f.m.params[f.m.lm_head].w.master, before[f.m.lm_head], &first), head[0], b->change);
        near_absolute(first, head[1], b->kind == DEVICE_REF ? 6e-8 : 1e-6);
        for (int l = 0; l < GOLDEN_L; l++) {
            const struct layer *w = &f.m.layers[l];
            const int order[6] = {w->q, w->k, w->v, w->o, w->fc, w->proj};
            for (int i = 0; i < 6; i++)
                near_relative(rms_change(f.dev, f.m.params[order[i]].w.master, before[order[i]], &first), blocks[l][i],
                              b->change);
        }
    }
    for (int i = 0; i < f.m.n_params; i++)
        block_free(before[i]);
    end(&f);
}

static void steps_unclipped(void **state)
{
    static const double losses[11] = {5.805639, 3.456689, 2.128350, 1.253200, 0.706231, 0.407425,
                                      0.250852, 0.161986, 0.107888, 0.073471, 0.052219};
    static const double wte[2] = {4.55631e-1, -0.028344}, head[2] = {1.694524e-2, -0.0440862};
    static const double blocks[GOLDEN_L][6] = {{2.54325e-3, 2.71030e-3, 2.72266e-3, 2.63599e-3, 2.75927e-3, 1.38274e-3},
                                               {2.59161e-3, 2.71596e-3, 2.73521e-3, 2.64772e-3, 2.77515e-3, 1.37919e-3},
                                               {2.59694e-3, 2.72065e-3, 2.77199e-3, 2.63322e-3, 2.77353e-3, 1.37687e-3}};
    ten_steps(*state, 0, losses, wte, head, blocks);
}

static void steps_clipped(void **state)
{
    static const double losses[11] = {5.805639, 3.456688, 2.122781, 1.240861, 0.678475, 0.375366,
                                      0.222358, 0.137939, 0.088177, 0.058380, 0.041690};
    static const double wte[2] = {4.54659e-1, -0.027757}, head[2] = {1.694469e-2, -0.0441398};
    static const double blocks[GOLDEN_L][6] = {{2.52960e-3, 2.69314e-3, 2.70262e-3, 2.62422e-3, 2.74519e-3, 1.37733e-3},
                                               {2.57731e-3, 2.69674e-3, 2.72345e-3, 2.63392e-3, 2.76149e-3, 1.37370e-3},
                                               {2.58370e-3, 2.70126e-3, 2.75655e-3, 2.61829e-3, 2.76077e-3, 1.37172e-3}};
    ten_steps(*state, 1, losses, wte, head, blocks);
}

// Before each of n steps.
static void losses_bf16(enum device_kind kind, double *losses, int n)
{
    struct fixture f;
    struct tensor *g;
    struct optimizer o;
    struct rates rates = {.matrix_lr = 0.02, .embedding_lr = 0.2, .unembedding_lr = 0.004};
    start_in(&f, kind, PRECISION_BF16);
    assert_null(optimizer_open(&o, &f.m, &rates));
    assert_null(model_gradients(&f.m, &g));
    for (int it = 0; it < n; it++) {
        for (int i = 0; i < f.m.n_params; i++)
            op_zero(f.dev, g[i]);
        losses[it] = mean_loss(&f, g);
        optimizer_measure(&o, g, it, 1, 0.85 + 0.1 * it / 300, 1);
        optimizer_step(&o, g);
    }
    end(&f);
}

// Precision bf16 beside what the spec printed of the reference in bfloat16. That rounds more (kernels/bf16.h), so it is not met to the
// digit, but it is met as well as it meets float32: to 3e-3. cpu and ref round at the same places, and part by what falls on ties.
static void steps_bf16(void **state)
{
    (void)state;
    static const double printed[11] = {5.8057, 3.4569, 2.1298, 1.2534, 0.7058, 0.4081, 0.2515, 0.1615, 0.1083, 0.0739, 0.0523};
    enum { REF = 3 }; // steps of ref, which takes its time
    double cpu[11], ref[REF];
    losses_bf16(DEVICE_CPU, cpu, 11);
    losses_bf16(DEVICE_REF, ref, REF);
    for (int it = 0; it <= 10; it++) {
        if (getenv("GOLDEN_SHOW"))
            print_message("%d cpu %.6f ref %.6f printed %.4f\n", it, cpu[it], it < REF ? ref[it] : NAN, printed[it]);
        near_absolute(cpu[it], printed[it], 3e-3 * printed[it] + 1.5e-3);
        if (it < REF)
            near_relative(cpu[it], ref[it], it ? 3e-3 : 5e-5);
    }
}

static int32_t argmax(const float *v, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

// Greedy decoding with the cache and by computing everything again gives the known ids.
static void greedy(void **state)
{
    const struct bounds *b = *state;
    static const struct {
        int row, n_prompt;
        int32_t ids[10];
    } cases[] = {{0, 16, {268, 27, 101, 134, 88, 76, 30, 117, 23, 293}}, {1, 40, {202, 245, 180, 261, 38, 38, 38, 38, 38, 38}}};
    struct fixture f;
    start(&f, b->kind);
    struct decoder d;
    const int32_t slot = 0;
    assert_null(decoder_open(&d, &f.m, 1, GOLDEN_T));
    struct tensor out = device_tensor(f.dev, GOLDEN_T, GOLDEN_V);
    for (size_t c = 0; c < countof(cases); c++) {
        int32_t ids[GOLDEN_T];
        float logits[GOLDEN_V];
        int n = cases[c].n_prompt;
        memcpy(ids, f.rows.inputs + cases[c].row * GOLDEN_T, (size_t)n * sizeof *ids);
        decoder_restart(&d);
        for (int i = 0; i < n; i++)
            assert_null(decoder_step(&d, &slot, &ids[i], 1, logits));
        for (int i = 0; i < 10; i++) {
            int32_t cached = argmax(logits, GOLDEN_V);
            float again[GOLDEN_V];
            out.rows = n + i;
            model_logits(&f.m, (struct batch){.B = 1, .T = n + i, .inputs = ids}, out);
            device_get(f.dev, again, out, (int64_t)(n + i - 1) * GOLDEN_V, GOLDEN_V);
            assert_int_equal(cached, cases[c].ids[i]);
            assert_int_equal(argmax(again, GOLDEN_V), cases[c].ids[i]);
            ids[n + i] = cached;
            assert_null(decoder_step(&d, &slot, &cached, 1, logits));
        }
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions),
        cmocka_unit_test_prestate(loss_and_logits, (void *)&ref_bounds),
        cmocka_unit_test_prestate(gradient_norms, (void *)&ref_bounds),
        cmocka_unit_test_prestate(greedy, (void *)&ref_bounds),
        cmocka_unit_test_prestate(steps_unclipped, (void *)&ref_bounds),
        cmocka_unit_test_prestate(steps_clipped, (void *)&ref_bounds),
        cmocka_unit_test_prestate(loss_and_logits, (void *)&cpu_bounds),
        cmocka_unit_test_prestate(gradient_norms, (void *)&cpu_bounds),
        cmocka_unit_test_prestate(greedy, (void *)&cpu_bounds),
        cmocka_unit_test_prestate(steps_unclipped, (void *)&cpu_bounds),
        cmocka_unit_test_prestate(steps_clipped, (void *)&cpu_bounds),
        cmocka_unit_test(steps_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
