// bench.c - `retort bench`: what this machine does, as a share of its own measured peak; kept for `plan`.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands/bench.h"
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

struct error *command_bench(struct call *call)
{
    const char *what = call->n_args ? call->args[0] : "machine";
    if (!strcmp(what, "tokenizer"))
        return bench_tokenizer(call);
    if (strcmp(what, "machine"))
        return error_new(ERROR_NOT_BUILT, NOWHERE, "`retort bench machine` and `retort bench tokenizer` are there",
                         "bench '%s' is not built in this version", what);
    if (call->n_args > 1)
        return error_new(ERROR_USAGE, NOWHERE, "see `retort bench --help`", "'%s' is one argument too many", call->args[1]);
    return bench_machine(call);
}
