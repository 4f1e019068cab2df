// verdict.c - bits first; measures where bits need not agree.
#include "runner/view/verdict.h"

#include <math.h>
#include <string.h>

#include "core/store/atomic.h"
#include "core/store/same.h"
#include "runner/view/card.h"
#include "runner/view/compare.h"

static const double LOSS_RELATIVE = 0.02, BPB_RELATIVE = 0.01, ACCURACY_P = 0.01, REWARD_ABSOLUTE = 0.1;

static bool alike(const char *a, const char *b)
{
    return !a || !b || !*a || !*b || !strcmp(a, b);
}

static bool is_same_maker(const struct run_stage *a, const struct run_stage *b)
{
    return alike(a->isa, b->isa) && alike(a->build, b->build) && alike(a->canary, b->canary) && alike(a->machine, b->machine);
}

// Mean of a member over the last tenth of the rows; NaN without any.
static double tail_mean(const struct table *t, size_t offset)
{
    int64_t n = t->n / 10 > 0 ? t->n / 10 : t->n ? 1 : 0;
    double sum = 0;
    for (int64_t i = t->n - n; i < t->n; i++)
        sum += *(const double *)(const void *)((const char *)t->rows + (size_t)i * t->row_bytes + offset);
    return n ? sum / (double)n : NAN;
}

static double last_bpb(const struct table *t)
{
    return t->n ? ((const struct metric_val *)t->rows)[t->n - 1].bpb : NAN;
}

static void add(struct verdict_stage *s, const char *name, double recorded, double now, double tolerance, const char *unit,
                bool holds)
{
    if (isnan(recorded) && isnan(now))
        return;
    s->measures[s->n_measures++] = (struct verdict_measure){
        .name = name, .recorded = recorded, .now = now, .tolerance = tolerance, .unit = unit, .holds = holds};
}

static void add_relative(struct verdict_stage *s, const char *name, double recorded, double now, double tolerance)
{
    add(s, name, recorded, now, tolerance, "relative", fabs(now - recorded) <= tolerance * fabs(recorded));
}

static struct error *measure(struct verdict_stage *s, const struct run_tables *a, const struct run_tables *b, struct arena *arena)
{
    const struct task_score *x = a->tasks.rows, *y = b->tasks.rows;
    if (!(s->measures = arena_array(arena, (size_t)a->tasks.n + 4, sizeof *s->measures)))
        return error_memory();
    add_relative(s, "loss", tail_mean(&a->train, offsetof(struct metric_train, loss)),
                 tail_mean(&b->train, offsetof(struct metric_train, loss)), LOSS_RELATIVE);
    add_relative(s, "validation", last_bpb(&a->val), last_bpb(&b->val), BPB_RELATIVE);
    add_relative(s, "bpb", last_bpb(&a->scores), last_bpb(&b->scores), BPB_RELATIVE);
    double reward = tail_mean(&a->rewards, offsetof(struct metric_rollouts, reward)),
           reward_now = tail_mean(&b->rewards, offsetof(struct metric_rollouts, reward));
    add(s, "reward", reward, reward_now, REWARD_ABSOLUTE, "absolute", fabs(reward - reward_now) <= REWARD_ABSOLUTE);
    for (int64_t i = 0; i < a->tasks.n; i++)
        for (int64_t k = 0; k < b->tasks.n; k++)
            if (!strcmp(x[i].task, y[k].task)) {
                double p = compare_proportions((double)x[i].right, x[i].n, (double)y[k].right, y[k].n);
                const char *name = arena_strdup(arena, x[i].task);
                if (!name)
                    return error_memory();
                add(s, name, x[i].accuracy, y[k].accuracy, ACCURACY_P, "p", !(p < ACCURACY_P));
            }
    return NULL;
}

// Whether a file is the one that was recorded: the same key may have been made anew since, by another build.
static bool is_recorded(struct store_file *file, const struct run_stage *stage, struct arena *arena)
{
    const struct {
        const char *name, *recorded;
    } makers[] = {{"isa", stage->isa}, {"build", stage->build}, {"machine", stage->machine}, {"canary", stage->canary}};
    for (size_t i = 0; i < countof(makers); i++) {
        const char *text = "";
        error_free(store_get_text(file, "/", makers[i].name, arena, &text));
        if (!alike(text, makers[i].recorded))
            return false;
    }
    return true;
}

