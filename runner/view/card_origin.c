// card_origin.c - everything but the overlap stands in the record; payloads of token stages say what they were made of.
#include "runner/view/card_origin.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "core/eval/overlap.h"
#include "runner/graph/overlap_probe.h"
#include "runner/view/card.h"
#include "runner/view/format.h"

enum { HASH_SHOWN = 12 };

void card_totals(const struct run *run, FILE *to)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT];
    double seconds[2] = {0}, usd = 0, flops = 0;
    int n_cached = 0;
    for (int i = 0; i < run->n_stages; i++) {
        const struct run_stage *s = &run->stages[i];
        bool trains = card_trains(s);
        seconds[trains] += isfinite(s->seconds) ? s->seconds : 0;
        usd += isfinite(s->usd) ? s->usd : 0;
        flops += trains && isfinite(card_flops(s)) ? card_flops(s) : 0; // what was planned of a stage that broke off was not done
        n_cached += !strcmp(s->state, "cached");
    }
    if (seconds[0] + seconds[1] <= 0)
        return;
    fprintf(to, "\nIn all %s: training %s", format_seconds(a, seconds[0] + seconds[1]), format_seconds(b, seconds[1]));
    if (flops > 0)
        fprintf(to, " (%s FLOPs)", format_big(c, flops));
    fprintf(to, ", the rest %s", format_seconds(a, seconds[0]));
    if (usd > 0)
        fprintf(to, "; %s", format_usd(b, usd));
    fprintf(to, ".%s\n", n_cached ? " Of cached stages it is what making them took." : "");
}

// "parquet", or "world and text" of several.
static const char *forms_of(const json_t *data, struct arena *arena)
{
    const char *all = "";
    for (size_t i = 0; i < json_array_size(data) && all; i++) {
        const char *form = json_string_value(json_object_get(json_array_get(data, i), "form"));
        if (form && !strstr(all, form))
            all = arena_printf(arena, "%s%s%s", all, *all ? " and " : "", form);
    }
    return all;
}

static struct error *data_row(const struct run_stage *s, FILE *to, struct arena *arena)
{
    char a[FORMAT_TEXT];
    json_t *root = s->payload ? json_loads(s->payload, 0, NULL) : NULL;
    const json_t *data = json_object_get(root, "data");
    size_t n = json_array_size(data);
    const char *forms = forms_of(data, arena), *hash = json_string_value(json_object_get(json_array_get(data, 0), "sha256"));
    if (forms && n)
        fprintf(to, "| %s | %s | %zu | %s | %.*s%s |\n", s->name, forms, n, format_count(a, s->tokens), HASH_SHOWN,
                hash ? hash : "-", hash && n > 1 ? " ..." : "");
    json_decref(root);
    return forms ? NULL : error_memory();
}

struct error *card_data(const struct run *run, FILE *to, struct arena *arena)
{
    bool begun = false;
    struct error *e = NULL;
    for (int i = 0; i < run->n_stages && !e; i++) {
        const struct run_stage *s = &run->stages[i];
        if (strcmp(s->kind, "tokens") || !s->payload)
            continue;
        if (!begun)
            fprintf(to, "\n## Data\n\n| tokens of | form | parts | tokens | SHA-256 |\n|---|---|---:|---:|---|\n");
        begun = true;
        e = data_row(s, to, arena);
    }
    if (begun)
        fprintf(to, "\nparts: files, or ranges of a generator; validation included. SHA-256: of the first.\n");
    return e;
}

struct error *card_overlap(const struct run *run, bool asks, FILE *to, struct arena *arena)
{
    struct overlap_report r;
    struct error *e = asks && !run->source ? overlap_load(&r, run, arena) : NULL;
    if (e || !asks || run->source)
        return e;
    if (!r.n_tasks) {
        fprintf(to, "\nOverlap of these questions with the training text: not measured; `retort check %s --overlap` does.\n",
                run->recipe_path);
        return NULL;
    }
    fprintf(to, "\nOverlap with the training text, in questions with %d words in a row that stand there: ", OVERLAP_WORDS);
    for (int i = 0; i < r.n_tasks; i++) {
        const struct overlap_task *t = &r.tasks[i];
        fprintf(to, "%s%s %lld of %lld", i ? "; " : "", t->name, (long long)t->in_text, (long long)t->n);
        if (t->in_mixtures)
            fprintf(to, ", and %lld in what is fine-tuned on", (long long)t->in_mixtures);
        if (t->n_short)
            fprintf(to, " (%lld too short to tell)", (long long)t->n_short);
    }
    fprintf(to, ".\n");
    return NULL;
}
