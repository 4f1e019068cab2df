// text_share.c - the rows of a text are floor((tokens - 1) / T), as rows.h has it, or those of its plan.
#include "runner/graph/text_share.h"

#include <math.h>
#include <string.h>

#include "core/data/row_mix.h"

// The plan of rows of a text, or NULL.
static const struct plan_stage *planned_rows(const struct plan *plan, const struct graph_node *node, int i_text)
{
    for (int i = 0; i < node->n_inputs; i++)
        if ((!strcmp(node->inputs[i].role, "rows") || !strcmp(node->inputs[i].role, "mix_rows")) && i_text-- == 0)
            return plan_of(plan, node->inputs[i].node);
    return NULL;
}

static struct error *divide_rows(const struct plan *plan, struct plan_stage *s, int64_t n_rows, int64_t T, struct arena *arena)
{
    struct rows *rows = arena_array(arena, (size_t)s->n_texts, sizeof *rows);
    double *shares = arena_array(arena, (size_t)s->n_texts, sizeof *shares);
    struct row_mix mix;
    if (!rows || !shares)
        return error_memory();
    for (int i = 0; i < s->n_texts; i++) {
        rows[i].T = T;
        shares[i] = s->texts[i].share;
    }
    struct error *e = row_mix_open(&mix, rows, shares, s->n_texts, arena);
    for (int i = 0; i < s->n_texts && !e; i++) {
        struct plan_text *text = &s->texts[i];
        const struct plan_stage *planned = planned_rows(plan, s->node, i);
        int64_t there = planned ? planned->rows : text->tokens > T ? (text->tokens - 1) / T : -1;
        text->rows = row_mix_count(&mix, i, n_rows);
        text->dropped = planned ? planned->dropped : 0;
        if (there > 0)
            text->epochs = (double)text->rows / (double)there;
    }
    return e;
}

struct error *texts_make(const struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    const struct graph_node *node = s->node;
    if (node->kind != KIND_PRETRAIN)
        return NULL;
    s->n_texts = 0;
    s->texts = arena_array(arena, (size_t)node->n_inputs + 1, sizeof *s->texts);
    if (!s->texts)
        return error_memory();
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        if (!input->share && strcmp(input->role, "tokens"))
            continue;
        s->texts[s->n_texts++] = (struct plan_text){.source = input->node->source->name,
                                                    .share = input->share ? input->share->share : 1,
                                                    .rows = -1,
                                                    .tokens = plan_of(plan, input->node)->training_tokens,
                                                    .epochs = NAN,
                                                    .dropped = NAN};
    }
    int64_t T = ((const struct pretrain_options *)node->options)->seq_len;
    return s->n_texts && s->tokens >= 0 && T > 0 ? divide_rows(plan, s, s->tokens / T, T, arena) : NULL;
}
