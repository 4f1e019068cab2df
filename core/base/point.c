// point.c - counts how often the one named point was passed: state of a process, and used only where a test asked for it.
#include "core/base/point.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long passed;

// argv[1] of a stage process is "_stage".
static bool is_stage(void)
{
    char text[512] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    size_t program = n > 0 ? strlen(text) + 1 : 0;
    return n > 0 && program < (size_t)n && !strcmp(text + program, "_stage");
}

void point(const char *name)
{
    const char *asked = getenv("RETORT_FAULT");
    if (!asked)
        return;
    const char *slash = strchr(asked, '/'), *wanted = slash ? slash + 1 : asked;
    size_t n = strcspn(wanted, ":");
    if (strlen(name) != n || strncmp(wanted, name, n) || (slash && is_stage() != !strncmp(asked, "stage/", 6)))
        return;
    long nth = wanted[n] == ':' ? strtol(wanted + n + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == nth)
        kill(getpid(), SIGKILL);
}
