// help.c - `retort help`: from the table of commands and the table of fields, so that it cannot be out of date.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands/describe.h"
#include "runner/recipe/reader.h"
#include "runner/view/files.h"

enum { HELP_WIDTH = DESCRIBE_WIDTH };

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
            printf("  %-9s %-16s %s\n", commands[i].name, commands[i].args, commands[i].summary);
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
        if (kind_is_word((enum stage_kind_id)k) && kind_built((enum stage_kind_id)k))
            printf(" %s", kind_name((enum stage_kind_id)k));
    printf("\n`retort help COMMAND`, `retort help KIND` and `retort help FIELD` tell more;\n"
           "`retort help files` what is in result files.\n\n"
           "Exit status: 0 done; 1 a stage failed; 2 the recipe or the command line is\n"
           "wrong; 3 the machine lacks something; 4 not built in this version, or a file\n"
           "that a newer one wrote; 75 interrupted with everything saved, run again to go\n"
           "on.\n");
}

static void about_command(const struct command *c)
{
    printf("retort %s%s%s\n\n", c->name, c->args[0] ? " " : "", c->args);
    if (!c->run)
        printf("%s: not built in this version.\n", c->summary);
    else
        printf("%s\n", c->help[0] ? c->help : c->summary);
}

// What a word of the user stands for: a command, a kind, KIND.FIELD, a field, a word at the top of a recipe or of a source or mixture.
struct topic {
    const struct command *command;
    enum stage_kind_id kind; // KIND_COUNT: none
    const char *field;       // of kind, or of all
    const struct word *word;
    const char *where; // of word
};

static bool any_has(const char *field)
{
    for (int k = 0; k < KIND_COUNT; k++)
        if (kind_is_word((enum stage_kind_id)k) && field_find((enum stage_kind_id)k, field))
            return true;
    return false;
}

static const struct word *find_word(const char *name, const char **where)
{
    const struct {
        const struct word *words;
        int n;
        const char *where;
    } all[] = {{top_word_help, n_top_word_help, "at the top of a recipe"},
               {source_words, n_source_words, "in a source"},
               {mixture_words, n_mixture_words, "in an entry of a mixture"}};
    for (size_t i = 0; i < countof(all); i++) {
        const struct word *found = word_find(all[i].words, all[i].n, name);
        *where = all[i].where;
        if (found)
            return found;
    }
    return NULL;
}

// What was meant by a word that is nothing, of `of`, a kind, or of everything.
static struct error *unknown_topic(const char *what, enum stage_kind_id of, struct arena *arena)
{
    const char **names = arena_array(arena, (size_t)(n_commands + KIND_COUNT + n_fields + n_top_word_help), sizeof *names);
    int n = 0;
    if (!names)
        return error_memory();
    for (int i = 0; i < n_fields; i++)
        if (of == KIND_COUNT ? field_is_word(&fields[i]) : fields[i].kinds >> of & 1)
            names[n++] = fields[i].name;
    for (int i = 0; i < n_commands && of == KIND_COUNT; i++)
        names[n++] = commands[i].name;
    for (int k = 0; k < KIND_COUNT && of == KIND_COUNT; k++)
        if (kind_is_word((enum stage_kind_id)k))
            names[n++] = kind_name((enum stage_kind_id)k);
    for (int i = 0; i < n_top_word_help && of == KIND_COUNT; i++)
        names[n++] = top_word_help[i].name;
    const char *near = nearest_name(what, names, n), *fix = "`retort help` lists commands and kinds, `retort schema` the fields";
    if (near && of != KIND_COUNT)
        fix = arena_printf(arena, "did you mean '%s.%s'?", kind_name(of), near);
    else if (near)
        fix = arena_printf(arena, "did you mean '%s'?", near);
    if (of != KIND_COUNT)
        return error_new(ERROR_USAGE, NOWHERE, fix, "a %s stage has no field '%.80s'", kind_name(of), what);
    return error_new(ERROR_USAGE, NOWHERE, fix, "'%.80s' is no command, kind of stage or field", what);
}

