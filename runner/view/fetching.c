// fetching.c - sums over the files, and a rate that follows slowly.
#include "runner/view/fetching.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"
#include "runner/view/progress.h"

enum { LINE = 512, BAR = 20, PLAIN_WIDTH = 80 };

static const double DRAW_S = 0.2, RATE_S = 0.5, FOLLOW = 0.2, PLAIN_S = 10, PLAIN_SHARE = 0.1;

struct sums {
    int n_done;
    int64_t have, whole, got; // whole -1: not known of all
};

static struct sums sum(const struct fetching_view *v)
{
    struct sums s = {0};
    for (int i = 0; i < v->n; i++) {
        const struct fetch_file *f = &v->files[i];
        bool done = f->state == FETCH_DONE || f->state == FETCH_WHOLE;
        s.n_done += done;
        s.have += done && f->bytes >= 0 ? f->bytes : f->have;
        s.got += f->got;
        s.whole = f->bytes < 0 || s.whole < 0 ? -1 : s.whole + f->bytes;
    }
    return s;
}

void fetching_line(const struct fetching_view *v, char *text, size_t n_bytes, int width)
{
    char a[FORMAT_TEXT], b[FORMAT_TEXT], bar[BAR + 1] = {0};
    struct sums s = sum(v);
    text[0] = '\0';
    text_put(text, n_bytes, width, "%d/%d file%s", s.n_done, v->n, v->n == 1 ? "" : "s");
    if (s.whole > 0 && width >= PLAIN_WIDTH - 1) {
        int filled = (int)(fmin((double)s.have / (double)s.whole, 1) * BAR);
        memset(bar, '-', BAR);
        memset(bar, '#', (size_t)filled);
        text_put(text, n_bytes, width, "  %s", bar);
    }
    if (s.whole >= 0)
        text_put(text, n_bytes, width, "  %s of %s", format_bytes(a, s.have), format_bytes(b, s.whole));
    else
        text_put(text, n_bytes, width, "  %s", format_bytes(a, s.have));
    if (v->rate > 0)
        text_put(text, n_bytes, width, "  %s/s", format_bytes(a, (int64_t)v->rate));
    if (v->rate > 0 && s.whole > s.have)
        text_put(text, n_bytes, width, "  %s left", format_seconds(a, (double)(s.whole - s.have) / v->rate));
}

void fetching_init(struct fetching_view *v, FILE *to, const struct fetch_file *files, int n)
{
    const char *term = getenv("TERM");
    double now = clock_seconds();
    *v = (struct fetching_view){.to = to, .files = files, .n = n, .looked = now, .told_at = now};
    v->terminal = to && isatty(fileno(to)) && term && strcmp(term, "dumb");
}

static void erase(struct fetching_view *v)
{
    if (v->drawn)
        fputs("\r\033[K", v->to);
    v->drawn = false;
}

void fetching_tick(struct fetching_view *v)
{
    char text[LINE];
    double now = clock_seconds(), passed = now - v->looked;
    if (!v->to || passed < (v->terminal ? DRAW_S : RATE_S))
        return;
    struct sums s = sum(v);
    double rate = (double)(s.got - v->got) / passed, share = s.whole > 0 ? (double)s.have / (double)s.whole : 0;
    v->rate = v->rate > 0 ? v->rate + FOLLOW * (rate - v->rate) : rate;
    v->looked = now;
    v->got = s.got;
    if (v->terminal) {
        fetching_line(v, text, sizeof text, progress_width(v->to) - 1);
        erase(v);
        fputs(text, v->to);
        v->drawn = true;
    } else if (now - v->told_at >= PLAIN_S || (share < 1 && share - v->told_share >= PLAIN_SHARE)) {
        fetching_line(v, text, sizeof text, PLAIN_WIDTH);
        fprintf(v->to, "%s\n", text);
        v->told_at = now;
        v->told_share = share;
    }
    fflush(v->to);
}

void fetching_tell(struct fetching_view *v, const struct fetch_file *file, const char *text)
{
    const char *slash = strrchr(file->url, '/');
    if (!v->to)
        return;
    erase(v);
    fprintf(v->to, "%s: %s\n", slash ? slash + 1 : file->url, *text ? text : "failed");
    fflush(v->to);
}

void fetching_end(struct fetching_view *v)
{
    if (v->to)
        erase(v), fflush(v->to);
}
