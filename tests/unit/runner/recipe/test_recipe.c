// test_recipe.c - what a good recipe becomes: values, who set them, files, precedence.
#include "cmocka_all.h"

#include <math.h>

#include "runner/recipe/recipe.h"

static struct arena arena;
static struct recipe recipe;

static void read_text(const char *text, const char *const *settings, int n)
{
    struct error *e = recipe_parse(&recipe, "some/where/r.yaml", text, strlen(text), settings, n, &arena);
    if (e)
        fail_msg("%s:%d:%d: %s", e->at.file, e->at.line, e->at.column, e->what);
}

// One error, whose what or fix holds part.
static struct place fails(const char *text, const char *setting, enum error_kind kind, const char *part)
{
    static char file[256];
    struct error *e = recipe_parse(&recipe, "some/where/r.yaml", text, strlen(text), &setting, setting != NULL, &arena);
    assert_non_null(e);
    if (!strstr(e->what, part) && !(e->fix && strstr(e->fix, part)))
        fail_msg("%d:%d: %s; expected %s", e->at.line, e->at.column, e->what, part);
    assert_int_equal(e->kind, kind);
    struct place at = e->at;
    snprintf(file, sizeof file, "%s", at.file ? at.file : "");
    at.file = file;
    error_free(e);
    arena_release(&arena);
    return at;
}

static const struct pretrain_options *base(void)
{
    return recipe_stage(&recipe, "base")->options;
}

static const struct setting *set(const char *field)
{
    return stage_setting(recipe_stage(&recipe, "base"), field);
}

static void tiny(void **state)
{
    (void)state;
    struct error *e = recipe_read(&recipe, RETORT_SOURCE "/recipes/tiny.yaml", NULL, 0, &arena);
    if (e)
        fail_msg("%s:%d: %s", e->at.file, e->at.line, e->what);
    assert_string_equal(recipe.name, "tiny");
    assert_int_equal(recipe.nanochat, 2025);
    assert_true(recipe.n_stages >= 3);
    assert_true(isnan(recipe.budget_usd) && isnan(recipe.usd_per_hour));
    const struct source *town = recipe_source(&recipe, "town");
    assert_int_equal(town->form, DOCUMENT_WORLD);
    assert_int_equal(town->validate, VALIDATE_HELD_OUT);
    assert_int_equal(town->documents, 16000);
    assert_string_equal(town->files[0], RETORT_SOURCE "/recipes/worlds/town.yaml");
    assert_non_null(town->world->compiled);

    const struct tokenizer_options *t = recipe_stage(&recipe, "tokenizer")->options;
    assert_string_equal(t->source, "town");
    assert_int_equal(t->vocab, 1024);
    assert_int_equal(t->chars, 2000000);
    assert_int_equal(t->doc_cap, 10000);
    assert_int_equal(t->seed, 42);

    assert_int_equal(base()->n_layer, 4);
    assert_int_equal(base()->n_embd, 256);
    assert_int_equal(base()->n_head, 2);
    assert_int_equal(base()->n_kv_head, 2);
    assert_int_equal(base()->head_dim, 128);
    assert_int_equal(base()->n_mlp, 1024);
    assert_true(base()->steps > 0);
    assert_int_equal(base()->tokens, FIELD_UNSET_INT);
    assert_true(isnan(base()->ratio) && isnan(base()->flops));
    assert_true(base()->matrix_lr == 0.02 && base()->embedding_lr == 0.2 && base()->unembedding_lr == 0.004);
    assert_true(base()->warmdown == 0.2 && base()->final_lr == 0 && base()->grad_clip == 1 && base()->weight_decay == 0);
    assert_string_equal(base()->precision, "f32");
    assert_int_equal(set("steps")->by, BY_RECIPE);
    assert_true(set("steps")->at.line > 0);
    assert_int_equal(set("n_layer")->by, BY_DEFAULT);
    assert_int_equal(set("ratio")->by, BY_NOBODY);
    assert_int_equal(set("matrix_lr")->by, BY_DEFAULT);

    const struct eval_options *o = recipe_stage(&recipe, "base_eval")->options;
    assert_int_equal(o->model.n, 1);
    assert_string_equal(o->model.names[0], "base");
    assert_string_equal(o->suites.names[0], "bpb");
    assert_null(o->source);
    assert_int_equal(o->eval_tokens, 10485760);
    arena_release(&arena);
}

