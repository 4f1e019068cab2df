// record_json.c - rows out of JSON lines: a path goes down from the line, and through at most one list.
#include <jansson.h>

#include "core/data/json_lines.h"
#include "core/data/record_inside.h"

// What the names lead to through objects alone; *at is how many were gone. NULL: it is not there.
static const json_t *descend(const json_t *value, const struct record_alternative *a, int *at)
{
    while (value && *at < a->n_names && json_is_object(value))
        value = json_object_get(value, a->names[(*at)++]);
    return value && (*at == a->n_names || json_is_array(value)) ? value : NULL;
}

static struct error *put_value(struct records *r, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return record_text(r, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return record_integer(r, json_integer_value(value));
    case JSON_REAL:
        return record_real(r, json_real_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
        return record_boolean(r, json_is_true(value));
    case JSON_NULL:
        return record_text(r, NULL, 0);
    case JSON_OBJECT:
        return record_error(r, "let the path go on to one of its names", "an object where a value should be");
    case JSON_ARRAY:
        break;
    }
    return record_error(r, NULL, "a list of lists");
}

static bool is_list_of_objects(const json_t *value)
{
    bool objects = json_is_array(value);
    for (size_t i = 0; objects && i < json_array_size(value); i++)
        objects = json_is_object(json_array_get(value, i));
    return objects;
}

static struct error *put_json(struct records *r, const json_t *value)
{
    size_t n = json_dumpb(value, NULL, 0, JSON_COMPACT);
    char *text = n ? block_alloc(n) : NULL;
    if (!text)
        return error_memory();
    json_dumpb(value, text, n, JSON_COMPACT);
    struct error *e = record_json(r, text, n);
    block_free(text);
    return e;
}

// One value of each item of a list; an item that has none gives a null. *found: at least one has, or there are no items.
static struct error *put_items(struct records *r, const json_t *list, const struct record_alternative *a, int gone, bool *found)
{
    size_t n = json_array_size(list);
    *found = n == 0;
    for (size_t i = 0; i < n; i++) {
        int at = gone;
        const json_t *value = descend(json_array_get(list, i), a, &at);
        struct error *e = !value                                          ? record_text(r, NULL, 0)
                          : at == a->n_names && is_list_of_objects(value) ? put_json(r, value)
                                                                          : put_value(r, value);
        if (e)
            return e;
        *found |= value != NULL;
    }
    return NULL;
}

static struct error *take_alternative(struct records *r, const json_t *line, const struct record_alternative *a, bool *found)
{
    int at = 0;
    const json_t *value = a->of_items ? (json_is_array(line) ? line : NULL) : descend(line, a, &at);
    *found = value != NULL;
    if (!value)
        return NULL;
    if (!json_is_array(value))
        return put_value(r, value);
    r->is_list[r->n_fields - 1] = true;
    return put_items(r, value, a, at, found);
}

struct error *record_open_json(struct records *r)
{
    return json_lines_open(&r->lines, r->part.path);
}

struct error *record_next_json(struct records *r, bool *more)
{
    const json_t *line;
    struct error *e = json_lines_next(r->lines, &line);
    if (e || !line)
        return e;
    for (int f = 0; f < r->n_paths; f++) {
        const struct record_path *path = &r->paths[f];
        const size_t n_values = r->n_values, n_bytes = r->n_bytes;
        bool found = false;
        record_begin_field(r, false);
        for (int k = 0; !found && k < path->n_alternatives; k++) {
            if ((e = take_alternative(r, line, &path->alternatives[k], &found)))
                return e;
            if (!found) { // a list in which nothing has the name
                r->n_values = n_values;
                r->n_bytes = n_bytes;
                r->is_list[f] = false;
            }
        }
    }
    *more = true;
    return NULL;
}
