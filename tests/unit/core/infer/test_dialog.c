// Dialogs: whole characters only, calls in brackets, old turns forgotten, stops that end an answer and not the conversation.
#include "core/infer/dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/stop.h"
#include "core/infer/transcript.h"
#include "core/text/utf8.h"
#include "tests/unit/core/infer/vocabulary.h"
#include "tests/unit/core/model/golden.h"

enum { CAPACITY = GOLDEN_T };

struct fixture {
    struct arena arena;
    struct device *dev;
    struct model m;
    struct tokenizer *tokenizer;
    struct engine engine;
    struct dialog dialog;
};

static void start(struct fixture *f, struct dialog_settings settings)
{
    struct fault fault;
    struct shape shape = golden_shape();
    memset(f, 0, sizeof *f);
    f->dev = device_open(DEVICE_CPU, 1, &fault);
    assert_non_null(f->dev);
    f->tokenizer = vocabulary(&f->arena, GOLDEN_V - 256 - TOKEN_SPECIALS);
    assert_null(model_open(&f->m, f->dev, &shape, &f->arena));
    golden_weights(&f->m);
    assert_null(engine_open(&f->engine, &f->m, f->tokenizer, 1, CAPACITY));
    assert_null(dialog_open(&f->dialog, &f->engine, settings));
}

static void end(struct fixture *f)
{
    dialog_close(&f->dialog);
    engine_close(&f->engine);
    device_close(f->dev);
    arena_release(&f->arena);
}

struct heard {
    struct bytes text;
    int n_pieces, stop_after; // stop_after: pieces; 0: never
};

static struct error *hear(void *self, const char *piece, size_t n)
{
    struct heard *h = self;
    assert_true(n > 0);
    assert_true(utf8_is_valid((const uint8_t *)piece, n));
    if (++h->n_pieces == h->stop_after)
        stop_request();
    return bytes_append(&h->text, piece, n);
}

static struct heard say(struct fixture *f, const char *text, int stop_after)
{
    struct heard h = {.stop_after = stop_after};
    assert_null(dialog_say(&f->dialog, text, strlen(text), hear, &h));
    return h;
}

// A model with made-up weights writes any bytes there are.
static void pieces_are_whole_characters(void **state)
{
    (void)state;
    struct fixture f;
    int n_pieces = 0;
    start(&f, (struct dialog_settings){.sampling = {.temperature = 1.5}, .max_tokens = 40, .seed = 3});
    for (int i = 0; i < 30; i++) {
        struct heard h = say(&f, i % 2 ? "Na\xC3\xAFve?" : "Hm", 0);
        n_pieces += h.n_pieces;
        bytes_release(&h.text);
        dialog_clear(&f.dialog);
        f.dialog.n_answers = (uint64_t)i + 1; // another answer than the last
    }
    assert_true(n_pieces > 100);
    end(&f);
}

static void the_same_questions_get_the_same_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct heard first[2], again[2];
    start(&f, (struct dialog_settings){.sampling = {.temperature = 1}, .max_tokens = 12, .seed = 5});
    for (int i = 0; i < 2; i++)
        first[i] = say(&f, i ? "b" : "a", 0);
    dialog_clear(&f.dialog);
    for (int i = 0; i < 2; i++)
        again[i] = say(&f, i ? "b" : "a", 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(first[i].text.n, again[i].text.n);
        if (first[i].text.n)
            assert_memory_equal(first[i].text.byte, again[i].text.byte, first[i].text.n);
        bytes_release(&first[i].text);
        bytes_release(&again[i].text);
    }
    end(&f);
}

// History stays a conversation: bos, then turns of user and assistant, the last closed.
static void check_history(const struct fixture *f)
{
    const struct ids *h = &f->dialog.history;
    int32_t user = tokenizer_special(f->tokenizer, "<|user_start|>"), assistant = tokenizer_special(f->tokenizer, "<|assistant_start|>");
    int n_user = 0, n_assistant = 0;
    assert_int_equal(h->id[0], tokenizer_special(f->tokenizer, "<|bos|>"));
    for (size_t i = 0; i < f->dialog.turns.n; i++)
        assert_int_equal(h->id[f->dialog.turns.id[i]], user);
    for (size_t i = 0; i < h->n; i++) {
        n_user += h->id[i] == user;
        n_assistant += h->id[i] == assistant;
    }
    assert_true(n_user >= (int)f->dialog.turns.n && n_assistant >= (int)f->dialog.turns.n);
    assert_int_equal(h->id[h->n - 1], tokenizer_special(f->tokenizer, "<|assistant_end|>"));
}

