// tokenizer_result.h - how a stage that makes a tokenizer ends: it is measured, and saved, alone or beside a model.
//
//     e = tokenizer_result_save(stage, &(struct tokenizer_result){.tokenizer = t, .own = own, .seed = seed, .seconds = before});
//
// Result  /tokenizer (core/text/tokenizer_file.h), /metrics/text (compression.h), and what is given besides
#ifndef RUNNER_STAGES_TOKENIZER_RESULT_H
#define RUNNER_STAGES_TOKENIZER_RESULT_H

#include "core/text/tokenizer.h"
#include "runner/stages/stage.h"

struct tokenizer_result {
    const struct tokenizer *tokenizer;
    struct bytes own; // the beginning of the text that it was trained on; empty: none
    int64_t seed;
    double seconds;                           // that the work took before this process
    const struct store_attribute *attributes; // of a model, and its sets
    int n_attributes;
    const struct store_set *sets;
    int n_sets;
};

struct error *CHECKED tokenizer_result_save(struct stage *stage, const struct tokenizer_result *result);

#endif
