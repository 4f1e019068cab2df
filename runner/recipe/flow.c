// flow.c - what flows along references beside names: sequence length, chat format, vocabulary, precision, validation text.
//
// Where two stages do not fit each other, the error stands where the later one says it, and names the line of the earlier.
#include "runner/recipe/reader.h"

#include <string.h>

#include "core/model/hf_config.h"
#include "runner/recipe/laws.h"

// The stage that another's weights begin with: itself where it makes them, else the stage of its `model`.
static int model_of(const struct recipe *recipe, int i)
{
    const struct recipe_stage *stage = &recipe->stages[i];
    const char *model = NULL;
    if (!stage->options)
        return -1;
    if (stage->kind == KIND_PRETRAIN || stage->kind == KIND_IMPORT)
        return i;
    if (stage->kind == KIND_FINETUNE)
        model = ((const struct finetune_options *)stage->options)->model;
    if (stage->kind == KIND_GRPO)
        model = ((const struct grpo_options *)stage->options)->model;
    return model ? stage_index(recipe, model) : -1;
}

// For each stage the pretraining or import that its model comes from, or -1, and the stage that trained it first: that pretraining, or
// the one behind the import. Chains are walked once, however many share them.
static void find_origins(struct reader *r)
{
    int n = r->recipe->n_stages;
    int *next = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *next));
    int *walk = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *walk)); // the walk that came by, counted from 1
    r->origins = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *r->origins));
    r->trained_first = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *r->trained_first));
    for (int i = 0; i < n && !r->no_memory; i++) {
        next[i] = model_of(r->recipe, i);
        r->origins[i] = next[i] == i ? i : -1;
        r->trained_first[i] = next[i] == i && r->recipe->stages[i].kind == KIND_PRETRAIN ? i : -1;
    }
    for (int start = 0; start < n && !r->no_memory; start++) {
        int i = start, last = -1;
        for (; i >= 0 && !walk[i] && next[i] != i; last = i, i = next[i])
            walk[i] = start + 1;
        // Met itself: a circle, which has no origin. Met another walk, or an origin: that one's.
        int origin = i >= 0 && walk[i] != start + 1 ? r->origins[i] : -1;
        int first = origin >= 0 && r->trained_first[i] < 0 ? last : origin >= 0 ? r->trained_first[i] : -1;
        for (i = start; i >= 0 && walk[i] == start + 1 && r->origins[i] < 0 && origin >= 0; i = next[i]) {
            r->origins[i] = origin;
            r->trained_first[i] = first;
        }
    }
}

// The pretraining that a model comes from, or NULL; *imported where it comes from an import.
static const struct recipe_stage *pretraining_of(const struct reader *r, const char *model, bool *imported)
{
    int i = model ? stage_index(r->recipe, model) : -1, origin = i < 0 ? -1 : r->origins[i];
    *imported = origin >= 0 && r->recipe->stages[origin].kind == KIND_IMPORT;
    return origin < 0 || *imported ? NULL : &r->recipe->stages[origin];
}

static const struct source *pretraining_source(const struct reader *r, const char *model, bool *imported)
{
    const struct recipe_stage *stage = pretraining_of(r, model, imported);
    const char *source = stage ? ((const struct pretrain_options *)stage->options)->source : NULL;
    return source ? recipe_source(r->recipe, source) : NULL;
}

// A batch that nobody gave: by the scaling law, where the vocabulary is known before the stage runs. What is wrong with the shape is told
// when it is planned.
static void resolve_batch(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    struct pretrain_options *o = stage->options;
    int i = o->tokenizer ? stage_index(r->recipe, o->tokenizer) : -1;
    const struct recipe_stage *from = i >= 0 ? &r->recipe->stages[i] : NULL;
    int64_t vocab =
        from && from->kind == KIND_TOKENIZER && from->options ? ((const struct tokenizer_options *)from->options)->vocab : -1;
    struct setting *batch = setting_of(stage, "batch_tokens");
    struct shape shape;
    struct scaling_law law;
    if (batch->by != BY_NOBODY || vocab <= 0 || o->seq_len <= 0)
        return;
    struct error *e = shape_of(&shape, o, vocab);
    if (e) {
        error_free(e);
        return;
    }
    batch->by = BY_DEFAULT;
    if ((e = law_of(&law, o, &shape))) {
        reader_error(
            r, error_while(error_new(e->kind, stage->at, e->fix, "%s", e->what), stage->at, "reading stage '%s'", stage->name));
        error_free(e);
        return;
    }
    o->batch_tokens = law.batch_tokens;
    if (o->tokens > 0 && o->tokens < o->batch_tokens)
        reader_error(r, error_new(ERROR_RECIPE, setting_of(stage, "tokens")->at, "train on more tokens, or write batch_tokens",
                                  "%lld tokens are less than one batch of %lld, which the scaling law says", (long long)o->tokens,
                                  (long long)o->batch_tokens));
}

