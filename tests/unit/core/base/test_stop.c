// test_stop.c - the flag, the count and the pipe. The order matters: the flag is never cleared.
#include "tests/unit/folder.h"

#include <poll.h>
#include <signal.h>

#include "core/base/stop.h"

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void signals_ask_to_stop(void **state)
{
    (void)state;
    assert_false(stop_requested());
    assert_int_equal(stop_fd(), -1);
    stop_on_signals();
    assert_true(stop_fd() >= 0);
    raise(SIGHUP);
    raise(SIGPIPE);
    assert_false(stop_requested());
    assert_false(readable(stop_fd()));
    raise(SIGTERM);
    assert_true(stop_requested());
    assert_true(readable(stop_fd()));
    raise(SIGTERM);
    assert_false(stop_at_once());
    raise(SIGINT);
    assert_true(stop_at_once());
    int fd = stop_fd();
    stop_on_signals();
    assert_int_equal(stop_fd(), fd);
}

static void many_requests_do_not_block(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) // more than a pipe holds
        stop_request();
    assert_true(stop_requested());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(signals_ask_to_stop), cmocka_unit_test(many_requests_do_not_block)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
