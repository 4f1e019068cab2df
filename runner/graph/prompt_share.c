// prompt_share.c - lines are counted, nothing is parsed.
#include "runner/graph/prompt_share.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/data/record.h"

enum { READ_BYTES = 1 << 18, WORLD_ROW_BYTES = 80 };

struct counted_file {
    struct counted_file *next;
    const char *path;
    enum document_form form;
    int64_t rows;
    double bytes;
};

// Lines and bytes of a file; -1 where it cannot be read.
static int64_t count_lines(const char *path, double *bytes)
{
    char *buffer = block_alloc(READ_BYTES);
    int fd = buffer ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    int64_t lines = fd < 0 ? -1 : 0;
    char last = '\n';
    for (ssize_t n; fd >= 0 && (n = read(fd, buffer, READ_BYTES)) != 0; last = buffer[n - 1]) {
        if (n < 0) {
            lines = -1;
            break;
        }
        *bytes += (double)n;
        for (const char *s = buffer; (s = memchr(s, '\n', (size_t)(buffer + n - s))); s++)
            lines++;
    }
    if (fd >= 0)
        close(fd);
    block_free(buffer);
    return lines < 0 ? -1 : lines + (last != '\n');
}

static int64_t count_file(const struct document_part *part, double *bytes)
{
    struct stat st;
    int64_t n = -1;
    if (part->form == DOCUMENT_JSONL)
        return count_lines(part->path, bytes);
    struct error *e = stat(part->path, &st) ? NULL : records_count(part, &n);
    *bytes += n < 0 ? 0 : (double)st.st_size;
    n = e ? -1 : n;
    error_free(e); // who reads it will say so
    return n;
}

static int64_t count_rows(struct prompt_counts *counts, const struct document_part *part, double *bytes)
{
    struct counted_file file = {.next = counts->known, .path = part->path, .form = part->form};
    if (part->form == DOCUMENT_WORLD) {
        *bytes += (double)part->n * WORLD_ROW_BYTES;
        return part->n;
    }
    for (const struct counted_file *f = counts->known; f; f = f->next)
        if (f->form == part->form && !strcmp(f->path, part->path)) {
            *bytes += f->bytes;
            return f->rows;
        }
    file.rows = count_file(part, &file.bytes);
    *bytes += file.bytes;
    struct counted_file *known = file.rows < 0 ? NULL : arena_alloc(counts->arena, sizeof *known);
    if (known) { // else it is read again
        *known = file;
        counts->known = known;
    }
    return file.rows;
}

struct prompt_guess prompts_guess(struct prompt_counts *counts, const struct graph_node *node, int n_vocab)
{
    const struct eval_options *o = node->kind == KIND_EVAL ? node->options : NULL;
    double bytes_a_token = fmax(log2((double)n_vocab) / 4, 1);
    struct prompt_guess guess = {0};
    for (int i = 0; o && i < o->tasks.n && guess.n >= 0; i++) {
        const struct mixture_use *use = &o->tasks.uses[i];
        const struct task *task = &use->task->task;
        int64_t rows = 0;
        double bytes = 0;
        if (!grader_is_prompted(task->grader) || graph_left_out(node, use))
            continue;
        for (int k = 0; k < node->n_parts && rows >= 0; k++) {
            int64_t n = node->parts[k].use == use ? count_rows(counts, &node->parts[k].part, &bytes) : 0;
            rows = n < 0 ? -1 : rows + n;
        }
        if (rows < 1) {
            guess.n = rows < 0 ? -1 : guess.n;
            continue;
        }
        double row = bytes / (double)rows;
        rows = task->examples && task->examples < rows ? task->examples : rows;
        rows = o->examples != FIELD_UNSET_INT && o->examples < rows ? o->examples : rows;
        guess.n += rows;
        guess.tokens += (double)rows * ((double)task->shots + 1) * row / bytes_a_token;
    }
    return guess;
}