static void inherit_real(const struct recipe_stage *stage, const char *field, double *to, double from)
{
    if (setting_of(stage, field)->by <= BY_DEFAULT)
        *to = from;
}

// In 2026 a fine-tuning goes on as the pretraining did: by its learning rates, where the optimizer is the same, and with its batches.
static void resolve_tuning_of_2026(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    struct finetune_options *o = stage->options;
    bool imported;
    const struct recipe_stage *origin = pretraining_of(r, o->model, &imported);
    const struct pretrain_options *from = origin ? origin->options : NULL;
    struct setting *batch = setting_of(stage, "batch_tokens");
    if (r->recipe->nanochat != 2026)
        return;
    if (from && is_2026(from->optimizer) == is_2026(o->optimizer)) {
        inherit_real(stage, "matrix_lr", &o->matrix_lr, from->matrix_lr);
        inherit_real(stage, "embedding_lr", &o->embedding_lr, from->embedding_lr);
        inherit_real(stage, "unembedding_lr", &o->unembedding_lr, from->unembedding_lr);
    }
    if (batch->by != BY_NOBODY || setting_of(stage, "rows")->by != BY_NOBODY)
        return;
    if (from && from->batch_tokens > 0) {
        if (from->seq_len > 0 && from->batch_tokens % from->seq_len)
            return; // which was told there
        batch->by = BY_DEFAULT;
        o->batch_tokens = from->batch_tokens;
    } else if (imported || (from && setting_of(origin, "batch_tokens")->by == BY_NOBODY)) {
        reader_error(
            r, error_new(ERROR_RECIPE, stage->at, "write batch_tokens: 524288, or rows: 32 for a conversation a row",
                         "stage '%s' does not say what an update is made of, and its model comes from no pretraining that does",
                         stage->name));
    }
}

// Where a model comes from, and how long the rows were that it learned from.
struct origin {
    const struct recipe_stage *stage; // a pretraining or an import; NULL: none
    int64_t seq_len;                  // 0: not known, the files of an import are not there
    const char *field;                // that says it
};

// The shape of a model that is imported; false where its files are not there, or cannot be read, which the import tells itself.
static bool imported_shape(const struct recipe_stage *import, struct shape *shape)
{
    const char *file = import->options ? ((const struct import_options *)import->options)->file : NULL;
    struct arena scratch = {0};
    *shape = (struct shape){0};
    struct error *e = file && hf_is_model(file) ? hf_config_read(file, shape, &scratch) : NULL;
    bool known = !e && shape->n_layer > 0;
    error_free(e);
    arena_release(&scratch);
    return known;
}

static struct origin origin_of(const struct reader *r, const char *model)
{
    int i = model ? stage_index(r->recipe, model) : -1, origin = i < 0 ? -1 : r->origins[i];
    const struct recipe_stage *stage = origin < 0 ? NULL : &r->recipe->stages[origin];
    struct origin from = {.stage = stage, .field = "seq_len"};
    if (stage && stage->kind == KIND_PRETRAIN && ((const struct pretrain_options *)stage->options)->seq_len > 0)
        from.seq_len = ((const struct pretrain_options *)stage->options)->seq_len;
    if (stage && stage->kind == KIND_IMPORT) {
        struct shape shape;
        from.field = "file";
        from.seq_len = imported_shape(stage, &shape) ? shape.seq_len : 0;
    }
    return from;
}

