// stages.c - a stage's map to the options of its kind: what was written, then what follows from it, then defaults.
//
// 1. Of fields that exclude each other (steps, tokens, flops, ratio; depth and the six of the shape; batch_tokens and rows; warmup and
//    warmup_steps) the layer nearest to the user decides: -s over recipe over preset. Two of one layer are an error with both lines.
// 2. A default is that of the row of `nanochat:`, but what an architecture or an optimizer asks for is of the row of its own year, so that
//    either can be taken alone from the other year.
// 3. Every field's setting says who set it; a field that was given, but wrongly, is given: nothing is said twice.
#include "runner/recipe/matrix.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/model/hf_config.h"
#include "core/model/shape.h"
#include "runner/recipe/laws.h"

struct stage_reader {
    struct reader *r;
    struct recipe_stage *stage;
    const struct node *node;
};

struct setting *setting_of(const struct recipe_stage *stage, const char *field)
{
    for (int i = 0; i < stage->n_settings; i++)
        if (strcmp(stage->settings[i].field->name, field) == 0)
            return &stage->settings[i];
    return NULL;
}

static bool is_given(const struct setting *setting)
{
    return setting->by > BY_DEFAULT;
}

// Where an error about a field stands: its value, or the stage that leaves it to its default.
static struct place place_of(const struct stage_reader *s, const char *field)
{
    const struct setting *setting = setting_of(s->stage, field);
    return setting && is_given(setting) ? setting->at : s->stage->at;
}

void stage_error(struct reader *r, const struct recipe_stage *stage, struct error *e)
{
    if (e && e != error_memory() && (e->at.line != stage->at.line || strcmp(e->at.file, stage->at.file)))
        e = error_while(e, stage->at, "reading stage '%s'", stage->name);
    reader_error(r, e);
}

static void report(struct stage_reader *s, struct error *e)
{
    stage_error(s->r, s->stage, e);
}

static bool takes_list(enum field_type type)
{
    return type == FIELD_INTS || type == FIELD_NAMES || type == FIELD_STAGES;
}

// A stage of another recipe under its name here; other texts as they are. NULL: reported.
static const char *stage_name(struct stage_reader *s, const struct field *field, const struct node *node, const char *text)
{
    bool stage = field->type == FIELD_STAGE || field->type == FIELD_STAGES;
    return stage && strchr(text, ':') ? other_stage(s->r, field, node, text) : text;
}

// One value after the other, each error at its own place, then the list as a whole.
static void read_list(struct stage_reader *s, const struct setting *setting, const struct node *list)
{
    const char **texts = reader_have(s->r, arena_array(s->r->arena, (size_t)list->n, sizeof *texts));
    int n = 0;
    bool wrong = false;
    for (const struct node *c = list->first; c && texts && !reader_full(s->r); c = c->next) {
        const char *text = scalar_text(s->r, c, setting->field->name);
        text = text ? stage_name(s, setting->field, c, text) : NULL;
        struct error *e = text ? field_set(s->stage->options, setting->field, &text, 1, c->at, s->r->arena) : NULL;
        report(s, e);
        wrong |= !text || e;
        if (text)
            texts[n++] = text;
    }
    if (texts && !wrong)
        report(s, field_set(s->stage->options, setting->field, texts, n, list->at, s->r->arena));
}

static void read_field(struct stage_reader *s, struct setting *setting, const struct node *node)
{
    const struct field *field = setting->field;
    setting->by = node_by(node);
    setting->layer = node_layer(node);
    setting->at = node->at;
    if (!field->built && kind_built(s->stage->kind)) // its value is read all the same: what is wrong with it is told, too
        report(s, error_new(ERROR_NOT_BUILT, node->key_at, "take it out", "'%s' of a %s stage is not built in this version",
                            field->name, kind_name(s->stage->kind)));
    if (field->type == FIELD_MIXTURE) {
        mixture_read(s->r, s->stage, field, node);
        return;
    }
    if (node->kind == NODE_LIST && takes_list(field->type)) {
        read_list(s, setting, node);
        return;
    }
    const char *text = scalar_text(s->r, node, field->name);
    if (text && field->type == FIELD_FILE)
        text = node_file(s->r, node, text);
    text = text ? stage_name(s, field, node, text) : NULL;
    struct error *e = text ? field_set(s->stage->options, field, &text, 1, node->at, s->r->arena) : NULL;
    if (e && e->kind == ERROR_NOT_BUILT &&
        field->type == FIELD_CHOICE) // what else is said of it, is said of a word of the language
        *(const char **)(void *)((char *)s->stage->options + field->offset) = text;
    report(s, e);
}

