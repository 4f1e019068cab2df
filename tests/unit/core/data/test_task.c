// test_task.c - rows as examples: the golden cases, orders that are drawn, and what no conversation can be made of.
#include "tests/unit/folder.h"

#include "core/data/task.h"

#include <jansson.h>

static const struct task arc = {.name = "arc",
                                .question = "question",
                                .choices = "choices.text",
                                .labels = "choices.label",
                                .answer = "answerKey",
                                .grader = GRADER_CHOICE};
static const struct task mmlu = {.name = "mmlu",
                                 .question = "question | train.question",
                                 .choices = "choices | train.choices",
                                 .answer = "answer | train.answer",
                                 .letters = {"A", "B", "C", "D"},
                                 .n_letters = 4};
static const struct task gsm8k = {
    .name = "gsm8k", .question = "question", .answer = "answer", .call_begin = "<<", .call_middle = "=", .call_end = ">>"};
static const struct task talk = {.name = "talk", .messages = "messages | ."};
static const struct task quiz = {
    .name = "quiz", .question = "question", .right = "right", .wrong = "wrong", .letters = {"A", "B", "C", "D"}, .n_letters = 4};

struct reader {
    const struct task *task;
    struct records *records;
    struct arena paths, arena;
};

static void open_reader(struct reader *r, const struct task *task, const struct document_part *part)
{
    const char *paths[TASK_PATHS];
    int n_paths;
    *r = (struct reader){.task = task};
    assert_good(task_paths(task, &r->paths, paths, &n_paths));
    assert_good(records_open(&r->records, part, paths, n_paths));
}

// false: the end.
static bool next(struct reader *r, struct example *x, struct error **e)
{
    const struct record *record;
    assert_good(records_next(r->records, &record));
    arena_reset(&r->arena, (struct arena_mark){0});
    *e = record ? task_example(r->task, record, &r->arena, x) : NULL;
    return record;
}

static void close_reader(struct reader *r)
{
    records_close(r->records);
    arena_release(&r->paths);
    arena_release(&r->arena);
}

static const struct document_part lines_part = {DOCUMENT_JSONL, .path = "lines.jsonl"};

static void open_line(struct reader *r, const struct task *task, const char *line)
{
    FILE *f = fopen("lines.jsonl", "wb");
    assert_non_null(f);
    assert_true(fprintf(f, "%s\n", line) > 0);
    fclose(f);
    open_reader(r, task, &lines_part);
}

// The example of a file of one line.
static void read_line(struct reader *r, const struct task *task, const char *line, struct example *x)
{
    struct error *e;
    open_line(r, task, line);
    assert_true(next(r, x, &e));
    assert_good(e);
}

static void expect_fault(const struct task *task, const char *line, const char *what)
{
    struct reader r;
    struct example x;
    struct error *e;
    char begin[80];
    open_line(&r, task, line);
    assert_true(next(&r, &x, &e));
    snprintf(begin, sizeof begin, "row 0 of task '%s': ", task->name);
    assert_true(e && strncmp(e->what, begin, strlen(begin)) == 0);
    assert_error(e, ERROR_DATA, what);
    close_reader(&r);
}

static void expect_part(const struct chat_part *part, enum chat_part_kind kind, const char *text)
{
    assert_int_equal(part->kind, kind);
    assert_int_equal(part->n, strlen(text));
    assert_memory_equal(part->text, text, part->n);
}

