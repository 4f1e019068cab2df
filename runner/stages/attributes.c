// attributes.c - what every result says of itself; one list, so that all kinds say the same.
#include "runner/stages/stage.h"

#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "core/base/clock.h"
#include "runner/stages/build.h"

// The inputs of the payload as JSON text of their own; "{}" for a payload without.
static const char *payload_inputs(const char *payload, struct arena *arena)
{
    json_t *root = json_loads(payload ? payload : "{}", 0, NULL);
    const json_t *inputs = json_object_get(root, "inputs");
    size_t n = inputs ? json_dumpb(inputs, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS) : 0;
    char *text = n ? arena_alloc(arena, n + 1) : NULL;
    if (text)
        json_dumpb(inputs, text, n, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(root);
    return text ? text : "{}";
}

int stage_attributes(const struct stage *stage, const char *state, int64_t step, int64_t n_steps, int64_t seed,
                     int64_t device_batch, const char *isa, double seconds_before, struct store_attribute *attributes)
{
    const struct job *job = stage->job;
    const char *machine = machine_text(stage->arena), *threads = getenv("OMP_NUM_THREADS"); // the runner sets it
    double seconds = seconds_before + clock_seconds() - stage->start_seconds;
    const struct store_attribute all[] = {
        store_text("/", "kind", kind_name(job->kind)),
        store_text("/", "key", job->key),
        store_text("/", "payload", job->payload),
        store_text("/", "inputs", payload_inputs(job->payload, stage->arena)),
        store_text("/", "state", state),
        store_i64("/", "step", step),
        store_i64("/", "n_steps", n_steps),
        store_i64("/", "seed", seed),
        store_text("/", "isa", isa ? isa : ""),
        store_text("/", "build", build_text()),
        store_text("/", "machine", machine ? machine : ""),
        store_text("/", "started", stage->started),
        store_f64("/", "seconds", seconds),
        store_f64("/", "usd", job->usd_per_hour * seconds / 3600),
        store_i64("/", "device_batch", device_batch),
        store_i64("/", "threads", threads ? atoi(threads) : 0),
    };
    _Static_assert(countof(all) <= STAGE_ATTRIBUTES, "STAGE_ATTRIBUTES is too small");
    for (size_t i = 0; i < countof(all); i++)
        attributes[i] = all[i];
    return (int)countof(all);
}
