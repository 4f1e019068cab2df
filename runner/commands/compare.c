// compare.c - `retort compare A B ...`.
#include <stdio.h>

#include "runner/commands/load.h"
#include "runner/view/compare_print.h"
#include "runner/view/compare_table.h"

enum { COMPARE_WIDTH = 80 };

struct error *command_compare(struct call *call)
{
    struct comparison c;
    struct json j;
    struct run runs[COMPARE_RUNS] = {0};
    struct error *e = NULL;
    if (call->md + call->csv + call->json > 1)
        return error_plain(ERROR_USAGE, "--md, --csv and --json exclude each other");
    for (int i = 0; i < call->n_args && !e; i++)
        e = load_run(&runs[i], call, call->args[i]);
    if (e || (e = compare_runs(&c, runs, call->n_args, call->arena)))
        return e;
    if (call->md)
        return compare_markdown(&c, stdout, call->arena);
    if (call->csv)
        return compare_csv(&c, stdout, call->arena);
    if (!call->json)
        return compare_print(&c, stdout, COMPARE_WIDTH, call->arena);
    answer_open(&j, call, NULL);
    compare_json(&c, &j);
    return answer_print(&j);
}
