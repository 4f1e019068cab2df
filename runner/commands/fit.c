// fit.c - `retort fit RECIPE [STAGE] --usd SUM`: the largest even depth that fits the device and whose whole recipe costs at most that.
//
// A depth is tried as `-s STAGE.depth=N` would be, and planned; so what is compared is what `plan` prints. Costs and memory rise with
// depth: doubled until one is too much, then halved in between. A depth that fits with a smaller device_batch fits: results do not depend
// on it, and it is said.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/store/atomic.h"
#include "runner/commands/load.h"
#include "runner/graph/keys.h"
#include "runner/graph/total.h"
#include "runner/graph/work.h"
#include "runner/recipe/number.h"
#include "runner/recipe/reader.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { DEPTH_MOST = 512, FIT_WIDTH = 80, RECIPE_MOST = 4 << 20 };

struct tried {
    int64_t depth; // 0: the recipe as it is
    int64_t params;
    double usd, seconds; // of the whole recipe; bounds count where no more is known
    bool is_bound, too_large, never_fits;
    int n_unknown;       // stages of which nothing is known
    const char *batches; // "-s base.device_batch=8", with which all fits the device; "": none is needed, or would help
};

struct fitting {
    struct call *call;
    const char *stage;
    double limit;
};

// By the name of its stage in the recipe, which several stages of the plan may be of.
static const char *name_of(const struct plan_stage *s, size_t *n)
{
    const char *name = s->node->stage ? s->node->stage->name : s->node->name;
    *n = strcspn(name, "@");
    return name;
}

static bool is_of(const struct plan_stage *s, const struct plan_stage *other)
{
    size_t n, n_other;
    const char *name = name_of(s, &n), *its = name_of(other, &n_other);
    return n == n_other && !strncmp(name, its, n);
}

// What makes the stages fit that a smaller device_batch makes fit; NULL: no memory.
static const char *batches_of(const struct plan *plan, struct arena *arena)
{
    const char *text = "";
    for (int i = 0; i < plan->n_stages && text; i++) {
        const struct plan_stage *s = &plan->stages[i];
        int64_t least = s->too_large && s->state != PLAN_CACHED ? s->device_batch_fits : 0;
        bool told = false;
        for (int k = 0; k < plan->n_stages && least; k++) {
            const struct plan_stage *other = &plan->stages[k];
            if (!is_of(s, other) || !other->too_large || !other->device_batch_fits)
                continue;
            told |= k < i;
            least = other->device_batch_fits < least ? other->device_batch_fits : least;
        }
        size_t n;
        const char *name = name_of(s, &n);
        if (least && !told)
            text = arena_printf(arena, "%s%s-s %.*s.device_batch=%lld", text, *text ? " " : "", (int)n, name, (long long)least);
    }
    return text;
}

static struct tried weigh(const struct loaded *l, const char *stage, int64_t depth, struct arena *arena)
{
    struct plan_total t = plan_total(&l->plan);
    const struct plan_stage *s = plan_stage(&l->plan, stage);
    return (struct tried){.depth = depth,
                          .params = s ? s->params : -1,
                          .usd = t.usd_most,
                          .seconds = t.usd_most * 3600 / l->recipe.usd_per_hour,
                          .is_bound = t.usd_most > t.usd,
                          .too_large = t.too_large,
                          .never_fits = t.never_fits,
                          .batches = batches_of(&l->plan, arena),
                          .n_unknown = t.n_unbound};
}

