// chat.c - `retort chat MODEL`: questions from the terminal or from a pipe, answers as they are made.
//
// Ctrl-C is a stop (core/base/stop.h): while an answer is made it ends that answer, at the prompt it does nothing but say how to leave.
// Where nobody types it ends the program. A prompt waits for input and for the stop's pipe alike, so that none is lost however early it
// comes.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/infer/dialog.h"
#include "runner/commands/load.h"
#include "runner/recipe/number.h"

struct chat {
    struct call *call;
    struct arena *arena;
    struct opened opened;
    struct engine engine;
    struct dialog dialog;
    struct dialog_settings settings;
    bool terminal;      // someone types
    bool screen;        // someone reads what is written as it is
    struct bytes input; // that was read: n_taken bytes of it are a line that was given, more lines may follow
    size_t n_taken;
};

static struct error *option_int(const char *text, const char *name, int64_t least, int64_t most, int64_t *value)
{
    if (!text)
        return NULL;
    struct error *e = number_int(text, false, NOWHERE, name, value);
    if (!e && (*value < least || *value > most))
        e = error_new(ERROR_USAGE, NOWHERE, NULL, "%s is %lld, and must be between %lld and %lld", name, (long long)*value,
                      (long long)least, (long long)most);
    return e;
}

static struct error *read_settings(struct chat *c)
{
    int64_t top_k = 50, max_tokens = 256, seed = 42;
    double temperature = 0.6;
    const struct call *call = c->call;
    struct error *e = option_int(call->top_k, "-k", 0, 1 << 24, &top_k);
    if (!e)
        e = option_int(call->max_tokens, "-m", 1, 1 << 20, &max_tokens);
    if (!e)
        e = option_int(call->seed, "--seed", 0, INT64_MAX, &seed);
    if (!e && call->temperature)
        e = number_real(call->temperature, false, NOWHERE, "-t", &temperature);
    if (!e && !(temperature >= 0 && temperature <= 100))
        e = error_new(ERROR_USAGE, NOWHERE, NULL, "-t is %s, and must be between 0 and 100", call->temperature);
    if (e && e->kind == ERROR_RECIPE)
        e->kind = ERROR_USAGE;
    c->settings = (struct dialog_settings){.sampling = {.temperature = temperature, .top_k = (int)top_k},
                                           .max_tokens = (int)max_tokens,
                                           .seed = (uint64_t)seed};
    return e;
}

static struct error *open_model(struct chat *c, const char *path)
{
    struct error *e = load_open(&c->opened, path, c->arena);
    if (e)
        return e;
    // Twice the length of training: what lies far beyond the model has never seen.
    struct model *model = &c->opened.model;
    int seq_len = model->shape.seq_len, capacity = 2 * seq_len < model->n_positions ? 2 * seq_len : model->n_positions;
    if (c->settings.max_tokens > capacity / 2)
        c->settings.max_tokens = capacity / 2;
    e = model_copy_weights(model);
    if (!e)
        e = engine_open(&c->engine, model, c->opened.tokenizer, 1, capacity);
    return e ? e : dialog_open(&c->dialog, &c->engine, c->settings);
}

static struct error *write_piece(void *self, const char *piece, size_t n)
{
    const struct chat *c = self;
    for (size_t i = 0; i < n; i++) { // what a model writes can hold any control character: on a screen it stays harmless
        unsigned char b = (unsigned char)piece[i], next = i + 1 < n ? (unsigned char)piece[i + 1] : 0;
        bool control = (b < 0x20 && b != '\n' && b != '\t') || b == 0x7F || (b == 0xC2 && next >= 0x80 && next < 0xA0);
        if (c->screen && control) {
            fputc('?', stdout);
            i += b == 0xC2;
        } else {
            fputc(b, stdout);
        }
    }
    return fflush(stdout) ? error_plain(ERROR_MACHINE, "cannot write the answer: %s", strerror(errno)) : NULL;
}

static struct error *keep_piece(void *self, const char *piece, size_t n)
{
    struct bytes *b = self;
    return bytes_append(b, piece, n);
}

static struct error *answer_json(struct chat *c)
{
    struct bytes text = {0};
    struct json j;
    struct error *e = dialog_say(&c->dialog, c->call->prompt, strlen(c->call->prompt), keep_piece, &text);
    if (!e && c->dialog.stopped)
        e = error_stopped();
    if (!e) {
        answer_open(&j, c->call, NULL);
        json_key(&j, "answer"), json_str_n(&j, (const char *)text.byte, text.n);
        json_key(&j, "tokens"), json_i64(&j, c->dialog.n_tokens);
        e = answer_print(&j);
    }
    bytes_release(&text);
    return e;
}

static struct error *answer(struct chat *c, const char *question)
{
    int n_forgotten = c->dialog.n_forgotten;
    double start = clock_seconds();
    if (c->terminal)
        printf("\nModel: ");
    fflush(stdout);
    struct error *e = dialog_say(&c->dialog, question, strlen(question), write_piece, c);
    putchar('\n');
    if (!e && c->terminal) {
        double seconds = clock_seconds() - start;
        printf("%s(%s%d tokens, %.0f a second%s)%s\n\n", c->screen ? "\033[2m" : "",
               c->dialog.stopped ? "stopped; " : "", c->dialog.n_tokens, c->dialog.n_tokens / (seconds > 0 ? seconds : 1),
               c->dialog.n_forgotten > n_forgotten ? "; the beginning was forgotten for want of room" : "",
               c->screen ? "\033[0m" : "");
    }
    fflush(stdout);
    return e;
}

