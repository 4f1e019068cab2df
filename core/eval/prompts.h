// prompts.h - tasks that are asked as text: worked examples, then the question, as one prompt for each thing that may follow.
//
//     e = prompts_open(&p, &task, parts, n_parts, most);            // reads all rows; p.n of them are asked
//     e = prompts_make(&p, i, &scratch, &made);                     // example i as texts
//     fits = spans_find(made.rule, ids, n_ids, n, spans);           // their tokens: which of them are scored
//     prompts_close(&p);
//
// Rows       of all parts, one after the other, shuffled by Python's generator of seed 1337; of them the first `most`, or the task's
//            own `examples`, are kept, and only those are drawn from: a capped task has other worked examples than the whole one
// Examples   of example i the task's `shots` are drawn by Python's generator of seed 1234 + i from all that are kept but i itself
// Texts      each shot is the task's prompt filled in with what is right, and "\n\n"; then the prompt of the question, once for each
//            choice; of GRADER_EXACT_GREEDY with its answer ("with") and up to it ("without")
// Blanks     Python's str.strip: of GRADER_EXACT_GREEDY the question loses blanks on both ends, and so does the whole "without"
// Prompt     of the slots {question}, {delimiter} and {choice} (or {answer}, which comes last); the default is
//            "{question}{delimiter}{choice}"
// Scored     what comes after the choice's beginning, or, where the choices stand before the question (pronouns put into a sentence),
//            what all have in common at the end
// Ownership  rows live in memory of their own until prompts_close; what prompts_make makes lives in the arena it is given
// Errors     ERROR_DATA naming task and row: what record.h and task.h refuse, no rows, fewer rows than shots need
// Threads    open prompts are immutable
// Source     nanochat 2025-10-13, core_eval (the prompts of DCLM, Li et al. 2024)
#ifndef CORE_EVAL_PROMPTS_H
#define CORE_EVAL_PROMPTS_H

#include "core/data/task.h"

enum { PROMPTS_SHUFFLE_SEED = 1337, PROMPTS_SHOTS_SEED = 1234 };

// Which tokens of prompts are scored.
enum span_rule {
    SPAN_AFTER_PREFIX, // of prompts that begin alike: all behind their common beginning
    SPAN_SUFFIX,       // of prompts that end alike: their common end
    SPAN_ANSWER        // of a prompt without and one with the answer: what the second has more
};

struct prompts {
    const struct task *task;
    struct arena arena; // of the rows
    struct task_item *items;
    int64_t n_all;  // rows
    int64_t *order; // [n]: rows in the order in which they are asked
    int64_t n;
};

struct made_prompts {
    enum span_rule rule;
    const struct task_item *item;
    struct item_text *texts; // of SPAN_ANSWER without, with; else one a choice
    int n_texts;
};

// most <= 0: all. parts: of worlds with their world compiled.
struct error *CHECKED prompts_open(struct prompts *prompts, const struct task *task, const struct document_part *parts,
                                   int n_parts, int64_t most);
void prompts_close(struct prompts *prompts);

// The examples that are shown before example i: shots[task->shots], counted in the order of asking.
struct error *CHECKED prompts_shots(const struct prompts *prompts, int64_t i, int64_t *shots);

struct error *CHECKED prompts_make(const struct prompts *prompts, int64_t i, struct arena *arena, struct made_prompts *made);

// Tokens start .. end-1 of a prompt are scored; start >= end, or start 0: nothing can be.
struct span {
    int start, end;
};

// Of n lists of ids, bos included, the spans; of SPAN_ANSWER n is 2, and spans[1] is filled in alone. False: what comes without the
// answer is no beginning of what comes with it, or all of it.
bool spans_find(enum span_rule rule, const int32_t *const *ids, const int *n_ids, int n, struct span *spans);

#endif
