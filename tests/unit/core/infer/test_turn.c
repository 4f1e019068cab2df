// One row of tokens: the calculator's output takes the place of sampled tokens, by hand and in the golden cases.
#include "core/infer/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/core/infer/vocabulary.h"

enum { BOS = 256, USER, USER_END, ASSISTANT, ASSISTANT_END, PYTHON, PYTHON_END, OUTPUT, OUTPUT_END };

struct fixture {
    struct arena arena;
    struct tokenizer *tokenizer;
    struct encoder encoder;
    struct turn turn;
};

static void start(struct fixture *f)
{
    *f = (struct fixture){0};
    f->tokenizer = vocabulary(&f->arena, 0);
    assert_null(encoder_init(&f->encoder, f->tokenizer));
    assert_null(turn_begin(&f->turn, &f->encoder));
}

static void end(struct fixture *f)
{
    turn_release(&f->turn);
    encoder_release(&f->encoder);
    arena_release(&f->arena);
}

// Feeds n tokens, of which none must be replaced.
static void say(struct turn *turn, const int32_t *ids, int n)
{
    for (int i = 0; i < n; i++) {
        struct turn_token token;
        assert_false(turn_is_forced(turn));
        assert_null(turn_next(turn, ids[i], &token));
        assert_int_equal(token.id, ids[i]);
        assert_false(token.forced);
    }
}

// The next tokens are forced, whatever is sampled, and are these; then nothing is.
static void answers(struct turn *turn, const char *text)
{
    int n = (int)strlen(text);
    for (int i = -1; i <= n; i++) {
        struct turn_token token;
        assert_true(turn_is_forced(turn));
        assert_null(turn_next(turn, ASSISTANT_END, &token));
        assert_true(token.forced);
        assert_int_equal(token.id, i < 0 ? OUTPUT : i == n ? OUTPUT_END : text[i]);
    }
    assert_false(turn_is_forced(turn));
    assert_false(turn->ended);
}

#define SAY(...) say(&f.turn, (const int32_t[]){__VA_ARGS__}, (int)(sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t)))

static void by_hand(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    SAY('a', PYTHON, '1', '2', '/', '6', '0', PYTHON_END);
    answers(&f.turn, "0.2");
    SAY('1', '+', '1', PYTHON_END, 'x'); // nothing is open
    SAY(PYTHON, '7', PYTHON, '1', '+', '1', PYTHON_END);
    answers(&f.turn, "2"); // opening again empties the expression
    SAY(PYTHON, PYTHON_END, 'x');
    SAY(PYTHON, '1', OUTPUT, PYTHON_END, 'x'); // a special token is part of the expression, and no number
    SAY(PYTHON, '1', '/', '0', PYTHON_END, PYTHON_END, 'x');
    SAY(PYTHON, '3', USER, PYTHON_END, PYTHON, '1', ',', '0', '*', '2', PYTHON_END);
    answers(&f.turn, "20");
    SAY(PYTHON, '5', PYTHON_END);
    answers(&f.turn, "5");
    SAY(PYTHON, '5', ASSISTANT_END); // also inside
    assert_true(f.turn.ended);
    turn_restart(&f.turn);
    assert_false(f.turn.ended);
    SAY('6', PYTHON_END, 'x', BOS);
    assert_true(f.turn.ended);
    turn_restart(&f.turn);
    SAY(PYTHON, '4', PYTHON_END);
    turn_restart(&f.turn); // what was queued is gone
    SAY('q');
    end(&f);
}

static void long_expression(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    SAY(PYTHON);
    for (int i = 0; i < 5000; i++)
        SAY('1', '+');
    SAY('1', PYTHON_END, 'x'); // more than the calculator takes
    SAY(PYTHON);
    for (int i = 0; i < 1000; i++)
        SAY('1', '+');
    SAY('1', PYTHON_END);
    answers(&f.turn, "1001");
    end(&f);
}

// A sampled id that the vocabulary lacks is an error of the expression it is in, not a crash.
static void unknown_id(void **state)
{
    (void)state;
    struct fixture f;
    struct turn_token token;
    start(&f);
    SAY(300, PYTHON, 300);
    struct error *e = turn_next(&f.turn, PYTHON_END, &token);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    error_free(e);
    end(&f);
}

static int32_t id_of(const struct fixture *f, const char *name)
{
    unsigned byte;
    int32_t id = tokenizer_special(f->tokenizer, name);
    if (id < 0 && sscanf(name, "%2x", &byte) == 1)
        id = (int32_t)byte;
    assert_true(id >= 0);
    return id;
}

static void golden_case(const json_t *c)
{
    const json_t *input = json_object_get(c, "input"), *expected = json_object_get(c, "expected");
    const json_t *sampled = json_object_get(input, "sampled"), *columns = json_object_get(expected, "columns");
    const json_t *prompt = json_object_get(input, "prompt");
    size_t n_rows = json_array_size(sampled);
    for (size_t r = 0; r < n_rows; r++) {
        const json_t *tokens = json_array_get(json_object_get(expected, "batch_tokens"), r);
        const char *mask = json_string_value(json_array_get(json_object_get(expected, "batch_masks"), r));
        size_t kept = json_array_size(prompt);
        struct fixture f;
        start(&f);
        assert_true(json_array_size(columns) <= (size_t)json_integer_value(json_object_get(input, "max_tokens")));
        for (size_t t = 0; t < json_array_size(columns); t++) {
            // The first draw was shared by all rows.
            const json_t *draws = json_array_get(sampled, t ? r : 0), *want = json_array_get(json_array_get(columns, t), r);
            struct turn_token token;
            bool had_ended = f.turn.ended;
            assert_null(turn_next(&f.turn, id_of(&f, json_string_value(json_array_get(draws, t))), &token));
            assert_int_equal(token.id, id_of(&f, json_string_value(json_array_get(want, 0))));
            assert_int_equal(token.forced, !json_integer_value(json_array_get(want, 1)));
            if (!f.turn.ended) {
                assert_int_equal(token.id, id_of(&f, json_string_value(json_array_get(tokens, kept))));
                assert_int_equal(mask[kept++], token.forced ? '0' : '1');
            }
            assert_true(f.turn.ended >= had_ended);
        }
        assert_int_equal(kept, json_array_size(tokens));
        assert_int_equal(kept, strlen(mask));
        end(&f);
    }
}

static void golden(void **state)
{
    (void)state;
    FILE *file = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!file) {
        print_message("no golden cases here\n");
        skip();
    }
    char *line = NULL;
    size_t capacity = 0;
    int n = 0;
    while (getline(&line, &capacity, file) > 0) {
        json_t *c = json_loads(line, 0, NULL);
        if (c && !strcmp(json_string_value(json_object_get(c, "case")), "engine")) {
            golden_case(c);
            n++;
        }
        json_decref(c);
    }
    free(line);
    fclose(file);
    assert_int_equal(n, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(long_expression),
        cmocka_unit_test(unknown_id),
        cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
