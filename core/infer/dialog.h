// dialog.h - a conversation with a model: what the user says goes in, the answer comes out as text while it is made.
//
//     e = dialog_open(&d, &engine, settings);
//     e = dialog_say(&d, "What is 7 plus 5?", 17, write, self);      // write is called with pieces of whole characters
//     dialog_clear(&d);                                              // forgets what was said
//     dialog_close(&d);
//
// Text       a piece never cuts a character of UTF-8; bytes that are none become U+FFFD. A calculator call is written as [7+5=12]: the
//            expression, and what was forced into the answer
// Memory     where the conversation and a new answer no longer fit into the engine's capacity the oldest question and answer are
//            forgotten, as often as need be; d.n_forgotten counts them. A question longer than all of it is ERROR_USAGE, and as if
//            it had not been asked
// Stop       stop_requested() ends the answer; what was said so far stays in the conversation, closed by assistant_end. dialog_say then
//            returns NULL with d.stopped set; who asked clears the flag
// Randomness answer n of a conversation draws from stream n of the settings' seed: the same seed and questions give the same answers
// Source     nanochat 2025-10-13, chat_cli
#ifndef CORE_INFER_DIALOG_H
#define CORE_INFER_DIALOG_H

#include "core/infer/engine.h"

struct dialog_settings {
    struct sampling sampling;
    int max_tokens; // of an answer
    uint64_t seed;
};

struct dialog {
    struct engine *engine;
    struct dialog_settings settings;
    struct ids history; // owned; bos first
    struct ids turns;   // owned: where in history each question begins
    uint64_t n_answers;
    int n_forgotten, n_tokens; // n_tokens: of the last answer
    bool stopped;
};

struct error *CHECKED dialog_open(struct dialog *dialog, struct engine *engine, struct dialog_settings settings);
struct error *CHECKED dialog_say(struct dialog *dialog, const char *text, size_t n,
                                 struct error *(*write)(void *self, const char *piece, size_t n), void *self);
void dialog_clear(struct dialog *dialog);
void dialog_close(struct dialog *dialog);

#endif
