// A tokenizer through the formats of its peers and back with the same bits; files that lie; ids of a text that comes in parts.
#include "core/text/tokenizer_hf.h"

#include "core/base/philox.h"
#include "core/text/bpe_train.h"
#include "core/text/encode_stream.h"
#include "core/text/split.h"
#include "core/text/tokenizer_file.h"
#include "core/text/tokenizer_tiktoken.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char TEXT[] =
    "the quick brown fox's den, the lazy dog -- 12345 $100,000.50\n\n  if (x) {\n\t\treturn the_end;\n  }\n"
    "\xE4\xBD\xA0\xE5\xA5\xBD\xEF\xBC\x8C\xE4\xBD\xA0 na\xC3\xAFve \xF0\x9F\x99\x82 ========        aaaaaaaaaaaa \xFF\xFE\n";

static uint32_t random_word(uint64_t seed, uint64_t i)
{
    uint32_t words[4];
    philox_words(philox_for(seed, PHILOX_INIT), 0, i, words);
    return words[0];
}

static struct tokenizer *train(struct arena *arena, int n_merges)
{
    struct tokenizer *t;
    struct token_table table;
    struct bpe_trainer *trainer;
    assert_null(bpe_trainer_new(&trainer, 1 << 20, 1 << 20));
    for (int i = 0; i < 3; i++)
        assert_null(bpe_trainer_add(trainer, (const uint8_t *)TEXT, sizeof TEXT - 1, NULL));
    assert_null(bpe_trainer_merge(trainer, n_merges, NULL, NULL, arena, &table));
    bpe_trainer_free(trainer);
    assert_null(token_table_add_specials(&table, arena, token_specials, TOKEN_SPECIALS));
    assert_null(tokenizer_new(&t, arena, &table));
    return t;
}

static void expect_same(const struct tokenizer *a, const struct tokenizer *b)
{
    assert_int_equal(a->table.n, b->table.n);
    assert_int_equal(a->table.n_bytes, b->table.n_bytes);
    assert_memory_equal(a->table.bytes, b->table.bytes, a->table.n_bytes);
    assert_memory_equal(a->table.offsets, b->table.offsets, ((size_t)a->table.n + 1) * sizeof(int64_t));
    assert_int_equal(a->table.n_special, b->table.n_special);
    for (int i = 0; i < a->table.n_special; i++)
        assert_string_equal(a->table.special[i], b->table.special[i]);
    assert_memory_equal(a->token_bytes, b->token_bytes, (size_t)a->table.n * sizeof(int32_t));
}

static void there_and_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t = train(&arena, 75), *again;
    struct json j = {0};
    assert_null(tokenizer_to_hf(t, &j));
    assert_non_null(json_text(&j));
    assert_null(tokenizer_from_hf(&again, j.text, j.n, &arena));
    expect_same(t, again);
    json_release(&j);

    struct bytes ranks = {0};
    assert_null(tokenizer_to_tiktoken(t, &ranks, &j));
    assert_non_null(json_text(&j));
    assert_null(tokenizer_from_tiktoken(&again, (const char *)ranks.byte, ranks.n, j.text, j.n, &arena));
    expect_same(t, again);
    // The nine special tokens are what ranks alone are taken to have.
    assert_null(tokenizer_from_tiktoken(&again, (const char *)ranks.byte, ranks.n, NULL, 0, &arena));
    expect_same(t, again);
    bytes_release(&ranks);
    json_release(&j);
    arena_release(&arena);
}

// The bytes, then 256 "ab", 257 "abc", then two special tokens.
static struct tokenizer *tiny(struct arena *arena)
{
    static const char *const specials[] = {"<|bos|>", "<|end|>"};
    uint8_t *bytes = arena_alloc(arena, 256 + 5);
    int64_t *offsets = arena_array(arena, 259, sizeof *offsets);
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
        offsets[i] = i;
    }
    memcpy(bytes + 256, "ababc", 5);
    offsets[256] = 256, offsets[257] = 258, offsets[258] = 261;
    struct token_table table = {.n = 258, .bytes = bytes, .n_bytes = 261, .offsets = offsets};
    struct tokenizer *t;
    assert_null(token_table_add_specials(&table, arena, specials, 2));
    assert_null(tokenizer_new(&t, arena, &table));
    return t;
}

