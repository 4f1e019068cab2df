// overlap.c - a rolling hash over words: adding one and dropping the thirteenth before it is two multiplications.
//
// 1. The hash of a run w0 ... w12 is the sum of w[k] B^(12-k) modulo 2^64, w[k] being the hash of a word.
// 2. A bit field that fits the cache is asked first: of nearly all runs of a text it says no.
// 3. A find counts when the words are the same. Of the document only where its last 13 words begin is kept; they are made words again.
#include "core/eval/overlap.h"

#include <string.h>

#define WORD_SEED UINT64_C(0xcbf29ce484222325) // FNV-1a
#define WORD_PRIME UINT64_C(0x100000001b3)
#define BASE UINT64_C(0x9e3779b97f4a7c15) // odd, its bits well spread

struct overlap_run {
    uint64_t hash;
    int64_t word;       // where one begins; -1: no run here
    int64_t link;       // the questions that have these words
    unsigned char done; // they are all found
};

struct overlap_link {
    int64_t item, next; // next: -1: the last
};

enum byte_kind { LEFT_OUT, BLANK, KEPT };

void overlap_init(struct overlap *o, struct arena *arena)
{
    *o = (struct overlap){.arena = arena};
}

void overlap_release(struct overlap *o)
{
    void *const all[] = {o->bytes, o->words, o->at, o->first, o->bits, o->runs, o->links, o->found};
    for (size_t i = 0; i < countof(all); i++)
        block_free(all[i]);
    *o = (struct overlap){0};
}

// What byte c is, lower-cased, and how many bytes from s on it says that of.
static enum byte_kind look(const unsigned char *s, const unsigned char *end, unsigned char *c, size_t *n)
{
    *n = 1;
    *c = *s;
    if (*s < 0x80) {
        if (*s >= 'a' && *s <= 'z')
            return KEPT;
        if (*s >= 'A' && *s <= 'Z') {
            *c = *s | 0x20;
            return KEPT;
        }
        if (*s >= '0' && *s <= '9')
            return KEPT;
        return *s <= ' ' ? BLANK : LEFT_OUT; // control characters part words, too
    }
    if (*s == 0xC2 && end - s > 1 && s[1] == 0xA0) { // U+00A0
        *n = 2;
        return BLANK;
    }
    if (*s == 0xE3 && end - s > 2 && s[1] == 0x80 && s[2] == 0x80) { // U+3000
        *n = 3;
        return BLANK;
    }
    if (*s != 0xE2 || end - s < 3 || (s[1] & 0xFE) != 0x80) // U+2000 to U+206F are E2 80 80 to E2 81 AF
        return KEPT;
    unsigned code = 0x2000 + (s[1] & 1u) * 64 + (s[2] & 0x3Fu);
    if (code >= 0x2070)
        return KEPT;
    *n = 3;
    bool parts = code <= 0x200A || (code >= 0x2010 && code <= 0x2015) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
                 code == 0x205F;
    return parts ? BLANK : LEFT_OUT;
}

static uint64_t mixed(uint64_t h)
{
    h ^= h >> 32;
    h *= BASE;
    return h ^ h >> 29;
}

// ---- questions

static bool room(void **block, size_t n, size_t *capacity, size_t more, size_t item)
{
    if (n + more <= *capacity)
        return true;
    size_t bigger = *capacity ? *capacity : 1024;
    while (bigger < n + more)
        bigger *= 2;
    void *grown = block_resize(*block, n * item, bigger * item);
    if (!grown)
        return false;
    *block = grown;
    *capacity = bigger;
    return true;
}

static bool add_word(struct overlap *o, size_t from, uint64_t hash)
{
    size_t capacity = (size_t)o->words_capacity, other = capacity;
    void *words = o->words, *at = o->at;
    bool good = room(&words, (size_t)o->n_words, &capacity, 1, sizeof *o->words);
    o->words = words;
    if (!good || !room(&at, (size_t)o->n_words, &other, 1, sizeof *o->at))
        return false;
    o->at = at;
    o->words_capacity = (int64_t)capacity;
    o->words[o->n_words] = mixed(hash);
    o->at[o->n_words++] = (uint32_t)from;
    o->bytes[o->n_bytes++] = ' ';
    return true;
}

