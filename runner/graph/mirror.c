// mirror.c - starting the process, and the two texts that go between it and others: the job, and how it stands.
#include "runner/graph/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "core/base/json.h"
#include "core/store/atomic.h"

enum { STATE_MOST = 16 << 20, STEM_DIGITS = 16 };

char *mirror_stem(const char *kind, const char *key, struct arena *arena)
{
    return arena_printf(arena, "%s-%.*s", kind, STEM_DIGITS, key);
}

int64_t mirror_step(const char *file, const char *stem)
{
    static const char part[] = ".part@";
    size_t n = strlen(stem);
    if (strncmp(file, stem, n) || strncmp(file + n, part, sizeof part - 1))
        return -1;
    const char *digits = file + n + sizeof part - 1;
    size_t k = strspn(digits, "0123456789");
    return k && k < 19 && !strcmp(digits + k, ".h5") ? strtoll(digits, NULL, 10) : -1;
}

// ---- the job

struct error *mirror_job_make(struct mirror_job *job, const struct plan *plan, int number, struct arena *arena)
{
    const struct recipe *recipe = plan->graph->recipe;
    *job = (struct mirror_job){.results = plan->results, .address = recipe->mirror, .name = recipe->name, .number = number};
    job->stages = arena_array(arena, (size_t)plan->n_stages + 1, sizeof *job->stages);
    if (!job->stages)
        return error_memory();
    for (int i = 0; i < plan->n_stages; i++) {
        const struct graph_node *node = plan->stages[i].node;
        if (node->key && kind_is_word(node->kind))
            job->stages[job->n_stages++] =
                (struct mirror_stage){.name = node->name, .kind = kind_name(node->kind), .key = node->key};
    }
    return NULL;
}

static const char *job_text(const struct mirror_job *job, struct arena *arena)
{
    struct json j = {0};
    json_open(&j, '{');
    json_key(&j, "results"), json_str(&j, job->results);
    json_key(&j, "address"), json_str(&j, job->address);
    json_key(&j, "name"), json_str(&j, job->name);
    json_key(&j, "run"), json_i64(&j, job->number);
    json_key(&j, "stages");
    json_open(&j, '[');
    for (int i = 0; i < job->n_stages; i++) {
        json_open(&j, '[');
        json_str(&j, job->stages[i].name), json_str(&j, job->stages[i].kind), json_str(&j, job->stages[i].key);
        json_close(&j, ']');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    const char *text = json_text(&j) ? arena_printf(arena, "%s\n", j.text) : NULL;
    json_release(&j);
    return text;
}

static const char *text_of(const json_t *object, const char *key, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? arena_strdup(arena, text) : NULL;
}

static bool take_stages(struct mirror_job *job, const json_t *stages, struct arena *arena)
{
    size_t n = json_array_size(stages);
    if (!(job->stages = arena_array(arena, n + 1, sizeof *job->stages)))
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *texts[3];
        for (size_t k = 0; k < 3; k++) {
            const char *text = json_string_value(json_array_get(json_array_get(stages, i), k));
            if (!text || !(texts[k] = arena_strdup(arena, text)))
                return false;
        }
        job->stages[job->n_stages++] = (struct mirror_stage){.name = texts[0], .kind = texts[1], .key = texts[2]};
    }
    return true;
}

struct error *mirror_job_read(struct mirror_job *job, const char *text, struct arena *arena)
{
    json_t *root = json_loads(text, 0, NULL);
    *job = (struct mirror_job){.results = text_of(root, "results", arena),
                               .address = text_of(root, "address", arena),
                               .name = text_of(root, "name", arena),
                               .number = (int)json_integer_value(json_object_get(root, "run"))};
    bool good = job->results && job->address && job->name && take_stages(job, json_object_get(root, "stages"), arena);
    json_decref(root);
    return good ? NULL : error_new(ERROR_USAGE, NOWHERE, "`retort run` starts it", "a mirror wants its job on standard input");
}

// ---- the process

static struct error *write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left;) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_system(ERROR_MACHINE, errno, "cannot tell the mirror what to do");
        text += n;
        left -= (size_t)n;
    }
    return NULL;
}

// Between fork and exec: only calls that are safe there.
static _Noreturn void become_mirror(int lifeline, int nothing)
{
    char *const argv[] = {(char *)"retort", (char *)"_mirror", NULL};
    setpgid(0, 0);
    if (dup2(lifeline, STDIN_FILENO) >= 0 && dup2(nothing, STDOUT_FILENO) >= 0 && dup2(nothing, STDERR_FILENO) >= 0)
        execv("/proc/self/exe", argv);
    _exit(127);
}

struct error *mirror_start(struct mirror *m, const struct mirror_job *job, struct arena *arena)
{
    int ends[2];
    const char *text = job_text(job, arena);
    *m = (struct mirror){.pid = -1, .lifeline = -1, .number = job->number};
    if (!text)
        return error_memory();
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0 || pipe2(ends, O_CLOEXEC)) {
        struct error *e = error_system(ERROR_MACHINE, errno, "cannot make a pipe");
        if (nothing >= 0)
            close(nothing);
        return e;
    }
    fflush(NULL);
    m->pid = fork();
    if (m->pid == 0)
        become_mirror(ends[0], nothing);
    struct error *e = m->pid < 0 ? error_system(ERROR_MACHINE, errno, "cannot start a process") : NULL;
    close(ends[0]);
    close(nothing);
    m->lifeline = ends[1];
    if (!e)
        e = write_all(m->lifeline, text);
    if (e)
        mirror_kill(m);
    return e;
}