static void set_default(struct stage_reader *s, struct setting *setting, const char *text)
{
    setting->by = BY_DEFAULT;
    struct error *e = field_set(s->stage->options, setting->field, &text, 1, s->stage->at, s->r->arena);
    // What is not built needs no word here: the stage ends with status 4 anyway.
    if (e && e->kind == ERROR_NOT_BUILT)
        error_free(e);
    else
        report(s, e);
}

// What a field of the stage that takes a year says, or is about to.
static int64_t year_of(const struct stage_reader *s, const char *field)
{
    const struct setting *setting = setting_of(s->stage, field);
    const char *text = setting ? *(const char *const *)((const char *)s->stage->options + setting->field->offset) : NULL;
    return !text ? s->r->recipe->nanochat : is_2026(text) ? 2026 : 2025;
}

static const char *default_of(const struct stage_reader *s, const struct field *field)
{
    static const char *const of_architecture[] = {"aspect", "window_pattern", "ratio"};
    static const char *const of_optimizer[] = {"matrix_lr", "embedding_lr", "unembedding_lr", "scalar_lr", "weight_decay"};
    int64_t year = s->r->recipe->nanochat;
    if (is_name_among(field->name, of_architecture, countof(of_architecture)))
        year = year_of(s, "architecture");
    if (is_name_among(field->name, of_optimizer, countof(of_optimizer)))
        year = year_of(s, "optimizer");
    return field_of_year(field, year);
}

static void set_int_default(struct stage_reader *s, const char *name, int64_t *to, int64_t value)
{
    struct setting *setting = setting_of(s->stage, name);
    if (is_given(setting))
        return;
    *to = value;
    setting->by = BY_DEFAULT;
}

static int layer(const struct setting *setting)
{
    return (int)setting->layer;
}

// Unsets all of the names whose layer is below `keep`.
static void drop_below(struct stage_reader *s, const char *const *names, int n, int keep)
{
    for (int i = 0; i < n; i++) {
        struct setting *setting = setting_of(s->stage, names[i]);
        if (!is_given(setting) || layer(setting) >= keep)
            continue;
        void *to = (char *)s->stage->options + setting->field->offset;
        if (setting->field->type == FIELD_INT)
            *(int64_t *)to = FIELD_UNSET_INT;
        else
            *(double *)to = NAN;
        *setting = (struct setting){.field = setting->field};
    }
}

static int top_layer(const struct stage_reader *s, const char *const *names, int n)
{
    int top = 0;
    for (int i = 0; i < n; i++) {
        const struct setting *setting = setting_of(s->stage, names[i]);
        if (is_given(setting) && layer(setting) > top)
            top = layer(setting);
    }
    return top;
}

static bool is_before(const struct setting *a, const struct setting *b)
{
    return a->at.line < b->at.line || (a->at.line == b->at.line && a->at.column < b->at.column);
}

static void report_both(struct stage_reader *s, const struct setting *a, const struct setting *b, const char *fix)
{
    const struct setting *first = is_before(a, b) ? a : b, *second = first == a ? b : a;
    struct error *e =
        error_new(ERROR_RECIPE, second->at, fix, "'%s' and '%s' exclude each other", first->field->name, second->field->name);
    if (first->at.line != second->at.line)
        e = error_while(e, first->at, "comparing with '%s'", first->field->name);
    report(s, e);
}

// Of fields that exclude each other the one that counts, or NULL where none was given.
static const struct setting *keep_one(struct stage_reader *s, const char *const *names, int n, const char *fix)
{
    const struct setting *kept = NULL;
    drop_below(s, names, n, top_layer(s, names, n));
    for (int i = 0; i < n; i++) {
        const struct setting *setting = setting_of(s->stage, names[i]);
        if (!is_given(setting))
            continue;
        if (kept)
            report_both(s, kept, setting, fix);
        kept = setting;
    }
    return kept;
}

static void resolve_horizon(struct stage_reader *s)
{
    static const char *const names[] = {"steps", "tokens", "flops", "ratio"};
    if (!keep_one(s, names, countof(names), "keep one of steps, tokens, flops, ratio")) {
        struct setting *ratio = setting_of(s->stage, "ratio");
        set_default(s, ratio, default_of(s, ratio->field));
    }
}

