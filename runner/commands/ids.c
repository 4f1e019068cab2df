// ids.c - by hand: no function of the library reads a number of decimal digits and nothing else.
#include "runner/commands/ids.h"

#include <ctype.h>
#include <stdio.h>

#include "core/text/utf8.h"

enum { SHOWN_MOST = 60 }; // columns of a piece

bool id_ends(char c)
{
    return c == ',' || isspace((unsigned char)c);
}

bool id_read(const char *word, size_t n, int32_t n_vocab, int32_t *id, char what[ID_TEXT])
{
    int64_t value = 0;
    snprintf(what, ID_TEXT, "'%.*s' is no token id", (int)(n < 20 ? n : 20), word);
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)word[i]) || n > ID_DIGITS)
            return false;
        value = 10 * value + (word[i] - '0');
    }
    snprintf(what, ID_TEXT, "id %lld is outside the vocabulary of %d", (long long)value, n_vocab);
    *id = (int32_t)value;
    return n && value < n_vocab;
}

bool piece_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x200B && code <= 0x200F) ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

void piece_print(const uint8_t *p, size_t n)
{
    int shown = 0;
    putchar('\'');
    for (size_t at = 0, length; at < n; at += length) {
        uint32_t code;
        length = utf8_next(p + at, n - at, &code);
        if (shown >= SHOWN_MOST) {
            printf("' ...\n");
            return;
        }
        shown++;
        if (code == '\n' || code == '\t' || code == '\r' || code == '\\') {
            printf("\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : code == '\r' ? 'r' : '\\');
        } else if (code == UTF8_BAD || piece_is_control(code)) {
            for (size_t i = 0; i < length; i++)
                printf("\\x%02X", p[at + i]);
            shown += 3;
        } else {
            fwrite(p + at, 1, length, stdout);
        }
    }
    printf("'\n");
}
