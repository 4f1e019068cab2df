// foreign.h - numbers out of HDF5 files that other programs wrote.
//
//     e = foreign_integers("ids.h5", "/ids", 1 << 24, arena, &values, &rows, &cols);
//
// Any type of integer, any layout inside the file, one dimension (rows = 1) or two. Values that do not fit 64 bits with a sign are an
// error, and so are datasets that lie in other files.
//
// Errors  ERROR_DATA naming file and dataset
#ifndef CORE_STORE_FOREIGN_H
#define CORE_STORE_FOREIGN_H

#include "core/base/error.h"

#include <stdint.h>

struct error *CHECKED foreign_integers(const char *path, const char *dataset, int64_t most, struct arena *arena, int64_t **values,
                                       int64_t *rows, int64_t *cols);

#endif
