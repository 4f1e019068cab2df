// bpb.c - sums in double, a row at a time.
#include "core/eval/bpb.h"

#include <math.h>

#include "core/base/stop.h"

static void add_rows(struct bpb *sums, struct batch batch, const double *losses, const int32_t *token_bytes)
{
    for (int b = 0; b < batch.B; b++) {
        double nats = 0;
        for (int64_t i = (int64_t)b * batch.T; i < (int64_t)(b + 1) * batch.T; i++) {
            int32_t bytes = batch.targets[i] < 0 ? 0 : token_bytes[batch.targets[i]];
            nats += bytes > 0 ? losses[i] : 0;
            sums->bytes += bytes;
            sums->tokens += batch.targets[i] >= 0;
        }
        sums->nats += nats;
    }
    sums->rows += batch.B;
}

// Length of a batch: that of its longest row.
static int longest(struct row_source rows, int64_t first, int n, int T)
{
    int most = rows.width ? 1 : T;
    for (int i = 0; i < n && rows.width; i++) {
        int width = rows.width(rows.self, first + i);
        most = width > most ? width : most;
    }
    return most;
}

struct error *bpb_go_on(struct model *model, struct row_source rows, int64_t n_rows, int T, int device_batch,
                        const int32_t *token_bytes, struct bpb_hooks hooks, struct bpb *sums)
{
    size_t n = (size_t)device_batch * (size_t)T;
    int32_t *inputs = block_alloc(n * sizeof *inputs), *targets = block_alloc(n * sizeof *targets);
    double *losses = block_alloc(n * sizeof *losses);
    struct error *e = inputs && targets && losses ? NULL : error_memory();
    while (sums->rows < n_rows && !e) {
        int64_t left = n_rows - sums->rows;
        struct batch batch = {.B = left < device_batch ? (int)left : device_batch, .inputs = inputs, .targets = targets};
        batch.T = longest(rows, sums->rows, batch.B, T);
        e = stop_requested() ? error_stopped() : rows.read(rows.self, sums->rows, batch.B, batch.T, inputs, targets);
        if (e)
            break;
        model_loss(model, batch, NULL);
        model_losses(model, batch, losses);
        e = error_from_fault(device_fault(model->dev)); // what a device that failed returned is not to be kept
        if (e)
            break;
        add_rows(sums, batch, losses, token_bytes);
        if (hooks.progress)
            hooks.progress(hooks.self, sums->rows, n_rows);
        if (hooks.save)
            e = hooks.save(hooks.self);
    }
    block_free(inputs);
    block_free(targets);
    block_free(losses);
    sums->bpb = sums->bytes ? sums->nats / (log(2) * (double)sums->bytes) : INFINITY;
    return e;
}

struct error *bpb_measure(struct model *model, struct row_source rows, int64_t n_rows, int T, int device_batch,
                          const int32_t *token_bytes, void (*progress)(void *self, int64_t done, int64_t of), void *self,
                          struct bpb *result)
{
    *result = (struct bpb){0};
    return bpb_go_on(model, rows, n_rows, T, device_batch, token_bytes, (struct bpb_hooks){self, progress, NULL}, result);
}
