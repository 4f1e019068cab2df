// downloads.c - parts of nodes, each file once: a tokenizer and the token stages of one source read the same files.
#include "runner/graph/downloads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/store/atomic.h"
#include "runner/recipe/address.h"

bool downloads_any(const struct graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i]->n_parts; k++)
            if (graph->nodes[i]->parts[k].url || address_is(graph->nodes[i]->parts[k].part.path))
                return true;
    return false;
}

struct error *downloads_locate(struct graph *graph, const char *results)
{
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i]->n_parts; k++) {
            struct graph_part *part = &graph->nodes[i]->parts[k];
            if (part->url || !address_is(part->part.path))
                continue;
            part->url = part->part.path;
            if (!(part->part.path = address_file(graph->arena, results, part->url)))
                return error_memory();
        }
    return NULL;
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) ? -1 : (int64_t)st.st_size;
}

struct error *download_check(const char *url, const char *path, const struct pin *pin, struct identities *ids,
                             char sha256[SHA256_HEX])
{
    int64_t bytes = size_of(path);
    char fix[1200];
    snprintf(fix, sizeof fix, "remove '%.1000s', and `retort data` fetches it again", path);
    if (pin && pin->bytes >= 0 && bytes != pin->bytes)
        return error_new(ERROR_DATA, pin->at, fix, "'%s' is not what was fetched from '%s': it has %lld bytes, not %lld", path,
                         url, (long long)bytes, (long long)pin->bytes);
    struct error *e = identities_get(ids, path, sha256);
    if (!e && pin && strcmp(sha256, pin->sha256))
        e = error_new(ERROR_DATA, pin->at, fix, "'%s' is not what was fetched from '%s': its SHA-256 is %.16s..., not %.16s...",
                      path, url, sha256, pin->sha256);
    return e;
}

static const struct task_file *task_of(const struct graph_node *node, const struct mixture_use *use)
{
    return use ? use->task : node->task;
}

// use: of an evaluation the task that is asked as text, or NULL.
static const char *name_of(const struct graph_node *node, const struct mixture_use *use, struct arena *arena)
{
    const struct task_split *split = use ? use->split : node->split;
    return task_of(node, use) ? arena_printf(arena, "%s.%s", task_of(node, use)->shown, split->name)
           : node->source     ? node->source->name
                              : "";
}

// Whether the user's word names it: a source, a task or one split of it.
static bool is_named(const struct graph_node *node, const struct mixture_use *use, const char *name, const char *only)
{
    const struct task_file *task = task_of(node, use);
    return !only || !strcmp(name, only) || (task && (!strcmp(task->shown, only) || !strcmp(task->name, only)));
}

// Whether a task lacks data that has no address. lacking: of the node's parts.
static bool lacks_data(const struct graph_node *node, const struct mixture_use *use, const bool *lacking)
{
    bool lacks = false;
    for (int i = 0; i < node->n_parts; i++)
        lacks |= node->parts[i].use == use && lacking[i];
    return lacks;
}

// As keys_make leaves tasks out of a suite: where another of it has its data.
static bool is_left_out(const struct graph_node *node, const struct mixture_use *use, const bool *lacking)
{
    const struct eval_options *o = node->kind == KIND_EVAL ? node->options : NULL;
    bool others = false;
    for (int i = 0; o && use && use->suite && i < o->tasks.n; i++)
        others |= o->tasks.uses[i].suite == use->suite && !lacks_data(node, &o->tasks.uses[i], lacking);
    return others && lacks_data(node, use, lacking);
}

static struct error *look(struct download *file, struct identities *ids)
{
    file->bytes = size_of(file->path);
    file->state = file->bytes < 0 ? FILE_MISSING : FILE_THERE;
    if (file->state == FILE_MISSING && file->pin)
        file->bytes = file->pin->bytes;
    if (file->state == FILE_MISSING || !file->url)
        return NULL;
    struct error *e = download_check(file->url, file->path, file->pin, ids, file->sha256);
    if (e && e->kind == ERROR_DATA) {
        file->state = FILE_CHANGED;
        file->error = e;
        return NULL;
    }
    return e;
}

