// fetch.c - one loop over libcurl's multi interface. Files are begun in order; those to be tried again wait for their time.
#include "core/data/fetch.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/data/fetch_inside.h"

enum { LOOK_MS = 100, MOST_UNSETTLED = 64, MOST_DOUBLED = 6, MOST_FAILED = 10, MOST_SILENT = 3, PROGRESS_BYTES = 1 << 20 };

static const double ELSEWHERE_S = 0.25, SETTLE_S = 1;

struct fetching {
    const struct fetch_setting *setting;
    const struct fetch_hooks *hooks;
    struct fetch_file *files;
    int n;
    CURLM *multi;
    struct arena arena;
    int n_running, n_failed;
    double settled;
    bool is_unsettled; // the caller could not settle: there is no use in asking again
};

static struct error *multi_error(CURLMcode code)
{
    return code == CURLM_OK ? NULL : error_plain(ERROR_MACHINE, "libcurl: %s", curl_multi_strerror(code));
}

static struct error *open_multi(CURLM **multi)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return error_plain(ERROR_MACHINE, "libcurl cannot be set up");
    *multi = curl_multi_init();
    return *multi ? NULL : error_memory();
}

// ---- sizes

static bool is_asked(const struct fetch_file *file)
{
    return file->bytes < 0 && file->state == FETCH_WAITS;
}

static struct error *ask_size(struct fetching *g, struct fetch_file *file)
{
    struct transfer *t = arena_alloc(&g->arena, sizeof *t);
    if (!t)
        return error_memory();
    *t = (struct transfer){.file = file, .setting = g->setting, .arena = &g->arena, .fd = -1};
    file->own = t;
    struct error *e = transfer_ask(t, true);
    if (!e)
        e = multi_error(curl_multi_add_handle(g->multi, t->easy));
    if (!e)
        g->n_running++;
    return e;
}

static struct transfer *transfer_of(CURL *easy)
{
    char *own = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &own);
    return (struct transfer *)(void *)own;
}

// A host that is not there is not waited for file by file: n_failed.
static void take_size(struct fetching *g, const CURLMsg *message)
{
    struct transfer *t = transfer_of(message->easy_handle);
    curl_off_t length = -1;
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (message->data.result == CURLE_OK && status == 200 && length > 0 && length <= FETCH_MOST_BYTES)
        t->file->bytes = length;
    g->n_failed += message->data.result != CURLE_OK;
    curl_multi_remove_handle(g->multi, t->easy);
    g->n_running--;
    t->file->own = NULL;
    transfer_close(t, false);
}

static struct error *wait_for_more(struct fetching *g)
{
    struct curl_waitfd stop = {.fd = stop_fd(), .events = CURL_WAIT_POLLIN};
    return multi_error(curl_multi_poll(g->multi, &stop, stop.fd >= 0, LOOK_MS, NULL));
}

// All requests are let go of, and with them the parts, which stay.
static void close_all(struct fetching *g)
{
    for (int i = 0; i < g->n; i++) {
        struct transfer *t = g->files[i].own;
        if (!t)
            continue;
        if (t->easy)
            curl_multi_remove_handle(g->multi, t->easy);
        error_free(t->error);
        transfer_close(t, true);
        g->files[i].own = NULL;
    }
    curl_multi_cleanup(g->multi);
    curl_global_cleanup();
    arena_release(&g->arena);
}

struct error *fetch_sizes(const struct fetch_setting *setting, struct fetch_file *files, int n)
{
    struct fetching g = {.setting = setting, .files = files, .n = n};
    int next = 0, n_messages, n_active;
    struct error *e = open_multi(&g.multi);
    while (!e) {
        for (; next < n && g.n_running < setting->parallel && g.n_failed < MOST_SILENT && !e; next++)
            e = is_asked(&files[next]) ? ask_size(&g, &files[next]) : NULL;
        if (e || !g.n_running)
            break;
        e = multi_error(curl_multi_perform(g.multi, &n_active));
        for (const CURLMsg *m; (m = curl_multi_info_read(g.multi, &n_messages));)
            if (m->msg == CURLMSG_DONE)
                take_size(&g, m);
        if (stop_requested())
            e = error_stopped();
        if (!e && g.n_running)
            e = wait_for_more(&g);
    }
    close_all(&g);
    return e;
}

// ---- files

static void tell(const struct fetching *g, const struct fetch_file *file, const char *text)
{
    if (g->hooks->tell)
        g->hooks->tell(g->hooks->self, file, text);
}

static void fail(struct fetching *g, struct fetch_file *file)
{
    g->n_failed++;
    transfer_close(file->own, true);
    tell(g, file, "");
}

// Some of a second apart from file to file, so that not all come back at once.
static double spread(const struct fetching *g, const struct fetch_file *file)
{
    unsigned i = (unsigned)(file - g->files);
    return 0.75 + (double)((i * 2654435761u) >> 24) / 512;
}

