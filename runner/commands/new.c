// new.c - `retort new NAME [FILE ...]`: a recipe to begin with, checked before it is written.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/commands/load.h"
#include "runner/recipe/task_file.h"

// A short text is learned by heart, and what was kept is foretold worse and worse, if a model goes through it too often: PASSES times, by
// updates of 2,048 tokens of some two bytes each.
enum { FILES_MOST = 1000, STEPS_LEAST = 20, STEPS_MOST = 300, PASSES = 4, BYTES_A_STEP = 4400 };

// What is written: source, YAML; kept: there is a text to measure on.
struct beginning {
    const char *source;
    bool world, kept;
    int steps;
};

static const char head[] = "# %s: a recipe to begin with. Every line can be changed;\n"
                           "# `retort why %s.yaml` then says what will run again.\n"
                           "#\n"
                           "#     retort check %s.yaml       is everything right?\n"
                           "#     retort plan %s.yaml        what would run, and why\n"
                           "#     retort run %s.yaml\n"
                           "#\n"
                           "# `retort help pretrain` lists the fields of a kind of stage,\n"
                           "# `retort help batch_tokens` explains one.\n"
                           "retort: 1                         # version of the language\n"
                           "name: %s\n"
                           "nanochat: 2025                    # which row of defaults: 2025 or 2026\n"
                           "seed: 42\n"
                           "\n"
                           "sources:\n";

static const char stages[] = "\n"
                             "stages:\n"
                             "  tokenizer: {kind: tokenizer, source: %s, vocab: 512, chars: 1M}\n"
                             "\n"
                             "  base:                           # learns to write like the source\n"
                             "    kind: pretrain\n"
                             "    tokenizer: tokenizer\n"
                             "    source: %s\n"
                             "    depth: 2                      # the one dial: layers; width is 64 times it\n"
                             "    seq_len: 128                  # tokens of a row\n"
                             "    batch_tokens: 2048            # tokens of an update\n"
                             "    device_batch: 4               # rows at once: memory, never the result\n"
                             "    steps: %-3d                    # %s\n"
                             "%s";

static const char chat[] = "\n"
                           "  chat:                           # learns to answer\n"
                           "    kind: finetune\n"
                           "    preset: mid                   # whole conversations, every token learned\n"
                           "    model: base\n"
                           "    mixture:                      # tasks, and how much of each\n"
                           "      - {task: town_talk, rows: 1000}\n"
                           "    batch_tokens: 2048\n"
                           "    device_batch: 4\n"
                           "    eval_every: 0                 # or how often: bpb of the tasks' test splits\n"
                           "\n"
                           "  # Talk with it: `retort chat %s.yaml:chat`\n"
                           "  # Questions that can be graded, for models that had more time:\n"
                           "  # quiz: {kind: eval, model: chat, suites: [town_quiz], examples: 200}\n";

static const char scores[] = "\n"
                             "  # Bits per byte of the text that was kept.\n"
                             "  scores: {kind: eval, model: base, suites: [bpb], eval_tokens: 16384}\n";

// A single text has nothing to keep.
static const char measured[] = "    eval_every: %-3d               # bits per byte of the text that is kept\n"
                               "    eval_tokens: 8192\n"
                               "    sample_every: 200\n";
static const char unmeasured[] = "    eval_every: 0                 # there is no text to measure on\n"
                                 "    sample_every: 200\n";

static bool ends_in(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n > m && !strcmp(text + n - m, ending);
}

static const char *form_of(const char *file)
{
    return ends_in(file, ".parquet") ? "parquet" : ends_in(file, ".jsonl") ? "jsonl" : "text";
}

// "a\"b" in quotes, as YAML reads it.
static const char *quoted(const char *text, struct arena *arena)
{
    char *out = arena_alloc(arena, 2 * strlen(text) + 3), *end = out;
    if (!out)
        return NULL;
    *end++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *end++ = '\\';
        *end++ = *text;
    }
    *end = '"';
    return out;
}

