// mirror_spare.h - may a file of a mirror (mirror.h) be replaced or removed, or did a newer retort write it?
//
//     e = mirror_spare(remote, "store/pretrain-3f9a.h5", n_bytes, "results", &watch);        // NULL: it may
//
// Looked at  the file itself: in a folder where it lies; from elsewhere it is brought here whole for that, into a temporary file of the
//            results folder. So one asks once, and of what another process put there
// Errors     ERROR_NOT_BUILT for a file of a newer format; ERROR_MACHINE where there is no room for it here, and those of the mirror
//            (remote.h)
#ifndef RUNNER_GRAPH_MIRROR_SPARE_H
#define RUNNER_GRAPH_MIRROR_SPARE_H

#include "core/remote/remote.h"

// n: its bytes, as the mirror lists them.
struct error *CHECKED mirror_spare(struct remote *remote, const char *name, int64_t n, const char *results,
                                   const struct remote_watch *watch);

// What an error says of an open file, without the name that stands for it: "is damaged: ..."; borrowed from the error. name: as it was
// opened, "/proc/self/fd/7".
const char *mirror_said(const struct error *e, const char *name);

#endif
