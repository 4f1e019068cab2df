// fuzz_recipe.c - libFuzzer over the reader of recipes and what checks them: whatever comes, an answer and no crash.
//
//     fuzz_recipe -max_total_time=3600 corpus tests/e2e/recipes/bad recipes
//
// The bytes are a recipe in the folder recipes/, so that its worlds and tasks, what it includes and other recipes are found. A first line
// `#-s SETTING` is a -s. What is read without an error becomes a graph.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/graph/estimate.h"
#include "runner/graph/graph.h"
#include "runner/recipe/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void use(const struct error *e)
{
    size_t n = 0;
    for (; e; e = e->next) {
        n += strlen(e->what) + (e->fix ? strlen(e->fix) : 0) + (e->at.file ? strlen(e->at.file) : 0);
        for (const struct error *w = e->while_; w; w = w->while_)
            n += strlen(w->what);
    }
    if (n > 1 << 20) // nobody reads a megabyte of errors
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char mark[] = "#-s ";
    struct arena arena = {0};
    struct recipe recipe;
    struct graph graph;
    const char *text = (const char *)data, *setting = NULL;
    const char *end = n > sizeof mark && !memcmp(text, mark, sizeof mark - 1) ? memchr(text, '\n', n) : NULL;
    if (end)
        setting = arena_strndup(&arena, text + sizeof mark - 1, (size_t)(end - text) - (sizeof mark - 1));
    struct error *e = recipe_parse(&recipe, RETORT_SOURCE "/recipes/fuzz.yaml", text, n, &setting, setting != NULL, &arena);
    use(e);
    if (!e)
        e = graph_build(&graph, &recipe, &arena);
    for (int i = 0; !e && i < graph.n_nodes; i++) {
        struct estimate estimate;
        e = estimate_stage(&estimate, graph.nodes[i]);
    }
    error_free(e);
    arena_release(&arena);
    return 0;
}
