// set_format.c - makes of a result file one that a retort of another format wrote, or an HDF5 file that is none of ours.
//
//     set_format FILE 2           its retort_format becomes 2; what HDF5 keeps of itself stays right
//     set_format FILE foreign     FILE is written anew: HDF5, and nothing of retort's
#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    if (!strcmp(argv[2], "foreign")) {
        hid_t made = H5Fcreate(argv[1], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        return made < 0 || H5Fclose(made) < 0;
    }
    int64_t format = strtoll(argv[2], NULL, 10);
    hid_t file = H5Fopen(argv[1], H5F_ACC_RDWR, H5P_DEFAULT), id = file < 0 ? -1 : H5Aopen(file, "retort_format", H5P_DEFAULT);
    bool good = id >= 0 && H5Awrite(id, H5T_NATIVE_INT64, &format) >= 0 && H5Aclose(id) >= 0;
    good = file >= 0 && H5Fclose(file) >= 0 && good;
    if (!good)
        fprintf(stderr, "cannot set the format of '%s'\n", argv[1]);
    return !good;
}
