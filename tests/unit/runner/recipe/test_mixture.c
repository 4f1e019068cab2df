// test_mixture.c - mixtures, presets and the tasks of evaluations, as a recipe resolves them.
#include "cmocka_all.h"

#include <math.h>

#include "runner/recipe/recipe.h"

static struct arena arena;
static struct recipe recipe;

#define HEAD                                                                                                                     \
    "retort: 1\nsources:\n  web: {text: \"text/{08..11}.txt\", validate: last}\n%sstages:\n"                                     \
    "  tok: {kind: tokenizer, source: web}\n"                                                                                    \
    "  base: {kind: pretrain, tokenizer: tok, source: web, depth: 4, seq_len: 512, steps: 5}\n"

static void read_with(const char *sources, const char *stages, const char *const *settings, int n)
{
    static char text[1 << 14];
    int length = snprintf(text, sizeof text, HEAD "%s", sources, stages);
    struct error *e = recipe_parse(&recipe, "some/where/r.yaml", text, (size_t)length, settings, n, &arena);
    if (e)
        fail_msg("%s:%d:%d: %s", e->at.file, e->at.line, e->at.column, e->what);
}

static const char *value(const char *stage, const char *field)
{
    const struct recipe_stage *s = recipe_stage(&recipe, stage);
    const struct setting *setting = stage_setting(s, field);
    return field_is_set(s->options, setting->field) ? field_text(s->options, setting->field, &arena) : "";
}

static int by(const char *stage, const char *field)
{
    return stage_setting(recipe_stage(&recipe, stage), field)->by;
}

static const char *const data[] = {"data=elsewhere"};

// The reference's options of mid-training, fine-tuning and reinforcement, beside each other.
static void presets(void **state)
{
    (void)state;
    static const struct {
        const char *field, *mid, *sft;
        int by_mid, by_sft;
    } rows[] = {
        {"seq_len", "512", "512", BY_DEFAULT, BY_DEFAULT},
        {"batch_tokens", "524288", "", BY_PRESET, BY_NOBODY},
        {"rows", "", "32", BY_NOBODY, BY_PRESET},
        {"epochs", "1", "1", BY_DEFAULT, BY_DEFAULT},
        {"steps", "", "", BY_NOBODY, BY_NOBODY},
        {"embedding_lr", "0.2", "0.2", BY_DEFAULT, BY_DEFAULT},
        {"unembedding_lr", "0.004", "0.004", BY_DEFAULT, BY_DEFAULT},
        {"matrix_lr", "0.02", "0.02", BY_DEFAULT, BY_DEFAULT},
        {"lr_frac", "1", "0.02", BY_PRESET, BY_PRESET},
        {"weight_decay", "0", "0", BY_DEFAULT, BY_DEFAULT},
        {"grad_clip", "0", "0", BY_DEFAULT, BY_DEFAULT},
        {"final_lr", "0", "0", BY_DEFAULT, BY_DEFAULT},
        {"eval_every", "150", "100", BY_PRESET, BY_PRESET},
        {"eval_tokens", "10485760", "10485760", BY_DEFAULT, BY_DEFAULT},
    };
    static const struct {
        const char *field, *value;
    } of_grpo[] = {{"rows", "16"},       {"samples", "16"},     {"max_tokens", "256"}, {"temperature", "1"},
                   {"top_k", "50"},      {"lr_frac", "0.05"},   {"epochs", "1"},       {"eval_every", "60"},
                   {"eval_rows", "400"}, {"matrix_lr", "0.02"}, {"device_batch", "8"}};
    read_with("",
              "  mid: {kind: finetune, preset: mid, model: base, mixture: [{task: gsm8k}]}\n"
              "  sft: {kind: finetune, preset: sft, model: mid, mixture: [{task: gsm8k}]}\n"
              "  rl: {kind: grpo, model: sft, mixture: [{task: gsm8k}]}\n",
              data, 1);
    for (size_t i = 0; i < countof(rows); i++) {
        assert_string_equal(value("mid", rows[i].field), rows[i].mid);
        assert_string_equal(value("sft", rows[i].field), rows[i].sft);
        assert_int_equal(by("mid", rows[i].field), rows[i].by_mid);
        assert_int_equal(by("sft", rows[i].field), rows[i].by_sft);
    }
    for (size_t i = 0; i < countof(of_grpo); i++)
        assert_string_equal(value("rl", of_grpo[i].field), of_grpo[i].value);
    assert_int_equal(stage_setting(recipe_stage(&recipe, "mid"), "lr_frac")->at.line, 7);
    assert_int_equal(recipe.n_tasks, 1);
    arena_release(&arena);
}

