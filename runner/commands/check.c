// check.c - `retort check RECIPE`.
#include <stdio.h>

#include "runner/commands/load.h"
#include "runner/commands/overlap.h"
#include "runner/graph/downloads.h"
#include "runner/graph/estimate.h"
#include "runner/graph/share.h"

struct error *command_check(struct call *call)
{
    struct loaded l;
    struct json j;
    struct error *e = load_recipe(&l, call, call->args[0]);
    int n = e ? 0 : l.graph.n_nodes;
    for (int i = 0; i < n; i++) {
        struct estimate estimate;
        e = error_append(e, estimate_stage(&estimate, l.graph.nodes[i]));
        e = error_append(e, shares_check(l.graph.nodes[i], call->arena));
    }
    struct pins pins;
    if (!e && downloads_any(&l.graph))
        e = pins_read(&pins, l.recipe.path, call->arena);
    if (e)
        return e;
    if (call->overlap)
        return overlap_command(&l, call);
    if (call->json) {
        answer_open(&j, call, NULL);
        return answer_print(&j);
    }
    printf("%s: fine, %d stages\n", call->args[0], l.graph.n_nodes);
    return python_print(&l.graph, NULL, call->arena) ? NULL : error_memory();
}
