// Grading by the golden cases of the reference, and what they leave open.
#include "core/eval/grader.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

static void check_answer(const json_t *input, const json_t *expected)
{
    char out[256];
    size_t n = 99, n_text = json_string_length(input);
    assert_true(n_text <= sizeof out);
    bool found = grade_number(json_string_value(input), n_text, out, &n);
    assert_int_equal(found, !json_is_null(expected));
    assert_int_equal(n, found ? json_string_length(expected) : 0);
    if (found)
        assert_memory_equal(out, json_string_value(expected), n);
}

static void check_reward(const json_t *input, const json_t *expected)
{
    const json_t *reference = json_object_get(input, "reference_end"), *response = json_object_get(input, "response");
    bool right = grade(GRADER_NUMBER, json_string_value(reference), json_string_length(reference), json_string_value(response),
                       json_string_length(response));
    assert_true(right == (json_number_value(expected) == 1));
}

static void check_chatcore(const json_t *input, const json_t *expected)
{
    static const char *const names[] = {"ARC-Easy", "ARC-Challenge", "MMLU", "GSM8K", "HumanEval"};
    static const double baseline[] = {0.25, 0.25, 0.25, 0, 0};
    double accuracy[countof(names)];
    for (size_t i = 0; i < countof(names); i++)
        accuracy[i] = json_number_value(json_object_get(input, names[i]));
    assert_true(centered_mean(accuracy, baseline, countof(names)) == json_number_value(expected));
}

static void check_pass(const json_t *input, const json_t *expected)
{
    uint8_t right[64];
    double pass[16];
    size_t n = json_array_size(input), n_samples = json_array_size(expected);
    assert_true(n * n_samples <= sizeof right && n_samples <= countof(pass));
    for (size_t i = 0; i < n * n_samples; i++)
        right[i] = (uint8_t)json_integer_value(json_array_get(json_array_get(input, i / n_samples), i % n_samples));
    pass_at_k(right, (int64_t)n, (int)n_samples, pass);
    for (size_t k = 0; k < n_samples; k++)
        assert_true(pass[k] == json_number_value(json_array_get(expected, k)));
}

static void golden(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*check)(const json_t *input, const json_t *expected);
    } kinds[] = {
        {"gsm8k_answer", check_answer}, {"gsm8k_reward", check_reward}, {"chatcore", check_chatcore}, {"pass_at_k", check_pass}};
    const char *path = RETORT_SHARED "/golden/chat-2025.jsonl";
    FILE *f = fopen(path, "r");
    if (!f) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    int seen[countof(kinds)] = {0};
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(j, "case"));
        for (size_t k = 0; name && k < countof(kinds); k++)
            if (!strcmp(name, kinds[k].name)) {
                kinds[k].check(json_object_get(j, "input"), json_object_get(j, "expected"));
                seen[k]++;
            }
        json_decref(j);
    }
    free(line);
    fclose(f);
    for (size_t k = 0; k < countof(kinds); k++)
        assert_true(seen[k] > 0);
}

static bool graded(enum task_grader grader, const char *reference, const char *answer)
{
    return grade(grader, reference, strlen(reference), answer, strlen(answer));
}

static void by_hand(void **state)
{
    (void)state;
    assert_true(graded(GRADER_NUMBER, "#### 1,234", "x #### 1234,"));
    assert_true(graded(GRADER_NUMBER, "none", "here neither"));
    assert_true(graded(GRADER_NUMBER, "#### ,", "#### ,,"));
    assert_false(graded(GRADER_NUMBER, "#### 1", "#### 12"));
    assert_false(graded(GRADER_NUMBER, "#### 12", "#### 1,"));
    assert_false(graded(GRADER_NUMBER, "#### 12", "no mark"));
    assert_false(graded(GRADER_NUMBER, "no mark", "#### 12"));
    assert_true(graded(GRADER_NUMBER, "#### 5", "#### - #### 5")); // a sign alone is passed over
    assert_true(graded(GRADER_EXACT, "Paris", " \tParis\r\n"));
    assert_true(graded(GRADER_EXACT, " ", ""));
    assert_false(graded(GRADER_EXACT, "Paris", "paris"));
    assert_false(graded(GRADER_EXACT, "Paris", "Paris."));
    assert_true(graded(GRADER_CHOICE, "B", "B "));
    assert_false(graded(GRADER_NONE, "B", "B"));
    assert_true(isnan(centered_mean(NULL, NULL, 0)));
    double pass;
    pass_at_k(NULL, 0, 1, &pass);
    assert_true(isnan(pass));
}

