// data.c - `retort data RECIPE`: what the recipe reads, what of it is there; fetches the rest and holds it against what is pinned.
#include "runner/commands/data.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/store/atomic.h"
#include "runner/commands/load.h"
#include "runner/recipe/address.h"
#include "runner/recipe/reader.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { MOST_TOLD = 5 };

// The files of one name, or those of a suite's tasks.
struct group {
    const char *name, *from;
    int n, there, lacking;
    int64_t here, to_come; // bytes; -1: not known
};

static struct error *unknown_name(const struct graph *graph, const char *only)
{
    const char *names[256];
    char fix[300];
    int n = 0;
    for (int i = 0; i < graph->n_nodes && n < (int)countof(names); i++) {
        const struct graph_node *node = graph->nodes[i];
        if (node->source || node->task)
            names[n++] = node->source ? node->source->name : node->task->shown;
        for (int k = 0; k < node->n_parts && n < (int)countof(names); k++)
            if (node->parts[k].use)
                names[n++] = node->parts[k].use->task->shown;
    }
    const char *near = nearest_name(only, names, n);
    snprintf(fix, sizeof fix, "did you mean '%s'?", near ? near : "");
    return error_new(ERROR_USAGE, NOWHERE, near ? fix : "`retort data RECIPE --list` lists the sources",
                     "the recipe reads no source or task '%s'", only);
}

// The host, or the folder.
static const char *place_of(const struct download *file, struct arena *arena)
{
    const char *slash = strrchr(file->path, '/');
    size_t n = slash ? (size_t)(slash - file->path) : 0;
    const char *from = file->url ? address_host(file->url, &n) : slash ? file->path : ".";
    return arena_strndup(arena, from, n ? n : 1);
}

// Tasks of a suite are called SUITE/TASK.
static bool are_one_group(const struct download *a, const struct download *b)
{
    size_t n = strcspn(a->name, "/");
    return a->name == b->name || (a->name[n] && !strncmp(a->name, b->name, n + 1));
}

// The folder that both lie under; NULL: memory ran out.
static const char *common_folder(const char *a, const char *b, struct arena *arena)
{
    size_t n = 0, end = 0;
    if (!a || !b || !strcmp(a, b))
        return b ? a : NULL;
    for (; a[n] && a[n] == b[n]; n++)
        end = a[n] == '/' ? n : end;
    bool inside = (!a[n] && b[n] == '/') || (!b[n] && a[n] == '/');
    return arena_strndup(arena, a, inside ? n : end);
}

static void add_to(struct group *g, const struct download *file)
{
    bool there = file->state == FILE_THERE;
    g->n++;
    g->there += there;
    g->lacking += file->state == FILE_MISSING;
    g->here += there ? file->bytes : 0;
    if (file->state == FILE_MISSING)
        g->to_come = file->bytes < 0 || g->to_come < 0 ? -1 : g->to_come + file->bytes;
}

// Tasks of suites that are asked without them, for want of their data.
static struct error *print_left_out(const struct data_call *d)
{
    const char *names = "", *last = NULL, *suite = "";
    int n = 0;
    for (int i = 0; i < d->list.n && names; i++) {
        const struct download *file = &d->list.all[i];
        if (!file->left_out || file->name == last)
            continue;
        last = file->name;
        suite = file->suite;
        names = arena_printf(d->call->arena, "%s%s%s", names,
                             n++ ? ", " : "not there, so that the tasks that read it are left out of their suites: ", last);
    }
    if (names && n)
        names = arena_printf(d->call->arena, "%s. %s says where it is to be had", names, suite);
    if (!names)
        return error_memory();
    if (n)
        putchar('\n'), text_wrap(stdout, "", names, text_room(stdout));
    return NULL;
}

static struct error *print_groups(const struct data_call *d)
{
    struct column columns[] = {{"source", false, false}, {"files", true, false}, {"there", true, false},
                               {"missing", true, false}, {"size", true, false},  {"to fetch", true, false},
                               {"from", false, true}};
    struct arena *arena = d->call->arena;
    struct grid grid;
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < d->list.n;) {
        const struct download *first = &d->list.all[i], *last = first;
        struct group g = {.name = first->name, .from = place_of(first, arena)};
        for (; i < d->list.n && are_one_group(first, &d->list.all[i]); last = &d->list.all[i++]) {
            add_to(&g, &d->list.all[i]);
            if (d->list.all[i].name == last->name)
                continue;
            g.name = arena_printf(arena, "%.*s/*", (int)strcspn(first->name, "/"), first->name);
            g.from = common_folder(g.from, place_of(&d->list.all[i], arena), arena);
        }
        char a[FORMAT_TEXT], b[FORMAT_TEXT];
        const char *cells[] = {g.name,
                               arena_printf(arena, "%d", g.n),
                               arena_printf(arena, "%d", g.there),
                               arena_printf(arena, "%d", g.lacking),
                               arena_strdup(arena, format_bytes(a, g.here)),
                               g.lacking ? arena_strdup(arena, format_bytes(b, g.to_come)) : "",
                               g.from};
        for (size_t k = 0; k < countof(cells); k++)
            if (!cells[k])
                return error_memory();
        grid_add(&grid, cells);
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, text_room(stdout));
    return print_left_out(d);
}