static void put_off(struct fetching *g, struct fetch_file *file, const char *why, double asked_s)
{
    struct transfer *t = file->own;
    char text[400];
    if (t->at - t->best >= PROGRESS_BYTES)
        t->tries = 0;
    t->tries++;
    if (t->tries >= g->setting->tries) {
        file->error = error_new(ERROR_MACHINE, NOWHERE, "run it again later: what came is kept",
                                "cannot fetch '%s': %s, %d times", file->url, why ? why : "", t->tries);
        file->state = FETCH_FAILED;
        fail(g, file);
        return;
    }
    int doubled = t->tries - 1 < MOST_DOUBLED ? t->tries - 1 : MOST_DOUBLED;
    double wait_s = fmax(ldexp(g->setting->wait_s, doubled) * spread(g, file), asked_s);
    t->again_at = clock_seconds() + wait_s;
    part_close(t);
    snprintf(text, sizeof text, "%.200s; again in %.*fs", why ? why : "", wait_s < 9.95, wait_s);
    tell(g, file, text);
}

// What a state that was come to means.
static void arrive(struct fetching *g, struct fetch_file *file, const char *why, double asked_s)
{
    if (file->state == FETCH_FAILED)
        fail(g, file);
    else if (file->state == FETCH_WAITS)
        put_off(g, file, why, asked_s);
}

static struct error *begin(struct fetching *g, struct fetch_file *file)
{
    struct transfer *t = file->own;
    bool waited = file->state == FETCH_ELSEWHERE;
    if (!t) {
        if (!(t = arena_alloc(&g->arena, sizeof *t)))
            return error_memory();
        *t = (struct transfer){.file = file, .setting = g->setting, .arena = &g->arena, .fd = -1};
        t->part = arena_printf(&g->arena, "%s.part", file->path);
        t->note = arena_printf(&g->arena, "%s.part.etag", file->path);
        if (!t->part || !t->note)
            return error_memory();
        file->own = t;
    }
    struct error *e = transfer_begin(t);
    if (e && (e->kind == ERROR_STOPPED || e == error_memory()))
        return e;
    if (e) {
        file->error = e;
        file->state = FETCH_FAILED;
    }
    if (file->state == FETCH_RUNS) {
        g->n_running++;
        return multi_error(curl_multi_add_handle(g->multi, t->easy));
    }
    if (file->state == FETCH_ELSEWHERE) {
        t->again_at = clock_seconds() + ELSEWHERE_S;
        if (!waited)
            tell(g, file, "another process fetches it: waiting for that");
    }
    arrive(g, file, "its parts do not fit together", 0);
    return NULL;
}

static struct error *begin_some(struct fetching *g)
{
    double now = clock_seconds();
    struct error *e = NULL;
    for (int i = 0; i < g->n && g->n_running < g->setting->parallel && g->n_failed < MOST_FAILED && !e; i++) {
        struct fetch_file *f = &g->files[i];
        if ((f->state == FETCH_WAITS || f->state == FETCH_ELSEWHERE) && (!f->own || f->own->again_at <= now))
            e = begin(g, f);
        if (stop_requested())
            break;
    }
    return e;
}

static struct error *end_one(struct fetching *g, const CURLMsg *message)
{
    struct transfer *t = transfer_of(message->easy_handle);
    CURLcode code = message->data.result;
    const char *why;
    double asked_s;
    curl_multi_remove_handle(g->multi, t->easy);
    g->n_running--;
    struct error *e = transfer_end(t, code, &why, &asked_s);
    if (!e)
        arrive(g, t->file, why, asked_s);
    return e;
}

static int count(const struct fetching *g, enum fetch_state a, enum fetch_state b)
{
    int n = 0;
    for (int i = 0; i < g->n; i++)
        n += g->files[i].state == a || g->files[i].state == b;
    return n;
}

static struct error *settle(struct fetching *g, bool now)
{
    int n = count(g, FETCH_WHOLE, FETCH_THERE);
    if (!n || (!now && n < MOST_UNSETTLED && g->n_running && clock_seconds() - g->settled < SETTLE_S))
        return NULL;
    struct error *e = g->hooks->settle(g->hooks->self);
    g->is_unsettled = e != NULL;
    for (int i = 0; i < g->n; i++) {
        struct fetch_file *f = &g->files[i];
        if (f->own && f->own->fd >= 0 && (f->state == FETCH_DONE || f->state == FETCH_FAILED))
            part_close(f->own);
    }
    g->settled = clock_seconds();
    return e;
}

static struct error *run_some(struct fetching *g)
{
    int n_messages, n_active;
    struct error *e = begin_some(g);
    if (!e)
        e = multi_error(curl_multi_perform(g->multi, &n_active));
    for (const CURLMsg *m; !e && (m = curl_multi_info_read(g->multi, &n_messages));)
        e = m->msg == CURLMSG_DONE ? end_one(g, m) : NULL;
    return e;
}

struct error *fetch_run(const struct fetch_setting *setting, const struct fetch_hooks *hooks, struct fetch_file *files, int n)
{
    struct fetching g = {.setting = setting, .hooks = hooks, .files = files, .n = n, .settled = clock_seconds()};
    struct error *e = open_multi(&g.multi);
    while (!e) {
        e = run_some(&g);
        if (!e && stop_requested())
            e = error_stopped();
        if (!e)
            e = settle(&g, false);
        if (hooks->tick)
            hooks->tick(hooks->self);
        bool over = g.n_failed >= MOST_FAILED || !count(&g, FETCH_WAITS, FETCH_ELSEWHERE);
        if (!e && !g.n_running && over)
            break;
        if (!e)
            e = wait_for_more(&g);
    }
    struct error *last = g.is_unsettled ? NULL : settle(&g, true); // told already
    close_all(&g);
    return error_append(e, last);
}
