// status.c - `retort status [RECIPE]`: from run records, lock texts and live files alone; no result is opened, no lock taken.
//
// What a stage that has ended reached stands in the record; one that runs or was cut off has a live file. A live file older than the
// run is of an earlier one.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "runner/commands/load.h"
#include "runner/graph/keys.h"
#include "runner/graph/lock.h"
#include "runner/graph/mirror.h"
#include "runner/stages/live.h"
#include "runner/view/card.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"
#include "runner/view/progress.h"

enum { STATUS_WIDTH = 80, ROWS_MOST = 200, NAME_LEAST = 16, NAME_MOST = 28, WARNING_MOST = 320 };

static const double QUIET_S = 120; // a stage that runs is heard of more often than that

struct stage_status {
    const char *state;
    struct live_line live; // redo_s and eta_s as of now
    double quiet_s;        // since it was last heard of; NaN where it does not run
};

// What --watch watches, and what it has seen.
struct seen {
    bool running;     // anything, at the last look
    int exit_status;  // of the runs that have ended: the first that is not 0
    uint64_t changes; // a number that is another when a state is another
    int n_lines;      // printed at the last look
};

// record: of the run, opened by the first stage that needs it.
static struct error *look_back(struct stage_status *status, const struct run *run, const struct run_stage *stage,
                               struct store_file **record, struct arena *arena)
{
    struct run_tables tables;
    const char *prefix = arena_printf(arena, "/stage/%s", stage->name);
    struct error *e = !prefix ? error_memory() : *record ? NULL : store_open(record, run->path);
    if (e || (e = run_tables_glance(&tables, *record, prefix)))
        return e;
    if (tables.rewards.n) { // of GRPO, whose loss says nothing
        const struct metric_rollouts *last = (const struct metric_rollouts *)tables.rewards.rows + tables.rewards.n - 1;
        status->live.text = arena_printf(arena, "reward %.2f", last->reward);
    }
    status->live.loss = card_loss(&tables);
    status->live.bpb = card_bpb(&tables);
    run_tables_release(&tables);
    return NULL;
}

// Whether a stage goes on although its run does not: it saves, since its runner died.
static bool is_orphan(const struct run_stage *stage, enum stage_kind_id kind, const struct call *call)
{
    struct lock_holder holder;
    const char *path = key_path(call->arena, call->results, kind, stage->key, ".lock");
    return path && lock_seen(path, &holder);
}

// What the last line was worth when it was written is worth less by now.
static void bring_up_to_date(struct stage_status *status)
{
    double since = fmax(clock_unix() - status->live.t, 0);
    status->quiet_s = since;
    status->live.redo_s += since;
    status->live.eta_s = fmax(status->live.eta_s - since, 0);
    status->live.usd += since * status->live.usd_per_hour / 3600;
    if (!isfinite(status->live.redo_s))
        status->live.redo_s = NAN;
}

// Whether an open stage goes on is told by the state of the run.
static struct error *look(struct stage_status *status, const struct run *run, const struct run_stage *stage, bool running,
                          struct store_file **record, const struct call *call)
{
    *status = (struct stage_status){.state = stage->state, .live = live_line(NULL), .quiet_s = NAN};
    enum stage_kind_id kind = kind_named(stage->kind, strlen(stage->kind));
    if (run_stage_made(stage))
        return kind == KIND_TOKENIZER || !kind_is_word(kind) ? NULL : look_back(status, run, stage, record, call->arena);
    if (kind == KIND_COUNT || !stage->key[0] || !strcmp(stage->state, "skipped"))
        return NULL;
    const char *path = key_path(call->arena, call->results, kind, stage->key, ".live");
    struct error *e = path ? live_read(path, &status->live, call->arena) : error_memory();
    if (e || !status->live.e || status->live.t < clock_of_text(run->started)) {
        bool began = !strcmp(stage->state, "running");
        status->live = live_line(NULL);
        status->state = began && !running ? "died" : stage->state;
        return e;
    }
    const char *last = status->live.e;
    bool going = strcmp(last, "failed") && strcmp(last, "stopped") && strcmp(last, "done");
    bool told = !strcmp(stage->state, "failed") || !strcmp(stage->state, "stopped"); // that is how the run saw it end
    status->state = told ? stage->state : !going ? last : running || is_orphan(stage, kind, call) ? "running" : "died";
    if (!strcmp(status->state, "running"))
        bring_up_to_date(status);
    else
        status->live.redo_s = status->live.eta_s = NAN;
    return NULL;
}