void mirror_finish(struct mirror *m, int tries)
{
    char text[32];
    if (m->pid < 0 || m->told)
        return;
    m->told = true;
    snprintf(text, sizeof text, "finish %d\n", tries);
    error_free(write_all(m->lifeline, text)); // one that is gone is noticed by waitpid
}

bool mirror_ended(struct mirror *m)
{
    if (m->pid < 0)
        return true;
    pid_t gone = waitpid(m->pid, &m->status, WNOHANG);
    if (gone == 0 || (gone < 0 && errno == EINTR))
        return false;
    m->pid = -1;
    close(m->lifeline);
    m->lifeline = -1;
    return true;
}

void mirror_kill(struct mirror *m)
{
    if (m->pid > 0) {
        kill(-m->pid, SIGKILL);
        kill(m->pid, SIGKILL);
        while (waitpid(m->pid, &m->status, 0) < 0 && errno == EINTR)
            ;
    }
    if (m->lifeline >= 0)
        close(m->lifeline);
    m->pid = m->lifeline = -1;
}

// ---- how it stands

void mirror_to_json(struct json *j, const struct mirror_state *s)
{
    json_open(j, '{');
    json_key(j, "address"), json_str(j, s->address);
    json_key(j, "run"), json_i64(j, s->number);
    json_key(j, "pid"), json_i64(j, s->pid);
    json_key(j, "ended"), json_bool(j, s->ended);
    json_key(j, "files"), json_i64(j, s->n_files);
    json_key(j, "there"), json_i64(j, s->n_there);
    json_key(j, "pushed"), json_i64(j, s->n_pushed);
    json_key(j, "bytes_left"), json_i64(j, s->bytes_left);
    json_key(j, "now"), json_str(j, s->now);
    json_key(j, "bytes_sent"), json_i64(j, s->bytes_sent);
    json_key(j, "warning"), json_str(j, s->warning);
    json_key(j, "newer"), json_str(j, s->newer);
    json_key(j, "missing");
    json_open(j, '[');
    for (int i = 0; i < s->n_missing; i++) {
        json_open(j, '{');
        json_key(j, "stage"), json_str(j, s->missing[i].stage);
        json_key(j, "file"), json_str(j, s->missing[i].file);
        json_key(j, "why"), json_str(j, s->missing[i].why);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static char *state_path(const char *results, const char *name, struct arena *arena)
{
    return arena_printf(arena, "%s/runs/%s/mirror.json", results, name);
}

struct error *mirror_write(const struct mirror_state *state, const char *results, const char *name)
{
    struct arena arena = {0};
    struct json j = {0};
    mirror_to_json(&j, state);
    const char *text = json_text(&j), *path = state_path(results, name, &arena);
    struct error *e = text && path ? atomic_write(path, text, strlen(text)) : error_memory();
    json_release(&j);
    arena_release(&arena);
    return e;
}

static int64_t count_of(const json_t *root, const char *key)
{
    return json_integer_value(json_object_get(root, key));
}

static struct error *take_state(struct mirror_state *s, const json_t *root, struct arena *arena)
{
    const json_t *missing = json_object_get(root, "missing");
    *s = (struct mirror_state){.address = text_of(root, "address", arena),
                               .number = (int)count_of(root, "run"),
                               .pid = count_of(root, "pid"),
                               .ended = json_is_true(json_object_get(root, "ended")),
                               .n_files = (int)count_of(root, "files"),
                               .n_there = (int)count_of(root, "there"),
                               .n_pushed = (int)count_of(root, "pushed"),
                               .bytes_left = count_of(root, "bytes_left"),
                               .bytes_sent = count_of(root, "bytes_sent"),
                               .now = text_of(root, "now", arena),
                               .warning = text_of(root, "warning", arena),
                               .newer = text_of(root, "newer", arena)};
    size_t n = json_array_size(missing);
    if (!(s->missing = arena_array(arena, n + 1, sizeof *s->missing)))
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        const json_t *each = json_array_get(missing, i);
        struct mirror_missing one = {text_of(each, "stage", arena), text_of(each, "file", arena), text_of(each, "why", arena)};
        if (one.stage && one.file)
            s->missing[s->n_missing++] = one;
    }
    return NULL;
}

struct error *mirror_read(struct mirror_state *state, const char *results, const char *name, struct arena *arena)
{
    char *text;
    size_t n;
    const char *path = state_path(results, name, arena);
    *state = (struct mirror_state){0};
    if (!path)
        return error_memory();
    if (!file_exists(path))
        return NULL;
    struct error *e = file_read(path, STATE_MOST, arena, &text, &n);
    json_t *root = e ? NULL : json_loadb(text, n, 0, NULL);
    error_free(e); // what cannot be read says nothing
    e = json_is_object(root) ? take_state(state, root, arena) : NULL;
    json_decref(root);
    return e;
}
