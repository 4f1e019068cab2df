// reader.h - what the files that read a recipe share: the tree, the recipe that grows from it, and the errors found so far.
//
// Order: includes_apply (other files under this one), settings_apply (-s into the tree), unused_find (names of let and matrix),
// matrix_apply (stages multiplied), values_resolve (let, env, data), sources_read, stages_read (with those of other recipes),
// references_check, flow_check. Each reports what it finds with reader_error and goes on, so that one reading shows all errors.
// For recipe.c and its parts only.
#ifndef RUNNER_RECIPE_READER_H
#define RUNNER_RECIPE_READER_H

#include "runner/recipe/recipe.h"
#include "runner/recipe/yaml.h"

struct names;

struct reader {
    struct recipe *recipe;
    struct arena *arena;
    struct node *root; // a map

    struct error *errors, **errors_end;
    int n_errors;
    int n_told; // of them, of the YAML reader: a place that it named gets no second error
    bool no_memory, dropped_recipe_error;

    struct reading *reading;         // shared with the readers of other recipes
    struct include *includes;        // the files that were included, newest first
    struct matrix *matrix;           // NULL: the recipe has none
    bool matrix_wrong;               // what is wrong with it was told
    struct need *needs;              // of other recipes
    int n_own;                       // of recipe->stages: those of this recipe; those of others come behind them
    const struct node *seed;         // top-level seed, or NULL
    const struct node **stage_nodes; // of recipe->stages: their maps
    int *origins;                    // of recipe->stages: the pretraining or import that the model comes from, or -1
    int *trained_first;              // the same: the stage that trained it first, or -1
    int n_files;                     // of all sources
    size_t file_bytes;               // of their names

    const struct node *asking;    // the name of the task that is being read
    const char *suite;            // whose file the task is written in, or NULL
    bool data_read, no_data_told; // data_read: data is known, or what is wrong with it was told
    const char *data;             // the folder that files of tasks are relative to, as the program opens it, or NULL
    struct world_slot *worlds;    // read so far
    int n_worlds, worlds_capacity;
    struct task_slot *tasks; // read so far
    int n_tasks, tasks_capacity;
    struct suite_slot *suites; // read so far, newest first
};

// What all files of one reading share: the recipe, what it includes, the recipes that it refers to.
struct reading {
    int n_files, n_nodes;
    size_t n_bytes;
    bool is_full;         // no more files are read
    struct other *others; // newest first
    int n_deep;           // recipes that are being read
    const char *data;     // the text of the last -s data=..., which other recipes see, too; or NULL
};

// A file that was included, and by which line.
struct include {
    const char *path, *real; // as opened; without links, NULL where there is no file
    const char *text;        // NULL: it could not be read
    struct place at;         // of its name in the file that includes it
    struct include *by;      // that file, where it is included, too
    int depth;
    struct include *next;
};

// Another recipe that one of this reading refers to; or the one that is read, so that it is known in circles.
struct other {
    const char *path, *real;   // as opened; without links
    const char *prefix, *base; // what its names begin with here; the file's own name
    enum { OTHER_READING, OTHER_GOOD, OTHER_WRONG } state;
    struct recipe recipe;
    struct other *next;
};

struct need {
    struct other *other;
    bool *stages; // of its recipe
    struct need *next;
};

struct world_slot {
    const char *path;
    struct world *world; // NULL: it has errors, which were told
};

struct task_slot {
    const char *path;
    struct task_file *task; // NULL: it has errors, which were told
};

struct suite_slot {
    const char *path;
    const struct suite_file *suite; // NULL: it has errors, which were told
    struct suite_slot *next;
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
    MOST_FILE_BYTES = 64 << 20,
    MOST_READ_FILES = 256, // recipes, of one reading
    MOST_READ_NODES = 200000,
    MOST_READ_BYTES = 16 << 20,
    MOST_INCLUDED = 16, // deep
    MOST_OTHERS = 16    // deep
};

extern const char *const top_words[];
extern const int n_top_words;

// Takes an error, or a list of them, or NULL.
void reader_error(struct reader *r, struct error *e);

// Nothing more will be kept: costly explanations can stop.
bool reader_full(const struct reader *r);

// An allocation checked: notes NULL as out of memory and returns p.
void *reader_have(struct reader *r, void *p);

bool is_name_among(const char *word, const char *const *names, int n_names);

// The name most like word, or NULL if none is near: swapped, missing, extra and wrong letters count one each.
const char *nearest_name(const char *word, const char *const *names, int n_names);

// "unknown key 'epcohs'; did you mean 'epochs'?" of a list; without a near one the fix lists the names.
struct error *unknown_word(struct place at, const char *what, const char *word, const char *const *names, int n_names);

// Reports the keys of a map that are not among names, by what they are: "split".
void check_words(struct reader *r, const struct node *map, const char *what, const char *const *names, int n_names);

// The same of keys of the language.
void check_keys(struct reader *r, const struct node *map, const char *const *names, int n_names);

// Whether a scalar's ${...} could not be resolved, which has been reported.
bool is_unresolved(const struct node *node);

// The text of a scalar that is not empty, else NULL, reported; name is what is read.
const char *scalar_text(struct reader *r, const struct node *node, const char *name);

