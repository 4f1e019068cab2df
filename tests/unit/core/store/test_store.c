// test_store.c - what is saved comes back: all types, attributes, paths, tables; other programs read it too; a full disk is named.
#include "tests/unit/folder.h"

#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/store/queue.h"
#include "tests/unit/core/store/hdf5_leaks.h"

static void load(struct store_file **file, const char *path)
{
    assert_good(store_open(file, path));
    assert_good(store_verify(*file));
}

static void all_types_come_back(void **state)
{
    (void)state;
    uint8_t u8[] = {0, 255};
    uint16_t u16[] = {0, 65535};
    uint32_t u32[] = {0, UINT32_MAX};
    uint64_t u64[] = {0, UINT64_MAX};
    int32_t i32[] = {INT32_MIN, INT32_MAX};
    int64_t i64[] = {INT64_MIN, INT64_MAX};
    float f32[] = {-0.0f, INFINITY};
    double f64[] = {NAN, 0x1p-1074};
    const char text[] = "abc\0\0\xC3\xA9xyz"; // two of five bytes
    const struct {
        enum store_type type;
        const void *data;
        size_t bytes;
    } all[] = {{STORE_U8, u8, 2},    {STORE_U16, u16, 4}, {STORE_U32, u32, 8},  {STORE_U64, u64, 16},  {STORE_I32, i32, 8},
               {STORE_I64, i64, 16}, {STORE_F32, f32, 8}, {STORE_F64, f64, 16}, {STORE_TEXT, text, 10}};
    struct store_set sets[countof(all)];
    char paths[countof(all)][32];
    for (size_t i = 0; i < countof(all); i++) {
        snprintf(paths[i], sizeof paths[i], "/types/%s", store_type_name(all[i].type));
        sets[i] = (struct store_set){
            .path = paths[i], .type = all[i].type, .n_dims = 1, .dims = {2}, .data = all[i].data, .text_bytes = 5};
    }
    assert_good(store_save("types.h5", NULL, 0, sets, countof(sets)));
    struct store_file *file;
    load(&file, "types.h5");
    for (size_t i = 0; i < countof(all); i++) {
        char got[16];
        struct store_set set;
        int64_t offset, bytes, n;
        const void *mapped;
        assert_good(store_describe(file, paths[i], &set, &offset, &bytes));
        assert_int_equal(set.type, all[i].type);
        assert_int_equal(bytes, all[i].bytes);
        assert_int_equal(offset % 64, 0);
        assert_good(store_read(file, paths[i], all[i].type, 0, 2, got));
        assert_memory_equal(got, all[i].data, all[i].bytes);
        assert_good(store_read(file, paths[i], all[i].type, 1, 1, got));
        assert_memory_equal(got, (const char *)all[i].data + all[i].bytes / 2, all[i].bytes / 2);
        assert_good(store_map(file, paths[i], all[i].type, &mapped, &n));
        assert_int_equal(n, 2);
        assert_memory_equal(mapped, all[i].data, all[i].bytes);
        assert_error(store_read(file, paths[i], all[i].type, 1, 2, got), ERROR_DATA, "has 2 items");
        assert_error(store_read(file, paths[i], all[i].type, INT64_MAX, INT64_MAX, got), ERROR_DATA, "has 2 items");
        assert_error(store_read(file, paths[i], (all[i].type + 1) % STORE_TABLE, 0, 1, got), ERROR_DATA, "is needed");
    }
    store_detach(file);
    store_close(file);
    assert_int_equal(access("types.tmp.h5", F_OK), -1);
}

