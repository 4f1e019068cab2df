// export.c - `retort export WHAT --to FORMAT DIR`: what others read.
//
// The files are written into DIR.tmp, which takes its name when all are there: nobody sees half an export. DIR.tmp is locked while it is
// written, so that one which an export that was killed has left behind can be told from one that is being written, and is used again.
#include "runner/commands/export.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/atomic.h"
#include "core/text/tokenizer_tiktoken.h"
#include "runner/view/format.h"

void export_add(struct export *x, const char *name, const void *data, size_t n)
{
    x->files[x->n_files++] = (struct export_file){.name = name, .data = data, .n = (int64_t)n};
}

struct error *export_json(struct export *x, const char *name, struct json *j)
{
    if (!json_text(j))
        return error_memory();
    export_add(x, name, j->text, j->n);
    return NULL;
}

static struct error *export_tiktoken(struct export *x, const char *what)
{
    struct tokenizer *tokenizer;
    bool of_model;
    struct error *e = load_tokenizer(x->call, what, &tokenizer, &of_model);
    if (!e)
        e = tokenizer_to_tiktoken(tokenizer, &x->bytes[0], &x->json[0]);
    if (e)
        return e;
    export_add(x, "ranks.tiktoken", x->bytes[0].byte, x->bytes[0].n);
    return export_json(x, "settings.json", &x->json[0]);
}

enum format { FORMAT_HF, FORMAT_TIKTOKEN, FORMAT_CSV, FORMAT_JSONL, FORMAT_TENSORBOARD, FORMAT_COUNT };

static const char *const format_names[FORMAT_COUNT] = {"hf", "tiktoken", "csv", "jsonl", "tensorboard"};

static struct error *check_format(const struct call *call, enum format *format)
{
    static const char *const fix = "write --to hf or tiktoken for a model, csv, jsonl or tensorboard for metrics";
    if (!call->to)
        return error_new(ERROR_USAGE, NOWHERE, fix, "--to is missing");
    for (*format = 0; *format < FORMAT_COUNT; ++*format)
        if (!strcmp(call->to, format_names[*format]))
            return call->tokenizer && *format > FORMAT_TIKTOKEN ? error_new(ERROR_USAGE, NOWHERE, "leave one of them out",
                                                                            "--tokenizer and --to %s are both given", call->to)
                                                                : NULL;
    return error_new(ERROR_USAGE, NOWHERE, fix, "--to is '%.80s'", call->to);
}

// DIR without slashes behind it, which must not be there.
static struct error *find_folder(const struct call *call, const char **folder)
{
    size_t n = strlen(call->args[1]);
    while (n > 1 && call->args[1][n - 1] == '/')
        n--;
    *folder = arena_strndup(call->arena, call->args[1], n);
    if (!*folder)
        return error_memory();
    if (!n || file_exists(*folder))
        return error_new(ERROR_USAGE, NOWHERE, "name a folder that is not there; it will be made", "'%s' is there already",
                         *folder);
    return NULL;
}

// Whether a file in DIR.tmp is one that an export writes, whole or half.
static bool is_ours(const struct export *x, const char *name)
{
    for (int i = 0; i < x->n_files; i++) {
        size_t n = strlen(x->files[i].name);
        if (!strncmp(name, x->files[i].name, n) && (!name[n] || !strcmp(name + n, ".tmp")))
            return true;
    }
    return !strcmp(name, ".") || !strcmp(name, "..");
}

static bool has_others(const struct export *x, const char *tmp)
{
    bool others = false;
    DIR *dir = opendir(tmp);
    for (const struct dirent *each; dir && !others && (each = readdir(dir));)
        others = !is_ours(x, each->d_name);
    if (dir)
        closedir(dir);
    return others;
}

// The folder, made or left behind by one that was killed, and a lock on it that ends with the process.
static struct error *take_folder(const struct export *x, const char *tmp, int *lock)
{
    if (mkdir(tmp, 0777) && errno != EEXIST)
        return error_system(ERROR_MACHINE, errno, "cannot make the folder '%s'", tmp);
    *lock = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0)
        return error_system(ERROR_MACHINE, errno, "cannot open the folder '%s'", tmp);
    if (flock(*lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return error_new(ERROR_MACHINE, NOWHERE, "wait for it, or name another folder", "another export is writing '%s'", tmp);
    if (has_others(x, tmp))
        return error_new(ERROR_MACHINE, NOWHERE, "remove it, or name another folder", "'%s' is there already, with other files",
                         tmp);
    return NULL;
}

// Removes what is_ours names, and the folder if that is all.
static void drop_folder(const struct export *x, const char *tmp, struct arena *arena)
{
    for (int i = 0; i < 2 * x->n_files; i++) {
        const char *path = arena_printf(arena, "%s/%s%s", tmp, x->files[i / 2].name, i % 2 ? ".tmp" : "");
        if (path)
            unlink(path);
    }
    rmdir(tmp);
}

static struct error *write_file(struct export_file *file, const char *tmp, struct arena *arena)
{
    const char *path = arena_printf(arena, "%s/%s", tmp, file->name);
    if (!path)
        return error_memory();
    return file->write ? file->write(file->self, path, arena, &file->n) : atomic_write(path, file->data, (size_t)file->n);
}

static struct error *write_folder(struct export *x, const char *folder, struct arena *arena)
{
    const char *tmp = arena_printf(arena, "%s.tmp", folder);
    int lock = -1;
    struct error *e = tmp ? take_folder(x, tmp, &lock) : error_memory();
    if (!e) {
        for (int i = 0; i < x->n_files && !e; i++)
            e = write_file(&x->files[i], tmp, arena);
        if (!e)
            e = atomic_publish(tmp, folder);
        if (e)
            drop_folder(x, tmp, arena);
    }
    if (lock >= 0)
        close(lock);
    return e;
}

static struct error *tell(const struct export *x, const struct call *call, const char *folder)
{
    char size[FORMAT_TEXT];
    struct json j;
    if (!call->json) {
        printf("%s\n", folder);
        for (int i = 0; i < x->n_files; i++)
            printf("  %-22s %s\n", x->files[i].name, format_bytes(size, x->files[i].n));
        return NULL;
    }
    answer_open(&j, call, NULL);
    json_key(&j, "folder"), json_str(&j, folder);
    json_key(&j, "files");
    json_open(&j, '[');
    for (int i = 0; i < x->n_files; i++) {
        json_open(&j, '{');
        json_key(&j, "name"), json_str(&j, x->files[i].name);
        json_key(&j, "bytes"), json_i64(&j, x->files[i].n);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    return answer_print(&j);
}

static void release(struct export *x)
{
    for (size_t i = 0; i < countof(x->json); i++)
        json_release(&x->json[i]);
    for (size_t i = 0; i < countof(x->bytes); i++)
        bytes_release(&x->bytes[i]);
    store_close(x->model);
}

struct error *command_export(struct call *call)
{
    struct export x = {.call = call};
    const char *folder;
    enum format format = FORMAT_HF;
    struct error *e = check_format(call, &format);
    if (!e)
        e = find_folder(call, &folder);
    if (!e)
        e = format == FORMAT_HF         ? export_hf(&x, call->args[0], call->tokenizer)
            : format == FORMAT_TIKTOKEN ? export_tiktoken(&x, call->args[0])
                                        : export_tables(&x, call->args[0], call->to);
    if (!e)
        e = write_folder(&x, folder, call->arena);
    if (!e)
        e = tell(&x, call, folder);
    release(&x);
    return e;
}
