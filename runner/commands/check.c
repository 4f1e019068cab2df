// check.c - `retort check RECIPE`.
#include <stdio.h>

#include "runner/commands/load.h"
#include "runner/graph/estimate.h"

struct error *command_check(struct call *call)
{
    struct loaded l;
    struct json j;
    struct error *e = load_recipe(&l, call, call->args[0]);
    for (int i = 0; !e && i < l.graph.n_nodes; i++) {
        struct estimate estimate;
        e = error_append(e, estimate_stage(&estimate, l.graph.nodes[i]));
    }
    if (e)
        return e;
    if (call->json) {
        answer_open(&j, call, NULL);
        return answer_print(&j);
    }
    printf("%s: fine, %d stages\n", call->args[0], l.graph.n_nodes);
    return NULL;
}