// One file and the other, if both are there and the first is the one that was recorded. Counts what was compared; s->what is the first
// difference, or what was the same last.
static struct error *compare_files(struct verdict_stage *s, const char *x, const char *y, bool *same, int *n, struct arena *arena)
{
    struct store_file *a = NULL, *b = NULL;
    bool equal = false;
    const char *what = NULL;
    if (!*same || !file_exists(x) || !file_exists(y))
        return NULL;
    struct error *e = store_open(&a, x);
    if (!e)
        e = store_open(&b, y);
    bool recorded = !e && is_recorded(a, s->parting->a, arena);
    if (recorded)
        e = store_same(a, b, &equal, &what, arena);
    store_close(a);
    store_close(b);
    if (e && e->kind == ERROR_DATA && e != error_memory()) { // the old one may be damaged by now: its record is what counts
        error_free(e);
        return NULL;
    }
    if (e || !recorded)
        return e;
    s->what = what;
    *same = equal;
    ++*n;
    return NULL;
}

// The files of a stage, of a token stage those of its parts.
static struct error *compare_all(struct verdict_stage *s, const char *results, const struct plan *again, bool *same,
                                 struct arena *arena)
{
    const struct plan_stage *made = plan_stage(again, s->parting->stage);
    int n = 0;
    struct error *e = NULL;
    *same = true;
    for (int i = 0; made && i < (made->part_out ? made->node->n_parts : 1) && !e; i++) {
        const char *y = made->part_out ? made->part_out[i] : made->out, *slash = y ? strrchr(y, '/') : NULL;
        const char *x = y ? arena_printf(arena, "%s/store/%s", results, slash ? slash + 1 : y) : NULL;
        if (y)
            e = x ? compare_files(s, x, y, same, &n, arena) : error_memory();
    }
    if (n > 1 && *same && !e && !(s->what = arena_printf(arena, "same %d files", n)))
        e = error_memory();
    *same = *same && n;
    return e;
}

static bool is_exact(const char *kind)
{
    return !strcmp(kind, "tokenizer") || !strcmp(kind, "tokens") || !strcmp(kind, "rows") || !strcmp(kind, "import");
}

// Whether something that it reads is not as it was, for a reason that is allowed.
static bool reads_other_bits(const struct verdicts *v, const struct parting *p)
{
    for (int i = 0; i < v->n; i++)
        if (v->stages[i].verdict == VERDICT_WITHIN && p->cause == PARTING_INPUT)
            return true;
    return false;
}

static struct error *judge(struct verdicts *v, struct verdict_stage *s, const struct run *recorded, const char *results,
                           const struct run *again, const struct plan *plan, struct arena *arena)
{
    const struct parting *p = s->parting;
    struct run_tables a = {0}, b = {0};
    bool same_files = false;
    s->same_maker = is_same_maker(p->a, p->b);
    if (!p->made) {
        s->verdict = VERDICT_NOT_MADE;
        return NULL;
    }
    struct error *e = compare_all(s, results, plan, &same_files, arena);
    if (!e)
        e = run_stage_tables(&a, recorded, p->a);
    if (!e)
        e = run_stage_tables(&b, again, p->b);
    if (!e)
        e = measure(s, &a, &b, arena);
    run_tables_release(&a);
    run_tables_release(&b);
    if (e)
        return e;
    bool numbers = !p->table && p->n_rows == p->n_common, holds = true;
    for (int i = 0; i < s->n_measures; i++)
        holds &= s->measures[i].holds;
    bool may_differ = !is_exact(p->kind) && (!s->same_maker || reads_other_bits(v, p));
    if (numbers && (same_files || !s->what))
        s->verdict = s->what ? VERDICT_SAME_BITS : VERDICT_SAME_NUMBERS;
    else
        s->verdict = may_differ && holds ? VERDICT_WITHIN : VERDICT_DIFFERS;
    return NULL;
}

struct error *verdict_collect(struct verdicts *v, const struct run *recorded, const char *results, const struct run *again,
                              const struct plan *plan, struct arena *arena)
{
    *v = (struct verdicts){.all = VERDICT_SAME_BITS};
    struct error *e = partings_collect(&v->partings, recorded, again, arena);
    if (!e && !(v->stages = arena_array(arena, (size_t)v->partings.n + 1, sizeof *v->stages)))
        e = error_memory();
    for (int i = 0; i < v->partings.n && !e; i++) {
        const struct parting *p = &v->partings.rows[i];
        struct verdict_stage *s = &v->stages[v->n];
        if (!run_stage_made(p->a))
            continue;
        *s = (struct verdict_stage){.parting = p};
        e = judge(v, s, recorded, results, again, plan, arena);
        v->all = s->verdict > v->all ? s->verdict : v->all;
        v->n++;
    }
    return e;
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICTS] = {"same bits", "same numbers", "within tolerance", "differs", "not made"};
    return names[verdict];
}
