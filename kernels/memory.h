// memory.h - what memory this process may have: the machine's, and no more than its control groups allow.
//
//     if (bytes > memory_left(""))
//         ...                                     the kernel would give it, and then end the process
//
// Looked at  root/proc/meminfo, root/proc/self/cgroup, and under root/sys/fs/cgroup the group of the process and all groups above it:
//            memory.max, memory.current, memory.stat (version 2), memory.limit_in_bytes, memory.usage_in_bytes (version 1). What is
//            not there limits nothing; in a container whose group has another name inside, the mounted root is the container's own
// Caches     of files count as left, for the kernel drops them first; swap counts as the machine's, and not as a group's
// root       "" but in tests
#ifndef KERNELS_MEMORY_H
#define KERNELS_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes that can still be had; SIZE_MAX where nothing says.
size_t memory_left(const char *root);

// Bytes that there are at most, used or not; SIZE_MAX where nothing says.
size_t memory_most(const char *root);

#ifdef __cplusplus
}
#endif

#endif
