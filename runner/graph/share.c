// share.c - counting without tokenizing: what is not on disk yet is not known yet. Of token files the borders of the rows are read, so
// that a plan costs the same however long the conversations are; for a finetune on whole conversations also where their prompts end, and
// the mask of rows whose prompt does not tell whether they have a target.
#include "runner/graph/share.h"

#include <math.h>
#include <string.h>

#include "core/data/mixture.h"
#include "core/data/record.h"
#include "core/store/atomic.h"
#include "core/store/store.h"
#include "runner/stages/hyperparameters.h"

enum { PACKED_MOST = 1 << 20 }; // examples are packed as the stage packs them; of more, so many in the same shares

// What is there of a task's split.
struct split_rows {
    int64_t n;        // -1: unknown
    int64_t *length;  // [n], in tokens; NULL: its token files are not there
    bool *is_learned; // [n]: has a target within the cut; NULL: not asked for
};

static int64_t cut(int64_t length, int64_t max_tokens)
{
    return length < max_tokens ? length : max_tokens;
}

// An error about data is told by the stage that reads the data.
static struct error *forgive(struct error *e)
{
    if (!e || e->kind != ERROR_DATA)
        return e;
    error_free(e);
    return NULL;
}

static struct error *count_records(const struct graph_node *node, int64_t *n)
{
    *n = 0;
    for (int i = 0; i < node->n_parts && *n >= 0; i++) {
        const struct document_part *part = &node->parts[i].part;
        int64_t rows = -1;
        struct error *e = part->form == DOCUMENT_WORLD ? NULL : file_exists(part->path) ? records_count(part, &rows) : NULL;
        if (part->form == DOCUMENT_WORLD)
            rows = part->n;
        if (e)
            rows = -1;
        if (rows < 0 || __builtin_add_overflow(*n, rows, n))
            *n = -1;
        if ((e = forgive(e)))
            return e;
    }
    return NULL;
}

// Which rows have a target within their first max_tokens. What follows a prompt is one, so that the mask is read of those rows alone
// whose prompt is as long as the cut, or that have none.
static struct error *find_learned(struct store_file *file, const char *path, const int64_t *ends, int64_t n, int64_t max_tokens,
                                  bool *is_learned)
{
    const void *prompts, *mask;
    int64_t n_prompts, n_mask;
    struct error *e = store_map(file, "/prompts", STORE_I64, &prompts, &n_prompts);
    if (!e)
        e = store_map(file, "/mask", STORE_U8, &mask, &n_mask);
    if (!e && (n_prompts != n || n_mask < ends[n]))
        e = error_plain(ERROR_DATA, "the rows of '%s' are not all there", path);
    for (int64_t i = 0; i < n && !e; i++) {
        int64_t prompt = ((const int64_t *)prompts)[i], n_tokens = cut(ends[i + 1] - ends[i], max_tokens);
        is_learned[i] = prompt > 0 && prompt < n_tokens;
        for (int64_t t = 1; t < n_tokens && !is_learned[i]; t++)
            is_learned[i] = ((const uint8_t *)mask)[ends[i] + t];
    }
    return e;
}

// Where the rows of a token file begin and end is all that is read of it (task_rows.h: /rows), and where their prompts end if
// max_tokens is not 0.
static struct error *add_lengths(struct split_rows *split, struct store_file *file, const char *path, int64_t max_tokens,
                                 struct arena *arena)
{
    struct store_set set;
    int64_t offset, bytes, *ends;
    struct error *e = store_describe(file, "/rows", &set, &offset, &bytes);
    int64_t n = e ? 0 : bytes / (int64_t)sizeof *ends - 1;
    if (e || n < 0)
        return e ? e : error_plain(ERROR_DATA, "'%s' has no rows", path);
    ends = arena_array(arena, (size_t)n + 1, sizeof *ends);
    int64_t *all = arena_grow(arena, split->length, (size_t)split->n, (size_t)(split->n + n) + 1, sizeof *all);
    bool *learned = arena_grow(arena, split->is_learned, (size_t)split->n, (size_t)(split->n + n) + 1, sizeof *learned);
    if (!ends || !all || !learned)
        return error_memory();
    if ((e = store_read(file, "/rows", STORE_I64, 0, n + 1, ends)))
        return e;
    for (int64_t i = 0; i < n; i++) {
        if (ends[i] < 0 || ends[i + 1] < ends[i])
            return error_plain(ERROR_DATA, "the rows of '%s' are out of order", path);
        all[split->n + i] = ends[i + 1] - ends[i];
    }
    if (max_tokens && (e = find_learned(file, path, ends, n, max_tokens, learned + split->n)))
        return e;
    split->length = all;
    split->is_learned = max_tokens ? learned : NULL;
    split->n += n;
    return NULL;
}

