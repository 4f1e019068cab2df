// prompt_share.h - about how much an evaluation asks as text, before its prompts are made.
//
//     struct prompt_counts counts = {.arena = &arena};
//     guess = prompts_guess(&counts, node, n_vocab);
//
// Examples   as many as lines (jsonl), rows (parquet) or the world's split has, capped by the stage and by the task
// Tokens     the bytes of a file over its rows, once for each worked example and the question, at log2(n_vocab) / 4 bytes a token: English
//            takes fewer tokens, so the time that follows from it is rather too much. Tasks that are left out do not count
// Unknown    n is -1 where a file is not there
// Time       that of reading the files, each once however many evaluations ask it
#ifndef RUNNER_GRAPH_PROMPT_SHARE_H
#define RUNNER_GRAPH_PROMPT_SHARE_H

#include "runner/graph/graph.h"

struct prompt_guess {
    int64_t n;     // examples of all tasks that are asked as text; 0: none
    double tokens; // of all their prompts, what choices share counted once
};

struct counted_file;

struct prompt_counts { // of files that were read
    struct arena *arena;
    struct counted_file *known;
};

struct prompt_guess prompts_guess(struct prompt_counts *counts, const struct graph_node *node, int n_vocab);

#endif
