// bench_tokenizer.c - `retort bench tokenizer`: splitting, training and encoding, as shares of what bounds them.
#include <stdio.h>
#include <string.h>

#include "runner/commands/bench.h"
#include "runner/graph/tokenizer_probe.h"

static struct error *get_text(const struct call *call, struct probe_text *text)
{
    if (call->n_args == 1)
        return probe_text_make(text, PROBE_BYTES);
    struct error *e = NULL;
    for (int i = 1; i < call->n_args && !e; i++)
        e = probe_text_file(text, call->args[i], PROBE_BYTES);
    if (!e && !text->n)
        e = error_plain(ERROR_DATA, "there is no text in '%s'", call->args[1]);
    return e;
}

static void print_share(double share, const char *of)
{
    printf("  %3.0f%% %s\n", 100 * share, of);
}

static void print(const struct tokenizer_figures *f)
{
    char counting[40], encoding[40], all[40];
    double n = (double)f->totals.bytes, split = n / f->split_s, encode = n / f->encode_s, trained = f->count_s + f->merge_s;
    snprintf(counting, sizeof counting, "counting, %d thread%s", f->threads, f->threads == 1 ? "" : "s");
    snprintf(encoding, sizeof encoding, "encoding, %d thread%s", f->threads, f->threads == 1 ? "" : "s");
    snprintf(all, sizeof all, "of splitting, %d thread%s", f->threads, f->threads == 1 ? "" : "s");
    bench_print("memory, read in order", f->reading, "B/s"), putchar('\n');
    bench_print("memory, a read that waits", f->miss_s, "s"), putchar('\n');
    bench_print("splitting, one thread", split, "B/s"), print_share(split * f->threads / f->reading, "of reading, a thread");
    bench_print(counting, n / f->count_s, "B/s"), print_share(f->split_s / f->count_s / f->threads, all);
    bench_print("merging", n / f->merge_s, "B/s");
    print_share(f->miss_s * (double)f->totals.replaced / f->merge_s, "waiting, a read a place");
    bench_print("training", n / trained, "B/s"), printf("  %.2f s\n", trained);
    bench_print("encoding, one thread", encode, "B/s"), print_share(encode / split, "of splitting");
    bench_print(encoding, n / f->encode_threads_s, "B/s");
    print_share(f->encode_s / f->encode_threads_s / f->threads, "of one thread, a thread");
    if (f->had < 0.9)
        printf("\nothers used this machine (%.0f%% of it was left): measure again when it is idle\n", 100 * f->had);
}

static struct error *print_json(struct json *j, const struct probe_text *text, const struct tokenizer_figures *f)
{
    const struct {
        const char *name;
        double value;
    } figures[] = {{"reading_bytes", f->reading},
                   {"miss_seconds", f->miss_s},
                   {"split_seconds", f->split_s},
                   {"count_seconds", f->count_s},
                   {"merge_seconds", f->merge_s},
                   {"encode_seconds", f->encode_s},
                   {"encode_threads_seconds", f->encode_threads_s},
                   {"processor_share", f->had}};
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"vocab", PROBE_VOCAB},       {"documents", (int64_t)text->n},  {"bytes", f->totals.bytes},
                  {"pieces", f->totals.pieces}, {"distinct", f->totals.distinct}, {"replaced", f->totals.replaced},
                  {"tokens", f->tokens}};
    for (size_t i = 0; i < countof(counts); i++)
        json_key(j, counts[i].name), json_i64(j, counts[i].value);
    for (size_t i = 0; i < countof(figures); i++)
        json_key(j, figures[i].name), json_f64(j, figures[i].value);
    return answer_print(j);
}

struct error *bench_tokenizer(struct call *call)
{
    struct probe_text text = {0};
    struct tokenizer_figures f;
    struct json j = {0};
    struct error *e = bench_open(call, &j);
    if (!e)
        e = get_text(call, &text);
    if (!e && !call->json) {
        printf("%s: %.1f MB in %zu documents\n", call->n_args == 1 ? "made-up words" : "text of files",
               (double)text.bytes.n / 1e6, text.n);
        fflush(stdout);
    }
    if (!e)
        e = tokenizer_probe(&f, &text, PROBE_VOCAB, 0);
    if (!e && call->json) {
        e = print_json(&j, &text, &f);
    } else if (e) {
        json_release(&j);
    } else {
        printf("%lld pieces, %lld different; a vocabulary of %d; %.2f bytes a token\n\n", (long long)f.totals.pieces,
               (long long)f.totals.distinct, PROBE_VOCAB, (double)f.totals.bytes / (double)f.tokens);
        print(&f);
    }
    probe_text_release(&text);
    return e;
}
