// reader.h - what the files that read a recipe share: the tree, the recipe that grows from it, and the errors found so far.
//
// Order: settings_apply (-s into the tree), values_resolve (let, env, data), sources_read, stages_read, references_check. Each reports
// what it finds with reader_error and goes on, so that one reading shows all errors. For recipe.c and its parts only.
#ifndef RUNNER_RECIPE_READER_H
#define RUNNER_RECIPE_READER_H

#include "runner/recipe/recipe.h"
#include "runner/recipe/yaml.h"

struct reader {
    struct recipe *recipe;
    struct arena *arena;
    struct node *root; // a map

    struct error *errors, **errors_end;
    int n_errors;
    int n_told; // of them, of the YAML reader: a place that it named gets no second error
    bool no_memory, dropped_recipe_error;

    const struct node *seed;         // top-level seed, or NULL
    const struct node **stage_nodes; // of recipe->stages: their maps
    int n_files;                     // of all sources
    size_t file_bytes;               // of their names
};

enum {
    MOST_ERRORS = 100,
    MOST_FILES = 100000,
    MOST_STAGES = 4000,
    MOST_SOURCES = 4000,
    MOST_LETS = 1000,
    MOST_FILE_BYTES = 64 << 20
};

extern const char *const top_words[];
extern const int n_top_words;

// Takes an error, or a list of them, or NULL.
void reader_error(struct reader *r, struct error *e);

// Nothing more will be kept: costly explanations can stop.
bool reader_full(const struct reader *r);

// An allocation checked: notes NULL as out of memory and returns p.
void *reader_have(struct reader *r, void *p);

// The name most like word, or NULL if none is near: swapped, missing, extra and wrong letters count one each.
const char *nearest_name(const char *word, const char *const *names, int n_names);

// "unknown key 'epcohs'; did you mean 'epochs'?" of a list; without a near one the fix lists the names.
struct error *unknown_word(struct place at, const char *what, const char *word, const char *const *names, int n_names);

// Reports the keys of a map that are not among names.
void check_keys(struct reader *r, const struct node *map, const char *const *names, int n_names);

// Whether a scalar's ${...} could not be resolved, which has been reported.
bool is_unresolved(const struct node *node);

// The text of a scalar that is not empty, else NULL, reported; name is what is read.
const char *scalar_text(struct reader *r, const struct node *node, const char *name);

// The by of a node: BY_RECIPE where the file wrote it.
enum value_by node_by(const struct node *node);

// A file name as the program opens it: relative ones are put behind the folder that the node's are relative to. NULL: reported.
const char *node_file(struct reader *r, const struct node *node, const char *text);

bool is_top_word(const char *word);

void settings_apply(struct reader *r, const char *const *settings, int n_settings);
void values_resolve(struct reader *r);
void sources_read(struct reader *r, const struct node *sources);
void stages_read(struct reader *r, const struct node *stages);
void references_check(struct reader *r);

#endif
