// status.c - `retort status [RECIPE]`: from run records, locks and live files alone; no result is opened.
//
// What a stage that has ended reached stands in the record; one that runs or was cut off has a live file.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/stop.h"
#include "runner/commands/load.h"
#include "runner/graph/keys.h"
#include "runner/graph/lock.h"
#include "runner/stages/live.h"
#include "runner/view/card.h"
#include "runner/view/progress.h"

enum { STATUS_WIDTH = 80 };

struct stage_status {
    const char *state;
    struct live_line live;
};

static enum stage_kind_id kind_of(const char *name)
{
    for (int k = 0; k < KIND_COUNT; k++)
        if (!strcmp(kind_name((enum stage_kind_id)k), name))
            return (enum stage_kind_id)k;
    return KIND_COUNT;
}

// record: of the run, opened by the first stage that needs it.
static struct error *look_back(struct stage_status *status, const struct run *run, const struct run_stage *stage,
                               struct store_file **record, struct arena *arena)
{
    struct run_tables tables;
    const char *prefix = arena_printf(arena, "/stage/%s", stage->name);
    struct error *e = !prefix ? error_memory() : *record ? NULL : store_open(record, run->path);
    if (e || (e = run_tables_read(&tables, *record, prefix)))
        return e;
    status->live.loss = card_loss(&tables);
    status->live.bpb = card_bpb(&tables);
    run_tables_release(&tables);
    return NULL;
}

// Whether an open stage goes on is told by the lock of the run.
static struct error *look(struct stage_status *status, const struct run *run, const struct run_stage *stage, bool running,
                          struct store_file **record, const struct call *call)
{
    *status = (struct stage_status){.state = stage->state, .live = live_line(NULL)};
    enum stage_kind_id kind = kind_of(stage->kind);
    bool ended = !strcmp(stage->state, "finished") || !strcmp(stage->state, "cached");
    if (ended)
        return kind == KIND_TOKENIZER || kind == KIND_TOKENS ? NULL : look_back(status, run, stage, record, call->arena);
    if (kind == KIND_COUNT || !stage->key[0])
        return NULL;
    const char *path = key_path(call->arena, call->results, kind, stage->key, ".live");
    struct error *e = path ? live_read(path, &status->live, call->arena) : error_memory();
    if (!e && status->live.e && strcmp(status->state, "failed") && strcmp(status->state, "skipped")) {
        bool going = strcmp(status->live.e, "failed") && strcmp(status->live.e, "stopped") && strcmp(status->live.e, "done");
        status->state = going && running ? "running" : going ? "interrupted" : status->live.e;
    }
    return e;
}

static void status_to_json(struct json *j, const struct run_stage *stage, const struct stage_status *status)
{
    const struct live_line *l = &status->live;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"loss", l->loss},   {"bpb", l->bpb}, {"tok_s", l->tok_s},  {"mfu", l->mfu},
                   {"eta_s", l->eta_s}, {"usd", l->usd}, {"redo_s", l->redo_s}};
    json_open(j, '{');
    json_key(j, "name"), json_str(j, stage->name);
    json_key(j, "kind"), json_str(j, stage->kind);
    json_key(j, "key"), json_str(j, stage->key[0] ? stage->key : NULL);
    json_key(j, "state"), json_str(j, status->state);
    json_key(j, "step"), json_count(j, l->step);
    json_key(j, "of"), json_count(j, l->of);
    for (size_t i = 0; i < countof(numbers); i++)
        json_key(j, numbers[i].name), json_f64(j, numbers[i].value);
    json_close(j, '}');
}

static struct error *show_run(const struct call *call, const char *name, struct json *j, bool *running)
{
    struct run run;
    struct lock_holder holder = {0};
    struct error *e = run_newest(&run, call->results, name, call->arena);
    const char *lock = arena_printf(call->arena, "%s/runs/%s/lock", call->results, name);
    if (e || !lock)
        return e ? e : error_memory();
    *running = lock_held(lock, &holder);
    if (!run.number) {
        if (!j)
            printf("%s: no run yet\n", name);
        return NULL;
    }
    const char *state = *running ? "running" : !strcmp(run.state, "running") ? "interrupted" : run.state;
    if (j) {
        json_open(j, '{');
        json_key(j, "name"), json_str(j, run.name);
        json_key(j, "run"), json_i64(j, run.number);
        json_key(j, "state"), json_str(j, state);
        json_key(j, "host"), json_str(j, run.host);
        json_key(j, "pid"), json_i64(j, run.pid);
        json_key(j, "stages");
        json_open(j, '[');
    } else {
        printf("%s, run %04d: %s", run.name, run.number, state);
        if (*running)
            printf(", process %d on %s", holder.pid, holder.host);
        putchar('\n');
    }
    struct store_file *record = NULL;
    for (int i = 0; i < run.n_stages && !e; i++) {
        struct stage_status status;
        char label[120], text[512];
        if ((e = look(&status, &run, &run.stages[i], *running, &record, call)))
            break;
        if (j) {
            status_to_json(j, &run.stages[i], &status);
            continue;
        }
        snprintf(label, sizeof label, "  %-16s %-11s", run.stages[i].name, status.state);
        progress_line(text, sizeof text, STATUS_WIDTH, label, &status.live);
        for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
            text[n - 1] = '\0';
        puts(text);
    }
    store_close(record);
    if (j) {
        json_close(j, ']');
        json_close(j, '}');
    }
    return e;
}

static struct error *show(const struct call *call, const char *const *names, int n, bool *running)
{
    struct json j;
    struct error *e = NULL;
    *running = false;
    if (call->json) {
        answer_open(&j, call, NULL);
        json_key(&j, "runs");
        json_open(&j, '[');
    }
    for (int i = 0; i < n && !e; i++) {
        bool one = false;
        e = show_run(call, names[i], call->json ? &j : NULL, &one);
        *running = *running || one;
    }
    if (!n && !call->json)
        printf("no runs in '%s'\n", call->results);
    if (!call->json)
        return e;
    if (e) {
        json_release(&j);
        return e;
    }
    json_close(&j, ']');
    return answer_print(&j);
}

struct error *command_status(struct call *call)
{
    const char **names = NULL, *one = call->n_args ? call->args[0] : NULL;
    int n = 1;
    bool running;
    struct error *e = NULL;
    if (one)
        e = load_name(call, one, &one);
    if (!e && !call->n_args)
        e = run_names(call->results, call->arena, &names, &n);
    stop_on_signals();
    while (!e) {
        struct arena_mark mark = arena_mark(call->arena);
        if (call->watch && !call->json && isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout);
        e = show(call, one ? &one : names, n, &running);
        fflush(stdout);
        arena_reset(call->arena, mark);
        if (!call->watch || !running || stop_requested())
            break;
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    return e;
}
