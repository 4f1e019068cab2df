// test_fields.c - the table holds together: every row is sane, every default reads and writes back.
#include "cmocka_all.h"

#include "runner/recipe/options.h"

static struct arena arena;

static int kind_of(const struct field *field)
{
    int kind = 0;
    while (!(field->kinds >> kind & 1))
        kind++;
    return kind;
}

static void rows_are_sane(void **state)
{
    (void)state;
    for (int i = 0; i < n_fields; i++) {
        const struct field *f = &fields[i];
        assert_non_null(f->name);
        assert_non_null(f->help);
        assert_true(f->type >= 0 && f->type < FIELD_TYPE_COUNT);
        assert_true(f->kinds && f->kinds < 1u << KIND_COUNT && !(f->kinds & (f->kinds - 1)));
        assert_true(f->offset < kind_options_bytes((enum stage_kind_id)kind_of(f)));
        assert_ptr_equal(field_find((enum stage_kind_id)kind_of(f), f->name), f); // no name twice in a kind
        assert_true(f->min <= f->max);
        assert_false(f->required && (f->def_2025 || f->def_2026));
        if (!kind_built((enum stage_kind_id)kind_of(f)))
            assert_false(f->built);
        for (int k = 0; k < i; k++)
            assert_false(fields[k].kinds == f->kinds && fields[k].offset == f->offset);
    }
}

static void defaults_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < n_fields; i++) {
        const struct field *f = &fields[i];
        const char *const defaults[] = {f->def_2025, f->def_2026, f->def_mid, f->def_sft};
        enum stage_kind_id kind = (enum stage_kind_id)kind_of(f);
        void *options = arena_alloc(&arena, kind_options_bytes(kind)), *again = arena_alloc(&arena, kind_options_bytes(kind));
        for (size_t d = 0; d < countof(defaults); d++) {
            if (!defaults[d])
                continue;
            fields_unset(options, kind);
            fields_unset(again, kind);
            assert_false(field_is_set(options, f));
            struct error *e = field_set(options, f, &defaults[d], 1, NOWHERE, &arena);
            if (e)
                fail_msg("%s: default '%s': %s", f->name, defaults[d], e->what);
            assert_true(field_is_set(options, f));
            const char *text = field_text(options, f, &arena);
            assert_null(field_set(again, f, &text, 1, NOWHERE, &arena));
            assert_string_equal(field_text(again, f, &arena), text);
        }
    }
    arena_release(&arena);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_int_equal(kind_find("pretrain"), KIND_PRETRAIN);
    assert_int_equal(kind_find("tokens"), KIND_COUNT); // nobody writes it
    assert_int_equal(kind_find("nothing"), KIND_COUNT);
    for (int i = 0; i < KIND_COUNT; i++) {
        assert_non_null(kind_name((enum stage_kind_id)i));
        assert_non_null(kind_help((enum stage_kind_id)i));
        assert_true(kind_version((enum stage_kind_id)i) > 0);
    }
    assert_true(kind_built(KIND_TOKENIZER) && kind_built(KIND_PRETRAIN) && kind_built(KIND_EVAL));
    assert_true(kind_built(KIND_FINETUNE) && kind_built(KIND_GRPO));
    assert_true(kind_built(KIND_IMPORT));
}

static void choices_and_lists(void **state)
{
    (void)state;
    bool built;
    assert_true(choice_find("f32|bf16!", "f32", &built) && built);
    assert_true(choice_find("f32|bf16!", "bf16", &built) && !built);
    assert_false(choice_find("f32|bf16!", "f3", &built));
    assert_false(choice_find("f32|bf16!", "", &built));
    assert_true(choice_find("bpb|*!", "core", &built) && !built);
    assert_true(choice_find("bpb|*!", "bpb", &built) && built);
    assert_true(choice_find(NULL, "x", &built) && built);
    assert_string_equal(choices_text("a|b!|c", &arena), "a, b or c");

    struct eval_options o;
    fields_unset(&o, KIND_EVAL);
    const struct field *model = field_find(KIND_EVAL, "model"), *suites = field_find(KIND_EVAL, "suites");
    const char *names[] = {"mid", "sft", "not-a-name"};
    assert_null(field_set(&o, model, names, 2, NOWHERE, &arena));
    assert_string_equal(field_text(&o, model, &arena), "[mid, sft]");
    struct error *e = field_set(&o, model, names, 3, NOWHERE, &arena);
    assert_int_equal(e->kind, ERROR_RECIPE);
    assert_int_equal(o.model.n, 2); // a failed call changes nothing
    error_free(e);
    e = field_set(&o, suites, names, 0, NOWHERE, &arena);
    assert_non_null(strstr(e->what, "empty list"));
    error_free(e);

    struct pretrain_options p;
    fields_unset(&p, KIND_PRETRAIN);
    const struct field *keep = field_find(KIND_PRETRAIN, "keep"), *steps = field_find(KIND_PRETRAIN, "steps");
    assert_null(field_set(&p, keep, (const char *const[]){"1k", "2_000"}, 2, NOWHERE, &arena));
    assert_string_equal(field_text(&p, keep, &arena), "[1000, 2000]");
    e = field_set(&p, steps, names, 2, NOWHERE, &arena);
    assert_non_null(strstr(e->what, "takes one value"));
    error_free(e);
    e = field_set(&p, steps, (const char *const[]){"0"}, 1, NOWHERE, &arena);
    assert_non_null(strstr(e->fix, "at least 1"));
    error_free(e);
    assert_int_equal(p.steps, FIELD_UNSET_INT);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_sane), cmocka_unit_test(defaults_read_back),
                                       cmocka_unit_test(kinds_have_names), cmocka_unit_test(choices_and_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
