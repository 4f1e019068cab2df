// tokens.c - the token stage that nobody writes: one token file a part of the source, each under a key of its own.
//
// The job lists the parts whose files are not there (or damaged), so a stage that was cut off goes on with the next file.
#include "core/data/tokenize.h"
#include "core/text/tokenizer_file.h"
#include "runner/recipe/world_file.h"
#include "runner/stages/stage.h"
#include "runner/stages/text_inputs.h"

struct progress {
    struct stage *stage;
    bool counts_documents; // of worlds, whose number is known; else files
    int64_t done, of;
};

static void tell(void *self, int64_t documents)
{
    const struct progress *p = self;
    struct live_line line = live_line("step");
    line.step = p->done + (p->counts_documents ? documents : 0);
    line.of = p->of;
    line.unit = p->counts_documents ? "documents" : "files";
    live_write(p->stage->live, line);
}

static struct error *make_part(struct stage *stage, const struct job_part *job_part, const struct tokenizer *tokenizer,
                               struct progress *progress)
{
    static const char *const forms[DOCUMENT_FORM_COUNT] = {"parquet", "jsonl", "text", "world"};
    struct token_writer writer = {.n_vocab = tokenizer->n_vocab};
    struct document_part part = job_part->part;
    struct world world;
    struct error *e = NULL;
    if (part.form == DOCUMENT_WORLD) {
        e = world_file_read(part.path, stage->arena, &world);
        part.world = &world;
    }
    if (!e)
        e = tokenize_documents(&part, tokenizer, 0, tell, progress, &writer);
    if (!e) {
        // The file is a result of its own: it carries the part's key, not that of the whole stage.
        struct job as_part = *stage->job;
        as_part.key = job_part->key;
        as_part.payload = job_part->payload;
        struct stage as_stage = *stage;
        as_stage.job = &as_part;
        struct store_attribute attributes[STAGE_ATTRIBUTES + 3];
        int n = stage_attributes(&as_stage, "finished", 1, 1, (int64_t)part.seed, 0, NULL, 0, attributes);
        attributes[n++] = store_text("/", "identity", job_part->identity);
        attributes[n++] = store_text("/", "form", forms[part.form]);
        attributes[n++] = store_text("/", "column", part.column ? part.column : "");
        e = token_writer_save(&writer, job_part->out, attributes, n);
    }
    token_writer_release(&writer);
    return error_while(e, NOWHERE, "tokenizing '%s'", part.path);
}

struct error *stage_tokens(struct stage *stage)
{
    const struct job *job = stage->job;
    struct text_inputs inputs;
    struct error *e = text_inputs_open(&inputs, job, "tokenizer", 1, 0, stage->arena);
    struct progress progress = {.stage = stage, .counts_documents = true};
    for (int i = 0; i < job->n_parts; i++)
        progress.counts_documents = progress.counts_documents && job->parts[i].part.form == DOCUMENT_WORLD;
    for (int i = 0; i < job->n_parts; i++)
        progress.of += progress.counts_documents ? job->parts[i].part.n : 1;
    for (int i = 0; i < job->n_parts && !e; i++) {
        e = make_part(stage, &job->parts[i], inputs.tokenizer, &progress);
        progress.done += progress.counts_documents ? job->parts[i].part.n : 1;
    }
    text_inputs_close(&inputs);
    return e;
}
