// test_safetensors.c - headers as they should be, and as they come from someone who means harm; exact widening.
#include "tests/unit/folder.h"

#include <math.h>

#include "core/model/safetensors.h"
#include "core/store/atomic.h"

// A file of that header and n bytes of data.
static void write_file(const char *header, size_t n_header, size_t n_data)
{
    uint8_t *all = calloc(1, 8 + n_header + n_data + 1);
    for (int i = 0; i < 8; i++)
        all[i] = (uint8_t)((uint64_t)n_header >> 8 * i);
    memcpy(all + 8, header, n_header);
    for (size_t i = 0; i < n_data; i++)
        all[8 + n_header + i] = (uint8_t)i;
    assert_good(atomic_write("t.safetensors", all, 8 + n_header + n_data));
    free(all);
}

static void what_is_there_is_found(void **state)
{
    (void)state;
    const char *header =
        "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[24,28]},\"__metadata__\":{\"format\":\"pt\"},"
        "\"a.weight\":{\"shape\":[2,3],\"dtype\":\"F32\",\"data_offsets\":[0,24]},"
        "\"none\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[24,24]},"
        "\"one\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[28,29]}}   ";
    struct arena arena = {0};
    struct safetensors st;
    float f[6];
    write_file(header, strlen(header), 29);
    assert_good(safetensors_open(&st, "t.safetensors", &arena));
    assert_int_equal(st.n, 4);
    const struct safetensor *a = safetensors_find(&st, "a.weight"), *b = safetensors_find(&st, "b");
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(safetensor_items(a), 6);
    assert_int_equal(safetensor_items(safetensors_find(&st, "none")), 0);
    assert_int_equal(safetensor_items(safetensors_find(&st, "one")), 1);
    assert_int_equal(safetensors_find(&st, "one")->type, SAFETENSOR_OTHER);
    assert_null(safetensors_find(&st, "c"));
    assert_null(safetensors_find(&st, "__metadata__"));
    safetensor_floats(a, 1, 5, f);
    const uint8_t first[] = {4, 5, 6, 7};
    assert_memory_equal(f, first, 4);
    safetensor_floats(b, 0, 2, f);
    const uint8_t wide[] = {0, 0, 24, 25, 0, 0, 26, 27};
    assert_memory_equal(f, wide, 8);
    assert_string_equal(safetensor_shape(a->dims, a->n_dims, &arena), "[2,3]");
    safetensors_close(&st);
    arena_release(&arena);
}

