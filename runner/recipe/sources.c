// sources.c - the texts that a recipe reads: forms, file patterns and what is kept for validation.
//
// A pattern "shard_{00000..00239}.parquet" is written out here, in numeric order, so that everything after sees plain file
// names. No file is opened but a world's: whether the others are there is the plan's question.
#include "runner/recipe/reader.h"

#include <stdio.h>
#include <string.h>

#include "runner/recipe/number.h"
#include "runner/recipe/world_file.h"

static const char *const forms[] = {"parquet", "jsonl", "text", "world", "mix"};
enum { FORM_MIX = DOCUMENT_FORM_COUNT };

struct pattern {
    int64_t first, last;
    int before, open, width; // bytes before the brace, bytes of the braces, digits; open 0: no pattern
};

static bool digits(const char *s, size_t n, int64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *value = *value * 10 + (s[i] - '0');
    }
    return n > 0 && n <= 15;
}

static struct error *read_pattern(const char *text, struct place at, struct pattern *p)
{
    *p = (struct pattern){0};
    const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : strchr(text, '}');
    if (!open && !close)
        return NULL;
    if (!open || !close)
        return error_new(ERROR_RECIPE, at, "write {00000..00239}", "a brace without its other half");
    size_t n = (size_t)(close - open - 1);
    const char *dots = strstr(open, "..");
    if (strncmp(open, "{split}", 7) == 0)
        return error_new(ERROR_RECIPE, at, "name the files of one split", "{split} stands only in sources that tasks read");
    size_t first = dots && dots < close ? (size_t)(dots - open - 1) : 0, last = first ? n - first - 2 : 0;
    if (!first || !digits(open + 1, first, &p->first) || !digits(dots + 2, last, &p->last))
        return error_new(ERROR_RECIPE, at, "write a range of numbers, {00000..00239}, or ${x}", "'%.*s' is not a pattern",
                         (int)(n < 60 ? n + 2 : 62), open);
    if (first != last)
        return error_new(ERROR_RECIPE, at, "write as many digits on both sides: {000..239}", "the ends of '%.*s' differ in width",
                         (int)n + 2, open);
    if (p->first > p->last)
        return error_new(ERROR_RECIPE, at, "write the smaller number first", "'%.*s' counts down", (int)n + 2, open);
    if (strpbrk(close + 1, "{}"))
        return error_new(ERROR_RECIPE, at, "write a list of names with one each", "more than one pattern in a name");
    p->before = (int)(open - text);
    p->open = (int)n + 2;
    p->width = (int)first;
    return NULL;
}

// Checks one name of FILES and takes off `file:`. *text NULL: reported.
static const char *file_name(struct reader *r, const struct node *node, const char *what)
{
    const char *text = scalar_text(r, node, what);
    if (!text)
        return NULL;
    if (strncmp(text, "file://", 7) == 0)
        text += 7;
    else if (strncmp(text, "file:", 5) == 0)
        text += 5;
    const char *colon = strstr(text, "://");
    if (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0)
        reader_error(r, error_new(ERROR_NOT_BUILT, node->at, "fetch the files, and name the folder where they lie",
                                  "fetching over https is not built in this version"));
    else if (colon)
        reader_error(r, error_new(ERROR_RECIPE, node->at, "name a file", "'%.40s' is no address that can be read", text));
    else if (strpbrk(text, "*?"))
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write a range, {000..017}, or a list of names",
                                  "file names take no '*' and '?'"));
    else if (!*text)
        reader_error(r, error_new(ERROR_RECIPE, node->at, "name a file", "%s has no value", what));
    else
        return text;
    return NULL;
}

static void add_files(struct reader *r, struct source *source, const struct node *node, const char *what)
{
    const char *name = file_name(r, node, what);
    const char *text = name ? node_file(r, node, name) : NULL;
    if (!text)
        return;
    // The pattern is looked for in what the recipe says, not in the folder before it.
    size_t folder = strlen(text) - strlen(name);
    struct pattern p;
    struct error *e = read_pattern(name, node->at, &p);
    if (e) {
        reader_error(r, e);
        return;
    }
    int64_t n = p.open ? p.last - p.first + 1 : 1;
    r->file_bytes += (size_t)n * strlen(text);
    if (n > MOST_FILES - r->n_files || r->file_bytes > MOST_FILE_BYTES) {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "read fewer, larger files", "more than 100,000 files"));
        r->n_files = MOST_FILES;
        return;
    }
    const char **files =
        arena_grow(r->arena, source->files, (size_t)source->n_files, (size_t)(source->n_files + n), sizeof *files);
    if (!reader_have(r, files))
        return;
    source->files = files;
    for (int64_t i = 0; i < n && !r->no_memory; i++)
        files[source->n_files++] =
            !p.open ? text
                    : reader_have(r, arena_printf(r->arena, "%.*s%0*lld%s", (int)folder + p.before, text, p.width,
                                                  (long long)(p.first + i), name + p.before + p.open));
    r->n_files += (int)n;
    source->pattern = source->pattern ? reader_have(r, arena_printf(r->arena, "%s, %s", source->pattern, name)) : name;
}

