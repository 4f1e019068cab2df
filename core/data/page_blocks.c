// page_blocks.c - three blocks, two of which may be kept: so there is always one for the next page.
#include "core/data/page_blocks.h"

struct error *page_blocks_take(struct page_blocks *b, size_t n)
{
    for (int i = 0; i < PAGE_BLOCKS && (!b->now || b->now->n_kept > 0); i++)
        b->now = &b->block[i];
    struct page_block *now = b->now;
    if (n > now->capacity || (n <= PAGE_KEPT_MOST && now->capacity > PAGE_KEPT_MOST)) {
        block_free(now->bytes);
        now->bytes = block_alloc(n);
        now->capacity = now->bytes ? n : 0;
    }
    now->n = now->bytes ? n : 0;
    return now->bytes ? NULL : error_memory();
}

bool page_blocks_can_keep(const struct page_blocks *b)
{
    int kept = 0;
    for (int i = 0; i < PAGE_BLOCKS; i++)
        kept += b->block[i].n_kept > 0;
    return b->now->n >= PAGE_KEPT_LEAST && b->now->n <= PAGE_KEPT_MOST && (b->now->n_kept > 0 || kept < PAGE_BLOCKS - 1);
}

void page_blocks_drop_all(struct page_blocks *b)
{
    for (int i = 0; i < PAGE_BLOCKS; i++)
        b->block[i].n_kept = 0;
}

void page_blocks_release(struct page_blocks *b)
{
    for (int i = 0; i < PAGE_BLOCKS; i++)
        block_free(b->block[i].bytes);
    *b = (struct page_blocks){0};
}
