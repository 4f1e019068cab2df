// test_damage.c - a flipped bit, a cut, an extra byte anywhere in a file is found by store_open or store_verify; foreign files are named.
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/store/store.h"
#include "tests/unit/core/store/hdf5_leaks.h"

struct row {
    int64_t step;
    double loss;
};

static const struct store_member members[] = {{"step", STORE_I64, offsetof(struct row, step), 0},
                                              {"loss", STORE_F64, offsetof(struct row, loss), 0}};

static void make_file(const char *path)
{
    static float w[20][700];
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 700; k++)
            w[i][k] = (float)(i * 700 + k);
    struct row rows[50] = {{1, 2.0}};
    struct store_set sets[21];
    char paths[20][40];
    for (int i = 0; i < 20; i++) {
        snprintf(paths[i], sizeof paths[i], "/model/transformer.h.%d.attn.c_q", i);
        sets[i] = (struct store_set){.path = paths[i], .type = STORE_F32, .n_dims = 2, .dims = {7, i * 5}, .data = w[i]};
    }
    sets[20] = (struct store_set){.path = "/metrics/train",
                                  .type = STORE_TABLE,
                                  .n_dims = 1,
                                  .dims = {50},
                                  .data = rows,
                                  .members = members,
                                  .n_members = 2,
                                  .row_bytes = sizeof *rows};
    struct store_attribute attributes[] = {store_text("/", "kind", "pretrain"), store_i64("/", "step", 3),
                                           store_f64("/model", "norm_eps", 1e-5)};
    assert_good(store_save(path, attributes, countof(attributes), sets, countof(sets)));
}

// Opens, verifies and reads all that there is; true when anything failed. Nothing may crash on the way.
static bool is_caught(const char *path, bool *by_open)
{
    struct store_file *file;
    struct arena arena = {0};
    struct error *e = store_open(&file, path);
    *by_open = e;
    if (!e) {
        // Reading comes first: what verify would find must be harmless even for those who did not ask.
        const char *const *names, *text;
        int n_names, n;
        struct store_set set;
        int64_t offset, bytes, n_rows;
        void *rows;
        error_free(store_get_text(file, "/", "kind", &arena, &text));
        error_free(store_list(file, "/", &arena, &names, &n));
        error_free(store_read_table(file, "/metrics/train", members, 2, sizeof(struct row), &arena, &rows, &n_rows));
        if ((e = store_list(file, "/model", &arena, &names, &n_names)))
            n_names = 0;
        error_free(e);
        for (int i = 0; i < n_names; i++) {
            float w[700];
            char *name = arena_printf(&arena, "/model/%s", names[i]);
            if ((e = store_describe(file, name, &set, &offset, &bytes))) {
                error_free(e);
                continue;
            }
            if (bytes <= (int64_t)sizeof w)
                error_free(store_read(file, name, STORE_F32, 0, bytes / 4, w));
        }
        e = store_verify(file);
        store_close(file);
    }
    arena_release(&arena);
    if (e && e->kind != ERROR_DATA)
        fail_msg("%s error for a damaged file: %s", error_kind_name(e->kind), e->what);
    error_free(e);
    return *by_open || e;
}

