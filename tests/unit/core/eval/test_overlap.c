// Runs of words are found wherever they stand, whatever their typography, and nothing else is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/eval/overlap.h"

static const char thirteen[] = "one two three four five six seven eight nine ten eleven twelve thirteen";

struct fixture {
    struct arena arena;
    struct overlap o;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){0};
    overlap_init(&f->o, &f->arena);
}

static int64_t item(struct fixture *f, const char *a, const char *b)
{
    struct overlap_text texts[] = {{a, strlen(a)}, {b, strlen(b)}};
    int64_t i;
    assert_null(overlap_item(&f->o, texts, *b ? 2 : 1, &i));
    return i;
}

static void read(struct fixture *f, const char *text)
{
    assert_null(overlap_read(&f->o, text, strlen(text)));
}

static void end(struct fixture *f)
{
    overlap_release(&f->o);
    arena_release(&f->arena);
}

static bool finds(const char *question, const char *document)
{
    struct fixture f;
    begin(&f);
    item(&f, question, "");
    assert_null(overlap_index(&f.o));
    read(&f, document);
    bool found = overlap_found(&f.o, 0);
    end(&f);
    return found;
}

static void test_runs(void **state)
{
    (void)state;
    assert_true(finds(thirteen, thirteen));
    assert_true(finds("a b one two three four five six seven eight nine ten eleven twelve thirteen c", thirteen));
    assert_true(finds(thirteen, "x one two three four five six seven eight nine ten eleven twelve thirteen y z"));
    assert_true(finds(thirteen, "One, two; three (four) FIVE \"six\" seven\n\neight nine... ten eleven twelve thirteen!"));
    assert_true(finds("don't stop "
                      "one two three four five six seven eight nine ten eleven",
                      "dont stop one two three four five six seven eight nine ten eleven"));
    assert_true(finds(thirteen, "one two three\xC2\xA0"
                                "four five six \xE2\x80\x9Cseven\xE2\x80\x9D eight nine\xE2\x80\x94ten eleven twelve thirteen"));
    // U+202A to U+202E turn the direction of writing, inside a word as well; U+2028, U+2029 and U+202F are blanks.
    assert_true(finds(thirteen,
                      "one two three four five six se\xE2\x80\xAAven eig\xE2\x80\xABht nine\xE2\x80\xAC ten elev\xE2\x80\xAE"
                      "en\xE2\x80\xA8twelve\xE2\x80\xAFthirteen"));
    assert_true(finds("one two three four five six seven eight nine ten eleven tw elve",
                      "one two three four five six seven eight nine ten "
                      "eleven tw\xE2\x80\xA9"
                      "elve"));
    assert_false(finds(thirteen, "one two three four five six seven eight nine ten eleven twelve"));
    assert_false(finds(thirteen, "one two three four five six SEVENTH eight nine ten eleven twelve thirteen"));
    assert_false(finds(thirteen, "one two three four five sixseven eight nine ten eleven twelve thirteen"));
    assert_false(finds("one two", "one two"));
    assert_false(finds("", ""));
    assert_false(finds(thirteen, ""));
}

// Two documents are not one, and two texts of a question are.
static void test_borders(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    int64_t a = item(&f, "one two three four five six seven", "eight nine ten eleven twelve thirteen");
    int64_t b = item(&f, "zero one two three four five six seven eight nine ten eleven twelve", "");
    int64_t twin = item(&f, thirteen, "");
    assert_null(overlap_index(&f.o));
    read(&f, "one two three four five six seven");
    read(&f, "eight nine ten eleven twelve thirteen");
    assert_false(overlap_found(&f.o, a));
    read(&f, thirteen);
    assert_true(overlap_found(&f.o, a));
    assert_true(overlap_found(&f.o, twin));
    assert_false(overlap_found(&f.o, b));
    assert_int_equal(overlap_words(&f.o, a), 13);
    end(&f);
}

// Against the plain way, on text of few words, where runs repeat all the time.
static bool has_run(const char *question, const char *document)
{
    const char *at = question;
    for (int n = 0;; n++) {
        const char *to = at;
        int words = 0;
        for (; *to && words < OVERLAP_WORDS; to++)
            words += to[1] == ' ' || !to[1];
        if (words < OVERLAP_WORDS)
            return false;
        for (const char *s = document; (s = strstr(s, "w"));) {
            size_t length = (size_t)(to - at);
            if (!strncmp(s, at, length) && (s[length] == ' ' || !s[length]) && (s == document || s[-1] == ' '))
                return true;
            s++;
        }
        at = strchr(at, ' ');
        if (!at)
            return false;
        at++;
    }
}

static void test_against_the_plain_way(void **state)
{
    enum { ITEMS = 300, WORDS = 20, DOCUMENT = 4000 };
    static char items[ITEMS][WORDS * 4], document[DOCUMENT * 4];
    struct fixture f;
    uint32_t x = 12345;
    int n_found = 0;
    (void)state;
    begin(&f);
    for (int i = 0; i < ITEMS; i++) {
        char *to = items[i];
        for (int w = 0; w < 10 + i % 11; w++)
            to += sprintf(to, "%sw%u", w ? " " : "", (x = x * 1664525u + 1013904223u) >> 31);
        item(&f, items[i], "");
    }
    char *to = document;
    for (int w = 0; w < DOCUMENT; w++)
        to += sprintf(to, "%sw%u", w ? " " : "", (x = x * 1664525u + 1013904223u) >> 31);
    assert_null(overlap_index(&f.o));
    read(&f, document);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(overlap_found(&f.o, i), has_run(items[i], document));
        n_found += overlap_found(&f.o, i);
    }
    assert_in_range(n_found, 10, ITEMS - 10);
    end(&f);
}

// Any bytes.
static void test_bytes(void **state)
{
    char text[4096];
    struct fixture f;
    uint32_t x = 99;
    (void)state;
    begin(&f);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
    struct overlap_text texts[] = {{text, sizeof text}, {"\xE2", 1}, {"\xE2\x80", 2}, {"\xC2", 1}, {"\xE3\x80", 2}};
    int64_t i;
    assert_null(overlap_item(&f.o, texts, 5, &i));
    assert_null(overlap_index(&f.o));
    assert_null(overlap_read(&f.o, text, sizeof text));
    assert_int_equal(overlap_found(&f.o, 0), overlap_words(&f.o, 0) >= OVERLAP_WORDS);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_borders),
        cmocka_unit_test(test_against_the_plain_way),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