static void status_to_json(struct json *j, const struct run_stage *stage, const struct stage_status *status)
{
    const struct live_line *l = &status->live;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"loss", l->loss},   {"bpb", l->bpb}, {"tok_s", l->tok_s},   {"mfu", l->mfu},
                   {"eta_s", l->eta_s}, {"usd", l->usd}, {"redo_s", l->redo_s}, {"redo_usd", l->redo_s * l->usd_per_hour / 3600}};
    json_open(j, '{');
    json_key(j, "name"), json_str(j, stage->name);
    json_key(j, "kind"), json_str(j, stage->kind);
    json_key(j, "key"), json_str(j, stage->key[0] ? stage->key : NULL);
    json_key(j, "state"), json_str(j, status->state);
    json_key(j, "step"), json_count(j, l->step);
    json_key(j, "of"), json_count(j, l->of);
    for (size_t i = 0; i < countof(numbers); i++)
        json_key(j, numbers[i].name), json_f64(j, numbers[i].value);
    json_key(j, "warning"), json_str(j, l->warning);
    json_close(j, '}');
}

// FNV-1a, over whatever decides whether there is something new to print in a pipe.
static void add_change(struct seen *seen, const char *text)
{
    for (; *text; text++)
        seen->changes = (seen->changes ^ (unsigned char)*text) * 1099511628211u;
}

static void print_line(FILE *to, struct seen *seen, const char *text)
{
    fprintf(to, "%s\n", text);
    seen->n_lines++;
}

// A text that may be long, behind `first`.
static void print_text(FILE *to, struct seen *seen, const char *first, const char *text)
{
    char part[WARNING_MOST * 4];
    snprintf(part, sizeof part, "%.*s", (int)text_prefix(text, WARNING_MOST), text);
    seen->n_lines += text_line(to, first, part, text_room(stdout));
}

// The column of names, so wide that what stands behind them is below each other.
static int name_width(const struct run *run)
{
    int width = NAME_LEAST;
    for (int i = 0; i < run->n_stages; i++) {
        int w = text_width(run->stages[i].name);
        width = w > width && w <= NAME_MOST ? w : width;
    }
    return width;
}

static void print_stage(FILE *to, struct seen *seen, const struct run_stage *stage, int width, const struct stage_status *status)
{
    char label[120], text[512], a[FORMAT_TEXT], b[FORMAT_TEXT];
    snprintf(label, sizeof label, "  %-*s %-8s", width, stage->name, status->state);
    progress_line(text, sizeof text, STATUS_WIDTH, label, &status->live);
    for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
        text[n - 1] = '\0';
    print_line(to, seen, text);
    if (status->live.redo_s >= 1) {
        double usd = status->live.redo_s * status->live.usd_per_hour / 3600;
        snprintf(text, sizeof text, "      killed now, it would do %s of its work again%s%s%s",
                 format_seconds(a, status->live.redo_s), isfinite(usd) ? " (" : "", isfinite(usd) ? format_usd(b, usd) : "",
                 isfinite(usd) ? ")" : "");
        print_line(to, seen, text);
    }
    if (status->quiet_s >= QUIET_S) {
        snprintf(text, sizeof text, "      nothing heard of it for %s", format_seconds(a, status->quiet_s));
        print_line(to, seen, text);
    }
    if (status->live.warning && status->live.warning[0])
        print_text(to, seen, "      ", status->live.warning);
}

static void print_head(FILE *to, struct seen *seen, const struct run *run, const char *state)
{
    char text[512], a[FORMAT_TEXT];
    int n = snprintf(text, sizeof text, "%.200s, run %04d: %s", run->name, run->number, state);
    if (!strcmp(state, "running"))
        snprintf(text + n, sizeof text - (size_t)n, " for %s, process %lld on %s",
                 format_seconds(a, clock_unix() - clock_of_text(run->started)), (long long)run->pid, run->host);
    else if (!strcmp(state, "died"))
        snprintf(text + n, sizeof text - (size_t)n, " (process %lld on %s is gone); run it again to go on", (long long)run->pid,
                 run->host);
    print_text(to, seen, "", text);
}

// How the copying to the mirror stands, of a run that has one.
static void print_mirror(FILE *to, struct seen *seen, const struct mirror_state *m, bool running)
{
    char text[800], a[FORMAT_TEXT];
    int n = snprintf(text, sizeof text, "  mirror: %d of %d files are there", m->n_there, m->n_files);
    if (m->n_missing)
        n += snprintf(text + n, sizeof text - (size_t)n, ", %s to go", format_bytes(a, m->bytes_left - m->bytes_sent));
    if (m->now && running)
        snprintf(text + n, sizeof text - (size_t)n, "; now %.60s", m->now);
    print_line(to, seen, text);
    if (m->warning)
        print_text(to, seen, "      ", m->warning);
}

static int exit_status_of(const struct run *run, const char *state)
{
    if (run->exit_status >= 0)
        return (int)run->exit_status;
    return !strcmp(state, "finished") ? 0 : !strcmp(state, "stopped") ? 75 : 1;
}