// The recipe with that depth, planned. Nothing of it is kept. any_steps: steps that are kept or read may lie behind its end, as those of a
// recipe whose steps grow with its depth do at small ones.
static struct error *try_depth(const struct fitting *f, int64_t depth, bool any_steps, struct tried *tried)
{
    struct arena arena = {0};
    struct call call = *f->call;
    struct loaded l;
    call.arena = &arena;
    call.settings = arena_array(&arena, (size_t)call.n_settings + 1, sizeof *call.settings);
    for (int i = 0; i < f->call->n_settings && call.settings; i++)
        call.settings[i] = f->call->settings[i];
    const char *setting = arena_printf(&arena, "%s.depth=%lld", f->stage, (long long)depth);
    if (call.settings)
        call.settings[call.n_settings++] = setting;
    struct error *e = call.settings && setting ? load_recipe(&l, &call, call.args[0]) : error_memory();
    if (!e)
        e = keys_make(&l.graph, call.results);
    if (!e)
        e = (any_steps ? plan_weigh : plan_build)(&l.plan, &l.graph, call.results, &arena);
    if (!e)
        *tried = weigh(&l, f->stage, depth, f->call->arena);
    if (!e && !tried->batches)
        e = error_memory();
    arena_release(&arena);
    return error_while(e, NOWHERE, "trying depth %lld", (long long)depth);
}

// The stage whose depth is turned: as named, or the one pretraining that goes on from no other.
static struct error *choose_stage(struct fitting *f, const struct loaded *l)
{
    struct call *call = f->call;
    const char **names = arena_array(call->arena, (size_t)l->recipe.n_stages + 1, sizeof *names);
    int n = 0;
    if (!names)
        return error_memory();
    for (int i = 0; i < l->recipe.n_stages; i++) {
        const struct recipe_stage *s = &l->recipe.stages[i];
        if (s->kind == KIND_PRETRAIN && !strchr(s->name, ':') && !strchr(s->name, '@') &&
            !((const struct pretrain_options *)s->options)->from)
            names[n++] = s->name;
    }
    const char *list = load_names(names, n, call->arena);
    for (int i = 0; i < n; i++)
        if (n == 1 ? call->n_args < 2 || !strcmp(names[i], call->args[1]) : call->n_args == 2 && !strcmp(names[i], call->args[1]))
            f->stage = names[i];
    if (f->stage || !list)
        return f->stage ? NULL : error_memory();
    if (!n)
        return error_new(ERROR_USAGE, NOWHERE, "a stage of a matrix, or of another recipe, has its depth there",
                         "the recipe has no pretraining of its own whose depth could be turned");
    return error_new(ERROR_USAGE, NOWHERE, arena_printf(call->arena, "say which: one of %s", list),
                     call->n_args == 2 ? "the recipe has no pretraining '%s' of its own" : "the recipe has several pretrainings",
                     call->n_args == 2 ? call->args[1] : "");
}

// Without a price or a time there is nothing to fit to.
static struct error *check_prices(const struct loaded *l, const struct tried *now)
{
    if (isnan(l->recipe.usd_per_hour))
        return error_new(ERROR_USAGE, NOWHERE,
                         "add `hardware: {device: H100-80GB, count: 8, usd_per_hour: 24}`, or -s hardware.usd_per_hour=24",
                         "the recipe does not say what an hour costs");
    if (now->usd > 0)
        return NULL;
    return error_new(ERROR_USAGE, NOWHERE,
                     "`retort bench machine` measures this machine once; or name a device: -s hardware.device=H100-80GB",
                     "how long its stages take is not known");
}

static bool is_too_much(const struct fitting *f, const struct tried *t)
{
    return t->usd > f->limit || t->never_fits;
}

static struct error *search(const struct fitting *f, struct tried *fits, struct tried *larger)
{
    struct tried t = {.batches = ""};
    int64_t low = 0, high = 2;
    struct error *e = NULL;
    *fits = t;
    for (; high <= DEPTH_MOST && !e; high *= 2) {
        e = try_depth(f, high, true, &t);
        if (e || is_too_much(f, &t))
            break;
        *fits = t;
        low = high;
    }
    *larger = t;
    while (!e && high <= DEPTH_MOST && high - low > 2) {
        int64_t middle = low + (high - low) / 4 * 2;
        e = try_depth(f, middle, true, &t);
        if (e)
            break;
        *(is_too_much(f, &t) ? larger : fits) = t;
        *(is_too_much(f, &t) ? &high : &low) = middle;
    }
    return e;
}

