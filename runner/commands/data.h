// data.h - what `retort data` is about, for the two files that make it: data.c decides and tells, data_fetch.c fetches.
#ifndef RUNNER_COMMANDS_DATA_H
#define RUNNER_COMMANDS_DATA_H

#include "core/data/fetch.h"
#include "runner/commands/command.h"
#include "runner/graph/downloads.h"
#include "runner/view/fetching.h"

struct data_call {
    struct call *call;
    const struct recipe *recipe;
    struct pins pins;
    struct identities *ids;
    struct downloads list;
    struct fetch_file *files; // those to fetch
    struct download **of;     // of each the file of the list
    int n;
    bool pins_changed;
    const char *folder; // RESULTS/data
    struct fetching_view view;
};

// Trust, tokens and patience, as the environment says; --jobs.
struct error *CHECKED data_setting(const struct data_call *d, struct fetch_setting *setting);

// Picks the missing files that have an address.
struct error *CHECKED data_choose(struct data_call *d);

// Whether they fit on the disk, as far as their sizes are known, and what they are can be written down.
struct error *CHECKED data_check_disk(const struct data_call *d);

// Fetches; what becomes of each is in files. Errors: what ended it before its time.
struct error *CHECKED data_fetch(struct data_call *d, const struct fetch_setting *setting);

#endif
