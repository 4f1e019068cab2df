// card.c - everything comes from the record of the run: results may be gone by the time someone reads it.
#include "runner/view/card.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runner/recipe/fields.h"
#include "runner/view/card_origin.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"
#include "runner/view/scores.h"

enum { CARD_WIDTH = 80, SAMPLE_SHOWN = 300, SAMPLES_QUOTED = 3, ROLLOUTS_QUOTED = 3, SCORE_COLUMNS = 8 };

double card_loss(const struct run_tables *t)
{
    return t->train.n && !t->rewards.n ? ((const struct metric_train *)t->train.rows)[t->train.n - 1].loss : NAN;
}

double card_bpb(const struct run_tables *t)
{
    const struct table *from = t->scores.n ? &t->scores : &t->val;
    return from->n ? ((const struct metric_val *)from->rows)[from->n - 1].bpb : NAN;
}

static bool is_finetune(const struct run_stage *stage)
{
    return !strcmp(stage->kind, "finetune");
}

double card_text_bpb(const struct run_stage *stage, const struct run_tables *t)
{
    return is_finetune(stage) ? NAN : card_bpb(t);
}

double card_val(const struct run_stage *stage, const struct run_tables *t)
{
    return is_finetune(stage) ? card_bpb(t) : NAN;
}

bool card_trains(const struct run_stage *stage)
{
    enum stage_kind_id kind = kind_named(stage->kind, strlen(stage->kind));
    return kind != KIND_COUNT && kind_trains(kind);
}

int64_t card_tokens(const struct run_stage *stage)
{
    return run_stage_made(stage) || stage->published ? stage->tokens : -1;
}

double card_flops(const struct run_stage *stage)
{
    return run_stage_made(stage) || stage->published ? stage->flops : NAN;
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
        size_t word = strcspn(text, " \n\t\r"), fits = text_prefix(text, width);
        int w = 0;
        word = word > fits ? fits : word; // what a model writes may have no blanks
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
    if (*text && column + 4 > width)
        fprintf(to, "\n%s...\n", prefix);
    else
        fprintf(to, "%s\n", *text ? " ..." : "");
}

// A fence of a block of code: three backticks, or more than stand anywhere in the text.
static void print_fence(FILE *to, const char *text, const char *end)
{
    size_t n = 3;
    for (text = strchr(text, '`'); text; text = strchr(text, '`')) {
        size_t run = strspn(text, "`");
        n = run >= n ? run + 1 : n;
        text += run;
    }
    while (n--)
        fputc('`', to);
    fputs(end, to);
}

// A text with its own lines.
static void print_lines(FILE *to, const char *text)
{
    while (*text) {
        size_t line = strcspn(text, "\n");
        print_word(to, text, line);
        fputc('\n', to);
        text += line + (text[line] == '\n');
    }
}

static struct error *add_row(struct grid *grid, const struct run_stage *stage, const struct run_tables *t, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT], e[FORMAT_TEXT], f[FORMAT_TEXT];
    const char *const cells[] = {stage->name,
                                 stage->state,
                                 arena_strdup(arena, format_seconds(a, stage->seconds)),
                                 arena_strdup(arena, format_count(b, stage->params)),
                                 arena_strdup(arena, format_count(c, card_tokens(stage))),
                                 arena_strdup(arena, format_real(d, card_loss(t), 3)),
                                 arena_strdup(arena, format_real(e, card_text_bpb(stage, t), 4)),
                                 arena_strdup(arena, format_real(f, card_val(stage, t), 4))};
    for (size_t i = 0; i < countof(cells); i++)
        if (!cells[i])
            return error_memory();
    grid_add(grid, cells);
    return grid->failed ? error_memory() : NULL;
}

static const struct column columns[] = {{"stage", false, true},  {"state", false, false}, {"time", true, false},
                                        {"params", true, false}, {"tokens", true, false}, {"loss", true, false},
                                        {"bpb", true, false},    {"val", true, false}};

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

