// trunk.c - the payload says whether two trainings are one but for their schedules; the schedules themselves say up to where.
#include "runner/graph/trunk.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "core/store/store.h"
#include "runner/graph/estimate.h"
#include "runner/stages/shape_of.h"

// What only the schedule knows of.
static const char *const schedule_fields[] = {"steps",  "tokens",       "flops",    "ratio",
                                              "warmup", "warmup_steps", "warmdown", "final_lr"};

enum { STEPS_MOST = 100 * 1000 * 1000 }; // looking at each takes a second then; no training is that long

struct searching {
    struct trunk *trunk;
    const struct graph_node *node;
    json_t *payload; // without the fields of the schedule
    struct schedule schedule;
    int64_t most;
    struct arena *arena;
};

static void strip(json_t *payload)
{
    json_t *said = json_object_get(payload, "fields");
    for (size_t i = 0; i < countof(schedule_fields); i++)
        json_object_del(said, schedule_fields[i]);
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

// That of a training which differs from the node's in these fields.
static struct schedule its_schedule(const struct graph_node *node, const json_t *said, int64_t n_steps)
{
    struct pretrain_options o = *(const struct pretrain_options *)node->options;
    const json_t *steps = json_object_get(said, "warmup_steps");
    o.warmup = json_number_value(json_object_get(said, "warmup"));
    o.warmup_steps = json_is_integer(steps) ? json_integer_value(steps) : FIELD_UNSET_INT;
    o.warmdown = json_number_value(json_object_get(said, "warmdown"));
    o.final_lr = json_number_value(json_object_get(said, "final_lr"));
    return pretrain_schedule(&o, n_steps);
}

// Whether a training with this payload and so many steps is the node's up to a step.
static bool is_trunk(const struct searching *s, const char *text, int64_t step, int64_t n_steps)
{
    if (!strcmp(text, s->node->payload))
        return true;
    json_t *payload = s->payload ? json_loads(text, 0, NULL) : NULL, *said = json_object_get(payload, "fields");
    struct schedule schedule = payload ? its_schedule(s->node, said, n_steps) : (struct schedule){0};
    if (payload)
        strip(payload);
    bool same =
        payload && json_equal(payload, s->payload) && step <= s->schedule.n_steps && agrees(&schedule, &s->schedule, step);
    json_decref(payload);
    return same;
}

static struct error *look(struct searching *s, const char *path)
{
    struct store_file *file = NULL;
    const char *payload = NULL;
    int64_t step = -1, n_steps = -1;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_get_i64(file, "/", "step", &step);
    if (!e)
        e = store_get_i64(file, "/", "n_steps", &n_steps);
    if (!e && step > s->trunk->step && step <= s->most && n_steps > 0 && store_has(file, "/optim"))
        e = store_get_text(file, "/", "payload", s->arena, &payload);
    store_close(file);
    if (e && e->kind != ERROR_DATA && e->kind != ERROR_MACHINE) // gone since, or damaged: it is none
        return e;
    error_free(e);
    if (!payload || !is_trunk(s, payload, step, n_steps))
        return NULL;
    *s->trunk = (struct trunk){.path = path, .step = step, .n_steps = n_steps, .own = !strcmp(payload, s->node->payload)};
    return NULL;
}

// "KIND-KEY.h5", "KIND-KEY@STEP.h5"; of other keys checkpoints too. Its own the stage finds itself.
static bool may_be(const struct graph_node *node, const char *name)
{
    const char *kind = kind_name(node->kind);
    size_t n = strlen(kind);
    if (strncmp(name, kind, n) || name[n] != '-')
        return false;
    bool own = !strncmp(name + n + 1, node->key, 16);
    const char *rest = strpbrk(name + n, ".@");
    if (!rest || strstr(rest, ".tmp.h5") || strstr(rest, ".damaged.h5") || strlen(rest) < 3 ||
        strcmp(rest + strlen(rest) - 3, ".h5"))
        return false;
    return own ? rest[0] == '@' || !strcmp(rest, ".h5") : node->kind == KIND_PRETRAIN;
}

static struct error *search(struct searching *s, const char *results)
{
    const char *folder = arena_printf(s->arena, "%s/store", results);
    if (!folder)
        return error_memory();
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? NULL : error_system(ERROR_MACHINE, errno, "cannot read '%s'", folder);
    struct error *e = NULL;
    for (const struct dirent *each; !e && (each = readdir(dir));) {
        const char *path = may_be(s->node, each->d_name) ? arena_printf(s->arena, "%s/%s", folder, each->d_name) : "";
        if (!path)
            e = error_memory();
        else if (*path)
            e = look(s, path);
    }
    closedir(dir);
    return e;
}

struct error *trunk_find(struct trunk *trunk, const char *results, const struct graph_node *node, int64_t most,
                         struct arena *arena)
{
    *trunk = (struct trunk){.step = 0};
    struct searching s = {.trunk = trunk, .node = node, .most = most, .arena = arena};
    if (!node->payload || !node->key)
        return NULL;
    if (node_schedule(node, &s.schedule) && (s.payload = json_loads(node->payload, 0, NULL)))
        strip(s.payload);
    struct error *e = search(&s, results);
    json_decref(s.payload);
    return e;
}
