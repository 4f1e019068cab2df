// test_yaml.c - trees with their marks, and everything that is refused.
#include "cmocka_all.h"

#include "runner/recipe/yaml.h"

static struct arena arena;

static struct node *good(const char *text)
{
    struct node *root;
    struct error *e = yaml_parse("t.yaml", text, strlen(text), &arena, &root);
    if (e)
        fail_msg("%d:%d: %s", e->at.line, e->at.column, e->what);
    return root;
}

// The first error stands at line:column and says `part`.
static void bad(const char *text, size_t n, int line, int column, const char *part)
{
    struct node *root;
    struct error *e = yaml_parse("t.yaml", text, n, &arena, &root);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_RECIPE);
    if (!strstr(e->what, part) || e->at.line != line || e->at.column != column)
        fail_msg("%d:%d: %s; expected %d:%d: %s", e->at.line, e->at.column, e->what, line, column, part);
    error_free(e);
    arena_release(&arena);
}

static void trees_have_marks(void **state)
{
    (void)state;
    struct node *root = good("a: 1\nbé:\n  - x y\n  - \"q\"\nm: {k: [1, 2], l: }\n");
    assert_int_equal(root->kind, NODE_MAP);
    assert_int_equal(root->n, 3);
    struct node *a = node_get(root, "a"), *b = node_get(root, "bé"), *m = node_get(root, "m");
    assert_string_equal(a->text, "1");
    assert_int_equal(a->at.column, 4);
    assert_int_equal(a->key_at.column, 1);
    assert_int_equal(b->key_at.width, 2); // characters, not bytes
    assert_int_equal(b->n, 2);
    assert_int_equal(b->first->at.line, 3);
    assert_int_equal(b->first->at.column, 5);
    assert_int_equal(b->first->at.width, 3);
    assert_false(b->first->quoted);
    assert_true(b->first->next->quoted);
    assert_string_equal(b->first->next->text, "q");
    assert_int_equal(b->first->next->at.width, 3);
    assert_int_equal(node_get(m, "k")->n, 2);
    assert_string_equal(node_get(m, "l")->text, "");
    assert_null(node_get(m, "nothing"));
    assert_null(node_get(a, "scalar"));
    assert_null(node_get(NULL, "x"));
    arena_release(&arena);
}

static void bom_and_crlf(void **state)
{
    (void)state;
    struct node *root = good("\xef\xbb\xbf"
                             "a: 1\r\nb: 2\r\n");
    assert_string_equal(node_get(root, "b")->text, "2");
    assert_int_equal(node_get(root, "a")->at.column, 4);
    assert_int_equal(node_get(root, "b")->at.line, 2);
    arena_release(&arena);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line, column;
        const char *part;
    } cases[] = {
        {"", 1, 1, "the file is empty"},
        {"# only a comment\n", 1, 1, "the file is empty"},
        {"a: 1\na: 2\n", 2, 1, "key 'a' stands twice: first in line 1"},
        {"a: {b: 1, c: 2, b: 3}\n", 1, 17, "key 'b' stands twice"},
        {"a: &x 1\n", 1, 4, "anchors"},
        {"a: *x\n", 1, 4, "aliases"},
        {"a: !!str 1\n", 1, 4, "a tag"},
        {"a: !foo 1\n", 1, 4, "a tag"},
        {"a: !e!foo 1\n", 1, 4, "a tag"},
        {"<<: {a: 1}\n", 1, 1, "merge keys"},
        {"%YAML 1.1\n---\na: 1\n", 1, 1, "directives"},
        {"a: 1\n---\nb: 2\n", 2, 1, "a second document"},
        {"a: 1\n...\nb: 2\n", 3, 1, ""},
        {"a:\n\tb: 1\n", 2, 1, "a tab cannot indent"},
        {"a: \xff\n", 1, 4, "not UTF-8"},
        {"a: \xc0\xaf\n", 1, 4, "not UTF-8"},
        {"a: \xed\xa0\x80\n", 1, 4, "not UTF-8"},
        {"a: \xc3", 1, 4, "not UTF-8"},
        {"\xc3\xa9: \x1b[31m\n", 1, 4, "U+001B"},
        {"a: 1\rb: 2\n", 1, 5, "carriage return"},
        {"a: \xe2\x80\xa8 2\n", 1, 4, "U+2028"},
        {"a: \"\\0\"\n", 1, 4, "zero byte"},
        {"? [a]\n: 1\n", 1, 3, "cannot be a key"},
        {"{a: 1}: 2\n", 1, 1, "cannot be a key"},
        {"a: [1, 2\nb: 3\n", 2, 2, "expected ',' or ']'"},
        {"a: \"x\n", 1, 4, "a quoted value is not closed"},
        {"a: b: c\n", 1, 5, "a ':' where no key can stand"},
        {"a: @b\n", 1, 4, "cannot begin with this character"},
        {"a\nb: 1\n", 2, 2, "a ':' where no key can stand"},
        {"a: 1\nb\n", 2, 1, "without ':'"},
        {"a: [x_{00..09}.txt]\n", 1, 7, "pattern in braces must be quoted"},
        {"a: {00..09}.txt\n", 1, 4, "pattern in braces must be quoted"},
        {"a: {00..09}\n", 1, 4, "pattern in braces must be quoted"},
        {"a: {b: ${x}}\n", 1, 8, "must be quoted"},
    };
    for (size_t i = 0; i < countof(cases); i++)
        bad(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].column, cases[i].part);
    bad("a: \0b\n", 6, 1, 4, "U+0000");
}

