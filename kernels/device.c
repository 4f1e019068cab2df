// device.c - a device: which table answers, its fault, its memory, and the way of numbers in and out.
//
// Tensors are carved from a chain of blocks. A position in the chain is the number of bytes carved so far, so that a mark is one
// number; the remainder of a block that was too small is not counted:
//
//     [ block 0: start 0, used 3840 ......]  [ block 1: start 3840, used 128 .. | free ]
//                                                                               ^ position 3968
//
// Invariants
//   1. block->start is the position at which the block was taken, and starts grow along the chain
//   2. the block in use, dev->last, holds the position: start <= used_bytes <= start + capacity
//   3. blocks behind it are empty, left by a reset for the next round: a loop that makes the same tensors allocates once
//   4. every tensor begins on a multiple of 64 bytes and is zeroed when it is made, not when its block is
//   5. the count device has positions and no blocks
#include "kernels/table.h"

#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/bf16.h"
#include "kernels/memory.h"

enum { ALIGN = 64, LARGE_PAGE = 2 << 20 };

// Blocks double up to the largest; a tensor that needs more has a block to itself. No tensor is above half a terabyte.
static const size_t first_block = (size_t)1 << 20, largest_block = (size_t)64 << 20, largest_tensor = (size_t)1 << 39;

struct device_block {
    struct device_block *prev, *next;
    size_t start, capacity; // position of the first byte, and bytes, behind the header
};

// Some 20 us of one thread. Waking another takes 5 to 50 us where it has gone to sleep.
static const int64_t ALONE_WORK = 1 << 20;

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static char *block_bytes(struct device_block *b)
{
    return (char *)b + round_up(sizeof *b);
}

static size_t item_bytes(enum dtype dtype)
{
    return dtype == DTYPE_F64 ? 8 : dtype == DTYPE_BF16 ? 2 : 4;
}

// Bytes a multiple of 64. In large pages where there are that many: fewer faults when they are touched first, and fewer misses of the
// processor's table of pages in every step. That is asked for and need not be granted.
static void *take_memory(size_t bytes)
{
    if (bytes < LARGE_PAGE)
        return aligned_alloc(ALIGN, bytes);
    size_t whole = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *memory = aligned_alloc(LARGE_PAGE, whole);
#ifdef MADV_HUGEPAGE
    if (memory)
        madvise(memory, whole, MADV_HUGEPAGE);
#endif
    return memory;
}

static void free_blocks(struct device_block *b)
{
    while (b) {
        struct device_block *next = b->next;
        free(b);
        b = next;
    }
}

static void high_water(struct device *dev)
{
    int64_t now = (int64_t)(dev->used_bytes + dev->workspace_bytes);
    if (dev->counts.memory_bytes < now)
        dev->counts.memory_bytes = now;
}

// --- for the tables ---------------------------------------------------------------------------------------------------------

void device_set_fault(struct device *dev, enum fault_kind kind, const char *op, const char *format, ...)
{
    if (dev->fault.kind != FAULT_NONE)
        return;
    dev->fault.kind = kind;
    dev->fault.step = dev->scalars.step;
    snprintf(dev->fault.op, sizeof dev->fault.op, "%s", op);
    va_list args;
    va_start(args, format);
    vsnprintf(dev->fault.what, sizeof dev->fault.what, format, args);
    va_end(args);
}

void *device_workspace(struct device *dev, size_t bytes, const char *op)
{
    if (bytes > SIZE_MAX / 4) {
        device_set_fault(dev, FAULT_MEMORY, op, "workspace is larger than the address space");
        return NULL;
    }
    size_t wanted = round_up(bytes ? bytes : 1);
    if (wanted <= dev->workspace_bytes)
        return dev->workspace;
    if (dev->kind != DEVICE_COUNT) {
        free(dev->workspace); // the old contents are not promised to anybody
        dev->workspace_bytes = 0;
        if (!(dev->workspace = take_memory(wanted))) {
            device_set_fault(dev, FAULT_MEMORY, op, "no memory for a workspace of %zu bytes", wanted);
            return NULL;
        }
    }
    dev->workspace_bytes = wanted;
    high_water(dev);
    return dev->workspace;
}

// --- opening ----------------------------------------------------------------------------------------------------------------

static struct fault open_fault(enum fault_kind kind, const char *what)
{
    struct fault fault = {.kind = kind, .step = -1, .op = "device_open"};
    snprintf(fault.what, sizeof fault.what, "%s", what);
    return fault;
}

enum isa { ISA_PORTABLE, ISA_AVX2, ISA_AVX512, ISA_AVX512BF16, ISA_COUNT };

