// options.c - what more than one reader of options asks of them.
#include "runner/recipe/options.h"

#include <string.h>

const struct mixture_use *first_chat(const struct mixture_uses *uses)
{
    for (int i = 0; i < uses->n; i++)
        if (!grader_is_prompted(uses->uses[i].task->task.grader))
            return &uses->uses[i];
    return NULL;
}

bool takes_moments(const struct finetune_options *o)
{
    return o->moments && !strcmp(o->moments, "model");
}
