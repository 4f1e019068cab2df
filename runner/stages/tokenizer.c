// tokenizer.c - trains a byte-pair tokenizer on the documents of its source, in order, up to a number of characters.
//
// Result  /tokenizer (core/text/tokenizer_file.h); /metrics/text, how it compresses texts (compression.h): those that every tokenizer is
//         shown, and the beginning of its own
#include "core/base/stop.h"
#include "core/text/bpe_train.h"
#include "core/text/tokenizer_file.h"
#include "runner/recipe/world_file.h"
#include "runner/stages/compression.h"
#include "runner/stages/stage.h"

struct work {
    struct stage *stage;
    const struct tokenizer_options *options;
    struct bpe_trainer *trainer;
};

static void tell(struct stage *stage, const char *unit, int64_t step, int64_t of)
{
    struct live_line line = live_line("step");
    line.unit = unit;
    line.step = step;
    line.of = of;
    live_write(stage->live, line);
}

static void tell_merges(void *self, int64_t done, int64_t total)
{
    tell(((struct work *)self)->stage, "merges", done, total);
}

static struct error *count_part(struct work *w, struct document_part part)
{
    struct documents *documents = NULL;
    struct world world;
    struct error *e = NULL;
    if (part.form == DOCUMENT_WORLD) {
        e = world_file_read(part.path, w->stage->arena, &world);
        part.world = &world;
    }
    if (!e)
        e = documents_open(&documents, &part);
    while (!e && !bpe_trainer_full(w->trainer)) {
        const char *text;
        size_t n;
        if (stop_requested())
            e = error_stopped();
        if (!e)
            e = documents_next(documents, &text, &n);
        if (e || !text)
            break;
        e = bpe_trainer_add(w->trainer, (const uint8_t *)text, n, NULL);
        tell(w->stage, "characters", bpe_trainer_totals(w->trainer).chars, w->options->chars);
    }
    documents_close(documents);
    return e;
}

static struct error *save(struct work *w, const struct tokenizer *tokenizer, const struct table *texts)
{
    const struct job *job = w->stage->job;
    const struct store_set *sets;
    struct store_set all[COMPRESSION_SETS];
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    int n_sets;
    struct error *e = tokenizer_sets(tokenizer, w->stage->arena, &sets, &n_sets);
    if (e)
        return e;
    n_sets = compression_sets(all, sets, n_sets, texts);
    int n = stage_attributes(w->stage, "finished", 1, 1, w->options->seed, 0, NULL, 0, attributes);
    return store_save(job->out, attributes, n, all, n_sets);
}

static struct error *train(struct work *w)
{
    struct arena *arena = w->stage->arena;
    const struct job *job = w->stage->job;
    struct token_table table;
    struct tokenizer *tokenizer;
    struct table texts = compression_table();
    struct bytes own = {0};
    struct error *e = bpe_trainer_new(&w->trainer, w->options->doc_cap, w->options->chars);
    for (int i = 0; i < job->n_parts && !e && !bpe_trainer_full(w->trainer); i++)
        e = count_part(w, job->parts[i].part);
    if (!e)
        e = job_error(job, "vocab",
                      bpe_trainer_merge(w->trainer, (int)w->options->vocab - 256 - TOKEN_SPECIALS, tell_merges, w, arena, &table));
    if (!e)
        e = token_table_add_specials(&table, arena, token_specials, TOKEN_SPECIALS);
    if (!e)
        e = tokenizer_new(&tokenizer, arena, &table);
    if (!e)
        e = compression_own(&own, w->stage, w->options);
    if (!e)
        e = compression_measure(&texts, tokenizer, own.byte, own.n);
    if (!e)
        e = save(w, tokenizer, &texts);
    table_release(&texts);
    bytes_release(&own);
    return e;
}

struct error *stage_tokenizer(struct stage *stage)
{
    struct work w = {.stage = stage, .options = stage->job->options};
    struct error *e = train(&w);
    bpe_trainer_free(w.trainer);
    return e;
}
