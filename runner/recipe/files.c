// files.c - FILES of a source or a task: a name or a list of names, each of which can be a pattern.
//
// A pattern "shard_{00000..00239}.parquet" is written out here, in numeric order, so that everything after sees plain file
// names. {split} is put in before, so that a split can have many files; where splits have different numbers of them, FILES are a map
// from splits to FILES. No file is opened.
#include "runner/recipe/reader.h"

#include <limits.h>
#include <string.h>

#include "runner/recipe/address.h"

struct pattern {
    int64_t first, last;
    int before, open, width; // bytes before the brace, bytes of the braces, digits; open 0: no pattern
};

static bool digits(const char *s, size_t n, int64_t *value)
{
    *value = 0;
    if (!n || n > 15) // so that no number overflows
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *value = *value * 10 + (s[i] - '0');
    }
    return true;
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

// fetch: an address of a file to fetch is fine.
static const char *checked_name(struct reader *r, const struct node *node, const char *what, bool fetch)
{
    const char *text = scalar_text(r, node, what);
    if (!text)
        return NULL;
    if (strncmp(text, "file://", 7) == 0)
        text += 7;
    else if (strncmp(text, "file:", 5) == 0)
        text += 5;
    const char *colon = strstr(text, "://");
    if (address_is(text) && fetch)
        return text; // checked when all of it is known
    if (address_is(text))
        reader_error(r, error_new(ERROR_RECIPE, node->at, "fetch it by hand, and name the file",
                                  "%s is '%.80s', and only data files are fetched", what, text));
    else if (strncmp(text, "http://", 7) == 0)
        reader_error(r, error_new(ERROR_RECIPE, node->at, fetch ? "write https://" : "name a file",
                                  "'%.80s' is not encrypted, and is not read", text));
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

const char *file_name(struct reader *r, const struct node *node, const char *what)
{
    return checked_name(r, node, what, false);
}

const char *data_name(struct reader *r, const struct node *node, const char *what)
{
    return checked_name(r, node, what, true);
}

// What was put together: an address, or a file. NULL: reported.
static const char *checked_file(struct reader *r, const struct node *node, const char *text)
{
    struct error *e = text && address_is(text) ? address_check(text, node->at) : NULL;
    reader_error(r, e);
    return e ? NULL : text;
}

const char *data_file(struct reader *r, const struct node *node, const char *text)
{
    return checked_file(r, node, node_file(r, node, text));
}

// Every {split} of a name replaced. NULL: out of memory, or longer than names are, noted or reported.
static const char *put_split(struct reader *r, const struct node *node, const char *name, const char *split)
{
    const char *rest = name;
    char text[PATH_MAX];
    size_t n = 0, n_split = strlen(split);
    for (const char *found; (found = strstr(rest, SPLIT_SLOT)); rest = found + strlen(SPLIT_SLOT)) {
        size_t before = (size_t)(found - rest);
        if (n + before + n_split >= sizeof text)
            break;
        memcpy(text + n, rest, before);
        memcpy(text + n + before, split, n_split);
        n += before + n_split;
    }
    if (n + strlen(rest) >= sizeof text) {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "shorten it", "a file name of more than %d bytes", PATH_MAX - 1));
        return NULL;
    }
    memcpy(text + n, rest, strlen(rest));
    return reader_have(r, arena_strndup(r->arena, text, n + strlen(rest)));
}

// A name behind the folder that it is relative to. NULL: reported.
static const char *in_folder(struct reader *r, const struct node *node, const char *name, const char *base)
{
    if (!base || *name == '/')
        return data_file(r, node, name);
    struct node at_base = *node;
    at_base.folder = base;
    return data_file(r, &at_base, name);
}

static void add_files(struct reader *r, const struct node *node, const char *what, const char *base, const char *split,
                      struct files *files)
{
    const char *written = data_name(r, node, what);
    const char *name = written && split ? put_split(r, node, written, split) : written;
    const char *text = name ? in_folder(r, node, name, base) : NULL;
    if (!text)
        return;
    // The pattern is looked for in what was written, not in the folder before it.
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
    const char **names = arena_grow(r->arena, files->names, (size_t)files->n, (size_t)(files->n + n), sizeof *names);
    if (!reader_have(r, names))
        return;
    files->names = names;
    for (int64_t i = 0; i < n && !r->no_memory; i++)
        names[files->n++] = !p.open ? text
                                    : reader_have(r, arena_printf(r->arena, "%.*s%0*lld%s", (int)folder + p.before, text, p.width,
                                                                  (long long)(p.first + i), name + p.before + p.open));
    r->n_files += (int)n;
    files->pattern = files->pattern ? reader_have(r, arena_printf(r->arena, "%s, %s", files->pattern, written)) : written;
}

void files_read(struct reader *r, const struct node *node, const char *base, const char *split, struct files *files)
{
    *files = (struct files){0};
    if (node->kind == NODE_MAP && split && !(node = node_get(node, split)))
        return;
    if (node->kind != NODE_LIST) {
        add_files(r, node, node->key, base, split, files);
        return;
    }
    enum { MOST_NAMES = 1000 }; // a list names files one by one; each name can be a pattern
    if (node->n == 0 || node->n > MOST_NAMES)
        reader_error(r, error_new(ERROR_RECIPE, node->at, "name files, or write a pattern: {000..017}",
                                  node->n ? "more than 1,000 names in a list of files" : "an empty list of files"));
    else
        for (const struct node *c = node->first; c; c = c->next)
            add_files(r, c, node->key, base, split, files);
}

bool files_have_split(const struct node *node)
{
    if (node->kind != NODE_LIST)
        return node->kind == NODE_MAP || strstr(node->text, SPLIT_SLOT);
    for (const struct node *c = node->first; c; c = c->next)
        if (c->kind == NODE_SCALAR && strstr(c->text, SPLIT_SLOT))
            return true;
    return false;
}
