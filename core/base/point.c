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

// argv[1] of a stage process is "_stage", of one that fills a mirror "_mirror"; all others are runners.
static const char *who_this_is(char text[512])
{
    memset(text, 0, 512);
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, 511) : -1;
    if (fd >= 0)
        close(fd);
    size_t program = n > 0 ? strlen(text) + 1 : 0;
    return n > 0 && program < (size_t)n && text[program] == '_' ? text + program + 1 : "runner";
}

static bool is_asked(const char *who, size_t n)
{
    char text[512];
    const char *this = who_this_is(text);
    return strlen(this) == n && !strncmp(this, who, n);
}

void point(const char *name)
{
    const char *asked = getenv("RETORT_FAULT");
    if (!asked)
        return;
    const char *slash = strchr(asked, '/'), *wanted = slash ? slash + 1 : asked;
    size_t n = strcspn(wanted, ":");
    if (strlen(name) != n || strncmp(wanted, name, n) || (slash && !is_asked(asked, (size_t)(slash - asked))))
        return;
    long nth = wanted[n] == ':' ? strtol(wanted + n + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == nth)
        kill(getpid(), SIGKILL);
}