// tokens NULL: results are not looked at. max_tokens: where rows are cut before it is asked which have a target; 0: it is not.
static struct error *read_split(struct split_rows *split, const struct graph_node *node, const struct plan_stage *tokens,
                                int64_t max_tokens, struct arena *arena)
{
    bool all = tokens && tokens->part_out && node->n_parts > 0;
    struct error *e = NULL;
    *split = (struct split_rows){0};
    for (int i = 0; i < node->n_parts && all; i++)
        all = tokens->part_done[i];
    for (int i = 0; i < node->n_parts && all && !e; i++) {
        struct store_file *file = NULL;
        e = store_open(&file, tokens->part_out[i]);
        if (!e)
            e = add_lengths(split, file, tokens->part_out[i], max_tokens, arena);
        store_close(file);
    }
    if (all && !e)
        return NULL;
    split->length = NULL;
    split->is_learned = NULL; // of the files before the one that failed
    e = forgive(e);
    return e ? e : count_records(node, &split->n);
}

// Tokens of the first n_examples, going round: whole passes have the same number each. The sum of lengths fits, for they are those
// of files; -1 where passes of it do not.
static struct error *count_tokens(const struct split_rows *split, int64_t n_examples, int64_t max_tokens, int64_t *n_tokens)
{
    int64_t all = 0, rest = split->n ? n_examples % split->n : 0, passes = split->n ? n_examples / split->n : 0, some = 0;
    struct error *e = NULL;
    for (int64_t i = 0; i < split->n; i++)
        all += cut(split->length[i], max_tokens);
    if (rest) {
        struct arena scratch = {0};
        int64_t *order = arena_array(&scratch, (size_t)split->n, sizeof *order);
        e = order ? task_rows_order(split->n, order) : error_memory();
        for (int64_t i = 0; i < rest && !e; i++)
            some += cut(split->length[order[i]], max_tokens);
        arena_release(&scratch);
    }
    if (__builtin_mul_overflow(all, passes, n_tokens) || __builtin_add_overflow(*n_tokens, some, n_tokens))
        *n_tokens = -1;
    return e;
}

// How many rows an entry takes of those of its split.
static struct error *count_rows(struct plan_share *share, const struct mixture_use *use, const struct split_rows *split)
{
    bool by_rows = use->rows != FIELD_UNSET_INT;
    share->rows = mixture_part_examples(split->n, use->epochs, by_rows ? use->rows : -1);
    if (share->rows < 0)
        return error_new(ERROR_RECIPE, use->epochs_at, "ask for no more rows than there are, or for epochs",
                         "rows of '%s' is %lld, but its split '%s' has %lld", share->task, (long long)use->rows, share->split,
                         (long long)split->n);
    if (!split->n)
        return error_new(ERROR_RECIPE, use->at, "leave it out of the mixture", "split '%s' of '%s' has no rows", share->split,
                         share->task);
    if (!share->rows)
        return error_new(ERROR_RECIPE, use->epochs_at, "raise epochs, or write rows: 1",
                         "epochs of '%s' is %g, which is none of the %lld rows of its split '%s'", share->task, use->epochs,
                         (long long)split->n, share->split);
    return NULL;
}

