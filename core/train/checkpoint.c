// checkpoint.c - tensors are copied to the host one by one, tables beside them, then the store writes all at once.
#include "core/train/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/point.h"
#include "core/store/atomic.h"

enum { OWN_TABLES = 5, TABLES = OWN_TABLES + TRAINING_MORE, OTHER_SETS = 1 + TABLES };

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

// All that a checkpoint keeps, the training's own first; how many there are.
static int tables_of(const struct training *t, struct kept_table list[TABLES])
{
    const struct kept_table own[OWN_TABLES] = {{"/metrics/train", (struct table *)&t->train},
                                               {"/metrics/val", (struct table *)&t->val},
                                               {"/timing/train", (struct table *)&t->timing},
                                               {"/events", (struct table *)&t->events},
                                               {"/samples", (struct table *)&t->samples}};
    memcpy(list, own, sizeof own);
    for (int i = 0; i < t->n_more; i++)
        list[OWN_TABLES + i] = t->more[i];
    return OWN_TABLES + t->n_more;
}

void training_release(struct training *t)
{
    struct kept_table tables[TABLES];
    tables_of(t, tables);
    for (int i = 0; i < OWN_TABLES; i++)
        table_release(tables[i].table);
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

struct checkpoint {
    struct arena arena;
    int64_t step, rows;
    struct store_set *sets;
    int n_sets, n_tensors; // the first n_tensors are blocks of their own
    struct store_attribute *attributes;
    int n_attributes;
    struct table *tables; // copies; their rows are blocks
    int n_tables;
};

static struct error *copy_attributes(struct checkpoint *c, const struct training *t, bool with_optim,
                                     const struct store_attribute *attributes, int n_attributes)
{
    c->attributes = arena_array(&c->arena, (size_t)n_attributes + MODEL_ATTRIBUTES + 1, sizeof *c->attributes);
    if (!c->attributes)
        return error_memory();
    c->n_attributes = model_file_attributes(&t->model->shape, c->attributes);
    if (with_optim)
        c->attributes[c->n_attributes++] = store_i64("/optim", "updates", t->optimizer->n_before + t->step);
    for (int i = 0; i < n_attributes; i++) {
        struct store_attribute *a = &c->attributes[c->n_attributes++];
        *a = attributes[i];
        if (a->type == STORE_TEXT && !(a->text = arena_strdup(&c->arena, a->text)))
            return error_memory();
    }
    return NULL;
}

static struct error *copy_table(struct checkpoint *c, const struct table *table, const char *path)
{
    struct table *copy = &c->tables[c->n_tables++];
    *copy = *table;
    copy->rows = NULL;
    size_t bytes = (size_t)table->n * table->row_bytes;
    if (bytes && !(copy->rows = block_alloc(bytes)))
        return error_memory();
    if (bytes)
        memcpy(copy->rows, table->rows, bytes);
    copy->capacity = table->n;
    c->sets[c->n_sets++] = table_set(copy, path);
    return NULL;
}

static struct error *copy_tables(struct checkpoint *c, const struct training *t)
{
    struct kept_table tables[TABLES];
    int n = tables_of(t, tables);
    struct error *e = NULL;
    if (!(c->tables = arena_array(&c->arena, TABLES, sizeof *c->tables)))
        return error_memory();
    for (int i = 0; i < n && !e; i++)
        e = copy_table(c, tables[i].table, tables[i].path);
    return e;
}

static struct error *copy(struct checkpoint *c, const struct training *t, bool with_optim,
                          const struct store_attribute *attributes, int n_attributes)
{
    c->sets = arena_array(&c->arena, 3 * (size_t)t->model->n_params + OTHER_SETS + (size_t)t->n_extra, sizeof *c->sets);
    if (!c->sets)
        return error_memory();
    struct error *e = copy_tensors(t, with_optim, &c->arena, c->sets, &c->n_tensors);
    if (!e) // after a fault a device gives zeros
        e = error_from_fault(device_fault(t->model->dev));
    if (e)
        return e;
    c->n_sets = c->n_tensors;
    c->sets[c->n_sets++] =
        (struct store_set){.path = "/data/rows", .type = STORE_I64, .n_dims = 1, .dims = {1}, .data = &c->rows};
    if ((e = copy_attributes(c, t, with_optim, attributes, n_attributes)) || (e = copy_tables(c, t)))
        return e;
    for (int i = 0; i < t->n_extra; i++)
        c->sets[c->n_sets++] = t->extra[i];
    return NULL;
}

struct error *checkpoint_copy(struct checkpoint **out, const struct training *t, bool with_optim,
                              const struct store_attribute *attributes, int n_attributes)
{
    struct checkpoint *c = block_alloc(sizeof *c);
    *out = NULL;
    if (!c)
        return error_memory();
    *c = (struct checkpoint){.step = t->step, .rows = t->rows};
    struct error *e = copy(c, t, with_optim, attributes, n_attributes);
    if (e) {
        checkpoint_free(c);
        return e;
    }
    point("checkpoint.copied");
    *out = c;
    return NULL;
}

int64_t checkpoint_step(const struct checkpoint *c)
{
    return c->step;
}

struct error *checkpoint_write(const struct checkpoint *c, const char *path, const char *aside)
{
    return store_replace(path, aside, c->attributes, c->n_attributes, c->sets, c->n_sets);
}

void checkpoint_free(struct checkpoint *c)
{
    if (!c)
        return;
    if (c->sets)
        model_file_release(c->sets, c->n_tensors);
    for (int i = 0; i < c->n_tables; i++)
        table_release(&c->tables[i]);
    arena_release(&c->arena);
    block_free(c);
}

struct error *checkpoint_save(const struct training *t, const char *path, bool with_optim,
                              const struct store_attribute *attributes, int n_attributes)
{
    struct checkpoint *c;
    struct error *e = checkpoint_copy(&c, t, with_optim, attributes, n_attributes);
    if (!e)
        e = checkpoint_write(c, path, NULL);
    checkpoint_free(c);
    return e;
}

static struct error *check_key(struct store_file *file, const char *key)
{
    struct arena arena = {0};
    const char *its_key = "";
    struct error *e = key ? store_get_text(file, "/", "key", &arena, &its_key) : NULL;
    if (!e && key && strcmp(key, its_key))
        e = error_plain(ERROR_DATA, "it is of another result, of key %.16s", its_key);
    arena_release(&arena);
    return e;
}

// What it was passed over for, and where it is now, in as few words as an event holds: both files differ from the result's in their
// endings, and what is said of the file begins with its path.
static struct error *pass_over(const char *path, const struct error *why, struct arena *arena, const char **note)
{
    const char *ending = strstr(path, ".part"),
               *damaged = arena_printf(arena, "%.*s.damaged.h5", (int)(strlen(path) - strlen(".h5")), path);
    size_t n = strlen(path);
    bool begins = why->what[0] == '\'' && !strncmp(why->what + 1, path, n) && !strncmp(why->what + 1 + n, "' ", 2);
    struct error *e = damaged ? atomic_publish(path, damaged) : error_memory();
    if (!e && !(*note = arena_printf(arena, "%s%spassed over %s (kept as .damaged.h5): %s", *note ? *note : "", *note ? "; " : "",
                                     ending ? ending : path, why->what + (begins ? n + 3 : 0))))
        e = error_memory();
    return error_while(e, NOWHERE, "keeping a damaged checkpoint");
}

struct error *checkpoint_find(const char *part, const char *prev, const char *key, struct arena *arena, struct store_file **file,
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
            e = check_key(*file, key);
        if (!e)
            e = store_verify(*file);
        if (!e)
            return NULL;
        store_close(*file);
        *file = NULL;
        if (e->kind != ERROR_DATA)
            return e;
        struct error *failed = pass_over(paths[i], e, arena, note);
        error_free(e);
        if (failed)
            return failed;
    }
    return NULL;
}