// Of a training on a mixture: epochs, unless steps say how long.
static void resolve_epochs(struct stage_reader *s)
{
    if (!keep_one(s, (const char *const[]){"steps", "epochs"}, 2, "keep one of steps, epochs")) {
        struct setting *epochs = setting_of(s->stage, "epochs");
        set_default(s, epochs, default_of(s, epochs->field));
    }
}

// The preset's row of defaults, under whatever the recipe says. The row of 2026 is its preset sft.
static void apply_preset(struct stage_reader *s, const struct finetune_options *o)
{
    const struct setting *preset = setting_of(s->stage, "preset");
    if (s->r->recipe->nanochat == 2026) {
        if (o->preset && !strcmp(o->preset, "mid"))
            report(s, error_new(ERROR_RECIPE, preset->at,
                                "write preset: sft, which goes from the base model to a chat on the mixture that mid had; or nanochat: 2025",
                                "nanochat 2026 has no preset mid: its fine-tuning took the place of mid-training"));
        return;
    }
    for (int i = 0; i < s->stage->n_settings && o->preset; i++) {
        struct setting *setting = &s->stage->settings[i];
        const char *text = strcmp(o->preset, "mid") == 0 ? setting->field->def_mid : setting->field->def_sft;
        if (!text || is_given(setting))
            continue;
        setting->by = setting->layer = BY_PRESET;
        setting->at = preset->at;
        report(s, field_set(s->stage->options, setting->field, &text, 1, preset->at, s->r->arena));
    }
}

// What one update is made of: rows that are packed with tokens, or a conversation a row. In 2026 it is by default what it was in the
// pretraining (flow.c).
static void resolve_update(struct stage_reader *s)
{
    const struct setting *packing = setting_of(s->stage, "packing");
    const struct setting *kept = keep_one(s, (const char *const[]){"batch_tokens", "rows"}, 2,
                                          "batch_tokens packs conversations into full rows, rows gives each a row of its own: keep one");
    if (kept && !strcmp(kept->field->name, "rows") && is_given(packing))
        report_both(s, packing, kept, "packing is of batch_tokens: keep that instead of rows, or take packing out");
    if (!kept && s->r->recipe->nanochat != 2026)
        report(s, error_new(ERROR_RECIPE, s->stage->at,
                            "write batch_tokens: 16384 (full rows, every token learned), rows: 32 (a conversation a row, answers "
                            "learned), or preset: mid or sft",
                            "stage '%s' does not say what an update is made of", s->stage->name));
}

// Those that depth excludes: of 2026 without the last.
static const char *const shape_names[] = {"n_layer", "n_embd", "n_head", "n_kv_head", "n_mlp", "head_dim"};

static int n_shape_names(const struct stage_reader *s)
{
    return (int)countof(shape_names) - (year_of(s, "architecture") == 2026);
}

static struct error *shape_from_depth_of_year(const struct stage_reader *s, const struct pretrain_options *o, struct shape *shape)
{
    if (year_of(s, "architecture") == 2025)
        return shape_from_depth(shape, (int)o->depth, 1, 1);
    int aspect = o->aspect == FIELD_UNSET_INT ? SHAPE_ASPECT_2026 : (int)o->aspect;
    int head_dim = o->head_dim == FIELD_UNSET_INT ? SHAPE_HEAD_DIM_2026 : (int)o->head_dim;
    return shape_from_depth_2026(shape, (int)o->depth, aspect, head_dim, 1, 1);
}

static struct error *odd_heads(struct place at, int64_t head_dim)
{
    return error_new(ERROR_RECIPE, at, "take an even width: rotary positions turn pairs", "heads of odd width %" PRId64, head_dim);
}

