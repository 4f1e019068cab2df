// test_task_rows_write.c - from a data set's file to rows: what stands in them reads as the conversation that it was.
#include "tests/unit/core/data/byte_chat.h"

#include <jansson.h>

#include "core/data/task_rows.h"

static const struct task chats = {.name = "chats", .messages = "messages"};
static const struct task sums = {.name = "sums",
                                 .question = "q",
                                 .answer = "a",
                                 .call_begin = "<<",
                                 .call_middle = "=",
                                 .call_end = ">>",
                                 .grader = GRADER_NUMBER};
static const struct task quiz = {.name = "quiz",
                                 .question = "q",
                                 .choices = "c",
                                 .answer = "a",
                                 .letters = {"A", "B", "C", "DD"},
                                 .n_letters = 4,
                                 .grader = GRADER_CHOICE,
                                 .baseline = 0.25};

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static struct error *write_lines(const struct byte_chat *b, const struct task *task, const char *text, const char *path)
{
    put_file("in.jsonl", text);
    const struct document_part part = {.form = DOCUMENT_JSONL, .path = "in.jsonl"};
    return task_rows_write(task, &part, b->tokenizer, path, NULL, 0, NULL);
}

static void open_one(struct task_rows *rows, const char *path, struct arena *arena)
{
    assert_good(task_rows_open(rows, &path, 1, arena));
}

// The text of n ids, specials by their names.
static void assert_text(const struct byte_chat *b, const int32_t *ids, int64_t n, const char *expected)
{
    struct bytes text = {0};
    assert_good(tokenizer_decode(b->tokenizer, ids, (size_t)n, &text));
    assert_good(bytes_append(&text, "", 1));
    assert_string_equal((const char *)text.byte, expected);
    bytes_release(&text);
}

// The whole row, what of it is learned, and its prompt.
static void check_row(const struct byte_chat *b, const struct task_rows *rows, int64_t i, const char *expected,
                      const char *learned, const char *prompt)
{
    int32_t ids[4096], some[4096];
    uint8_t mask[4096];
    int64_t n = task_rows_read(rows, i, 4096, ids, mask), n_some = 0;
    assert_text(b, ids, n, expected);
    for (int64_t t = 0; t < n; t++)
        if (mask[t])
            some[n_some++] = ids[t];
    assert_text(b, some, n_some, learned);
    assert_text(b, some, task_rows_prompt(rows, i, 4095, some), prompt);
}

