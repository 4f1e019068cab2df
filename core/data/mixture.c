// mixture.c - the list of all examples is written out, and shuffled as a whole.
//
// Example k of a part is row order[k mod n] of the part's fixed permutation: whole passes and what is left of the last one fall out of
// the same arithmetic. 12 bytes an example stay; the orders live only while the mixture is opened.
#include "core/data/mixture.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/shuffle.h"

static struct error *count_examples(const struct mixture_part *parts, int n_parts, int64_t *n)
{
    *n = 0;
    for (int i = 0; i < n_parts; i++) {
        const struct mixture_part *p = &parts[i];
        int64_t here = mixture_part_examples(p->rows->n, p->epochs, p->n_rows);
        if (here < 0)
            return error_plain(ERROR_DATA, "%lld rows of '%s' are asked for, and it has %lld", (long long)p->n_rows, p->name,
                               (long long)p->rows->n);
        if (p->rows->n_vocab != parts[0].rows->n_vocab)
            return error_plain(ERROR_DATA, "'%s' has a vocabulary of %lld, and '%s' one of %lld", p->name,
                               (long long)p->rows->n_vocab, parts[0].name, (long long)parts[0].rows->n_vocab);
        if (here > UINT32_MAX - *n)
            return error_plain(ERROR_DATA, "the mixture has more than %lld examples with '%s'", (long long)UINT32_MAX, p->name);
        *n += here;
    }
    return *n ? NULL : error_plain(ERROR_DATA, "the mixture has no examples");
}

static struct error *list_part(const struct mixture_part *p, int i_part, int64_t n, struct mixture_example *list)
{
    if (!n)
        return NULL;
    int64_t *order = block_alloc((size_t)p->rows->n * sizeof *order);
    struct error *e = order ? task_rows_order(p->rows->n, order) : error_memory();
    for (int64_t k = 0, row = 0; k < n && !e; k++, row = row + 1 < p->rows->n ? row + 1 : 0)
        list[k] = (struct mixture_example){.part = i_part, .row = order[row]};
    block_free(order);
    return e ? error_while(e, NOWHERE, "ordering the rows of '%s'", p->name) : NULL;
}

static struct error *list_all(const struct mixture_part *parts, int n_parts, struct mixture_example *list)
{
    int64_t at = 0;
    for (int i = 0; i < n_parts; i++) {
        int64_t n = mixture_part_examples(parts[i].rows->n, parts[i].epochs, parts[i].n_rows);
        struct error *e = list_part(&parts[i], i, n, list + at);
        if (e)
            return e;
        at += n;
    }
    return NULL;
}

// list and order are scratch of m->n items.
static struct error *arrange(struct mixture *m, uint64_t seed, enum mixture_order order, struct mixture_example *list,
                             int64_t *places, int32_t *part, int64_t *row)
{
    struct error *e = list_all(m->parts, m->n_parts, list);
    if (!e && order == MIXTURE_SHUFFLED)
        e = shuffle_python(seed, m->n, places);
    for (int64_t i = 0; i < m->n && !e; i++) {
        const struct mixture_example *x = &list[order == MIXTURE_SHUFFLED ? places[i] : i];
        part[i] = x->part;
        row[i] = x->row;
    }
    return e;
}

struct error *mixture_open(struct mixture *m, const struct mixture_part *parts, int n_parts, uint64_t seed,
                           enum mixture_order order, struct arena *arena)
{
    *m = (struct mixture){0};
    int64_t n;
    struct error *e = count_examples(parts, n_parts, &n);
    if (e)
        return e;
    struct mixture_part *own = arena_array(arena, (size_t)n_parts, sizeof *own);
    int32_t *part = arena_array(arena, (size_t)n, sizeof *part);
    int64_t *row = arena_array(arena, (size_t)n, sizeof *row);
    if (!own || !part || !row)
        return error_memory();
    memcpy(own, parts, (size_t)n_parts * sizeof *own);
    struct mixture opened = {.parts = own, .n_parts = n_parts, .n = n, .part = part, .row = row};
    struct mixture_example *list = block_alloc((size_t)n * sizeof *list);
    int64_t *places = block_alloc((size_t)n * sizeof *places);
    e = list && places ? arrange(&opened, seed, order, list, places, part, row) : error_memory();
    block_free(list);
    block_free(places);
    if (!e)
        *m = opened;
    return e;
}

struct mixture_example mixture_at(const struct mixture *m, int64_t i)
{
    assert(i >= 0 && i < m->n);
    return (struct mixture_example){.part = m->part[i], .row = m->row[i]};
}

int64_t mixture_part_examples(int64_t n, double epochs, int64_t n_rows)
{
    if (n_rows >= 0)
        return n_rows <= n ? n_rows : -1;
    if (!(epochs > 0))
        return 0;
    // 0.29 * 100 is 28.999999999999996: what is a whole number but for its last bits is that number.
    double examples = (double)n * epochs;
    examples = floor(examples + examples * 0x1p-50);
    return examples < 0x1p62 ? (int64_t)examples : INT64_MAX;
}
