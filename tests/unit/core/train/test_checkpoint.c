// A training of a model of 2026 that is saved, loaded and gone on with has the bits of one that was not interrupted.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/store/atomic.h"
#include "core/train/background.h"

enum { T = 16, V = 60, B = 2, STEPS = 6, CUT = 2 };

struct fixture {
    struct arena arena;
    struct device *dev;
    struct model m;
    struct optimizer o;
    struct training t;
    struct tensor *g;
};

static void start(struct fixture *f, const struct shape *shape)
{
    struct fault fault;
    memset(f, 0, sizeof *f);
    f->dev = device_open(DEVICE_CPU, 1, &fault);
    assert_non_null(f->dev);
    struct rates rates = {.matrix_lr = 0.02, .embedding_lr = 0.3, .unembedding_lr = 0.008, .scalar_lr = 0.5, .weight_decay = 0.28};
    struct optimizer_laws laws = optimizer_laws_2026(shape, &rates, 1, 1);
    assert_null(model_open(&f->m, f->dev, shape, &f->arena));
    assert_null(model_reserve(&f->m, B, T, true));
    assert_null(model_gradients(&f->m, &f->g));
    assert_null(optimizer_open_with(&f->o, &f->m, &laws));
    training_init(&f->t, &f->m, &f->o);
}

static void end(struct fixture *f)
{
    assert_int_equal(device_fault(f->dev).kind, FAULT_NONE);
    training_release(&f->t);
    device_close(f->dev);
    arena_release(&f->arena);
}

// begun: the step at which this training counts 0.
static void train_since(struct fixture *f, int begun, int from, int to)
{
    int32_t inputs[B * T], targets[B * T];
    float weights[B * T];
    for (int step = from; step < to; step++) {
        for (int i = 0; i < B * T; i++) {
            inputs[i] = (i * 7 + step * 11) % V;
            targets[i] = (i * 7 + step * 11 + 7) % V;
            weights[i] = 1.0f / (B * T);
        }
        for (int i = 0; i < f->m.n_params; i++)
            op_zero(f->dev, f->g[i]);
        model_loss(&f->m, (struct batch){B, T, inputs, targets, weights}, f->g);
        optimizer_measure(&f->o, f->g, step - begun, 0.5, 0.85, 0.75);
        optimizer_step(&f->o, f->g);
    }
}

static void train(struct fixture *f, int from, int to)
{
    train_since(f, 0, from, to);
}

static void same_bits(struct tensor a, struct tensor b, const char *name)
{
    assert_true(a.rows == b.rows && a.cols == b.cols);
    if (memcmp(a.data, b.data, (size_t)(a.rows * a.cols) * sizeof(float)))
        fail_msg("the bits of %s differ", name);
}

