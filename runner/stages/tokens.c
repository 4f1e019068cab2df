// tokens.c - the token stage that nobody writes: one token file a part of the source, each under a key of its own.
//
// The job lists the parts whose files are not there (or damaged), so a stage that was cut off goes on with the next file.
// Documents become one stream (tokenize.h); the rows of a task are rendered as conversations and stay rows (task_rows.h).
#include <string.h>

#include "core/base/clock.h"
#include "core/data/task_rows.h"
#include "core/data/tokenize.h"
#include "core/text/tokenizer_file.h"
#include "runner/recipe/world_file.h"
#include "runner/stages/stage.h"
#include "runner/stages/text_inputs.h"

static const char *const forms[DOCUMENT_FORM_COUNT] = {"parquet", "jsonl", "text", "world"};

struct progress {
    struct stage *stage;
    const char *unit; // "documents" of worlds and "rows" of tasks, where their number is known; else "files"
    int64_t done, of;
    struct store_attribute *seconds, *usd, *n_skipped; // of the file of rows that is being made
    struct skips *skips;                               // of the part
    struct skipped skipped;
};

static void tell(void *self, int64_t n)
{
    const struct progress *p = self;
    struct live_line line = live_line("step");
    line.step = p->done + (strcmp(p->unit, "files") ? n : 0);
    line.of = p->of;
    line.unit = p->unit;
    live_write(p->stage->live, line);
}

// Rows are made and saved in one call: what that took is noted on the way.
static void tell_rows(void *self, int64_t n)
{
    const struct progress *p = self;
    p->seconds->f64 = clock_seconds() - p->stage->start_seconds;
    p->usd->f64 = p->stage->job->usd_per_hour * p->seconds->f64 / 3600;
    if (p->n_skipped)
        p->n_skipped->i64 = p->skips->n;
    tell(self, n);
}

// The file is a result of its own: it carries the part's key, not that of the whole stage.
static int part_attributes(struct stage *stage, const struct job_part *part, struct store_attribute *attributes)
{
    struct job as_part = *stage->job;
    as_part.key = part->key;
    as_part.payload = part->payload;
    struct stage as_stage = *stage;
    as_stage.job = &as_part;
    int n = stage_attributes(&as_stage, "finished", 1, 1, (int64_t)part->part.seed, 0, NULL, 0, attributes);
    attributes[n++] = store_text("/", "identity", part->identity);
    attributes[n++] = store_text("/", "form", forms[part->part.form]);
    return n;
}

static struct error *make_documents(struct stage *stage, const struct job_part *job_part, const struct document_part *part,
                                    const struct tokenizer *tokenizer, struct progress *progress)
{
    struct token_writer writer = {.n_vocab = tokenizer->n_vocab};
    struct error *e = tokenize_documents(part, tokenizer, 0, tell, progress, &writer);
    if (!e) {
        struct store_attribute attributes[STAGE_ATTRIBUTES + 4];
        int n = part_attributes(stage, job_part, attributes);
        attributes[n++] = store_text("/", "column", part->column ? part->column : "");
        if (part->skip_bad)
            attributes[n++] = store_i64("/", "skipped", progress->skips->n);
        e = token_writer_save(&writer, job_part->out, attributes, n);
    }
    token_writer_release(&writer);
    return e;
}

static struct error *make_rows(struct stage *stage, const struct job_part *job_part, const struct document_part *part,
                               const struct tokenizer *tokenizer, struct progress *progress)
{
    struct store_attribute attributes[STAGE_ATTRIBUTES + 5];
    int n = part_attributes(stage, job_part, attributes);
    attributes[n++] = store_text("/", "task", job_part->task->name);
    attributes[n++] = store_text("/", "split", job_part->split);
    if (part->skip_bad)
        attributes[n++] = store_i64("/", "skipped", 0); // known when all rows are read
    progress->n_skipped = part->skip_bad ? &attributes[n - 1] : NULL;
    for (int i = 0; i < n; i++) {
        if (!strcmp(attributes[i].name, "seconds"))
            progress->seconds = &attributes[i];
        if (!strcmp(attributes[i].name, "usd"))
            progress->usd = &attributes[i];
    }
    return task_rows_write(job_part->task, part, tokenizer, job_part->out, attributes, n, tell_rows, progress);
}

static struct error *make_part(struct stage *stage, const struct job_part *job_part, const struct tokenizer *tokenizer,
                               struct progress *progress)
{
    struct document_part part = job_part->part;
    struct skips skips = {.most = part.skip_bad};
    struct world world;
    struct error *e = NULL;
    part.skips = progress->skips = &skips;
    if (part.form == DOCUMENT_WORLD) {
        e = world_file_read(part.path, stage->arena, &world);
        part.world = &world;
    }
    if (!e)
        e = job_part->task ? make_rows(stage, job_part, &part, tokenizer, progress)
                           : make_documents(stage, job_part, &part, tokenizer, progress);
    skipped_tell(&progress->skipped, stage, &skips);
    skips_release(&skips);
    return error_while(e, NOWHERE, "tokenizing '%s'", part.path);
}

// How many of the unit a part has; -1: only reading tells.
static struct error *part_count(const struct job_part *part, int64_t *n)
{
    *n = part->part.form == DOCUMENT_WORLD ? part->part.n : -1;
    return part->task && *n < 0 ? records_count(&part->part, n) : NULL;
}

struct error *stage_tokens(struct stage *stage)
{
    const struct job *job = stage->job;
    struct text_inputs inputs;
    struct error *e = text_inputs_open(&inputs, job, "tokenizer", 1, 0, stage->arena);
    int64_t *counts = arena_array(stage->arena, (size_t)job->n_parts + 1, sizeof *counts);
    struct progress progress = {.stage = stage, .unit = job->n_parts && job->parts[0].task ? "rows" : "documents"};
    if (!e && !counts)
        e = error_memory();
    for (int i = 0; i < job->n_parts && !e; i++) {
        e = part_count(&job->parts[i], &counts[i]);
        if (counts[i] < 0)
            progress.unit = "files";
        progress.of += counts[i];
    }
    bool by_files = !strcmp(progress.unit, "files");
    if (by_files)
        progress.of = job->n_parts;
    for (int i = 0; i < job->n_parts && !e; i++) {
        e = make_part(stage, &job->parts[i], inputs.tokenizer, &progress);
        progress.done += by_files ? 1 : counts[i];
    }
    text_inputs_close(&inputs);
    return e;
}
