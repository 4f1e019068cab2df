// bench_kernels.c - `retort bench kernels`: operations by themselves, held against the peak of multiply-adds and against memory.
//
// Each is done once for caches and workspace, then a few times; the shortest counts. The peak is measured again beside every line, and
// the best so far is what shares are of. FLOPs and bytes are those of the count device (kernels.h), on which the same call is made.
#include "runner/commands/bench.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "kernels/profile.h"

enum { TRIES_MOST = 64, PEAK_FIRST_MS = 1000, PEAK_MS = 40, SEQUENCE = 512 };
static const double ENOUGH_S = 0.3;

// cblas_sgemm: order, transposition of a and b, M, N, K, alpha, a, its stride, b, its stride, beta, c, its stride
typedef void sgemm_call(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };

struct operands {
    struct device *dev;
    int64_t M, N, K;
    struct attention a;
    struct tensor x, y, d, out, lse, dx, dk, dv, dw, ids, weights, losses;
    struct weight w;
    sgemm_call *sgemm; // of another library, in place of ours; NULL: ours
};

struct benching {
    struct call *call;
    struct device *dev;
    struct json json;
    double peak;
    sgemm_call *sgemm;
    const char *blas; // its name; NULL: none
};

// An operation and its operands; `open` makes these on whatever device it is given.
struct work {
    void (*open)(struct operands *o);
    void (*run)(struct operands *o);
};

struct figure {
    double seconds, products_s, flops, bytes; // of one call
};

static void fill(struct device *dev, struct tensor t, double scale)
{
    float piece[4096];
    for (int i = 0; i < 4096; i++)
        piece[i] = (float)(((i * 7919) % 4093 / 4093.0 - 0.5) * scale);
    for (int64_t first = 0, n = t.rows * t.cols; first < n; first += 4096)
        device_put(dev, t, first, n - first < 4096 ? n - first : 4096, piece);
}

static struct tensor filled(struct operands *o, int64_t rows, int64_t cols, double scale)
{
    struct tensor t = device_tensor(o->dev, rows, cols);
    fill(o->dev, t, scale);
    return t;
}

// --- the operations ---------------------------------------------------------------------------------------------------------------

static void open_product(struct operands *o)
{
    o->x = filled(o, o->M, o->K, 1);
    o->w.master = filled(o, o->N, o->K, 1);
    o->y = filled(o, o->M, o->N, 1);
    o->dw = device_tensor(o->dev, o->N, o->K);
    op_weight_prepare(o->dev, &o->w);
}

static void run_nt(struct operands *o)
{
    int M = (int)o->M, N = (int)o->N, K = (int)o->K;
    if (!o->sgemm)
        op_matmul(o->dev, o->y, o->x, &o->w, false);
    else
        o->sgemm(ROW_MAJOR, PLAIN, TRANSPOSED, M, N, K, 1, o->x.data, K, o->w.master.data, K, 0, o->y.data, N);
}

static void run_nn(struct operands *o)
{
    int M = (int)o->M, N = (int)o->N, K = (int)o->K;
    if (!o->sgemm)
        op_matmul_dx(o->dev, o->x, o->y, &o->w, false);
    else
        o->sgemm(ROW_MAJOR, PLAIN, PLAIN, M, K, N, 1, o->y.data, N, o->w.master.data, K, 0, o->x.data, K);
}

static void run_tn(struct operands *o)
{
    int M = (int)o->M, N = (int)o->N, K = (int)o->K;
    if (!o->sgemm)
        op_matmul_dw(o->dev, o->dw, o->y, o->x, SEQUENCE);
    else
        o->sgemm(ROW_MAJOR, TRANSPOSED, PLAIN, N, K, M, 1, o->y.data, N, o->x.data, K, 1, o->dw.data, K);
}

static void open_attention(struct operands *o)
{
    int64_t N = (int64_t)o->a.B * o->a.T, C = (int64_t)o->a.n_head * o->a.head_dim;
    struct tensor *made[] = {&o->x, &o->y, &o->d, &o->out, &o->weights};
    for (size_t i = 0; i < countof(made); i++)
        *made[i] = filled(o, N, C, 2);
    o->dx = device_tensor(o->dev, N, C);
    o->dk = device_tensor(o->dev, N, C);
    o->dv = device_tensor(o->dev, N, C);
    o->lse = device_tensor(o->dev, N, o->a.n_head);
    op_attention(o->dev, o->out, o->lse, o->x, o->y, o->d, o->a);
}

static void run_attention(struct operands *o)
{
    op_attention(o->dev, o->out, o->lse, o->x, o->y, o->d, o->a);
}

static void run_attention_back(struct operands *o)
{
    op_attention_back(o->dev, o->dx, o->dk, o->dv, o->weights, o->x, o->y, o->d, o->out, o->lse, o->a);
}