// Files that are there and nobody has written down yet.
static struct error *pin_those_there(struct data_call *d)
{
    for (int i = 0; i < d->list.n; i++) {
        const struct download *file = &d->list.all[i];
        if (!file->url || file->pin || file->state != FILE_THERE)
            continue;
        struct error *e = pins_put(&d->pins, &(struct pin){.url = file->url, .bytes = file->bytes, .sha256 = file->sha256});
        if (e)
            return e;
        d->pins_changed = true;
    }
    struct error *e = d->pins_changed ? pins_write(&d->pins) : NULL;
    d->pins_changed = false;
    return e;
}

// i_fetch: the first of the files to fetch that is not before this one in the list, both being in one order.
static const char *state_name(const struct data_call *d, const struct download *file, int *i_fetch)
{
    static const char *const names[FILE_STATE_COUNT] = {"there", "missing", "changed"};
    if (*i_fetch == d->n || d->of[*i_fetch] != file)
        return file->left_out ? "left out" : names[file->state];
    enum fetch_state state = d->files[(*i_fetch)++].state;
    return state == FETCH_DONE ? "fetched" : state == FETCH_FAILED ? "failed" : "missing";
}

// What was fetched is there from now on. The list is in the order of the files.
static void take_in(struct data_call *d)
{
    for (int i = 0; i < d->n; i++) {
        const struct fetch_file *f = &d->files[i];
        if (f->bytes >= 0)
            d->of[i]->bytes = f->bytes;
        if (f->state == FETCH_DONE)
            memcpy(d->of[i]->sha256, f->found, SHA256_HEX);
    }
}

static struct error *print_json(const struct data_call *d, const struct error *errors)
{
    struct json j;
    answer_open(&j, d->call, errors);
    json_key(&j, "recipe"), json_str(&j, d->recipe->path);
    json_key(&j, "pins"), json_str(&j, d->pins.path);
    json_key(&j, "folder"), json_str(&j, d->folder);
    json_key(&j, "files");
    json_open(&j, '[');
    for (int i = 0, i_fetch = 0; i < d->list.n; i++) {
        const struct download *file = &d->list.all[i];
        json_open(&j, '{');
        json_key(&j, "source"), json_str(&j, file->name);
        json_key(&j, "state"), json_str(&j, state_name(d, file, &i_fetch));
        json_key(&j, "url"), json_str(&j, file->url);
        json_key(&j, "path"), json_str(&j, file->path);
        json_key(&j, "bytes"), json_count(&j, file->bytes);
        json_key(&j, "sha256"), json_str(&j, file->sha256[0] ? file->sha256 : NULL);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    return answer_print(&j);
}

// Moves an error into the report; of many alike the first ones are enough.
static void report(struct error **errors, int *n, struct error **e)
{
    if (*e && (*n)++ < MOST_TOLD) {
        *errors = error_append(*errors, *e);
        *e = NULL;
    }
}

static struct error *not_there(const struct download *file)
{
    if (file->url)
        return error_new(ERROR_MACHINE, NOWHERE, "run it again without --offline", "'%s' is not fetched", file->url);
    char fix[1200] = "set where the data is: -s data=FOLDER";
    if (file->suite)
        snprintf(fix, sizeof fix, "%.1000s says where it is to be had; or set where it is: -s data=FOLDER", file->suite);
    return error_new(ERROR_MACHINE, NOWHERE, fix, "'%s' is not there, and has no address", file->path);
}

// Everything that is the matter with files: changed, without an address and not there, not fetched.
static struct error *errors_of(struct data_call *d, bool fetched)
{
    struct error *errors = NULL;
    int n = 0;
    for (int i = 0; i < d->list.n; i++) {
        struct download *file = &d->list.all[i];
        report(&errors, &n, &file->error);
        bool lacks = file->state == FILE_MISSING && !file->left_out && !d->call->list && (!file->url || !fetched);
        struct error *e = lacks ? not_there(file) : NULL;
        report(&errors, &n, &e);
        error_free(e);
    }
    for (int i = 0; i < d->n; i++) {
        report(&errors, &n, &d->files[i].error);
        error_free(d->files[i].error);
        d->files[i].error = NULL;
    }
    if (n > MOST_TOLD)
        errors = error_append(errors, error_plain(ERROR_MACHINE, "and %d more files like these", n - MOST_TOLD));
    return errors;
}

static struct error *print_end(const struct data_call *d, double seconds)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    int64_t bytes = 0, got = 0;
    int n_done = 0, n_there = 0;
    for (int i = 0; i < d->n; i++) {
        n_done += d->files[i].state == FETCH_DONE;
        got += d->files[i].got;
    }
    for (int i = 0; i < d->list.n; i++) {
        n_there += d->list.all[i].state == FILE_THERE;
        bytes += d->list.all[i].state == FILE_THERE ? d->list.all[i].bytes : 0;
    }
    const char *text = "";
    if (!d->n)
        text = arena_printf(d->call->arena, "nothing to fetch: %d file%s, %s, %s there%s%s%s", n_there, n_there == 1 ? "" : "s",
                            format_bytes(a, bytes), n_there == 1 ? "is" : "are", d->pins.n ? ", as " : "",
                            d->pins.n ? d->pins.path : "", d->pins.n ? " says" : "");
    else
        printf("\n%d of %d file%s fetched, %s in %s\n", n_done, d->n, d->n == 1 ? "" : "s", format_bytes(a, got),
               format_seconds(b, seconds));
    if (n_done)
        text = arena_printf(d->call->arena, "they lie in %s, and what they are is written down in %s", d->folder, d->pins.path);
    if (!text)
        return error_memory();
    if (!d->n)
        putchar('\n');
    if (*text)
        text_line(stdout, "", text, text_room(stdout));
    return NULL;
}

