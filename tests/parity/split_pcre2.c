// split_pcre2.c - split.h against PCRE2 on the same pattern: equal boundaries, wherever both class the characters alike.
//
//     split_pcre2 STRINGS STRIDE [PARQUET...]      status 1 and the text at the first difference
//
// STRINGS random strings of class representatives; every STRIDE-th code point between, before and behind characters of every
// class; and the documents (column `text`) of the files. PCRE2 knows an older Unicode: code points that it classes otherwise are
// left out, and counted.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <inttypes.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/philox.h"
#include "core/data/documents.h"
#include "core/text/split.h"
#include "core/text/unicode.h"
#include "core/text/utf8.h"

struct oracle {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    uint64_t n_texts, n_pieces, n_bytes;
};

static void stop_with(const char *what)
{
    fprintf(stderr, "split_pcre2: %s\n", what);
    exit(1);
}

static struct oracle oracle_for(const char *pattern)
{
    struct oracle o = {0};
    int error;
    PCRE2_SIZE at;
    o.code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
    if (!o.code || pcre2_jit_compile(o.code, PCRE2_JIT_COMPLETE))
        stop_with("PCRE2 cannot compile the pattern");
    o.match = pcre2_match_data_create_from_pattern(o.code, NULL);
    o.context = pcre2_match_context_create(NULL);
    o.stack = pcre2_jit_stack_create(1 << 16, 64 << 20, NULL);
    if (!o.match || !o.context || !o.stack)
        stop_with("out of memory");
    pcre2_jit_stack_assign(o.context, NULL, o.stack);
    return o;
}

static void oracle_release(struct oracle *o)
{
    pcre2_jit_stack_free(o->stack);
    pcre2_match_context_free(o->context);
    pcre2_match_data_free(o->match);
    pcre2_code_free(o->code);
}

// The text must be UTF-8. Returns the end of the match at `at`, and the number of the group that matched, plus one.
static size_t oracle_next(struct oracle *o, const uint8_t *text, size_t n, size_t at, int *group)
{
    int found = pcre2_jit_match(o->code, text, n, at, 0, o->match, o->context);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(o->match);
    if (found > 0 && ends[0] != at)
        stop_with("PCRE2 skips a character");
    *group = found;
    return found > 0 ? ends[1] : at;
}

static void same_pieces(struct oracle *o, const uint8_t *text, size_t n)
{
    o->n_texts++;
    o->n_bytes += n;
    for (size_t at = 0; at < n;) {
        int found;
        size_t ours = split_next(text, n, at), theirs = oracle_next(o, text, n, at, &found);
        if (found <= 0)
            fprintf(stderr, "PCRE2 answers %d: ", found);
        if (found <= 0 || ours != theirs) {
            fprintf(stderr, "the piece from %zu ends at %zu, by PCRE2 at %zu, in \"", at, ours, theirs);
            for (size_t i = at > 40 ? at - 40 : 0; i < n && i < at + 80; i++)
                fprintf(stderr, text[i] >= ' ' && text[i] < 127 && text[i] != '\\' ? "%c" : "\\x%02X", text[i]);
            fprintf(stderr, "\"\n");
            exit(1);
        }
        o->n_pieces++;
        at = ours;
    }
}

static void tell(struct oracle *o, const char *what, double start)
{
    printf("%s: %" PRIu64 " texts, %.1f MB, %" PRIu64 " pieces as by PCRE2, %.1f s\n", what, o->n_texts, (double)o->n_bytes / 1e6,
           o->n_pieces, clock_seconds() - start);
    o->n_texts = o->n_bytes = o->n_pieces = 0;
}

static size_t put(uint8_t *to, uint32_t c)
{
    if (c < 0x80)
        return to[0] = (uint8_t)c, 1;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        to[i] = (uint8_t)(0x80 | (c & 63));
    to[0] = (uint8_t)(0xF00 >> n | c);
    return n;
}

// alike[c]: PCRE2 classes code point c as unicode.h does.
static bool *classes_alike(void)
{
    static const enum unicode_class group_class[] = {UNICODE_OTHER, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_LINE_END,
                                                     UNICODE_SPACE};
    struct oracle o = oracle_for("(\\p{L})|(\\p{N})|([\\r\\n])|(\\s)|(?s:.)");
    bool *alike = calloc(0x110000, sizeof *alike);
    int n_other = 0;
    if (!alike)
        stop_with("out of memory");
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t text[4];
        int found;
        if (c >= 0xD800 && c < 0xE000)
            continue;
        size_t n = put(text, c);
        if (oracle_next(&o, text, n, 0, &found) != n || found < 1 || found > 5)
            stop_with("PCRE2 does not know a character");
        alike[c] = group_class[found - 1] == unicode_class_of(c);
        n_other += !alike[c];
    }
    oracle_release(&o);
    char version[64];
    pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
    printf("classes: %d code points differ between Unicode %s and PCRE2's %s\n", n_other, unicode_version, version);
    // Unicode 15 to 16 brought some ten thousand characters: more is a table that is wrong, or a PCRE2 without properties.
    if (n_other > 12000)
        stop_with("that is too many");
    return alike;
}

// Every pair of these has the character between it once: a de Bruijn sequence of their order 2.
static const char around[] = "sl1 '\n!";
enum { AROUND = sizeof around - 1 };