// The text with its only `from` made `to`.
static char *replaced(struct arena *arena, const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    assert_null(strstr(at + 1, from));
    return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void expect_error(struct error *e, const char *what)
{
    assert_non_null(e);
    if (!strstr(e->what, what))
        fail_msg("'%s' instead of '%s'", e->what, what);
    assert_int_equal(e->kind, ERROR_DATA);
    error_free(e);
}

static void lies_of_hf(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *out, *t = tiny(&arena);
    struct json j = {0};
    assert_null(tokenizer_to_hf(t, &j));
    const char *good = json_text(&j);
    static const struct {
        const char *from, *to, *what;
    } lies[] = {
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}", "it has a normalizer"},
        {"\"truncation\":null", "\"truncation\":{}", "it has a truncation"},
        {"\"padding\":null", "\"padding\":3", "it has a padding"},
        {"\"post_processor\":null", "\"post_processor\":{\"type\":\"TemplateProcessing\"}", "its post_processor"},
        {"\"post_processor\":null",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<|bos|>\"}},{\"Sequence\":{"
         "\"id\":\"A\"}}]}",
         "its post_processor"},
        {"\"post_processor\":null",
         "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"RobertaProcessing\"}]}", "its post_processor"},
        {"\"version\":\"1.0\"", "\"version\":\"2.0\"", "its version is not 1.0"},
        {"\\\\p{N}{1,2}", "\\\\p{N}{1,3}", "it splits text by another pattern: '(?i:"},
        {"\"Isolated\"", "\"Removed\"", "its Split is not"},
        {"\"invert\":false", "\"invert\":true", "its Split is not"},
        {"\"type\":\"Split\"", "\"type\":\"Whitespace\"", "its pre_tokenizer is not"},
        {"\"type\":\"Sequence\"", "\"type\":\"Metaspace\"", "its pre_tokenizer is not"},
        {"\"type\":\"BPE\"", "\"type\":\"Unigram\"", "its model is not BPE"},
        {"\"dropout\":null", "\"dropout\":0.1", "its model has a dropout"},
        {"\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\"", "its model has a end_of_word_suffix"},
        {"\"byte_fallback\":false", "\"byte_fallback\":true", "falls back to bytes"},
        {"\"abc\":257", "\"abc\":256", "have one id, 256"},
        {"\"abc\":257", "\"abc\":260", "no id from 0 to 259"},
        {"\"abc\":257", "\"abc\":-1", "no id from 0 to 259"},
        {"\"abc\":257", "\"abc\":257.0", "no id from 0 to 259"},
        {"\"abc\":257", "\"abc\":\"257\"", "no id from 0 to 259"},
        {"\"abc\":257", "\"ab\":257", "no JSON"},
        {"\"abc\":257", "\"a\\u4e00c\":257", "a letter that stands for no byte"},
        {"\"abc\":257", "\"a c\":257", "a letter that stands for no byte"},
        {"\"abc\":257", "\"abc\":257,\"abd\":258", "does not have id 259"},
        {",\"abc\":257", "", "does not have id 257"},
        {"\"ab\":256,\"abc\":257", "\"ab\":257,\"abc\":256", "no merge makes token 256"},
        {"\"id\":259", "\"id\":258", "does not have id 259"},
        {"\"content\":\"<|end|>\"", "\"content\":\"\"", "no content"},
        {"\"content\":\"<|end|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true",
         "\"content\":\"<|end|>\",\"special\":false", "added token '<|end|>' is not special"},
        {"\"content\":\"<|end|>\"", "\"content\":\"<|bos|>\"", "is there twice"},
        {"[[\"a\",\"b\"],[\"ab\",\"c\"]]", "[[\"ab\",\"c\"]]", "no merge makes token 256"},
        {"[[\"a\",\"b\"],[\"ab\",\"c\"]]", "[[\"a\",\"b\"]]", "no merge makes token 257"},
        {"[[\"a\",\"b\"],[\"ab\",\"c\"]]", "[[\"ab\",\"c\"],[\"a\",\"b\"]]", "no merge makes token 256"},
        {"[\"ab\",\"c\"]", "[\"ab\",\"c\"],[\"a\",\"b\"]", "merge 2 makes token 256, behind one that makes token 257"},
        {"[\"ab\",\"c\"]", "[\"ab\",\"d\"]", "merge 1, 'ab' and 'd', is of tokens that are not there"},
        {"[\"ab\",\"c\"]", "[\"ab\"]", "merge 1 is not a pair"},
        {"[\"ab\",\"c\"]", "[\"ab\",7]", "merge 1 is not a pair"},
        {"[\"ab\",\"c\"]", "\"abc\"", "merge 1 is not a pair"},
        {"[\"ab\",\"c\"]", "\"ab c d\"", "merge 1 is not a pair"},
        {"[\"ab\",\"c\"]", "null", "merge 1 is not a pair"},
        {"[[\"a\",\"b\"],[\"ab\",\"c\"]]", "7", "no list of merges"},
        {"\"vocab\":{", "\"words\":{", "no model with a vocabulary"},
    };
    for (size_t i = 0; i < countof(lies); i++) {
        char *text = replaced(&arena, good, lies[i].from, lies[i].to);
        expect_error(tokenizer_from_hf(&out, text, strlen(text), &arena), lies[i].what);
    }
    // The older way to write a merge.
    char *text = replaced(&arena, good, "[[\"a\",\"b\"],[\"ab\",\"c\"]]", "[\"a b\",\"ab c\"]");
    assert_null(tokenizer_from_hf(&out, text, strlen(text), &arena));
    expect_same(t, out);
    // Post-processors that add nothing, as transformers saves one.
    static const char *const same[] = {("{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]"
                                       ",\"pair\":[],\"special_tokens\":{}}"),
                                       "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"}]}",
                                       "{\"type\":\"ByteLevel\"}"};
    for (size_t i = 0; i < countof(same); i++) {
        text = replaced(&arena, good, "\"post_processor\":null", arena_printf(&arena, "\"post_processor\":%s", same[i]));
        assert_null(tokenizer_from_hf(&out, text, strlen(text), &arena));
        expect_same(t, out);
    }
    for (size_t n = 0; n < j.n; n += 1 + j.n / 200)
        expect_error(tokenizer_from_hf(&out, good, n, &arena), "no JSON");
    static const char *const odd[] = {"[]", "{}", "{\"model\":{\"vocab\":{}}}", "{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}"};
    for (size_t i = 0; i < countof(odd); i++) {
        struct error *e = tokenizer_from_hf(&out, odd[i], strlen(odd[i]), &arena);
        assert_non_null(e);
        error_free(e);
    }
    json_release(&j);
    arena_release(&arena);
}

