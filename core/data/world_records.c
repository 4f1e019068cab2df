// world_records.c - lists of records: their templates checked, and each compiled to one program that writes a whole row.
//
// The texts of all fields are read one after the other with the same table of names; the program writes each with a zero byte
// behind it, which no text can hold, and `by` as the last. So a row is one run of a program, and its fields are found by counting.
//
// Invariant: the templates of a list stand together and have the same fields, so that a field is a column of the list.
#include "core/data/world_parse.h"

#include <string.h>

enum { ERRORS = 50 };

static bool is_field_name(const char *s)
{
    return s && *s >= 'a' && *s <= 'z' && strlen(s) < 64 && !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")];
}

static struct error *check_text(const char *text, const char *field, struct place at)
{
    size_t n = text ? strlen(text) : 0;
    if (!text || n > WORLD_RECORD_BYTES)
        return error_new(ERROR_RECIPE, at, NULL, "a text of '%s' is missing or longer than %d bytes", field, WORLD_RECORD_BYTES);
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if (*s < 0x20 && *s != '\n' && *s != '\t')
            return error_new(ERROR_RECIPE, at, "of those only \\n and \\t are allowed", "a text of '%s' has a control byte %02x",
                             field, *s);
    return NULL;
}

static struct error *check_fields(const struct world_record_template *t)
{
    if (t->n_fields < 1 || t->n_fields > WORLD_RECORD_FIELDS)
        return error_new(ERROR_RECIPE, t->at, "write question: \"...\"", "a template of '%s' has %d fields; 1 to %d are allowed",
                         t->list, t->n_fields, WORLD_RECORD_FIELDS);
    struct error *errors = NULL;
    for (int i = 0; i < t->n_fields; i++) {
        const struct world_field *field = &t->fields[i];
        if (!is_field_name(field->name)) {
            errors = error_append(errors, error_new(ERROR_RECIPE, field->at, "use a to z, digits and _, beginning with a letter",
                                                    "'%s' cannot be the name of a field", field->name ? field->name : ""));
            continue;
        }
        if (field->n_texts < 1 || field->n_texts > WORLD_FIELD_TEXTS)
            errors = error_append(errors, error_new(ERROR_RECIPE, field->at, NULL, "'%s' has %d texts; 1 to %d are allowed",
                                                    field->name, field->n_texts, WORLD_FIELD_TEXTS));
        else
            for (int k = 0; k < field->n_texts; k++)
                errors = error_append(errors, check_text(field->texts[k], field->name, field->at));
        for (int k = 0; k < i; k++)
            if (t->fields[k].name && strcmp(t->fields[k].name, field->name) == 0)
                errors = error_append(errors,
                                      error_new(ERROR_RECIPE, field->at, "delete one of them", "'%s' stands twice", field->name));
    }
    return errors;
}

// Whether the fields are those of the list's first template.
static struct error *check_same(const struct world_record_template *t, const struct world_record_template *first)
{
    for (int i = 0; i < t->n_fields && i < first->n_fields; i++) {
        const struct world_field *a = &t->fields[i], *b = &first->fields[i];
        if (strcmp(a->name, b->name) != 0)
            return error_new(ERROR_RECIPE, a->at, "give all templates of a list the same fields in the same order",
                             "field %d of '%s' is '%s' here and '%s' at line %d", i + 1, t->list, a->name, b->name, b->at.line);
        if (a->is_list != b->is_list)
            return error_new(ERROR_RECIPE, a->at, "write a text in all templates of the list, or a list of texts in all",
                             "'%s' is %s here and %s at line %d", a->name, a->is_list ? "a list" : "a text",
                             b->is_list ? "a list" : "a text", b->at.line);
    }
    if (t->n_fields != first->n_fields)
        return error_new(ERROR_RECIPE, t->at, "give all templates of a list the same fields in the same order",
                         "this template of '%s' has %d fields, the one at line %d has %d", t->list, t->n_fields, first->at.line,
                         first->n_fields);
    return NULL;
}

static struct error *check_template(const struct world_record_template *t)
{
    if (!(t->weight > 0 && t->weight <= 1e9))
        return error_new(ERROR_RECIPE, t->at, "set it above 0", "the weight of a template is %g", t->weight);
    if (t->by && !(t->hold_out > 0 && t->hold_out < 1))
        return error_new(ERROR_RECIPE, t->at, "give a share above 0 and below 1, or delete by", "hold_out is %g", t->hold_out);
    if (!t->by && t->hold_out != 0)
        return error_new(ERROR_RECIPE, t->at, "add by: \"{p} {t}\", the values that make a combination",
                         "hold_out without by does not say what is held out");
    struct error *e = check_fields(t);
    return t->by ? error_append(e, check_text(t->by, "by", t->at)) : e;
}

