// compare_seeds.c - a line a group of replicates, and one for what two of them differ by.
#include "runner/view/compare_seeds.h"

#include <math.h>
#include <string.h>

#include "runner/view/format.h"
#include "runner/view/grid.h"

static const char letters[] = "ABCDEFGH";

static bool has_replicates(const struct replicates_row *row, int n_groups)
{
    for (int g = 0; g < n_groups; g++)
        if (row->n[g] > 1)
            return true;
    return false;
}

static bool all_equal(const double *values, int n)
{
    double first = NAN;
    for (int r = 0; r < n; r++)
        if (!isnan(values[r]) && !isnan(first) && values[r] != first)
            return false;
        else if (!isnan(values[r]))
            first = values[r];
    return true;
}

static void add(struct comparison *c, const char *stage, const char *name, bool is_accuracy, const double *values)
{
    struct compare_seed seed = {.stage = stage, .name = name, .is_accuracy = is_accuracy};
    replicates_test(&c->replicates, values, &seed.row);
    if (has_replicates(&seed.row, c->replicates.n_groups) && !all_equal(values, c->n_runs))
        c->seeds[c->n_seeds++] = seed;
}

struct error *compare_seeds(struct comparison *c, struct arena *arena)
{
    struct error *e = replicates_find(&c->replicates, c->runs, c->n_runs, arena);
    c->seeds = arena_array(arena, (size_t)c->n_measures + (size_t)c->n_scores + 1, sizeof *c->seeds);
    if (e || !c->seeds)
        return e ? e : error_memory();
    for (int i = 0; i < c->n_measures; i++)
        if (c->measures[i].unit == COMPARE_REAL)
            add(c, c->measures[i].stage, c->measures[i].name, false, c->measures[i].value);
    for (int i = 0; i < c->n_scores; i++)
        add(c, c->scores[i].model, c->scores[i].label, c->scores[i].is_accuracy, c->scores[i].value);
    return NULL;
}

// "A B C", or the runs' names; NULL: memory ran out.
static const char *group_text(const struct comparison *c, int group, bool names, struct arena *arena)
{
    const char *text = "";
    for (int r = 0; r < c->n_runs && text; r++) {
        if (c->replicates.group[r] != group || c->replicates.again[r])
            continue;
        text = names ? arena_printf(arena, "%s%s%s/%04d", text, *text ? ", " : "", c->runs[r].name, c->runs[r].number)
                     : arena_printf(arena, "%s%s%c", text, *text ? " " : "", letters[r]);
    }
    return text;
}

static const char *number(double value, bool percent, struct arena *arena)
{
    char text[FORMAT_TEXT];
    return isnan(value) ? "-"
           : percent    ? arena_printf(arena, "%.1f %%", 100 * value)
                        : arena_strdup(arena, format_real(text, value, 4));
}

static const char *difference(const struct compare_seed *s, struct arena *arena)
{
    char text[FORMAT_TEXT];
    double d = s->row.difference;
    return isnan(d)         ? "-"
           : s->is_accuracy ? arena_printf(arena, "%s pts", format_signed(text, 100 * d, 1))
                            : arena_strdup(arena, format_signed(text, d, 4));
}

// "+0.0060, p 0.21: cannot be told from noise"; NULL: memory ran out.
static const char *verdict(const struct compare_seed *s, struct arena *arena)
{
    const char *by = difference(s, arena);
    if (!by || isnan(s->row.p))
        return by;
    return arena_printf(arena, "%s, %s%.3f%s", by, s->row.p < 0.001 ? "p < " : "p ", fmax(s->row.p, 0.001),
                        s->row.p >= REPLICATES_NOISE ? ": cannot be told from noise" : "");
}

// Cells of group g: runs, mean, deviation, number; false: memory ran out.
static bool cells_of(const struct comparison *c, const struct compare_seed *s, int g, const char *cells[4], struct arena *arena)
{
    cells[0] = group_text(c, g, true, arena);
    cells[1] = number(s->row.mean[g], s->is_accuracy, arena);
    cells[2] = number(s->row.deviation[g], s->is_accuracy, arena);
    cells[3] = arena_printf(arena, "%d", s->row.n[g]);
    return cells[0] && cells[1] && cells[2] && cells[3];
}

// "1.2340 ± 0.0050"; with the number of runs where it is not that of the heading.
static const char *mean_text(const struct compare_seed *s, int g, int n, struct arena *arena)
{
    const char *mean = number(s->row.mean[g], s->is_accuracy, arena),
               *deviation = number(s->row.deviation[g], s->is_accuracy, arena);
    if (!mean || !deviation)
        return NULL;
    const char *few = s->row.n[g] == n || !s->row.n[g] ? "" : arena_printf(arena, " (%d)", s->row.n[g]);
    if (!few || s->row.n[g] < 2)
        return few ? arena_printf(arena, "%s%s", mean, few) : NULL;
    return arena_printf(arena, "%s ± %s%s", mean, deviation, few);
}

