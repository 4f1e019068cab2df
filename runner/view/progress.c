// progress.c - the parts of a line are put behind each other while they fit.
//
// On a terminal the lines of running stages stand last, without a line end behind them: whatever is told for good is printed in their
// place, and they again below it.
#include "runner/view/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { WIDTH = 80, ROWS = 24, BAR_MOST = 24, BAR_LEAST = 4 };

static const double PLAIN_SECONDS = 10, PLAIN_SHARE = 0.1;

static struct winsize terminal_size(FILE *to)
{
    struct winsize size;
    if (ioctl(fileno(to), TIOCGWINSZ, &size))
        size = (struct winsize){0};
    size.ws_col = size.ws_col >= 20 ? size.ws_col : WIDTH;
    size.ws_row = size.ws_row >= 2 ? size.ws_row : ROWS;
    return size;
}

int progress_width(FILE *to)
{
    return terminal_size(to).ws_col;
}

static void put_bar(char *text, size_t n_bytes, int width, double share)
{
    // What follows the bar wants some sixty columns; the bar takes what is left of them.
    char bar[BAR_MOST + 1];
    int room = width - text_width(text) - 64;
    int length = room > BAR_MOST ? BAR_MOST : room < BAR_LEAST ? BAR_LEAST : room;
    int filled = (int)(share * length + 0.5);
    for (int i = 0; i < length; i++)
        bar[i] = i < filled ? '#' : '-';
    bar[length] = '\0';
    text_put(text, n_bytes, width, "  %s", bar);
}

void progress_line(char *text, size_t n_bytes, int width, const char *label, const struct live_line *line)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    snprintf(text, n_bytes, "%.*s", (int)text_prefix(label, width), label);
    if (line->step >= 0 && line->of > 0)
        put_bar(text, n_bytes, width, fmin((double)line->step / (double)line->of, 1));
    if (line->step >= 0 && line->of > 0 && line->of < 100000)
        text_put(text, n_bytes, width, "  %lld/%lld %s", (long long)line->step, (long long)line->of,
                 line->unit ? line->unit : "");
    else if (line->step >= 0 && line->of > 0)
        text_put(text, n_bytes, width, "  %s/%s %s", format_count(a, line->step), format_count(b, line->of),
                 line->unit ? line->unit : "");
    else if (line->step >= 0)
        text_put(text, n_bytes, width, "  %s %s", format_count(a, line->step), line->unit ? line->unit : "");
    bool says = line->text && line->text[0] && (!line->e || !strcmp(line->e, "step"));
    if (says) // what this kind of stage is about: the task that is asked, the reward
        text_put(text, n_bytes, width, "  %s", line->text);
    if (isfinite(line->loss) && !says)
        text_put(text, n_bytes, width, "  loss %s", format_real(a, line->loss, 3));
    if (isfinite(line->bpb) && line->bpb > 0)
        text_put(text, n_bytes, width, "  bpb %.3f", line->bpb);
    if (isfinite(line->tok_s) && line->tok_s > 0)
        text_put(text, n_bytes, width, "  %s tok/s", format_count(a, (int64_t)line->tok_s));
    if (isfinite(line->eta_s) && line->eta_s >= 0)
        text_put(text, n_bytes, width, "  %s left", format_seconds(a, line->eta_s));
    if (isfinite(line->mfu) && line->mfu > 0)
        text_put(text, n_bytes, width, "  mfu %.0f %%", 100 * line->mfu);
}

static void erase(struct progress *p)
{
    if (p->n_drawn > 1)
        fprintf(p->to, "\033[%dA", p->n_drawn - 1);
    if (p->n_drawn)
        fputs("\r\033[J", p->to);
    p->n_drawn = 0;
}

static void draw(struct progress *p)
{
    int rows = p->terminal ? terminal_size(p->to).ws_row - 1 : 0;
    erase(p);
    for (int i = 0; i < p->n_stages && i < rows; i++) {
        fprintf(p->to, "%s%s", i ? "\n" : "", p->stages[i].text);
        p->n_drawn++;
    }
    fflush(p->to);
}

