// ls.c - `retort ls`: all runs, what they reached and how large their models are; `--check`: whether every file is whole.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/commands/load.h"
#include "runner/graph/audit.h"
#include "runner/graph/keys.h"
#include "runner/graph/reference.h"
#include "runner/view/card.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { AUDIT_TEXT = 4400 }; // a path, and what it is

struct summary { // of a run: of its last stage that has the number
    double loss, bpb;
    int64_t params, bytes; // bytes of all results in the store
};

static struct error *sum_up(struct summary *sum, const struct run *run, const struct call *call)
{
    *sum = (struct summary){.loss = NAN, .bpb = NAN, .params = -1};
    for (int i = 0; i < run->n_stages; i++) {
        const struct run_stage *s = &run->stages[i];
        struct run_tables tables;
        struct stat st;
        enum stage_kind_id kind = kind_named(s->kind, strlen(s->kind));
        const char *file = key_path(call->arena, call->results, kind == KIND_COUNT ? KIND_TOKENS : kind, s->key, ".h5");
        if (!file)
            return error_memory();
        struct error *e = run_stage_tables(&tables, run, s);
        double loss = card_loss(&tables), bpb = card_text_bpb(s, &tables);
        run_tables_release(&tables);
        if (e)
            return e;
        sum->loss = isfinite(loss) ? loss : sum->loss;
        sum->bpb = isfinite(bpb) ? bpb : sum->bpb;
        sum->params = s->params >= 0 ? s->params : sum->params;
        sum->bytes += s->key[0] && !stat(file, &st) ? st.st_size : 0;
    }
    return NULL;
}

static void run_to_json(struct json *j, const struct run *run, const struct summary *sum)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, run->name);
    json_key(j, "run"), json_i64(j, run->number);
    json_key(j, "state"), json_str(j, run->state);
    json_key(j, "started"), json_str(j, run->started);
    json_key(j, "seconds"), json_f64(j, run->seconds);
    json_key(j, "usd"), json_f64(j, run->usd);
    json_key(j, "params"), json_count(j, sum->params);
    json_key(j, "loss"), json_f64(j, sum->loss);
    json_key(j, "bpb"), json_f64(j, sum->bpb);
    json_key(j, "bytes"), json_count(j, sum->bytes);
    json_close(j, '}');
}

// "2026-11-27 07:14" of "2026-11-27T07:14:21Z".
static const char *started_text(const struct run *run, struct arena *arena)
{
    const char *t = strchr(run->started, 'T');
    return t ? arena_printf(arena, "%.*s %.5s", (int)(t - run->started), run->started, t + 1) : run->started;
}

static struct error *run_to_grid(struct grid *grid, const struct run *run, const struct summary *sum, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT], f[FORMAT_TEXT];
    const char *const cells[] = {arena_printf(arena, "%s/%04d", run->name, run->number),
                                 run->state,
                                 started_text(run, arena),
                                 arena_strdup(arena, format_seconds(a, run->seconds)),
                                 arena_strdup(arena, format_count(b, sum->params)),
                                 arena_strdup(arena, format_real(c, sum->loss, 3)),
                                 arena_strdup(arena, format_real(d, sum->bpb, 4)),
                                 arena_strdup(arena, format_bytes(f, sum->bytes))};
    for (size_t i = 0; i < countof(cells); i++)
        if (!cells[i])
            return error_memory();
    grid_add(grid, cells);
    return grid->failed ? error_memory() : NULL;
}

// A run that a newer retort recorded: that it is there is all that is known of it.
static struct error *tell_newer(struct json *j, struct grid *grid, const char *name, int number, struct arena *arena)
{
    const struct run run = {
        .name = name, .number = number, .state = "newer", .started = grid ? "-" : NULL, .seconds = NAN, .usd = NAN};
    const struct summary unknown = {.loss = NAN, .bpb = NAN, .params = -1, .bytes = -1};
    if (grid)
        return run_to_grid(grid, &run, &unknown, arena);
    run_to_json(j, &run, &unknown);
    return NULL;
}

