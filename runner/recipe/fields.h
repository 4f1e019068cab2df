// fields.h - the two tables of the language: every kind of stage, and every field of it, described once (fields_table.c).
//
// The reader, check, plan, why, schema, help and the job files of stage processes all work from this table, so nothing can drift.
// A kind's values land in a plain struct (options.h) at the field's offset.
//
// Types      FIELD_INT int64_t; FIELD_REAL double; FIELD_BOOL bool; FIELD_CHOICE, FIELD_TEXT, FIELD_FILE const char *;
//            FIELD_STAGE, FIELD_SOURCE const char * (the name as written); FIELD_INTS, FIELD_NAMES, FIELD_STAGES: struct field_list;
//            FIELD_DURATION double seconds; FIELD_MIXTURE struct mixture_uses (options.h). In each struct an unset optional number
//            is FIELD_UNSET_INT or NaN, an unset text NULL
// Choices    "f32|bf16!": a choice that ends in '!' is a word of the language without code behind it; "bpb|core!|*": any other fits too
// Class      FIELD_RESULT fields are in the key; FIELD_SPEED and FIELD_DISPLAY never are
// Years      def_2025 and def_2026 are the rows of defaults that `nanochat:` picks; def_mid and def_sft lie over that of 2025, and
//            what 2026 fine-tunes by is its one row. A default that is missing from a row follows from other fields, or from nothing
// Keys       a RESULT field is left out of the payload when it is unset; a field that was added later also where it has the value that all
//            had before it was there (left_out), so that keys stay what they were
#ifndef RUNNER_RECIPE_FIELDS_H
#define RUNNER_RECIPE_FIELDS_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stage_kind_id {
    KIND_TOKENIZER,
    KIND_TOKENS, // the token stage that nobody writes; not a word of the language
    KIND_ROWS,   // the plan of rows that nobody writes either
    KIND_PRETRAIN,
    KIND_FINETUNE,
    KIND_GRPO,
    KIND_EVAL,
    KIND_IMPORT,
    KIND_COUNT
};

enum field_type {
    FIELD_INT,
    FIELD_REAL,
    FIELD_BOOL,
    FIELD_CHOICE,
    FIELD_TEXT,
    FIELD_FILE,
    FIELD_DURATION,
    FIELD_STAGE,
    FIELD_SOURCE,
    FIELD_INTS,
    FIELD_NAMES,  // of suites, samples, ...
    FIELD_STAGES, // one or several stages (`each`)
    FIELD_MIXTURE,
    FIELD_TYPE_COUNT
};

enum field_class { FIELD_RESULT, FIELD_SPEED, FIELD_DISPLAY };

#define FIELD_UNSET_INT INT64_MIN

#define FIELD_NO_MAX 9e18

struct field_list {
    int n;
    const int64_t *ints;      // FIELD_INTS
    const char *const *names; // FIELD_NAMES, FIELD_STAGES
};

struct field {
    const char *name;
    enum field_type type;
    enum field_class class;
    uint32_t kinds;             // bit 1 << enum stage_kind_id
    bool required, each, exact; // exact: k M B T suffixes are refused
    bool built;                 // code stands behind it; else setting it ends with status 4
    double min, max;            // of numbers; both 0: no bounds; max FIELD_NO_MAX: none above
    const char *choices;        // "f32|bf16!", or for FIELD_STAGE and FIELD_STAGES the kinds that fit: "tokenizer|import"
    const char *unit;           // "tokens", "s", "usd"
    const char *def_2025, *def_2026, *def_mid, *def_sft; // recipe text, or NULL
    const char *left_out;                                // the value, as recipe text, that is left out of the payload; or NULL
    size_t offset;                                       // in the struct of options.h
    const char *help;                                    // one line
};

struct stage_kind {
    const char *name, *help;
    bool built;           // code stands behind it
    int version;          // raised when a change of code changes results: it is in the key
    size_t options_bytes; // of its struct in options.h
};

extern const struct stage_kind stage_kinds[KIND_COUNT];

// A kind has rows of its own in the table; a name such as seed can stand in several rows with different kinds.
extern const struct field fields[];
extern const int n_fields;

// The default of a field in the row of a year, or NULL.
const char *field_of_year(const struct field *field, int64_t year);

const char *kind_name(enum stage_kind_id kind);
const char *kind_help(enum stage_kind_id kind);
bool kind_built(enum stage_kind_id kind);
int kind_version(enum stage_kind_id kind);
size_t kind_options_bytes(enum stage_kind_id kind);

// NULL if the kind has no such field.
const struct field *field_find(enum stage_kind_id kind, const char *name);

// One value read from recipe text by the field's type and bounds ("64k" -> 64000) into the options struct; lists give the scalars
// of the list. Errors name the field, say what is allowed, and stand at `at`. Text is copied to the arena.
struct error *CHECKED field_set(void *options, const struct field *field, const char *const *texts, int n_texts, struct place at,
                                struct arena *arena);

// The kind of that name, or KIND_COUNT; kinds that nobody writes have no name in the language.
enum stage_kind_id kind_find(const char *name);

// The same of a name of n bytes, as results and records have it: of every kind.
enum stage_kind_id kind_named(const char *name, size_t n);

// Whether recipes can say it.
bool kind_is_word(enum stage_kind_id kind);
bool field_is_word(const struct field *field);

// Whether it makes updates of a model, step by step.
bool kind_trains(enum stage_kind_id kind);

// Whether a choice of "a|b!" lists the word; NULL choices list every word. *built is whether code stands behind it.
bool choice_find(const char *choices, const char *word, bool *built);

// "f32|bf16!" as people say it: "f32 or bf16".
const char *choices_text(const char *choices, struct arena *arena);

// A name of a stage, source or let: [a-z][a-z0-9_]*.
bool name_is_good(const char *name);

// What a stage can be called by: NAME, a cell of it NAME@depth=4, or either of another recipe, other.yaml:NAME; of a stage that trains
// also what it was at a step, each of these with @500 behind it.
bool reference_is_good(const char *text);

// The step behind a name, -1 where there is none; *length: of the name without it. "base@depth=4@500": 500, of "base@depth=4".
int64_t reference_step(const char *name, size_t *length);

// Marks all of a kind's fields unset.
void fields_unset(void *options, enum stage_kind_id kind);
bool field_is_set(const void *options, const struct field *field);

// Where the value of a field stands in a kind's options; NULL: the kind has no such field, or it is not set.
const void *field_value(enum stage_kind_id kind, const void *options, const char *name);

// The value as canonical recipe text ("65536", "2000000000", "0.2", "[1, 2]", "f32"), in the arena. A mixture is text for people, which
// field_set does not read back: "[smoltalk, mmlu.auxiliary_train, gsm8k x2, arc_easy 500 rows]".
const char *field_text(const void *options, const struct field *field, struct arena *arena);

#endif