// Of a list of one pair a token the pairs are those that the ids come to.
static void one_pair_a_token(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *out, *t = tiny(&arena);
    struct json j = {0};
    assert_null(tokenizer_to_hf(t, &j));
    char *text = replaced(&arena, json_text(&j), "\"ab\":256,\"abc\":257", "\"ab\":256,\"bc\":257,\"abc\":258");
    text = replaced(&arena, text, "\"id\":259", "\"id\":260");
    text = replaced(&arena, text, "\"id\":258", "\"id\":259");
    static const struct {
        const char *merges, *what;
    } cases[] = {{"[[\"a\",\"b\"],[\"b\",\"c\"],[\"ab\",\"c\"]]", NULL},
                 {"[[\"a\",\"b\"],[\"b\",\"c\"],[\"a\",\"bc\"],[\"ab\",\"c\"]]", NULL},
                 {"[[\"a\",\"b\"],[\"b\",\"c\"],[\"a\",\"bc\"]]", "token 258, 'abc', is made of others than by its merges"}};
    for (size_t i = 0; i < countof(cases); i++) {
        char *one = replaced(&arena, text, "[[\"a\",\"b\"],[\"ab\",\"c\"]]", cases[i].merges);
        struct error *e = tokenizer_from_hf(&out, one, strlen(one), &arena);
        if (cases[i].what)
            expect_error(e, cases[i].what);
        else
            assert_null(e);
    }
    json_release(&j);
    arena_release(&arena);
}