static void expect_message(const struct example *x, size_t i, enum chat_role role, const char *text)
{
    assert_true(i < x->conversation.n_messages);
    assert_int_equal(x->conversation.messages[i].role, role);
    assert_int_equal(x->conversation.messages[i].n_parts, 1);
    expect_part(x->conversation.messages[i].parts, CHAT_TEXT, text);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static void golden_choice(const json_t *input, const json_t *expected)
{
    static const struct {
        const char *task, *file;
    } files[] = {{"ARC-Easy-train", "arc_easy/train"},
                 {"ARC-Challenge-test", "arc_challenge/test"},
                 {"mmlu", "mmlu/test"},
                 {"aux", "mmlu/auxiliary_train"}};
    struct reader r;
    struct example x;
    struct error *e;
    const char *name = json_string_value(json_object_get(input, "task"));
    json_t *letters = json_object_get(input, "letters");
    if (name) {
        char path[300] = "";
        for (size_t k = 0; k < countof(files); k++)
            if (strcmp(files[k].task, name) == 0)
                snprintf(path, sizeof path, RETORT_SHARED "/data/%s-00000-of-00001.parquet", files[k].file);
        if (access(path, R_OK) != 0) {
            print_message("no '%s'\n", path);
            skip();
        }
        open_reader(&r, name[0] == 'A' ? &arc : &mmlu, &(struct document_part){DOCUMENT_PARQUET, .path = path});
        for (json_int_t row = json_integer_value(json_object_get(input, "row")); row >= 0; row--) {
            assert_true(next(&r, &x, &e));
            assert_good(e);
        }
    } else {
        json_t *row = json_pack("{s:O, s:{s:O, s:O}, s:O}", "question", json_object_get(input, "question"), "choices", "text",
                                json_object_get(input, "choices"), "label", letters, "answerKey", json_array_get(letters, 0));
        char *line = json_dumps(row, 0);
        read_line(&r, &arc, line, &x);
        free(line);
        json_decref(row);
    }
    expect_message(&x, 0, CHAT_USER, text_of(expected, "prompt"));
    assert_int_equal(x.conversation.n_messages, 2);
    assert_int_equal(x.n_letters, json_array_size(letters));
    for (int i = 0; i < x.n_letters; i++)
        assert_string_equal(x.letters[i], json_string_value(json_array_get(letters, (size_t)i)));
    assert_in_range(x.right, 0, x.n_letters - 1);
    const char *answer = name ? text_of(expected, "answer") : x.letters[0];
    expect_message(&x, 1, CHAT_ASSISTANT, answer);
    assert_string_equal(x.answer, answer);
    assert_string_equal(x.letters[x.right], answer);
    close_reader(&r);
}

static void golden_parts(const json_t *input, const json_t *expected)
{
    static const char *const kinds[] = {[CHAT_TEXT] = "text", [CHAT_PYTHON] = "python", [CHAT_PYTHON_OUTPUT] = "python_output"};
    json_t *row = json_pack("{s:s, s:O}", "question", "?", "answer", input);
    char *line = json_dumps(row, 0);
    struct reader r;
    struct example x;
    read_line(&r, &gsm8k, line, &x);
    expect_message(&x, 0, CHAT_USER, "?");
    const struct chat_message *m = &x.conversation.messages[1];
    assert_int_equal(m->n_parts, json_array_size(expected));
    const char *text = "";
    for (size_t i = 0; i < m->n_parts; i++) {
        const json_t *part = json_array_get(expected, i);
        text = text_of(part, "text");
        expect_part(&m->parts[i], m->parts[i].kind, text);
        assert_string_equal(kinds[m->parts[i].kind], text_of(part, "type"));
    }
    assert_string_equal(x.answer, text);
    assert_int_equal(x.right, -1);
    close_reader(&r);
    free(line);
    json_decref(row);
}

static void golden(void **state)
{
    (void)state;
    FILE *f = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!f) {
        print_message("no '%s'\n", RETORT_SHARED "/golden/chat-2025.jsonl");
        skip();
    }
    int n_choices = 0, n_parts = 0;
    json_error_t problem;
    json_t *line;
    while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, &problem))) {
        const char *name = text_of(line, "case");
        if (strcmp(name, "multiple_choice") == 0 && ++n_choices)
            golden_choice(json_object_get(line, "input"), json_object_get(line, "expected"));
        if (strcmp(name, "gsm8k_parts") == 0 && ++n_parts)
            golden_parts(json_object_get(line, "input"), json_object_get(line, "expected"));
        json_decref(line);
    }
    fclose(f);
    assert_int_equal(n_choices, 12);
    assert_true(n_parts >= 17);
}