static struct progress_stage *find(struct progress *p, const struct plan_stage *stage)
{
    for (int i = 0; i < p->n_stages; i++)
        if (p->stages[i].stage == stage)
            return &p->stages[i];
    return NULL;
}

static void label_of(const struct progress *p, const struct progress_stage *s, char *text, size_t n)
{
    snprintf(text, n, "[%d/%d] %s", s->i, p->n, s->stage->node->name);
}

// So that bars stand below each other.
static void pad(const struct progress *p, char *label, size_t n_bytes)
{
    char other[PROGRESS_TEXT];
    int width = 0, own = text_width(label);
    for (int i = 0; i < p->n_stages; i++) {
        label_of(p, &p->stages[i], other, sizeof other);
        width = text_width(other) > width ? text_width(other) : width;
    }
    size_t n = strlen(label);
    for (; own < width && n + 1 < n_bytes; own++)
        label[n++] = ' ';
    label[n] = '\0';
}

static void begin(void *self, const struct plan_stage *stage, int i, int n)
{
    struct progress *p = self;
    struct progress_stage spare, *s = p->n_stages < PROGRESS_STAGES ? &p->stages[p->n_stages++] : &spare;
    *s = (struct progress_stage){.stage = stage, .i = i, .last_t = clock_seconds(), .redo_s = NAN};
    p->n = n;
    label_of(p, s, s->text, sizeof s->text);
    erase(p);
    if (stage->state == PLAN_RESUME && stage->step >= 0)
        fprintf(p->to, "%s: resuming at step %lld of %lld\n", s->text, (long long)stage->step, (long long)stage->n_steps);
    else if (stage->state == PLAN_RESUME)
        fprintf(p->to, "%s: resuming from a checkpoint\n", s->text);
    else if (stage->n_wanted > 0 && stage->n_done)
        fprintf(p->to, "%s: %d of %d files done\n", s->text, stage->n_done, stage->n_wanted);
    else if (!p->terminal)
        fprintf(p->to, "%s: started\n", s->text);
    draw(p);
}

// What a running stage has to complain of, once; and that it is over.
static void tell_warning(struct progress *p, struct progress_stage *s, const char *label, const char *warning)
{
    if (!strncmp(s->warning, warning, sizeof s->warning - 1))
        return;
    const char *yellow = p->colour ? "\033[33m" : "", *plain = p->colour ? "\033[0m" : "";
    erase(p);
    fprintf(p->to, "%s: %s%s%s\n", label, yellow, warning[0] ? warning : "saved again", plain);
    snprintf(s->warning, sizeof s->warning, "%s", warning);
}

static void progress(void *self, const struct plan_stage *stage, const struct live_line *line)
{
    struct progress *p = self;
    struct progress_stage *s = find(p, stage);
    char label[PROGRESS_TEXT], warning[sizeof s->warning];
    double share = line->of > 0 ? (double)line->step / (double)line->of : 0, now = clock_seconds();
    if (!s)
        return;
    s->redo_s = line->redo_s;
    label_of(p, s, label, sizeof label);
    snprintf(warning, sizeof warning, "%s", line->warning ? line->warning : "");
    tell_warning(p, s, label, warning);
    if (p->terminal) {
        pad(p, label, sizeof label);
        progress_line(s->text, sizeof s->text, progress_width(p->to) - 1, label, line);
    } else if (line->step >= 0 && share < 1 && (now - s->last_t >= PLAIN_SECONDS || share - s->last_share >= PLAIN_SHARE)) {
        progress_line(s->text, sizeof s->text, WIDTH, label, line);
        fprintf(p->to, "%s\n", s->text);
        s->last_t = now;
        s->last_share = share;
    }
    draw(p);
}

static void waiting(void *self, const struct plan_stage *stage, const struct lock_holder *holder)
{
    struct progress *p = self;
    erase(p);
    fprintf(p->to, "%s: waiting for another process, which makes the same result\n", stage->node->name);
    if (holder->pid)
        fprintf(p->to, "  process %d on %s since %s: %s\n", holder->pid, holder->host, holder->start, holder->command);
    draw(p);
}

