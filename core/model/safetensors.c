// safetensors.c - the header is copied before it is parsed; what it says of tensors is checked one by one, then all of them together in
// the order of the file.
#include "core/model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { LENGTH = 8, HEADER_MOST = 16 << 20, HEADER_ALIGN = 8 };

static const char *const damaged_fix = "fetch or export it again";

static const struct {
    const char *name;
    int bytes;
    enum safetensor_type type;
} types[] = {
    {"F32", 4, SAFETENSOR_F32},       {"BF16", 2, SAFETENSOR_BF16},     {"F16", 2, SAFETENSOR_F16},
    {"F64", 8, SAFETENSOR_OTHER},     {"I64", 8, SAFETENSOR_OTHER},     {"I32", 4, SAFETENSOR_OTHER},
    {"I16", 2, SAFETENSOR_OTHER},     {"I8", 1, SAFETENSOR_OTHER},      {"U64", 8, SAFETENSOR_OTHER},
    {"U32", 4, SAFETENSOR_OTHER},     {"U16", 2, SAFETENSOR_OTHER},     {"U8", 1, SAFETENSOR_OTHER},
    {"BOOL", 1, SAFETENSOR_OTHER},    {"C64", 8, SAFETENSOR_OTHER},     {"F8_E4M3", 1, SAFETENSOR_OTHER},
    {"F8_E5M2", 1, SAFETENSOR_OTHER}, {"F8_E8M0", 1, SAFETENSOR_OTHER},
};

static struct error *bad_file(const struct safetensors *st, const char *what)
{
    return error_new(ERROR_DATA, NOWHERE, damaged_fix, "'%s' %s", st->path, what);
}

static struct error *bad_tensor(const struct safetensors *st, const char *name, const char *what)
{
    return error_new(ERROR_DATA, NOWHERE, damaged_fix, "tensor '%.120s' of '%s' %s", name, st->path, what);
}

static struct error *take_shape(const struct safetensors *st, struct safetensor *t, const json_t *shape)
{
    char what[100];
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSOR_DIMS) {
        snprintf(what, sizeof what, "has no shape of at most %d dimensions", SAFETENSOR_DIMS);
        return bad_tensor(st, t->name, what);
    }
    t->n_dims = (int)json_array_size(shape);
    for (int i = 0; i < t->n_dims; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return bad_tensor(st, t->name, "has a dimension that is no whole number from 0 on");
        t->dims[i] = json_integer_value(dim);
    }
    return NULL;
}

// Bytes of an item, or 0 for an unknown type.
static int take_type(struct safetensor *t, const json_t *dtype)
{
    const char *name = json_string_value(dtype);
    for (size_t i = 0; i < countof(types) && name; i++)
        if (!strcmp(name, types[i].name)) {
            t->dtype = types[i].name;
            t->type = types[i].type;
            return types[i].bytes;
        }
    return 0;
}

static struct error *take_offsets(const struct safetensors *st, struct safetensor *t, const json_t *offsets, int64_t n_data)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return bad_tensor(st, t->name, "has no two data_offsets");
    t->begin = json_integer_value(begin);
    int64_t last = json_integer_value(end);
    if (t->begin < 0 || last < t->begin)
        return bad_tensor(st, t->name, "ends before it begins");
    if (last > n_data)
        return bad_tensor(st, t->name, "reaches beyond the end of the file");
    t->n_bytes = last - t->begin;
    return NULL;
}

static struct error *take_tensor(const struct safetensors *st, struct safetensor *t, const json_t *about, int64_t n_data)
{
    char what[160];
    const char *dtype = json_string_value(json_object_get(about, "dtype"));
    int item = take_type(t, json_object_get(about, "dtype"));
    if (!json_is_object(about))
        return bad_tensor(st, t->name, "is no object in the header");
    if (!item) {
        snprintf(what, sizeof what, "is of the unknown type '%.40s'", dtype ? dtype : "");
        return bad_tensor(st, t->name, dtype ? what : "has no dtype");
    }
    if (json_object_size(about) != 3)
        return bad_tensor(st, t->name, "has other members than dtype, shape and data_offsets");
    struct error *e = take_shape(st, t, json_object_get(about, "shape"));
    if (!e)
        e = take_offsets(st, t, json_object_get(about, "data_offsets"), n_data);
    if (e)
        return e;
    int64_t bytes = item;
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(bytes, t->dims[i], &bytes))
            return bad_tensor(st, t->name, "has a shape of more bytes than can be counted");
    if (bytes == t->n_bytes)
        return NULL;
    snprintf(what, sizeof what, "has %lld bytes where its shape asks for %lld", (long long)t->n_bytes, (long long)bytes);
    return bad_tensor(st, t->name, what);
}

