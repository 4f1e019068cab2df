// test_task_rows.c - rows come back as they were written, cut as conversations are rendered; odd files are refused.
#include "tests/unit/core/data/made_rows.h"

#include <jansson.h>

#include "tests/unit/core/data/byte_chat.h"

// ---- rows by arithmetic ----

static void check_made_row(const struct task_rows *rows, int64_t i, int64_t n_vocab)
{
    struct made_row m;
    int32_t ids[MADE_MAX + 1];
    uint8_t mask[MADE_MAX];
    make_row(&m, i, n_vocab);
    assert_int_equal(task_rows_length(rows, i), m.row.n);
    const int64_t cuts[] = {0, 1, 2, m.row.n_prompt, m.row.n - 1, m.row.n, m.row.n + 1, INT64_MAX};
    for (size_t c = 0; c < countof(cuts); c++) {
        int64_t n = cuts[c] < m.row.n ? cuts[c] : m.row.n;
        memset(ids, 0xFF, sizeof ids);
        memset(mask, 0xFF, sizeof mask);
        assert_int_equal(task_rows_read(rows, i, cuts[c], ids, mask), n);
        assert_memory_equal(ids, m.ids, (size_t)n * sizeof *ids);
        assert_memory_equal(mask, m.mask, (size_t)n);
        assert_int_equal(ids[n], -1);
        assert_true(n == MADE_MAX || mask[n] == 0xFF);
        assert_int_equal(task_rows_read(rows, i, cuts[c], NULL, NULL), n);

        int64_t prompt = m.row.n_prompt, before = prompt - 1 < cuts[c] ? prompt - 1 : cuts[c];
        int64_t expected = prompt ? before + 1 : 0;
        memset(ids, 0xFF, sizeof ids);
        assert_int_equal(task_rows_prompt(rows, i, cuts[c], ids), expected);
        assert_int_equal(task_rows_prompt(rows, i, cuts[c], NULL), expected);
        if (prompt) {
            assert_memory_equal(ids, m.ids, (size_t)before * sizeof *ids);
            assert_int_equal(ids[before], MADE_START);
        }
        assert_int_equal(ids[expected], -1);
    }
    struct task_answer a = task_rows_answer(rows, i);
    assert_int_equal(a.n_text, m.row.answer.n_text);
    assert_memory_equal(a.text, m.answer, a.n_text);
    assert_int_equal(a.n_letters, m.row.answer.n_letters);
    assert_memory_equal(a.letters, m.letters, (size_t)a.n_letters * sizeof *a.letters);
    assert_int_equal(a.right, m.row.answer.right);
    assert_memory_equal(task_rows_mask(rows, i), m.mask, (size_t)m.row.n);
    task_rows_span(rows, i, m.row.n / 2, m.row.n - m.row.n / 2, ids);
    assert_memory_equal(ids, m.ids + m.row.n / 2, (size_t)(m.row.n - m.row.n / 2) * sizeof *ids);
}

static void rows_of(int64_t n_vocab)
{
    const int64_t counts[] = {0, 300, 1, 0, 0, 500, 0};
    char names[countof(counts)][8];
    const char *paths[countof(counts)];
    int64_t n = 0;
    for (size_t i = 0; i < countof(counts); n += counts[i++]) {
        snprintf(names[i], sizeof names[i], "r%zu.h5", i);
        paths[i] = names[i];
        save_made_rows(paths[i], n, counts[i], n_vocab);
    }
    struct arena arena = {0};
    struct task_rows rows;
    assert_good(task_rows_open(&rows, paths, countof(counts), &arena));
    assert_int_equal(rows.n, n);
    assert_int_equal(rows.n_vocab, n_vocab);
    assert_int_equal(rows.assistant_start, MADE_START);
    int64_t n_tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        check_made_row(&rows, i, n_vocab);
        n_tokens += task_rows_length(&rows, i);
    }
    assert_int_equal(rows.n_tokens, n_tokens);
    task_rows_close(&rows);
    arena_release(&arena);
}

static void narrow_rows(void **state)
{
    (void)state;
    rows_of(300);
    rows_of(65536);
}

static void wide_rows(void **state)
{
    (void)state;
    rows_of(65537);
    rows_of(INT32_MAX);
}

