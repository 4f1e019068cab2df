// graph.c - nodes are made depth first, each after its inputs, so the list is in an order that can be run.
//
// A visit of a written stage first visits what its fields name. A stage that is being visited while its own visit goes on
// closes a circle. Token nodes are made when the first reader asks for them; a reader marks the parts that it wants. A split of
// a task is read whole, so all parts of its node are wanted. Plans of rows are made when the first reader asks for them, too.
#include "runner/graph/graph.h"

#include <string.h>

enum { HELD_OUT_LEAST = 200, HELD_OUT_SHARE = 50 };

enum mark { MARK_NONE, MARK_OPEN, MARK_DONE };

struct builder {
    struct graph *graph;
    enum mark *marks; // one a written stage
    int capacity;
};

static struct error *visit(struct builder *b, const struct recipe_stage *stage);

static struct error *add_node(struct builder *b, struct graph_node **node)
{
    struct graph *g = b->graph;
    if (g->n_nodes == b->capacity) {
        int more = b->capacity ? 2 * b->capacity : 16;
        struct graph_node **nodes = arena_grow(g->arena, g->nodes, (size_t)g->n_nodes, (size_t)more, sizeof *nodes);
        if (!nodes)
            return error_memory();
        g->nodes = nodes;
        b->capacity = more;
    }
    *node = arena_alloc(g->arena, sizeof **node);
    if (!*node)
        return error_memory();
    g->nodes[g->n_nodes++] = *node;
    return NULL;
}

static struct error *add_use(struct graph *g, struct graph_node *node, const char *role, struct graph_node *input,
                             const struct mixture_use *use)
{
    struct graph_input *inputs =
        arena_grow(g->arena, node->inputs, (size_t)node->n_inputs, (size_t)node->n_inputs + 1, sizeof *inputs);
    if (!inputs)
        return error_memory();
    inputs[node->n_inputs++] = (struct graph_input){.role = role, .node = input, .step = -1, .use = use};
    node->inputs = inputs;
    return NULL;
}

static struct error *add_input(struct graph *g, struct graph_node *node, const char *role, struct graph_node *input)
{
    return add_use(g, node, role, input, NULL);
}

// Of a stage as it was named, perhaps with a step.
static struct error *add_model(struct graph *g, struct graph_node *node, const char *role, struct graph_node *input,
                               const char *name)
{
    size_t length;
    struct error *e = add_input(g, node, role, input);
    if (!e)
        node->inputs[node->n_inputs - 1].step = reference_step(name, &length);
    return e;
}

static struct error *find_source(const struct graph *g, const struct recipe_stage *stage, const char *name,
                                 const struct source **source)
{
    *source = name ? recipe_source(g->recipe, name) : NULL;
    if (*source)
        return NULL;
    return error_new(ERROR_RECIPE, stage->at, "name one of the sources", "stage '%s' reads a source '%s' that is not there",
                     stage->name, name ? name : "");
}

// The one node that a name of a stage leads to, made first if need be. A step in the name is another's matter.
static struct error *find_stage(struct builder *b, const struct recipe_stage *from, const char *name, struct graph_node **node)
{
    size_t length = 0;
    if (name && reference_step(name, &length) >= 0 && !(name = arena_strndup(b->graph->arena, name, length)))
        return error_memory();
    const struct recipe_stage *stage = name ? recipe_stage(b->graph->recipe, name) : NULL;
    if (!stage)
        return error_new(ERROR_RECIPE, from->at, "name one of the stages", "stage '%s' needs a stage '%s' that is not there",
                         from->name, name ? name : "");
    struct error *e = visit(b, stage);
    if (e)
        return e;
    *node = graph_find(b->graph, name);
    if (!*node)
        return error_new(ERROR_RECIPE, from->at, "name a stage that makes one result",
                         "stage '%s' needs '%s', which is several stages", from->name, name);
    return NULL;
}