static void errors_are_collected(void **state)
{
    (void)state;
    struct node *root;
    const char *text = "a: 1\na: 2\nb: &x 3\nc: *x\n";
    struct error *e = yaml_parse("t", text, strlen(text), &arena, &root);
    int n = 0;
    for (struct error *each = e; each; each = each->next)
        n++;
    assert_int_equal(n, 3);
    assert_non_null(root); // the tree is whole
    error_free(e);
    arena_release(&arena);
}

static char *repeat(const char *unit, size_t n, const char *end)
{
    char *text = malloc(strlen(unit) * n + strlen(end) + 1);
    size_t length = strlen(unit);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * length, unit, length);
    strcpy(text + n * length, end);
    return text;
}

static void limits(void **state)
{
    (void)state;
    char *closed = repeat("]", 64, ""), *text = repeat("[", 64, closed);
    good(text);
    free(text);
    free(closed);
    text = repeat("[", 4000000, "");
    bad(text, 4000000, 1, 65, "more than 64 deep");
    free(text);
    text = repeat("- ", 2000000, "x");
    bad(text, 4000000, 1, 129, "more than 64 deep");
    free(text);
    text = repeat("- x\n", 100000, "");
    bad(text, 400000, 100000, 3, "more than 100,000 values");
    free(text);
    text = repeat("x", (4 << 20) + 1, "");
    struct node *root;
    struct error *e = yaml_parse("t", text, (4 << 20) + 1, &arena, &root);
    assert_non_null(strstr(e->what, "larger than 4 MiB"));
    error_free(e);
    free(text);

    // 90,000 different keys, then one again; and 2,000 errors of which 100 are kept
    text = malloc(2 << 20);
    size_t n = 0;
    for (int i = 0; i < 90000; i++)
        n += (size_t)sprintf(text + n, "k%d: 1\n", i);
    n += (size_t)sprintf(text + n, "k7: 1\n");
    bad(text, n, 90001, 1, "key 'k7' stands twice: first in line 8");
    n = 0;
    for (int i = 0; i < 2000; i++)
        n += (size_t)sprintf(text + n, "k%d: &a 1\n", i);
    e = yaml_parse("t", text, n, &arena, &root);
    int count = 0;
    for (struct error *each = e; each; each = each->next)
        count++;
    assert_int_equal(count, 101);
    error_free(e);
    free(text);
    arena_release(&arena);
}

static void files(void **state)
{
    (void)state;
    struct node *root;
    struct error *e = yaml_read("/nonexistent/x.yaml", &arena, &root);
    assert_non_null(strstr(e->what, "cannot open '/nonexistent/x.yaml'"));
    error_free(e);
    e = yaml_read("/", &arena, &root);
    assert_non_null(strstr(e->what, "not a regular file"));
    error_free(e);
    e = yaml_read("/dev/zero", &arena, &root);
    assert_non_null(strstr(e->what, "not a regular file"));
    error_free(e);
    assert_null(yaml_read(RETORT_SOURCE "/recipes/tiny.yaml", &arena, &root));
    assert_string_equal(node_get(root, "name")->text, "tiny");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_have_marks),     cmocka_unit_test(bom_and_crlf), cmocka_unit_test(refused),
        cmocka_unit_test(errors_are_collected), cmocka_unit_test(limits),       cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
