// mirror_process.c - `retort _mirror`: reads its job from stdin, a line, and goes on listening there for its end (runner/graph/mirror.h).
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands/mirror.h"
#include "runner/graph/mirror_push.h"

enum { JOB_MOST = 16 << 20 };

// A line, byte by byte, so that what comes behind it stays in the pipe.
static struct error *read_line(char **line)
{
    size_t n = 0, capacity = 0;
    *line = NULL;
    for (;;) {
        char c;
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || n > JOB_MOST)
            return error_new(ERROR_USAGE, NOWHERE, "`retort run` starts it", "a mirror wants its job on standard input");
        if (n == capacity) {
            char *more = block_resize(*line, n, capacity ? 2 * capacity : 4096);
            if (!more)
                return error_memory();
            *line = more;
            capacity = capacity ? 2 * capacity : 4096;
        }
        (*line)[n] = c == '\n' ? '\0' : c;
        n++;
        if (c == '\n')
            return NULL;
    }
}

int mirror_process(void)
{
    struct arena arena = {0};
    struct mirror_job job;
    char *line;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    struct error *e = read_line(&line);
    if (!e)
        e = mirror_job_read(&job, line, &arena);
    if (!e)
        e = mirror_push(&job, STDIN_FILENO);
    int status = error_exit_status(e);
    error_free(e);
    block_free(line);
    arena_release(&arena);
    return status;
}