static void shape_by_depth(struct stage_reader *s, struct pretrain_options *o)
{
    struct shape shape;
    if (o->head_dim > 0 && o->head_dim % 2) {
        report(s, odd_heads(place_of(s, "head_dim"), o->head_dim));
        return;
    }
    struct error *e = shape_from_depth_of_year(s, o, &shape);
    if (!e && shape.head_dim % 2)
        e = error_new(ERROR_RECIPE, NOWHERE, "take an even depth, or 1, 3, 7, 15, 31, 63",
                      "depth %" PRId64 " gives heads of odd width %d", o->depth, shape.head_dim);
    if (e) {
        if (e != error_memory())
            report(s, error_new(ERROR_RECIPE, place_of(s, "depth"), e->fix, "%s", e->what));
        else
            report(s, error_memory());
        error_free(e);
        return;
    }
    set_int_default(s, "n_layer", &o->n_layer, shape.n_layer);
    set_int_default(s, "n_embd", &o->n_embd, shape.n_embd);
    set_int_default(s, "n_head", &o->n_head, shape.n_head);
    set_int_default(s, "n_kv_head", &o->n_kv_head, shape.n_kv_head);
    set_int_default(s, "head_dim", &o->head_dim, shape.head_dim);
    set_int_default(s, "n_mlp", &o->n_mlp, shape.n_mlp);
}

static void shape_by_fields(struct stage_reader *s, struct pretrain_options *o)
{
    bool missing = false;
    for (int i = 0; i < 3; i++) {
        const struct setting *setting = setting_of(s->stage, shape_names[i]);
        if (!is_given(setting))
            report(s, error_new(ERROR_RECIPE, s->stage->at, "give n_layer, n_embd and n_head, or depth", "stage '%s' has no '%s'",
                                s->stage->name, shape_names[i]));
        missing |= !field_is_set(o, setting->field);
    }
    if (missing)
        return;
    if (!is_given(setting_of(s->stage, "head_dim")) && o->n_embd % o->n_head) {
        report(s, error_new(ERROR_RECIPE, place_of(s, "n_head"), "take a number of heads that divides n_embd, or give head_dim",
                            "%" PRId64 " heads do not divide a width of %" PRId64, o->n_head, o->n_embd));
        return;
    }
    set_int_default(s, "n_kv_head", &o->n_kv_head, o->n_head);
    set_int_default(s, "head_dim", &o->head_dim, o->n_embd / o->n_head);
    set_int_default(s, "n_mlp", &o->n_mlp, 4 * o->n_embd);
    if (o->n_kv_head > 0 && o->n_head % o->n_kv_head)
        report(s, error_new(ERROR_RECIPE, place_of(s, "n_kv_head"), "take a divisor of n_head",
                            "%" PRId64 " query heads cannot share %" PRId64 " key-value heads", o->n_head, o->n_kv_head));
    if (o->head_dim > 0 && o->head_dim % 2)
        report(s, odd_heads(place_of(s, is_given(setting_of(s->stage, "head_dim")) ? "head_dim" : "n_head"), o->head_dim));
}

static void resolve_shape(struct stage_reader *s, struct pretrain_options *o)
{
    struct setting *depth = setting_of(s->stage, "depth");
    int n_names = n_shape_names(s), of_shape = top_layer(s, shape_names, n_names);
    if (is_given(depth) && of_shape == layer(depth)) {
        for (int i = 0; i < n_names; i++) {
            const struct setting *other = setting_of(s->stage, shape_names[i]);
            if (is_given(other) && layer(other) == of_shape)
                report_both(s, depth, other, "keep depth, or the fields of the shape");
        }
        return;
    }
    if (of_shape > (is_given(depth) ? layer(depth) : 0)) {
        const struct setting *aspect = setting_of(s->stage, "aspect");
        drop_below(s, (const char *const[]){"depth"}, 1, of_shape);
        if (is_given(aspect))
            report(s, error_new(ERROR_RECIPE, aspect->at, "take it out, or give depth in place of n_layer, n_embd and the others",
                                "aspect is the width of a layer of depth, and there is no depth"));
        shape_by_fields(s, o);
        return;
    }
    if (is_given(depth))
        drop_below(s, shape_names, n_names, layer(depth));
    else
        set_default(s, depth, default_of(s, depth->field));
    if (o->depth != FIELD_UNSET_INT)
        shape_by_depth(s, o);
}