// The recipe over the preset, -s over the recipe; what excludes each other goes by the same order.
static void layers(void **state)
{
    (void)state;
    const char *settings[] = {"data=d", "sft.batch_tokens=4096", "sft.steps=7", "base.seq_len=128"};
    read_with("",
              "  mid: {kind: finetune, preset: mid, model: base, rows: 4, lr_frac: 0.5, steps: 3, mixture: [{task: gsm8k}]}\n"
              "  sft: {kind: finetune, preset: sft, model: mid, rows: 8, epochs: 2, mixture: [{task: gsm8k}]}\n"
              "  own: {kind: finetune, model: mid, seq_len: 64, rows: 8, mixture: [{task: gsm8k}]}\n",
              settings, 4);
    assert_string_equal(value("mid", "batch_tokens"), "");
    assert_string_equal(value("mid", "rows"), "4");
    assert_string_equal(value("mid", "lr_frac"), "0.5");
    assert_string_equal(value("mid", "steps"), "3");
    assert_string_equal(value("mid", "epochs"), "");
    assert_string_equal(value("sft", "batch_tokens"), "4096");
    assert_string_equal(value("sft", "rows"), "");
    assert_string_equal(value("sft", "steps"), "7");
    assert_string_equal(value("sft", "epochs"), "");
    assert_string_equal(value("sft", "seq_len"), "128");
    assert_string_equal(value("own", "seq_len"), "64");
    assert_string_equal(value("own", "lr_frac"), "1");
    assert_string_equal(value("own", "eval_every"), "150");
    assert_int_equal(by("own", "eval_every"), BY_DEFAULT);
    arena_release(&arena);
}

static void mixtures(void **state)
{
    (void)state;
    const char *settings[] = {"data=d", "sft.mixture[1].epochs=3", "sft.mixture[2].rows=50", "sft.mixture[3].epochs=0.5"};
    read_with("",
              "  sft:\n    kind: finetune\n    preset: sft\n    model: base\n    mixture:\n"
              "      - {task: smoltalk, rows: 10_000}\n"
              "      - {task: gsm8k, epochs: 2}\n"
              "      - {task: gsm8k}\n"
              "      - {task: mmlu, split: auxiliary_train, rows: 20}\n"
              "      - {task: \"my/identity.jsonl\", epochs: 1}\n"
              "      - {task: town_sums, split: test, epochs: 2.5}\n",
              settings, 4);
    assert_string_equal(value("sft", "mixture"),
                        "[smoltalk 10000 rows, gsm8k x3, gsm8k 50 rows, mmlu.auxiliary_train x0.5, identity, "
                        "town_sums.test x2.5]");
    const struct finetune_options *o = recipe_stage(&recipe, "sft")->options;
    assert_int_equal(o->mixture.n, 6);
    assert_int_equal(recipe.n_tasks, 5);
    const struct mixture_use *uses = o->mixture.uses;
    assert_true(isnan(uses[0].epochs) && uses[0].rows == 10000);
    assert_int_equal(uses[0].at.line, 12);
    assert_int_equal(uses[0].epochs_at.line, 12);
    assert_int_equal(uses[0].epochs_at.column, 32);
    assert_string_equal(uses[1].epochs_at.file, "-s sft.mixture[1].epochs=3");
    assert_int_equal(uses[1].at.line, 13);
    assert_true(uses[1].epochs == 3 && uses[1].rows == FIELD_UNSET_INT);
    assert_ptr_equal(uses[1].task, uses[2].task);
    assert_true(isnan(uses[2].epochs));
    assert_int_equal(uses[3].rows, FIELD_UNSET_INT);
    assert_string_equal(uses[3].split->files[0], "d/mmlu/auxiliary_train-00000-of-00001.parquet");
    assert_string_equal(uses[4].split->files[0], "some/where/my/identity.jsonl");
    assert_true(uses[4].epochs_at.line == 16 && uses[4].epochs_at.column == 45);
    assert_true(uses[5].split->held_out);
    arena_release(&arena);
}

