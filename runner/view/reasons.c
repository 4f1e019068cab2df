// reasons.c - wording in one place.
#include "runner/view/reasons.h"

#include <string.h>

#include "runner/graph/kept.h"

static const char *or_unset(const char *value)
{
    return value ? value : "unset";
}

// Values of a field; of an entry of a mixture, "mixture[2]", which task it names.
static const char *change_text(const struct reason *r, struct arena *arena)
{
    bool entry = *r->name && r->name[strlen(r->name) - 1] == ']';
    const char *text = arena_printf(arena, "%s -> %s", entry && !r->old ? "none" : or_unset(r->old),
                                    entry && !r->new ? "none" : or_unset(r->new));
    return text ? text : "";
}

// The file's own name: the folder is the same for all.
static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "";
}

// A file that is not there, or not yet.
static bool is_absent(const struct reason *r)
{
    return r->new && (!strcmp(r->new, "missing") || !strcmp(r->new, "not fetched"));
}

static const char *reason_short(const struct reason *r, struct arena *arena)
{
    switch (r->kind) {
    case REASON_FIELD:
        return arena_printf(arena, "%s %s", r->name, change_text(r, arena));
    case REASON_INPUT:
        return arena_printf(arena, r->new || r->old ? "%s changed" : "%s is unknown", r->name);
    case REASON_DATA:
        return is_absent(r) ? arena_printf(arena, "%s%s is %s", *r->new == 'm' ? "file " : "", base_name(r->name), r->new)
                            : arena_printf(arena, "%s changed", base_name(r->name));
    case REASON_VERSION:
        return arena_printf(arena, "%s version %s -> %s", r->name, or_unset(r->old), or_unset(r->new));
    case REASON_MISSING:
        return arena_printf(arena, "%s", r->new ? r->new : "not there");
    case REASON_FRESH:
    case REASON_COUNT:
        break;
    }
    return arena_strdup(arena, "never run here");
}

// Fields that only follow from another one (a depth that sets widths) are told last, as a number.
static bool is_minor(const struct plan_stage *stage, const struct reason *r)
{
    bool by_user = false;
    for (int i = 0; i < stage->n_reasons; i++)
        by_user = by_user ||
                  (stage->reasons[i].kind == REASON_FIELD && stage->reasons[i].by && strcmp(stage->reasons[i].by, "default"));
    return by_user && r->kind == REASON_FIELD && (!r->by || !strcmp(r->by, "default"));
}

// Of a stage whose key is not known the nearest cause: its own files, else what it is made of. `why` tells the rest.
static const char *unknown_short(const struct plan_stage *stage, struct arena *arena)
{
    const struct reason *first = NULL;
    int n = 0;
    for (int i = 0; i < stage->n_reasons; i++) {
        const struct reason *r = &stage->reasons[i];
        if (r->kind == REASON_DATA && is_absent(r))
            return *r->new == 'm' ? reason_short(r, arena) : arena_strdup(arena, r->new);
        if (r->kind != REASON_INPUT)
            continue;
        first = first ? first : r;
        n++;
    }
    return n > 1 ? arena_printf(arena, "%s and %d more are unknown", first->name, n - 1)
           : n   ? reason_short(first, arena)
                 : arena_strdup(arena, "");
}

const char *reasons_short(const struct plan_stage *stage, struct arena *arena)
{
    if (stage->state == PLAN_UNKNOWN)
        return unknown_short(stage, arena);
    const char *text = "";
    int n_minor = 0;
    for (int i = 0; i < stage->n_reasons && text; i++) {
        const struct reason *r = &stage->reasons[i];
        const char *one = reason_short(r, arena);
        if (is_minor(stage, r))
            n_minor++;
        else
            text = one ? arena_printf(arena, "%s%s%s", text, *text ? ", " : "", one) : NULL;
    }
    if (n_minor && text)
        text = arena_printf(arena, "%s, and %d that follow%s", text, n_minor, n_minor == 1 ? "s" : "");
    return text;
}

const char *reason_long(const struct reason *r, struct arena *arena)
{
    const char *where = r->at.file && r->at.line > 0 ? arena_printf(arena, "   %s:%d", r->at.file, r->at.line)
                        : r->at.file                 ? arena_printf(arena, "   %s", r->at.file)
                                                     : "";
    if (!where)
        return NULL;
    switch (r->kind) {
    case REASON_FIELD:
        if (!r->by || !strcmp(r->by, "-s")) // whose place is the text of the -s
            return arena_printf(arena, "%s: %s%s", r->name, change_text(r, arena), where);
        return arena_printf(arena, "%s: %s%s (%s)", r->name, change_text(r, arena), where, r->by);
    case REASON_INPUT:
        return r->new && r->old   ? arena_printf(arena, "input '%s' changed: %s -> %s", r->name, r->old, r->new)
               : r->new || r->old ? arena_printf(arena, "input '%s' changed", r->name)
                                  : arena_printf(arena, "what '%s' makes is not known, for a file is missing", r->name);
    case REASON_DATA:
        return is_absent(r) ? arena_printf(arena, "data file '%s' is %s", r->name, r->new)
                            : arena_printf(arena, "data '%s' changed: %s -> %s", r->name, or_unset(r->old), or_unset(r->new));
    case REASON_VERSION:
        return arena_printf(arena, "the code of '%s' computes something else: version %s -> %s", r->name, or_unset(r->old),
                            or_unset(r->new));
    case REASON_MISSING:
        return arena_printf(arena, "result '%s': %s", base_name(r->name), r->new ? r->new : "not there");
    case REASON_FRESH:
    case REASON_COUNT:
        break;
    }
    return arena_printf(arena, "never run here under the name '%s'", r->name);
}

const char *begins_with(const struct graph_node *node, const char **what, struct arena *arena)
{
    bool optim = false;
    const struct graph_input *input = kept_begins(node, &optim);
    if (!input || (node->kind != KIND_PRETRAIN && !optim))
        return NULL;
    *what = !optim ? "weights, fresh moments" : node->kind == KIND_PRETRAIN ? "weights, optimizer, step" : "weights, moments";
    return input->step < 0 ? input->node->name : arena_printf(arena, "%s@%lld", input->node->name, (long long)input->step);
}
