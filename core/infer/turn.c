// turn.c - the rules of turn.h. The queue is an array and a place in it; it is emptied when the last token has left.
//
// A vocabulary without one of the four tool tokens has no calculator, and one without assistant_end ends rows at bos alone: a name
// that is not there is id -1, which no token has.
#include "core/infer/turn.h"

#include "core/infer/calculator.h"

struct error *turn_begin(struct turn *turn, struct encoder *encoder)
{
    const struct tokenizer *t = encoder->tokenizer;
    *turn = (struct turn){.encoder = encoder,
                          .assistant_end = tokenizer_special(t, "<|assistant_end|>"),
                          .bos = tokenizer_special(t, "<|bos|>"),
                          .python_start = tokenizer_special(t, "<|python_start|>"),
                          .python_end = tokenizer_special(t, "<|python_end|>"),
                          .output_start = tokenizer_special(t, "<|output_start|>"),
                          .output_end = tokenizer_special(t, "<|output_end|>")};
    return turn->bos < 0 ? error_plain(ERROR_DATA, "the tokenizer has no token '<|bos|>'") : NULL;
}

void turn_restart(struct turn *turn)
{
    turn->forced.n = turn->expression.n = turn->next_forced = 0;
    turn->in_python = turn->ended = false;
}

// Queues the result of the expression, if it has one.
static struct error *calculate(struct turn *turn)
{
    struct bytes text = {0}, result = {0};
    bool has_result = false;
    struct error *e = NULL;
    if (!turn->expression.n || turn->output_start < 0 || turn->output_end < 0)
        return NULL;
    e = tokenizer_decode(turn->encoder->tokenizer, turn->expression.id, turn->expression.n, &text);
    if (!e)
        e = calculator_evaluate((const char *)text.byte, text.n, &result, &has_result);
    if (!e && has_result) {
        e = ids_push(&turn->forced, turn->output_start);
        if (!e)
            e = encoder_encode(turn->encoder, result.byte, result.n, &turn->forced);
        if (!e)
            e = ids_push(&turn->forced, turn->output_end);
    }
    bytes_release(&text);
    bytes_release(&result);
    return e;
}

bool turn_is_forced(const struct turn *turn)
{
    return turn->next_forced < turn->forced.n;
}

struct error *turn_next(struct turn *turn, int32_t sampled, struct turn_token *token)
{
    *token = (struct turn_token){.id = sampled};
    if (turn_is_forced(turn)) {
        *token = (struct turn_token){.id = turn->forced.id[turn->next_forced++], .forced = true};
        if (!turn_is_forced(turn))
            turn->forced.n = turn->next_forced = 0;
    }
    int32_t id = token->id;
    turn->ended = turn->ended || id == turn->assistant_end || id == turn->bos;
    struct error *e = NULL;
    if (id == turn->python_start) {
        turn->in_python = true;
        turn->expression.n = 0;
    } else if (id == turn->python_end && turn->in_python) {
        turn->in_python = false;
        e = calculate(turn);
        turn->expression.n = 0;
    } else if (turn->in_python) {
        e = ids_push(&turn->expression, id);
    }
    return e;
}

void turn_release(struct turn *turn)
{
    ids_release(&turn->forced);
    ids_release(&turn->expression);
    *turn = (struct turn){0};
}