static void add_all(struct lengths *lengths, const struct split_rows *split, int64_t n_examples, int64_t max_tokens)
{
    for (int64_t i = 0; i < split->n && split->length; i++)
        lengths_add(lengths, cut(split->length[i], max_tokens), (double)n_examples / (double)split->n);
}

// split: of the entry, in the arena. learned: it is to be known which of its rows have a target.
static struct error *make_share(struct plan_share *share, struct split_rows *split, const struct plan *plan,
                                const struct graph_input *input, int64_t max_tokens, bool learned, struct lengths *lengths,
                                struct arena *arena)
{
    const struct mixture_use *use = input->use;
    *share = (struct plan_share){
        .task = use->task->name, .split = use->split->name, .rows = -1, .tokens = -1, .passes = NAN, .share = NAN};
    struct error *e = read_split(split, input->node, plan ? plan_of(plan, input->node) : NULL, learned ? max_tokens : 0, arena);
    bool by_rows = use->rows != FIELD_UNSET_INT;
    if (!by_rows)
        share->passes = use->epochs;
    if (!e && split->n >= 0) {
        e = count_rows(share, use, split);
        if (!e && split->length && share->rows <= SHARE_ROWS_MOST)
            e = count_tokens(split, share->rows, max_tokens, &share->tokens);
        if (!e)
            add_all(lengths, split, share->rows, max_tokens);
    } else if (!e && by_rows) {
        share->rows = use->rows;
    }
    return e;
}

// Inputs of the examples that have a target, in the order of the training; there are at most n of them.
static struct error *order_inputs(const struct plan_stage *s, const struct split_rows *splits, double share, int64_t n,
                                  int32_t **inputs, int64_t *n_inputs, struct arena *arena)
{
    const struct finetune_options *o = s->node->options;
    struct mixture_part *parts = arena_array(arena, (size_t)s->n_shares, sizeof *parts);
    struct task_rows *rows = arena_array(arena, (size_t)s->n_shares, sizeof *rows); // a mixture is opened by their number alone
    struct mixture m;
    *inputs = arena_array(arena, (size_t)n, sizeof **inputs);
    *n_inputs = 0;
    if (!parts || !rows || !*inputs)
        return error_memory();
    for (int i = 0; i < s->n_shares; i++) {
        const struct plan_share *of = &s->shares[i];
        rows[i] = (struct task_rows){.n = splits[i].n, .n_vocab = 1};
        double epochs = isnan(of->passes) || share < 1 ? (double)of->rows * share / (double)splits[i].n : of->passes;
        parts[i] = (struct mixture_part){.name = of->task, .rows = &rows[i], .epochs = epochs, .n_rows = -1};
    }
    struct error *e = mixture_open(&m, parts, s->n_shares, (uint64_t)o->seed, MIXTURE_SHUFFLED, arena);
    for (int64_t i = 0; !e && i < m.n && *n_inputs < n; i++) {
        struct mixture_example x = mixture_at(&m, i);
        const struct split_rows *split = &splits[x.part];
        if (split->is_learned[x.row])
            (*inputs)[(*n_inputs)++] = (int32_t)cut(split->length[x.row], o->seq_len) - 1;
    }
    return e;
}

// Rows of conversations that have a target: one each, or whole ones packed, where it is their order that says which fit together.
static struct error *count_whole(const struct plan_stage *s, const struct split_rows *splits, int64_t n_examples, bool is_packed,
                                 int64_t *n_rows)
{
    const struct finetune_options *o = s->node->options;
    struct arena scratch = {0};
    int64_t most = n_examples < PACKED_MOST ? n_examples : PACKED_MOST, n = 0;
    double share = (double)most / (double)n_examples;
    int32_t *inputs;
    struct error *e = order_inputs(s, splits, share, most, &inputs, &n, &scratch);
    if (!e && is_packed)
        e = whole_rows_count(inputs, n, o->seq_len, &n);
    *n_rows = e ? -1 : (int64_t)((double)n / share);
    arena_release(&scratch);
    return forgive(e);
}

