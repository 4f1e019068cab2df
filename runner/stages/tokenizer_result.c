// tokenizer_result.c - measuring first: what fails then leaves no file.
#include "runner/stages/tokenizer_result.h"

#include <string.h>

#include "core/text/tokenizer_file.h"
#include "runner/stages/compression.h"

static struct error *save(struct stage *stage, const struct tokenizer_result *r, const struct table *texts)
{
    const struct store_set *sets;
    int n_sets;
    struct arena *arena = stage->arena;
    struct error *e = tokenizer_sets(r->tokenizer, arena, &sets, &n_sets);
    if (e)
        return e;
    struct store_set *all = arena_array(arena, (size_t)(COMPRESSION_SETS + r->n_sets), sizeof *all);
    struct store_attribute *attributes = arena_array(arena, (size_t)(STAGE_ATTRIBUTES + r->n_attributes), sizeof *attributes);
    if (!all || !attributes)
        return error_memory();
    int n_all = compression_sets(all, sets, n_sets, texts);
    int n = stage_attributes(stage, "finished", 1, 1, r->seed, 0, NULL, r->seconds, attributes);
    if (r->n_sets)
        memcpy(all + n_all, r->sets, (size_t)r->n_sets * sizeof *all);
    if (r->n_attributes)
        memcpy(attributes + n, r->attributes, (size_t)r->n_attributes * sizeof *attributes);
    return store_save(stage->job->out, attributes, n + r->n_attributes, all, n_all + r->n_sets);
}

struct error *tokenizer_result_save(struct stage *stage, const struct tokenizer_result *r)
{
    struct table texts = compression_table();
    struct error *e = compression_measure(&texts, r->tokenizer, r->own.byte, r->own.n);
    if (!e)
        e = save(stage, r, &texts);
    table_release(&texts);
    return e;
}