static int64_t held_out_documents(int64_t documents)
{
    return documents / HELD_OUT_SHARE > HELD_OUT_LEAST ? documents / HELD_OUT_SHARE : HELD_OUT_LEAST;
}

static struct error *world_parts(struct graph *g, struct graph_node *node, const struct source *source)
{
    struct document_part part = {.form = DOCUMENT_WORLD,
                                 .path = source->files[0],
                                 .world = source->world,
                                 .seed = (uint64_t)source->seed,
                                 .n = source->documents};
    node->parts = arena_array(g->arena, 2, sizeof *node->parts);
    if (!node->parts)
        return error_memory();
    node->parts[node->n_parts++] = (struct graph_part){.part = part};
    if (source->validate == VALIDATE_HELD_OUT) {
        part.n = held_out_documents(source->documents);
        part.held_out = true;
        node->parts[node->n_parts++] = (struct graph_part){.part = part, .validation = true};
    }
    return NULL;
}

static const char *ending_of(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? dot : "";
}

// The file that a mix validates on, which is all that it reads itself.
static struct error *mix_parts(struct graph *g, struct graph_node *node, const struct source *mix)
{
    struct source_share *shares;
    int n;
    struct error *e = source_shares(g->recipe, mix, g->arena, &shares, &n);
    if (e)
        return e;
    node->parts = arena_array(g->arena, 1, sizeof *node->parts);
    if (!node->parts)
        return error_memory();
    for (int i = 0; i < n; i++) {
        const struct source *source = shares[i].source;
        if (source->form == DOCUMENT_WORLD || !source->n_files ||
            strcmp(ending_of(source->files[0]), ending_of(mix->validate_file)))
            continue;
        struct document_part part = {
            .form = source->form, .path = mix->validate_file, .column = source->column, .skip_bad = source->skip_bad};
        node->parts[node->n_parts++] = (struct graph_part){.part = part, .validation = true};
        return NULL;
    }
    return error_new(ERROR_RECIPE, mix->validate_at, "name a file of the same kind as one of its sources, or a source of it",
                     "'%s' is read as the files of the mix '%s' are, and none of these ends in '%s'", mix->validate_file,
                     mix->name, ending_of(mix->validate_file));
}

// Training parts in order, then the validation part.
static struct error *source_parts(struct graph *g, struct graph_node *node, const struct source *source)
{
    node->source = source;
    if (source->n_mix)
        return mix_parts(g, node, source);
    if (source->form == DOCUMENT_WORLD)
        return world_parts(g, node, source);
    const char *validation = source->validate == VALIDATE_FILE   ? source->validate_file
                             : source->validate == VALIDATE_LAST ? source->files[source->n_files - 1]
                                                                 : NULL;
    node->parts = arena_array(g->arena, (size_t)source->n_files + 1, sizeof *node->parts);
    if (!node->parts)
        return error_memory();
    struct document_part part = {.form = source->form, .column = source->column, .skip_bad = source->skip_bad};
    for (int i = 0; i < source->n_files; i++) {
        part.path = source->files[i];
        if (!validation || strcmp(part.path, validation))
            node->parts[node->n_parts++] = (struct graph_part){.part = part};
    }
    if (!node->n_parts)
        return error_new(ERROR_RECIPE, source->validate_at, "give more files, or validate: none",
                         "source '%s' has no file left for training", source->name);
    part.path = validation;
    if (validation)
        node->parts[node->n_parts++] = (struct graph_part){.part = part, .validation = true};
    return NULL;
}

static struct error *add_tokens(struct builder *b, struct graph_node *tokenizer, const char *source, struct graph_node **node)
{
    struct graph *g = b->graph;
    struct error *e = add_node(b, node);
    if (e)
        return e;
    struct tokens_options *options = arena_alloc(g->arena, sizeof *options);
    if (!options)
        return error_memory();
    *options = (struct tokens_options){.tokenizer = tokenizer->name, .source = source};
    (*node)->kind = KIND_TOKENS;
    (*node)->options = options;
    return add_input(g, *node, "tokenizer", tokenizer);
}