static void open_loss(struct operands *o)
{
    o->x = filled(o, o->M, o->K, 2);
    o->w.master = filled(o, o->N, o->K, 2);
    o->dx = device_tensor(o->dev, o->M, o->K);
    o->dw = device_tensor(o->dev, o->N, o->K);
    o->losses = device_tensor(o->dev, o->M, 1);
    o->weights = filled(o, o->M, 1, 1e-3);
    o->ids = device_ids(o->dev, o->M, 1);
    for (int64_t n = 0; n < o->M; n++)
        device_put_ids(o->dev, o->ids, n, 1, &(int32_t){(int32_t)(n * 7919 % o->N)});
    op_weight_prepare(o->dev, &o->w);
}

static void run_loss(struct operands *o)
{
    op_loss(o->dev, o->losses, o->dx, o->dw, o->x, &o->w, o->ids, o->weights, (int)o->N, 15, SEQUENCE);
}

static void open_flat(struct operands *o)
{
    o->x = filled(o, o->M, o->N, 1);
    o->y = filled(o, o->M, o->N, 1);
    o->d = device_tensor(o->dev, o->M, o->N);
    o->dw = device_tensor(o->dev, o->M, o->N);
    o->weights = device_tensor(o->dev, o->M, 1);
    device_set_step(o->dev, 0, 1, 0.9);
}

static void run_copy(struct operands *o)
{
    op_copy(o->dev, o->y, o->x);
}

static void run_norm(struct operands *o)
{
    op_norm(o->dev, o->y, o->weights, o->x, 1e-6f);
}

static void run_adamw(struct operands *o)
{
    op_adamw(o->dev, o->x, o->d, o->dw, o->y, (struct adamw){.lr = 1e-3, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10});
}

static void run_newton_schulz(struct operands *o)
{
    op_newton_schulz(o->dev, o->x, &newton_schulz_2025);
}

// --- measuring --------------------------------------------------------------------------------------------------------------------

static struct error *measure(struct benching *b, struct work work, struct operands sizes, struct figure *figure)
{
    struct fault fault;
    struct operands o = sizes;
    size_t mark = device_mark(b->dev);
    struct error *e = NULL;
    o.dev = b->dev;
    work.open(&o);
    double begin = clock_seconds();
    figure->seconds = INFINITY;
    for (int i = 0; i <= TRIES_MOST && (i < 3 || clock_seconds() - begin < ENOUGH_S) && !e; i++) {
        struct op_timing t[1];
        if (stop_requested())
            e = error_stopped();
        device_profile(b->dev, true);
        double from = clock_seconds();
        work.run(&o);
        double took = clock_seconds() - from;
        int n = device_timings(b->dev, t, 1);
        device_profile(b->dev, false);
        if (i && took < figure->seconds) {
            figure->seconds = took;
            figure->products_s = n ? t[0].products_s : 0;
        }
    }
    e = e ? e : error_from_fault(device_fault(b->dev));
    device_reset(b->dev, mark);
    b->peak = fmax(b->peak, device_peak_flops(b->dev, PEAK_MS / 1000.0));
    struct device *counter = e ? NULL : device_open(DEVICE_COUNT, device_threads(b->dev), &fault);
    if (!counter)
        return e ? e : error_from_fault(fault);
    o = sizes;
    o.dev = counter;
    o.sgemm = NULL;
    work.open(&o);
    struct device_counts before = device_counts(counter);
    work.run(&o);
    figure->flops = device_counts(counter).flops - before.flops;
    figure->bytes = device_counts(counter).bytes - before.bytes;
    device_close(counter);
    return NULL;
}

// --- products ---------------------------------------------------------------------------------------------------------------------

enum { FORMS = 3 };
static const char *const form_names[FORMS] = {"nt", "nn", "tn"};

// What models of width 256 to 1280 multiply, by 2,048 and by 8,192 tokens, and heads of 8,192 to 65,536 words.
static const int64_t product_sizes[][3] = {
    {2048, 256, 256},   {2048, 1024, 256},  {2048, 512, 512},   {2048, 2048, 512},  {2048, 768, 768},   {2048, 3072, 768},
    {2048, 1280, 1280}, {2048, 5120, 1280}, {8192, 256, 256},   {8192, 1024, 256},  {8192, 768, 768},   {8192, 3072, 768},
    {8192, 768, 3072},  {2048, 8192, 256},  {2048, 32768, 256}, {2048, 65536, 256}, {2048, 32768, 768},
};

struct product_line {
    double ours[FORMS], theirs[FORMS]; // FLOP/s
};

