// language.c - what the tables of words and fields say, in words.
#include "runner/commands/language.h"

#include <string.h>

const struct word top_word_help[] = {
    {"retort", "1", NULL, "The version of the language, always 1. Every recipe begins with it.", false},
    {"name", "letters, digits, '-', '_', '.'", "the file's name without .yaml",
     "Names the folder of runs, results/runs/NAME. It is in no key: rename a recipe, and nothing runs again.", false},
    {"include", "a list of recipe files", NULL,
     "Other recipes that this one builds on. Maps are merged, single values and lists replaced; what this file says wins. File "
     "names in an included file count from its own folder. At most 16 deep.",
     false},
    {"nanochat", "2025 or 2026", "2025",
     "Which row of defaults the stages take: nanochat as of October 2025, or as of July 2026. Only the values that it leads to "
     "are in keys. architecture: and optimizer: of a stage take either alone from the other year.",
     false},
    {"seed", "whole number, 0 or more", "42",
     "Every random choice follows from it. Each stage takes it unless it has its own, and it is in the keys of all of them.",
     false},
    {"data", "folder or address", NULL,
     "Where the data of tasks lies, and what ${data} stands for in names of files: a folder, or an https address, from which "
     "`retort data` fetches. Usually given on the command line: -s data=FOLDER. "
     "Keys hold what files contain, not where they lie.",
     false},
    {"budget", "{usd: NUMBER}", NULL,
     "What the whole recipe may cost, cached stages included: plan says when it is over; a run is not stopped by it.", false},
    {"hardware", "{device: NAME, count: N, usd_per_hour: NUMBER}", NULL,
     "What the recipe runs on, for estimates of time and cost; usd_per_hour is for all devices together. In no key.", false},
    {"let", "a map of names to values", NULL,
     "let: {width: 256} lets you write ${width} anywhere. ${env:NAME} is a variable of the environment. Only what they lead to "
     "is in keys.",
     false},
    {"matrix", "a map of names to lists", NULL,
     "matrix: {depth: [4, 6]} runs every stage that uses ${depth}, and what depends on it, once for each value: base@depth=4, "
     "base@depth=6. Several names make every combination, at most 1,000.",
     false},
    {"sources", "a map of names to sources", NULL,
     "Where text comes from: {text: FILES}, {jsonl: FILES, field: NAME}, {parquet: FILES, column: NAME} or {world: FILE, "
     "documents: N}, each with validate:. A source whose name is a task's, with {split} in its files, replaces the data of "
     "that task.",
     false},
    {"stages", "a map of names to stages", NULL,
     "What is made out of what: each stage has a kind and the fields of that kind. Edges follow from the names of stages and "
     "sources in fields; the order in the file does not matter.",
     false},
    {"mirror", "a folder or an address", NULL,
     "Where results, kept weights, checkpoints and records of runs are copied to while the run goes on, each verified there: a "
     "folder (another disk; the one above it must be there), ssh://user@host/folder (by the system's ssh, which must get in "
     "without asking), s3://bucket/folder, or https://host/bucket/folder of an S3-compatible store. Keys of a bucket come from "
     "the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3. What cannot "
     "be copied is a warning, and copied by the next `run`. On another machine `retort run RECIPE --from MIRROR` goes on from "
     "there. Token files and plans of rows are not copied: they are made again.",
     false},
    {"on_end", "a command", NULL,
     "For sh, in the folder of the call, when a run has finished: once a run, after what is left was copied to the mirror, so "
     "that it may power the machine off. On its standard input is a JSON object of the run: name, run, state, exit_status, "
     "seconds, usd, stages, mirror. It has 2 minutes (RETORT_HOOK_SECONDS). What it prints goes to standard error; how it ends "
     "changes nothing but a warning. $NAME is the shell's, ${NAME} the recipe's. Not started when there was nothing to run, and "
     "when the run was stopped.",
     false},
    {"on_fail", "a command", NULL, "The same when a run has failed: a stage did, or what it needs was lost on the way.", false},
};
const int n_top_word_help = (int)countof(top_word_help);

