// inject.c - put before the C library (LD_PRELOAD): what disks, clocks and memory do on a bad day, at a moment that can be said.
//
//     FAULT_FOLDER   calls count that name a path in this folder, or an open file of it
//     FAULT_WHO      stage (argv[1] is "_stage"), mirror ("_mirror"), runner (everything else), any
//     FAULT_CALL     open mkdir write pwrite fsync fallocate ftruncate rename unlink, or any; sleep: time functions; memory
//     FAULT_AT       the n-th such call of the process, from 1; "3+": that one and all after it
//     FAULT_WHAT     kill (before the call), killed (after it), ENOSPC EIO EROFS EDQUOT EMFILE ENOMEM, short (half of a write, once),
//                    vanish (the folder is renamed to FAULT_FOLDER.away, and the call goes on), clock (jumps by FAULT_BY seconds)
//     FAULT_LOG      a file to which each call that counts is appended, "WHO CALL PATH", so that a harness learns what there is
//
// Memory counts what the program itself asks for (malloc and the like called from its own text), not what libraries do. open counts
// where it may create or write. Only whole calls are failed, so that after EIO nothing of a write is there; "short" is the other case.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

enum what { NOTHING, KILL, KILLED, SHORT, VANISH, CLOCK, ERROR };

static struct {
    bool on, every, is_memory;
    const char *folder, *call;
    size_t n_folder;
    char who[8];
    int log;
    long at;
    enum what what;
    int error;
    double by;
    uintptr_t first, end; // text of the program
} fault = {.log = -1};

static atomic_long passed;

static int error_of(const char *name)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(errors[i].name, name))
            return errors[i].error;
    return 0;
}

static int find_text(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
            fault.first = info->dlpi_addr + p->p_vaddr;
            fault.end = fault.first + p->p_memsz;
        }
    }
    return 1; // the program comes first
}

// What argv[1] says after its "_"; a runner has no such.
static const char *who_this_is(void)
{
    static char text[512];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    size_t program = n > 0 ? strlen(text) + 1 : 0;
    return n > 0 && program < (size_t)n && text[program] == '_' ? text + program + 1 : "runner";
}

__attribute__((constructor)) static void begin(void)
{
    const char *who = getenv("FAULT_WHO"), *at = getenv("FAULT_AT"), *what = getenv("FAULT_WHAT"), *log = getenv("FAULT_LOG"),
               *by = getenv("FAULT_BY");
    fault.folder = getenv("FAULT_FOLDER");
    fault.call = getenv("FAULT_CALL");
    if (!fault.folder || !fault.call)
        return;
    snprintf(fault.who, sizeof fault.who, "%s", who_this_is());
    fault.n_folder = strlen(fault.folder);
    dl_iterate_phdr(find_text, NULL);
    if (log)
        fault.log = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (who && strcmp(who, "any") && strcmp(who, fault.who))
        what = NULL;
    fault.at = at ? strtol(at, NULL, 10) : 1;
    fault.every = at && strchr(at, '+');
    fault.by = by ? strtod(by, NULL) : 0;
    fault.error = what ? error_of(what) : 0;
    fault.what = !what                     ? NOTHING
                 : fault.error             ? ERROR
                 : !strcmp(what, "kill")   ? KILL
                 : !strcmp(what, "killed") ? KILLED
                 : !strcmp(what, "short")  ? SHORT
                 : !strcmp(what, "vanish") ? VANISH
                 : !strcmp(what, "clock")  ? CLOCK
                                           : NOTHING;
    fault.is_memory = !strcmp(fault.call, "memory");
    fault.on = true;
}

static bool in_folder(const char *path)
{
    char full[PATH_MAX];
    if (path[0] != '/') {
        if (!getcwd(full, sizeof full) || strlen(full) + strlen(path) + 2 > sizeof full)
            return false;
        strcat(strcat(full, "/"), path);
        path = full;
    }
    return !strncmp(path, fault.folder, fault.n_folder) && (path[fault.n_folder] == '/' || !path[fault.n_folder]);
}

static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static void vanish(void)
{
    char away[PATH_MAX];
    snprintf(away, sizeof away, "%s.away", fault.folder);
    syscall(SYS_rename, fault.folder, away);
}