static void conversations(void **state)
{
    (void)state;
    struct byte_chat b;
    struct task_rows rows;
    byte_chat_open(&b);
    assert_good(write_lines(
        &b, &chats,
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"ho\"}]}\n"
        "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": \"1\"},"
        " {\"role\": \"assistant\", \"content\": \"2\"}, {\"role\": \"user\", \"content\": \"<|bos|>\"},"
        " {\"role\": \"assistant\", \"content\": \"\\u00e9\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"1\"}, {\"role\": \"assistant\", \"content\":"
        " [{\"type\": \"python\", \"text\": \"1+1\"}, {\"type\": \"python_output\", \"text\": \"2\"}, {\"type\": \"text\", "
        "\"text\": \".\"}]}]}\n",
        "out.h5"));
    open_one(&rows, "out.h5", &b.arena);
    assert_int_equal(rows.n, 3);
    check_row(
        &b, &rows, 2,
        "<|bos|><|user_start|>1<|user_end|><|assistant_start|><|python_start|>1+1<|python_end|><|output_start|>2<|output_end|>."
        "<|assistant_end|>",
        "<|python_start|>1+1<|python_end|>.<|assistant_end|>", "<|bos|><|user_start|>1<|user_end|><|assistant_start|>");
    assert_int_equal(rows.n_vocab, 265);
    check_row(&b, &rows, 0, "<|bos|><|user_start|>hi<|user_end|><|assistant_start|>ho<|assistant_end|>", "ho<|assistant_end|>",
              "<|bos|><|user_start|>hi<|user_end|><|assistant_start|>");
    check_row(&b, &rows, 1,
              "<|bos|><|user_start|>S\n\n1<|user_end|><|assistant_start|>2<|assistant_end|>"
              "<|user_start|><|bos|><|user_end|><|assistant_start|>\xC3\xA9<|assistant_end|>",
              "2<|assistant_end|>\xC3\xA9<|assistant_end|>",
              "<|bos|><|user_start|>S\n\n1<|user_end|><|assistant_start|>2<|assistant_end|>"
              "<|user_start|><|bos|><|user_end|><|assistant_start|>");
    assert_int_equal(task_rows_length(&rows, 1), 1 + 1 + 4 + 3 + 1 + 1 + 7 + 2 + 2 + 1); // a special's name is text in a text
    assert_int_equal(task_rows_answer(&rows, 0).n_text, 0);
    assert_int_equal(task_rows_answer(&rows, 0).right, -1);
    task_rows_close(&rows);
    assert_error(
        write_lines(&b, &chats,
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"1\"}, {\"role\": \"assistant\", \"content\": \"2\"}]}\n"
                    "{\"messages\": [{\"role\": \"assistant\", \"content\": \"1\"}, {\"role\": \"user\", \"content\": \"2\"}]}\n",
                    "bad.h5"),
        ERROR_DATA, "row 1 of task 'chats': messages[0] has role 'assistant' where 'user' must be");
    assert_int_not_equal(access("bad.h5", F_OK), 0);
    byte_chat_close(&b);
}

static void questions(void **state)
{
    (void)state;
    struct byte_chat b;
    struct task_rows rows;
    byte_chat_open(&b);
    assert_good(write_lines(&b, &sums, "{\"q\": \"2+2?\", \"a\": \"so <<2+2=4>>4\\n#### 4\"}\n", "sums.h5"));
    open_one(&rows, "sums.h5", &b.arena);
    check_row(&b, &rows, 0,
              "<|bos|><|user_start|>2+2?<|user_end|><|assistant_start|>so <|python_start|>2+2<|python_end|>"
              "<|output_start|>4<|output_end|>4\n#### 4<|assistant_end|>",
              "so <|python_start|>2+2<|python_end|>4\n#### 4<|assistant_end|>",
              "<|bos|><|user_start|>2+2?<|user_end|><|assistant_start|>");
    struct task_answer a = task_rows_answer(&rows, 0);
    assert_int_equal(a.n_text, 8);
    assert_memory_equal(a.text, "4\n#### 4", 8);
    assert_int_equal(a.n_letters, 0);
    task_rows_close(&rows);

    const char *three = "{\"q\": \"Which?\", \"c\": [\"x\", \"y\", \"z\"], \"a\": 2}\n";
    assert_good(write_lines(&b, &quiz, three, "quiz.h5"));
    open_one(&rows, "quiz.h5", &b.arena);
    check_row(&b, &rows, 0,
              "<|bos|><|user_start|>Multiple Choice question: Which?\n- x=A\n- y=B\n- z=C\n\nRespond only with the letter of the "
              "correct answer.<|user_end|><|assistant_start|>C<|assistant_end|>",
              "C<|assistant_end|>",
              "<|bos|><|user_start|>Multiple Choice question: Which?\n- x=A\n- y=B\n- z=C\n\nRespond only with the letter of the "
              "correct answer.<|user_end|><|assistant_start|>");
    a = task_rows_answer(&rows, 0);
    assert_int_equal(a.n_letters, 3);
    assert_memory_equal(a.letters, ((const int32_t[]){'A', 'B', 'C'}), 3 * sizeof(int32_t));
    assert_int_equal(a.right, 2);
    assert_int_equal(a.n_text, 1);
    assert_int_equal(a.text[0], 'C');
    task_rows_close(&rows);
    assert_error(write_lines(&b, &quiz, "{\"q\": \"Which?\", \"c\": [\"x\", \"y\", \"z\", \"t\"], \"a\": 0}\n", "bad.h5"),
                 ERROR_DATA, "letter 'DD' of row 0 of task 'quiz' is 2 tokens, and must be one");
    byte_chat_close(&b);
}

