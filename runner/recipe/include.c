// include.c - `include: [a.yaml]`: the maps of other files laid under those of this one, before anything else is read.
//
// 1. Maps merge; scalars and lists are replaced. The file that includes wins over what it includes, of two included files the later.
// 2. Every node keeps its file: places name it, and relative names in it are relative to its folder.
// 3. An included file lies under the folder of the file that includes it, whatever links say; so that a recipe is a folder that can be
//    copied. A file may be included on two ways, but never within itself.
#include "runner/recipe/reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Whether a relative name climbs above where it begins: "../x", "a/../../x".
static bool climbs(const char *name)
{
    int depth = 0;
    for (const char *s = name; *s;) {
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.')
            depth--;
        else if (n && !(n == 1 && s[0] == '.'))
            depth++;
        if (depth < 0)
            return true;
        s += n + (s[n] == '/');
    }
    return false;
}

static struct error *escape(const struct node *node, const char *name)
{
    return error_new(ERROR_RECIPE, node->at, "put it beside the recipe, or in a folder below",
                     "the included file '%.200s' is not under the folder of the file that includes it", name);
}

// The name without links, or NULL where the file is not there.
static const char *real_name(struct reader *r, const char *path)
{
    char real[PATH_MAX];
    return realpath(path, real) ? reader_have(r, arena_strdup(r->arena, real)) : NULL;
}

// Links can lead out of the folder.
static bool leads_out(struct reader *r, const char *file, const char *real)
{
    const char *slash = strrchr(file, '/');
    const char *folder = slash == file ? "/"
                         : slash       ? reader_have(r, arena_strndup(r->arena, file, (size_t)(slash - file)))
                                       : ".";
    const char *top = folder ? real_name(r, folder) : NULL;
    size_t n = top ? strlen(top) : 0;
    return top && strcmp(top, "/") && (strncmp(real, top, n) || real[n] != '/');
}

// The file that an entry names, as it is opened. NULL: reported.
static const char *path_of(struct reader *r, const struct node *node)
{
    if (is_unresolved(node)) {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write the name itself", "files are included before ${...} is known"));
        return NULL;
    }
    const char *name = file_name(r, node, "include");
    struct error *e = NULL;
    if (!name)
        return NULL;
    if (strpbrk(name, "{}"))
        e = error_new(ERROR_RECIPE, node->at, "name files one by one: [a.yaml, b.yaml]", "include takes names, not a pattern");
    else if (*name == '/' || climbs(name))
        e = escape(node, name);
    reader_error(r, e);
    return e ? NULL : node_file(r, node, name);
}

static struct error *loop_error(const struct node *node, const struct include *in, const struct include *again)
{
    struct error *e = error_new(ERROR_RECIPE, node->at, "take one of the lines out", "'%s' includes itself",
                                again ? again->path : node->at.file);
    for (const struct include *i = in; i && i != again; i = i->by)
        e = error_while(e, i->at, "including '%s'", i->path);
    return e;
}

// Whether the file may be read here: it lies under the folder, is not within itself and not too deep.
static bool may_include(struct reader *r, const struct node *node, const struct include *new)
{
    const char *recipe = real_name(r, r->recipe->path);
    struct error *e = NULL;
    if (new->real && leads_out(r, node->at.file, new->real))
        e = escape(node, node->text);
    else if (new->real && recipe &&strcmp(recipe, new->real) == 0)
        e = loop_error(node, new->by, NULL);
    for (const struct include *i = new->by; i &&new->real && !e; i = i->by)
        if (i->real && strcmp(i->real, new->real) == 0)
            e = loop_error(node, new->by, i);
    if (!e && new->depth > MOST_INCLUDED)
        e = error_new(ERROR_RECIPE, node->at, "include fewer files within each other", "includes are more than %d deep",
                      MOST_INCLUDED);
    reader_error(r, e);
    return !e;
}

static int by_key(const void *x, const void *y)
{
    return strcmp((*(struct node *const *)x)->key, (*(struct node *const *)y)->key);
}

// Lays the children of `under` under those of `over`; what is of one key is merged where both are maps, else that of `over` stays.
// Sorted, so that maps of 100,000 keys cost no more than their sorting.
static bool merge(struct node *over, struct node *under)
{
    int n = 0;
    struct node **sorted = block_alloc(((size_t)over->n + 1) * sizeof *sorted), **end = &over->first;
    if (!sorted)
        return false;
    for (struct node *c = over->first; c; c = c->next) {
        sorted[n++] = c;
        end = &c->next;
    }
    if (n)
        qsort(sorted, (size_t)n, sizeof *sorted, by_key);
    bool good = true;
    for (struct node *next, *c = under->first; c && good; c = next) {
        next = c->next;
        struct node **found = n ? bsearch(&c, sorted, (size_t)n, sizeof *sorted, by_key) : NULL;
        if (found && (*found)->kind == NODE_MAP && c->kind == NODE_MAP) {
            good = merge(*found, c);
        } else if (!found) {
            c->next = NULL;
            *end = c;
            end = &c->next;
            over->n++;
        }
    }
    block_free(sorted);
    return good;
}

