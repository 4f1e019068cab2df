// test_basis.c - which numbers may stand beside each other, and why others may not.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runner/view/basis.h"

static void no_error(struct error *e)
{
    if (e)
        print_error("%s\n", e->what);
    assert_null(e);
}

// Tokenizer, base model, fine-tuning, evaluation, and the questions of a task.
struct fake {
    struct run run;
    struct run_stage stages[5];
};

static void fake(struct fake *f, const char *tokenizer, const char *validation, const char *sft_field, const char *quiz,
                 struct arena *arena)
{
    *f = (struct fake){.run = {.n_stages = 5, .stages = f->stages}};
    f->stages[0] = (struct run_stage){.name = "tokenizer", .kind = "tokenizer", .key = tokenizer, .payload = "{}"};
    f->stages[1] = (struct run_stage){.name = "base", .kind = "pretrain", .key = "b"};
    f->stages[1].payload =
        arena_printf(arena, "{\"fields\":{\"eval_tokens\":1},\"inputs\":{\"tokenizer\":\"%s\",\"validation\":[\"%s\"]}}",
                     tokenizer, validation);
    f->stages[2] = (struct run_stage){.name = "sft", .kind = "finetune", .key = "s"};
    f->stages[2].payload = arena_printf(arena, "{\"fields\":{\"%s\":8},\"inputs\":{\"model\":\"b\"}}", sft_field);
    f->stages[3] = (struct run_stage){.name = "quiz.test.tokens", .kind = "tokens", .key = "q"};
    f->stages[3].payload = arena_printf(arena, "{\"data\":[1],\"task\":{\"prompt\":\"%s\"}}", quiz);
    f->stages[4] = (struct run_stage){.name = "eval", .kind = "eval", .key = "e"};
    f->stages[4].payload = arena_printf(
        arena, "{\"fields\":{\"eval_tokens\":1},\"inputs\":{\"model\":\"s\",\"validation\":[\"%s\"]},\"version\":1}", validation);
}

typedef struct error *basis_of(struct basis *, const struct run *, const struct run_stage *, struct arena *);

static const char *differs(basis_of *of, const struct fake *a, const struct fake *b, int stage, struct arena *arena)
{
    struct basis x, y;
    no_error(of(&x, &a->run, &a->stages[stage], arena));
    no_error(of(&y, &b->run, &b->stages[stage], arena));
    return basis_differs(&x, &y);
}

static void losses_and_bits(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct fake a, same, tokenizer, text, count;
    fake(&a, "t1", "v1", "rows", "?", &arena);
    fake(&same, "t1", "v1", "rows", "!", &arena);
    fake(&tokenizer, "t2", "v2", "rows", "?", &arena);
    fake(&text, "t1", "v2", "rows", "?", &arena);
    fake(&count, "t1", "v1", "batch_tokens", "?", &arena);
    assert_null(differs(basis_of_loss, &a, &same, 1, &arena));
    assert_null(differs(basis_of_loss, &a, &text, 1, &arena));
    assert_string_equal(differs(basis_of_loss, &a, &tokenizer, 1, &arena), "other tokenizer");
    assert_string_equal(differs(basis_of_loss, &a, &tokenizer, 2, &arena), "other tokenizer"); // through its model
    assert_string_equal(differs(basis_of_loss, &a, &count, 2, &arena), "other count");
    assert_null(differs(basis_of_bpb, &a, &same, 4, &arena));
    assert_string_equal(differs(basis_of_bpb, &a, &tokenizer, 4, &arena), "other tokenizer");
    assert_string_equal(differs(basis_of_bpb, &a, &text, 4, &arena), "other text");
    count.stages[4].payload =
        "{\"fields\":{\"eval_tokens\":2},\"inputs\":{\"model\":\"s\",\"validation\":[\"v1\"]},\"version\":1}";
    assert_string_equal(differs(basis_of_bpb, &a, &count, 4, &arena), "other count");

    struct fake published = {.run = {.source = "a paper", .n_stages = 1, .stages = published.stages}};
    struct run_published p = {.bpb = 0.8, .over = "their text"}, other = {.bpb = 0.9, .over = "their text"};
    struct basis x, y;
    published.stages[0] = (struct run_stage){.name = "base", .kind = "pretrain", .key = "", .published = &p};
    no_error(basis_of_bpb(&x, &published.run, &published.stages[0], &arena));
    no_error(basis_of_bpb(&y, &a.run, &a.stages[4], &arena));
    assert_string_equal(basis_differs(&x, &y), "other text");
    published.stages[0].published = &other;
    no_error(basis_of_bpb(&y, &published.run, &published.stages[0], &arena));
    assert_null(basis_differs(&x, &y));
    arena_release(&arena);
}