// Rows as long as those that the model learned from, unless the recipe says otherwise; and batches of whole rows.
static void resolve_rows_of_finetuning(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    struct finetune_options *o = stage->options;
    struct setting *seq_len = setting_of(stage, "seq_len");
    struct origin from = origin_of(r, o->model);
    if (seq_len->by == BY_NOBODY && from.seq_len) {
        seq_len->by = BY_DEFAULT;
        o->seq_len = from.seq_len;
    }
    if (o->batch_tokens <= 0 || o->seq_len <= 0 || o->batch_tokens % o->seq_len == 0)
        return;
    const struct setting *batch = stage_setting(stage, "batch_tokens");
    struct error *e =
        error_new(ERROR_RECIPE, batch->at.file ? batch->at : stage->at, "take a multiple of seq_len",
                  "batch_tokens %lld is not a multiple of seq_len %lld", (long long)o->batch_tokens, (long long)o->seq_len);
    struct place at = seq_len->by != BY_DEFAULT ? seq_len->at : stage_setting(from.stage, from.field)->at;
    reader_error(r, error_while(e,
                                at.file      ? at
                                : from.stage ? from.stage->at
                                             : stage->at,
                                "cutting batches into rows of seq_len"));
}

static bool reads_bpb(const struct eval_options *o)
{
    bool bpb = false;
    for (int i = 0; i < o->suites.n; i++)
        bpb |= strcmp(o->suites.names[i], "bpb") == 0;
    return bpb;
}

static void check_validation_of_eval(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    const struct eval_options *o = stage->options;
    for (int i = 0; reads_bpb(o) && i < (o->source ? 1 : o->model.n); i++) {
        bool imported = false;
        const struct source *source =
            o->source ? recipe_source(r->recipe, o->source) : pretraining_source(r, o->model.names[i], &imported);
        struct place at = stage_setting(stage, o->source ? "source" : "suites")->at;
        if (imported)
            reader_error(r, error_new(ERROR_RECIPE, at, "write source: NAME",
                                      "'%s' is imported: bpb needs a source to validate on", o->model.names[i]));
        source = source ? source_validation(r->recipe, source) : NULL;
        if (!imported && source && source->validate == VALIDATE_NONE && source->validate_at.file)
            reader_error(r, error_while(error_new(ERROR_RECIPE, at, "give the source a validation text, or name another source",
                                                  "source '%s' has no validation text for bpb", source->name),
                                        source->validate_at, "looking at source '%s'", source->name));
    }
}

// A pretraining without validation text has nothing to look at every so often.
static void check_validation_of_pretraining(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    struct pretrain_options *o = stage->options;
    const struct source *named = o->source ? recipe_source(r->recipe, o->source) : NULL;
    const struct source *source = named ? source_validation(r->recipe, named) : NULL;
    const struct setting *every = stage_setting(stage, "eval_every");
    if (!source || source->validate != VALIDATE_NONE || !source->validate_at.file || !every || o->eval_every <= 0)
        return;
    if (every->by == BY_DEFAULT)
        o->eval_every = 0;
    else
        reader_error(r,
                     error_while(error_new(ERROR_RECIPE, every->at, "give the source a validation text, or write eval_every: 0",
                                           "source '%s' has no validation text", source->name),
                                 source->validate_at, "looking at source '%s'", source->name));
}

static const struct setting *given(const struct recipe_stage *stage, const char *field)
{
    const struct setting *setting = stage_setting(stage, field);
    return setting && setting->by > BY_DEFAULT ? setting : NULL;
}

// Where a value stands: its own place, or that of the stage that leaves it to its default.
static struct place place_of(const struct recipe_stage *stage, const char *field)
{
    const struct setting *setting = given(stage, field);
    return setting ? setting->at : stage->at;
}

// A model has learned positions up to the length of the rows that it was pretrained on.
static void check_rows_of_finetuning(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    const struct finetune_options *o = stage->options;
    struct origin from = origin_of(r, o->model);
    if (!from.seq_len || o->seq_len <= from.seq_len)
        return;
    struct error *e =
        error_new(ERROR_RECIPE, place_of(stage, "seq_len"), "write at most that of the pretraining, or leave it out",
                  "seq_len %lld of stage '%s' is longer than the %lld that its model was pretrained on", (long long)o->seq_len,
                  stage->name, (long long)from.seq_len);
    reader_error(r, error_while(e, place_of(from.stage, from.field), "following its model to '%s'", from.stage->name));
}

static const char **precision_of(const struct recipe_stage *stage)
{
    return stage->kind == KIND_PRETRAIN   ? &((struct pretrain_options *)stage->options)->precision
           : stage->kind == KIND_FINETUNE ? &((struct finetune_options *)stage->options)->precision
           : stage->kind == KIND_GRPO     ? &((struct grpo_options *)stage->options)->precision
                                          : &((struct eval_options *)stage->options)->precision;
}

