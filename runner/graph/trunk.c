// trunk.c - the payload says whether two trainings are one but for their schedules; the schedules themselves say up to where.
//
// A plan of many trainings asks for each, and a store has many files: each is read once, and what payloads are compared by is a text.
#include "runner/graph/trunk.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/store/store.h"
#include "runner/graph/estimate.h"
#include "runner/stages/hyperparameters.h"

// What only the schedule knows of.
static const char *const schedule_fields[] = {"steps",  "tokens",       "flops",    "ratio",
                                              "warmup", "warmup_steps", "warmdown", "final_lr"};

enum { STEPS_MOST = 100 * 1000 * 1000 }; // looking at each takes a second then; no training is that long

// A file of the store that may be one.
struct trunk_file {
    enum stage_kind_id kind;
    const char *path, *key, *ending; // the latter in path
    bool looked;
    int64_t step, n_steps;
    const char *payload; // NULL: it is no checkpoint with its optimizer
    const char *rest;    // of a pretraining: the payload without the fields of the schedule; or NULL
    double warmup, warmdown, final_lr;
    int64_t warmup_steps;
};

struct trunks {
    struct trunk_file *files;
    size_t n;
};

struct searching {
    const struct graph_node *node;
    const char *rest; // as of a file; NULL: it has no schedule, and is its own trunk alone
    struct schedule schedule;
    struct arena *arena;
};

// What is left of a payload without its schedule, in one order of keys.
static const char *rest_of(json_t *payload, struct arena *arena)
{
    json_t *said = json_object_get(payload, "fields");
    for (size_t i = 0; i < countof(schedule_fields); i++)
        json_object_del(said, schedule_fields[i]);
    char *text = json_dumps(payload, JSON_COMPACT | JSON_SORT_KEYS);
    const char *rest = text ? arena_strdup(arena, text) : NULL;
    free(text);
    return rest;
}

// False where there is none: it is no pretraining, or its vocabulary is not known.
static bool node_schedule(const struct graph_node *node, struct schedule *schedule)
{
    struct shape shape;
    bool known = false;
    int64_t n_steps = 0;
    struct error *e = node->kind == KIND_PRETRAIN ? estimate_shape(node, &shape, &known) : NULL;
    if (!e && known)
        e = steps_of(&n_steps, node->options, &shape);
    if (!e && known)
        *schedule = pretrain_schedule(node->options, n_steps);
    known = known && !e;
    error_free(e); // told where it is planned
    return known;
}

static bool agrees(const struct schedule *a, const struct schedule *b, int64_t steps)
{
    if (steps > STEPS_MOST)
        return false;
    for (int64_t s = 0; s < steps; s++)
        if (schedule_lr(a, s) != schedule_lr(b, s) || schedule_momentum(a, s) != schedule_momentum(b, s) ||
            schedule_decay(a, s) != schedule_decay(b, s))
            return false;
    return true;
}

// Whether the training that a file is of is the node's up to where the file stands.
static bool is_trunk(const struct searching *s, const struct trunk_file *f)
{
    if (!strcmp(f->payload, s->node->payload))
        return true;
    if (!s->rest || !f->rest || strcmp(f->rest, s->rest) || f->step > s->schedule.n_steps)
        return false;
    struct pretrain_options o = *(const struct pretrain_options *)s->node->options;
    o.warmup = f->warmup;
    o.warmup_steps = f->warmup_steps;
    o.warmdown = f->warmdown;
    o.final_lr = f->final_lr;
    struct schedule its = pretrain_schedule(&o, f->n_steps);
    return agrees(&its, &s->schedule, f->step);
}

static struct error *take_payload(struct trunk_file *f, struct arena *arena)
{
    json_t *payload = f->kind == KIND_PRETRAIN ? json_loads(f->payload, 0, NULL) : NULL,
           *said = json_object_get(payload, "fields");
    if (!payload)
        return NULL;
    const json_t *steps = json_object_get(said, "warmup_steps");
    f->warmup = json_number_value(json_object_get(said, "warmup"));
    f->warmup_steps = json_is_integer(steps) ? json_integer_value(steps) : FIELD_UNSET_INT;
    f->warmdown = json_number_value(json_object_get(said, "warmdown"));
    f->final_lr = json_number_value(json_object_get(said, "final_lr"));
    f->rest = rest_of(payload, arena);
    json_decref(payload);
    return f->rest ? NULL : error_memory();
}