// What a model writes ends anywhere: the last bytes must not be read past. Under the sanitizer the copies have no byte to spare.
static void cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "so #### -1,234.5";
    char out[sizeof text];
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = block_alloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        size_t length;
        bool found = grade_number(copy, n, out, &length);
        assert_int_equal(found, n >= strlen("so #### -1"));
        assert_int_equal(grade(GRADER_NUMBER, text, sizeof text - 1, copy, n), n == sizeof text - 1);
        block_free(copy);
    }
}

// Of an answer that is not whole characters, too.
static void programs(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum sandbox_verdict verdict;
    } cases[] = {{"Here:\n```python\ndef f(n):\n    return n + 1\n```\nGood luck!", SANDBOX_PASSED},
                 {"def f(n):\n    return math.floor(n + 1)  # \xE4\xBD", SANDBOX_PASSED},
                 {"def f(n):\n    return n", SANDBOX_FAILED},
                 {"I cannot say", SANDBOX_FAILED},
                 {"", SANDBOX_FAILED}};
    static const char tests[] = "import math\n\ndef check(g):\n    assert g(1) == 2\ncheck(f)";
    struct sandbox *sandbox;
    struct sandbox_outcome outcome;
    if (sandbox_find())
        skip();
    signal(SIGPIPE, SIG_IGN);
    assert_null(sandbox_open(&sandbox, NULL));
    for (size_t i = 0; i < countof(cases); i++) {
        assert_null(grade_program(sandbox, tests, strlen(tests), cases[i].answer, strlen(cases[i].answer), &outcome));
        assert_int_equal(outcome.verdict, cases[i].verdict);
    }
    sandbox_close(sandbox);
}

// HumanEval as the task has it: what the assistant is taught to say is what passes, all of it.
static void humaneval_solutions_pass(void **state)
{
    (void)state;
    static const struct task task = {.name = "humaneval",
                                     .question = "prompt",
                                     .answer = "canonical_solution",
                                     .tests = "test",
                                     .entry_point = "entry_point",
                                     .answer_text = "{question}\n{answer}",
                                     .grader = GRADER_PYTHON_TESTS};
    const char *path = RETORT_SHARED "/data/humaneval/test-00000-of-00001.parquet", *paths[TASK_PATHS];
    struct arena arena = {0}, of_paths = {0};
    struct sandbox *sandbox;
    struct records *records;
    const struct record *record;
    int n_paths, n = 0;
    if (access(path, R_OK) || sandbox_find()) {
        print_message("skipped: no '%s', or no python3\n", path);
        skip();
    }
    signal(SIGPIPE, SIG_IGN);
    assert_null(sandbox_open(&sandbox, NULL));
    assert_null(task_paths(&task, &of_paths, paths, &n_paths));
    assert_null(records_open(&records, &(struct document_part){DOCUMENT_PARQUET, .path = path}, paths, n_paths));
    for (struct error *e; !(e = records_next(records, &record)) && record; n++) {
        struct example x;
        struct sandbox_outcome outcome;
        assert_null(task_example(&task, record, &arena, &x));
        const struct chat_part *said = x.conversation.messages[1].parts;
        assert_null(grade_program(sandbox, x.answer, strlen(x.answer), said->text, said->n, &outcome));
        if (outcome.verdict != SANDBOX_PASSED)
            fail_msg("row %d: %s: %s", n, sandbox_verdict_name(outcome.verdict), outcome.error);
        arena_reset(&arena, (struct arena_mark){0});
    }
    assert_int_equal(n, 164);
    records_close(records);
    sandbox_close(sandbox);
    arena_release(&arena);
    arena_release(&of_paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(by_hand), cmocka_unit_test(cut_anywhere),
                                       cmocka_unit_test(programs), cmocka_unit_test(humaneval_solutions_pass)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
