// record_json.c - rows out of JSON lines: a path goes down from the line, and through at most one list.
#include <string.h>

#include "core/data/json_lines.h"
#include "core/data/record_inside.h"

// What the names lead to through objects alone; *at is how many were gone. NULL: it is not there.
static const struct json_item *descend(const struct json_item *value, const struct record_alternative *a, int *at)
{
    for (; value && *at < a->n_names && value->kind == JSON_ITEM_OBJECT; (*at)++)
        value = json_member(value, a->names[*at], strlen(a->names[*at]));
    return value && (*at == a->n_names || value->kind == JSON_ITEM_LIST) ? value : NULL;
}

static struct error *put_value(struct records *r, const struct json_item *value)
{
    const char *text;
    size_t n;
    struct error *e;
    switch ((enum json_item_kind)value->kind) {
    case JSON_ITEM_TEXT:
        e = json_item_text(value, &r->unescaped, &text, &n);
        return e ? e : record_text(r, text, n);
    case JSON_ITEM_INTEGER:
        return record_integer(r, json_item_integer(value));
    case JSON_ITEM_REAL: // a whole number beyond 64 bits keeps its digits
        return strspn(value->text, "-0123456789") == value->n ? record_text(r, value->text, value->n)
                                                              : record_real(r, json_item_real(value));
    case JSON_ITEM_TRUE:
    case JSON_ITEM_FALSE:
        return record_boolean(r, value->kind == JSON_ITEM_TRUE);
    case JSON_ITEM_NULL:
        return record_text(r, NULL, 0);
    case JSON_ITEM_OBJECT:
        return record_error(r, "let the path go on to one of its names", "an object where a value should be");
    case JSON_ITEM_LIST:
        break;
    }
    return record_error(r, NULL, "a list of lists");
}

// What stands behind a value; of a list's last value that is behind the list.
static const struct json_item *behind(const struct json_item *item)
{
    return item + item->items;
}

static bool is_list_of_objects(const struct json_item *value)
{
    bool objects = value->kind == JSON_ITEM_LIST;
    for (const struct json_item *item = value + 1; objects && item < behind(value); item = behind(item))
        objects = item->kind == JSON_ITEM_OBJECT;
    return objects;
}

// One value of each item of a list; an item that has none gives a null. *found: at least one has, or there are no items.
static struct error *put_items(struct records *r, const struct json_item *list, const struct record_alternative *a, int gone,
                               bool *found)
{
    *found = list->items == 1;
    for (const struct json_item *item = list + 1; item < behind(list); item = behind(item)) {
        int at = gone;
        const struct json_item *value = descend(item, a, &at);
        struct error *e = !value                                          ? record_text(r, NULL, 0)
                          : at == a->n_names && is_list_of_objects(value) ? record_json(r, value->text, value->n)
                                                                          : put_value(r, value);
        if (e)
            return e;
        *found |= value != NULL;
    }
    return NULL;
}

static struct error *take_alternative(struct records *r, const struct json_item *line, const struct record_alternative *a,
                                      bool *found)
{
    int at = 0;
    const struct json_item *value = a->of_items ? (line->kind == JSON_ITEM_LIST ? line : NULL) : descend(line, a, &at);
    *found = value != NULL;
    if (!value)
        return NULL;
    if (value->kind != JSON_ITEM_LIST)
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
    const struct json_item *line;
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
