// slots.c - one walk over the template.
#include "core/data/slots.h"

#include <string.h>

size_t slots_fill(const char *template, const struct slot *slots, int n_slots, char *out)
{
    size_t n = 0;
    for (const char *s = template; *s;) {
        const char *text = s;
        size_t n_text = 1, n_used = 1;
        for (int i = 0; *s == '{' && i < n_slots; i++)
            if (strncmp(s, slots[i].name, strlen(slots[i].name)) == 0) {
                text = slots[i].text;
                n_text = slots[i].n;
                n_used = strlen(slots[i].name);
                break;
            }
        if (out && n_text)
            memcpy(out + n, text, n_text);
        n += n_text;
        s += n_used;
    }
    return n;
}
