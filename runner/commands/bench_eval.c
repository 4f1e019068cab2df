// bench_eval.c - `retort bench eval [RECIPE [STAGE]]`: how fast questions that are asked as text are scored, beside one forward pass of
// each prompt by itself, on made-up tokens.
//
// Both ways take turns until each has gone on for ENOUGH_S; the best round of each is told, for others who use the machine make it
// slower and never faster. What they say of the questions is compared, too.
#include "runner/commands/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/philox.h"
#include "core/base/stop.h"
#include "core/eval/scorer.h"
#include "runner/commands/load.h"
#include "runner/graph/estimate.h"
#include "runner/stages/hyperparameters.h"

enum { QUESTIONS = 16, PROMPTS = 4, SLOTS = 8, ROUNDS_MOST = 64, PEAK_MS = 200 };
static const double ENOUGH_S = 1.5;

// A form of questions: what its prompts share, and what each has of its own.
static const struct form {
    const char *name;
    int shared, own, n_prompts, scored; // scored: tokens at the end
} forms[] = {{"letters of 4, 10 shots", 500, 1, 4, 1},
             {"endings of 4, 10 shots", 400, 16, 4, 16},
             {"2 beginnings, no shots", 8, 24, 2, 12},
             {"an answer, 10 shots", 400, 4, 1, 4}};

struct measured {
    double examples_s, plain_s; // examples a second; one forward pass a prompt
    double tokens_s, share;     // computed a second; FLOPs of the formula over the peak
    double tokens, all;         // of an example: that go through, and that its prompts have
    int n_differ;               // verdicts
};

struct bench {
    struct device *dev;
    struct model model;
    struct arena arena;
    int32_t ids[QUESTIONS * PROMPTS][1024];
    struct scored_prompt prompts[QUESTIONS * PROMPTS];
    struct scored_question questions[QUESTIONS];
    double peak;
};

static void make_questions(struct bench *b, const struct form *form)
{
    struct philox random = philox_for(1, PHILOX_CHOICES);
    for (int q = 0; q < QUESTIONS; q++) {
        for (int k = 0; k < form->n_prompts; k++) {
            int at = q * PROMPTS + k, n = form->shared + form->own;
            for (int t = 0; t < n; t++) {
                uint64_t place = (uint64_t)t + (t < form->shared ? 0 : (uint64_t)(k + 1) << 20);
                b->ids[at][t] = (int32_t)(philox_uniform(random, (uint64_t)q, place) * b->model.shape.n_vocab);
            }
            b->prompts[at] = (struct scored_prompt){.ids = b->ids[at], .n = n, .span = {n - form->scored, n}};
        }
        b->questions[q] = (struct scored_question){&b->prompts[q * PROMPTS], form->n_prompts};
    }
}

static int chosen(const struct scored_question *q)
{
    int best = 0;
    for (int k = 1; k < q->n_prompts; k++)
        if (q->prompts[k].loss < q->prompts[best].loss)
            best = k;
    return best;
}

// One forward pass of each prompt, all its positions; losses of the span in `losses`.
static struct error *plainly(struct bench *b, const struct form *form, double losses[QUESTIONS * PROMPTS])
{
    double all[1024];
    int32_t targets[1024];
    for (int q = 0; q < QUESTIONS; q++)
        for (int k = 0; k < form->n_prompts; k++) {
            const struct scored_prompt *p = &b->prompts[q * PROMPTS + k];
            if (stop_requested())
                return error_stopped();
            memcpy(targets, p->ids + 1, (size_t)(p->n - 1) * sizeof *targets);
            model_loss(&b->model, (struct batch){.B = 1, .T = p->n - 1, .inputs = p->ids, .targets = targets}, NULL);
            model_losses(&b->model, (struct batch){.B = 1, .T = p->n - 1}, all);
            losses[q * PROMPTS + k] = 0;
            for (int t = p->span.start - 1; t < p->n - 1; t++)
                losses[q * PROMPTS + k] += all[t] / (p->span.end - p->span.start);
        }
    return error_from_fault(device_fault(b->dev));
}

static struct error *measure(struct bench *b, const struct form *form, struct measured *m)
{
    struct scorer scorer;
    double best[2] = {INFINITY, INFINITY}, spent[2] = {0}, plain[QUESTIONS * PROMPTS];
    int n = form->shared + form->own;
    size_t mark = device_mark(b->dev);
    struct arena_mark host = arena_mark(&b->arena);
    make_questions(b, form);
    struct error *e = model_reserve(&b->model, 1, n, false);
    if (!e)
        e = scorer_open(&scorer, &b->model, SLOTS, n);
    for (int round = 0; round < ROUNDS_MOST && !e && (round < 2 || spent[0] < ENOUGH_S || spent[1] < ENOUGH_S); round++) {
        double began = clock_seconds();
        e = scorer_run(&scorer, b->questions, QUESTIONS);
        double middle = clock_seconds();
        if (!e)
            e = plainly(b, form, plain);
        const double took[2] = {middle - began, clock_seconds() - middle};
        for (int i = 0; i < 2; i++) {
            spent[i] += took[i];
            best[i] = fmin(best[i], round ? took[i] : INFINITY); // the first round touches memory for the first time
        }
        if (!round) {
            m->tokens = (double)scorer.n_computed / QUESTIONS;
            m->all = (double)scorer.n_all / QUESTIONS;
        }
    }
    for (int q = 0; q < QUESTIONS && !e; q++) {
        int best_plain = 0;
        for (int k = 1; k < form->n_prompts; k++)
            best_plain = plain[q * PROMPTS + k] < plain[q * PROMPTS + best_plain] ? k : best_plain;
        m->n_differ += chosen(&b->questions[q]) != best_plain;
    }
    device_reset(b->dev, mark);
    arena_reset(&b->arena, host);
    m->examples_s = QUESTIONS / best[0];
    m->plain_s = QUESTIONS / best[1];
    m->tokens_s = m->tokens * m->examples_s;
    m->share = shape_flops_per_token(&b->model.shape) / 3 * m->tokens_s / b->peak;
    return e;
}