// Validation of a fine-tuning: its rows, and which of the mixture come first.
static void rows_of_finetunings(void **state)
{
    (void)state;
    struct arena arena = {0};
    static const char *const payloads[] = {
        "{\"fields\":{\"rows\":8,\"seed\":1,\"seq_len\":64}}",
        "{\"fields\":{\"rows\":4,\"seed\":1,\"seq_len\":64}}", // of an update
        "{\"fields\":{\"batch_tokens\":512,\"seed\":1,\"seq_len\":64}}",
        "{\"fields\":{\"batch_tokens\":512,\"packing\":\"best_fit\",\"seed\":1,\"seq_len\":64}}",
        "{\"fields\":{\"rows\":8,\"seed\":2,\"seq_len\":64}}",
        "{\"fields\":{\"rows\":8,\"seed\":1,\"seq_len\":128}}"};
    struct run run = {.n_stages = 0};
    struct basis first, other;
    for (size_t i = 0; i < countof(payloads); i++) {
        struct run_stage stage = {.name = "sft", .kind = "finetune", .key = "s", .payload = payloads[i]};
        no_error(basis_of_bpb(i ? &other : &first, &run, &stage, &arena));
        if (i == 1)
            assert_null(basis_differs(&first, &other));
        else if (i)
            assert_string_equal(basis_differs(&first, &other), "other rows");
    }
    arena_release(&arena);
}

// One text in one stream, and by best fit; and fine-tunings whose rows are packed otherwise.
static void packings_stay_apart(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct fake flat, planned, fitted, packed;
    fake(&flat, "t1", "v1", "rows", "?", &arena);
    planned = flat, fitted = flat, packed = flat;
    planned.run.stages = planned.stages, fitted.run.stages = fitted.stages, packed.run.stages = packed.stages;
    flat.run.stages = flat.stages;
    planned.stages[4].payload = "{\"fields\":{\"eval_tokens\":1},\"inputs\":{\"model\":\"s\",\"validation\":[\"v1\"],"
                                "\"validation_rows\":\"r\"},\"version\":1}";
    fitted.stages[2].payload =
        "{\"fields\":{\"batch_tokens\":8,\"packing\":\"best_fit\",\"seq_len\":8},\"inputs\":{\"model\":\"b\"}}";
    packed.stages[2].payload = "{\"fields\":{\"batch_tokens\":8,\"seq_len\":8},\"inputs\":{\"model\":\"b\"}}";
    flat.stages[1].payload = planned.stages[1].payload =
        "{\"fields\":{\"eval_tokens\":1,\"seq_len\":8},\"inputs\":{\"tokenizer\":\"t1\",\"validation\":[\"v1\"]}}";
    assert_string_equal(differs(basis_of_bpb, &flat, &planned, 4, &arena), "other rows");
    assert_null(differs(basis_of_bpb, &planned, &planned, 4, &arena));
    assert_string_equal(differs(basis_of_loss, &flat, &fitted, 2, &arena), "other rows"); // answers, of rows and of packed ones
    assert_string_equal(differs(basis_of_loss, &packed, &fitted, 2, &arena), "other count");
    assert_null(differs(basis_of_loss, &fitted, &fitted, 2, &arena));
    assert_null(differs(basis_of_bpb, &packed, &fitted, 4, &arena)); // of both the text is cut as in the pretraining
    arena_release(&arena);
}

