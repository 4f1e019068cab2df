// program.c - lines and blocks are looked for in bytes; only what is blank is looked at as characters.
#include "core/data/program.h"

#include <string.h>

#include "core/text/unicode.h"
#include "core/text/utf8.h"

static const char fence[] = "```", fence_end[] = "\n```", word[] = "python";

static bool is_blank(uint32_t code)
{
    enum unicode_class class = unicode_class_of(code);
    return class == UNICODE_SPACE || class == UNICODE_LINE_END || (code >= 0x1C && code <= 0x1F);
}

static bool begins(const char *text, size_t n, const char *with)
{
    return n >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

// How many bytes of blanks stand at the beginning.
static size_t blanks(const char *text, size_t n)
{
    size_t at = 0;
    uint32_t code;
    while (at < n) {
        size_t step = utf8_next((const uint8_t *)text + at, n - at, &code);
        if (!is_blank(code))
            break;
        at += step;
    }
    return at;
}

static struct program_text strip(const char *text, size_t n)
{
    size_t before = blanks(text, n);
    text += before;
    n -= before;
    while (n) {
        size_t last = n - 1;
        uint32_t code;
        while (last && n - last < 4 && ((unsigned char)text[last] & 0xC0) == 0x80)
            last--;
        if (utf8_next((const uint8_t *)text + last, n - last, &code) != n - last || !is_blank(code))
            break;
        n = last;
    }
    return (struct program_text){text, n};
}

static struct error *append(struct bytes *out, const char *text)
{
    return bytes_append(out, text, strlen(text));
}

static struct error *add_imports(struct bytes *out, struct program_text prompt)
{
    struct error *e = NULL;
    size_t first = out->n;
    for (size_t at = 0; at < prompt.n && !e;) {
        const char *end = memchr(prompt.text + at, '\n', prompt.n - at);
        size_t n = end ? (size_t)(end - prompt.text) - at : prompt.n - at;
        struct program_text line = strip(prompt.text + at, n);
        at += n + 1;
        if (begins(line.text, line.n, "import ") || begins(line.text, line.n, "from ")) {
            e = out->n > first ? append(out, "\n") : NULL;
            if (!e)
                e = bytes_append(out, line.text, line.n);
        } else if (line.n && line.text[0] != '#') {
            break;
        }
    }
    return e;
}

struct error *program_tests(struct bytes *out, struct program_text prompt, const struct program_text *tests, int n_tests,
                            struct program_text entry_point)
{
    struct error *e = add_imports(out, prompt);
    if (!e)
        e = append(out, "\n\n");
    for (int i = 0; i < n_tests && !e; i++) {
        e = i ? append(out, "\n") : NULL;
        if (!e)
            e = bytes_append(out, tests[i].text, tests[i].n);
    }
    if (e || !entry_point.text)
        return e;
    if ((e = append(out, "\ncheck(")) || (e = bytes_append(out, entry_point.text, entry_point.n)))
        return e;
    return append(out, ")");
}

// The block that a fence opens whose blanks begin at `at`: the last line end among them from which an end can be reached, as a regular
// expression goes back. False: there is none; *hopeless: nor behind it, for there is no end any more.
static bool block_at(struct program_text answer, size_t at, struct program_text *code, bool *hopeless)
{
    size_t end = at + blanks(answer.text + at, answer.n - at), opens = end;
    while (opens > at && answer.text[opens - 1] != '\n')
        opens--;
    if (opens == at) // the line of the fence has more on it
        return false;
    const char *stop = memmem(answer.text + opens, answer.n - opens, fence_end, strlen(fence_end));
    if (stop) {
        *code = strip(answer.text + opens, (size_t)(stop - answer.text) - opens);
        return true;
    }
    *hopeless = true;
    if (opens != end || !begins(answer.text + end, answer.n - end, fence) || !memchr(answer.text + at, '\n', opens - 1 - at))
        return false;
    *code = (struct program_text){answer.text + opens, 0}; // nothing but blanks between two fences
    return true;
}

struct program_text program_code(struct program_text answer)
{
    struct program_text code;
    bool hopeless = false;
    for (size_t at = 0; at < answer.n && !hopeless; at++) {
        const char *found = memmem(answer.text + at, answer.n - at, fence, strlen(fence));
        if (!found)
            break;
        at = (size_t)(found - answer.text);
        size_t behind = at + strlen(fence);
        behind += begins(answer.text + behind, answer.n - behind, word) ? strlen(word) : 0;
        if (block_at(answer, behind, &code, &hopeless))
            return code;
    }
    return strip(answer.text, answer.n);
}

struct error *program_whole(struct bytes *out, struct program_text tests, struct program_text answer)
{
    const char *end = memmem(tests.text, tests.n, "\n\n", 2);
    size_t n_imports = end ? (size_t)(end - tests.text) : 0, behind = end ? n_imports + 2 : 0;
    struct program_text code = program_code(answer);
    struct error *e;
    if ((e = bytes_append(out, tests.text, n_imports)) || (e = append(out, "\n\n")) ||
        (e = bytes_append(out, code.text, code.n)) || (e = append(out, "\n\n")))
        return e;
    return bytes_append(out, tests.text + behind, tests.n - behind);
}