// One precision from the pretraining on: who says none, and reads this model first of all, has that one.
static void resolve_precision(struct reader *r, int user, const char *model, bool is_first)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    int i = stage_index(r->recipe, model ? model : ""), first = i < 0 ? -1 : r->trained_first[i];
    const struct recipe_stage *from = first < 0 ? NULL : &r->recipe->stages[first];
    const char *trained = from ? *precision_of(from) : NULL, **asked = precision_of(stage);
    if (trained && is_first && !given(stage, "precision"))
        *asked = trained;
    if (!trained || !*asked || !strcmp(*asked, trained))
        return;
    if (!given(stage, "precision")) {
        reader_error(r, error_while(error_new(ERROR_RECIPE, stage->at, "evaluate the others in a stage of their own",
                                              "stage '%s' computes in %s as its first model, and '%s' was trained in %s",
                                              stage->name, *asked, model, trained),
                                    place_of(from, "precision"), "following its model to '%s'", from->name));
        return;
    }
    struct error *e = error_new(ERROR_RECIPE, place_of(stage, "precision"), "write the same, or leave it out",
                                "precision of stage '%s' is %s, and its model was trained in %s", stage->name, *asked, trained);
    reader_error(r, error_while(e, place_of(from, "precision"), "following its model to '%s'", from->name));
}

// The length of a model's rows: that of the last stage that says one.
static int64_t seq_len_of(const struct reader *r, const char *model, const struct recipe_stage **by)
{
    const struct recipe *recipe = r->recipe;
    int i = model ? stage_index(recipe, model) : -1;
    for (int steps = 0; i >= 0 && steps < recipe->n_stages; steps++) {
        *by = &recipe->stages[i];
        if ((*by)->kind == KIND_PRETRAIN && (*by)->options)
            return ((const struct pretrain_options *)(*by)->options)->seq_len;
        if ((*by)->kind == KIND_IMPORT)
            return origin_of(r, (*by)->name).seq_len;
        if ((*by)->kind == KIND_FINETUNE && (*by)->options && ((const struct finetune_options *)(*by)->options)->seq_len > 0)
            return ((const struct finetune_options *)(*by)->options)->seq_len;
        int next = model_of(recipe, i);
        i = next == i ? -1 : next;
    }
    return -1;
}

static void check_eval_of_model(struct reader *r, int user, const char *model, bool first)
{
    const struct recipe_stage *stage = &r->recipe->stages[user], *by = NULL;
    const struct eval_options *o = stage->options;
    int i = stage_index(r->recipe, model);
    resolve_precision(r, user, model, first);
    const struct mixture_use *chat = first_chat(&o->tasks);
    if (chat && i >= 0 && r->recipe->stages[i].kind == KIND_PRETRAIN) {
        struct error *e = error_new(ERROR_RECIPE, chat->at,
                                    "evaluate a finetune or grpo stage, or keep to bpb and what is asked as text, as core",
                                    "task '%s' is asked in a chat, and '%s' has never seen one", chat->task->name, model);
        reader_error(r, error_while(e, r->recipe->stages[i].at, "following the model to '%s'", model));
    }
    int64_t seq_len = seq_len_of(r, model, &by);
    if (reads_bpb(o) && given(stage, "eval_tokens") && o->eval_tokens > 0 && o->eval_tokens < seq_len) {
        struct error *e =
            error_new(ERROR_RECIPE, place_of(stage, "eval_tokens"), "measure on at least one row of seq_len tokens",
                      "eval_tokens %lld is less than one row of %lld", (long long)o->eval_tokens, (long long)seq_len);
        reader_error(r, error_while(e, place_of(by, by->kind == KIND_IMPORT ? "file" : "seq_len"), "following the model to '%s'",
                                    by->name));
    }
}

static const char *const shape_fields[] = {"n_layer", "n_embd", "n_head", "n_kv_head", "head_dim", "n_mlp"};
static const char *const shape_others[] = {"depth", "aspect"}; // what sizes come from
static const char *const shape_texts[] = {"architecture", "window_pattern",
                                          "optimizer"}; // the last is no size, but has moments of its own

static const char **text_of(const struct recipe_stage *stage, const char *field)
{
    return (const char **)(void *)((char *)stage->options + field_find(stage->kind, field)->offset);
}

static int64_t *int_of(const struct recipe_stage *stage, const char *field)
{
    return (int64_t *)(void *)((char *)stage->options + field_find(stage->kind, field)->offset);
}

