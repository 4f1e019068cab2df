// fields.c - recipe text into plain structs and back, by the rows of fields_table.c.
//
// 1. A value is read by its field's type alone; how it was spelt plays no part.
// 2. field_text gives text that field_set reads back to the same value; a mixture, which is no scalar, stages.c reads itself.
#include "runner/recipe/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/recipe/number.h"
#include "runner/recipe/options.h"

const char *kind_name(enum stage_kind_id kind)
{
    return stage_kinds[kind].name;
}

const char *kind_help(enum stage_kind_id kind)
{
    return stage_kinds[kind].help;
}

bool kind_built(enum stage_kind_id kind)
{
    return stage_kinds[kind].built;
}

int kind_version(enum stage_kind_id kind)
{
    return stage_kinds[kind].version;
}

size_t kind_options_bytes(enum stage_kind_id kind)
{
    return stage_kinds[kind].options_bytes;
}

bool kind_is_word(enum stage_kind_id kind)
{
    return kind != KIND_TOKENS && kind != KIND_ROWS;
}

bool kind_trains(enum stage_kind_id kind)
{
    return kind == KIND_PRETRAIN || kind == KIND_FINETUNE || kind == KIND_GRPO;
}

bool field_is_word(const struct field *field)
{
    return (field->kinds & ~(1u << KIND_TOKENS | 1u << KIND_ROWS)) != 0;
}

enum stage_kind_id kind_named(const char *name, size_t n)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (strlen(stage_kinds[i].name) == n && memcmp(stage_kinds[i].name, name, n) == 0)
            return (enum stage_kind_id)i;
    return KIND_COUNT;
}

enum stage_kind_id kind_find(const char *name)
{
    enum stage_kind_id kind = kind_named(name, strlen(name));
    return kind != KIND_COUNT && kind_is_word(kind) ? kind : KIND_COUNT;
}

