// test_shuffle.c - first draws of numpy 2.4 and Python 3, fingerprints of the 2025-10 reference run, and its golden orders.
#include "tests/unit/folder.h"

#include <jansson.h>

#include "core/base/shuffle.h"

enum { MOST_ROWS = 700000, MOST_FIRST = 10 };

static int64_t order[MOST_ROWS];

static void generators(void **state)
{
    (void)state;
    struct numpy_random n;
    numpy_random_init(&n, 42); // 274674114334540486603088602300644985544 and 332724090758049132448979897138935081983
    assert_true(n.state[1] == 0xCEA44F6798798F2Au && n.state[0] == 0xACBC7C9D68860AC8u);
    assert_true(n.increment[1] == 0xFA505436C9A8416Eu && n.increment[0] == 0x66CAF2E28D25ABFFu);
    assert_true(numpy_random_u64(&n) == 0xC621FBCD16D92688u);
    assert_true(numpy_random_u64(&n) == 0x705A5661A791FFC1u);
    assert_true(numpy_random_u64(&n) == 0xDBCD12C26EDA1624u);
    numpy_random_init(&n, 42);
    assert_true(numpy_random_u32(&n) == 0x16D92688u && numpy_random_u32(&n) == 0xC621FBCDu);
    assert_true(numpy_random_u32(&n) == 0xA791FFC1u);

    struct python_random p;
    python_random_init(&p, 42);
    assert_true(python_random_u32(&p) == 2746317213u && python_random_u32(&p) == 478163327u);
    assert_true(python_random_u32(&p) == 107420369u);
    python_random_init(&p, 1337);
    assert_true(python_random_u32(&p) == 0x9E250D03u);
}

struct known {
    uint64_t seed;
    int64_t n, first[MOST_FIRST + 1]; // -1 behind the last
};

static void check_order(const int64_t *first, int64_t n)
{
    static char seen[MOST_ROWS];
    for (int i = 0; i < MOST_FIRST && first[i] >= 0; i++)
        assert_int_equal(order[i], first[i]);
    memset(seen, 0, sizeof seen);
    for (int64_t i = 0; i < n; i++) {
        assert_true(order[i] >= 0 && order[i] < n && !seen[order[i]]);
        seen[order[i]] = 1;
    }
}

static void numpy_orders(void **state)
{
    (void)state;
    static const struct known known[] = {
        {42, 7473, {3082, 2184, 5897, 2437, 6330, 819, -1}},
        {42, 1319, {30, 754, 429, 1010, 1284, 953, -1}},
        {42, 2251, {1577, 47, 1314, 83, 1575, 713, -1}},
        {42, 2376, {658, 1619, 1811, 47, 1494, 1273, -1}},
        {42, 1119, {236, 874, 142, 684, 885, 83, -1}},
        {42, 1172, {771, 1124, 636, 340, 696, 831, -1}},
        {42, 99842, {83367, 7161, 20507, 62180, 87154, 97839, -1}},
        {42, 14042, {1469, 122, 5555, 7550, 10165, 13363, -1}},
        {42, 460341, {21697, 61600, 155055, 325090, 320249, 306258, -1}},
        {42, 24229, {1356, 12407, 12885, 5041, 13554, 10976, -1}},
        {42, 164, {52, 134, 51, 66, 147, 101, -1}},
        {0, 10, {4, 6, 2, 7, 3, 5, -1}},
        {1, 100, {48, 8, 16, 81, 6, 99, -1}},
        {UINT64_C(1) << 32, 1000, {144, 255, 317, 766, 751, 94, -1}},
        {12345678901234567890u, 77, {26, 29, 50, 46, 2, 57, -1}},
        {UINT64_MAX, 4097, {892, 1566, 2435, 1811, 2209, 2285, -1}},
        {5, 1, {0, -1}},
        {5, 0, {-1}},
    };
    for (size_t i = 0; i < countof(known); i++) {
        assert_good(shuffle_numpy(known[i].seed, known[i].n, order));
        check_order(known[i].first, known[i].n);
    }
}