// The program of one template: its texts, each at its place, then `by`.
static struct error *record_compile(struct world_parser *p, const struct world_record_template *t, struct world_records *records,
                                    struct world_program *program)
{
    struct world_template text = {0};
    p->template = &text;
    struct error *e = NULL;
    for (int i = 0; !e && i < t->n_fields; i++)
        for (int k = 0; !e && k < t->fields[i].n_texts; k++) {
            text = (struct world_template){.text = t->fields[i].texts[k], .at = t->fields[i].at};
            e = world_parse(p);
            if (!e)
                e = world_parse_end_text(p);
        }
    text = (struct world_template){.text = t->by, .at = t->at};
    if (!e && t->by && !(e = world_parse(p)))
        e = world_parse_end_text(p);
    if (!e && p->cost > WORLD_RECORD_BYTES)
        e = error_new(ERROR_RECIPE, t->at, "write shorter texts", "this can make a record of more than %d bytes",
                      WORLD_RECORD_BYTES);
    return e ? e : world_program_finish(p, &records->list, program, NULL, NULL);
}

static struct error *records_compile(struct world_compiled *c, const struct world *world, struct arena *arena,
                                     struct world_records *records)
{
    struct world_parser *p = arena_alloc(arena, sizeof *p);
    if (!p)
        return error_memory();
    struct error *errors = NULL;
    int n_errors = 0;
    for (int i = 0; i < records->list.n && n_errors < ERRORS; i++) {
        const struct world_record_template *t = &world->records[records->first + i];
        *p = (struct world_parser){.c = c, .arena = arena};
        struct error *e = record_compile(p, t, records, &records->list.programs[i]);
        n_errors += e != NULL;
        errors = error_append(errors, e);
    }
    return errors;
}

// Opens a list at template i.
static struct error *add_list(struct world_compiled *c, const struct world *world, struct arena *arena, int i)
{
    const struct world_record_template *t = &world->records[i];
    if (!is_field_name(t->list))
        return error_new(ERROR_RECIPE, t->at, "use a to z, digits and _, beginning with a letter",
                         "'%s' cannot be the name of records", t->list ? t->list : "");
    if (world_find_records(c, t->list))
        return error_new(ERROR_RECIPE, t->at, "write all its templates in one list", "there are records '%s' already", t->list);
    if (c->n_records == WORLD_RECORD_LISTS)
        return error_new(ERROR_RECIPE, t->at, NULL, "more than %d lists of records", WORLD_RECORD_LISTS);
    int n = 1;
    while (i + n < world->n_records && world->records[i + n].list && strcmp(world->records[i + n].list, t->list) == 0)
        n++;
    struct world_records *records = &c->records[c->n_records];
    *records =
        (struct world_records){.list = {.name = t->list, .n = n}, .first = i, .hash = world_hash("records", t->list, "", NULL)};
    records->list.programs = arena_array(arena, (size_t)n, sizeof *records->list.programs);
    if (!records->list.programs)
        return error_memory();
    for (int k = 0; k < n; k++) {
        records->list.weight += t[k].weight;
        records->list.programs[k] = (struct world_program){.template = i + k, .at = t[k].at, .until = records->list.weight};
    }
    c->n_records++;
    return NULL;
}

const struct world_records *world_find_records(const struct world_compiled *c, const char *name)
{
    for (int i = 0; i < c->n_records; i++)
        if (strcmp(c->records[i].list.name, name) == 0)
            return &c->records[i];
    return NULL;
}

struct error *world_records_compile(struct world_compiled *c, const struct world *world, struct arena *arena)
{
    c->records = arena_array(arena, WORLD_RECORD_LISTS, sizeof *c->records);
    if (!c->records)
        return error_memory();
    struct error *errors = NULL;
    int first = 0, n_errors = 0;
    for (int i = 0; i < world->n_records && n_errors < ERRORS; i++) {
        const struct world_record_template *t = &world->records[i];
        struct error *e = check_template(t);
        if (i == 0 || !t->list || !t[-1].list || strcmp(t->list, t[-1].list) != 0) {
            e = error_append(e, add_list(c, world, arena, i));
            first = i;
        } else if (!e) {
            e = check_same(t, &world->records[first]);
        }
        n_errors += e != NULL;
        errors = error_append(errors, e);
    }
    for (int i = 0; !errors && i < c->n_records; i++)
        errors = records_compile(c, world, arena, &c->records[i]);
    return errors;
}

bool world_has_records(const struct world *world, const char *list)
{
    return world->compiled && world_find_records(world->compiled, list);
}