// Counts a call; what is to happen at it.
static enum what count(const char *call, const char *path)
{
    char line[PATH_MAX + 64];
    if (!fault.on || fault.is_memory || (strcmp(fault.call, "any") && strcmp(fault.call, call)) || !in_folder(path))
        return NOTHING;
    if (fault.log >= 0) {
        int n = snprintf(line, sizeof line, "%s %s %s\n", fault.who, call, path + fault.n_folder);
        syscall(SYS_write, fault.log, line, n);
    }
    if (fault.what == NOTHING)
        return NOTHING;
    long n = atomic_fetch_add(&passed, 1) + 1;
    if (n != fault.at && !(fault.every && n > fault.at))
        return NOTHING;
    if (fault.what == KILL)
        kill(getpid(), SIGKILL);
    if (fault.what == VANISH)
        vanish();
    if (fault.what == ERROR)
        errno = fault.error;
    return fault.what;
}

static enum what count_fd(const char *call, int fd)
{
    char path[PATH_MAX];
    int saved = errno;
    if (!fault.on || fault.is_memory || !path_of(fd, path)) {
        errno = saved;
        return NOTHING;
    }
    errno = saved;
    return count(call, path);
}

static long after(enum what what, long result)
{
    if (what == KILLED)
        kill(getpid(), SIGKILL);
    return result;
}

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    enum what w = flags & (O_CREAT | O_WRONLY | O_RDWR) && folder == AT_FDCWD ? count("open", path) : NOTHING;
    return w == ERROR ? -1 : (int)after(w, syscall(SYS_openat, folder, path, flags, mode));
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_any(AT_FDCWD, path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    enum what w = count("mkdir", path);
    return w == ERROR ? -1 : (int)after(w, syscall(SYS_mkdir, path, mode));
}

ssize_t write(int fd, const void *from, size_t n)
{
    enum what w = count_fd("write", fd);
    return w == ERROR ? -1 : after(w, syscall(SYS_write, fd, from, w == SHORT ? (n + 1) / 2 : n));
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    enum what w = count_fd("pwrite", fd);
    return w == ERROR ? -1 : after(w, syscall(SYS_pwrite64, fd, from, w == SHORT ? (n + 1) / 2 : n, at));
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    return pwrite64(fd, from, n, at);
}

int fsync(int fd)
{
    enum what w = count_fd("fsync", fd);
    return w == ERROR ? -1 : (int)after(w, syscall(SYS_fsync, fd));
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
    enum what w = count_fd("fallocate", fd);
    return w == ERROR ? -1 : (int)after(w, syscall(SYS_fallocate, fd, mode, at, n));
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    return fallocate64(fd, mode, at, n);
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
    enum what w = count_fd("fallocate", fd);
    if (w == ERROR)
        return fault.error;
    return after(w, syscall(SYS_fallocate, fd, 0, at, n)) ? errno : 0;
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    return posix_fallocate64(fd, at, n);
}

int ftruncate64(int fd, off64_t n)
{
    enum what w = count_fd("ftruncate", fd);
    return w == ERROR ? -1 : (int)after(w, syscall(SYS_ftruncate, fd, n));
}

int ftruncate(int fd, off_t n)
{
    return ftruncate64(fd, n);
}

int rename(const char *from, const char *to)
{
    enum what w = count("rename", to);
    return w == ERROR ? -1 : (int)after(w, syscall(SYS_rename, from, to));
}

int unlink(const char *path)
{
    enum what w = count("unlink", path);
    return w == ERROR ? -1 : (int)after(w, syscall(SYS_unlink, path));
}

// The wall clock alone: the other one cannot jump.
int clock_gettime(clockid_t id, struct timespec *t)
{
    int result = (int)syscall(SYS_clock_gettime, id, t);
    if (!fault.on || fault.what != CLOCK || id != CLOCK_REALTIME)
        return result;
    long n = atomic_fetch_add(&passed, 1) + 1;
    if (n >= fault.at)
        t->tv_sec += (time_t)fault.by;
    return result;
}

static bool refuse(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    if (!fault.on || !fault.is_memory || at < fault.first || at >= fault.end)
        return false;
    if (fault.log >= 0)
        syscall(SYS_write, fault.log, "memory\n", 7);
    if (fault.what != ERROR)
        return false;
    long n = atomic_fetch_add(&passed, 1) + 1;
    bool it_is = n == fault.at || (fault.every && n > fault.at);
    if (it_is)
        errno = ENOMEM;
    return it_is;
}

void *malloc(size_t n)
{
    return refuse(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return refuse(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *block, size_t n)
{
    return refuse(__builtin_return_address(0)) ? NULL : __libc_realloc(block, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return refuse(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, n);
}

int posix_memalign(void **block, size_t alignment, size_t n)
{
    if (refuse(__builtin_return_address(0)))
        return ENOMEM;
    void *got = __libc_memalign(alignment, n);
    if (!got)
        return ENOMEM;
    *block = got;
    return 0;
}