// What only one year's architecture or optimizer has.
static void check_years(struct stage_reader *s, const struct pretrain_options *o)
{
    const struct setting *aspect = setting_of(s->stage, "aspect"), *scalar_lr = setting_of(s->stage, "scalar_lr");
    if (is_given(aspect) && !is_2026(o->architecture))
        report(s, error_new(ERROR_RECIPE, aspect->at, "write architecture: 2026, or n_layer, n_embd and n_head",
                            "the model of 2025 has no aspect: its width is 64 times its depth"));
    if (is_given(scalar_lr) && !is_2026(o->optimizer))
        report(s, error_new(ERROR_RECIPE, scalar_lr->at, "write optimizer: 2026, or take it out",
                            "the optimizer of 2025 has no scalar_lr"));
    if (is_2026(o->architecture) && o->n_embd > 0 && o->n_embd < SHAPE_SMEAR_CHANNELS_2026)
        report(s, error_new(ERROR_RECIPE, place_of(s, is_given(setting_of(s->stage, "n_embd")) ? "n_embd" : "depth"),
                            "make the model wider", "the smear of 2026 looks at %d channels, and the model has %" PRId64,
                            SHAPE_SMEAR_CHANNELS_2026, o->n_embd));
    struct shape any = {.seq_len = 1};
    struct error *e = o->window_pattern ? shape_set_windows(&any, o->window_pattern) : NULL;
    if (e) {
        report(s, error_new(e->kind, place_of(s, "window_pattern"), e->fix, "%s", e->what));
        error_free(e);
    }
}

static void check_warm(struct stage_reader *s, double warmup, double warmdown)
{
    if (warmup + warmdown > 1)
        report(s, error_new(ERROR_RECIPE, place_of(s, is_given(setting_of(s->stage, "warmdown")) ? "warmdown" : "warmup"),
                            "let them add up to 1 at most", "warmup %g and warmdown %g overlap", warmup, warmdown));
}

static void check_pretrain(struct stage_reader *s, const struct pretrain_options *o)
{
    bool rows = o->seq_len > 0 && o->batch_tokens > 0;
    if (rows && o->batch_tokens % o->seq_len) {
        struct error *e =
            error_new(ERROR_RECIPE, place_of(s, "batch_tokens"), "take a multiple of seq_len",
                      "batch_tokens %" PRId64 " is not a multiple of seq_len %" PRId64, o->batch_tokens, o->seq_len);
        report(s, error_while(e, place_of(s, "seq_len"), "cutting batches into rows of seq_len"));
    } else if (rows && o->tokens > 0 && o->tokens < o->batch_tokens) {
        struct error *e = error_new(ERROR_RECIPE, place_of(s, "tokens"), "train on more tokens, or lower batch_tokens",
                                    "%" PRId64 " tokens are less than one batch of %" PRId64, o->tokens, o->batch_tokens);
        report(s, error_while(e, place_of(s, "batch_tokens"), "counting steps of batch_tokens"));
    }
    if (rows && o->eval_every > 0 && o->eval_tokens > 0 && o->eval_tokens < o->seq_len) {
        struct error *e = error_new(ERROR_RECIPE, place_of(s, "eval_tokens"), "measure on at least one row of seq_len tokens",
                                    "eval_tokens %" PRId64 " is less than one row of %" PRId64, o->eval_tokens, o->seq_len);
        report(s, error_while(e, place_of(s, "seq_len"), "cutting validation text into rows of seq_len"));
    }
    check_warm(s, o->warmup, o->warmdown);
    check_years(s, o);
}

// What the file or folder is, as far as it is there: a model that cannot be read is told before anything runs.
static void check_import(struct stage_reader *s, const struct import_options *o)
{
    static const char *const others[] = {".bin", ".pt", ".pth", ".gguf", ".h5", ".safetensors"};
    struct shape shape;
    size_t n = o->file ? strlen(o->file) : 0;
    for (size_t i = 0; i < countof(others); i++) {
        size_t ending = strlen(others[i]);
        if (n > ending && !strcmp(o->file + n - ending, others[i]))
            report(s, error_new(ERROR_RECIPE, place_of(s, "file"),
                                "name the folder in which `transformers` keeps it: config.json, tokenizer.json, model.safetensors",
                                "'%s' is no model by itself, and no tokenizer", o->file));
    }
    if (o->file && hf_is_model(o->file))
        report(s, error_while(hf_config_read(o->file, &shape, s->r->arena), place_of(s, "file"), "reading the model of stage '%s'",
                              s->stage->name));
}

static void set_seed(struct stage_reader *s, struct setting *setting)
{
    *(int64_t *)((char *)s->stage->options + setting->field->offset) = s->r->recipe->seed;
    setting->by = s->r->seed ? node_by(s->r->seed) : BY_DEFAULT;
    setting->at = s->r->seed ? s->r->seed->at : NOWHERE;
}

