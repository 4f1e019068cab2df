// gradient_dump.c - the gradient of the mean loss of a model on given rows, for others to compare.
//
//     gradient_dump MODEL.h5 ROWS.h5 OUT.h5
//
// ROWS.h5 has /inputs and /targets [rows, ids] of integers; a target of -1 does not count. OUT.h5 gets /losses f64 [rows * ids] and
// /gradients/NAME f32, as the parameters. Status 1 on an error.
#include <stdio.h>
#include <string.h>

#include "core/model/model_file.h"
#include "core/store/foreign.h"

enum { IDS_MOST = 1 << 20 };

struct work {
    struct arena arena;
    struct device *dev;
    struct model model;
    struct batch batch;
    struct store_set *sets;
    int n_sets;
};

static struct error *open_model(struct work *w, const char *path)
{
    struct store_file *file = NULL;
    struct shape shape;
    struct fault fault;
    struct error *e = store_open(&file, path);
    if (!e)
        e = model_file_shape(file, &shape);
    if (!e && !(w->dev = device_open(DEVICE_CPU, 0, &fault)))
        e = error_from_fault(fault);
    if (!e)
        e = model_open(&w->model, w->dev, &shape, &w->arena);
    if (!e)
        e = model_file_load(file, &w->model);
    store_close(file);
    return e;
}

static struct error *read_ids(struct work *w, const char *path, const char *dataset, const int32_t **ids)
{
    int64_t *values, rows, cols;
    struct error *e = foreign_integers(path, dataset, IDS_MOST, &w->arena, &values, &rows, &cols);
    if (e)
        return e;
    int32_t *to = arena_array(&w->arena, (size_t)(rows * cols), sizeof *to);
    if (!to)
        return error_memory();
    for (int64_t i = 0; i < rows * cols; i++)
        to[i] = (int32_t)values[i];
    *ids = to;
    w->batch.B = (int)rows;
    w->batch.T = (int)cols;
    return NULL;
}

static struct error *weigh(struct work *w)
{
    int n = w->batch.B * w->batch.T, counted = 0;
    float *weights = arena_array(&w->arena, (size_t)n, sizeof *weights);
    if (!weights)
        return error_memory();
    for (int i = 0; i < n; i++)
        counted += w->batch.targets[i] >= 0;
    for (int i = 0; i < n; i++)
        weights[i] = w->batch.targets[i] >= 0 ? 1.0f / (float)counted : 0;
    w->batch.weights = weights;
    return NULL;
}

static struct error *compute(struct work *w)
{
    struct model *m = &w->model;
    struct tensor *gradients;
    int64_t n = (int64_t)w->batch.B * w->batch.T;
    double *losses = arena_array(&w->arena, (size_t)n, sizeof *losses);
    struct error *e = losses ? model_reserve(m, w->batch.B, w->batch.T, true) : error_memory();
    if (!e)
        e = model_gradients(m, &gradients);
    if (!e && !(w->sets = arena_array(&w->arena, (size_t)m->n_params + 1, sizeof *w->sets)))
        e = error_memory();
    if (e)
        return e;
    model_loss(m, w->batch, gradients);
    model_losses(m, w->batch, losses);
    w->sets[w->n_sets++] = (struct store_set){.path = "/losses", .type = STORE_F64, .n_dims = 1, .dims = {n}, .data = losses};
    for (int i = 0; i < m->n_params && !e; i++) {
        const char *path = arena_printf(&w->arena, "/gradients/%s", m->params[i].name);
        e = path ? model_file_set(w->dev, gradients[i], path, &w->sets[w->n_sets]) : error_memory();
        w->n_sets += !e;
    }
    return e ? e : error_from_fault(device_fault(w->dev));
}

int main(int argc, char **argv)
{
    struct work w = {.n_sets = 0};
    if (argc != 4) {
        fprintf(stderr, "gradient_dump MODEL.h5 ROWS.h5 OUT.h5\n");
        return 2;
    }
    struct error *e = open_model(&w, argv[1]);
    if (!e)
        e = read_ids(&w, argv[2], "/targets", &w.batch.targets);
    if (!e)
        e = read_ids(&w, argv[2], "/inputs", &w.batch.inputs);
    if (!e)
        e = weigh(&w);
    if (!e)
        e = compute(&w);
    if (!e)
        e = store_save(argv[3], NULL, 0, w.sets, w.n_sets);
    if (e)
        fprintf(stderr, "%s\n", e->what);
    int status = e ? 1 : 0;
    error_free(e);
    if (w.n_sets > 1)
        model_file_release(w.sets + 1, w.n_sets - 1);
    if (w.dev)
        device_close(w.dev);
    arena_release(&w.arena);
    return status;
}