void shares_sum(const struct plan_stage *s, int64_t *n_examples, int64_t *n_tokens)
{
    *n_examples = *n_tokens = s->n_shares ? 0 : -1;
    for (int i = 0; i < s->n_shares; i++) {
        const struct plan_share *share = &s->shares[i];
        if (*n_examples < 0 || share->rows < 0 || __builtin_add_overflow(*n_examples, share->rows, n_examples))
            *n_examples = -1;
        if (*n_tokens < 0 || share->tokens < 0 || __builtin_add_overflow(*n_tokens, share->tokens, n_tokens))
            *n_tokens = -1;
    }
}

// As stages/finetune.c makes them.
static struct error *count_training_rows(struct plan_stage *s, const struct split_rows *splits, int64_t n_examples,
                                         int64_t n_tokens)
{
    bool all_known = s->n_shares > 0;
    for (int i = 0; i < s->n_shares; i++)
        all_known = all_known && splits[i].is_learned && s->shares[i].rows > 0;
    s->training_rows = n_examples;
    if (s->node->kind != KIND_FINETUNE)
        return NULL;
    const struct finetune_options *o = s->node->options;
    enum finetune_form form = finetune_form(o);
    if (form == FINETUNE_FLAT)
        s->training_rows = n_tokens > 0 && o->seq_len > 0 ? (n_tokens - 1) / o->seq_len : -1;
    else if (all_known)
        return count_whole(s, splits, n_examples, form == FINETUNE_BEST_FIT, &s->training_rows);
    else if (form == FINETUNE_BEST_FIT)
        s->training_rows = -1;
    return NULL;
}

const struct mixture_uses *node_mixture(const struct graph_node *node)
{
    return node->kind == KIND_FINETUNE ? &((const struct finetune_options *)node->options)->mixture
           : node->kind == KIND_GRPO   ? &((const struct grpo_options *)node->options)->mixture
                                       : NULL;
}

// The entry with which there are too many examples; *n counts those before.
static struct error *check_size(const struct plan_share *share, const struct mixture_use *use, int64_t *n)
{
    bool fitted = *n <= SHARE_ROWS_MOST;
    if (share->rows > 0 && __builtin_add_overflow(*n, share->rows, n))
        *n = INT64_MAX;
    if (!fitted || *n <= SHARE_ROWS_MOST)
        return NULL;
    return error_new(ERROR_RECIPE, use->epochs_at, "lower it; `epochs` of the stage are passes over the whole mixture",
                     "the mixture has %lld examples with '%s', and holds %d at most", (long long)*n, share->task,
                     SHARE_ROWS_MOST);
}

// A mixture that cannot fill one batch, however long its conversations are, is told before anything is trained that it comes after: no
// example makes more than one row.
static struct error *check_batch(const struct plan_stage *s, int64_t n_examples)
{
    const struct graph_node *node = s->node;
    const struct finetune_options *tune = node->kind == KIND_FINETUNE ? node->options : NULL;
    const struct grpo_options *grpo = node->kind == KIND_GRPO ? node->options : NULL;
    int64_t steps = tune ? tune->steps : grpo ? grpo->steps : 1, batch = grpo ? grpo->rows : 0;
    if (tune && finetune_form(tune) == FINETUNE_A_ROW)
        batch = tune->rows;
    else if (tune && tune->seq_len > 0)
        batch = tune->batch_tokens / tune->seq_len;
    int64_t rows = s->training_rows >= 0 ? s->training_rows : n_examples;
    if (steps != FIELD_UNSET_INT || rows < 0 || rows >= batch)
        return NULL;
    return error_new(ERROR_RECIPE, node->stage->at, "mix in more, lower the batch, or give steps",
                     "the mixture makes %s%lld %s%s, fewer than the %lld of one update", s->training_rows < 0 ? "at most " : "",
                     (long long)rows, grpo ? "question" : "row", rows == 1 ? "" : "s", (long long)batch);
}