static int by_place(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    if (x->begin != y->begin)
        return (x->begin > y->begin) - (x->begin < y->begin);
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes); // empty ones first
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct safetensor *)a)->name, ((const struct safetensor *)b)->name);
}

static struct error *check_places(const struct safetensors *st, int64_t n_data)
{
    int64_t at = 0;
    if (st->n)
        qsort(st->tensors, (size_t)st->n, sizeof *st->tensors, by_place);
    for (int i = 0; i < st->n; i++) {
        const struct safetensor *t = &st->tensors[i];
        if (t->begin < at)
            return bad_tensor(st, t->name, "overlaps another");
        if (t->begin > at)
            return bad_tensor(st, t->name, "lies behind bytes that are no tensor's");
        at += t->n_bytes;
    }
    return at == n_data ? NULL : bad_file(st, "has bytes behind its last tensor");
}

static struct error *check_metadata(const struct safetensors *st, const json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return bad_file(st, "has a __metadata__ that is no object");
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value))
            return bad_file(st, "has a __metadata__ with more than texts in it");
    }
    return NULL;
}

static struct error *take_tensors(struct safetensors *st, json_t *root, const uint8_t *data, int64_t n_data, struct arena *arena)
{
    const char *name;
    json_t *about;
    st->tensors = arena_array(arena, json_object_size(root) + 1, sizeof *st->tensors);
    if (!st->tensors)
        return error_memory();
    json_object_foreach(root, name, about)
    {
        struct safetensor *t = &st->tensors[st->n];
        struct error *e;
        if (!strcmp(name, "__metadata__")) {
            if ((e = check_metadata(st, about)))
                return e;
            continue;
        }
        if (!(t->name = arena_strdup(arena, name)))
            return error_memory();
        if ((e = take_tensor(st, t, about, n_data)))
            return e;
        t->data = data ? data + t->begin : NULL;
        st->n++;
    }
    struct error *e = check_places(st, n_data);
    if (!e && st->n)
        qsort(st->tensors, (size_t)st->n, sizeof *st->tensors, by_name);
    return e;
}

// The length of the header, which lies in the file whole.
static struct error *find_header(const struct safetensors *st, int64_t *n)
{
    char what[160];
    uint64_t length = 0;
    size_t n_bytes = st->map.n_bytes;
    if (n_bytes < LENGTH) {
        snprintf(what, sizeof what, "is cut short: it has %zu bytes", n_bytes);
        return bad_file(st, what);
    }
    for (int i = LENGTH; i-- > 0;)
        length = length << 8 | st->map.data[i];
    if (length > HEADER_MOST) {
        snprintf(what, sizeof what, "is no safetensors file, or of a header that is too long: %llu bytes",
                 (unsigned long long)length);
        return bad_file(st, what);
    }
    if (length > n_bytes - LENGTH) {
        snprintf(what, sizeof what, "is cut short: %zu bytes of a header of %llu are there", n_bytes - LENGTH,
                 (unsigned long long)length);
        return bad_file(st, what);
    }
    if (!length || st->map.data[LENGTH] != '{')
        return bad_file(st, "is no safetensors file: its header does not begin with '{'");
    *n = (int64_t)length;
    return NULL;
}

static struct error *read_header(struct safetensors *st, struct arena *arena)
{
    char what[300];
    int64_t n = 0;
    struct error *e = find_header(st, &n);
    if (e)
        return e;
    char *copy = block_alloc((size_t)n);
    if (!copy)
        return error_memory();
    memcpy(copy, st->map.data + LENGTH, (size_t)n);
    json_error_t problem;
    json_t *root = json_loadb(copy, (size_t)n, JSON_REJECT_DUPLICATES, &problem);
    block_free(copy);
    if (!root && json_error_code(&problem) == json_error_out_of_memory)
        return error_memory();
    if (!root) {
        snprintf(what, sizeof what, "has a header that is no JSON: %s", problem.text);
        return bad_file(st, what);
    }
    size_t n_data = st->map.n_bytes - LENGTH - (size_t)n;
    e = take_tensors(st, root, st->map.data + LENGTH + n, (int64_t)n_data, arena);
    json_decref(root);
    return e;
}

