// language.h - the words of the recipe language that are no fields of a stage, for help and schema: what a recipe has at its top, what a
// source is written with, and an entry of a mixture. Fields of stages stand in the table of fields (recipe/fields.h).
#ifndef RUNNER_COMMANDS_LANGUAGE_H
#define RUNNER_COMMANDS_LANGUAGE_H

#include "runner/recipe/fields.h"

#include <stdbool.h>

struct word {
    const char *name;
    const char *takes; // "a whole number", "a map of names"
    const char *def;   // NULL: none
    const char *help;  // some sentences
    bool unbuilt;      // a word of the language without code behind it
};

extern const struct word top_word_help[]; // in the order in which a recipe is written; every top-level word stands here
extern const int n_top_word_help;
extern const struct word source_words[];
extern const int n_source_words;
extern const struct word mixture_words[];
extern const int n_mixture_words;

const struct word *word_find(const struct word *words, int n, const char *name); // NULL: not there

// "whole number, 265 to 16777216 tokens", "f32 or bf16", "stage: tokenizer or import", "yes": what a field takes, in few words; in the arena,
// NULL when memory runs out.
const char *field_takes(const struct field *field, struct arena *arena);

// Whether a field has one default, or none, whatever nanochat: says.
bool field_years_agree(const struct field *field);

// Its default: "65536; 2026: 32768", "required", "mid 524288, sft -", "" where there is none; in the arena.
const char *field_default(const struct field *field, struct arena *arena);

#endif