static void conversations(void **state)
{
    (void)state;
    static const char list[] = "[{\"role\":\"system\",\"content\":\"s\"},{\"content\":\"q\",\"role\":\"user\"},"
                               "{\"role\":\"assistant\",\"content\":\"\"}]";
    static const char *const formats[] = {"%s", "{\"x\":[1],\"messages\":%s}"};
    for (size_t k = 0; k < countof(formats); k++) {
        char line[300];
        struct reader r;
        struct example x;
        snprintf(line, sizeof line, formats[k], list);
        read_line(&r, &talk, line, &x);
        assert_int_equal(x.conversation.n_messages, 3);
        expect_message(&x, 0, CHAT_SYSTEM, "s");
        expect_message(&x, 1, CHAT_USER, "q");
        expect_message(&x, 2, CHAT_ASSISTANT, "");
        assert_string_equal(x.answer, "");
        assert_int_equal(x.right, -1);
        close_reader(&r);
    }
    struct reader r;
    struct example x;
    read_line(&r, &talk, "{\"role\":[\"user\",\"assistant\"],\"content\":[\"a\",\"b\"]}", &x);
    expect_message(&x, 0, CHAT_USER, "a");
    expect_message(&x, 1, CHAT_ASSISTANT, "b");
    close_reader(&r);
    read_line(&r, &talk,
              "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"so: \"},"
              "{\"text\":\"1+1\",\"type\":\"python\"},{\"type\":\"python_output\",\"text\":\"2\"}]},"
              "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":[]}]",
              &x);
    const struct chat_message *m = &x.conversation.messages[1];
    expect_message(&x, 0, CHAT_USER, "a");
    assert_int_equal(m->n_parts, 3);
    expect_part(&m->parts[0], CHAT_TEXT, "so: ");
    expect_part(&m->parts[1], CHAT_PYTHON, "1+1");
    expect_part(&m->parts[2], CHAT_PYTHON_OUTPUT, "2");
    assert_int_equal(x.conversation.messages[3].n_parts, 0);
    close_reader(&r);
    static const char *const parts[][2] = {
        {"{\"type\":\"image\",\"text\":\"\"}", "part 1 of messages[1] has no type text, python or python_output"},
        {"{\"type\":3,\"text\":\"\"}", "part 1 of messages[1] has no type"},
        {"{\"type\":\"text\"}", "part 1 of messages[1] has no text"}};
    for (size_t i = 0; i < countof(parts); i++) {
        char line[300];
        snprintf(
            line, sizeof line,
            "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"\"},%s]}]",
            parts[i][0]);
        expect_fault(&talk, line, parts[i][1]);
    }
    expect_fault(&talk, "[{\"role\":\"user\",\"content\":[]},{\"role\":\"assistant\",\"content\":\"\"}]",
                 "messages[0] has parts, as only the assistant's may");
    expect_fault(&talk, "[{\"role\":[],\"content\":\"\"},{\"role\":\"assistant\",\"content\":\"\"}]",
                 "value 0 of 'role' is a list");
    expect_fault(&mmlu, "{\"question\":\"\",\"choices\":[[],\"x\"],\"answer\":0}",
                 "value 0 of 'choices | train.choices' is a list");
    expect_fault(&talk, "{}", "'role' is missing");
    expect_fault(&talk, "[]", "it has 0 messages");
    expect_fault(&talk, "[{\"role\":\"user\",\"content\":\"q\"}]", "it has 1 messages");
    expect_fault(&talk, "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\"}]", "value 1 of 'content' is missing");
    expect_fault(&talk, "[{\"role\":\"user\",\"content\":\"q\"},{\"content\":\"assistant\"}]", "value 1 of 'role' is missing");
    expect_fault(&talk, "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"tool\",\"content\":\"\"}]",
                 "messages[1] has role 'tool'");
    expect_fault(&talk, "[{\"role\":\"user\\u0000\",\"content\":\"q\"},{\"role\":\"user\",\"content\":\"\"}]",
                 "messages[0] has role 'user'");
    expect_fault(&talk, "{\"role\":[\"user\",\"assistant\"],\"content\":[\"a\"]}", "2 roles of 1 messages");
    expect_fault(&talk, "[{\"role\":\"system\",\"content\":\"q\"},{\"role\":\"user\",\"content\":\"\"}]", "it has 2 messages");
}

