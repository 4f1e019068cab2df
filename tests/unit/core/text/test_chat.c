// Conversations as ids and masks: the table of the format by hand, faults and their wording, and the golden cases.
#include "core/text/chat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

// 256 single bytes and the nine special tokens.
struct byte_chat {
    struct arena arena;
    struct tokenizer *tokenizer;
    struct encoder enc;
};

static void setup(struct byte_chat *b, int n_special)
{
    *b = (struct byte_chat){0};
    uint8_t bytes[256];
    int64_t offsets[257] = {0};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
        offsets[i + 1] = i + 1;
    }
    struct token_table table = {.n = 256, .bytes = bytes, .n_bytes = 256, .offsets = offsets};
    assert_null(token_table_add_specials(&table, &b->arena, token_specials, n_special));
    assert_null(tokenizer_new(&b->tokenizer, &b->arena, &table));
    assert_null(encoder_init(&b->enc, b->tokenizer));
}

static void teardown(struct byte_chat *b)
{
    encoder_release(&b->enc);
    arena_release(&b->arena);
}

enum { BOS = 256, USER, USER_END, ASSISTANT, ASSISTANT_END, PYTHON, PYTHON_END, OUTPUT, OUTPUT_END };

#define PART(kind, text)                                                                                                         \
    {                                                                                                                            \
        kind, text, sizeof text - 1                                                                                              \
    }

static const struct chat_part system_part = PART(CHAT_TEXT, "S"), question = PART(CHAT_TEXT, "q");
static const struct chat_part answer[] = {PART(CHAT_TEXT, "a"), PART(CHAT_PYTHON, "1+1"), PART(CHAT_PYTHON_OUTPUT, "2"),
                                          PART(CHAT_TEXT, "b")};
static const struct chat_message three[] = {
    {CHAT_SYSTEM, &system_part, 1}, {CHAT_USER, &question, 1}, {CHAT_ASSISTANT, answer, 4}};

static void by_hand(void **state)
{
    (void)state;
    static const int32_t expected[] = {BOS, USER, 'S', '\n',       '\n',   'q', USER_END,   ASSISTANT, 'a',          PYTHON,
                                       '1', '+',  '1', PYTHON_END, OUTPUT, '2', OUTPUT_END, 'b',       ASSISTANT_END};
    static const uint8_t expected_mask[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1};
    const struct conversation c = {three, 3};
    struct byte_chat b;
    struct ids ids = {0};
    struct bytes mask = {0};
    setup(&b, TOKEN_SPECIALS);
    for (size_t cut = 0; cut <= countof(expected) + 1; cut++) { // behind what is there already
        size_t n = cut < countof(expected) ? cut : countof(expected);
        ids.n = mask.n = 0;
        assert_null(ids_push(&ids, 77));
        assert_null(bytes_append(&mask, "xy", 2));
        assert_null(chat_render(&b.enc, &c, cut, &ids, &mask));
        assert_int_equal(ids.n, 1 + n);
        assert_int_equal(mask.n, 2 + n);
        assert_int_equal(ids.id[0], 77);
        assert_memory_equal(ids.id + 1, expected, n * sizeof *expected);
        assert_memory_equal(mask.byte + 2, expected_mask, n);
    }
    ids.n = 0;
    assert_null(chat_render_for_completion(&b.enc, &c, SIZE_MAX, &ids));
    assert_int_equal(ids.n, 8);
    assert_memory_equal(ids.id, expected, 8 * sizeof *expected);
    ids.n = 0;
    assert_null(chat_render_for_completion(&b.enc, &c, 3, &ids));
    assert_int_equal(ids.n, 4);
    assert_int_equal(ids.id[3], ASSISTANT);
    ids_release(&ids);
    bytes_release(&mask);
    teardown(&b);
}

static void expect_fault(struct byte_chat *b, const struct chat_message *messages, size_t n, bool completion, const char *what)
{
    const struct conversation c = {messages, n};
    struct ids ids = {0};
    struct bytes mask = {0};
    struct error *e = completion ? chat_render_for_completion(&b->enc, &c, 5, &ids) : chat_render(&b->enc, &c, 5, &ids, &mask);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    assert_string_equal(e->what, what);
    assert_int_equal(ids.n, 0);
    assert_int_equal(mask.n, 0);
    error_free(e);
    ids_release(&ids);
    bytes_release(&mask);
}

