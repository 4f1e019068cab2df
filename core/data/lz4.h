// lz4.h - unpacking a block of LZ4, which parquet calls lz4_raw.
//
// Reads n bytes of `in`, writes n_out of `out`; false where the block is not one of exactly so many bytes. Never reads or
// writes outside of them.
// Source  "LZ4 Block Format Description", lz4_Block_format.md of github.com/lz4/lz4
#ifndef CORE_DATA_LZ4_H
#define CORE_DATA_LZ4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool lz4_unpack(uint8_t *out, size_t n_out, const uint8_t *in, size_t n);

#endif
