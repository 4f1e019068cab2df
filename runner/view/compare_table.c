// compare_table.c - the same rows as on the terminal, in two other spellings.
#include "runner/view/compare_table.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runner/recipe/number.h"
#include "runner/view/compare_print.h"
#include "runner/view/compare_seeds.h"
#include "runner/view/format.h"

static const char *run_name(const struct run *run, struct arena *arena)
{
    return run->source ? run->name : arena_printf(arena, "%s/%04d", run->name, run->number);
}

// A text in a cell of a Markdown table: on one line, with nothing that ends the cell.
static void cell(FILE *to, const char *text)
{
    fputs(" ", to);
    for (const char *s = text ? text : "-"; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '|' || c == '\\' || c == '`' || c == '*' || c == '<')
            fputc('\\', to);
        fputc(c < 0x20 || c == 0x7F ? ' ' : c, to);
    }
    fputs(" |", to);
}

static struct error *table_head(const struct comparison *c, const char *title, bool notes, FILE *to, struct arena *arena)
{
    fprintf(to, "\n| stage | %s |", title);
    for (int r = 0; r < c->n_runs; r++) {
        const char *name = run_name(&c->runs[r], arena);
        if (!name)
            return error_memory();
        cell(to, name);
    }
    fprintf(to, "%s\n|---|---|", notes ? " difference | noise |" : "");
    for (int r = 0; r < c->n_runs; r++)
        fprintf(to, "---:|");
    fprintf(to, "%s\n", notes ? "---:|---|" : "");
    return NULL;
}

static void markdown_runs(const struct comparison *c, FILE *to)
{
    char seconds[FORMAT_TEXT], usd[FORMAT_TEXT];
    fprintf(to, "# Comparison\n\n");
    for (int r = 0; r < c->n_runs; r++) {
        const struct run *run = &c->runs[r];
        if (run->source)
            fprintf(to, "- %s: published %s; %s", run->name, run->started, run->source);
        else
            fprintf(to, "- %s/%04d: %s, started %s", run->name, run->number, run->state, run->started);
        fprintf(to, "; time %s, cost %s%s%s\n", format_seconds(seconds, run->seconds), format_usd(usd, run->usd),
                run->machine && *run->machine ? "; on " : "", run->machine ? run->machine : "");
        if (run->note)
            fprintf(to, "  - %s\n", run->note);
    }
}

struct error *compare_markdown(const struct comparison *c, FILE *to, struct arena *arena)
{
    struct error *e = NULL;
    markdown_runs(c, to);
    if (c->differences.n_rows)
        e = table_head(c, "asked", false, to, arena);
    else
        fprintf(to, "\nNo difference in what was asked.\n");
    for (int i = 0; i < c->differences.n_rows && !e; i++) {
        const struct difference *d = &c->differences.rows[i];
        fputs("|", to), cell(to, d->stage), cell(to, d->field);
        for (int r = 0; r < c->n_runs; r++)
            cell(to, d->text[r]);
        fputc('\n', to);
    }
    if (!e && c->differences.n_left_out)
        fprintf(to, "\nAnd %d differences more.\n", c->differences.n_left_out);
    if (!e && c->n_measures)
        e = table_head(c, "came out", false, to, arena);
    for (int i = 0; i < c->n_measures && !e; i++) {
        const struct compare_measure *m = &c->measures[i];
        char text[FORMAT_TEXT];
        fputs("|", to), cell(to, m->stage), cell(to, m->name);
        for (int r = 0; r < c->n_runs; r++)
            cell(to, compare_measure_text(text, m, m->value[r]));
        fputc('\n', to);
    }
    bool two = c->n_runs == 2;
    if (!e && c->n_scores)
        e = table_head(c, "score", two, to, arena);
    for (int i = 0; i < c->n_scores && !e; i++) {
        const struct compare_score *s = &c->scores[i];
        const char *cells[COMPARE_RUNS + 2];
        if ((e = compare_score_cells(s, cells, c->n_runs, arena)))
            break;
        fputs("|", to), cell(to, s->model), cell(to, s->label);
        for (int r = 0; r < c->n_runs + (two ? 2 : 0); r++)
            cell(to, cells[r]);
        fputc('\n', to);
    }
    if (!e)
        e = compare_seeds_markdown(c, to, arena);
    const char *why = e ? NULL : compare_why(c);
    if (why)
        fprintf(to, "\n%s\n", why);
    return e;
}