static void small(void **state)
{
    (void)state;
    const char *settings[] = {"data=../no/such", "base.steps=3", "seed=7"};
    struct error *e = recipe_read(&recipe, RETORT_SOURCE "/recipes/small.yaml", settings, 3, &arena);
    if (e)
        fail_msg("%s:%d: %s", e->at.file, e->at.line, e->what);
    const struct source *web = recipe_source(&recipe, "web");
    assert_int_equal(web->n_files, 6);
    assert_string_equal(web->files[5], "../no/such/pretrain/shard_00005.parquet"); // of the working directory
    assert_string_equal(web->column, "text");
    assert_int_equal(web->validate, VALIDATE_LAST);
    assert_int_equal(base()->steps, 3);
    assert_int_equal(base()->tokens, FIELD_UNSET_INT); // -s steps takes the place of the recipe's tokens
    assert_int_equal(set("steps")->by, BY_SETTING);
    assert_string_equal(set("steps")->at.file, "-s base.steps=3");
    assert_int_equal(set("tokens")->by, BY_NOBODY);
    assert_int_equal(base()->seed, 7);
    assert_int_equal(set("seed")->by, BY_SETTING);
    assert_int_equal(recipe.seed, 7);
    assert_string_equal(recipe.data, "../no/such");
    arena_release(&arena);
}

#define HEAD "retort: 1\nsources:\n  web: {text: \"text/{08..11}.txt\", validate: last}\n"
#define TOKENIZER "stages:\n  tok: {kind: tokenizer, source: web}\n"

static void defaults(void **state)
{
    (void)state;
    read_text(HEAD TOKENIZER "  base: {kind: pretrain, tokenizer: tok, source: web}\n", NULL, 0);
    assert_string_equal(recipe.name, "r");
    assert_int_equal(base()->depth, 20);
    assert_int_equal(base()->n_embd, 1280);
    assert_int_equal(base()->n_head, 10);
    assert_true(base()->ratio == 20);
    assert_int_equal(set("ratio")->by, BY_DEFAULT);
    assert_int_equal(base()->seq_len, 2048);
    assert_int_equal(base()->batch_tokens, 524288);
    assert_int_equal(base()->eval_tokens, 10485760);
    assert_int_equal(base()->device_batch, 8);
    assert_null(base()->from);
    const struct tokenizer_options *t = recipe_stage(&recipe, "tok")->options;
    assert_int_equal(t->vocab, 65536);
    assert_int_equal(t->chars, 10000000000);
    const struct source *web = recipe_source(&recipe, "web");
    assert_int_equal(web->n_files, 4);
    assert_string_equal(web->files[0], "some/where/text/08.txt"); // of the recipe's folder
    assert_string_equal(web->files[3], "some/where/text/11.txt");
    arena_release(&arena);
}