// The last right answer that was kept, or the last at all.
static void print_rollout(FILE *to, const struct run_stage *stage, const struct run_tables *tables)
{
    const struct rollout *rollouts = tables->rollouts.rows;
    int64_t n = tables->rollouts.n, shown = n - 1;
    for (int64_t i = 0; i < n; i++)
        if (rollouts[i].reward > 0)
            shown = i;
    if (!n)
        return;
    fprintf(to, "\n%s answers, at step %lld, with reward %g:\n", stage->name, (long long)rollouts[shown].step,
            rollouts[shown].reward);
    print_wrapped(to, rollouts[shown].prompt, "  > ", CARD_WIDTH - 6, SAMPLE_SHOWN);
    print_wrapped(to, rollouts[shown].text, "  ", CARD_WIDTH - 4, SAMPLE_SHOWN);
}

// The last SCORE_COLUMNS models are shown; recipes with more are read with `compare`.
static struct error *print_scores(const struct run *run, const struct run_tables *tables, FILE *to, struct arena *arena)
{
    struct scores s;
    struct grid grid;
    struct column titles[SCORE_COLUMNS + 1] = {{"score", false, true}};
    const char *cells[SCORE_COLUMNS + 1];
    struct error *e = scores_collect(&s, run, tables, arena);
    if (e || !s.n_rows)
        return e;
    int first = s.n_models > SCORE_COLUMNS ? s.n_models - SCORE_COLUMNS : 0, n = s.n_models - first;
    for (int m = 0; m < n; m++)
        titles[m + 1] = (struct column){s.models[first + m], true, false};
    grid_init(&grid, titles, n + 1, arena);
    for (int r = 0; r < s.n_rows; r++) {
        cells[0] = s.rows[r].label;
        for (int m = 0; m < n; m++) {
            char text[FORMAT_TEXT];
            cells[m + 1] = arena_strdup(arena, score_text(text, sizeof text, &s.rows[r], s.rows[r].value[first + m]));
            if (!cells[m + 1])
                return error_memory();
        }
        grid_add(&grid, cells);
    }
    if (grid.failed)
        return error_memory();
    fputc('\n', to);
    grid_print(&grid, to, CARD_WIDTH);
    for (int r = 0; r < s.n_rows; r++) {
        const char *text = s.rows[r].missing ? arena_printf(arena, "%s: not asked, for want of their data: %s", s.rows[r].label,
                                                            s.rows[r].missing)
                                             : "";
        if (!text)
            return error_memory();
        if (*text)
            fputc('\n', to), print_wrapped(to, text, "", CARD_WIDTH, (int)strlen(text));
    }
    return NULL;
}