static void whole_mixture_by_setting(void **state)
{
    (void)state;
    const char *settings[] = {"sft.mixture=[{task: town_quiz}, {task: \"own.jsonl\"}]"};
    read_with("", "  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: gsm8k}]}\n", settings, 1);
    assert_string_equal(value("sft", "mixture"), "[town_quiz, own]");
    const struct finetune_options *o = recipe_stage(&recipe, "sft")->options;
    assert_string_equal(o->mixture.uses[1].split->files[0], "own.jsonl"); // of the working directory
    arena_release(&arena);
}

static void sources_of_tasks(void **state)
{
    (void)state;
    read_with("  gsm8k: {jsonl: [\"mine/{split}_{0..1}.jsonl\"]}\n  town_sums: {parquet: \"/sums/{split}\"}\n",
              "  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: gsm8k}, {task: town_sums}]}\n", NULL, 0);
    const struct finetune_options *o = recipe_stage(&recipe, "sft")->options;
    const struct mixture_use *uses = o->mixture.uses;
    assert_int_equal(uses[0].task->form, DOCUMENT_JSONL);
    assert_int_equal(uses[0].split->n_files, 2);
    assert_string_equal(uses[0].split->files[1], "some/where/mine/train_1.jsonl");
    assert_int_equal(uses[0].task->at.line, 4);
    assert_int_equal(uses[1].task->form, DOCUMENT_PARQUET);
    assert_null(uses[1].task->world);
    assert_int_equal(uses[1].split->rows, -1);
    assert_string_equal(uses[1].split->files[0], "/sums/train");
    const struct source *source = recipe_source(&recipe, "gsm8k"); // no file of it is known before a task says its splits
    assert_null(source->column);
    assert_int_equal(source->n_files, 0);
    assert_string_equal(source->pattern, "mine/{split}_{0..1}.jsonl");
    arena_release(&arena);
}

// The data folder is beside the recipe; of an address that cannot be read nobody hears who does not need it.
static void data_folder(void **state)
{
    (void)state;
    static const char sft[] = "  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: town_sums}, {task: %s}]}\n";
    char stages[200];
    snprintf(stages, sizeof stages, sft, "gsm8k");
    read_with("data: ../beside\n", stages, NULL, 0);
    assert_string_equal(recipe.data, "../beside");
    assert_string_equal(recipe.tasks[1]->splits[0].files[0], "some/where/../beside/gsm8k/train-00000-of-00001.parquet");
    arena_release(&arena);
    snprintf(stages, sizeof stages, sft, "town_quiz");
    read_with("data: https://host/data\n", stages, NULL, 0);
    arena_release(&arena);
}

static void evaluations(void **state)
{
    (void)state;
    read_with("",
              "  e: {kind: eval, model: chat, suites: [town_quiz, bpb, arc_easy], examples: 100}\n"
              "  f: {kind: eval, model: chat, suites: [town_sums]}\n"
              "  g: {kind: eval, model: base, suites: [bpb]}\n"
              "  chat: {kind: finetune, preset: sft, model: base, mixture: [{task: town_quiz}]}\n",
              data, 1);
    const struct eval_options *o = recipe_stage(&recipe, "e")->options;
    assert_int_equal(o->tasks.n, 2);
    assert_string_equal(o->tasks.uses[0].task->name, "town_quiz");
    assert_string_equal(o->tasks.uses[1].task->name, "arc_easy");
    assert_string_equal(o->tasks.uses[1].split->name, "test");
    assert_int_equal(o->tasks.uses[1].at.line, 7);
    assert_int_equal(o->tasks.uses[1].at.column, 57);
    assert_string_equal(value("e", "examples"), "100");
    assert_string_equal(value("e", "max_tokens"), "512");
    assert_string_equal(value("e", "eval_tokens"), "10485760");
    assert_string_equal(value("f", "eval_tokens"), "");
    assert_string_equal(value("f", "max_tokens"), "512");
    assert_string_equal(value("g", "max_tokens"), ""); // nothing answers
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(presets),          cmocka_unit_test(layers),
                                       cmocka_unit_test(mixtures),         cmocka_unit_test(whole_mixture_by_setting),
                                       cmocka_unit_test(sources_of_tasks), cmocka_unit_test(evaluations),
                                       cmocka_unit_test(data_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