static void add_row(struct grid *grid, const struct tried *t, const char *note, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT];
    const char *const cells[] = {
        t->depth ? arena_printf(arena, "%lld", (long long)t->depth) : "now", arena_strdup(arena, format_count(a, t->params)),
        arena_strdup(arena, format_seconds(b, t->seconds)),
        arena_printf(arena, "%s%s", t->is_bound ? "at most " : "", format_usd(c, t->usd)),
        t->too_large ? arena_printf(arena, "%s%s%s", note, *note ? ", " : "",
                                    t->never_fits || !*t->batches ? "does not fit the device's memory"
                                                                  : "fits the device with a smaller device_batch")
                     : note};
    grid_add(grid, cells);
}

static void put_tried(struct json *j, const char *key, const struct tried *t, bool there)
{
    if (key)
        json_key(j, key);
    if (!there) {
        json_nil(j);
        return;
    }
    json_open(j, '{');
    json_key(j, "depth"), json_count(j, t->depth ? t->depth : -1);
    json_key(j, "params"), json_count(j, t->params);
    json_key(j, "usd"), json_f64(j, t->usd);
    json_key(j, "seconds"), json_f64(j, t->seconds);
    json_key(j, "is_bound"), json_bool(j, t->is_bound);
    json_key(j, "unknown_stages"), json_i64(j, t->n_unknown);
    json_key(j, "too_large"), json_bool(j, t->too_large);
    json_key(j, "never_fits"), json_bool(j, t->never_fits);
    json_key(j, "settings"), json_str(j, *t->batches ? t->batches : NULL);
    json_close(j, '}');
}

// Writes the number where the recipe has the other; *done false where it does not stand there as a plain number.
static struct error *write_depth(const struct setting *setting, int64_t was, int64_t depth, struct arena *arena, bool *done)
{
    char *text, old[32];
    size_t n, line = 1, at = 0;
    *done = false;
    if (!setting || setting->by != BY_RECIPE || setting->at.line < 1)
        return NULL;
    struct error *e = file_read(setting->at.file, RECIPE_MOST, arena, &text, &n);
    if (e)
        return e;
    while (at < n && line < (size_t)setting->at.line)
        line += text[at++] == '\n';
    at += (size_t)setting->at.column - 1;
    int digits = snprintf(old, sizeof old, "%lld", (long long)was);
    if (at + (size_t)digits > n || strncmp(text + at, old, (size_t)digits) ||
        (text[at + (size_t)digits] >= '0' && text[at + (size_t)digits] <= '9'))
        return NULL;
    const char *fresh = arena_printf(arena, "%.*s%lld%s", (int)at, text, (long long)depth, text + at + digits);
    if (!fresh)
        return error_memory();
    *done = true;
    return atomic_write(setting->at.file, fresh, strlen(fresh));
}

static struct error *offer(const struct fitting *f, const struct loaded *l, const struct tried *fits)
{
    const struct recipe_stage *stage = recipe_stage(&l->recipe, f->stage);
    const struct setting *setting = stage ? stage_setting(stage, "depth") : NULL;
    const struct pretrain_options *o = stage ? stage->options : NULL;
    bool here = setting && setting->by == BY_RECIPE && setting->at.line > 0, done = false;
    if (o && o->depth == fits->depth) {
        printf("\n%s has that depth already.\n", f->stage);
        if (*fits->batches)
            printf("It fits the device with %s.\n", fits->batches);
        return NULL;
    }
    if (f->call->yes && o) {
        struct error *e = write_depth(setting, o->depth, fits->depth, f->call->arena, &done);
        if (e)
            return e;
        if (!done)
            return error_new(ERROR_USAGE, NOWHERE,
                             arena_printf(f->call->arena, "write `depth: %lld` there yourself", (long long)fits->depth),
                             "the depth of stage '%s' is no plain number in the recipe", f->stage);
        printf("\nwritten to %s:%d: depth %lld, was %lld\n", setting->at.file, setting->at.line, (long long)fits->depth,
               (long long)o->depth);
        if (*fits->batches)
            printf("it fits the device with %s\n", fits->batches);
        return NULL;
    }
    const char *text = arena_printf(f->call->arena, "-s %s.depth=%lld%s%s", f->stage, (long long)fits->depth,
                                    *fits->batches ? " " : "", fits->batches);
    if (text && here)
        text = arena_printf(f->call->arena, "%s, or `depth: %lld` in %s:%d, which --yes writes", text, (long long)fits->depth,
                            setting->at.file, setting->at.line);
    if (!text)
        return error_memory();
    putchar('\n');
    text_wrap(stdout, "to take it: ", text, FIT_WIDTH);
    return NULL;
}

