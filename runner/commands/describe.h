// describe.h - the language as a person reads it: kinds, fields and other words, at most 80 columns wide.
#ifndef RUNNER_COMMANDS_DESCRIBE_H
#define RUNNER_COMMANDS_DESCRIBE_H

#include "runner/commands/command.h"
#include "runner/commands/language.h"

enum { DESCRIBE_WIDTH = 80 };

// A kind's name, and what stages of it do.
void describe_title(enum stage_kind_id kind);

// To teach: the fields of a kind by what they mean for keys, with defaults and help.
struct error *CHECKED describe_kind(enum stage_kind_id kind, struct arena *arena);

// To look up: a line a field, with what it takes, its default and its class.
struct error *CHECKED describe_fields(enum stage_kind_id kind, struct arena *arena);

// Everything about the fields of that name, of one kind or, with KIND_COUNT, of all.
struct error *CHECKED describe_field(enum stage_kind_id kind, const char *name, struct arena *arena);

// A word that is no field; where says what it is a word of: "the top of a recipe".
void describe_word(const struct word *word, const char *where);

// A table of words.
struct error *CHECKED describe_words(const struct word *words, int n, struct arena *arena);

// Objects and lists of the same for --json.
void kind_to_json(struct json *j, enum stage_kind_id kind);
void fields_to_json(struct json *j, const char *name, enum stage_kind_id kind,
                    struct arena *arena); // a list; name NULL: all of the kind
void words_to_json(struct json *j, const struct word *words, int n);

#endif