static void python_orders(void **state)
{
    (void)state;
    static const struct known known[] = {
        {42, 20843, {12754, 10260, 19870, 8705, 9824, 6593, 18674, 3521, -1}},
        {42, 567656, {554628, 499021, 544800, 39822, 6030, 541849, -1}},
        {42, 29849, {6120, 24308, 3422, 17273, 18178, 25480, -1}},
        {1337, 500, {64, 427, 144, 443, 171, 97, -1}},
        {1337, 1221, {1008, 921, 367, 870, 798, 30, -1}},
        {1337, 10042, {8547, 6745, 5202, 8796, 2773, 4759, -1}},
        {0, 10, {7, 8, 1, 5, 3, 4, -1}},
        {1, 100, {53, 37, 65, 51, 4, 20, -1}},
        {UINT64_C(1) << 32, 1000, {965, 826, 276, 153, 54, 689, -1}},
        {12345678901234567890u, 77, {37, 75, 26, 55, 63, 3, -1}},
        {UINT64_MAX, 4097, {186, 938, 2506, 2418, 2863, 3553, -1}},
        {7, 65536, {40082, 9364, 52274, 899, 57222, 800, -1}},
        {5, 1, {0, -1}},
        {5, 0, {-1}},
    };
    for (size_t i = 0; i < countof(known); i++) {
        assert_good(shuffle_python(known[i].seed, known[i].n, order));
        check_order(known[i].first, known[i].n);
    }
}

// Few-shot examples of row idx out of n: seeded 1234 + idx, drawn from the others.
static void draw_shots(int64_t n, int64_t idx, int64_t k, int64_t *shots)
{
    assert_good(shuffle_sample(1234 + (uint64_t)idx, n - 1, k, shots));
    for (int64_t i = 0; i < k; i++)
        shots[i] += shots[i] >= idx;
}

static void shots(void **state)
{
    (void)state;
    static const struct {
        int64_t n, idx, k, shots[10];
    } known[] = {
        {500, 0, 10, {495, 399, 226, 60, 4, 47, 467, 483, 481, 414}},
        {500, 7, 10, {309, 254, 392, 109, 145, 130, 478, 100, 365, 252}},
        {1221, 0, 10, {903, 240, 16, 186, 1193, 72, 172, 202, 727, 485}},
        {230, 0, 3, {200, 113, 30}},
        {32, 0, 10, {31, 25, 15, 4, 1, 3, 19, 2, 22, 26}},
    };
    for (size_t i = 0; i < countof(known); i++) {
        int64_t drawn[10];
        draw_shots(known[i].n, known[i].idx, known[i].k, drawn);
        assert_memory_equal(drawn, known[i].shots, (size_t)known[i].k * sizeof *drawn);
    }
}

static void samples(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        int64_t n, k, first[7], last;
    } known[] = {
        // At the borders between both ways of drawing.
        {1, 21, 3, {4, 18, 2, -1}, 2},
        {1, 22, 3, {4, 18, 2, -1}, 2},
        {UINT64_C(1) << 40, 85, 10, {13, 45, 8, 54, 6, 49, -1}, 50},
        {UINT64_C(1) << 40, 86, 10, {13, 45, 85, 8, 54, 6, -1}, 71},
        {9, 4117, 1365, {3792, 3058, 2188, 1134, 1524, 52, -1}, 2431},
        {9, 4118, 1365, {3792, 3058, 2188, 1134, 1524, 52, -1}, 2871},
        // Elsewhere.
        {0, 5, 5, {3, 4, 0, 1, 2, -1}, 2},
        {5, 1000000, 8, {653159, 267853, 777820, 375951, 833820, 723985, -1}, 882388},
        {9, 4000, 2000, {1896, 2511, 1529, 1094, 567, 762, -1}, 2062},
        {3, UINT32_MAX, 4, {1022050301, 2545373330, 2337446730, 560161641, -1}, 560161641},
        {4, 1, 1, {0, -1}, 0},
    };
    for (size_t i = 0; i < countof(known); i++) {
        assert_good(shuffle_sample(known[i].seed, known[i].n, known[i].k, order));
        for (int j = 0; known[i].first[j] >= 0; j++)
            assert_int_equal(order[j], known[i].first[j]);
        assert_int_equal(order[known[i].k - 1], known[i].last);
    }
    assert_good(shuffle_sample(1, 0, 0, order));
    assert_good(shuffle_sample(1, 50, 0, order));
}

static void rl_seeds(void **state)
{
    (void)state;
    assert_int_equal(shuffle_rl_seed(0, 0, 0), 360982090);
    assert_int_equal(shuffle_rl_seed(0, 0, 1), 2028520220);
    assert_int_equal(shuffle_rl_seed(1, 8, 0), 1933124343);
    assert_int_equal(shuffle_rl_seed(466, 7472, 1), 722742640);
    assert_int_equal(shuffle_rl_seed(5, 6, 7), 2147015344);
    assert_int_equal(shuffle_rl_seed(UINT64_C(1) << 40, 3, (UINT64_C(1) << 61) - 2), 1064899240);
}