static enum isa best_isa(enum precision precision)
{
#if defined(CPU_AVX512_IN_C) // of tests, whose paths of AVX-512 are compiled for AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return precision == PRECISION_BF16 ? ISA_AVX512BF16 : ISA_AVX512;
#endif
#ifdef __x86_64__
    if (precision == PRECISION_BF16 && __builtin_cpu_supports("avx512bf16"))
        return ISA_AVX512BF16;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return ISA_AVX2;
#endif
    return ISA_PORTABLE;
}

// RETORT_ISA lowers the path and never raises it: a path the processor lacks would only crash.
static const struct table *cpu_table(enum precision precision, struct fault *fault)
{
    static const char *const names[ISA_COUNT] = {"portable", "avx2", "avx512", "avx512bf16"};
    static const struct table *const tables[ISA_COUNT] = {
        &table_cpu_portable,
#ifdef __x86_64__
        &table_cpu_avx2,
        &table_cpu_avx512,
        &table_cpu_avx512bf16,
#endif
    };
    enum isa isa = best_isa(precision);
    const char *wanted = getenv("RETORT_ISA");
    if (wanted && *wanted) {
        int named = 0;
        while (named < ISA_COUNT && strcmp(names[named], wanted))
            named++;
        if (named == ISA_COUNT) {
            *fault = open_fault(FAULT_DEVICE, "RETORT_ISA must be portable, avx2, avx512 or avx512bf16");
            return NULL;
        }
        if (named < (int)isa)
            isa = (enum isa)named;
    }
    return tables[isa];
}

struct device *device_open(enum device_kind kind, int threads, struct fault *fault)
{
    *fault = (struct fault){.kind = FAULT_NONE, .step = -1};
    const struct table *table = NULL;
    if (kind == DEVICE_CPU)
        table = cpu_table(PRECISION_F32, fault);
    else if (kind == DEVICE_REF)
        table = &table_ref;
    else if (kind == DEVICE_COUNT)
        table = &table_count;
    else
        *fault = open_fault(FAULT_NOT_BUILT, "no such kind of device");
    if (!table)
        return NULL;
    struct device *dev = calloc(1, sizeof *dev);
    if (!dev) {
        *fault = open_fault(FAULT_MEMORY, "no memory for a device");
        return NULL;
    }
    dev->table = table;
    dev->kind = kind;
    // count plans for as many threads as the cpu would use: each has workspace of its own. OpenMP knows the affinity mask.
    dev->n_threads = kind == DEVICE_REF ? 1 : threads > 0 ? threads : omp_get_max_threads();
    dev->alone_work = ALONE_WORK;
    dev->fault = *fault;
    dev->scalars = (struct step_scalars){.step = -1, .lr_scale = 1, .grad_scale = 1};
    return dev;
}

void device_close(struct device *dev)
{
    if (!dev)
        return;
    while (dev->last && dev->last->prev)
        dev->last = dev->last->prev;
    free_blocks(dev->last);
    free(dev->workspace);
    free(dev);
}

enum dtype device_dtype(const struct device *dev)
{
    return dev->table->dtype;
}

void device_set_precision(struct device *dev, enum precision precision)
{
    struct fault fault = {0};
    const struct table *cpu = dev->kind == DEVICE_REF ? NULL : cpu_table(precision, &fault); // count foresees what it would do
    if (dev->used_bytes)
        device_set_fault(dev, FAULT_DEVICE, "device_set_precision", "there are tensors on the device");
    if (dev->kind == DEVICE_CPU && !cpu)
        device_set_fault(dev, fault.kind, "device_set_precision", "%s", fault.what);
    if (dev->fault.kind != FAULT_NONE)
        return;
    dev->table = dev->kind == DEVICE_CPU ? cpu : dev->table;
    dev->precision = precision;
    dev->multiplies_bf16 = precision == PRECISION_BF16 && cpu && cpu->has_bf16;
}

enum precision device_precision(const struct device *dev)
{
    return dev->precision;
}

bool device_emulates(const struct device *dev)
{
    return dev->precision == PRECISION_BF16 && dev->kind == DEVICE_CPU && !dev->multiplies_bf16;
}

int device_threads(const struct device *dev)
{
    return dev->n_threads;
}

void device_set_alone(struct device *dev, int64_t multiply_adds)
{
    dev->alone_work = multiply_adds;
}

const char *device_isa(const struct device *dev)
{
    return dev->table->isa;
}

struct fault device_fault(struct device *dev)
{
    return dev->fault;
}

void device_set_step(struct device *dev, int64_t step, double lr_scale, double momentum)
{
    dev->scalars =
        (struct step_scalars){.step = step, .lr_scale = lr_scale, .momentum = momentum, .decay_scale = 1, .grad_scale = 1};
}

