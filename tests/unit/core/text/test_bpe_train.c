// Training: the delta vector of the specification, and a trainer that counts everything anew for every merge.
#include "core/text/bpe_train.h"

#include "core/base/philox.h"
#include "core/text/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct error *train(const char *const *texts, int n_texts, int n_merges, struct arena *arena, struct token_table *out)
{
    struct bpe_trainer *t;
    assert_null(bpe_trainer_new(&t, 1000, 1000000));
    for (int i = 0; i < n_texts; i++)
        assert_null(bpe_trainer_add(t, (const uint8_t *)texts[i], strlen(texts[i]), NULL));
    struct error *e = bpe_trainer_merge(t, n_merges, NULL, NULL, arena, out);
    bpe_trainer_free(t);
    return e;
}

static void expect_merges(const char *text, const char *merges)
{
    struct arena arena = {0};
    struct token_table table;
    char joined[256] = "";
    int n_merges = 1;
    for (const char *c = merges; *c; c++)
        n_merges += *c == '|';
    assert_null(train(&text, 1, n_merges, &arena, &table));
    assert_int_equal(table.n, 256 + n_merges);
    for (int32_t id = 256; id < table.n; id++) {
        size_t n;
        const uint8_t *bytes = token_table_bytes(&table, id, &n);
        strncat(joined, (const char *)bytes, n);
        if (id + 1 < table.n)
            strcat(joined, "|");
    }
    assert_string_equal(joined, merges);
    arena_release(&arena);
}

static void delta_vector(void **state)
{
    (void)state;
    // aaaaa: (a,a) counts 4. Merged it is n n a: (n,n) and (n,a) count 1, and (n,a) has the smaller right id: aaa; then n + aaa.
    expect_merges("aaaaa", "aa|aaa|aaaaa");
    // With aaaa once more (n,n) counts 2 and goes first.
    expect_merges("aaaaa1aaaa", "aa|aaaa|aaaaa");
}

static void ties_to_the_smallest_pair(void **state)
{
    (void)state;
    expect_merges("cd1ab1bb1ba", "ab|ba|bb|cd");
    // Overlaps count: (a,a) twice in aaa beats (b,c) once, and once more beats nothing.
    expect_merges("aaa1bc", "aa|bc|aaa");
}