// The shipped town as the recipe names it: from here where it lies below this folder, else from the root.
static const char *town(struct arena *arena)
{
    char here[PATH_MAX], there[PATH_MAX];
    const char *path = world_file_shipped("town", arena);
    if (!path || !realpath(path, there) || !getcwd(here, sizeof here))
        return path;
    size_t n = strlen(here);
    return arena_strdup(arena, !strncmp(here, there, n) && there[n] == '/' ? there + n + 1 : there);
}

static struct error *world_source(struct beginning *b, struct arena *arena)
{
    const char *path = town(arena), *name = path ? quoted(path, arena) : NULL;
    if (!name)
        return error_memory();
    b->world = b->kept = true;
    b->steps = STEPS_MOST;
    b->source = arena_printf(arena,
                             "  # a small invented town; its writer is a file that you can read and copy\n"
                             "  town:\n"
                             "    world: %s\n"
                             "    documents: 3000\n"
                             "    validate: held_out            # what its facts keep back, to measure on\n",
                             name);
    return b->source ? NULL : error_memory();
}

// A file that can be learned from: a text has no zero bytes, which binary files have near their beginning.
static struct error *check_file(const char *file, const char *form, int64_t *n_bytes, struct arena *arena)
{
    char begin[4096];
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a named pipe must not hang us
    if (fd < 0 || fstat(fd, &st))
        return error_system(ERROR_USAGE, errno, "cannot read '%.200s'", file);
    bool regular = S_ISREG(st.st_mode);
    *n_bytes = st.st_size;
    ssize_t n = regular ? read(fd, begin, sizeof begin) : 0;
    close(fd);
    if (S_ISDIR(st.st_mode))
        return error_new(ERROR_USAGE, NOWHERE,
                         arena_printf(arena, "name the files in it: %s%s*.txt", file, ends_in(file, "/") ? "" : "/"),
                         "'%.200s' is a folder", file);
    if (!regular)
        return error_new(ERROR_USAGE, NOWHERE, "copy what it gives into a file", "'%.200s' is not a regular file", file);
    if (n <= 0)
        return error_new(ERROR_USAGE, NOWHERE, "leave it out", "'%.200s' is empty", file);
    if (!strcmp(form, "text") && memchr(begin, 0, (size_t)n))
        return error_new(ERROR_USAGE, NOWHERE, "give text in UTF-8, .jsonl or .parquet", "'%.200s' is not text", file);
    return NULL;
}

static struct error *file_source(struct beginning *b, const struct call *call)
{
    const char *const *files = call->args + 1;
    int n = call->n_args - 1;
    const char *form = form_of(files[0]), *list = "";
    int64_t bytes, all = 0; // of what is learned from
    if (n > FILES_MOST)
        return error_new(ERROR_USAGE, NOWHERE, "write a pattern into the recipe: \"shard_{00000..00239}.parquet\"",
                         "more than %d files", FILES_MOST);
    for (int i = 0; i < n; i++) {
        if (strcmp(form_of(files[i]), form))
            return error_new(ERROR_USAGE, NOWHERE, "make a source of each kind", "'%s' is %s, but '%s' is %s", files[0], form,
                             files[i], form_of(files[i]));
        struct error *e = check_file(files[i], form, &bytes, call->arena); // first: a shell gives "*.txt" where no file fits
        if (e)
            return e;
        if (strpbrk(files[i], "{}*?$\n"))
            return error_new(ERROR_USAGE, NOWHERE, "rename it", "'%.80s' has a character that file names in recipes cannot have",
                             files[i]);
        all += i && i == n - 1 ? 0 : bytes;
        const char *name = quoted(files[i], call->arena);
        list = name ? arena_printf(call->arena, "%s%s\n      %s", list, i ? "," : "", name) : NULL;
        if (!list)
            return error_memory();
    }
    const char *column = !strcmp(form, "parquet") ? ", column: text" : !strcmp(form, "jsonl") ? ", field: text" : "";
    const char *validate =
        n > 1 ? "last                # the last file is kept, to measure on" : "none                # with more files: last";
    int64_t steps = (PASSES * all / BYTES_A_STEP + 9) / 10 * 10;
    b->kept = n > 1;
    b->steps = steps < STEPS_LEAST ? STEPS_LEAST : steps > STEPS_MOST ? STEPS_MOST : (int)steps;
    b->source = arena_printf(call->arena,
                             "  mine:\n"
                             "    %s: [%s]\n"
                             "%s%s%s"
                             "    validate: %s\n",
                             form, list, *column ? "    " : "", *column ? column + 2 : "", *column ? "\n" : "", validate);
    return b->source ? NULL : error_memory();
}

