// stage_job.c - inputs by role, in the order of the graph; of token stages only the parts whose files are not there.
#include "runner/graph/stage_job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/graph/kept.h"
#include "runner/graph/keys.h"
#include "runner/graph/machine.h"
#include "runner/graph/work.h"
#include "runner/stages/hyperparameters.h"

// The files that an input gives under its role.
static struct error *fill_input(struct job_input *to, const struct plan *plan, const struct graph_input *from,
                                struct arena *arena)
{
    const struct plan_stage *s = plan_of(plan, from->node);
    const char **paths = arena_array(arena, (size_t)from->node->n_parts + 1, sizeof *paths);
    if (!paths)
        return error_memory();
    *to = (struct job_input){.role = from->role, .paths = paths};
    if (from->node->kind != KIND_TOKENS && !(paths[to->n_paths++] = from->step >= 0 ? kept_file(plan, from, arena) : s->out))
        return error_memory();
    for (int i = 0; i < from->node->n_parts && from->node->kind == KIND_TOKENS; i++)
        if (from->node->parts[i].validation == !strcmp(from->role, "validation"))
            paths[to->n_paths++] = s->part_out[i];
    return NULL;
}

static struct error *fill_mixed(struct job_mixed *to, const struct plan *plan, const struct graph_input *from,
                                struct arena *arena)
{
    struct job_input input;
    struct error *e = fill_input(&input, plan, from, arena);
    if (!e)
        *to = (struct job_mixed){
            .source = from->share->source->name, .share = from->share->share, .paths = input.paths, .n_paths = input.n_paths};
    return e;
}

static bool is_task(const struct graph_input *input)
{
    return input->use || !strcmp(input->role, "test");
}

static struct error *fill_task(struct job_task *to, const struct plan *plan, const struct graph_input *from, struct arena *arena)
{
    const struct graph_node *node = from->node;
    struct job_input input;
    struct error *e = fill_input(&input, plan, from, arena);
    bool by_rows = from->use && from->use->rows != FIELD_UNSET_INT;
    if (!e)
        *to = (struct job_task){.role = from->role,
                                .name = node->task->name,
                                .split = node->split->name,
                                .suite = from->use && from->use->suite ? from->use->suite->name : NULL,
                                .epochs = by_rows     ? NAN
                                          : from->use ? from->use->epochs
                                                      : 1,
                                .rows = by_rows ? from->use->rows : -1,
                                .grader = node->task->task.grader,
                                .baseline = node->task->task.baseline,
                                .paths = input.paths,
                                .n_paths = input.n_paths};
    return e;
}

// The suites of an evaluation, each once, and what is left out of them.
static struct error *fill_suites(struct job *job, const struct graph_node *node, struct arena *arena)
{
    const struct eval_options *o = node->kind == KIND_EVAL ? node->options : NULL;
    job->suites = arena_array(arena, (size_t)(o ? o->tasks.n : 0) + 1, sizeof *job->suites);
    if (!job->suites)
        return error_memory();
    for (int i = 0; o && i < o->tasks.n; i++) {
        const struct suite_file *suite = o->tasks.uses[i].suite;
        if (!suite)
            continue;
        struct job_suite *to = job->suites;
        while (to < job->suites + job->n_suites && strcmp(to->name, suite->name))
            to++;
        if (to == job->suites + job->n_suites) {
            job->n_suites++;
            *to = (struct job_suite){.name = suite->name, .title = suite->title, .n_all = suite->n_tasks, .missing = ""};
        }
        if (graph_left_out(node, &o->tasks.uses[i]))
            to->missing = arena_printf(arena, "%s%s%s", to->missing, *to->missing ? " " : "", o->tasks.uses[i].task->name);
        if (!to->missing)
            return error_memory();
    }
    return NULL;
}

// Of each field that somebody set, and of the stage itself.
static struct error *fill_places(struct job *job, const struct recipe_stage *stage, struct arena *arena)
{
    job->places = arena_array(arena, (size_t)(stage ? stage->n_settings : 0) + 1, sizeof *job->places);
    if (!job->places)
        return error_memory();
    if (stage && stage->at.file)
        job->places[job->n_places++] = (struct job_place){.field = "", .at = stage->at};
    for (int i = 0; stage && i < stage->n_settings; i++)
        if (stage->settings[i].at.file)
            job->places[job->n_places++] =
                (struct job_place){.field = stage->settings[i].field->name, .at = stage->settings[i].at};
    return NULL;
}

// NaN where the machine was not measured, or the stage has no precision.
static double peak_of(const struct plan *plan, const struct graph_node *node)
{
    const struct machine *m = plan->work ? plan->work->measured : NULL;
    if (!m || !field_find(node->kind, "precision"))
        return NAN;
    double peak = stage_precision(node->kind, node->options) == PRECISION_BF16 ? m->peak_bf16 : m->peak;
    return peak > 0 ? peak : NAN;
}

