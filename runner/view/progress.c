// progress.c - the parts of a line are put behind each other while they fit.
#include "runner/view/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { WIDTH = 80, BAR_MOST = 24, BAR_LEAST = 4, LINE_BYTES = 1024 };

static const double PLAIN_SECONDS = 10, PLAIN_SHARE = 0.1;

// Appends a part if it fits into the width.
static void put(char *text, size_t n_bytes, int width, const char *format, ...) __attribute__((format(printf, 4, 5)));

static void put(char *text, size_t n_bytes, int width, const char *format, ...)
{
    char part[256];
    va_list args;
    va_start(args, format);
    vsnprintf(part, sizeof part, format, args);
    va_end(args);
    size_t n = strlen(text), more = strlen(part);
    if (text_width(text) + text_width(part) <= width && n + more < n_bytes)
        memcpy(text + n, part, more + 1);
}

static int terminal_width(FILE *to)
{
    struct winsize size;
    if (ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return WIDTH;
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
    put(text, n_bytes, width, "  %s", bar);
}

void progress_line(char *text, size_t n_bytes, int width, const char *label, const struct live_line *line)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    snprintf(text, n_bytes, "%.*s", (int)text_prefix(label, width), label);
    if (line->step >= 0 && line->of > 0)
        put_bar(text, n_bytes, width, fmin((double)line->step / (double)line->of, 1));
    if (line->step >= 0 && line->of > 0 && line->of < 100000)
        put(text, n_bytes, width, "  %lld/%lld %s", (long long)line->step, (long long)line->of, line->unit ? line->unit : "");
    else if (line->step >= 0 && line->of > 0)
        put(text, n_bytes, width, "  %s/%s %s", format_count(a, line->step), format_count(b, line->of),
            line->unit ? line->unit : "");
    else if (line->step >= 0)
        put(text, n_bytes, width, "  %s %s", format_count(a, line->step), line->unit ? line->unit : "");
    bool says = line->text && line->text[0] && line->e && !strcmp(line->e, "step");
    if (says) // what this kind of stage is about: the task that is asked, the reward
        put(text, n_bytes, width, "  %s", line->text);
    if (isfinite(line->loss) && !says)
        put(text, n_bytes, width, "  loss %.3f", line->loss);
    if (isfinite(line->bpb) && line->bpb > 0)
        put(text, n_bytes, width, "  bpb %.3f", line->bpb);
    if (isfinite(line->tok_s) && line->tok_s > 0)
        put(text, n_bytes, width, "  %s tok/s", format_count(a, (int64_t)line->tok_s));
    if (isfinite(line->eta_s) && line->eta_s >= 0)
        put(text, n_bytes, width, "  %s left", format_seconds(a, line->eta_s));
}

static void rewrite(struct progress *p, const char *text)
{
    fprintf(p->to, "\r\033[K%s", text);
    fflush(p->to);
    p->open = true;
}

static void end_line(struct progress *p)
{
    if (p->open)
        fprintf(p->to, "\r\033[K");
    p->open = false;
}

static void label_of(const struct progress *p, const struct plan_stage *stage, char *text, size_t n)
{
    snprintf(text, n, "[%d/%d] %s", p->i, p->n, stage->node->name);
}

static void begin(void *self, const struct plan_stage *stage, int i, int n)
{
    struct progress *p = self;
    char label[LINE_BYTES];
    p->i = i;
    p->n = n;
    p->begin = p->last_t = clock_seconds();
    p->last_share = 0;
    label_of(p, stage, label, sizeof label);
    if (stage->state == PLAN_RESUME && stage->step >= 0)
        fprintf(p->to, "%s: resuming at step %lld of %lld\n", label, (long long)stage->step, (long long)stage->n_steps);
    else if (stage->state == PLAN_RESUME)
        fprintf(p->to, "%s: resuming from a checkpoint\n", label);
    else if (stage->n_wanted > 0 && stage->n_done)
        fprintf(p->to, "%s: %d of %d files done\n", label, stage->n_done, stage->n_wanted);
    else if (!p->terminal)
        fprintf(p->to, "%s: started\n", label);
    if (p->terminal)
        rewrite(p, label);
    fflush(p->to);
}

static void progress(void *self, const struct plan_stage *stage, const struct live_line *line)
{
    struct progress *p = self;
    char label[LINE_BYTES], text[LINE_BYTES];
    double share = line->of > 0 ? (double)line->step / (double)line->of : 0, now = clock_seconds();
    label_of(p, stage, label, sizeof label);
    if (p->terminal) {
        p->width = terminal_width(p->to);
        progress_line(text, sizeof text, p->width - 1, label, line);
        rewrite(p, text);
    } else if (line->step >= 0 && share < 1 && (now - p->last_t >= PLAIN_SECONDS || share - p->last_share >= PLAIN_SHARE)) {
        progress_line(text, sizeof text, 200, label, line);
        fprintf(p->to, "%s\n", text);
        fflush(p->to);
        p->last_t = now;
        p->last_share = share;
    }
}

static void waiting(void *self, const struct plan_stage *stage, const struct lock_holder *holder)
{
    struct progress *p = self;
    end_line(p);
    fprintf(p->to, "%s: waiting for process %d, whose runner is gone, to save and end\n", stage->node->name, holder->pid);
    fflush(p->to);
}

static void end(void *self, const struct plan_stage *stage, const struct outcome *outcome)
{
    struct progress *p = self;
    char label[LINE_BYTES], seconds[FORMAT_TEXT];
    const char *red = p->colour ? "\033[31m" : "", *plain = p->colour ? "\033[0m" : "";
    label_of(p, stage, label, sizeof label);
    format_seconds(seconds, outcome->seconds);
    end_line(p);
    if (outcome->status == 0) {
        fprintf(p->to, "%s: done in %s", label, seconds);
        bool rewards = stage->node->kind == KIND_GRPO;
        if (rewards && outcome->last.text && outcome->last.text[0])
            fprintf(p->to, ", %s", outcome->last.text);
        if (isfinite(outcome->last.loss) && !rewards)
            fprintf(p->to, ", loss %.3f", outcome->last.loss);
        if (isfinite(outcome->last.bpb) && outcome->last.bpb > 0)
            fprintf(p->to, ", bpb %.4f", outcome->last.bpb);
        fputc('\n', p->to);
    } else if (outcome->status == 75) {
        fprintf(p->to, "%s: stopped, everything is saved", label);
        if (outcome->last.step >= 0 && outcome->last.of > 0)
            fprintf(p->to, " (%lld of %lld %s)", (long long)outcome->last.step, (long long)outcome->last.of,
                    outcome->last.unit ? outcome->last.unit : "");
        fputc('\n', p->to);
    } else {
        fprintf(p->to, "%s: %s%s%s after %s\n", label, red, outcome->status < 0 ? "crashed" : "failed", plain, seconds);
        if (outcome->log_tail && outcome->log_tail[0])
            fprintf(p->to, "  the last lines of its log:\n%s%s", outcome->log_tail,
                    outcome->log_tail[strlen(outcome->log_tail) - 1] == '\n' ? "" : "\n");
    }
    fflush(p->to);
}

void progress_init(struct progress *p, FILE *to)
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    *p = (struct progress){.to = to, .width = WIDTH};
    p->terminal = isatty(fileno(to)) && term && strcmp(term, "dumb");
    p->colour = p->terminal && !(no_colour && no_colour[0]);
}

struct schedule_hooks progress_hooks(struct progress *p)
{
    return (struct schedule_hooks){.self = p, .begin = begin, .progress = progress, .waiting = waiting, .end = end};
}
