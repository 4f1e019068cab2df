// safetensors.h - the files in which others keep weights: a JSON header that says where each tensor lies, then the tensors.
//
//     struct safetensors st;
//     e = safetensors_open(&st, "model.safetensors", arena);            // checks the whole header
//     const struct safetensor *t = safetensors_find(&st, "lm_head.weight");
//     safetensor_floats(t, 0, safetensor_items(t), to);
//     safetensors_close(&st);
//
// Layout     u64 length of the header, little endian; the header; the tensors' bytes, row-major, little endian. The header is an object
//            {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {text: text}} with blanks
//            behind it; offsets count from its end
// Reading    trusts nothing: the header is an object of at most 16 MiB in UTF-8, without a name twice; a tensor has a type that is
//            known, at most 8 dimensions, and as many bytes as these say; the tensors cover what lies behind the header from its first
//            byte to its last, one after the other
// Mapped     the bytes of tensors are those of the file (map.h says what that means), at any alignment
// Writing    safetensors_header makes the first part; the bytes of the tensors follow in the order given
// Errors     ERROR_DATA naming the file, the tensor and the reason; of memory
// Ownership  names and tensors live in the arena; bytes are there until safetensors_close
// Source     safetensors 0.8, format
#ifndef CORE_MODEL_SAFETENSORS_H
#define CORE_MODEL_SAFETENSORS_H

#include "core/base/json.h"
#include "core/base/map.h"

enum safetensor_type {
    SAFETENSOR_F32,
    SAFETENSOR_BF16,
    SAFETENSOR_F16,
    SAFETENSOR_OTHER // of a known size, but none that weights here can be of
};

enum { SAFETENSOR_DIMS = 8 };

struct safetensor {
    const char *name, *dtype; // dtype as written: "F32"
    enum safetensor_type type;
    int n_dims;
    int64_t dims[SAFETENSOR_DIMS];
    const uint8_t *data; // n_bytes
    int64_t begin, n_bytes;
};

struct safetensors {
    const char *path;
    struct map map;
    struct safetensor *tensors; // by name
    int n;
};

struct error *CHECKED safetensors_open(struct safetensors *st, const char *path, struct arena *arena);
void safetensors_close(struct safetensors *st);

const struct safetensor *safetensors_find(const struct safetensors *st, const char *name); // NULL: there is none

int64_t safetensor_items(const struct safetensor *t);

// Items first .. first+n-1 as float32, which holds every number of the three types exactly. Not of SAFETENSOR_OTHER.
void safetensor_floats(const struct safetensor *t, int64_t first, int64_t n, float *to);

// "[512,256]", in the arena.
const char *safetensor_shape(const int64_t *dims, int n_dims, struct arena *arena);

// The header of tensors of float32, with the length before it; only name, dims and n_dims of each are looked at. Metadata says "pt", as
// `transformers` wants it.
struct error *CHECKED safetensors_header(const struct safetensor *tensors, int n, struct arena *arena, const uint8_t **header,
                                         size_t *n_bytes);

#endif
