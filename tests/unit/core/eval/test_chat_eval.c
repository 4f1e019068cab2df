// Suites on a small model: choices as a forward pass of each prompt alone says them, answers that do not depend on slots, and tables that
// are the same wherever they were taken up.
#include "core/eval/chat_eval.h"

#include "tests/unit/folder.h"

#include "core/data/task_rows_inside.h"
#include "tests/unit/core/eval/small_model.h"

enum { CHOICES = 90, NUMBERS = 23, ASKED = 20, PROMPT = 40, ANSWER = 12, LETTERS = 5 };

struct bench {
    struct small_model small;
    struct task_rows choices, numbers;
    struct chat_eval_task tasks[2];
};

static int32_t special(const struct bench *b, const char *name)
{
    return tokenizer_special(b->small.tokenizer, name);
}

// Rows of prompts of 3 .. 60 tokens, some of which will be cut.
static void write_rows(struct bench *b, const char *path, int n, bool choices, const char *const *answers)
{
    struct task_row_writer w = {.n_vocab = SMALL_V, .assistant_start = special(b, "<|assistant_start|>")};
    for (int i = 0; i < n; i++) {
        int32_t ids[64], letters[LETTERS];
        uint8_t mask[64] = {0};
        uint64_t at = (uint64_t)i + (choices ? 1000 : 0);
        int n_prompt = 3 + (int)(golden_mix(700, at) % 58);
        for (int t = 0; t < n_prompt; t++)
            ids[t] = (int32_t)('a' + golden_mix(701 + at, (uint64_t)t) % 26);
        ids[0] = special(b, "<|bos|>");
        ids[n_prompt - 1] = w.assistant_start;
        struct task_row row = {
            .ids = ids, .mask = mask, .n = n_prompt, .n_prompt = n_prompt, .answer = {.text = "", .right = -1}};
        if (choices) {
            row.answer.n_letters = 2 + i % (LETTERS - 1);
            row.answer.right = (int)(golden_mix(702, at) % (uint64_t)row.answer.n_letters);
            row.answer.letters = letters;
            for (int k = 0; k < row.answer.n_letters; k++)
                letters[k] = 'A' + k;
        } else {
            row.answer.text = answers ? answers[i] : "so it is\n#### 1,000";
            row.answer.n_text = strlen(row.answer.text);
        }
        assert_good(task_row_writer_add(&w, &row));
    }
    assert_good(task_row_writer_save(&w, path, NULL, 0));
    task_row_writer_release(&w);
}

static void open_bench(struct bench *b)
{
    *b = (struct bench){0};
    small_model_open(&b->small);
    write_rows(b, "choices.h5", CHOICES, true, NULL);
    write_rows(b, "numbers.h5", NUMBERS, false, NULL);
    assert_good(task_rows_open(&b->choices, (const char *[]){"choices.h5"}, 1, &b->small.arena));
    assert_good(task_rows_open(&b->numbers, (const char *[]){"numbers.h5"}, 1, &b->small.arena));
    b->tasks[0] = (struct chat_eval_task){"letters", GRADER_CHOICE, 0.25, &b->choices, CHOICES, NULL};
    b->tasks[1] = (struct chat_eval_task){"sums", GRADER_NUMBER, 0, &b->numbers, ASKED, NULL};
}

static void close_bench(struct bench *b)
{
    task_rows_close(&b->choices);
    task_rows_close(&b->numbers);
    small_model_close(&b->small);
}

static struct chat_eval eval_of(struct bench *b, struct engine *engine, int n_slots)
{
    struct chat_eval s = {.tasks = b->tasks, .n_tasks = 2, .engine = engine, .prompt_tokens = PROMPT, .max_tokens = ANSWER};
    chat_eval_init(&s);
    assert_good(
        engine_open(engine, &b->small.model, b->small.tokenizer, n_slots, chat_eval_capacity(&s, b->small.model.n_positions)));
    return s;
}

static void add_rows(struct table *to, const struct table *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        assert_good(table_add(to, (const struct example_score *)from->rows + i));
}

static void assert_prefix(const struct table *part, const struct table *all)
{
    assert_true(part->n <= all->n);
    if (part->n)
        assert_memory_equal(part->rows, all->rows, (size_t)part->n * part->row_bytes);
}

