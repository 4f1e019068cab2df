// compare_print.c - runs are named A, B, C ... in the heading, so that columns are as narrow as their values.
//
// A table is a label, wrapped where it must be, and a column a run; the columns of as many runs as fit stand together. Values too
// long for a column stand below the table, each on lines of its own.
#include "runner/view/compare_print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/view/compare_seeds.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { LONGEST_VALUE = 22, LABEL_LEAST = 20, GAP = 2, STAGE_MOST = 20, NOTES = 2 };

static const char why_text[] =
    "other tokenizer, other text, other questions, other rows, other count: such numbers cannot be compared with those above "
    "them, and so stand in rows of their own.";

static const char *const letters[COMPARE_RUNS] = {"A", "B", "C", "D", "E", "F", "G", "H"};

struct sheet {
    const char **labels;
    const char *(*cells)[COMPARE_RUNS + NOTES]; // behind the runs: the difference and what it means, of two
    int n_rows;
    const char *title;
};

// "tiny/0001, finished after 3m30s, $0.12, started ..., on ..., build ...".
static const char *run_heading(const struct run *run, const char *machine, const char *build, struct arena *arena)
{
    char seconds[FORMAT_TEXT], usd[FORMAT_TEXT];
    return arena_printf(arena, "%s/%04d, %s after %s%s%s, started %s%s%s%s%s", run->name, run->number, run->state,
                        format_seconds(seconds, run->seconds), isfinite(run->usd) ? ", " : "",
                        isfinite(run->usd) ? format_usd(usd, run->usd) : "", run->started, *machine ? ", on " : "", machine,
                        *build ? ", build " : "", build);
}

static const char *published_heading(const struct run *run, bool with_note, struct arena *arena)
{
    char seconds[FORMAT_TEXT], usd[FORMAT_TEXT];
    bool time = isfinite(run->seconds), cost = isfinite(run->usd);
    return arena_printf(arena, "%s, published %s%s%s%s%s%s%s: %s%s%s", run->name, run->started, time ? ", took " : "",
                        time ? format_seconds(seconds, run->seconds) : "", cost ? ", " : "",
                        cost ? format_usd(usd, run->usd) : "", *run->machine ? ", on " : "", run->machine, run->source,
                        with_note ? ". " : "", with_note ? run->note : "");
}

// Of the runs that have records: a published one is a world of its own.
static bool alike(const struct comparison *c, size_t offset)
{
    const char *first = NULL;
    for (int r = 0; r < c->n_runs; r++) {
        const char *other = *(const char *const *)((const char *)&c->runs[r] + offset);
        if (c->runs[r].source)
            continue;
        if (first && strcmp(first, other ? other : ""))
            return false;
        first = first ? first : other ? other : "";
    }
    return first;
}

// The runs that have a record: *first is the first of them, or any; *names "all", or "A, C" where others are published.
static int records(const struct comparison *c, const struct run **first, const char **names, struct arena *arena)
{
    int n = 0;
    *first = &c->runs[0];
    *names = "";
    for (int r = 0; r < c->n_runs && *names; r++)
        if (!c->runs[r].source) {
            *first = n ? *first : &c->runs[r];
            *names = arena_printf(arena, "%s%s%s", *names, n++ ? ", " : "", letters[r]);
        }
    if (n == c->n_runs)
        *names = "all";
    return n;
}