struct error *safetensors_open(struct safetensors *st, const char *path, struct arena *arena)
{
    *st = (struct safetensors){.path = arena_strdup(arena, path)};
    struct error *e = st->path ? map_open(&st->map, path) : error_memory();
    if (!e)
        e = read_header(st, arena);
    if (e)
        safetensors_close(st);
    return e;
}

void safetensors_close(struct safetensors *st)
{
    map_close(&st->map);
    *st = (struct safetensors){0};
}

const struct safetensor *safetensors_find(const struct safetensors *st, const char *name)
{
    struct safetensor wanted = {.name = name};
    return st->n ? bsearch(&wanted, st->tensors, (size_t)st->n, sizeof *st->tensors, by_name) : NULL;
}

int64_t safetensor_items(const struct safetensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= t->dims[i]; // an empty one can have dimensions whose product alone would not fit: 0 makes it 0
    return n;
}

// IEEE 754 half to single precision, by bits: numbers below 2^-14 have no leading one of their own.
static uint32_t widen_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
    if (exponent == 0x1F)
        return sign | 0x7F800000 | fraction << 13;
    if (exponent)
        return sign | (exponent + 127 - 15) << 23 | fraction << 13;
    if (!fraction)
        return sign;
    exponent = 127 - 14;
    while (!(fraction & 0x400)) {
        fraction <<= 1;
        exponent--;
    }
    return sign | exponent << 23 | (fraction & 0x3FF) << 13;
}

void safetensor_floats(const struct safetensor *t, int64_t first, int64_t n, float *to)
{
    if (n <= 0)
        return;
    if (t->type == SAFETENSOR_F32) {
        memcpy(to, t->data + 4 * first, 4 * (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = t->data + 2 * (first + i);
        uint16_t bits = (uint16_t)(p[0] | p[1] << 8);
        uint32_t wide = t->type == SAFETENSOR_BF16 ? (uint32_t)bits << 16 : widen_f16(bits);
        memcpy(to + i, &wide, sizeof wide);
    }
}

const char *safetensor_shape(const int64_t *dims, int n_dims, struct arena *arena)
{
    const char *text = "[";
    for (int i = 0; i < n_dims && text; i++)
        text = arena_printf(arena, "%s%s%lld", text, i ? "," : "", (long long)dims[i]);
    return text ? arena_printf(arena, "%s]", text) : NULL;
}

static void write_tensor(struct json *j, const struct safetensor *t, int64_t *at)
{
    json_key(j, t->name);
    json_open(j, '{');
    json_key(j, "dtype"), json_str(j, "F32");
    json_key(j, "shape");
    json_open(j, '[');
    for (int i = 0; i < t->n_dims; i++)
        json_i64(j, t->dims[i]);
    json_close(j, ']');
    json_key(j, "data_offsets");
    json_open(j, '[');
    json_i64(j, *at);
    *at += safetensor_items(t) * (int64_t)sizeof(float);
    json_i64(j, *at);
    json_close(j, ']');
    json_close(j, '}');
}

struct error *safetensors_header(const struct safetensor *tensors, int n, struct arena *arena, const uint8_t **header,
                                 size_t *n_bytes)
{
    struct json j = {0};
    int64_t at = 0;
    json_open(&j, '{');
    json_key(&j, "__metadata__");
    json_open(&j, '{');
    json_key(&j, "format"), json_str(&j, "pt");
    json_close(&j, '}');
    for (int i = 0; i < n; i++)
        write_tensor(&j, &tensors[i], &at);
    json_close(&j, '}');
    const char *text = json_text(&j);
    size_t padded = (j.n + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    uint8_t *to = text ? arena_alloc(arena, LENGTH + padded) : NULL;
    if (to) {
        for (int i = 0; i < LENGTH; i++)
            to[i] = (uint8_t)(padded >> 8 * i);
        memset(to + LENGTH, ' ', padded);
        memcpy(to + LENGTH, text, j.n);
    }
    json_release(&j);
    *header = to;
    *n_bytes = LENGTH + padded;
    return to ? NULL : error_memory();
}