static void code_points(struct oracle *o, const bool *alike, uint32_t stride)
{
    double start = clock_seconds();
    for (uint32_t c = 0; c < 0x110000; c += stride) {
        uint8_t text[8 * AROUND * AROUND], one[4];
        size_t n = 0, n_one = put(one, c);
        if (!alike[c])
            continue;
        for (size_t i = 0; i < AROUND; i++) {
            text[n++] = (uint8_t)around[i];
            memcpy(text + n, one, n_one);
            n += n_one;
            for (size_t j = i + 1; j < AROUND; j++) {
                text[n++] = (uint8_t)around[i];
                memcpy(text + n, one, n_one);
                n += n_one;
                text[n++] = (uint8_t)around[j];
                memcpy(text + n, one, n_one);
                n += n_one;
            }
        }
        text[n++] = (uint8_t)around[0];
        same_pieces(o, text, n);
        same_pieces(o, one, n_one);
        for (size_t i = 0; i < AROUND; i++) {
            text[0] = (uint8_t)around[i];
            memcpy(text + 1, one, n_one);
            same_pieces(o, text, n_one + 1);
            text[n_one + 1] = (uint8_t)around[i];
            same_pieces(o, text + 1, n_one + 1);
        }
    }
    tell(o, "code points in context", start);
}

static void random_strings(struct oracle *o, const bool *alike, uint64_t n_strings)
{
    // Letters of contractions in both cases, and of every class the ASCII characters with a part of their own in the pattern and
    // one of every length in UTF-8.
    static const char *const alphabet[] = {"'",
                                           "'",
                                           "s",
                                           "S",
                                           "d",
                                           "m",
                                           "T",
                                           "l",
                                           "L",
                                           "v",
                                           "V",
                                           "e",
                                           "E",
                                           "r",
                                           "x",
                                           "Q",
                                           "\xC5\xBF",
                                           "\xC3\xA9",
                                           "\xE4\xBD\xA0",
                                           "\xF0\x90\x90\x80",
                                           " ",
                                           " ",
                                           " ",
                                           " ",
                                           "\n",
                                           "\n",
                                           "\r",
                                           "\t",
                                           "\x0B",
                                           "\xC2\x85",
                                           "\xC2\xA0",
                                           "\xE3\x80\x80",
                                           "\xE2\x80\xA8",
                                           "0",
                                           "7",
                                           "\xC2\xBD",
                                           "\xE2\x85\xA7",
                                           "\xF0\x9D\x9F\x98",
                                           "!",
                                           "-",
                                           "_",
                                           "\x1C",
                                           "\0",
                                           "\xCC\x81",
                                           "\xC2\xAD",
                                           "\xE2\x80\x8B",
                                           "\xF0\x9F\x99\x82",
                                           "\xEF\xBF\xBD"};
    enum { LONGEST = 16 };
    uint8_t n_bytes[countof(alphabet)];
    for (size_t i = 0; i < countof(alphabet); i++) {
        uint32_t c;
        n_bytes[i] = (uint8_t)(alphabet[i][0] ? strlen(alphabet[i]) : 1);
        if (utf8_next((const uint8_t *)alphabet[i], n_bytes[i], &c) != n_bytes[i] || !alike[c])
            stop_with("a representative is no character, or PCRE2 classes it otherwise");
    }
    struct philox random = philox_for(11, PHILOX_SAMPLE);
    double start = clock_seconds();
    for (uint64_t string = 0; string < n_strings; string++) {
        uint8_t text[4 * LONGEST];
        uint32_t words[4];
        size_t n = 0;
        philox_words(random, string, 0, words);
        size_t length = 1 + words[0] % LONGEST;
        for (size_t i = 0; i < length; i++) {
            if (i % 4 == 0)
                philox_words(random, string, 1 + i / 4, words);
            size_t k = words[i % 4] % countof(alphabet);
            memcpy(text + n, alphabet[k], n_bytes[k]);
            n += n_bytes[k];
        }
        same_pieces(o, text, n);
    }
    tell(o, "random strings", start);
}

static bool all_alike(const bool *alike, const uint8_t *text, size_t n)
{
    uint32_t c;
    for (size_t at = 0; at < n;) {
        at += utf8_next(text + at, n - at, &c);
        if (c == UTF8_BAD || !alike[c])
            return false;
    }
    return true;
}

static void documents(struct oracle *o, const bool *alike, const char *path)
{
    double start = clock_seconds();
    struct document_part part = {.form = DOCUMENT_PARQUET, .path = path, .column = "text"};
    struct documents *d;
    const char *text;
    size_t n;
    int n_left_out = 0;
    struct error *e = documents_open(&d, &part);
    if (e)
        stop_with(e->what);
    while (!(e = documents_next(d, &text, &n)) && text) {
        if (all_alike(alike, (const uint8_t *)text, n))
            same_pieces(o, (const uint8_t *)text, n);
        else
            n_left_out++;
    }
    if (e)
        stop_with(e->what);
    documents_close(d);
    if (n_left_out)
        printf("%d documents have characters that PCRE2 does not know\n", n_left_out);
    tell(o, path, start);
}

int main(int argc, char **argv)
{
    if (argc < 3 || atoi(argv[2]) < 1)
        return fprintf(stderr, "usage: split_pcre2 STRINGS STRIDE [PARQUET...]\n"), 2;
    struct oracle o = oracle_for(SPLIT_PATTERN);
    bool *alike = classes_alike();
    code_points(&o, alike, (uint32_t)atoi(argv[2]));
    random_strings(&o, alike, strtoull(argv[1], NULL, 10));
    for (int i = 3; i < argc; i++)
        documents(&o, alike, argv[i]);
    free(alike);
    oracle_release(&o);
    return 0;
}
