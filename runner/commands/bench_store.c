// bench_store.c - `retort bench store [MiB]`: how fast a checkpoint is written and read, as shares of what the disk and the memory do.
//
// Turns alternate, for a disk has phases of its own: what everybody would do (reserve, write 4 MiB at a time, fsync, rename, fsync of the
// folder), then store_save of the same bytes, and the other way round. Medians count: of the times, and of the shares of each turn.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/philox.h"
#include "core/store/atomic.h"
#include "core/store/store.h"
#include "runner/commands/bench.h"
#include "runner/recipe/number.h"

enum { TURNS = 5, SETS = 64, PIECE = 4 << 20, MIB_DEFAULT = 1024, MIB_MOST = 1 << 16 };

struct figures {
    double raw_s, save_s, save_share, copy_s, verify_s, read_s;
};

struct measuring {
    const char *raw_tmp, *raw, *ours;
    char *bytes, *copy;
    int64_t n;
};

static double seconds_since(double start)
{
    return clock_seconds() - start;
}

// Before each turn: what the one before left for later is not the next one's.
static void settle(void)
{
    sync();
}

static struct error *write_raw(const struct measuring *m, double *seconds)
{
    settle();
    double start = clock_seconds();
    int fd = open(m->raw_tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    struct error *e = fd < 0 ? error_system(ERROR_MACHINE, errno, "cannot write '%s'", m->raw_tmp) : NULL;
    int err = e ? 0 : posix_fallocate(fd, 0, m->n);
    if (err == ENOSPC)
        e = error_system(ERROR_MACHINE, err, "cannot write '%s'", m->raw_tmp);
    for (int64_t at = 0; at < m->n && !e;) {
        ssize_t n = pwrite(fd, m->bytes + at, (size_t)(m->n - at < PIECE ? m->n - at : PIECE), at);
        if (n <= 0 && errno != EINTR)
            e = error_system(ERROR_MACHINE, errno, "cannot write '%s'", m->raw_tmp);
        at += n > 0 ? n : 0;
    }
    if (fd >= 0 && close(fd) && !e)
        e = error_system(ERROR_MACHINE, errno, "cannot write '%s'", m->raw_tmp);
    if (!e)
        e = atomic_publish(m->raw_tmp, m->raw);
    *seconds = seconds_since(start);
    unlink(m->raw_tmp);
    unlink(m->raw);
    return e;
}

static struct error *write_ours(const struct measuring *m, double *seconds)
{
    struct store_set sets[SETS];
    char names[SETS][32];
    int64_t n = m->n / SETS / (int64_t)sizeof(float);
    for (int i = 0; i < SETS; i++) {
        snprintf(names[i], sizeof names[i], "/model/w%d", i);
        sets[i] = (struct store_set){.path = names[i],
                                     .type = STORE_F32,
                                     .n_dims = 2,
                                     .dims = {n / 1024, 1024},
                                     .data = m->bytes + (size_t)i * (size_t)n * sizeof(float)};
    }
    settle();
    double start = clock_seconds();
    struct error *e = store_save(m->ours, NULL, 0, sets, SETS);
    *seconds = seconds_since(start);
    return e;
}

// cold: the file's pages are given back first, as far as the system does so.
static struct error *verify(const struct measuring *m, bool cold, double *seconds)
{
    struct store_file *file;
    int fd = cold ? open(m->ours, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    double start = clock_seconds();
    struct error *e = store_open(&file, m->ours);
    if (!e)
        e = store_verify(file);
    if (!e)
        *seconds = seconds_since(start);
    store_close(file);
    return e;
}

static double median(double *values)
{
    for (int i = 1; i < TURNS; i++)
        for (int k = i; k > 0 && values[k] < values[k - 1]; k--) {
            double other = values[k];
            values[k] = values[k - 1];
            values[k - 1] = other;
        }
    return values[TURNS / 2];
}

static struct error *measure(struct figures *f, struct measuring *m)
{
    double raw[TURNS], ours[TURNS], share[TURNS], copy[TURNS], verify_s[TURNS], read_s[TURNS];
    struct error *e = NULL;
    for (int turn = 0; turn < TURNS && !e; turn++) {
        double start = clock_seconds();
        memcpy(m->copy, m->bytes, (size_t)m->n);
        copy[turn] = seconds_since(start);
        if (turn % 2)
            e = write_raw(m, &raw[turn]);
        if (!e)
            e = write_ours(m, &ours[turn]);
        if (!e && turn % 2 == 0)
            e = write_raw(m, &raw[turn]);
        if (!e)
            e = verify(m, true, &read_s[turn]);
        if (!e)
            e = verify(m, false, &verify_s[turn]);
        share[turn] = e ? NAN : raw[turn] / ours[turn];
        unlink(m->ours);
    }
    if (!e)
        *f = (struct figures){median(raw), median(ours), median(share), median(copy), median(verify_s), median(read_s)};
    return e;
}

// Bytes that no disk can press together.
static void fill(struct measuring *m)
{
    for (int64_t i = 0; i < m->n / 16; i++) {
        uint32_t four[4];
        philox_words((struct philox){{1, 2}}, 0, (uint64_t)i, four);
        memcpy(m->bytes + 16 * i, four, sizeof four);
    }
}

static void print(const struct figures *f, int64_t n)
{
    double bytes = (double)n;
    bench_print("the disk: write and fsync", bytes / f->raw_s, "B/s"), putchar('\n');
    bench_print("a checkpoint, written", bytes / f->save_s, "B/s"), printf("  %3.0f%% of the disk\n", 100 * f->save_share);
    bench_print("copied: training waits", bytes / f->copy_s, "B/s");
    printf("  %3.1f%% of the time to write it\n", 100 * f->copy_s / f->save_s);
    bench_print("verified, from the disk", bytes / f->read_s, "B/s"), putchar('\n');
    bench_print("verified, from memory", bytes / f->verify_s, "B/s"), putchar('\n');
}

struct error *bench_store(struct call *call)
{
    struct measuring m = {.raw_tmp = arena_printf(call->arena, "%s/bench-raw.tmp", call->results),
                          .raw = arena_printf(call->arena, "%s/bench-raw", call->results),
                          .ours = arena_printf(call->arena, "%s/bench-store.h5", call->results)};
    struct figures f;
    struct json j = {0};
    int64_t mib = MIB_DEFAULT;
    if (!m.raw_tmp || !m.raw || !m.ours)
        return error_memory();
    struct error *e = call->n_args > 1 ? number_int(call->args[1], false, NOWHERE, "MiB", &mib) : NULL;
    if (!e && (mib < 1 || mib > MIB_MOST))
        e = error_new(ERROR_USAGE, NOWHERE, "say how large the checkpoint is to be, in MiB", "%lld MiB is out of bounds",
                      (long long)mib);
    if (!e)
        e = folder_make(call->results);
    if (e || (e = bench_open(call, &j)))
        return e;
    m.n = mib << 20;
    m.bytes = block_alloc((size_t)m.n);
    m.copy = block_alloc((size_t)m.n);
    e = m.bytes && m.copy ? NULL : error_memory();
    if (!e) {
        fill(&m);
        memset(m.copy, 1, (size_t)m.n);
        e = measure(&f, &m);
    }
    block_free(m.bytes);
    block_free(m.copy);
    if (e || !call->json) {
        json_release(&j);
        if (!e)
            printf("%lld MiB in '%s'\n\n", (long long)mib, call->results), print(&f, m.n);
        return e;
    }
    json_key(&j, "bytes"), json_i64(&j, m.n);
    json_key(&j, "disk_seconds"), json_f64(&j, f.raw_s);
    json_key(&j, "save_seconds"), json_f64(&j, f.save_s);
    json_key(&j, "save_share"), json_f64(&j, f.save_share);
    json_key(&j, "copy_seconds"), json_f64(&j, f.copy_s);
    json_key(&j, "read_seconds"), json_f64(&j, f.read_s);
    json_key(&j, "verify_seconds"), json_f64(&j, f.verify_s);
    return answer_print(&j);
}
