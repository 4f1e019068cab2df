// tokenizer.c - trains a byte-pair tokenizer on the documents of its source, in order, up to a number of characters.
//
// Result  /tokenizer (core/text/tokenizer_file.h); /metrics/text, how it compresses texts (compression.h): those that every tokenizer is
//         shown, and the beginning of its own
// Files   OUT.part.h5 (resume.h): the counts (core/text/bpe_file.h), once all documents are counted. Merging begins anew from there;
//         counting that was cut off begins anew from the first document
#include <math.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/text/bpe_file.h"
#include "runner/stages/compression.h"
#include "runner/stages/resume.h"
#include "runner/stages/source_part.h"
#include "runner/stages/tokenizer_result.h"

struct work {
    struct stage *stage;
    const struct tokenizer_options *options;
    struct resume resume;
    struct bpe_trainer *trainer;
    struct skipped skipped;
    double began, last; // clock_seconds(): of counting or merging; of the merge told last
    int64_t last_step;
};

static const double FIRST_S = 0.5; // nothing is known of the time left before that

static int64_t n_merges(const struct work *w)
{
    return w->options->vocab - 256 - TOKEN_SPECIALS;
}

static void tell(const struct work *w, const char *unit, int64_t step, int64_t of, double eta_s)
{
    struct live_line line = live_line("step");
    line.unit = unit;
    line.step = step;
    line.of = of;
    line.eta_s = eta_s;
    line.redo_s = clock_seconds() - w->resume.saved_at;
    live_write(w->stage->live, line);
}

static void tell_characters(const struct work *w)
{
    double done = (double)bpe_trainer_totals(w->trainer).chars, of = (double)w->options->chars, took = clock_seconds() - w->began;
    double eta_s = took < FIRST_S ? NAN : fmax(of - done, 0) * took / done;
    tell(w, "characters", (int64_t)fmin(done, of), w->options->chars, eta_s);
}

// Merges get faster all the time. By the pace of the last ones the rest would take too long, and by a time in inverse proportion to
// how many there were before, too short: the truth is in the middle.
static void tell_merges(void *self, int64_t done, int64_t total)
{
    struct work *w = self;
    double now = clock_seconds(), left = (double)(total - done);
    double most = left * (now - w->last) / (double)(done - w->last_step);
    double least = (now - w->began) * log((double)total / (double)done) / log(1 + (double)done);
    w->last = now;
    w->last_step = done;
    tell(w, "merges", done, total, sqrt(most * least));
}

static struct error *count_part(struct work *w, const struct document_part *from)
{
    struct documents *documents = NULL;
    struct source_part part;
    struct error *e = source_part_open(&part, from, w->stage->arena);
    if (!e)
        e = documents_open(&documents, &part.documents);
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
        tell_characters(w);
    }
    documents_close(documents);
    skipped_tell(&w->skipped, w->stage, &part.skips);
    source_part_close(&part);
    return e;
}

// The counts are kept where making them took as long as losing them may cost.
static struct error *save_counts(struct work *w)
{
    struct arena arena = {0};
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    const struct store_set *sets;
    int n_sets;
    struct bpe_totals totals = bpe_trainer_totals(w->trainer);
    if (!totals.distinct || !resume_due(&w->resume))
        return NULL;
    struct error *e = bpe_counts_sets(w->trainer, &arena, &sets, &n_sets);
    int n = stage_attributes(w->stage, stop_requested() ? "stopped" : "running", 0, n_merges(w), w->options->seed, 0, NULL,
                             w->resume.seconds, attributes);
    if (!e)
        e = resume_save(&w->resume, attributes, n, sets, n_sets);
    arena_release(&arena);
    if (e)
        return resume_unsaved(&w->resume, e);
    live_write(w->stage->live, live_line("saved"));
    return NULL;
}

static struct error *count(struct work *w)
{
    const struct job *job = w->stage->job;
    struct identities *ids;
    struct error *e = source_identities(&ids, job, w->stage->arena);
    w->began = clock_seconds();
    for (int i = 0; i < job->n_parts && !e && !bpe_trainer_full(w->trainer); i++) {
        e = count_part(w, &job->parts[i].part);
        if (!e)
            e = source_part_check(&job->parts[i], ids);
    }
    if (!e && !bpe_trainer_totals(w->trainer).chars)
        e = job_error(job, "source",
                      error_new(ERROR_DATA, NOWHERE, "name another column or field, or other files",
                                "there is no text in '%s'%s: every document is empty",
                                job->n_parts ? job->parts[0].part.path : "", job->n_parts > 1 ? " and the files behind it" : ""));
    if (!e)
        e = bpe_trainer_count(w->trainer);
    return e ? e : save_counts(w);
}

static struct error *go_on(struct work *w)
{
    struct live_line line = live_line("resumed");
    line.step = 0;
    line.of = n_merges(w);
    line.unit = "merges";
    line.text = w->resume.note;
    live_write(w->stage->live, line);
    return error_while(bpe_counts_load(w->trainer, w->resume.file), NOWHERE, "reading '%s'", w->resume.part);
}

// The table as a tokenizer, measured and saved.
static struct error *finish(struct work *w, struct token_table *table)
{
    struct arena *arena = w->stage->arena;
    struct tokenizer *tokenizer;
    struct tokenizer_result result = {.seed = w->options->seed, .seconds = w->resume.seconds};
    struct error *e = token_table_add_specials(table, arena, token_specials, TOKEN_SPECIALS);
    if (!e)
        e = tokenizer_new(&tokenizer, arena, table);
    if (!e && w->options->token_bytes && !strcmp(w->options->token_bytes, "raw"))
        e = tokenizer_count_bytes(tokenizer, TOKEN_BYTES_2026, arena);
    if (!e)
        e = compression_own(&result.own, w->stage, w->options);
    if (!e) {
        result.tokenizer = tokenizer;
        e = tokenizer_result_save(w->stage, &result);
    }
    bytes_release(&result.own);
    return e;
}

static struct error *train(struct work *w)
{
    struct token_table table;
    struct error *e = bpe_trainer_new(&w->trainer, w->options->doc_cap, w->options->chars);
    if (!e)
        e = resume_find(&w->resume, w->stage);
    if (!e)
        e = w->resume.file ? go_on(w) : count(w);
    resume_close(&w->resume);
    w->began = w->last = clock_seconds();
    if (!e)
        e = job_error(w->stage->job, "vocab",
                      bpe_trainer_merge(w->trainer, (int)n_merges(w), tell_merges, w, w->stage->arena, &table));
    if (!e)
        e = finish(w, &table);
    if (!e)
        resume_forget(&w->resume);
    return e;
}

struct error *stage_tokenizer(struct stage *stage)
{
    struct work w = {.stage = stage, .options = stage->job->options};
    struct error *e = train(&w);
    bpe_trainer_free(w.trainer);
    return e;
}
