// help.c - `retort help`: from the table of commands and the table of fields, so that it cannot be out of date.
#include <stdio.h>
#include <string.h>

#include "runner/commands/command.h"
#include "runner/recipe/fields.h"
#include "runner/recipe/reader.h"
#include "runner/view/grid.h"

enum { HELP_WIDTH = 80 };

static void all(void)
{
    printf("retort: one recipe in; a tokenizer, a model, its scores and a report out.\n\n"
           "  retort run recipes/tiny.yaml       the whole pipeline on this processor\n"
           "  retort plan recipes/tiny.yaml      what would run, and why\n"
           "  retort why recipes/tiny.yaml       what changed since it last ran\n"
           "  retort report tiny                 the report card of the newest run\n\n"
           "Every result is kept in results/store under the key of all it is made from:\n"
           "what is there is not made again.\n\n");
    for (int i = 0; i < n_commands; i++)
        if (commands[i].run)
            printf("  %-8s %-16s %s\n", commands[i].name, commands[i].args, commands[i].summary);
    printf("\nNot built in this version:");
    int column = 26;
    for (int i = 0; i < n_commands; i++)
        if (!commands[i].run) {
            int n = (int)strlen(commands[i].name) + 1;
            if (column + n > HELP_WIDTH)
                printf("\n "), column = 1;
            printf(" %s", commands[i].name);
            column += n;
        }
    printf("\n\nEvery command takes\n"
           "  -s STAGE.FIELD=VALUE   another value, over the recipe's; -s seed=7 and\n"
           "                         -s data=FOLDER too (commands that read recipes)\n"
           "  --results DIR          where results are kept (else RETORT_RESULTS, else\n"
           "                         results)\n"
           "  --json                 the answer as one JSON object\n"
           "  --help                 what the command does\n\n"
           "Kinds of stages:");
    for (int k = 0; k < KIND_COUNT; k++)
        if (k != KIND_TOKENS && kind_built((enum stage_kind_id)k))
            printf(" %s", kind_name((enum stage_kind_id)k));
    printf("; not built:");
    for (int k = 0; k < KIND_COUNT; k++)
        if (!kind_built((enum stage_kind_id)k))
            printf(" %s", kind_name((enum stage_kind_id)k));
    printf("\n`retort help COMMAND` and `retort help KIND` tell more.\n\n"
           "Exit status: 0 done; 1 a stage failed; 2 the recipe or the command line is\n"
           "wrong; 3 the machine lacks something; 4 not built in this version; 75\n"
           "interrupted with everything saved, run again to go on.\n");
}

static void about_command(const struct command *c)
{
    printf("retort %s%s%s\n\n", c->name, c->args[0] ? " " : "", c->args);
    if (!c->run)
        printf("%s: not built in this version.\n", c->summary);
    else
        printf("%s\n", c->help);
}

static struct error *about_kind(enum stage_kind_id kind, struct arena *arena)
{
    static const struct column columns[] = {
        {"field", false, false}, {"2025", true, false}, {"unit", false, false}, {"what", false, true}};
    static const struct column with_presets[] = {{"field", false, false}, {"2025", true, false},  {"mid", true, false},
                                                 {"sft", true, false},    {"unit", false, false}, {"what", false, true}};
    bool presets = kind == KIND_FINETUNE;
    struct grid grid;
    if (presets)
        grid_init(&grid, with_presets, countof(with_presets), arena);
    else
        grid_init(&grid, columns, countof(columns), arena);
    printf("kind: %s - %s%s\n\n", kind_name(kind), kind_help(kind), kind_built(kind) ? "" : " (not built in this version)");
    for (int i = 0; i < n_fields; i++) {
        const struct field *f = &fields[i];
        if (!(f->kinds & 1u << kind))
            continue;
        const char *what = f->built ? f->help : arena_printf(arena, "%s (not built)", f->help);
        if (!what)
            return error_memory();
        const char *def = f->required ? "required" : f->def_2025 ? f->def_2025 : "";
        if (presets)
            grid_add(&grid, (const char *const[]){f->name, def, f->def_mid ? f->def_mid : "", f->def_sft ? f->def_sft : "",
                                                  f->unit, what});
        else
            grid_add(&grid, (const char *const[]){f->name, def, f->unit, what});
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, HELP_WIDTH);
    return NULL;
}

struct error *command_help(struct call *call)
{
    const char *what = call->n_args ? call->args[0] : NULL, *names[64];
    int n = 0;
    if (call->help && call->command->run != command_help) {
        about_command(call->command);
        return NULL;
    }
    if (!what) {
        all();
        return NULL;
    }
    const struct command *command = command_find(what);
    if (command) {
        about_command(command);
        return NULL;
    }
    for (int k = 0; k < KIND_COUNT; k++)
        if (k != KIND_TOKENS && !strcmp(kind_name((enum stage_kind_id)k), what))
            return about_kind((enum stage_kind_id)k, call->arena);
    for (int i = 0; i < n_commands; i++)
        names[n++] = commands[i].name;
    const char *near = nearest_name(what, names, n);
    const char *fix = near ? arena_printf(call->arena, "did you mean '%s'?", near) : "`retort help` lists the commands and kinds";
    return error_new(ERROR_USAGE, NOWHERE, fix, "'%s' is neither a command nor a kind of stage", what);
}