static struct error *print(const struct fitting *f, const struct loaded *l, const struct tried *now, const struct tried *fits,
                           const struct tried *smaller, const struct tried *larger)
{
    static const struct column columns[] = {
        {"depth", true, false}, {"params", true, false}, {"time", true, false}, {"cost", true, false}, {"", false, true}};
    char a[FORMAT_TEXT];
    struct grid grid;
    struct arena *arena = f->call->arena;
    grid_init(&grid, columns, countof(columns), arena);
    add_row(&grid, now, "the recipe as it is", arena);
    if (smaller->depth)
        add_row(&grid, smaller, "the next smaller", arena);
    if (fits->depth)
        add_row(&grid, fits, arena_printf(arena, "the largest for %s", format_usd(a, f->limit)), arena);
    if (larger->depth > fits->depth)
        add_row(&grid, larger, "the next larger", arena);
    if (grid.failed)
        return error_memory();
    printf("%s, %s: whole recipe, by depth of %s\n\n", l->recipe.path,
           hardware_is_here(l->plan.work->hardware) ? "here" : l->plan.work->hardware->name, f->stage);
    grid_print(&grid, stdout, FIT_WIDTH);
    if (fits->n_unknown)
        printf("\nof %d stage%s no time is known, such as learning a tokenizer: it comes on top\n", fits->n_unknown,
               fits->n_unknown == 1 ? "" : "s");
    if (!fits->depth) {
        printf("\nno depth %s\n",
               larger->never_fits && !(larger->usd > f->limit) ? "fits the device's memory" : "costs so little");
        f->call->status = 1;
        return NULL;
    }
    return offer(f, l, fits);
}

static struct error *answer(const struct fitting *f, const struct tried *now, const struct tried *fits,
                            const struct tried *smaller, const struct tried *larger)
{
    struct json j;
    answer_open(&j, f->call, NULL);
    json_key(&j, "stage"), json_str(&j, f->stage);
    json_key(&j, "usd"), json_f64(&j, f->limit);
    put_tried(&j, "now", now, true);
    put_tried(&j, "fits", fits, fits->depth > 0);
    put_tried(&j, "smaller", smaller, smaller->depth > 0);
    put_tried(&j, "larger", larger, larger->depth > fits->depth);
    f->call->status = !fits->depth;
    return answer_print(&j);
}

struct error *command_fit(struct call *call)
{
    struct fitting f = {.call = call};
    struct loaded l;
    struct tried now, fits, smaller = {.batches = ""}, larger;
    if (!call->usd)
        return error_new(ERROR_USAGE, NOWHERE, "say how much: --usd 100", "there is no sum to fit to");
    struct error *e = number_real(call->usd, true, NOWHERE, "--usd", &f.limit);
    if (!e && !(f.limit > 0))
        e = error_new(ERROR_USAGE, NOWHERE, "write dollars above 0", "--usd is %s", call->usd);
    if (e || (e = load_plan(&l, call, call->args[0])) || (e = choose_stage(&f, &l)))
        return e;
    now = weigh(&l, f.stage, 0, call->arena);
    if (!now.batches)
        return error_memory();
    if ((e = check_prices(&l, &now)) || (e = search(&f, &fits, &larger)))
        return e;
    if (fits.depth > 2)
        e = try_depth(&f, fits.depth - 2, true, &smaller);
    if (!e && fits.depth) // that is offered: it must run as it stands
        e = try_depth(&f, fits.depth, false, &fits);
    if (e)
        return e;
    return call->json ? answer(&f, &now, &fits, &smaller, &larger) : print(&f, &l, &now, &fits, &smaller, &larger);
}
