// turn.h - one row being generated: which token really comes next, where the calculator has its say.
//
//     struct turn turn;
//     e = turn_begin(&turn, &encoder);
//     e = turn_next(&turn, sampled, &token);          // token.id, token.forced; turn.ended after assistant_end or bos
//     turn_restart(&turn);                            // another row
//     turn_release(&turn);
//
// State     a queue of forced tokens, whether the row is inside python_start .. python_end, and the tokens of the expression
// Rule      a forced token, if there is one, takes the place of the sampled one. assistant_end or bos ends the row. python_start
//           opens an empty expression; python_end closes it: its text goes to the calculator, and a result queues output_start, the
//           result's tokens, output_end; no result queues nothing. Any other token inside is part of the expression, specials too.
//           The rules hold for forced tokens as well
// Errors    memory; ERROR_DATA for an expression with an id that is not in the vocabulary
// Source    nanochat 2025-10-13, Engine
#ifndef CORE_INFER_TURN_H
#define CORE_INFER_TURN_H

#include "core/text/tokenizer.h"

#include <stdbool.h>

struct turn {
    struct encoder *encoder; // borrowed
    int32_t assistant_end, bos, python_start, python_end, output_start, output_end;
    struct ids forced, expression; // owned
    size_t next_forced;
    bool in_python, ended;
};

struct turn_token {
    int32_t id;
    bool forced;
};

struct error *CHECKED turn_begin(struct turn *turn, struct encoder *encoder);
void turn_restart(struct turn *turn);

// Whether the next token is known already; turn_next then ignores what was sampled.
bool turn_is_forced(const struct turn *turn);
struct error *CHECKED turn_next(struct turn *turn, int32_t sampled, struct turn_token *token);
void turn_release(struct turn *turn);

#endif
