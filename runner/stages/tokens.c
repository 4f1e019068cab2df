// tokens.c - the token stage that nobody writes: one token file a part of the source, each under a key of its own.
//
// The job lists the parts whose files are not there (or damaged), so a stage that was cut off goes on with the next file. They are made
// one after the other, each on all cores; what waits for the disk is done beside (core/store/queue.h), which counts where there are many
// small files.
// Documents become one stream (tokenize.h); the rows of a task are rendered as conversations and stay rows (task_rows.h).
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/data/task_rows.h"
#include "core/data/tokenize.h"
#include "core/text/tokenizer_file.h"
#include "runner/stages/source_part.h"
#include "runner/stages/stage.h"
#include "runner/stages/text_inputs.h"

static const char *const forms[DOCUMENT_FORM_COUNT] = {"parquet", "jsonl", "text", "world"};

struct progress {
    struct stage *stage;
    struct tokenize *tokenize;
    struct token_writer *writer; // of documents; all three serve one part after the other
    struct store_queue *queue;
    struct identities *ids;      // of the files that are read
    const struct job_part *part; // being made
    const char *unit;            // "documents" of worlds and "rows" of tasks, where their number is known; else "files"
    int64_t done, of;
    struct store_attribute *seconds, *usd, *n_skipped; // of the file of rows that is being made
    struct skips *skips;                               // of the part
    struct skipped skipped;
    double start_s, told_s;        // of the part: writing the file before it counts; when its time was taken
    int64_t n_documents, n_tokens; // of the files made so far, other than of tasks
    double read, left, written;    // sizes of parts (part_size), made and not made yet; bytes of the files made
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
    struct progress *p = self;
    p->told_s = clock_seconds();
    p->seconds->f64 = p->told_s - p->start_s;
    p->usd->f64 = p->stage->job->usd_per_hour * p->seconds->f64 / 3600;
    if (p->n_skipped)
        p->n_skipped->i64 = p->skips->n;
    tell(self, n);
}

// The file is a result of its own: it carries the part's key and time, not those of the whole stage.
static int part_attributes(struct stage *stage, const struct job_part *part, double start_s, struct store_attribute *attributes)
{
    struct job as_part = *stage->job;
    as_part.key = part->key;
    as_part.payload = part->payload;
    struct stage as_stage = *stage;
    as_stage.job = &as_part;
    as_stage.start_seconds = start_s;
    int n = stage_attributes(&as_stage, "finished", 1, 1, (int64_t)part->part.seed, 0, NULL, 0, attributes);
    attributes[n++] = store_text("/", "identity", part->identity);
    attributes[n++] = store_text("/", "form", forms[part->part.form]);
    return n;
}

static struct error *make_documents(struct stage *stage, const struct job_part *job_part, const struct document_part *part,
                                    struct progress *progress)
{
    struct token_writer *writer = progress->writer;
    token_writer_clear(writer);
    struct error *e = tokenize_documents(progress->tokenize, part, tell, progress, writer);
    if (!e)
        e = source_part_check(job_part, progress->ids);
    if (!e) {
        struct store_attribute attributes[STAGE_ATTRIBUTES + 4];
        int n = part_attributes(stage, job_part, progress->start_s, attributes);
        progress->told_s = clock_seconds();
        attributes[n++] = store_text("/", "column", part->column ? part->column : "");
        if (part->skip_bad)
            attributes[n++] = store_i64("/", "skipped", progress->skips->n);
        e = token_writer_queue(writer, progress->queue, job_part->out, attributes, n);
        progress->n_documents += writer->n_documents;
        progress->n_tokens += writer->n;
        progress->written += token_writer_bytes(writer);
    }
    return e;
}

static struct error *all_read(void *self)
{
    const struct progress *p = self;
    return source_part_check(p->part, p->ids);
}

static struct error *make_rows(struct stage *stage, const struct job_part *job_part, const struct document_part *part,
                               const struct tokenizer *tokenizer, struct progress *progress)
{
    struct store_attribute attributes[STAGE_ATTRIBUTES + 5];
    int n = part_attributes(stage, job_part, progress->start_s, attributes);
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
    const struct task_rows_hooks hooks = {progress, tell_rows, all_read};
    struct error *e = task_rows_write(job_part->task, part, tokenizer, job_part->out, attributes, n, &hooks);
    struct stat made;
    if (!e && !stat(job_part->out, &made))
        progress->written += (double)made.st_size;
    return e;
}

static struct error *make_part(struct stage *stage, const struct job_part *job_part, const struct tokenizer *tokenizer,
                               struct progress *progress)
{
    struct source_part part;
    struct error *e = source_part_open(&part, &job_part->part, stage->arena);
    progress->skips = &part.skips;
    progress->part = job_part;
    if (!e)
        e = job_part->task ? make_rows(stage, job_part, &part.documents, tokenizer, progress)
                           : make_documents(stage, job_part, &part.documents, progress);
    skipped_tell(&progress->skipped, stage, &part.skips);
    source_part_close(&part);
    progress->start_s = progress->told_s;
    return error_while(e, NOWHERE, "tokenizing '%s'", job_part->part.path);
}

