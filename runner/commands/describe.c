// describe.c - from the tables alone: nothing here names a field.
#include "runner/commands/describe.h"

#include <stdio.h>
#include <string.h>

#include "runner/view/grid.h"

enum { CLASSES = FIELD_DISPLAY + 1 };

static const struct {
    const char *name, *title, *means;
} classes[CLASSES] = {
    [FIELD_RESULT] = {"result", "Fields of the result",
                      "In the key: change one, and this stage runs again, and what depends on it. What was made with the old "
                      "value stays, and is found again when you go back."},
    [FIELD_SPEED] = {"speed", "Fields of speed",
                     "In no key: they change how fast the result is made and in how much memory, never what it is. Change them "
                     "freely, also for a stage that was stopped in the middle."},
    [FIELD_DISPLAY] = {"display", "Fields of display",
                       "In no key: they change what is shown, what is kept beside the result, or which defaults apply."},
};

static bool is_of(const struct field *f, enum stage_kind_id kind)
{
    return f->kinds >> kind & 1;
}

static int count_fields(enum stage_kind_id kind, enum field_class class, bool built)
{
    int n = 0;
    for (int i = 0; i < n_fields; i++)
        n += is_of(&fields[i], kind) && fields[i].class == class && fields[i].built == built;
    return n;
}

// Whether fields of the class have defaults of their own in 2026.
static bool differs_by_year(enum stage_kind_id kind, enum field_class class)
{
    for (int i = 0; i < n_fields; i++)
        if (is_of(&fields[i], kind) && fields[i].class == class && fields[i].built && !field_years_agree(&fields[i]))
            return true;
    return false;
}

static struct error *class_table(enum stage_kind_id kind, enum field_class class, struct arena *arena)
{
    enum { MOST_COLUMNS = 6 };
    bool with_presets = field_find(kind, "preset") != NULL, with_years = differs_by_year(kind, class);
    struct column columns[MOST_COLUMNS] = {{"field", false, false}, {"default", true, false}};
    int n_columns = 2;
    struct grid grid;
    if (with_presets) {
        columns[n_columns++] = (struct column){"mid", true, false};
        columns[n_columns++] = (struct column){"sft", true, false};
    }
    if (with_years)
        columns[n_columns++] = (struct column){"2026", true, false};
    columns[n_columns++] = (struct column){"what", false, true};
    grid_init(&grid, columns, n_columns, arena);
    for (int i = 0; i < n_fields; i++) {
        const struct field *f = &fields[i];
        const char *cells[MOST_COLUMNS] = {f->name, f->required ? "required" : f->def_2025 ? f->def_2025 : ""};
        int n = 2;
        if (!is_of(f, kind) || f->class != class || !f->built)
            continue;
        const char *takes = field_takes(f, arena), *what = takes ? arena_printf(arena, "%s (%s)", f->help, takes) : NULL;
        if (!what)
            return error_memory();
        if (with_presets) {
            cells[n++] = f->def_mid;
            cells[n++] = f->def_sft;
        }
        if (with_years)
            cells[n++] = field_years_agree(f) ? "" : f->def_2026 ? f->def_2026 : "-";
        cells[n++] = what;
        grid_add(&grid, cells);
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, DESCRIBE_WIDTH);
    return NULL;
}

void describe_title(enum stage_kind_id kind)
{
    printf("kind: %s%s\n", kind_name(kind), kind_built(kind) ? "" : " (not built in this version)");
    text_wrap(stdout, "", kind_help(kind), DESCRIBE_WIDTH);
}

struct error *describe_kind(enum stage_kind_id kind, struct arena *arena)
{
    struct error *e = NULL;
    int n_unbuilt = 0;
    const char *unbuilt = "";
    describe_title(kind);
    for (int c = 0; c < CLASSES && !e; c++) {
        if (!count_fields(kind, (enum field_class)c, true))
            continue;
        printf("\n%s.\n", classes[c].title);
        text_wrap(stdout, "", classes[c].means, DESCRIBE_WIDTH);
        putchar('\n');
        e = class_table(kind, (enum field_class)c, arena);
    }
    for (int i = 0; i < n_fields && !e; i++)
        if (is_of(&fields[i], kind) && !fields[i].built) {
            unbuilt = arena_printf(arena, "%s%s%s", unbuilt, n_unbuilt++ ? ", " : "", fields[i].name);
            e = unbuilt ? NULL : error_memory();
        }
    if (e)
        return e;
    if (n_unbuilt)
        putchar('\n'), text_wrap(stdout, "Not built in this version: ", unbuilt, DESCRIBE_WIDTH);
    printf("\n`retort help %s.FIELD` tells all about one.\n", kind_name(kind));
    return NULL;
}

