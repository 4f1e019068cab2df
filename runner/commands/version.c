// version.c - `retort version`.
#include <stdio.h>

#include "runner/commands/command.h"
#include "runner/stages/build.h"

struct error *command_version(struct call *call)
{
    const char *machine = machine_text(call->arena);
    struct json j;
    if (!machine)
        return error_memory();
    if (call->json) {
        answer_open(&j, call, NULL);
        json_key(&j, "build"), json_str(&j, build_text());
        json_key(&j, "machine"), json_str(&j, machine);
        return answer_print(&j);
    }
    printf("retort %s\n%s\n", build_text(), machine);
    return NULL;
}