static void faults(void **state)
{
    (void)state;
    static const struct chat_part image = {CHAT_PART_KIND_COUNT, "x", 1}, missing = {CHAT_TEXT, NULL, 1};
    static const struct chat_message user = {CHAT_USER, &question, 1}, assistant = {CHAT_ASSISTANT, answer, 4};
    struct byte_chat b;
    setup(&b, TOKEN_SPECIALS);
    expect_fault(&b, NULL, 0, false, "the conversation has no messages");
    expect_fault(&b, NULL, 0, true, "the conversation has no messages");
    expect_fault(&b, three, 1, false, "messages[0] has role 'system' and no message of role 'user' follows");
    expect_fault(&b, three, 2, true, "messages[1] is the last and has role 'user' where 'assistant' must be");
    expect_fault(&b, &assistant, 1, true, "the conversation has no messages");
    expect_fault(&b, &assistant, 1, false, "messages[0] has role 'assistant' where 'user' must be");
    expect_fault(&b, (struct chat_message[]){three[0], assistant}, 2, false,
                 "messages[1] has role 'assistant' where 'user' must be");
    expect_fault(&b, (struct chat_message[]){three[0], assistant}, 2, true,
                 "messages[0] has role 'system' and no message of role 'user' follows");
    expect_fault(&b, (struct chat_message[]){user, user}, 2, false, "messages[1] has role 'user' where 'assistant' must be");
    expect_fault(&b, (struct chat_message[]){user, assistant, three[0]}, 3, false,
                 "messages[2] has role 'system' where 'user' must be");
    expect_fault(&b, (struct chat_message[]){{CHAT_ROLE_COUNT, &question, 1}}, 1, false,
                 "messages[0] has role 'unknown' where 'user' must be");
    expect_fault(&b, (struct chat_message[]){user, {CHAT_ASSISTANT, &image, 1}}, 2, false,
                 "part 0 of messages[1] is none of text, python, python_output");
    expect_fault(&b, (struct chat_message[]){{CHAT_USER, answer, 2}}, 1, false,
                 "messages[0] has 2 parts, but the content of role 'user' is one text");
    expect_fault(&b, (struct chat_message[]){{CHAT_USER, answer + 1, 1}}, 1, false,
                 "messages[0] has a part of python, which only role 'assistant' may have");
    expect_fault(&b, (struct chat_message[]){{CHAT_USER, &missing, 1}}, 1, false, "part 0 of messages[0] has no text");
    teardown(&b);
    setup(&b, 8);
    expect_fault(&b, three, 3, false, "the tokenizer has no special token '<|output_end|>', which chats need");
    teardown(&b);
}

// The messages of a golden conversation; what plain structs cannot say (content that is no text) becomes a part of no kind.
static struct conversation read_conversation(const json_t *conversation, struct arena *arena)
{
    static const char *const roles[CHAT_ROLE_COUNT] = {"system", "user", "assistant"};
    static const char *const kinds[CHAT_PART_KIND_COUNT] = {"text", "python", "python_output"};
    const json_t *list = json_object_get(conversation, "messages");
    size_t n = json_array_size(list);
    struct chat_message *messages = arena_array(arena, n + 1, sizeof *messages);
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(list, i), *content = json_object_get(m, "content");
        const char *role = json_string_value(json_object_get(m, "role"));
        size_t n_parts = json_is_array(content) ? json_array_size(content) : 1;
        struct chat_part *parts = arena_array(arena, n_parts + 1, sizeof *parts);
        for (size_t p = 0; p < n_parts; p++) {
            const json_t *text = content;
            parts[p].kind = json_is_string(content) ? CHAT_TEXT : CHAT_PART_KIND_COUNT;
            if (json_is_array(content)) {
                const json_t *part = json_array_get(content, p);
                const char *type = json_string_value(json_object_get(part, "type"));
                text = json_object_get(part, "text");
                for (int k = 0; k < CHAT_PART_KIND_COUNT; k++)
                    if (type && strcmp(type, kinds[k]) == 0)
                        parts[p].kind = (enum chat_part_kind)k;
            }
            parts[p].text = json_string_value(text);
            parts[p].n = json_string_length(text);
        }
        messages[i] = (struct chat_message){CHAT_ROLE_COUNT, parts, n_parts};
        for (int k = 0; k < CHAT_ROLE_COUNT; k++)
            if (strcmp(role, roles[k]) == 0)
                messages[i].role = (enum chat_role)k;
    }
    return (struct conversation){messages, n};
}

