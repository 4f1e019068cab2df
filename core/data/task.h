// task.h - what a row of a data set is for a chat model: a conversation to learn from, a question to be graded by.
//
// The runner parses recipes/tasks/*.yaml into this plain struct (runner/recipe/task_file.h has the layout); no task is named here.
//
//     const char *paths[TASK_PATHS];
//     e = task_paths(&task, arena, paths, &n_paths);                 // what to ask records_open for
//     e = task_example(&task, record, arena, &example);              // example.conversation is ready for chat_render
//
// A task is one of three, by the fields that it maps:
//   messages             a conversation: {role, content} each; a role is system, user or assistant
//   question and choices a multiple-choice question; the answer is a letter. The right choice is given by `answer` (its number from
//                        0, or its letter), or the choices are `right` and `wrong`, and are put in an order drawn for the row
//   question and answer  the answer is text, with calculator calls in it where `calls` says how they are marked. With `tests` it is Python
//                        (grader python_tests)
//
// A task that is asked as text (grader loss or exact_greedy) has a question with choices, whose right one is given by `answer` (its
// number from 0, its text, or of rows with labels its label) or by `right` and `wrong`; or a question and an answer. It makes no
// conversation.
//
// Messages   M.role and M.content are read for each alternative M of the path: "messages | ." takes {"messages": [...]} of JSON
//            lines, or a line that is the list itself. An assistant's content may be a list of parts there, {type, text} each, the
//            type text, python or python_output. "." also stands for the row's own lists role and content, as a world's
//            records have them
// Choices    as many as there are labels in the row, or at most as many as letters; letters differ. A row's answer is the index
//            of the right one where it is a number in the file and none of the row's labels is one; else it is the letter
// Prompt     {question} and {choices} stand for themselves, once, whatever braces are in them; the default is "{question}", of
//            multiple choice the reference's: "Multiple Choice question: {question}\n{choices}\nRespond only with the letter of the
//            correct answer.". Each choice is one choice_line, with {choice} and {letter}; the default is "- {choice}={letter}\n"
// Calls      "<<{call}={output}>>": the answer's text is cut at each mark <<...>> whose inside has no '>' and is not empty; the inside
//            is cut at its last '=', one without '=' has an empty output. So an answer becomes parts: text, python, python_output,
//            text ... A text between two marks that is "<<" ... ">>" as a whole is a call too
// Answer     answer_text is what the assistant says, with {answer} once and {question} where it is to be said again; the default is
//            "{answer}"
// Tests      one text or a list, of which each must run without an exception after the answer's code; entry_point is the name that a
//            "check(NAME)" at their end is called with, or is not there. What is graded against is program.h's tests
// Control    shuffled_labels deals the right letters out at random (by the row): nothing can be learned, a model stays at chance
// Randomness order and dealt letters are Philox(42, PHILOX_CHOICES) at (row, draw): a row's never change
// Ownership  an example and task_paths' paths live in the arena and borrow from the record and the task
// Errors     ERROR_RECIPE: a task that is none of the three. ERROR_DATA naming task and row: a missing field, an answer that is no
//            choice, a role that is none, less than a question and an answer. Whose turn it is chat_render checks
// Source     nanochat 2025-10-13, tasks
#ifndef CORE_DATA_TASK_H
#define CORE_DATA_TASK_H

#include "core/data/record.h"
#include "core/text/chat.h"

enum task_grader {
    GRADER_NONE,
    GRADER_CHOICE,
    GRADER_NUMBER,
    GRADER_EXACT,
    GRADER_LOSS,
    GRADER_EXACT_GREEDY,
    GRADER_PYTHON_TESTS,
    GRADER_COUNT
};

enum { TASK_LETTERS = 26, TASK_PATHS = 8, TASK_SHOTS_MOST = 100 };

// Raised when the same row would give another example: it is in the keys of what is made of tasks.
enum { TASK_VERSION = 2 };

struct task {
    const char *name;
    const char *messages, *question, *answer, *choices, *labels, *right, *wrong; // paths (record.h); NULL: not there
    const char *tests, *entry_point;                                             // the same
    const char *prompt, *choice_line, *answer_text;                              // texts with slots; NULL: the defaults
    const char *letters[TASK_LETTERS];                                           // of choices, where labels is NULL
    int n_letters;
    const char *call_begin, *call_middle, *call_end; // of calculator calls: "<<" "=" ">>", none empty; NULL: none
    enum task_grader grader;
    double baseline; // accuracy of guessing, 0 .. 1
    bool shuffled_labels;

    // of tasks that are asked as text (grader_is_prompted; core/eval/prompts.h)
    const char *delimiter;   // NULL: a blank
    int64_t shots, examples; // examples: how many are asked at most; 0: all
};

struct example {
    struct conversation conversation; // its last message is the assistant's, but for `messages` that end with the user's
    const char *answer; // what is graded against: the letter, the text of the answer's last part, or tests; "" of messages
    const char *const *letters; // of a multiple-choice question
    int n_letters, right;       // right: index of the right one; -1: no choices
};

// A row of a task that is asked as text.
struct item_text {
    const char *text; // n bytes, and a zero behind them
    size_t n;
};

struct task_item {
    int64_t row; // of its file, or of the world's records
    struct item_text question;
    const struct item_text *options; // GRADER_LOSS: the choices; GRADER_EXACT_GREEDY: the answer alone
    int n_options, right;            // right: index of the right one
};

const char *grader_name(enum task_grader grader); // "none", "choice", "number", "exact", "loss", "exact_greedy", "python_tests"

// Whether a model is asked by a text that it goes on from, with worked examples before it: no chat, so that base models can be.
bool grader_is_prompted(enum task_grader grader);

// Paths that the task reads.
struct error *CHECKED task_paths(const struct task *task, struct arena *arena, const char *paths[TASK_PATHS], int *n_paths);

// The record is of these paths.
struct error *CHECKED task_example(const struct task *task, const struct record *record, struct arena *arena,
                                   struct example *example);

// The same of a task that is asked as text; texts are copies in the arena.
struct error *CHECKED task_read_item(const struct task *task, const struct record *record, struct arena *arena,
                                     struct task_item *item);

#endif