const struct word source_words[] = {
    {"parquet", "FILES", NULL,
     "Parquet files, with column: NAME; a row is a document. FILES are names, patterns {000..017} or https addresses, or a list "
     "of them.",
     false},
    {"jsonl", "FILES", NULL, "JSON lines, with field: NAME; a line is a document.", false},
    {"text", "FILES", NULL, "Plain text; a file is a document.", false},
    {"world", "a file", NULL, "A generator of text, with documents: N; nothing is downloaded.", false},
    {"mix", "[{source: NAME, share: NUMBER}, ...]", NULL, "Several sources; share is of tokens.", false},
    {"column", "a path", NULL, "Of parquet: the column of text.", false},
    {"field", "a path", NULL, "Of jsonl: the field of text.", false},
    {"skip_bad", "whole number", "0", "Of jsonl: how many malformed lines of a file may be left out; they are counted and told.",
     false},
    {"documents", "whole number", NULL, "Of a world: how many it writes.", false},
    {"validate", "last, a file, held_out or none", NULL,
     "The text that is kept from training, to measure on: the last file, one more file, what a world holds out (held_out), or "
     "none. Of a mix: the source whose validation text it is.",
     false},
};
const int n_source_words = (int)countof(source_words);

const struct word mixture_words[] = {
    {"task", "a task, or a file", NULL, "tasks/NAME.yaml beside the recipe, else the shipped one; or a file of conversations.",
     false},
    {"split", "a name", "train", "Which of the task's splits.", false},
    {"epochs", "number above 0", "1", "Passes; a fraction takes the first part of the task's fixed order.", false},
    {"rows", "whole number", NULL, "The first so many rows, instead of epochs.", false},
};
const int n_mixture_words = (int)countof(mixture_words);

const struct word *word_find(const struct word *words, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(words[i].name, name))
            return &words[i];
    return NULL;
}

// "265 to 16777216", "1 or more", "".
static const char *range(const struct field *f, struct arena *arena)
{
    if (f->min == 0 && f->max == 0)
        return "";
    return f->max >= FIELD_NO_MAX ? arena_printf(arena, ", %.15g or more", f->min)
                                  : arena_printf(arena, ", %.15g to %.15g", f->min, f->max);
}

static const char *choices(const struct field *f, struct arena *arena)
{
    return f->choices ? choices_text(f->choices, arena) : "any";
}

const char *field_takes(const struct field *f, struct arena *arena)
{
    const char *of = f->unit ? arena_printf(arena, " (%s)", f->unit) : "", *bounds = range(f, arena);
    if (!of || !bounds)
        return NULL;
    switch (f->type) {
    case FIELD_INT:
        return arena_printf(arena, "%s%s%s", f->exact ? "exact whole number" : "whole number", of, bounds);
    case FIELD_REAL:
        return arena_printf(arena, "number%s%s", of, bounds);
    case FIELD_BOOL:
        return "true or false";
    case FIELD_DURATION:
        return arena_printf(arena, "duration: 45s, 90m, 2h%s", bounds);
    case FIELD_CHOICE:
        return choices(f, arena);
    case FIELD_TEXT:
        return "text";
    case FIELD_FILE:
        return "file";
    case FIELD_STAGE:
        return arena_printf(arena, "stage: %s", choices(f, arena));
    case FIELD_SOURCE:
        return "source";
    case FIELD_INTS:
        return arena_printf(arena, "list of whole numbers%s%s", of, bounds);
    case FIELD_NAMES:
        return arena_printf(arena, "list of names");
    case FIELD_STAGES:
        return arena_printf(arena, "%s: %s", f->each ? "stage, or list of them" : "stages", choices(f, arena));
    case FIELD_MIXTURE:
        return "list of {task: NAME, ...}";
    case FIELD_TYPE_COUNT:
        break;
    }
    return "";
}

bool field_years_agree(const struct field *f)
{
    return f->def_2025 && f->def_2026 ? !strcmp(f->def_2025, f->def_2026) : !f->def_2025 && !f->def_2026;
}

const char *field_default(const struct field *f, struct arena *arena)
{
    if (f->required)
        return "required";
    const char *def = f->def_2025 ? f->def_2025 : "";
    if (f->def_mid || f->def_sft)
        def = arena_printf(arena, "%s%smid %s, sft %s", def, *def ? "; " : "", f->def_mid ? f->def_mid : "-",
                           f->def_sft ? f->def_sft : "-");
    if (!def || field_years_agree(f))
        return def;
    return arena_printf(arena, "%s%s2026: %s", def, *def ? "; " : "", f->def_2026 ? f->def_2026 : "-");
}
