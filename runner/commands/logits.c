// logits.c - `retort logits MODEL`: what a model gives to each token as the next one.
//
// Sequences are computed one by one, and of each a few positions at a time, so that what is printed needs little memory; an HDF5 file
// is made whole.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/store/atomic.h"
#include "core/store/foreign.h"
#include "runner/commands/ids.h"
#include "runner/commands/load.h"

enum {
    PART_NUMBERS = 1 << 22, // logits computed at a time, but for at least one position
    JSON_MOST = 1 << 22,    // numbers of an answer
    INPUT_MOST = 1 << 28,   // bytes of ids
    IDS_MOST = 1 << 26,
    LIKELIEST = 10
};

struct sequence {
    const int32_t *ids;
    int n;
};

struct logits {
    const struct call *call;
    struct opened opened;
    struct ids ids;
    struct sequence *sequences;
    int n_sequences;
    bool screen; // someone reads what is written as it is
    float *all;  // for --out
    int64_t n_all;
    struct json json;
};

// --- ids -------------------------------------------------------------------------------------------------------------------------

static struct error *add_sequence(struct logits *x, size_t first)
{
    int n = (int)(x->ids.n - first), most = x->opened.model.n_positions;
    if (x->ids.n - first > (size_t)most)
        return error_new(ERROR_USAGE, NOWHERE, "give fewer", "sequence %d has %zu ids, and the model takes %d",
                         x->n_sequences + 1, x->ids.n - first, most);
    struct sequence *more =
        arena_grow(x->call->arena, x->sequences, (size_t)x->n_sequences, (size_t)x->n_sequences + 1, sizeof *more);
    if (!more)
        return error_memory();
    x->sequences = more;
    x->sequences[x->n_sequences++] = (struct sequence){.n = n};
    return NULL;
}

static struct error *take_line(struct logits *x, const char *line, size_t n)
{
    size_t first = x->ids.n, end;
    for (size_t at = 0; at < n; at = end) {
        int32_t id;
        char what[ID_TEXT];
        for (end = at; end < n && !id_ends(line[end]);)
            end++;
        if (end == at) {
            end++;
            continue;
        }
        if (!id_read(line + at, end - at, x->opened.tokenizer->n_vocab, &id, what))
            return error_new(ERROR_USAGE, NOWHERE,
                             "ids are whole numbers with blanks or commas between them; --text TEXT takes a text",
                             "%s, in sequence %d", what, x->n_sequences + 1);
        struct error *e = x->ids.n < IDS_MOST ? ids_push(&x->ids, id) : error_plain(ERROR_USAGE, "more than %d ids", IDS_MOST);
        if (e)
            return e;
    }
    return x->ids.n > first ? add_sequence(x, first) : NULL;
}

static struct error *take_arguments(struct logits *x)
{
    const char *line = "";
    for (int i = 1; i < x->call->n_args; i++)
        if (!(line = arena_printf(x->call->arena, "%s %s", line, x->call->args[i])))
            return error_memory();
    return take_line(x, line, strlen(line));
}

static struct error *take_text(struct logits *x)
{
    struct encoder enc = {0};
    const struct tokenizer *t = x->opened.tokenizer;
    int32_t bos = tokenizer_special(t, "<|bos|>");
    struct error *e = bos >= 0 ? ids_push(&x->ids, bos) : NULL;
    if (!e)
        e = encoder_init(&enc, t);
    if (!e)
        e = encoder_encode(&enc, (const uint8_t *)x->call->text, strlen(x->call->text), &x->ids);
    encoder_release(&enc);
    return e || !x->ids.n ? e : add_sequence(x, 0);
}

static struct error *take_lines(struct logits *x, const char *path)
{
    char *text;
    size_t n;
    struct error *e = file_read(path, INPUT_MOST, x->call->arena, &text, &n);
    if (e && e->kind == ERROR_MACHINE)
        e->kind = ERROR_USAGE; // it is the command line that names it
    for (size_t at = 0, length; at < n && !e; at += length + 1) {
        const char *end = memchr(text + at, '\n', n - at);
        length = end ? (size_t)(end - (text + at)) : n - at;
        e = take_line(x, text + at, length);
    }
    return e;
}

static struct error *take_hdf5(struct logits *x, const char *path)
{
    int64_t *values, rows, cols;
    struct error *e = foreign_integers(path, "/ids", IDS_MOST, x->call->arena, &values, &rows, &cols);
    for (int64_t r = 0; !e && r < rows && cols; r++) {
        size_t first = x->ids.n;
        for (int64_t c = 0; c < cols && !e; c++) {
            int64_t id = values[r * cols + c];
            if (id < 0 || id >= x->opened.tokenizer->n_vocab)
                e = error_plain(ERROR_DATA, "'/ids' of '%s' has %lld in row %lld, column %lld: the vocabulary is of %d", path,
                                (long long)id, (long long)r, (long long)c, x->opened.tokenizer->n_vocab);
            else
                e = ids_push(&x->ids, (int32_t)id);
        }
        if (!e)
            e = add_sequence(x, first);
    }
    return e;
}

