// lost.c - a second place with state of a process (the first is stop.c): a handler knows nothing else.
//
// Which file it was the kernel's own list of mappings says, so that no mapping has to be registered.
#include "core/base/lost.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void (*teller)(void *self, struct error *e);
static void *teller_self;
static atomic_flag told = ATOMIC_FLAG_INIT;

// The file that is mapped at the address; false: none is.
static bool file_at(uintptr_t address, char path[PATH_MAX])
{
    char line[PATH_MAX + 200];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        unsigned long long first, last;
        const char *name = strchr(line, '/');
        if (!name || sscanf(line, "%llx-%llx", &first, &last) != 2 || address < first || address >= last)
            continue;
        snprintf(path, PATH_MAX, "%.*s", (int)strcspn(name, "\n"), name);
        found = true;
    }
    if (maps)
        fclose(maps);
    return found;
}

static void on_signal(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    char path[PATH_MAX];
    if (info->si_code <= 0 || !file_at((uintptr_t)info->si_addr, path)) { // one that was sent has no address
        signal(signal_number, SIG_DFL);
        raise(signal_number); // blocked until this returns
        return;
    }
    while (atomic_flag_test_and_set(&told)) // another thread is telling
        pause();
    struct error *e = error_new(ERROR_DATA, NOWHERE,
                                "look at the disk; fetch or make the file again, and leave files alone while they are read",
                                "'%s' was cut short while it was read, or its disk fails", path);
    teller(teller_self, e);
    _exit(error_exit_status(e));
}

void lost_on_signal(void (*tell)(void *self, struct error *e), void *self)
{
    teller = tell;
    teller_self = self;
    struct sigaction lost = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigemptyset(&lost.sa_mask);
    sigaction(SIGBUS, &lost, NULL);
}
