// card.c - everything comes from the record of the run: results may be gone by the time someone reads it.
#include "runner/view/card.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { CARD_WIDTH = 80, SAMPLE_SHOWN = 300, SAMPLES_QUOTED = 3 };

double card_loss(const struct run_tables *t)
{
    return t->train.n ? ((const struct metric_train *)t->train.rows)[t->train.n - 1].loss : NAN;
}

double card_bpb(const struct run_tables *t)
{
    const struct table *from = t->scores.n ? &t->scores : &t->val;
    return from->n ? ((const struct metric_val *)from->rows)[from->n - 1].bpb : NAN;
}

// The samples of the last step that has some.
static const struct sample *last_samples(const struct run_tables *t, int64_t *n)
{
    const struct sample *rows = t->samples.rows;
    int64_t first = t->samples.n;
    while (first > 0 && rows[first - 1].step == rows[t->samples.n - 1].step)
        first--;
    *n = t->samples.n - first;
    return *n ? rows + first : NULL;
}

// A word as it may stand on a terminal: what a model writes can be any bytes, control characters included.
static void print_word(FILE *to, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)word[i], next = i + 1 < n ? (unsigned char)word[i + 1] : 0;
        bool c1 = c == 0xC2 && next >= 0x80 && next < 0xA0;
        fputc(c < 0x20 || c == 0x7F || c1 ? '?' : c, to);
        i += c1;
    }
}

// Prints text in lines of at most `width` columns, each behind `prefix`; line ends of the text become blanks.
static void print_wrapped(FILE *to, const char *text, const char *prefix, int width, int most)
{
    int column = 0, shown = 0;
    fprintf(to, "%s", prefix);
    while (*text && shown < most) {
        size_t word = strcspn(text, " \n\t\r");
        int w = 0;
        for (size_t i = 0; i < word; i++)
            w += (text[i] & 0xC0) != 0x80;
        if (column && column + 1 + w > width) {
            fprintf(to, "\n%s", prefix);
            column = 0;
        }
        if (word) {
            fputs(column ? " " : "", to);
            print_word(to, text, word);
            column += w + (column ? 1 : 0);
            shown += w + 1;
        }
        text += word + strspn(text + word, " \n\t\r");
    }
    fprintf(to, "%s\n", *text ? " ..." : "");
}

static struct error *load(const struct run *run, const struct run_stage *stage, struct run_tables *tables, struct arena *arena)
{
    const char *prefix = arena_printf(arena, "/stage/%s", stage->name);
    return prefix ? run_tables_load(tables, run->path, prefix) : error_memory();
}

static struct error *add_row(struct grid *grid, const struct run_stage *stage, const struct run_tables *t, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT], e[FORMAT_TEXT];
    const char *const cells[] = {stage->name,
                                 stage->state,
                                 arena_strdup(arena, format_seconds(a, stage->seconds)),
                                 arena_strdup(arena, format_count(b, stage->params)),
                                 arena_strdup(arena, format_count(c, stage->tokens)),
                                 arena_strdup(arena, format_real(d, card_loss(t), 3)),
                                 arena_strdup(arena, format_real(e, card_bpb(t), 4))};
    for (size_t i = 0; i < countof(cells); i++)
        if (!cells[i])
            return error_memory();
    grid_add(grid, cells);
    return grid->failed ? error_memory() : NULL;
}

static const struct column columns[] = {{"stage", false, true},  {"state", false, false}, {"time", true, false},
                                        {"params", true, false}, {"tokens", true, false}, {"loss", true, false},
                                        {"bpb", true, false}};

static void print_samples(FILE *to, const struct run_stage *stage, const struct run_tables *tables)
{
    int64_t n;
    const struct sample *samples = last_samples(tables, &n);
    for (int64_t i = 0; i < n; i++)
        if (!samples[i].prompt[0] && samples[i].text[0]) {
            fprintf(to, "\n%s writes, at step %lld:\n", stage->name, (long long)samples[i].step);
            print_wrapped(to, samples[i].text, "  ", CARD_WIDTH - 4, SAMPLE_SHOWN);
            return;
        }
    for (int64_t i = 0; i < n && i < 1; i++) {
        fprintf(to, "\n%s goes on from \"%s\":\n", stage->name, samples[i].prompt);
        print_wrapped(to, samples[i].text, "  ", CARD_WIDTH - 4, SAMPLE_SHOWN);
    }
}

