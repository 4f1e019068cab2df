// record_world.c - rows out of a world's records: the texts of a template's fields, one after the other, given the paths' names.
#include <string.h>

#include "core/data/record_inside.h"

static const struct world_field *find_field(const struct world_record_template *t, const char *name)
{
    for (int i = 0; i < t->n_fields; i++)
        if (strcmp(t->fields[i].name, name) == 0)
            return &t->fields[i];
    return NULL;
}

static const struct world_field *find_path(const struct world_record_template *t, const struct record_path *path)
{
    const struct world_field *field = NULL;
    for (int k = 0; !field && k < path->n_alternatives; k++)
        field = find_field(t, path->alternatives[k].text);
    return field;
}

struct error *record_open_world(struct records *r)
{
    const struct world *world = r->part.world;
    if (!world_has_records(world, r->part.records))
        return error_plain(ERROR_DATA, "'%s' has no records '%s'", r->part.path, r->part.records);
    for (int f = 0; f < r->n_paths; f++) {
        bool found = false;
        for (int i = 0; !found && i < world->n_records; i++)
            found = strcmp(world->records[i].list, r->part.records) == 0 && find_path(&world->records[i], &r->paths[f]);
        if (!found)
            return error_plain(ERROR_DATA, "'%s': no template of the records '%s' has a field '%s'", r->part.path,
                               r->part.records, r->paths[f].text);
    }
    return NULL;
}

static struct error *put_field(struct records *r, const struct world_record *row, const struct world_field *field)
{
    record_begin_field(r, field && field->is_list);
    if (!field)
        return NULL;
    const char *text = row->text;
    for (const struct world_field *before = row->template->fields; before < field; before++)
        for (int i = 0; i < before->n_texts; i++)
            text += strlen(text) + 1;
    for (int i = 0; i < field->n_texts; i++) {
        size_t n = strlen(text);
        struct error *e = record_text(r, text, n);
        if (e)
            return e;
        text += n + 1;
    }
    return NULL;
}

struct error *record_next_world(struct records *r, bool *more)
{
    struct world_record row;
    if (r->i >= r->part.n)
        return NULL;
    struct error *e = world_record(r->part.world, r->part.records, r->part.seed, r->part.first + r->i, r->part.held_out, &row);
    if (e)
        return e;
    for (int f = 0; !e && f < r->n_paths; f++)
        e = put_field(r, &row, find_path(row.template, &r->paths[f]));
    block_free(row.text);
    r->i++;
    *more = !e;
    return e;
}