// What all have in common stands below them; of a single record it stands in its own line.
static struct error *print_heading(const struct comparison *c, FILE *to, int width, struct arena *arena)
{
    const struct run *record;
    const char *names;
    bool several = records(c, &record, &names, arena) > 1;
    bool same_machine = several && alike(c, offsetof(struct run, machine));
    bool same_build = several && alike(c, offsetof(struct run, build));
    if (!names)
        return error_memory();
    for (int r = 0; r < c->n_runs; r++) {
        const struct run *run = &c->runs[r];
        char first[8];
        const char *text = run->source ? published_heading(run, run->note && c->n_runs <= 2, arena)
                                       : run_heading(run, same_machine ? "" : run->machine, same_build ? "" : run->build, arena);
        text = text ? text_plain(text, arena) : NULL;
        if (!text)
            return error_memory();
        snprintf(first, sizeof first, "%s  ", letters[r]);
        text_wrap(to, first, text, width);
    }
    if (!same_machine && !same_build)
        return NULL;
    const char *common = arena_printf(arena, "%s %s%s%s%s", names, same_machine ? "on " : "", same_machine ? record->machine : "",
                                      !same_build    ? ""
                                      : same_machine ? ", build "
                                                     : "of build ",
                                      same_build ? record->build : "");
    common = common ? text_plain(common, arena) : NULL;
    if (!common)
        return error_memory();
    text_wrap(to, "   ", common, width);
    return NULL;
}

static struct error *sheet_init(struct sheet *s, const char *title, int n_rows, struct arena *arena)
{
    *s = (struct sheet){.title = title,
                        .labels = arena_array(arena, (size_t)n_rows + 1, sizeof *s->labels),
                        .cells = arena_array(arena, (size_t)n_rows + 1, sizeof *s->cells)};
    return s->labels && s->cells ? NULL : error_memory();
}

// "sft   town_quiz": names of stages stand in a column of their own as long as they are short.
static const char *label(const char *stage, int stage_width, const char *name, struct arena *arena)
{
    const char *clean_stage = text_plain(stage, arena), *clean_name = text_plain(name, arena);
    if (!clean_stage || !clean_name)
        return NULL;
    int pad = stage_width - text_width(clean_stage);
    return arena_printf(arena, "%s%*s  %s", clean_stage, pad > 0 ? pad : 0, "", clean_name);
}

static int wider(int most, const char *stage)
{
    int w = text_width(stage);
    return w > most && w <= STAGE_MOST ? w : most;
}

static int cell_width(const struct sheet *s, int column, const char *title)
{
    int most = text_width(title);
    for (int i = 0; i < s->n_rows; i++) {
        int w = s->cells[i][column] ? text_width(s->cells[i][column]) : 0;
        most = w > most ? w : most;
    }
    return most;
}

// In blocks of as many runs as fit beside the label; `notes` are columns behind the only block of two runs.
static struct error *sheet_print(const struct sheet *s, int n_runs, const char *const *notes, FILE *to, int width,
                                 struct arena *arena)
{
    int labels = text_width(s->title);
    for (int i = 0; i < s->n_rows; i++)
        labels = text_width(s->labels[i]) > labels ? text_width(s->labels[i]) : labels;
    int least = labels < LABEL_LEAST ? labels : LABEL_LEAST;
    for (int first = 0, next; first < n_runs; first = next) {
        struct column columns[COMPARE_RUNS + NOTES + 1] = {{s->title, false, true}};
        struct grid grid;
        int used = least, n = 1;
        for (next = first; next < n_runs && (next == first || used + GAP + cell_width(s, next, letters[next]) <= width); next++) {
            used += GAP + cell_width(s, next, letters[next]);
            columns[n++] = (struct column){letters[next], true, false};
        }
        for (int k = 0; notes && k < NOTES; k++)
            columns[n++] = (struct column){notes[k], k == 0, false};
        grid_init(&grid, columns, n, arena);
        for (int i = 0; i < s->n_rows; i++) {
            const char *cells[COMPARE_RUNS + NOTES + 1] = {s->labels[i]};
            for (int k = 1; k < n; k++)
                cells[k] = s->cells[i][first + k - 1];
            grid_add(&grid, cells);
        }
        if (grid.failed)
            return error_memory();
        fputc('\n', to);
        grid_print(&grid, to, width);
    }
    return NULL;
}

static bool is_long(const struct difference *d, int n_runs)
{
    for (int r = 0; r < n_runs; r++)
        if (d->text[r] && text_width(d->text[r]) > LONGEST_VALUE)
            return true;
    return false;
}

static const char *field_label(const struct difference *d, int stages, struct arena *arena)
{
    const char *field = d->of > 1 ? arena_printf(arena, "%s (first of %d)", d->field, d->of) : d->field;
    return field ? label(d->stage, stages, field, arena) : NULL;
}