struct error *shares_make(const struct plan *plan, struct plan_stage *s, struct lengths *lengths, struct arena *arena)
{
    const struct graph_node *node = s->node;
    const struct mixture_uses *mixture = node_mixture(node);
    if (!mixture)
        return NULL;
    const struct finetune_options *o = node->kind == KIND_FINETUNE ? node->options : NULL;
    int64_t max_tokens = o && o->seq_len > 0 ? o->seq_len : INT64_MAX;
    bool learned = o && o->seq_len > 0 && finetune_form(o) != FINETUNE_FLAT; // in one stream no row has to have a target
    struct plan_share *shares = arena_array(arena, (size_t)node->n_inputs + 1, sizeof *shares);
    struct arena scratch = {0};
    struct split_rows *splits = arena_array(&scratch, (size_t)node->n_inputs + 1, sizeof *splits);
    int n = 0;
    int64_t n_asked = 0, n_examples, n_tokens;
    struct error *e = shares && splits ? NULL : error_memory();
    for (int i = 0; i < node->n_inputs && shares && splits; i++) {
        struct plan_share *share = &shares[n];
        if (!node->inputs[i].use)
            continue;
        // all of a mixture's errors at once
        e = error_append(e, make_share(share, &splits[n], plan, &node->inputs[i], max_tokens, learned, lengths, &scratch));
        e = error_append(e, check_size(share, node->inputs[i].use, &n_asked));
        n++;
    }
    s->shares = shares;
    s->n_shares = n;
    shares_sum(s, &n_examples, &n_tokens);
    for (int i = 0; i < n; i++)
        shares[i].share = n_tokens > 0     ? (double)shares[i].tokens / (double)n_tokens
                          : n_examples > 0 ? (double)shares[i].rows / (double)n_examples
                                           : NAN;
    if (!e)
        e = count_training_rows(s, splits, n_examples, n_tokens);
    if (!e)
        e = check_batch(s, n_examples);
    arena_release(&scratch);
    return error_while(e, node->stage->at, "planning stage '%s'", node->name);
}

struct error *shares_questions(const struct plan *plan, const struct plan_stage *s, struct lengths *lengths, int64_t *n_choices,
                               int64_t *n_written)
{
    const struct eval_options *o = s->node->options;
    struct error *e = NULL;
    *n_choices = *n_written = 0;
    for (int i = 0; i < s->node->n_inputs; i++) {
        const struct graph_input *input = &s->node->inputs[i];
        const struct mixture_use *use = input->use;
        struct arena scratch = {0};
        struct split_rows split;
        if (strcmp(input->role, "suite"))
            continue;
        struct error *failed = read_split(&split, input->node, plan ? plan_of(plan, input->node) : NULL, 0, &scratch);
        if (!failed && !split.n)
            failed = error_new(ERROR_RECIPE, use->at, "leave it out of the suites", "split '%s' of '%s' has no rows",
                               use->split->name, use->task->name);
        e = error_append(e, failed);
        int64_t *n = use->task->task.grader == GRADER_CHOICE ? n_choices : n_written;
        int64_t asked = o->examples != FIELD_UNSET_INT && (split.n < 0 || o->examples < split.n) ? o->examples : split.n;
        *n = *n < 0 || asked < 0 || __builtin_add_overflow(*n, asked, n) ? -1 : *n;
        if (!failed)
            add_all(lengths, &split, asked, lengths->most);
        arena_release(&scratch);
    }
    return e ? error_while(e, s->node->stage->at, "planning stage '%s'", s->node->name) : NULL;
}

struct error *shares_check(const struct graph_node *node, struct arena *arena)
{
    struct plan_stage stage = {.node = node};
    struct lengths lengths = {.most = 1};
    int64_t n_choices, n_written;
    return node->kind == KIND_EVAL ? shares_questions(NULL, &stage, &lengths, &n_choices, &n_written)
                                   : shares_make(NULL, &stage, &lengths, arena);
}
