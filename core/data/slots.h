// slots.h - a text with named places in it, such as a prompt with {question}: filled in with what a row has.
//
//     const struct slot slots[] = {{"{question}", question, n_question}};
//     size_t n = slots_fill("Q: {question}", slots, 1, NULL);       // how long; then again, to write
//
// Data is only ever copied: slots are looked for in the template, never in what is put in.
#ifndef CORE_DATA_SLOTS_H
#define CORE_DATA_SLOTS_H

#include <stddef.h>

struct slot {
    const char *name; // "{question}"
    const char *text; // n bytes; may be NULL where n is 0
    size_t n;
};

// The length of the template with its slots filled; writes it, without a zero behind it, where out is not NULL.
size_t slots_fill(const char *template, const struct slot *slots, int n_slots, char *out);

#endif
