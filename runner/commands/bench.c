// bench.c - `retort bench machine`: what this machine does, as a share of its own measured peak; kept for `plan`.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands/command.h"
#include "runner/graph/probe.h"

static void print_figure(void *self, const struct probe_figure *f)
{
    static const char *const prefixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P"};
    double value = f->value;
    int p = 3;
    (void)self;
    for (; value >= 999.5 && p < 8; p++)
        value /= 1000;
    for (; value < 0.9995 && p > 0; p--)
        value *= 1000;
    printf("%-32s %6.3g %s%-8s", f->name, value, prefixes[p], f->unit);
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

struct error *command_bench(struct call *call)
{
    struct machine here, measured;
    if (call->n_args && strcmp(call->args[0], "machine"))
        return error_new(ERROR_NOT_BUILT, NOWHERE, "`retort bench machine` is there", "bench '%s' is not built in this version",
                         call->args[0]);
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
        printf("\nothers used this machine meanwhile (%.0f%% of it was left): measure again when it is idle\n",
               100 * measured.had);
    printf("\nkept in %s/machine.h5: `retort plan` tells time by it\n", call->results);
    return NULL;
}