static void no_rows(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct task_rows rows;
    const char *const path = "none.h5", *const missing = "missing.h5";
    assert_good(task_rows_open(&rows, NULL, 0, &arena));
    assert_int_equal(rows.n, 0);
    task_rows_close(&rows);
    save_rows(path, 100, NULL, 0);
    assert_good(task_rows_open(&rows, &path, 1, &arena));
    assert_int_equal(rows.n, 0);
    task_rows_close(&rows);
    assert_error(task_rows_open(&rows, &missing, 1, &arena), ERROR_DATA, "missing.h5");
    arena_release(&arena);
}

static void odd_rows_are_not_written(void **state)
{
    (void)state;
    const int32_t ids[] = {0, MADE_START, 5}, letters[] = {7, 100};
    const uint8_t mask[] = {0, 0, 1}, odd_mask[] = {0, 2, 1};
    const struct task_row good = {ids, mask, 3, 2, {.text = "", .right = -1}};
    struct task_row_writer w = {.n_vocab = 100, .assistant_start = MADE_START};
    struct task_row row = good;
    row.mask = odd_mask;
    assert_error(task_row_writer_add(&w, &row), ERROR_FAILED, "mask");
    row = good;
    row.n_prompt = 3;
    assert_error(task_row_writer_add(&w, &row), ERROR_FAILED, "assistant_start");
    row = good;
    row.answer.right = 0;
    assert_error(task_row_writer_add(&w, &row), ERROR_FAILED, "right letter");
    row.answer.letters = letters;
    row.answer.n_letters = 2;
    assert_error(task_row_writer_add(&w, &row), ERROR_FAILED, "letter 100");
    task_row_writer_release(&w);
    w.n_vocab = 5;
    assert_error(task_row_writer_add(&w, &good), ERROR_FAILED, "token 5");
    task_row_writer_release(&w);
}

// ---- damage ----

struct raw {
    int64_t n, d, n_vocab, start;
    uint16_t ids[6];
    uint8_t mask[6];
    int64_t n_mask, rows[3], prompts[2], answer_ends[3], letter_ends[3];
    int32_t letters[3], right[2];
};

static const struct raw whole = {.n = 6,
                                 .d = 2,
                                 .n_vocab = 50,
                                 .start = 7,
                                 .ids = {1, 2, 7, 3, 7, 4},
                                 .mask = {0, 0, 0, 1, 0, 1},
                                 .n_mask = 6,
                                 .rows = {0, 4, 6},
                                 .prompts = {3, 1},
                                 .answer_ends = {0, 1, 2},
                                 .letter_ends = {0, 3, 3},
                                 .letters = {8, 9, 10},
                                 .right = {2, -1}};

static struct error *open_raw(const struct raw *r)
{
    const struct store_set sets[] = {
        {.path = "/tokens", .type = STORE_U16, .n_dims = 1, .dims = {6}, .data = r->ids},
        {.path = "/mask", .type = STORE_U8, .n_dims = 1, .dims = {r->n_mask}, .data = r->mask},
        {.path = "/rows", .type = STORE_I64, .n_dims = 1, .dims = {3}, .data = r->rows},
        {.path = "/prompts", .type = STORE_I64, .n_dims = 1, .dims = {2}, .data = r->prompts},
        {.path = "/answers", .type = STORE_U8, .n_dims = 1, .dims = {2}, .data = "ab"},
        {.path = "/answer_ends", .type = STORE_I64, .n_dims = 1, .dims = {3}, .data = r->answer_ends},
        {.path = "/letters", .type = STORE_I32, .n_dims = 1, .dims = {3}, .data = r->letters},
        {.path = "/letter_ends", .type = STORE_I64, .n_dims = 1, .dims = {3}, .data = r->letter_ends},
        {.path = "/right", .type = STORE_I32, .n_dims = 1, .dims = {2}, .data = r->right},
    };
    const struct store_attribute attributes[] = {store_i64("/", "n", r->n), store_i64("/", "d", r->d),
                                                 store_i64("/", "n_vocab", r->n_vocab),
                                                 store_i64("/", "assistant_start", r->start)};
    assert_good(store_save("odd.h5", attributes, countof(attributes), sets, countof(sets)));
    const char *const path = "odd.h5";
    struct arena arena = {0};
    struct task_rows rows;
    struct error *e = task_rows_open(&rows, &path, 1, &arena);
    if (e)
        assert_int_equal(rows.n_files, 0);
    task_rows_close(&rows);
    arena_release(&arena);
    return e;
}

// The file with one number changed.
#define EXPECT_DAMAGE(field, value, part)                                                                                        \
    do {                                                                                                                         \
        struct raw r = whole;                                                                                                    \
        r.field = value;                                                                                                         \
        assert_error(open_raw(&r), ERROR_DATA, part);                                                                            \
    } while (0)

