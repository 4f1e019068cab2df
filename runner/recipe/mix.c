// mix.c - `{mix: [{source: web, share: 0.95}, ...], validate: web}`: a source made of shares of others, by tokens.
//
// Mixes of mixes are a graph without circles, in which one source may be reached by very many ways: shares are handed down in an order in
// which each mix comes after all that name it, once a part.
#include "runner/recipe/reader.h"

#include <math.h>
#include <string.h>

#include "runner/recipe/number.h"

static void report(struct reader *r, struct place at, const char *fix, const char *what, const char *name)
{
    reader_error(r, error_new(ERROR_RECIPE, at, fix, what, name));
}

// Whether the entry is good.
static bool read_part(struct reader *r, const struct source *source, const struct node *entry, struct mix_part *part)
{
    static const char *const keys[] = {"source", "share"};
    static const char fix[] = "write {source: NAME, share: 0.5}";
    *part = (struct mix_part){.at = entry->at, .share = NAN};
    if (entry->kind != NODE_MAP) {
        report(r, entry->at, fix, "an entry of mix '%s' is not a map", source->name);
        return false;
    }
    check_keys(r, entry, keys, (int)countof(keys));
    const struct node *name = node_get(entry, "source"), *share = node_get(entry, "share");
    if (!name || !share)
        report(r, entry->at, fix, name ? "an entry of mix '%s' has no share" : "an entry of mix '%s' names no source",
               source->name);
    part->source = name ? scalar_text(r, name, "source") : NULL;
    part->at = name ? name->at : entry->at;
    for (int i = 0; i < source->n_mix && part->source; i++)
        if (source->mix[i].source && strcmp(source->mix[i].source, part->source) == 0) {
            report(r, name->at, "give it one share", "the mix names '%s' twice", part->source);
            return false;
        }
    const char *text = share ? scalar_text(r, share, "share") : NULL;
    struct error *e = text ? number_real(text, false, share->at, "share", &part->share) : NULL;
    if (text && !e && !(part->share > 0 && part->share <= 1)) {
        e = error_new(ERROR_RECIPE, share->at, "write a share of the tokens, above 0 and at most 1", "share is %s", text);
        part->share = NAN;
    }
    reader_error(r, e);
    return part->source && !isnan(part->share);
}

static void read_validate(struct reader *r, struct source *source, const struct node *map)
{
    static const char fix[] = "write validate: a source of the mix, a file, or none";
    const struct node *node = node_get(map, "validate");
    const char *text = node ? scalar_text(r, node, "validate") : NULL;
    if (!node)
        report(r, source->at, fix, "source '%s' does not say what its validation text is", source->name);
    if (!text)
        return;
    source->validate_at = node->at;
    if (strcmp(text, "last") == 0 || strcmp(text, "held_out") == 0) {
        report(r, node->at, fix, "validate of a mix is '%s'", text);
    } else if (strpbrk(text, "./")) {
        const char *name = data_name(r, node, "validate");
        if (name && strpbrk(name, "{}"))
            report(r, node->at, "name one file", "validate of mix '%s' is a pattern", source->name);
        source->validate = VALIDATE_FILE;
        source->validate_file = name ? data_file(r, node, name) : NULL;
    } else if (strcmp(text, "none")) {
        source->validate = VALIDATE_SOURCE;
        source->mix_validate = text;
    }
}