// What stages said that a reader should know. apart: each a paragraph of its own, as Markdown wants it.
static void print_notes(FILE *to, const struct run *run, const struct run_tables *tables, bool apart, int width)
{
    for (int i = 0; i < run->n_stages; i++) {
        const struct event *events = tables[i].events.rows;
        bool told = false;
        for (int64_t k = 0; k < tables[i].events.n; k++) {
            if (strcmp(events[k].kind, "note"))
                continue;
            if (!told || apart)
                fprintf(to, "\n%s:\n", run->stages[i].name);
            told = true;
            print_wrapped(to, events[k].text, "  ", width, EVENT_TEXT);
        }
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
    bool has_val = false;
    for (int i = 0; i < run->n_stages; i++)
        has_val |= is_finetune(&run->stages[i]);
    grid_init(&grid, columns, countof(columns) - !has_val, arena);
    for (int i = 0; i < run->n_stages && !e; i++) {
        e = run_stage_tables(&tables[i], run, &run->stages[i]);
        if (!e)
            e = add_row(&grid, &run->stages[i], &tables[i], arena);
    }
    if (!e) {
        fprintf(to, "\n%s, run %04d: %s after %s\n\n", run->name, run->number, run->state, format_seconds(seconds, run->seconds));
        grid_print(&grid, to, CARD_WIDTH);
        e = print_scores(run, tables, to, arena);
        print_notes(to, run, tables, false, CARD_WIDTH - 4);
        for (int i = 0; i < run->n_stages; i++) {
            print_samples(to, &run->stages[i], &tables[i]);
            print_rollout(to, &run->stages[i], &tables[i]);
        }
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

// " ± 1.9 [20.4, 28.0]", or what is known of it.
static void markdown_noise(const struct score_row *row, int m, FILE *to)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    double unit = row->is_accuracy ? 100 : 1;
    int digits = row->is_accuracy ? 1 : 4;
    if (isfinite(row->deviation[m]))
        fprintf(to, " ± %.*f", digits, unit * row->deviation[m]);
    if (isfinite(row->low[m]) && isfinite(row->high[m]))
        fprintf(to, " [%s, %s]", format_real(a, unit * row->low[m], digits), format_real(b, unit * row->high[m], digits));
}

// What the rows that are there mean.
static void markdown_legend(const struct scores *s, FILE *to)
{
    bool bpb = false, tasks = false, means = false, suites = false, apart = false;
    for (int r = 0; r < s->n_rows; r++) {
        const struct score_row *row = &s->rows[r];
        bpb |= row->less_is_better;
        tasks |= row->is_accuracy;
        means |= !strncmp(row->name, "ChatCORE", 8);
        suites |= row->suite != NULL;
        apart |= strcmp(row->name, row->label) != 0;
    }
    if (bpb)
        fprintf(to, "bpb: bits per byte, less is better.\n");
    if (tasks)
        fprintf(to, "Tasks: share of right answers, ± its standard error [95 %% confidence interval].\n");
    for (int r = 0; r < s->n_rows; r++)
        if (s->rows[r].missing)
            fprintf(to, "%s: not asked, for want of their data: %s.\n", s->rows[r].label, s->rows[r].missing);
    if (suites)
        fprintf(to, "Suites: mean over their tasks of (accuracy - chance) / (1 - chance), ± its standard error [95 %% confidence "
                    "interval].\n");
    if (means)
        fprintf(to, "ChatCORE: mean over the tasks of (accuracy - chance) / (1 - chance).\n");
    if (apart)
        fprintf(to, "What cannot be compared has rows of its own.\n");
}

static struct error *markdown_scores(const struct run *run, const struct run_tables *tables, FILE *to, struct arena *arena)
{
    struct scores s;
    struct error *e = scores_collect(&s, run, tables, arena);
    if (e || !s.n_rows)
        return e;
    fprintf(to, "\n## Scores\n\n| score |");
    for (int m = 0; m < s.n_models; m++)
        fprintf(to, " %s |", s.models[m]);
    fprintf(to, "\n|---|");
    for (int m = 0; m < s.n_models; m++)
        fprintf(to, "---:|");
    for (int r = 0; r < s.n_rows; r++) {
        fprintf(to, "\n| %s |", s.rows[r].label);
        for (int m = 0; m < s.n_models; m++) {
            char text[FORMAT_TEXT];
            fprintf(to, " %s", score_text(text, sizeof text, &s.rows[r], s.rows[r].value[m]));
            markdown_noise(&s.rows[r], m, to);
            fprintf(to, " |");
        }
    }
    fprintf(to, "\n\n");
    markdown_legend(&s, to);
    bool asks = false;
    for (int r = 0; r < s.n_rows; r++)
        asks |= s.rows[r].is_accuracy;
    return card_overlap(run, asks, to, arena);
}

static void markdown_text(FILE *to, const struct metric_text *row)
{
    const int64_t peers[] = {row->gpt2, row->gpt4};
    fprintf(to, "| %s | %lld | %lld | %.2f |", row->text, (long long)row->bytes, (long long)row->tokens,
            (double)row->bytes / (double)row->tokens);
    for (size_t i = 0; i < countof(peers); i++)
        if (peers[i] > 0)
            fprintf(to, " %lld | %.2f | %+.1f %% |", (long long)peers[i], (double)row->bytes / (double)peers[i],
                    100 * (double)(peers[i] - row->tokens) / (double)peers[i]);
        else
            fprintf(to, " - | - | - |");
    fputc('\n', to);
}

// How a vocabulary compresses; what validation tells of it comes from the pretrainings that were made with it.
static void markdown_texts(FILE *to, const struct run *run, const struct run_tables *tables, int i_stage)
{
    const struct run_stage *stage = &run->stages[i_stage];
    const struct metric_text *rows = tables[i_stage].texts.rows;
    int64_t n = tables[i_stage].texts.n;
    if (!n)
        return;
    fprintf(to,
            "\n## Tokenizer: %s\n\n| text | bytes | tokens | bytes a token | GPT-2 | bytes a token | fewer | GPT-4 | bytes a "
            "token | fewer |\n"
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            stage->name);
    for (int64_t i = 0; i < n; i++)
        if (rows[i].tokens > 0)
            markdown_text(to, &rows[i]);
    for (int i = 0; i < run->n_stages; i++) {
        const struct run_stage *user = &run->stages[i];
        const struct table *val = &tables[i].val;
        if (strcmp(user->kind, "pretrain") || !val->n || !user->payload || !stage->key[0] || !strstr(user->payload, stage->key))
            continue;
        const struct metric_val *last = (const struct metric_val *)val->rows + val->n - 1;
        struct metric_text row = {.bytes = last->bytes, .tokens = last->tokens, .gpt2 = -1, .gpt4 = -1};
        snprintf(row.text, sizeof row.text, "validation of %.24s", user->name);
        if (row.tokens > 0)
            markdown_text(to, &row);
    }
    fprintf(to, "\nfewer: how many tokens less it makes of the same text than the vocabularies of GPT-2 (50,257 tokens) and "
                "GPT-4 (100,277);\n"
                "below 0 it makes more. Training text: its beginning. Validation: bytes as bits per byte count them.\n");
}

// An update's own mean is of few answers: a fifth of all updates tells more.
static double mean_reward(const struct metric_rollouts *reward, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += reward[i].reward;
    return sum / (double)n;
}

static void markdown_pass(FILE *to, const struct run_stage *stage, const struct run_tables *tables)
{
    const struct metric_pass *pass = tables->pass.rows;
    const struct metric_rollouts *reward = tables->rewards.rows;
    int64_t n = tables->pass.n, n_rewards = tables->rewards.n;
    if (n_rewards) {
        int64_t few = (n_rewards + 4) / 5;
        fprintf(
            to,
            "\n## How %s learned\n\nMean reward of the answers to what it practised on: %.3f over the first %lld updates, %.3f "
            "over the last %lld.\n",
            stage->name, mean_reward(reward, few), (long long)few, mean_reward(reward + n_rewards - few, few), (long long)few);
    }
    if (!n)
        return;
    fprintf(to, "\nShare of %lld held-out questions of which one of the first k sampled answers is right:\n\n| step |",
            (long long)pass[0].n);
    for (int64_t i = 0; i < n && pass[i].step == pass[0].step; i++)
        fprintf(to, " pass@%lld |", (long long)pass[i].k);
    fprintf(to, "\n|---:|");
    for (int64_t i = 0; i < n && pass[i].step == pass[0].step; i++)
        fprintf(to, "---:|");
    for (int64_t i = 0; i < n; i++) {
        if (!i || pass[i].step != pass[i - 1].step)
            fprintf(to, "\n| %lld |", (long long)pass[i].step);
        fprintf(to, " %.3f |", pass[i].pass);
    }
    fputc('\n', to);
}

// Some of the last: right ones and wrong ones as they were kept.
static void markdown_rollouts(FILE *to, const struct run_stage *stage, const struct run_tables *tables)
{
    const struct rollout *r = tables->rollouts.rows;
    int64_t n = tables->rollouts.n, first = n > ROLLOUTS_QUOTED ? n - ROLLOUTS_QUOTED : 0;
    if (n)
        fprintf(to, "\n## What %s answers\n", stage->name);
    for (int64_t i = first; i < n; i++) {
        fprintf(to, "\nAt step %lld, reward %g, advantage %+.3f:\n\n", (long long)r[i].step, r[i].reward, r[i].advantage);
        print_wrapped(to, r[i].prompt, "> ", CARD_WIDTH - 2, ROLLOUT_PROMPT);
        fputc('\n', to);
        print_fence(to, r[i].text, "\n");
        print_lines(to, r[i].text);
        print_fence(to, r[i].text, "\n");
    }
}

static void markdown_heading(const struct run *run, FILE *to)
{
    char a[FORMAT_TEXT];
    fprintf(to, "# %s, run %04d\n\n", run->name, run->number);
    fprintf(to, "- %s", run->state);
    if (run->ended && run->ended[0])
        fprintf(to, " after %s, started %s, ended %s", format_seconds(a, run->seconds), run->started, run->ended);
    else
        fprintf(to, ", started %s", run->started);
    if (isfinite(run->usd))
        fprintf(to, ", %s", format_usd(a, run->usd));
    fprintf(to, "\n- machine: %s\n- build: %s", run->machine, run->build);
    if (run->code && run->code[0])
        fprintf(to, "\n- code: %s", run->code);
    fprintf(to, "\n- recipe: %s", run->recipe_path);
    if (run->settings && strcmp(run->settings, "[]"))
        fprintf(to, ", with `-s` %s", run->settings);
}

static void markdown_published(const struct run *run, FILE *to)
{
    char a[FORMAT_TEXT];
    fprintf(to, "# %s, published %s\n\n- source: %s", run->name, run->started, run->source);
    if (run->note)
        fprintf(to, "\n- note: %s", run->note);
    if (run->machine[0])
        fprintf(to, "\n- machine: %s", run->machine);
    if (isfinite(run->seconds))
        fprintf(to, "\n- time: %s", format_seconds(a, run->seconds));
    if (isfinite(run->usd))
        fprintf(to, "\n- cost: %s", format_usd(a, run->usd));
}

struct error *card_markdown(const struct run *run, FILE *to, struct arena *arena)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT];
    if (run->source)
        markdown_published(run, to);
    else
        markdown_heading(run, to);
    bool has_cost = false;
    for (int i = 0; i < run->n_stages; i++)
        has_cost |= isfinite(run->stages[i].usd);
    fprintf(to,
            "\n\n| stage | kind | state | time |%s parameters | tokens | FLOPs | loss | bpb | val |\n"
            "|---|---|---|---:|%s---:|---:|---:|---:|---:|---:|\n",
            has_cost ? " cost |" : "", has_cost ? "---:|" : "");
    struct error *e = NULL;
    struct run_tables *tables = arena_array(arena, (size_t)run->n_stages + 1, sizeof *tables);
    if (!tables)
        return error_memory();
    int n_val = 0; // stages that have val and no bpb
    for (int i = 0; i < run->n_stages && !e; i++) {
        const struct run_stage *s = &run->stages[i];
        n_val += is_finetune(s);
        if ((e = run_stage_tables(&tables[i], run, s)))
            break;
        fprintf(to, "| %s | %s | %s | %s ", s->name, s->kind, s->state, format_seconds(a, s->seconds));
        if (has_cost)
            fprintf(to, "| %s ", format_usd(a, s->usd));
        fprintf(to, "| %s | %s | %s ", format_count(b, s->params), format_count(c, card_tokens(s)), format_big(d, card_flops(s)));
        fprintf(to, "| %s | %s | %s |\n", format_real(a, card_loss(&tables[i]), 4),
                format_real(b, card_text_bpb(s, &tables[i]), 4), format_real(c, card_val(s, &tables[i]), 4));
    }
    if (!e && n_val < run->n_stages)
        fprintf(to, "\nbpb: bits per byte over validation text.\n");
    if (!e && n_val)
        fprintf(to, "%sval: bits per byte over the test splits of what a fine-tuning learns.\n",
                n_val < run->n_stages ? "" : "\n");
    if (!e && !run->source)
        card_totals(run, to);
    for (int i = 0; i < run->n_stages && !e; i++)
        if (run->stages[i].error)
            fprintf(to, "\n%s %s: %s\n", run->stages[i].name, run->stages[i].state, run->stages[i].error);
    if (!e) {
        print_notes(to, run, tables, true, EVENT_TEXT);
        for (int i = 0; i < run->n_stages; i++)
            markdown_texts(to, run, tables, i);
        e = markdown_scores(run, tables, to, arena);
    }
    for (int i = 0; i < run->n_stages && !e; i++) {
        markdown_samples(to, &run->stages[i], &tables[i]);
        markdown_pass(to, &run->stages[i], &tables[i]);
        markdown_rollouts(to, &run->stages[i], &tables[i]);
    }
    if (!e)
        e = card_data(run, to, arena);
    if (!e && run->recipe_text) {
        size_t n = strlen(run->recipe_text);
        fprintf(to, "\n## Recipe\n\n");
        print_fence(to, run->recipe_text, "yaml\n");
        fprintf(to, "%s%s", run->recipe_text, n && run->recipe_text[n - 1] == '\n' ? "" : "\n");
        print_fence(to, run->recipe_text, "\n");
    }
    for (int i = 0; i < run->n_stages; i++)
        run_tables_release(&tables[i]);
    return e;
}