// Waits until there is more input, and appends it; *ended at its end, *interrupted when a stop was asked for.
static struct error *read_more(struct bytes *input, bool *ended, bool *interrupted)
{
    enum { CHUNK = 4096 };
    struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = stop_fd(), .events = POLLIN}};
    struct error *e = bytes_reserve(input, CHUNK);
    if (e)
        return e;
    if (poll(ready, countof(ready), -1) < 0 && errno != EINTR)
        return error_plain(ERROR_MACHINE, "cannot wait for input: %s", strerror(errno));
    *interrupted = stop_requested();
    if (*interrupted || !ready[0].revents)
        return NULL;
    ssize_t n = read(STDIN_FILENO, input->byte + input->n, CHUNK);
    *ended = !n || (n < 0 && errno != EINTR);
    input->n += n > 0 ? (size_t)n : 0;
    return NULL;
}

// The next line without its end and the blanks around it, until the next call; NULL at the end of the input or when interrupted.
static struct error *read_line(struct chat *c, char **line, bool *interrupted)
{
    struct bytes *input = &c->input;
    struct error *e = NULL;
    uint8_t *end = NULL;
    bool ended = false;
    *line = NULL;
    *interrupted = stop_requested();
    if (c->terminal) {
        printf("You: ");
        fflush(stdout);
    }
    input->n -= c->n_taken;
    if (c->n_taken)
        memmove(input->byte, input->byte + c->n_taken, input->n);
    c->n_taken = 0;
    while (!e && !*interrupted && !ended && !(end = input->n ? memchr(input->byte, '\n', input->n) : NULL))
        e = read_more(input, &ended, interrupted);
    if (!e && ended && input->n) { // a last line without an end
        e = bytes_append(input, "\n", 1);
        end = input->byte + input->n - 1;
    }
    if (*interrupted)
        input->n = 0; // as the terminal forgets what was typed
    if (e || !end)
        return e;
    c->n_taken = (size_t)(end - input->byte) + 1;
    *line = (char *)input->byte + strspn((char *)input->byte, " \t");
    for (*end = '\0'; (char *)end > *line && strchr(" \t\r", end[-1]);)
        *--end = '\0';
    return NULL;
}

static struct error *talk(struct chat *c)
{
    char *text;
    bool interrupted;
    struct error *e = NULL;
    if (c->terminal)
        printf("%s\nCtrl-C stops an answer; `clear` forgets what was said, `quit` ends.\n\n", c->call->args[0]);
    for (;;) {
        e = read_line(c, &text, &interrupted);
        if (!e && interrupted && !c->terminal) // nobody types: the stop is meant for the program
            e = error_stopped();
        if (e || (!text && !interrupted))
            break;
        if (interrupted) {
            stop_clear();
            printf("\n(`quit` or Ctrl-D ends)\n");
            continue;
        }
        if (!strcasecmp(text, "quit") || !strcasecmp(text, "exit"))
            break;
        if (!strcasecmp(text, "clear")) {
            dialog_clear(&c->dialog);
            if (c->terminal)
                printf("(forgotten)\n\n");
            continue;
        }
        if (!*text)
            continue;
        e = answer(c, text);
        if (e && e->kind == ERROR_USAGE) { // too long a question: say so, and go on
            fprintf(stderr, "%s: %s\n", e->what, e->fix ? e->fix : "");
            error_free(e);
            e = NULL;
        }
        if (e)
            break;
        if (c->dialog.stopped && c->terminal) // else the stop is for read_line
            stop_clear();
    }
    if (c->terminal && !e)
        printf("Goodbye!\n");
    return e;
}

// A Ctrl-C while a piece of an answer is being written to a terminal is no error of writing. poll() is interrupted all the same.
static void go_on_writing(void)
{
    struct sigaction ask;
    sigaction(SIGINT, NULL, &ask);
    ask.sa_flags |= SA_RESTART;
    sigaction(SIGINT, &ask, NULL);
}

static struct error *open_and_talk(struct chat *c)
{
    const char *path;
    struct error *e = read_settings(c);
    if (!e && c->call->json && !c->call->prompt)
        e = error_new(ERROR_USAGE, NOWHERE, "give the question: -p TEXT", "--json answers one question");
    if (!e)
        e = load_model(c->call, c->call->args[0], &path);
    if (!e)
        e = open_model(c, path);
    if (e)
        return e;
    stop_on_signals();
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (c->screen)
        go_on_writing();
    if (!c->call->prompt)
        return talk(c);
    if (c->call->json)
        return answer_json(c);
    e = answer(c, c->call->prompt);
    return e || !c->dialog.stopped ? e : error_stopped();
}

struct error *command_chat(struct call *call)
{
    struct chat c = {.call = call,
                     .arena = call->arena,
                     .terminal = !call->prompt && isatty(STDIN_FILENO),
                     .screen = isatty(STDOUT_FILENO)};
    struct error *e = open_and_talk(&c);
    bytes_release(&c.input);
    dialog_close(&c.dialog);
    if (c.engine.model)
        engine_close(&c.engine);
    load_close(&c.opened);
    return e;
}
