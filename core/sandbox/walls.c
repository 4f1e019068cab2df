// walls.c - the filter is a list of numbers of calls, each followed by what it gives.
#include "core/sandbox/walls.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/seccomp.h>
#if defined(__has_include) && __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "core/base/arena.h"

#if defined(__x86_64__)
static const uint32_t here = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
static const uint32_t here = AUDIT_ARCH_AARCH64;
#else
static const uint32_t here = 0; // no filter
#endif

static const int refused[] = {
#ifdef SYS_fork
    SYS_fork,    SYS_vfork,
#endif
    SYS_socket,  SYS_io_uring_setup, // a way to sockets that calls no socket()
    SYS_kill,    SYS_tkill,          SYS_rt_sigqueueinfo, SYS_pidfd_send_signal, SYS_ptrace, SYS_process_vm_writev, SYS_setsid,
    SYS_setpgid, SYS_unshare,        SYS_setns,
};

static void add(struct walls *w, struct sock_filter instruction)
{
    assert(w->n < WALLS_FILTER);
    w->filter[w->n++] = instruction;
}

// What a call of that number gives; others go on behind it.
static void add_case(struct walls *w, int number, uint32_t gives)
{
    add(w, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1));
    add(w, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, gives));
}

// clone() with CLONE_THREAD makes a thread. What clone3() makes stands in memory, where a filter does not look; without it the C library
// takes clone().
static void add_clone(struct walls *w)
{
    add_case(w, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    add(w, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
    add(w, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])));
    add(w, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    add(w, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    add(w, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

#if defined(LANDLOCK_CREATE_RULESET_VERSION) && defined(SYS_landlock_create_ruleset)

// What is added to the first version, and older headers do not name.
enum { SINCE_2_REFER = 1 << 13, SINCE_3_TRUNCATE = 1 << 14 };

static bool allow(int rules, int at, uint64_t what)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = what, .parent_fd = at};
    return at >= 0 && !syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int rules_of(int folder)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t all = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                   LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                   LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                   LANDLOCK_ACCESS_FS_MAKE_SYM | (version >= 2 ? SINCE_2_REFER : 0) | (version >= 3 ? SINCE_3_TRUNCATE : 0);
    struct landlock_ruleset_attr attributes = {.handled_access_fs = all};
    int rules = version < 1 ? -1 : (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    int nothing = rules < 0 ? -1 : open("/dev/null", O_PATH | O_CLOEXEC);
    bool good = rules >= 0 && allow(rules, folder, all) &&
                allow(rules, nothing, LANDLOCK_ACCESS_FS_WRITE_FILE | (version >= 3 ? SINCE_3_TRUNCATE : 0));
    if (nothing >= 0)
        close(nothing);
    if (!good && rules >= 0)
        close(rules);
    return good ? rules : -1;
}

static void enter_rules(int rules)
{
    if (rules >= 0)
        syscall(SYS_landlock_restrict_self, rules, 0);
}

#else

static int rules_of(int folder)
{
    (void)folder;
    return -1;
}

static void enter_rules(int rules)
{
    (void)rules;
}

#endif

void walls_release(struct walls *w)
{
    if (w->rules > 0)
        close(w->rules);
    w->rules = -1;
}

void walls_make(struct walls *w, int64_t processor_s, int64_t file_bytes, int folder)
{
    *w = (struct walls){.processor_s = processor_s, .file_bytes = file_bytes, .rules = rules_of(folder)};
    if (!here)
        return;
    // Calls by the numbers of another architecture would pass the list.
    add(w, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    add(w, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, here, 1, 0));
    add(w, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    add(w, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
#ifdef __X32_SYSCALL_BIT
    add(w, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, __X32_SYSCALL_BIT, 0, 1));
    add(w, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
#endif
    for (size_t i = 0; i < countof(refused); i++)
        add_case(w, refused[i], SECCOMP_RET_ERRNO | EPERM);
    add_clone(w);
    add(w, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static void limit(int what, int64_t most, int64_t at_the_most)
{
    struct rlimit now, to = {.rlim_cur = (rlim_t)most, .rlim_max = (rlim_t)at_the_most};
    if (!getrlimit(what, &now)) { // what is less already stays
        to.rlim_cur = now.rlim_max < to.rlim_cur ? now.rlim_max : to.rlim_cur;
        to.rlim_max = now.rlim_max < to.rlim_max ? now.rlim_max : to.rlim_max;
    }
    setrlimit(what, &to);
}

void walls_enter(const struct walls *w, pid_t parent)
{
    struct sock_fprog program = {.len = w->n, .filter = (struct sock_filter *)w->filter};
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &usual, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_CPU, w->processor_s, w->processor_s + 1); // SIGXCPU, then SIGKILL
    limit(RLIMIT_FSIZE, w->file_bytes, w->file_bytes);
    limit(RLIMIT_NOFILE, WALLS_OPEN, WALLS_OPEN); // those that have no name any more, too
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    enter_rules(w->rules);
    if (w->n && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
        return;
    limit(RLIMIT_NPROC, 1, 1);
    unshare(CLONE_NEWUSER | CLONE_NEWNET);
}
