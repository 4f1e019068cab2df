// data_fetch.c - a fetched file is first written down in NAME.data.yaml, then it gets its name: killed between the two, the next call
// finds a whole part that is what it should be.
#include "runner/commands/data.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/atomic.h"
#include "core/store/store.h"
#include "runner/recipe/number.h"
#include "runner/view/format.h"

enum { PARALLEL = 8, MOST_PARALLEL = 64, TRIES = 8, STALL_S = 30 };

static const char token_fix[] = "set RETORT_DATA_TOKEN=HOST=TOKEN: a token goes to that host alone";

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

// A token is never told, be it good or bad.
static struct error *add_token(struct fetch_setting *s, const char *variable, const char *host, const char *token)
{
    for (const char *c = token; *c; c++)
        if (!isgraph((unsigned char)*c) || (unsigned char)*c > '~')
            return error_new(ERROR_USAGE, NOWHERE, token_fix, "the token in %s is not made of visible ASCII", variable);
    if (!*host || !*token)
        return error_new(ERROR_USAGE, NOWHERE, token_fix, "%s has no %s", variable, *host ? "token" : "host");
    s->tokens[s->n_tokens++] = (struct fetch_token){.host = host, .token = token};
    return NULL;
}

static struct error *read_tokens(struct fetch_setting *s, struct arena *arena)
{
    const char *own = environment("RETORT_DATA_TOKEN"), *hugging_face = environment("HF_TOKEN");
    const char *equals = own ? strchr(own, '=') : NULL, *host = equals ? arena_strndup(arena, own, (size_t)(equals - own)) : NULL;
    if (own && !equals)
        return error_new(ERROR_USAGE, NOWHERE, token_fix, "RETORT_DATA_TOKEN does not say for which host it is");
    if (own && !host)
        return error_memory();
    struct error *e = own ? add_token(s, "RETORT_DATA_TOKEN", host, equals + 1) : NULL;
    return e || !hugging_face ? e : add_token(s, "HF_TOKEN", "huggingface.co", hugging_face);
}

static struct error *read_seconds(const char *name, double least, double most, double *seconds)
{
    const char *text = environment(name);
    struct error *e = text ? number_real(text, false, NOWHERE, name, seconds) : NULL;
    if (!e && text && !(*seconds >= least && *seconds <= most))
        e = error_new(ERROR_USAGE, NOWHERE, "say seconds, or leave it out", "%s is %s, not between %g and %g", name, text, least,
                      most);
    return e;
}

struct error *data_setting(const struct data_call *d, struct fetch_setting *s)
{
    const char *jobs = d->call->jobs, *bundle = environment("CURL_CA_BUNDLE");
    int64_t n = PARALLEL;
    double stall_s = STALL_S;
    *s = (struct fetch_setting){.tries = TRIES, .wait_s = 1};
    s->ca_file = bundle ? bundle : environment("SSL_CERT_FILE");
    s->ca_folder = environment("SSL_CERT_DIR");
    struct error *e = jobs ? number_int(jobs, false, NOWHERE, "--jobs", &n) : NULL;
    if (!e && (n < 1 || n > MOST_PARALLEL))
        e = error_new(ERROR_USAGE, NOWHERE, "say how many files may be fetched at once, 64 at most", "--jobs is %lld",
                      (long long)n);
    if (!e)
        e = read_seconds("RETORT_DATA_WAIT", 0, 600, &s->wait_s);
    if (!e)
        e = read_seconds("RETORT_DATA_STALL", 1, 3600, &stall_s);
    if (!e)
        e = read_tokens(s, d->call->arena);
    s->parallel = (int)n;
    s->stall_s = (int)stall_s;
    return e;
}

struct error *data_choose(struct data_call *d)
{
    struct arena *arena = d->call->arena;
    d->files = arena_array(arena, (size_t)d->list.n + 1, sizeof *d->files);
    d->of = arena_array(arena, (size_t)d->list.n + 1, sizeof *d->of);
    if (!d->files || !d->of)
        return error_memory();
    for (int i = 0; i < d->list.n; i++) {
        struct download *file = &d->list.all[i];
        if (file->state != FILE_MISSING || !file->url)
            continue;
        const struct pin *pin = file->pin;
        d->of[d->n] = file;
        d->files[d->n++] = (struct fetch_file){.url = file->url,
                                               .path = file->path,
                                               .form = file->form,
                                               .sha256 = pin ? pin->sha256 : NULL,
                                               .pinned_at = pin ? pin->at : NOWHERE,
                                               .bytes = pin ? pin->bytes : -1,
                                               .pinned_bytes = pin && pin->bytes >= 0};
    }
    if (d->n > MOST_PINS)
        return error_new(ERROR_RECIPE, NOWHERE, "read fewer, larger files", "more than %d files to fetch", MOST_PINS);
    return NULL;
}

