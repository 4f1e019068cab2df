// plan.c - `retort plan RECIPE`: the plan as a table, or as JSON.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/sandbox/sandbox.h"
#include "runner/commands/load.h"
#include "runner/graph/downloads.h"
#include "runner/graph/total.h"
#include "runner/graph/work.h"
#include "runner/stages/error_json.h"
#include "runner/stages/hyperparameters.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"
#include "runner/view/reasons.h"

enum { PLAN_WIDTH = 80, PLAN_COLUMNS = 9 };

static void put_real(struct json *j, const char *key, double value)
{
    json_key(j, key), json_f64(j, value);
}

static void put_mixture(struct json *j, const struct plan_stage *s)
{
    json_key(j, "mixture");
    json_open(j, '[');
    for (int i = 0; i < s->n_shares; i++) {
        const struct plan_share *share = &s->shares[i];
        json_open(j, '{');
        json_key(j, "task"), json_str(j, share->task);
        json_key(j, "split"), json_str(j, share->split);
        json_key(j, "rows"), json_count(j, share->rows);
        json_key(j, "tokens"), json_count(j, share->tokens);
        put_real(j, "share", share->share);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_texts(struct json *j, const struct plan_stage *s)
{
    json_key(j, "texts");
    json_open(j, '[');
    for (int i = 0; i < s->n_texts; i++) {
        const struct plan_text *text = &s->texts[i];
        json_open(j, '{');
        json_key(j, "source"), json_str(j, text->source);
        put_real(j, "share", text->share);
        json_key(j, "rows"), json_count(j, text->rows);
        json_key(j, "tokens"), json_count(j, text->tokens);
        put_real(j, "epochs", text->epochs);
        put_real(j, "dropped", text->dropped);
        json_close(j, '}');
    }
    json_close(j, ']');
}

// Names of the tasks of suites whose data is not there.
static void put_left_out(struct json *j, const struct graph_node *node)
{
    const struct eval_options *o = node->options;
    json_key(j, "left_out");
    json_open(j, '[');
    for (int i = 0; i < o->tasks.n; i++)
        if (graph_left_out(node, &o->tasks.uses[i]))
            json_str(j, o->tasks.uses[i].task->name);
    json_close(j, ']');
}

// What this machine has not, and the stage needs.
static void put_lacks(struct json *j, const struct plan_stage *s)
{
    struct error *e = s->state != PLAN_CACHED && graph_python(s->node) ? sandbox_find() : NULL;
    if (e) {
        json_key(j, "lacks");
        json_open(j, '['), json_str(j, "python3"), json_close(j, ']');
    }
    error_free(e);
}

static void put_stage(struct json *j, const struct plan_stage *s)
{
    bool files = s->state != PLAN_CACHED && s->bytes_checkpoints > 0 && s->bytes_disk >= 0;
    json_key(j, "params"), json_count(j, s->params);
    json_key(j, "tokens"), json_count(j, s->tokens);
    if (s->node->kind == KIND_PRETRAIN) {
        json_key(j, "scaling_params"), json_count(j, s->scaling_params);
        json_key(j, "batch_tokens"), json_count(j, s->batch_tokens);
        json_key(j, "steps"), json_count(j, s->steps);
        put_real(j, "flops_per_token", s->flops_per_token);
    }
    if (s->node->kind == KIND_FINETUNE || s->node->kind == KIND_GRPO) {
        json_key(j, "rows"), json_count(j, s->training_rows);
        json_key(j, "steps"), json_count(j, s->updates);
    }
    put_real(j, "flops", s->flops);
    put_real(j, "flops_counted", s->flops_counted);
    json_key(j, "bytes_device"), json_count(j, s->bytes_device);
    json_key(j, "bytes_disk"), json_count(j, files ? s->bytes_disk + s->bytes_checkpoints : s->bytes_disk);
    put_real(j, "seconds", s->seconds);
    put_real(j, "seconds_most", s->seconds_most);
    put_real(j, "usd", s->usd);
    if (s->too_large)
        json_key(j, "device_batch_fits"), json_i64(j, s->device_batch_fits);
    if (s->node->kind == KIND_ROWS)
        json_key(j, "rows"), json_count(j, s->rows), put_real(j, "dropped", s->dropped);
    if (s->n_shares)
        put_mixture(j, s);
    if (s->n_texts)
        put_texts(j, s);
    if (s->node->kind == KIND_EVAL)
        put_left_out(j, s->node);
    put_lacks(j, s);
}

static void put_hardware(struct json *j, const struct plan *plan)
{
    const struct work_setting *w = plan->work;
    json_key(j, "hardware");
    json_open(j, '{');
    json_key(j, "device"), json_str(j, w->hardware->name);
    json_key(j, "count"), json_i64(j, w->n_devices);
    json_key(j, "bytes"), json_count(j, w->memory_bytes > 0 ? (int64_t)w->memory_bytes : -1);
    json_key(j, "measured"), json_bool(j, w->measured != NULL);
    json_close(j, '}');
}

static struct error *print_json(const struct call *call, const struct plan *plan)
{
    struct json j;
    struct plan_total t = plan_total(plan);
    answer_open(&j, call, NULL);
    json_key(&j, "recipe"), json_str(&j, plan->graph->recipe->path);
    json_key(&j, "name"), json_str(&j, plan->graph->recipe->name);
    put_hardware(&j, plan);
    json_key(&j, "stages");
    json_open(&j, '[');
    for (int i = 0; i < plan->n_stages; i++) {
        struct error *e = stage_to_json(&j, &plan->stages[i], call->arena);
        if (e)
            return e;
        put_stage(&j, &plan->stages[i]);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_key(&j, "total");
    json_open(&j, '{');
    json_key(&j, "stages"), json_count(&j, plan->n_stages);
    json_key(&j, "cached"), json_count(&j, plan->n_cached);
    json_key(&j, "tokens"), json_count(&j, t.tokens);
    put_real(&j, "flops", t.flops);
    json_key(&j, "bytes_device"), json_count(&j, t.bytes_device > 0 ? t.bytes_device : -1);
    json_key(&j, "bytes_disk"), json_count(&j, t.bytes_disk + t.bytes_checkpoints);
    put_real(&j, "seconds", t.seconds > 0 ? t.seconds : NAN);
    put_real(&j, "usd", t.usd > 0 ? t.usd : NAN);
    put_real(&j, "seconds_to_run", t.to_come_s > 0 || t.n_unknown == 0 ? t.to_come_s : NAN);
    json_key(&j, "unknown"), json_i64(&j, t.n_unknown);
    json_close(&j, '}');
    return answer_print(&j);
}

// "mmlu.auxiliary_train x2", as the values of mixtures are written elsewhere.
static const char *share_name(const struct plan_share *share, struct arena *arena)
{
    char passes[FORMAT_TEXT + 4] = "";
    bool train = !strcmp(share->split, "train");
    if (isfinite(share->passes) && share->passes != 1)
        snprintf(passes, sizeof passes, " x%.4g", share->passes);
    return arena_printf(arena, "  %s%s%s%s", share->task, train ? "" : ".", train ? "" : share->split, passes);
}

// "14.9k rows, 31%": how much it is, and how much of the mixture.
static const char *share_text(const struct plan_share *share, struct arena *arena)
{
    char rows[FORMAT_TEXT + 8] = "", part[FORMAT_TEXT] = "", a[FORMAT_TEXT];
    if (share->rows >= 0)
        snprintf(rows, sizeof rows, "%s row%s", format_count(a, share->rows), share->rows == 1 ? "" : "s");
    if (isfinite(share->share))
        snprintf(part, sizeof part, "%s%.*f%%", rows[0] ? ", " : "", share->share < 0.0995, 100 * share->share);
    return arena_printf(arena, "%s%s", rows, part);
}

// The mixture of a stage, a line an entry.
static bool add_shares(struct grid *grid, const struct plan_stage *s, struct arena *arena)
{
    for (int i = 0; i < s->n_shares; i++) {
        char a[FORMAT_TEXT];
        const struct plan_share *share = &s->shares[i];
        const char *name = share_name(share, arena), *text = share_text(share, arena);
        const char *tokens = arena_strdup(arena, format_count(a, share->tokens));
        if (!name || !text || !tokens)
            return false;
        const char *const cells[PLAN_COLUMNS] = {[0] = name, [2] = text, [4] = tokens};
        grid_add(grid, cells);
    }
    return true;
}

// The texts of a pretraining, a line each: "town x3.2" is read 3.2 times. One alone that is not read to its end needs no line.
static bool add_texts(struct grid *grid, const struct plan_stage *s, struct arena *arena)
{
    for (int i = 0; i < s->n_texts && (s->n_texts > 1 || s->texts[i].epochs > 1); i++) {
        const struct plan_text *text = &s->texts[i];
        char a[FORMAT_TEXT], epochs[FORMAT_TEXT + 4] = "";
        if (isfinite(text->epochs))
            snprintf(epochs, sizeof epochs, " x%.*f", text->epochs < 0.995 ? 2 : text->epochs < 99.95, text->epochs);
        int64_t tokens = text->rows < 0 ? -1 : text->rows * ((const struct pretrain_options *)s->node->options)->seq_len;
        const char *name = arena_printf(arena, "  %s%s", text->source, epochs);
        const char *share = arena_printf(arena, "%.*f%%", text->share < 0.0995, 100 * text->share);
        const char *count = arena_strdup(arena, format_count(a, tokens));
        if (!name || !share || !count)
            return false;
        const char *const cells[PLAN_COLUMNS] = {[0] = name, [2] = share, [4] = count};
        grid_add(grid, cells);
    }
    return true;
}

// What a training begins with.
static bool add_begins(struct grid *grid, const struct plan_stage *s, struct arena *arena)
{
    const char *what, *with = s->state == PLAN_CACHED ? NULL : begins_with(s->node, &what, arena);
    if (!with)
        return true;
    const char *name = arena_printf(arena, "  from %s", with);
    const char *const cells[PLAN_COLUMNS] = {[0] = name, [2] = what};
    if (name)
        grid_add(grid, cells);
    return name != NULL;
}

// What a plan of rows makes of its text.
static bool add_rows(struct grid *grid, const struct plan_stage *s, struct arena *arena)
{
    char a[FORMAT_TEXT];
    if (s->rows < 0)
        return true;
    const char *name = arena_printf(arena, "  %s row%s", format_count(a, s->rows), s->rows == 1 ? "" : "s");
    const char *text = arena_printf(arena, "%.1f%% dropped", 100 * s->dropped);
    if (!name || !text)
        return false;
    const char *const cells[PLAN_COLUMNS] = {[0] = name, [2] = text};
    grid_add(grid, cells);
    return true;
}

// How long: what is known, else "<2h10m", a bound.
static const char *time_text(const struct plan_stage *s, struct arena *arena)
{
    char a[FORMAT_TEXT];
    if (isfinite(s->seconds) || !isfinite(s->seconds_most))
        return arena_strdup(arena, format_seconds(a, s->seconds));
    return arena_printf(arena, "<%s", format_seconds(a, s->seconds_most));
}

// Bytes without a blank, for a narrow column.
static const char *memory_text(const struct plan_stage *s, struct arena *arena)
{
    char a[FORMAT_TEXT];
    format_bytes(a, s->bytes_device);
    char *blank = strchr(a, ' ');
    if (blank)
        memmove(blank, blank + 1, strlen(blank));
    return arena_printf(arena, "%s%s", a, s->too_large ? "!" : "");
}

static bool add_stage(struct grid *grid, const struct plan_stage *s, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT];
    const char *const cells[PLAN_COLUMNS] = {s->node->name,
                                             plan_state_name(s->state),
                                             reasons_short(s, arena),
                                             arena_strdup(arena, format_count(a, s->params)),
                                             arena_strdup(arena, format_count(b, s->tokens)),
                                             arena_strdup(arena, format_big(c, s->flops)),
                                             memory_text(s, arena),
                                             time_text(s, arena),
                                             arena_strdup(arena, format_usd(d, s->usd))};
    for (size_t k = 0; k < countof(cells); k++)
        if (!cells[k])
            return false;
    grid_add(grid, cells);
    return add_rows(grid, s, arena) && add_begins(grid, s, arena) && add_shares(grid, s, arena) && add_texts(grid, s, arena);
}

// A column in which nothing is known is left out.
static void drop_empty(struct grid *grid, struct column *columns)
{
    int n = 0;
    for (int c = 0; c < grid->n_columns; c++) {
        bool empty = c > 2;
        for (int r = 0; r < grid->n_rows && empty; r++) {
            const char *cell = grid->cells[r * PLAN_COLUMNS + c];
            empty = !cell || !strcmp(cell, "-");
        }
        if (empty)
            continue;
        columns[n] = columns[c];
        for (int r = 0; r < grid->n_rows; r++)
            grid->cells[r * PLAN_COLUMNS + n] = grid->cells[r * PLAN_COLUMNS + c];
        n++;
    }
    for (int r = 0; r < grid->n_rows; r++)
        memmove(grid->cells + r * n, grid->cells + r * PLAN_COLUMNS, (size_t)n * sizeof *grid->cells);
    grid->n_columns = n;
}

// What does not fit into the memory of the device, and what would.
static void print_too_large(const struct plan *plan)
{
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        char a[FORMAT_TEXT], b[FORMAT_TEXT];
        if (!s->too_large || s->state == PLAN_CACHED)
            continue;
        printf("! %s takes %s of the %s of %s: ", s->node->name, format_bytes(a, s->bytes_device),
               format_bytes(b, (int64_t)plan->work->memory_bytes),
               hardware_is_here(plan->work->hardware) ? "this machine" : plan->work->hardware->name);
        if (s->device_batch_fits)
            printf("device_batch: %lld fits\n", (long long)s->device_batch_fits);
        else
            printf("no device_batch makes it fit\n");
    }
}

// Texts of which packing leaves little: documents that are long beside a row.
static void print_dropped(const struct plan *plan)
{
    static const double MUCH = 0.6;
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        if (s->dropped > MUCH)
            printf("! %s drops %.0f%% of the tokens, for many documents are longer than a row: `packing: flat`\n"
                   "  keeps them, a larger seq_len keeps more\n",
                   s->node->name, 100 * s->dropped);
    }
}