// What fields exclude each other by, or follow from others.
static void resolve(struct stage_reader *s)
{
    struct recipe_stage *stage = s->stage;
    const struct node *suites = node_get(s->node, "suites");
    switch (stage->kind) {
    case KIND_PRETRAIN:
        resolve_horizon(s);
        keep_one(s, (const char *const[]){"warmup", "warmup_steps"}, 2, "keep one of warmup, warmup_steps");
        resolve_shape(s, stage->options);
        break;
    case KIND_FINETUNE:
        apply_preset(s, stage->options);
        resolve_update(s);
        resolve_epochs(s);
        break;
    case KIND_GRPO:
        resolve_epochs(s);
        break;
    case KIND_EVAL:
        if (suites)
            suites_read(s->r, stage, suites);
        break;
    default:
        break;
    }
}

// Whether a field that nobody gave takes its default. Some wait for others (resolve); of an evaluation those that nothing of it asks for
// stay unset, so that they are in no key.
static bool takes_default(const struct stage_reader *s, const struct field *field)
{
    static const char *const resolved[] = {"depth", "ratio", "epochs"};
    if (s->stage->kind == KIND_PRETRAIN) {
        const struct pretrain_options *o = s->stage->options;
        if (strcmp(field->name, "aspect") == 0)
            return o->depth != FIELD_UNSET_INT && default_of(s, field);
        if (strcmp(field->name, "warmup") == 0 || strcmp(field->name, "warmup_steps") == 0)
            return !is_given(setting_of(s->stage, "warmup")) && !is_given(setting_of(s->stage, "warmup_steps")) && default_of(s, field);
    }
    if (s->stage->kind == KIND_FINETUNE && strcmp(field->name, "packing") == 0)
        return ((const struct finetune_options *)s->stage->options)->rows == FIELD_UNSET_INT;
    if (s->stage->kind == KIND_PRETRAIN && ((const struct pretrain_options *)s->stage->options)->from &&
        (strcmp(field->name, "seq_len") == 0 || strcmp(field->name, "precision") == 0))
        return false; // as in the stage that it goes on from (flow.c)
    if (s->stage->kind == KIND_EVAL) {
        const struct eval_options *o = s->stage->options;
        bool bpb = false;
        for (int i = 0; i < o->suites.n; i++)
            bpb |= strcmp(o->suites.names[i], "bpb") == 0;
        if (strcmp(field->name, "eval_tokens") == 0)
            return bpb || !o->suites.n;
        if (strcmp(field->name, "max_tokens") == 0)
            return first_chat(&o->tasks);
    }
    for (size_t i = 0; i < countof(resolved); i++)
        if (strcmp(field->name, resolved[i]) == 0)
            return false;
    return default_of(s, field);
}

static void read_fields(struct stage_reader *s)
{
    struct recipe_stage *stage = s->stage;
    const char *names[64] = {"kind"};
    int n_names = 1;
    for (int i = 0; i < stage->n_settings; i++) {
        const struct node *node = node_get(s->node, stage->settings[i].field->name);
        names[n_names++] = stage->settings[i].field->name;
        if (node)
            read_field(s, &stage->settings[i], node);
    }
    for (const struct node *c = s->node->first; c && !reader_full(s->r); c = c->next)
        if (strcmp(c->key, "kind") && !field_find(stage->kind, c->key))
            report(s, unknown_word(c->key_at, "key", c->key, names, n_names));
    resolve(s);
    for (int i = 0; i < stage->n_settings; i++) {
        struct setting *setting = &stage->settings[i];
        const struct field *field = setting->field;
        if (setting->by != BY_NOBODY)
            continue;
        if (field->required)
            report(s, error_new(ERROR_RECIPE, stage->at, arena_printf(s->r->arena, "add `%s:`", field->name),
                                "stage '%s' has no '%s': %s", stage->name, field->name, field->help));
        else if (strcmp(field->name, "seed") == 0)
            set_seed(s, setting);
        else if (takes_default(s, field))
            set_default(s, setting, default_of(s, field));
    }
    if (stage->kind == KIND_PRETRAIN)
        check_pretrain(s, stage->options);
    if (stage->kind == KIND_IMPORT)
        check_import(s, stage->options);
    if (stage->kind == KIND_FINETUNE) {
        const struct finetune_options *o = stage->options;
        check_warm(s, o->warmup, o->warmdown);
    }
}