static struct error *measure_product(struct benching *b, const int64_t *size, struct product_line *line)
{
    void (*const runs[FORMS])(struct operands *) = {run_nt, run_nn, run_tn};
    struct operands o = {.M = size[0], .N = size[1], .K = size[2]};
    struct figure f;
    struct error *e = NULL;
    for (int form = 0; form < FORMS && !e; form++) {
        e = measure(b, (struct work){open_product, runs[form]}, o, &f);
        line->ours[form] = e ? NAN : f.flops / f.seconds;
        if (e || !b->sgemm)
            continue;
        o.sgemm = b->sgemm;
        e = measure(b, (struct work){open_product, runs[form]}, o, &f);
        line->theirs[form] = e ? NAN : f.flops / f.seconds;
        o.sgemm = NULL;
    }
    return e;
}

static void print_rates(const struct benching *b, const char *name, const struct product_line *line)
{
    printf("%-20s", name);
    for (int form = 0; form < FORMS; form++)
        printf(" %6.1f %3.0f%%", line->ours[form] / 1e9, 100 * line->ours[form] / b->peak);
    for (int form = 0; form < FORMS && b->sgemm; form++)
        printf(" %7.1f", line->theirs[form] / 1e9);
    putchar('\n');
    fflush(stdout);
}

static void put_rates(struct json *j, const char *key, const double *rates)
{
    json_key(j, key);
    json_open(j, '{');
    for (int form = 0; form < FORMS; form++)
        json_key(j, form_names[form]), json_f64(j, rates[form]);
    json_close(j, '}');
}

static void put_product(struct benching *b, const int64_t *size, const struct product_line *line)
{
    static const char *const names[] = {"m", "n", "k"};
    struct json *j = &b->json;
    json_open(j, '{');
    for (int i = 0; i < 3; i++)
        json_key(j, names[i]), json_i64(j, size[i]);
    put_rates(j, "flops", line->ours);
    if (b->sgemm)
        put_rates(j, "blas_flops", line->theirs);
    json_close(j, '}');
}

static struct error *bench_products(struct benching *b)
{
    struct product_line mean = {0};
    int n = countof(product_sizes);
    bool json = b->call->json;
    char title[32];
    if (json)
        json_key(&b->json, "products"), json_open(&b->json, '[');
    else
        printf("%-20s %11s %11s %11s%s%s\n", "products, GFLOP/s", "x w^T  ", "dy w  ", "dy^T x  ",
               b->blas ? "   the same by " : "", b->blas ? b->blas : "");
    for (int i = 0; i < n; i++) {
        struct product_line line;
        const int64_t *size = product_sizes[i];
        struct error *e = measure_product(b, size, &line);
        if (e)
            return e;
        for (int form = 0; form < FORMS; form++) {
            mean.ours[form] += line.ours[form] / n;
            mean.theirs[form] += b->sgemm ? line.theirs[form] / n : 0;
        }
        snprintf(title, sizeof title, "%lld, %lld, %lld", (long long)size[0], (long long)size[1], (long long)size[2]);
        if (json)
            put_product(b, size, &line);
        else
            print_rates(b, title, &line);
    }
    if (json) {
        json_close(&b->json, ']');
        put_rates(&b->json, "products_mean", mean.ours);
    } else {
        print_rates(b, "mean", &mean);
    }
    return NULL;
}

// --- the rest ---------------------------------------------------------------------------------------------------------------------

enum unit { GFLOPS, GBYTES, NS_A_LOGIT };

static struct error *tell(struct benching *b, const char *name, struct work work, struct operands sizes, enum unit unit)
{
    struct figure f;
    struct error *e = measure(b, work, sizes, &f);
    if (e)
        return e;
    double flops = f.flops / f.seconds, bytes = f.bytes / f.seconds;
    double ns = (f.seconds - f.products_s) / ((double)sizes.M * (double)sizes.N) * 1e9;
    if (b->call->json) {
        struct json *j = &b->json;
        json_open(j, '{');
        json_key(j, "name"), json_str(j, name);
        json_key(j, "seconds"), json_f64(j, f.seconds);
        json_key(j, "flops"), json_f64(j, flops);
        json_key(j, "bytes"), json_f64(j, bytes);
        if (unit == NS_A_LOGIT)
            json_key(j, "ns_a_logit"), json_f64(j, ns);
        json_close(j, '}');
        return NULL;
    }
    printf("%-44s", name);
    if (unit == GBYTES)
        printf(" %8.1f GB/s\n", bytes / 1e9);
    else
        printf(" %8.1f GFLOP/s %3.0f%% of the peak\n", flops / 1e9, 100 * flops / b->peak);
    if (unit == NS_A_LOGIT)
        printf("%-44s %8.2f ns a logit\n", "  beside its products", ns);
    fflush(stdout);
    return NULL;
}

