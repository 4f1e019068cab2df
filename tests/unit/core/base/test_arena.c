// test_arena.c - alignment, zeroes, marks, sizes that do not fit.
#include "tests/unit/folder.h"

#include "core/base/arena.h"

static void blocks_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct arena a = {0};
    struct {
        unsigned char *p;
        size_t n;
    } all[2000];
    size_t asked = 0;
    for (size_t i = 0; i < countof(all); i++) {
        all[i].n = i % 7 == 0 ? i * 40 : i % 130;
        all[i].p = arena_alloc(&a, all[i].n);
        assert_non_null(all[i].p);
        assert_int_equal((uintptr_t)all[i].p % (all[i].n >= 64 ? 64 : 16), 0);
        for (size_t k = 0; k < all[i].n; k++)
            assert_int_equal(all[i].p[k], 0);
        memset(all[i].p, (int)(i % 251 + 1), all[i].n);
        asked += all[i].n;
    }
    assert_int_equal(a.used_bytes, asked);
    for (size_t i = 0; i < countof(all); i++)
        for (size_t k = 0; k < all[i].n; k++)
            assert_int_equal(all[i].p[k], i % 251 + 1);
    arena_release(&a);
    assert_null(a.last);
    assert_int_equal(a.used_bytes, 0);
    arena_release(&a);
}

static void a_mark_takes_back_what_came_after(void **state)
{
    (void)state;
    struct arena a = {0};
    char *kept = arena_strdup(&a, "kept");
    struct arena_mark mark = arena_mark(&a);
    char *first = arena_alloc(&a, 100);
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&a, 30000), 1, 30000);
    arena_reset(&a, mark);
    assert_string_equal(kept, "kept");
    assert_int_equal(a.used_bytes, 5);
    char *again = arena_alloc(&a, 100);
    assert_ptr_equal(again, first);
    assert_int_equal(again[99], 0);
    arena_release(&a);

    struct arena_mark empty = arena_mark(&a);
    arena_alloc(&a, 10);
    arena_reset(&a, empty);
    assert_null(a.last);
}

static void texts_and_arrays(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&a, NULL, 0), "");
    assert_string_equal(arena_printf(&a, "%d of %s", 3, "x"), "3 of x");
    int *old = arena_array(&a, 3, sizeof *old);
    old[2] = 7;
    int *grown = arena_grow(&a, old, 3, 100, sizeof *old);
    assert_int_equal(grown[2], 7);
    assert_int_equal(grown[99], 0);
    assert_non_null(arena_grow(&a, NULL, 0, 4, 8));
    arena_release(&a);
}

static void what_does_not_fit_is_null(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX / 3));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_grow(&a, NULL, 0, SIZE_MAX / 4, 8));
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    assert_null(block_alloc(SIZE_MAX));
    assert_non_null(arena_alloc(&a, 1)); // and goes on
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_release(&a);
}

static void bare_blocks(void **state)
{
    (void)state;
    char *p = block_resize(NULL, 0, 10);
    strcpy(p, "123456789");
    p = block_resize(p, 10, 1000);
    assert_string_equal(p, "123456789");
    p = block_resize(p, 1000, 3);
    assert_memory_equal(p, "123", 3);
    assert_int_equal((uintptr_t)p % 64, 0);
    block_free(p);
    block_free(NULL);
    p = block_alloc(0);
    assert_non_null(p);
    block_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_aligned_zeroed_and_apart),
                                       cmocka_unit_test(a_mark_takes_back_what_came_after), cmocka_unit_test(texts_and_arrays),
                                       cmocka_unit_test(what_does_not_fit_is_null), cmocka_unit_test(bare_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