static const char *recipe_text(const char *name, const struct beginning *b, struct arena *arena)
{
    const char *from = b->world ? "town" : "mine", *rest = b->world ? arena_printf(arena, chat, name) : "";
    const char *top = arena_printf(arena, head, name, name, name, name, name, name);
    const char *evals = b->kept ? arena_printf(arena, measured, b->steps / 3) : unmeasured;
    const char *ends = b->steps < STEPS_MOST ? "some four times through the text" : "or tokens:, flops:, ratio:";
    const char *end = evals ? arena_printf(arena, stages, from, from, b->steps, ends, evals) : NULL;
    return rest && top && end ? arena_printf(arena, "%s%s%s%s%s", top, b->source, end, rest, b->kept ? scores : "") : NULL;
}

static struct error *write_new(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return error_new(ERROR_USAGE, NOWHERE, "take another name, or move it away", "'%s' is there already", path);
    if (fd < 0)
        return error_system(ERROR_MACHINE, errno, "cannot create '%s'", path);
    size_t n = strlen(text);
    ssize_t written = write(fd, text, n);
    if ((written == (ssize_t)n) & !close(fd))
        return NULL;
    struct error *e = error_system(ERROR_MACHINE, written < 0 ? errno : ENOSPC, "cannot write '%s'", path);
    unlink(path);
    return e;
}

// The name of the recipe; its file is that with ".yaml".
static struct error *read_name(const struct call *call, const char **name)
{
    const char *what = call->args[0];
    size_t n = strlen(what);
    *name = arena_strndup(call->arena, what, n > 5 && ends_in(what, ".yaml") ? n - 5 : n);
    if (!*name)
        return error_memory();
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (**name && **name != '.' && **name != '-' && !(*name)[strspn(*name, letters)] && n <= 100)
        return NULL;
    return error_new(ERROR_USAGE, NOWHERE,
                     strchr(what, '/') ? "go to the folder first: the recipe is written where you are"
                                       : "take up to 100 letters, digits, '-', '_' and '.'",
                     "'%.80s' cannot be the name of a recipe", what);
}

struct error *command_new(struct call *call)
{
    const char *name;
    struct beginning b = {0};
    struct recipe recipe;
    struct error *e = read_name(call, &name);
    if (e || (e = call->n_args == 1 ? world_source(&b, call->arena) : file_source(&b, call)))
        return e;
    const char *path = arena_printf(call->arena, "%s.yaml", name);
    const char *text = path ? recipe_text(name, &b, call->arena) : NULL;
    if (!text)
        return error_memory();
    if ((e = recipe_parse(&recipe, path, text, strlen(text), NULL, 0, call->arena)) || (e = write_new(path, text)))
        return e;
    if (call->json) {
        struct json j;
        answer_open(&j, call, NULL);
        json_key(&j, "name"), json_str(&j, name);
        json_key(&j, "file"), json_str(&j, path);
        return answer_print(&j);
    }
    printf("wrote %s; next:\n  retort plan %s\n  retort run %s\n", path, path, path);
    return NULL;
}
