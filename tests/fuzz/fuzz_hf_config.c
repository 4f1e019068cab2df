// fuzz_hf_config.c - libFuzzer over the JSON of a folder of a model: a shape that can be, or an error that names the file.
//
//     fuzz_hf_config -max_total_time=3600 corpus tests/fuzz/hf_config
//
// The bytes are read as config.json, and as model.safetensors.index.json.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/model/hf_config.h"
#include "tests/fuzz/memory_file.h"

static const char *folder(void)
{
    static char path[40] = "";
    char name[100];
    if (path[0])
        return path;
    strcpy(path, "/tmp/fuzz-hf-XXXXXX");
    memory_file((const uint8_t *)"", 0); // the file that both names lead to
    if (!mkdtemp(path))
        abort();
    static const char *const names[] = {"config.json", "model.safetensors.index.json"};
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        if (symlink(memory_file((const uint8_t *)"", 0), name))
            abort();
    }
    return path;
}

static void use(struct error *e)
{
    if (e && e != error_memory() && (e->kind != ERROR_DATA || (!strstr(e->what, ".json") && !e->while_)))
        abort();
    error_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = {0};
    struct shape shape;
    const char *const *names, *in = folder();
    int n_names, first;
    memory_file(data, n);
    struct error *e = hf_config_read(in, &shape, &arena);
    if (!e && (shape.n_vocab != shape.n_vocab_padded || shape_params(&shape) < 1))
        abort();
    use(e);
    e = hf_folder_files(in, &arena, &names, &n_names, &first);
    for (int i = 0; !e && i < n_names; i++)
        if (strchr(names[i], '/') || !names[i][0])
            abort();
    use(e);
    arena_release(&arena);
    return 0;
}
