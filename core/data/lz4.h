// lz4.h - unpacking LZ4: a block, which parquet calls lz4_raw, and Hadoop's frames of blocks, which it calls lz4.
//
// Reads n bytes of `in`, writes n_out of `out`; false where that is not one block, or are not frames, of exactly so many bytes. Never
// reads or writes outside of them.
//
// A frame is how many bytes it unpacks to, and then blocks that come to so many, each behind its length; these numbers have four bytes,
// the highest first.
// Source  "LZ4 Block Format Description", lz4_Block_format.md of github.com/lz4/lz4; the frames are those of Hadoop's
//         BlockCompressorStream, as Compression.md of github.com/apache/parquet-format tells
#ifndef CORE_DATA_LZ4_H
#define CORE_DATA_LZ4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool lz4_unpack(uint8_t *out, size_t n_out, const uint8_t *in, size_t n);
bool lz4_unpack_frames(uint8_t *out, size_t n_out, const uint8_t *in, size_t n);

#endif
