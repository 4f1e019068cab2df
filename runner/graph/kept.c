// kept.c - whoever reads a step says so in the graph; so no list of steps has to be written twice.
#include "runner/graph/kept.h"

#include <stdio.h>
#include <string.h>

#include "runner/graph/keys.h"
#include "runner/graph/result.h"

// "results/store/pretrain-3f9a12….h5" as of a step: KIND-KEY@STEP.h5.
static char *kept_path(struct arena *arena, const char *results, enum stage_kind_id kind, const char *key, int64_t step)
{
    char ending[40];
    snprintf(ending, sizeof ending, "@%lld.h5", (long long)step);
    return key_path(arena, results, kind, key, ending);
}

const char *kept_file(const struct plan *plan, const struct graph_input *input, struct arena *arena)
{
    const struct graph_node *node = input->node;
    if (!node->key)
        return NULL;
    return input->step >= 0 ? kept_path(arena, plan->results, node->kind, node->key, input->step)
                            : key_path(arena, plan->results, node->kind, node->key, ".h5");
}

// Whether it goes on where its input stands, step and all.
static bool goes_on(const struct graph_input *input)
{
    return !strcmp(input->role, "from") && input->node->kind == KIND_PRETRAIN;
}

static bool wants_optimizer(const struct graph_node *reader, const struct graph_input *input)
{
    bool moments = reader->kind == KIND_FINETUNE && takes_moments(reader->options);
    return goes_on(input) || (moments && !strcmp(input->role, "model"));
}

// Whether it reads more of its input than the result that every training leaves.
static bool is_special(const struct graph_node *reader, const struct graph_input *input)
{
    return input->step >= 0 || wants_optimizer(reader, input);
}

const struct graph_input *kept_begins(const struct graph_node *node, bool *optim)
{
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        if (strcmp(input->role, "from") && (strcmp(input->role, "model") || !kind_trains(node->kind)))
            continue;
        *optim = wants_optimizer(node, input);
        return input;
    }
    return NULL;
}

struct error *kept_lacks(struct kept_lacks *lacks, const struct plan *plan, const struct plan_stage *stage, struct arena *arena)
{
    *lacks = (struct kept_lacks){.first = INT64_MAX, .last = -1};
    for (int i = 0; i < plan->n_stages; i++) {
        const struct graph_node *reader = plan->stages[i].node;
        if (stage->whole && plan->selected && !plan->selected[i])
            continue;
        for (int k = 0; reader && k < reader->n_inputs && plan->stages[i].state != PLAN_CACHED; k++) {
            const struct graph_input *input = &reader->inputs[k];
            struct result r;
            if (input->node != stage->node || !stage->node->key || !is_special(reader, input))
                continue;
            const char *path = kept_file(plan, input, arena);
            struct error *e = path ? result_look(&r, path, stage->node->key, false, arena) : error_memory();
            if (e)
                return e;
            if (r.state == RESULT_WHOLE && (r.optim || !wants_optimizer(reader, input)))
                continue;
            int64_t step = input->step >= 0 ? input->step : INT64_MAX;
            if (!lacks->n++ || step < lacks->first) {
                lacks->path = path;
                lacks->optim = r.state == RESULT_WHOLE;
                lacks->reader = reader;
            }
            lacks->first = step < lacks->first ? step : lacks->first;
            lacks->last = step > lacks->last ? step : lacks->last;
        }
    }
    return NULL;
}

static struct place place_of(const struct graph_node *node, const char *field)
{
    const struct setting *setting = node->stage ? stage_setting(node->stage, field) : NULL;
    return setting && setting->at.file ? setting->at : node->stage ? node->stage->at : NOWHERE;
}

int64_t kept_count(const struct graph_node *node, int64_t updates)
{
    const int64_t *every = field_value(node->kind, node->options, "keep_every");
    const struct field_list *keep = field_value(node->kind, node->options, "keep");
    int64_t n = every && *every > 0 && updates > 0 ? (updates - 1) / *every : 0;
    for (int i = 0; keep && i < keep->n; i++)
        n += !every || *every <= 0 || keep->ints[i] % *every || keep->ints[i] == 0;
    return n;
}

int64_t kept_optimizers(const struct graph *graph, const struct graph_node *node)
{
    const char *const *choice = field_value(node->kind, node->options, "keep_optim");
    bool asked = choice && *choice && strcmp(*choice, "none") != 0, end = asked && !strcmp(*choice, "last");
    int64_t n = asked;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i]->n_inputs; k++) {
            const struct graph_input *input = &graph->nodes[i]->inputs[k];
            if (input->node != node || !wants_optimizer(graph->nodes[i], input))
                continue;
            n += input->step >= 0 || !end; // two that read one step are rare
            end |= input->step < 0;
        }
    return n;
}

struct error *kept_check(const struct plan *plan, const struct plan_stage *stage)
{
    const struct graph_node *node = stage->node;
    const struct field_list *keep = field_value(node->kind, node->options, "keep");
    for (int i = 0; keep && i < keep->n && stage->updates >= 0; i++)
        if (keep->ints[i] > stage->updates)
            return error_new(ERROR_RECIPE, place_of(node, "keep"), "keep steps that it makes",
                             "keep of stage '%s' names step %lld, behind the last of %lld", node->name, (long long)keep->ints[i],
                             (long long)stage->updates);
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        const struct plan_stage *read = is_special(node, input) ? plan_of(plan, input->node) : NULL;
        if (!read || read->updates < 0)
            continue;
        struct error *e = NULL;
        struct place there = place_of(input->node, "steps");
        int64_t begin = input->step >= 0 ? input->step : read->updates;
        if (begin > read->updates)
            e = error_new(ERROR_RECIPE, place_of(node, input->role), "name a step that it makes",
                          "stage '%s' reads step %lld of '%s', behind the last of %lld", node->name, (long long)begin,
                          input->node->name, (long long)read->updates);
        else if (goes_on(input) && stage->updates >= 0 && begin >= stage->updates)
            e = error_new(ERROR_RECIPE, place_of(node, "steps"),
                          "train longer: its horizon counts from the beginning of the other",
                          "stage '%s' goes on from step %lld of '%s', and its own last step is %lld", node->name,
                          (long long)begin, input->node->name, (long long)stage->updates);
        if (e)
            return error_while(e, there, "looking at the steps of '%s'", input->node->name);
    }
    return NULL;
}

static void add(struct job_kept *kept, int *n, int64_t step, bool optim)
{
    for (int i = 0; i < *n; i++)
        if (kept[i].step == step) {
            kept[i].optim |= optim;
            return;
        }
    kept[(*n)++] = (struct job_kept){.step = step, .optim = optim};
}

struct error *kept_for(struct job_kept **kept, int *n, const struct plan *plan, const struct plan_stage *stage,
                       struct arena *arena)
{
    size_t most = 1;
    for (int i = 0; i < plan->n_stages; i++)
        for (int k = 0; k < plan->stages[i].node->n_inputs; k++)
            most += plan->stages[i].node->inputs[k].node == stage->node;
    *n = 0;
    if (!(*kept = arena_array(arena, most, sizeof **kept)))
        return error_memory();
    for (int i = 0; i < plan->n_stages; i++)
        for (int k = 0; k < plan->stages[i].node->n_inputs; k++) {
            const struct graph_input *input = &plan->stages[i].node->inputs[k];
            const struct graph_node *reader = plan->stages[i].node;
            if (input->node == stage->node && is_special(reader, input))
                add(*kept, n, input->step, wants_optimizer(reader, input));
        }
    return NULL;
}
