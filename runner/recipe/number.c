// number.c - one checked reader of numbers: text becomes sign, digits and a power of ten, and only then a value.
//
// 1. Nothing is rounded on the way to an integer: "1.5k" is 15 with exponent 2, and what is not integral is an error.
// 2. What YAML 1.1 would have read as a number of another base, a time or nothing is named, not guessed at.
#include "runner/recipe/number.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 64 };

struct decimal {
    bool negative;
    char digits[MOST_DIGITS + 1]; // significant digits, no leading zeros
    int n_digits;
    int exponent; // value = digits * 10^exponent
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool one_of(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

// Why a text that is no number is none, and what to write instead.
static struct error *refuse(const char *text, bool suffixes, struct place at, const char *name)
{
    static const char *const nothing[] = {"", "~", "null", "Null", "NULL"};
    static const char *const not_finite[] = {".nan",  ".NaN", ".NAN", ".inf", "-.inf", "+.inf",   ".Inf",
                                             "-.Inf", "nan",  "NaN",  "inf",  "-inf",  "Infinity"};
    const char *s = text + (*text == '-' || *text == '+');
    if (one_of(text, nothing, countof(nothing)))
        return error_new(ERROR_RECIPE, at, "write a number, or leave the key out", "%s has no value", name);
    if (one_of(text, not_finite, countof(not_finite)))
        return error_new(ERROR_RECIPE, at, "write a finite number", "%s is '%s'", name, text);
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
        return error_new(ERROR_RECIPE, at, "write it in decimal", "%s is '%s', a hexadecimal number", name, text);
    if (s[0] == '0' && (s[1] == 'o' || s[1] == 'b' || is_digit(s[1]) || s[1] == '_'))
        return error_new(ERROR_RECIPE, at, "write it in decimal, without zeros in front",
                         "%s is '%s', which other readers take for octal", name, text);
    if (is_digit(s[0]) && s[strspn(s, "0123456789:")] == 0)
        return error_new(ERROR_RECIPE, at, "write a plain number, durations as 90m or 2h", "%s is '%s', a time of day", name,
                         text);
    if (is_digit(s[0]) && s[strspn(s, "0123456789,")] == 0)
        return error_new(ERROR_RECIPE, at, "group digits by '_': 1_000", "%s is '%s', with a comma", name, text);
    return error_new(ERROR_RECIPE, at,
                     suffixes ? "write it as 1000, 1_000, 1e3, or 1k (k M B T)" : "write it as 1000, 1_000 or 1e3",
                     "%s is '%.80s', not a number", name, text);
}

// The power of ten of a suffix, -1 for none of ours.
static int suffix_power(char c)
{
    return c == 'k' ? 3 : c == 'M' ? 6 : c == 'B' ? 9 : c == 'T' ? 12 : -1;
}

static bool read_decimal(const char *text, struct decimal *d, bool *had_suffix)
{
    *d = (struct decimal){0};
    *had_suffix = false;
    const char *s = text;
    if (*s == '-' || *s == '+')
        d->negative = *s++ == '-';
    if (!is_digit(*s) || (s[0] == '0' && (is_digit(s[1]) || s[1] == '_')))
        return false;
    bool point = false;
    for (; is_digit(*s) || *s == '_' || *s == '.'; s++) {
        if (*s == '_') {
            if (!is_digit(s[-1]) || !is_digit(s[1]))
                return false;
            continue;
        }
        if (*s == '.') {
            if (point || !is_digit(s[1]))
                return false;
            point = true;
            continue;
        }
        if (d->n_digits == MOST_DIGITS)
            return false;
        if (d->n_digits || *s != '0')
            d->digits[d->n_digits++] = *s;
        d->exponent -= point;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        bool negative = *s == '-';
        s += *s == '-' || *s == '+';
        if (!is_digit(*s))
            return false;
        int power = 0;
        for (; is_digit(*s); s++)
            power = power < 100000 ? power * 10 + (*s - '0') : power;
        d->exponent += negative ? -power : power;
    } else if (*s && suffix_power(*s) > 0 && !s[1]) {
        *had_suffix = true;
        d->exponent += suffix_power(*s++);
    }
    return *s == 0;
}

static struct error *refuse_suffix(const char *text, struct place at, const char *name)
{
    return error_new(ERROR_RECIPE, at, "write the number out, such as 65536: 64k would be 64000",
                     "%s is '%s', but only an exact count makes sense here", name, text);
}

struct error *number_int(const char *text, bool suffixes, struct place at, const char *name, int64_t *value)
{
    struct decimal d;
    bool had_suffix;
    if (!read_decimal(text, &d, &had_suffix))
        return refuse(text, suffixes, at, name);
    if (had_suffix && !suffixes)
        return refuse_suffix(text, at, name);
    while (d.n_digits && d.exponent < 0 && d.digits[d.n_digits - 1] == '0') {
        d.n_digits--;
        d.exponent++;
    }
    if (d.n_digits && d.exponent < 0)
        return error_new(ERROR_RECIPE, at, "write a whole number", "%s is '%s', which is not a whole number", name, text);
    int64_t v = 0;
    bool over = d.n_digits && d.exponent > 18;
    for (int i = 0; !over && d.n_digits && i < d.n_digits + d.exponent; i++) {
        int digit = i < d.n_digits ? d.digits[i] - '0' : 0;
        over = v > (INT64_MAX - digit) / 10;
        v = over ? v : v * 10 + digit;
    }
    if (over)
        return error_new(ERROR_RECIPE, at, "write a smaller number", "%s is '%s', which is too large", name, text);
    *value = d.negative ? -v : v;
    return NULL;
}

struct error *number_real(const char *text, bool suffixes, struct place at, const char *name, double *value)
{
    struct decimal d;
    bool had_suffix;
    if (!read_decimal(text, &d, &had_suffix))
        return refuse(text, suffixes, at, name);
    if (had_suffix && !suffixes)
        return refuse_suffix(text, at, name);
    char plain[MOST_DIGITS + 32]; // strtod rounds correctly; it sees digits and a power only
    snprintf(plain, sizeof plain, "%s%se%d", d.negative ? "-" : "", d.n_digits ? d.digits : "0", d.exponent);
    double v = strtod(plain, NULL);
    if (!isfinite(v))
        return error_new(ERROR_RECIPE, at, "write a smaller number", "%s is '%s', which is too large", name, text);
    *value = v;
    return NULL;
}

struct error *number_bool(const char *text, struct place at, const char *name, bool *value)
{
    *value = strcmp(text, "true") == 0;
    if (*value || strcmp(text, "false") == 0)
        return NULL;
    return error_new(ERROR_RECIPE, at, "write true or false", "%s is '%.80s', not a truth value", name, text);
}

struct error *number_duration(const char *text, struct place at, const char *name, double *seconds)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t n = strlen(text);
    char number[MOST_DIGITS + 1];
    for (size_t i = 0; i < countof(units); i++) {
        if (n < 2 || n > MOST_DIGITS || text[n - 1] != units[i].unit)
            continue;
        memcpy(number, text, n - 1);
        number[n - 1] = 0;
        double value;
        struct error *e = number_real(number, false, at, name, &value);
        if (e)
            return e;
        *seconds = value * units[i].seconds;
        return NULL;
    }
    return error_new(ERROR_RECIPE, at, "write it as 45s, 90m, 2h or 1d", "%s is '%.80s', not a duration", name, text);
}

const char *number_text(double value, struct arena *arena)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return arena_strdup(arena, text);
}
