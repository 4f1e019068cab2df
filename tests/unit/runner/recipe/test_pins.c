// test_pins.c - addresses, and the list of what was fetched from them: what it refuses stands in tests/e2e/test_fetch.py.
#include "runner/recipe/pins.h"

#include "core/store/atomic.h"
#include "runner/recipe/address.h"
#include "tests/unit/folder.h"

static struct arena arena;

static const char SHA[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"https://host/a",
                                       "https://a.b-c.de:8443/x/y_{00..09}.parquet",
                                       "https://h/%2e%2e/%20a",
                                       "https://h/..a/.b/c..",
                                       "https://H/~user/a+b,c;d=e@f!g",
                                       "https://[::1]/a",
                                       "https://[2001:DB8::ffff:1.2.3.4]:8443/a"};
    static const char *const bad[] = {"https://",         "https://h",           "https://h/",         "https://h/a/",
                                      "https://h/../a",   "https://h/./a",       "https://h/a/..",     "https://h//a",
                                      "https://h/a b",    "https://h/a?b",       "https://h/a#b",      "https://u@h/a",
                                      "https://u:p@h/a",  "https://h:/a",        "https://h:123456/a", "https://h:1a/a",
                                      "https://.h/a",     "https://-h/a",        "https://h_/a",       "https://[::1/a",
                                      "https://h/a\n",    "https://h/\xc3\xa4",  "https://h/a.part",   "https://h/a\\..\\b",
                                      "https://[]/a",     "https://[1.2.3.4]/a", "https://[::g]/a",    "https://[::1]:/a",
                                      "https://[::1]a/b", "https://::1/a"};
    for (size_t i = 0; i < countof(good); i++)
        assert_good(address_check(good[i], NOWHERE));
    for (size_t i = 0; i < countof(bad); i++) {
        struct error *e = address_check(bad[i], NOWHERE);
        if (!e)
            fail_msg("'%s' is taken", bad[i]);
        assert_int_equal(e->kind, ERROR_RECIPE);
        assert_non_null(e->fix);
        error_free(e);
    }
    assert_true(address_is("https://x"));
    assert_false(address_is("http://x") || address_is("/a/https://x") || address_is(""));
    assert_string_equal(address_file(&arena, "res", "https://HOST:8443/A/b"), "res/data/host:8443/A/b");
    assert_string_equal(address_file(&arena, "res", "https://[2001:DB8::1]:1/A"), "res/data/[2001:db8::1]:1/A");
}

static void put(struct pins *pins, const char *url, int64_t bytes, const char *etag)
{
    assert_good(pins_put(pins, &(struct pin){.url = url, .bytes = bytes, .sha256 = SHA, .etag = etag}));
}

static void written_and_read(void **state)
{
    (void)state;
    struct pins pins, again;
    assert_good(pins_read(&pins, "web.yaml", &arena));
    assert_string_equal(pins.path, "web.data.yaml");
    assert_int_equal(pins.n, 0);
    put(&pins, "https://h/b", 12, "\"a\\\"b\"");
    put(&pins, "https://h/a", -1, NULL);
    put(&pins, "https://h/c", 0, "W/\"x\"");
    assert_good(pins_write(&pins));
    assert_good(pins_read(&again, "web.yaml", &arena));
    assert_int_equal(again.n, 3);
    const struct pin *b = pins_find(&again, "https://h/b");
    assert_non_null(b);
    assert_int_equal(b->bytes, 12);
    assert_string_equal(b->etag, "\"a\\\"b\"");
    assert_string_equal(b->sha256, SHA);
    assert_int_equal(b->at.line, 6);
    assert_int_equal(pins_find(&again, "https://h/a")->bytes, -1);
    assert_null(pins_find(&again, "https://h/a")->etag);
    assert_null(pins_find(&again, "https://h/"));
    assert_null(pins_find(&again, "https://h/d"));
}

