// test_fuzz.c - recipes that a careless or hostile hand changed: read or refused, never a crash. A few seconds; the
// sanitizers watch.
#include "cmocka_all.h"

#include <time.h>
#include <unistd.h>

#include "runner/recipe/recipe.h"
#include "runner/recipe/yaml.h"

static uint64_t state_of_random = 20261;

static uint32_t draw(uint32_t n)
{
    state_of_random = state_of_random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state_of_random >> 33) % n;
}

static size_t mutate(char *text, size_t n, size_t capacity)
{
    static const char *const pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         ": ",
                                         "- ",
                                         "\n",
                                         "\"",
                                         "'",
                                         "&a ",
                                         "*a",
                                         "!!int ",
                                         "<<: ",
                                         "${",
                                         "${x}",
                                         "${data}",
                                         "${env:HOME}",
                                         "{00..99}",
                                         "0x",
                                         "1e99",
                                         "-",
                                         ",",
                                         "#",
                                         "|\n",
                                         ">\n",
                                         "\t",
                                         "\xff",
                                         "\xe2\x80\xa8",
                                         "? ",
                                         "null",
                                         "base",
                                         "town",
                                         "kind: eval",
                                         "---\n",
                                         "{split}",
                                         "mixture: [{task: gsm8k, epochs: 2}]",
                                         "task",
                                         "rows: 3",
                                         "{question}",
                                         "[train, test]",
                                         "%",
                                         "[[[[[[[[",
                                         "let: {x: 1}\n",
                                         "\r",
                                         "seed"};
    for (uint32_t edits = 1 + draw(4); edits; edits--) {
        size_t at = draw((uint32_t)n + 1);
        const char *piece = pieces[draw((uint32_t)countof(pieces))];
        size_t length = strlen(piece), cut;
        switch (draw(4)) {
        case 0: // put something in
            if (n + length < capacity) {
                memmove(text + at + length, text + at, n - at);
                memcpy(text + at, piece, length);
                n += length;
            }
            break;
        case 1: // take something out
            cut = draw(20);
            cut = cut > n - at ? n - at : cut;
            memmove(text + at, text + at + cut, n - at - cut);
            n -= cut;
            break;
        case 2:
            if (at < n)
                text[at] = (char)draw(256);
            break;
        default: { // say a part again elsewhere
            size_t from = draw((uint32_t)n + 1);
            cut = draw(60);
            cut = cut > n - from ? n - from : cut;
            char part[64];
            memcpy(part, text + from, cut);
            if (n + cut < capacity) {
                memmove(text + at + cut, text + at, n - at);
                memcpy(text + at, part, cut);
                n += cut;
            }
        }
        }
    }
    return n;
}

static void changed_recipes(void **state)
{
    (void)state;
    const char *path = RETORT_SOURCE "/recipes/tiny.yaml";
    struct arena arena = {0}, source = {0};
    char *original;
    size_t n_original;
    assert_null(yaml_load(path, &source, &original, &n_original));
    enum { ROUNDS = 4000, SECONDS = 6 };
    char *text = malloc(n_original + 4096);
    time_t end = time(NULL) + SECONDS;
    int good = 0, rounds = 0;
    for (; rounds < ROUNDS && time(NULL) < end; rounds++) {
        memcpy(text, original, n_original);
        size_t n = mutate(text, n_original, n_original + 4096);
        const char *const settings[] = {"data=../x", "base.steps=5"};
        struct recipe recipe;
        struct error *e = recipe_parse(&recipe, path, text, n, settings, (int)draw(3), &arena);
        good += !e;
        for (struct error *each = e; each; each = each->next)
            assert_non_null(each->what);
        assert_true(!e || error_exit_status(e) == 2 || error_exit_status(e) == 4);
        error_free(e);
        arena_release(&arena);
    }
    printf("%d changed recipes, %d still good\n", rounds, good);
    free(text);
    arena_release(&source);
}

// The same with a -s of random letters.
static void changed_settings(void **state)
{
    (void)state;
    static const char letters[] = "abse.[]{}=,:0123456789\"'$-/ ";
    struct arena arena = {0};
    for (int i = 0; i < 1500; i++) {
        char text[40];
        int at = draw(2) ? snprintf(text, sizeof text, "base.") : 0;
        for (uint32_t n = draw(20); n; n--)
            text[at++] = letters[draw(sizeof letters - 1)];
        text[at] = 0;
        const char *settings[] = {text};
        struct recipe recipe;
        struct error *e = recipe_read(&recipe, RETORT_SOURCE "/recipes/small.yaml", settings, 1, &arena);
        assert_non_null(e); // small has no data
        error_free(e);
        arena_release(&arena);
    }
}

// Task files, read as a recipe reads them.
static void changed_tasks(void **state)
{
    (void)state;
    static const char *const names[] = {"gsm8k", "mmlu", "arc_easy", "smoltalk", "town_quiz"};
    struct arena arena = {0}, source = {0};
    char path[64];
    snprintf(path, sizeof path, "fuzz_%ld.yaml", (long)getpid());
    enum { ROUNDS = 2500, SECONDS = 4, ROOM = 4096 };
    time_t end = time(NULL) + SECONDS;
    int good = 0, rounds = 0;
    for (; rounds < ROUNDS && time(NULL) < end; rounds++) {
        char *original, text[ROOM];
        size_t n_original;
        assert_null(yaml_load(task_file_shipped(names[draw(countof(names))], &source), &source, &original, &n_original));
        memcpy(text, original, n_original);
        size_t n = mutate(text, n_original, ROOM);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fwrite(text, 1, n, f);
        fclose(f);
        struct task_file task = {0};
        struct error *e = task_file_read(path, draw(4) ? "data" : NULL, &arena, &task);
        good += !e;
        for (int i = 0; !e && i < task.n_splits; i++)
            assert_true(task.splits[i].n_files > 0 && task.splits[i].files[0]);
        error_free(e);
        arena_release(&arena);
        arena_release(&source);
    }
    printf("%d changed task files, %d still good\n", rounds, good);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(changed_recipes), cmocka_unit_test(changed_settings),
                                       cmocka_unit_test(changed_tasks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