// The letter by a forward pass of the prompt alone.
static int letter_of(struct bench *b, int64_t row)
{
    int32_t ids[PROMPT + 1];
    float logits[SMALL_V];
    struct model *m = &b->small.model;
    struct task_answer answer = task_rows_answer(&b->choices, row);
    int n = (int)task_rows_prompt(&b->choices, row, PROMPT, ids), best = 0;
    struct tensor out = device_tensor(m->dev, n, SMALL_V);
    assert_good(model_reserve(m, 1, n, false));
    model_logits(m, (struct batch){.B = 1, .T = n, .inputs = ids}, out);
    device_get(m->dev, logits, out, (int64_t)(n - 1) * SMALL_V, SMALL_V);
    for (int k = 1; k < answer.n_letters; k++)
        if (logits[answer.letters[k]] > logits[answer.letters[best]])
            best = k;
    return best;
}

static void told(void *self, const char *task, int64_t done, int64_t of)
{
    int64_t *last = self;
    assert_int_equal(of, CHOICES + ASKED);
    assert_true(done > *last);
    assert_string_equal(task, done <= CHOICES ? "letters" : "sums");
    *last = done;
}

static void what_is_scored(void **state)
{
    (void)state;
    struct bench b;
    struct engine engine;
    int64_t order[CHOICES], last = 0, right[2] = {0};
    open_bench(&b);
    struct chat_eval s = eval_of(&b, &engine, 3);
    s.self = &last;
    s.progress = told;
    assert_good(chat_eval_run(&s));
    assert_int_equal(s.examples.n, CHOICES + ASKED);
    assert_int_equal(last, CHOICES + ASKED);
    const struct example_score *row = s.examples.rows;
    assert_good(task_rows_order(CHOICES, order));
    for (int i = 0; i < CHOICES; i++, row++) {
        struct task_answer answer = task_rows_answer(&b.choices, order[i]);
        int letter = letter_of(&b, order[i]);
        char text[2] = {(char)('A' + letter), '\0'}, expected[2] = {(char)('A' + answer.right), '\0'};
        assert_string_equal(row->task, "letters");
        assert_int_equal(row->row, order[i]);
        assert_string_equal(row->answer, text);
        assert_string_equal(row->expected, expected);
        assert_int_equal(row->right, letter == answer.right);
        right[0] += row->right;
    }
    assert_true(right[0] > 0 && right[0] < CHOICES);
    assert_good(task_rows_order(NUMBERS, order));
    int n_short = 0;
    for (int i = 0; i < ASKED; i++, row++) {
        assert_string_equal(row->task, "sums");
        assert_int_equal(row->row, order[i]);
        assert_string_equal(row->expected, "1000");
        n_short += strlen(row->answer) < ANSWER;
        right[1] += row->right;
    }
    print_message("%lld of %d letters right, %d short answers\n", (long long)right[0], CHOICES, n_short);
    assert_int_equal(right[1], 0);

    struct table scores;
    assert_good(chat_eval_scores(&s, &scores));
    const struct task_score *score = scores.rows;
    assert_int_equal(scores.n, 2);
    assert_string_equal(score[0].task, "letters");
    assert_string_equal(score[0].grader, "choice");
    assert_string_equal(score[1].grader, "number");
    assert_true(score[0].n == CHOICES && score[0].n_all == CHOICES && score[0].right == right[0]);
    assert_true(score[1].n == ASKED && score[1].n_all == NUMBERS && score[1].right == 0);
    assert_true(score[0].accuracy == (double)right[0] / CHOICES && score[0].baseline == 0.25);
    assert_true(score[0].centered == (score[0].accuracy - 0.25) / 0.75);
    table_release(&scores);
    chat_eval_release(&s);
    engine_close(&engine);
    close_bench(&b);
}

// References that are what the model wrote: then all is right.
static void right_answers(void **state)
{
    (void)state;
    struct bench b;
    struct engine engine;
    open_bench(&b);
    b.tasks[1].n_examples = NUMBERS;
    struct chat_eval s = eval_of(&b, &engine, 4);
    s.tasks = &b.tasks[1];
    s.n_tasks = 1;
    assert_good(chat_eval_run(&s));
    const struct example_score *found = s.examples.rows;
    const char *answers[NUMBERS];
    for (int i = 0; i < NUMBERS; i++)
        answers[found[i].row] = found[i].answer;
    answers[found[0].row] = "something else";
    write_rows(&b, "known.h5", NUMBERS, false, answers);
    struct task_rows known;
    assert_good(task_rows_open(&known, (const char *[]){"known.h5"}, 1, &b.small.arena));
    struct chat_eval_task task = {"known", GRADER_EXACT, 0, &known, NUMBERS, NULL};
    struct chat_eval again = s;
    again.tasks = &task;
    chat_eval_init(&again);
    assert_good(chat_eval_run(&again));
    for (int i = 0; i < NUMBERS; i++) {
        const struct example_score *row = (const struct example_score *)again.examples.rows + i;
        assert_int_equal(row->right, i > 0);
        assert_string_equal(row->answer, found[i].answer);
        assert_int_equal(strncmp(row->expected, i ? row->answer : "something else", sizeof row->expected - 1), 0);
    }
    chat_eval_release(&again);
    chat_eval_release(&s);
    task_rows_close(&known);
    engine_close(&engine);
    close_bench(&b);
}