// The token node of a source under a tokenizer, made where it is not there yet.
static struct error *find_tokens(struct builder *b, const struct source *source, struct graph_node *tokenizer,
                                 struct graph_node **node)
{
    struct graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->kind == KIND_TOKENS && g->nodes[i]->source == source &&
            graph_input(g->nodes[i], "tokenizer") == tokenizer) {
            *node = g->nodes[i];
            return NULL;
        }
    struct error *e = add_tokens(b, tokenizer, source->name, node);
    return e ? e : source_parts(g, *node, source);
}

// Where a world's split begins: behind the splits before it, so that none has a row of another. What is held out is counted apart.
static int64_t first_row(const struct task_file *task, const struct task_split *split)
{
    int64_t first = 0;
    for (const struct task_split *before = task->splits; before < split; before++)
        first += before->held_out == split->held_out ? before->rows : 0;
    return first;
}

// A file a part; of a world its rows, in one. They come behind the parts that the node has.
static struct error *task_parts(struct graph *g, struct graph_node *node, const struct task_file *task,
                                const struct task_split *split, const struct mixture_use *use)
{
    struct document_part part = {.form = task->form, .skip_bad = task->skip_bad};
    node->parts = arena_grow(g->arena, node->parts, (size_t)node->n_parts, (size_t)(node->n_parts + split->n_files) + 1,
                             sizeof *node->parts);
    if (!node->parts)
        return error_memory();
    if (task->form == DOCUMENT_WORLD) {
        part.world = task->world;
        part.records = task->records;
        part.seed = (uint64_t)task->seed;
        part.first = first_row(task, split);
        part.n = split->rows;
        part.held_out = split->held_out;
    }
    for (int i = 0; i < split->n_files; i++) {
        part.path = split->files[i];
        node->parts[node->n_parts++] = (struct graph_part){.part = part, .wanted = true, .use = use};
    }
    return NULL;
}

static bool is_split(const struct graph_node *node, const struct task_file *task, const struct task_split *split)
{
    return node->task && !strcmp(node->task->shown, task->shown) && !strcmp(node->split->name, split->name);
}

// The token node of a task's split under a tokenizer, made where it is not there yet. Two tasks cannot have one name: their
// nodes could not be told apart.
static struct error *find_task_tokens(struct builder *b, const struct mixture_use *use, const struct task_split *split,
                                      struct graph_node *tokenizer, struct graph_node **node)
{
    struct graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct graph_node *there = g->nodes[i];
        if (there->task && there->task != use->task && !strcmp(there->task->shown, use->task->shown))
            return error_new(ERROR_RECIPE, use->at, "give one of them another name", "'%s' and '%s' are two tasks named '%s'",
                             there->task->path, use->task->path, use->task->name);
        if (is_split(there, use->task, split) && graph_input(there, "tokenizer") == tokenizer) {
            *node = g->nodes[i];
            return NULL;
        }
    }
    struct error *e = add_tokens(b, tokenizer, NULL, node);
    if (e)
        return e;
    (*node)->task = use->task;
    (*node)->split = split;
    return task_parts(g, *node, use->task, split, NULL);
}

static int64_t rows_length(const struct graph_node *node)
{
    return ((const struct rows_options *)node->options)->seq_len;
}

// The plan of rows of a token node's training or validation part, made where it is not there yet.
static struct error *find_rows(struct builder *b, struct graph_node *tokens, const char *role, int64_t seq_len,
                               struct graph_node **node)
{
    struct graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->kind == KIND_ROWS && graph_input(g->nodes[i], role) == tokens && rows_length(g->nodes[i]) == seq_len) {
            *node = g->nodes[i];
            return NULL;
        }
    struct error *e = add_node(b, node);
    struct rows_options *options = arena_alloc(g->arena, sizeof *options);
    if (e || !options)
        return error_first(e, error_memory());
    *options = (struct rows_options){.seq_len = seq_len};
    (*node)->kind = KIND_ROWS;
    (*node)->options = options;
    return add_input(g, *node, role, tokens);
}

