// error_json.c - the chain goes out as texts; places of the chain are part of them.
#include "runner/stages/error_json.h"

#include <string.h>

#include <jansson.h>

static void put_line(struct json *j, const char *key, int value)
{
    json_key(j, key);
    if (value > 0)
        json_i64(j, value);
    else
        json_nil(j);
}

void errors_to_json(struct json *j, const struct error *e)
{
    json_open(j, '[');
    for (; e; e = e->next) {
        json_open(j, '{');
        json_key(j, "kind"), json_str(j, error_kind_name(e->kind));
        json_key(j, "file"), json_str(j, e->at.file);
        put_line(j, "line", e->at.line);
        put_line(j, "column", e->at.column);
        json_key(j, "what"), json_str(j, e->what);
        json_key(j, "fix"), json_str(j, e->fix);
        json_key(j, "chain");
        json_open(j, '[');
        for (const struct error *outer = e->while_; outer; outer = outer->while_)
            json_str(j, outer->what);
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
}

static enum error_kind kind_of(const char *name)
{
    for (int k = 0; name && k < ERROR_KIND_COUNT; k++)
        if (!strcmp(name, error_kind_name((enum error_kind)k)))
            return (enum error_kind)k;
    return ERROR_FAILED;
}

struct error *errors_from_json(const char *text)
{
    json_t *list = text ? json_loads(text, 0, NULL) : NULL, *each, *outer;
    struct error *all = NULL;
    size_t i, k;
    json_array_foreach(list, i, each)
    {
        struct place at = {.file = json_string_value(json_object_get(each, "file")),
                           .line = (int)json_integer_value(json_object_get(each, "line")),
                           .column = (int)json_integer_value(json_object_get(each, "column"))};
        const char *what = json_string_value(json_object_get(each, "what"));
        struct error *e = error_new(kind_of(json_string_value(json_object_get(each, "kind"))), at,
                                    json_string_value(json_object_get(each, "fix")), "%s", what ? what : "unknown error");
        json_array_foreach(json_object_get(each, "chain"), k, outer) e =
            error_while(e, NOWHERE, "%s", json_is_string(outer) ? json_string_value(outer) : "");
        all = error_append(all, e);
    }
    json_decref(list);
    return all;
}