static struct error *print_differences(const struct comparison *c, FILE *to, int width, struct arena *arena)
{
    const struct differences *d = &c->differences;
    struct sheet s;
    struct error *e = sheet_init(&s, "asked", d->n_rows, arena);
    int stages = 0, n_long = 0;
    if (e)
        return e;
    if (!d->n_rows) {
        fprintf(to, "\nno difference in what was asked\n");
        return NULL;
    }
    for (int i = 0; i < d->n_rows; i++)
        stages = wider(stages, d->rows[i].stage);
    for (int i = 0; i < d->n_rows; i++) {
        const struct difference *row = &d->rows[i];
        if (is_long(row, c->n_runs)) {
            n_long++;
            continue;
        }
        s.labels[s.n_rows] = field_label(row, stages, arena);
        for (int r = 0; r < c->n_runs; r++)
            if (!(s.cells[s.n_rows][r] = text_plain(row->text[r], arena)))
                return error_memory();
        if (!s.labels[s.n_rows++])
            return error_memory();
    }
    e = s.n_rows ? sheet_print(&s, c->n_runs, NULL, to, width, arena) : NULL;
    for (int i = 0; i < d->n_rows && !e && n_long; i++) {
        const char *name = is_long(&d->rows[i], c->n_runs) ? field_label(&d->rows[i], 0, arena) : "";
        if (!name)
            return error_memory();
        if (!*name)
            continue;
        fputc('\n', to);
        text_wrap(to, "", name, width);
        for (int r = 0; r < c->n_runs && !e; r++) {
            char first[8];
            const char *text = text_plain(d->rows[i].text[r], arena);
            snprintf(first, sizeof first, "  %s  ", letters[r]);
            if (text)
                text_wrap(to, first, text, width);
            else
                e = error_memory();
        }
    }
    if (!e && d->n_left_out)
        fprintf(to, "\nand %d differences more\n", d->n_left_out);
    return e;
}

const char *compare_measure_text(char text[FORMAT_TEXT], const struct compare_measure *m, double value)
{
    switch (m->unit) {
    case COMPARE_SECONDS:
        return format_seconds(text, value);
    case COMPARE_USD:
        return format_usd(text, value);
    case COMPARE_COUNT:
        return format_count(text, isnan(value) || value > 9e18 ? -1 : (int64_t)value);
    case COMPARE_BIG:
        return format_big(text, value);
    case COMPARE_RATIO:
        isnan(value) ? snprintf(text, FORMAT_TEXT, "-") : snprintf(text, FORMAT_TEXT, "%.3g", value);
        return text;
    case COMPARE_REAL:
        break;
    }
    return format_real(text, value, 4);
}

static struct error *print_measures(const struct comparison *c, FILE *to, int width, struct arena *arena)
{
    struct sheet s;
    struct error *e = sheet_init(&s, "came out", c->n_measures, arena);
    int stages = 0;
    if (e || !c->n_measures)
        return e;
    for (int i = 0; i < c->n_measures; i++)
        stages = wider(stages, c->measures[i].stage);
    for (int i = 0; i < c->n_measures; i++) {
        const struct compare_measure *m = &c->measures[i];
        s.labels[i] = label(m->stage, stages, m->name, arena);
        if (!s.labels[i])
            return error_memory();
        for (int r = 0; r < c->n_runs; r++) {
            char text[FORMAT_TEXT];
            if (!(s.cells[i][r] = arena_strdup(arena, compare_measure_text(text, m, m->value[r]))))
                return error_memory();
        }
        s.n_rows++;
    }
    return sheet_print(&s, c->n_runs, NULL, to, width, arena);
}

static const char *difference_text(const struct compare_score *s, struct arena *arena)
{
    char text[FORMAT_TEXT];
    if (isnan(s->difference))
        return "";
    return s->is_accuracy ? arena_printf(arena, "%s pts", format_signed(text, 100 * s->difference, 1))
                          : arena_strdup(arena, format_signed(text, s->difference, 4));
}