// Of rows that are packed: the plan, as one more input.
static struct error *want_rows(struct builder *b, struct graph_node *reader, struct graph_node *tokens, const char *text,
                               const char *role, const char *packing, int64_t seq_len)
{
    struct graph_node *rows;
    if (!packing || strcmp(packing, "best_fit"))
        return NULL;
    struct error *e = find_rows(b, tokens, text, seq_len, &rows);
    return e ? e : add_input(b->graph, reader, role, rows);
}

// Links a reader to the training or the validation part of a token node; found = false where the source has no such part.
static struct error *want(struct graph *g, struct graph_node *reader, struct graph_node *tokens, bool validation, bool *found)
{
    *found = false;
    for (int i = 0; i < tokens->n_parts; i++)
        if (tokens->parts[i].validation == validation)
            *found = tokens->parts[i].wanted = true;
    return *found ? add_input(g, reader, validation ? "validation" : "tokens", tokens) : NULL;
}

// Each source of a mix, with its share; a source alone, or a mix of one, under "tokens".
static struct error *link_texts(struct builder *b, struct graph_node *node, const struct source *source,
                                struct graph_node *tokenizer)
{
    struct source_share *shares;
    struct graph_node **tokens;
    int n;
    bool found;
    struct error *e = source_shares(b->graph->recipe, source, b->graph->arena, &shares, &n);
    if (e)
        return e;
    if (!(tokens = arena_array(b->graph->arena, (size_t)n + 1, sizeof *tokens)))
        return error_memory();
    for (int i = 0; i < n; i++) {
        if ((e = find_tokens(b, shares[i].source, tokenizer, &tokens[i])) || (e = want(b->graph, node, tokens[i], false, &found)))
            return e;
        if (n > 1)
            node->inputs[node->n_inputs - 1] =
                (struct graph_input){.role = "mix", .node = tokens[i], .step = -1, .share = &shares[i]};
    }
    const struct pretrain_options *o = node->options;
    for (int i = 0; i < n && !e; i++)
        e = want_rows(b, node, tokens[i], "tokens", n > 1 ? "mix_rows" : "rows", o->packing, o->seq_len);
    return e;
}

// The validation text of a source, in rows of the packing that the model was trained on; found = false where it has none.
static struct error *link_validation(struct builder *b, struct graph_node *node, const struct source *source,
                                     struct graph_node *tokenizer, const char *packing, int64_t seq_len, bool *found)
{
    struct graph_node *tokens;
    *found = false;
    source = source_validation(b->graph->recipe, source);
    if (!source || source->validate == VALIDATE_NONE)
        return NULL;
    struct error *e = find_tokens(b, source, tokenizer, &tokens);
    if (!e)
        e = want(b->graph, node, tokens, true, found);
    return e || !*found ? e : want_rows(b, node, tokens, "validation", "validation_rows", packing, seq_len);
}

static struct error *link_pretrain(struct builder *b, struct graph_node *node)
{
    const struct pretrain_options *o = node->options;
    const struct source *source;
    struct graph_node *tokenizer, *from = NULL;
    bool found;
    struct error *e = find_source(b->graph, node->stage, o->source, &source);
    if (e || (e = find_stage(b, node->stage, o->tokenizer, &tokenizer)) ||
        (o->from && (e = find_stage(b, node->stage, o->from, &from))) ||
        (e = add_input(b->graph, node, "tokenizer", tokenizer)) || (e = link_texts(b, node, source, tokenizer)) ||
        (from && (e = add_model(b->graph, node, "from", from, o->from))))
        return e;
    return link_validation(b, node, source, tokenizer, o->packing, o->seq_len, &found);
}