struct error *describe_fields(enum stage_kind_id kind, struct arena *arena)
{
    static const struct column columns[] = {
        {"field", false, false}, {"class", false, false}, {"takes", false, true}, {"default", false, false}};
    struct grid grid;
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < n_fields; i++) {
        const struct field *f = &fields[i];
        if (!is_of(f, kind))
            continue;
        const char *takes = field_takes(f, arena), *def = field_default(f, arena);
        if (takes && !f->built)
            takes = arena_printf(arena, "%s (not built)", takes);
        if (!takes || !def)
            return error_memory();
        grid_add(&grid, (const char *const[]){f->name, classes[f->class].name, takes, def});
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, DESCRIBE_WIDTH);
    return NULL;
}

// How a value is written, beyond what it takes.
static const char *spelling(const struct field *f)
{
    bool number = f->type == FIELD_INT || f->type == FIELD_REAL || f->type == FIELD_INTS;
    if (!number)
        return NULL;
    return f->exact ? "65536, 1_000 or 2e9; k M B T are refused, because only an exact count makes sense"
                    : "65536, 1_000, 2e9 or 64k; k M B T are 10^3 10^6 10^9 10^12";
}

static void line(const char *name, const char *text)
{
    char first[16];
    snprintf(first, sizeof first, "%-11s", name);
    if (text && *text)
        text_wrap(stdout, first, text, DESCRIBE_WIDTH);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

// Whether two rows, of different kinds, say the same.
static bool alike(const struct field *a, const struct field *b)
{
    return !strcmp(a->name, b->name) && a->type == b->type && a->class == b->class && a->required == b->required &&
           a->each == b->each && a->exact == b->exact && a->built == b->built && a->min == b->min && a->max == b->max &&
           same_text(a->choices, b->choices) && same_text(a->unit, b->unit) && same_text(a->def_2025, b->def_2025) &&
           same_text(a->def_2026, b->def_2026) && same_text(a->def_mid, b->def_mid) && same_text(a->def_sft, b->def_sft) &&
           same_text(a->help, b->help);
}

static bool one_has(const struct field *f, enum stage_kind_id kind)
{
    for (int i = 0; i < n_fields; i++)
        if (is_of(&fields[i], kind) && alike(&fields[i], f))
            return true;
    return false;
}

static bool told_before(const struct field *f)
{
    for (const struct field *g = fields; g < f; g++)
        if (field_is_word(g) && alike(g, f))
            return true;
    return false;
}

// Kinds whose field is the same are told of it together.
static struct error *one_field(const struct field *f, enum stage_kind_id only, struct arena *arena)
{
    const char *takes = field_takes(f, arena), *def = field_default(f, arena), *title = "", *kinds = "";
    const char *means = arena_printf(arena, "%s. %s", classes[f->class].name, classes[f->class].means);
    for (int k = 0; k < KIND_COUNT && title && kinds; k++) {
        if (!kind_is_word((enum stage_kind_id)k) || !one_has(f, (enum stage_kind_id)k) || (only != KIND_COUNT && (int)only != k))
            continue;
        title = arena_printf(arena, "%s%s%s.%s", title, *title ? ", " : "", kind_name((enum stage_kind_id)k), f->name);
        kinds = arena_printf(arena, "%s%s%s", kinds, *kinds ? ", " : "", kind_name((enum stage_kind_id)k));
    }
    const char *set = arena_printf(arena, "%s: under a stage of kind %s; or -s STAGE.%s=VALUE", f->name, kinds, f->name);
    if (!takes || !def || !means || !title || !kinds || !set)
        return error_memory();
    title = arena_printf(arena, "%s%s", title, f->built ? "" : " (not built in this version)");
    if (!title)
        return error_memory();
    text_wrap(stdout, "", title, DESCRIBE_WIDTH);
    putchar('\n');
    text_wrap(stdout, "", f->help, DESCRIBE_WIDTH);
    putchar('\n');
    line("takes", takes);
    line("written", spelling(f));
    line("default", def);
    line("class", means);
    line("set it", set);
    return NULL;
}

struct error *describe_field(enum stage_kind_id kind, const char *name, struct arena *arena)
{
    struct error *e = NULL;
    bool first = true;
    for (int i = 0; i < n_fields && !e; i++) {
        if (strcmp(fields[i].name, name) || !field_is_word(&fields[i]) ||
            (kind == KIND_COUNT ? told_before(&fields[i]) : !is_of(&fields[i], kind)))
            continue;
        if (!first)
            putchar('\n');
        first = false;
        e = one_field(&fields[i], kind, arena);
    }
    return e;
}

void describe_word(const struct word *word, const char *where)
{
    printf("%s: %s%s\n\n", word->name, where, word->unbuilt ? " (not built in this version)" : "");
    text_wrap(stdout, "", word->help, DESCRIBE_WIDTH);
    putchar('\n');
    line("takes", word->takes);
    line("default", word->def);
}

struct error *describe_words(const struct word *words, int n, struct arena *arena)
{
    static const struct column columns[] = {{"word", false, false}, {"what", false, true}};
    struct grid grid;
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < n; i++) {
        const char *what =
            arena_printf(arena, "%s%s. %s%s%s%s", words[i].takes, words[i].unbuilt ? " (not built)" : "", words[i].help,
                         words[i].def ? " Default: " : "", words[i].def ? words[i].def : "", words[i].def ? "." : "");
        if (!what)
            return error_memory();
        grid_add(&grid, (const char *const[]){words[i].name, what});
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, DESCRIBE_WIDTH);
    return NULL;
}

