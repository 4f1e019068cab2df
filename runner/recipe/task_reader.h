// task_reader.h - what task_file.c and task_form.c share: a task's tree, and the struct that grows from it. For these two only.
#ifndef RUNNER_RECIPE_TASK_READER_H
#define RUNNER_RECIPE_TASK_READER_H

#include "runner/recipe/reader.h"

struct task_reader {
    struct reader *r;
    const struct node *root;
    struct task_file *file;
    const struct node *names; // FILES, of the task or of the recipe's source that takes their place; NULL: a world
    const char *base;         // the folder of the task's own files; NULL: that of the node
    bool replaced;
    bool grader_unknown; // it is told; what depends on it is not looked at
};

void task_report(struct task_reader *t, struct place at, const char *fix, const char *what);
void task_report_of(struct task_reader *t, struct place at, const char *fix, const char *what, const char *name); // "what 'name'"

// The text of a key of the map; NULL where it is not there, or reported.
const char *task_text(struct task_reader *t, const struct node *map, const char *key);

// A key that stands in the way of what the task is.
void task_refuse(struct task_reader *t, const struct node *map, const char *key, const char *why);

// The paths that a field of the task is read by: messages by one for roles and one for contents. How many; 0: no memory.
int task_paths_of(struct task_reader *t, const char *key, const char *text, const char *paths[TASK_PATHS]);

// Fields, prompt, choices, calls, grader, shots: what of the tree goes into file->task, and whether it is a task at all.
void task_form_read(struct task_reader *t);

#endif