static struct error *fetch_all(struct data_call *d)
{
    struct fetch_setting setting;
    double begin = clock_seconds();
    struct error *e = data_setting(d, &setting);
    fetching_init(&d->view, d->call->json ? NULL : stdout, d->files, d->n);
    if (!e && d->view.terminal && d->n) {
        printf("asking for sizes");
        fflush(stdout);
        d->view.drawn = true;
    }
    if (!e && d->n)
        e = fetch_sizes(&setting, d->files, d->n);
    fetching_end(&d->view);
    take_in(d);
    if (!e && !d->call->json)
        e = print_groups(d);
    if (!e && d->n)
        e = data_check_disk(d);
    if (!e && !d->call->json && d->n)
        putchar('\n'), fflush(stdout);
    if (!e && d->n)
        e = data_fetch(d, &setting);
    take_in(d);
    if (!d->call->json && (!e || e->kind == ERROR_STOPPED))
        e = error_first(e, print_end(d, clock_seconds() - begin));
    return e;
}

static struct error *carry_out(struct data_call *d)
{
    struct call *call = d->call;
    bool fetched = false;
    struct error *e = call->list ? NULL : pin_those_there(d), *errors;
    if (!e && (call->list || call->offline))
        e = call->json ? NULL : print_groups(d);
    else if (!e && !(e = data_choose(d))) {
        fetched = true;
        e = fetch_all(d);
    }
    errors = error_append(errors_of(d, fetched), e);
    call->status = errors ? error_exit_status(errors) : 0;
    if (!call->json)
        return errors;
    e = print_json(d, errors);
    error_free(errors);
    return e;
}

struct error *command_data(struct call *call)
{
    struct loaded l;
    struct data_call d = {.call = call, .recipe = &l.recipe};
    stop_on_signals();
    struct error *e = load_recipe(&l, call, call->args[0]);
    if (e)
        return e;
    const char *cache = arena_printf(call->arena, "%s/identity.tsv", call->results);
    d.folder = arena_printf(call->arena, "%s/data", call->results);
    if (!cache || !d.folder)
        return error_memory();
    error_free(folder_make(call->results)); // hashes that cannot be kept are made again: no error
    if ((e = identities_open(&d.ids, cache, call->arena)) || (e = downloads_locate(&l.graph, call->results)) ||
        (e = pins_read(&d.pins, call->args[0], call->arena)))
        return e;
    e = downloads_list(&d.list, &l.graph, &d.pins, call->only, d.ids, call->arena);
    if (!e && !d.list.n && call->only)
        e = unknown_name(&l.graph, call->only);
    if (!e)
        e = carry_out(&d);
    identities_keep(d.ids);
    downloads_release(&d.list);
    return e;
}