static void choices(void **state)
{
    (void)state;
    struct task t = mmlu;
    struct reader r;
    struct example x;
    t.prompt = "{choices}|{question}|{question}{x}";
    t.choice_line = "<{letter}:{choice}>";
    read_line(&r, &t, "{\"question\":\"{choices}{\",\"choices\":[\"{letter}\",\"\"],\"answer\":1}", &x);
    expect_message(&x, 0, CHAT_USER, "<A:{letter}><B:>|{choices}{|{choices}{{x}");
    expect_message(&x, 1, CHAT_ASSISTANT, "B");
    assert_int_equal(x.right, 1);
    assert_int_equal(x.n_letters, 2);
    close_reader(&r);
    read_line(&r, &t, "{\"train\":{\"question\":3,\"choices\":[1,2],\"answer\":\"A\"}}", &x);
    expect_message(&x, 0, CHAT_USER, "<A:1><B:2>|3|3{x}");
    assert_int_equal(x.right, 0);
    close_reader(&r);
    expect_fault(&t, "{\"choices\":[\"x\"],\"answer\":0}", "'question | train.question' is missing");
    expect_fault(&t, "{\"question\":null,\"choices\":[\"x\"],\"answer\":0}", "is null");
    expect_fault(&t, "{\"question\":[\"\"],\"choices\":[\"x\"],\"answer\":0}", "is a list where one value should be");
    expect_fault(&t, "{\"question\":\"\",\"answer\":0}", "'choices | train.choices' is missing");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[],\"answer\":0}", "0 choices");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[\"x\",null],\"answer\":0}", "value 1 of 'choices");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[1,2,3,4,5],\"answer\":0}", "5 choices and only 4 letters");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[1,2],\"answer\":2}", "is 2 of 2 choices");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[1,2],\"answer\":-1}", "is -1 of 2 choices");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[1,2],\"answer\":\"C\"}", "the letter of no choice");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[1,2],\"answer\":\"a\"}", "the letter of no choice");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[1,2],\"answer\":\"\"}", "the letter of no choice");
    expect_fault(&t, "{\"question\":\"\",\"choices\":[1,2]}", "is missing");
    expect_fault(&arc, "{\"question\":\"\",\"choices\":{\"text\":[1,2],\"label\":[\"A\"]},\"answerKey\":\"A\"}",
                 "1 labels of 2 choices");
    expect_fault(&arc, "{\"question\":\"\",\"choices\":{\"text\":[1,2],\"label\":[\"A\",\"A\"]},\"answerKey\":\"A\"}",
                 "the letter 'A' stands for two choices");
    expect_fault(&arc, "{\"question\":\"\",\"choices\":{\"text\":[1],\"label\":[\"A\\u0000\"]},\"answerKey\":\"A\"}",
                 "a zero byte");
    // A number is a label where labels are numbers, as numbers or as texts; else an index.
    static const char *const numbered[] = {"1,2,3", "\"1\",\"2\",\"3\"", "\"A\",\"B\",\"C\""};
    for (size_t i = 0; i < countof(numbered); i++) {
        char line[200];
        snprintf(line, sizeof line, "{\"question\":\"\",\"choices\":{\"text\":[7,8,9],\"label\":[%s]},\"answerKey\":1}",
                 numbered[i]);
        read_line(&r, &arc, line, &x);
        assert_int_equal(x.right, i < 2 ? 0 : 1);
        expect_message(&x, 1, CHAT_ASSISTANT, i < 2 ? "1" : "B");
        close_reader(&r);
    }
    expect_fault(&arc, "{\"question\":\"\",\"choices\":{\"text\":[7,8],\"label\":[1,2]},\"answerKey\":0}",
                 "'answerKey' is '0', which is the letter of no choice");
    expect_fault(&arc, "{\"question\":\"\",\"choices\":{\"text\":[7,8],\"label\":[\"A\",2]},\"answerKey\":1}",
                 "'answerKey' is '1', which is the letter of no choice");
    char many[400] = "{\"question\":\"\",\"choices\":{\"text\":[0";
    for (int i = 1; i < 27; i++)
        strcat(many, ",1");
    strcat(many, "],\"label\":[]},\"answerKey\":\"A\"}");
    expect_fault(&arc, many, "27 choices, not 1 to 26");
}