static void odd_files_are_refused(void **state)
{
    (void)state;
    assert_good(open_raw(&whole));
    EXPECT_DAMAGE(n, 5, "'/tokens' of 'odd.h5' has 6 items where 5 belong");
    EXPECT_DAMAGE(n, -1, "says that it has -1 tokens");
    EXPECT_DAMAGE(d, 1, "'/rows' of 'odd.h5' has 3 items where 2 belong");
    EXPECT_DAMAGE(d, INT64_MAX, "says that it has");
    EXPECT_DAMAGE(n_vocab, 0, "impossible vocabulary");
    EXPECT_DAMAGE(n_vocab, (int64_t)INT32_MAX + 1, "impossible vocabulary");
    EXPECT_DAMAGE(n_vocab, 65537, "is u16 where u32 is needed");
    EXPECT_DAMAGE(start, 50, "outside its vocabulary");
    EXPECT_DAMAGE(start, -1, "outside its vocabulary");
    EXPECT_DAMAGE(start, 8, "row 0 of 'odd.h5' has a prompt that does not end with assistant_start");
    EXPECT_DAMAGE(ids[3], 50, "has token 50, where the vocabulary is 50");
    EXPECT_DAMAGE(mask[5], 2, "neither 0 nor 1");
    EXPECT_DAMAGE(n_mask, 5, "'/mask' of 'odd.h5' has 5 items where 6 belong");
    EXPECT_DAMAGE(rows[0], 1, "borders of rows");
    EXPECT_DAMAGE(rows[1], 7, "borders of rows");
    EXPECT_DAMAGE(rows[1], -1, "borders of rows");
    EXPECT_DAMAGE(rows[2], 7, "borders of rows");
    EXPECT_DAMAGE(prompts[0], 5, "row 0 of 'odd.h5' has a prompt that is longer");
    EXPECT_DAMAGE(prompts[1], INT64_MAX, "row 1 of 'odd.h5' has a prompt that is longer");
    EXPECT_DAMAGE(prompts[1], -1, "row 1 of 'odd.h5' has a prompt that is longer");
    EXPECT_DAMAGE(prompts[1], 2, "does not end with assistant_start");
    EXPECT_DAMAGE(answer_ends[1], 3, "borders of answers");
    EXPECT_DAMAGE(answer_ends[2], 3, "borders of answers");
    EXPECT_DAMAGE(letter_ends[1], -4, "borders of letters");
    EXPECT_DAMAGE(letter_ends[2], 2, "borders of letters");
    EXPECT_DAMAGE(letters[1], 50, "row 0 of 'odd.h5' has a letter outside");
    EXPECT_DAMAGE(letters[1], -1, "row 0 of 'odd.h5' has a letter outside");
    EXPECT_DAMAGE(right[0], 3, "row 0 of 'odd.h5' has a right letter");
    EXPECT_DAMAGE(right[0], -1, "row 0 of 'odd.h5' has a right letter");
    EXPECT_DAMAGE(right[1], 0, "row 1 of 'odd.h5' has a right letter");
    EXPECT_DAMAGE(right[1], -2, "row 1 of 'odd.h5' has a right letter");
}

static void parts_of_different_tokenizers(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct task_rows rows;
    const char *const paths[] = {"a.h5", "b.h5"};
    save_made_rows("a.h5", 0, 5, 100);
    save_made_rows("b.h5", 0, 5, 101);
    assert_error(task_rows_open(&rows, paths, 2, &arena), ERROR_DATA, "different tokenizers");
    arena_release(&arena);
}

// ---- conversations ----

// One conversation as the only row of a file.
static void save_conversation(struct byte_chat *b, const struct conversation *c, const char *path)
{
    struct ids ids = {0};
    struct bytes mask = {0};
    assert_good(chat_render(&b->enc, c, SIZE_MAX, &ids, &mask));
    int64_t prompt = 0;
    for (size_t i = 0; i < ids.n && c->messages[c->n_messages - 1].role == CHAT_ASSISTANT; i++)
        prompt = ids.id[i] == ASSISTANT ? (int64_t)i + 1 : prompt;
    struct task_row_writer w = {.n_vocab = b->tokenizer->n_vocab, .assistant_start = ASSISTANT};
    assert_good(task_row_writer_add(
        &w, &(struct task_row){ids.id, mask.byte, (int64_t)ids.n, prompt, {.text = "4", .n_text = 1, .right = -1}}));
    assert_good(task_row_writer_save(&w, path, NULL, 0));
    task_row_writer_release(&w);
    ids_release(&ids);
    bytes_release(&mask);
}