static int by_path(const void *a, const void *b)
{
    const struct download *x = *(const struct download *const *)a, *y = *(const struct download *const *)b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x > y) - (x < y);
}

// Keeps the first of each path, in order; it is left out where all are.
static struct error *keep_first(struct downloads *list, struct arena *arena)
{
    struct download **sorted = arena_array(arena, (size_t)list->n + 1, sizeof *sorted);
    int n = 0;
    if (!sorted)
        return error_memory();
    for (int i = 0; i < list->n; i++)
        sorted[i] = &list->all[i];
    qsort(sorted, (size_t)list->n, sizeof *sorted, by_path);
    for (int i = 1, first = 0; i < list->n; i++) {
        if (strcmp(sorted[i]->path, sorted[first]->path)) {
            first = i;
            continue;
        }
        sorted[i]->name = NULL;
        sorted[first]->left_out &= sorted[i]->left_out;
    }
    for (int i = 0; i < list->n; i++)
        if (list->all[i].name)
            list->all[n++] = list->all[i];
    list->n = n;
    return NULL;
}

static bool is_read(const struct graph_node *node, int i_part)
{
    return node->kind != KIND_TOKENS || node->parts[i_part].wanted;
}

static struct error *add_parts(struct downloads *list, const struct graph_node *node, const char *only, struct arena *arena)
{
    bool *lacking = arena_array(arena, (size_t)node->n_parts + 1, sizeof *lacking), left_out = false;
    const char *name = NULL; // one for all files of a task
    if (!lacking)
        return error_memory();
    for (int k = 0; k < node->n_parts; k++)
        lacking[k] = node->parts[k].use && !node->parts[k].url && size_of(node->parts[k].part.path) < 0;
    for (int k = 0; k < node->n_parts; k++) {
        const struct graph_part *part = &node->parts[k];
        if (k == 0 || part->use != part[-1].use) {
            name = name_of(node, part->use, arena);
            left_out = is_left_out(node, part->use, lacking);
        }
        if (!name)
            return error_memory();
        if (is_read(node, k) && is_named(node, part->use, name, only))
            list->all[list->n++] = (struct download){.name = name,
                                                     .left_out = left_out && lacking[k],
                                                     .url = part->url,
                                                     .path = part->part.path,
                                                     .suite = part->use && part->use->suite ? part->use->suite->path : NULL,
                                                     .form = part->part.form};
    }
    return NULL;
}

struct error *downloads_list(struct downloads *list, const struct graph *graph, const struct pins *pins, const char *only,
                             struct identities *ids, struct arena *arena)
{
    int most = 0;
    *list = (struct downloads){0};
    for (int i = 0; i < graph->n_nodes; i++)
        most += graph->nodes[i]->n_parts;
    list->all = arena_array(arena, (size_t)most + 1, sizeof *list->all);
    if (!list->all)
        return error_memory();
    struct error *e = NULL;
    for (int i = 0; i < graph->n_nodes && !e; i++)
        e = add_parts(list, graph->nodes[i], only, arena);
    if (!e)
        e = keep_first(list, arena);
    for (int i = 0; i < list->n && !e; i++) {
        struct download *file = &list->all[i];
        file->pin = file->url ? pins_find(pins, file->url) : NULL;
        e = look(file, ids);
    }
    return e;
}

const char *downloads_command(const struct recipe *recipe, struct arena *arena)
{
    for (int i = 0; i < recipe->n_values; i++)
        if (!strcmp(recipe->values[i].name, "data") && recipe->values[i].by == BY_SETTING)
            return arena_printf(arena, "retort data %s -s data=%s", recipe->path, recipe->values[i].text);
    return arena_printf(arena, "retort data %s", recipe->path);
}

void downloads_release(struct downloads *list)
{
    for (int i = 0; i < list->n; i++) {
        error_free(list->all[i].error);
        list->all[i].error = NULL;
    }
}
