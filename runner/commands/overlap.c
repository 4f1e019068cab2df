// overlap.c - the table of graph/overlap_probe, and a word on how far it is.
#include "runner/commands/overlap.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/eval/overlap.h"
#include "runner/graph/keys.h"
#include "runner/graph/overlap_probe.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { WIDTH = 80 };

struct showing {
    double told;
    bool shown;
};

static void show(void *self, int64_t bytes)
{
    struct showing *s = self;
    char a[FORMAT_TEXT];
    if (clock_seconds() - s->told < 0.5)
        return;
    s->told = clock_seconds();
    s->shown = true;
    printf("\r\033[Kreading the training text: %s of a file", format_bytes(a, bytes));
    fflush(stdout);
}

// "12 (0.5 %)", "-".
static const char *share(int64_t n, int64_t of, struct arena *arena)
{
    return n ? arena_printf(arena, "%lld (%.1f %%)", (long long)n, 100 * (double)n / (double)of) : "-";
}

static struct error *print(const struct overlap_report *r, struct arena *arena)
{
    static const struct column columns[] = {{"questions", false, true},
                                            {"asked", true, false},
                                            {"in the text", true, false},
                                            {"in mixtures", true, false},
                                            {"short", true, false}};
    struct grid grid;
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < r->n_tasks; i++) {
        const struct overlap_task *t = &r->tasks[i];
        const char *const cells[] = {t->name, arena_printf(arena, "%lld", (long long)t->n), share(t->in_text, t->n, arena),
                                     share(t->in_mixtures, t->n, arena), share(t->n_short, t->n, arena)};
        for (size_t k = 0; k < countof(cells); k++)
            if (!cells[k])
                return error_memory();
        grid_add(&grid, cells);
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, WIDTH);
    printf("\nQuestions that have %d words in a row with the training text, or with what is\n"
           "fine-tuned on, whatever the case and punctuation; short: fewer words than that.\n"
           "%s in %lld documents, %s (%.0f MB/s)\n",
           OVERLAP_WORDS, format_bytes(a, r->n_bytes), (long long)r->n_documents, format_seconds(b, r->seconds),
           r->seconds > 0 ? (double)r->n_bytes / 1e6 / r->seconds : 0);
    return NULL;
}

struct error *overlap_command(struct loaded *l, struct call *call)
{
    struct overlap_report report;
    struct showing showing = {.told = clock_seconds()};
    struct json j;
    bool terminal = !call->json && isatty(STDOUT_FILENO);
    stop_on_signals();
    struct error *e = keys_make(&l->graph, call->results);
    if (!e)
        e = overlap_probe(&report, &l->graph, terminal ? show : NULL, &showing, call->arena);
    if (showing.shown)
        printf("\r\033[K");
    if (!e)
        e = overlap_save(&report, &l->graph, call->results, call->arena);
    if (e)
        return e;
    if (!call->json)
        return print(&report, call->arena);
    answer_open(&j, call, NULL);
    overlap_to_json(&j, &report);
    return answer_print(&j);
}
