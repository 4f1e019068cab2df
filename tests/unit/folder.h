// folder.h - a folder of its own for a test program, and an error that must be there.
#ifndef TESTS_UNIT_FOLDER_H
#define TESTS_UNIT_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/error.h"

// Makes the folder and goes there, so that tests name files by their bare names.
static inline int folder_enter(void **state)
{
    static char name[64];
    strcpy(name, "/tmp/retort-test-XXXXXX");
    *state = mkdtemp(name);
    return *state && !chdir(name) ? 0 : -1;
}

static inline int folder_leave(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    return chdir("/") || system(command);
}

static inline void assert_good(struct error *e)
{
    if (e)
        fail_msg("%s", e->what);
}

// Frees the error after holding its kind and a part of its text against what is expected.
static inline void assert_error(struct error *e, enum error_kind kind, const char *part)
{
    if (!e)
        fail_msg("no error where '%s' was expected", part);
    if (e->kind != kind || !strstr(e->what, part))
        fail_msg("%s error '%s' where '%s' was expected", error_kind_name(e->kind), e->what, part);
    error_free(e);
}

#endif
