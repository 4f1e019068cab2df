// options.c - one list of options for getopt_long; which of them a command takes stands in its row.
#include "runner/commands/command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/stages/error_json.h"

enum option_id {
    OPTION_RESULTS = 256,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_UNTIL,
    OPTION_ONLY,
    OPTION_FRESH,
    OPTION_FROM,
    OPTION_JOBS,
    OPTION_LIST,
    OPTION_OFFLINE,
    OPTION_RESOLVED,
    OPTION_WATCH,
    OPTION_DETACH,
    OPTION_SLURM,
    OPTION_MACHINE,
    OPTION_OVERLAP,
    OPTION_HTML,
    OPTION_MD,
    OPTION_CSV,
    OPTION_YES,
    OPTION_CHECK,
    OPTION_SEED,
    OPTION_FILE,
    OPTION_IDS,
    OPTION_DECODE,
    OPTION_TO,
    OPTION_TEXT,
    OPTION_LAST,
    OPTION_OUT,
    OPTION_TOKENIZER,
    OPTION_PROFILE,
    OPTION_BLAS,
    OPTION_INTO,
    OPTION_USD
};

static const struct option longs[] = {{"results", required_argument, NULL, OPTION_RESULTS},
                                      {"json", no_argument, NULL, OPTION_JSON},
                                      {"help", no_argument, NULL, OPTION_HELP},
                                      {"until", required_argument, NULL, OPTION_UNTIL},
                                      {"only", required_argument, NULL, OPTION_ONLY},
                                      {"fresh", required_argument, NULL, OPTION_FRESH},
                                      {"from", required_argument, NULL, OPTION_FROM},
                                      {"jobs", required_argument, NULL, OPTION_JOBS},
                                      {"list", no_argument, NULL, OPTION_LIST},
                                      {"offline", no_argument, NULL, OPTION_OFFLINE},
                                      {"resolved", no_argument, NULL, OPTION_RESOLVED},
                                      {"watch", no_argument, NULL, OPTION_WATCH},
                                      {"detach", no_argument, NULL, OPTION_DETACH},
                                      {"slurm", no_argument, NULL, OPTION_SLURM},
                                      {"machine", no_argument, NULL, OPTION_MACHINE},
                                      {"overlap", no_argument, NULL, OPTION_OVERLAP},
                                      {"html", required_argument, NULL, OPTION_HTML},
                                      {"md", no_argument, NULL, OPTION_MD},
                                      {"csv", no_argument, NULL, OPTION_CSV},
                                      {"yes", no_argument, NULL, OPTION_YES},
                                      {"check", no_argument, NULL, OPTION_CHECK},
                                      {"prompt", required_argument, NULL, 'p'},
                                      {"temperature", required_argument, NULL, 't'},
                                      {"top-k", required_argument, NULL, 'k'},
                                      {"max-tokens", required_argument, NULL, 'm'},
                                      {"seed", required_argument, NULL, OPTION_SEED},
                                      {"file", required_argument, NULL, OPTION_FILE},
                                      {"ids", no_argument, NULL, OPTION_IDS},
                                      {"decode", no_argument, NULL, OPTION_DECODE},
                                      {"to", required_argument, NULL, OPTION_TO},
                                      {"tokenizer", no_argument, NULL, OPTION_TOKENIZER},
                                      {"text", required_argument, NULL, OPTION_TEXT},
                                      {"last", no_argument, NULL, OPTION_LAST},
                                      {"out", required_argument, NULL, OPTION_OUT},
                                      {"profile", no_argument, NULL, OPTION_PROFILE},
                                      {"blas", required_argument, NULL, OPTION_BLAS},
                                      {"into", required_argument, NULL, OPTION_INTO},
                                      {"usd", required_argument, NULL, OPTION_USD},
                                      {0}};

// What a command must take for an option; 0: every command does.
static uint32_t needs(int id)
{
    switch (id) {
    case 's':
        return TAKES_SETTINGS;
    case OPTION_UNTIL:
    case OPTION_FRESH:
        return TAKES_STAGES;
    case OPTION_FROM:
        return TAKES_FROM;
    case OPTION_ONLY:
    case OPTION_JOBS:
        return TAKES_STAGES | TAKES_FETCH;
    case OPTION_LIST:
    case OPTION_OFFLINE:
        return TAKES_FETCH;
    case OPTION_RESOLVED:
        return TAKES_RESOLVED;
    case OPTION_WATCH:
        return TAKES_WATCH;
    case OPTION_DETACH:
    case OPTION_SLURM:
        return TAKES_DETACH;
    case OPTION_MACHINE:
    case OPTION_OVERLAP:
        return TAKES_MACHINE;
    case OPTION_HTML:
        return TAKES_HTML;
    case OPTION_MD:
    case OPTION_CSV:
        return TAKES_TABLES;
    case OPTION_YES:
        return TAKES_YES;
    case OPTION_CHECK:
        return TAKES_CHECK;
    case OPTION_PROFILE:
    case OPTION_BLAS:
        return TAKES_BENCH;
    case OPTION_INTO:
        return TAKES_INTO;
    case OPTION_USD:
        return TAKES_USD;
    case 'p':
    case 't':
    case 'k':
    case 'm':
    case OPTION_SEED:
        return TAKES_CHAT;
    case OPTION_FILE:
        return TAKES_ENCODE | TAKES_LOGITS;
    case OPTION_IDS:
    case OPTION_DECODE:
        return TAKES_ENCODE;
    case OPTION_TEXT:
    case OPTION_LAST:
    case OPTION_OUT:
        return TAKES_LOGITS;
    case OPTION_TO:
    case OPTION_TOKENIZER:
        return TAKES_EXPORT;
    default:
        return 0;
    }
}

