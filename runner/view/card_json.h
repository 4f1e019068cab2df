// card_json.h - the report card as JSON, for scripts.
//
//     run:     {name, number, source, note, state, started, ended, seconds, usd, recipe, settings, host, machine, build, code}
//     stages:  [{name, kind, key, state, seconds, usd, params, tokens, flops, loss, bpb, val, reward, error}]
//              tokens, flops: null of a stage that did not end well; loss: null of GRPO; bpb: over validation
//              text; val: over the test splits that a fine-tuning is validated on
//     scores:  [{model, score, accuracy, less_is_better, value, deviation, low, high, missing, n}]     scores.h; accuracy: value is a share
//     texts:   [{stage, text, bytes, tokens, gpt2_tokens, gpt4_tokens}]            how a tokenizer compresses
//     samples: [{stage, step, prompt, text}]                                       of the last step that has some
//     rollouts: [{stage, step, reward, advantage, prompt, text}]                   that were kept
//     overlap: of overlap_to_json (graph/overlap_probe.h), where it was measured
//     recipe_text, resolved: as they were; null: not known
#ifndef RUNNER_VIEW_CARD_JSON_H
#define RUNNER_VIEW_CARD_JSON_H

#include "core/base/json.h"
#include "runner/graph/run_record.h"

// What is said of a stage wherever runs are told: name kind key state seconds usd; adds to an open object, as the next does.
void card_stage_to_json(struct json *j, const struct run_stage *stage);

struct error *CHECKED card_to_json(const struct run *run, struct json *j, struct arena *arena);

#endif
