// beginning.c - two payloads say whether two trainings read one stream of rows.
#include "runner/stages/beginning.h"

#include <jansson.h>

// Whether a member of a group of two payloads is the same, or in neither.
static bool same_member(json_t *a, json_t *b, const char *group, const char *name)
{
    const json_t *x = json_object_get(json_object_get(a, group), name), *y = json_object_get(json_object_get(b, group), name);
    return x && y ? json_equal(x, y) : x == y;
}

// The same texts in the same shares, cut alike, shuffled alike.
static bool same_rows(const char *mine, const char *its)
{
    static const char *const inputs[] = {"tokens", "mix", "rows", "mix_rows"};
    json_t *a = json_loads(mine, 0, NULL), *b = json_loads(its, 0, NULL);
    const json_t *x = json_object_get(a, "shares"), *y = json_object_get(b, "shares");
    bool same = a && b && (x && y ? json_equal(x, y) : x == y) && same_member(a, b, "fields", "seq_len") &&
                same_member(a, b, "fields", "seed");
    for (size_t i = 0; i < countof(inputs) && same; i++)
        same = same_member(a, b, "inputs", inputs[i]);
    json_decref(a);
    json_decref(b);
    return same;
}

static struct error *branch(struct training *t, struct store_file *file, const char *payload, struct arena *arena)
{
    const char *its = NULL;
    struct error *e = checkpoint_load(t, file);
    if (!e)
        e = store_get_text(file, "/", "payload", arena, &its);
    if (e)
        return e;
    checkpoint_trim(t);
    if (!same_rows(payload, its))
        t->rows = 0;
    return NULL;
}

static struct error *take(const struct beginning *b, struct training *t, struct store_file *file, const char *payload,
                          struct arena *arena)
{
    struct error *e = store_verify(file);
    if (e)
        return e;
    if (b->goes_on && store_has(file, "/optim"))
        return branch(t, file, payload, arena);
    e = model_file_load(file, t->model);
    return e || !b->takes_moments ? e : checkpoint_load_moments(t, file);
}

struct error *beginning_make(const struct beginning *b, struct training *t, const char *payload, struct arena *arena)
{
    struct store_file *file = NULL;
    if (!b->from) {
        if (b->is_2026)
            model_init_weights_2026(t->model, (uint64_t)b->seed);
        else
            model_init_weights(t->model, (uint64_t)b->seed);
        return NULL;
    }
    struct error *e = store_open(&file, b->from);
    if (!e)
        e = take(b, t, file, payload, arena);
    store_close(file);
    return error_while(e, NOWHERE, "beginning with '%s'", b->from);
}