// Once: the first stage to run whose bfloat16 products this processor has no instruction for.
static void print_emulated(const struct plan *plan)
{
    const struct graph_node *first = NULL;
    for (int i = 0; i < plan->n_stages && !first; i++) {
        const struct graph_node *node = plan->stages[i].node;
        const struct setting *s = node->stage ? stage_setting(node->stage, "precision") : NULL;
        const char *precision = s ? *(const char *const *)((const char *)node->options + s->field->offset) : NULL;
        if (plan->stages[i].state != PLAN_CACHED && precision_of(precision) == PRECISION_BF16)
            first = node;
    }
    if (first && hardware_is_here(plan->work->hardware) && machine_emulates_bf16())
        printf("! %s computes in bf16, which this processor has no instruction for: the same numbers, no faster than f32\n",
               first->name);
}

static void print_times(const struct plan *plan, const struct plan_total *t)
{
    const struct work_setting *w = plan->work;
    const struct hardware *h = w->hardware;
    double budget = plan->graph->recipe->budget_usd;
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    if (t->to_come_s > 0) {
        printf("to come: %s%s", t->n_unknown ? "at least " : "", format_seconds(a, t->to_come_s));
        if (t->to_come_usd > 0)
            printf(", %s", format_usd(a, t->to_come_usd));
        if (!hardware_is_here(h))
            printf(" on %lld %s, if %.0f%% of its peak is reached", (long long)w->n_devices, h->name, 100 * h->mfu);
        putchar('\n');
    } else if (hardware_is_here(h) && !w->measured) {
        printf("time is not known: `retort bench machine` measures this machine once\n");
    }
    if (w->measured && w->measured->had < 0.9)
        printf("this machine was measured while others used it: `retort bench machine` again when it is idle\n");
    if (t->usd > budget)
        printf("over the budget: %s%s of %s\n", t->n_unknown ? "at least " : "", format_usd(a, t->usd), format_usd(b, budget));
}

