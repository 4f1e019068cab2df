// samples_dump RESULT.h5: prints what a model wrote from nothing, a sample a line; for checkers.
#include <stdio.h>

#include "core/store/metrics.h"

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: samples_dump RESULT.h5\n");
        return 2;
    }
    struct store_file *file = NULL;
    struct table samples = {.members = sample_members, .n_members = SAMPLE_MEMBERS, .row_bytes = sizeof(struct sample)};
    struct error *e = store_open(&file, argv[1]);
    if (!e)
        e = table_load(&samples, file, "/samples");
    for (int64_t i = 0; i < samples.n && !e; i++) {
        const struct sample *s = (const struct sample *)samples.rows + i;
        if (s->temperature > 0)
            printf("%s\n", s->text);
    }
    if (e)
        fprintf(stderr, "samples_dump: %s\n", e->what);
    table_release(&samples);
    store_close(file);
    int status = error_exit_status(e);
    error_free(e);
    return status;
}
