// detach.c - the parent waits for one byte from the child, so that whoever looks afterwards finds the child in lock and record.
#include "runner/commands/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct error *settle(int log, struct lock *lock, const char *command)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (setsid() < 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        return error_system(ERROR_MACHINE, errno, "cannot go into the background");
    close(nothing);
    return lock_inherit(lock, command);
}

struct error *detach(struct detached *detached, const char *log_path, struct lock *lock, const char *command)
{
    int ends[2], log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    *detached = (struct detached){.pipe = -1};
    if (log < 0)
        return error_system(ERROR_MACHINE, errno, "cannot write '%s'", log_path);
    if (pipe2(ends, O_CLOEXEC)) {
        close(log);
        return error_system(ERROR_MACHINE, errno, "cannot make a pipe");
    }
    fflush(NULL);
    detached->pid = fork();
    struct error *e = detached->pid < 0 ? error_system(ERROR_MACHINE, errno, "cannot start a process") : NULL;
    detached->is_child = detached->pid == 0;
    detached->pipe = ends[detached->is_child];
    close(ends[!detached->is_child]);
    if (detached->is_child)
        e = settle(log, lock, command);
    else if (!e)
        lock_leave(lock);
    close(log);
    return e;
}

void detach_ready(struct detached *detached)
{
    ssize_t n = write(detached->pipe, "", 1);
    (void)n; // nobody needs to be told any more
    close(detached->pipe);
}

struct error *detach_wait(struct detached *detached)
{
    char byte;
    ssize_t n;
    while ((n = read(detached->pipe, &byte, 1)) < 0 && errno == EINTR)
        ;
    close(detached->pipe);
    return n == 1 ? NULL : error_plain(ERROR_MACHINE, "the run did not come into the background");
}
