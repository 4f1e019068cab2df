// Pieces of up to megabytes: the ids of a plain reference, and work that grows no faster than n log n.
//
// The reference keeps the rank of every two neighbours in the leaves of a tree of minima: the root is the lowest, the leftmost among
// equals. A merge changes three leaves. That is O(n log n) and, beside the tree, the rule word for word.
#include "core/text/tokenizer.h"

#include "core/base/philox.h"
#include "core/text/bpe_train.h"
#include "core/text/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reference {
    const struct token_table *table;
    int32_t *sorted; // ids in the order of their bytes
    int32_t n_sorted;
};

static int compare_bytes(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b)
{
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int by_bytes(const void *a, const void *b, void *table)
{
    size_t n_a, n_b;
    const uint8_t *p_a = token_table_bytes(table, *(const int32_t *)a, &n_a),
                  *p_b = token_table_bytes(table, *(const int32_t *)b, &n_b);
    return compare_bytes(p_a, n_a, p_b, n_b);
}

static struct reference reference_for(const struct token_table *table)
{
    struct reference r = {table, test_malloc((size_t)table->n * sizeof(int32_t)), table->n - table->n_special};
    for (int32_t id = 0; id < r.n_sorted; id++)
        r.sorted[id] = id;
    qsort_r(r.sorted, (size_t)r.n_sorted, sizeof *r.sorted, by_bytes, (void *)table);
    return r;
}

static int32_t find(const struct reference *r, const uint8_t *p, size_t n)
{
    for (int32_t low = 0, high = r->n_sorted; low < high;) {
        int32_t middle = low + (high - low) / 2;
        size_t length;
        const uint8_t *bytes = token_table_bytes(r->table, r->sorted[middle], &length);
        int order = compare_bytes(bytes, length, p, n);
        if (order == 0)
            return r->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return INT32_MAX;
}

// Sets leaf i of the tree, whose leaves are tree[size .. 2*size-1], and the minima above it.
static void set_leaf(int32_t *tree, size_t size, size_t i, int32_t rank)
{
    tree[size + i] = rank;
    for (i = (size + i) / 2; i > 0; i /= 2)
        tree[i] = tree[2 * i] < tree[2 * i + 1] ? tree[2 * i] : tree[2 * i + 1];
}

static size_t leftmost(const int32_t *tree, size_t size)
{
    size_t i = 1;
    while (i < size)
        i = tree[2 * i] == tree[i] ? 2 * i : 2 * i + 1;
    return i - size;
}

// The ids of one piece into id[n]; returns how many.
static size_t encode(const struct reference *r, const uint8_t *p, size_t n, int32_t *id)
{
    size_t size = 1;
    while (size < n)
        size *= 2;
    int32_t *tree = test_malloc(2 * size * sizeof *tree);
    size_t *next = test_malloc((n + 1) * sizeof *next),
           *before = test_malloc((n + 1) * sizeof *before); // starts of the neighbours
    for (size_t i = 0; i < 2 * size; i++)
        tree[i] = INT32_MAX;
    for (size_t i = 0; i < n; i++) {
        next[i] = i + 1;
        before[i + 1] = i;
    }
    next[n] = n;
    for (size_t i = 0; i + 1 < n; i++)
        set_leaf(tree, size, i, find(r, p + i, 2));
    while (tree[1] != INT32_MAX && find(r, p, n) == INT32_MAX) {
        size_t i = leftmost(tree, size), gone = next[i], end = next[gone];
        next[i] = end;
        before[end] = i;
        set_leaf(tree, size, gone, INT32_MAX);
        set_leaf(tree, size, i, end < n ? find(r, p + i, next[end] - i) : INT32_MAX);
        if (i > 0)
            set_leaf(tree, size, before[i], find(r, p + before[i], end - before[i]));
    }
    size_t n_ids = 0;
    if (find(r, p, n) != INT32_MAX)
        id[n_ids++] = find(r, p, n);
    else
        for (size_t i = 0; i < n; i = next[i])
            id[n_ids++] = find(r, p + i, next[i] - i);
    test_free(tree);
    test_free(next);
    test_free(before);
    return n_ids;
}

static struct tokenizer *trained(struct arena *arena)
{
    struct token_table table;
    struct tokenizer *t;
    struct bpe_trainer *trainer;
    struct philox random = philox_for(14, PHILOX_SAMPLE);
    assert_null(bpe_trainer_new(&trainer, 10000, 1 << 30));
    for (uint64_t document = 0; document < 500; document++) {
        uint8_t text[200];
        uint32_t words[4];
        for (size_t i = 0; i < sizeof text; i++) {
            philox_words(random, document, i, words);
            text[i] = (uint8_t)("aaaabbcd--==\xC3\xA9  "[words[0] % 16]);
        }
        assert_null(bpe_trainer_add(trainer, text, sizeof text, NULL));
    }
    static const char runs[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1                                         "
                               "1--------------------------------------";
    for (int i = 0; i < 50; i++)
        assert_null(bpe_trainer_add(trainer, (const uint8_t *)runs, sizeof runs - 1, NULL));
    assert_null(bpe_trainer_merge(trainer, 400, NULL, NULL, arena, &table));
    bpe_trainer_free(trainer);
    assert_null(tokenizer_new(&t, arena, &table));
    return t;
}

static void same_ids(struct encoder *enc, const struct reference *r, const uint8_t *text, size_t n)
{
    struct ids ids = {0};
    int32_t *expected = test_malloc(n * sizeof *expected);
    size_t used = 0;
    assert_null(encoder_encode(enc, text, n, &ids));
    for (size_t at = 0, end; at < n; at = end) {
        end = split_next(text, n, at);
        used += encode(r, text + at, end - at, expected + used);
    }
    assert_int_equal(used, ids.n);
    assert_memory_equal(expected, ids.id, used * sizeof *expected);
    test_free(expected);
    ids_release(&ids);
}

static void like_the_reference(void **state)
{
    (void)state;
    static const char *const alphabets[] = {"a", "ab", "aab", "abcd", "-", "-=", "--=", " ", " \n", "\xC3\xA9", "aaab\xC3\xA9"};
    struct arena arena = {0};
    struct tokenizer *t = trained(&arena);
    struct reference r = reference_for(&t->table);
    struct encoder enc;
    assert_null(encoder_init(&enc, t));
    struct philox random = philox_for(15, PHILOX_SAMPLE);
    enum { LONGEST = 300000 };
    uint8_t *text = test_malloc(LONGEST);
    for (uint64_t i = 0; i < countof(alphabets); i++) {
        size_t letters = strlen(alphabets[i]);
        static const size_t sizes[] = {64, 65, 66, 1000, LONGEST};
        for (size_t k = 0; k < countof(sizes); k++) {
            for (size_t at = 0; at < sizes[k]; at++) {
                uint32_t words[4];
                philox_words(random, i * countof(sizes) + k, at / 4, words);
                text[at] = (uint8_t)alphabets[i][strchr(alphabets[i], '\xC3') ? at % letters : words[at % 4] % letters];
            }
            same_ids(&enc, &r, text, sizes[k]);
        }
    }
    test_free(text);
    test_free(r.sorted);
    encoder_release(&enc);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
