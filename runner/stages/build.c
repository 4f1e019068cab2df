// build.c - the commit comes from build_id.h, which the build writes anew when it changes (build_id.cmake).
#include "runner/stages/build.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build_id.h"

#define TEXT_OF(x) #x
#define VERSION_TEXT(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)
#ifdef __clang__
#define COMPILER "clang " VERSION_TEXT(__clang_major__, __clang_minor__, __clang_patchlevel__)
#else
#define COMPILER "gcc " __VERSION__
#endif

// The processor's name as Linux gives it; "" where it gives none.
static void processor_name(char *name, size_t n)
{
    char line[256];
    name[0] = '\0';
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (!strncmp(line, "model name", 10) && colon) {
            snprintf(name, n, "%s", colon + 1 + strspn(colon + 1, " "));
            name[strcspn(name, "\n")] = '\0';
            break;
        }
    }
    if (f)
        fclose(f);
}

const char *build_text(void)
{
    return RETORT_VERSION " " BUILD_COMMIT " " COMPILER " " BUILD_TYPE;
}

const char *code_text(void)
{
    return BUILD_LINES " lines of C in " BUILD_FILES " files, " BUILD_LIBRARIES " libraries";
}

const char *machine_text(struct arena *arena)
{
    char host[256] = "unknown", processor[200];
    if (!gethostname(host, sizeof host))
        host[sizeof host - 1] = '\0';
    processor_name(processor, sizeof processor);
    double gigabytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9;
    return arena_printf(arena, "%s, %s%s%ld cores, %.0f GB", host, processor, processor[0] ? ", " : "",
                        sysconf(_SC_NPROCESSORS_ONLN), gigabytes);
}