static void harm_is_named(void **state)
{
    (void)state;
#define T(name, dtype, shape, offsets) "\"" name "\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    static const struct {
        const char *header;
        int n_data;
        const char *what; // after "tensor 'a' of 't.safetensors' " or "'t.safetensors' "
    } bad[] = {
        {"", 0, "its header does not begin with '{'"},
        {" {}", 0, "its header does not begin with '{'"},
        {"[]", 0, "its header does not begin with '{'"},
        {"{", 0, "is no JSON"},
        {"{}x", 0, "is no JSON"},
        {"{\"a\xff\":1}", 0, "is no JSON"},
        {"{" T("a", "\"F32\"", "[1]", "[0,4]") "," T("a", "\"F32\"", "[1]", "[0,4]") "}", 4, "is no JSON: duplicate"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ that is no object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "more than texts"},
        {"{}", 1, "bytes behind its last tensor"},
        {"{\"a\":[]}", 0, "is no object"},
        {"{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, "has no dtype"},
        {"{" T("a", "\"F33\"", "[1]", "[0,4]") "}", 4, "unknown type 'F33'"},
        {"{" T("a", "\"F32\"", "{}", "[0,4]") "}", 4, "has no shape"},
        {"{" T("a", "\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "at most 8 dimensions"},
        {"{" T("a", "\"F32\"", "[1.0]", "[0,4]") "}", 4, "no whole number"},
        {"{" T("a", "\"F32\"", "[-1]", "[0,4]") "}", 4, "no whole number"},
        {"{" T("a", "\"F32\"", "[\"1\"]", "[0,4]") "}", 4, "no whole number"},
        {"{" T("a", "\"F32\"", "[4611686018427387904,4]", "[0,4]") "}", 4, "more bytes than can be counted"},
        {"{" T("a", "\"F32\"", "[1000000000,1000000000,1000000000]", "[0,4]") "}", 4, "more bytes than can be counted"},
        {"{" T("a", "\"F32\"", "[99999999999999999999]", "[0,4]") "}", 4, "is no JSON"},
        {"{" T("a", "\"F32\"", "[2]", "[0,4]") "}", 4, "has 4 bytes where its shape asks for 8"},
        {"{" T("a", "\"F32\"", "[1]", "[0]") "}", 4, "no two data_offsets"},
        {"{" T("a", "\"F32\"", "[1]", "[0,4,8]") "}", 4, "no two data_offsets"},
        {"{" T("a", "\"F32\"", "[1]", "[0,4.0]") "}", 4, "no two data_offsets"},
        {"{" T("a", "\"F32\"", "[1]", "[4,0]") "}", 4, "ends before it begins"},
        {"{" T("a", "\"F32\"", "[1]", "[-4,0]") "}", 4, "ends before it begins"},
        {"{" T("a", "\"F32\"", "[2]", "[0,8]") "}", 4, "beyond the end of the file"},
        {"{" T("a", "\"F32\"", "[1]", "[9223372036854775803,9223372036854775807]") "}", 4, "beyond the end of the file"},
        {"{" T("a", "\"F32\"", "[1]", "[4,8]") "}", 8, "bytes that are no tensor's"},
        {"{" T("a", "\"F32\"", "[1]", "[0,4]") "}", 8, "bytes behind its last tensor"},
        {"{" T("a", "\"F32\"", "[2]", "[0,8]") "," T("b", "\"F32\"", "[2]", "[4,12]") "}", 12, "overlaps another"},
        {"{" T("a", "\"F32\"", "[2]", "[0,8]") "," T("b", "\"F32\"", "[2]", "[0,8]") "}", 8, "overlaps another"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, "other members"},
    };
#undef T
    struct arena arena = {0};
    for (size_t i = 0; i < countof(bad); i++) {
        struct safetensors st;
        write_file(bad[i].header, strlen(bad[i].header), (size_t)bad[i].n_data);
        struct error *e = safetensors_open(&st, "t.safetensors", &arena);
        if (!e || !strstr(e->what, "'t.safetensors'"))
            fail_msg("header %zu: %s", i, e ? e->what : "no error");
        assert_error(e, ERROR_DATA, bad[i].what);
    }
    static const uint8_t lengths[][8] = {{1}, {0, 0, 0, 1, 1}, {255, 255, 255, 255, 255, 255, 255, 255}, {3}};
    static const char *const whats[] = {"cut short: it has 7 bytes", "too long: 4311744512 bytes",
                                        "too long: 18446744073709551615 bytes", "0 bytes of a header of 3 are there"};
    for (size_t i = 0; i < countof(lengths); i++) {
        struct safetensors st;
        assert_good(atomic_write("t.safetensors", lengths[i], i ? 8 : 7));
        assert_error(safetensors_open(&st, "t.safetensors", &arena), ERROR_DATA, whats[i]);
    }
    struct safetensors st;
    assert_good(atomic_write("empty", "", 0));
    assert_error(safetensors_open(&st, "empty", &arena), ERROR_DATA, "it has 0 bytes");
    assert_error(safetensors_open(&st, "none", &arena), ERROR_DATA, "cannot open 'none'");
    assert_error(safetensors_open(&st, "/", &arena), ERROR_DATA, "'/' is not a file");
    arena_release(&arena);
}

static void halves_are_exact(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= 0xFFFF; bits++) {
        uint8_t raw[] = {(uint8_t)bits, (uint8_t)(bits >> 8)};
        struct safetensor t = {.type = SAFETENSOR_F16, .n_dims = 1, .dims = {1}, .data = raw, .n_bytes = 2};
        int exponent = bits >> 10 & 31, fraction = bits & 1023;
        float f;
        safetensor_floats(&t, 0, 1, &f);
        double is = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        if (exponent == 31 && fraction)
            assert_true(isnan(f));
        else
            assert_true(f == (float)(bits >> 15 ? -1 : 1) * (exponent == 31 ? INFINITY : (float)is));
        assert_int_equal(!!signbit(f), bits >> 15);
    }
}

static void what_is_written_comes_back(void **state)
{
    (void)state;
    const float a[] = {1, -0.0f, 0x1p-149f, 3e38f, INFINITY, 1.5f}, b[] = {7};
    const struct safetensor tensors[] = {{.name = "z \"quoted\"", .n_dims = 2, .dims = {3, 2}},
                                         {.name = "b", .n_dims = 1, .dims = {1}}};
    struct arena arena = {0};
    struct safetensors st;
    const uint8_t *header;
    size_t n;
    float back[6];
    assert_good(safetensors_header(tensors, 2, &arena, &header, &n));
    assert_int_equal(n % 8, 0);
    const struct atomic_piece pieces[] = {{header, n}, {a, sizeof a}, {b, sizeof b}};
    assert_good(atomic_write_pieces("w.safetensors", pieces, 3));
    assert_good(safetensors_open(&st, "w.safetensors", &arena));
    safetensor_floats(safetensors_find(&st, "z \"quoted\""), 0, 6, back);
    assert_memory_equal(back, a, sizeof a);
    safetensor_floats(safetensors_find(&st, "b"), 0, 1, back);
    assert_memory_equal(back, b, sizeof b);
    safetensors_close(&st);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_found),
        cmocka_unit_test(harm_is_named),
        cmocka_unit_test(halves_are_exact),
        cmocka_unit_test(what_is_written_comes_back),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