static void old_turns_are_forgotten(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, (struct dialog_settings){.max_tokens = 10});
    for (int i = 0; i < 12; i++) {
        struct heard h = say(&f, "seven", 0);
        bytes_release(&h.text);
        check_history(&f);
        assert_true(f.dialog.history.n <= CAPACITY + 1);
    }
    assert_true(f.dialog.n_forgotten > 3);
    // A question that is too long for itself is refused; nothing is forgotten for it, and the conversation can go on.
    char much[4 * CAPACITY];
    int32_t before[CAPACITY + 1];
    size_t n_before = f.dialog.history.n, n_turns = f.dialog.turns.n;
    int n_forgotten = f.dialog.n_forgotten;
    memset(much, 'x', sizeof much);
    memcpy(before, f.dialog.history.id, n_before * sizeof *before);
    struct heard h = {0};
    struct error *e = dialog_say(&f.dialog, much, sizeof much, hear, &h);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_USAGE);
    error_free(e);
    assert_int_equal(f.dialog.n_forgotten, n_forgotten);
    assert_int_equal(f.dialog.turns.n, n_turns);
    assert_int_equal(f.dialog.history.n, n_before);
    assert_memory_equal(f.dialog.history.id, before, n_before * sizeof *before);
    h = say(&f, "seven", 0);
    bytes_release(&h.text);
    check_history(&f);
    end(&f);
}

static void a_stop_ends_the_answer_alone(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, (struct dialog_settings){.sampling = {.temperature = 1}, .max_tokens = 40, .seed = 1});
    struct heard h = say(&f, "x", 2);
    assert_true(f.dialog.stopped);
    assert_true(f.dialog.n_tokens < 40);
    check_history(&f);
    bytes_release(&h.text);
    stop_clear();
    h = say(&f, "y", 0);
    assert_false(f.dialog.stopped);
    assert_true(f.dialog.n_tokens > 0);
    check_history(&f);
    bytes_release(&h.text);
    end(&f);
}

static void calls_are_bracketed(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct tokenizer *t = vocabulary(&arena, 0);
    enum { BOS = 256, USER, USER_END, ASSISTANT, ASSISTANT_END, PYTHON, PYTHON_END, OUTPUT, OUTPUT_END };
    static const struct {
        int32_t ids[12];
        int n;
        const char *text;
    } cases[] = {
        {{BOS, USER, 'h', 'i', USER_END, ASSISTANT, 'y', 'o', ASSISTANT_END}, 9, "hiyo"},
        {{'a', PYTHON, '1', '+', '2', PYTHON_END, OUTPUT, '3', OUTPUT_END, 'b'}, 10, "a[1+2=3]b"},
        {{PYTHON, '1', PYTHON_END, 'b'}, 4, "[1]b"},
        {{PYTHON, '1', PYTHON_END}, 3, "[1]"},
        {{PYTHON, '1'}, 2, "[1]"},
        {{PYTHON, PYTHON, '1', PYTHON_END, ASSISTANT_END}, 5, "[][1]"},
        {{OUTPUT, '3', OUTPUT_END}, 3, "[3]"},
        {{PYTHON_END, OUTPUT_END, 'x'}, 3, "x"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct transcript s = {.tokenizer = t};
        for (int k = 0; k < cases[i].n; k++)
            assert_null(transcript_add(&s, cases[i].ids[k]));
        assert_null(transcript_end(&s));
        assert_int_equal(s.text.n, strlen(cases[i].text));
        assert_memory_equal(s.text.byte, cases[i].text, s.text.n);
        transcript_release(&s);
    }
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_whole_characters), cmocka_unit_test(the_same_questions_get_the_same_answers),
        cmocka_unit_test(old_turns_are_forgotten),     cmocka_unit_test(a_stop_ends_the_answer_alone),
        cmocka_unit_test(calls_are_bracketed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