// The length of an import's rows stands in no payload: it fits any, and packing does not; what fits it decides for who comes next.
static void rows_of_imports(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct fake flat, planned, longer, brought;
    struct basis x, y;
    fake(&flat, "t1", "v1", "rows", "?", &arena);
    flat.stages[1].payload =
        "{\"fields\":{\"eval_tokens\":1,\"seq_len\":8},\"inputs\":{\"tokenizer\":\"t1\",\"validation\":[\"v1\"]}}";
    planned = flat, longer = flat, brought = flat;
    planned.run.stages = planned.stages, longer.run.stages = longer.stages, brought.run.stages = brought.stages;
    flat.run.stages = flat.stages;
    planned.stages[4].payload = "{\"fields\":{\"eval_tokens\":1},\"inputs\":{\"model\":\"s\",\"validation\":[\"v1\"],"
                                "\"validation_rows\":\"r\"},\"version\":1}";
    longer.stages[1].payload =
        "{\"fields\":{\"eval_tokens\":1,\"seq_len\":9},\"inputs\":{\"tokenizer\":\"t1\",\"validation\":[\"v1\"]}}";
    brought.stages[1] = (struct run_stage){.name = "theirs", .kind = "import", .key = "b", .payload = "{\"fields\":{}}"};
    flat.stages[2].payload = planned.stages[2].payload = longer.stages[2].payload = brought.stages[2].payload =
        "{\"fields\":{},\"inputs\":{\"model\":\"b\"}}";
    for (int i = 0; i < 4; i++) // evaluations of the model itself
        (struct fake *[]){&flat, &planned, &longer, &brought}[i]->stages[2].kind = "grpo";
    assert_null(differs(basis_of_bpb, &brought, &flat, 4, &arena));
    assert_null(differs(basis_of_bpb, &longer, &brought, 4, &arena));
    assert_string_equal(differs(basis_of_bpb, &brought, &planned, 4, &arena), "other rows");
    assert_string_equal(differs(basis_of_bpb, &planned, &brought, 4, &arena), "other rows");
    no_error(basis_of_bpb(&x, &brought.run, &brought.stages[4], &arena));
    no_error(basis_of_bpb(&y, &flat.run, &flat.stages[4], &arena));
    basis_join(&x, &y);
    no_error(basis_of_bpb(&y, &longer.run, &longer.stages[4], &arena));
    assert_string_equal(basis_differs(&x, &y), "other rows");
    arena_release(&arena);
}

static const char *tasks_differ(const struct run *a, const struct task_score *x, int n, const struct run *b,
                                const struct task_score *y, int m, const char *task, struct arena *arena)
{
    struct table s = {.rows = (void *)x, .n = n}, t = {.rows = (void *)y, .n = m};
    struct basis first, second;
    no_error(basis_of_tasks(&first, a, NULL, &s, task, "", arena));
    no_error(basis_of_tasks(&second, b, NULL, &t, task, "", arena));
    return basis_differs(&first, &second);
}

static void questions(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct fake a, other;
    fake(&a, "t1", "v1", "rows", "?", &arena);
    fake(&other, "t2", "v1", "rows", "!", &arena);
    struct run published = {.source = "a paper"};
    struct task_score quiz[] = {{.task = "quiz", .n_all = 100}, {.task = "sums", .n_all = 50}};
    struct task_score turned[] = {quiz[1], quiz[0]}, more[] = {{.task = "quiz", .n_all = 101}},
                      arc[] = {quiz[0], {.task = "arc", .n_all = 50}};
    assert_null(tasks_differ(&a.run, quiz, 2, &a.run, turned, 2, "quiz", &arena));
    assert_string_equal(tasks_differ(&a.run, quiz, 2, &other.run, quiz, 2, "quiz", &arena), "other questions");
    assert_null(tasks_differ(&a.run, quiz, 2, &published, quiz, 2, "quiz", &arena));
    assert_string_equal(tasks_differ(&a.run, quiz, 2, &published, more, 1, "quiz", &arena), "other questions");
    assert_null(tasks_differ(&a.run, quiz, 2, &a.run, turned, 2, NULL, &arena)); // means, in any order
    assert_string_equal(tasks_differ(&a.run, quiz, 2, &a.run, arc, 2, NULL, &arena), "other questions");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_and_bits), cmocka_unit_test(rows_of_finetunings),
                                       cmocka_unit_test(packings_stay_apart), cmocka_unit_test(rows_of_imports),
                                       cmocka_unit_test(questions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