static enum stage_kind_id read_kind(struct stage_reader *s)
{
    const char *names[KIND_COUNT];
    int n_names = 0;
    for (int i = 0; i < KIND_COUNT; i++)
        if (kind_is_word((enum stage_kind_id)i))
            names[n_names++] = kind_name((enum stage_kind_id)i);
    const struct node *node = node_get(s->node, "kind");
    for (const struct node *c = node ? NULL : s->node->first; c; c = c->next)
        if (strncmp(c->key, "kind:", 5) == 0) {
            report(s, unknown_word(c->key_at, "key", c->key, names, 0));
            return KIND_COUNT;
        }
    if (!node) {
        report(s, error_new(ERROR_RECIPE, s->stage->at, "write kind: tokenizer, pretrain, finetune, grpo, eval or import",
                            "stage '%s' does not say what kind it is", s->stage->name));
        return KIND_COUNT;
    }
    const char *text = scalar_text(s->r, node, "kind");
    enum stage_kind_id kind = text ? kind_find(text) : KIND_COUNT;
    if (text && kind == KIND_COUNT)
        report(s, unknown_word(node->at, "kind", text, names, n_names));
    else if (text && !kind_built(kind))
        report(s, error_new(ERROR_NOT_BUILT, node->at, "take the stage out", "stages of kind '%s' are not built in this version",
                            text));
    return kind;
}

static void read_stage(struct stage_reader *s)
{
    struct recipe_stage *stage = s->stage;
    *stage = (struct recipe_stage){.name = s->node->key, .kind = KIND_COUNT, .at = s->node->key_at};
    if (s->node->kind != NODE_MAP) {
        report(s, error_new(ERROR_RECIPE, s->node->at, "write {kind: pretrain, ...}", "stage '%s' is not a map", stage->name));
        return;
    }
    if ((stage->kind = read_kind(s)) == KIND_COUNT)
        return;
    for (int i = 0; i < n_fields; i++)
        stage->n_settings += fields[i].kinds >> stage->kind & 1;
    stage->settings = reader_have(s->r, arena_array(s->r->arena, (size_t)stage->n_settings, sizeof *stage->settings));
    stage->options = reader_have(s->r, arena_alloc(s->r->arena, kind_options_bytes(stage->kind)));
    if (!stage->settings || !stage->options)
        return;
    fields_unset(stage->options, stage->kind);
    for (int i = 0, n = 0; i < n_fields; i++)
        if (fields[i].kinds >> stage->kind & 1)
            stage->settings[n++].field = &fields[i];
    read_fields(s);
}

void stages_read(struct reader *r, const struct node *stages)
{
    struct recipe *recipe = r->recipe;
    if (stages->kind != NODE_MAP || stages->n == 0) {
        reader_error(r,
                     error_new(ERROR_RECIPE, stages->at, "write NAME: {kind: tokenizer, ...}", "stages is not a map of stages"));
        return;
    }
    if (stages->n > MOST_STAGES) {
        reader_error(r, error_new(ERROR_RECIPE, stages->at, "use fewer", "more than %d stages", MOST_STAGES));
        return;
    }
    recipe->stages = reader_have(r, arena_array(r->arena, (size_t)stages->n, sizeof *recipe->stages));
    r->stage_nodes = reader_have(r, arena_array(r->arena, (size_t)stages->n, sizeof *r->stage_nodes));
    if (!recipe->stages || !r->stage_nodes)
        return;
    for (const struct node *c = stages->first; c && !r->no_memory; c = c->next) {
        const struct source *source = recipe_source(recipe, c->key);
        const char *name = c->cell ? c->cell->base : c->key;
        if (!name_is_good(name) || is_top_word(name))
            reader_error(r,
                         error_new(ERROR_RECIPE, c->key_at, "names are lower case letters, digits and _, and no top-level word",
                                   "'%.80s' cannot be the name of a stage", name));
        else if (source)
            reader_error(r, error_while(error_new(ERROR_RECIPE, c->key_at, "rename one of them",
                                                  "'%s' is the name of a source and of a stage", c->key),
                                        source->at, "comparing with the source '%s'", c->key));
        r->stage_nodes[recipe->n_stages] = c;
        struct stage_reader s = {.r = r, .stage = &recipe->stages[recipe->n_stages++], .node = c};
        read_stage(&s);
    }
}
