// plain.h - the split pattern and the rule of encoding word for word, slow and plain: what split.c and encoder.c are held to.
#ifndef TESTS_UNIT_CORE_TEXT_PLAIN_H
#define TESTS_UNIT_CORE_TEXT_PLAIN_H

#include <stdbool.h>
#include <string.h>

#include "core/text/tokenizer.h"
#include "core/text/unicode.h"
#include "core/text/utf8.h"

enum { PLAIN_MAX = 512 }; // bytes of a text

// A text as characters, with their classes and places.
struct plain_chars {
    int n;
    uint32_t code[PLAIN_MAX];
    enum unicode_class class[PLAIN_MAX];
    size_t at[PLAIN_MAX + 1];
};

static inline void plain_read(struct plain_chars *c, const uint8_t *text, size_t n)
{
    size_t at = 0;
    for (c->n = 0; at < n; c->n++) {
        c->at[c->n] = at;
        at += utf8_next(text + at, n - at, &c->code[c->n]);
        c->class[c->n] = unicode_class_of(c->code[c->n]);
    }
    c->at[c->n] = n;
}

static inline bool plain_is_space(const struct plain_chars *c, int i)
{
    return c->class[i] == UNICODE_SPACE || c->class[i] == UNICODE_LINE_END;
}

static inline int plain_branch_1(const struct plain_chars *c, int i)
{
    if (c->code[i] != '\'' || i + 1 >= c->n)
        return 0;
    uint32_t a = c->code[i + 1], b = i + 2 < c->n ? c->code[i + 2] : 0;
    if (strchr("sdmtSDMT", (int)(a < 128 && a ? a : '?')) || a == 0x17F)
        return i + 2;
    bool ll = (a == 'l' || a == 'L') && (b == 'l' || b == 'L'), e = b == 'e' || b == 'E';
    return ll || ((a == 'v' || a == 'V' || a == 'r' || a == 'R') && e) ? i + 3 : 0;
}

// The piece that starts at character i, branch by branch, greedy loops and backing off included: the character behind it.
static inline int plain_next(const struct plain_chars *c, int i)
{
    int n = c->n, j = plain_branch_1(c, i);
    if (j)
        return j;
    j = i; // branch 2
    if (c->class[j] != UNICODE_LINE_END && c->class[j] != UNICODE_LETTER && c->class[j] != UNICODE_NUMBER)
        j++;
    int letters = j;
    while (j < n && c->class[j] == UNICODE_LETTER)
        j++;
    if (j > letters)
        return j;
    if (c->class[i] == UNICODE_NUMBER) // branch 3
        return i + 1 < n && c->class[i + 1] == UNICODE_NUMBER ? i + 2 : i + 1;
    j = c->code[i] == ' ' ? i + 1 : i; // branch 4
    int others = j;
    while (j < n && c->class[j] == UNICODE_OTHER)
        j++;
    if (j > others) {
        while (j < n && c->class[j] == UNICODE_LINE_END)
            j++;
        return j;
    }
    int run = i; // branches 5 to 7
    while (run < n && plain_is_space(c, run))
        run++;
    for (j = run; j > i; j--)
        if (c->class[j - 1] == UNICODE_LINE_END)
            return j;
    for (j = run; j > i; j--)
        if (j == n || plain_is_space(c, j))
            return j;
    return run;
}

static inline int32_t plain_find(const struct token_table *t, const uint8_t *p, size_t n)
{
    for (int32_t id = 0; id < t->n - t->n_special; id++) {
        size_t length;
        const uint8_t *bytes = token_table_bytes(t, id, &length);
        if (length == n && memcmp(bytes, p, n) == 0)
            return id;
    }
    return -1;
}

// The rank of parts i and i+1 of a piece together; INT32_MAX where they are no token.
static inline int32_t plain_rank(const struct token_table *t, const uint8_t *p, const size_t *start, size_t parts, size_t i)
{
    int32_t id = i + 2 <= parts ? plain_find(t, p + start[i], start[i + 2] - start[i]) : -1;
    return id < 0 ? INT32_MAX : id;
}

// The ids of one piece of n <= PLAIN_MAX bytes; returns how many.
static inline size_t plain_encode(const struct token_table *t, const uint8_t *p, size_t n, int32_t *ids)
{
    size_t start[PLAIN_MAX + 1], parts = n;
    int32_t rank[PLAIN_MAX], whole = plain_find(t, p, n);
    if (whole >= 0)
        return ids[0] = whole, 1;
    for (size_t i = 0; i <= n; i++)
        start[i] = i;
    for (size_t i = 0; i < n; i++)
        rank[i] = plain_rank(t, p, start, n, i);
    for (;;) {
        size_t at = 0;
        for (size_t i = 1; i < parts; i++)
            if (rank[i] < rank[at])
                at = i;
        if (rank[at] == INT32_MAX)
            break;
        memmove(&start[at + 1], &start[at + 2], (parts - at - 1) * sizeof *start);
        memmove(&rank[at + 1], &rank[at + 2], (parts - at - 2) * sizeof *rank);
        parts--;
        rank[at] = plain_rank(t, p, start, parts, at);
        if (at > 0)
            rank[at - 1] = plain_rank(t, p, start, parts, at - 1);
    }
    for (size_t i = 0; i < parts; i++)
        ids[i] = plain_find(t, p + start[i], start[i + 1] - start[i]);
    return parts;
}

#endif
