// mirror_note.h - NAME.sha256 beside a file of a mirror (mirror.h): its SHA-256, as sha256sum reads it, and for a record whose it is.
//
//     # run 0003 of HOST since TIME, ID
//     2c26b46b…  0003.h5
//
// Owner   two machines that number their runs by themselves are told apart by the first line, which records alone have; ID is that of the
//         record, which those of earlier versions have none of: then the second must do
// Errors  those of the mirror; a note that is not there is none
#ifndef RUNNER_GRAPH_MIRROR_NOTE_H
#define RUNNER_GRAPH_MIRROR_NOTE_H

#include "core/remote/remote.h"

#include <stdbool.h>

enum { MIRROR_NOTE = 4096, MIRROR_NOTE_DIGITS = 32 };

// The first line of the note of a record here; in the arena, NULL where it cannot be read.
const char *mirror_note_owner(const char *record, struct arena *arena);

// Of the file `name` there; "" where it has none.
struct error *CHECKED mirror_note_read(struct remote *remote, const char *name, char note[MIRROR_NOTE]);

// owner: NULL: none.
struct error *CHECKED mirror_note_write(struct remote *remote, const char *name, const char *owner, const char *sha256);

// The 64 digits in a note, with more behind them; NULL: it has none.
const char *mirror_note_sha256(const char *note);

// Whether a note is of another machine's record than the owner's; then digits are the owner's id, or of the time when it began.
bool mirror_note_is_anothers(const char *note, const char *owner, char digits[MIRROR_NOTE_DIGITS]);

#endif
