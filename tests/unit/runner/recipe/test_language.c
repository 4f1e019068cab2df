// test_language.c - what several files and several values become: include, matrix, stages of other recipes, and who set what.
#include "cmocka_all.h"

#include <sys/stat.h>
#include <unistd.h>

#include "runner/graph/graph.h"
#include "runner/graph/keys.h"
#include "runner/recipe/recipe.h"

static struct arena arena;
static struct recipe recipe;
static char folder[64];

static const char *path_of(const char *name)
{
    return arena_printf(&arena, "%s/%s", folder, name);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void read_it(const char *name, const char *const *settings, int n)
{
    struct error *e = recipe_read(&recipe, path_of(name), settings, n, &arena);
    if (e)
        fail_msg("%s:%d:%d: %s", e->at.file, e->at.line, e->at.column, e->what);
}

static const char *value(const char *stage, const char *field)
{
    const struct recipe_stage *s = recipe_stage(&recipe, stage);
    if (!s)
        fail_msg("no stage '%s'", stage);
    const struct setting *setting = stage_setting(s, field);
    return field_is_set(s->options, setting->field) ? field_text(s->options, setting->field, &arena) : "";
}

static enum value_by by(const char *stage, const char *field)
{
    return stage_setting(recipe_stage(&recipe, stage), field)->by;
}

// The first error's text; one must be.
static const char *fails(const char *name, const char *setting)
{
    struct error *e = recipe_read(&recipe, path_of(name), &setting, setting != NULL, &arena);
    assert_non_null(e);
    const char *what = arena_strdup(&arena, e->what);
    error_free(e);
    return what;
}

static void stage_names_are(const char *const *names, int n)
{
    for (int i = 0; i < recipe.n_stages; i++)
        if (i >= n || strcmp(recipe.stages[i].name, names[i]))
            fail_msg("stage %d is '%s'", i, recipe.stages[i].name);
    assert_int_equal(recipe.n_stages, n);
}

#define SOURCES "sources:\n  web: {text: \"text/{08..11}.txt\", validate: last}\n"
#define BASE "kind: pretrain, tokenizer: tok, source: web, seq_len: 64, batch_tokens: 128"

static void includes(void **state)
{
    (void)state;
    put("parts/deep/most.yaml",
        "seed: 1\nlet: {n: 500, w: 2}\nstages:\n  tok: {kind: tokenizer, source: web, vocab: 300, chars: 5}\n");
    put("parts/a.yaml", "include: [deep/most.yaml]\nseed: 2\nlet: {w: 3}\n" SOURCES "stages:\n  base: {" BASE
                        ", tokens: \"${n}k\", warmup: 0.1, depth: 2}\n");
    put("parts/b.yaml", "seed: 3\nstages:\n  base: {warmup: 0.2, matrix_lr: \"${w}\"}\n");
    put("r.yaml",
        "retort: 1\ninclude: [parts/a.yaml, parts/b.yaml]\nstages:\n  tok: {vocab: 400}\n  base: {steps: 7, n_layer: 3, "
        "n_embd: 64, n_head: 2}\n  last: {" BASE "}\n");
    read_it("r.yaml", NULL, 0);
    assert_int_equal(recipe.seed, 3); // the later of two
    assert_string_equal(recipe.name, "r");
    assert_string_equal(value("tok", "vocab"), "400");
    assert_string_equal(value("tok", "chars"), "5");
    assert_int_equal(by("tok", "vocab"), BY_RECIPE);
    assert_int_equal(by("tok", "chars"), BY_INCLUDE);
    assert_string_equal(stage_setting(recipe_stage(&recipe, "tok"), "chars")->at.file, path_of("parts/deep/most.yaml"));
    assert_int_equal(stage_setting(recipe_stage(&recipe, "tok"), "chars")->at.line, 4);
    assert_string_equal(value("base", "warmup"), "0.2");
    assert_string_equal(value("base", "matrix_lr"), "3");
    assert_int_equal(by("base", "matrix_lr"), BY_LET);
    // Of fields that exclude each other the recipe's take the place of those that it includes, be they a let or not.
    assert_string_equal(value("base", "steps"), "7");
    assert_string_equal(value("base", "tokens"), "");
    assert_string_equal(value("base", "depth"), "");
    assert_string_equal(value("base", "n_layer"), "3");
    assert_int_equal(by("tok", "seed"), BY_INCLUDE);
    // Files are relative to the file that names them.
    assert_string_equal(recipe_source(&recipe, "web")->files[0], path_of("parts/text/08.txt"));
    assert_non_null(strstr(recipe.text, "# included: "));
    assert_non_null(strstr(recipe.text, "chars: 5"));

    const char *settings[] = {"base.warmup=0.3", "base.depth=4", "let.w=5"};
    read_it("r.yaml", settings, 3);
    assert_string_equal(value("base", "warmup"), "0.3");
    assert_string_equal(value("base", "matrix_lr"), "5");
    assert_string_equal(value("base", "depth"), "4");
    assert_int_equal(by("base", "warmup"), BY_SETTING);

    // Replaced, not merged: a list; and a map by a value.
    put("parts/c.yaml", SOURCES "stages:\n  tok: {kind: tokenizer, source: web}\n  base: {" BASE "}\n"
                                "  e: {kind: eval, model: [base], suites: [bpb, town_quiz]}\n");
    put("r.yaml", "retort: 1\ninclude: [parts/c.yaml]\nstages:\n  e: {suites: [bpb]}\n");
    read_it("r.yaml", NULL, 0);
    assert_string_equal(value("e", "suites"), "[bpb]");
    put("r.yaml", "retort: 1\ninclude: [parts/c.yaml]\nstages:\n  e: none\n");
    assert_string_equal(fails("r.yaml", NULL), "stage 'e' is not a map");
}

static void presets_under_includes(void **state)
{
    (void)state;
    put("parts/p.yaml",
        SOURCES "stages:\n  tok: {kind: tokenizer, source: web}\n  base: {" BASE ", depth: 2}\n"
                "  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: town_talk}], lr_frac: 0.5}\n");
    put("r.yaml", "retort: 1\ninclude: [parts/p.yaml]\nstages:\n  sft: {warmdown: 0.25}\n");
    const char *settings[] = {"sft.eval_every=9"};
    read_it("r.yaml", settings, 1);
    assert_int_equal(by("sft", "eval_every"), BY_SETTING);
    assert_int_equal(by("sft", "warmdown"), BY_RECIPE);
    assert_int_equal(by("sft", "lr_frac"), BY_INCLUDE);
    assert_int_equal(by("sft", "rows"), BY_PRESET);
    assert_int_equal(by("sft", "matrix_lr"), BY_DEFAULT);
    assert_string_equal(value("sft", "rows"), "32");
}

static const char matrix_text[] =
    "retort: 1\nmatrix: {depth: [2, 4], lr: [0.1, 0.2]}\nlet: {rate: \"${lr}\", twice: \"${rate}\"}\n" SOURCES "stages:\n"
    "  tok: {kind: tokenizer, source: web}\n"
    "  base: {" BASE ", depth: \"${depth}\"}\n"
    "  other: {" BASE ", depth: 2}\n"
    "  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: town_talk}], matrix_lr: \"${twice}\"}\n"
    "  e: {kind: eval, model: [base, other, sft], suites: [bpb]}\n"
    "  f: {kind: eval, model: \"base@depth=4\", suites: [bpb]}\n"
    "  g: {kind: eval, model: other, suites: [bpb]}\n";

static void matrices(void **state)
{
    (void)state;
    put("m.yaml", matrix_text);
    read_it("m.yaml", NULL, 0);
    static const char *const names[] = {"tok",
                                        "base@depth=2",
                                        "base@depth=4",
                                        "other",
                                        "sft@depth=2,lr=0.1",
                                        "sft@depth=2,lr=0.2",
                                        "sft@depth=4,lr=0.1",
                                        "sft@depth=4,lr=0.2",
                                        "e@base@depth=2",
                                        "e@base@depth=4",
                                        "e@other",
                                        "e@sft@depth=2,lr=0.1",
                                        "e@sft@depth=2,lr=0.2",
                                        "e@sft@depth=4,lr=0.1",
                                        "e@sft@depth=4,lr=0.2",
                                        "f",
                                        "g"};
    stage_names_are(names, (int)countof(names));
    assert_string_equal(value("base@depth=4", "n_layer"), "4");
    assert_int_equal(by("base@depth=4", "depth"), BY_MATRIX);
    assert_string_equal(value("sft@depth=4,lr=0.2", "model"), "base@depth=4");
    assert_string_equal(value("sft@depth=4,lr=0.2", "matrix_lr"), "0.2");
    assert_string_equal(value("sft@depth=2,lr=0.1", "matrix_lr"), "0.1");
    assert_string_equal(value("e@sft@depth=2,lr=0.2", "model"), "[sft@depth=2,lr=0.2]");
    assert_string_equal(value("f", "model"), "[base@depth=4]");

    const char *settings[] = {"matrix.depth=6", "matrix.lr=[0.3]", "sft.rows=4", "f.model=base@depth=6"};
    read_it("m.yaml", settings, 4);
    assert_string_equal(value("base@depth=6", "n_layer"), "6");
    assert_string_equal(value("e@sft@depth=6,lr=0.3", "model"), "[sft@depth=6,lr=0.3]");
    assert_string_equal(value("sft@depth=6,lr=0.3", "rows"), "4");
    assert_string_equal(fails("m.yaml", "base@depth=2.steps=3"), "one cell of a matrix cannot be set by itself");
}

// What -s takes the place of was used all the same; what it adds must be used.
static void names_that_nothing_uses(void **state)
{
    (void)state;
    put("u.yaml", "retort: 1\nmatrix: {depth: [2, 4]}\nlet: {rate: 0.1}\n" SOURCES "stages:\n"
                  "  tok: {kind: tokenizer, source: web}\n  base: {" BASE ", depth: \"${depth}\", matrix_lr: \"${rate}\"}\n");
    const char *settings[] = {"base.depth=4", "base.matrix_lr=0.2", "base.matrix_lr=0.3"};
    read_it("u.yaml", settings, 3);
    assert_non_null(recipe_stage(&recipe, "base"));
    assert_string_equal(fails("u.yaml", "let.raet=0.1"), "nothing uses ${raet} of let");
    assert_string_equal(fails("u.yaml", "matrix.lr=[1, 2]"), "nothing uses ${lr} of the matrix");
}

static void matrices_of_sources(void **state)
{
    (void)state;
    put("s.yaml", "retort: 1\nmatrix: {n: [1, 2]}\nlet: {m: base}\nsources:\n  web: {text: [\"${n}.txt\"], validate: none}\n"
                  "  mixed: {mix: [{source: web, share: 1}], validate: none}\n"
                  "stages:\n  tok: {kind: tokenizer, source: web}\n  base: {" BASE ", depth: 2, eval_every: 0}\n"
                  "  more: {kind: finetune, preset: sft, model: \"${m}\", mixture: [{task: town_talk}]}\n");
    read_it("s.yaml", NULL, 0);
    assert_string_equal(recipe_source(&recipe, "web@n=2")->files[0], path_of("2.txt"));
    assert_string_equal(recipe_source(&recipe, "mixed@n=2")->mix[0].source, "web@n=2");
    assert_string_equal(value("base@n=2", "tokenizer"), "tok@n=2");
    assert_string_equal(value("more@n=1", "model"), "base@n=1");
    assert_null(recipe_source(&recipe, "web"));
}

static const char *key_of(const struct recipe *of, const char *node)
{
    struct graph graph;
    assert_null(graph_build(&graph, of, &arena));
    assert_null(keys_make(&graph, path_of("results")));
    const struct graph_node *found = graph_find(&graph, node);
    assert_non_null(found);
    assert_non_null(found->key);
    return found->key;
}

static void other_recipes(void **state)
{
    (void)state;
    char town[] = RETORT_SOURCE "/recipes/worlds/town.yaml", text[4096];
    snprintf(text, sizeof text,
             "retort: 1\nseed: 5\nsources: {town: {world: %s, documents: 300, validate: held_out}}\n"
             "stages:\n  tok: {kind: tokenizer, source: town, vocab: 300}\n"
             "  base: {kind: pretrain, tokenizer: tok, source: town, depth: 2, seq_len: 64, batch_tokens: 128, steps: 3}\n"
             "  mid: {kind: finetune, preset: sft, model: base, mixture: [{task: town_talk, rows: 50}]}\n"
             "  unused: {kind: eval, model: base, suites: [bpb]}\n",
             town);
    put("parts/other.yaml", text);
    put("parts/between.yaml", "retort: 1\nstages:\n  sft: {kind: finetune, preset: sft, model: other.yaml:mid, mixture: [{task: "
                              "town_quiz, rows: 20}]}\n");
    put("o.yaml",
        "retort: 1\nseed: 6\nstages:\n  a: {kind: finetune, preset: sft, model: parts/other.yaml:mid, mixture: [{task: "
        "town_talk, rows: 50}]}\n  e: {kind: eval, model: [a, parts/between.yaml:sft, parts/other.yaml:mid], suites: [bpb]}\n");
    read_it("o.yaml", NULL, 0);
    static const char *const names[] = {"a", "e", "other.yaml:tok", "other.yaml:base", "other.yaml:mid", "between.yaml:sft"};
    for (size_t i = 0; i < countof(names); i++)
        assert_non_null(recipe_stage(&recipe, names[i]));
    assert_int_equal(recipe.n_stages, countof(names));
    assert_string_equal(value("e", "model"), "[a, between.yaml:sft, other.yaml:mid]");
    assert_string_equal(value("other.yaml:mid", "model"), "other.yaml:base");
    assert_string_equal(value("a", "seq_len"), "64"); // of the pretraining over there
    assert_string_equal(value("other.yaml:base", "seed"), "5");
    assert_string_equal(value("a", "seed"), "6");
    assert_non_null(strstr(recipe.text, "# of another recipe: "));

    // The keys are those of the other recipe run alone, whose seed writes its world.
    struct recipe here = recipe, alone;
    assert_null(recipe_read(&alone, path_of("parts/other.yaml"), NULL, 0, &arena));
    assert_string_equal(key_of(&here, "other.yaml:mid"), key_of(&alone, "mid"));
    assert_string_equal(key_of(&here, "other.yaml:town.tokens"), key_of(&alone, "town.tokens"));
    assert_string_equal(key_of(&here, "other.yaml:town_talk.train.tokens"), key_of(&alone, "town_talk.train.tokens"));
    // The same task under this recipe's seed is another text.
    assert_string_not_equal(key_of(&here, "town_talk.train.tokens"), key_of(&alone, "town_talk.train.tokens"));

    put("parts/data.yaml",
        "retort: 1\nsources: {web: {text: \"${data}/a.txt\", validate: none}}\nstages:\n  tok: {kind: tokenizer, "
        "source: web}\n  base: {kind: pretrain, tokenizer: tok, source: web, depth: 2, eval_every: 0}\n");
    put("d.yaml",
        "retort: 1\nstages:\n  e: {kind: finetune, preset: sft, model: parts/data.yaml:base, mixture: [{task: town_talk}]}\n");
    assert_string_equal(fails("d.yaml", NULL), "nothing says what ${data} is");
    const char *settings[] = {"data=some/where", "seed=9"};
    read_it("d.yaml", settings, 2);
    assert_string_equal(recipe_source(&recipe, "data.yaml:web")->files[0], "some/where/a.txt");
    assert_string_equal(value("data.yaml:base", "seed"), "42"); // only data is seen
    assert_string_equal(value("e", "seed"), "9");
}

static void resolved(void **state)
{
    (void)state;
    put("m.yaml", matrix_text);
    const char *settings[] = {"name=x"};
    read_it("m.yaml", settings, 1);
    int found = 0;
    for (int i = 0; i < recipe.n_values; i++) {
        const struct recipe_value *v = &recipe.values[i];
        found += !strcmp(v->name, "name") && !strcmp(v->text, "x") && v->by == BY_SETTING;
        found += !strcmp(v->name, "matrix.depth[1]") && !strcmp(v->text, "4") && v->by == BY_RECIPE && v->at.line == 2;
        found += !strcmp(v->name, "sources.web.validate") && !strcmp(v->text, "last");
    }
    assert_int_equal(found, 3);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "language_%ld", (long)getpid());
    return mkdir(folder, 0777) || mkdir(path_of("parts"), 0777) || mkdir(path_of("parts/deep"), 0777);
}

static int drop_folder(void **state)
{
    (void)state;
    const char *command = arena_printf(&arena, "rm -r %s", folder);
    int status = system(command);
    arena_release(&arena);
    return status;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(includes),      cmocka_unit_test(presets_under_includes),
                                       cmocka_unit_test(matrices),      cmocka_unit_test(matrices_of_sources),
                                       cmocka_unit_test(other_recipes), cmocka_unit_test(resolved),
                                       cmocka_unit_test(names_that_nothing_uses)};
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
