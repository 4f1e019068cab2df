// json.c - the emitter: a flag remembers whether a comma is due.
#include "core/base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"

static void put(struct json *j, const char *s, size_t n)
{
    if (j->failed)
        return;
    if (j->n + n + 1 > j->capacity) {
        size_t capacity = j->capacity ? j->capacity * 2 : 256;
        while (capacity < j->n + n + 1)
            capacity *= 2;
        char *text = block_resize(j->text, j->n, capacity);
        if (!text) {
            j->failed = true;
            return;
        }
        j->text = text;
        j->capacity = capacity;
    }
    memcpy(j->text + j->n, s, n);
    j->n += n;
    j->text[j->n] = '\0';
}

static void value_begins(struct json *j)
{
    if (j->comma)
        put(j, ",", 1);
    j->comma = true;
}

void json_open(struct json *j, char bracket)
{
    value_begins(j);
    put(j, &bracket, 1);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    put(j, &bracket, 1);
    j->comma = true;
}

void json_key(struct json *j, const char *key)
{
    json_str(j, key);
    put(j, ":", 1);
    j->comma = false;
}

// Length of the well-formed UTF-8 character at s, 0 if it is none. Source: Unicode 15, table 3-7
static size_t utf8_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return 1;
    size_t length = s[0] >= 0xC2 && s[0] <= 0xDF ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : 0;
    if (!length || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

void json_str_n(struct json *j, const char *text, size_t n)
{
    value_begins(j);
    put(j, "\"", 1);
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];
        size_t length = utf8_length((const unsigned char *)text + i, n - i);
        if (c == '"' || c == '\\')
            put(j, escape, (size_t)snprintf(escape, sizeof escape, "\\%c", c));
        else if (c == '\n')
            put(j, "\\n", 2);
        else if (c == '\t')
            put(j, "\\t", 2);
        else if (c < 0x20 || c == 0x7F)
            put(j, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        else if (length)
            put(j, text + i, length);
        else
            put(j, "\xEF\xBF\xBD", 3);
        i += length ? length : 1;
    }
    put(j, "\"", 1);
}

void json_str(struct json *j, const char *text)
{
    if (text)
        json_str_n(j, text, strlen(text));
    else
        json_nil(j);
}

void json_i64(struct json *j, int64_t value)
{
    char text[32];
    value_begins(j);
    put(j, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

void json_count(struct json *j, int64_t count)
{
    if (count >= 0)
        json_i64(j, count);
    else
        json_nil(j);
}

void json_f64(struct json *j, double value)
{
    char text[40];
    if (!isfinite(value)) {
        json_nil(j);
        return;
    }
    value_begins(j);
    put(j, text, (size_t)snprintf(text, sizeof text, "%.17g", value));
}

void json_bool(struct json *j, bool value)
{
    json_raw(j, value ? "true" : "false");
}

void json_nil(struct json *j)
{
    json_raw(j, "null");
}

void json_raw(struct json *j, const char *json)
{
    value_begins(j);
    put(j, json, strlen(json));
}

const char *json_text(struct json *j)
{
    put(j, "", 0);
    return j->failed ? NULL : j->text;
}

void json_clear(struct json *j)
{
    j->n = 0;
    j->failed = j->comma = false;
}

void json_release(struct json *j)
{
    block_free(j->text);
    *j = (struct json){0};
}
