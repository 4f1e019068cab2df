// format.c - three significant digits and a unit.
#include "runner/view/format.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *unknown(char text[FORMAT_TEXT])
{
    snprintf(text, FORMAT_TEXT, "-");
    return text;
}

static const char *scaled(char text[FORMAT_TEXT], double value, const char *blank, const char *const *units, int n_units)
{
    int u = 0;
    while (u + 1 < n_units && value >= 999.5)
        value /= 1000, u++;
    snprintf(text, FORMAT_TEXT, "%.*f%s%s", u == 0 || value >= 99.95 ? 0 : 1, value, blank, units[u]);
    return text;
}

const char *format_count(char text[FORMAT_TEXT], int64_t count)
{
    static const char *const units[] = {"", "k", "M", "B", "T"};
    return count < 0 ? unknown(text) : scaled(text, (double)count, "", units, 5);
}

const char *format_bytes(char text[FORMAT_TEXT], int64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    return bytes < 0 ? unknown(text) : scaled(text, (double)bytes, " ", units, 5);
}

const char *format_big(char text[FORMAT_TEXT], double value)
{
    if (!isfinite(value))
        return unknown(text);
    int exponent = value > 0 ? (int)floor(log10(value)) : 0;
    if (value / pow(10, exponent) >= 9.95) // printed as 10.0
        exponent++;
    snprintf(text, FORMAT_TEXT, "%.1fe%d", value / pow(10, exponent), exponent);
    return text;
}

const char *format_seconds(char text[FORMAT_TEXT], double seconds)
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e11)
        return unknown(text);
    long long whole = llround(seconds);
    if (seconds < 9.95)
        snprintf(text, FORMAT_TEXT, "%.1fs", seconds);
    else if (whole < 100)
        snprintf(text, FORMAT_TEXT, "%llds", whole);
    else if (whole < 3600)
        snprintf(text, FORMAT_TEXT, "%lldm%02llds", whole / 60, whole % 60);
    else if (whole < 360000)
        snprintf(text, FORMAT_TEXT, "%lldh%02lldm", whole / 3600, whole % 3600 / 60);
    else
        snprintf(text, FORMAT_TEXT, "%lldd%02lldh", whole / 86400, whole % 86400 / 3600);
    return text;
}

const char *format_usd(char text[FORMAT_TEXT], double usd)
{
    if (!isfinite(usd))
        return unknown(text);
    snprintf(text, FORMAT_TEXT, usd < 10 ? "$%.2f" : "$%.0f", usd);
    return text;
}

// A number that is rounded to 0 has no sign to tell.
static bool is_zero(const char *text)
{
    return !text[1 + strspn(text + 1, "0.")];
}

const char *format_real(char text[FORMAT_TEXT], double value, int decimals)
{
    if (!isfinite(value))
        return unknown(text);
    snprintf(text, FORMAT_TEXT, "%.*f", decimals, value);
    if (text[0] == '-' && is_zero(text))
        memmove(text, text + 1, strlen(text));
    return text;
}

const char *format_signed(char text[FORMAT_TEXT], double value, int decimals)
{
    if (!isfinite(value))
        return unknown(text);
    snprintf(text, FORMAT_TEXT, "%+.*f", decimals, value);
    text[0] = is_zero(text) ? '+' : text[0];
    return text;
}