static void shapes(void **state)
{
    (void)state;
    read_text(HEAD TOKENIZER
              "  base: {kind: pretrain, tokenizer: tok, source: web, n_layer: 3, n_embd: 96, n_head: 4, n_kv_head: 2}\n",
              NULL, 0);
    assert_int_equal(base()->depth, FIELD_UNSET_INT);
    assert_int_equal(base()->head_dim, 24);
    assert_int_equal(base()->n_mlp, 384);
    assert_int_equal(base()->n_kv_head, 2);
    assert_int_equal(set("n_mlp")->by, BY_DEFAULT);
    arena_release(&arena);

    // -s depth over the recipe's six, and the other way round
    const char *depth[] = {"base.depth=7"};
    read_text(HEAD TOKENIZER "  base: {kind: pretrain, tokenizer: tok, source: web, n_layer: 3, n_embd: 96, n_head: 4}\n", depth,
              1);
    assert_int_equal(base()->n_layer, 7);
    assert_int_equal(base()->n_embd, 448);
    assert_int_equal(base()->head_dim, 112);
    arena_release(&arena);
    const char *six[] = {"base.n_layer=1", "base.n_embd=64", "base.n_head=2"};
    read_text(HEAD TOKENIZER "  base: {kind: pretrain, tokenizer: tok, source: web, depth: 4}\n", six, 3);
    assert_int_equal(base()->depth, FIELD_UNSET_INT);
    assert_int_equal(base()->head_dim, 32);
    arena_release(&arena);

    static const int works[] = {1, 2, 3, 4, 6, 7, 15, 20, 26, 31, 32, 63}, fails_at[] = {5, 9, 11, 127};
    char text[400];
    for (size_t i = 0; i < countof(works); i++) {
        snprintf(text, sizeof text, HEAD TOKENIZER "  base: {kind: pretrain, tokenizer: tok, source: web, depth: %d}\n",
                 works[i]);
        read_text(text, NULL, 0);
        assert_int_equal(base()->n_head * base()->head_dim, 64 * works[i]);
        arena_release(&arena);
    }
    for (size_t i = 0; i < countof(fails_at); i++) {
        snprintf(text, sizeof text, HEAD TOKENIZER "  base: {kind: pretrain, tokenizer: tok, source: web, depth: %d}\n",
                 fails_at[i]);
        struct place at = fails(text, NULL, ERROR_RECIPE, "take an even depth, or 1, 3, 7, 15, 31, 63");
        assert_int_equal(at.line, 6);
        assert_int_equal(at.column, 62);
    }
}

static void lets(void **state)
{
    (void)state;
    setenv("RETORT_TEST_FOLDER", "/from/env", 1);
    static const char text[] =
        "retort: 1\n"
        "data: base\n"
        "let: {n: \"${m}\", m: 1k, v: 4_096, where: \"${data}/x\"}\n"
        "sources:\n"
        "  a: {text: [\"${data}/1.txt\", \"${env:RETORT_TEST_FOLDER}/2.txt\", 'file:3.txt', \"/4.txt\"], validate: "
        "../v.txt}\n"
        "  b: {jsonl: \"${where}/{0..1}.jsonl\", field: body.text, validate: none}\n"
        "stages:\n"
        "  tok: {kind: tokenizer, source: a, vocab: \"${v}\", chars: \"${n}\", doc_cap: \"${v}0\"}\n";
    read_text(text, NULL, 0);
    const struct source *a = recipe_source(&recipe, "a"), *b = recipe_source(&recipe, "b");
    assert_int_equal(a->n_files, 4);
    assert_string_equal(a->files[0], "some/where/base/1.txt"); // data in the recipe: of the recipe's folder
    assert_string_equal(a->files[1], "/from/env/2.txt");
    assert_string_equal(a->files[2], "some/where/3.txt");
    assert_string_equal(a->files[3], "/4.txt");
    assert_string_equal(a->validate_file, "some/where/../v.txt");
    assert_string_equal(b->files[1], "some/where/base/x/1.jsonl");
    assert_string_equal(b->column, "body.text");
    assert_int_equal(recipe.n_env, 1);
    assert_string_equal(recipe.env[0].name, "RETORT_TEST_FOLDER");
    assert_string_equal(recipe.env[0].value, "/from/env");
    const struct recipe_stage *tok = recipe_stage(&recipe, "tok");
    const struct tokenizer_options *t = tok->options;
    assert_int_equal(t->vocab, 4096);
    assert_int_equal(t->chars, 1000);
    assert_int_equal(t->doc_cap, 40960);
    assert_int_equal(stage_setting(tok, "vocab")->by, BY_LET);
    assert_int_equal(stage_setting(tok, "doc_cap")->by, BY_RECIPE);
    arena_release(&arena);

    // data from -s: of the working directory, through a let too; and a let from -s
    const char *settings[] = {"data=here", "let.v=300"};
    read_text(text, settings, 2);
    assert_string_equal(recipe_source(&recipe, "a")->files[0], "here/1.txt");
    assert_string_equal(recipe_source(&recipe, "a")->files[2], "some/where/3.txt");
    assert_string_equal(recipe_source(&recipe, "b")->files[0], "here/x/0.jsonl");
    assert_int_equal(((const struct tokenizer_options *)recipe_stage(&recipe, "tok")->options)->vocab, 300);
    arena_release(&arena);
}