void mix_read(struct reader *r, struct source *source, const struct node *map, const struct node *list)
{
    static const char *const keys[] = {"mix", "validate"};
    double sum = 0;
    check_keys(r, map, keys, (int)countof(keys));
    source->n_mix = 0;
    if (list->kind != NODE_LIST || !list->n || list->n > MOST_USES) {
        report(r, list->at, "write mix: [{source: NAME, share: 0.9}, {source: NAME, share: 0.1}]",
               list->kind == NODE_LIST && list->n ? "mix '%s' has more than 1,000 entries" : "mix '%s' is not a list of sources",
               source->name);
    } else {
        source->mix = reader_have(r, arena_array(r->arena, (size_t)list->n, sizeof *source->mix));
        bool good = source->mix;
        for (const struct node *c = list->first; c && source->mix && !reader_full(r); c = c->next) {
            good &= read_part(r, source, c, &source->mix[source->n_mix]);
            sum += source->mix[source->n_mix++].share;
        }
        if (good && fabs(sum - 1) > 1e-6)
            reader_error(r, error_new(ERROR_RECIPE, list->at, "let them add up to 1", "the shares of mix '%s' add up to %.6g",
                                      source->name, sum));
    }
    read_validate(r, source, map);
    if (!source->n_mix) // wrong, which was told: still a mix for those who name it
        source->n_mix = 1, source->mix = reader_have(r, arena_array(r->arena, 1, sizeof *source->mix));
}

static struct error *unknown_source(struct reader *r, const char *name, struct place at)
{
    const struct node *stages = node_get(r->root, "stages");
    const char **names = arena_array(r->arena, (size_t)r->recipe->n_sources, sizeof *names);
    if (!names)
        return error_memory();
    if (stages && node_get(stages, name))
        return error_new(ERROR_RECIPE, at, "name a source", "'%s' is a stage, not a source", name);
    for (int i = 0; i < r->recipe->n_sources; i++)
        names[i] = r->recipe->sources[i].name;
    return unknown_word(at, "source", name, names, r->recipe->n_sources);
}

// Whether a source of the mix trains on the file that the mix validates on.
static bool trains_on(const struct source *source, const char *file)
{
    int n = source->validate == VALIDATE_LAST ? source->n_files - 1 : source->n_files;
    bool held_back = source->validate == VALIDATE_FILE && source->validate_file && !strcmp(source->validate_file, file);
    for (int i = 0; i < n && !held_back; i++)
        if (source->files[i] && !strcmp(source->files[i], file))
            return true;
    return false;
}

static void check_parts(struct reader *r, const struct source *mix)
{
    bool validated = mix->validate != VALIDATE_SOURCE;
    for (int i = 0; i < mix->n_mix && !reader_full(r); i++) {
        const struct mix_part *part = &mix->mix[i];
        const struct source *source = part->source ? recipe_source(r->recipe, part->source) : NULL;
        if (!part->source)
            continue;
        if (!source)
            reader_error(r, unknown_source(r, part->source, part->at));
        else if (source->pattern && strstr(source->pattern, SPLIT_SLOT))
            reader_error(r, error_while(error_new(ERROR_RECIPE, part->at, "name a source of text",
                                                  "'%s' is a source of tasks: its files are those of splits", part->source),
                                        source->at, "looking at source '%s'", part->source));
        if (source && mix->validate == VALIDATE_FILE && mix->validate_file && trains_on(source, mix->validate_file))
            reader_error(r, error_while(error_new(ERROR_RECIPE, mix->validate_at, "leave it out of one of them",
                                                  "the validation file is also read for training, as part of '%s'", part->source),
                                        source->at, "looking at source '%s'", part->source));
        if (validated || strcmp(mix->mix_validate, part->source))
            continue;
        validated = true;
        if (source && source->validate == VALIDATE_NONE && source->validate_at.file)
            reader_error(r,
                         error_while(error_new(ERROR_RECIPE, mix->validate_at, "name another source of the mix, a file, or none",
                                               "source '%s' has no validation text", part->source),
                                     source->validate_at, "looking at source '%s'", part->source));
    }
    if (!validated)
        report(r, mix->validate_at, "write validate: a source of the mix, a file, or none",
               "validate is '%.80s', which is no source of the mix", mix->mix_validate);
}