static struct error *check_input(const struct call *call)
{
    int given = (call->n_args > 1) + (call->text != NULL) + (call->file != NULL);
    if (given > 1)
        return error_new(ERROR_USAGE, NOWHERE, "give ids, or --text, or --file", "there are ids or texts in %d ways", given);
    if (!given && isatty(STDIN_FILENO))
        return error_new(ERROR_USAGE, NOWHERE, "write them behind MODEL, or give --text TEXT or --file FILE (-: standard input)",
                         "there are no ids");
    if (call->out && !load_is_h5(call->out))
        return error_new(ERROR_USAGE, NOWHERE, "write FILE.h5", "--out is '%s', and the file will be HDF5", call->out);
    if (call->out && file_exists(call->out))
        return error_new(ERROR_USAGE, NOWHERE, "name a file that is not there", "'%s' is there already", call->out);
    return NULL;
}

static struct error *take_ids(struct logits *x)
{
    const struct call *call = x->call;
    const char *file = !call->file || !strcmp(call->file, "-") ? "/dev/stdin" : call->file;
    struct error *e = call->n_args > 1   ? take_arguments(x)
                      : call->text       ? take_text(x)
                      : load_is_h5(file) ? take_hdf5(x, file)
                                         : take_lines(x, file);
    if (!e && !x->n_sequences)
        e = error_new(ERROR_USAGE, NOWHERE, "write them behind MODEL, or give --text TEXT or --file FILE", "there are no ids");
    size_t at = 0;
    for (int i = 0; i < x->n_sequences && !e; at += (size_t)x->sequences[i++].n)
        x->sequences[i].ids = x->ids.id + at;
    return e;
}

// --- what becomes of them --------------------------------------------------------------------------------------------------------

static void print_row(const float *row, int n)
{
    for (int i = 0; i < n; i++)
        printf("%s%.9g", i ? " " : "", (double)row[i]);
    putchar('\n');
}

static void json_row(struct json *j, const float *row, int n)
{
    char text[32];
    json_open(j, '[');
    for (int i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%.9g", (double)row[i]);
        if (isfinite(row[i]))
            json_raw(j, text);
        else
            json_nil(j);
    }
    json_close(j, ']');
}

// The likeliest tokens, with their logits and what softmax makes of these.
static void show_row(const struct logits *x, const float *row, int n)
{
    double sum = 0, largest = -INFINITY;
    for (int i = 0; i < n; i++)
        largest = fmax(largest, row[i]);
    for (int i = 0; i < n; i++)
        sum += exp(row[i] - largest);
    printf("%8s  %10s  %8s  token\n", "id", "logit", "share");
    int before = -1;
    for (int k = 0; k < LIKELIEST && k < n; k++) {
        int best = -1; // the largest behind the one before: smaller, or as large with a higher id
        for (int i = 0; i < n; i++)
            if ((before < 0 || row[i] < row[before] || (row[i] == row[before] && i > before)) && (best < 0 || row[i] > row[best]))
                best = i;
        if (best < 0)
            break;
        size_t length;
        const uint8_t *piece = token_table_bytes(&x->opened.tokenizer->table, best, &length);
        printf("%8d  %10.4f  %6.2f %%  ", best, (double)row[best], 100 * exp(row[best] - largest) / sum);
        piece_print(piece, length);
        before = best;
    }
}

// One position of a sequence.
static void tell(struct logits *x, const float *row, bool last)
{
    int V = x->opened.model.shape.n_vocab;
    if (x->call->last && !last)
        return;
    if (x->all) {
        memcpy(x->all + x->n_all, row, (size_t)V * sizeof *row);
        x->n_all += V;
    } else if (x->call->json) {
        json_row(&x->json, row, V);
    } else if (!x->screen) {
        print_row(row, V);
    } else if (last) {
        show_row(x, row, V);
    }
}

static struct error *compute(struct logits *x, struct sequence s)
{
    struct model *m = &x->opened.model;
    struct device *dev = x->opened.dev;
    int V = m->shape.n_vocab, most = PART_NUMBERS / V > 1 ? PART_NUMBERS / V : 1;
    most = most < s.n ? most : s.n;
    size_t mark = device_mark(dev);
    struct error *e = model_reserve(m, 1, s.n, false);
    struct tensor out = device_tensor(dev, most, V);
    float *part = block_alloc((size_t)most * (size_t)V * sizeof *part);
    if (!e && !part)
        e = error_memory();
    if (!e)
        model_trunk(m, (struct batch){.B = 1, .T = s.n, .inputs = s.ids}, NULL);
    for (int at = x->call->last || x->screen ? s.n - 1 : 0; at < s.n && !e; at += most) {
        int n = s.n - at < most ? s.n - at : most;
        out.rows = n;
        op_logits(dev, out, tensor_rows(m->saved.last, at, n), &m->params[m->lm_head].w, V, (float)m->shape.softcap);
        device_get(dev, part, out, 0, (int64_t)n * V);
        if ((e = error_from_fault(device_fault(dev))))
            break;
        for (int i = 0; i < n; i++)
            tell(x, part + (size_t)i * (size_t)V, at + i == s.n - 1);
    }
    block_free(part);
    device_reset(dev, mark);
    return e;
}