static struct error *find_topic(struct topic *t, const char *what, struct arena *arena)
{
    const char *dot = strchr(what, '.');
    *t = (struct topic){.command = command_find(what), .kind = kind_find(what)};
    if (!dot)
        t->word = find_word(what, &t->where); // `data` is a command, too
    if (t->command || t->kind != KIND_COUNT)
        return NULL;
    if (dot) {
        const char *kind = arena_strndup(arena, what, (size_t)(dot - what));
        if (!kind)
            return error_memory();
        t->kind = kind_find(kind);
        t->field = dot + 1;
        if (t->kind == KIND_COUNT)
            return unknown_topic(kind, KIND_COUNT, arena);
        return field_find(t->kind, t->field) ? NULL : unknown_topic(t->field, t->kind, arena);
    }
    if (any_has(what))
        t->field = what;
    return t->word || t->field ? NULL : unknown_topic(what, KIND_COUNT, arena);
}

static struct error *tell(const struct topic *t, struct arena *arena)
{
    if (t->command)
        about_command(t->command);
    if (t->command && (t->kind != KIND_COUNT || t->word))
        putchar('\n');
    if (t->kind != KIND_COUNT && !t->field)
        return describe_kind(t->kind, arena);
    if (t->word)
        describe_word(t->word, t->where);
    if (t->word && t->field)
        putchar('\n');
    return t->field ? describe_field(t->kind, t->field, arena) : NULL;
}

static void command_to_json(struct json *j, const struct command *c)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, c->name);
    json_key(j, "args"), json_str(j, c->args);
    json_key(j, "summary"), json_str(j, c->summary);
    json_key(j, "help"), json_str(j, c->help);
    json_key(j, "built"), json_bool(j, c->run != NULL);
    json_close(j, '}');
}

// Lists of commands, kinds, fields and words, as much of them as was asked for.
static struct error *answer(const struct call *call, const struct topic *t)
{
    struct json j;
    answer_open(&j, call, NULL);
    json_key(&j, "commands");
    json_open(&j, '[');
    for (int i = 0; i < n_commands; i++)
        if (!t || t->command == &commands[i])
            command_to_json(&j, &commands[i]);
    json_close(&j, ']');
    json_key(&j, "kinds");
    json_open(&j, '[');
    for (int k = 0; k < KIND_COUNT; k++)
        if (kind_is_word((enum stage_kind_id)k) && (!t || (int)t->kind == k))
            kind_to_json(&j, (enum stage_kind_id)k);
    json_close(&j, ']');
    json_key(&j, "fields");
    if (!t || t->field || t->kind != KIND_COUNT)
        fields_to_json(&j, t ? t->field : NULL, t ? t->kind : KIND_COUNT, call->arena);
    else
        json_raw(&j, "[]");
    json_key(&j, "words");
    words_to_json(&j, t ? t->word : top_word_help, t ? t->word != NULL : n_top_word_help);
    return answer_print(&j);
}

static struct error *about_files(const struct call *call)
{
    struct json j;
    if (!call->json)
        return isatty(STDOUT_FILENO) ? files_print(stdout, HELP_WIDTH, call->arena) : files_markdown(stdout, call->arena);
    answer_open(&j, call, NULL);
    json_key(&j, "files");
    files_to_json(&j);
    return answer_print(&j);
}

struct error *command_help(struct call *call)
{
    struct topic topic = {.command = call->command, .kind = KIND_COUNT};
    bool about_itself = call->help && call->command->run != command_help; // `retort run --help`
    struct error *e = NULL;
    if (!about_itself && call->n_args && !strcmp(call->args[0], "files"))
        return about_files(call);
    if (!about_itself && call->n_args)
        e = find_topic(&topic, call->args[0], call->arena);
    if (e)
        return e;
    bool everything = !about_itself && !call->n_args;
    if (call->json)
        return answer(call, everything ? NULL : &topic);
    if (!everything)
        return tell(&topic, call->arena);
    all();
    return NULL;
}