static struct error *load_moments(struct training *t, struct store_file *file)
{
    struct error *e = NULL;
    for (int i = 0; !e && i < 2 * t->model->n_params; i++) {
        int p = i / 2;
        const char *path = moment_path(t, p, i % 2, t->model->arena, &e);
        if (path)
            e = model_file_load_tensor(file, t->model->dev, path, i % 2 ? t->optimizer->second[p] : t->optimizer->first[p]);
    }
    return e;
}

static const int64_t UPDATES_MOST = (int64_t)1 << 50; // no training is that long, and sums of two still fit

// How many updates made the moments of a file: its step, unless it says that they began before.
static struct error *count_updates(struct store_file *file, int64_t *step, int64_t *n)
{
    struct error *e = store_get_i64(file, "/", "step", step);
    *n = *step;
    if (!e)
        error_free(store_get_i64(file, "/optim", "updates", n)); // of an earlier version: none
    if (!e && (*step < 0 || *n < *step || *n > UPDATES_MOST))
        e = error_plain(ERROR_DATA, "its optimizer has seen %lld updates at step %lld", (long long)*n, (long long)*step);
    return e;
}

struct error *checkpoint_load_moments(struct training *t, struct store_file *file)
{
    int64_t step;
    struct error *e = count_updates(file, &step, &t->optimizer->n_before);
    return e ? e : load_moments(t, file);
}

struct error *checkpoint_load(struct training *t, struct store_file *file)
{
    struct shape shape;
    int64_t n_updates = 0;
    struct error *e = model_file_shape(file, &shape);
    if (!e)
        e = model_file_load(file, t->model);
    if (!e)
        e = load_moments(t, file);
    if (!e)
        e = count_updates(file, &t->step, &n_updates);
    if (!e)
        t->optimizer->n_before = n_updates - t->step;
    if (!e)
        e = store_read(file, "/data/rows", STORE_I64, 0, 1, &t->rows);
    struct kept_table tables[TABLES];
    int n = tables_of(t, tables);
    for (int i = 0; i < n && !e; i++)
        e = table_load(tables[i].table, file, tables[i].path);
    return e;
}

void checkpoint_trim(struct training *t)
{
    const struct metric_val *val = t->val.rows;
    const struct sample *samples = t->samples.rows;
    while (t->val.n && val[t->val.n - 1].step >= t->step)
        t->val.n--;
    while (t->samples.n && samples[t->samples.n - 1].step >= t->step)
        t->samples.n--;
    t->events.n = 0;
}