static struct error *bench_attention(struct benching *b)
{
    static const struct {
        int T, D;
    } each[] = {{512, 64}, {512, 128}, {2048, 64}, {2048, 128}};
    char name[64];
    struct error *e = NULL;
    for (size_t i = 0; i < countof(each) && !e; i++) {
        struct operands o = {.a = {.B = 4096 / each[i].T, .T = each[i].T, .head_dim = each[i].D}};
        o.a.n_head = o.a.n_kv_head = 256 / each[i].D;
        snprintf(name, sizeof name, "attention, %d tokens, heads of %d", each[i].T, each[i].D);
        e = tell(b, name, (struct work){open_attention, run_attention}, o, GFLOPS);
        snprintf(name, sizeof name, "  backward");
        if (!e)
            e = tell(b, name, (struct work){open_attention, run_attention_back}, o, GFLOPS);
    }
    return e;
}

static struct error *bench_others(struct benching *b)
{
    static const int64_t matrices[][2] = {{256, 256}, {1024, 256}, {256, 1024}, {512, 512}, {2048, 512}, {768, 768}};
    char name[64];
    struct error *e = NULL;
    for (int64_t V = 8192; V <= 65536 && !e; V *= 8) {
        snprintf(name, sizeof name, "loss, %lld words, width 256", (long long)V);
        e = tell(b, name, (struct work){open_loss, run_loss}, (struct operands){.M = 2048, .N = V, .K = 256}, NS_A_LOGIT);
    }
    for (size_t i = 0; i < countof(matrices) && !e; i++) {
        struct operands o = {.M = matrices[i][0], .N = matrices[i][1]};
        snprintf(name, sizeof name, "Newton-Schulz, %lld x %lld", (long long)o.M, (long long)o.N);
        e = tell(b, name, (struct work){open_flat, run_newton_schulz}, o, GFLOPS);
    }
    if (!e)
        e = tell(b, "AdamW, 16.8M values", (struct work){open_flat, run_adamw}, (struct operands){.M = 4096, .N = 4096}, GBYTES);
    if (!e)
        e = tell(b, "norm, 8192 x 768", (struct work){open_flat, run_norm}, (struct operands){.M = 8192, .N = 768}, GBYTES);
    if (!e)
        e = tell(b, "copying, 16.8M values", (struct work){open_flat, run_copy}, (struct operands){.M = 4096, .N = 4096}, GBYTES);
    return e;
}

// --- another library --------------------------------------------------------------------------------------------------------------

// Its threads are to be as many as ours; how it is told that depends on whose it is.
static struct error *load_blas(struct benching *b, const char *file)
{
    static const char *const variables[] = {"BLIS_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"};
    char threads[16];
    snprintf(threads, sizeof threads, "%d", device_threads(b->dev));
    for (size_t i = 0; i < countof(variables); i++)
        setenv(variables[i], threads, 1);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return error_new(ERROR_MACHINE, NOWHERE, "give the file of a library with cblas_sgemm, such as libblis.so.4",
                         "cannot load '%s': %s", file, dlerror());
    void *found = dlsym(library, "cblas_sgemm");
    if (!found)
        return error_new(ERROR_MACHINE, NOWHERE, "give the file of a library that has it, such as libblis.so.4",
                         "'%s' has no cblas_sgemm", file);
    memcpy(&b->sgemm, &found, sizeof found);
    const char *slash = strrchr(file, '/');
    b->blas = slash ? slash + 1 : file;
    return NULL;
}

static struct error *run_all(struct benching *b)
{
    struct error *e = bench_products(b);
    if (!e && b->call->json)
        json_key(&b->json, "others"), json_open(&b->json, '[');
    else if (!e)
        putchar('\n');
    if (!e)
        e = bench_attention(b);
    if (!e)
        e = bench_others(b);
    if (!e && b->call->json)
        json_close(&b->json, ']');
    if (!e && b->call->json)
        json_key(&b->json, "peak_flops"), json_f64(&b->json, b->peak);
    else if (!e)
        printf("\npeak of multiply-adds in registers: %.1f GFLOP/s\n", b->peak / 1e9);
    return e;
}

struct error *bench_kernels(struct call *call)
{
    struct fault fault;
    struct benching b = {.call = call, .dev = device_open(DEVICE_CPU, 0, &fault)};
    if (!b.dev)
        return error_from_fault(fault);
    struct error *e = call->blas ? load_blas(&b, call->blas) : NULL;
    if (!e)
        e = bench_open(call, &b.json);
    if (!e) {
        if (call->json && b.blas)
            json_key(&b.json, "blas"), json_str(&b.json, b.blas);
        b.peak = device_peak_flops(b.dev, PEAK_FIRST_MS / 1000.0);
        e = run_all(&b);
    }
    device_close(b.dev);
    if (!e && call->json)
        return answer_print(&b.json);
    json_release(&b.json);
    return e;
}