static void attributes_come_back(void **state)
{
    (void)state;
    size_t n_long = 300000; // more than the 64 KiB that a header holds: a payload may be long
    char *payload = test_malloc(n_long + 1);
    memset(payload, 'p', n_long);
    payload[n_long] = '\0';
    float w[6] = {1, 2, 3, 4, 5, 6};
    struct store_set set = {.path = "/model/transformer.h.0.attn.c_q", .type = STORE_F32, .n_dims = 2, .dims = {2, 3}, .data = w};
    struct store_attribute attributes[40] = {
        store_text("/", "kind", "pretrain"),   store_text("/", "empty", ""),
        store_text("/", "payload", payload),   store_i64("/", "step", -7),
        store_f64("/model", "norm_eps", 1e-5), store_f64("/model", "usd", NAN),
        store_text(set.path, "dtype", "bf16"), store_text("/lonely/group", "name", "h\xC3\xA9")};
    char names[32][16];
    for (int i = 0; i < 32; i++) { // more than are kept in a header
        snprintf(names[i], sizeof names[i], "a%d", i);
        attributes[8 + i] = store_i64("/model", names[i], i);
    }
    assert_good(store_save("attributes.h5", attributes, countof(attributes), &set, 1));
    struct store_file *file;
    struct arena arena = {0};
    const char *text;
    int64_t step;
    double real;
    load(&file, "attributes.h5");
    assert_good(store_get_text(file, "/", "kind", &arena, &text));
    assert_string_equal(text, "pretrain");
    assert_good(store_get_text(file, "/", "empty", &arena, &text));
    assert_string_equal(text, "");
    assert_good(store_get_text(file, "/", "payload", &arena, &text));
    assert_string_equal(text, payload);
    assert_good(store_get_text(file, set.path, "dtype", &arena, &text));
    assert_string_equal(text, "bf16");
    assert_good(store_get_text(file, "/lonely/group", "name", &arena, &text));
    assert_string_equal(text, "h\xC3\xA9");
    assert_good(store_get_i64(file, "/", "step", &step));
    assert_int_equal(step, -7);
    assert_good(store_get_i64(file, "/", "retort_format", &step));
    assert_int_equal(step, 1);
    for (int i = 0; i < 32; i++) {
        assert_good(store_get_i64(file, "/model", names[i], &step));
        assert_int_equal(step, i);
    }
    assert_good(store_get_f64(file, "/model", "norm_eps", &real));
    assert_true(real == 1e-5);
    assert_good(store_get_f64(file, "/model", "usd", &real));
    assert_true(isnan(real));
    assert_error(store_get_i64(file, "/", "kind", &step), ERROR_DATA, "another type");
    assert_error(store_get_f64(file, "/", "step", &real), ERROR_DATA, "another type");
    assert_error(store_get_text(file, "/", "step", &arena, &text), ERROR_DATA, "another type");
    assert_error(store_get_i64(file, "/", "none", &step), ERROR_DATA, "no attribute 'none'");
    assert_error(store_get_i64(file, "/none", "step", &step), ERROR_DATA, "no '/none'");
    assert_true(store_has(file, "/model"));
    assert_true(store_has(file, set.path));
    // What was found last is remembered; a name that begins like it, or goes on behind it, is another.
    assert_false(store_has(file, "/model/transformer"));
    assert_true(store_has(file, set.path) && store_has(file, set.path) && store_has(file, "/model"));
    assert_false(store_has(file, "/model/transformer.h.0.attn.c_q2"));
    assert_false(store_has(file, "/mode") || store_has(file, "/models/transformer.h.0.attn.c_q"));
    assert_false(store_has(file, "/model/transformer.h.0.attn.c_q/x"));
    assert_false(store_has(file, "model"));
    store_close(file);
    arena_release(&arena);
    test_free(payload);
}

struct row {
    int64_t step;
    uint8_t flag; // padding behind it
    double loss;
    char text[11];
};

static const struct store_member row_members[] = {{"step", STORE_I64, offsetof(struct row, step), 0},
                                                  {"flag", STORE_U8, offsetof(struct row, flag), 0},
                                                  {"loss", STORE_F64, offsetof(struct row, loss), 0},
                                                  {"text", STORE_TEXT, offsetof(struct row, text), 11}};