// Each run of each name; damaged records are named and passed over.
static struct error *each_run(const struct call *call, struct json *j, struct grid *grid)
{
    const char **names;
    int n_names, *numbers, n_numbers;
    struct error *e = run_names(call->results, call->arena, &names, &n_names);
    for (int i = 0; i < n_names && !e; i++) {
        e = run_numbers(call->results, names[i], call->arena, &numbers, &n_numbers);
        for (int k = 0; k < n_numbers && !e; k++) {
            struct run run;
            struct summary sum;
            const char *path = run_path(call->arena, call->results, names[i], numbers[k]);
            e = path ? run_read(&run, path, call->arena) : error_memory();
            if (!e)
                e = sum_up(&sum, &run, call);
            if (!e)
                run.state = run_state(&run, call->results, call->arena);
            if (e && e->kind == ERROR_DATA) {
                if (grid)
                    printf("%s/%04d is passed over: %s\n", names[i], numbers[k], e->what);
                error_free(e);
                e = NULL;
            } else if (e && e->kind == ERROR_NOT_BUILT) {
                error_free(e);
                e = tell_newer(j, grid, names[i], numbers[k], call->arena);
            } else if (!e && j) {
                run_to_json(j, &run, &sum);
            } else if (!e) {
                e = run_to_grid(grid, &run, &sum, call->arena);
            }
        }
    }
    return e;
}

static double core_of(const struct run *run)
{
    double core = NAN;
    for (int i = 0; i < run->n_stages; i++)
        core = isnan(core) ? run->stages[i].published->core : core;
    return core;
}

static int64_t params_of(const struct run *run)
{
    int64_t params = -1;
    for (int i = 0; i < run->n_stages; i++)
        params = params < 0 ? run->stages[i].params : params;
    return params;
}

static void published_to_json(struct json *j, const struct run *run)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, run->name);
    json_key(j, "published"), json_str(j, run->started);
    json_key(j, "source"), json_str(j, run->source);
    json_key(j, "seconds"), json_f64(j, run->seconds);
    json_key(j, "usd"), json_f64(j, run->usd);
    json_key(j, "params"), json_count(j, params_of(run));
    json_key(j, "core"), json_f64(j, core_of(run));
    json_close(j, '}');
}

static struct error *published_to_grid(struct grid *grid, const struct run *run, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT];
    const char *const cells[] = {run->name,
                                 run->started,
                                 arena_strdup(arena, format_seconds(a, run->seconds)),
                                 arena_strdup(arena, format_usd(b, run->usd)),
                                 arena_strdup(arena, format_count(c, params_of(run))),
                                 arena_strdup(arena, format_real(d, core_of(run), 4))};
    for (size_t i = 0; i < countof(cells); i++)
        if (!cells[i])
            return error_memory();
    grid_add(grid, cells);
    return grid->failed ? error_memory() : NULL;
}

// Each published run; files with mistakes are named and passed over.
static struct error *each_published(const struct call *call, struct json *j, struct grid *grid)
{
    const char **names;
    int n;
    struct error *e = reference_names(call->results, call->arena, &names, &n);
    for (int i = 0; i < n && !e; i++) {
        struct run run;
        const char *path;
        e = reference_find(call->results, names[i], call->arena, &path);
        if (e || !path)
            continue;
        e = reference_read(&run, path, call->arena);
        if (e && e != error_memory()) {
            if (grid)
                printf("%s is passed over: %s\n", path, e->what);
            error_free(e);
            e = NULL;
        } else if (!e && j) {
            published_to_json(j, &run);
        } else if (!e) {
            e = published_to_grid(grid, &run, call->arena);
        }
    }
    return e;
}

static struct error *answer(const struct call *call)
{
    struct json j;
    answer_open(&j, call, NULL);
    json_key(&j, "runs");
    json_open(&j, '[');
    struct error *e = each_run(call, &j, NULL);
    json_close(&j, ']');
    json_key(&j, "published");
    json_open(&j, '[');
    if (!e)
        e = each_published(call, &j, NULL);
    json_close(&j, ']');
    if (!e)
        return answer_print(&j);
    json_release(&j);
    return e;
}

