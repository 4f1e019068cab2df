// encode.c - `retort encode MODEL`: ids of a text, and with --decode the text of ids.
//
// Input is read in parts and written as it goes, so that no file is too large; only a JSON answer, which is one object, is made whole.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/text/encode_stream.h"
#include "core/text/utf8.h"
#include "runner/commands/ids.h"
#include "runner/commands/load.h"

enum {
    PART_BYTES = 1 << 20,
    JSON_MOST = 1 << 24, // bytes of input
};

struct encoding {
    const struct call *call;
    const struct tokenizer *tokenizer;
    bool screen; // someone reads what is written as it is
    int64_t n_tokens, n_bytes;
    struct ids ids;    // of a part; for JSON of all parts
    struct bytes text; // decoded: what is not written yet, for JSON everything
};

// The bytes of the input, part by part: what was given as an argument, or a file.
struct input {
    const char *text; // NULL: of fd
    size_t n_left;
    int fd;
    const char *name; // for messages
    struct bytes part;
};

static struct error *input_open(struct input *in, const struct call *call)
{
    *in = (struct input){.fd = -1, .name = "standard input"};
    if (call->n_args > 1 && call->file)
        return error_new(ERROR_USAGE, NOWHERE, "leave one of them out", "'%s' and --file are both given", call->args[1]);
    if (call->n_args > 1) {
        in->text = call->args[1];
        in->n_left = strlen(in->text);
        return NULL;
    }
    if (!call->file && isatty(STDIN_FILENO))
        return error_new(ERROR_USAGE, NOWHERE, "write it behind MODEL, or name a file: --file FILE (-: standard input)",
                         "there is no %s", call->decode ? "list of ids" : "text");
    if (!call->file || !strcmp(call->file, "-")) {
        in->fd = dup(STDIN_FILENO);
    } else {
        in->name = call->file;
        in->fd = open(call->file, O_RDONLY | O_CLOEXEC);
    }
    return in->fd < 0 ? error_system(ERROR_USAGE, errno, "cannot open '%s'", in->name) : NULL;
}

static void input_close(struct input *in)
{
    if (in->fd >= 0)
        close(in->fd);
    bytes_release(&in->part);
}

// The next part, borrowed until the next call; *n = 0 at the end.
static struct error *input_next(struct input *in, const uint8_t **part, size_t *n)
{
    if (in->text) {
        *part = (const uint8_t *)in->text;
        *n = in->n_left;
        in->n_left = 0;
        return NULL;
    }
    struct error *e = bytes_reserve(&in->part, PART_BYTES);
    if (e)
        return e;
    ssize_t got;
    while ((got = read(in->fd, in->part.byte, PART_BYTES)) < 0 && errno == EINTR)
        ;
    if (got < 0)
        return error_system(ERROR_DATA, errno, "cannot read '%s'", in->name);
    *part = in->part.byte;
    *n = (size_t)got;
    return NULL;
}

static void show(struct encoding *x)
{
    bool table = x->screen && !x->call->ids;
    for (size_t i = 0; i < x->ids.n; i++) {
        int32_t id = x->ids.id[i];
        size_t n;
        const uint8_t *p = token_table_bytes(&x->tokenizer->table, id, &n);
        if (table) {
            printf("%8d  ", id);
            piece_print(p, n);
        } else {
            printf("%s%d", x->n_tokens ? " " : "", id);
        }
        x->n_tokens++;
    }
}

static void show_end(const struct encoding *x)
{
    if (!x->screen || x->call->ids)
        putchar('\n');
    else
        printf("%s%lld tokens, %lld bytes%s", x->n_tokens ? "\n" : "", (long long)x->n_tokens, (long long)x->n_bytes,
               x->n_tokens ? ", " : "\n");
    if (x->screen && !x->call->ids && x->n_tokens)
        printf("%.2f bytes a token\n", (double)x->n_bytes / (double)x->n_tokens);
}