static const char *noise_text(const struct compare_score *s, struct arena *arena)
{
    const char *pairs = s->test == COMPARE_PROPORTIONS ? ", unpaired" : "";
    if (isnan(s->p))
        return "";
    if (s->p >= COMPARE_NOISE)
        return arena_printf(arena, "within noise%s", pairs);
    return s->p < 0.001 ? arena_printf(arena, "p < 0.001%s", pairs) : arena_printf(arena, "p %.3f%s", s->p, pairs);
}

struct error *compare_score_cells(const struct compare_score *from, const char **cells, int n_runs, struct arena *arena)
{
    const struct score_row row = {.is_accuracy = from->is_accuracy, .less_is_better = from->less_is_better};
    for (int r = 0; r < n_runs; r++) {
        char text[FORMAT_TEXT];
        bool marked = n_runs > 2 && from->best[r];
        cells[r] = arena_printf(arena, "%s%s", marked ? "*" : "", score_text(text, sizeof text, &row, from->value[r]));
        if (!cells[r])
            return error_memory();
    }
    if (n_runs != 2)
        return NULL;
    cells[2] = difference_text(from, arena);
    cells[3] = noise_text(from, arena);
    return cells[2] && cells[3] ? NULL : error_memory();
}

const char *compare_why(const struct comparison *c)
{
    for (int i = 0; i < c->n_measures; i++)
        if (c->measures[i].why)
            return why_text;
    for (int i = 0; i < c->n_scores; i++)
        if (c->scores[i].why)
            return why_text;
    return NULL;
}

static struct error *print_scores(const struct comparison *c, FILE *to, int width, struct arena *arena)
{
    static const char *const notes[NOTES] = {"B - A", ""};
    struct sheet s;
    struct error *e = sheet_init(&s, "scores", c->n_scores, arena);
    int stages = 0;
    bool paired = false, unpaired = false, bpb = false, marked = false;
    if (e || !c->n_scores)
        return e;
    for (int i = 0; i < c->n_scores; i++)
        stages = wider(stages, c->scores[i].model);
    for (int i = 0; i < c->n_scores && !e; i++) {
        s.labels[i] = label(c->scores[i].model, stages, c->scores[i].label, arena);
        e = s.labels[i] ? compare_score_cells(&c->scores[i], s.cells[i], c->n_runs, arena) : error_memory();
        paired |= c->scores[i].test == COMPARE_MCNEMAR;
        unpaired |= c->scores[i].test == COMPARE_PROPORTIONS;
        bpb |= c->scores[i].less_is_better;
        for (int r = 0; r < c->n_runs; r++)
            marked |= c->n_runs > 2 && c->scores[i].best[r];
        s.n_rows++;
    }
    if (e || (e = sheet_print(&s, c->n_runs, c->n_runs == 2 ? notes : NULL, to, width, arena)))
        return e;
    if (paired || unpaired || marked || bpb)
        fputc('\n', to);
    if (paired)
        text_wrap(to, "",
                  "p: McNemar's exact test, question by question; 0.05 and more is within noise. "
                  "It knows the noise of questions, not that of another seed.",
                  width);
    if (unpaired)
        text_wrap(to, "", "unpaired: not the same questions in both, or their answers were not kept; p of the two shares.",
                  width);
    if (marked)
        text_wrap(to, "", "*: the best. Compare two runs to see what is within noise.", width);
    if (bpb)
        text_wrap(to, "", "bpb: bits per byte, less is better.", width);
    return NULL;
}

struct error *compare_print(const struct comparison *c, FILE *to, int width, struct arena *arena)
{
    struct error *e = print_heading(c, to, width, arena);
    if (!e)
        e = print_differences(c, to, width, arena);
    if (!e)
        e = print_measures(c, to, width, arena);
    if (!e)
        e = print_scores(c, to, width, arena);
    if (!e)
        e = compare_seeds_print(c, to, width, arena);
    if (!e && compare_why(c))
        fputc('\n', to), text_wrap(to, "", compare_why(c), width);
    return e;
}
