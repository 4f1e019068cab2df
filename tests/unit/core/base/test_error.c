// test_error.c - errors keep what they were given, chain, list, and decide the exit status.
#include "tests/unit/folder.h"

#include <errno.h>

#include "core/base/error.h"

static void an_error_owns_its_texts(void **state)
{
    (void)state;
    char file[] = "recipe.yaml", fix[] = "set it";
    struct error *e = error_new(ERROR_RECIPE, (struct place){file, 3, 7, 2}, fix, "epochs of '%s' is %g", "gsm8k", -0.5);
    file[0] = fix[0] = 'X';
    assert_string_equal(e->what, "epochs of 'gsm8k' is -0.5");
    assert_string_equal(e->fix, "set it");
    assert_string_equal(e->at.file, "recipe.yaml");
    assert_int_equal(e->at.line, 3);
    assert_null(e->next);
    e = error_while(e, NOWHERE, "reading %d", 1);
    e = error_while(e, (struct place){"other.yaml", 1, 1, 1}, "planning");
    assert_string_equal(e->while_->what, "reading 1");
    assert_string_equal(e->while_->while_->what, "planning");
    assert_string_equal(e->while_->while_->at.file, "other.yaml");
    error_free(e);
    assert_null(error_while(NULL, NOWHERE, "nothing"));
    e = error_system(ERROR_MACHINE, ENOSPC, "cannot write '%s'", "x%d");
    assert_string_equal(e->what, "cannot write 'x%d': No space left on device");
    error_free(e);
    error_free(NULL);
}

static void lists_keep_their_order(void **state)
{
    (void)state;
    struct error *list = NULL;
    for (int i = 0; i < 3; i++)
        list = error_append(list, error_plain(ERROR_DATA, "%d", i));
    list = error_append(list, NULL);
    const struct place here = {"a.yaml", 3, 7, 1}, there = {"a.yaml", 3, 9, 1};
    struct error *told = error_new(ERROR_RECIPE, here, NULL, "wrong");
    told = error_append(told, error_new(ERROR_RECIPE, there, NULL, "wrong"));
    told = error_append(told, error_new(ERROR_RECIPE, here, NULL, "worse"));
    struct error *again = error_append(error_new(ERROR_RECIPE, there, NULL, "wrong"), error_plain(ERROR_DATA, "no place"));
    told = error_append(told, error_append(again, error_new(ERROR_RECIPE, here, NULL, "worse")));
    told = error_append(told, error_plain(ERROR_DATA, "no place"));
    int n_told = 0;
    for (const struct error *each = told; each; each = each->next)
        n_told++;
    assert_int_equal(n_told, 5);
    error_free(told);
    list = error_while(list, NOWHERE, "all");
    for (struct error *e = list; e; e = e->next)
        assert_string_equal(e->while_->what, "all");
    assert_string_equal(list->next->next->what, "2");
    list = error_first(list, error_plain(ERROR_DATA, "later"));
    assert_string_equal(list->what, "0");
    error_free(list);
    struct error *second = error_first(NULL, error_plain(ERROR_DATA, "second"));
    assert_string_equal(second->what, "second");
    error_free(second);
    assert_null(error_first(NULL, NULL));
}

static void memory_is_one_object(void **state)
{
    (void)state;
    struct error *none = error_memory();
    assert_ptr_equal(error_while(none, NOWHERE, "x"), none);
    assert_ptr_equal(error_append(error_plain(ERROR_DATA, "a"), none), none);
    assert_ptr_equal(error_append(none, error_plain(ERROR_DATA, "a")), none);
    assert_ptr_equal(error_append(none, none), none);
    assert_ptr_equal(error_append(NULL, none), none);
    assert_null(none->next);
    assert_null(none->while_);
    assert_int_equal(error_exit_status(none), 3);
    error_free(none);
    assert_string_equal(none->what, "out of memory");
}

static void the_gravest_decides(void **state)
{
    (void)state;
    const struct {
        enum error_kind kind;
        int status;
        const char *name;
    } kinds[] = {{ERROR_RECIPE, 2, "recipe"},       {ERROR_USAGE, 2, "usage"},      {ERROR_MACHINE, 3, "machine"},
                 {ERROR_NOT_BUILT, 4, "not_built"}, {ERROR_STOPPED, 75, "stopped"}, {ERROR_DATA, 1, "data"},
                 {ERROR_FAILED, 1, "failed"}};
    for (size_t i = 0; i < countof(kinds); i++) {
        struct error *e = error_plain(kinds[i].kind, "x");
        assert_int_equal(error_exit_status(e), kinds[i].status);
        assert_string_equal(error_kind_name(kinds[i].kind), kinds[i].name);
        e = error_append(e, error_plain(ERROR_RECIPE, "y"));
        assert_int_equal(error_exit_status(e), 2);
        error_free(e);
    }
    struct error *e = error_append(error_stopped(), error_plain(ERROR_FAILED, "x"));
    assert_int_equal(error_exit_status(e), 1);
    error_free(e);
    assert_int_equal(error_exit_status(NULL), 0);
}

static void faults_become_errors(void **state)
{
    (void)state;
    struct fault fault = {.kind = FAULT_MEMORY, .op = "norm", .what = "12 GB"};
    assert_error(error_from_fault(fault), ERROR_MACHINE, "norm: 12 GB");
    fault.kind = FAULT_NOT_BUILT;
    assert_error(error_from_fault(fault), ERROR_NOT_BUILT, "norm");
    fault.kind = FAULT_COMM;
    assert_error(error_from_fault(fault), ERROR_FAILED, "norm");
    fault.kind = FAULT_NONE;
    assert_null(error_from_fault(fault));
}

static void the_system_knows_some_remedies(void **state)
{
    (void)state;
    struct error *e = error_system(ERROR_MACHINE, ENOSPC, "cannot write '%s'", "x");
    assert_string_equal(e->what, "cannot write 'x': No space left on device");
    assert_non_null(strstr(e->fix, "free space"));
    error_free(e);
    e = error_system(ERROR_MACHINE, ENOENT, "cannot open '%s'", "x");
    assert_null(e->fix);
    error_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_owns_its_texts), cmocka_unit_test(lists_keep_their_order),
        cmocka_unit_test(memory_is_one_object),    cmocka_unit_test(the_gravest_decides),
        cmocka_unit_test(faults_become_errors),    cmocka_unit_test(the_system_knows_some_remedies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
