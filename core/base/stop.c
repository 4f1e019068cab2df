// stop.c - a flag, a count, and a pipe behind them so that poll wakes up.
#include "core/base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t requests, at_once;
static int pipe_fds[2] = {-1, -1};

bool stop_requested(void)
{
    return requests != 0;
}

bool stop_at_once(void)
{
    return at_once != 0;
}

void stop_request(void)
{
    int saved = errno;
    requests = requests + 1;
    if (pipe_fds[1] >= 0) {
        ssize_t n = write(pipe_fds[1], "s", 1);
        (void)n; // a full pipe already says it
    }
    errno = saved;
}

void stop_clear(void)
{
    char drained[64];
    requests = at_once = 0;
    while (pipe_fds[0] >= 0 && read(pipe_fds[0], drained, sizeof drained) > 0)
        ;
}

static void on_signal(int signal_number)
{
    if (signal_number == SIGINT && requests)
        at_once = 1;
    stop_request();
}

void stop_on_signals(void)
{
    if (pipe_fds[0] < 0 && pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK))
        pipe_fds[0] = pipe_fds[1] = -1;
    struct sigaction ask = {.sa_handler = on_signal};
    sigemptyset(&ask.sa_mask);
    sigaction(SIGINT, &ask, NULL);
    sigaction(SIGTERM, &ask, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); // writing beyond `ulimit -f` is an error like a full disk
}

int stop_fd(void)
{
    return pipe_fds[0];
}