static void calls(void **state)
{
    (void)state;
    struct task t = gsm8k;
    struct reader r;
    struct example x;
    t.call_begin = "[[";
    t.call_middle = "->";
    t.call_end = "]]";
    t.prompt = "Q: {question}\nA:";
    read_line(&r, &t, "{\"question\":\"q\",\"answer\":\"<<1=1>>[[a->b->c]]]x[[\"}", &x);
    expect_message(&x, 0, CHAT_USER, "Q: q\nA:");
    const struct chat_message *m = &x.conversation.messages[1];
    assert_int_equal(m->n_parts, 4);
    expect_part(&m->parts[0], CHAT_TEXT, "<<1=1>>");
    expect_part(&m->parts[1], CHAT_PYTHON, "a->b");
    expect_part(&m->parts[2], CHAT_PYTHON_OUTPUT, "c");
    expect_part(&m->parts[3], CHAT_TEXT, "]x[[");
    close_reader(&r);
    t = gsm8k;
    t.call_begin = t.call_middle = t.call_end = NULL;
    read_line(&r, &t, "{\"question\":\"q\",\"answer\":\"<<1=1>>\"}", &x);
    expect_message(&x, 0, CHAT_USER, "q");
    expect_message(&x, 1, CHAT_ASSISTANT, "<<1=1>>");
    assert_string_equal(x.answer, "<<1=1>>");
    close_reader(&r);
    expect_fault(&gsm8k, "{\"question\":\"q\"}", "'answer' is missing");
    expect_fault(&gsm8k, "{\"question\":\"q\",\"answer\":\"a\\u0000\"}", "the answer has a zero byte");
    enum { LONG = 1 << 20 }; // of all begins, of all ends, of calls without end: time must not be their square
    static char line[LONG + 100];
    for (int k = 0; k < 3; k++) {
        int n = sprintf(line, "{\"question\":\"q\",\"answer\":\"");
        memset(line + n, k == 1 ? '>' : '<', LONG);
        for (int i = 0; k == 2 && i < LONG; i += 4)
            memcpy(line + n + i, "<<1>", 4);
        strcpy(line + n + LONG, "\"}");
        read_line(&r, &gsm8k, line, &x);
        assert_int_equal(x.conversation.messages[1].n_parts, 1);
        assert_int_equal(strlen(x.answer), LONG);
        close_reader(&r);
    }
    for (int i = 0, n = (int)strcspn(line, "<"); i < LONG; i += 8)
        memcpy(line + n + i, "<<1=1>>,", 8);
    expect_fault(&gsm8k, line, "more than 16384 calls");
}

// Answers that are programs: what is said is the whole function, what is graded against is what tests it.
static void tests_of_programs(void **state)
{
    (void)state;
    struct task t = {.name = "code",
                     .question = "prompt",
                     .answer = "body",
                     .tests = "tests",
                     .answer_text = "{question}{answer}",
                     .grader = GRADER_PYTHON_TESTS};
    struct reader r;
    struct example x;
    const char *row = "{\"prompt\":\"import re\\ndef f(n):\\n\",\"body\":\"    return {question}\","
                      "\"tests\":[\"assert f(1)\",\"assert f(2)\"],\"name\":\"f\"}";
    read_line(&r, &t, row, &x);
    expect_message(&x, 0, CHAT_USER, "import re\ndef f(n):\n");
    expect_message(&x, 1, CHAT_ASSISTANT, "import re\ndef f(n):\n    return {question}"); // data is only copied
    assert_string_equal(x.answer, "import re\n\nassert f(1)\nassert f(2)");
    close_reader(&r);
    t.entry_point = "name";
    t.answer_text = NULL;
    read_line(&r, &t, row, &x);
    expect_message(&x, 1, CHAT_ASSISTANT, "    return {question}");
    assert_string_equal(x.answer, "import re\n\nassert f(1)\nassert f(2)\ncheck(f)");
    close_reader(&r);
    expect_fault(&t, "{\"prompt\":\"p\",\"body\":\"b\",\"name\":\"f\"}", "'tests' is missing");
    expect_fault(&t, "{\"prompt\":\"p\",\"body\":\"b\",\"tests\":[],\"name\":\"f\"}", "'tests' has 0 tests");
    expect_fault(&t, "{\"prompt\":\"p\",\"body\":\"b\",\"tests\":[\"a\",null],\"name\":\"f\"}", "value 1 of 'tests'");
    expect_fault(&t, "{\"prompt\":\"p\",\"body\":\"b\",\"tests\":\"a\"}", "'name' is missing");
    expect_fault(&t, "{\"prompt\":\"p\",\"body\":\"b\",\"tests\":\"a\\u0000\",\"name\":\"f\"}", "has a zero byte");
}

enum { ROWS = 4000 };

