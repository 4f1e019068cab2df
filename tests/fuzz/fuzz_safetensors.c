// fuzz_safetensors.c - libFuzzer over the reader of safetensors: whatever the bytes are, tensors or an error that names the file.
//
//     fuzz_safetensors -max_total_time=3600 corpus tests/fuzz/safetensors
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/safetensors.h"
#include "tests/fuzz/memory_file.h"

enum { PART = 256 };

static void read_tensor(const struct safetensors *st, const struct safetensor *t)
{
    float part[PART];
    volatile uint8_t last = 0;
    int64_t n = t->type == SAFETENSOR_OTHER ? 0 : safetensor_items(t);
    if (safetensors_find(st, t->name) != t || t->n_bytes < 0)
        abort();
    for (int64_t first = 0; first < n; first += PART)
        safetensor_floats(t, first, n - first < PART ? n - first : PART, part);
    if (t->n_bytes)
        last = t->data[t->n_bytes - 1];
    (void)last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = {0};
    struct safetensors st;
    const char *path = memory_file(data, n);
    struct error *e = safetensors_open(&st, path, &arena);
    if (e && e != error_memory() && (e->kind != ERROR_DATA || !strstr(e->what, path)))
        abort();
    error_free(e);
    for (int i = 0; !e && i < st.n; i++)
        read_tensor(&st, &st.tensors[i]);
    if (!e)
        safetensors_close(&st);
    arena_release(&arena);
    return 0;
}