static void read_files(struct reader *r, struct source *source, const struct node *node)
{
    if (node->kind != NODE_LIST) {
        add_files(r, source, node, node->key);
        return;
    }
    enum { MOST_NAMES = 1000 }; // a list names files one by one; each name can be a pattern
    if (node->n == 0 || node->n > MOST_NAMES)
        reader_error(r, error_new(ERROR_RECIPE, node->at, "name files, or write a pattern: {000..017}",
                                  node->n ? "more than 1,000 names in a list of files" : "an empty list of files"));
    else
        for (const struct node *c = node->first; c; c = c->next)
            add_files(r, source, c, node->key);
}

static void read_validate(struct reader *r, struct source *source, const struct node *map, const struct node *files)
{
    bool world = source->form == DOCUMENT_WORLD;
    const struct node *node = node_get(map, "validate");
    if (!node) {
        reader_error(r, error_new(ERROR_RECIPE, source->at,
                                  world ? "write validate: held_out, or none" : "write validate: last, a file, or none",
                                  "source '%s' does not say what its validation text is", source->name));
        return;
    }
    const char *text = scalar_text(r, node, "validate");
    source->validate_at = node->at;
    if (!text)
        return;
    if (strcmp(text, "none") == 0) {
        source->validate = VALIDATE_NONE;
    } else if (strcmp(text, "held_out") == 0) {
        source->validate = VALIDATE_HELD_OUT;
        if (!world)
            reader_error(
                r, error_new(ERROR_RECIPE, node->at, "write validate: last, a file, or none", "only worlds hold documents out"));
    } else if (strcmp(text, "last") == 0) {
        source->validate = VALIDATE_LAST;
        if (world)
            reader_error(r, error_new(ERROR_RECIPE, node->at, "write validate: held_out, or none", "a world has no last file"));
        else if (source->n_files == 1 && files && !is_unresolved(files))
            reader_error(r, error_new(ERROR_RECIPE, node->at, "name another file, or write validate: none",
                                      "validate: last leaves no text to train on: the source is one file"));
    } else if (world) {
        reader_error(
            r, error_new(ERROR_RECIPE, node->at, "write validate: held_out, or none", "validate of a world is '%.80s'", text));
    } else if (strpbrk(text, "./")) {
        const char *name = file_name(r, node, "validate");
        if (!name)
            return;
        if (strpbrk(name, "{}"))
            reader_error(r, error_new(ERROR_RECIPE, node->at, "name one file", "validate takes one file, not a pattern"));
        source->validate = VALIDATE_FILE;
        source->validate_file = node_file(r, node, name);
        for (int i = 0; i < source->n_files && source->validate_file; i++)
            if (source->files[i] && strcmp(source->files[i], source->validate_file) == 0)
                reader_error(r, error_new(ERROR_RECIPE, node->at, "leave it out of one of them",
                                          "the validation file is also read for training"));
    } else {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write validate: last, none, or a file (with '/' or '.' in its name)",
                                  "validate is '%.80s'", text));
    }
}

static void read_world(struct reader *r, struct source *source, const struct node *map, const struct node *file)
{
    const char *name = file_name(r, file, "world");
    const char *path = name ? node_file(r, file, name) : NULL;
    const struct node *documents = node_get(map, "documents");
    const char *count = documents ? scalar_text(r, documents, "documents") : NULL;
    if (!documents)
        reader_error(r, error_new(ERROR_RECIPE, source->at, "write documents: 16000",
                                  "source '%s' does not say how many documents the world writes", source->name));
    struct error *e = count ? number_int(count, true, documents->at, "documents", &source->documents) : NULL;
    if (!e && count && (source->documents < 1 || source->documents > 1000000000000))
        e = error_new(ERROR_RECIPE, documents->at, "documents must be between 1 and 10^12", "documents is %s", count);
    reader_error(r, e);
    if (!path || is_unresolved(file))
        return;
    source->pattern = name;
    source->files = reader_have(r, arena_array(r->arena, 1, sizeof *source->files));
    source->world = reader_have(r, arena_alloc(r->arena, sizeof *source->world));
    if (!source->files || !source->world)
        return;
    source->files[0] = path;
    source->n_files = 1;
    e = world_file_read(path, r->arena, source->world);
    for (struct error *each = e; each && each != error_memory(); each = each->next)
        if (!each->at.file) { // the file cannot be read: that is an error of this line
            reader_error(r, error_new(ERROR_RECIPE, file->at, each->fix, "%s", each->what));
            error_free(e);
            return;
        }
    reader_error(r, error_while(e, file->at, "reading the world of source '%s'", source->name));
}