// Counts, over many equal rows, where the right choice stands and which letter is said to be right.
static void count_positions(const struct task *task, int stands[4], int said[4], int lines_first[4])
{
    FILE *f = fopen("lines.jsonl", "wb");
    assert_non_null(f);
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "{\"question\":\"q\",\"right\":\"r\",\"wrong\":[\"x\",\"y\",\"z\"]}\n");
    fclose(f);
    struct reader r;
    struct example x;
    struct error *e;
    open_reader(&r, task, &lines_part);
    while (next(&r, &x, &e)) {
        assert_good(e);
        const struct chat_part *prompt = x.conversation.messages[0].parts;
        assert_int_equal(prompt->n, 8);
        for (int i = 0; i < 4; i++)
            stands[i] += prompt->text[2 * i] == 'r';
        for (const char *c = "rxyz"; *c; c++) {
            assert_non_null(memchr(prompt->text, *c, 8));
            lines_first[*c == 'r' ? 3 : *c - 'x'] += prompt->text[0] == *c;
        }
        said[x.right]++;
        assert_true(task->shuffled_labels || prompt->text[2 * x.right] == 'r');
        assert_int_equal(x.answer[0], 'A' + x.right);
    }
    close_reader(&r);
}

static void expect_even(const int counts[4])
{
    for (int i = 0; i < 4; i++)
        assert_in_range(counts[i], ROWS / 4 - 150, ROWS / 4 + 150); // five deviations
}

static void orders_are_even(void **state)
{
    (void)state;
    struct task t = quiz;
    t.prompt = "{choices}";
    t.choice_line = "{choice}{letter}";
    int stands[2][4] = {0}, said[2][4] = {0}, first[2][4] = {0};
    count_positions(&t, stands[0], said[0], first[0]);
    expect_even(stands[0]);
    expect_even(first[0]);
    assert_memory_equal(stands[0], said[0], sizeof stands[0]);
    t.shuffled_labels = true;
    count_positions(&t, stands[1], said[1], first[1]);
    assert_memory_equal(stands[0], stands[1], sizeof stands[0]); // the same order
    expect_even(said[1]);
    assert_true(memcmp(said[0], said[1], sizeof said[0]) != 0);
}

static void right_and_wrong(void **state)
{
    (void)state;
    struct reader r;
    struct example x;
    read_line(&r, &quiz, "{\"question\":\"q\",\"right\":\"r\",\"wrong\":\"w\"}", &x);
    assert_int_equal(x.n_letters, 2);
    expect_message(&x, 0, CHAT_USER,
                   x.right ? "Multiple Choice question: q\n- w=A\n- r=B\n\nRespond only with the letter of the correct answer."
                           : "Multiple Choice question: q\n- r=A\n- w=B\n\nRespond only with the letter of the correct answer.");
    close_reader(&r);
    expect_fault(&quiz, "{\"question\":\"q\",\"right\":\"r\",\"wrong\":[\"w\",\"r\"]}",
                 "the right choice 'r' is among the wrong");
    expect_fault(&quiz, "{\"question\":\"q\",\"right\":\"r\",\"wrong\":[1,2,3,4]}", "5 choices and only 4 letters");
    expect_fault(&quiz, "{\"question\":\"q\",\"right\":[\"r\"],\"wrong\":[1]}", "'right' is a list");
    expect_fault(&quiz, "{\"question\":\"q\",\"right\":\"r\"}", "'wrong' is missing");
    char many[400] = "{\"question\":\"q\",\"right\":\"r\",\"wrong\":[0";
    for (int i = 1; i < 26; i++)
        strcat(many, ",1");
    strcat(many, "]}");
    expect_fault(&quiz, many, "26 wrong choices, more than 25");
}

static void paths_of_tasks(void **state)
{
    (void)state;
    struct arena arena = {0};
    const char *paths[TASK_PATHS];
    int n;
    struct task t = {.name = "t", .messages = "a.b | . | c"};
    assert_good(task_paths(&t, &arena, paths, &n));
    assert_int_equal(n, 2);
    assert_string_equal(paths[0], "a.b.role | ..role | role | c.role");
    assert_string_equal(paths[1], "a.b.content | ..content | content | c.content");
    assert_good(task_paths(&arc, &arena, paths, &n));
    assert_int_equal(n, 4);
    t = (struct task){.name = "t", .question = "q"};
    assert_error(task_paths(&t, &arena, paths, &n), ERROR_RECIPE, "task 't' has no fields");
    t.choices = "c";
    assert_error(task_paths(&t, &arena, paths, &n), ERROR_RECIPE, "task 't' has no fields");
    t.choices = NULL;
    t.right = "r";
    assert_error(task_paths(&t, &arena, paths, &n), ERROR_RECIPE, "task 't' has no fields");
    arena_release(&arena);
    assert_string_equal(grader_name(GRADER_NUMBER), "number");
}