static struct error *compute_all(struct logits *x)
{
    struct error *e = NULL;
    for (int i = 0; i < x->n_sequences && !e; i++) {
        if (x->call->json && !x->all) {
            json_open(&x->json, '{');
            json_key(&x->json, "ids");
            json_open(&x->json, '[');
            for (int k = 0; k < x->sequences[i].n; k++)
                json_i64(&x->json, x->sequences[i].ids[k]);
            json_close(&x->json, ']');
            json_key(&x->json, "logits");
            json_open(&x->json, '[');
        } else if (i && !x->all) {
            putchar('\n');
        }
        e = compute(x, x->sequences[i]);
        if (x->call->json && !x->all) {
            json_close(&x->json, ']');
            json_close(&x->json, '}');
        }
        if (!e && ferror(stdout))
            e = error_plain(ERROR_MACHINE, "cannot write the logits: %s", strerror(errno));
    }
    return e;
}

static int64_t n_numbers(const struct logits *x)
{
    int64_t n = x->call->last ? x->n_sequences : (int64_t)x->ids.n;
    return n * x->opened.model.shape.n_vocab;
}

static struct error *save(struct logits *x)
{
    int T = x->sequences[0].n, V = x->opened.model.shape.n_vocab;
    for (int i = 1; i < x->n_sequences; i++)
        if (x->sequences[i].n != T)
            return error_new(ERROR_USAGE, NOWHERE, "give sequences of one length, or write them one by one",
                             "--out takes sequences of one length: sequence 1 has %d ids, sequence %d has %d", T, i + 1,
                             x->sequences[i].n);
    x->all = block_alloc((size_t)n_numbers(x) * sizeof *x->all);
    struct error *e = x->all ? compute_all(x) : error_memory();
    if (e)
        return e;
    struct store_set sets[] = {
        {.path = "/ids", .type = STORE_I32, .n_dims = 2, .dims = {x->n_sequences, T}, .data = x->ids.id},
        {.path = "/logits", .type = STORE_F32, .n_dims = 3, .dims = {x->n_sequences, T, V}, .data = x->all}};
    if (x->call->last)
        sets[1].n_dims = 2, sets[1].dims[1] = V;
    const struct store_attribute attributes[] = {store_text("/", "kind", "logits"), store_text("/", "model", x->call->args[0])};
    e = store_save(x->call->out, attributes, countof(attributes), sets, countof(sets));
    if (e)
        return e;
    if (!x->call->json) {
        printf("%s\n", x->call->out);
        return NULL;
    }
    answer_open(&x->json, x->call, NULL);
    json_key(&x->json, "file"), json_str(&x->json, x->call->out);
    json_key(&x->json, "sequences"), json_i64(&x->json, x->n_sequences);
    json_key(&x->json, "n_vocab"), json_i64(&x->json, V);
    return answer_print(&x->json);
}

static struct error *print(struct logits *x)
{
    if (!x->call->json)
        return compute_all(x);
    if (n_numbers(x) > JSON_MOST)
        return error_new(ERROR_USAGE, NOWHERE, "take --last, or --out FILE.h5",
                         "a JSON answer takes at most %d numbers, and these are %lld", JSON_MOST, (long long)n_numbers(x));
    answer_open(&x->json, x->call, NULL);
    json_key(&x->json, "n_vocab"), json_i64(&x->json, x->opened.model.shape.n_vocab);
    json_key(&x->json, "sequences");
    json_open(&x->json, '[');
    struct error *e = compute_all(x);
    if (e)
        return e;
    json_close(&x->json, ']');
    return answer_print(&x->json);
}

struct error *command_logits(struct call *call)
{
    struct logits x = {.call = call, .screen = isatty(STDOUT_FILENO) && !call->json && !call->out};
    const char *path;
    struct error *e = check_input(call);
    if (!e)
        e = load_model(call, call->args[0], &path);
    if (!e)
        e = load_open(&x.opened, path, call->arena);
    if (!e)
        e = take_ids(&x);
    if (!e)
        e = call->out ? save(&x) : print(&x);
    load_close(&x.opened);
    json_release(&x.json);
    ids_release(&x.ids);
    block_free(x.all);
    return e;
}
