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

enum value_by { BY_NOBODY, BY_DEFAULT, BY_PRESET, BY_INCLUDE, BY_RECIPE, BY_LET, BY_SETTING, BY_COUNT };

// Who set a field of a stage and where; the value itself stands in the options struct.
struct setting {
    const struct field *field;
    enum value_by by;
    struct place at;
};

// A variable of the environment that the recipe asked for: recorded with the run.
struct recipe_env {
    const char *name, *value;
};

struct source {
    const char *name;
    struct place at;
    enum document_form form;
    const char *column;  // parquet column or JSON field; NULL for a source of tasks ({split} in its files)
    const char *pattern; // as written, after interpolation
    const char **files;  // as the program opens them, in order; for a world the world file alone
    int n_files;
    int64_t documents;   // of a world
    struct world *world; // compiled; of a world
    enum { VALIDATE_NONE, VALIDATE_LAST, VALIDATE_FILE, VALIDATE_HELD_OUT } validate;
    const char *validate_file; // of VALIDATE_FILE
    struct place validate_at;
};

struct recipe_stage {
    const char *name;
    enum stage_kind_id kind;
    struct place at;          // of the name
    void *options;            // the kind's struct of options.h
    struct setting *settings; // n_settings: one a field of the kind, in the table's order
    int n_settings;
};

struct recipe {
    struct arena *arena;
    const char *path, *name;
    const char *text; // the recipe file as it was read
    int64_t nanochat, seed;
    double budget_usd;  // NaN: none
    const char *device; // hardware: NULL: this machine
    int64_t device_count;
    double usd_per_hour; // NaN: unknown
    const char *data;    // base address as written, or NULL
    struct source *sources;
    int n_sources;
    struct recipe_stage *stages;
    int n_stages;
    struct task_file **tasks; // that mixtures and suites name, each once
    int n_tasks;
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
const struct recipe_stage *recipe_stage(const struct recipe *recipe, const char *name);
const struct setting *stage_setting(const struct recipe_stage *stage, const char *field);

#endif