static struct error *add_text(struct overlap *o, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + n;
    void *bytes = o->bytes;
    bool good = room(&bytes, o->n_bytes, &o->bytes_capacity, 2 * n + 2, 1);
    o->bytes = bytes;
    if (!good)
        return error_memory();
    if (o->n_bytes + n > UINT32_MAX - 2)
        return error_plain(ERROR_DATA, "more than 4 GB of questions");
    size_t from = o->n_bytes, k;
    uint64_t hash = WORD_SEED;
    for (; s < end; s += k) {
        unsigned char c;
        enum byte_kind is = look(s, end, &c, &k);
        if (is == KEPT) {
            o->bytes[o->n_bytes++] = (char)c;
            hash = (hash ^ c) * WORD_PRIME;
        } else if (is == BLANK && o->n_bytes > from) {
            if (!add_word(o, from, hash))
                return error_memory();
            from = o->n_bytes;
            hash = WORD_SEED;
        }
    }
    return o->n_bytes > from && !add_word(o, from, hash) ? error_memory() : NULL;
}

struct error *overlap_item(struct overlap *o, const struct overlap_text *texts, int n_texts, int64_t *i)
{
    size_t capacity = (size_t)o->items_capacity;
    void *first = o->first;
    bool good = room(&first, (size_t)o->n_items, &capacity, 2, sizeof *o->first);
    o->first = first;
    if (!good)
        return error_memory();
    o->items_capacity = (int64_t)capacity;
    o->first[o->n_items] = o->n_words;
    struct error *e = NULL;
    for (int k = 0; k < n_texts && !e; k++)
        e = add_text(o, texts[k].text, texts[k].n);
    o->first[o->n_items + 1] = o->n_words;
    *i = o->n_items++;
    return e;
}

// ---- the index

// BASE to the power of OVERLAP_WORDS.
static uint64_t dropped_factor(void)
{
    uint64_t f = 1;
    for (int i = 0; i < OVERLAP_WORDS; i++)
        f *= BASE;
    return f;
}

static size_t run_bytes(const struct overlap *o, int64_t word)
{
    return (word + OVERLAP_WORDS < o->n_words ? o->at[word + OVERLAP_WORDS] : o->n_bytes) - o->at[word];
}

static bool same_run(const struct overlap *o, int64_t a, int64_t b)
{
    size_t n = run_bytes(o, a);
    return n == run_bytes(o, b) && !memcmp(o->bytes + o->at[a], o->bytes + o->at[b], n);
}

