// settings.c - `-s base.steps=10`: a value put into the tree as if the recipe had said so, and marked.
//
// The path names keys and items: words with dots between them, [i] for the i-th item of a list. Its first word is a stage
// unless it is a top-level word. Maps on the way are made where they are missing, so that `-s budget.usd=5` needs no budget
// in the recipe; whether a key may stand there is seen later, when the tree is read.
#include "runner/recipe/reader.h"

#include <stdio.h>
#include <string.h>

// Marks a value that came from outside the file, with all that is in it; the nesting is at most 64.
static void mark(struct node *node, struct place at)
{
    node->by = BY_SETTING;
    node->folder = "";
    node->at = node->key_at = at;
    for (struct node *c = node->first; c; c = c->next)
        mark(c, at);
}

static struct node *add_child(struct reader *r, struct node *map, const char *key, size_t n, struct place at)
{
    struct node *child = reader_have(r, arena_alloc(r->arena, sizeof *child));
    char *copy = reader_have(r, arena_strndup(r->arena, key, n));
    if (!child || !copy)
        return NULL;
    *child = (struct node){.kind = NODE_MAP, .at = at, .key = copy, .key_at = at, .by = BY_SETTING, .folder = ""};
    struct node **end = &map->first;
    while (*end)
        end = &(*end)->next;
    *end = child;
    map->n++;
    return child;
}

static struct node *child_named(const struct node *map, const char *key, size_t n)
{
    for (struct node *c = map->first; c; c = c->next)
        if (strlen(c->key) == n && memcmp(c->key, key, n) == 0)
            return c;
    return NULL;
}

static struct error *form_error(struct place at)
{
    return error_new(ERROR_USAGE, at, "write STAGE.FIELD=VALUE, or seed=7, data=FOLDER", "not a setting");
}

static struct error *unknown_stage(struct reader *r, struct place at, const char *word)
{
    struct node *stages = node_get(r->root, "stages");
    if (strchr(word, '@'))
        return error_new(ERROR_USAGE, at, "set STAGE.FIELD, which counts for all its cells",
                         "one cell of a matrix cannot be set by itself");
    int n = 0;
    const char **names = arena_array(r->arena, (size_t)(stages ? stages->n : 0) + (size_t)n_top_words, sizeof *names);
    if (!names)
        return error_memory();
    for (struct node *c = stages && stages->kind == NODE_MAP ? stages->first : NULL; c; c = c->next)
        names[n++] = c->key;
    for (int i = 0; i < n_top_words; i++)
        names[n++] = top_words[i];
    return unknown_word(at, "stage", word, names, n);
}

// The node that the path before '=' names, made if it is not there.
static struct error *find(struct reader *r, const char *path, const char *end, struct place at, struct node **found)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@";
    struct node *node = r->root;
    for (const char *s = path; s < end;) {
        if (*s == '[' && s > path) {
            int index = 0, digits = 0;
            for (s++; *s >= '0' && *s <= '9' && digits < 7; s++, digits++)
                index = index * 10 + (*s - '0');
            if (!digits || *s++ != ']')
                return form_error(at);
            if (node->kind != NODE_LIST)
                return error_new(ERROR_USAGE, at, NULL, "'%.*s' is not a list", (int)(s - path), path);
            if (index >= node->n)
                return error_new(ERROR_USAGE, at, "items count from 0", "the list has %d items", node->n);
            node = node->first;
            while (index--)
                node = node->next;
            continue;
        }
        if (s > path && *s++ != '.')
            return form_error(at);
        size_t n = strspn(s, letters);
        if (!n || s + n > end)
            return form_error(at);
        if (s == path) {
            char *word = arena_strndup(r->arena, s, n);
            if (!word)
                return error_memory();
            if (strcmp(word, "include") == 0)
                return error_new(ERROR_USAGE, at, "write it into the recipe", "files are included before -s is looked at");
            if (!is_top_word(word)) {
                node = node_get(r->root, "stages");
                if (!node || node->kind != NODE_MAP || !child_named(node, s, n))
                    return unknown_stage(r, at, word);
                if (s + n == end)
                    return form_error(at);
            }
        }
        if (node->kind != NODE_MAP)
            return error_new(ERROR_USAGE, at, NULL, "'%.*s' has no keys", (int)(s - 1 - path), path);
        struct node *child = child_named(node, s, n);
        if (!child && !(child = add_child(r, node, s, n, at)))
            return error_memory();
        node = child;
        s += n;
    }
    *found = node;
    return NULL;
}

static struct error *apply(struct reader *r, const char *setting)
{
    struct place at = {.file = arena_printf(r->arena, "-s %.200s", setting)};
    const char *equals = strchr(setting, '=');
    struct node *value = NULL, *target = NULL;
    struct error *e;
    if (!at.file)
        return error_memory();
    if (!equals || equals == setting)
        return form_error(at);
    if (strchr("[{\"'", equals[1]) && equals[1]) {
        e = yaml_parse(at.file, equals + 1, strlen(equals + 1), r->arena, &value);
        for (struct error *each = e; each && each != error_memory(); each = each->next)
            each->at.line = each->at.column = each->at.width = 0;
    } else {
        // Anything else is a plain scalar, whatever YAML would think of it.
        value = arena_alloc(r->arena, sizeof *value);
        e = value ? NULL : error_memory();
        if (value)
            *value = (struct node){.kind = NODE_SCALAR, .text = arena_strdup(r->arena, equals + 1)};
        if (value && !value->text)
            e = error_memory();
    }
    if (!e)
        e = find(r, setting, equals, at, &target);
    if (e)
        return e;
    if (!target->replaced && target->by != BY_SETTING) {
        if (!(target->replaced = arena_alloc(r->arena, sizeof *target->replaced)))
            return error_memory();
        *target->replaced = *target;
        target->replaced->replaced = NULL;
    }
    mark(value, at);
    target->kind = value->kind;
    target->text = value->text;
    target->quoted = value->quoted;
    target->first = value->first;
    target->n = value->n;
    target->at = at;
    target->by = value->by;
    target->variable = 0;
    target->folder = value->folder;
    return NULL;
}

void settings_apply(struct reader *r, const char *const *settings, int n_settings)
{
    for (int i = 0; i < n_settings && !r->no_memory; i++)
        reader_error(r, apply(r, settings[i]));
}
