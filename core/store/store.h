// store.h - files of results: HDF5 laid out by the library, written and read by plain pwrite and pread, checksummed, atomic.
//
// Writing, all at once: the file appears under its name complete and synced, or not at all.
//
//     struct store_attribute attributes[] = {store_text("/", "kind", "pretrain"), store_i64("/", "step", 200)};
//     struct store_set sets[] = {{.path = "/model/lm_head", .type = STORE_F32, .n_dims = 2, .dims = {V, C}, .data = w}};
//     e = store_save("results/store/pretrain-3f9a.h5", attributes, countof(attributes), sets, countof(sets));
//
// Reading: store_open checks that it is our kind of file; store_verify reads everything against the checksums.
//
// Layout     every dataset is contiguous, allocated early, never filled; tables are contiguous datasets of compound type. Groups
//            are made as paths need them. /checksums: compound {offset u64, bytes u64, xxh3 u64}, a row a 4 MiB piece of every other
//            dataset and of what lies between the datasets (HDF5's own tables), in file order: together they cover the file. Tables
//            are packed in the file. Root attribute retort_format = 1 is written by store_save
// Texts      attributes are fixed-size strings; an empty one is a single zero byte. Nothing carries a time: same input, same bytes
// Steps      is there room; X.tmp.h5: HDF5 lays out and closes; posix_fallocate; pwrite of every dataset; checksums; fsync; rename
//            to X.h5; fsync of the folder. A failure removes X.tmp.h5 and leaves X.h5 as it was. store_replace keeps what was X.h5
//            under another name
// Errors     ERROR_MACHINE for a full or failing disk (with what is missing), ERROR_DATA for a file that is damaged, cut or foreign,
//            ERROR_NOT_BUILT for one of a newer format: each with its own message and what to do
// Newer      a file of a format that is newer than STORE_FORMAT is somebody's good work: nothing is written in its place, nor is it set
//            aside; saving under its name is that ERROR_NOT_BUILT
// Ownership  text and arrays handed to store_save are borrowed for the call; what readers return lives in the given arena
// Threads    one at a time in a process (HDF5 has one lock); large files are written by up to four of the store's own
#ifndef CORE_STORE_STORE_H
#define CORE_STORE_STORE_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_type {
    STORE_U8,
    STORE_U16,
    STORE_U32,
    STORE_U64,
    STORE_I32,
    STORE_I64,
    STORE_F32,
    STORE_F64,
    STORE_TEXT,  // fixed-size strings of text_bytes each, zero padded, UTF-8
    STORE_TABLE, // rows of members
    STORE_TYPE_COUNT
};

enum { STORE_DIMS = 4, STORE_PIECE = 4 << 20 };

size_t store_type_bytes(enum store_type type, size_t text_bytes); // of one item; 0 for STORE_TABLE
const char *store_type_name(enum store_type type);                // "u8" ... "f64", "text", "table"

struct store_member {
    const char *name;
    enum store_type type; // not STORE_TABLE
    size_t offset;        // in the row struct
    size_t text_bytes;    // for STORE_TEXT
};

struct store_set {
    const char *path; // "/model/transformer.wte"
    enum store_type type;
    int n_dims;
    int64_t dims[STORE_DIMS];
    const void *data;
    const void *const *pieces; // not NULL, instead of data: STORE_PIECE bytes at each, at the last what is left; not of tables
    size_t text_bytes;         // for STORE_TEXT
    const struct store_member *members; // for STORE_TABLE
    int n_members;
    size_t row_bytes;
};

struct store_attribute {
    const char *object, *name; // object: "/" or the path of a group or dataset
    enum store_type type;      // STORE_TEXT (any length), STORE_I64 or STORE_F64
    const char *text;
    int64_t i64;
    double f64;
};

struct store_attribute store_text(const char *object, const char *name, const char *text);
struct store_attribute store_i64(const char *object, const char *name, int64_t value);
struct store_attribute store_f64(const char *object, const char *name, double value);

// Those of a, then those of b, in the arena; NULL: no memory.
struct store_attribute *store_both(struct arena *arena, const struct store_attribute *a, int n_a, const struct store_attribute *b,
                                   int n_b);

// Bytes that a file of that name could take more; NaN, and errno: its folder does not tell.
double store_available(const char *path);

// NULL where nothing is at path, or what is there may be replaced; else the error that says that it is of a newer format.
struct error *CHECKED store_spare(const char *path);

// path ends in ".h5"; an existing file of that name is replaced by the rename. Runs to the end even when a stop was asked for: saving
// is what one does then.
struct error *CHECKED store_save(const char *path, const struct store_attribute *attributes, int n_attributes,
                                 const struct store_set *sets, int n_sets);

// The same, but the file that was there keeps its contents under the name `aside`, in the place of what had that name: so there are two
// whole files at any moment, and three until the last step. Where there is no room for a third, the one called `aside` goes first.
struct error *CHECKED store_replace(const char *path, const char *aside, const struct store_attribute *attributes,
                                    int n_attributes, const struct store_set *sets, int n_sets);

struct store_file;

// Errors: ERROR_DATA for what the file is; ERROR_NOT_BUILT where it is newer; ERROR_MACHINE where that cannot be known now: too many files are open, say, or the disk fails.
struct error *CHECKED store_open(struct store_file **file, const char *path);
void store_close(struct store_file *file); // NULL is fine

// Reads every byte of the file against /checksums; the error names the dataset and the place. Looks at the stop flag.
struct error *CHECKED store_verify(struct store_file *file);

// The same of the datasets that are directly in a group alone: of a large file little is read. (HDF5's own tables carry checksums of
// their own.)
struct error *CHECKED store_verify_group(struct store_file *file, const char *group);

bool store_has(struct store_file *file, const char *path);
struct error *CHECKED store_get_text(struct store_file *file, const char *object, const char *name, struct arena *arena,
                                     const char **text);
struct error *CHECKED store_get_i64(struct store_file *file, const char *object, const char *name, int64_t *value);
struct error *CHECKED store_get_f64(struct store_file *file, const char *object, const char *name, double *value);

// Type, dimensions and place of a dataset; path, data and members stay NULL. bytes = size of its contents; row_bytes of a table is
// that in the file.
struct error *CHECKED store_describe(struct store_file *file, const char *path, struct store_set *set, int64_t *offset,
                                     int64_t *bytes);

// Names of what is directly in a group, in order of their bytes; *names in the arena.
struct error *CHECKED store_list(struct store_file *file, const char *group, struct arena *arena, const char *const **names,
                                 int *n_names);

// Reads n items from item `first` of the flattened dataset, which must have exactly this type.
struct error *CHECKED store_read(struct store_file *file, const char *path, enum store_type type, int64_t first, int64_t n,
                                 void *to);

// Reads a whole table, matching members by name (unknown ones in the file are ignored, missing ones are left zero, other types are
// an error). The last byte of every text member is zero afterwards. *rows in the arena, n_rows of row_bytes each.
struct error *CHECKED store_read_table(struct store_file *file, const char *path, const struct store_member *members,
                                       int n_members, size_t row_bytes, struct arena *arena, void **rows, int64_t *n_rows);

// The dataset's bytes mapped into memory, read-only, until store_close. What is mapped may be read by any thread.
struct error *CHECKED store_map(struct store_file *file, const char *path, enum store_type type, const void **data,
                                int64_t *n_items);

// Closes everything but what store_map has mapped, so that thousands of files can be used at once: no descriptor stays open, and
// only store_close may follow.
void store_detach(struct store_file *file);

#endif