static void stops_and_cuts(void **state)
{
    (void)state;
    struct bpe_trainer *t;
    int64_t taken;
    assert_null(bpe_trainer_new(&t, 3, 7));
    assert_null(bpe_trainer_add(t, (const uint8_t *)"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 8, &taken));
    assert_int_equal(taken, 3);
    assert_null(bpe_trainer_add(t, (const uint8_t *)"ab", 2, &taken));
    assert_int_equal(taken, 2);
    assert_null(bpe_trainer_add(t, (const uint8_t *)"ab", 2, &taken));
    assert_false(bpe_trainer_full(t)); // 7 is not above 7
    assert_null(bpe_trainer_add(t, (const uint8_t *)"x", 1, &taken));
    assert_true(bpe_trainer_full(t));
    assert_null(bpe_trainer_count(t));
    struct bpe_totals totals = bpe_trainer_totals(t);
    assert_int_equal(totals.documents, 4);
    assert_int_equal(totals.chars, 8);
    assert_int_equal(totals.bytes, 11);
    assert_int_equal(totals.pieces, 4);
    assert_int_equal(totals.distinct, 3);
    assert_int_equal(totals.distinct_bytes, 6 + 2 + 1);
    bpe_trainer_free(t);
}

static void too_few_merges(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct token_table table;
    const char *text = "abc ab";
    struct error *e = train(&text, 1, 5, &arena, &table);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_RECIPE);
    assert_non_null(strstr(e->what, "3 merges"));
    assert_non_null(strstr(e->what, "largest vocabulary is 268"));
    error_free(e);
    assert_null(train(&text, 1, 3, &arena, &table));
    assert_null(train(NULL, 0, 0, &arena, &table));
    assert_int_equal(table.n, 256);
    arena_release(&arena);
    struct bpe_trainer *t;
    e = bpe_trainer_new(&t, 0, 10);
    assert_int_equal(e->kind, ERROR_RECIPE);
    error_free(e);
}

// All pieces of all texts as ids, uncounted and unsorted.
struct slow {
    int ids[512], n[256], n_words, start[256];
};

static bool slow_merge(struct slow *s, int made, int *left, int *right)
{
    static int counts[300][300];
    memset(counts, 0, sizeof counts);
    int best = 0;
    for (int w = 0; w < s->n_words; w++)
        for (int i = 0; i + 1 < s->n[w]; i++)
            counts[s->ids[s->start[w] + i]][s->ids[s->start[w] + i + 1]]++;
    for (int a = 0; a < 300; a++)
        for (int b = 0; b < 300; b++)
            if (counts[a][b] > best) {
                best = counts[a][b];
                *left = a;
                *right = b;
            }
    for (int w = 0; best && w < s->n_words; w++) {
        int *ids = s->ids + s->start[w], out = 0;
        for (int i = 0; i < s->n[w]; out++) {
            bool here = i + 1 < s->n[w] && ids[i] == *left && ids[i + 1] == *right;
            ids[out] = here ? made : ids[i];
            i += here ? 2 : 1;
        }
        s->n[w] = out;
    }
    return best > 0;
}

static void like_counting_anew(void **state)
{
    (void)state;
    struct philox random = philox_for(2, PHILOX_SAMPLE);
    for (uint64_t round = 0; round < 300; round++) {
        uint32_t words[4];
        philox_words(random, round, 0, words);
        char text[256];
        int n = 20 + (int)(words[0] % 200), letters = 1 + (int)(words[1] % 4), n_merges = 1 + (int)(words[2] % 30);
        for (int i = 0; i < n; i++) {
            philox_words(random, round, 1 + (uint64_t)i, words);
            text[i] = round % 4 && words[0] % 8 == 0 ? '\n' : (char)('a' + words[1] % (uint32_t)letters);
        }
        text[n] = 0;
        struct slow slow = {0};
        int used = 0;
        for (size_t at = 0, end; at < (size_t)n; at = end) {
            end = split_next((const uint8_t *)text, (size_t)n, at);
            slow.start[slow.n_words] = used;
            slow.n[slow.n_words++] = (int)(end - at);
            for (size_t i = at; i < end; i++)
                slow.ids[used++] = (uint8_t)text[i];
        }
        struct arena arena = {0};
        struct token_table table = {0};
        const char *texts[] = {text};
        struct error *e = train(texts, 1, n_merges, &arena, &table);
        char bytes[300][256] = {{0}};
        for (int i = 0; i < 256; i++)
            bytes[i][0] = (char)i;
        int made = 256, left = 0, right = 0;
        bool twice = false;
        for (; made < 256 + n_merges && slow_merge(&slow, made, &left, &right); made++) {
            snprintf(bytes[made], sizeof bytes[made], "%.120s%.120s", bytes[left], bytes[right]);
            for (int i = 256; i < made; i++)
                twice |= strcmp(bytes[i], bytes[made]) == 0;
            if (e)
                continue;
            size_t length;
            const uint8_t *ours = token_table_bytes(&table, made, &length);
            assert_int_equal(length, strlen(bytes[made]));
            assert_memory_equal(ours, bytes[made], length);
        }
        if (e) {
            assert_int_equal(e->kind, made < 256 + n_merges ? ERROR_RECIPE : ERROR_DATA);
            assert_true(made < 256 + n_merges || twice);
        } else {
            assert_int_equal(made, table.n);
            assert_false(twice);
        }
        error_free(e);
        arena_release(&arena);
    }
}

static void count_calls(void *context, int64_t done, int64_t total)
{
    int64_t *last = context;
    assert_true(done > *last && done <= total);
    *last = done;
}

// Many different words of all lengths: tables grow, long pieces go through the side buffer; any order of documents will do.
static void order_does_not_matter(void **state)
{
    (void)state;
    enum { N = 5000, MERGES = 600 };
    struct token_table tables[2];
    struct arena arena = {0};
    struct philox random = philox_for(3, PHILOX_SAMPLE);
    for (int pass = 0; pass < 2; pass++) {
        struct bpe_trainer *t;
        assert_null(bpe_trainer_new(&t, 10000, 1 << 30));
        for (int k = 0; k < N; k++) {
            uint64_t document = pass ? (uint64_t)(N - 1 - k) : (uint64_t)k;
            uint32_t words[4];
            uint8_t text[64];
            philox_words(random, document, 0, words);
            size_t n = 1 + words[0] % sizeof text;
            for (size_t i = 0; i < n; i++) {
                philox_words(random, document, 1 + i, words);
                text[i] = (uint8_t)("etaoin shrdlu\n'19\xC3\xA9"[words[0] % 20]);
            }
            assert_null(bpe_trainer_add(t, text, n, NULL));
        }
        int64_t last = 0;
        assert_null(bpe_trainer_merge(t, MERGES, count_calls, &last, &arena, &tables[pass]));
        assert_int_equal(last, MERGES);
        bpe_trainer_free(t);
    }
    assert_int_equal(tables[0].n_bytes, tables[1].n_bytes);
    assert_memory_equal(tables[0].bytes, tables[1].bytes, tables[0].n_bytes);
    assert_memory_equal(tables[0].offsets, tables[1].offsets, (256 + MERGES + 1) * sizeof(int64_t));
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delta_vector),   cmocka_unit_test(ties_to_the_smallest_pair), cmocka_unit_test(stops_and_cuts),
        cmocka_unit_test(too_few_merges), cmocka_unit_test(like_counting_anew),        cmocka_unit_test(order_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
