// memory.c - small files of the kernel, each read whole; the smallest number wins.
#include "kernels/memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PATH_TEXT = 8192, LINE_TEXT = 4096 };

// The names that a version of control groups has for things.
struct version {
    const char *folder, *limit, *used, *caches[2];
};

static const struct version versions[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file ", "active_file "}},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file ", "total_active_file "}},
};

struct limits {
    uint64_t left, most;
};

static FILE *open_in(const char *folder, const char *name)
{
    char path[PATH_TEXT];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && n < PATH_TEXT ? fopen(path, "r") : NULL;
}

// Of lines "NAME: NUMBER" or "NAME NUMBER" the number behind that name, or 0.
static uint64_t number_named(const char *folder, const char *file, const char *name)
{
    FILE *f = open_in(folder, file);
    char line[LINE_TEXT];
    uint64_t n = 0;
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)) && sscanf(line + strlen(name), "%" SCNu64, &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

// False: there is no such file, or it says "max".
static bool read_number(const char *folder, const char *file, uint64_t *n)
{
    FILE *f = open_in(folder, file);
    bool found = f && fscanf(f, "%" SCNu64, n) == 1;
    if (f)
        fclose(f);
    return found;
}

static void look_at_group(struct limits *l, const struct version *v, const char *folder)
{
    uint64_t limit, used, caches = 0;
    if (!read_number(folder, v->limit, &limit))
        return;
    l->most = limit < l->most ? limit : l->most;
    if (!read_number(folder, v->used, &used))
        return;
    for (int i = 0; i < 2; i++)
        caches += number_named(folder, "memory.stat", v->caches[i]);
    used -= caches < used ? caches : used;
    uint64_t left = used < limit ? limit - used : 0;
    l->left = left < l->left ? left : l->left;
}

// The group of that name and all above it.
static void look_at_groups(struct limits *l, const char *root, const struct version *v, const char *name)
{
    char folder[PATH_TEXT];
    int n_top = snprintf(folder, sizeof folder, "%s%s", root, v->folder);
    if (n_top < 0 || n_top + strlen(name) + 1 > sizeof folder)
        return;
    strcpy(folder + n_top, name);
    for (;;) {
        look_at_group(l, v, folder);
        char *slash = strrchr(folder + n_top, '/');
        if (!slash)
            return;
        *slash = 0;
    }
}

// Whether "memory" is one of the controllers "cpu,memory".
static bool has_memory(const char *controllers)
{
    for (const char *c = controllers; *c; c += strcspn(c, ","), c += *c == ',')
        if (strcspn(c, ",") == 6 && !strncmp(c, "memory", 6))
            return true;
    return false;
}

static struct limits look(const char *root)
{
    char folder[PATH_TEXT], line[LINE_TEXT];
    struct limits l = {UINT64_MAX, UINT64_MAX};
    int n = snprintf(folder, sizeof folder, "%s/proc", root);
    if (n < 0 || n >= PATH_TEXT)
        return l;
    uint64_t available = number_named(folder, "meminfo", "MemAvailable:"), total = number_named(folder, "meminfo", "MemTotal:");
    if (available)
        l.left = (available + number_named(folder, "meminfo", "SwapFree:")) * 1024;
    if (total)
        l.most = total * 1024;
    FILE *f = open_in(folder, "self/cgroup"); // lines "4:memory:/a/b", in version 2 one line "0::/a/b"
    while (f && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *name = controllers ? strchr(++controllers, ':') : NULL;
        if (!name)
            continue;
        *name++ = 0;
        name[strcspn(name, "\n")] = 0;
        if (!*controllers || has_memory(controllers))
            look_at_groups(&l, root, &versions[*controllers != 0], name);
    }
    if (f)
        fclose(f);
    return l;
}

static size_t to_size(uint64_t n)
{
    return n < SIZE_MAX ? (size_t)n : SIZE_MAX;
}

size_t memory_left(const char *root)
{
    return to_size(look(root).left);
}

size_t memory_most(const char *root)
{
    return to_size(look(root).most);
}