static void lies_of_tiktoken(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *out, *t = tiny(&arena);
    struct bytes ranks = {0};
    struct json j = {0};
    assert_null(tokenizer_to_tiktoken(t, &ranks, &j));
    assert_null(bytes_append(&ranks, "", 1));
    const char *good = (const char *)ranks.byte, *settings = json_text(&j);
    static const struct {
        const char *from, *to, *what;
    } lies[] = {
        {"YWJj 257", "YWJj 258", "line 258 has rank '258', not 257"},
        {"YWJj 257", "YWJj 256", "line 258 has rank '256', not 257"},
        {"YWJj 257", "YWJj 0257", "line 258 has rank '0257', not 257"},
        {"YWJj 257", "YWJj  257", "line 258 has rank ' 257', not 257"},
        {"YWJj 257", "YWJj", "line 258 is not the base64"},
        {"YWJj 257", "YWJ 257", "line 258 is not the base64"},
        {"YWJj 257", " 257", "line 258 is not the base64"},
        {"YWJj 257", "YW=j 257", "line 258 is not base64"},
        {"YWJj 257", "YWJ* 257", "line 258 is not base64"},
        {"YWJj 257", "==== 257", "line 258 is not base64"},
        {"YWI= 256", "YWJ= 256", "line 257 is not base64"}, // bits behind the end
        {"YWJj 257", "YWI= 257", "the same 2 bytes"},
        {"Yw== 99", "ZA== 99", "token 99 of the vocabulary is not the byte 99"},
    };
    for (size_t i = 0; i < countof(lies); i++) {
        char *text = replaced(&arena, good, lies[i].from, lies[i].to);
        expect_error(tokenizer_from_tiktoken(&out, text, strlen(text), settings, j.n, &arena), lies[i].what);
    }
    char *gap = replaced(&arena, good, "YWI= 256\n", "");
    expect_error(tokenizer_from_tiktoken(&out, gap, strlen(gap), settings, j.n, &arena), "line 257 has rank '257', not 256");
    expect_error(tokenizer_from_tiktoken(&out, "", 0, settings, j.n, &arena), "special token");
    expect_error(tokenizer_from_tiktoken(&out, "", 0, NULL, 0, &arena), "the vocabulary has 0 tokens");

    static const struct {
        const char *from, *to, *what;
    } settings_lies[] = {
        {"{1,2}", "{1,3}", "split text by another pattern"},
        {"\"pat_str\"", "\"pattern\"", "split text by another pattern: (none)"},
        {"\"special_tokens\"", "\"specials\"", "have no special_tokens"},
        {":259", ":258", "no id of its own from 258 to 259"},
        {":259", ":260", "no id of its own from 258 to 259"},
        {":259", ":257", "no id of its own from 258 to 259"},
        {":259", ":null", "no id of its own from 258 to 259"},
        {"\"<|end|>\"", "\"\"", "no name"},
        {"\"<|end|>\"", "\"<|bos|>\"", "no JSON"},
    };
    for (size_t i = 0; i < countof(settings_lies); i++) {
        char *text = replaced(&arena, settings, settings_lies[i].from, settings_lies[i].to);
        if (strstr(text, "explicit_n_vocab\":260"))
            text = replaced(&arena, text, "explicit_n_vocab\":260", "explicit_n_vocab\":0");
        expect_error(tokenizer_from_tiktoken(&out, good, strlen(good), text, strlen(text), &arena), settings_lies[i].what);
    }
    bytes_release(&ranks);
    json_release(&j);
    arena_release(&arena);
}

// Bytes changed, cut out and doubled anywhere: an error or a sound tokenizer, never a crash.
static void spoilt_files(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t = tiny(&arena), *out;
    struct json hf = {0}, settings = {0};
    struct bytes ranks = {0};
    assert_null(tokenizer_to_hf(t, &hf));
    assert_null(tokenizer_to_tiktoken(t, &ranks, &settings));
    int n_refused = 0;
    for (uint64_t turn = 0; turn < 3000; turn++) {
        bool is_hf = turn % 2;
        size_t n = is_hf ? hf.n : ranks.n, most = n + 64;
        char *text = arena_alloc(&arena, most);
        memcpy(text, is_hf ? hf.text : (const char *)ranks.byte, n);
        for (uint64_t i = 0; i < 1 + turn % 3; i++) {
            static const char signs[] = "\"{}[],:0 ab\\\xE4=\n9";
            size_t at = random_word(turn, 3 * i) % n, length = 1 + random_word(turn, 3 * i + 1) % 16;
            uint32_t how = random_word(turn, 3 * i + 2);
            length = length > n - at ? n - at : length;
            if (how % 3 == 0) {
                text[at] = signs[how / 3 % (sizeof signs - 1)];
            } else if (how % 3 == 1 && length < n) {
                memmove(text + at, text + at + length, n - at - length);
                n -= length;
            } else if (n + length <= most) {
                memmove(text + at + length, text + at, n - at);
                n += length;
            }
        }
        struct arena own = {0};
        struct error *e = is_hf ? tokenizer_from_hf(&out, text, n, &own)
                                : tokenizer_from_tiktoken(&out, text, n, settings.text, settings.n, &own);
        if (!e)
            assert_null(token_table_check(&out->table));
        n_refused += e != NULL;
        error_free(e);
        arena_release(&own);
    }
    assert_true(n_refused > 2000);
    json_release(&hf);
    json_release(&settings);
    bytes_release(&ranks);
    arena_release(&arena);
}

// In a tokenizer.json a special token and a token that reads like it would be one.
static void special_in_the_vocabulary(void **state)
{
    (void)state;
    struct arena arena = {0};
    static const char *const specials[] = {"ab"};
    struct tokenizer *t = tiny(&arena), *own;
    struct token_table table = t->table;
    table.n = 258, table.n_special = 0, table.n_bytes = 261, table.special = NULL;
    assert_null(token_table_add_specials(&table, &arena, specials, 1));
    assert_null(tokenizer_new(&own, &arena, &table));
    struct json j = {0};
    expect_error(tokenizer_to_hf(own, &j), "token 256 is written like the special token 'ab'");
    json_release(&j);
    arena_release(&arena);
}