static void add_run(struct overlap *o, uint64_t hash, int64_t word, int64_t item)
{
    uint64_t spread = mixed(hash), place = spread & (o->n_runs - 1), bit = spread >> o->bits_shift;
    while (o->runs[place].word >= 0 && !(o->runs[place].hash == hash && same_run(o, o->runs[place].word, word)))
        place = (place + 1) & (o->n_runs - 1);
    struct overlap_run *run = &o->runs[place];
    if (run->word < 0)
        *run = (struct overlap_run){.hash = hash, .word = word, .link = -1};
    o->links[o->n_links] = (struct overlap_link){item, run->link};
    run->link = o->n_links++;
    o->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

struct error *overlap_index(struct overlap *o)
{
    unsigned log = 10;
    while ((INT64_C(1) << log) < 2 * o->n_words)
        log++;
    unsigned bits_log = log + 3 > 40 ? 40 : log + 3; // eight bits and more a run
    o->n_runs = UINT64_C(1) << log;
    o->bits_shift = 64 - bits_log;
    o->runs = block_alloc(o->n_runs * sizeof *o->runs);
    o->bits = block_alloc((size_t)1 << (bits_log - 3));
    o->found = block_alloc((size_t)o->n_items + 1);
    o->links = block_alloc(((size_t)o->n_words + 1) * sizeof *o->links);
    if (!o->runs || !o->bits || !o->found || !o->links)
        return error_memory();
    memset(o->bits, 0, (size_t)1 << (bits_log - 3));
    memset(o->found, 0, (size_t)o->n_items + 1);
    for (uint64_t i = 0; i < o->n_runs; i++)
        o->runs[i].word = -1;
    uint64_t dropped = dropped_factor();
    for (int64_t item = 0; item < o->n_items; item++) {
        uint64_t hash = 0;
        for (int64_t w = o->first[item]; w < o->first[item + 1]; w++) {
            int64_t n = w - o->first[item] + 1;
            hash = hash * BASE + o->words[w] - (n > OVERLAP_WORDS ? o->words[w - OVERLAP_WORDS] * dropped : 0);
            if (n >= OVERLAP_WORDS)
                add_run(o, hash, w - OVERLAP_WORDS + 1, item);
        }
    }
    return NULL;
}

// ---- documents

// Whether the words of a document from s to end are those of a run.
static bool same_words(const struct overlap *o, int64_t word, const unsigned char *s, const unsigned char *end)
{
    const char *run = o->bytes + o->at[word], *run_end = run + run_bytes(o, word);
    bool in_word = false;
    size_t k;
    for (; s < end; s += k) {
        unsigned char c;
        enum byte_kind is = look(s, end, &c, &k);
        if (is == KEPT) {
            if (run == run_end || (unsigned char)*run != c)
                return false;
            run++;
            in_word = true;
        } else if (is == BLANK && in_word) {
            if (run == run_end || *run != ' ')
                return false;
            run++;
            in_word = false;
        }
    }
    return run + in_word == run_end;
}

// All questions that have this run, once. from, to: its words in the document.
static void find(struct overlap *o, uint64_t hash, uint64_t spread, const unsigned char *from, const unsigned char *to)
{
    for (uint64_t place = spread & (o->n_runs - 1); o->runs[place].word >= 0; place = (place + 1) & (o->n_runs - 1)) {
        struct overlap_run *run = &o->runs[place];
        if (run->hash != hash || __atomic_load_n(&run->done, __ATOMIC_RELAXED) || !same_words(o, run->word, from, to))
            continue;
        for (int64_t link = run->link; link >= 0; link = o->links[link].next)
            __atomic_store_n(&o->found[o->links[link].item], 1, __ATOMIC_RELAXED);
        __atomic_store_n(&run->done, 1, __ATOMIC_RELAXED);
    }
}

struct error *overlap_read(struct overlap *o, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + n, *from[OVERLAP_WORDS], *begin = NULL;
    uint64_t words[OVERLAP_WORDS], hash = 0, word = WORD_SEED, dropped = dropped_factor();
    int64_t n_words = 0;
    int slot = 0; // where the next word goes, and the oldest is
    size_t k = 1;
    for (bool last = false; !last; s += k) {
        unsigned char c = 0;
        last = s >= end;
        enum byte_kind is = last ? BLANK : look(s, end, &c, &k);
        if (is == KEPT) {
            begin = begin ? begin : s;
            word = (word ^ c) * WORD_PRIME;
            continue;
        }
        if (is != BLANK || !begin)
            continue;
        word = mixed(word);
        hash = hash * BASE + word - (n_words >= OVERLAP_WORDS ? words[slot] * dropped : 0);
        words[slot] = word;
        from[slot] = begin;
        slot = slot + 1 == OVERLAP_WORDS ? 0 : slot + 1;
        n_words++;
        begin = NULL;
        word = WORD_SEED;
        if (n_words < OVERLAP_WORDS)
            continue;
        uint64_t spread = mixed(hash), bit = spread >> o->bits_shift;
        if (o->bits[bit / 64] >> bit % 64 & 1)
            find(o, hash, spread, from[slot], last ? end : s);
    }
    return NULL;
}

void overlap_forget(struct overlap *o)
{
    memset(o->found, 0, (size_t)o->n_items + 1);
    for (uint64_t i = 0; i < o->n_runs; i++)
        o->runs[i].done = 0;
}

bool overlap_found(const struct overlap *o, int64_t i)
{
    return o->found[i];
}

int64_t overlap_words(const struct overlap *o, int64_t i)
{
    return o->first[i + 1] - o->first[i];
}