// At each cut the rows give what rendering with that cut gives.
static void check_cuts(struct byte_chat *b, const struct conversation *c)
{
    const char *const path = "chat.h5";
    struct arena arena = {0};
    struct task_rows rows;
    save_conversation(b, c, path);
    assert_good(task_rows_open(&rows, &path, 1, &arena));
    int64_t length = task_rows_length(&rows, 0);
    int32_t *ids = arena_array(&arena, (size_t)length + 3, sizeof *ids);
    uint8_t *mask = arena_array(&arena, (size_t)length + 3, 1);
    struct ids want = {0};
    struct bytes want_mask = {0};
    for (int64_t cut = 0; cut <= length + 2; cut += length > 100 ? 13 : 1) {
        want.n = want_mask.n = 0;
        assert_good(chat_render(&b->enc, c, (size_t)cut, &want, &want_mask));
        assert_int_equal(task_rows_read(&rows, 0, cut, ids, mask), want.n);
        assert_memory_equal(ids, want.id, want.n * sizeof *ids);
        assert_memory_equal(mask, want_mask.byte, want.n);
        want.n = 0;
        if (c->messages[c->n_messages - 1].role == CHAT_ASSISTANT)
            assert_good(chat_render_for_completion(&b->enc, c, (size_t)cut, &want));
        assert_int_equal(task_rows_prompt(&rows, 0, cut, ids), want.n);
        assert_memory_equal(ids, want.id, want.n * sizeof *ids);
    }
    ids_release(&want);
    bytes_release(&want_mask);
    task_rows_close(&rows);
    arena_release(&arena);
}

static void cuts_are_those_of_rendering(void **state)
{
    (void)state;
    const struct chat_part user = {CHAT_TEXT, "2+2?", 4};
    const struct chat_part parts[] = {
        {CHAT_TEXT, "so ", 3}, {CHAT_PYTHON, "2+2", 3}, {CHAT_PYTHON_OUTPUT, "4", 1}, {CHAT_TEXT, "", 0}};
    const struct chat_message messages[] = {{CHAT_SYSTEM, &user, 1},  {CHAT_USER, &user, 1},      {CHAT_ASSISTANT, parts, 4},
                                            {CHAT_USER, &user, 1},    {CHAT_ASSISTANT, parts, 2}, {CHAT_USER, parts + 3, 1},
                                            {CHAT_ASSISTANT, NULL, 0}};
    struct byte_chat b;
    byte_chat_open(&b);
    for (size_t n = 2; n <= countof(messages); n++) {
        check_cuts(&b, &(struct conversation){messages, n});
        check_cuts(&b, &(struct conversation){messages + 1, n - 1});
    }
    char *letters = test_malloc(3000);
    memset(letters, 'a', 3000);
    const struct chat_part text = {CHAT_TEXT, letters, 3000};
    const struct chat_message long_messages[] = {{CHAT_USER, &text, 1}, {CHAT_ASSISTANT, parts, 1}};
    check_cuts(&b, &(struct conversation){long_messages, 2});
    test_free(letters);
    byte_chat_close(&b);
}

// ---- golden cases ----

static void check_shuffle(const json_t *input, const json_t *expected)
{
    int64_t n = json_integer_value(json_object_get(input, "rows"));
    if (json_integer_value(json_object_get(input, "seed")) != 42)
        return;
    int64_t *order = test_malloc((size_t)n * sizeof *order + 1);
    assert_good(task_rows_order(n, order));
    for (size_t i = 0; i < json_array_size(expected); i++)
        assert_int_equal(order[i], json_integer_value(json_array_get(expected, i)));
    test_free(order);
}

// Golden conversations here have texts only.
static bool read_conversation(const json_t *list, struct arena *arena, struct conversation *c)
{
    struct chat_message *messages = arena_array(arena, json_array_size(list), sizeof *messages);
    *c = (struct conversation){messages, json_array_size(list)};
    for (size_t i = 0; i < c->n_messages; i++) {
        const json_t *m = json_array_get(list, i), *content = json_object_get(m, "content");
        const char *role = json_string_value(json_object_get(m, "role"));
        struct chat_part *part = arena_alloc(arena, sizeof *part);
        if (!json_is_string(content))
            return false;
        *part = (struct chat_part){CHAT_TEXT, json_string_value(content), json_string_length(content)};
        messages[i] = (struct chat_message){role[0] == 's' ? CHAT_SYSTEM : role[0] == 'u' ? CHAT_USER : CHAT_ASSISTANT, part, 1};
    }
    return true;
}