static void counts_are_checked(void **state)
{
    (void)state;
    assert_error(shuffle_numpy(42, -1, order), ERROR_DATA, "-1 rows");
    assert_error(shuffle_python(42, INT64_C(1) << 32, order), ERROR_DATA, "4294967296 rows");
    assert_error(shuffle_sample(42, INT64_MAX, 1, order), ERROR_DATA, "rows");
    assert_error(shuffle_sample(42, 3, 4, order), ERROR_DATA, "4 different ones of 3");
    assert_error(shuffle_sample(42, 3, -1, order), ERROR_DATA, "-1 different ones of 3");
}

static int64_t number(const json_t *list, size_t i)
{
    return json_integer_value(json_array_get(list, i));
}

static void golden_mixture(const json_t *lengths, const json_t *expected)
{
    int64_t n = 0;
    for (size_t t = 0; t < json_array_size(lengths); t++)
        n += number(lengths, t);
    assert_int_equal(n, json_integer_value(json_object_get(expected, "size")));
    assert_true(n <= MOST_ROWS);
    assert_good(shuffle_python(42, n, order));
    const json_t *first = json_object_get(expected, "first");
    assert_true(json_array_size(first) > 0);
    for (size_t i = 0; i < json_array_size(first); i++) {
        int64_t row = order[i];
        size_t task = 0;
        while (row >= number(lengths, task))
            row -= number(lengths, task++);
        assert_int_equal(task, number(json_array_get(first, i), 0));
        assert_int_equal(row, number(json_array_get(first, i), 1));
    }
}

static void golden_dataset(const json_t *input, const json_t *expected)
{
    int64_t n = json_integer_value(json_object_get(input, "rows"));
    assert_true(n > 0 && n <= MOST_ROWS && (int64_t)json_array_size(expected) <= n);
    assert_good(shuffle_numpy((uint64_t)json_integer_value(json_object_get(input, "seed")), n, order));
    for (size_t i = 0; i < json_array_size(expected); i++)
        assert_int_equal(order[i], number(expected, i));
}

static void golden_shots(const json_t *input, const json_t *expected)
{
    int64_t k = json_integer_value(json_object_get(input, "shots")), drawn[10];
    expected = json_object_get(expected, "fewshot");
    assert_true(k >= 0 && k <= 10 && (int64_t)json_array_size(expected) == k);
    draw_shots(json_integer_value(json_object_get(input, "rows")), json_integer_value(json_object_get(input, "index")), k, drawn);
    for (int64_t i = 0; i < k; i++)
        assert_int_equal(drawn[i], number(expected, (size_t)i));
}

static void golden(void **state)
{
    (void)state;
    FILE *f = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!f) {
        print_message("no golden cases in " RETORT_SHARED "/golden\n");
        skip();
    }
    int n_mixture = 0, n_dataset = 0, n_seed = 0, n_shots = 0;
    json_t *line;
    while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
        const char *name = json_string_value(json_object_get(line, "case"));
        const json_t *input = json_object_get(line, "input"), *expected = json_object_get(line, "expected");
        assert_non_null(name);
        if (!strcmp(name, "mixture_order")) {
            golden_mixture(json_object_get(input, "lengths"), expected);
            n_mixture++;
        } else if (!strcmp(name, "dataset_shuffle")) {
            golden_dataset(input, expected);
            n_dataset++;
        } else if (!strcmp(name, "rl_seed")) {
            assert_int_equal(shuffle_rl_seed((uint64_t)number(input, 0), (uint64_t)number(input, 1), (uint64_t)number(input, 2)),
                             json_integer_value(expected));
            n_seed++;
        } else if (!strcmp(name, "core_prompts")) {
            golden_shots(input, expected);
            n_shots++;
        }
        json_decref(line);
    }
    fclose(f);
    assert_true(n_mixture >= 6 && n_dataset >= 20 && n_seed >= 5 && n_shots >= 54);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generators),
        cmocka_unit_test(numpy_orders),
        cmocka_unit_test(python_orders),
        cmocka_unit_test(shots),
        cmocka_unit_test(samples),
        cmocka_unit_test(rl_seeds),
        cmocka_unit_test(counts_are_checked),
        cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