static void lets_that_double(void **state)
{
    (void)state;
    char text[4096];
    int n = snprintf(text, sizeof text, "retort: 1\nlet:\n  x0: aaaaaaaaaaaaaaaa\n");
    for (int i = 1; i < 30; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "  x%d: ${x%d}${x%d}\n", i, i - 1, i - 1);
    snprintf(text + n, sizeof text - (size_t)n, "name: ${x29}\n" TOKENIZER "sources: {web: {text: a, validate: none}}\n");
    fails(text, NULL, ERROR_RECIPE, "too long");
    fails("retort: 1\nlet: {a: \"${b}\", b: \"${c}\", c: \"${a}\"}\n" TOKENIZER "sources: {web: {text: a, validate: none}}\n",
          NULL, ERROR_RECIPE, "is made of itself");
    fails("retort: 1\nlet: {a: [1]}\n" TOKENIZER "sources: {web: {text: a, validate: none}}\n", NULL, ERROR_RECIPE,
          "single values");
    fails("retort: 1\nname: \"${a\"\n" TOKENIZER "sources: {web: {text: a, validate: none}}\n", NULL, ERROR_RECIPE,
          "without '}'");
}

static void settings(void **state)
{
    (void)state;
    static const char text[] = HEAD TOKENIZER "  base: {kind: pretrain, tokenizer: tok, source: web, steps: 5}\n"
                                              "  score: {kind: eval, model: base, suites: [bpb]}\n";
    const char *several[] = {"base.steps=9",
                             "base.steps=1k",
                             "score.model=[base]",
                             "hardware.device=cpu",
                             "hardware={count: 8, usd_per_hour: 24}",
                             "sources.web.validate=none",
                             "name=other",
                             "base.tokens=2M",
                             "base.tokens=3M"};
    struct error *e = recipe_parse(&recipe, "r.yaml", text, sizeof text - 1, several, 6, &arena);
    assert_non_null(e); // validate none leaves bpb without a text
    assert_string_equal(e->what, "source 'web' has no validation text for bpb");
    error_free(e);
    arena_release(&arena);
    several[5] = "sources.web.validate=v.txt";
    read_text(text, several, 7);
    assert_int_equal(base()->steps, 1000); // the last one counts
    assert_true(recipe.usd_per_hour == 24);
    assert_int_equal(recipe.device_count, 8);
    assert_string_equal(recipe.name, "other");
    assert_string_equal(recipe_source(&recipe, "web")->validate_file, "v.txt"); // of the working directory
    arena_release(&arena);

    struct place at = fails(text, "bsae.steps=3", ERROR_RECIPE, "unknown stage 'bsae'; did you mean 'base'?");
    assert_string_equal(at.file, "-s bsae.steps=3");
    fails(text, "base.stpes=3", ERROR_RECIPE, "unknown key 'stpes'; did you mean 'steps'?");
    fails(text, "budget.usd=x", ERROR_RECIPE, "usd is 'x', not a number");
    fails(text, "include=[x.yaml]", ERROR_USAGE, "files are included before -s");
    fails(text, "base.steps=x", ERROR_RECIPE, "steps is 'x', not a number");
    fails(text, "base.steps=", ERROR_RECIPE, "steps has no value");
    fails(text, "base", ERROR_USAGE, "not a setting");
    fails(text, "base=3", ERROR_USAGE, "not a setting");
    fails(text, "base..x=3", ERROR_USAGE, "not a setting");
    fails(text, "base.steps.x=3", ERROR_USAGE, "has no keys");
    fails(text, "score.suites[1]=bpb", ERROR_USAGE, "the list has 1 items");
    fails(text, "score.model[0]=bpb", ERROR_USAGE, "is not a list");
    fails(text, "score.suites[0]=humaneval", ERROR_RECIPE, "nothing says where the data lies of task 'humaneval'");
    fails(text, "score.suites[0]=core", ERROR_RECIPE, "nothing says where the data lies of task 'core/hellaswag_zeroshot'");
    fails(text, "score.model=[base", ERROR_RECIPE, "expected ',' or ']'");
    fails(text, "base.precision=f64", ERROR_RECIPE, "precision is 'f64'");
}