// Settles mixes whose parts are settled until nothing changes; what is left leads into a circle.
static void check_circles(struct reader *r)
{
    const struct recipe *recipe = r->recipe;
    int n = recipe->n_sources, n_parts = 0;
    for (int i = 0; i < n; i++)
        n_parts += recipe->sources[i].n_mix;
    bool *settled = reader_have(r, arena_array(r->arena, (size_t)n + 1, sizeof *settled));
    int *used = reader_have(r, arena_array(r->arena, (size_t)n_parts + 1, sizeof *used)); // of each part its source, or -1
    for (int i = 0, at = 0; i < n && !r->no_memory; i++)
        for (int k = 0; k < recipe->sources[i].n_mix; k++) {
            const char *name = recipe->sources[i].mix[k].source;
            const struct source *source = name ? recipe_source(recipe, name) : NULL;
            used[at++] = source ? (int)(source - recipe->sources) : -1;
        }
    for (bool changed = !r->no_memory; changed;) {
        changed = false;
        for (int i = 0, at = 0; i < n; i++) {
            bool open = settled[i];
            for (int k = 0; k < recipe->sources[i].n_mix; k++, at++)
                open = open || (used[at] >= 0 && !settled[used[at]]);
            if (!open)
                settled[i] = changed = true;
        }
    }
    for (int i = 0; i < n && !r->no_memory; i++)
        if (!settled[i]) {
            reader_error(r, error_new(ERROR_RECIPE, recipe->sources[i].at, "break the circle", "mix '%s' is made of itself",
                                      recipe->sources[i].name));
            break;
        }
}

void mixes_check(struct reader *r)
{
    bool any = false;
    for (int i = 0; i < r->recipe->n_sources && !r->no_memory; i++)
        if (r->recipe->sources[i].n_mix) {
            check_parts(r, &r->recipe->sources[i]);
            any = true;
        }
    if (any && !r->no_memory)
        check_circles(r);
}

struct walk {
    const struct recipe *recipe;
    struct source_share *shares; // [n_sources]: found so far, parts after the mix that names them first
    int *number;                 // [n_sources] of a source among these, -1: not found
    int *after;                  // found sources, each after all that it names
    int n, n_after;
};

// Circles were told when the recipe was read; a source that is being walked through is not walked again.
static void find_parts(struct walk *w, const struct source *source, struct place at)
{
    int *number = &w->number[source - w->recipe->sources];
    if (*number >= 0)
        return;
    *number = w->n;
    w->shares[w->n++] = (struct source_share){.source = source, .at = at};
    for (int i = 0; i < source->n_mix; i++) {
        const struct source *part = source->mix[i].source ? recipe_source(w->recipe, source->mix[i].source) : NULL;
        if (part)
            find_parts(w, part, source->mix[i].at);
    }
    w->after[w->n_after++] = (int)(source - w->recipe->sources);
}

struct error *source_shares(const struct recipe *recipe, const struct source *source, struct arena *arena,
                            struct source_share **shares, int *n)
{
    size_t most = (size_t)recipe->n_sources + 1;
    struct walk w = {.recipe = recipe,
                     .shares = arena_array(arena, most, sizeof *w.shares),
                     .number = arena_array(arena, most, sizeof *w.number),
                     .after = arena_array(arena, most, sizeof *w.after)};
    if (!w.shares || !w.number || !w.after)
        return error_memory();
    for (int i = 0; i < recipe->n_sources; i++)
        w.number[i] = -1;
    find_parts(&w, source, source->at);
    w.shares[0].share = 1;
    for (int i = w.n_after - 1; i >= 0; i--) {
        const struct source *mix = &recipe->sources[w.after[i]];
        double share = w.shares[w.number[w.after[i]]].share;
        for (int k = 0; k < mix->n_mix; k++) {
            const struct source *part = mix->mix[k].source ? recipe_source(recipe, mix->mix[k].source) : NULL;
            if (part)
                w.shares[w.number[part - recipe->sources]].share += share * mix->mix[k].share;
        }
    }
    *n = 0;
    for (int i = 0; i < w.n; i++)
        if (!w.shares[i].source->n_mix)
            w.shares[(*n)++] = w.shares[i];
    *shares = w.shares;
    return NULL;
}

const struct source *source_validation(const struct recipe *recipe, const struct source *source)
{
    for (int left = recipe->n_sources; source && source->validate == VALIDATE_SOURCE && left > 0; left--)
        source = source->mix_validate ? recipe_source(recipe, source->mix_validate) : NULL;
    return source;
}