// Who set a node: BY_RECIPE where the file wrote it; and the layer in which it stands.
enum value_by node_by(const struct node *node);
enum value_by node_layer(const struct node *node);

// The tree of a file that node names, counted among those of this reading. NULL: reported; *text as it was read.
struct node *reader_file(struct reader *r, const struct node *node, const char *path, const char **text);

// A file name as the program opens it: relative ones are put behind the folder that the node's are relative to, which can be an
// address. NULL: reported.
const char *node_file(struct reader *r, const struct node *node, const char *text);

// Checks one name of FILES and takes off `file:`; what is read is `what`. NULL: reported.
const char *file_name(struct reader *r, const struct node *node, const char *what);

// The same of a data file, which can be an address to fetch it from; data_file is its node_file, and checks the address.
const char *data_name(struct reader *r, const struct node *node, const char *what);
const char *data_file(struct reader *r, const struct node *node, const char *text);

// A name or a list of names, patterns written out. {split} stands for split; where that is NULL, it is an error. Relative names are put
// behind base, or, where that is NULL, behind the folder that the node's are relative to. Of a map those of the split; none where it has
// no such split.
void files_read(struct reader *r, const struct node *node, const char *base, const char *split, struct files *files);

// Whether a name has {split} in it, or they are a map from splits to names: the source is one of tasks.
bool files_have_split(const struct node *node);

// The world of a file, compiled; read once, however many name it. NULL: reported, saying of what it is: "source 'town'".
struct world *world_read(struct reader *r, const struct node *node, const char *path, const char *of, const char *name);

// skip_bad of a source, 0 where it has none.
int64_t skip_bad_read(struct reader *r, const struct node *source);

// As stage_setting, for those who set it. stages.c
struct setting *setting_of(const struct recipe_stage *stage, const char *field);

// Reports an error of a stage, saying of which where its place does not.
void stage_error(struct reader *r, const struct recipe_stage *stage, struct error *e);

// The tree of a task file; whatever is wrong is reported. In the reader of a recipe a source of the task's name takes the place of its
// own.
void task_read(struct reader *r, const char *path, const struct node *root, struct task_file *task);

struct asked { // who names a task, and for what
    struct reader *r;
    struct recipe_stage *stage;
    const char *split; // the default
    bool graded;       // only tasks with a grader fit
    bool prompted;     // so do tasks that are asked as text
};

// The task that node names, and a split of it. NULL: reported. tasks.c
const struct task_file *task_named(struct asked *a, const struct node *node, const char *name);
const struct task_split *split_named(struct asked *a, const struct task_file *task, const char *name, struct place at);

// The task of a tree, which stands in path and which node asks for; found: what the YAML reader said of it, which goes on to the
// reader; suite: whose file it is written in, or NULL. NULL: reported.
struct task_file *task_of_tree(struct asked *a, const struct node *node, const char *path, const struct node *root,
                               struct error *found, const char *suite);

// The tree of a file that node names, with what the YAML reader said of it. False: it cannot be read, which is reported.
bool tree_of_file(struct asked *a, const struct node *node, const char *path, struct node **root, struct error **found);

// FOLDER/NAME.yaml in the recipe's folder. NULL: out of memory.
const char *beside_recipe(struct reader *r, const char *folder, const char *name);

// The entries of `mixture`, and the tasks among `suites`, into the stage's options; setting is the field's.
void mixture_read(struct reader *r, struct recipe_stage *stage, const struct field *field, const struct node *node);
void suites_read(struct reader *r, struct recipe_stage *stage, const struct node *suites);

// The canonical name of a stage of another recipe, which is read, and joined later by others_join. NULL: reported.
const char *other_stage(struct reader *r, const struct field *field, const struct node *node, const char *text);
void others_join(struct reader *r);

// Notes a recipe as one that is being read. NULL: out of memory.
struct other *other_enter(struct reader *r, const char *path);

// Reads a recipe that `node` of another refers to.
struct error *CHECKED recipe_read_other(struct other *other, const struct node *node, const char *const *settings, int n_settings,
                                        struct arena *arena, struct reading *reading);

bool is_top_word(const char *word);

void includes_apply(struct reader *r);

// Says of an error that stands in an included file which lines included it.
struct error *include_context(const struct reader *r, struct error *e);

// The recipe's text, with those of the files that it includes behind it, and of the recipes that it refers to.
char *include_texts(const struct reader *r);
void settings_apply(struct reader *r, const char *const *settings, int n_settings);

// The names of let and matrix with what uses them, while the tree is as it was written; then those that nothing uses.
struct names *unused_find(struct reader *r);
void unused_report(struct reader *r, const struct names *names);
void matrix_apply(struct reader *r);
void values_resolve(struct reader *r);
void sources_read(struct reader *r, const struct node *sources);
void stages_read(struct reader *r, const struct node *stages);
void references_check(struct reader *r);
void flow_check(struct reader *r);

// The stage of that name, or -1.
int stage_index(const struct recipe *recipe, const char *name); // by its name, or by that and a step

// A source that is a mix, and what mixes name, once all sources are read.
void mix_read(struct reader *r, struct source *source, const struct node *map, const struct node *list);
void mixes_check(struct reader *r);

#endif