// The pretraining or import that a model comes from.
static struct graph_node *origin_of(struct graph_node *model)
{
    while (model && model->kind != KIND_PRETRAIN && model->kind != KIND_IMPORT)
        model = graph_input(model, "model");
    return model;
}

// Of a model's rows: that of the last fine-tuning that says one, else of the pretraining.
static int64_t seq_len_of(const struct graph_node *model)
{
    for (; model->kind != KIND_PRETRAIN; model = graph_input(model, "model"))
        if (model->kind == KIND_FINETUNE && ((const struct finetune_options *)model->options)->seq_len > 0)
            return ((const struct finetune_options *)model->options)->seq_len;
    return ((const struct pretrain_options *)model->options)->seq_len;
}

// The only tokenizer that fits a model of that origin: an import brings its own.
static struct graph_node *tokenizer_of(struct graph_node *origin)
{
    return origin->kind == KIND_IMPORT ? origin : graph_input(origin, "tokenizer");
}

// Each entry under `role`, in the order of the recipe.
static struct error *link_uses(struct builder *b, struct graph_node *node, const char *role, const struct mixture_uses *uses,
                               struct graph_node *tokenizer)
{
    for (int i = 0; i < uses->n; i++) {
        const struct mixture_use *use = &uses->uses[i];
        struct graph_node *tokens;
        struct error *e = NULL;
        if (grader_is_prompted(use->task->task.grader)) // the rows themselves: what is asked depends on how many are
            e = task_parts(b->graph, node, use->task, use->split, use);
        else if (!(e = find_task_tokens(b, use, use->split, tokenizer, &tokens)))
            e = add_use(b->graph, node, role, tokens, use);
        if (e)
            return error_while(e, node->stage->at, "reading the tasks of stage '%s'", node->name);
    }
    return NULL;
}

