// page_blocks.h - where unpacked pages lie, and how one stays while the next is read.
//
// A reader unpacks each page into the block that is `now`. Who goes on using texts of a page keeps its block meanwhile, instead of
// copying them, and the next page gets another. One set serves all files that are read one after the other.
//
//     struct page_blocks blocks = {0};
//     documents_use(d, &blocks);
//     if (documents_stays(d, text, &block) && block)
//         page_block_keep(block); ... page_block_drop(block);     // text stays between
//     page_blocks_release(&blocks);                               // behind documents_close
//
// Memory   three blocks, of which two can be kept: of pages of 1 to 32 MiB, since a shorter one is copied within the cache. A longer
//          page makes its block as long as itself, until the next shorter one
// Threads  a set and its counts are of whoever reads, one thread at a time
#ifndef CORE_DATA_PAGE_BLOCKS_H
#define CORE_DATA_PAGE_BLOCKS_H

#include "core/base/error.h"

#include <stdint.h>

enum { PAGE_BLOCKS = 3, PAGE_KEPT_LEAST = 1 << 20, PAGE_KEPT_MOST = 32 << 20 };

struct page_block {
    uint8_t *bytes;
    size_t capacity, n; // n: of the page
    int n_kept;
};

struct page_blocks {
    struct page_block block[PAGE_BLOCKS];
    struct page_block *now; // NULL before the first page
};

// Makes `now` a block of n bytes that nobody keeps. What it had is lost.
struct error *CHECKED page_blocks_take(struct page_blocks *blocks, size_t n);

// Whether the page that lies in `now` can be kept.
bool page_blocks_can_keep(const struct page_blocks *blocks);

static inline void page_block_keep(struct page_block *block)
{
    block->n_kept++;
}

static inline void page_block_drop(struct page_block *block)
{
    block->n_kept--;
}

// Nobody keeps anything any more.
void page_blocks_drop_all(struct page_blocks *blocks);

void page_blocks_release(struct page_blocks *blocks);

#endif
