// checkpoint.c - tensors are copied to the host one by one, then the store writes all at once.
#include "core/train/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/store/atomic.h"

enum { OTHER_SETS = 6 + TRAINING_MORE };

void training_init(struct training *t, struct model *model, struct optimizer *optimizer)
{
    *t = (struct training){
        .model = model,
        .optimizer = optimizer,
        .train = {.members = metric_train_members, .n_members = METRIC_TRAIN_MEMBERS, .row_bytes = sizeof(struct metric_train)},
        .val = {.members = metric_val_members, .n_members = METRIC_VAL_MEMBERS, .row_bytes = sizeof(struct metric_val)},
        .timing = {.members = timing_train_members, .n_members = TIMING_TRAIN_MEMBERS, .row_bytes = sizeof(struct timing_train)},
        .events = {.members = event_members, .n_members = EVENT_MEMBERS, .row_bytes = sizeof(struct event)},
        .samples = {.members = sample_members, .n_members = SAMPLE_MEMBERS, .row_bytes = sizeof(struct sample)}};
}

void training_release(struct training *t)
{
    table_release(&t->train);
    table_release(&t->val);
    table_release(&t->timing);
    table_release(&t->events);
    table_release(&t->samples);
}

struct error *training_event(struct training *t, const char *kind, const char *text)
{
    struct event e = {.step = t->step, .time = clock_unix()};
    snprintf(e.kind, sizeof e.kind, "%s", kind);
    snprintf(e.text, sizeof e.text, "%s", text ? text : "");
    return table_add(&t->events, &e);
}

// Path of moment `second` of parameter i; NULL where there is none, or memory ran out (*e).
static const char *moment_path(const struct training *t, int i, bool second, struct arena *arena, struct error **e)
{
    const char *const names[2][2] = {{"m", "v"}, {"momentum", "v2"}};
    if (second && !t->optimizer->second[i].rows)
        return NULL;
    const char *name = names[t->model->params[i].group == PARAM_MATRIX][second];
    const char *path = arena_printf(arena, "/optim/%s.%s", t->model->params[i].name, name);
    if (!path)
        *e = error_memory();
    return path;
}

static struct error *copy_tensors(const struct training *t, bool with_optim, struct arena *arena, struct store_set *sets, int *n)
{
    struct error *e = model_file_sets(t->model, arena, sets);
    if (e)
        return e;
    *n = t->model->n_params;
    for (int i = 0; with_optim && i < 2 * t->model->n_params; i++) {
        int p = i / 2;
        const char *path = moment_path(t, p, i % 2, arena, &e);
        if (path)
            e = model_file_set(t->model->dev, i % 2 ? t->optimizer->second[p] : t->optimizer->first[p], path, &sets[*n]);
        if (e)
            return e;
        *n += path != NULL;
    }
    return NULL;
}

struct error *checkpoint_save(const struct training *t, const char *path, bool with_optim,
                              const struct store_attribute *attributes, int n_attributes)
{
    struct arena arena = {0};
    struct error *e = NULL;
    int n_tensors = 0;
    size_t n_most = 3 * (size_t)t->model->n_params + OTHER_SETS + (size_t)t->n_extra;
    struct store_set *sets = arena_array(&arena, n_most, sizeof *sets);
    struct store_attribute *all = arena_array(&arena, (size_t)n_attributes + MODEL_ATTRIBUTES, sizeof *all);
    if (!sets || !all)
        e = error_memory();
    if (!e)
        e = copy_tensors(t, with_optim, &arena, sets, &n_tensors);
    if (!e) {
        int n = n_tensors, n_all = model_file_attributes(&t->model->shape, all);
        memcpy(all + n_all, attributes, (size_t)n_attributes * sizeof *all);
        sets[n++] = (struct store_set){.path = "/data/rows", .type = STORE_I64, .n_dims = 1, .dims = {1}, .data = &t->rows};
        sets[n++] = table_set(&t->train, "/metrics/train");
        sets[n++] = table_set(&t->val, "/metrics/val");
        sets[n++] = table_set(&t->timing, "/timing/train");
        sets[n++] = table_set(&t->events, "/events");
        sets[n++] = table_set(&t->samples, "/samples");
        for (int i = 0; i < t->n_more; i++)
            sets[n++] = table_set(t->more[i].table, t->more[i].path);
        for (int i = 0; i < t->n_extra; i++)
            sets[n++] = t->extra[i];
        e = store_save(path, all, n_all + n_attributes, sets, n);
    }
    if (sets)
        model_file_release(sets, n_tensors);
    arena_release(&arena);
    return e;
}

struct error *checkpoint_set_aside(const char *part, const char *prev, bool part_is_good)
{
    return part_is_good && file_exists(part) ? atomic_publish(part, prev) : NULL;
}

struct error *checkpoint_rotate(const struct training *t, const char *part, const char *prev, bool part_is_good,
                                const struct store_attribute *attributes, int n_attributes)
{
    struct error *e = checkpoint_set_aside(part, prev, part_is_good);
    return e ? e : checkpoint_save(t, part, true, attributes, n_attributes);
}

struct error *checkpoint_find(const char *part, const char *prev, struct arena *arena, struct store_file **file,
                              const char **note)
{
    const char *const paths[] = {part, prev};
    *file = NULL;
    *note = NULL;
    for (size_t i = 0; i < countof(paths); i++) {
        if (!file_exists(paths[i]))
            continue;
        struct error *e = store_open(file, paths[i]);
        if (!e)
            e = store_verify(*file);
        if (!e)
            return NULL;
        store_close(*file);
        *file = NULL;
        if (e->kind != ERROR_DATA)
            return e;
        *note = arena_printf(arena, "passed over '%s': %s", paths[i], e->what);
        error_free(e);
    }
    return NULL;
}

struct error *checkpoint_load(struct training *t, struct store_file *file)
{
    struct shape shape;
    struct error *e = model_file_shape(file, &shape);
    if (!e)
        e = model_file_load(file, t->model);
    for (int i = 0; !e && i < 2 * t->model->n_params; i++) {
        int p = i / 2;
        const char *path = moment_path(t, p, i % 2, t->model->arena, &e);
        if (path)
            e = model_file_load_tensor(file, t->model->dev, path, i % 2 ? t->optimizer->second[p] : t->optimizer->first[p]);
    }
    if (!e)
        e = store_get_i64(file, "/", "step", &t->step);
    if (!e)
        e = store_read(file, "/data/rows", STORE_I64, 0, 1, &t->rows);
    if (!e)
        e = table_load(&t->train, file, "/metrics/train");
    if (!e)
        e = table_load(&t->val, file, "/metrics/val");
    if (!e)
        e = table_load(&t->timing, file, "/timing/train");
    if (!e)
        e = table_load(&t->events, file, "/events");
    if (!e)
        e = table_load(&t->samples, file, "/samples");
    for (int i = 0; i < t->n_more && !e; i++)
        e = table_load(t->more[i].table, file, t->more[i].path);
    return e;
}
