// file_kind.c - a table of magic numbers; '#' in one stands for a digit.
#include "core/data/file_kind.h"

#include <stdbool.h>

#include "core/base/arena.h"

static const struct {
    const char *magic;
    size_t n;
    struct file_kind kind;
} kinds[] = {
    {"\x1F\x8B\x08", 3, {"packed by gzip", "unpack it: gzip -d"}},
    {"\x28\xB5\x2F\xFD", 4, {"packed by zstd", "unpack it: zstd -d"}},
    {"BZh#1AY&SY", 10, {"packed by bzip2", "unpack it: bzip2 -d"}},
    {"\xFD"
     "7zXZ\0",
     6,
     {"packed by xz", "unpack it: xz -d"}},
    {"PK\x03\x04", 4, {"a zip archive", "unpack it, and name the files in it"}},
    {"PAR1\x15", 5, {"a parquet file", "make it a source of parquet, with its column"}},
    {"\x89HDF\r\n\x1A\n", 8, {"an HDF5 file", "write its texts as JSON lines or parquet"}},
    {"\x04\x22\x4D\x18", 4, {"packed by lz4", "unpack it: lz4 -d"}},
    {"ARROW1\0\0", 8, {"an Arrow file", "write it as parquet"}},
    {"\xFF\xFF\xFF\xFF", 4, {"an Arrow file", "write it as parquet: Dataset.to_parquet"}},
    {"SQLite format 3", 16, {"an SQLite data base", "write its texts as JSON lines or parquet"}},
    {"version https://git-lfs.github.com/spec/",
     40,
     {"a pointer of Git LFS in place of the data", "fetch the data: git lfs pull"}},
    {"%PDF-1.", 7, {"a PDF", "write its text into a file"}},
    {"\xFF\xFE", 2, {"UTF-16", "write it as UTF-8: iconv -f UTF-16 -t UTF-8"}},
    {"\xFE\xFF", 2, {"UTF-16", "write it as UTF-8: iconv -f UTF-16 -t UTF-8"}},
};

static bool is_byte(char magic, uint8_t byte)
{
    return magic == '#' ? byte >= '0' && byte <= '9' : (uint8_t)magic == byte;
}

const struct file_kind *file_kind_of(const uint8_t *first, size_t n)
{
    for (size_t i = 0; i < countof(kinds); i++) {
        size_t k = 0;
        while (k < kinds[i].n && k < n && is_byte(kinds[i].magic[k], first[k]))
            k++;
        if (k == kinds[i].n)
            return &kinds[i].kind;
    }
    return NULL;
}