struct stopping {
    struct chat_eval *eval;
    int64_t at, saved; // stop where so many examples are done
};

static struct error *save_or_stop(void *self)
{
    struct stopping *s = self;
    assert_true(s->eval->examples.n > s->saved);
    s->saved = s->eval->examples.n;
    return s->saved >= s->at ? error_stopped() : NULL;
}

static void slots_and_prefixes_leave_the_bits(void **state)
{
    (void)state;
    static const int slots[] = {1, 2, 7};
    struct bench b;
    struct engine engine;
    open_bench(&b);
    struct chat_eval all = eval_of(&b, &engine, 5);
    assert_good(chat_eval_run(&all));
    engine_close(&engine);
    for (size_t i = 0; i < countof(slots); i++) {
        struct chat_eval s = eval_of(&b, &engine, slots[i]);
        assert_good(chat_eval_run(&s));
        assert_int_equal(s.examples.n, all.examples.n);
        assert_prefix(&s.examples, &all.examples);
        chat_eval_release(&s);
        for (int64_t n = (int64_t)i; n <= all.examples.n; n += 13) { // taken up behind any prefix
            chat_eval_init(&s);
            add_rows(&s.examples, &all.examples, n);
            assert_good(chat_eval_run(&s));
            assert_int_equal(s.examples.n, all.examples.n);
            assert_prefix(&s.examples, &all.examples);
            chat_eval_release(&s);
        }
        struct stopping stopping = {.eval = &s};
        chat_eval_init(&s);
        s.self = &stopping;
        s.save = save_or_stop;
        for (int n_runs = 0; s.examples.n < all.examples.n; n_runs++) {
            assert_true(n_runs < 10);
            stopping.at = s.examples.n + 17;
            struct error *e = chat_eval_run(&s);
            assert_true(!e || e->kind == ERROR_STOPPED);
            error_free(e);
            assert_prefix(&s.examples, &all.examples);
        }
        chat_eval_release(&s);
        engine_close(&engine);
    }
    chat_eval_release(&all);
    close_bench(&b);
}

static void expect_fault(struct chat_eval *s, const char *what)
{
    struct error *e = chat_eval_run(s);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    if (strcmp(e->what, what))
        fail_msg("'%s' instead of '%s'", e->what, what);
    error_free(e);
}

static void faults(void **state)
{
    (void)state;
    struct bench b;
    struct engine engine;
    open_bench(&b);
    struct chat_eval s = eval_of(&b, &engine, 2);
    struct task_row_writer w = {.n_vocab = SMALL_V, .assistant_start = special(&b, "<|assistant_start|>")};
    int32_t ids[2] = {special(&b, "<|bos|>"), 'x'};
    assert_good(
        task_row_writer_add(&w, &(struct task_row){.ids = ids, .mask = (uint8_t[2]){0}, .n = 2, .answer = {"", 0, NULL, 0, -1}}));
    assert_good(task_row_writer_save(&w, "mute.h5", NULL, 0));
    task_row_writer_release(&w);
    struct task_rows mute;
    assert_good(task_rows_open(&mute, (const char *[]){"mute.h5"}, 1, &b.small.arena));
    struct chat_eval_task task = {"mute", GRADER_NUMBER, 0, &mute, 1, NULL};
    s.tasks = &task;
    s.n_tasks = 1;
    expect_fault(&s, "row 0 of task 'mute' has nothing to ask: its last message is not the assistant's");
    int64_t order[NUMBERS];
    char what[80];
    assert_good(task_rows_order(NUMBERS, order));
    snprintf(what, sizeof what, "row %lld of task 'sums' has no choices", (long long)order[0]);
    task = b.tasks[1];
    task.grader = GRADER_CHOICE;
    expect_fault(&s, what);
    struct example_score row = {0};
    for (int i = 0; i <= ASKED; i++) // one is others'
        assert_good(table_add(&s.examples, &row));
    assert_good(chat_eval_run(&s));
    assert_int_equal(s.examples.n, ASKED + 1);
    chat_eval_release(&s);
    task_rows_close(&mute);
    engine_close(&engine);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_scored), cmocka_unit_test(right_answers),
                                       cmocka_unit_test(slots_and_prefixes_leave_the_bits), cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