// The test split of each different task that has one.
static struct error *link_tests(struct builder *b, struct graph_node *node, const struct mixture_uses *uses,
                                struct graph_node *tokenizer)
{
    for (int i = 0; i < uses->n; i++) {
        const struct task_split *test = task_split_find(uses->uses[i].task, "test");
        bool before = false;
        for (int k = 0; k < i; k++)
            before = before || uses->uses[k].task == uses->uses[i].task;
        if (!test || before)
            continue;
        struct graph_node *tokens;
        struct error *e = find_task_tokens(b, &uses->uses[i], test, tokenizer, &tokens);
        if (!e)
            e = add_input(b->graph, node, "test", tokens);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *link_training(struct builder *b, struct graph_node *node, const char *from,
                                   const struct mixture_uses *mixture, int64_t eval_every)
{
    struct graph_node *model, *tokenizer;
    struct error *e = find_stage(b, node->stage, from, &model);
    if (e || (e = add_model(b->graph, node, "model", model, from)))
        return e;
    tokenizer = tokenizer_of(origin_of(model));
    if ((e = add_input(b->graph, node, "tokenizer", tokenizer)) || (e = link_uses(b, node, "mixture", mixture, tokenizer)))
        return e;
    return eval_every > 0 ? link_tests(b, node, mixture, tokenizer) : NULL;
}

static struct error *link_eval(struct builder *b, struct graph_node *node)
{
    const struct eval_options *o = node->options;
    struct graph_node *model, *tokenizer;
    const char *name = o->model.n == 1 ? o->model.names[0] : NULL;
    struct error *e = find_stage(b, node->stage, name, &model);
    if (e || (e = add_model(b->graph, node, "model", model, name)))
        return e;
    const struct graph_node *base = origin_of(model);
    tokenizer = tokenizer_of(origin_of(model));
    if ((e = add_input(b->graph, node, "tokenizer", tokenizer)) || (e = link_uses(b, node, "suite", &o->tasks, tokenizer)))
        return e;
    bool bpb = false, found = false;
    for (int i = 0; i < o->suites.n; i++)
        bpb = bpb || !strcmp(o->suites.names[i], "bpb");
    if (!bpb)
        return NULL;
    // What the model's pretraining read is the default text; an import has none, as its reader has told, and rows of one stream.
    const struct pretrain_options *trained = base->kind == KIND_PRETRAIN ? base->options : NULL;
    const char *read = trained ? trained->source : NULL, *packing = trained ? trained->packing : NULL;
    const struct source *source;
    if ((e = find_source(b->graph, node->stage, o->source ? o->source : read, &source)) ||
        (e = link_validation(b, node, source, tokenizer, packing, packing ? seq_len_of(model) : 0, &found)))
        return e;
    if (!found)
        return error_new(ERROR_RECIPE, node->stage->at, "give the source `validate:`, or name another in `source:`",
                         "stage '%s' measures bpb, but source '%s' has no validation text", node->name, source->name);
    return NULL;
}

static struct error *link_node(struct builder *b, struct graph_node *node)
{
    const struct finetune_options *finetune = node->options;
    const struct grpo_options *grpo = node->options;
    const struct source *source;
    struct error *e = NULL;
    switch (node->kind) {
    case KIND_TOKENIZER:
        e = find_source(b->graph, node->stage, ((const struct tokenizer_options *)node->options)->source, &source);
        if (!e)
            e = source_parts(b->graph, node, source);
        if (!e && node->parts[node->n_parts - 1].validation)
            node->n_parts--;
        return e;
    case KIND_PRETRAIN:
        return link_pretrain(b, node);
    case KIND_EVAL:
        return link_eval(b, node);
    case KIND_FINETUNE:
        return link_training(b, node, finetune->model, &finetune->mixture, finetune->eval_every);
    case KIND_GRPO:
        return link_training(b, node, grpo->model, &grpo->mixture, grpo->eval_every);
    case KIND_TOKENS:
    case KIND_ROWS:
    case KIND_IMPORT:
    case KIND_COUNT:
        break;
    }
    return NULL;
}

// Inputs are visited before the node is listed: its links are made in a node of its own, which then takes its place at the end.
static struct error *make_node(struct builder *b, const struct recipe_stage *stage, const char *name, void *options)
{
    struct graph *g = b->graph;
    struct graph_node *made = arena_alloc(g->arena, sizeof *made), *listed;
    if (!made || !name)
        return error_memory();
    *made = (struct graph_node){.name = name, .kind = stage->kind, .stage = stage, .options = options};
    struct error *e = link_node(b, made);
    if (e || (e = add_node(b, &listed)))
        return e;
    *listed = *made;
    return NULL;
}

// A stage with a list of models becomes a stage a model.
static struct error *split_eval(struct builder *b, const struct recipe_stage *stage)
{
    struct arena *arena = b->graph->arena;
    const struct eval_options *o = stage->options;
    for (int i = 0; i < o->model.n; i++) {
        struct eval_options *one = arena_alloc(arena, sizeof *one);
        if (!one)
            return error_memory();
        *one = *o;
        one->model = (struct field_list){.n = 1, .names = o->model.names + i};
        struct error *e = make_node(b, stage, arena_printf(arena, "%s@%s", stage->name, o->model.names[i]), one);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *visit(struct builder *b, const struct recipe_stage *stage)
{
    enum mark *mark = &b->marks[stage - b->graph->recipe->stages];
    if (*mark == MARK_DONE)
        return NULL;
    if (*mark == MARK_OPEN)
        return error_new(ERROR_RECIPE, stage->at, "cut the circle: a stage can only need stages that do not need it",
                         "stage '%s' needs itself, through the stages that it names", stage->name);
    *mark = MARK_OPEN;
    const struct eval_options *eval = stage->kind == KIND_EVAL ? stage->options : NULL;
    struct error *e = eval && eval->model.n > 1 ? split_eval(b, stage) : make_node(b, stage, stage->name, stage->options);
    *mark = MARK_DONE;
    return e;
}

static bool same_text(const struct graph_node *a, const struct graph_node *b)
{
    return b->kind == KIND_TOKENS && a->source == b->source && (a->source || is_split(b, a->task, a->split));
}

// What two tokenizers read gives two token nodes, told apart by the tokenizer.
static struct error *name_tokens(struct graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        struct graph_node *node = g->nodes[i];
        int same = 0;
        if (node->kind != KIND_TOKENS)
            continue;
        for (int k = 0; k < g->n_nodes; k++)
            same += same_text(node, g->nodes[k]);
        const char *name = node->source ? arena_printf(g->arena, "%s.tokens", node->source->name)
                                        : arena_printf(g->arena, "%s.%s.tokens", node->task->shown, node->split->name);
        if (name && same > 1)
            name = arena_printf(g->arena, "%s@%s", name, graph_input(node, "tokenizer")->name);
        if (!(node->name = name))
            return error_memory();
    }
    return NULL;
}

// "web.rows", "web.val.rows": told apart as the tokens are, and by their length.
static struct error *name_rows(struct graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        struct graph_node *node = g->nodes[i];
        int lengths = 0;
        if (node->kind != KIND_ROWS)
            continue;
        const struct graph_input *text = &node->inputs[0];
        for (int k = 0; k < g->n_nodes; k++)
            lengths += g->nodes[k]->kind == KIND_ROWS && g->nodes[k]->inputs[0].node == text->node &&
                       !strcmp(g->nodes[k]->inputs[0].role, text->role);
        const char *source = text->node->source->name, *suffix = text->node->name + strlen(source) + strlen(".tokens");
        const char *part = strcmp(text->role, "tokens") ? "val." : "";
        const char *name = arena_printf(g->arena, "%s.%srows%s", source, part, suffix);
        if (name && lengths > 1)
            name = arena_printf(g->arena, "%s@%lld", name, (long long)rows_length(node));
        if (!(node->name = name))
            return error_memory();
    }
    return NULL;
}

struct error *graph_build(struct graph *graph, const struct recipe *recipe, struct arena *arena)
{
    *graph = (struct graph){.arena = arena, .recipe = recipe};
    struct builder b = {.graph = graph, .marks = arena_array(arena, (size_t)recipe->n_stages + 1, sizeof *b.marks)};
    if (!b.marks)
        return error_memory();
    for (int i = 0; i < recipe->n_stages; i++) {
        struct error *e = visit(&b, &recipe->stages[i]);
        if (e)
            return e;
    }
    struct error *e = name_tokens(graph);
    return e ? e : name_rows(graph);
}

struct graph_node *graph_find(const struct graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->name && !strcmp(graph->nodes[i]->name, name))
            return graph->nodes[i];
    return NULL;
}

struct graph_node *graph_input(const struct graph_node *node, const char *role)
{
    for (int i = 0; i < node->n_inputs; i++)
        if (!strcmp(node->inputs[i].role, role))
            return node->inputs[i].node;
    return NULL;
}

bool graph_left_out(const struct graph_node *node, const struct mixture_use *use)
{
    for (int i = 0; i < node->n_parts; i++)
        if (node->parts[i].use == use && node->parts[i].left_out)
            return true;
    return false;
}

const struct task_file *graph_python(const struct graph_node *node)
{
    bool grades = node->kind == KIND_EVAL || node->kind == KIND_GRPO;
    for (int i = 0; i < node->n_inputs && grades; i++) {
        const struct task_file *task = node->inputs[i].node->task;
        if (task && task->task.grader == GRADER_PYTHON_TESTS)
            return task;
    }
    return NULL;
}

bool graph_needs(const struct graph_node *node, const struct graph_node *other)
{
    if (node == other)
        return true;
    for (int i = 0; i < node->n_inputs; i++)
        if (graph_needs(node->inputs[i].node, other))
            return true;
    return false;
}
