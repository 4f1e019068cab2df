// split.h - cuts text into the pieces that byte-pair merges never cross.
//
//     for (size_t at = 0, end; at < n; at = end) {
//         end = split_next(text, n, at);
//         ... the piece is text[at .. end-1], never empty ...
//     }
//
// A matcher written by hand for one pattern, SPLIT_PATTERN. Its branches, of which the first that matches wins:
//     1  apostrophe and one of s d m t ll ve re, in either case (U+017F, the long s, is an s too)
//     2  letters, with one character before them that is neither letter, number nor line end
//     3  one or two numbers
//     4  characters that are neither space, letter nor number, with one U+0020 before and all line ends after
//     5  spaces up to the last line end of their run
//     6  a run of spaces at the end of the text; before other text, the run without its last character
//     7  what spaces are left
// Every character matches a branch, so the pieces laid end to end are the text. An ill-formed part of UTF-8 (utf8.h) is a
// character of class other; its bytes are kept.
//
// Cost    linear: no character is looked at more than about three times however the text looks; no memory
// Errors  none
// Source  the pattern of the reference (nanochat, 2025-10-13); tests/parity/test_text.py compares with tiktoken's engine
#ifndef CORE_TEXT_SPLIT_H
#define CORE_TEXT_SPLIT_H

#include <stddef.h>
#include <stdint.h>

// The pattern in the syntax of the peers: what exports and the tokenizer's file say.
extern const char SPLIT_PATTERN[];

// The end of the piece that starts at byte at < n; at is 0 or what an earlier call on the same text returned.
size_t split_next(const uint8_t *text, size_t n, size_t at);

// The first place in from .. n-1 (0 < from) where a piece ends whatever stands before and behind, or n: the text cut there has the
// same pieces. It is the next space behind an ASCII letter.
size_t split_border(const uint8_t *text, size_t n, size_t from);

#endif
