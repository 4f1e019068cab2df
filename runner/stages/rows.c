// rows.c - the plan of rows that nobody writes: what every row of a packed text is made of, beside its token files (best_fit.h).
//
// One process, one pass over the lengths of the documents: some millions of them a second, so that one that was cut off begins anew.
#include <stdio.h>

#include "core/data/best_fit.h"
#include "runner/stages/stage.h"

struct planning {
    struct stage *stage;
    int64_t n_documents;
};

static void tell(void *self, int64_t documents)
{
    const struct planning *p = self;
    struct live_line line = live_line("step");
    line.step = documents;
    line.of = p->n_documents;
    line.unit = "documents";
    live_write(p->stage->live, line);
}

static void tell_end(struct stage *stage, const struct best_fit *plan)
{
    char text[96];
    struct live_line line = live_line("step");
    double kept = (double)plan->n_rows * ((double)plan->T + 1);
    snprintf(text, sizeof text, "%lld row%s, %.1f %% of the tokens dropped", (long long)plan->n_rows,
             plan->n_rows == 1 ? "" : "s", 100 * (1 - kept / (double)plan->n_tokens));
    line.step = line.of = plan->n_documents;
    line.unit = "documents";
    line.text = text;
    live_write(stage->live, line);
}

struct error *stage_rows(struct stage *stage)
{
    const struct job *job = stage->job;
    const struct rows_options *o = job->options;
    struct token_list list = {0};
    struct best_fit plan = {0};
    if (job->n_inputs != 1)
        return error_plain(ERROR_FAILED, "stage '%s' was given %d texts", job->name, job->n_inputs);
    struct error *e = token_list_open(&list, job->inputs[0].paths, job->inputs[0].n_paths, stage->arena);
    struct planning planning = {.stage = stage, .n_documents = list.n_documents};
    if (!e)
        e = best_fit_make(&plan, &list, o->seq_len, job->out, tell, &planning);
    if (!e) {
        struct store_attribute attributes[STAGE_ATTRIBUTES];
        int n = stage_attributes(stage, "finished", 1, 1, 0, 0, NULL, 0, attributes);
        e = best_fit_save(&plan, job->out, attributes, n);
    }
    if (!e)
        tell_end(stage, &plan);
    best_fit_release(&plan);
    token_list_close(&list);
    return e;
}