static void mark(struct node *node)
{
    node->by = BY_INCLUDE;
    for (struct node *c = node->first; c; c = c->next)
        mark(c);
}

static void drop(struct node *map, const struct node *child)
{
    for (struct node **at = &map->first; *at; at = &(*at)->next)
        if (*at == child) {
            *at = child->next;
            map->n--;
            return;
        }
}

static void apply(struct reader *r, struct node *root, struct include *in);

// The map of one included file, with what it includes under it. NULL: reported.
static struct node *read_included(struct reader *r, const struct node *node, struct include *by)
{
    const char *path = path_of(r, node), *text = NULL;
    struct include *new = path ? reader_have(r, arena_alloc(r->arena, sizeof *new)) : NULL;
    if (!new)
        return NULL;
    *new = (struct include){
        .path = path, .real = real_name(r, path), .at = node->at, .by = by, .depth = by ? by->depth + 1 : 1, .next = r->includes};
    if (!may_include(r, node, new))
        return NULL;
    r->includes = new;
    struct node *root = reader_file(r, node, path, &text);
    if (!root)
        return NULL;
    if (root->kind != NODE_MAP) {
        reader_error(r,
                     error_new(ERROR_RECIPE, root->at, "write keys and values, as in a recipe", "an included file is not a map"));
        return NULL;
    }
    mark(root);
    const struct node *version = node_get(root, "retort");
    if (version && (version->kind != NODE_SCALAR || strcmp(version->text, "1")))
        reader_error(r, error_new(ERROR_RECIPE, version->at, "write retort: 1, as in the recipe, or leave it out",
                                  "an included file is of the language's version 1"));
    new->text = text;
    apply(r, root, new);
    return root;
}

// Takes `include` out of a root and lays under it what it names.
static void apply(struct reader *r, struct node *root, struct include *in)
{
    struct node *include = node_get(root, "include"), *under = NULL;
    if (!include)
        return;
    drop(root, include);
    if (include->kind == NODE_MAP || (include->kind == NODE_LIST && !include->n)) {
        reader_error(r, error_new(ERROR_RECIPE, include->at, "write include: [a.yaml]", "include takes a list of files"));
        return;
    }
    const struct node *entry = include->kind == NODE_LIST ? include->first : include;
    for (; entry && !reader_full(r); entry = include->kind == NODE_LIST ? entry->next : NULL) {
        struct node *read = read_included(r, entry, in);
        if (read && under && !merge(read, under))
            r->no_memory = true;
        if (read)
            under = read;
    }
    if (under && !merge(root, under))
        r->no_memory = true;
}

void includes_apply(struct reader *r)
{
    apply(r, r->root, NULL);
}

struct error *include_context(const struct reader *r, struct error *e)
{
    const struct include *in = e->at.file ? r->includes : NULL;
    while (in && strcmp(in->path, e->at.file))
        in = in->next;
    for (; in; in = in->by)
        e = error_while(e, in->at, "including '%s'", in->path);
    return e;
}

// Behind what is there, under a line that names the file; *end NULL only counts.
static size_t add_text(char **end, const char *what, const char *path, const char *text)
{
    if (*end)
        *end += sprintf(*end, "\n# %s: %s\n%s", what, path, text);
    return strlen(what) + strlen(path) + strlen(text) + 8;
}

char *include_texts(const struct reader *r)
{
    bool top = r->reading->n_deep == 1;
    size_t bytes = strlen(r->recipe->text) + 1;
    char *all = NULL, *end = NULL;
    for (int pass = 0; pass < 2; pass++) {
        for (const struct include *in = r->includes; in; in = in->next)
            bytes += in->text ? add_text(&end, "included", in->path, in->text) : 0;
        for (const struct other *o = top ? r->reading->others : NULL; o; o = o->next)
            bytes += o->state == OTHER_GOOD && o->recipe.text ? add_text(&end, "of another recipe", o->path, o->recipe.text) : 0;
        if (pass == 0) {
            if (!(all = arena_alloc(r->arena, bytes)))
                return NULL;
            end = stpcpy(all, r->recipe->text);
        }
    }
    return all;
}
