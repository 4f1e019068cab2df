// made_rows.h - files of task rows without a data set: rows by arithmetic, which a test can say again, or rows given.
#ifndef TESTS_UNIT_CORE_DATA_MADE_ROWS_H
#define TESTS_UNIT_CORE_DATA_MADE_ROWS_H

#include "tests/unit/folder.h"

#include "core/data/task_rows_inside.h"

enum { MADE_START = 3, MADE_MAX = 700 }; // assistant_start; the longest made row

struct made_row {
    int32_t ids[MADE_MAX], letters[4];
    uint8_t mask[MADE_MAX];
    char answer[32];
    struct task_row row;
};

static inline uint64_t made_word(uint64_t a, uint64_t b)
{
    uint64_t x = (a * 1000003u + b + 1) * 0x9E3779B97F4A7C15u;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9u;
    return x ^ x >> 32;
}

// Row i: from 1 token up; a prompt, and behind it mostly what is learned. A fifth learns nothing, a third has letters.
static inline void make_row(struct made_row *m, int64_t i, int64_t n_vocab)
{
    uint64_t w = made_word((uint64_t)i, 0);
    int64_t n = 1 + (int64_t)(w % (i % 3 ? 40 : MADE_MAX)), prompt = n > 2 ? 1 + (int64_t)(w / 1024 % (uint64_t)(n - 1)) : 0;
    for (int64_t t = 0; t < n; t++) {
        uint64_t x = made_word((uint64_t)i, (uint64_t)t + 1);
        m->ids[t] = (int32_t)(x % (uint64_t)n_vocab);
        m->mask[t] = i % 5 && t >= prompt && x / 65536 % 4;
    }
    if (prompt)
        m->ids[prompt - 1] = MADE_START;
    int n_letters = i % 3 == 1 ? 1 + (int)(i % 4) : 0;
    for (int k = 0; k < n_letters; k++)
        m->letters[k] = (int32_t)(i + k) % 4;
    snprintf(m->answer, sizeof m->answer, "%.*s%lld", (int)(i % 8), "=======", (long long)i);
    m->row = (struct task_row){.ids = m->ids,
                               .mask = m->mask,
                               .n = n,
                               .n_prompt = prompt,
                               .answer = {.text = m->answer,
                                          .n_text = i % 4 ? strlen(m->answer) : 0,
                                          .letters = m->letters,
                                          .n_letters = n_letters,
                                          .right = n_letters ? (int)i % n_letters : -1}};
}

static inline void save_rows(const char *path, int64_t n_vocab, const struct task_row *rows, int64_t n)
{
    struct task_row_writer w = {.n_vocab = n_vocab, .assistant_start = MADE_START};
    for (int64_t i = 0; i < n; i++)
        assert_good(task_row_writer_add(&w, &rows[i]));
    struct store_attribute attribute = store_text("/", "task", "made");
    assert_good(task_row_writer_save(&w, path, &attribute, 1));
    task_row_writer_release(&w);
}

// Rows first .. first+n-1.
static inline void save_made_rows(const char *path, int64_t first, int64_t n, int64_t n_vocab)
{
    struct task_row_writer w = {.n_vocab = n_vocab, .assistant_start = MADE_START};
    for (int64_t i = 0; i < n; i++) {
        struct made_row m;
        make_row(&m, first + i, n_vocab);
        assert_good(task_row_writer_add(&w, &m.row));
    }
    assert_good(task_row_writer_save(&w, path, NULL, 0));
    task_row_writer_release(&w);
}

#endif