static void count(void *self, int64_t rows)
{
    int64_t *last = self;
    assert_true(rows >= *last);
    *last = rows;
}

static struct error *refuse(void *self)
{
    assert_null(self);
    return error_plain(ERROR_DATA, "it has changed meanwhile");
}

// More rows than a batch has, of many lengths, one of them a giant: all there, in order; of several faults the first is told.
static void many(void **state)
{
    (void)state;
    enum { ROWS = 3000, GIANT = 6 << 20 };
    struct byte_chat b;
    struct task_rows rows;
    byte_chat_open(&b);
    FILE *f = fopen("in.jsonl", "w"), *bad = fopen("bad.jsonl", "w");
    for (int i = 0; i < ROWS; i++) {
        fprintf(f, "{\"q\": \"%d\", \"a\": \"%.*s\"}\n", i, i % 20, "abcdefghijklmnopqrst");
        fprintf(bad, "[{\"role\": \"%s\", \"content\": \"%d\"}, {\"role\": \"assistant\", \"content\": \"\"}]\n",
                i == 1700 || i > 1900 ? "assistant" : "user", i);
    }
    char *giant = test_malloc(GIANT);
    memset(giant, 'g', GIANT);
    fprintf(f, "{\"q\": \"%.*s\", \"a\": \"last\"}\n", GIANT, giant);
    test_free(giant);
    fclose(f);
    fclose(bad);
    struct document_part part = {.form = DOCUMENT_JSONL, .path = "in.jsonl"};
    const struct store_attribute attribute = store_text("/", "task", "sums");
    int64_t shown = 0;
    assert_good(
        task_rows_write(&sums, &part, b.tokenizer, "many.h5", &attribute, 1, &(struct task_rows_hooks){&shown, count, NULL}));
    assert_int_equal(shown, ROWS + 1);
    assert_error(task_rows_write(&sums, &part, b.tokenizer, "none.h5", NULL, 0, &(struct task_rows_hooks){.all_read = refuse}),
                 ERROR_DATA, "it has changed meanwhile");
    assert_int_equal(access("none.h5", F_OK), -1);
    open_one(&rows, "many.h5", &b.arena);
    assert_int_equal(rows.n, ROWS + 1);
    for (int i = 0; i < ROWS; i++) {
        char all[200], prompt[100], learned[50];
        snprintf(learned, sizeof learned, "%.*s<|assistant_end|>", i % 20, "abcdefghijklmnopqrst");
        snprintf(prompt, sizeof prompt, "<|bos|><|user_start|>%d<|user_end|><|assistant_start|>", i);
        snprintf(all, sizeof all, "%s%s", prompt, learned);
        check_row(&b, &rows, i, all, learned, prompt);
        assert_int_equal(task_rows_answer(&rows, i).n_text, i % 20);
    }
    assert_int_equal(task_rows_length(&rows, ROWS), GIANT + 4 + 4 + 1);
    task_rows_close(&rows);
    struct store_file *file;
    const char *text;
    assert_good(store_open(&file, "many.h5"));
    assert_good(store_verify(file));
    assert_good(store_get_text(file, "/", "task", &b.arena, &text));
    assert_string_equal(text, "sums");
    store_close(file);
    part.path = "bad.jsonl";
    const struct task lists = {.name = "lists", .messages = "messages | ."};
    assert_error(task_rows_write(&lists, &part, b.tokenizer, "bad.h5", NULL, 0, NULL), ERROR_DATA, "row 1700 of task 'lists'");
    byte_chat_close(&b);
}

// ---- real data ----

