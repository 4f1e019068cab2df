// test_prompts.c - prompts, worked examples and spans by the golden cases of the reference; what they leave open; and centered scores.
#include "core/eval/prompts.h"

#include "tests/unit/folder.h"

#include <jansson.h>
#include <math.h>

#include "core/base/hash.h"
#include "core/eval/scores.h"

static json_t *load_cases(void)
{
    json_t *cases = json_array();
    FILE *file = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    char *line = NULL;
    size_t capacity = 0;
    while (file && getline(&line, &capacity, file) > 0) {
        json_t *each = json_loads(line, 0, NULL);
        assert_non_null(each);
        json_array_append_new(cases, each);
    }
    free(line);
    if (file)
        fclose(file);
    return cases;
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

// --- the reference's cases --------------------------------------------------------------------------------------------------------

static struct task task_of(const json_t *input)
{
    struct task t = {.name = text_at(input, "label"), .delimiter = text_at(input, "delimiter"), .grader = GRADER_LOSS};
    t.shots = json_integer_value(json_object_get(input, "shots"));
    t.question = "query";
    t.choices = "choices";
    t.answer = "gold";
    if (!strcmp(text_at(input, "type"), "schema")) {
        t.question = "continuation";
        t.choices = "context_options";
        t.prompt = "{choice}{delimiter}{question}";
    } else if (!strcmp(text_at(input, "type"), "language_modeling")) {
        t.question = "context";
        t.answer = "continuation";
        t.choices = NULL;
        t.grader = GRADER_EXACT_GREEDY;
    }
    return t;
}

static const char *file_of(const char *label)
{
    static const struct {
        const char *label, *file;
    } files[] = {{"jeopardy", "world_knowledge/jeopardy_all"}, {"winograd", "language_understanding/winograd_wsc"}};
    static const char *const folders[] = {"world_knowledge", "commonsense_reasoning", "language_understanding",
                                          "symbolic_problem_solving", "reading_comprehension"};
    static char path[400];
    for (size_t i = 0; i < countof(folders); i++) {
        const char *name = label;
        for (size_t k = 0; k < countof(files); k++)
            if (!strcmp(files[k].label, label))
                name = strchr(files[k].file, '/') + 1;
        snprintf(path, sizeof path, "%s/data/eval_bundle/eval_data/%s/%s.jsonl", RETORT_SHARED, folders[i], name);
        if (access(path, R_OK) == 0)
            return path;
    }
    fail_msg("no data of '%s'", label);
    return NULL;
}

static void check_case(const json_t *input, const json_t *expected)
{
    struct task task = task_of(input);
    struct document_part part = {.form = DOCUMENT_JSONL, .path = file_of(task.name)};
    struct prompts p;
    struct made_prompts made;
    struct arena arena = {0};
    const json_t *shots = json_object_get(expected, "fewshot"), *hashes = json_object_get(expected, "sha256");
    int64_t i = json_integer_value(json_object_get(input, "index")), drawn[TASK_SHOTS_MOST];
    assert_good(prompts_open(&p, &task, &part, 1, json_integer_value(json_object_get(input, "max_per_task"))));
    assert_int_equal(p.n, json_integer_value(json_object_get(input, "rows")));
    assert_good(prompts_shots(&p, i, drawn));
    assert_int_equal(json_array_size(shots), task.shots);
    for (int64_t k = 0; k < task.shots; k++)
        assert_int_equal(drawn[k], json_integer_value(json_array_get(shots, (size_t)k)));
    assert_good(prompts_make(&p, i, &arena, &made));
    assert_int_equal(made.n_texts, json_integer_value(json_object_get(expected, "prompts")));
    for (int k = 0; k < made.n_texts; k++) {
        char hex[SHA256_HEX];
        assert_good(sha256_bytes(made.texts[k].text, made.texts[k].n, hex));
        hex[16] = 0;
        assert_string_equal(hex, json_string_value(json_array_get(hashes, (size_t)k)));
    }
    prompts_close(&p);
    arena_release(&arena);
}

static void check_spans(const json_t *input, const json_t *expected)
{
    const char *type = text_at(input, "type");
    enum span_rule rule = !strcmp(type, "schema")              ? SPAN_SUFFIX
                          : !strcmp(type, "language_modeling") ? SPAN_ANSWER
                                                               : SPAN_AFTER_PREFIX;
    const json_t *lists = json_object_get(input, "tokens");
    int32_t ids[8][16];
    const int32_t *all[8];
    int n_ids[8], n = (int)json_array_size(lists);
    struct span spans[8] = {{0}};
    for (int i = 0; i < n; i++) {
        const json_t *list = json_array_get(lists, (size_t)i);
        n_ids[i] = (int)json_array_size(list);
        for (int t = 0; t < n_ids[i]; t++)
            ids[i][t] = (int32_t)json_integer_value(json_array_get(list, (size_t)t));
        all[i] = ids[i];
    }
    bool good = spans_find(rule, all, n_ids, n, spans);
    assert_int_equal(good, json_is_object(expected));
    int first = rule == SPAN_ANSWER;
    for (int i = first; i < n && good; i++) {
        size_t at = (size_t)(i - first);
        assert_int_equal(spans[i].start, json_integer_value(json_array_get(json_object_get(expected, "start"), at)));
        assert_int_equal(spans[i].end, json_integer_value(json_array_get(json_object_get(expected, "end"), at)));
    }
}

static void check_metric(const json_t *input, const json_t *expected)
{
    static struct task_score rows[32];
    memset(rows, 0, sizeof rows);
    struct suite_score suite = {.suite = "core", .n_all = 22};
    const char *label;
    json_t *value;
    int64_t n = 0;
    json_object_foreach(json_object_get(input, "results"), label, value)
    {
        struct task_score *row = &rows[n++];
        strcpy(row->suite, "core");
        row->accuracy = json_number_value(value);
        row->baseline = 0.01 * json_number_value(json_object_get(json_object_get(input, "baselines_percent"), label));
        row->centered = (row->accuracy - row->baseline) / (1 - row->baseline);
        assert_true(fabs(row->centered - json_number_value(json_object_get(json_object_get(expected, "centered"), label))) <
                    1e-15);
    }
    score_of_suite(&suite, rows, n);
    assert_int_equal(suite.n, n);
    assert_true(fabs(suite.value - json_number_value(json_object_get(expected, "core"))) < 1e-15);
}

static void golden(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*check)(const json_t *input, const json_t *expected);
        int n;
    } kinds[] = {{"core_prompts", check_case, 54}, {"core_spans", check_spans, 10}, {"core_metric", check_metric, 1}};
    json_t *cases = load_cases();
    if (!json_array_size(cases) || access(RETORT_SHARED "/data/eval_bundle", R_OK)) {
        json_decref(cases);
        print_message("no golden cases under %s, or no data\n", RETORT_SHARED);
        skip();
    }
    for (size_t k = 0; k < countof(kinds); k++) {
        int n = 0;
        for (size_t i = 0; i < json_array_size(cases); i++) {
            const json_t *each = json_array_get(cases, i);
            if (strcmp(text_at(each, "case"), kinds[k].name))
                continue;
            kinds[k].check(json_object_get(each, "input"), json_object_get(each, "expected"));
            n++;
        }
        assert_int_equal(n, kinds[k].n);
    }
    json_decref(cases);
}

