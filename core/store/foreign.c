// foreign.c - HDF5 converts and unpacks; what it is asked for is looked at before.
#include "core/store/foreign.h"

#include <string.h>

#include "core/store/store_inside.h"

static struct error *check_place(hid_t data, const char *path, const char *dataset)
{
    hid_t creation = H5Dget_create_plist(data);
    bool inside = creation >= 0 && H5Pget_layout(creation) != H5D_VIRTUAL && H5Pget_external_count(creation) == 0;
    if (creation >= 0)
        H5Pclose(creation);
    return inside ? NULL : hdf5_error(ERROR_DATA, NULL, "'%s' of '%s' lies in other files", dataset, path);
}

static struct error *check_type(hid_t data, const char *path, const char *dataset)
{
    hid_t type = H5Dget_type(data);
    bool fits = type >= 0 && H5Tget_class(type) == H5T_INTEGER &&
                (H5Tget_size(type) < sizeof(int64_t) || (H5Tget_size(type) == sizeof(int64_t) && H5Tget_sign(type) == H5T_SGN_2));
    if (type >= 0)
        H5Tclose(type);
    return fits ? NULL : hdf5_error(ERROR_DATA, "write int32 or int64", "'%s' of '%s' is not of whole numbers", dataset, path);
}

static struct error *take_size(hid_t data, const char *path, const char *dataset, int64_t most, int64_t *rows, int64_t *cols)
{
    hsize_t dims[2] = {1, 1};
    hid_t space = H5Dget_space(data);
    int n = space >= 0 && H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : -1;
    bool good = (n == 1 || n == 2) && H5Sget_simple_extent_dims(space, n == 1 ? dims + 1 : dims, NULL) >= 0;
    if (space >= 0)
        H5Sclose(space);
    if (!good)
        return hdf5_error(ERROR_DATA, NULL, "'%s' of '%s' has not one or two dimensions", dataset, path);
    if (dims[0] > (hsize_t)most || dims[1] > (hsize_t)most || (dims[0] && dims[1] > (hsize_t)most / dims[0]))
        return error_plain(ERROR_DATA, "'%s' of '%s' has more than %lld numbers", dataset, path, (long long)most);
    *rows = (int64_t)dims[0];
    *cols = (int64_t)dims[1];
    return NULL;
}

static struct error *read_data(hid_t data, const char *path, const char *dataset, int64_t most, struct arena *arena,
                               int64_t **values, int64_t *rows, int64_t *cols)
{
    struct error *e = check_place(data, path, dataset);
    if (!e)
        e = check_type(data, path, dataset);
    if (!e)
        e = take_size(data, path, dataset, most, rows, cols);
    if (e)
        return e;
    int64_t *to = arena_array(arena, (size_t)(*rows * *cols) + 1, sizeof *to);
    if (!to)
        return error_memory();
    if (*rows > 0 && *cols > 0 && H5Dread(data, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0)
        return hdf5_error(ERROR_DATA, store_damaged_fix, "'%s' of '%s' cannot be read", dataset, path);
    *values = to;
    return NULL;
}

struct error *foreign_integers(const char *path, const char *dataset, int64_t most, struct arena *arena, int64_t **values,
                               int64_t *rows, int64_t *cols)
{
    hdf5_quiet();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1, data = -1;
    if (access >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 && H5Pset_file_locking(access, false, true) >= 0)
        file = H5Fopen(path, H5F_ACC_RDONLY, access);
    struct error *e = file < 0 ? hdf5_error(ERROR_DATA, NULL, "'%s' cannot be opened as HDF5", path) : NULL;
    if (!e && (data = H5Dopen2(file, dataset, H5P_DEFAULT)) < 0)
        e = hdf5_error(ERROR_DATA, "name the dataset so", "'%s' has no dataset '%s'", path, dataset);
    if (!e)
        e = read_data(data, path, dataset, most, arena, values, rows, cols);
    if (data >= 0)
        H5Dclose(data);
    if (file >= 0)
        H5Fclose(file);
    if (access >= 0)
        H5Pclose(access);
    H5Eclear2(H5E_DEFAULT);
    return e;
}