static void gone_on_with(void **state)
{
    (void)state;
    char folder[] = "/tmp/retort-checkpoint-XXXXXX", path[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/part.h5", folder);
    struct fixture whole, again;
    struct shape shape, read;
    assert_null(shape_from_depth_2026(&shape, 4, 16, 32, V, T));
    shape.n_kv_head = 1;
    start(&whole, &shape);
    model_init_weights_2026(&whole.m, 3);
    train(&whole, 0, CUT);
    whole.t.step = CUT;
    struct store_attribute step = store_i64("/", "step", CUT); // in a run it is the stage's
    assert_null(checkpoint_save(&whole.t, path, true, &step, 1));
    train(&whole, CUT, STEPS);

    struct store_file *file;
    assert_null(store_open(&file, path));
    assert_null(model_file_shape(file, &read));
    assert_int_equal(read.n_layer, 4);
    assert_int_equal(read.n_vocab_padded, 64);
    assert_true(read.qk_scale == 1.2 && read.window_short == 128 && read.window_pattern == shape.window_pattern);
    assert_true(read.value_embeds == 3 && read.value_gate_channels == 12 && read.residual_lambdas == 1);
    assert_true(read.smear_channels == 24 && read.backout == 3);
    start(&again, &read);
    assert_null(checkpoint_load(&again.t, file));
    assert_int_equal(again.t.step, CUT);
    store_close(file);
    train(&again, CUT, STEPS);
    for (int i = 0; i < whole.m.n_params; i++) {
        same_bits(whole.m.params[i].w.master, again.m.params[i].w.master, whole.m.params[i].name);
        same_bits(whole.o.first[i], again.o.first[i], "first moments");
        same_bits(whole.o.second[i], again.o.second[i], "second moments");
        // Something has been learned everywhere; ids that never came leave their rows alone.
        double sum = 0;
        const float *m = whole.o.first[i].data;
        for (int64_t k = 0; k < whole.o.first[i].rows * whole.o.first[i].cols; k++)
            sum += fabs((double)m[k]);
        if (!(sum > 0))
            fail_msg("%s has had no gradient", whole.m.params[i].name);
    }
    end(&whole);
    end(&again);
    unlink(path);
    rmdir(folder);
}

// Weights and moments of one training are another's beginning: told the same batches, it does what the first would have gone on to do,
// for AdamW's correction counts on. So it is of one that begins with those in turn, and of one that goes on from a checkpoint of it.
static void moments_alone(void **state)
{
    (void)state;
    char folder[] = "/tmp/retort-moments-XXXXXX", path[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.h5", folder);
    struct shape shape;
    struct fixture whole, next;
    struct store_file *file;
    assert_null(shape_from_depth_2026(&shape, 4, 16, 32, V, T));
    start(&whole, &shape);
    model_init_weights_2026(&whole.m, 3);
    train(&whole, 0, CUT);
    whole.t.step = CUT;
    struct store_attribute step = store_i64("/", "step", CUT);
    assert_null(checkpoint_save(&whole.t, path, true, &step, 1));
    train(&whole, CUT, STEPS);
    for (int turn = 0; turn < 3; turn++) {
        int begun = turn == 0 ? CUT : CUT + 1, here = CUT + turn, n = turn == 2 ? 1 : 0;
        start(&next, &shape);
        assert_null(store_open(&file, path));
        if (turn == 2)
            assert_null(checkpoint_load(&next.t, file));
        else
            assert_null(model_file_load(file, &next.m));
        if (turn < 2)
            assert_null(checkpoint_load_moments(&next.t, file));
        store_close(file);
        assert_int_equal(next.o.n_before, begun);
        assert_int_equal(next.t.step, n);
        train_since(&next, begun, here, here + 1);
        next.t.step = n + 1; // of its own
        step = store_i64("/", "step", n + 1);
        assert_null(checkpoint_save(&next.t, path, true, &step, 1));
        train_since(&next, begun, here + 1, STEPS);
        for (int i = 0; i < whole.m.n_params; i++)
            same_bits(whole.m.params[i].w.master, next.m.params[i].w.master, whole.m.params[i].name);
        end(&next);
    }
    end(&whole);
    unlink(path);
    rmdir(folder);
}

static int64_t step_in(const char *path)
{
    struct store_file *file;
    int64_t step = -1;
    assert_null(store_open(&file, path));
    assert_null(store_verify(file));
    assert_null(store_get_i64(file, "/", "step", &step));
    store_close(file);
    return step;
}

static struct error *copy_at(struct fixture *f, int64_t at, struct checkpoint **c)
{
    struct store_attribute attributes[] = {store_i64("/", "step", at), store_text("/", "key", "k")};
    f->t.step = at;
    return checkpoint_copy(c, &f->t, true, attributes, 2);
}

// What is written is the training as it was when it was copied; two whole files are there from the second on; one that cannot be
// written leaves both.
static void in_the_background(void **state)
{
    (void)state;
    char folder[] = "/tmp/retort-background-XXXXXX", part[80], prev[80], damaged[80];
    assert_non_null(mkdtemp(folder));
    snprintf(part, sizeof part, "%s/x.part.h5", folder);
    snprintf(prev, sizeof prev, "%s/x.part.prev.h5", folder);
    snprintf(damaged, sizeof damaged, "%s/x.part.damaged.h5", folder);
    struct fixture f, again;
    struct background b = {0};
    struct checkpoint *c;
    struct shape shape;
    struct arena arena = {0};
    struct store_file *file;
    const char *note;
    int64_t step = -1;
    assert_null(shape_from_depth_2026(&shape, 4, 16, 32, V, T));
    start(&f, &shape);
    model_init_weights_2026(&f.m, 3);
    assert_null(background_finish(&b, &step));
    assert_false(background_busy(&b));
    for (int at = 0; at < 3; at++) {
        assert_null(copy_at(&f, at, &c));
        background_start(&b, c, part, prev);
        train(&f, at, at + 1); // meanwhile
        assert_true(background_busy(&b));
        assert_null(background_finish(&b, &step));
        assert_false(background_busy(&b) || background_ended(&b));
        assert_int_equal(step, at);
        assert_int_equal(step_in(part), at);
        assert_true(at ? step_in(prev) == at - 1 : !file_exists(prev));
    }
    start(&again, &shape);
    model_init_weights_2026(&again.m, 3);
    train(&again, 0, 2);
    struct fixture loaded;
    start(&loaded, &shape);
    assert_null(store_open(&file, part));
    assert_null(checkpoint_load(&loaded.t, file));
    store_close(file);
    for (int i = 0; i < f.m.n_params; i++)
        same_bits(loaded.m.params[i].w.master, again.m.params[i].w.master, f.m.params[i].name);

    assert_null(copy_at(&f, 3, &c));
    background_start(&b, c, "/nowhere/at/all/x.part.h5", prev);
    struct error *e = background_finish(&b, &step);
    assert_non_null(e);
    error_free(e);
    assert_int_equal(step_in(part) + 10 * step_in(prev), 12);

    // The newest that is whole and of the key; what is passed over is kept.
    assert_null(checkpoint_find(part, prev, "k", &arena, &file, &note));
    assert_true(file && !note);
    store_close(file);
    assert_int_equal(truncate(part, 1000), 0);
    assert_null(checkpoint_find(part, prev, "k", &arena, &file, &note));
    assert_non_null(file);
    assert_non_null(strstr(note, "is cut short"));
    assert_true(file_exists(damaged) && !file_exists(part));
    store_close(file);
    assert_null(checkpoint_find(part, prev, "another", &arena, &file, &note));
    assert_null(file);
    assert_non_null(strstr(note, "of another result"));
    end(&f);
    end(&again);
    end(&loaded);
    arena_release(&arena);
    unlink(damaged);
    snprintf(damaged, sizeof damaged, "%s/x.part.prev.damaged.h5", folder);
    assert_int_equal(unlink(damaged), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gone_on_with),
        cmocka_unit_test(moments_alone), cmocka_unit_test(in_the_background)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