// Each process knows of the file only what stood there when it began.
static void two_writers(void **state)
{
    (void)state;
    struct pins one, two, all;
    assert_good(pins_read(&one, "both.yaml", &arena));
    assert_good(pins_read(&two, "both.yaml", &arena));
    put(&one, "https://h/1", 1, NULL);
    put(&two, "https://h/2", 2, NULL);
    assert_good(pins_write(&one));
    assert_good(pins_write(&two));
    put(&one, "https://h/3", 3, NULL);
    assert_good(pins_write(&one));
    assert_good(pins_read(&all, "both.yaml", &arena));
    assert_int_equal(all.n, 3);

    assert_good(pins_put(&two, &(struct pin){.url = "https://h/3", .bytes = 3, .sha256 = arena_printf(&arena, "%.63s0", SHA)}));
    assert_error(pins_write(&two), ERROR_DATA, "another process found something else");
    assert_good(pins_read(&all, "both.yaml", &arena));
    assert_string_equal(pins_find(&all, "https://h/3")->sha256, SHA);
}

static void a_damaged_list_is_not_written_over(void **state)
{
    (void)state;
    struct pins pins;
    char *text;
    size_t n;
    assert_good(pins_read(&pins, "hurt.yml", &arena));
    put(&pins, "https://h/1", 1, NULL);
    assert_good(atomic_write("hurt.data.yaml", "retort: [", 9));
    struct error *e = pins_write(&pins);
    assert_non_null(e);
    assert_string_equal(e->at.file, "hurt.data.yaml");
    error_free(e);
    assert_good(file_read("hurt.data.yaml", 100, &arena, &text, &n));
    assert_string_equal(text, "retort: [");
}

static void many(void **state)
{
    (void)state;
    struct pins pins, again;
    assert_good(pins_read(&pins, "many.yaml", &arena));
    for (int i = 0; i < MOST_PINS; i++)
        put(&pins, arena_printf(&arena, "https://host/folder/shard_%05d.parquet", i * 7919 % MOST_PINS), i,
            "\"0123456789abcdef\"");
    assert_error(pins_put(&pins, &(struct pin){.url = "https://one/more", .sha256 = SHA}), ERROR_RECIPE, "more than 10000 files");
    assert_good(pins_write(&pins));
    assert_good(pins_read(&again, "many.yaml", &arena));
    assert_int_equal(again.n, MOST_PINS);
    assert_non_null(pins_find(&again, "https://host/folder/shard_09999.parquet"));
}

// Whatever bytes stand there: a list, or an error with its place.
static void changed_at_random(void **state)
{
    (void)state;
    struct pins pins;
    char *text;
    size_t n;
    assert_good(pins_read(&pins, "web.yaml", &arena));
    assert_good(file_read("web.data.yaml", 10000, &arena, &text, &n));
    uint32_t r = 12345;
    int good = 0;
    for (int round = 0; round < 2000; round++) {
        char changed[2048];
        assert_true(n < sizeof changed);
        memcpy(changed, text, n);
        for (int k = 0; k < 1 + round % 3; k++) {
            r = r * 1664525 + 1013904223;
            changed[(r >> 8) % n] = (char)("{}[]:,\"'-\n #&*\\\t\x80z0"[(r >> 4) % 20]);
        }
        struct arena scratch = {0};
        FILE *f = fopen("random.data.yaml", "w");
        assert_non_null(f);
        fwrite(changed, 1, n, f);
        fclose(f);
        struct error *e = pins_read(&pins, "random.yaml", &scratch);
        good += !e;
        for (struct error *each = e; each; each = each->next) {
            assert_true(each->kind == ERROR_RECIPE || each->kind == ERROR_NOT_BUILT);
            assert_string_equal(each->at.file, "random.data.yaml");
        }
        error_free(e);
        arena_release(&scratch);
    }
    printf("2000 changed lists, %d still good\n", good);
    assert_true(good > 100 && good < 1900);
}

static int leave(void **state)
{
    arena_release(&arena);
    return folder_leave(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses),   cmocka_unit_test(written_and_read),
                                       cmocka_unit_test(two_writers), cmocka_unit_test(a_damaged_list_is_not_written_over),
                                       cmocka_unit_test(many),        cmocka_unit_test(changed_at_random)};
    return cmocka_run_group_tests(tests, folder_enter, leave);
}
