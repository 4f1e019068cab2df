// walls.h - what a process does to itself before it becomes a program that is not trusted: after fork, before exec.
//
//     walls_make(&walls, 5, 16 << 20, folder_fd);    // once
//     if (fork() == 0) { walls_enter(&walls, parent); execve(...); }
//     walls_release(&walls);
//
// Inside    no process but itself: it can neither start one (threads it can) nor signal, trace or leave its session; no sockets. These
//           by a seccomp filter, which refuses the calls (EPERM); where the kernel has none, by a network of its own and no more
//           processes or threads of its user, as far as that is to be had (not of root). No core files, short files, not many of them
//           open at once, little processor time
// Outside   of its folder it can write, make and remove nothing but write to /dev/null, where the kernel has Landlock; reading is not
//           looked at
// Ends      with the thread that started it
// Calls     walls_enter only does what is safe between fork and exec
// Source    Linux: seccomp(2), prctl(2), landlock(7), Documentation/userspace-api/seccomp_filter.rst
#ifndef CORE_SANDBOX_WALLS_H
#define CORE_SANDBOX_WALLS_H

#include <stdint.h>

#include <linux/filter.h>
#include <sys/types.h>

enum { WALLS_FILTER = 64, WALLS_OPEN = 64 }; // WALLS_OPEN: files at once

struct walls {
    struct sock_filter filter[WALLS_FILTER];
    unsigned short n;
    int64_t processor_s, file_bytes;
    int rules; // of Landlock, a descriptor; -1: the kernel has none
};

// folder: a descriptor of the one that the process may write in.
void walls_make(struct walls *walls, int64_t processor_s, int64_t file_bytes, int folder);
void walls_release(struct walls *walls);                   // also of one that is all zero
void walls_enter(const struct walls *walls, pid_t parent); // leaves the process where the parent is gone by now

#endif