static void csv_text(FILE *to, const char *text)
{
    text = text ? text : "";
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, to);
        return;
    }
    fputc('"', to);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

static void csv_begin(FILE *to, const char *part, const char *stage, const char *name, const char *why)
{
    csv_text(to, part), fputc(',', to);
    csv_text(to, stage), fputc(',', to);
    csv_text(to, name), fputc(',', to);
    csv_text(to, why);
}

static struct error *csv_number(FILE *to, double value, struct arena *arena)
{
    const char *text = isnan(value) ? "" : number_text(value, arena);
    fputc(',', to);
    csv_text(to, text);
    return text ? NULL : error_memory();
}

static void csv_end(const struct comparison *c, FILE *to, bool noted)
{
    fputs(c->n_runs == 2 && !noted ? ",,\r\n" : "\r\n", to);
}

static struct error *csv_runs(const struct comparison *c, FILE *to, struct arena *arena)
{
    const char *const names[] = {"state", "started", "machine", "build", "source", "note"};
    struct error *e = NULL;
    for (size_t k = 0; k < countof(names); k++) {
        csv_begin(to, "run", "", names[k], "");
        for (int r = 0; r < c->n_runs; r++) {
            const struct run *run = &c->runs[r];
            const char *const values[] = {run->state, run->started, run->machine, run->build, run->source, run->note};
            fputc(',', to), csv_text(to, values[k]);
        }
        csv_end(c, to, false);
    }
    for (int k = 0; k < 2 && !e; k++) {
        csv_begin(to, "run", "", k ? "usd" : "seconds", "");
        for (int r = 0; r < c->n_runs && !e; r++)
            e = csv_number(to, k ? c->runs[r].usd : c->runs[r].seconds, arena);
        csv_end(c, to, false);
    }
    return e;
}

struct error *compare_csv(const struct comparison *c, FILE *to, struct arena *arena)
{
    struct error *e = NULL;
    csv_begin(to, "part", "stage", "name", "why");
    for (int r = 0; r < c->n_runs; r++) {
        const char *name = run_name(&c->runs[r], arena);
        if (!name)
            return error_memory();
        fputc(',', to), csv_text(to, name);
    }
    fputs(c->n_runs == 2 ? ",difference,p\r\n" : "\r\n", to);
    if ((e = csv_runs(c, to, arena)))
        return e;
    for (int i = 0; i < c->differences.n_rows; i++) {
        const struct difference *d = &c->differences.rows[i];
        csv_begin(to, "asked", d->stage, d->field, "");
        for (int r = 0; r < c->n_runs; r++)
            fputc(',', to), csv_text(to, d->text[r]);
        csv_end(c, to, false);
    }
    for (int i = 0; i < c->n_measures && !e; i++) {
        const struct compare_measure *m = &c->measures[i];
        csv_begin(to, "came out", m->stage, m->name, m->why);
        for (int r = 0; r < c->n_runs && !e; r++)
            e = csv_number(to, m->value[r], arena);
        csv_end(c, to, false);
    }
    for (int i = 0; i < c->n_scores && !e; i++) {
        const struct compare_score *s = &c->scores[i];
        csv_begin(to, "score", s->model, s->label, s->why);
        for (int r = 0; r < c->n_runs && !e; r++)
            e = csv_number(to, s->value[r], arena);
        if (!e && c->n_runs == 2 && !(e = csv_number(to, s->difference, arena)))
            e = csv_number(to, s->p, arena);
        csv_end(c, to, true);
    }
    return e;
}