struct error *card_print(const struct run *run, FILE *to, struct arena *arena)
{
    struct grid grid;
    char seconds[FORMAT_TEXT];
    struct error *e = NULL;
    struct run_tables *tables = arena_array(arena, (size_t)run->n_stages + 1, sizeof *tables);
    if (!tables)
        return error_memory();
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < run->n_stages && !e; i++) {
        e = load(run, &run->stages[i], &tables[i], arena);
        if (!e)
            e = add_row(&grid, &run->stages[i], &tables[i], arena);
    }
    if (!e) {
        fprintf(to, "\n%s, run %04d: %s after %s\n\n", run->name, run->number, run->state, format_seconds(seconds, run->seconds));
        grid_print(&grid, to, CARD_WIDTH);
        for (int i = 0; i < run->n_stages; i++)
            print_samples(to, &run->stages[i], &tables[i]);
    }
    for (int i = 0; i < run->n_stages; i++)
        run_tables_release(&tables[i]);
    return e;
}

static void markdown_samples(FILE *to, const struct run_stage *stage, const struct run_tables *tables)
{
    int64_t n, n_greedy = 0, n_free = 0;
    const struct sample *samples = last_samples(tables, &n);
    for (int64_t i = 0; i < n; i++)
        samples[i].prompt[0] ? n_greedy++ : n_free++;
    if (n)
        fprintf(to, "\n## What %s writes\n\nAt step %lld.\n", stage->name, (long long)samples[0].step);
    if (n_free) {
        fprintf(to, "\nFrom nothing:\n");
        int n_quoted = 0;
        for (int64_t i = 0; i < n && n_quoted < SAMPLES_QUOTED; i++)
            if (!samples[i].prompt[0]) {
                n_quoted++;
                fputc('\n', to);
                print_wrapped(to, samples[i].text, "> ", CARD_WIDTH - 2, SAMPLE_PROMPT + SAMPLE_TEXT);
            }
    }
    if (n_greedy)
        fprintf(to, "\nGreedily, on from a beginning:\n\n");
    for (int64_t i = 0; i < n; i++)
        if (samples[i].prompt[0]) {
            fprintf(to, "- **%s**", samples[i].prompt);
            // The text goes on where the prompt ends; writers that repeat the prompt are cut.
            size_t prompt = strlen(samples[i].prompt);
            const char *text = samples[i].text + (strncmp(samples[i].text, samples[i].prompt, prompt) ? 0 : prompt);
            print_wrapped(to, text, " ", 10000, SAMPLE_TEXT);
        }
}

struct error *card_markdown(const struct run *run, FILE *to, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT];
    fprintf(to, "# %s, run %04d\n\n", run->name, run->number);
    fprintf(to, "- %s", run->state);
    if (run->ended && run->ended[0])
        fprintf(to, " after %s, started %s, ended %s", format_seconds(a, run->seconds), run->started, run->ended);
    else
        fprintf(to, ", started %s", run->started);
    if (isfinite(run->usd))
        fprintf(to, ", %s", format_usd(a, run->usd));
    fprintf(to, "\n- machine: %s\n- build: %s\n- recipe: %s", run->machine, run->build, run->recipe_path);
    if (run->settings && strcmp(run->settings, "[]"))
        fprintf(to, ", with `-s` %s", run->settings);
    fprintf(to, "\n\n| stage | kind | state | time | parameters | tokens | FLOPs | loss | bpb |\n"
                "|---|---|---|---:|---:|---:|---:|---:|---:|\n");
    struct error *e = NULL;
    struct run_tables *tables = arena_array(arena, (size_t)run->n_stages + 1, sizeof *tables);
    if (!tables)
        return error_memory();
    for (int i = 0; i < run->n_stages && !e; i++) {
        const struct run_stage *s = &run->stages[i];
        if ((e = load(run, s, &tables[i], arena)))
            break;
        fprintf(to, "| %s | %s | %s | %s | %s | %s | %s ", s->name, s->kind, s->state, format_seconds(a, s->seconds),
                format_count(b, s->params), format_count(c, s->tokens), format_big(d, s->flops));
        fprintf(to, "| %s | %s |\n", format_real(a, card_loss(&tables[i]), 4), format_real(b, card_bpb(&tables[i]), 4));
    }
    for (int i = 0; i < run->n_stages && !e; i++)
        if (run->stages[i].error)
            fprintf(to, "\n%s %s: %s\n", run->stages[i].name, run->stages[i].state, run->stages[i].error);
    for (int i = 0; i < run->n_stages && !e; i++)
        markdown_samples(to, &run->stages[i], &tables[i]);
    if (!e && run->recipe_text)
        fprintf(to, "\n## Recipe\n\n```yaml\n%s%s```\n", run->recipe_text,
                run->recipe_text[0] && run->recipe_text[strlen(run->recipe_text) - 1] == '\n' ? "" : "\n");
    for (int i = 0; i < run->n_stages; i++)
        run_tables_release(&tables[i]);
    return e;
}
