// pins.h - NAME.data.yaml beside the recipe NAME.yaml: what each address held when it was fetched.
//
//     struct pins pins;
//     e = pins_read(&pins, "recipes/web.yaml", arena);          // recipes/web.data.yaml; a file that is not there is an empty one
//     const struct pin *pin = pins_find(&pins, "https://host/shard_00000.parquet");
//     e = pins_put(&pins, &(struct pin){.url = url, .bytes = n, .sha256 = hex, .etag = etag});
//     e = pins_write(&pins);
//
// Format     retort: 1
//            files:
//              - {url: "https://host/x.parquet", bytes: 1234, sha256: "3f9a…", etag: "\"5e\""}
//            An entry needs url and sha256: one can be written by hand, before anything is fetched. etag is what the server called this
//            content, and is only kept
// Meaning    keys are made of the sha256, whether the file is there or not; what is fetched must have it
// Writing    keeps what another process has put there meanwhile; the file is replaced by rename
// Limits     10,000 entries, and those of yaml.h
// Ownership  everything lives in the arena
// Errors     ERROR_RECIPE with the line; all at once
#ifndef RUNNER_RECIPE_PINS_H
#define RUNNER_RECIPE_PINS_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOST_PINS = 10000 };

struct pin {
    const char *url, *sha256;
    int64_t bytes;    // -1: not said
    const char *etag; // or NULL
    struct place at;  // of the entry; nowhere: not written yet
};

struct pins {
    const char *path;
    struct pin *all; // by url
    int n, capacity;
    struct arena *arena;
};

struct error *CHECKED pins_read(struct pins *pins, const char *recipe, struct arena *arena);

const struct pin *pins_find(const struct pins *pins, const char *url);

// A new entry; the texts are copied.
struct error *CHECKED pins_put(struct pins *pins, const struct pin *pin);

struct error *CHECKED pins_write(struct pins *pins);

#endif
