// gradient.c - eight groups, summed like a binary counter: after group g, as many partial sums are joined as g has trailing ones.
//
// 1. pending[l] is the sum of the last finished subtree of 2^l groups, or NULL; an empty group is NULL and adds nothing.
// 2. A left sum takes its right neighbour in: left += right. So the order of additions is that of the tree, always.
// 3. Rows of width 0 are not computed. The width of a micro-batch is that of its longest row: what stands behind the end of a shorter
//    one has no target, so its gradient is an exact zero, and neither sums nor bits know of it.
// 4. Four partial sums and the one being made are the most that live at a time.
#include "core/train/gradient.h"

#include "core/base/stop.h"
#include "core/data/rows.h"

struct error *gradient_open(struct gradient *g, struct model *model, int64_t R, int T, int device_batch)
{
    *g = (struct gradient){.model = model, .R = R, .T = T, .device_batch = device_batch};
    size_t n = (size_t)device_batch * (size_t)T;
    if (!device_computes(model->dev))
        return NULL;
    for (int i = 0; i < 2; i++) {
        g->inputs[i] = arena_array(model->arena, n, sizeof *g->inputs[i]);
        g->targets[i] = arena_array(model->arena, n, sizeof *g->targets[i]);
        if (!g->inputs[i] || !g->targets[i])
            return error_memory();
    }
    g->weights = arena_array(model->arena, n, sizeof *g->weights);
    g->losses = arena_array(model->arena, n + (size_t)R, sizeof *g->losses);
    return g->weights && g->losses ? NULL : error_memory();
}

static struct error *take_set(struct gradient *g, bool used[GRADIENT_SETS], int *set)
{
    for (*set = 0; *set < g->n_sets; ++*set)
        if (!used[*set])
            break;
    if (*set == g->n_sets) {
        struct error *e = model_gradients(g->model, &g->sets[g->n_sets]);
        if (e)
            return e;
        g->n_sets++;
    }
    used[*set] = true;
    for (int i = 0; i < g->model->n_params; i++)
        op_zero(g->model->dev, g->sets[*set][i]);
    return NULL;
}

static int width_of(const struct gradient *g, struct row_source rows, int64_t row)
{
    return rows.width ? rows.width(rows.self, row) : g->T;
}

static int64_t targets_of(const struct gradient *g, struct row_source rows, int64_t row)
{
    return rows.n_targets ? rows.n_targets(rows.self, row) : g->T;
}

// The next rows that go through the model together: *B of them from *row on, all of width above 0, at most T wide.
static void next_rows(const struct gradient *g, struct row_source rows, int64_t first, int64_t *row, int64_t end, int *B, int *T)
{
    *B = *T = 0;
    while (*row < end && width_of(g, rows, first + *row) == 0)
        ++*row;
    for (int width; *row + *B < end && *B < g->device_batch && (width = width_of(g, rows, first + *row + *B)) > 0; ++*B)
        *T = width > *T ? width : *T;
}

// Asks for the micro-batch that comes after the rows up to `row` of the batch that begins at `first`: of that batch, or of the next.
static void read_ahead(const struct gradient *g, struct row_source rows, int64_t first, int64_t row)
{
    for (int update = 0; update < 2; update++, first += g->R, row = 0)
        for (int group = 0; group < ROW_GROUPS; group++) {
            int64_t begin, end;
            int B, T;
            group_bounds(g->R, group, &begin, &end);
            begin = begin > row ? begin : row;
            next_rows(g, rows, first, &begin, end, &B, &T);
            if (B > 0) {
                prefetch_ask(g->ahead, first + begin, B, T, g->inputs[g->i_buffer], g->targets[g->i_buffer]);
                return;
            }
        }
}

// Into the buffers in turn; *inputs and *targets are this micro-batch's until the next but one is read.
static struct error *read_rows(struct gradient *g, struct row_source rows, int64_t first, int64_t row, int B, int T,
                               int32_t **inputs, int32_t **targets)
{
    *inputs = g->inputs[g->i_buffer];
    *targets = g->targets[g->i_buffer];
    if (!g->ahead)
        return rows.read(rows.self, first + row, B, T, *inputs, *targets);
    struct error *e = prefetch_take(g->ahead, first + row, B, T, *inputs, *targets);
    g->i_buffer ^= 1;
    if (!e)
        read_ahead(g, rows, first, row + B);
    return e;
}

static struct error *add_rows(struct gradient *g, struct row_source rows, int64_t first, int64_t begin, int64_t end,
                              const struct tensor *sum)
{
    double *row_losses = g->losses + (size_t)g->device_batch * (size_t)g->T;
    bool computes = device_computes(g->model->dev);
    int B, T;
    for (int64_t row = begin; row < end && computes; row++)
        row_losses[row] = 0;
    for (int64_t row = begin; next_rows(g, rows, first, &row, end, &B, &T), B > 0; row += B) {
        if (stop_requested())
            return error_stopped();
        if (!computes) {
            model_loss(g->model, (struct batch){.B = B, .T = T}, sum);
            continue;
        }
        int32_t *inputs, *targets;
        struct error *e = read_rows(g, rows, first, row, B, T, &inputs, &targets);
        if (e)
            return e;
        for (int b = 0; b < B; b++) {
            double weight = (rows.weight ? rows.weight(rows.self, first + row + b) : 1) / (double)g->n_targets;
            for (int t = 0; t < T; t++)
                g->weights[b * T + t] = (float)weight;
        }
        struct batch batch = {B, T, inputs, targets, g->weights};
        model_loss(g->model, batch, sum);
        model_losses(g->model, batch, g->losses);
        for (int b = 0; b < B; b++) {
            double loss = 0;
            for (int t = 0; t < T; t++)
                loss += g->losses[(int64_t)b * T + t];
            row_losses[row + b] = loss * (rows.weight ? rows.weight(rows.self, first + row + b) : 1);
        }
    }
    return NULL;
}

struct error *gradient_of_rows(struct gradient *g, struct row_source rows, int64_t first, double *loss, const struct tensor **sum)
{
    bool used[GRADIENT_SETS] = {false};
    int pending[4] = {-1, -1, -1, -1}, whole = -1;
    g->n_targets = 0;
    for (int64_t row = 0; row < g->R; row++)
        g->n_targets += targets_of(g, rows, first + row);
    for (int group = 0; group < ROW_GROUPS; group++) {
        int64_t begin, end;
        group_bounds(g->R, group, &begin, &end);
        int set = -1;
        if (begin < end) {
            struct error *e = take_set(g, used, &set);
            if (!e)
                e = add_rows(g, rows, first, begin, end, g->sets[set]);
            if (e)
                return e;
        }
        int level = 0;
        for (; group >> level & 1; level++) {
            int left = pending[level];
            pending[level] = -1;
            if (left < 0 || set < 0) {
                set = left < 0 ? set : left;
                continue;
            }
            for (int i = 0; i < g->model->n_params; i++)
                op_add(g->model->dev, g->sets[left][i], g->sets[set][i]);
            used[set] = false;
            set = left;
        }
        if (level < 3)
            pending[level] = set;
        else
            whole = set;
    }
    double total = 0;
    for (int64_t row = 0; row < g->R && g->losses; row++)
        total += g->losses[(size_t)g->device_batch * (size_t)g->T + (size_t)row];
    *loss = g->n_targets ? total / (double)g->n_targets : 0;
    *sum = g->sets[whole];
    return error_from_fault(device_fault(g->model->dev));
}