// Writes a task of a parquet file of the shared data; false where it is not there.
static bool write_shared(const struct byte_chat *b, const struct task *task, const char *name, const char *out)
{
    char path[512];
    snprintf(path, sizeof path, "%s/data/%s-00000-of-00001.parquet", RETORT_SHARED, name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: no %s\n", path);
        return false;
    }
    const struct document_part part = {.form = DOCUMENT_PARQUET, .path = path};
    assert_good(task_rows_write(task, &part, b->tokenizer, out, NULL, 0, NULL));
    return true;
}

static void multiple_choice(const struct byte_chat *b, const struct task *task, const char *name, const char *golden_name)
{
    struct task_rows rows;
    FILE *file = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!file || !write_shared(b, task, name, "shared.h5")) {
        if (file)
            fclose(file);
        skip();
    }
    struct arena arena = {0};
    open_one(&rows, "shared.h5", &arena);
    int64_t *order = arena_array(&arena, (size_t)rows.n, sizeof *order);
    assert_good(task_rows_order(rows.n, order));
    int n = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line)) {
        const json_t *input = json_object_get(line, "input"), *expected = json_object_get(line, "expected");
        const char *of = json_string_value(json_object_get(input, "task"));
        if (strcmp(json_string_value(json_object_get(line, "case")), "multiple_choice") != 0 || !of ||
            strcmp(of, golden_name) != 0)
            continue;
        int64_t row = order[json_integer_value(json_object_get(input, "index"))];
        assert_int_equal(row, json_integer_value(json_object_get(input, "row")));
        const char *question = json_string_value(json_object_get(expected, "prompt"));
        const char *answer = json_string_value(json_object_get(expected, "answer"));
        const char *prompt = arena_printf(&arena, "<|bos|><|user_start|>%s<|user_end|><|assistant_start|>", question);
        const char *learned = arena_printf(&arena, "%s<|assistant_end|>", answer);
        check_row(b, &rows, row, arena_printf(&arena, "%s%s", prompt, learned), learned, prompt);
        struct task_answer a = task_rows_answer(&rows, row);
        assert_int_equal(a.letters[a.right], answer[0]);
        n++;
    }
    fclose(file);
    task_rows_close(&rows);
    arena_release(&arena);
    assert_true(n > 0);
}

static void shared_choices(void **state)
{
    (void)state;
    static const struct task arc = {
        .name = "arc", .question = "question", .choices = "choices.text", .labels = "choices.label", .answer = "answerKey"};
    static const struct task mmlu = {.name = "mmlu",
                                     .question = "question",
                                     .choices = "choices",
                                     .answer = "answer",
                                     .letters = {"A", "B", "C", "D"},
                                     .n_letters = 4};
    struct byte_chat b;
    byte_chat_open(&b);
    multiple_choice(&b, &arc, "arc_easy/train", "ARC-Easy-train");
    multiple_choice(&b, &arc, "arc_challenge/test", "ARC-Challenge-test");
    multiple_choice(&b, &mmlu, "mmlu/test", "mmlu");
    byte_chat_close(&b);
}

static void shared_texts(void **state)
{
    (void)state;
    static const struct task gsm8k = {
        .name = "gsm8k", .question = "question", .answer = "answer", .call_begin = "<<", .call_middle = "=", .call_end = ">>"};
    struct byte_chat b;
    struct task_rows rows;
    byte_chat_open(&b);
    if (!write_shared(&b, &gsm8k, "gsm8k/test", "gsm8k.h5") || !write_shared(&b, &chats, "smoltalk/test", "smoltalk.h5")) {
        byte_chat_close(&b);
        skip();
    }
    open_one(&rows, "gsm8k.h5", &b.arena);
    assert_int_equal(rows.n, 1319);
    for (int64_t i = 0; i < rows.n; i++) {
        struct task_answer a = task_rows_answer(&rows, i);
        assert_non_null(memmem(a.text, a.n_text, "#### ", 5));
        assert_true(task_rows_prompt(&rows, i, 2048, NULL) > 4);
    }
    task_rows_close(&rows);
    open_one(&rows, "smoltalk.h5", &b.arena);
    assert_int_equal(rows.n, 215);
    for (int64_t i = 0; i < rows.n; i++)
        assert_true(task_rows_prompt(&rows, i, INT64_MAX, NULL) < task_rows_length(&rows, i));
    task_rows_close(&rows);
    byte_chat_close(&b);
}

