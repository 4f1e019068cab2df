// types.c - the table of types, and the border to HDF5: its types and its errors are turned into ours here and nowhere else.
#include "core/store/store_inside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/store/atomic.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "results are little endian and are written from memory as they are"
#endif

const char *const store_damaged_fix = "move it away and run again, which makes it anew; if this repeats, check the disk";

const struct store_member checksum_members[3] = {
    {"offset", STORE_U64, offsetof(struct checksum_row, offset), 0},
    {"bytes", STORE_U64, offsetof(struct checksum_row, bytes), 0},
    {"xxh3", STORE_U64, offsetof(struct checksum_row, xxh3), 0},
};

static size_t plain_bytes(enum store_type type, size_t text_bytes)
{
    static const size_t bytes[STORE_TYPE_COUNT] = {[STORE_U8] = 1,  [STORE_U16] = 2, [STORE_U32] = 4, [STORE_U64] = 8,
                                                   [STORE_I32] = 4, [STORE_I64] = 8, [STORE_F32] = 4, [STORE_F64] = 8};
    return type == STORE_TEXT ? text_bytes : bytes[type];
}

size_t store_type_bytes(enum store_type type, size_t text_bytes)
{
    return plain_bytes(type, text_bytes);
}

const char *store_type_name(enum store_type type)
{
    static const char *const names[STORE_TYPE_COUNT] = {
        [STORE_U8] = "u8",   [STORE_U16] = "u16", [STORE_U32] = "u32", [STORE_U64] = "u64",   [STORE_I32] = "i32",
        [STORE_I64] = "i64", [STORE_F32] = "f32", [STORE_F64] = "f64", [STORE_TEXT] = "text", [STORE_TABLE] = "table"};
    return names[type];
}

size_t store_item_bytes(const struct store_set *set)
{
    if (set->type != STORE_TABLE)
        return plain_bytes(set->type, set->text_bytes);
    size_t bytes = 0;
    for (int i = 0; i < set->n_members; i++)
        bytes += plain_bytes(set->members[i].type, set->members[i].text_bytes);
    return bytes;
}

bool store_sizes(const struct store_set *set, int64_t *n_items, int64_t *n_bytes)
{
    if (set->n_dims < 1 || set->n_dims > STORE_DIMS)
        return false;
    int64_t n = 1;
    for (int i = 0; i < set->n_dims; i++)
        if (set->dims[i] < 0 || __builtin_mul_overflow(n, set->dims[i], &n))
            return false;
    size_t item = store_item_bytes(set);
    *n_items = n;
    return item > 0 && item < INT64_MAX && !__builtin_mul_overflow(n, (int64_t)item, n_bytes);
}

static hid_t text_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 &&
        (H5Tset_size(type, bytes) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static hid_t plain_type(enum store_type type, size_t text_bytes)
{
    switch (type) {
    case STORE_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case STORE_U16:
        return H5Tcopy(H5T_STD_U16LE);
    case STORE_U32:
        return H5Tcopy(H5T_STD_U32LE);
    case STORE_U64:
        return H5Tcopy(H5T_STD_U64LE);
    case STORE_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case STORE_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case STORE_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case STORE_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case STORE_TEXT:
        return text_type(text_bytes);
    case STORE_TABLE:
    case STORE_TYPE_COUNT:
        break;
    }
    return -1;
}

hid_t hdf5_type(const struct store_set *set)
{
    if (set->type != STORE_TABLE)
        return plain_type(set->type, set->text_bytes);
    hid_t table = H5Tcreate(H5T_COMPOUND, store_item_bytes(set));
    size_t at = 0;
    for (int i = 0; i < set->n_members && table >= 0; i++) {
        const struct store_member *m = &set->members[i];
        hid_t type = plain_type(m->type, m->text_bytes);
        if (type < 0 || H5Tinsert(table, m->name, at, type) < 0) {
            H5Tclose(table);
            table = -1;
        }
        if (type >= 0)
            H5Tclose(type);
        at += plain_bytes(m->type, m->text_bytes);
    }
    return table;
}

void hdf5_quiet(void)
{
    // After a failed write HDF5's work at exit can crash (1.10, seen after a full disk); we close everything ourselves. Refused, and
    // harmless, from the second call on.
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static herr_t innermost(unsigned n, const H5E_error2_t *entry, void *text)
{
    if (n == 0)
        snprintf(text, 256, "%s (%s)", entry->desc ? entry->desc : "no description", entry->func_name);
    return 0;
}

struct error *hdf5_error(enum error_kind kind, const char *fix, const char *format, ...)
{
    char cause[256] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, cause);
    H5Eclear2(H5E_DEFAULT);
    char what[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_new(kind, NOWHERE, fix, cause[0] ? "%s: HDF5 says: %s" : "%s%s", what, cause);
}

struct store_attribute store_text(const char *object, const char *name, const char *text)
{
    return (struct store_attribute){.object = object, .name = name, .type = STORE_TEXT, .text = text};
}

struct store_attribute store_i64(const char *object, const char *name, int64_t value)
{
    return (struct store_attribute){.object = object, .name = name, .type = STORE_I64, .i64 = value};
}

struct store_attribute store_f64(const char *object, const char *name, double value)
{
    return (struct store_attribute){.object = object, .name = name, .type = STORE_F64, .f64 = value};
}

struct store_attribute *store_both(struct arena *arena, const struct store_attribute *a, int n_a, const struct store_attribute *b,
                                   int n_b)
{
    struct store_attribute *both = arena_array(arena, (size_t)n_a + (size_t)n_b, sizeof *both);
    if (both && n_a)
        memcpy(both, a, (size_t)n_a * sizeof *both);
    if (both && n_b)
        memcpy(both + n_a, b, (size_t)n_b * sizeof *both);
    return both;
}

struct error *read_all(int fd, const char *path, void *to, int64_t bytes, int64_t offset)
{
    char *at = to;
    while (bytes > 0) {
        ssize_t n = pread(fd, at, (size_t)(bytes < LARGEST_TRANSFER ? bytes : LARGEST_TRANSFER), offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_system(ERROR_MACHINE, errno, "cannot read '%s'", path);
        if (n == 0)
            return error_new(ERROR_DATA, NOWHERE, store_damaged_fix, "'%s' is cut short: it ends at byte %lld", path,
                             (long long)offset);
        at += n;
        bytes -= n;
        offset += n;
    }
    return NULL;
}