static void tables_match_members_by_name(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct row rows[N];
    memset(rows, 0xAB, sizeof rows); // garbage in the padding must not show
    for (int i = 0; i < N; i++) {
        rows[i].step = i;
        rows[i].flag = (uint8_t)i;
        rows[i].loss = 1.0 / (i + 1);
        snprintf(rows[i].text, sizeof rows[i].text, "row %d", i);
    }
    struct store_set set = {.path = "/metrics/train",
                            .type = STORE_TABLE,
                            .n_dims = 1,
                            .dims = {N},
                            .data = rows,
                            .members = row_members,
                            .n_members = 4,
                            .row_bytes = sizeof *rows};
    assert_good(store_save("table.h5", NULL, 0, &set, 1));
    struct newer {
        double loss;
        int64_t added;
        char text[20];
    };
    const struct store_member newer_members[] = {{"loss", STORE_F64, offsetof(struct newer, loss), 0},
                                                 {"added", STORE_I64, offsetof(struct newer, added), 0},
                                                 {"text", STORE_TEXT, offsetof(struct newer, text), 20}};
    struct store_file *file;
    struct arena arena = {0};
    void *got;
    int64_t n, offset, bytes;
    load(&file, "table.h5");
    assert_good(store_describe(file, set.path, &set, &offset, &bytes));
    assert_int_equal(set.row_bytes, 8 + 1 + 8 + 11);
    assert_good(store_read_table(file, "/metrics/train", newer_members, 3, sizeof(struct newer), &arena, &got, &n));
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++) {
        const struct newer *row = (const struct newer *)got + i;
        assert_true(row->loss == rows[i].loss);
        assert_int_equal(row->added, 0);
        assert_string_equal(row->text, rows[i].text);
    }
    const struct store_member other[] = {{"loss", STORE_F32, 0, 0}}, narrow[] = {{"text", STORE_TEXT, 0, 10}};
    assert_error(store_read_table(file, "/metrics/train", other, 1, 8, &arena, &got, &n), ERROR_DATA, "'loss'");
    assert_error(store_read_table(file, "/metrics/train", narrow, 1, 10, &arena, &got, &n), ERROR_DATA, "'text'");
    store_close(file);
    arena_release(&arena);
}

static void empty_sets_and_empty_files(void **state)
{
    (void)state;
    struct store_set sets[] = {{.path = "/rows",
                                .type = STORE_TABLE,
                                .n_dims = 1,
                                .members = row_members,
                                .n_members = 4,
                                .row_bytes = sizeof(struct row)},
                               {.path = "/ids", .type = STORE_U16, .n_dims = 2, .dims = {5, 0}}};
    struct store_file *file;
    struct arena arena = {0};
    void *rows;
    const void *mapped;
    int64_t n;
    assert_good(store_save("empty.h5", NULL, 0, sets, 2));
    load(&file, "empty.h5");
    assert_good(store_read_table(file, "/rows", row_members, 4, sizeof(struct row), &arena, &rows, &n));
    assert_int_equal(n, 0);
    assert_good(store_read(file, "/ids", STORE_U16, 0, 0, NULL));
    assert_good(store_map(file, "/ids", STORE_U16, &mapped, &n));
    assert_int_equal(n, 0);
    store_close(file);
    assert_good(store_save("nothing.h5", NULL, 0, NULL, 0));
    load(&file, "nothing.h5");
    store_close(file);
    arena_release(&arena);
}

