// report.c - `retort report RUN`.
#include <stdio.h>

#include "runner/commands/load.h"
#include "runner/view/card.h"

struct error *command_report(struct call *call)
{
    struct run run;
    struct error *e = load_run(&run, call, call->args[0]);
    return e ? e : card_markdown(&run, stdout, call->arena);
}
