// split.c - one function a branch of the pattern, tried in the order of the pattern.
//
// Each branch is decided by the classes of at most two characters and then takes a run of one class, so no branch ever goes back,
// except over the spaces of branches 5 to 7: there one scan of the run finds both candidates for its end. A run of spaces is
// scanned at most three times in all: up to its last line end, then without its last character, then that character.
//
// Two of three pieces of a text are ASCII letters with or without one character before them. They are found by arithmetic on
// eight bytes at a time, so that no branch of the processor depends on how long a word is.
#include "core/text/split.h"

#include "core/text/unicode.h"
#include "core/text/utf8.h"

#include <stdbool.h>
#include <string.h>

const char SPLIT_PATTERN[] = "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,2}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*"
                             "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";

enum { O = UNICODE_OTHER, L = UNICODE_LETTER, N = UNICODE_NUMBER, S = UNICODE_SPACE, E = UNICODE_LINE_END };

// Most text is ASCII: its classes without the walk through the big table.
static const uint8_t ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, E, S, S, E, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, //
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O, //
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, //
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, //
};

static size_t char_end(const uint8_t *text, size_t n, size_t at)
{
    uint32_t code;
    return text[at] < 0x80 ? at + 1 : at + utf8_next(text + at, n - at, &code);
}

// The class of the character at `at` < n; *end is where the next one starts.
static inline unsigned class_at(const uint8_t *text, size_t n, size_t at, size_t *end)
{
    uint32_t code;
    if (text[at] < 0x80) {
        *end = at + 1;
        return ascii_class[text[at]];
    }
    *end = at + utf8_next(text + at, n - at, &code);
    return unicode_class_of(code);
}

static inline bool is_class(const uint8_t *text, size_t n, size_t at, unsigned wanted)
{
    size_t end;
    return at < n && class_at(text, n, at, &end) == wanted;
}

// The end of the run of one class from at on.
static inline size_t run_end(const uint8_t *text, size_t n, size_t at, unsigned wanted)
{
    size_t end;
    while (at < n && class_at(text, n, at, &end) == wanted)
        at = end;
    return at;
}

static const uint64_t EACH = 0x0101010101010101u, TOPS = 0x8080808080808080u;

// The top bit of each of eight bytes: whether it is an ASCII letter. No sum leaves its byte: all terms have seven bits.
static inline uint64_t ascii_letters(uint64_t eight)
{
    uint64_t low = (eight | 0x20 * EACH) & ~TOPS; // lower case
    uint64_t from_a = low + (0x80 - 'a') * EACH, above_z = low + (0x7F - 'z') * EACH;
    return from_a & ~above_z & ~eight & TOPS;
}

// The end of the run of letters from at on.
static size_t letters_end(const uint8_t *text, size_t n, size_t at)
{
    for (; n - at >= 8; at += 8) {
        uint64_t eight;
        memcpy(&eight, text + at, 8);
        uint64_t ends = ascii_letters(eight) ^ TOPS;
        if (ends) { // byte i of the text is bits 8i .. 8i+7: the machines we run on are little-endian
            at += (size_t)__builtin_ctzll(ends) / 8;
            if (text[at] < 0x80)
                return at;
            break;
        }
    }
    return run_end(text, n, at, L);
}

// Branch 1 behind the apostrophe at `at`: the end, or 0 where there is no such ending.
static size_t contraction_end(const uint8_t *text, size_t n, size_t at)
{
    if (n - at < 2)
        return 0;
    unsigned a = text[at + 1] | 0x20, b = n - at > 2 ? text[at + 2] | 0x20 : 0;
    if (a == 's' || a == 'd' || a == 'm' || a == 't')
        return at + 2;
    if ((a == 'l' && b == 'l') || (a == 'v' && b == 'e') || (a == 'r' && b == 'e'))
        return at + 3;
    return n - at > 2 && text[at + 1] == 0xC5 && text[at + 2] == 0xBF ? at + 3 : 0; // U+017F
}

// Branches 5 to 7: the run of spaces and line ends that starts at `at`.
static size_t spaces_end(const uint8_t *text, size_t n, size_t at)
{
    size_t i = at, last = at, line_end = 0, end;
    while (i < n) {
        unsigned class = class_at(text, n, i, &end);
        if (class != S && class != E)
            break;
        if (class == E)
            line_end = end;
        last = i;
        i = end;
    }
    if (line_end)
        return line_end;
    return i < n && last > at ? last : i;
}

// All branches, for any text.
static size_t piece_end(const uint8_t *text, size_t n, size_t at)
{
    size_t end;
    unsigned class = class_at(text, n, at, &end);
    if (text[at] == '\'') {
        size_t ending = contraction_end(text, n, at);
        if (ending)
            return ending;
    }
    if (class == L)
        return letters_end(text, n, end);
    if (class == N)
        return is_class(text, n, end, N) ? char_end(text, n, end) : end;
    if (class != E) {
        size_t second = end;
        unsigned next = end < n ? class_at(text, n, end, &second) : E;
        if (next == L)
            return letters_end(text, n, second);
        if (class == O || (text[at] == ' ' && next == O))
            return run_end(text, n, run_end(text, n, end, O), E);
    }
    return spaces_end(text, n, at);
}

size_t split_next(const uint8_t *text, size_t n, size_t at)
{
    if (n - at >= 8 && text[at] < 0x80 && text[at] != '\'') {
        unsigned class = ascii_class[text[at]];
        uint64_t eight;
        memcpy(&eight, text + at, 8);
        uint64_t letters = ascii_letters(eight);
        if ((letters & 0x8080) && class != N && class != E) { // the first is a letter, or may stand before the second
            uint64_t ends = (letters | 0x80) ^ TOPS;
            size_t end = at + (ends ? (size_t)__builtin_ctzll(ends) / 8 : 8);
            return ends && text[end] < 0x80 ? end : letters_end(text, n, end);
        }
    }
    return piece_end(text, n, at);
}

// No branch goes on from a letter to a space, and what a branch takes before a letter does not depend on what is behind the letter, but
// for letters.
size_t split_border(const uint8_t *text, size_t n, size_t from)
{
    for (size_t at = from; at < n; at++)
        if (text[at] == ' ' && text[at - 1] < 0x80 && ascii_class[text[at - 1]] == L)
            return at;
    return n;
}
