// fuzz_text.c - libFuzzer over the splitter, the encoder and the decoder, with what they must answer beside it.
//
//     fuzz_text -max_total_time=3600 corpus README.md
//
// The first byte says where the vocabulary comes from:
//     0, or more than 2   learnt once from a text made here
//     1                   a byte of how many tokens, each with a byte of its length before it
//     2                   the learnt one, spoilt: which offset, its new value, how many tokens and special tokens it says it has
// The rest is the text. Of a short one the pieces and ids are held to plain.h; of any one they must come back.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/bpe_train.h"
#include "core/text/split.h"
#include "tests/unit/core/text/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct input {
    const uint8_t *data;
    size_t n;
};

static void must(bool good)
{
    if (!good)
        abort(); // the stack says where
}

static void take(struct input *in, void *to, size_t n)
{
    size_t here = n < in->n ? n : in->n;
    memset(to, 0, n);
    memcpy(to, in->data, here);
    in->data += here;
    in->n -= here;
}

static struct token_table learn(struct arena *arena)
{
    static const char text[] =
        "the cat's on the mat; it'll sit there, 'til 12345 o'clock!\n\n    return the_mat(there);  \xC3\xA9t\xC3\xA9 "
        "\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82 \xE4\xBD\xA0\xE5\xA5\xBD\xE4\xBD\xA0\xE5\xA5\xBD "
        "\xF0\x9F\x99\x82\xF0\x9F\x99\x82 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ---------------- ";
    struct bpe_trainer *t;
    struct token_table table;
    must(!bpe_trainer_new(&t, 1 << 20, 1 << 20) && !bpe_trainer_add(t, (const uint8_t *)text, sizeof text - 1, NULL) &&
         !bpe_trainer_merge(t, 80, NULL, NULL, arena, &table) &&
         !token_table_add_specials(&table, arena, token_specials, TOKEN_SPECIALS));
    bpe_trainer_free(t);
    return table;
}

static struct token_table given(struct input *in, struct arena *arena)
{
    uint8_t n_tokens, length;
    take(in, &n_tokens, 1);
    uint8_t *bytes = arena_alloc(arena, 256 + in->n + 256);
    int64_t *offsets = arena_array(arena, 256 + 256 + 1, sizeof *offsets);
    must(bytes && offsets);
    int32_t n = 0;
    for (; n < 256; n++) {
        bytes[n] = (uint8_t)n;
        offsets[n + 1] = n + 1;
    }
    for (; n < 256 + n_tokens && in->n > 1; n++) {
        take(in, &length, 1);
        if (length > in->n)
            length = (uint8_t)in->n;
        take(in, bytes + offsets[n], length);
        offsets[n + 1] = offsets[n] + length;
    }
    return (struct token_table){.n = n, .bytes = bytes, .n_bytes = (size_t)offsets[n], .offsets = offsets};
}

static struct token_table spoilt(struct input *in, const struct token_table *learnt, struct arena *arena)
{
    struct token_table table;
    uint16_t which, n;
    int64_t value;
    uint8_t n_special;
    must(!token_table_copy(&table, learnt, arena));
    take(in, &which, sizeof which);
    take(in, &value, sizeof value);
    take(in, &n, sizeof n);
    take(in, &n_special, 1);
    ((int64_t *)table.offsets)[which % (table.n + 1)] = value;
    table.n -= n % (table.n + 1); // fewer: the arrays are no longer
    table.n_special -= n_special % (table.n_special + 1);
    return table;
}

// Pieces one after the other, and as the pattern says them.
static void check_pieces(const uint8_t *text, size_t n)
{
    static struct plain_chars c;
    size_t at = 0;
    if (n <= PLAIN_MAX)
        plain_read(&c, text, n);
    for (int i = 0; at < n;) {
        size_t end = split_next(text, n, at);
        must(end > at && end <= n);
        if (n <= PLAIN_MAX) {
            i = plain_next(&c, i);
            must(c.at[i] == end);
        }
        at = end;
    }
}

static void check_ids(const struct token_table *table, const uint8_t *text, size_t n, const struct ids *ids)
{
    static int32_t expected[PLAIN_MAX];
    size_t used = 0;
    for (size_t at = 0, end; at < n; at = end) {
        end = split_next(text, n, at);
        size_t n_ids = plain_encode(table, text + at, end - at, expected);
        must(n_ids <= ids->n - used && !memcmp(expected, ids->id + used, n_ids * sizeof *expected));
        used += n_ids;
    }
    must(used == ids->n);
}

static void check_coding(struct encoder *enc, const uint8_t *text, size_t n)
{
    struct ids ids = {0}, again = {0};
    struct bytes back = {0}, repaired = {0};
    must(!encoder_encode(enc, text, n, &ids) && !encoder_encode(enc, text, n, &again));
    must(ids.n == again.n && (!ids.n || !memcmp(ids.id, again.id, ids.n * sizeof *ids.id)));
    if (n <= PLAIN_MAX)
        check_ids(&enc->tokenizer->table, text, n, &ids);
    must(!tokenizer_decode(enc->tokenizer, ids.id, ids.n, &back));
    must(back.n == n && (!n || !memcmp(back.byte, text, n)));
    back.n = 0;
    must(!tokenizer_text(enc->tokenizer, ids.id, ids.n, &back) && !utf8_repair(text, n, &repaired));
    must(back.n == repaired.n && (!back.n || !memcmp(back.byte, repaired.byte, back.n)) && utf8_is_valid(back.byte, back.n));
    must(repaired.n == utf8_repaired_bytes(text, n) && utf8_count(text, n) == utf8_count(back.byte, back.n));
    ids_release(&ids);
    ids_release(&again);
    bytes_release(&back);
    bytes_release(&repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct arena kept; // the learnt vocabulary and its encoder, whose cache goes on from input to input
    static struct token_table learnt;
    static struct tokenizer *tokenizer;
    static struct encoder learnt_encoder;
    if (!tokenizer) {
        learnt = learn(&kept);
        must(!tokenizer_new(&tokenizer, &kept, &learnt) && !encoder_init(&learnt_encoder, tokenizer));
    }
    struct input in = {data, n};
    uint8_t mode;
    take(&in, &mode, 1);
    if (mode != 1 && mode != 2) {
        check_pieces(in.data, in.n);
        check_coding(&learnt_encoder, in.data, in.n);
        return 0;
    }
    struct arena arena = {0};
    struct tokenizer *own;
    struct encoder enc;
    struct token_table table = mode == 1 ? given(&in, &arena) : spoilt(&in, &learnt, &arena);
    struct error *e = tokenizer_new(&own, &arena, &table);
    must(!e || e->kind == ERROR_DATA);
    if (!e) {
        must(!encoder_init(&enc, own));
        check_coding(&enc, in.data, in.n);
        encoder_release(&enc);
    }
    error_free(e);
    arena_release(&arena);
    return 0;
}