static struct error *show_run(const struct call *call, const char *name, FILE *to, struct json *j, struct seen *seen)
{
    struct run run;
    struct mirror_state mirror;
    struct error *e = run_newest(&run, call->results, name, call->arena);
    if (!e)
        e = mirror_read(&mirror, call->results, name, call->arena);
    if (e)
        return e;
    if (!run.number) { // of a recipe that has not been run yet: that is no mistake
        int *numbers, n = 0;
        e = to ? run_numbers(call->results, name, call->arena, &numbers, &n) : NULL;
        if (to && !e)
            fprintf(to, n ? "%s: no record of a run that can be read; `retort ls --check` tells why\n" : "%s: no run yet\n",
                    name);
        return e;
    }
    const char *state = run_state(&run, call->results, call->arena);
    bool running = !strcmp(state, "running");
    seen->running |= running;
    if (!running && !seen->exit_status)
        seen->exit_status = exit_status_of(&run, state);
    add_change(seen, state);
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
        print_head(to, seen, &run, state);
    }
    struct store_file *record = NULL;
    for (int i = 0; i < run.n_stages && !e; i++) {
        struct stage_status status;
        e = look(&status, &run, &run.stages[i], running, &record, call);
        if (e)
            break;
        add_change(seen, status.state);
        if (j)
            status_to_json(j, &run.stages[i], &status);
        else
            print_stage(to, seen, &run.stages[i], name_width(&run), &status);
    }
    store_close(record);
    if (to && !e && mirror.address)
        print_mirror(to, seen, &mirror, running);
    if (j) {
        json_close(j, ']');
        json_key(j, "mirror");
        if (mirror.address)
            mirror_to_json(j, &mirror);
        else
            json_nil(j);
        json_close(j, '}');
    }
    return e;
}

// One look, printed to `to` or as JSON.
static struct error *show(const struct call *call, const char *const *names, int n, FILE *to, struct seen *seen)
{
    struct json j;
    struct error *e = NULL;
    *seen = (struct seen){.changes = 14695981039346656037u};
    if (call->json) {
        answer_open(&j, call, NULL);
        json_key(&j, "runs");
        json_open(&j, '[');
    }
    for (int i = 0; i < n && !e; i++)
        e = show_run(call, names[i], to, call->json ? &j : NULL, seen);
    if (!n && !call->json)
        fprintf(to, "no runs in '%s'\n", call->results);
    if (!call->json)
        return e;
    if (e) {
        json_release(&j);
        return e;
    }
    json_close(&j, ']');
    return answer_print(&j);
}

// On a terminal the table is rewritten where it stands; in a pipe it is printed again when a state has changed.
static struct error *show_again(const struct call *call, const char *const *names, int n, struct seen *seen)
{
    char *text = NULL;
    size_t n_bytes = 0;
    struct seen before = *seen;
    bool terminal = isatty(STDOUT_FILENO);
    FILE *to = call->json ? NULL : open_memstream(&text, &n_bytes);
    if (!call->json && !to)
        return error_memory();
    struct error *e = show(call, names, n, to, seen);
    if (to && fclose(to))
        e = error_first(e, error_memory());
    if (!e && text && (terminal || before.changes != seen->changes)) {
        if (terminal && before.n_lines)
            printf("\033[%dA\r\033[J", before.n_lines < ROWS_MOST ? before.n_lines : ROWS_MOST);
        fputs(text, stdout);
    }
    free(text);
    fflush(stdout);
    return e;
}

// Of all names those whose runs are going on, unless there is none.
static struct error *keep_running(const struct call *call, const char **names, int *n)
{
    struct lock_holder holder;
    int n_running = 0;
    for (int i = 0; i < *n; i++) {
        const char *lock = arena_printf(call->arena, "%s/runs/%s/lock", call->results, names[i]);
        if (!lock)
            return error_memory();
        if (lock_seen(lock, &holder))
            names[n_running++] = names[i];
    }
    *n = n_running ? n_running : *n;
    return NULL;
}

// The name that a word of the command line means: of a recipe, whether it was run or not, or of runs that there are.
static struct error *find_name(const struct call *call, const char **name)
{
    int *numbers, n;
    if (load_is_recipe(*name))
        return load_name(call, *name, name);
    struct error *e = run_numbers(call->results, *name, call->arena, &numbers, &n);
    return e || n ? e : load_no_run(call, *name, false);
}

struct error *command_status(struct call *call)
{
    const char **names = NULL, *one = call->n_args ? call->args[0] : NULL;
    int n = 1;
    struct seen seen = {0};
    struct error *e = NULL;
    if (one)
        e = find_name(call, &one);
    if (!e && !call->n_args)
        e = run_names(call->results, call->arena, &names, &n);
    if (!e && !one && call->watch)
        e = keep_running(call, names, &n);
    int n_looks = 0;
    stop_on_signals();
    while (!e) {
        n_looks++;
        struct arena_mark mark = arena_mark(call->arena);
        e = show_again(call, one ? &one : names, n, &seen);
        arena_reset(call->arena, mark);
        if (!call->watch || !seen.running || stop_requested())
            break;
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    if (!e && call->watch && !stop_requested() && (one || n_looks > 1)) // at what ended long ago nobody watched
        call->status = seen.exit_status;
    return e;
}
