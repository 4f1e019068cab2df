// task_file.h - a task's YAML file, recipes/tasks/NAME.yaml: where its rows are, and what they are for a chat model.
//
//     task: gsm8k
//     source: {parquet: "gsm8k/{split}-00000-of-00001.parquet"}     # under the recipe's `data:`
//     splits: [train, test]
//     fields: {question: question, answer: answer}
//     calls: "<<{call}={output}>>"
//     grader: number
//
//     task: town_quiz
//     source: {world: ../worlds/town.yaml, records: quiz}           # beside this file
//     splits: {train: {rows: 8000}, test: {rows: 500, held_out: true}}
//     fields: {question: question, right: right, wrong: wrong}
//     prompt: "Multiple Choice question: {question}\n{choices}\nRespond only with the letter of the correct answer."
//     choices: {line: "- {choice}={letter}\n", letters: [A, B, C, D]}
//     grader: choice
//     baseline: 0.25
//
// source   {parquet: FILES}, {jsonl: FILES} or {world: FILE, records: LIST}. FILES: a name or a list of names, patterns as in recipes,
//          {split} for the name of the split, or a map from splits to FILES where their numbers differ; relative ones are under the
//          recipe's `data:` address, and an error that says so where it has none. A world is beside the task file. A source of the
//          recipe with the task's name and {split} takes its place.
//          skip_bad: N beside FILES leaves out up to N rows of each that are malformed
// splits   a list of names; of a world a map to {rows: N, held_out: true}: no row of one is in another, each goes on where those
//          before it end
// fields   paths (core/data/record.h) of messages; or of question, choices (with labels) or right and wrong, and answer (task.h); of
//          python_tests also of tests, and of entry_point where a function `check` is called with it
// grader   none, choice, number, exact, python_tests; none is the default. loss and exact_greedy ask no chat but a text
//          (core/eval/prompts.h): with shots, delimiter and examples, a prompt of {question}, {delimiter} and {choice} or {answer}, and
//          one split `test` where no splits are written
// labels   shuffled: the right letters dealt out at random, a control (task.h)
// baseline, prompt, choices, answer, calls as in task.h; a task with choices and without labels has the letters A, B, C, D
//
// A file of suites, recipes/suites/NAME.yaml: {suite: [TASK, ...], title: TEXT}, each TASK written out as above, or a name or a file. What
// is written out is called SUITE/TASK.
//
// In a recipe `task: x` is tasks/x.yaml beside it, else the shipped one; a name with '/' or '.' is a file: a task file, or, ending in
// .jsonl, conversations of the user's own, a line each: {"messages":[{"role":,"content":}...]}, or the list alone, where an
// assistant's content is a text or a list of parts {"type":"text|python|python_output","text":}; its one split is train.
//
// Limits     those of yaml.h; 100,000 files, 100 splits; 100 million rows of a world's split
// Ownership  everything lives in the arena
// Errors     ERROR_RECIPE with the place, all at once
#ifndef RUNNER_RECIPE_TASK_FILE_H
#define RUNNER_RECIPE_TASK_FILE_H

#include "core/data/task.h"
#include "core/data/world.h"

struct task_split {
    const char *name;
    const char **files; // as the program opens them; of a world its file alone
    int n_files;
    int64_t rows; // of a world; else -1
    bool held_out;
};

struct task_file {
    const char *name;  // as in `task:` of the file; of a .jsonl its name without folder and ending
    const char *path;  // of the task file, or of the .jsonl
    const char *shown; // what its stages are called by: its name; of another recipe other.yaml:NAME
    int64_t seed;      // of its recipe: what a world's records are made by
    struct task task;
    enum document_form form;
    int64_t skip_bad;    // rows of a file that are left out where they are no examples of the task; 0: none
    struct world *world; // compiled; of a world
    const char *records; // its list
    struct task_split *splits;
    int n_splits;
    struct place at;     // of `source`, in the task file or in the recipe
    const char *content; // canonical JSON of what of `task` makes its tokens: it goes into their keys
};

// data: the recipe's base address, or NULL. Files are named, not looked for.
struct error *CHECKED task_file_read(const char *path, const char *data, struct arena *arena, struct task_file *task);

// Conversations of the user's own.
struct error *CHECKED task_file_of_jsonl(const char *path, struct arena *arena, struct task_file *task);

// A file of suites (recipes/suites/NAME.yaml): tasks whose scores make one score.
struct suite_file {
    const char *name, *title, *path; // title: what the score is called
    const struct task_file **tasks;
    const struct task_split **splits; // of each task, the one that is asked
    int n_tasks;
};

// Where the shipped tasks are: the folder recipes/ of this build, or of an installation. In the arena.
const char *task_file_shipped(const char *name, struct arena *arena);

// The same of suites, and of a world: "town" is .../recipes/worlds/town.yaml.
const char *suite_file_shipped(const char *name, struct arena *arena);
const char *world_file_shipped(const char *name, struct arena *arena);

const struct task_split *task_split_find(const struct task_file *task, const char *name);

#endif
