// canary.c - the training's own gradient, for a batch of one short row.
#include "core/train/canary.h"

#include <math.h>
#include <stdio.h>

#include "core/base/hash.h"
#include "core/base/philox.h"

enum { WIDTH = 160, PIECE = 1 << 12, STEP = 7919 };

static const uint64_t SEED = 20251013;

static struct error *read_row(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    int64_t n_vocab = *(const int64_t *)self;
    for (int64_t i = 0; i < (int64_t)n * T; i++) {
        int64_t at = first * T + i;
        inputs[i] = (int32_t)(at * STEP % n_vocab);
        targets[i] = (int32_t)((at + 1) * STEP % n_vocab);
    }
    return NULL;
}

// Uniform from -s to s, with s such that sums over a row neither vanish nor saturate.
static void set_weights(struct model *model)
{
    struct philox p = philox_for(SEED, PHILOX_INIT);
    float piece[PIECE];
    for (int i = 0; i < model->n_params; i++) {
        const struct param *param = &model->params[i];
        double scale = param->group == PARAM_EMBEDDING ? 1 : 1 / sqrt((double)param->cols);
        int64_t n_all = param->rows * param->cols;
        for (int64_t first = 0; first < n_all; first += PIECE) {
            int64_t n = n_all - first < PIECE ? n_all - first : PIECE;
            for (int64_t k = 0; k < n; k += 4) {
                uint32_t words[4];
                philox_words(p, (uint64_t)i, (uint64_t)(first + k) / 4, words);
                for (int w = 0; w < 4 && k + w < n; w++)
                    piece[k + w] = (float)(scale * ((double)words[w] / 2147483648.0 - 1));
            }
            device_put(model->dev, param->w.master, first, n, piece);
        }
    }
    model_prepare(model);
}

// One hash after the other: the place of a piece counts.
static uint64_t hash_gradients(const struct model *model, const struct tensor *gradients, double loss)
{
    float piece[PIECE];
    uint64_t hash = xxh3(&loss, sizeof loss);
    for (int i = 0; i < model->n_params; i++) {
        int64_t n_all = gradients[i].rows * gradients[i].cols;
        for (int64_t first = 0; first < n_all; first += PIECE) {
            int64_t n = n_all - first < PIECE ? n_all - first : PIECE;
            device_get(model->dev, piece, gradients[i], first, n);
            uint64_t both[2] = {hash, xxh3(piece, (size_t)n * sizeof *piece)};
            hash = xxh3(both, sizeof both);
        }
    }
    return hash;
}

struct error *canary_measure(struct gradient *g, char hex[CANARY_HEX])
{
    const struct gradient training = *g;
    const struct tensor *gradients;
    int64_t n_vocab = g->model->shape.n_vocab;
    double loss;
    set_weights(g->model);
    g->R = 1;
    g->T = g->T < WIDTH ? g->T : WIDTH;
    g->ahead = NULL;
    struct error *e = gradient_of_rows(g, (struct row_source){.self = &n_vocab, .read = read_row}, 0, &loss, &gradients);
    g->R = training.R;
    g->T = training.T;
    g->ahead = training.ahead;
    if (!e)
        snprintf(hex, CANARY_HEX, "%016llx", (unsigned long long)hash_gradients(g->model, gradients, loss));
    return e;
}
