// writer.c - prompts go through the decoder one after the other, free documents all at once.
#include "core/infer/writer.h"

#include <stdio.h>
#include <string.h>

#include "core/base/stop.h"

static const char *const prompts[WRITER_PROMPTS] = {
    "The capital of France is",  "The chemical symbol of gold is",       "If yesterday was Friday, then tomorrow will be",
    "The opposite of hot is",    "The planets of the solar system are:", "My favorite color is",
    "If 5*x + 3 = 13, then x is"};

struct error *writer_open(struct writer *w, struct model *model)
{
    *w = (struct writer){.model = model};
    size_t V = (size_t)model->shape.n_vocab;
    w->logits = arena_array(model->arena, WRITER_FREE * V, sizeof *w->logits);
    w->scratch = arena_array(model->arena, V, sizeof *w->scratch);
    if (!w->logits || !w->scratch)
        return error_memory();
    // The rotary tables hold several lengths of training; a prompt is far shorter than any of them.
    int capacity = WRITER_TOKENS + 1 < model->n_positions ? WRITER_TOKENS + 1 : model->n_positions;
    return decoder_open(&w->decoder, model, WRITER_FREE, capacity);
}

// Texts longer than a row of the table are cut at a character.
static struct error *add(struct table *found, const struct tokenizer *t, int64_t step, double temperature, const char *prompt,
                         const int32_t *ids, size_t n)
{
    struct sample s = {.step = step, .temperature = temperature};
    struct bytes text = {0};
    struct error *e = tokenizer_text(t, ids, n, &text);
    if (!e) {
        size_t length = text.n < sizeof s.text - 1 ? text.n : sizeof s.text - 1;
        while (length < text.n && length > 0 && (text.byte[length] & 0xC0) == 0x80)
            length--;
        memcpy(s.text, text.byte, length);
        snprintf(s.prompt, sizeof s.prompt, "%s", prompt);
        e = table_add(found, &s);
    }
    bytes_release(&text);
    return e;
}

// A prompt takes the first of the decoder's slots. Its tokens go in one by one, as those that follow it.
static struct error *continue_prompt(struct writer *w, const struct tokenizer *t, struct encoder *encoder, const char *prompt,
                                     int64_t step, struct table *found)
{
    struct ids ids = {0};
    struct error *e = ids_push(&ids, tokenizer_special(t, "<|bos|>"));
    if (!e)
        e = encoder_encode(encoder, (const uint8_t *)prompt, strlen(prompt), &ids);
    size_t n_prompt = ids.n;
    decoder_restart(&w->decoder);
    for (size_t i = 0; !e && i < n_prompt + WRITER_PROMPT_TOKENS - 1 && i < (size_t)w->decoder.capacity; i++) {
        if (stop_requested())
            e = error_stopped();
        if (!e)
            e = decoder_step(&w->decoder, &(int32_t){0}, &ids.id[i], 1, w->logits);
        if (!e && i + 1 >= n_prompt)
            e = ids_push(&ids, sample_token(w->logits, w->model->shape.n_vocab, (struct sampling){0}, (struct philox){{0}}, 0, 0,
                                            w->scratch));
    }
    if (!e && ids.n > n_prompt)
        e = add(found, t, step, 0, prompt, ids.id + n_prompt, ids.n - n_prompt);
    ids_release(&ids);
    return e;
}

static struct error *write_freely(struct writer *w, const struct tokenizer *t, uint64_t seed, int64_t step, struct table *found)
{
    struct philox random = philox_for(seed, PHILOX_SAMPLE);
    struct ids ids[WRITER_FREE] = {{0}};
    int32_t bos = tokenizer_special(t, "<|bos|>"), slots[WRITER_FREE], next[WRITER_FREE];
    int V = w->model->shape.n_vocab, n_running = WRITER_FREE;
    struct error *e = NULL;
    for (int r = 0; r < WRITER_FREE; r++) {
        slots[r] = r;
        next[r] = bos;
    }
    decoder_restart(&w->decoder);
    for (int i = 0; !e && i < w->decoder.capacity - 1 && n_running; i++) {
        int n = n_running;
        if (stop_requested())
            e = error_stopped();
        if (!e)
            e = decoder_step(&w->decoder, slots, next, n, w->logits);
        n_running = 0;
        for (int r = 0; r < n && !e; r++) {
            uint64_t stream = (uint64_t)step * WRITER_FREE + (uint64_t)slots[r];
            int32_t id = sample_token(w->logits + (size_t)r * (size_t)V, V, (struct sampling){.temperature = 1}, random, stream,
                                      (uint64_t)i, w->scratch);
            if (id == bos)
                continue; // the document ends, and its slot leaves the batch
            e = ids_push(&ids[slots[r]], id);
            slots[n_running] = slots[r];
            next[n_running++] = id;
        }
    }
    for (int r = 0; r < WRITER_FREE; r++) {
        if (!e)
            e = add(found, t, step, 1, "", ids[r].id, ids[r].n);
        ids_release(&ids[r]);
    }
    return e;
}

struct error *writer_samples(struct writer *w, const struct tokenizer *t, uint64_t seed, int64_t step, bool last,
                             struct table *samples)
{
    struct table found = {.members = sample_members, .n_members = SAMPLE_MEMBERS, .row_bytes = sizeof(struct sample)};
    struct encoder encoder = {0};
    struct error *e = encoder_init(&encoder, t);
    for (int i = 0; i < WRITER_PROMPTS && !e; i++)
        e = continue_prompt(w, t, &encoder, prompts[i], step, &found);
    if (!e && last)
        e = write_freely(w, t, seed, step, &found);
    for (int64_t i = 0; i < found.n && !e; i++)
        e = table_add(samples, (const struct sample *)found.rows + i);
    encoder_release(&encoder);
    table_release(&found);
    return e;
}