// How many of the unit a part has; -1: only reading tells.
static struct error *part_count(const struct job_part *part, int64_t *n)
{
    *n = part->part.form == DOCUMENT_WORLD ? part->part.n : -1;
    return part->task && *n < 0 ? records_count(&part->part, n) : NULL;
}

// How much there is to read of a part, in a measure that all parts of a stage share; 0: unknown.
static double part_size(const struct job_part *part)
{
    struct stat s;
    if (part->part.form == DOCUMENT_WORLD)
        return (double)part->part.n;
    return stat(part->part.path, &s) ? 0 : (double)s.st_size;
}

// Whether there is room for the files that are left, by what the first ones came to; each is looked at exactly before it is written.
// What is not quite enough is tried.
static struct error *check_room(const struct progress *p, int n_left)
{
    static const double SURELY = 0.9;
    double needed = p->read > 0 ? p->left / p->read * p->written : 0, available = store_available(p->stage->job->parts[0].out);
    if (!(needed * SURELY > available))
        return NULL;
    return error_new(ERROR_MACHINE, NOWHERE, "free space on the disk, or keep results on another one",
                     "no room for %d more token file%s: by what is made so far they take %.1f MB, and %.1f MB are free", n_left,
                     n_left == 1 ? "" : "s", needed / 1e6, available / 1e6);
}

// What a stage that was killed had written under no name yet would count as room that is taken. Nobody else writes these files now: token
// stages of one tokenizer share a lock.
static struct error *clear_unfinished(const struct stage *stage)
{
    for (int i = 0; i < stage->job->n_parts; i++) {
        const char *out = stage->job->parts[i].out;
        if (!out)
            continue;
        const char *tmp = arena_printf(stage->arena, "%.*s.tmp.h5", (int)(strlen(out) - strlen(".h5")), out);
        if (!tmp)
            return error_memory();
        unlink(tmp);
    }
    return NULL;
}

// A failing disk is told although the stage was asked to stop as well.
static struct error *graver(struct error *e, struct error *of_queue)
{
    return e && of_queue && e->kind == ERROR_STOPPED ? error_first(of_queue, e) : error_first(e, of_queue);
}

static void tell_end(const struct progress *p)
{
    char text[96];
    struct live_line line = live_line("step");
    snprintf(text, sizeof text, "%lld document%s, %lld tokens", (long long)p->n_documents, p->n_documents == 1 ? "" : "s",
             (long long)p->n_tokens);
    line.step = line.of = p->of;
    line.unit = p->unit;
    line.text = p->n_documents ? text : NULL;
    live_write(p->stage->live, line);
}

struct error *stage_tokens(struct stage *stage)
{
    const struct job *job = stage->job;
    struct text_inputs inputs;
    struct error *e = text_inputs_open(&inputs, job, "tokenizer", 1, 0, stage->arena);
    int64_t *counts = arena_array(stage->arena, (size_t)job->n_parts + 1, sizeof *counts);
    struct progress progress = {
        .stage = stage, .start_s = stage->start_seconds, .unit = job->n_parts && job->parts[0].task ? "rows" : "documents"};
    if (!e && !counts)
        e = error_memory();
    if (!e)
        e = clear_unfinished(stage);
    for (int i = 0; i < job->n_parts && !e; i++) {
        e = part_count(&job->parts[i], &counts[i]);
        if (counts[i] < 0)
            progress.unit = "files";
        progress.of += counts[i];
        progress.left += part_size(&job->parts[i]);
    }
    struct token_writer writer = {.n_vocab = e ? 0 : inputs.tokenizer->n_vocab};
    progress.writer = &writer;
    if (!e && job->n_parts && !job->parts[0].task)
        e = tokenize_open(&progress.tokenize, inputs.tokenizer, 0);
    if (!e)
        e = store_queue_open(&progress.queue);
    if (!e)
        e = source_identities(&progress.ids, job, stage->arena);
    bool by_files = !strcmp(progress.unit, "files");
    if (by_files)
        progress.of = job->n_parts;
    for (int i = 0; i < job->n_parts && !e; i++) {
        e = make_part(stage, &job->parts[i], inputs.tokenizer, &progress);
        double size = part_size(&job->parts[i]);
        progress.done += by_files ? 1 : counts[i];
        progress.read += size;
        progress.left -= size;
        if (!e)
            e = store_queue_look(progress.queue);
        if (!e && i + 1 < job->n_parts)
            e = check_room(&progress, job->n_parts - i - 1);
    }
    if (progress.queue)
        e = graver(e, store_queue_wait(progress.queue)); // also after an error: what is whole stays
    if (!e)
        tell_end(&progress);
    store_queue_close(progress.queue);
    token_writer_release(&writer);
    tokenize_close(progress.tokenize);
    text_inputs_close(&inputs);
    return e;
}