static void flip(const char *path, int64_t at, int bit)
{
    unsigned char c;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= (unsigned char)(1 << bit);
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static int64_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void flipped_bits(void **state)
{
    (void)state;
    make_file("flip.h5");
    int64_t size = size_of("flip.h5");
    uint64_t random = 88172645463325252u;
    int n_open = 0, n = 0;
    bool by_open;
    assert_false(is_caught("flip.h5", &by_open));
    int64_t n_identifiers = open_identifiers();
    // The first headers byte by byte, then places all over the file.
    for (int64_t i = 0; i < 900; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int64_t at = i < 200 ? i : (int64_t)(random % (uint64_t)size);
        int bit = (int)(random >> 40 & 7);
        flip("flip.h5", at, bit);
        if (!is_caught("flip.h5", &by_open))
            fail_msg("bit %d of byte %lld of %lld was flipped and not noticed", bit, (long long)at, (long long)size);
        n_open += by_open;
        n++;
        flip("flip.h5", at, bit);
    }
    print_message("%d flips in %lld bytes: %d found by open, %d by verify\n", n, (long long)size, n_open, n - n_open);
    assert_int_equal(open_identifiers(), n_identifiers);
    assert_false(is_caught("flip.h5", &by_open));
}

static void cuts_and_extra_bytes(void **state)
{
    (void)state;
    make_file("whole.h5");
    int64_t size = size_of("whole.h5");
    bool by_open;
    for (int64_t i = 0; i < 300; i++) {
        int64_t cut = i < 60 ? i : i < 120 ? size - 1 - (i - 60) : size * i / 300;
        assert_int_equal(system("cp whole.h5 cut.h5"), 0);
        assert_int_equal(truncate("cut.h5", cut), 0);
        assert_true(is_caught("cut.h5", &by_open) && by_open);
    }
    struct store_file *file;
    assert_error(store_open(&file, "cut.h5"), ERROR_DATA, "'cut.h5' is cut short: it has ");
    assert_int_equal(truncate("cut.h5", 20), 0);
    assert_error(store_open(&file, "cut.h5"), ERROR_DATA, "'cut.h5' is cut short: it has 20 bytes");
    assert_int_equal(truncate("cut.h5", 0), 0);
    assert_error(store_open(&file, "cut.h5"), ERROR_DATA, "'cut.h5' is empty, not HDF5");
    assert_int_equal(truncate("whole.h5", size + 1), 0);
    assert_error(store_open(&file, "whole.h5"), ERROR_DATA, "damaged");
}

static void damage_is_named(void **state)
{
    (void)state;
    make_file("named.h5");
    struct store_file *file;
    struct store_set set;
    int64_t offset, bytes;
    assert_good(store_open(&file, "named.h5"));
    assert_good(store_describe(file, "/model/transformer.h.7.attn.c_q", &set, &offset, &bytes));
    store_close(file);
    flip("named.h5", offset + 5, 0);
    assert_good(store_open(&file, "named.h5"));
    char where[64];
    snprintf(where, sizeof where, "0 to %lld, at offset %lld", (long long)bytes - 1, (long long)offset);
    struct error *e = store_verify(file);
    assert_non_null(strstr(e->what, where));
    assert_error(e, ERROR_DATA, "'/model/transformer.h.7.attn.c_q' differs from its checksum");
    store_close(file);
}

static void foreign_files_are_named(void **state)
{
    (void)state;
    struct store_file *file;
    FILE *text = fopen("text.h5", "w");
    fputs("# a recipe, perhaps, of more than forty-eight bytes in all\n", text);
    fclose(text);
    assert_error(store_open(&file, "text.h5"), ERROR_DATA, "another kind of file, not HDF5");

    hid_t foreign = H5Fcreate("foreign.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(foreign);
    assert_error(store_open(&file, "foreign.h5"), ERROR_DATA, "no retort_format");
}

static void write_format(const char *path, int64_t format)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    hid_t id = H5Acreate2(file, "retort_format", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(id, H5T_NATIVE_INT64, &format);
    H5Aclose(id);
    H5Sclose(space);
    // What a file may contain that ours never do.
    hsize_t n = 4, chunk = 2;
    space = H5Screate_simple(1, &n, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 1, &chunk);
    H5Dclose(H5Dcreate2(file, "chunked", H5T_STD_I64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, "/etc/passwd", 0, 32);
    H5Dclose(H5Dcreate2(file, "outside", H5T_STD_I64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Dclose(H5Dcreate2(file, "big_endian", H5T_STD_I64BE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(file, "late", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Lcreate_external("other.h5", "/x", file, "external", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/soft", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
}

static void odd_contents_are_refused(void **state)
{
    (void)state;
    struct store_file *file;
    struct store_set set;
    int64_t offset, bytes;
    write_format("newer.h5", 2);
    assert_error(store_open(&file, "newer.h5"), ERROR_NOT_BUILT,
                 "of format 2, written by a newer retort; this one reads up to 1");
    write_format("zero.h5", 0);
    assert_error(store_open(&file, "zero.h5"), ERROR_DATA, "impossible format");
    write_format("odd.h5", 1);
    assert_good(store_open(&file, "odd.h5"));
    assert_error(store_verify(file), ERROR_DATA, "no '/checksums'");
    assert_error(store_describe(file, "/chunked", &set, &offset, &bytes), ERROR_DATA, "laid out");
    assert_error(store_describe(file, "/outside", &set, &offset, &bytes), ERROR_DATA, "laid out");
    assert_error(store_describe(file, "/big_endian", &set, &offset, &bytes), ERROR_DATA, "laid out");
    assert_error(store_describe(file, "/late", &set, &offset, &bytes), ERROR_DATA, "beyond the end");
    assert_error(store_describe(file, "/", &set, &offset, &bytes), ERROR_DATA, "not a dataset");
    assert_false(store_has(file, "/external"));
    assert_false(store_has(file, "/external/x"));
    assert_false(store_has(file, "/soft"));
    store_close(file);
}

// What a newer retort wrote stays what it is, whoever saves under its name or sets something aside there; all else is replaced.
static void newer_files_are_not_replaced(void **state)
{
    (void)state;
    int64_t value = 7;
    struct store_set set = {.path = "/data/rows", .type = STORE_I64, .n_dims = 1, .dims = {1}, .data = &value};
    struct store_attribute kind = store_text("/", "kind", "pretrain");
    write_format("newer.h5", 2);
    int64_t size = size_of("newer.h5");
    assert_error(store_spare("newer.h5"), ERROR_NOT_BUILT, "newer retort");
    assert_error(store_save("newer.h5", &kind, 1, &set, 1), ERROR_NOT_BUILT, "'newer.h5' is of format 2");
    make_file("mine.h5");
    int64_t mine = size_of("mine.h5");
    assert_error(store_replace("mine.h5", "newer.h5", &kind, 1, &set, 1), ERROR_NOT_BUILT, "'newer.h5' is of format 2");
    assert_int_equal(size_of("mine.h5"), mine);
    assert_int_equal(size_of("newer.h5"), size);
    assert_error(store_spare("newer.h5"), ERROR_NOT_BUILT, "newer retort");
    assert_int_not_equal(access("newer.tmp.h5", F_OK), 0);
    assert_int_not_equal(access("mine.tmp.h5", F_OK), 0);
    assert_good(store_spare("absent.h5"));
    assert_good(store_spare("mine.h5"));
    assert_int_equal(truncate("mine.h5", mine / 2), 0);
    assert_good(store_spare("mine.h5"));
    assert_good(store_save("mine.h5", &kind, 1, &set, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(cuts_and_extra_bytes),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(foreign_files_are_named),
        cmocka_unit_test(odd_contents_are_refused),
        cmocka_unit_test(newer_files_are_not_replaced),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
