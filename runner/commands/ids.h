// ids.h - token ids and the pieces of text that they stand for, as people write and read them.
#ifndef RUNNER_COMMANDS_IDS_H
#define RUNNER_COMMANDS_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_DIGITS = 10, ID_TEXT = 100 };

// Whether a character stands between ids: a blank, the end of a line, a comma.
bool id_ends(char c);

// A word of n > 0 bytes as an id below n_vocab; false: `what` says what is wrong with it.
bool id_read(const char *word, size_t n, int32_t n_vocab, int32_t *id, char what[ID_TEXT]);

// Whether a character would move the cursor, change colours or the direction of writing.
bool piece_is_control(uint32_t code);

// A piece in quotes and the end of the line, everything in it that cannot be seen written as \n or \xE4, cut at the width of a line.
void piece_print(const uint8_t *piece, size_t n);

#endif