void kind_to_json(struct json *j, enum stage_kind_id kind)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, kind_name(kind));
    json_key(j, "help"), json_str(j, kind_help(kind));
    json_key(j, "built"), json_bool(j, kind_built(kind));
    json_close(j, '}');
}

static void field_to_json(struct json *j, const struct field *f, enum stage_kind_id kind, struct arena *arena)
{
    const char *takes = field_takes(f, arena);
    bool bounded = f->min != 0 || f->max != 0;
    j->failed |= !takes;
    json_open(j, '{');
    json_key(j, "kind"), json_str(j, kind_name(kind));
    json_key(j, "name"), json_str(j, f->name);
    json_key(j, "takes"), json_str(j, takes);
    json_key(j, "class"), json_str(j, classes[f->class].name);
    json_key(j, "required"), json_bool(j, f->required);
    json_key(j, "built"), json_bool(j, f->built);
    json_key(j, "min");
    bounded ? json_f64(j, f->min) : json_nil(j);
    json_key(j, "max");
    bounded && f->max < FIELD_NO_MAX ? json_f64(j, f->max) : json_nil(j);
    json_key(j, "unit"), json_str(j, f->unit);
    json_key(j, "default"), json_str(j, f->def_2025);
    json_key(j, "default_2026"), json_str(j, f->def_2026);
    json_key(j, "default_mid"), json_str(j, f->def_mid);
    json_key(j, "default_sft"), json_str(j, f->def_sft);
    json_key(j, "help"), json_str(j, f->help);
    json_close(j, '}');
}

void fields_to_json(struct json *j, const char *name, enum stage_kind_id kind, struct arena *arena)
{
    json_open(j, '[');
    for (int i = 0; i < n_fields; i++)
        for (int k = 0; k < KIND_COUNT; k++)
            if (kind_is_word((enum stage_kind_id)k) && is_of(&fields[i], (enum stage_kind_id)k) &&
                (kind == KIND_COUNT || (int)kind == k) && (!name || !strcmp(fields[i].name, name)))
                field_to_json(j, &fields[i], (enum stage_kind_id)k, arena);
    json_close(j, ']');
}

void words_to_json(struct json *j, const struct word *words, int n)
{
    json_open(j, '[');
    for (int i = 0; i < n; i++) {
        json_open(j, '{');
        json_key(j, "name"), json_str(j, words[i].name);
        json_key(j, "takes"), json_str(j, words[i].takes);
        json_key(j, "default"), json_str(j, words[i].def);
        json_key(j, "built"), json_bool(j, !words[i].unbuilt);
        json_key(j, "help"), json_str(j, words[i].help);
        json_close(j, '}');
    }
    json_close(j, ']');
}
