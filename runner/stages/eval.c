// eval.c - measures a model: bits per byte on validation text.
//
// Result  /scores/bpb: a table like /metrics/val with one row, at the model's step

#include "core/eval/bpb.h"
#include "core/model/model_file.h"
#include "core/store/metrics.h"
#include "runner/stages/stage.h"
#include "runner/stages/text_inputs.h"

struct evaluation {
    struct stage *stage;
    const struct eval_options *options;
    struct text_inputs text;
    struct device *dev;
    struct model model;
    int64_t step; // of the model
};

static void tell(void *self, int64_t done, int64_t of)
{
    const struct evaluation *v = self;
    struct live_line line = live_line("step");
    line.step = done;
    line.of = of;
    line.unit = "rows";
    live_write(v->stage->live, line);
}

static struct error *open_model(struct evaluation *v, struct store_file *file)
{
    struct shape shape;
    struct fault fault;
    struct error *e = model_file_shape(file, &shape);
    if (!e)
        e = store_get_i64(file, "/", "step", &v->step);
    if (e)
        return e;
    v->dev = device_open(DEVICE_CPU, 0, &fault);
    if (!v->dev)
        return error_from_fault(fault);
    e = model_open(&v->model, v->dev, &shape, v->stage->arena);
    if (!e)
        e = model_file_load(file, &v->model);
    return e;
}

static struct error *evaluate(struct evaluation *v)
{
    const struct job *job = v->stage->job;
    const char *const *paths;
    int n_paths;
    struct store_file *file = NULL;
    struct bpb result;
    struct error *e = job_paths(job, "model", &paths, &n_paths);
    if (!e)
        e = store_open(&file, paths[0]);
    if (!e)
        e = open_model(v, file);
    store_close(file);
    if (!e)
        e = text_inputs_open(&v->text, job, "model", v->model.shape.seq_len, 0, v->stage->arena);
    if (e)
        return e;
    int64_t n_rows = v->options->eval_tokens / v->model.shape.seq_len;
    if (n_rows > v->text.validation.n_rows)
        n_rows = v->text.validation.n_rows;
    if (!n_rows)
        return error_new(ERROR_DATA, NOWHERE, "take more validation text, or raise eval_tokens",
                         "there is not one row of %d tokens to measure on", v->model.shape.seq_len);
    int device_batch = (int)(v->options->device_batch < n_rows ? v->options->device_batch : n_rows);
    e = model_reserve(&v->model, device_batch, v->model.shape.seq_len, false);
    if (!e)
        e = bpb_measure(&v->model, text_rows(&v->text.validation), n_rows, v->model.shape.seq_len, device_batch,
                        v->text.tokenizer->token_bytes, tell, v, &result);
    if (e)
        return e;
    struct metric_val row = {
        .step = v->step, .tokens = result.tokens, .bpb = result.bpb, .nats = result.nats, .bytes = result.bytes};
    struct store_set set = {.path = "/scores/bpb",
                            .type = STORE_TABLE,
                            .n_dims = 1,
                            .dims = {1},
                            .data = &row,
                            .members = metric_val_members,
                            .n_members = METRIC_VAL_MEMBERS,
                            .row_bytes = sizeof row};
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    int n = stage_attributes(v->stage, "finished", 1, 1, v->options->seed, device_batch, device_isa(v->dev), 0, attributes);
    struct live_line line = live_line("val");
    line.bpb = result.bpb;
    live_write(v->stage->live, line);
    return store_save(job->out, attributes, n, &set, 1);
}

struct error *stage_eval(struct stage *stage)
{
    struct evaluation v = {.stage = stage, .options = stage->job->options};
    struct error *e = evaluate(&v);
    text_inputs_close(&v.text);
    if (v.dev)
        device_close(v.dev);
    return e;
}