static struct error *usage(const struct call *call, const char *format, const char *what)
{
    char text[512], fix[200];
    snprintf(text, sizeof text, format, what);
    snprintf(fix, sizeof fix, "see `retort %s --help`", call->command->name);
    return error_new(ERROR_USAGE, NOWHERE, fix, "%s", text);
}

static struct error *take(struct call *call, int id, const char *value, const char *written)
{
    if (needs(id) && !(call->command->takes & needs(id)))
        return usage(call, "'%s' is not an option of this command", written);
    switch (id) {
    case 's':
        call->settings[call->n_settings++] = value;
        break;
    case OPTION_RESULTS:
        call->results = value;
        break;
    case OPTION_JSON:
        call->json = true;
        break;
    case 'h':
    case OPTION_HELP:
        call->help = true;
        break;
    case OPTION_UNTIL:
        call->until = value;
        break;
    case OPTION_ONLY:
        call->only = value;
        break;
    case OPTION_FRESH:
        call->fresh = value;
        break;
    case OPTION_FROM:
        call->from = value;
        break;
    case OPTION_JOBS:
        call->jobs = value;
        break;
    case OPTION_LIST:
        call->list = true;
        break;
    case OPTION_OFFLINE:
        call->offline = true;
        break;
    case OPTION_DETACH:
        call->detach = true;
        break;
    case OPTION_RESOLVED:
        call->resolved = true;
        break;
    case OPTION_OVERLAP:
        call->overlap = true;
        break;
    case OPTION_WATCH:
        call->watch = true;
        break;
    case 'p':
        call->prompt = value;
        break;
    case 't':
        call->temperature = value;
        break;
    case 'k':
        call->top_k = value;
        break;
    case 'm':
        call->max_tokens = value;
        break;
    case OPTION_SEED:
        call->seed = value;
        break;
    case OPTION_FILE:
        call->file = value;
        break;
    case OPTION_IDS:
        call->ids = true;
        break;
    case OPTION_DECODE:
        call->decode = true;
        break;
    case OPTION_TO:
        call->to = value;
        break;
    case OPTION_TEXT:
        call->text = value;
        break;
    case OPTION_LAST:
        call->last = true;
        break;
    case OPTION_OUT:
        call->out = value;
        break;
    case OPTION_TOKENIZER:
        call->tokenizer = true;
        break;
    case OPTION_YES:
        call->yes = true;
        break;
    case OPTION_CHECK:
        call->check = true;
        break;
    case OPTION_PROFILE:
        call->profile = true;
        break;
    case OPTION_BLAS:
        call->blas = value;
        break;
    case OPTION_INTO:
        call->into = value;
        break;
    case OPTION_USD:
        call->usd = value;
        break;
    case OPTION_MD:
        call->md = true;
        break;
    case OPTION_CSV:
        call->csv = true;
        break;
    case OPTION_SLURM:
    case OPTION_MACHINE:
    case OPTION_HTML:
        return error_new(ERROR_NOT_BUILT, NOWHERE, "leave it out", "'%s' is not built in this version", written);
    case ':':
        return usage(call, "'%s' wants a value", written);
    default:
        return usage(call, "unknown option '%s'", written);
    }
    return NULL;
}

struct error *options_read(struct call *call, int argc, char **argv)
{
    const char *from_environment = getenv("RETORT_RESULTS");
    call->results = from_environment && from_environment[0] ? from_environment : "results";
    call->settings = arena_array(call->arena, (size_t)argc + 1, sizeof *call->settings);
    call->args = arena_array(call->arena, (size_t)argc + 1, sizeof *call->args);
    if (!call->settings || !call->args)
        return error_memory();
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, "-:s:hp:t:k:m:", longs, NULL)) != -1;) {
        // "-" makes getopt hand out what is no option in its place, as 1.
        struct error *e =
            id == 1 ? NULL
                    : take(call, id, optarg, argv[optind - 1] == optarg && optind > 1 ? argv[optind - 2] : argv[optind - 1]);
        if (e)
            return e;
        if (id == 1)
            call->args[call->n_args++] = optarg;
    }
    while (optind < argc)
        call->args[call->n_args++] = argv[optind++];
    if (!call->results[0])
        return usage(call, "'%s' is empty", "--results");
    if (call->help || !call->command->run)
        return NULL;
    if (call->n_args < call->command->least)
        return error_new(ERROR_USAGE, NOWHERE, arena_printf(call->arena, "see `retort %s --help`", call->command->name),
                         "'%s' wants %s", call->command->name, call->command->args);
    if (call->command->most >= 0 && call->n_args > call->command->most)
        return usage(call, "'%s' is one argument too many", call->args[call->command->most]);
    return NULL;
}

void answer_open(struct json *j, const struct call *call, const struct error *e)
{
    *j = (struct json){0};
    json_open(j, '{');
    json_key(j, "retort"), json_i64(j, 1);
    json_key(j, "command"), json_str(j, call->command ? call->command->name : NULL);
    json_key(j, "ok"), json_bool(j, !e && !call->status);
    json_key(j, "errors");
    errors_to_json(j, e);
}

struct error *answer_print(struct json *j)
{
    json_close(j, '}');
    const char *text = json_text(j);
    if (text)
        puts(text);
    json_release(j);
    return text ? NULL : error_memory();
}