// Many datasets (HDF5 changes how it keeps links beyond eight), some of several pieces; the same bytes when written again.
static void many_sets(void **state)
{
    (void)state;
    enum { N = 300, LARGE = (9 << 20) / 4 };
    static struct store_set sets[N + 1];
    static char paths[N][64];
    uint32_t *large = test_malloc(LARGE * sizeof *large);
    for (int i = 0; i < LARGE; i++)
        large[i] = (uint32_t)i * 2654435761u;
    for (int i = 0; i < N; i++) {
        snprintf(paths[i], sizeof paths[i], "/model/transformer.h.%d.mlp.c_fc", i);
        sets[i] = (struct store_set){.path = paths[i], .type = STORE_U32, .n_dims = 3, .dims = {1, i, 7}, .data = large};
    }
    sets[N] = (struct store_set){.path = "/optim/large.m", .type = STORE_U32, .n_dims = 1, .dims = {LARGE}, .data = large};
    assert_good(store_save("many.h5", NULL, 0, sets, N + 1));
    assert_good(store_save("again.h5", NULL, 0, sets, N + 1));
    assert_int_equal(system("cmp many.h5 again.h5"), 0);
    struct store_file *file;
    struct arena arena = {0};
    const char *const *names;
    int n_names;
    load(&file, "many.h5");
    assert_good(store_list(file, "/model", &arena, &names, &n_names));
    assert_int_equal(n_names, N);
    for (int i = 1; i < N; i++)
        assert_true(strcmp(names[i - 1], names[i]) < 0);
    assert_good(store_list(file, "/", &arena, &names, &n_names));
    assert_int_equal(n_names, 3);
    assert_string_equal(names[0], "checksums");
    uint32_t *got = test_malloc(LARGE * sizeof *got);
    assert_good(store_read(file, "/optim/large.m", STORE_U32, 0, LARGE, got));
    assert_memory_equal(got, large, LARGE * sizeof *got);
    assert_good(store_read(file, paths[299], STORE_U32, 5, 299 * 7 - 5, got));
    assert_memory_equal(got, large + 5, (299 * 7 - 5) * sizeof *got);
    assert_error(store_list(file, "/none", &arena, &names, &n_names), ERROR_DATA, "no '/none'");
    store_close(file);
    arena_release(&arena);
    test_free(got);
    test_free(large);
}

// A gap before the table of checksums opens and closes with its length: eighteen small sets once found no length that fits.
static void every_number_of_sets_settles(void **state)
{
    (void)state;
    enum { MOST = 24 };
    char paths[MOST][16];
    struct store_set sets[MOST];
    struct store_attribute empty = store_text("/", "t", "");
    struct store_file *file;
    for (int i = 0; i < MOST; i++) {
        snprintf(paths[i], sizeof paths[i], "/s/%c/%d", 'a' + i / 4, i);
        sets[i] =
            (struct store_set){.path = paths[i], .type = STORE_TEXT, .n_dims = 1, .dims = {1}, .data = "x", .text_bytes = 1};
        assert_good(store_save("sets.h5", &empty, 1, sets, i + 1));
        load(&file, "sets.h5");
        store_close(file);
    }
}

static void replacing_leaves_readers_alone(void **state)
{
    (void)state;
    int64_t old = 1, new = 2, got;
    struct store_set set = {.path = "/x", .type = STORE_I64, .n_dims = 1, .dims = {1}, .data = &old};
    assert_good(store_save("x.part.h5", NULL, 0, &set, 1));
    struct store_file *before, *after;
    load(&before, "x.part.h5");
    set.data = &new;
    assert_good(store_save("x.part.h5", NULL, 0, &set, 1));
    load(&after, "x.part.h5");
    assert_good(store_read(before, "/x", STORE_I64, 0, 1, &got));
    assert_int_equal(got, 1);
    assert_good(store_read(after, "/x", STORE_I64, 0, 1, &got));
    assert_int_equal(got, 2);
    store_close(before);
    store_close(after);
}

static void impossible_requests_are_errors(void **state)
{
    (void)state;
    struct store_set sets[] = {{.path = "/x", .type = STORE_I64, .n_dims = 2, .dims = {INT64_MAX, 4}},
                               {.path = "/x", .type = STORE_I64, .n_dims = 1, .dims = {0}},
                               {.path = "/x", .type = STORE_I64, .n_dims = 1, .dims = {0}}};
    assert_error(store_save("bad.h5", NULL, 0, sets, 1), ERROR_FAILED, "impossible size");
    assert_error(store_save("bad.h5", NULL, 0, sets + 1, 2), ERROR_MACHINE, "'/x'");
    assert_error(store_save("bad.hdf", NULL, 0, NULL, 0), ERROR_FAILED, ".h5");
    assert_error(store_save("none/bad.h5", NULL, 0, NULL, 0), ERROR_MACHINE, "none/bad.h5");
    assert_int_equal(access("bad.tmp.h5", F_OK), -1);
    assert_int_equal(access("bad.h5", F_OK), -1);
    struct store_file *file;
    assert_error(store_open(&file, "none.h5"), ERROR_DATA, "cannot open 'none.h5': No such file");
    assert_error(store_open(&file, "."), ERROR_DATA, "not a file");
}

