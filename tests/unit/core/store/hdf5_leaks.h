// hdf5_leaks.h - what HDF5 1.10 itself loses after a damaged header or a failed write (some 400 bytes each) is not counted against us;
// what we must close is counted by HDF5's own identifiers instead.
#ifndef TESTS_UNIT_CORE_STORE_HDF5_LEAKS_H
#define TESTS_UNIT_CORE_STORE_HDF5_LEAKS_H

#include <hdf5.h>

// Read by the leak sanitizer where there is one.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

static inline int64_t open_identifiers(void)
{
    const H5I_type_t types[] = {H5I_FILE, H5I_GROUP, H5I_DATATYPE, H5I_DATASPACE, H5I_DATASET, H5I_ATTR, H5I_GENPROP_LST};
    int64_t n = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        hsize_t of_type = 0;
        H5open();
        if (H5Inmembers(types[i], &of_type) >= 0)
            n += (int64_t)of_type;
    }
    return n;
}

#endif
