// error.c - errors are small trees of blocks of their own, so that they outlive the arenas of the call that failed.
#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct error no_memory = {
    .kind = ERROR_MACHINE, .what = (char *)"out of memory", .fix = (char *)"free memory, or lower device_batch"};

static char *copy(const char *s)
{
    if (!s)
        return NULL;
    char *p = block_alloc(strlen(s) + 1);
    return p ? strcpy(p, s) : NULL;
}

static char *format_text(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *p = n < 0 ? NULL : block_alloc((size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return p;
}

static struct error *make(enum error_kind kind, struct place at, const char *fix, const char *format, va_list args)
{
    struct error *e = block_alloc(sizeof *e);
    if (!e)
        return &no_memory;
    *e = (struct error){.kind = kind, .at = at, .fix = copy(fix), .what = format_text(format, args)};
    e->at.file = copy(at.file);
    if (!e->what || (fix && !e->fix) || (at.file && !e->at.file)) {
        error_free(e);
        return &no_memory;
    }
    return e;
}

struct error *error_new(enum error_kind kind, struct place at, const char *fix, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *e = make(kind, at, fix, format, args);
    va_end(args);
    return e;
}

struct error *error_plain(enum error_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *e = make(kind, NOWHERE, NULL, format, args);
    va_end(args);
    return e;
}

// What can be done about it whatever was being done; NULL where that depends.
static const char *system_fix(int err)
{
    switch (err) {
    case ENOSPC:
    case EDQUOT:
        return "free space on that disk, then run it again";
    case EFBIG:
        return "raise the limit for the size of files (`ulimit -f`), then run it again";
    case EROFS:
        return "that file system is read-only: choose another folder, or mount it for writing";
    case EACCES:
    case EPERM:
        return "look at who may write there, or choose another folder";
    case EIO:
        return "the disk or its connection fails: see `dmesg`, move the folder to another disk, then run it again";
    case ESTALE:
        return "mount that file system again, then run it again";
    case EMFILE:
    case ENFILE:
        return "raise the limit for open files (`ulimit -n`)";
    default:
        return NULL;
    }
}

struct error *error_system(enum error_kind kind, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    if (!text)
        return &no_memory;
    struct error *e = error_new(kind, NOWHERE, system_fix(err), "%s: %s", text, strerror(err));
    block_free(text);
    return e;
}

struct error *error_memory(void)
{
    return &no_memory;
}

struct error *error_stopped(void)
{
    return error_new(ERROR_STOPPED, NOWHERE, "run it again to go on", "stopped; everything is saved");
}

struct error *error_while(struct error *e, struct place at, const char *format, ...)
{
    for (struct error *each = e; each; each = each->next) {
        if (each == &no_memory)
            continue;
        va_list args;
        va_start(args, format);
        struct error *outer = make(each->kind, at, NULL, format, args);
        va_end(args);
        if (outer == &no_memory)
            continue;
        struct error **end = &each->while_;
        while (*end)
            end = &(*end)->while_;
        *end = outer;
    }
    return e;
}

// At the same place of a file, in the same words.
static bool is_told(const struct error *list, const struct error *e)
{
    for (; list; list = list->next)
        if (e->at.line && list->at.line == e->at.line && list->at.column == e->at.column && !strcmp(list->what, e->what) &&
            list->at.file && e->at.file && !strcmp(list->at.file, e->at.file))
            return true;
    return false;
}

// What of `more` the list does not tell yet.
static struct error *drop_told(const struct error *list, struct error *more)
{
    for (struct error **at = &more; *at;) {
        struct error *e = *at;
        if (!is_told(list, e)) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        e->next = NULL;
        error_free(e);
    }
    return more;
}

struct error *error_append(struct error *list, struct error *more)
{
    if (!list || list == &no_memory || !more || more == &no_memory) {
        // The static error cannot be linked: it takes the place of the whole report.
        struct error *kept = !list ? more : !more ? list : &no_memory;
        if (kept == &no_memory) {
            error_free(list);
            error_free(more);
        }
        return kept;
    }
    struct error *last = list;
    while (last->next)
        last = last->next;
    last->next = drop_told(list, more);
    return list;
}

struct error *error_first(struct error *first, struct error *second)
{
    if (!first)
        return second;
    error_free(second);
    return first;
}

int error_exit_status(const struct error *e)
{
    static const int status[ERROR_KIND_COUNT] = {
        [ERROR_RECIPE] = 2,   [ERROR_USAGE] = 2, [ERROR_MACHINE] = 3, [ERROR_NOT_BUILT] = 4,
        [ERROR_STOPPED] = 75, [ERROR_DATA] = 1,  [ERROR_FAILED] = 1};
    // A report of several errors: what the user must mend first decides.
    static const int gravity[ERROR_KIND_COUNT] = {
        [ERROR_RECIPE] = 6,  [ERROR_USAGE] = 6, [ERROR_MACHINE] = 4, [ERROR_NOT_BUILT] = 5,
        [ERROR_STOPPED] = 1, [ERROR_DATA] = 3,  [ERROR_FAILED] = 3};
    const struct error *worst = e;
    for (const struct error *each = e; each; each = each->next)
        if (gravity[each->kind] > gravity[worst->kind])
            worst = each;
    return worst ? status[worst->kind] : 0;
}

const char *error_kind_name(enum error_kind kind)
{
    static const char *const names[ERROR_KIND_COUNT] = {
        [ERROR_RECIPE] = "recipe",   [ERROR_USAGE] = "usage", [ERROR_MACHINE] = "machine", [ERROR_NOT_BUILT] = "not_built",
        [ERROR_STOPPED] = "stopped", [ERROR_DATA] = "data",   [ERROR_FAILED] = "failed"};
    return names[kind];
}

struct error *error_from_fault(struct fault fault)
{
    switch (fault.kind) {
    case FAULT_NONE:
        return NULL;
    case FAULT_MEMORY:
        return error_new(ERROR_MACHINE, NOWHERE, "lower device_batch, or take a smaller model", "%s: %s", fault.op, fault.what);
    case FAULT_NOT_BUILT:
        return error_plain(ERROR_NOT_BUILT, "%s: %s", fault.op, fault.what);
    case FAULT_DEVICE:
    case FAULT_COMM:
        break;
    }
    return error_plain(ERROR_FAILED, "%s: %s", fault.op, fault.what);
}

void error_free(struct error *e)
{
    while (e && e != &no_memory) {
        struct error *next = e->next;
        error_free(e->while_);
        block_free((char *)e->at.file);
        block_free(e->what);
        block_free(e->fix);
        block_free(e);
        e = next;
    }
}
