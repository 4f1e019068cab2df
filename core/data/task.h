// task.h - what a row of a data set is for a chat model: a conversation to learn from, a question to be graded by.
//
// The runner parses recipes/tasks/*.yaml into this plain struct (runner/recipe/task_file.h has the layout); no task is named here.
//
//     const char *paths[TASK_PATHS];
//     int n = task_paths(&task, paths);                              // what to ask records_open for
//     e = task_example(&task, record, arena, &example);              // example.conversation is ready for chat_render
//
// A task is one of three, by the fields that it maps:
//   messages             a conversation: {role, content} each; a role is system, user or assistant
//   question and choices a multiple-choice question; the answer is a letter. The right choice is given by `answer` (its number from
//                        0, or its letter), or the choices are `right` and `wrong`, and are put in an order drawn for the row
//   question and answer  the answer is text, with calculator calls in it where `calls` says how they are marked
//
// Prompt     {question} and {choices} stand for themselves; the default is "{question}". Each choice is one choice_line, with
//            {choice} and {letter}
// Calls      "<<{call}={output}>>": the answer's text is cut at each mark <<...>> whose inside has no '>'; the inside is cut at its
//            last '=', one without '=' has an empty output. So an answer becomes parts: text, python, python_output, text ...
// Control    shuffled_labels deals the right letters out at random (by the row): nothing can be learned, a model stays at chance
// Ownership  an example lives in the arena and borrows from the record
// Errors     ERROR_DATA naming task and row: a missing field, an answer that is no choice, roles out of turn
// Source     nanochat 2025-10-13, tasks
#ifndef CORE_DATA_TASK_H
#define CORE_DATA_TASK_H

#include "core/data/record.h"
#include "core/text/chat.h"

enum task_grader { GRADER_NONE, GRADER_CHOICE, GRADER_NUMBER, GRADER_EXACT, GRADER_COUNT };

enum { TASK_LETTERS = 26, TASK_PATHS = 8, TASK_VERSION = 1 }; // the version is raised when the same row would give another example

struct task {
    const char *name;
    const char *messages, *question, *answer, *choices, *labels, *right, *wrong; // paths (record.h); NULL: not there
    const char *prompt, *choice_line;                                           // texts with slots
    const char *letters[TASK_LETTERS];                                          // of choices, where labels is NULL
    int n_letters;
    const char *call_begin, *call_middle, *call_end; // of calculator calls: "<<" "=" ">>"; NULL: none
    enum task_grader grader;
    double baseline; // accuracy of guessing, 0 .. 1
    bool shuffled_labels;
};

struct example {
    struct conversation conversation; // the last message is the assistant's
    const char *answer;               // what is graded against: the letter, or the text of the answer's last part; "" for none
    const char *const *letters;       // of a multiple-choice question
    int n_letters, right;             // right: index of the right one; -1: no choices
};

const char *grader_name(enum task_grader grader); // "none", "choice", "number", "exact"

// Paths that the task reads; returns how many.
int task_paths(const struct task *task, const char *paths[TASK_PATHS]);

struct error *CHECKED task_example(const struct task *task, const struct record *record, struct arena *arena,
                                   struct example *example);

#endif
