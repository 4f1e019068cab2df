// live.h - the append-only lines by which a running stage tells the world where it is.
//
// One JSON object a line, at most one progress line per 0.2 s; never the only copy of anything. A resume starts a new file.
//   {"t":unix,"e":"start|resumed|step|val|saved|sample|note|done|failed|stopped","step":,"of":,"loss":,"bpb":,"tok_s":,"mfu":,"eta_s":,
//    "usd":,"redo_s":,"usd_per_hour":,"unit":,"text":,"warning":}
// warning holds until the next "saved": a checkpoint that could not be written, say; the stage goes on. The text of a note is its line's
// alone: it says nothing of where the stage is. Unknown keys and a cut last line are ignored by the reader.
#ifndef RUNNER_STAGES_LIVE_H
#define RUNNER_STAGES_LIVE_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct live_line {
    double t;         // filled in by live_write when 0
    const char *e;    // the event
    int64_t step, of; // -1: absent. What is counted stands in unit: "steps", "documents", "merges", "characters"
    const char *unit;
    double loss, bpb, tok_s, mfu, eta_s, usd, redo_s, usd_per_hour; // NaN: absent; usd: spent so far
    const char *text, *warning;
};

// A line with everything absent but the event.
struct live_line live_line(const char *e);

struct live;

struct error *CHECKED live_open(struct live **live, const char *path, struct arena *arena); // truncates
// "step" lines within 0.2 s of the last one are dropped, but for the last step; failures are ignored.
void live_write(struct live *live, struct live_line line);
void live_close(struct live *live);

// Reads the last state: the merged newest values of all lines so far (loss from the last line that had one ...), and the last
// event. A missing file gives e = NULL. Text lives in the arena.
struct error *CHECKED live_read(const char *path, struct live_line *last, struct arena *arena);

#endif
