// compare_seeds.h - of a comparison what is said over seeds: a row a measure and score, where runs are replicates of each other.
//
//     e = compare_seeds(&c, arena);                 // fills in c.seeds; called by compare_runs
//
// Only measures that the seed can move: losses, bits per byte, rewards, scores; each over numbers that can be compared (basis.h).
#ifndef RUNNER_VIEW_COMPARE_SEEDS_H
#define RUNNER_VIEW_COMPARE_SEEDS_H

#include "runner/view/compare.h"

#include <stdio.h>

struct error *CHECKED compare_seeds(struct comparison *c, struct arena *arena);
struct error *CHECKED compare_seeds_print(const struct comparison *c, FILE *to, int width, struct arena *arena);
struct error *CHECKED compare_seeds_markdown(const struct comparison *c, FILE *to, struct arena *arena);
void compare_seeds_json(const struct comparison *c, struct json *json);

#endif
