// card_json.c - everything that the card shows, as values.
#include "runner/view/card_json.h"

#include <math.h>

#include "runner/graph/overlap_probe.h"
#include "runner/view/card.h"
#include "runner/view/scores.h"

static void run_to_json(struct json *j, const struct run *run)
{
    json_key(j, "run");
    json_open(j, '{');
    json_key(j, "name"), json_str(j, run->name);
    json_key(j, "number"), json_count(j, run->source ? -1 : run->number);
    json_key(j, "source"), json_str(j, run->source);
    json_key(j, "note"), json_str(j, run->note);
    json_key(j, "state"), json_str(j, run->state);
    json_key(j, "started"), json_str(j, run->started);
    json_key(j, "ended"), json_str(j, run->ended && run->ended[0] ? run->ended : NULL);
    json_key(j, "seconds"), json_f64(j, run->seconds);
    json_key(j, "usd"), json_f64(j, run->usd);
    json_key(j, "recipe"), json_str(j, run->recipe_path);
    json_key(j, "settings"), json_str(j, run->settings);
    json_key(j, "host"), json_str(j, run->host);
    json_key(j, "machine"), json_str(j, run->machine);
    json_key(j, "build"), json_str(j, run->build);
    json_key(j, "code"), json_str(j, run->code && run->code[0] ? run->code : NULL);
    json_close(j, '}');
}

void card_stage_to_json(struct json *j, const struct run_stage *s)
{
    json_key(j, "name"), json_str(j, s->name);
    json_key(j, "kind"), json_str(j, s->kind);
    json_key(j, "key"), json_str(j, s->key[0] ? s->key : NULL);
    json_key(j, "state"), json_str(j, s->state);
    json_key(j, "seconds"), json_f64(j, s->seconds);
    json_key(j, "usd"), json_f64(j, s->usd);
}

static void stage_to_json(struct json *j, const struct run_stage *s, const struct run_tables *t)
{
    const struct metric_rollouts *rewards = t->rewards.rows;
    json_open(j, '{');
    card_stage_to_json(j, s);
    json_key(j, "params"), json_count(j, s->params);
    json_key(j, "tokens"), json_count(j, card_tokens(s));
    json_key(j, "flops"), json_f64(j, card_flops(s));
    json_key(j, "loss"), json_f64(j, card_loss(t));
    json_key(j, "bpb"), json_f64(j, card_text_bpb(s, t));
    json_key(j, "val"), json_f64(j, card_val(s, t));
    json_key(j, "reward"), json_f64(j, t->rewards.n ? rewards[t->rewards.n - 1].reward : NAN);
    json_key(j, "error"), json_str(j, s->error);
    json_close(j, '}');
}

static struct error *scores_to_json(struct json *j, const struct run *run, const struct run_tables *tables, struct arena *arena)
{
    struct scores s;
    struct error *e = scores_collect(&s, run, tables, arena);
    json_key(j, "scores");
    json_open(j, '[');
    for (int r = 0; r < s.n_rows && !e; r++)
        for (int m = 0; m < s.n_models; m++) {
            const struct score_row *row = &s.rows[r];
            if (isnan(row->value[m]))
                continue;
            json_open(j, '{');
            json_key(j, "model"), json_str(j, s.models[m]);
            json_key(j, "score"), json_str(j, row->label);
            json_key(j, "accuracy"), json_bool(j, row->is_accuracy);
            json_key(j, "less_is_better"), json_bool(j, row->less_is_better);
            json_key(j, "value"), json_f64(j, row->value[m]);
            json_key(j, "deviation"), json_f64(j, row->deviation[m]);
            json_key(j, "low"), json_f64(j, row->low[m]);
            json_key(j, "high"), json_f64(j, row->high[m]);
            json_key(j, "missing"), json_str(j, row->missing);
            json_key(j, "n"), json_count(j, row->n[m] > 0 ? row->n[m] : -1);
            json_close(j, '}');
        }
    json_close(j, ']');
    return e;
}

static void texts_to_json(struct json *j, const struct run *run, const struct run_tables *tables)
{
    json_key(j, "texts");
    json_open(j, '[');
    for (int i = 0; i < run->n_stages; i++) {
        const struct metric_text *rows = tables[i].texts.rows;
        for (int64_t k = 0; k < tables[i].texts.n; k++) {
            json_open(j, '{');
            json_key(j, "stage"), json_str(j, run->stages[i].name);
            json_key(j, "text"), json_str(j, rows[k].text);
            json_key(j, "bytes"), json_i64(j, rows[k].bytes);
            json_key(j, "tokens"), json_i64(j, rows[k].tokens);
            json_key(j, "gpt2_tokens"), json_count(j, rows[k].gpt2);
            json_key(j, "gpt4_tokens"), json_count(j, rows[k].gpt4);
            json_close(j, '}');
        }
    }
    json_close(j, ']');
}

static void samples_to_json(struct json *j, const struct run *run, const struct run_tables *tables)
{
    json_key(j, "samples");
    json_open(j, '[');
    for (int i = 0; i < run->n_stages; i++) {
        const struct sample *rows = tables[i].samples.rows;
        int64_t n = tables[i].samples.n;
        for (int64_t k = 0; k < n; k++) {
            if (rows[k].step != rows[n - 1].step)
                continue;
            json_open(j, '{');
            json_key(j, "stage"), json_str(j, run->stages[i].name);
            json_key(j, "step"), json_i64(j, rows[k].step);
            json_key(j, "prompt"), json_str(j, rows[k].prompt);
            json_key(j, "text"), json_str(j, rows[k].text);
            json_close(j, '}');
        }
    }
    json_close(j, ']');
    json_key(j, "rollouts");
    json_open(j, '[');
    for (int i = 0; i < run->n_stages; i++) {
        const struct rollout *rows = tables[i].rollouts.rows;
        for (int64_t k = 0; k < tables[i].rollouts.n; k++) {
            json_open(j, '{');
            json_key(j, "stage"), json_str(j, run->stages[i].name);
            json_key(j, "step"), json_i64(j, rows[k].step);
            json_key(j, "reward"), json_f64(j, rows[k].reward);
            json_key(j, "advantage"), json_f64(j, rows[k].advantage);
            json_key(j, "prompt"), json_str(j, rows[k].prompt);
            json_key(j, "text"), json_str(j, rows[k].text);
            json_close(j, '}');
        }
    }
    json_close(j, ']');
}

struct error *card_to_json(const struct run *run, struct json *j, struct arena *arena)
{
    struct run_tables *tables = arena_array(arena, (size_t)run->n_stages + 1, sizeof *tables);
    struct error *e = tables ? NULL : error_memory();
    int n = 0;
    for (; n < run->n_stages && !e; n++)
        e = run_stage_tables(&tables[n], run, &run->stages[n]);
    if (!e) {
        run_to_json(j, run);
        json_key(j, "stages");
        json_open(j, '[');
        for (int i = 0; i < n; i++)
            stage_to_json(j, &run->stages[i], &tables[i]);
        json_close(j, ']');
        e = scores_to_json(j, run, tables, arena);
        texts_to_json(j, run, tables);
        samples_to_json(j, run, tables);
        struct overlap_report overlap = {0};
        if (!e && !run->source)
            e = overlap_load(&overlap, run, arena);
        if (!e && overlap.n_tasks)
            overlap_to_json(j, &overlap);
        json_key(j, "recipe_text"), json_str(j, run->recipe_text);
        json_key(j, "resolved"), json_str(j, run->resolved);
    }
    for (int i = 0; i < n; i++)
        run_tables_release(&tables[i]);
    return e;
}
