// task_rows_write.c - reads a batch of records as examples, renders them side by side, appends them in order; then the next batch.
//
// A record is gone when the next one is read, so a batch holds copies of what its examples borrow. Rows fail side by side too: the
// error told is that of the first row that has one, in reading or in rendering, whatever the threads do.
#include "core/data/task_rows_inside.h"

#include <omp.h>
#include <string.h>

#include "core/base/stop.h"

enum { BATCH_ROWS = 1024, BATCH_BYTES = 4 << 20, KEPT_TOKENS = 1 << 14 };

struct batch {
    struct arena arena; // of the examples
    struct example examples[BATCH_ROWS];
    int64_t rows[BATCH_ROWS]; // of the part
    struct skips *skips;      // of the part
    int n;

    // what they become
    struct ids ids[BATCH_ROWS];
    struct bytes masks[BATCH_ROWS];
    int64_t n_prompts[BATCH_ROWS];
    int32_t letters[BATCH_ROWS][TASK_LETTERS];
    struct error *errors[BATCH_ROWS];
    bool bad[BATCH_ROWS]; // skipped
};

// A copy that borrows from nothing but the arena.
static struct error *copy_example(struct example *x, struct arena *arena)
{
    struct conversation *c = &x->conversation;
    struct chat_message *messages = arena_array(arena, c->n_messages, sizeof *messages);
    const char **letters = arena_array(arena, (size_t)x->n_letters, sizeof *letters);
    bool good = messages && letters && (x->answer = arena_strdup(arena, x->answer));
    for (size_t m = 0; m < c->n_messages && good; m++) {
        messages[m] = c->messages[m];
        struct chat_part *parts = arena_array(arena, messages[m].n_parts, sizeof *parts);
        good = parts != NULL;
        for (size_t p = 0; p < messages[m].n_parts && good; p++) {
            parts[p] = messages[m].parts[p];
            char *text = parts[p].text ? arena_alloc(arena, parts[p].n + 1) : NULL;
            good = text || !parts[p].text;
            if (text)
                parts[p].text = memcpy(text, parts[p].text, parts[p].n);
        }
        messages[m].parts = parts;
    }
    for (int i = 0; i < x->n_letters && good; i++)
        good = (letters[i] = arena_strdup(arena, x->letters[i])) != NULL;
    c->messages = messages;
    x->letters = letters;
    return good ? NULL : error_memory();
}

static struct error *fill(struct batch *b, struct records *records, const struct task *task, bool *end)
{
    b->n = 0;
    arena_reset(&b->arena, (struct arena_mark){0});
    while (b->n < BATCH_ROWS && b->arena.used_bytes < BATCH_BYTES) {
        const struct record *record;
        struct error *e = records_next(records, &record);
        if (!e && !record)
            *end = true;
        if (e || *end)
            return e;
        struct example *x = &b->examples[b->n];
        b->rows[b->n] = record->row;
        e = task_example(task, record, &b->arena, x);
        bool bad = e != NULL;
        if ((e = skips_take(b->skips, e)) || (!bad && (e = copy_example(x, &b->arena))))
            return e;
        b->n += !bad;
    }
    return NULL;
}

static struct error *encode_letters(struct batch *b, int i, const struct task *task, struct encoder *enc)
{
    const struct example *x = &b->examples[i];
    if (x->n_letters > TASK_LETTERS)
        return error_plain(ERROR_DATA, "row %lld of task '%s' has %d letters, more than %d", (long long)b->rows[i], task->name,
                           x->n_letters, TASK_LETTERS);
    struct ids ids = {0};
    struct error *e = NULL;
    for (int k = 0; k < x->n_letters && !e; k++) {
        ids.n = 0;
        e = encoder_encode(enc, (const uint8_t *)x->letters[k], strlen(x->letters[k]), &ids);
        if (!e && ids.n != 1)
            e = error_plain(ERROR_DATA, "letter '%.40s' of row %lld of task '%s' is %zu tokens, and must be one", x->letters[k],
                            (long long)b->rows[i], task->name, ids.n);
        if (!e)
            b->letters[i][k] = ids.id[0];
    }
    ids_release(&ids);
    return e;
}

static struct error *render_row(struct batch *b, int i, const struct task *task, struct encoder *enc, int32_t assistant_start)
{
    const struct conversation *c = &b->examples[i].conversation;
    struct ids *ids = &b->ids[i];
    ids->n = b->masks[i].n = 0;
    b->n_prompts[i] = 0;
    struct error *e = chat_render(enc, c, SIZE_MAX, ids, &b->masks[i]);
    if (e && e->kind == ERROR_DATA) {
        struct error *outer = error_plain(ERROR_DATA, "row %lld of task '%s': %s", (long long)b->rows[i], task->name, e->what);
        error_free(e);
        return outer;
    }
    if (e)
        return e;
    if (c->messages[c->n_messages - 1].role == CHAT_ASSISTANT) {
        int64_t n = (int64_t)ids->n; // no text becomes assistant_start, so the last one opens the last message
        while (n > 0 && ids->id[n - 1] != assistant_start)
            n--;
        b->n_prompts[i] = n;
    }
    return encode_letters(b, i, task, enc);
}