static void read_source(struct reader *r, struct source *source, const struct node *node)
{
    static const char *const keys[DOCUMENT_FORM_COUNT][4] = {[DOCUMENT_PARQUET] = {"parquet", "column", "validate"},
                                                             [DOCUMENT_JSONL] = {"jsonl", "field", "validate"},
                                                             [DOCUMENT_TEXT] = {"text", "validate"},
                                                             [DOCUMENT_WORLD] = {"world", "documents", "validate"}};
    const struct node *files = NULL;
    int form = -1;
    *source = (struct source){.name = node->key, .at = node->key_at};
    if (node->kind != NODE_MAP) {
        reader_error(
            r, error_new(ERROR_RECIPE, node->at, "write {text: FILES, validate: none}", "source '%s' is not a map", node->key));
        return;
    }
    for (int i = 0; i < (int)countof(forms); i++) {
        const struct node *found = node_get(node, forms[i]);
        if (found && files) {
            const struct node *second =
                found->at.line > files->at.line || (found->at.line == files->at.line && found->at.column > files->at.column)
                    ? found
                    : files;
            reader_error(r, error_new(ERROR_RECIPE, second->key_at, "make two sources of it", "source '%s' is both %s and %s",
                                      source->name, files->key, found->key));
            return;
        } else if (found) {
            files = found;
            form = i;
        }
    }
    if (!files) {
        static const char *const all[] = {"parquet", "jsonl", "text", "world", "mix", "column", "field", "documents", "validate"};
        check_keys(r, node, all, (int)countof(all));
        reader_error(r, error_new(ERROR_RECIPE, source->at, "write one of parquet, jsonl, text, world, mix",
                                  "source '%s' does not say where its text is", source->name));
        return;
    }
    if (form == FORM_MIX) {
        static const char *const mix_keys[] = {"mix", "validate"};
        check_keys(r, node, mix_keys, 2);
        reader_error(
            r, error_new(ERROR_NOT_BUILT, files->key_at, "train on one source", "mixed sources are not built in this version"));
        return;
    }
    source->form = (enum document_form)form;
    int n_keys = 0;
    while (keys[form][n_keys])
        n_keys++;
    check_keys(r, node, keys[form], n_keys);
    if (form == DOCUMENT_WORLD)
        read_world(r, source, node, files);
    else
        read_files(r, source, files);
    if (form == DOCUMENT_PARQUET || form == DOCUMENT_JSONL) {
        const char *key = keys[form][1];
        const struct node *column = node_get(node, key);
        source->column = column ? scalar_text(r, column, key) : NULL;
        if (!column)
            reader_error(r, error_new(ERROR_RECIPE, source->at,
                                      form == DOCUMENT_PARQUET ? "write column: text" : "write field: text",
                                      "source '%s' does not say which %s holds the text", source->name, key));
    }
    read_validate(r, source, node, files);
}

void sources_read(struct reader *r, const struct node *sources)
{
    if (sources->kind != NODE_MAP) {
        reader_error(r,
                     error_new(ERROR_RECIPE, sources->at, "write NAME: {text: FILES, validate: none}", "sources is not a map"));
        return;
    }
    if (sources->n > MOST_SOURCES) {
        reader_error(r, error_new(ERROR_RECIPE, sources->at, "use fewer", "more than %d sources", MOST_SOURCES));
        return;
    }
    r->recipe->sources = reader_have(r, arena_array(r->arena, (size_t)sources->n, sizeof *r->recipe->sources));
    if (!r->recipe->sources)
        return;
    for (const struct node *c = sources->first; c && !r->no_memory; c = c->next) {
        if (!name_is_good(c->key) || is_top_word(c->key))
            reader_error(r,
                         error_new(ERROR_RECIPE, c->key_at, "names are lower case letters, digits and _, and no top-level word",
                                   "'%.80s' cannot be the name of a source", c->key));
        read_source(r, &r->recipe->sources[r->recipe->n_sources++], c);
    }
}