static void worlds_talk(void **state)
{
    (void)state;
    static const char *const roles[] = {"user", "assistant"}, *const contents[] = {"hi", "hello"};
    static const struct world_field fields[] = {{"content", contents, 2, true, {"w.yaml", 4, 1, 0}},
                                                {"role", roles, 2, true, {"w.yaml", 5, 1, 0}}};
    static const struct world_record_template template = {"chat", 1, fields, 2, NULL, 0, {"w.yaml", 4, 1, 0}};
    static const char *const items[] = {"x"};
    static const struct world_set set = {"s", items, 1, {"w.yaml", 2, 1, 0}};
    struct arena arena = {0};
    static const struct world_template document = {1, "-", NULL, {"w.yaml", 3, 1, 0}};
    struct world world = {.path = "w.yaml",
                          .templates = &document,
                          .n_templates = 1,
                          .sets = &set,
                          .n_sets = 1,
                          .records = &template,
                          .n_records = 1};
    assert_good(world_compile(&world, &arena));
    struct reader r;
    struct example x;
    struct error *e;
    open_reader(&r, &talk, &(struct document_part){DOCUMENT_WORLD, .path = "w.yaml", .world = &world, .n = 1, .records = "chat"});
    assert_true(next(&r, &x, &e));
    assert_good(e);
    expect_message(&x, 0, CHAT_USER, "hi");
    expect_message(&x, 1, CHAT_ASSISTANT, "hello");
    assert_false(next(&r, &x, &e));
    close_reader(&r);
    arena_release(&arena);
}

// Every row of the shared data sets, and those of smoltalk rendered.
static void shared_data(void **state)
{
    (void)state;
    static const struct {
        const struct task *task;
        const char *file;
    } sets[] = {{&talk, "smoltalk/test"},      {&mmlu, "mmlu/test"},     {&mmlu, "mmlu/auxiliary_train"},
                {&arc, "arc_easy/test"},       {&arc, "arc_easy/train"}, {&arc, "arc_challenge/test"},
                {&arc, "arc_challenge/train"}, {&gsm8k, "gsm8k/train"},  {&gsm8k, "gsm8k/test"}};
    struct arena arena = {0};
    uint8_t bytes[256];
    int64_t offsets[257] = {0};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
        offsets[i + 1] = i + 1;
    }
    struct token_table table = {.n = 256, .bytes = bytes, .n_bytes = 256, .offsets = offsets};
    struct tokenizer *tokenizer;
    struct encoder enc;
    assert_good(token_table_add_specials(&table, &arena, token_specials, TOKEN_SPECIALS));
    assert_good(tokenizer_new(&tokenizer, &arena, &table));
    assert_good(encoder_init(&enc, tokenizer));
    struct ids ids = {0};
    struct bytes mask = {0};
    int n_system = 0;
    for (size_t i = 0; i < countof(sets); i++) {
        char path[400];
        snprintf(path, sizeof path, RETORT_SHARED "/data/%s-00000-of-00001.parquet", sets[i].file);
        if (access(path, R_OK) != 0) {
            print_message("no '%s'\n", path);
            skip();
        }
        struct reader r;
        struct example x;
        struct error *e;
        open_reader(&r, sets[i].task, &(struct document_part){DOCUMENT_PARQUET, .path = path});
        while (next(&r, &x, &e)) {
            assert_good(e);
            n_system += x.conversation.messages[0].role == CHAT_SYSTEM;
            ids.n = mask.n = 0;
            assert_good(chat_render(&enc, &x.conversation, 512, &ids, &mask));
            assert_true(sets[i].task->labels || sets[i].task != &mmlu || x.n_letters == 4);
        }
        close_reader(&r);
    }
    assert_true(n_system > 0);
    ids_release(&ids);
    bytes_release(&mask);
    encoder_release(&enc);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),         cmocka_unit_test(conversations),   cmocka_unit_test(choices),
        cmocka_unit_test(calls),          cmocka_unit_test(orders_are_even), cmocka_unit_test(right_and_wrong),
        cmocka_unit_test(tests_of_programs),
        cmocka_unit_test(paths_of_tasks), cmocka_unit_test(worlds_talk),     cmocka_unit_test(shared_data),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