const struct field *field_find(enum stage_kind_id kind, const char *name)
{
    for (int i = 0; i < n_fields; i++)
        if (fields[i].kinds >> kind & 1 && strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

const char *field_of_year(const struct field *field, int64_t year)
{
    return year == 2026 ? field->def_2026 : field->def_2025;
}

bool choice_find(const char *choices, const char *word, bool *built)
{
    *built = true;
    if (!choices)
        return true;
    size_t n = strlen(word);
    for (const char *s = choices; *s;) {
        size_t length = strcspn(s, "|");
        bool unbuilt = length && s[length - 1] == '!';
        size_t name = length - unbuilt;
        if ((name == n && memcmp(s, word, n) == 0) || (name == 1 && *s == '*')) {
            *built = !unbuilt;
            return true;
        }
        s += length + (s[length] == '|');
    }
    return false;
}

const char *choices_text(const char *choices, struct arena *arena)
{
    size_t size = 5 * strlen(choices) + 1, n = 0; // " or " is the longest that a bar becomes
    char *text = arena_alloc(arena, size);
    for (const char *s = choices; text && *s;) {
        size_t length = strcspn(s, "|"), name = length - (length && s[length - 1] == '!');
        const char *rest = s + length + (s[length] == '|');
        n += (size_t)snprintf(text + n, size - n, "%s%.*s", s == choices ? "" : *rest ? ", " : " or ", (int)name, s);
        s = rest;
    }
    return text ? text : choices;
}

static struct error *check_choice(const struct field *field, const char *word, struct place at, struct arena *arena)
{
    bool built;
    if (!choice_find(field->choices, word, &built)) {
        char fix[240];
        snprintf(fix, sizeof fix, "write %s", choices_text(field->choices, arena));
        return error_new(ERROR_RECIPE, at, fix, "%s is '%.80s'", field->name, word);
    }
    if (!built)
        return error_new(ERROR_NOT_BUILT, at, NULL, "%s '%.80s' is not built in this version", field->name, word);
    return NULL;
}

static struct error *check_bounds(const struct field *field, double value, const char *text, struct place at)
{
    if ((field->min == 0 && field->max == 0) || (value >= field->min && value <= field->max))
        return NULL;
    char fix[160];
    if (field->max >= FIELD_NO_MAX)
        snprintf(fix, sizeof fix, "%s must be at least %.15g", field->name, field->min);
    else
        snprintf(fix, sizeof fix, "%s must be between %.15g and %.15g", field->name, field->min, field->max);
    return error_new(ERROR_RECIPE, at, fix, "%s is %s", field->name, text);
}

bool name_is_good(const char *s)
{
    if (*s < 'a' || *s > 'z')
        return false;
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

bool reference_is_good(const char *s)
{
    const char *colon = strrchr(s, ':'), *name = colon ? colon + 1 : s;
    size_t n = strcspn(name, "@");
    if (colon == s || *name < 'a' || *name > 'z' || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
        return false;
    return !name[n] || (name[n + 1] && !name[n + 1 + strcspn(name + n + 1, " /\t\n\"'")]);
}

int64_t reference_step(const char *name, size_t *length)
{
    enum { DIGITS_MOST = 15 };
    const char *at = strrchr(name, '@');
    size_t digits = at ? strspn(at + 1, "0123456789") : 0;
    *length = strlen(name);
    if (!digits || digits > DIGITS_MOST || at[1 + digits])
        return -1;
    *length = (size_t)(at - name);
    return strtoll(at + 1, NULL, 10);
}

static struct error *check_name(const struct field *field, const char *word, struct place at)
{
    bool stage = field->type == FIELD_STAGE || field->type == FIELD_STAGES;
    if (stage || (field->type == FIELD_SOURCE && !strchr(word, ':')) ? reference_is_good(word) : name_is_good(word))
        return NULL;
    if (!*word)
        return error_new(ERROR_RECIPE, at, "write a name, or leave the key out", "%s has no value", field->name);
    if (stage && (strchr(word, '/') || strchr(word, '.') || strchr(word, ':')))
        return error_new(ERROR_RECIPE, at, "name a stage, or one of another recipe: other.yaml:STAGE",
                         "%s is '%.80s', which names no stage", field->name, word);
    if (field->type == FIELD_SOURCE && strpbrk(word, "/.:"))
        return error_new(ERROR_RECIPE, at, "describe it under `sources:`, and write its name here",
                         "%s is '%.80s', which is not a name", field->name, word);
    bool file = strpbrk(word, "/.") && !strcmp(field->name, "suites");
    return error_new(ERROR_RECIPE, at,
                     file ? "write NAME of suites/NAME.yaml or tasks/NAME.yaml, which stand beside the recipe"
                          : "names are lower case letters, digits and _, beginning with a letter",
                     "%s is '%.80s', which is not a name", field->name, word);
}

static struct error *read_int(const struct field *field, const char *text, struct place at, int64_t *value)
{
    struct error *e = number_int(text, !field->exact, at, field->name, value);
    return e ? e : check_bounds(field, (double)*value, text, at);
}

static struct error *set_list(struct field_list *list, const struct field *field, const char *const *texts, int n,
                              struct place at, struct arena *arena)
{
    int64_t *ints = NULL;
    const char **names = NULL;
    struct error *e = NULL;
    if (n == 0)
        return error_new(ERROR_RECIPE, at, "name at least one, or leave the key out", "%s is an empty list", field->name);
    if (field->type == FIELD_INTS)
        ints = arena_array(arena, (size_t)n, sizeof *ints);
    else
        names = arena_array(arena, (size_t)n, sizeof *names);
    if (!ints && !names)
        return error_memory();
    for (int i = 0; i < n && !e; i++) {
        if (ints)
            e = read_int(field, texts[i], at, &ints[i]);
        else if (field->type == FIELD_STAGES || !(e = check_choice(field, texts[i], at, arena)))
            e = check_name(field, texts[i], at);
        if (!e && names && !(names[i] = arena_strdup(arena, texts[i])))
            e = error_memory();
    }
    if (!e)
        *list = (struct field_list){.n = n, .ints = ints, .names = names};
    return e;
}

static bool is_list(enum field_type type)
{
    return type == FIELD_INTS || type == FIELD_NAMES || type == FIELD_STAGES;
}

struct error *field_set(void *options, const struct field *field, const char *const *texts, int n_texts, struct place at,
                        struct arena *arena)
{
    void *to = (char *)options + field->offset;
    if (field->type == FIELD_MIXTURE)
        return error_new(ERROR_RECIPE, at, "write {task: NAME} for each", "%s takes a list of maps", field->name);
    if (is_list(field->type))
        return set_list(to, field, texts, n_texts, at, arena);
    if (n_texts != 1)
        return error_new(ERROR_RECIPE, at, "write one value", "%s takes one value, not a list", field->name);

    const char *text = texts[0];
    struct error *e = NULL;
    int64_t n;
    double x;
    bool truth;
    switch (field->type) {
    case FIELD_INT:
        if (!(e = read_int(field, text, at, &n)))
            *(int64_t *)to = n;
        return e;
    case FIELD_REAL:
        e = number_real(text, !field->exact, at, field->name, &x);
        if (!e && !(e = check_bounds(field, x, text, at)))
            *(double *)to = x;
        return e;
    case FIELD_DURATION:
        e = number_duration(text, at, field->name, &x);
        if (!e && !(e = check_bounds(field, x, text, at)))
            *(double *)to = x;
        return e;
    case FIELD_BOOL:
        if (!(e = number_bool(text, at, field->name, &truth)))
            *(bool *)to = truth;
        return e;
    case FIELD_CHOICE:
        e = check_choice(field, text, at, arena);
        break;
    case FIELD_STAGE:
    case FIELD_SOURCE:
        e = check_name(field, text, at);
        break;
    default:
        if (!*text)
            e = error_new(ERROR_RECIPE, at, "write a text, or leave the key out", "%s has no value", field->name);
    }
    if (e)
        return e;
    const char *copy = arena_strdup(arena, text);
    if (!copy)
        return error_memory();
    *(const char **)to = copy;
    return NULL;
}

void fields_unset(void *options, enum stage_kind_id kind)
{
    memset(options, 0, kind_options_bytes(kind));
    for (int i = 0; i < n_fields; i++) {
        if (!(fields[i].kinds >> kind & 1))
            continue;
        void *to = (char *)options + fields[i].offset;
        if (fields[i].type == FIELD_INT)
            *(int64_t *)to = FIELD_UNSET_INT;
        else if (fields[i].type == FIELD_REAL || fields[i].type == FIELD_DURATION)
            *(double *)to = NAN;
    }
}

bool field_is_set(const void *options, const struct field *field)
{
    const void *at = (const char *)options + field->offset;
    if (field->type == FIELD_MIXTURE)
        return ((const struct mixture_uses *)at)->n > 0;
    if (is_list(field->type))
        return ((const struct field_list *)at)->n > 0;
    switch (field->type) {
    case FIELD_INT:
        return *(const int64_t *)at != FIELD_UNSET_INT;
    case FIELD_REAL:
    case FIELD_DURATION:
        return !isnan(*(const double *)at);
    case FIELD_BOOL:
        return true;
    default:
        return *(const char *const *)at != NULL;
    }
}

const void *field_value(enum stage_kind_id kind, const void *options, const char *name)
{
    const struct field *field = field_find(kind, name);
    return field && field_is_set(options, field) ? (const char *)options + field->offset : NULL;
}

static const char *list_text(const struct field_list *list, struct arena *arena)
{
    size_t size = 3;
    for (int i = 0; i < list->n; i++)
        size += list->names ? strlen(list->names[i]) + 2 : 24;
    char *text = arena_alloc(arena, size);
    if (!text)
        return NULL;
    size_t n = 0;
    text[n++] = '[';
    for (int i = 0; i < list->n; i++) {
        const char *comma = i ? ", " : "";
        int got = list->names ? snprintf(text + n, size - n, "%s%s", comma, list->names[i])
                              : snprintf(text + n, size - n, "%s%" PRId64, comma, list->ints[i]);
        n += (size_t)got;
    }
    text[n] = ']';
    return text;
}

// "gsm8k", "mmlu.auxiliary_train", "gsm8k x2", "smoltalk 10000 rows"
static const char *use_text(const struct mixture_use *use, struct arena *arena)
{
    bool train = strcmp(use->split->name, "train") == 0;
    const char *dot = train ? "" : ".", *split = train ? "" : use->split->name, *name = use->task->name;
    if (use->rows != FIELD_UNSET_INT)
        return arena_printf(arena, "%s%s%s %" PRId64 " rows", name, dot, split, use->rows);
    const char *epochs = number_text(use->epochs, arena);
    if (!epochs || use->epochs == 1)
        return epochs ? arena_printf(arena, "%s%s%s", name, dot, split) : NULL;
    return arena_printf(arena, "%s%s%s x%s", name, dot, split, epochs);
}

static const char *mixture_text(const struct mixture_uses *mixture, struct arena *arena)
{
    struct field_list list = {.n = mixture->n};
    const char **names = arena_array(arena, (size_t)mixture->n, sizeof *names);
    list.names = names;
    for (int i = 0; i < mixture->n && names; i++)
        if (!(names[i] = use_text(&mixture->uses[i], arena)))
            return NULL;
    return names ? list_text(&list, arena) : NULL;
}

const char *field_text(const void *options, const struct field *field, struct arena *arena)
{
    const void *at = (const char *)options + field->offset;
    if (field->type == FIELD_MIXTURE)
        return mixture_text(at, arena);
    if (is_list(field->type))
        return list_text(at, arena);
    switch (field->type) {
    case FIELD_INT:
        return arena_printf(arena, "%" PRId64, *(const int64_t *)at);
    case FIELD_REAL:
        return number_text(*(const double *)at, arena);
    case FIELD_DURATION: {
        const char *seconds = number_text(*(const double *)at, arena);
        return seconds ? arena_printf(arena, "%ss", seconds) : NULL;
    }
    case FIELD_BOOL:
        return *(const bool *)at ? "true" : "false";
    default:
        return *(const char *const *)at;
    }
}