static void other_programs_read_it(void **state)
{
    (void)state;
    if (system("h5dump --version >h5.txt 2>&1") && system("python3 -c 'import h5py' 2>/dev/null"))
        skip();
    struct row rows[] = {{.step = 1, .loss = 2.5, .text = "one"}, {.step = 2, .loss = 0.5, .text = "two"}};
    float w[6] = {1, 2, 3, 4, 5, 6};
    struct store_set sets[] = {{.path = "/metrics/train",
                                .type = STORE_TABLE,
                                .n_dims = 1,
                                .dims = {2},
                                .data = rows,
                                .members = row_members,
                                .n_members = 4,
                                .row_bytes = sizeof *rows},
                               {.path = "/model/h.0.c_q", .type = STORE_F32, .n_dims = 2, .dims = {2, 3}, .data = w}};
    struct store_attribute attribute = store_text("/", "kind", "pretrain");
    assert_good(store_save("outside.h5", &attribute, 1, sets, 2));
    if (!system("h5dump --version >h5.txt 2>&1")) {
        assert_int_equal(system("h5dump -d /model/h.0.c_q outside.h5 >h5.txt && grep -q '4, 5, 6' h5.txt"), 0);
        assert_int_equal(system("h5dump -a /kind outside.h5 >h5.txt && grep -q '\"pretrain\"' h5.txt"), 0);
        assert_int_equal(system("h5ls -r outside.h5 | grep -q '/metrics/train *Dataset {2}'"), 0);
    }
    if (!system("python3 -c 'import h5py' 2>/dev/null"))
        assert_int_equal(system("python3 -c \"\n"
                                "import h5py, numpy\n"
                                "f = h5py.File('outside.h5')\n"
                                "assert f.attrs['retort_format'] == 1 and f.attrs['kind'] == b'pretrain'\n"
                                "assert (f['model/h.0.c_q'][()] == numpy.arange(1, 7).reshape(2, 3)).all()\n"
                                "t = f['metrics/train'][()]\n"
                                "assert t['loss'].tolist() == [2.5, 0.5] and t['text'].tolist() == [b'one', b'two']\n"
                                "raw = open('outside.h5', 'rb').read()\n"
                                "c, d = f['checksums'][()], f['checksums']\n"
                                "assert c['bytes'].sum() + d.nbytes == len(raw)\n"
                                "\""),
                         0);
}

// A write beyond the limit fails with EFBIG, wherever it happens: in HDF5 or in our own writes.
static void a_failing_disk_leaves_nothing(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20 };
    char *data = test_calloc(LARGE, 1);
    struct store_set sets[200];
    char paths[199][32];
    for (int i = 0; i < 199; i++) {
        snprintf(paths[i], sizeof paths[i], "/s/%d", i);
        sets[i] = (struct store_set){.path = paths[i], .type = STORE_U8, .n_dims = 1, .dims = {50}, .data = data};
    }
    sets[199] = (struct store_set){.path = "/large", .type = STORE_U8, .n_dims = 1, .dims = {LARGE}, .data = data};
    assert_good(store_save("kept.h5", NULL, 0, sets + 199, 1));
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    int64_t n_identifiers = open_identifiers();
    const rlim_t limits[] = {0, 1, 100, 4096, 30000, 65536, 100000, 500000, LARGE};
    for (size_t i = 0; i < countof(limits); i++) {
        limit = (struct rlimit){limits[i], before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        struct error *e = store_save("kept.h5", NULL, 0, sets, 200);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_error(e, ERROR_MACHINE, "kept");
        assert_int_equal(access("kept.tmp.h5", F_OK), -1);
    }
    struct store_file *file;
    assert_int_equal(open_identifiers(), n_identifiers);
    load(&file, "kept.h5");
    assert_false(store_has(file, "/s"));
    store_close(file);
    assert_good(store_save("kept.h5", NULL, 0, sets, 200));
    test_free(data);
}