static struct error *too_much(void)
{
    return error_new(ERROR_USAGE, NOWHERE, "leave --json out: ids of any length are written as they come",
                     "a JSON answer takes at most %d MiB of input", JSON_MOST >> 20);
}

static struct error *encode_all(struct encoding *x, struct input *in, struct encode_stream *stream)
{
    const uint8_t *part;
    size_t n = 1;
    struct error *e = NULL;
    while (!e && n) {
        if ((e = input_next(in, &part, &n)))
            break;
        x->n_bytes += (int64_t)n;
        e = n ? encode_stream_add(stream, part, n, &x->ids) : encode_stream_end(stream, &x->ids);
        if (e || (x->call->json && x->n_bytes > JSON_MOST))
            return e ? e : too_much();
        if (!x->call->json) {
            show(x);
            x->ids.n = 0;
        }
        if (ferror(stdout))
            e = error_plain(ERROR_MACHINE, "cannot write the ids");
    }
    return e;
}

static struct error *encode_json(const struct encoding *x)
{
    struct json j;
    answer_open(&j, x->call, NULL);
    json_key(&j, "n_vocab"), json_i64(&j, x->tokenizer->n_vocab);
    json_key(&j, "bytes"), json_i64(&j, x->n_bytes);
    json_key(&j, "tokens"), json_i64(&j, (int64_t)x->ids.n);
    json_key(&j, "ids");
    json_open(&j, '[');
    for (size_t i = 0; i < x->ids.n; i++)
        json_i64(&j, x->ids.id[i]);
    json_close(&j, ']');
    json_key(&j, "pieces");
    json_open(&j, '[');
    for (size_t i = 0; i < x->ids.n; i++) {
        size_t n;
        const uint8_t *p = token_table_bytes(&x->tokenizer->table, x->ids.id[i], &n);
        json_str_n(&j, (const char *)p, n);
    }
    json_close(&j, ']');
    return answer_print(&j);
}

static struct error *encode(struct encoding *x, struct input *in)
{
    struct encoder enc = {0};
    struct encode_stream stream = {.enc = &enc};
    struct error *e = encoder_init(&enc, x->tokenizer);
    if (!e)
        e = encode_all(x, in, &stream);
    encode_stream_release(&stream);
    encoder_release(&enc);
    if (e)
        return e;
    if (x->call->json)
        return encode_json(x);
    show_end(x);
    return NULL;
}

// Ids are wrong on the command line or in a file.
static struct error *bad_id(const struct encoding *x, const char *what)
{
    return error_new(x->call->n_args > 1 ? ERROR_USAGE : ERROR_DATA, NOWHERE,
                     "ids are whole numbers with blanks or commas between them", "%s, behind %lld ids", what,
                     (long long)(x->n_tokens + (int64_t)x->ids.n));
}

static struct error *take_id(struct encoding *x, const char *word, size_t n)
{
    int32_t id;
    char what[ID_TEXT];
    return id_read(word, n, x->tokenizer->n_vocab, &id, what) ? ids_push(&x->ids, id) : bad_id(x, what);
}

// Takes the ids of a text; what may go on in the next part is left: *taken bytes are not.
static struct error *take_ids(struct encoding *x, const char *text, size_t n, bool last, size_t *taken)
{
    struct error *e = NULL;
    size_t at = 0;
    while (at < n && !e) {
        size_t end = at;
        if (id_ends(text[at])) {
            at++;
            continue;
        }
        while (end < n && !id_ends(text[end]))
            end++;
        if (end == n && !last && n - at <= ID_DIGITS)
            break;
        e = take_id(x, text + at, end - at);
        at = end;
    }
    *taken = at;
    return e;
}

