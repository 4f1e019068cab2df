// export.c - `retort export MODEL --to FORMAT DIR`: what others read.
//
// The files are written into DIR.tmp, which takes its name when all are there: nobody sees half an export.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/atomic.h"
#include "core/text/tokenizer_hf.h"
#include "core/text/tokenizer_tiktoken.h"
#include "runner/commands/load.h"
#include "runner/view/format.h"

enum { FILES_MOST = 4 };

struct export_file {
    const char *name;
    const void *data;
    size_t n;
};

struct export
{
    struct export_file files[FILES_MOST];
    int n_files;
    struct json a, b; // what files are made of
    struct bytes bytes;
};

static void add_file(struct export *x, const char *name, const void *data, size_t n)
{
    x->files[x->n_files++] = (struct export_file){name, data, n};
}

static struct error *add_json(struct export *x, const char *name, struct json *j)
{
    if (!json_text(j))
        return error_memory();
    add_file(x, name, j->text, j->n);
    return NULL;
}

static struct error *make_hf(struct export *x, const struct tokenizer *t)
{
    struct error *e = tokenizer_to_hf(t, &x->a);
    json_open(&x->b, '{');
    json_key(&x->b, "tokenizer_class"), json_str(&x->b, "PreTrainedTokenizerFast");
    if (tokenizer_special(t, "<|bos|>") >= 0)
        json_key(&x->b, "bos_token"), json_str(&x->b, "<|bos|>");
    if (tokenizer_special(t, "<|assistant_end|>") >= 0)
        json_key(&x->b, "eos_token"), json_str(&x->b, "<|assistant_end|>");
    json_key(&x->b, "clean_up_tokenization_spaces"), json_bool(&x->b, false);
    json_close(&x->b, '}');
    if (!e)
        e = add_json(x, "tokenizer.json", &x->a);
    return e ? e : add_json(x, "tokenizer_config.json", &x->b);
}

static struct error *make_tiktoken(struct export *x, const struct tokenizer *t)
{
    struct error *e = tokenizer_to_tiktoken(t, &x->bytes, &x->a);
    add_file(x, "ranks.tiktoken", x->bytes.byte, x->bytes.n);
    return e ? e : add_json(x, "settings.json", &x->a);
}

static struct error *check_format(const struct call *call, bool *hf)
{
    static const char *const later[] = {"csv", "jsonl", "tensorboard"};
    *hf = call->to && !strcmp(call->to, "hf");
    if (!call->to)
        return error_new(ERROR_USAGE, NOWHERE, "write --to hf or --to tiktoken", "--to is missing");
    if (*hf || !strcmp(call->to, "tiktoken"))
        return NULL;
    for (size_t i = 0; i < countof(later); i++)
        if (!strcmp(call->to, later[i]))
            return error_new(ERROR_NOT_BUILT, NOWHERE, NULL, "'--to %s' is not built in this version", call->to);
    return error_new(ERROR_USAGE, NOWHERE, "write hf or tiktoken", "--to is '%.80s'", call->to);
}

// DIR without slashes behind it, which must not be there.
static struct error *find_folder(const struct call *call, const char **folder)
{
    size_t n = strlen(call->args[1]);
    while (n > 1 && call->args[1][n - 1] == '/')
        n--;
    *folder = arena_strndup(call->arena, call->args[1], n);
    if (!*folder)
        return error_memory();
    if (!n || file_exists(*folder))
        return error_new(ERROR_USAGE, NOWHERE, "name a folder that is not there; it will be made", "'%s' is there already",
                         *folder);
    return NULL;
}

static struct error *write_files(const struct export *x, const char *tmp, const char *folder, struct arena *arena)
{
    struct error *e = NULL;
    for (int i = 0; i < x->n_files && !e; i++) {
        const char *path = arena_printf(arena, "%s/%s", tmp, x->files[i].name);
        e = path ? atomic_write(path, x->files[i].data, x->files[i].n) : error_memory();
    }
    if (!e)
        e = atomic_publish(tmp, folder);
    for (int i = 0; i < x->n_files && e; i++) {
        const char *path = arena_printf(arena, "%s/%s", tmp, x->files[i].name);
        if (path)
            unlink(path);
    }
    if (e)
        rmdir(tmp);
    return e;
}

static struct error *write_folder(const struct export *x, const char *folder, struct arena *arena)
{
    const char *tmp = arena_printf(arena, "%s.tmp", folder);
    if (!tmp)
        return error_memory();
    if (!mkdir(tmp, 0777))
        return write_files(x, tmp, folder, arena);
    if (errno == EEXIST)
        return error_new(ERROR_MACHINE, NOWHERE, "if no other export is writing it, remove it", "'%s' is there already", tmp);
    return error_system(ERROR_MACHINE, errno, "cannot make the folder '%s'", tmp);
}

static struct error *tell(const struct export *x, const struct call *call, const char *folder)
{
    char size[FORMAT_TEXT];
    struct json j;
    if (!call->json) {
        printf("%s\n", folder);
        for (int i = 0; i < x->n_files; i++)
            printf("  %-22s %s\n", x->files[i].name, format_bytes(size, (int64_t)x->files[i].n));
        return NULL;
    }
    answer_open(&j, call, NULL);
    json_key(&j, "folder"), json_str(&j, folder);
    json_key(&j, "files");
    json_open(&j, '[');
    for (int i = 0; i < x->n_files; i++) {
        json_open(&j, '{');
        json_key(&j, "name"), json_str(&j, x->files[i].name);
        json_key(&j, "bytes"), json_i64(&j, (int64_t)x->files[i].n);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    return answer_print(&j);
}

struct error *command_export(struct call *call)
{
    struct export x = {.n_files = 0};
    struct tokenizer *tokenizer;
    const char *folder;
    bool of_model, hf;
    struct error *e = check_format(call, &hf);
    if (!e)
        e = find_folder(call, &folder);
    if (!e)
        e = load_tokenizer(call, call->args[0], &tokenizer, &of_model);
    if (!e && hf && of_model && !call->tokenizer)
        e = error_new(ERROR_NOT_BUILT, NOWHERE, "--tokenizer writes the tokenizer alone",
                      "'%s' is a model: writing its weights for Hugging Face is not built in this version", call->args[0]);
    if (!e)
        e = hf ? make_hf(&x, tokenizer) : make_tiktoken(&x, tokenizer);
    if (!e)
        e = write_folder(&x, folder, call->arena);
    if (!e)
        e = tell(&x, call, folder);
    json_release(&x.a);
    json_release(&x.b);
    bytes_release(&x.bytes);
    return e;
}
