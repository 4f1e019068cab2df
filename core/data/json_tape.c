// json_tape.c - one pass without recursion; the open lists and objects stand on a stack of their own.
#include "core/data/json_tape.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/utf8.h"

enum { FIRST_ITEMS = 64 };

struct parser {
    const char *s, *end;
    struct json_tape *tape;
    uint32_t open[JSON_TAPE_DEPTH]; // items
    int n_open;
    bool no_memory;
};

static struct json_item *add(struct parser *p, enum json_item_kind kind)
{
    struct json_tape *t = p->tape;
    if (t->n == t->capacity) {
        size_t more = t->capacity ? 2 * t->capacity : FIRST_ITEMS;
        struct json_item *items = block_resize(t->items, t->n * sizeof *items, more * sizeof *items);
        p->no_memory = !items;
        if (!items)
            return NULL;
        t->items = items;
        t->capacity = more;
    }
    struct json_item *item = &t->items[t->n++];
    *item = (struct json_item){.text = p->s, .items = 1, .kind = (uint8_t)kind};
    return item;
}

static void skip_blanks(struct parser *p)
{
    while (p->s < p->end && (*p->s == ' ' || *p->s == '\t' || *p->s == '\n' || *p->s == '\r'))
        p->s++;
}

// Bytes from s on that stand for themselves: ASCII, no control character, no quote, no backslash. In steps of eight.
static const char *skip_plain(const char *s, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (; end - s >= 8; s += 8) {
        uint64_t word;
        memcpy(&word, s, 8);
        // A byte's top bit gets set where it is not plain. Borrows set more of them, but only behind the first.
        uint64_t found = ((word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones) | word) & tops;
        if (found)
            return s + __builtin_ctzll(found) / 8;
    }
    while (s < end && (unsigned char)*s >= 0x20 && (unsigned char)*s < 0x80 && *s != '"' && *s != '\\')
        s++;
    return s;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The four digits behind "\u" at s; -1: there are none.
static int32_t hex_code(const char *s, const char *end)
{
    int32_t code = 0;
    if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(s[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

// The escape at s, a backslash: its bytes and what it stands for; 0: it is none.
static size_t read_escape(const char *s, const char *end, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
    const char *name = end - s >= 2 && s[1] ? strchr(names, s[1]) : NULL;
    if (name) {
        *code = (unsigned char)codes[name - names];
        return 2;
    }
    int32_t high = hex_code(s, end), low;
    *code = (uint32_t)high;
    if (high < 0 || (high >= 0xDC00 && high < 0xE000))
        return 0;
    if (high < 0xD800 || high >= 0xE000)
        return 6;
    low = hex_code(s + 6, end);
    *code = 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return low >= 0xDC00 && low < 0xE000 ? 12 : 0;
}

// From behind the opening quote to behind the closing one.
static bool scan_text(struct parser *p, struct json_item *item, bool is_key)
{
    const char *s = ++p->s;
    item->text = s;
    for (;;) {
        uint32_t code = 1;
        s = skip_plain(s, p->end);
        if (s == p->end)
            return false;
        if (*s == '"')
            break;
        if (*s == '\\') {
            size_t n = read_escape(s, p->end, &code);
            item->escaped = true;
            s += n;
            if (!n || (is_key && code == 0))
                return false;
        } else {
            if ((unsigned char)*s < 0x20)
                return false;
            while (s < p->end && (unsigned char)*s >= 0x80 && code != UTF8_BAD)
                s += utf8_next((const uint8_t *)s, (size_t)(p->end - s), &code);
            if (code == UTF8_BAD)
                return false;
        }
    }
    item->n = (uint32_t)(s - item->text);
    p->s = s + 1;
    return true;
}

static const char *skip_digits(const char *s, const char *end)
{
    while (s < end && *s >= '0' && *s <= '9')
        s++;
    return s;
}

static bool scan_number(struct parser *p, struct json_item *item)
{
    enum { SURE_INTEGER = 18, SURE_REAL = 200, SURE_EXPONENT = 2 };
    const char *s = p->s + (*p->s == '-'), *digits = s, *exponent = NULL;
    s = skip_digits(s, p->end);
    if (s == digits || (*digits == '0' && s - digits > 1))
        return false;
    item->kind = JSON_ITEM_INTEGER;
    if (s < p->end && *s == '.') {
        item->kind = JSON_ITEM_REAL;
        digits = ++s;
        if ((s = skip_digits(s, p->end)) == digits)
            return false;
    }
    if (s < p->end && (*s == 'e' || *s == 'E')) {
        item->kind = JSON_ITEM_REAL;
        s++;
        s += s < p->end && (*s == '+' || *s == '-');
        exponent = s;
        if ((s = skip_digits(s, p->end)) == exponent)
            return false;
    }
    item->n = (uint32_t)(s - p->s);
    p->s = s;
    errno = 0;
    if (item->kind == JSON_ITEM_INTEGER && (item->n <= SURE_INTEGER || (json_item_integer(item), errno != ERANGE)))
        return true;
    item->kind = JSON_ITEM_REAL; // also a whole number that is too large for an integer
    bool sure = item->n <= SURE_REAL && (!exponent || s - exponent <= SURE_EXPONENT);
    return sure || isfinite(json_item_real(item));
}

static bool scan_word(struct parser *p, const char *word, size_t n)
{
    bool good = (size_t)(p->end - p->s) >= n && !memcmp(p->s, word, n);
    p->s += good ? n : 0;
    return good;
}

// A value that is no list and no object.
static bool scan_scalar(struct parser *p, struct json_item *item)
{
    switch (*p->s) {
    case '"':
        item->kind = JSON_ITEM_TEXT;
        return scan_text(p, item, false);
    case 't':
        item->kind = JSON_ITEM_TRUE;
        return scan_word(p, "true", 4);
    case 'f':
        item->kind = JSON_ITEM_FALSE;
        return scan_word(p, "false", 5);
    case 'n':
        return scan_word(p, "null", 4);
    default:
        return scan_number(p, item);
    }
}

// The list or object that was opened last ends at s.
static void close_last(struct parser *p)
{
    uint32_t at = p->open[--p->n_open];
    struct json_item *item = &p->tape->items[at];
    item->items = (uint32_t)(p->tape->n - at);
    item->n = (uint32_t)(++p->s - item->text);
}

static bool scan_key(struct parser *p)
{
    skip_blanks(p);
    struct json_item *key = p->s < p->end && *p->s == '"' ? add(p, JSON_ITEM_TEXT) : NULL;
    if (!key || !scan_text(p, key, true))
        return false;
    skip_blanks(p);
    return p->s < p->end && *p->s++ == ':';
}

// Behind a value: up to where the next one begins. *more false: the text is at its end.
static bool go_on(struct parser *p, bool *more)
{
    for (;;) {
        skip_blanks(p);
        *more = p->n_open > 0;
        if (!*more)
            return p->s == p->end;
        if (p->s == p->end)
            return false;
        bool is_object = p->tape->items[p->open[p->n_open - 1]].kind == JSON_ITEM_OBJECT;
        if (*p->s == ',') {
            p->s++;
            return !is_object || scan_key(p);
        }
        if (*p->s != (is_object ? '}' : ']'))
            return false;
        close_last(p);
    }
}

static bool scan(struct parser *p)
{
    for (bool more = true; more;) {
        skip_blanks(p);
        if (p->s == p->end || p->n_open == JSON_TAPE_DEPTH)
            return false;
        bool is_object = *p->s == '{';
        struct json_item *item = add(p, is_object ? JSON_ITEM_OBJECT : *p->s == '[' ? JSON_ITEM_LIST : JSON_ITEM_NULL);
        if (!item)
            return false;
        if (item->kind == JSON_ITEM_NULL) {
            if (!scan_scalar(p, item) || !go_on(p, &more))
                return false;
            continue;
        }
        p->open[p->n_open++] = (uint32_t)(item - p->tape->items);
        p->s++;
        skip_blanks(p);
        bool is_empty = p->s < p->end && *p->s == (is_object ? '}' : ']');
        if (is_empty)
            close_last(p);
        if (is_empty ? !go_on(p, &more) : is_object && !scan_key(p))
            return false;
    }
    return true;
}

struct error *json_tape_parse(struct json_tape *tape, const char *text, size_t n, bool *good)
{
    struct parser p; // its stack needs no zeros
    p.s = text;
    p.end = text + n;
    p.tape = tape;
    p.n_open = 0;
    p.no_memory = false;
    tape->n = 0;
    *good = n <= UINT32_MAX && scan(&p);
    return p.no_memory ? error_memory() : NULL;
}

void json_tape_release(struct json_tape *tape)
{
    block_free(tape->items);
    *tape = (struct json_tape){0};
}

// A code point, not a surrogate, in UTF-8; returns its bytes.
static size_t put_code(uint32_t code, char to[4])
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3F));
    to[0] = (char)((0xF00u >> n & 0xF0) | code);
    return n;
}

// Unescapes into `to`, which never takes more than the item has; returns how many bytes that are.
static size_t unescape(const struct json_item *item, char *to)
{
    const char *s = item->text, *end = s + item->n;
    char *at = to;
    for (;;) {
        const char *slash = memchr(s, '\\', (size_t)(end - s));
        size_t plain = (size_t)((slash ? slash : end) - s);
        memcpy(at, s, plain);
        at += plain;
        if (!slash)
            return (size_t)(at - to);
        uint32_t code;
        s = slash + read_escape(slash, end, &code);
        at += put_code(code, at);
    }
}

struct error *json_item_text(const struct json_item *item, struct bytes *scratch, const char **text, size_t *n)
{
    *text = item->text;
    *n = item->n;
    if (!item->escaped)
        return NULL;
    scratch->n = 0;
    struct error *e = bytes_reserve(scratch, item->n);
    if (e)
        return e;
    *text = (const char *)scratch->byte;
    *n = unescape(item, (char *)scratch->byte);
    return NULL;
}

static bool says(const struct json_item *key, const char *text, size_t n)
{
    if (!key->escaped)
        return key->n == n && !memcmp(key->text, text, n);
    const char *s = key->text, *end = s + key->n;
    while (s < end) {
        char unit[4] = {*s};
        uint32_t code;
        size_t n_read = *s == '\\' ? read_escape(s, end, &code) : 1, n_unit = *s == '\\' ? put_code(code, unit) : 1;
        if (n_unit > n || memcmp(unit, text, n_unit))
            return false;
        s += n_read;
        text += n_unit;
        n -= n_unit;
    }
    return n == 0;
}

const struct json_item *json_member(const struct json_item *object, const char *key, size_t n)
{
    const struct json_item *found = NULL, *end = object + object->items;
    if (object->kind != JSON_ITEM_OBJECT)
        return NULL;
    for (const struct json_item *item = object + 1; item < end; item = item + 1 + item[1].items)
        if (says(item, key, n))
            found = item + 1;
    return found;
}

int64_t json_item_integer(const struct json_item *item)
{
    return strtoll(item->text, NULL, 10);
}

double json_item_real(const struct json_item *item)
{
    return strtod(item->text, NULL);
}