// The stage of that kind that a pretraining begins from, or NULL.
static const struct recipe_stage *from_of(const struct reader *r, const struct recipe_stage *stage, enum stage_kind_id kind)
{
    const char *from =
        stage->kind == KIND_PRETRAIN && stage->options ? ((const struct pretrain_options *)stage->options)->from : NULL;
    int i = from ? stage_index(r->recipe, from) : -1;
    const struct recipe_stage *parent = i < 0 ? NULL : &r->recipe->stages[i];
    return parent && parent != stage && parent->kind == kind && parent->options ? parent : NULL;
}

// The pretraining that a pretraining goes on from, or NULL.
static const struct recipe_stage *parent_of(const struct reader *r, const struct recipe_stage *stage)
{
    return from_of(r, stage, KIND_PRETRAIN);
}

static void set_size(const struct recipe_stage *stage, const char *field, int64_t value)
{
    *int_of(stage, field) = value;
    setting_of(stage, field)->by = value == FIELD_UNSET_INT ? BY_NOBODY : BY_DEFAULT;
}

static void inherit_size(const struct recipe_stage *stage, const struct recipe_stage *parent, const char *field)
{
    set_size(stage, field, *int_of(parent, field));
}

static void set_default(struct reader *r, const struct recipe_stage *stage, const char *name)
{
    const struct field *field = field_find(stage->kind, name);
    reader_error(r, field_set(stage->options, field, &field->def_2025, 1, stage->at, r->arena));
}

// Sizes of shape_fields, in that order, as a shape has them.
static void sizes_of(const struct shape *shape, int64_t sizes[countof(shape_fields)])
{
    const int all[] = {shape->n_layer, shape->n_embd, shape->n_head, shape->n_kv_head, shape->head_dim, shape->n_mlp};
    for (size_t i = 0; i < countof(shape_fields); i++)
        sizes[i] = all[i];
}

// What a pretraining that begins with an import leaves out is as it is there; where that cannot be read yet, not known.
static void inherit_import(const struct recipe_stage *stage, const struct recipe_stage *import, bool sized)
{
    struct shape shape;
    struct pretrain_options *o = stage->options;
    bool known = imported_shape(import, &shape);
    int64_t sizes[countof(shape_fields)];
    sizes_of(&shape, sizes);
    for (size_t i = 0; i < countof(shape_fields) && !sized; i++)
        set_size(stage, shape_fields[i], known ? sizes[i] : FIELD_UNSET_INT);
    for (size_t i = 0; i < countof(shape_others) && !sized; i++)
        set_size(stage, shape_others[i], FIELD_UNSET_INT);
    if (!given(stage, "architecture"))
        o->architecture = "2025";
    if (!given(stage, "window_pattern"))
        o->window_pattern = "L";
    if (!given(stage, "seq_len") && known)
        set_size(stage, "seq_len", shape.seq_len);
}

// What a pretraining that goes on from another leaves out is as it is there: sizes, length of rows, precision. Parents come first.
static void inherit(struct reader *r, const struct recipe_stage *stage, int deep)
{
    const struct recipe_stage *parent = parent_of(r, stage), *import = from_of(r, stage, KIND_IMPORT);
    struct pretrain_options *o = stage->options;
    bool sized = given(stage, "depth") || given(stage, "aspect") || given(stage, "architecture");
    if (!o->from || deep > r->recipe->n_stages) // too deep: a circle, which is told elsewhere
        return;
    if (parent)
        inherit(r, parent, deep + 1);
    for (size_t i = 0; i < countof(shape_fields); i++)
        sized |= given(stage, shape_fields[i]) != NULL;
    for (size_t i = 0; i < countof(shape_fields) && parent && !sized; i++)
        inherit_size(stage, parent, shape_fields[i]);
    for (size_t i = 0; i < countof(shape_others) && parent && !sized; i++)
        inherit_size(stage, parent, shape_others[i]);
    for (size_t i = 0; i < 2 && parent; i++)
        if (!given(stage, shape_texts[i]) && (i > 0 || !sized))
            *text_of(stage, shape_texts[i]) = *text_of(parent, shape_texts[i]);
    if (import)
        inherit_import(stage, import, sized);
    const char *parents = parent ? ((const struct pretrain_options *)parent->options)->precision : NULL;
    if (!given(stage, "precision") && parents)
        o->precision = parents;
    else if (!o->precision)
        set_default(r, stage, "precision");
    if (!given(stage, "seq_len") && parent && *int_of(parent, "seq_len") != FIELD_UNSET_INT)
        inherit_size(stage, parent, "seq_len");
    else if (o->seq_len == FIELD_UNSET_INT && !import) // that of an import is known when its files are there
        set_default(r, stage, "seq_len");
}