const char *stage_lock_path(const struct plan *plan, const struct graph_node *node, struct arena *arena)
{
    const struct graph_node *tokenizer = node->kind == KIND_TOKENS ? graph_input(node, "tokenizer") : NULL;
    return key_path(arena, plan->results, node->kind, tokenizer ? tokenizer->key : node->key, ".lock");
}

static int by_file(const void *a, const void *b)
{
    const struct job_part *x = *(const struct job_part *const *)a, *y = *(const struct job_part *const *)b;
    int order = strcmp(x->out, y->out);
    return order ? order : (x > y) - (x < y);
}

// Files of the same content have one token file, which the first of them makes.
static struct error *make_each_once(struct job *job)
{
    struct arena scratch = {0};
    int n = 0;
    const struct job_part **sorted = arena_array(&scratch, (size_t)job->n_parts + 1, sizeof *sorted);
    bool *is_again = arena_array(&scratch, (size_t)job->n_parts + 1, sizeof *is_again);
    struct error *e = sorted && is_again ? NULL : error_memory();
    for (int i = 0; i < job->n_parts && !e; i++)
        sorted[i] = &job->parts[i];
    if (!e && job->n_parts)
        qsort(sorted, (size_t)job->n_parts, sizeof *sorted, by_file);
    for (int i = 1; i < job->n_parts && !e; i++)
        is_again[sorted[i] - job->parts] = !strcmp(sorted[i]->out, sorted[i - 1]->out);
    for (int i = 0; i < job->n_parts && !e; i++)
        if (!is_again[i])
            job->parts[n++] = job->parts[i];
    if (!e)
        job->n_parts = n;
    arena_release(&scratch);
    return e;
}

struct error *stage_job(struct job *job, const struct plan *plan, const struct plan_stage *s, struct arena *arena)
{
    const struct graph_node *node = s->node;
    *job = (struct job){.name = node->name,
                        .kind = node->kind,
                        .key = node->key,
                        .payload = node->payload,
                        .options = node->options,
                        .results = plan->results,
                        .out = s->out,
                        .lock = stage_lock_path(plan, node, arena),
                        .inputs = arena_array(arena, (size_t)node->n_inputs + 1, sizeof *job->inputs),
                        .parts = arena_array(arena, (size_t)node->n_parts + 1, sizeof *job->parts),
                        .tasks = arena_array(arena, (size_t)node->n_inputs + 1, sizeof *job->tasks),
                        .mix = arena_array(arena, (size_t)node->n_inputs + 1, sizeof *job->mix),
                        .until = s->until,
                        .trunk = s->trunk,
                        .from_start = s->from_start,
                        .again = s->whole,
                        .usd_per_hour = plan->graph->recipe->usd_per_hour,
                        .peak_flops = peak_of(plan, node),
                        .runner = getpid()};
    if (!job->inputs || !job->parts || !job->tasks || !job->mix || !job->lock)
        return error_memory();
    struct error *unfilled = fill_places(job, node->stage, arena);
    if (!unfilled)
        unfilled = fill_suites(job, node, arena);
    if (!unfilled)
        unfilled = kept_for(&job->kept, &job->n_kept, plan, s, arena);
    if (unfilled)
        return unfilled;
    int n_planned = 0; // texts of the mix
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        if (!strcmp(input->role, "mix_rows")) { // in the order of "mix", and behind it
            job->mix[n_planned++].rows = plan_of(plan, input->node)->out;
            continue;
        }
        struct error *e = is_task(input) ? fill_task(&job->tasks[job->n_tasks++], plan, input, arena)
                          : input->share ? fill_mixed(&job->mix[job->n_mix++], plan, input, arena)
                                         : fill_input(&job->inputs[job->n_inputs++], plan, input, arena);
        if (e)
            return e;
    }
    for (int i = 0; i < node->n_parts; i++) {
        const struct graph_part *part = &node->parts[i];
        const struct mixture_use *use = part->use;
        if (part->left_out || (node->kind == KIND_TOKENS && (!part->wanted || s->part_done[i])))
            continue;
        job->parts[job->n_parts++] = (struct job_part){.part = part->part,
                                                       .identity = part->identity,
                                                       .key = part->key,
                                                       .payload = part->payload,
                                                       .task = node->task ? &node->task->task
                                                               : use      ? &use->task->task
                                                                          : NULL,
                                                       .split = node->task ? node->split->name
                                                                : use      ? use->split->name
                                                                           : NULL,
                                                       .suite = use && use->suite ? use->suite->name : NULL,
                                                       .out = s->part_out ? s->part_out[i] : NULL};
    }
    return node->kind == KIND_TOKENS && node->key ? make_each_once(job) : NULL;
}
