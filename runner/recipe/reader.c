// reader.c - collecting errors, and the small questions that every part of the reading asks.
#include "runner/recipe/reader.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/recipe/address.h"

const char *const top_words[] = {"retort", "name", "nanochat", "seed",   "budget", "hardware", "data",   "sources",
                                 "stages", "let",  "include",  "matrix", "mirror", "on_end",   "on_fail"};
const int n_top_words = (int)countof(top_words);

bool is_top_word(const char *word)
{
    for (int i = 0; i < n_top_words; i++)
        if (strcmp(top_words[i], word) == 0)
            return true;
    return false;
}

static bool was_told(const struct reader *r, const struct error *e)
{
    const struct error *told = r->errors;
    for (int i = 0; i < r->n_told && told; i++, told = told->next)
        if (e->at.line && told->at.line == e->at.line && told->at.column == e->at.column && !strcmp(told->at.file, e->at.file))
            return true;
    return false;
}

// Copies of a matrix say the same but for the names of their cells: stage 'base@depth=4' has no 'tokenizer'.
static bool same_but_cells(const char *a, const char *b)
{
    while (*a && *a == *b) {
        bool cell = *a == '@';
        a++, b++;
        if (cell) {
            a += strcspn(a, "' ");
            b += strcspn(b, "' ");
        }
    }
    return *a == *b;
}

static bool is_repeated(const struct reader *r, const struct error *e)
{
    for (const struct error *told = r->matrix ? r->errors : NULL; told; told = told->next)
        if (e->at.line && told->at.line == e->at.line && told->at.column == e->at.column && !strcmp(told->at.file, e->at.file) &&
            same_but_cells(told->what, e->what))
            return true;
    return false;
}

void reader_error(struct reader *r, struct error *e)
{
    while (e) {
        if (e == error_memory()) {
            r->no_memory = true;
            return;
        }
        struct error *next = e->next;
        e->next = NULL;
        if (was_told(r, e) || is_repeated(r, e)) {
            error_free(e);
        } else if (r->n_errors++ >= MOST_ERRORS) {
            r->dropped_recipe_error |= e->kind == ERROR_RECIPE;
            error_free(e);
        } else {
            *r->errors_end = e;
            r->errors_end = &e->next;
        }
        e = next;
    }
}

bool reader_full(const struct reader *r)
{
    return r->no_memory || r->n_errors >= MOST_ERRORS;
}

void *reader_have(struct reader *r, void *p)
{
    r->no_memory |= !p;
    return p;
}