// What the reader of stages holds against seq_len where that is written.
static void check_rows_of_branch(struct reader *r, const struct recipe_stage *stage)
{
    const struct pretrain_options *o = stage->options;
    const struct recipe_stage *parent = parent_of(r, stage), *by = given(stage, "seq_len") || !parent ? stage : parent;
    struct error *e = NULL;
    if (!o->from || given(stage, "seq_len") || o->seq_len <= 0 || o->batch_tokens <= 0)
        return;
    if (o->batch_tokens % o->seq_len)
        e = error_new(ERROR_RECIPE, place_of(stage, "batch_tokens"), "take a multiple of seq_len",
                      "batch_tokens %lld is not a multiple of seq_len %lld", (long long)o->batch_tokens, (long long)o->seq_len);
    else if (o->eval_every > 0 && o->eval_tokens > 0 && o->eval_tokens < o->seq_len)
        e = error_new(ERROR_RECIPE, place_of(stage, "eval_tokens"), "measure on at least one row of seq_len tokens",
                      "eval_tokens %lld is less than one row of %lld", (long long)o->eval_tokens, (long long)o->seq_len);
    reader_error(r, error_while(e, place_of(by, "seq_len"), "cutting text into rows of seq_len"));
}

// Weights to begin with know one vocabulary, and have their sizes.
static void check_from(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user], *parent = parent_of(r, stage);
    const struct pretrain_options *o = stage->options;
    const char *theirs = parent ? ((const struct pretrain_options *)parent->options)->tokenizer : NULL;
    if (theirs && o->tokenizer && strcmp(theirs, o->tokenizer)) {
        struct error *e =
            error_new(ERROR_RECIPE, place_of(stage, "tokenizer"), "take the tokenizer of the stage that it goes on from",
                      "stage '%s' has the vocabulary of '%s', and '%s' that of '%s'", stage->name, o->tokenizer, o->from, theirs);
        reader_error(r, error_while(e, place_of(parent, "tokenizer"), "following from to '%s'", parent->name));
    }
    for (size_t i = 0; i < countof(shape_fields) && parent; i++) {
        int64_t mine = *int_of(stage, shape_fields[i]), its = *int_of(parent, shape_fields[i]);
        if (mine == its || mine == FIELD_UNSET_INT || its == FIELD_UNSET_INT)
            continue;
        const char *said = given(stage, "depth") ? "depth" : shape_fields[i],
                   *said_there = given(parent, "depth") ? "depth" : shape_fields[i];
        struct error *e = error_new(ERROR_RECIPE, place_of(stage, said),
                                    "leave the sizes out: they are those of the stage that it goes on from",
                                    "%s of stage '%s' is %lld, and that of '%s' is %lld", shape_fields[i], stage->name,
                                    (long long)mine, o->from, (long long)its);
        reader_error(r, error_while(e, place_of(parent, said_there), "following from to '%s'", parent->name));
        return;
    }
    for (size_t i = 0; i < countof(shape_texts) && parent; i++) {
        const char *mine = *text_of(stage, shape_texts[i]), *its = *text_of(parent, shape_texts[i]);
        if (!mine || !its || !strcmp(mine, its))
            continue;
        struct error *e =
            error_new(ERROR_RECIPE, place_of(stage, shape_texts[i]), "leave it out: it is that of the stage that it goes on from",
                      "%s of stage '%s' is %s, and that of '%s' is %s", shape_texts[i], stage->name, mine, o->from, its);
        reader_error(r, error_while(e, place_of(parent, shape_texts[i]), "following from to '%s'", parent->name));
        return;
    }
}