static void print_line(const char *name, const struct measured *m)
{
    printf("%-24s %10.1f %10.1f %6.1fx %9.0f %6.0f %5.0f%%\n", name, m->examples_s, m->plain_s, m->examples_s / m->plain_s,
           m->tokens_s, 100 * m->tokens / m->all, 100 * m->share);
    if (m->n_differ)
        printf("    %d of %d verdicts differ: the losses are within rounding\n", m->n_differ, QUESTIONS);
    fflush(stdout);
}

static void put_measured(struct json *j, const char *name, const struct measured *m)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, name);
    json_key(j, "examples_s"), json_f64(j, m->examples_s);
    json_key(j, "plain_examples_s"), json_f64(j, m->plain_s);
    json_key(j, "ratio"), json_f64(j, m->examples_s / m->plain_s);
    json_key(j, "tokens_s"), json_f64(j, m->tokens_s);
    json_key(j, "tokens_an_example"), json_f64(j, m->tokens);
    json_key(j, "tokens_of_its_prompts"), json_f64(j, m->all);
    json_key(j, "share_of_peak"), json_f64(j, m->share);
    json_key(j, "verdicts_that_differ"), json_i64(j, m->n_differ);
    json_close(j, '}');
}

// The shape of a stage's model, or that of depth 4.
static struct error *find_shape(const struct call *call, struct shape *shape, const char **name)
{
    struct loaded l;
    bool known = false;
    *name = "depth 4, vocab 8192";
    if (call->n_args < 2)
        return shape_from_depth(shape, 4, 8192, 512);
    struct error *e = load_recipe(&l, call, call->args[1]);
    const struct graph_node *found = NULL;
    for (int i = 0; !e && i < l.graph.n_nodes && !found; i++) {
        const struct graph_node *node = l.graph.nodes[i];
        if (call->n_args > 2 ? !strcmp(node->name, call->args[2]) : node->kind == KIND_EVAL || node->kind == KIND_PRETRAIN)
            found = node;
    }
    if (e)
        return e;
    if (!found)
        return error_new(ERROR_USAGE, NOWHERE, "`retort plan` shows its stages", "'%s' has no %s '%s'", call->args[1],
                         call->n_args > 2 ? "stage" : "model in its stages", call->n_args > 2 ? call->args[2] : "");
    *name = found->name;
    e = estimate_shape(found, shape, &known);
    return e || known ? e
                      : error_plain(ERROR_USAGE, "how large the model of '%s' is, is not known before its tokenizer is read",
                                    found->name);
}

static struct error *run_forms(struct bench *b, const struct call *call, struct json *j)
{
    struct error *e = NULL;
    for (size_t i = 0; i < countof(forms) && !e; i++) {
        struct measured m = {0};
        e = error_while(measure(b, &forms[i], &m), NOWHERE, "asking %s", forms[i].name);
        if (!e && call->json)
            put_measured(j, forms[i].name, &m);
        else if (!e)
            print_line(forms[i].name, &m);
    }
    return e;
}

struct error *bench_eval(struct call *call)
{
    struct shape shape;
    struct fault fault;
    struct json j;
    const char *name;
    if (call->n_args < 2 && call->n_settings)
        return error_new(ERROR_USAGE, NOWHERE, "`retort bench eval RECIPE -s ...`", "-s changes a recipe, and none is named");
    struct error *e = find_shape(call, &shape, &name);
    if (e)
        return e;
    struct bench *b = arena_alloc(call->arena, sizeof *b);
    if (!b)
        return error_memory();
    b->dev = device_open(DEVICE_CPU, 0, &fault);
    if (!b->dev)
        return error_from_fault(fault);
    e = model_open(&b->model, b->dev, &shape, &b->arena);
    if (!e) {
        model_init_weights(&b->model, 1);
        for (int64_t at = 0, n = (int64_t)shape.n_vocab * shape.n_embd; at < n;
             at++) { // zero at first, so that all losses are alike
            float value = (float)(philox_uniform(philox_for(2, PHILOX_CHOICES), 0, (uint64_t)at) - 0.5) / 8;
            device_put(b->dev, b->model.params[b->model.lm_head].w.master, at, 1, &value);
        }
        e = model_copy_weights(&b->model);
        b->peak = device_peak_flops(b->dev, PEAK_MS / 1000.0);
    }
    if (!e) {
        e = bench_open(call, &j);
    }
    if (!e && call->json) {
        json_key(&j, "model"), json_str(&j, name);
        json_key(&j, "forms");
        json_open(&j, '[');
    } else if (!e) {
        printf("%-24s %10s %10s %7s %9s %6s %6s\n%-24s %10s %10s %7s %9s %6s %6s\n", name, "examples", "one pass", "", "tokens",
               "of all", "of the", "", "a second", "a prompt", "ratio", "a second", "tokens", "peak");
    }
    bool opened = !e;
    if (!e)
        e = run_forms(b, call, &j);
    device_close(b->dev);
    arena_release(&b->arena);
    if (!opened || !call->json) {
        if (!e)
            printf("\nof all: tokens that go through, of those that one forward pass a prompt takes\n");
        return e;
    }
    json_close(&j, ']');
    if (!e)
        return answer_print(&j);
    json_release(&j);
    return e;
}
