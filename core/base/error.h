// error.h - one type for what can go wrong, with its place, its reason, its remedy and what was being done.
//
// Every call that can fail returns struct error *; NULL is success.
//
//     if (epochs <= 0)
//         return error_new(ERROR_RECIPE, at, "set it above 0", "epochs of '%s' is %g", name, epochs);
//     if ((e = read_task(t)))
//         return error_while(e, t->at, "reading task '%s'", t->name);       // adds the outer context
//
// Wording    lower case, no full stop, the subject in quotes, the error first: cannot open 'x.h5': permission denied
// Ownership  an error owns all its memory (file names too); the caller of the failing call owns the error: error_free
// Memory     when memory runs out error_memory() is returned, a static object that error_free leaves alone
// Exit       error_exit_status gives the process's exit status for the gravest error of a report
#ifndef CORE_BASE_ERROR_H
#define CORE_BASE_ERROR_H

#include "core/base/arena.h"
#include "kernels/kernels.h"

enum error_kind {
    ERROR_RECIPE,    // the recipe is wrong                              exit 2
    ERROR_USAGE,     // the command line is wrong                        exit 2
    ERROR_MACHINE,   // the machine lacks something, or is busy          exit 3
    ERROR_NOT_BUILT, // asked for something this version does not have   exit 4
    ERROR_STOPPED,   // asked to stop; everything is saved               exit 75
    ERROR_DATA,      // an input file is damaged or not what it claims   exit 1
    ERROR_FAILED,    // anything else                                    exit 1
    ERROR_KIND_COUNT
};

// A place in a text file; line and column count from 1, 0 is unknown; width is in columns. file is NULL for no place.
struct place {
    const char *file;
    int line, column, width;
};

struct error {
    enum error_kind kind;
    struct place at;
    char *what;           // what happened
    char *fix;            // what to do about it, or NULL
    struct error *while_; // the outer context: what was being done, innermost first (kind and fix unused)
    struct error *next;   // the next error of the same report
};

struct error *error_new(enum error_kind kind, struct place at, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The same without place or remedy.
struct error *error_plain(enum error_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Appends ": " and the text of errno value err, with the remedy where there is one (a full disk, missing rights):
// error_system(ERROR_MACHINE, errno, "cannot open '%s'", path).
struct error *error_system(enum error_kind kind, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct error *error_memory(void);
struct error *error_stopped(void);

// Adds outer context to every error of the list e (NULL stays NULL); consumes and returns e.
struct error *error_while(struct error *e, struct place at, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Puts more behind list, but for what the list tells already of the same place of a file in the same words; either may be NULL.
// Consumes both, returns the list.
struct error *error_append(struct error *list, struct error *more);

// The first of two outcomes; the other is freed. For closing calls: e = error_first(e, close(f)).
struct error *error_first(struct error *first, struct error *second);

int error_exit_status(const struct error *e);
const char *error_kind_name(enum error_kind kind); // "recipe", "usage", "machine", "not_built", "stopped", "data", "failed"
void error_free(struct error *e);

// The one border between kernels and the rest: NULL for FAULT_NONE.
struct error *error_from_fault(struct fault fault);

#define NOWHERE ((struct place){0})

#endif
