// store_inside.h - what the files of the store share with each other, and with nobody else.
//
// Idea  the rows of /checksums cover the file from its first byte to its last without a gap, except /checksums itself: pieces of at
//       most 4 MiB of every dataset, and of what lies between them (HDF5's own tables). So a flipped bit anywhere is found, and a
//       table of checksums that was tampered with no longer covers the file.
#ifndef CORE_STORE_STORE_INSIDE_H
#define CORE_STORE_STORE_INSIDE_H

#include "core/store/store.h"

#include <hdf5.h>

enum { STORE_FORMAT = 1 };

#define STORE_CHECKSUMS "/checksums"

struct checksum_row {
    uint64_t offset, bytes, xxh3;
};

extern const struct store_member checksum_members[3];

// A file that is whole under another name, X.tmp.h5, but perhaps not on the disk yet.
struct store_written {
    struct arena arena; // of the names
    const char *path, *tmp;
    int fd;
};

// The two halves of store_save. The second may be called by any thread; it ends what the first began, and removes X.tmp.h5 if it fails.
struct error *CHECKED store_write(struct store_written *w, const char *path, const struct store_attribute *attributes,
                                  int n_attributes, const struct store_set *sets, int n_sets);
struct error *CHECKED store_publish(struct store_written *w);

// Switches HDF5's printing and its work at exit off; before the first call of each entry from outside.
void hdf5_quiet(void);

// The one translator of HDF5's error stack: the text, then what HDF5 says; the stack is emptied.
struct error *hdf5_error(enum error_kind kind, const char *fix, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The type in the file; for STORE_TABLE a packed compound. Negative when HDF5 fails; closed by H5Tclose.
hid_t hdf5_type(const struct store_set *set);

// Size of an item in the file: a row of a table is packed there.
size_t store_item_bytes(const struct store_set *set);

// Number of items and of bytes in the file; false where they do not fit.
bool store_sizes(const struct store_set *set, int64_t *n_items, int64_t *n_bytes);

// pread of all bytes; fewer give ERROR_DATA.
struct error *CHECKED read_all(int fd, const char *path, void *to, int64_t bytes, int64_t offset);

enum { STORE_PATH = 1024 }; // longest name of an object in a file, with its folders

struct store_file {
    hid_t id; // of HDF5; -1 once detached
    int fd;   // for plain reading; -1 once detached
    int64_t n_bytes;
    char *path;
    void *map; // of the whole file, or NULL
    struct arena arena;
    // What was found last: a file that is read does not change, and asking HDF5 again costs more than reading does.
    char there[STORE_PATH]; // a path that is there, with all folders on its way
    struct {
        char path[STORE_PATH]; // "": none
        struct store_set set;
        int64_t offset, bytes;
    } described;
};

extern const char *const store_damaged_fix;

// The type as one of ours other than STORE_TABLE; false for any other.
bool hdf5_plain_type(hid_t type, enum store_type *found, size_t *text_bytes);

// An open dataset of the file (H5Dclose), and store_describe of one that is open.
struct error *CHECKED hdf5_open_dataset(struct store_file *file, const char *path, hid_t *data);
struct error *CHECKED hdf5_describe(struct store_file *file, hid_t data, const char *path, struct store_set *set, int64_t *offset,
                                    int64_t *bytes);

#endif