static void a_full_disk_is_named(void **state)
{
    (void)state;
    if (mkdir("full", 0700) || mount("tmpfs", "full", "tmpfs", 0, "size=2m"))
        skip();
    static char data[3 << 20];
    struct store_set set = {.path = "/x", .type = STORE_U8, .n_dims = 1, .dims = {sizeof data}, .data = data};
    struct error *e = store_save("full/x.h5", NULL, 0, &set, 1);
    set.dims[0] = 100;
    struct error *small = store_save("full/small.h5", NULL, 0, &set, 1);
    int left = access("full/x.tmp.h5", F_OK);
    umount("full");
    assert_error(e, ERROR_MACHINE, "no room for 'full/x.h5': it takes 4.2 MB, and 2.1 MB are free");
    assert_int_equal(left, -1);
    assert_good(small);
}

static int64_t first_in(const char *path)
{
    struct store_file *file;
    uint8_t first = 0;
    load(&file, path);
    assert_good(store_read(file, "/x", STORE_U8, 0, 1, &first));
    store_close(file);
    return first;
}

// A file that is replaced keeps its contents under the other name; where three do not fit the oldest makes room, and what fails leaves
// the two that were there.
static void what_was_there_is_kept(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    static uint8_t data[3 * SIZE];
    struct store_set set = {.path = "/x", .type = STORE_U8, .n_dims = 1, .dims = {SIZE}, .data = data};
    bool small = !mkdir("small", 0700) && !mount("tmpfs", "small", "tmpfs", 0, "size=9m");
    for (data[0] = 1; data[0] < 6; data[0]++) {
        assert_good(store_replace("small/x.h5", "small/old.h5", NULL, 0, &set, 1));
        assert_int_equal(first_in("small/x.h5"), data[0]);
        if (data[0] > 1)
            assert_int_equal(first_in("small/old.h5"), data[0] - 1);
    }
    if (small) {
        set.dims[0] = 2 * SIZE;
        struct error *e = store_replace("small/x.h5", "small/old.h5", NULL, 0, &set, 1);
        assert_int_equal(first_in(access("small/x.h5", F_OK) ? "small/old.h5" : "small/x.h5"), 5);
        umount("small");
        assert_error(e, ERROR_MACHINE, "no room for 'small/x.h5'");
    }
}

