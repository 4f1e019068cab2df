// Made-up /proc and /sys: what is left is the least of what the machine and each group leave.
#include "tests/unit/kernels/check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "kernels/memory.h"

static const uint64_t GiB = (uint64_t)1 << 30;
static char root[64];

static void put(const char *name, const char *text)
{
    char path[512];
    int n = snprintf(path, sizeof path, "%s/%s", root, name);
    assert_true(n > 0 && n < (int)sizeof path);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_machine(void)
{
    put("proc/meminfo", "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   16777216 kB\n"
                        "SwapTotal:       2097152 kB\nSwapFree:        1048576 kB\n");
}

static void assert_memory(uint64_t left, uint64_t most)
{
    if (memory_left(root) != left || memory_most(root) != most)
        fail_msg("left %zu, most %zu", memory_left(root), memory_most(root));
}

static void machine_alone(void **state)
{
    (void)state;
    assert_memory(SIZE_MAX, SIZE_MAX); // nothing is there that could be asked
    put_machine();
    assert_memory(17 * GiB, 32 * GiB);
    put("proc/self/cgroup", "0::/\n");
    assert_memory(17 * GiB, 32 * GiB);
}

static void version_2(void **state)
{
    (void)state;
    put_machine();
    put("proc/self/cgroup", "0::/user.slice/job.scope\n");
    put("sys/fs/cgroup/user.slice/job.scope/memory.max", "max\n");
    put("sys/fs/cgroup/user.slice/job.scope/memory.current", "1073741824\n");
    assert_memory(17 * GiB, 32 * GiB);
    put("sys/fs/cgroup/user.slice/memory.max", "8589934592\n"); // of a group above
    assert_memory(17 * GiB, 8 * GiB);
    put("sys/fs/cgroup/user.slice/memory.current", "6442450944\n");
    assert_memory(2 * GiB, 8 * GiB);
    put("sys/fs/cgroup/user.slice/memory.stat", "anon 5\nfile 99\nactive_file 536870912\ninactive_file 536870912\n");
    assert_memory(3 * GiB, 8 * GiB);
    put("sys/fs/cgroup/user.slice/job.scope/memory.max", "1073741824\n"); // all used
    assert_memory(0, GiB);
    put("sys/fs/cgroup/user.slice/job.scope/memory.max", "68719476736\n"); // more than there is
    assert_memory(3 * GiB, 8 * GiB);
    put("proc/self/cgroup", "0::/of/the/host\n"); // in a container, whose own group is the root
    put("sys/fs/cgroup/memory.max", "2147483648\n");
    put("sys/fs/cgroup/memory.current", "1073741824\n");
    assert_memory(GiB, 2 * GiB);
}

static void version_1(void **state)
{
    (void)state;
    put_machine();
    put("proc/self/cgroup", "9:name=systemd:/memory\n5:cpu,memory,pids:/docker/a:b\n4:memory_other:/\n0::/\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "12884901888\n");
    assert_memory(17 * GiB, 32 * GiB);
    put("sys/fs/cgroup/memory/docker/a:b/memory.limit_in_bytes", "4294967296\n");
    put("sys/fs/cgroup/memory/docker/a:b/memory.usage_in_bytes", "3221225472\n");
    assert_memory(GiB, 4 * GiB);
    put("sys/fs/cgroup/memory/docker/a:b/memory.stat", "inactive_file 7\ntotal_inactive_file 1073741824\n");
    assert_memory(2 * GiB, 4 * GiB);
}

static void nonsense(void **state)
{
    (void)state;
    put("proc/meminfo", "MemAvailable: many\nMemTotal:\n");
    char line[6000];
    memset(line, '/', sizeof line);
    memcpy(line, "0::", 3);
    line[sizeof line - 1] = 0;
    put("proc/self/cgroup", line);
    put("sys/fs/cgroup/memory.max", "lots\n");
    assert_memory(SIZE_MAX, SIZE_MAX);
    put("proc/self/cgroup", "no colon\n::\n:\n0::/../../..\n");
    put("sys/fs/cgroup/memory.max", "5\n");
    put("sys/fs/cgroup/memory.current", "7\n");
    assert_memory(0, 5);
}

static int enter(void **state)
{
    (void)state;
    strcpy(root, "/tmp/retort-memory-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(machine_alone, enter, leave),
        cmocka_unit_test_setup_teardown(version_2, enter, leave),
        cmocka_unit_test_setup_teardown(version_1, enter, leave),
        cmocka_unit_test_setup_teardown(nonsense, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
