// program.h - the Python program that tells whether a function that a model wrote is right, as text.
//
//     e = program_tests(&tests, prompt, texts, n_texts, entry_point);     // of a task's row: what is kept to grade by
//     e = program_whole(&program, tests_text, answer);                    // of an answer: what is run (core/sandbox)
//
// Tests     the imports of the prompt, an empty line, the texts of the tests, each beginning a line, and a line "check(ENTRY_POINT)"
//           where there is an entry point. Where the imports end, at the first empty line, stands what is to be tested
// Imports   lines that begin with "import " or "from ", blanks at both ends aside, up to the first line that is neither one of them
//           nor empty nor a comment
// Code      of an answer: what stands in its first block, ``` or ```python alone on a line (blanks may follow) up to a line that
//           begins with ```; without one the whole answer. Blanks and empty lines at both ends are dropped
// Blanks    those of Python's str.strip. Texts are UTF-8; an ill-formed part is no blank
// Errors    memory only; out is then as it was, or cut
// Source    nanochat 2025-10-13, HumanEval
#ifndef CORE_DATA_PROGRAM_H
#define CORE_DATA_PROGRAM_H

#include "core/text/buffer.h"

struct program_text {
    const char *text; // n bytes
    size_t n;
};

// Appends the tests of a row. entry_point {NULL}: the tests call what they test themselves.
struct error *CHECKED program_tests(struct bytes *out, struct program_text prompt, const struct program_text *tests, int n_tests,
                                    struct program_text entry_point);

// The code of an answer: a part of it, which it borrows.
struct program_text program_code(struct program_text answer);

// Appends the whole program.
struct error *CHECKED program_whole(struct bytes *out, struct program_text tests, struct program_text answer);

#endif
