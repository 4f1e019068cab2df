// bpb.c - sums in double, a row at a time.
#include "core/eval/bpb.h"

#include <math.h>

#include "core/base/stop.h"

struct error *bpb_measure(struct model *model, struct row_source rows, int64_t n_rows, int T, int device_batch,
                          const int32_t *token_bytes, void (*progress)(void *self, int64_t done, int64_t of), void *self,
                          struct bpb *result)
{
    *result = (struct bpb){0};
    size_t n = (size_t)device_batch * (size_t)T;
    int32_t *inputs = block_alloc(n * sizeof *inputs), *targets = block_alloc(n * sizeof *targets);
    double *losses = block_alloc(n * sizeof *losses);
    struct error *e = inputs && targets && losses ? NULL : error_memory();
    for (int64_t row = 0; row < n_rows && !e;) {
        int B = n_rows - row < device_batch ? (int)(n_rows - row) : device_batch;
        if (stop_requested())
            e = error_stopped();
        if (!e)
            e = rows.read(rows.self, row, B, T, inputs, targets);
        if (e)
            break;
        struct batch batch = {.B = B, .T = T, .inputs = inputs, .targets = targets};
        model_loss(model, batch, NULL);
        model_losses(model, batch, losses);
        for (int b = 0; b < B; b++) {
            double nats = 0;
            for (int64_t i = (int64_t)b * T; i < (int64_t)(b + 1) * T; i++) {
                int32_t bytes = targets[i] < 0 ? 0 : token_bytes[targets[i]];
                nats += bytes > 0 ? losses[i] : 0;
                result->bytes += bytes;
            }
            result->nats += nats;
        }
        result->tokens += (int64_t)B * T;
        row += B;
        if (progress)
            progress(self, row, n_rows);
    }
    block_free(inputs);
    block_free(targets);
    block_free(losses);
    result->bpb = result->bytes ? result->nats / (log(2) * (double)result->bytes) : INFINITY;
    return error_first(e, error_from_fault(device_fault(model->dev)));
}