static void print_not_fetched(const struct plan *plan, struct arena *arena)
{
    int n;
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        const struct graph_part *part = s->state == PLAN_CACHED ? NULL : plan_lacks(s, &n);
        const char *command = part && part->url ? downloads_command(plan->graph->recipe, arena) : NULL;
        if (!command)
            continue;
        printf("files are not fetched yet: `%s` fetches them\n", command);
        return;
    }
}

bool left_out_print(const struct plan *plan, const bool *selected, struct arena *arena)
{
    for (int i = 0; i < plan->n_stages; i++) {
        const struct graph_node *node = plan->stages[i].node;
        bool runs = plan->stages[i].state != PLAN_CACHED && (!selected || selected[i]);
        const struct eval_options *o = node->kind == KIND_EVAL && runs ? node->options : NULL;
        const char *names = "", *suite = "";
        int n = 0;
        for (int k = 0; o && k < o->tasks.n && names; k++)
            if (graph_left_out(node, &o->tasks.uses[k])) {
                names = arena_printf(arena, "%s%s%s", names, n++ ? ", " : "", o->tasks.uses[k].task->name);
                suite = o->tasks.uses[k].suite->path;
            }
        const char *text =
            names ? arena_printf(arena,
                                 "! %s is asked without %d task%s whose data is not there: %s. Its score is not that "
                                 "of the whole suite; %s says where the data is to be had.",
                                 node->name, n, n == 1 ? "" : "s", names, suite)
                  : NULL;
        if (!text)
            return false;
        if (n)
            text_wrap(stdout, "", text, PLAN_WIDTH);
    }
    return true;
}

