// place.h - a folder of a test's own, with data files, and recipes planned in it.
#ifndef TESTS_UNIT_RUNNER_GRAPH_PLACE_H
#define TESTS_UNIT_RUNNER_GRAPH_PLACE_H

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/store/atomic.h"
#include "core/store/store.h"
#include "runner/graph/keys.h"
#include "runner/graph/plan.h"
#include "runner/graph/schedule.h"

struct place_of_test {
    char folder[64];
    const char *results;
    struct arena arena;
    struct recipe recipe;
    struct graph graph;
    struct plan plan;
};

static inline void no_error(struct error *e)
{
    if (e)
        print_error("%s\n", e->what);
    assert_null(e);
}

static inline void put_file(struct place_of_test *p, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline int set_up(void **state)
{
    struct place_of_test *p = calloc(1, sizeof *p);
    strcpy(p->folder, "/tmp/retort-graph-XXXXXX");
    if (!mkdtemp(p->folder))
        return -1;
    p->results = arena_printf(&p->arena, "%s/results", p->folder);
    put_file(p, "00.txt", "one text\n");
    put_file(p, "01.txt", "another text\n");
    put_file(p, "02.txt", "a third text\n");
    *state = p;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)type, (void)at;
    return remove(path);
}

static inline int tear_down(void **state)
{
    struct place_of_test *p = *state;
    nftw(p->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_release(&p->arena);
    free(p);
    return 0;
}

// Three files, the last for validation; a small model.
static const char *const RECIPE = "retort: 1\n"
                                  "name: small\n"
                                  "nanochat: 2025\n"
                                  "seed: 42\n"
                                  "sources:\n"
                                  "  web: {text: \"{00..02}.txt\", validate: last}\n"
                                  "stages:\n"
                                  "  tokenizer: {kind: tokenizer, source: web, vocab: 300, chars: 10k}\n"
                                  "  base:\n"
                                  "    kind: pretrain\n"
                                  "    tokenizer: tokenizer\n"
                                  "    source: web\n"
                                  "    depth: 2\n"
                                  "    seq_len: 64\n"
                                  "    batch_tokens: 1024\n"
                                  "    steps: 10\n"
                                  "  base_eval: {kind: eval, model: base, suites: [bpb], eval_tokens: 1024}\n";

// A text with every `from` replaced.
static inline const char *with(struct arena *arena, const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    const char *rest = strstr(at + strlen(from), from) ? with(arena, at + strlen(from), from, to) : at + strlen(from);
    return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, to, rest);
}

static inline struct error *try_graph(struct place_of_test *p, const char *text, const char *const *settings, int n_settings)
{
    const char *path = arena_printf(&p->arena, "%s/small.yaml", p->folder);
    struct error *e = recipe_parse(&p->recipe, path, text, strlen(text), settings, n_settings, &p->arena);
    if (!e)
        e = graph_build(&p->graph, &p->recipe, &p->arena);
    return e ? e : keys_make(&p->graph, p->results);
}

static inline void make_graph(struct place_of_test *p, const char *text)
{
    no_error(try_graph(p, text, NULL, 0));
}

static inline void make_plan(struct place_of_test *p, const char *text)
{
    make_graph(p, text);
    no_error(plan_build(&p->plan, &p->graph, p->results, &p->arena));
}

static inline const char *key_of(struct place_of_test *p, const char *name)
{
    const struct graph_node *node = graph_find(&p->graph, name);
    assert_non_null(node);
    return node->key;
}

// A result as a stage would leave it, as far as the plan looks.
static inline void make_file(const char *path, const char *key, const char *state, int64_t step)
{
    const struct store_attribute attributes[] = {store_text("/", "kind", "test"), store_text("/", "key", key),
                                                 store_text("/", "state", state), store_f64("/", "seconds", 2.5),
                                                 store_f64("/", "usd", NAN),      store_i64("/", "step", step),
                                                 store_i64("/", "n_steps", 10),   store_i64("/", "n", 1000)};
    no_error(store_save(path, attributes, countof(attributes), NULL, 0));
}

static inline void make_store(struct place_of_test *p)
{
    no_error(folder_make(arena_printf(&p->arena, "%s/store", p->results)));
}

// The result of a stage of the plan.
static inline void finish(struct place_of_test *p, const char *name)
{
    struct plan_stage *s = plan_stage(&p->plan, name);
    assert_non_null(s);
    if (s->out)
        make_file(s->out, s->node->key, "finished", 10);
    for (int i = 0; i < s->node->n_parts && s->part_out; i++)
        if (s->part_out[i])
            make_file(s->part_out[i], s->node->parts[i].key, "finished", 1);
}

static inline void finish_all(struct place_of_test *p)
{
    make_store(p);
    for (int i = 0; i < p->plan.n_stages; i++)
        finish(p, p->plan.stages[i].node->name);
}

// A record of a run that made everything of the current plan.
static inline void record_all(struct place_of_test *p)
{
    struct run run = {.name = p->recipe.name,
                      .state = "finished",
                      .started = "2026-01-01T00:00:00Z",
                      .recipe_path = "small.yaml",
                      .settings = "[]",
                      .host = "host",
                      .machine = "machine",
                      .build = "build"};
    no_error(schedule_record(&run, &p->plan, &p->arena));
    for (int i = 0; i < run.n_stages; i++) {
        run.stages[i].state = "finished";
        run.stages[i].file = NULL;
    }
    no_error(run_create(&run, p->results, &p->arena));
    no_error(run_save(&run));
}

#endif