static void validation(void **state)
{
    (void)state;
    // Without a validation text nothing is evaluated on the way, unless the recipe insists.
    static const char head[] = "retort: 1\nsources: {web: {text: a.txt, validate: none}}\n" TOKENIZER;
    char text[600];
    snprintf(text, sizeof text, "%s  base: {kind: pretrain, tokenizer: tok, source: web, steps: 5}\n", head);
    read_text(text, NULL, 0);
    assert_int_equal(base()->eval_every, 0);
    arena_release(&arena);
    fails(text, "base.eval_every=5", ERROR_RECIPE, "source 'web' has no validation text");
}

static void many_errors(void **state)
{
    (void)state;
    char *text = malloc(1 << 20);
    int n = sprintf(text, HEAD TOKENIZER);
    for (int i = 0; i < 3000; i++)
        n += sprintf(text + n, "  s%d: {kind: tokenizer, source: wob, vocab: x%d, sede: 3}\n", i, i);
    struct error *e = recipe_parse(&recipe, "r.yaml", text, (size_t)n, NULL, 0, &arena);
    int count = 0, line = 0;
    for (struct error *each = e; each; each = each->next) {
        count++;
        assert_true(each->at.line >= line || !each->next);
        line = each->at.line;
    }
    assert_int_equal(count, 101);
    error_free(e);
    arena_release(&arena);

    // Ten thousand references of long chains, and a circle at their end
    n = sprintf(text, HEAD TOKENIZER);
    for (int i = 0; i < 3000; i++)
        n += sprintf(text + n, "  s%d: {kind: finetune, model: s%d, mixture: []}\n", i, i < 2999 ? i + 1 : 2990);
    e = recipe_parse(&recipe, "r.yaml", text, (size_t)n, NULL, 0, &arena);
    assert_int_equal(error_exit_status(e), 2);
    error_free(e);
    arena_release(&arena);

    // The same with good mixtures: rows as long as those of a pretraining that is thousands of stages away
    n = sprintf(text, HEAD TOKENIZER
                "  base: {kind: pretrain, tokenizer: tok, source: web, depth: 2, seq_len: 64, batch_tokens: 64}\n");
    for (int i = 0; i < 3000; i++)
        n += sprintf(text + n, "  s%d: {kind: finetune, model: %s%.0d, rows: 4, mixture: [{task: town_talk}]}\n", i,
                     i < 2999 ? "s" : "base", i < 2999 ? i + 1 : 0);
    read_text(text, NULL, 0);
    (void)n;
    assert_int_equal(((const struct finetune_options *)recipe_stage(&recipe, "s0")->options)->seq_len, 64);
    e = NULL;
    error_free(e);
    arena_release(&arena);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny),     cmocka_unit_test(small),      cmocka_unit_test(defaults),
        cmocka_unit_test(shapes),   cmocka_unit_test(lets),       cmocka_unit_test(lets_that_double),
        cmocka_unit_test(settings), cmocka_unit_test(validation), cmocka_unit_test(many_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