static int check_render_cut(struct byte_chat *b, const json_t *input, const json_t *expected)
{
    struct arena arena = {0};
    struct conversation c;
    struct task_rows rows;
    const char *const path = "golden.h5";
    bool known = read_conversation(json_object_get(json_object_get(input, "conversation"), "messages"), &arena, &c);
    if (known) {
        save_conversation(b, &c, path);
        assert_good(task_rows_open(&rows, &path, 1, &arena));
        int32_t ids[4096];
        uint8_t mask[4096];
        int64_t n = task_rows_read(&rows, 0, json_integer_value(json_object_get(input, "max_tokens")), ids, mask), at = 0;
        assert_int_equal(n, json_integer_value(json_object_get(expected, "length")));
        const json_t *tokens = json_object_get(expected, "tokens");
        for (size_t i = 0; i < json_array_size(tokens); i++) {
            const char *piece = json_string_value(json_array_get(tokens, i));
            unsigned byte;
            if (strncmp(piece, "hex:", 4) == 0)
                for (const char *hex = piece + 4; sscanf(hex, "%2x", &byte) == 1; hex += 2)
                    assert_int_equal(ids[at++], byte);
            else
                assert_int_equal(ids[at++], tokenizer_special(b->tokenizer, piece));
        }
        assert_int_equal(at, n);
        const char *digits = json_string_value(json_object_get(expected, "mask"));
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(mask[i], digits[i] - '0');
        task_rows_close(&rows);
    }
    arena_release(&arena);
    return known;
}

// 3,000 times the letter a, asked for with the reference's cut.
static void check_completion_cut(struct byte_chat *b, const json_t *expected)
{
    struct arena arena = {0};
    struct task_rows rows;
    const char *const path = "golden.h5";
    char *letters = arena_alloc(&arena, 3000);
    memset(letters, 'a', 3000);
    const struct chat_part text = {CHAT_TEXT, letters, 3000}, answer = {CHAT_TEXT, "b", 1};
    const struct chat_message messages[] = {{CHAT_USER, &text, 1}, {CHAT_ASSISTANT, &answer, 1}};
    save_conversation(b, &(struct conversation){messages, 2}, path);
    assert_good(task_rows_open(&rows, &path, 1, &arena));
    int32_t ids[CHAT_TOKENS_MAX + 1];
    int64_t n = task_rows_prompt(&rows, 0, CHAT_TOKENS_MAX, ids);
    assert_int_equal(n, json_integer_value(json_object_get(expected, "length")));
    assert_int_equal(n, json_integer_value(json_object_get(expected, "letters")) + 3);
    assert_int_equal(ids[0], BOS);
    assert_int_equal(ids[1], USER);
    assert_int_equal(ids[2], 'a');
    assert_int_equal(ids[n - 2], 'a');
    assert_int_equal(ids[n - 1], ASSISTANT);
    task_rows_close(&rows);
    arena_release(&arena);
}

static void golden(void **state)
{
    (void)state;
    FILE *file = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!file) {
        print_message("skipped: no " RETORT_SHARED "/golden/chat-2025.jsonl\n");
        skip();
    }
    struct byte_chat b;
    byte_chat_open(&b);
    int n_shuffles = 0, n_cuts = 0, n_completions = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line)) {
        const char *name = json_string_value(json_object_get(line, "case"));
        const json_t *input = json_object_get(line, "input"), *expected = json_object_get(line, "expected");
        if (strcmp(name, "dataset_shuffle") == 0) {
            check_shuffle(input, expected);
            n_shuffles++;
        } else if (strcmp(name, "render_cut") == 0) {
            n_cuts += check_render_cut(&b, input, expected);
        } else if (strcmp(name, "completion_cut") == 0) {
            check_completion_cut(&b, expected);
            n_completions++;
        }
    }
    fclose(file);
    byte_chat_close(&b);
    print_message("%d shuffles, %d cuts, %d completions\n", n_shuffles, n_cuts, n_completions);
    assert_true(n_shuffles > 0 && n_cuts > 0 && n_completions > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(narrow_rows),
                                       cmocka_unit_test(wide_rows),
                                       cmocka_unit_test(no_rows),
                                       cmocka_unit_test(odd_rows_are_not_written),
                                       cmocka_unit_test(odd_files_are_refused),
                                       cmocka_unit_test(parts_of_different_tokenizers),
                                       cmocka_unit_test(cuts_are_those_of_rendering),
                                       cmocka_unit_test(golden)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
