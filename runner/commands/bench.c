// bench.c - `retort bench machine`: what this machine does, as a share of its own measured peak; kept for `plan`. The other parts have
// files of their own.
#include "runner/commands/bench.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/graph/probe.h"

void bench_print(const char *name, double value, const char *unit)
{
    static const char *const prefixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P"};
    int p = 3;
    for (; value >= 999.5 && p < 8; p++)
        value /= 1000;
    for (; value < 0.9995 && p > 0; p--)
        value *= 1000;
    printf("%-32s %6.3g %s%-8s", name, value, prefixes[p], unit);
}

static void print_figure(void *self, const struct probe_figure *f)
{
    (void)self;
    bench_print(f->name, f->value, f->unit);
    if (isfinite(f->share))
        printf("  %3.0f%% of the peak", 100 * f->share);
    putchar('\n');
    fflush(stdout);
}

static struct error *print_json(const struct call *call, const struct machine *m)
{
    const struct {
        const char *name;
        double value;
    } figures[] = {{"peak_flops", m->peak},
                   {"products_flops", m->products},
                   {"attention_flops", m->attention},
                   {"bandwidth_bytes", m->bandwidth},
                   {"start_seconds", m->start_s},
                   {"products_share", m->products / m->peak},
                   {"attention_share", m->attention / m->peak},
                   {"processor_share", m->had},
                   {"small_share", m->small_flops / m->small_s / m->peak},
                   {"large_share", m->large_flops / m->large_s / m->peak}};
    struct json j;
    answer_open(&j, call, NULL);
    json_key(&j, "machine"), json_str(&j, m->machine);
    json_key(&j, "build"), json_str(&j, m->build);
    json_key(&j, "isa"), json_str(&j, m->isa);
    json_key(&j, "threads"), json_i64(&j, m->threads);
    json_key(&j, "measured"), json_str(&j, m->measured);
    for (size_t i = 0; i < countof(figures); i++)
        json_key(&j, figures[i].name), json_f64(&j, figures[i].value);
    return answer_print(&j);
}

static struct error *bench_machine(struct call *call)
{
    struct machine here, measured;
    struct error *e = machine_here(&here, call->arena);
    if (!e)
        e = machine_spare(call->results, call->arena);
    if (e)
        return e;
    if (!call->json)
        printf("%s\n%s, %lld thread%s\n\n", here.machine, here.isa, (long long)here.threads, here.threads == 1 ? "" : "s");
    e = probe_measure(&measured, &here, call->json ? NULL : print_figure, NULL, call->arena);
    if (!e)
        e = machine_write(&measured, call->results, call->arena);
    if (e)
        return e;
    if (call->json)
        return print_json(call, &measured);
    if (measured.had < 0.9)
        printf("\nothers used this machine (%.0f%% of it was left): measure again when it is idle\n", 100 * measured.had);
    printf("\nkept in %s/machine.h5: `retort plan` tells time by it\n", call->results);
    return NULL;
}

struct error *bench_open(const struct call *call, struct json *j)
{
    struct machine here;
    double load = NAN;
    struct error *e = machine_here(&here, call->arena);
    if (e)
        return e;
    if (getloadavg(&load, 1) != 1)
        load = NAN;
    if (!call->json) {
        printf("%s\n%s, %lld thread%s, load average %.1f\n\n", here.machine, here.isa, (long long)here.threads,
               here.threads == 1 ? "" : "s", load);
        fflush(stdout);
        return NULL;
    }
    answer_open(j, call, NULL);
    json_key(j, "machine"), json_str(j, here.machine);
    json_key(j, "build"), json_str(j, here.build);
    json_key(j, "isa"), json_str(j, here.isa);
    json_key(j, "threads"), json_i64(j, here.threads);
    json_key(j, "load"), json_f64(j, load);
    return NULL;
}

struct error *command_bench(struct call *call)
{
    static const struct {
        const char *name;
        struct error *(*run)(struct call *call);
        int most; // arguments behind it
    } parts[] = {{"machine", bench_machine, 0},
                 {"train", bench_train, 2},
                 {"eval", bench_eval, 2},
                 {"kernels", bench_kernels, 0},
                 {"tokenizer", bench_tokenizer, INT_MAX},
                 {"data", bench_data, INT_MAX},
                 {"store", bench_store, 1}};
    const char *name = call->n_args ? call->args[0] : "machine";
    for (size_t i = 0; i < countof(parts); i++) {
        if (strcmp(parts[i].name, name))
            continue;
        if (call->n_args - 1 > parts[i].most)
            return error_new(ERROR_USAGE, NOWHERE, "see `retort bench --help`", "'%s' is one argument too many",
                             call->args[parts[i].most + 1]);
        return parts[i].run(call);
    }
    return error_new(ERROR_NOT_BUILT, NOWHERE,
                     "`retort bench machine`, `train`, `eval`, `kernels`, `tokenizer`, `data` and `store` are there",
                     "bench '%s' is not built in this version", name);
}
