// command.h - the table of commands: what a user can say, described once, for help, for the parser and for the dispatcher.
//
// A command is a file with one function and a row in commands.c. The function prints its answer and returns NULL, with
// call->status for an exit status that is not 0; or it returns errors, which main prints (under --json as the answer) and turns
// into the status.
#ifndef RUNNER_COMMANDS_COMMAND_H
#define RUNNER_COMMANDS_COMMAND_H

#include "core/base/error.h"
#include "core/base/json.h"

#include <stdbool.h>
#include <stdint.h>

enum {                       // options of a command
    TAKES_SETTINGS = 1 << 0, // -s
    TAKES_STAGES = 1 << 1,   // --until, --only, --fresh, --jobs
    TAKES_RESOLVED = 1 << 2, // --resolved
    TAKES_WATCH = 1 << 3,    // --watch
    TAKES_DETACH = 1 << 4,   // --detach; --slurm: not built
    TAKES_MACHINE = 1 << 5,  // --machine: not built; --overlap
    TAKES_HTML = 1 << 6,     // --html FILE: not built
    TAKES_CHAT = 1 << 7,     // -p, -t, -k, -m, --seed
    TAKES_TABLES = 1 << 8,   // --md, --csv
    TAKES_YES = 1 << 9,      // --yes
    TAKES_ENCODE = 1 << 10,  // --file, --ids, --decode
    TAKES_EXPORT = 1 << 11,  // --to, --tokenizer
    TAKES_FETCH = 1 << 12,   // --only, --jobs, --list, --offline
    TAKES_BENCH = 1 << 13,   // --profile, --blas LIB
    TAKES_CHECK = 1 << 14,   // --check
    TAKES_INTO = 1 << 15,    // --into DIR
    TAKES_USD = 1 << 16,     // --usd SUM
    TAKES_FROM = 1 << 17,    // --from MIRROR
    TAKES_LOGITS = 1 << 18,  // --file, --text, --last, --out
    COMPUTES = 1 << 20,      // no option: it computes in this process
};

struct call {
    struct arena *arena;
    const struct command *command;
    const char *results;
    const char **settings; // of -s
    int n_settings;
    bool json, help, resolved, watch, detach, yes, md, csv, ids, decode, tokenizer, profile, check;
    bool list, offline; // of data
    bool overlap;       // of check
    const char *until, *only, *fresh, *jobs;
    const char *from;                                             // of run: a mirror
    const char *prompt, *temperature, *top_k, *max_tokens, *seed; // of chat, as written
    const char *into;                                             // of reproduce: another results folder
    const char *usd;                                              // of fit, as written
    const char *file, *to;                                        // of encode and logits, of export
    const char *text, *out;                                       // of logits
    bool last;
    const char *blas; // of bench: a library to name beside ours
    const char **args;
    int n_args;
    int status;
};

struct command {
    const char *name;
    const char *args;                        // "RECIPE [STAGE]"
    const char *summary;                     // one line
    const char *help;                        // some lines
    struct error *(*run)(struct call *call); // NULL: not built in this version
    uint32_t takes;
    int least, most; // arguments
};

extern const struct command commands[];
extern const int n_commands;

const struct command *command_find(const char *name);

// Reads the arguments behind the command's name. Errors: ERROR_USAGE; ERROR_NOT_BUILT for options that are not.
struct error *CHECKED options_read(struct call *call, int argc, char **argv);

// {"retort":1,"command":…,"ok":…,"errors":[…] : the beginning of every --json answer; the caller adds keys and closes it.
void answer_open(struct json *j, const struct call *call, const struct error *e);

// Closes, prints, releases.
struct error *CHECKED answer_print(struct json *j);

struct error *command_run(struct call *call);
struct error *command_plan(struct call *call);
struct error *command_why(struct call *call);
struct error *command_check(struct call *call);
struct error *command_status(struct call *call);
struct error *command_stop(struct call *call);
struct error *command_compare(struct call *call);
struct error *command_report(struct call *call);
struct error *command_ls(struct call *call);
struct error *command_bench(struct call *call);
struct error *command_chat(struct call *call);
struct error *command_encode(struct call *call);
struct error *command_export(struct call *call);
struct error *command_logits(struct call *call);
struct error *command_rm(struct call *call);
struct error *command_gc(struct call *call);
struct error *command_reproduce(struct call *call);
struct error *command_fit(struct call *call);
struct error *command_new(struct call *call);
struct error *command_schema(struct call *call);
struct error *command_data(struct call *call);
struct error *command_help(struct call *call);
struct error *command_version(struct call *call);

// `retort _stage --results DIR --job FILE`, the stage process; returns the exit status.
int stage_process(int argc, char **argv);

#endif