// Writes what was decoded: the bytes as they are, or on a screen as text without controls; a character cut by the end waits.
static struct error *write_text(struct encoding *x, bool last)
{
    size_t at = 0;
    if (!x->screen) {
        at = fwrite(x->text.byte, 1, x->text.n, stdout);
        if (at < x->text.n)
            return error_system(ERROR_MACHINE, errno, "cannot write the text");
    }
    while (at < x->text.n) {
        uint32_t code;
        size_t length = utf8_next(x->text.byte + at, x->text.n - at, &code);
        if (code == UTF8_BAD && at + length == x->text.n && !last)
            break;
        if (code == UTF8_BAD)
            fputs("\xEF\xBF\xBD", stdout);
        else if (piece_is_control(code) && code != '\n' && code != '\t')
            putchar('?');
        else
            fwrite(x->text.byte + at, 1, length, stdout);
        at += length;
    }
    x->text.n -= at;
    memmove(x->text.byte, x->text.byte + at, x->text.n);
    return NULL;
}

static struct error *decode_part(struct encoding *x, bool last)
{
    size_t before = x->text.n;
    struct error *e = tokenizer_decode(x->tokenizer, x->ids.id, x->ids.n, &x->text);
    x->n_bytes += (int64_t)(x->text.n - before);
    x->n_tokens += (int64_t)x->ids.n;
    x->ids.n = 0;
    if (e || !x->call->json)
        return e ? e : x->text.n ? write_text(x, last) : NULL;
    return x->text.n > JSON_MOST ? too_much() : NULL;
}

static struct error *decode_arguments(struct encoding *x)
{
    struct error *e = NULL;
    size_t taken;
    for (int i = 1; i < x->call->n_args && !e; i++)
        e = take_ids(x, x->call->args[i], strlen(x->call->args[i]), true, &taken);
    return e ? e : decode_part(x, true);
}

static struct error *decode_file(struct encoding *x, struct input *in)
{
    struct bytes kept = {0};
    const uint8_t *part;
    size_t n = 1, taken;
    struct error *e = NULL;
    while (!e && n) {
        if ((e = input_next(in, &part, &n)) || (e = bytes_append(&kept, part, n)) ||
            (e = take_ids(x, (const char *)kept.byte, kept.n, n == 0, &taken)))
            break;
        kept.n -= taken;
        if (taken)
            memmove(kept.byte, kept.byte + taken, kept.n);
        e = decode_part(x, n == 0);
    }
    bytes_release(&kept);
    return e;
}

static struct error *decode_json(const struct encoding *x)
{
    struct json j;
    answer_open(&j, x->call, NULL);
    json_key(&j, "n_vocab"), json_i64(&j, x->tokenizer->n_vocab);
    json_key(&j, "bytes"), json_i64(&j, x->n_bytes);
    json_key(&j, "tokens"), json_i64(&j, x->n_tokens);
    json_key(&j, "text"), json_str_n(&j, (const char *)x->text.byte, x->text.n);
    json_key(&j, "exact"), json_bool(&j, utf8_is_valid(x->text.byte, x->text.n));
    return answer_print(&j);
}

static struct error *decode(struct encoding *x, struct input *in)
{
    struct error *e = x->call->n_args > 1 ? decode_arguments(x) : decode_file(x, in);
    if (e)
        return e;
    if (x->call->json)
        return decode_json(x);
    if (x->screen)
        putchar('\n');
    return NULL;
}

struct error *command_encode(struct call *call)
{
    struct encoding x = {.call = call, .screen = isatty(STDOUT_FILENO)};
    struct tokenizer *tokenizer;
    struct input in;
    bool of_model;
    if (call->n_args > 2 && !call->decode)
        return error_new(ERROR_USAGE, NOWHERE, "put the text in quotes", "'%s' is one argument too many", call->args[2]);
    struct error *e = input_open(&in, call);
    if (!e)
        e = load_tokenizer(call, call->args[0], &tokenizer, &of_model);
    if (!e) {
        x.tokenizer = tokenizer;
        e = call->decode ? decode(&x, &in) : encode(&x, &in);
    }
    input_close(&in);
    ids_release(&x.ids);
    bytes_release(&x.text);
    return e;
}
