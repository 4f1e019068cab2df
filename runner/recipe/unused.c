// unused.c - axes of the matrix that nothing uses: a number was written where "${lr}" was meant, and nothing would multiply. Of let only
// what -s adds: a value that the recipe defines for later is nobody's mistake.
//
// 1. Texts are looked through as they are written, before the matrix copies them and values replace them.
// 2. What a let is made of is used where the let is.
// 3. Those of an included file are for whoever includes it.
// 4. What -s took the place of counts as well: `-s base.depth=4` of a recipe with a matrix of depths is no mistake.
#include "runner/recipe/matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct name {
    const struct node *node;
    bool used;
};

struct names {
    struct name *lets; // sorted
    struct name axes[MOST_AXES];
    int n_lets, n_axes;
};

static int by_key(const void *x, const void *y)
{
    return strcmp(((const struct name *)x)->node->key, ((const struct name *)y)->node->key);
}

static void use_text(struct names *names, const char *text)
{
    char word[VARIABLE_TEXT];
    while (next_variable(&text, word)) {
        const struct node node = {.key = word};
        const struct name key = {.node = &node};
        struct name *let = names->n_lets ? bsearch(&key, names->lets, (size_t)names->n_lets, sizeof *names->lets, by_key) : NULL;
        for (int i = 0; i < names->n_axes; i++)
            names->axes[i].used |= strcmp(names->axes[i].node->key, word) == 0;
        if (!let || let->used)
            continue;
        let->used = true;
        if (let->node->kind == NODE_SCALAR)
            use_text(names, let->node->text);
    }
}

static void use_tree(struct names *names, const struct node *node)
{
    if (node->kind == NODE_SCALAR)
        use_text(names, node->text);
    for (const struct node *c = node->first; c; c = c->next)
        use_tree(names, c);
    if (node->replaced)
        use_tree(names, node->replaced);
}

// What is wrong with a name itself is told elsewhere.
static void report(struct reader *r, const struct name *name, const char *of, int *n)
{
    enum { MOST_TOLD = 10 };
    char fix[200];
    const struct node *node = name->node;
    bool is_good = name_is_good(node->key) && !is_top_word(node->key) && (node->kind == NODE_SCALAR || node->n);
    if (name->used || !is_good || node_layer(node) == BY_INCLUDE || ++*n > MOST_TOLD)
        return;
    snprintf(fix, sizeof fix, "write \"${%.80s}\" where it belongs, or take it out", node->key);
    reader_error(r, error_new(ERROR_RECIPE, node->key_at, fix, "nothing uses ${%.80s} of %s", node->key, of));
}

struct names *unused_find(struct reader *r)
{
    const struct node *let = node_get(r->root, "let"), *matrix = node_get(r->root, "matrix");
    int n_lets = let && let->kind == NODE_MAP && let->n <= MOST_LETS ? let->n : 0;
    int n_axes = matrix && matrix->kind == NODE_MAP && matrix->n <= MOST_AXES ? matrix->n : 0;
    struct names *names = reader_have(r, arena_alloc(r->arena, sizeof *names));
    if (!names || !(names->lets = reader_have(r, arena_array(r->arena, (size_t)n_lets + 1, sizeof *names->lets))))
        return NULL;
    for (const struct node *c = n_lets ? let->first : NULL; c; c = c->next)
        names->lets[names->n_lets++].node = c;
    for (const struct node *c = n_axes ? matrix->first : NULL; c; c = c->next)
        names->axes[names->n_axes++].node = c;
    if (n_lets)
        qsort(names->lets, (size_t)n_lets, sizeof *names->lets, by_key);
    for (const struct node *c = r->root->first; c; c = c->next)
        if (c != let && c != matrix)
            use_tree(names, c);
    return names;
}

void unused_report(struct reader *r, const struct names *names)
{
    int n_told = 0;
    if (!names || r->n_told) // what uses them may stand in a file that cannot be read
        return;
    for (int i = 0; i < names->n_axes; i++)
        report(r, &names->axes[i], "the matrix", &n_told);
    for (int i = 0; i < names->n_lets; i++)
        if (node_layer(names->lets[i].node) == BY_SETTING)
            report(r, &names->lets[i], "let", &n_told);
}
