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

// The same of the n bytes of an open file from `offset`, with the MD5 that object stores name content by; md5 NULL: without. Fewer bytes
// in the file are ERROR_DATA.
enum { MD5_BYTES = 16 };
struct error *CHECKED hash_range(int fd, int64_t offset, int64_t n, char sha256[SHA256_HEX], unsigned char md5[MD5_BYTES]);
void hash_hex(const unsigned char *bytes, int n, char *hex); // 2 n digits and the terminator

uint64_t xxh3(const void *data, size_t n_bytes);

#endif