static void expect_stream(struct encoder *enc, const uint8_t *text, size_t n, uint64_t seed)
{
    struct ids whole = {0}, parts = {0};
    struct encode_stream s = {.enc = enc};
    assert_null(encoder_encode(enc, text, n, &whole));
    for (size_t at = 0, i = 0; at < n; i++) {
        size_t length = 1 + random_word(seed, i) % 60;
        length = length > n - at ? n - at : length;
        assert_null(encode_stream_add(&s, text + at, length, &parts));
        at += length;
    }
    assert_null(encode_stream_end(&s, &parts));
    assert_int_equal(parts.n, whole.n);
    if (whole.n)
        assert_memory_equal(parts.id, whole.id, whole.n * sizeof *whole.id);
    encode_stream_release(&s);
    ids_release(&whole);
    ids_release(&parts);
}

// A file counts bytes by the rule that it was made with.
static void counts_of_a_file(void **state)
{
    (void)state;
    char path[] = "test_exchange.XXXXXX.h5";
    int fd = mkstemps(path, 3);
    assert_true(fd >= 0);
    close(fd);
    struct arena arena = {0};
    struct tokenizer *t = train(&arena, 75), *read;
    struct tokenizer as = *t;
    int32_t *counts = arena_array(&arena, (size_t)t->n_vocab, sizeof *counts);
    const struct store_set *sets;
    struct store_file *file;
    int n_sets;
    for (int rule = 0; rule < 3; rule++) {
        token_bytes_count(&t->table, rule == 1 ? TOKEN_BYTES_2026 : TOKEN_BYTES_2025, counts);
        counts[0] += rule == 2;
        as.token_bytes = counts;
        assert_null(tokenizer_sets(&as, &arena, &sets, &n_sets));
        assert_null(store_save(path, NULL, 0, sets, n_sets));
        assert_null(store_open(&file, path));
        struct error *e = tokenizer_load(file, &arena, &read);
        if (rule == 2)
            expect_error(e, "by no rule that this version knows");
        else
            expect_same(&as, read);
        store_close(file);
    }
    assert_int_equal(t->token_bytes[255], 3);
    unlink(path);
    arena_release(&arena);
}

// Texts full of what borders depend on, cut anywhere.
static void parts_of_a_text(void **state)
{
    (void)state;
    static const char *const bits[] = {" ",        "  ",           "\n",
                                       "\r\n",     "\t",           "a",
                                       "the",      "'s",           "'ll",
                                       "'",        "12",           "345",
                                       "!!",       "\xE3\x80\x80", "\xC2\xA0",
                                       "\xC2\x85", "\xE4\xBD\xA0", "\xE4",
                                       "\xFF",     "\xC5\xBF",     "       \n       ",
                                       "--------"};
    struct arena arena = {0};
    struct tokenizer *t = train(&arena, 75);
    struct encoder enc;
    assert_null(encoder_init(&enc, t));
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct bytes text = {0};
        for (uint64_t i = 0; i < 120; i++) {
            const char *bit = bits[random_word(seed + 1000, i) % countof(bits)];
            assert_null(bytes_append(&text, bit, strlen(bit)));
        }
        expect_stream(&enc, text.byte, text.n, seed);
        bytes_release(&text);
    }
    expect_stream(&enc, NULL, 0, 1);
    // Nothing certain for long, and then little is kept.
    struct encode_stream s = {.enc = &enc};
    struct ids ids = {0};
    for (int i = 0; i < 2000; i++)
        assert_null(encode_stream_add(&s, (const uint8_t *)"aaaaaaaaaaaaaaaa", 16, &ids));
    assert_int_equal(ids.n, 0);
    for (int i = 0; i < 4000; i++)
        assert_null(encode_stream_add(&s, (const uint8_t *)" word word words", 16, &ids));
    assert_true(ids.n > 0);
    assert_true(s.kept.n < 64);
    encode_stream_release(&s);
    ids_release(&ids);
    encoder_release(&enc);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),   cmocka_unit_test(one_pair_a_token), cmocka_unit_test(lies_of_hf),
        cmocka_unit_test(lies_of_tiktoken), cmocka_unit_test(spoilt_files),     cmocka_unit_test(special_in_the_vocabulary),
        cmocka_unit_test(counts_of_a_file), cmocka_unit_test(parts_of_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
