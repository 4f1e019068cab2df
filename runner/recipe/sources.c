// sources.c - the texts that a recipe reads: forms, files and what is kept for validation.
//
// No file is opened but a world's: whether the others are there is the plan's question. A source whose files have {split} is no text,
// but takes the place of the source of the task with its name (task_file.c).
#include "runner/recipe/matrix.h"

#include <string.h>

#include "runner/recipe/number.h"
#include "runner/recipe/world_file.h"

static const char *const forms[] = {"parquet", "jsonl", "text", "world", "mix"};
enum { FORM_MIX = DOCUMENT_FORM_COUNT };

static void read_files(struct reader *r, struct source *source, const struct node *node)
{
    struct files files;
    files_read(r, node, NULL, NULL, &files);
    source->files = files.names;
    source->n_files = files.n;
    source->pattern = files.pattern;
}

int64_t skip_bad_read(struct reader *r, const struct node *map)
{
    const struct node *node = node_get(map, "skip_bad");
    const char *text = node ? scalar_text(r, node, "skip_bad") : NULL;
    int64_t n = 0;
    struct error *e = text ? number_int(text, true, node->at, "skip_bad", &n) : NULL;
    if (!e && (n < 0 || n > 1000000000))
        e = error_new(ERROR_RECIPE, node->at, "write how many bad rows of a file may be left out, at most 10^9", "skip_bad is %s",
                      text);
    reader_error(r, e);
    return n;
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
        const char *name = data_name(r, node, "validate");
        if (!name)
            return;
        if (strpbrk(name, "{}"))
            reader_error(r, error_new(ERROR_RECIPE, node->at, "name one file", "validate takes one file, not a pattern"));
        source->validate = VALIDATE_FILE;
        source->validate_file = data_file(r, node, name);
        for (int i = 0; i < source->n_files && source->validate_file; i++)
            if (source->files[i] && strcmp(source->files[i], source->validate_file) == 0)
                reader_error(r, error_new(ERROR_RECIPE, node->at, "leave it out of one of them",
                                          "the validation file is also read for training"));
    } else {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write validate: last, none, or a file (with '/' or '.' in its name)",
                                  "validate is '%.80s'", text));
    }
}

struct world *world_read(struct reader *r, const struct node *node, const char *path, const char *of, const char *name)
{
    for (int i = 0; i < r->n_worlds; i++)
        if (strcmp(r->worlds[i].path, path) == 0)
            return r->worlds[i].world;
    struct world *world = reader_have(r, arena_alloc(r->arena, sizeof *world));
    if (r->n_worlds == r->worlds_capacity) {
        int capacity = r->worlds_capacity ? 2 * r->worlds_capacity : 8;
        r->worlds = reader_have(r, arena_grow(r->arena, r->worlds, (size_t)r->n_worlds, (size_t)capacity, sizeof *r->worlds));
        r->worlds_capacity = capacity;
    }
    if (r->no_memory)
        return NULL;
    struct error *e = world_file_read(path, r->arena, world);
    r->worlds[r->n_worlds++] = (struct world_slot){.path = path, .world = e ? NULL : world};
    for (struct error *each = e; each && each != error_memory(); each = each->next)
        if (!each->at.file) { // the file cannot be read: that is an error of this line
            reader_error(r, error_new(ERROR_RECIPE, node->at,
                                      each->fix ? each->fix : "names are relative to the folder of the file they stand in", "%s",
                                      each->what));
            error_free(e);
            return NULL;
        }
    reader_error(r, error_while(e, node->at, "reading the world of %s '%s'", of, name));
    return e ? NULL : world;
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
    if (!source->files)
        return;
    source->files[0] = path;
    source->n_files = 1;
    source->world = world_read(r, file, path, "source", source->name);
}

// Files with {split}: which splits there are the task says, so that here they are only checked.
static void read_source_of_tasks(struct reader *r, struct source *source, const struct node *node, const struct node *names)
{
    struct files files;
    for (const struct node *c = node->first; c && !reader_full(r); c = c->next)
        if (c != names && strcmp(c->key, "skip_bad"))
            reader_error(r, error_new(ERROR_RECIPE, c->key_at, "leave it out: the task file says which fields there are",
                                      "'%.80s' of a source of tasks", c->key));
    for (const struct node *c = names->kind == NODE_MAP ? names->first : NULL; c; c = c->next)
        files_read(r, c, NULL, c->key, &files);
    if (names->kind != NODE_MAP)
        files_read(r, names, NULL, "split", &files);
    source->pattern = names->kind == NODE_MAP ? SPLIT_SLOT : files.pattern;
}

static void read_source(struct reader *r, struct source *source, const struct node *node)
{
    static const char *const keys[DOCUMENT_FORM_COUNT][5] = {[DOCUMENT_PARQUET] = {"parquet", "column", "validate"},
                                                             [DOCUMENT_JSONL] = {"jsonl", "field", "validate", "skip_bad"},
                                                             [DOCUMENT_TEXT] = {"text", "validate"},
                                                             [DOCUMENT_WORLD] = {"world", "documents", "validate"}};
    const struct node *files = NULL;
    int form = -1;
    *source = (struct source){.name = node->key, .at = node->key_at, .seed = r->recipe->seed};
    if (node->kind != NODE_MAP) {
        reader_error(
            r, error_new(ERROR_RECIPE, node->at, "write {text: FILES, validate: none}", "source '%s' is not a map", node->key));
        return;
    }
    for (int i = 0; i < (int)countof(forms); i++) {
        const struct node *found = node_get(node, forms[i]);
        if (found && files) {
            bool later =
                found->at.line > files->at.line || (found->at.line == files->at.line && found->at.column > files->at.column);
            if (node_layer(found) != node_layer(files))
                later = node_layer(found) > node_layer(files);
            const struct node *second = later ? found : files;
            const struct node *first = second == found ? files : found;
            struct error *e = error_new(ERROR_RECIPE, second->key_at, "make two sources of it", "source '%s' is both %s and %s",
                                        source->name, files->key, found->key);
            if (first->key_at.line != second->key_at.line || strcmp(first->key_at.file, second->key_at.file))
                e = error_while(e, first->key_at, "comparing with '%s'", first->key);
            reader_error(r, e);
            return;
        } else if (found) {
            files = found;
            form = i;
        }
    }
    if (!files) {
        static const char *const all[] = {"parquet", "jsonl", "text",      "world",    "mix",
                                          "column",  "field", "documents", "validate", "skip_bad"};
        check_keys(r, node, all, (int)countof(all));
        reader_error(r, error_new(ERROR_RECIPE, source->at, "write one of parquet, jsonl, text, world, mix",
                                  "source '%s' does not say where its text is", source->name));
        return;
    }
    if (form == FORM_MIX) {
        mix_read(r, source, node, files);
        return;
    }
    source->form = (enum document_form)form;
    if ((form == DOCUMENT_PARQUET || form == DOCUMENT_JSONL) && files_have_split(files)) {
        read_source_of_tasks(r, source, node, files);
        return;
    }
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
    if (form == DOCUMENT_JSONL)
        source->skip_bad = skip_bad_read(r, node);
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
        const char *name = c->cell ? c->cell->base : c->key;
        if (!name_is_good(name) || is_top_word(name))
            reader_error(r,
                         error_new(ERROR_RECIPE, c->key_at, "names are lower case letters, digits and _, and no top-level word",
                                   "'%.80s' cannot be the name of a source", name));
        read_source(r, &r->recipe->sources[r->recipe->n_sources++], c);
    }
    mixes_check(r);
}