// --- what they leave open ---------------------------------------------------------------------------------------------------------

static void write_lines(const char *text)
{
    FILE *file = fopen("rows.jsonl", "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static const struct document_part rows_part = {.form = DOCUMENT_JSONL, .path = "rows.jsonl"};

static void assert_text(struct item_text text, const char *expected)
{
    assert_int_equal(text.n, strlen(expected));
    assert_memory_equal(text.text, expected, text.n);
}

// Blanks of all kinds go from both ends of a question and of what comes before the answer, and none from within.
static void blanks(void **state)
{
    (void)state;
    struct task task = {
        .name = "t", .question = "q", .answer = "a", .grader = GRADER_EXACT_GREEDY, .delimiter = "\u3000", .baseline = 0};
    struct arena arena = {0};
    struct prompts p;
    struct made_prompts made;
    write_lines("{\"q\": \"\\u00a0 \\u2003one  two\\u200b\\u001c\\n\", \"a\": \"{question} \"}\n");
    assert_good(prompts_open(&p, &task, &rows_part, 1, 0));
    assert_good(prompts_make(&p, 0, &arena, &made));
    assert_text(made.texts[0], "one  two\u200b"); // a zero-width space is none
    assert_text(made.texts[1], "one  two\u200b\u3000{question} ");
    prompts_close(&p);
    arena_release(&arena);
}

// A prompt of the task's own; options by right and wrong, by text, by label.
static void forms(void **state)
{
    (void)state;
    struct task task = {.name = "t",
                        .question = "q",
                        .choices = "c",
                        .answer = "a",
                        .grader = GRADER_LOSS,
                        .prompt = "Q: {question}{delimiter}A: {choice}.",
                        .delimiter = " ",
                        .shots = 1};
    struct arena arena = {0};
    struct prompts p;
    struct made_prompts made;
    write_lines("{\"q\": \"x\", \"c\": [\"u\", \"v\"], \"a\": \"v\"}\n{\"q\": \"x\", \"c\": [\"u\", \"v\"], \"a\": 1}\n");
    assert_good(prompts_open(&p, &task, &rows_part, 1, 0));
    assert_good(prompts_make(&p, 1, &arena, &made));
    assert_int_equal(made.rule, SPAN_AFTER_PREFIX);
    assert_int_equal(made.item->right, 1);
    assert_text(made.texts[0], "Q: x A: v.\n\nQ: x A: u.");
    assert_text(made.texts[1], "Q: x A: v.\n\nQ: x A: v.");
    prompts_close(&p);

    task.labels = "l";
    write_lines("{\"q\": \"x\", \"c\": [\"u\", \"v\"], \"l\": [\"1\", \"2\"], \"a\": 2}\n"
                "{\"q\": \"x\", \"c\": [\"u\", \"v\"], \"l\": [\"1\", \"2\"], \"a\": \"2\"}\n");
    assert_good(prompts_open(&p, &task, &rows_part, 1, 0));
    for (int i = 0; i < 2; i++)
        assert_int_equal(p.items[i].right, 1);
    prompts_close(&p);

    task = (struct task){.name = "t", .question = "q", .right = "r", .wrong = "w", .grader = GRADER_LOSS};
    write_lines("{\"q\": \"x\", \"r\": \"yes\", \"w\": [\"no\", \"never\"]}\n");
    assert_good(prompts_open(&p, &task, &rows_part, 1, 0));
    assert_int_equal(p.items[0].n_options, 3);
    assert_text(p.items[0].options[p.items[0].right], "yes");
    prompts_close(&p);
    arena_release(&arena);
}

// A task says itself how many it asks; the caller may say fewer, never more.
static void caps(void **state)
{
    (void)state;
    static const struct {
        int64_t own, most, n;
    } cases[] = {{0, 0, 4}, {3, 0, 3}, {3, 2, 2}, {2, 3, 2}, {0, 9, 4}};
    write_lines("{\"q\": \"1\", \"a\": \"b\"}\n{\"q\": \"2\", \"a\": \"b\"}\n{\"q\": \"3\", \"a\": \"b\"}\n{\"q\": \"4\", \"a\": "
                "\"b\"}\n");
    for (size_t i = 0; i < countof(cases); i++) {
        struct task task = {
            .name = "t", .question = "q", .answer = "a", .grader = GRADER_EXACT_GREEDY, .examples = cases[i].own, .shots = 1};
        struct prompts p;
        assert_good(prompts_open(&p, &task, &rows_part, 1, cases[i].most));
        assert_int_equal(p.n, cases[i].n);
        assert_int_equal(p.n_all, 4);
        prompts_close(&p);
    }
}

static void refused(const char *lines, struct task task, const char *what)
{
    struct prompts p;
    write_lines(lines);
    assert_error(prompts_open(&p, &task, &rows_part, 1, 0), ERROR_DATA, what);
}

static void faults(void **state)
{
    (void)state;
    struct task choice = {.name = "t", .question = "q", .choices = "c", .answer = "a", .grader = GRADER_LOSS};
    struct task answer = {.name = "t", .question = "q", .answer = "a", .grader = GRADER_EXACT_GREEDY, .shots = 1};
    refused("", answer, "task 't' has no rows");
    refused("{\"q\": \"x\", \"a\": \"y\"}\n", answer,
            "task 't' shows 1 worked examples before each question, and 1 are all there are");
    refused("{\"q\": \"x\"}\n", answer, "row 0 of task 't': 'a' is missing");
    refused("{\"q\": \"x\", \"c\": [\"u\", \"v\"], \"a\": 2}\n", choice, "'a' is 2 of 2 choices, counted from 0");
    refused("{\"q\": \"x\", \"c\": [\"u\", \"v\"], \"a\": \"w\"}\n", choice,
            "'a' is 'w', which is no choice, nor the number of one");
    refused("{\"q\": \"x\", \"c\": [], \"a\": 0}\n", choice, "0 choices, not 1 to 26");
    refused("{\"q\": \"x\", \"c\": \"uv\", \"a\": 0}\n", choice, "'c' is one value where a list of choices should be");
    refused("{\"q\": \"x\", \"c\": [null], \"a\": 0}\n", choice, "value 0 of 'c' is missing or null");

    // Bad rows that may be left out are.
    struct skips skips = {.most = 1};
    struct document_part part = rows_part;
    struct prompts p;
    part.skips = &skips;
    write_lines("{\"q\": \"x\"}\n{\"q\": \"x\", \"a\": \"y\"}\n{\"q\": \"z\", \"a\": \"y\"}\n");
    assert_good(prompts_open(&p, &answer, &part, 1, 0));
    assert_int_equal(p.n, 2);
    assert_int_equal(skips.n, 1);
    prompts_close(&p);
    skips_release(&skips);
}

// Wilson's interval, by the roots of (p - share)^2 = z^2 p (1 - p) / n.
static void intervals(void **state)
{
    (void)state;
    static const struct {
        int64_t right, n;
    } cases[] = {{0, 10}, {10, 10}, {5, 10}, {1, 40}, {340, 1000}};
    for (size_t i = 0; i < countof(cases); i++) {
        double low, high, z = 1.959963984540054, n = (double)cases[i].n, share = (double)cases[i].right / n;
        score_interval(cases[i].right, cases[i].n, &low, &high);
        assert_true(0 <= low && low <= share && share <= high && high <= 1 && low < high);
        if (low > 0)
            assert_true(fabs((share - low) * (share - low) - z * z * low * (1 - low) / n) < 1e-12);
        if (high < 1)
            assert_true(fabs((share - high) * (share - high) - z * z * high * (1 - high) / n) < 1e-12);
    }
    double low, high;
    score_interval(0, 0, &low, &high);
    assert_true(low == 0 && high == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(blanks), cmocka_unit_test(forms),
                                       cmocka_unit_test(caps),   cmocka_unit_test(faults), cmocka_unit_test(intervals)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
