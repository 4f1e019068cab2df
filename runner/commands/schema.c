// schema.c - `retort schema [KIND]`: the language, to look things up in; --json: as a JSON Schema.
#include <stdio.h>

#include "runner/commands/describe.h"
#include "runner/commands/schema_json.h"
#include "runner/recipe/reader.h"
#include "runner/view/grid.h"

static struct error *print_language(struct arena *arena)
{
    printf("A recipe is a map of these words. What is not written takes its default.\n\n");
    struct error *e = describe_words(top_word_help, n_top_word_help, arena);
    if (e)
        return e;
    printf("\nA source: one of parquet, jsonl, text, world, mix, and what goes with it.\nFILES is a path, a pattern "
           "\"shard_{00000..00239}.parquet\", or a list of them.\n\n");
    if ((e = describe_words(source_words, n_source_words, arena)))
        return e;
    printf("\nAn entry of a mixture:\n\n");
    if ((e = describe_words(mixture_words, n_mixture_words, arena)))
        return e;
    printf("\nA stage: kind, and the fields of that kind.\n");
    for (int k = 0; k < KIND_COUNT && !e; k++) {
        if (!kind_is_word((enum stage_kind_id)k))
            continue;
        putchar('\n');
        describe_title((enum stage_kind_id)k);
        putchar('\n');
        e = describe_fields((enum stage_kind_id)k, arena);
    }
    printf("\nClass: result fields are in the key of a result, speed and display never are.\n"
           "`retort help FIELD` tells more; `retort schema --json` is a JSON Schema.\n");
    return e;
}

static struct error *unknown_kind(const char *name, struct arena *arena)
{
    const char *names[KIND_COUNT];
    int n = 0;
    for (int k = 0; k < KIND_COUNT; k++)
        if (kind_is_word((enum stage_kind_id)k))
            names[n++] = kind_name((enum stage_kind_id)k);
    const char *near = nearest_name(name, names, n);
    const char *fix = near ? arena_printf(arena, "did you mean '%s'?", near) : "`retort schema` shows all kinds";
    return error_new(ERROR_USAGE, NOWHERE, fix, "'%.80s' is not a kind of stage", name);
}

struct error *command_schema(struct call *call)
{
    enum stage_kind_id kind = call->n_args ? kind_find(call->args[0]) : KIND_COUNT;
    if (call->n_args && kind == KIND_COUNT)
        return unknown_kind(call->args[0], call->arena);
    if (call->json) {
        struct json j;
        answer_open(&j, call, NULL);
        schema_to_json(&j, kind, call->arena);
        return answer_print(&j);
    }
    if (kind == KIND_COUNT)
        return print_language(call->arena);
    describe_title(kind);
    putchar('\n');
    return describe_fields(kind, call->arena);
}