static struct error *render(struct batch *b, const struct task *task, struct encoder *encoders, int threads,
                            int32_t assistant_start)
{
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int i = 0; i < b->n; i++)
        b->errors[i] = render_row(b, i, task, &encoders[omp_get_thread_num()], assistant_start);
    struct error *first = NULL;
    for (int i = 0; i < b->n; i++) {
        b->bad[i] = b->errors[i] != NULL;
        first = error_first(first, first ? b->errors[i] : skips_take(b->skips, b->errors[i]));
    }
    return first;
}

static struct error *append(struct task_row_writer *w, struct batch *b)
{
    struct error *e = NULL;
    for (int i = 0; i < b->n && !e; i++) {
        const struct example *x = &b->examples[i];
        if (b->bad[i])
            continue;
        e = task_row_writer_add(w, &(struct task_row){.ids = b->ids[i].id,
                                                      .mask = b->masks[i].byte,
                                                      .n = (int64_t)b->ids[i].n,
                                                      .n_prompt = b->n_prompts[i],
                                                      .answer = {.text = x->answer,
                                                                 .n_text = strlen(x->answer),
                                                                 .letters = b->letters[i],
                                                                 .n_letters = x->n_letters,
                                                                 .right = x->right}});
        if (b->ids[i].capacity > KEPT_TOKENS || b->masks[i].capacity > KEPT_TOKENS) { // a giant must not stay in each place
            ids_release(&b->ids[i]);
            bytes_release(&b->masks[i]);
        }
    }
    return e;
}

static struct error *write_rows(struct task_row_writer *w, struct batch *b, struct records *records, const struct task *task,
                                struct encoder *encoders, int threads, const struct task_rows_hooks *hooks)
{
    int64_t done = 0;
    for (bool end = false; !end;) {
        struct error *e = stop_requested() ? error_stopped() : fill(b, records, task, &end);
        if (!e || e->kind == ERROR_DATA) // the rows before one that cannot be read are looked at first
            e = error_first(render(b, task, encoders, threads, w->assistant_start), e);
        if (e || (e = append(w, b)))
            return e;
        if (hooks && hooks->show)
            hooks->show(hooks->self, done += b->n);
    }
    return hooks && hooks->all_read ? hooks->all_read(hooks->self) : NULL;
}

static void release_batch(struct batch *b)
{
    for (int i = 0; i < BATCH_ROWS; i++) {
        ids_release(&b->ids[i]);
        bytes_release(&b->masks[i]);
    }
    arena_release(&b->arena);
}

struct error *task_rows_write(const struct task *task, const struct document_part *part, const struct tokenizer *tokenizer,
                              const char *path, const struct store_attribute *attributes, int n_attributes,
                              const struct task_rows_hooks *hooks)
{
    struct arena arena = {0};
    struct records *records = NULL;
    const char *paths[TASK_PATHS];
    int threads = omp_get_max_threads(), n_encoders = 0, n_paths;
    struct task_row_writer w = {.n_vocab = tokenizer->n_vocab,
                                .assistant_start = tokenizer_special(tokenizer, "<|assistant_start|>")};
    struct batch *b = arena_alloc(&arena, sizeof *b);
    struct encoder *encoders = arena_array(&arena, (size_t)threads, sizeof *encoders);
    if (b)
        b->skips = part->skips;
    struct error *e = b && encoders ? task_paths(task, &arena, paths, &n_paths) : error_memory();
    if (!e && w.assistant_start < 0)
        e = error_plain(ERROR_DATA, "the tokenizer has no special token '<|assistant_start|>', which chats need");
    if (!e)
        e = records_open(&records, part, paths, n_paths);
    for (; !e && n_encoders < threads; n_encoders++)
        e = encoder_init(&encoders[n_encoders], tokenizer);
    if (!e)
        e = write_rows(&w, b, records, task, encoders, threads, hooks);
    records_close(records);
    for (int i = 0; i < n_encoders; i++)
        encoder_release(&encoders[i]);
    if (b)
        release_batch(b);
    if (!e)
        e = task_row_writer_save(&w, path, attributes, n_attributes);
    task_row_writer_release(&w);
    arena_release(&arena);
    return e;
}