// A row that cannot be rendered is told before a later one that cannot be read, though all of a batch are read first.
static void first_bad_row_is_told(void **state)
{
    (void)state;
    static const char turns[] = "[{\"role\": \"assistant\", \"content\": \"1\"}, {\"role\": \"user\", \"content\": \"2\"}]";
    static const char good[] = "[{\"role\": \"user\", \"content\": \"1\"}, {\"role\": \"assistant\", \"content\": \"2\"}]";
    struct byte_chat b;
    char text[1000];
    byte_chat_open(&b);
    snprintf(text, sizeof text, "{\"messages\": %s}\n{\"messages\": %s}\n{\"messages\": []}\n", good, turns);
    assert_error(write_lines(&b, &chats, text, "bad.h5"), ERROR_DATA, "row 1 of task 'chats': messages[0] has role 'assistant'");
    snprintf(text, sizeof text, "{\"messages\": %s}\n{\"messages\": %s}\n{\n", good, turns);
    assert_error(write_lines(&b, &chats, text, "bad.h5"), ERROR_DATA, "row 1 of task 'chats': messages[0] has role 'assistant'");
    snprintf(text, sizeof text, "{\"messages\": %s}\n{\"messages\": []}\n{\"messages\": %s}\n", good, turns);
    assert_error(write_lines(&b, &chats, text, "bad.h5"), ERROR_DATA, "row 1 of task 'chats': a question and an answer");
    byte_chat_close(&b);
}

// Bad as JSON, as an example and as a conversation: all three are left out, and no more than allowed.
static void bad_rows_are_skipped(void **state)
{
    (void)state;
    static const char turns[] = "[{\"role\": \"assistant\", \"content\": \"1\"}, {\"role\": \"user\", \"content\": \"2\"}]";
    static const char good[] = "[{\"role\": \"user\", \"content\": \"1\"}, {\"role\": \"assistant\", \"content\": \"2\"}]";
    struct skips skips = {.most = 3};
    const struct document_part part = {.form = DOCUMENT_JSONL, .path = "in.jsonl", .skips = &skips};
    struct task_rows rows;
    struct arena arena = {0};
    struct byte_chat b;
    char text[1000];
    byte_chat_open(&b);
    snprintf(text, sizeof text, "{\"messages\": %s}\n{\"messages\": []}\n{\n{\"messages\": %s}\n{\"messages\": %s}\n", good,
             turns, good);
    put_file("in.jsonl", text);
    assert_good(task_rows_write(&chats, &part, b.tokenizer, "skipped.h5", NULL, 0, NULL));
    assert_int_equal(skips.n, 3);
    open_one(&rows, "skipped.h5", &arena);
    assert_int_equal(rows.n, 2);
    task_rows_close(&rows);
    arena_release(&arena);
    skips_release(&skips);
    skips.most = 2;
    struct error *e = task_rows_write(&chats, &part, b.tokenizer, "bad.h5", NULL, 0, NULL);
    assert_non_null(e);
    assert_non_null(e->while_);
    assert_string_equal(e->while_->what, "skipping bad rows: skip_bad is 2, and so many came before");
    assert_error(e, ERROR_DATA, "messages[0] has role 'assistant'");
    skips_release(&skips);
    byte_chat_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(conversations),
                                       cmocka_unit_test(first_bad_row_is_told),
                                       cmocka_unit_test(bad_rows_are_skipped),
                                       cmocka_unit_test(questions),
                                       cmocka_unit_test(many),
                                       cmocka_unit_test(shared_choices),
                                       cmocka_unit_test(shared_texts)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