// Of the first.
bool python_print(const struct graph *graph, const struct plan *plan, struct arena *arena)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct task_file *task = graph_python(graph->nodes[i]);
        if (!task || (plan && plan->stages[i].state == PLAN_CACHED))
            continue;
        struct error *e = sandbox_find();
        const char *text = e ? arena_printf(arena, "! %s grades '%s' by running Python, and %s: %s", graph->nodes[i]->name,
                                            task->name, e->what, e->fix)
                             : "";
        if (e && text)
            text_wrap(stdout, "", text, PLAN_WIDTH);
        error_free(e);
        return text != NULL;
    }
    return true;
}

static void print_device(const struct plan *plan)
{
    const struct hardware *h = plan->work->hardware;
    if (!hardware_is_here(h))
        printf("! computing on %s is not built in this version: `run` ends with status 4\n", h->name);
}

static struct error *print_table(const struct call *call, const struct plan *plan)
{
    struct column columns[PLAN_COLUMNS] = {{"stage", false, false}, {"state", false, false}, {"why", false, true},
                                           {"params", true, false}, {"tokens", true, false}, {"FLOPs", true, false},
                                           {"memory", true, false}, {"time", true, false},   {"$", true, false}};
    struct grid grid;
    grid_init(&grid, columns, PLAN_COLUMNS, call->arena);
    for (int i = 0; i < plan->n_stages; i++)
        if (!add_stage(&grid, &plan->stages[i], call->arena))
            return error_memory();
    if (grid.failed)
        return error_memory();
    drop_empty(&grid, columns);
    grid_print(&grid, stdout, PLAN_WIDTH);
    int n_run = plan->n_stages - plan->n_cached;
    struct plan_total total = plan_total(plan);
    if (!n_run) {
        printf("\nnothing to do: all %d stages are cached\n", plan->n_stages);
        return NULL;
    }
    printf("\n%d of %d stages to run; `-` is not known before it has run once\n", n_run, plan->n_stages);
    print_not_fetched(plan, call->arena);
    if (!left_out_print(plan, NULL, call->arena) || !python_print(plan->graph, plan, call->arena))
        return error_memory();
    print_device(plan);
    print_too_large(plan);
    print_dropped(plan);
    print_emulated(plan);
    print_times(plan, &total);
    return NULL;
}

static struct error *print_resolved(const struct call *call, const struct recipe *recipe)
{
    struct json j;
    if (!call->json)
        return resolved_print(recipe, call->arena);
    answer_open(&j, call, NULL);
    struct error *e = resolved_json(recipe, &j, call->arena);
    if (!e)
        return answer_print(&j);
    json_release(&j);
    return e;
}

struct error *command_plan(struct call *call)
{
    struct loaded l;
    struct error *e = load_plan(&l, call, call->args[0]);
    if (e)
        return e;
    if (call->resolved)
        return print_resolved(call, &l.recipe);
    return call->json ? print_json(call, &l.plan) : print_table(call, &l.plan);
}
