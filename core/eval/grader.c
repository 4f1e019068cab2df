// grader.c - comparisons of bytes: nothing depends on a locale.
#include "core/eval/grader.h"

#include <assert.h>
#include <string.h>

#include "core/data/program.h"
#include "core/text/utf8.h"

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == ',';
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **text, size_t *n)
{
    for (; *n && is_blank(**text); ++*text)
        --*n;
    while (*n && is_blank((*text)[*n - 1]))
        --*n;
}

// The run of a sign and number bytes at `at`, or 0 where there is none: a sign alone is no number.
static size_t number_length(const char *text, size_t n, size_t at)
{
    size_t digits = at < n && text[at] == '-' ? at + 1 : at, end = digits;
    while (end < n && is_number_byte(text[end]))
        end++;
    return end > digits ? end - at : 0;
}

// Where the number stands that counts: the first mark that a number follows. False: there is none.
static bool find_number(const char *text, size_t n_text, size_t *at, size_t *length)
{
    static const char mark[] = "#### ";
    size_t n_mark = sizeof mark - 1;
    for (size_t i = 0; i + n_mark < n_text; i++) {
        if (memcmp(text + i, mark, n_mark))
            continue;
        *at = i + n_mark;
        *length = number_length(text, n_text, *at);
        if (*length)
            return true;
    }
    return false;
}

bool grade_number(const char *text, size_t n_text, char *out, size_t *n)
{
    size_t at, length;
    *n = 0;
    if (!find_number(text, n_text, &at, &length))
        return false;
    for (size_t i = at; i < at + length; i++)
        if (text[i] != ',')
            out[(*n)++] = text[i];
    return true;
}

// The commas are skipped on the way, so that nothing need be copied.
static bool same_number(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t i, j, length_a, length_b;
    bool has_a = find_number(a, n_a, &i, &length_a), has_b = find_number(b, n_b, &j, &length_b);
    if (!has_a || !has_b)
        return has_a == has_b;
    size_t end_a = i + length_a, end_b = j + length_b;
    for (;; i++, j++) {
        while (i < end_a && a[i] == ',')
            i++;
        while (j < end_b && b[j] == ',')
            j++;
        if (i == end_a || j == end_b)
            return i == end_a && j == end_b;
        if (a[i] != b[j])
            return false;
    }
}

bool grade(enum task_grader grader, const char *reference, size_t n_reference, const char *answer, size_t n_answer)
{
    assert(grader != GRADER_PYTHON_TESTS);
    if (grader == GRADER_NONE)
        return false;
    if (grader == GRADER_NUMBER)
        return same_number(reference, n_reference, answer, n_answer);
    trim(&reference, &n_reference);
    trim(&answer, &n_answer);
    return n_reference == n_answer && (!n_answer || !memcmp(reference, answer, n_answer));
}

// The tokens of an answer need not be whole characters.
struct error *grade_program(struct sandbox *sandbox, const char *reference, size_t n_reference, const char *answer,
                            size_t n_answer, struct sandbox_outcome *outcome)
{
    struct bytes text = {0}, program = {0};
    struct error *e = utf8_repair((const uint8_t *)answer, n_answer, &text);
    if (!e)
        e = program_whole(&program, (struct program_text){reference, n_reference},
                          (struct program_text){text.n ? (const char *)text.byte : "", text.n});
    if (!e)
        e = sandbox_run(sandbox, (const char *)program.byte, program.n, outcome);
    bytes_release(&text);
    bytes_release(&program);
    return e;
}

double centered_mean(const double *accuracy, const double *baseline, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (accuracy[i] - baseline[i]) / (1 - baseline[i]);
    return sum / n;
}

void pass_at_k(const uint8_t *right, int64_t n, int n_samples, double *pass)
{
    for (int k = 0; k < n_samples; k++)
        pass[k] = 0;
    for (int64_t i = 0; i < n; i++) {
        bool any = false;
        for (int k = 0; k < n_samples; k++) {
            any |= right[i * n_samples + k] != 0;
            pass[k] += any; // counts, exact
        }
    }
    for (int k = 0; k < n_samples; k++)
        pass[k] /= (double)n;
}
