// machine.c - a small table, read whole and written whole.
#include "runner/graph/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/store/atomic.h"
#include "core/store/store.h"
#include "runner/stages/build.h"

static const struct store_member members[] = {
    {"machine", STORE_TEXT, offsetof(struct machine, machine), sizeof((struct machine *)0)->machine},
    {"build", STORE_TEXT, offsetof(struct machine, build), sizeof((struct machine *)0)->build},
    {"isa", STORE_TEXT, offsetof(struct machine, isa), sizeof((struct machine *)0)->isa},
    {"measured", STORE_TEXT, offsetof(struct machine, measured), sizeof((struct machine *)0)->measured},
    {"threads", STORE_I64, offsetof(struct machine, threads), 0},
    {"peak", STORE_F64, offsetof(struct machine, peak), 0},
    {"peak_bf16", STORE_F64, offsetof(struct machine, peak_bf16), 0},
    {"products", STORE_F64, offsetof(struct machine, products), 0},
    {"attention", STORE_F64, offsetof(struct machine, attention), 0},
    {"bandwidth", STORE_F64, offsetof(struct machine, bandwidth), 0},
    {"start_s", STORE_F64, offsetof(struct machine, start_s), 0},
    {"small", STORE_F64, offsetof(struct machine, small), 0},
    {"large", STORE_F64, offsetof(struct machine, large), 0},
    {"small_s", STORE_F64, offsetof(struct machine, small_s), 0},
    {"large_s", STORE_F64, offsetof(struct machine, large_s), 0},
    {"small_flops", STORE_F64, offsetof(struct machine, small_flops), 0},
    {"large_flops", STORE_F64, offsetof(struct machine, large_flops), 0},
    {"had", STORE_F64, offsetof(struct machine, had), 0},
};

static bool is_of(const struct machine *a, const struct machine *b)
{
    return a->threads == b->threads && !strcmp(a->machine, b->machine) && !strcmp(a->build, b->build) && !strcmp(a->isa, b->isa);
}

struct error *machine_here(struct machine *here, struct arena *arena)
{
    struct fault fault;
    struct device *dev = device_open(DEVICE_CPU, 0, &fault);
    const char *machine = machine_text(arena);
    *here = (struct machine){0};
    if (!dev || !machine) {
        device_close(dev);
        return machine ? error_from_fault(fault) : error_memory();
    }
    snprintf(here->machine, sizeof here->machine, "%s", machine);
    snprintf(here->build, sizeof here->build, "%s", build_text());
    snprintf(here->isa, sizeof here->isa, "%s", device_isa(dev));
    here->threads = device_threads(dev);
    device_close(dev);
    return NULL;
}

bool machine_emulates_bf16(void)
{
    struct fault fault;
    struct device *dev = device_open(DEVICE_CPU, 1, &fault);
    if (dev)
        device_set_precision(dev, PRECISION_BF16);
    bool emulates = dev && device_emulates(dev);
    device_close(dev);
    return emulates;
}

static struct error *read_all(const char *path, struct arena *arena, struct machine **rows, int64_t *n)
{
    struct store_file *file = NULL;
    *n = 0;
    if (!file_exists(path))
        return NULL;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_read_table(file, "/machines", members, countof(members), sizeof **rows, arena, (void **)rows, n);
    store_close(file);
    return e;
}

// Times come of dividing by these.
static bool is_usable(const struct machine *m)
{
    const double positive[] = {m->peak, m->products, m->attention, m->bandwidth, m->small, m->large};
    for (size_t i = 0; i < countof(positive); i++)
        if (!(positive[i] > 0 && positive[i] < 1e30))
            return false;
    return m->start_s >= 0 && m->start_s < 1;
}

struct error *machine_read(struct machine *measured, const char *results, const struct machine *here, bool *found,
                           struct arena *arena)
{
    const char *path = arena_printf(arena, "%s/machine.h5", results);
    struct machine *rows = NULL;
    int64_t n = 0;
    *found = false;
    struct error *e = path ? read_all(path, arena, &rows, &n) : error_memory();
    if (e && e->kind == ERROR_DATA) {
        struct error *told = error_new(ERROR_DATA, NOWHERE, "remove it: `retort bench machine` makes it anew", "%s", e->what);
        error_free(e);
        return told;
    }
    for (int64_t i = 0; i < n && !e; i++)
        if (is_of(&rows[i], here) && is_usable(&rows[i])) {
            *measured = rows[i];
            *found = true;
        }
    return e;
}

struct error *machine_spare(const char *results, struct arena *arena)
{
    const char *path = arena_printf(arena, "%s/machine.h5", results);
    return path ? store_spare(path) : error_memory();
}

struct error *machine_write(const struct machine *measured, const char *results, struct arena *arena)
{
    const char *path = arena_printf(arena, "%s/machine.h5", results);
    struct machine *rows = NULL;
    int64_t n = 0, n_kept = 0;
    if (!path)
        return error_memory();
    struct error *e = read_all(path, arena, &rows, &n);
    if (e && e->kind == ERROR_DATA) { // what is damaged holds nothing that could not be measured again
        error_free(e);
        e = NULL;
        n = 0;
    }
    struct machine *kept = arena_array(arena, (size_t)n + 1, sizeof *kept);
    if (e || !kept)
        return e ? e : error_memory();
    for (int64_t i = n >= MACHINES_KEPT ? n - MACHINES_KEPT + 1 : 0; i < n; i++)
        if (!is_of(&rows[i], measured))
            kept[n_kept++] = rows[i];
    kept[n_kept++] = *measured;
    struct store_attribute attributes[] = {store_text("/", "kind", "machine")};
    struct store_set set = {.path = "/machines",
                            .type = STORE_TABLE,
                            .n_dims = 1,
                            .dims = {n_kept},
                            .data = kept,
                            .members = members,
                            .n_members = countof(members),
                            .row_bytes = sizeof *kept};
    if ((e = folder_make(results)))
        return e;
    return store_save(path, attributes, countof(attributes), &set, 1);
}

struct device_rates machine_rates(const struct machine *m)
{
    return (struct device_rates){.flops_of = {[COUNT_PRODUCTS] = m->products, [COUNT_ATTENTION] = m->attention},
                                 .bytes = m->bandwidth,
                                 .start_s = m->start_s};
}

double machine_factor(const struct machine *m, int width)
{
    double share = log((double)width / SMALL_WIDTH) / log((double)LARGE_WIDTH / SMALL_WIDTH);
    share = fmin(fmax(share, 0), 1);
    return m->small * (1 - share) + m->large * share;
}