static const char *audit_state(const struct audit_line *line)
{
    return line->error                    ? line->error->kind == ERROR_NOT_BUILT ? "newer" : "damaged"
           : strcmp(line->is, "not read") ? "good"
                                          : "not read";
}

static void print_audit(void *self, const struct audit_line *line)
{
    const struct call *call = self;
    char bytes[FORMAT_TEXT], first[64], text[AUDIT_TEXT];
    size_t n = strlen(call->results);
    int width = text_room(stdout);
    const char *path = !strncmp(line->path, call->results, n) && line->path[n] == '/' ? line->path + n + 1 : line->path;
    bool says = !line->error && strcmp(line->is, "not read");
    snprintf(first, sizeof first, "%-8s  %8s  ", audit_state(line), format_bytes(bytes, line->bytes));
    snprintf(text, sizeof text, "%s%s%s%s", path, says ? "  (" : "", says ? line->is : "", says ? ")" : "");
    text_line(stdout, first, text, width);
    if (line->error)
        text_line(stdout, "          ", line->error->what, width);
    if (line->error && line->error->fix)
        text_line(stdout, "          fix: ", line->error->fix, width);
    fflush(stdout);
}

static void audit_to_json(void *self, const struct audit_line *line)
{
    struct json *j = self;
    json_open(j, '{');
    json_key(j, "file"), json_str(j, line->path);
    json_key(j, "is"), json_str(j, line->is);
    json_key(j, "bytes"), json_i64(j, line->bytes);
    json_key(j, "state"), json_str(j, audit_state(line));
    json_key(j, "what"), json_str(j, line->error ? line->error->what : NULL);
    json_key(j, "fix"), json_str(j, line->error ? line->error->fix : NULL);
    json_close(j, '}');
}

static struct error *check_all(struct call *call)
{
    struct audit_totals totals;
    struct json files = {0}, j;
    char bytes[FORMAT_TEXT];
    json_open(&files, '[');
    struct error *e =
        audit(&totals, call->results, call->json ? audit_to_json : print_audit, call->json ? (void *)&files : call, call->arena);
    json_close(&files, ']');
    call->status = e ? 0 : totals.n_bad ? 1 : totals.n_newer ? 4 : 0;
    if (!e && call->json) {
        answer_open(&j, call, NULL);
        json_key(&j, "files"), json_raw(&j, json_text(&files));
        e = answer_print(&j);
    } else if (!e) {
        int64_t n_all = totals.n_good + totals.n_bad + totals.n_newer + totals.n_not_read;
        printf("%s%lld file%s good (%s), %lld damaged, ", n_all ? "\n" : "", (long long)totals.n_good,
               totals.n_good == 1 ? "" : "s", format_bytes(bytes, totals.bytes), (long long)totals.n_bad);
        if (totals.n_newer)
            printf("%lld of a newer retort, ", (long long)totals.n_newer);
        printf("%lld not read\n", (long long)totals.n_not_read);
    }
    json_release(&files);
    return e;
}

struct error *command_ls(struct call *call)
{
    static const struct column columns[] = {{"run", false, false}, {"state", false, false}, {"started (UTC)", false, false},
                                            {"time", true, false}, {"params", true, false}, {"loss", true, false},
                                            {"bpb", true, false},  {"size", true, false}};
    static const struct column published[] = {{"published", false, true}, {"date", false, false},  {"time", true, false},
                                              {"cost", true, false},      {"params", true, false}, {"CORE", true, false}};
    struct grid grid;
    if (call->check)
        return check_all(call);
    if (call->json)
        return answer(call);
    grid_init(&grid, columns, countof(columns), call->arena);
    struct error *e = each_run(call, NULL, &grid);
    if (e)
        return e;
    if (grid.n_rows)
        grid_print(&grid, stdout, 80);
    else
        printf("no runs in '%s'\n", call->results);
    grid_init(&grid, published, countof(published), call->arena);
    e = each_published(call, NULL, &grid);
    if (!e && grid.n_rows) {
        putchar('\n');
        grid_print(&grid, stdout, 80);
    }
    return e;
}
