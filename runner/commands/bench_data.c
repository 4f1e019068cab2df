// bench_data.c - `retort bench data [FILE ...]`: how fast data is read, beside what bounds it; without files a world, and what it writes.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/data/tokens.h"
#include "runner/commands/bench.h"
#include "runner/graph/data_probe.h"
#include "runner/recipe/task_file.h"
#include "runner/recipe/world_file.h"

enum { MADE_DOCUMENTS = 40000, BYTES = 256, NAME = 31 };

// The world's documents as JSON lines and, a byte a token, as a token file.
static struct error *make_files(const char *world_path, const char *lines, const char *tokens, struct arena *arena)
{
    struct world world;
    struct token_writer w = {.n_vocab = BYTES};
    struct error *e = world_file_read(world_path, arena, &world);
    FILE *f = e ? NULL : fopen(lines, "w");
    if (!e && !f)
        return error_plain(ERROR_MACHINE, "cannot write '%s'", lines);
    int32_t *ids = NULL;
    size_t capacity = 0;
    for (int64_t i = 0; i < MADE_DOCUMENTS && !e; i++) {
        char *text;
        size_t n;
        if ((e = world_write(&world, 0, i, false, &text, &n)))
            break;
        struct json j = {0};
        json_open(&j, '{');
        json_key(&j, "text"), json_str_n(&j, text, n);
        json_close(&j, '}');
        if (n > capacity) {
            ids = block_resize(ids, capacity * sizeof *ids, 2 * n * sizeof *ids);
            capacity = ids ? 2 * n : 0;
        }
        for (size_t k = 0; k < n && ids; k++)
            ids[k] = (uint8_t)text[k];
        e = json_text(&j) && ids ? token_writer_add(&w, ids, (int64_t)n) : error_memory();
        if (!e && fprintf(f, "%s\n", j.text) < 0)
            e = error_plain(ERROR_MACHINE, "cannot write '%s'", lines);
        json_release(&j);
        block_free(text);
    }
    block_free(ids);
    if (f && fclose(f) && !e)
        e = error_plain(ERROR_MACHINE, "cannot write '%s'", lines);
    if (!e)
        e = token_writer_save(&w, tokens, NULL, 0);
    token_writer_release(&w);
    return e;
}

static void print(const char *path, const struct data_figures *f, struct arena *arena)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char shown[NAME + 1];
    snprintf(shown, sizeof shown, "%s", name);
    bench_print(shown, (double)f->bytes / f->seconds, "B/s");
    if (f->form == DATA_WORLD) {
        printf("  one thread\n");
        const char *threads = arena_printf(arena, "  %d thread%s", f->threads, f->threads == 1 ? "" : "s");
        bench_print(threads ? threads : "", (double)f->bytes / f->threads_s, "B/s");
        printf("  %3.0f%% of one thread, a thread\n", 100 * f->seconds / f->threads_s / f->threads);
    } else if (f->form == DATA_TOKENS) {
        printf("  %3.0f%% of copying the rows\n", 100 * f->bound_s / f->seconds);
    } else {
        printf("  %3.1f%% of reading the bytes\n", 100 * f->bound_s / f->seconds);
    }
    if (isfinite(f->tokenizing)) {
        const char *threads = arena_printf(arena, "  and tokenizing, %d thread%s", f->threads, f->threads == 1 ? "" : "s");
        bench_print(threads ? threads : "", f->tokenizing, "B/s");
        printf("  %3.0f%% of encoding alone\n", 100 * f->tokenizing / f->encoding);
    }
    if (f->had < 0.9)
        printf("  others used this machine (%.0f%% of it was left)\n", 100 * f->had);
    fflush(stdout);
}

static void put(struct json *j, const char *path, const struct data_figures *f)
{
    json_open(j, '{');
    json_key(j, "file"), json_str(j, path);
    json_key(j, "form"), json_str(j, data_form_name(f->form));
    json_key(j, "column"), json_str(j, f->column);
    json_key(j, "documents"), json_i64(j, f->documents);
    json_key(j, "bytes"), json_i64(j, f->bytes);
    json_key(j, "file_bytes"), json_i64(j, f->file_bytes);
    json_key(j, "seconds"), json_f64(j, f->seconds);
    json_key(j, "bound_seconds"), json_f64(j, f->bound_s);
    json_key(j, "threads"), json_i64(j, f->threads);
    json_key(j, "threads_seconds"), json_f64(j, f->threads_s);
    json_key(j, "tokenizing"), json_f64(j, f->tokenizing);
    json_key(j, "encoding"), json_f64(j, f->encoding);
    json_key(j, "processor_share"), json_f64(j, f->had);
    json_close(j, '}');
}

static struct error *measure(const struct call *call, struct json *j, const char *const *paths, int n)
{
    struct error *e = NULL;
    for (int i = 0; i < n && !e; i++) {
        struct data_figures f;
        e = data_probe(&f, paths[i], call->arena);
        if (!e && call->json)
            put(j, paths[i], &f);
        else if (!e)
            print(paths[i], &f, call->arena);
    }
    return e;
}

static struct error *measure_made(const struct call *call, struct json *j)
{
    char folder[] = "/tmp/retort-bench-XXXXXX";
    if (!mkdtemp(folder))
        return error_plain(ERROR_MACHINE, "cannot make a folder in /tmp");
    const char *paths[] = {world_file_shipped("town", call->arena), arena_printf(call->arena, "%s/town.jsonl", folder),
                           arena_printf(call->arena, "%s/town.h5", folder)};
    struct error *e = paths[0] && paths[1] && paths[2] ? make_files(paths[0], paths[1], paths[2], call->arena) : error_memory();
    if (!e)
        e = measure(call, j, paths, countof(paths));
    for (size_t i = 1; i < countof(paths) && paths[i]; i++)
        unlink(paths[i]);
    rmdir(folder);
    return e;
}

struct error *bench_data(struct call *call)
{
    struct json j = {0};
    struct error *e = bench_open(call, &j);
    if (e)
        return e;
    if (call->json)
        json_key(&j, "files"), json_open(&j, '[');
    e = call->n_args > 1 ? measure(call, &j, call->args + 1, call->n_args - 1) : measure_made(call, &j);
    if (e) {
        json_release(&j);
        return e;
    }
    if (!call->json)
        return NULL;
    json_close(&j, ']');
    return answer_print(&j);
}