// Said before anything is fetched, not after.
static struct error *check_pins(const struct data_call *d)
{
    struct arena scratch = {0};
    const char *path = d->pins.path, *slash = strrchr(path, '/');
    const char *folder = slash == path ? "/" : slash ? arena_strndup(&scratch, path, (size_t)(slash - path)) : ".";
    struct error *e = !folder                ? error_memory()
                      : access(folder, W_OK) ? error_while(error_system(ERROR_MACHINE, errno, "cannot write '%s'", path), NOWHERE,
                                                           "looking where to write down what is fetched")
                                             : NULL;
    arena_release(&scratch);
    return e;
}

struct error *data_check_disk(const struct data_call *d)
{
    struct stat st;
    struct arena scratch = {0};
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    int64_t need = 0;
    struct error *e = check_pins(d);
    if (!e)
        e = folder_make(d->folder);
    for (int i = 0; i < d->n && !e; i++) {
        const struct fetch_file *f = &d->files[i];
        const char *part = arena_printf(&scratch, "%s.part", f->path);
        bool begun = part && !stat(part, &st);
        int64_t held = begun ? (int64_t)st.st_blocks * 512 : 0; // reserved when it was begun, and so not free any more
        held = begun && st.st_size > held ? (int64_t)st.st_size : held;
        need += f->bytes > held ? f->bytes - held : 0;
    }
    const char *inside = arena_printf(&scratch, "%s/", d->folder);
    double free_bytes = inside ? store_available(inside) : NAN;
    arena_release(&scratch);
    if (e || !((double)need > free_bytes)) // also where the disk does not say
        return e;
    return error_new(ERROR_MACHINE, NOWHERE, "free space on that disk, or keep results on another: --results FOLDER",
                     "%s are still to fetch, and '%s' has room for %s", format_bytes(a, need), d->folder,
                     format_bytes(b, (int64_t)free_bytes));
}

// What is to be written down of a file, if it is not there yet.
static struct error *note(struct data_call *d, const struct fetch_file *f)
{
    const struct pin *pin = pins_find(&d->pins, f->url);
    if (pin && pin->bytes >= 0 && (pin->etag || !f->etag[0]))
        return NULL;
    d->pins_changed = true;
    return pins_put(&d->pins,
                    &(struct pin){.url = f->url, .bytes = f->bytes, .sha256 = f->found, .etag = f->etag[0] ? f->etag : NULL});
}

// Another process has fetched it: it counts as ours if it is what is pinned.
static struct error *take_over(struct data_call *d, struct fetch_file *f)
{
    struct stat st;
    struct error *e = download_check(f->url, f->path, pins_find(&d->pins, f->url), d->ids, f->found);
    f->state = FETCH_DONE;
    if (e && e->kind == ERROR_DATA) {
        f->error = e;
        f->state = FETCH_FAILED;
        return NULL;
    }
    if (e || stat(f->path, &st))
        return e;
    f->bytes = f->have = st.st_size;
    return note(d, f);
}

// Under its name: the part is whole, and written down.
static struct error *publish(struct data_call *d, struct fetch_file *f)
{
    struct arena scratch = {0};
    const char *part = arena_printf(&scratch, "%s.part", f->path), *etag = arena_printf(&scratch, "%s.part.etag", f->path);
    if (part && etag)
        unlink(etag); // of a whole part that is written down nothing more need be known
    if (part)
        identity_settle(part);
    struct error *e = part && etag ? atomic_publish(part, f->path) : error_memory();
    if (!e) {
        f->state = FETCH_DONE;
        e = identities_note(d->ids, f->path, f->found);
    }
    arena_release(&scratch);
    return e;
}

static struct error *settle(void *self)
{
    struct data_call *d = self;
    struct error *e = NULL;
    for (int i = 0; i < d->n && !e; i++)
        if (d->files[i].state == FETCH_WHOLE)
            e = note(d, &d->files[i]);
        else if (d->files[i].state == FETCH_THERE)
            e = take_over(d, &d->files[i]);
    if (!e && d->pins_changed)
        e = pins_write(&d->pins);
    d->pins_changed = d->pins_changed && e;
    for (int i = 0; i < d->n && !e; i++)
        if (d->files[i].state == FETCH_WHOLE)
            e = publish(d, &d->files[i]);
    return e;
}

static void tick(void *self)
{
    fetching_tick(&((struct data_call *)self)->view);
}

static void tell(void *self, const struct fetch_file *file, const char *text)
{
    fetching_tell(&((struct data_call *)self)->view, file, text);
}

struct error *data_fetch(struct data_call *d, const struct fetch_setting *setting)
{
    const struct fetch_hooks hooks = {.self = d, .settle = settle, .tick = tick, .tell = tell};
    fetching_init(&d->view, d->call->json ? NULL : stdout, d->files, d->n);
    struct error *e = fetch_run(setting, &hooks, d->files, d->n);
    fetching_end(&d->view);
    return e;
}
