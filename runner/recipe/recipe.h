// recipe.h - a recipe, read, checked and resolved: what the rest of the runner works on.
//
//     struct recipe r;
//     e = recipe_read(&r, "recipes/tiny.yaml", settings, n_settings, &arena);   // all errors of the recipe in one list
//
// The language is documented in recipes/README.md. What this version does not have is an ERROR_NOT_BUILT with its place.
//
// Ownership  everything lives in the arena
#ifndef RUNNER_RECIPE_RECIPE_H
#define RUNNER_RECIPE_RECIPE_H

#include "core/data/documents.h"
#include "core/data/world.h"
#include "runner/recipe/options.h"

enum value_by { BY_NOBODY, BY_DEFAULT, BY_PRESET, BY_INCLUDE, BY_RECIPE, BY_LET, BY_MATRIX, BY_SETTING, BY_COUNT };

const char *value_by_name(enum value_by by); // "default", "recipe", "-s", ...; NULL: nobody

// Who set a field of a stage and where; the value itself stands in the options struct.
struct setting {
    const struct field *field;
    enum value_by by;
    enum value_by layer; // where it is written, be it a ${x}: of BY_LET and BY_MATRIX BY_INCLUDE, BY_RECIPE or BY_SETTING
    struct place at;
};

// A value outside stages, as it was written, with ${...} replaced: "sources.web.validate", "let.width", "seed".
struct recipe_value {
    const char *name, *text;
    enum value_by by;
    struct place at;
};

// A variable of the environment that the recipe asked for: recorded with the run.
struct recipe_env {
    const char *name, *value;
};

struct mix_part {
    const char *source;
    double share; // of the tokens
    struct place at;
};

struct source {
    const char *name; // of another recipe: other.yaml:NAME
    struct place at;
    int64_t seed; // of its recipe: what a world is made by
    struct mix_part *mix;
    int n_mix;                // above 0: it is a mix, which has no form and no files
    const char *mix_validate; // of a mix: the source whose validation text it takes, or NULL
    enum document_form form;
    const char *column;  // parquet column or JSON field; NULL for a source of tasks ({split} in its files)
    const char *pattern; // as written, after interpolation; of tasks with {split}
    const char **files;  // as the program opens them, in order; for a world the world file alone
    int n_files;
    int64_t documents;   // of a world
    int64_t skip_bad;    // of JSON lines: malformed lines of a file that are left out; 0: none
    struct world *world; // compiled; of a world
    enum { VALIDATE_NONE, VALIDATE_LAST, VALIDATE_FILE, VALIDATE_HELD_OUT, VALIDATE_SOURCE } validate;
    const char *validate_file; // of VALIDATE_FILE
    struct place validate_at;
};

struct recipe_stage {
    const char *name; // of a matrix: NAME@depth=4; of another recipe: other.yaml:NAME
    enum stage_kind_id kind;
    struct place at;          // of the name
    void *options;            // the kind's struct of options.h
    struct setting *settings; // n_settings: one a field of the kind, in the table's order
    int n_settings;
};

struct recipe {
    struct arena *arena;
    const char *path, *name;
    const char *text; // the recipe file as it was read, with the included files behind it
    size_t own_bytes; // of text: the recipe file itself
    int64_t nanochat, seed;
    double budget_usd;  // NaN: none
    const char *device; // hardware: NULL: this machine
    struct place device_at;
    int64_t device_count;
    double usd_per_hour;          // NaN: unknown
    const char *data;             // base address as written, or NULL
    const char *mirror;           // a folder as the program opens it, or an address (core/remote), or NULL
    const char *on_end, *on_fail; // commands for sh, or NULL
    struct source *sources;
    int n_sources;
    struct recipe_stage *stages; // its own, and behind them what they need of other recipes
    int n_stages;
    struct task_file **tasks; // that mixtures and suites name, each once
    int n_tasks;
    const struct suite_file **suites; // that `suites` name, each once
    int n_suites;
    const struct recipe_value *values;
    int n_values;
    const struct recipe_env *env;
    int n_env;
};

// The shape of a pretraining stands in its six fields: those that depth led to are BY_DEFAULT. Exactly one of steps, tokens, flops,
// ratio is set. No source or world file but the world files of world sources is opened.
//
// Errors     all of the recipe in one list, in order of place; at most 100. An error in a -s has its text for a file, without a line
//
// settings: the texts of -s, "base.steps=10", "seed=7", "data=../shared/data".
struct error *CHECKED recipe_read(struct recipe *recipe, const char *path, const char *const *settings, int n_settings,
                                  struct arena *arena);

// The same from memory; path stands for the file in places, and relative files are relative to its folder.
struct error *CHECKED recipe_parse(struct recipe *recipe, const char *path, const char *text, size_t n_bytes,
                                   const char *const *settings, int n_settings, struct arena *arena);

const struct source *recipe_source(const struct recipe *recipe, const char *name);

// What a source is made of in the end: itself, or, of a mix, each source of text that it and the mixes in it name, in the order of
// first mention, with its share of the whole. In the arena.
struct source_share {
    const struct source *source;
    double share;
    struct place at; // where it is named
};
struct error *CHECKED source_shares(const struct recipe *recipe, const struct source *source, struct arena *arena,
                                    struct source_share **shares, int *n);

// The source that the validation text of a source stands in: itself, or, of a mix that names one, that one. A mix with a file is its own.
const struct source *source_validation(const struct recipe *recipe, const struct source *source);

const struct recipe_stage *recipe_stage(const struct recipe *recipe, const char *name);
const struct setting *stage_setting(const struct recipe_stage *stage, const char *field);

#endif