void device_set_decay(struct device *dev, double decay_scale)
{
    dev->scalars.decay_scale = decay_scale;
}

double device_grad_norm(struct device *dev)
{
    return dev->scalars.grad_norm;
}

bool device_computes(const struct device *dev)
{
    return dev->kind != DEVICE_COUNT;
}

struct device_counts device_counts(const struct device *dev)
{
    return dev->counts;
}

void device_set_rates(struct device *dev, struct device_rates rates)
{
    dev->rates = rates;
}

double device_peak_flops(struct device *dev, double seconds)
{
    return dev->table->peak_flops ? dev->table->peak_flops(dev, seconds) : 0;
}

// --- tensors ----------------------------------------------------------------------------------------------------------------

// Room for `bytes`, a multiple of 64, at the end of the chain; false sets the fault.
static bool chain_room(struct device *dev, size_t bytes, const char *op)
{
    struct device_block *b = dev->last;
    if (b && bytes <= b->capacity - (dev->used_bytes - b->start))
        return true;
    if (b && b->next && bytes <= b->next->capacity) {
        dev->last = b->next;
        dev->last->start = dev->used_bytes;
        return true;
    }
    if (b) {
        free_blocks(b->next);
        b->next = NULL;
    }
    size_t capacity = b ? b->capacity * 2 : first_block;
    if (capacity > largest_block)
        capacity = largest_block;
    if (capacity < bytes)
        capacity = bytes;
    // Tensors are zeroed: the kernel would give what there is not, and then end the process.
    size_t left = capacity >= largest_block ? memory_left("") : SIZE_MAX;
    if (capacity > left) {
        device_set_fault(dev, FAULT_MEMORY, op, "no memory for a tensor of %zu bytes: %zu are left to this process", bytes, left);
        return false;
    }
    struct device_block *fresh = take_memory(round_up(sizeof *fresh) + capacity);
    if (!fresh) {
        device_set_fault(dev, FAULT_MEMORY, op, "no memory for a tensor of %zu bytes", bytes);
        return false;
    }
    *fresh = (struct device_block){.prev = b, .start = dev->used_bytes, .capacity = capacity};
    if (b)
        b->next = fresh;
    dev->last = fresh;
    return true;
}

static struct tensor make_tensor(struct device *dev, int64_t rows, int64_t cols, enum dtype dtype, const char *op)
{
    struct tensor t = {.rows = rows, .cols = cols, .dtype = dtype};
    if (rows < 0 || cols < 0 || (cols && rows > (int64_t)(largest_tensor / item_bytes(dtype)) / cols)) {
        device_set_fault(dev, FAULT_MEMORY, op, "a tensor cannot be [%lld,%lld]", (long long)rows, (long long)cols);
        return (struct tensor){.dtype = dtype};
    }
    size_t bytes = round_up((size_t)(rows * cols) * item_bytes(dtype));
    if (!bytes)
        bytes = ALIGN; // an empty tensor is not an absent one: it has an address
    if (dev->kind != DEVICE_COUNT) {
        if (!chain_room(dev, bytes, op))
            return (struct tensor){.dtype = dtype};
        t.data = memset(block_bytes(dev->last) + (dev->used_bytes - dev->last->start), 0, bytes);
    }
    dev->used_bytes += bytes;
    high_water(dev);
    return t;
}

struct tensor device_tensor(struct device *dev, int64_t rows, int64_t cols)
{
    return make_tensor(dev, rows, cols, dev->table->dtype, "device_tensor");
}

struct tensor device_ids(struct device *dev, int64_t rows, int64_t cols)
{
    return make_tensor(dev, rows, cols, DTYPE_I32, "device_ids");
}

struct tensor device_kept(struct device *dev, int64_t rows, int64_t cols)
{
    bool halves = dev->precision == PRECISION_BF16 && dev->table->dtype == DTYPE_F32;
    return make_tensor(dev, rows, cols, halves ? DTYPE_BF16 : dev->table->dtype, "device_kept");
}

struct weight device_weight(struct device *dev, int64_t rows, int64_t cols)
{
    struct weight w = {.master = device_tensor(dev, rows, cols), .prepared = {.dtype = dev->table->dtype}};
    if (dev->multiplies_bf16)
        device_weight_copy(dev, &w);
    return w;
}

void device_weight_copy(struct device *dev, struct weight *w)
{
    int64_t side = dev->table->panel_cols, rows = w->master.rows, cols = w->master.cols;
    if (!side || !rows || w->prepared.rows)
        return;
    bool halves = dev->multiplies_bf16;
    w->prepared = make_tensor(dev, (rows + side - 1) / side * side, halves ? cols + cols % 2 : cols,
                              halves ? DTYPE_BF16 : dev->table->dtype, "device_weight_copy");
}