static struct error *look(struct trunk_file *f, struct arena *arena)
{
    struct store_file *file = NULL;
    f->looked = true;
    struct error *e = store_open(&file, f->path);
    if (!e)
        e = store_get_i64(file, "/", "step", &f->step);
    if (!e)
        e = store_get_i64(file, "/", "n_steps", &f->n_steps);
    if (!e && f->n_steps > 0 && store_has(file, "/optim"))
        e = store_get_text(file, "/", "payload", arena, &f->payload);
    store_close(file);
    if (e && e->kind != ERROR_DATA && e->kind != ERROR_MACHINE && e->kind != ERROR_NOT_BUILT)
        return e;
    error_free(e); // gone since, damaged or newer: it is none
    return f->payload ? take_payload(f, arena) : NULL;
}

// Of kinds that train: "KIND-KEY.h5", "KIND-KEY@STEP.h5" and checkpoints.
static struct error *list(struct trunks **trunks, struct result_names *names, const char *results, struct arena *arena)
{
    struct trunks *t = *trunks = arena_alloc(arena, sizeof *t);
    struct error *e = t ? result_names_read(names, results) : error_memory();
    if (!e) {
        *t = (struct trunks){.files = arena_array(arena, names->n + 1, sizeof *t->files)};
        e = t->files ? NULL : error_memory();
    }
    for (size_t i = 0; !e && i < names->n; i++) {
        const char *key, *ending;
        enum stage_kind_id kind = key_parse(names->names[i], &key, &ending);
        const char *path = kind_trains(kind) ? arena_printf(arena, "%s/%s", names->folder, names->names[i]) : "";
        if (!path) {
            e = error_memory();
        } else if (*path) {
            const char *end = path + strlen(path);
            t->files[t->n++] =
                (struct trunk_file){.kind = kind, .path = path, .key = end - strlen(key), .ending = end - strlen(ending)};
        }
    }
    return e;
}

// Of other keys checkpoints too: its own the stage finds itself.
static bool may_be(const struct trunk_file *f, const struct graph_node *node)
{
    if (f->kind != node->kind)
        return false;
    bool own = !strncmp(f->key, node->key, KEY_PATH_DIGITS);
    return own ? f->ending[0] == '@' || !strcmp(f->ending, ".h5") : node->kind == KIND_PRETRAIN;
}

static struct error *begin(struct searching *s)
{
    json_t *payload = node_schedule(s->node, &s->schedule) ? json_loads(s->node->payload, 0, NULL) : NULL;
    if (!payload)
        return NULL;
    s->rest = rest_of(payload, s->arena);
    json_decref(payload);
    return s->rest ? NULL : error_memory();
}

struct error *trunk_find(struct trunk *trunk, struct trunks **trunks, struct result_names *names, const char *results,
                         const struct graph_node *node, int64_t most, struct arena *arena)
{
    struct searching s = {.node = node, .arena = arena};
    *trunk = (struct trunk){.step = 0};
    if (!node->payload || !node->key)
        return NULL;
    struct error *e = *trunks ? NULL : list(trunks, names, results, arena);
    if (!e)
        e = begin(&s);
    for (size_t i = 0; !e && i < (*trunks)->n; i++) {
        struct trunk_file *f = &(*trunks)->files[i];
        if (!may_be(f, node) || (!f->looked && (e = look(f, arena))))
            continue;
        if (f->payload && f->step > trunk->step && f->step <= most && is_trunk(&s, f))
            *trunk = (struct trunk){
                .path = f->path, .step = f->step, .n_steps = f->n_steps, .own = !strcmp(f->payload, node->payload)};
    }
    return e;
}
