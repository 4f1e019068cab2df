// hash.h - the two hashes: SHA-256 for identity (keys, data files), XXH3 for damage (checksums of what we store).
//
// Source  FIPS 180-4 by OpenSSL's EVP; XXH3 64 bit, seed 0, by xxhash
#ifndef CORE_BASE_HASH_H
#define CORE_BASE_HASH_H

#include "core/base/error.h"

#include <stdint.h>

enum { SHA256_HEX = 65 }; // 64 digits and the terminator

struct error *CHECKED sha256_bytes(const void *data, size_t n_bytes, char hex[SHA256_HEX]);

// Reads the file in pieces and looks at the stop flag between them (ERROR_STOPPED).
struct error *CHECKED sha256_file(const char *path, char hex[SHA256_HEX]);

uint64_t xxh3(const void *data, size_t n_bytes);

#endif