// Large enough for a writer more than one.
static void several_write_a_large_file(void **state)
{
    (void)state;
    enum { N = 40 << 20 };
    uint32_t *data = test_malloc(N * sizeof *data), got[4];
    for (size_t i = 0; i < N; i++)
        data[i] = (uint32_t)i * 2654435761u;
    struct store_set set = {.path = "/x", .type = STORE_U32, .n_dims = 1, .dims = {N}, .data = data};
    assert_good(store_save("several.h5", NULL, 0, &set, 1));
    struct store_file *file;
    load(&file, "several.h5");
    for (int64_t at = 0; at < N; at += 999983) {
        int64_t n = N - at < 4 ? N - at : 4;
        assert_good(store_read(file, "/x", STORE_U32, at, n, got));
        assert_memory_equal(got, data + at, (size_t)n * sizeof *got);
    }
    store_close(file);
    unlink("several.h5");
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){N, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    struct error *e = store_save("several.h5", NULL, 0, &set, 1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_error(e, ERROR_MACHINE, "several");
    test_free(data);
}

static bool same_bytes(const char *a, const char *b)
{
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    assert_non_null(f);
    assert_non_null(g);
    int c, d;
    do {
        c = getc(f);
        d = getc(g);
    } while (c == d && c != EOF);
    fclose(f);
    fclose(g);
    return c == d;
}

// Contents that are handed in by pieces make the same file as those of one block, however they end.
static void contents_in_pieces(void **state)
{
    (void)state;
    const size_t most = 2 * (size_t)STORE_PIECE + 100;
    uint16_t *block = test_malloc(most);
    for (size_t i = 0; i < most / 2; i++)
        block[i] = (uint16_t)(i * 2654435761u >> 11);
    void *pieces[3];
    for (size_t k = 0; k < 3; k++) {
        pieces[k] = test_malloc(STORE_PIECE);
        memcpy(pieces[k], block + k * STORE_PIECE / 2, k < 2 ? STORE_PIECE : 100);
    }
    const int64_t bytes[] = {0, 2, STORE_PIECE - 2, STORE_PIECE, STORE_PIECE + 2, (int64_t)most};
    for (size_t i = 0; i < countof(bytes); i++) {
        struct store_set set = {.path = "/tokens", .type = STORE_U16, .n_dims = 1, .dims = {bytes[i] / 2}, .data = block};
        assert_good(store_save("block.h5", NULL, 0, &set, 1));
        set.data = NULL;
        set.pieces = (const void *const *)pieces;
        assert_good(store_save("pieces.h5", NULL, 0, &set, 1));
        assert_true(same_bytes("block.h5", "pieces.h5"));
    }
    for (size_t k = 0; k < 3; k++)
        test_free(pieces[k]);
    test_free(block);
}

static struct store_set small_set(int32_t *value)
{
    return (struct store_set){.path = "/value", .type = STORE_I32, .n_dims = 1, .dims = {1}, .data = value};
}

static struct error *queue_value(struct store_queue *q, const char *path, int32_t value)
{
    struct store_set set = small_set(&value);
    struct store_attribute attribute = store_text("/", "name", path);
    return store_queue_save(q, path, &attribute, 1, &set, 1);
}

// Files through a queue are those that store_save makes, all of them there after the wait, and also when nobody waits.
static void files_in_a_queue(void **state)
{
    (void)state;
    enum { FILES = 60 };
    struct store_queue *q;
    char path[32];
    assert_good(store_queue_open(&q));
    assert_good(store_queue_wait(q)); // for nothing
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "queue-%02d.h5", i);
        assert_good(queue_value(q, path, i));
        if (i == FILES / 2)
            assert_good(store_queue_wait(q));
    }
    store_queue_close(q);
    store_queue_close(NULL);
    for (int32_t i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "queue-%02d.h5", i);
        struct store_set set = small_set(&i);
        struct store_attribute attribute = store_text("/", "name", path);
        assert_good(store_save("alone.h5", &attribute, 1, &set, 1));
        assert_true(same_bytes(path, "alone.h5"));
        snprintf(path, sizeof path, "queue-%02d.tmp.h5", i);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

// One that cannot get its name is told once, leaves nothing, and does not keep the others from theirs.
static void a_file_of_a_queue_fails(void **state)
{
    (void)state;
    struct store_queue *q;
    assert_int_equal(mkdir("taken.h5", 0700), 0);
    assert_good(store_queue_open(&q));
    assert_good(queue_value(q, "before.h5", 1));
    assert_good(queue_value(q, "taken.h5", 2));
    assert_good(queue_value(q, "behind.h5", 3));
    assert_error(store_queue_wait(q), ERROR_MACHINE, "cannot rename 'taken.tmp.h5'");
    assert_good(store_queue_wait(q));
    assert_good(store_queue_look(q));
    assert_error(queue_value(q, "no/folder.h5", 4), ERROR_MACHINE, "cannot write 'no/folder.h5'");
    store_queue_close(q);
    assert_int_not_equal(access("taken.tmp.h5", F_OK), 0);
    struct store_file *file;
    load(&file, "before.h5");
    store_close(file);
    load(&file, "behind.h5");
    store_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_is_kept),
        cmocka_unit_test(several_write_a_large_file),
        cmocka_unit_test(all_types_come_back),
        cmocka_unit_test(attributes_come_back),
        cmocka_unit_test(tables_match_members_by_name),
        cmocka_unit_test(empty_sets_and_empty_files),
        cmocka_unit_test(many_sets),
        cmocka_unit_test(every_number_of_sets_settles),
        cmocka_unit_test(replacing_leaves_readers_alone),
        cmocka_unit_test(impossible_requests_are_errors),
        cmocka_unit_test(other_programs_read_it),
        cmocka_unit_test(a_failing_disk_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_named),
        cmocka_unit_test(contents_in_pieces),
        cmocka_unit_test(files_in_a_queue),
        cmocka_unit_test(a_file_of_a_queue_fails),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
