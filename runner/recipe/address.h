// address.h - https addresses of data files: which are good, and where what was fetched from one lies.
//
//     address_is("https://host/shard_00000.parquet")              // true; of any text that names a protocol
//     e = address_check(text, at);                                // the whole of it, {00000..00239} included
//     path = address_file(arena, "results", url);                 // results/data/host/shard_00000.parquet
//
// An address is https://HOST[:PORT]/PATH in letters, digits and marks of ASCII; HOST may be a number in brackets, [2001:db8::1]. It has
// no name or password and no ?query: both are places of secrets, and addresses are written down in records. Nothing in it climbs out
// of the folder of its host.
#ifndef RUNNER_RECIPE_ADDRESS_H
#define RUNNER_RECIPE_ADDRESS_H

#include "core/base/error.h"

#include <stdbool.h>

bool address_is(const char *text);

// ERROR_RECIPE with the remedy.
struct error *CHECKED address_check(const char *text, struct place at);

// In the arena; NULL when memory runs out.
char *address_file(struct arena *arena, const char *results, const char *address);

// Of "https://host:8443/x": "host:8443", its length in *n.
const char *address_host(const char *address, size_t *n);

#endif