static const char *noise(const struct compare_seed *s, struct arena *arena)
{
    if (isnan(s->row.p))
        return "";
    return s->row.p >= REPLICATES_NOISE ? "within noise"
           : s->row.p < 0.001           ? "p < 0.001"
                                        : arena_printf(arena, "p %.3f", s->row.p);
}

// A column a group, as many as fit beside the name.
static struct error *print_groups(const struct comparison *c, int first, int n, FILE *to, int width, struct arena *arena)
{
    enum { MOST = DIFFERENCES_RUNS + 3 };
    struct column columns[MOST] = {{"over seeds", false, true}};
    struct grid grid;
    int sizes[DIFFERENCES_RUNS] = {0};
    bool two = c->replicates.n_groups == 2;
    for (int r = 0; r < c->n_runs; r++)
        sizes[c->replicates.group[r]] += !c->replicates.again[r];
    for (int g = 0; g < n; g++) {
        columns[g + 1] = (struct column){group_text(c, first + g, false, arena), true, false};
        if (!columns[g + 1].title)
            return error_memory();
    }
    if (two)
        columns[3] = (struct column){"difference", true, false}, columns[4] = (struct column){"", false, false};
    grid_init(&grid, columns, 1 + n + 2 * two, arena);
    for (int i = 0; i < c->n_seeds; i++) {
        const struct compare_seed *s = &c->seeds[i];
        const char *cells[MOST] = {arena_printf(arena, "%s  %s", s->stage, s->name)};
        for (int g = 0; g < n; g++)
            cells[g + 1] = mean_text(s, first + g, sizes[first + g], arena);
        if (two)
            cells[3] = difference(s, arena), cells[4] = noise(s, arena);
        for (int k = 0; k < 1 + n + 2 * two; k++)
            if (!cells[k])
                return error_memory();
        grid_add(&grid, cells);
    }
    if (grid.failed)
        return error_memory();
    fputc('\n', to);
    grid_print(&grid, to, width);
    return NULL;
}

struct error *compare_seeds_print(const struct comparison *c, FILE *to, int width, struct arena *arena)
{
    enum { SIDE_BY_SIDE = 3 };
    struct error *e = NULL;
    for (int g = 0; g < c->replicates.n_groups && c->n_seeds && !e; g += SIDE_BY_SIDE) {
        int left = c->replicates.n_groups - g;
        e = print_groups(c, g, left < SIDE_BY_SIDE ? left : SIDE_BY_SIDE, to, width, arena);
    }
    if (e || !c->n_seeds)
        return e;
    fputc('\n', to);
    text_wrap(to, "",
              "over seeds: runs that differ in nothing but seeds are one thing done several times: their mean ± the deviation of "
              "one from the next. p: Welch's t test; from 0.05 on the two cannot be told from noise. With few seeds only large "
              "differences show.",
              width);
    return NULL;
}

struct error *compare_seeds_markdown(const struct comparison *c, FILE *to, struct arena *arena)
{
    if (c->n_seeds)
        fprintf(to, "\n| stage | over seeds | runs | mean | deviation | n | difference |\n|---|---|---|---:|---:|---:|---|\n");
    for (int i = 0; i < c->n_seeds; i++) {
        const struct compare_seed *s = &c->seeds[i];
        const char *said = isnan(s->row.difference) ? "" : verdict(s, arena), *cells[4];
        for (int g = 0; g < c->replicates.n_groups; g++) {
            if (!s->row.n[g])
                continue;
            if (!said || !cells_of(c, s, g, cells, arena))
                return error_memory();
            fprintf(to, "| %s | %s | %s | %s | %s | %s | %s |\n", s->stage, s->name, cells[0], cells[1], cells[2], cells[3],
                    g ? said : "");
        }
    }
    return NULL;
}

static void reals(struct json *j, const char *key, const double *values, int n)
{
    json_key(j, key);
    json_open(j, '[');
    for (int g = 0; g < n; g++)
        json_f64(j, values[g]);
    json_close(j, ']');
}

void compare_seeds_json(const struct comparison *c, struct json *j)
{
    int n = c->replicates.n_groups;
    json_key(j, "groups");
    json_open(j, '[');
    for (int g = 0; g < n; g++) {
        json_open(j, '[');
        for (int r = 0; r < c->n_runs; r++)
            if (c->replicates.group[r] == g && !c->replicates.again[r])
                json_i64(j, r);
        json_close(j, ']');
    }
    json_close(j, ']');
    json_key(j, "seeds");
    json_open(j, '[');
    for (int i = 0; i < c->n_seeds; i++) {
        const struct compare_seed *s = &c->seeds[i];
        json_open(j, '{');
        json_key(j, "stage"), json_str(j, s->stage);
        json_key(j, "measure"), json_str(j, s->name);
        reals(j, "mean", s->row.mean, n);
        reals(j, "deviation", s->row.deviation, n);
        json_key(j, "n");
        json_open(j, '[');
        for (int g = 0; g < n; g++)
            json_i64(j, s->row.n[g]);
        json_close(j, ']');
        json_key(j, "difference"), json_f64(j, s->row.difference);
        json_key(j, "p"), json_f64(j, s->row.p);
        json_close(j, '}');
    }
    json_close(j, ']');
}