static void found(void *self, const struct plan_stage *stage)
{
    struct progress *p = self;
    erase(p);
    fprintf(p->to, "%s: made meanwhile by another run, taken from there\n", stage->node->name);
    draw(p);
}

static void print_done(const struct progress *p, const struct plan_stage *stage, const struct outcome *outcome)
{
    char a[FORMAT_TEXT];
    bool rewards = stage->node->kind == KIND_GRPO, says = rewards || !kind_is_word(stage->node->kind);
    if (says && outcome->last.text && outcome->last.text[0])
        fprintf(p->to, ", %s", outcome->last.text);
    if (isfinite(outcome->last.loss) && !rewards)
        fprintf(p->to, ", loss %s", format_real(a, outcome->last.loss, 3));
    if (isfinite(outcome->last.bpb) && outcome->last.bpb > 0)
        fprintf(p->to, ", bpb %.4f", outcome->last.bpb);
    fputc('\n', p->to);
}

static void print_place(const struct progress *p, const struct live_line *last)
{
    if (last->step >= 0 && last->of > 0)
        fprintf(p->to, " (%lld of %lld %s)", (long long)last->step, (long long)last->of, last->unit ? last->unit : "");
    fputc('\n', p->to);
}

static void end(void *self, const struct plan_stage *stage, const struct outcome *outcome)
{
    struct progress *p = self;
    struct progress_stage unknown = {.stage = stage}, *s = find(p, stage);
    char label[PROGRESS_TEXT], seconds[FORMAT_TEXT];
    const char *red = p->colour ? "\033[31m" : "", *plain = p->colour ? "\033[0m" : "";
    label_of(p, s ? s : &unknown, label, sizeof label);
    if (outcome->last.warning && outcome->last.warning[0]) // of a stage that was quicker than a look at it
        tell_warning(p, s ? s : &unknown, label, outcome->last.warning);
    if (s)
        memmove(s, s + 1, (size_t)(&p->stages[p->n_stages--] - (s + 1)) * sizeof *s);
    format_seconds(seconds, outcome->seconds);
    erase(p);
    if (outcome->status == 0) {
        fprintf(p->to, "%s: done in %s", label, seconds);
        print_done(p, stage, outcome);
    } else if (outcome->killed) {
        fprintf(p->to, "%s: ended at once, as asked", label);
        print_place(p, &outcome->last);
    } else if (outcome->status == 75) {
        fprintf(p->to, "%s: stopped, everything is saved", label);
        print_place(p, &outcome->last);
    } else {
        fprintf(p->to, "%s: %s%s%s after %s\n", label, red, outcome->status < 0 ? "crashed" : "failed", plain, seconds);
        if (outcome->log_tail && outcome->log_tail[0])
            fprintf(p->to, "  the last lines of its log:\n%s%s", outcome->log_tail,
                    outcome->log_tail[strlen(outcome->log_tail) - 1] == '\n' ? "" : "\n");
    }
    draw(p);
}

static void stopping(void *self)
{
    struct progress *p = self;
    char seconds[FORMAT_TEXT];
    double redo_s = 0;
    for (int i = 0; i < p->n_stages; i++)
        redo_s += isfinite(p->stages[i].redo_s) ? p->stages[i].redo_s : 0;
    erase(p);
    fputs("stopping: what runs is saved first", p->to);
    if (p->terminal && redo_s >= 1)
        fprintf(p->to, " (Ctrl-C again ends it now, losing %s)", format_seconds(seconds, redo_s));
    else if (p->terminal)
        fputs(" (Ctrl-C again ends it now)", p->to);
    fputc('\n', p->to);
    draw(p);
}

void progress_init(struct progress *p, FILE *to)
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    *p = (struct progress){.to = to};
    p->terminal = isatty(fileno(to)) && term && strcmp(term, "dumb");
    p->colour = p->terminal && !(no_colour && no_colour[0]);
}

struct schedule_hooks progress_hooks(struct progress *p)
{
    return (struct schedule_hooks){
        .self = p, .begin = begin, .progress = progress, .waiting = waiting, .found = found, .end = end, .stopping = stopping};
}
