// tensorboard.c - a record is put together in a small buffer, then framed.
#include "runner/commands/tensorboard.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_MOST = 600, TAG_MOST = 400 };

struct record {
    uint8_t byte[RECORD_MOST];
    size_t n;
};

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
    }
    return ~crc;
}

// CRCs of data that holds CRCs would be weak: they are stored turned and shifted.
static uint32_t masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

static void put(struct record *r, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        r->byte[r->n++] = (uint8_t)(value >> 8 * i);
}

static void put_varint(struct record *r, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        r->byte[r->n++] = (uint8_t)(value | 0x80);
    r->byte[r->n++] = (uint8_t)value;
}

static void put_key(struct record *r, int field, enum wire wire)
{
    put_varint(r, (uint64_t)field << 3 | wire);
}

static void put_double(struct record *r, int field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(r, field, WIRE_64);
    put(r, bits, 8);
}

static void put_bytes(struct record *r, int field, const void *data, size_t n)
{
    put_key(r, field, WIRE_BYTES);
    put_varint(r, n);
    memcpy(r->byte + r->n, data, n);
    r->n += n;
}

static struct error *write_record(struct bytes *out, const struct record *r)
{
    struct record head = {.n = 0}, tail = {.n = 0};
    put(&head, r->n, 8);
    put(&head, masked(crc32c(head.byte, 8)), 4);
    put(&tail, masked(crc32c(r->byte, r->n)), 4);
    struct error *e = bytes_append(out, head.byte, head.n);
    if (!e)
        e = bytes_append(out, r->byte, r->n);
    return e ? e : bytes_append(out, tail.byte, tail.n);
}

struct error *tensorboard_begin(struct bytes *out)
{
    static const char version[] = "brain.Event:2";
    struct record event = {.n = 0};
    put_double(&event, 1, 0);
    put_bytes(&event, 3, version, strlen(version));
    return write_record(out, &event);
}

static struct error *write_number(struct bytes *out, double time, int64_t step, const char *tag, double number)
{
    struct record value = {.n = 0}, summary = {.n = 0}, event = {.n = 0};
    float simple = (float)number;
    uint32_t bits;
    memcpy(&bits, &simple, sizeof bits);
    put_bytes(&value, 1, tag, strlen(tag));
    put_key(&value, 2, WIRE_32);
    put(&value, bits, 4);
    put_bytes(&summary, 1, value.byte, value.n);
    put_double(&event, 1, time);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)step);
    put_bytes(&event, 5, summary.byte, summary.n);
    return write_record(out, &event);
}

// When step s of a stage was done.
static double time_of(const struct run_tables *tables, int64_t step)
{
    const struct event *events = tables->events.rows;
    const struct timing_train *timing = tables->timing.rows;
    double time = tables->events.n ? events[0].time : 0;
    for (int64_t i = 0; i < tables->timing.n && timing[i].step <= step; i++)
        time += timing[i].seconds;
    return time;
}

// Every real number of a table that has steps, under STAGE/NAME.
static struct error *write_table(struct bytes *out, const char *stage, const struct run_tables *tables, const struct table *t,
                                 const char *prefix)
{
    struct error *e = NULL;
    double time = time_of(tables, -1);
    const struct timing_train *timing = tables->timing.rows;
    int64_t next = 0; // of timing: rows before it are in `time`
    for (int64_t i = 0; i < t->n && !e; i++) {
        const char *row = (const char *)t->rows + (size_t)i * t->row_bytes;
        int64_t step = *(const int64_t *)(const void *)(row + t->members[0].offset);
        for (; next < tables->timing.n && timing[next].step <= step; next++)
            time += timing[next].seconds;
        for (int m = 1; m < t->n_members && !e; m++) {
            char tag[TAG_MOST];
            double value = t->members[m].type == STORE_F64 ? *(const double *)(const void *)(row + t->members[m].offset) : NAN;
            if (isnan(value))
                continue;
            snprintf(tag, sizeof tag, "%.200s/%s%s", stage, prefix, t->members[m].name);
            e = write_number(out, time, step, tag, value);
        }
    }
    return e;
}

static struct error *write_pass(struct bytes *out, const char *stage, const struct run_tables *tables)
{
    struct error *e = NULL;
    const struct metric_pass *rows = tables->pass.rows;
    for (int64_t i = 0; i < tables->pass.n && !e; i++) {
        char tag[TAG_MOST];
        snprintf(tag, sizeof tag, "%.200s/pass@%lld", stage, (long long)rows[i].k);
        e = write_number(out, time_of(tables, rows[i].step), rows[i].step, tag, rows[i].pass);
    }
    return e;
}

static struct error *write_scores(struct bytes *out, const char *stage, const struct run_tables *tables)
{
    struct error *e = NULL;
    const struct task_score *rows = tables->tasks.rows;
    for (int64_t i = 0; i < tables->tasks.n && !e; i++) {
        char tag[TAG_MOST];
        snprintf(tag, sizeof tag, "%.200s/%.39s", stage, rows[i].task);
        e = write_number(out, time_of(tables, -1), 0, tag, rows[i].accuracy);
    }
    const struct suite_score *suites = tables->suites.rows;
    for (int64_t i = 0; i < tables->suites.n && !e; i++) {
        char tag[TAG_MOST];
        if (isnan(suites[i].value))
            continue;
        snprintf(tag, sizeof tag, "%.200s/%.39s", stage, suites[i].suite);
        e = write_number(out, time_of(tables, -1), 0, tag, suites[i].value);
    }
    return e;
}

struct error *tensorboard_stage(struct bytes *out, const char *stage, const struct run_tables *tables)
{
    const struct {
        const struct table *table;
        const char *prefix;
    } parts[] = {{&tables->train, ""},
                 {&tables->val, "validation "},
                 {&tables->timing, "time "},
                 {&tables->rewards, ""},
                 {&tables->scores, "score "}};
    struct error *e = NULL;
    for (size_t i = 0; i < countof(parts) && !e; i++)
        e = write_table(out, stage, tables, parts[i].table, parts[i].prefix);
    if (!e)
        e = write_pass(out, stage, tables);
    return e ? e : write_scores(out, stage, tables);
}