// The same of an import: its vocabulary, its sizes, and that its architecture is that of 2025.
static void check_from_import(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user], *import = from_of(r, stage, KIND_IMPORT);
    const struct pretrain_options *o = stage->options;
    struct error *e = NULL;
    struct shape shape;
    int64_t sizes[countof(shape_fields)];
    if (!import)
        return;
    if (o->tokenizer && strcmp(o->tokenizer, import->name))
        e = error_new(ERROR_RECIPE, place_of(stage, "tokenizer"), "take the import for the tokenizer, too",
                      "stage '%s' has the vocabulary of '%s', and '%s' brings its own", stage->name, o->tokenizer, import->name);
    else if (is_2026(o->architecture))
        e = error_new(ERROR_RECIPE, place_of(stage, "architecture"), "leave it out",
                      "architecture of stage '%s' is 2026, and '%s' is a model of 2025", stage->name, import->name);
    else if (o->window_pattern && o->window_pattern[strspn(o->window_pattern, "L")])
        e = error_new(ERROR_RECIPE, place_of(stage, "window_pattern"), "leave it out",
                      "window_pattern of stage '%s' is %s, and all layers of '%s' see all", stage->name, o->window_pattern,
                      import->name);
    bool known = imported_shape(import, &shape);
    sizes_of(&shape, sizes);
    for (size_t i = 0; i < countof(shape_fields) && known && !e; i++) {
        int64_t mine = *int_of(stage, shape_fields[i]);
        if (mine == sizes[i] || mine == FIELD_UNSET_INT)
            continue;
        e = error_new(ERROR_RECIPE, place_of(stage, given(stage, "depth") ? "depth" : shape_fields[i]),
                      "leave the sizes out: they are those of the model that it begins with",
                      "%s of stage '%s' is %lld, and that of '%s' is %lld", shape_fields[i], stage->name, (long long)mine,
                      import->name, (long long)sizes[i]);
    }
    reader_error(r, error_while(e, place_of(import, "file"), "following from to '%s'", import->name));
}

// Moments can be had of a training by the same optimizer.
static void resolve_moments(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user], *parent = NULL;
    struct finetune_options *o = stage->options;
    int i = o->model ? stage_index(r->recipe, o->model) : -1;
    if (!takes_moments(o) || i < 0 || i == user || !(parent = &r->recipe->stages[i])->options)
        return;
    const char *its = parent->kind == KIND_PRETRAIN   ? ((const struct pretrain_options *)parent->options)->optimizer
                      : parent->kind == KIND_FINETUNE ? ((const struct finetune_options *)parent->options)->optimizer
                                                      : NULL;
    if (its && is_2026(its) == is_2026(o->optimizer))
        return;
    if (!given(stage, "moments")) {
        o->moments = "fresh";
        return;
    }
    struct error *e = error_new(ERROR_RECIPE, place_of(stage, "moments"), "write fresh, or leave it out",
                                its ? "stage '%s' takes the moments of '%s', which has another optimizer"
                                    : "stage '%s' takes the moments of '%s', which has none",
                                stage->name, o->model);
    reader_error(r,
                 error_while(e, its ? place_of(parent, "optimizer") : parent->at, "following its model to '%s'", parent->name));
}

void flow_check(struct reader *r)
{
    find_origins(r);
    for (int i = 0; i < r->n_own && !r->no_memory; i++)
        if (r->recipe->stages[i].kind == KIND_PRETRAIN && r->recipe->stages[i].options)
            inherit(r, &r->recipe->stages[i], 0);
    for (int i = 0; i < r->n_own && !r->no_memory; i++)
        if (r->recipe->stages[i].kind == KIND_PRETRAIN && r->recipe->stages[i].options)
            resolve_batch(r, i);
    for (int i = 0; i < r->n_own && !r->no_memory; i++) {
        const struct recipe_stage *stage = &r->recipe->stages[i];
        const struct eval_options *eval = stage->options;
        if (!stage->options)
            continue;
        switch (stage->kind) {
        case KIND_PRETRAIN:
            check_validation_of_pretraining(r, i);
            check_rows_of_branch(r, stage);
            check_from(r, i);
            check_from_import(r, i);
            break;
        case KIND_FINETUNE:
            resolve_tuning_of_2026(r, i);
            resolve_moments(r, i);
            resolve_rows_of_finetuning(r, i);
            check_rows_of_finetuning(r, i);
            resolve_precision(r, i, ((const struct finetune_options *)stage->options)->model, true);
            break;
        case KIND_GRPO:
            resolve_precision(r, i, ((const struct grpo_options *)stage->options)->model, true);
            break;
        case KIND_EVAL:
            check_validation_of_eval(r, i);
            for (int k = 0; k < eval->model.n && !reader_full(r); k++)
                check_eval_of_model(r, i, eval->model.names[k], k == 0);
            break;
        default:
            break;
        }
    }
}
