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
    int *origins;                    // of recipe->stages: the pretraining or import that the model comes from, or -1
    int n_files;                     // of all sources
    size_t file_bytes;               // of their names

    const struct node *asking;    // the name of the task that is being read
    bool data_read, no_data_told; // data_read: data is known, or what is wrong with it was told
    const char *data;             // the folder that files of tasks are relative to, as the program opens it, or NULL
    struct world_slot *worlds;    // read so far
    int n_worlds, worlds_capacity;
    struct task_slot *tasks; // read so far
    int n_tasks, tasks_capacity;
};

struct world_slot {
    const char *path;
    struct world *world; // NULL: it has errors, which were told
};

struct task_slot {
    const char *path;
    struct task_file *task; // NULL: it has errors, which were told
};

// FILES: what a source or a task reads, written out.
struct files {
    const char **names; // as the program opens them, in order
    int n;
    const char *pattern; // as written
};

#define SPLIT_SLOT "{split}"

enum {
    MOST_ERRORS = 100,
    MOST_FILES = 100000,
    MOST_STAGES = 4000,
    MOST_SOURCES = 4000,
    MOST_LETS = 1000,
    MOST_USES = 1000, // entries of a mixture
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

// Checks one name of FILES and takes off `file:`; what is read is `what`. NULL: reported.
const char *file_name(struct reader *r, const struct node *node, const char *what);

// A name or a list of names, patterns written out. {split} stands for split; where that is NULL, it is an error. Relative names are put
// behind base, or, where that is NULL, behind the folder that the node's are relative to.
void files_read(struct reader *r, const struct node *node, const char *base, const char *split, struct files *files);

// Whether a name has {split} in it: the source is one of tasks.
bool files_have_split(const struct node *node);

// The world of a file, compiled; read once, however many name it. NULL: reported, saying of what it is: "source 'town'".
struct world *world_read(struct reader *r, const struct node *node, const char *path, const char *of, const char *name);

// Reports an error of a stage, saying of which where its place does not.
void stage_error(struct reader *r, const struct recipe_stage *stage, struct error *e);

// The tree of a task file; whatever is wrong is reported. In the reader of a recipe a source of the task's name takes the place of its
// own.
void task_read(struct reader *r, const char *path, const struct node *root, struct task_file *task);

// The entries of `mixture`, and the tasks among `suites`, into the stage's options; setting is the field's.
void mixture_read(struct reader *r, struct recipe_stage *stage, const struct field *field, const struct node *node);
void suites_read(struct reader *r, struct recipe_stage *stage, const struct node *suites);

bool is_top_word(const char *word);

void settings_apply(struct reader *r, const char *const *settings, int n_settings);
void values_resolve(struct reader *r);
void sources_read(struct reader *r, const struct node *sources);
void stages_read(struct reader *r, const struct node *stages);
void references_check(struct reader *r);

#endif
