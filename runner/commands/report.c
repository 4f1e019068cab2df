// report.c - `retort report RUN`.
#include <stdio.h>

#include "runner/commands/load.h"
#include "runner/view/card.h"
#include "runner/view/card_json.h"

struct error *command_report(struct call *call)
{
    struct run run;
    struct json j;
    struct error *e = load_run(&run, call, call->args[0]);
    if (e || !call->json)
        return e ? e : card_markdown(&run, stdout, call->arena);
    answer_open(&j, call, NULL);
    if ((e = card_to_json(&run, &j, call->arena))) {
        json_release(&j);
        return e;
    }
    return answer_print(&j);
}