// Damerau's distance (optimal string alignment) of words of up to 40 letters; longer ones are far from everything.
static int distance(const char *a, const char *b)
{
    enum { MOST = 40 };
    size_t n = strlen(a), m = strlen(b);
    if (n > MOST || m > MOST)
        return INT_MAX;
    int rows[3][MOST + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *row = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = before[j - 1] + (a[i - 1] != b[j - 1]);
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_before[j - 2] + 1 < best)
                best = two_before[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

bool is_name_among(const char *word, const char *const *names, int n_names)
{
    for (int i = 0; i < n_names; i++)
        if (!strcmp(word, names[i]))
            return true;
    return false;
}

const char *nearest_name(const char *word, const char *const *names, int n_names)
{
    const char *nearest = NULL;
    int limit = (int)strlen(word) / 3, best = (limit < 1 ? 1 : limit > 3 ? 3 : limit) + 1;
    for (int i = 0; i < n_names; i++) {
        int d = distance(word, names[i]);
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

// Of a text that looks right and is not: the first character beyond ASCII in it, or 0.
static unsigned first_foreign(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    while (*p && *p < 0x80)
        p++;
    int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p ? 1 : 0;
    unsigned code = *p & (0xffu >> (more + 2));
    for (int i = 1; i <= more && p[i]; i++)
        code = code << 6 | (p[i] & 0x3f);
    return code;
}

struct error *unknown_word(struct place at, const char *what, const char *word, const char *const *names, int n_names)
{
    const char *near = nearest_name(word, names, n_names);
    char fix[1000];
    if (near) {
        snprintf(fix, sizeof fix, "write '%s'", near);
        return error_new(ERROR_RECIPE, at, fix, "unknown %s '%.80s'; did you mean '%s'?", what, word, near);
    }
    unsigned foreign = first_foreign(word);
    const char *colon = strchr(word, ':');
    if (foreign)
        snprintf(fix, sizeof fix, "names are plain letters: there is the character U+%04X in it", foreign);
    else if (colon && colon[1] && colon > word)
        snprintf(fix, sizeof fix, "put a blank behind the colon: %.*s: %.40s", (int)(colon - word < 40 ? colon - word : 40), word,
                 colon + 1);
    if (foreign || (colon && colon[1] && colon > word))
        return error_new(ERROR_RECIPE, at, fix, "unknown %s '%.80s'", what, word);
    int n = snprintf(fix, sizeof fix, n_names ? "known here: " : "there is none");
    for (int i = 0; i < n_names && n < (int)sizeof fix - 80; i++)
        n += snprintf(fix + n, sizeof fix - (size_t)n, "%s%.60s", i ? ", " : "", names[i]);
    return error_new(ERROR_RECIPE, at, fix, "unknown %s '%.80s'", what, word);
}

void check_words(struct reader *r, const struct node *map, const char *what, const char *const *names, int n_names)
{
    for (const struct node *c = map->first; c && !reader_full(r); c = c->next) {
        int i = 0;
        while (i < n_names && strcmp(names[i], c->key))
            i++;
        if (i == n_names)
            reader_error(r, unknown_word(c->key_at, what, c->key, names, n_names));
    }
}

void check_keys(struct reader *r, const struct node *map, const char *const *names, int n_names)
{
    check_words(r, map, "key", names, n_names);
}

bool is_unresolved(const struct node *node)
{
    return node->kind == NODE_SCALAR && strstr(node->text, "${");
}

const char *scalar_text(struct reader *r, const struct node *node, const char *name)
{
    if (node->kind != NODE_SCALAR)
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write one value", "%s takes one value, not a %s", name,
                                  node->kind == NODE_LIST ? "list" : "map"));
    else if (!*node->text || (!node->quoted && (strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0)))
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write one, or leave the key out", "%s has no value", name));
    else if (!is_unresolved(node))
        return node->text;
    return NULL;
}

enum value_by node_layer(const struct node *node)
{
    return node->by ? (enum value_by)node->by : BY_RECIPE;
}

enum value_by node_by(const struct node *node)
{
    return node->variable ? (enum value_by)node->variable : node_layer(node);
}

static int count_nodes(const struct node *node)
{
    int n = 1;
    for (const struct node *c = node->first; c; c = c->next)
        n += count_nodes(c);
    return n;
}

struct node *reader_file(struct reader *r, const struct node *node, const char *path, const char **text)
{
    struct reading *all = r->reading;
    struct node *root = NULL;
    char *read;
    size_t n_bytes;
    if (all->is_full) // which was told
        return NULL;
    if (all->n_files == MOST_READ_FILES) {
        all->is_full = true;
        reader_error(r, error_new(ERROR_RECIPE, node->at, "use fewer", "more than %d files of recipes", MOST_READ_FILES));
        return NULL;
    }
    struct error *e = yaml_load(path, r->arena, &read, &n_bytes);
    if (e && e != error_memory() && !e->at.file) { // the file cannot be read: that is an error of this line
        reader_error(r, error_new(ERROR_RECIPE, node->at,
                                  e->fix ? e->fix : "names are relative to the folder of the file they stand in", "%s", e->what));
        error_free(e);
        return NULL;
    }
    if (!e) {
        *text = read;
        all->n_files++;
        all->n_bytes += n_bytes;
        e = yaml_parse(path, read, n_bytes, r->arena, &root);
    }
    reader_error(r, e);
    all->n_nodes += root ? count_nodes(root) : 0;
    if (all->n_nodes <= MOST_READ_NODES && all->n_bytes <= MOST_READ_BYTES)
        return root;
    all->is_full = true;
    reader_error(r, error_new(ERROR_RECIPE, node->at, "a recipe says what differs from the defaults, and nothing else",
                              "the files of this recipe have more than %d values, or 16 MiB, in all", MOST_READ_NODES));
    return NULL;
}

// "a/b/../c" becomes "a/c" where b is a folder and no link: the same file, as a person would write it.
static char *shortened(char *path)
{
    struct stat st;
    for (char *up = strstr(path, "/../"); up;) {
        char *name = up;
        while (name > path && name[-1] != '/')
            name--;
        *up = '\0';
        bool goes = *name && *name != '.' && up[4] && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
        *up = '/';
        if (goes)
            memmove(name, up + 4, strlen(up + 4) + 1);
        up = strstr(goes ? path : up + 1, "/../");
    }
    return path;
}

const char *node_file(struct reader *r, const struct node *node, const char *text)
{
    const char *folder = node->folder, *slash = strrchr(node->at.file, '/');
    size_t n = folder ? strlen(folder) : slash ? (size_t)(slash - node->at.file) + 1 : 0;
    if (!folder)
        folder = node->at.file;
    if (*text == '/' || address_is(text))
        n = 0;
    const char *gap = n && folder[n - 1] != '/' ? "/" : "";
    if (n + strlen(text) + 1 >= PATH_MAX) {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "shorten it", "a file name of more than %d bytes", PATH_MAX - 2));
        return NULL;
    }
    char *path = reader_have(r, arena_printf(r->arena, "%.*s%s%s", (int)n, folder, gap, text));
    return path && !address_is(path) ? shortened(path) : path;
}
