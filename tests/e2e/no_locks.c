// no_locks.c - put before the C library (LD_PRELOAD), a file system whose locks do not work: NO_LOCKS=fail, they are refused;
// NO_LOCKS=grant, everyone gets them.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

int flock(int fd, int operation)
{
    const char *how = getenv("NO_LOCKS");
    (void)fd;
    (void)operation;
    if (how && !strcmp(how, "grant"))
        return 0;
    errno = ENOLCK;
    return -1;
}
