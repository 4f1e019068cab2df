// test_identity.c - a hash is remembered as long as the file is the same one, and no longer.
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/store/atomic.h"
#include "core/store/identity.h"

static const char sha_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void write_old(const char *path, const char *text, time_t mtime)
{
    assert_good(atomic_write(path, text, strlen(text)));
    struct timespec times[2] = {{mtime, 5}, {mtime, 5}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void remembers_what_is_the_same(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct identities *ids;
    char hex[SHA256_HEX];
    write_old("data", "abc", 1000000);
    write_old("with\ttab", "abc", 1000000);
    assert_good(identities_open(&ids, "identity.tsv", &arena));
    assert_good(identities_find(ids, "data", hex));
    assert_string_equal(hex, "");
    assert_good(identities_get(ids, "data", hex));
    assert_string_equal(hex, sha_abc);
    assert_good(identities_get(ids, "with\ttab", hex));
    assert_good(identities_find(ids, "./data", hex));
    assert_string_equal(hex, sha_abc);

    identities_keep(ids);
    assert_good(identities_open(&ids, "identity.tsv", &arena)); // another process
    assert_good(identities_find(ids, "data", hex));
    assert_string_equal(hex, sha_abc);
    assert_good(identities_find(ids, "with\ttab", hex));
    assert_string_equal(hex, sha_abc);

    write_old("data", "abd", 1000000); // same size and time, another inode
    assert_good(identities_find(ids, "data", hex));
    assert_string_equal(hex, "");
    assert_good(identities_get(ids, "data", hex));
    assert_string_not_equal(hex, sha_abc);
    struct timespec later[2] = {{1000001, 0}, {1000001, 0}};
    assert_int_equal(utimensat(AT_FDCWD, "data", later, 0), 0);
    assert_good(identities_find(ids, "data", hex));
    assert_string_equal(hex, "");
    arena_release(&arena);
}

static void what_others_wrote_meanwhile_stays(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct identities *early, *other;
    const char *const names[] = {"of early", "of other", "of both"};
    char hex[SHA256_HEX];
    for (int i = 0; i < 3; i++)
        write_old(names[i], "abc", 1000000);
    assert_good(identities_open(&early, "shared.tsv", &arena));
    assert_good(identities_get(early, "of both", hex));
    identities_keep(early);
    assert_good(identities_get(early, "of early", hex));
    assert_good(identities_open(&other, "shared.tsv", &arena));
    assert_good(identities_get(other, "of other", hex));
    write_old("of both", "abd", 1000001);
    assert_good(identities_get(other, "of both", hex));
    identities_keep(other);
    identities_keep(early);
    assert_good(identities_open(&other, "shared.tsv", &arena));
    for (int i = 0; i < 3; i++) {
        assert_good(identities_find(other, names[i], hex));
        assert_string_not_equal(hex, "");
    }
    arena_release(&arena);
}

static void a_fresh_file_is_not_remembered(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct identities *ids;
    char hex[SHA256_HEX];
    assert_good(atomic_write("fresh", "abc", 3));
    assert_good(identities_open(&ids, "identity.tsv", &arena));
    assert_good(identities_get(ids, "fresh", hex));
    assert_string_equal(hex, sha_abc);
    assert_good(identities_find(ids, "fresh", hex));
    assert_string_equal(hex, "");
    assert_error(identities_get(ids, "none", hex), ERROR_DATA, "cannot read 'none': No such file");
    assert_error(identities_get(ids, ".", hex), ERROR_DATA, "not a file");
    arena_release(&arena);
}

static void a_settled_file_is_remembered_at_once(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct identities *ids;
    char hex[SHA256_HEX];
    assert_good(atomic_write("settled", "abc", 3));
    identity_settle("settled");
    identity_settle("none");
    assert_good(identities_open(&ids, "identity.tsv", &arena));
    assert_good(identities_note(ids, "settled", sha_abc));
    assert_good(identities_find(ids, "settled", hex));
    assert_string_equal(hex, sha_abc);
    FILE *f = fopen("settled", "r+"); // another content in the same file, of the same size, in the same moment
    assert_non_null(f);
    fputs("abd", f);
    fclose(f);
    assert_good(identities_find(ids, "settled", hex));
    assert_string_equal(hex, "");
    arena_release(&arena);
}

static void damaged_lines_are_ignored(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct identities *ids;
    struct stat st;
    char hex[SHA256_HEX], full[4096], text[12000];
    write_old("good", "abc", 1000000);
    stat("good", &st);
    int n = snprintf(text, sizeof text,
                     "nonsense\n\n1\t2\t3\n%s\n99999999999999999999999\t1\t1\t1\t%s\t/x\n1\t2\t3\t4\tabc\t/x\n"
                     "%llu\t%llu\t3\t1000000000000005\t%s\t%s\n1\t2\t3\t4\t%s\t/cut",
                     sha_abc, sha_abc, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, sha_abc,
                     realpath("good", full), sha_abc);
    assert_good(atomic_write("damaged.tsv", text, (size_t)n));
    assert_good(identities_open(&ids, "damaged.tsv", &arena));
    assert_good(identities_find(ids, "good", hex));
    assert_string_equal(hex, sha_abc);
    assert_good(identities_open(&ids, "no/folder/identity.tsv", &arena)); // cannot be written: works, remembering nothing
    assert_good(identities_get(ids, "good", hex));
    assert_string_equal(hex, sha_abc);
    identities_keep(ids);
    arena_release(&arena);
}

static void many_files(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct identities *ids;
    char hex[SHA256_HEX], name[16];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "shard%d", i * 37 % 60);
        write_old(name, "abc", 1000000 + i);
    }
    assert_good(identities_open(&ids, "many.tsv", &arena));
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "shard%d", i);
        assert_good(identities_get(ids, name, hex));
    }
    identities_keep(ids);
    identities_keep(ids); // nothing new
    assert_good(identities_open(&ids, "many.tsv", &arena));
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "shard%d", i);
        assert_good(identities_find(ids, name, hex));
        assert_string_equal(hex, sha_abc);
    }
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_what_is_the_same),     cmocka_unit_test(what_others_wrote_meanwhile_stays),
        cmocka_unit_test(a_fresh_file_is_not_remembered), cmocka_unit_test(a_settled_file_is_remembered_at_once),
        cmocka_unit_test(damaged_lines_are_ignored),      cmocka_unit_test(many_files)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