// Appends the pieces of a golden answer: objects with special or text, or strings that name a special or give "hex:" bytes.
static void read_pieces(struct byte_chat *b, const json_t *pieces, struct ids *ids, struct bytes *mask)
{
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        const json_t *piece = json_array_get(pieces, i);
        const json_t *text = json_object_get(piece, "text");
        const char *special = json_string_value(json_is_string(piece) ? piece : json_object_get(piece, "special"));
        size_t n = ids->n;
        if (text) {
            assert_null(encoder_encode(&b->enc, (const uint8_t *)json_string_value(text), json_string_length(text), ids));
        } else if (strncmp(special, "hex:", 4) == 0) {
            unsigned byte;
            for (const char *c = special + 4; sscanf(c, "%2x", &byte) == 1; c += 2)
                assert_null(ids_push(ids, (int32_t)byte));
        } else {
            assert_null(ids_push(ids, tokenizer_special(b->tokenizer, special)));
        }
        const uint8_t supervised = json_integer_value(json_object_get(piece, "mask")) != 0;
        for (; n < ids->n; n++)
            assert_null(bytes_append(mask, &supervised, 1));
    }
}

// 3,000 times the letter a, and how few of it a completion keeps.
static void long_completion(struct byte_chat *b, const json_t *expected)
{
    char letters[3000];
    memset(letters, 'a', sizeof letters);
    const struct chat_part text = {CHAT_TEXT, letters, sizeof letters};
    const struct chat_message messages[] = {{CHAT_USER, &text, 1}, {CHAT_ASSISTANT, answer + 3, 1}};
    const struct conversation c = {messages, 2};
    struct ids ids = {0};
    assert_null(chat_render_for_completion(&b->enc, &c, CHAT_TOKENS_MAX, &ids));
    assert_int_equal(ids.n, json_integer_value(json_object_get(expected, "length")));
    assert_int_equal(ids.n, 2 + json_integer_value(json_object_get(expected, "letters")) + 1);
    assert_int_equal(ids.id[0], BOS);
    assert_int_equal(ids.id[1], USER);
    for (size_t i = 2; i + 1 < ids.n; i++)
        assert_int_equal(ids.id[i], 'a');
    assert_int_equal(ids.id[ids.n - 1], ASSISTANT);
    ids_release(&ids);
}

static bool golden_case(struct byte_chat *b, const char *name, const json_t *input, const json_t *expected)
{
    bool cut = strcmp(name, "render_cut") == 0, completion = strcmp(name, "render_for_completion") == 0;
    bool invalid = strcmp(name, "render_invalid") == 0;
    if (strcmp(name, "completion_cut") == 0) {
        long_completion(b, expected);
        return true;
    }
    if (!cut && !completion && !invalid && strcmp(name, "render") != 0)
        return false;
    struct arena arena = {0};
    struct conversation c = read_conversation(cut ? json_object_get(input, "conversation") : input, &arena);
    struct ids ids = {0}, want = {0};
    struct bytes mask = {0}, want_mask = {0};
    // Pieces of the other cases are not cut.
    size_t max_tokens = cut ? (size_t)json_integer_value(json_object_get(input, "max_tokens")) : SIZE_MAX;
    struct error *e = completion ? chat_render_for_completion(&b->enc, &c, max_tokens, &ids)
                                 : chat_render(&b->enc, &c, max_tokens, &ids, &mask);
    if (invalid) {
        assert_int_equal(e != NULL, strcmp(json_string_value(expected), "rejected") == 0);
    } else {
        assert_null(e);
        read_pieces(b, cut ? json_object_get(expected, "tokens") : expected, &want, &want_mask);
        assert_int_equal(ids.n, want.n);
        assert_memory_equal(ids.id, want.id, want.n * sizeof *want.id);
        if (cut) {
            const char *digits = json_string_value(json_object_get(expected, "mask"));
            assert_int_equal(ids.n, json_integer_value(json_object_get(expected, "length")));
            assert_int_equal(strlen(digits), want.n);
            for (size_t i = 0; i < want.n; i++)
                want_mask.byte[i] = digits[i] == '1';
        }
        if (!completion) {
            assert_int_equal(mask.n, want.n);
            assert_memory_equal(mask.byte, want_mask.byte, want.n);
        }
    }
    error_free(e);
    ids_release(&ids);
    ids_release(&want);
    bytes_release(&mask);
    bytes_release(&want_mask);
    arena_release(&arena);
    return true;
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
    setup(&b, TOKEN_SPECIALS);
    int n = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line))
        n += golden_case(&b, json_string_value(json_object_get(line, "case")), json_object_get(line, "input"),
                         json_object_get(line, "expected"));
    fclose(file);
    teardown(&b);
    print_message("%d golden cases\n", n);
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(faults), cmocka_unit_test(golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