struct tensor tensor_rows(struct tensor t, int64_t first, int64_t rows)
{
    if (t.data)
        t.data = (char *)t.data + (size_t)(first * t.cols) * item_bytes(t.dtype);
    t.rows = rows;
    return t;
}

size_t device_mark(const struct device *dev)
{
    return dev->used_bytes;
}

void device_reset(struct device *dev, size_t mark)
{
    if (mark > dev->used_bytes) {
        device_set_fault(dev, FAULT_DEVICE, "device_reset", "mark %zu lies ahead of %zu", mark, dev->used_bytes);
        return;
    }
    while (dev->last && dev->last->prev && dev->last->start >= mark)
        dev->last = dev->last->prev;
    dev->used_bytes = mark;
}

// --- in and out -------------------------------------------------------------------------------------------------------------

// Whether n elements from `first` can be moved; nothing is moved on count and after a fault.
static bool can_move(struct device *dev, struct tensor t, int64_t first, int64_t n, bool is_ids, const char *op)
{
    if (dev->fault.kind != FAULT_NONE)
        return false;
    if ((t.dtype == DTYPE_I32) != is_ids) {
        device_set_fault(dev, FAULT_DEVICE, op, is_ids ? "the tensor does not hold ids" : "the tensor holds ids");
        return false;
    }
    if (first < 0 || n < 0 || first > t.rows * t.cols || n > t.rows * t.cols - first) {
        device_set_fault(dev, FAULT_DEVICE, op, "elements %lld and %lld more lie outside of [%lld,%lld]", (long long)first,
                         (long long)n, (long long)t.rows, (long long)t.cols);
        return false;
    }
    return dev->kind != DEVICE_COUNT && t.data && n > 0;
}

void device_put(struct device *dev, struct tensor to, int64_t first, int64_t n, const float *from)
{
    if (!can_move(dev, to, first, n, false, "device_put"))
        return;
    if (to.dtype == DTYPE_F32)
        memcpy((float *)to.data + first, from, (size_t)n * sizeof *from);
    else if (to.dtype == DTYPE_BF16)
        for (int64_t i = 0; i < n; i++)
            ((uint16_t *)to.data)[first + i] = bf16_of(from[i]);
    else
        for (int64_t i = 0; i < n; i++)
            ((double *)to.data)[first + i] = from[i];
}

void device_get(struct device *dev, float *to, struct tensor from, int64_t first, int64_t n)
{
    if (!can_move(dev, from, first, n, false, "device_get")) {
        if (n > 0)
            memset(to, 0, (size_t)n * sizeof *to); // after a fault nobody reads what memory held before
        return;
    }
    if (from.dtype == DTYPE_F32)
        memcpy(to, (const float *)from.data + first, (size_t)n * sizeof *to);
    else if (from.dtype == DTYPE_BF16)
        for (int64_t i = 0; i < n; i++)
            to[i] = bf16_value(((const uint16_t *)from.data)[first + i]);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = (float)((const double *)from.data)[first + i];
}

void device_put_f64(struct device *dev, struct tensor to, int64_t first, int64_t n, const double *from)
{
    if (!can_move(dev, to, first, n, false, "device_put_f64"))
        return;
    if (to.dtype == DTYPE_F64)
        memcpy((double *)to.data + first, from, (size_t)n * sizeof *from);
    else if (to.dtype == DTYPE_BF16)
        for (int64_t i = 0; i < n; i++)
            ((uint16_t *)to.data)[first + i] = bf16_of((float)bf16_round_f64(from[i]));
    else
        for (int64_t i = 0; i < n; i++)
            ((float *)to.data)[first + i] = (float)from[i];
}

void device_get_f64(struct device *dev, double *to, struct tensor from, int64_t first, int64_t n)
{
    if (!can_move(dev, from, first, n, false, "device_get_f64")) {
        if (n > 0)
            memset(to, 0, (size_t)n * sizeof *to);
        return;
    }
    if (from.dtype == DTYPE_F64)
        memcpy(to, (const double *)from.data + first, (size_t)n * sizeof *to);
    else if (from.dtype == DTYPE_BF16)
        for (int64_t i = 0; i < n; i++)
            to[i] = bf16_value(((const uint16_t *)from.data)[first + i]);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = ((const float *)from.data)[first + i];
}

void device_put_ids(struct device *dev, struct tensor to, int64_t first, int64_t n, const int32_t *from)
{
    if (can_move(dev, to, first, n, true, "device_put_ids"))
        memcpy((int32_t *)to.data + first, from, (size_t)n * sizeof *from);
}
