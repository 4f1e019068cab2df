// yaml.c - libyaml's events become a tree; everything is checked as it comes, so that a hostile file costs no more than its
// bytes.
//
// 1. libyaml sees only text that passed check_text: UTF-8 whose lines end in LF or CRLF, so that its marks count lines as
// everybody
//    else does.
// 2. The nesting is counted before libyaml is asked for the next event: its own time grows with the square of the nesting.
// 3. An error that leaves the tree whole (hurt) is collected and reading goes on; the first of libyaml's own ends it.
#include "runner/recipe/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

enum { MOST_BYTES = YAML_MOST_BYTES, MOST_NESTING = 64, MOST_NODES = 100000, MOST_ERRORS = 100 };

struct builder {
    const char *name, *text; // text without its BOM
    size_t n_bytes;
    struct arena *arena;
    struct error *errors, **errors_end;
    int n_errors, n_nodes;
    bool no_memory, broken; // broken: libyaml gave up

    struct level {
        struct node *node, *last;
        struct place key_at;
        const char *key; // of the value that comes next in a map; NULL: a key comes next
    } levels[MOST_NESTING];
    int n_levels;
    struct node *root;
};

static struct place place_of(const struct builder *b, yaml_mark_t from, yaml_mark_t to)
{
    int width = from.line == to.line && to.column > from.column ? (int)(to.column - from.column) : 1;
    return (struct place){.file = b->name, .line = (int)from.line + 1, .column = (int)from.column + 1, .width = width};
}

// Takes a collected error.
static void hurt(struct builder *b, struct error *e)
{
    if (e == error_memory())
        b->no_memory = true;
    if (e == error_memory() || b->n_errors++ >= MOST_ERRORS) {
        error_free(e);
        return;
    }
    *b->errors_end = e;
    b->errors_end = &e->next;
}

// The length of the well-formed UTF-8 sequence at s, 0 if there is none (Unicode 15, table 3-7).
static int sequence(const unsigned char *s, size_t n, uint32_t *code)
{
    static const struct {
        unsigned char low, high, second_low, second_high;
        int length;
    } rows[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < countof(rows); i++) {
        if (s[0] < rows[i].low || s[0] > rows[i].high)
            continue;
        int length = rows[i].length;
        if ((size_t)length > n)
            return 0;
        if (length > 1 && (s[1] < rows[i].second_low || s[1] > rows[i].second_high))
            return 0;
        *code = length == 1 ? s[0] : s[0] & (0xff >> (length + 1));
        for (int k = 1; k < length; k++) {
            if (k > 1 && (s[k] & 0xc0) != 0x80)
                return 0;
            *code = *code << 6 | (s[k] & 0x3f);
        }
        return length;
    }
    return 0;
}

static struct error *check_text(const struct builder *b)
{
    const unsigned char *s = (const unsigned char *)b->text;
    struct place at = {.file = b->name, .line = 1, .column = 1, .width = 1};
    for (size_t i = 0; i < b->n_bytes;) {
        uint32_t code;
        int length = sequence(s + i, b->n_bytes - i, &code);
        if (!length)
            return error_new(ERROR_RECIPE, at, "save the file as UTF-8", "the byte 0x%02x is not UTF-8", s[i]);
        if (code == '\n') {
            at.line++;
            at.column = 0;
        } else if (code == '\r' && !(i + 1 < b->n_bytes && s[i + 1] == '\n')) {
            return error_new(ERROR_RECIPE, at, "end lines with LF or CRLF", "a carriage return in the middle of a line");
        } else if ((code < 0x20 && code != '\t' && code != '\r') || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
                   code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff) {
            return error_new(ERROR_RECIPE, at, "take it out", "the character U+%04X has no business here", (unsigned)code);
        }
        at.column++;
        i += (size_t)length;
    }
    return NULL;
}

static bool is_pattern(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    if (i == 0 || i + 2 > n || s[i] != '.' || s[i + 1] != '.')
        return false;
    size_t second = i += 2;
    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    return i == n && i > second;
}

static struct error *pattern_error(struct place at)
{
    return error_new(ERROR_RECIPE, at, "put the whole value in quotes: \"shard_{00000..00239}.parquet\"",
                     "a pattern in braces must be quoted");
}

// libyaml calls an unquoted pattern or ${x} a flow map and stumbles later: looks whether one stands on the line of its
// complaint.
static struct error *explain_braces(const struct builder *b, struct place at)
{
    const char *s = b->text, *end = b->text + b->n_bytes;
    for (int line = 1; line < at.line && s; line++) {
        s = memchr(s, '\n', (size_t)(end - s));
        s = s ? s + 1 : NULL;
    }
    if (!s)
        return NULL;
    const char *line_end = memchr(s, '\n', (size_t)(end - s));
    if (!line_end)
        line_end = end;
    char quote = 0;
    int column = 0, flow = 0;
    for (const char *p = s; p < line_end; p++) {
        column += (*p & 0xc0) != 0x80;
        if (quote) {
            quote = *p == quote ? 0 : quote;
            continue;
        }
        if (*p == '"' || *p == '\'') {
            quote = *p;
        } else if (*p == '#' && p > s && (p[-1] == ' ' || p[-1] == '\t')) {
            return NULL;
        } else if (*p == '{' || *p == '[') {
            const char *close = memchr(p, '}', (size_t)(line_end - p));
            struct place here = {.file = b->name, .line = at.line, .column = column, .width = 1};
            if (close && *p == '{' && is_pattern(p + 1, (size_t)(close - p - 1))) {
                here.width = (int)(close - p) + 1;
                return pattern_error(here);
            }
            if (close && *p == '{' && p > s && p[-1] == '$' && flow) {
                here.column--;
                here.width = (int)(close - p) + 2;
                return error_new(ERROR_RECIPE, here, "put it in quotes: \"${x}\"",
                                 "inside { } and [ ] a value with ${...} must be quoted");
            }
            flow++;
        }
    }
    return NULL;
}

static bool indented_by_tab(const struct builder *b, size_t line)
{
    const char *s = b->text, *end = b->text + b->n_bytes;
    for (size_t i = 0; i < line && s; i++) {
        s = memchr(s, '\n', (size_t)(end - s));
        s = s ? s + 1 : NULL;
    }
    while (s && s < end && *s == ' ')
        s++;
    return s && s < end && *s == '\t';
}

static size_t count_lines(const struct builder *b)
{
    size_t n = b->n_bytes && b->text[b->n_bytes - 1] != '\n';
    for (size_t i = 0; i < b->n_bytes; i++)
        n += b->text[i] == '\n';
    return n;
}

static struct error *syntax_error(const struct builder *b, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return error_memory();
    struct place at = place_of(b, parser->problem_mark, parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "cannot be read as YAML";
    struct error *e = explain_braces(b, at);
    if (e)
        return e;
    if (indented_by_tab(b, parser->problem_mark.line))
        return error_new(ERROR_RECIPE, at, "indent with spaces", "a tab cannot indent");
    static const struct {
        const char *theirs, *ours, *fix;
    } words[] = {
        {"found undefined tag handle", "a tag is not part of the language", "take it out: the field decides the type"},
        {"mapping values are not allowed in this context", "a ':' where no key can stand",
         "put the value in quotes, or begin a new line, indented like the keys above it"},
        {"could not find expected ':'", "a key without ':'", "write `key: value`"},
        {"found unexpected end of stream", "a quoted value is not closed", "close the quote"},
        {"found character that cannot start any token", "a value cannot begin with this character", "put the value in quotes"},
        {"did not find expected ',' or '}'", "expected ',' or '}' in a map of braces", "close the brace, or quote the value"},
        {"did not find expected ',' or ']'", "expected ',' or ']' in a list of brackets",
         "close the bracket, or quote the value"},
        {"did not find expected node content", "a value is missing", "write a value, or take the line out"},
        {"did not find expected <document start>", "a second document in one file", "put the other in a file of its own"},
        {"could not find expected directive name", "directives are not part of the language", "take it out"},
        {"found unknown escape character", "an unknown escape in a value in double quotes",
         "write \\\\ for a backslash, or use single quotes"},
        {"did not find expected key", "expected a key", "indent it like the keys above it"},
        {"did not find expected '-' indicator", "expected '-', the next item of the list", "indent it like the items above it"},
        {"block sequence entries are not allowed in this context", "a list cannot begin here", "begin it on a new line"},
        {"block mapping entries are not allowed in this context", "a map cannot begin here", "begin it on a new line"},
        {"mapping keys are not allowed in this context", "a key cannot begin here", "begin it on a new line"},
    };
    const char *what = problem, *fix = NULL;
    for (size_t i = 0; i < countof(words); i++)
        if (strcmp(problem, words[i].theirs) == 0) {
            what = words[i].ours;
            fix = words[i].fix;
        }
    bool at_end = parser->problem_mark.index >= b->n_bytes || (size_t)at.line > count_lines(b);
    if (at_end && parser->context && parser->context_mark.line < parser->problem_mark.line) {
        // There is no line to show at the end: what was begun and never ended is the better place.
        at = place_of(b, parser->context_mark, parser->context_mark);
        return error_new(ERROR_RECIPE, at, fix, "%s%s", what,
                         strncmp(what, "expected", 8) ? "" : ": the file ends before what begins here does");
    }
    e = error_new(ERROR_RECIPE, at, fix, "%s", what);
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        e = error_while(e, place_of(b, parser->context_mark, parser->context_mark), "%s",
                        strncmp(parser->context, "while ", 6) ? parser->context : parser->context + 6);
    return e;
}

static int by_key(const void *x, const void *y)
{
    const struct node *a = *(const struct node *const *)x, *b = *(const struct node *const *)y;
    int order = strcmp(a->key, b->key);
    if (order)
        return order;
    if (a->key_at.line != b->key_at.line)
        return a->key_at.line < b->key_at.line ? -1 : 1;
    return a->key_at.column < b->key_at.column ? -1 : a->key_at.column > b->key_at.column;
}

// Sorted, so that a map of 100,000 keys costs no more than its sorting.
static struct error *check_duplicates(struct builder *b, const struct node *map)
{
    if (map->n < 2)
        return NULL;
    const struct node **sorted = block_alloc((size_t)map->n * sizeof *sorted);
    if (!sorted)
        return error_memory();
    int n = 0;
    for (const struct node *c = map->first; c; c = c->next)
        sorted[n++] = c;
    qsort(sorted, (size_t)n, sizeof *sorted, by_key);
    for (int i = 1, first = 0; i < n; i++) {
        if (strcmp(sorted[i]->key, sorted[first]->key)) {
            first = i;
            continue;
        }
        hurt(b, error_new(ERROR_RECIPE, sorted[i]->key_at, "keep one of them", "key '%.80s' stands twice: first in line %d",
                          sorted[i]->key, sorted[first]->key_at.line));
    }
    block_free(sorted);
    return NULL;
}

static struct error *add_node(struct builder *b, struct node **added, enum node_kind kind, struct place at)
{
    struct level *level = b->n_levels ? &b->levels[b->n_levels - 1] : NULL;
    if (++b->n_nodes > MOST_NODES)
        return error_new(ERROR_RECIPE, at, "a recipe says what differs from the defaults, and nothing else",
                         "more than 100,000 values in one file");
    struct node *node = arena_alloc(b->arena, sizeof *node);
    if (!node)
        return error_memory();
    *node = (struct node){.kind = kind, .at = at};
    if (level) {
        node->key = level->key;
        node->key_at = level->key_at;
        level->key = NULL;
        if (level->last)
            level->last->next = node;
        else
            level->node->first = node;
        level->last = node;
        level->node->n++;
    } else {
        b->root = node;
    }
    *added = node;
    return NULL;
}

static void refuse_anchor_and_tag(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag, struct place at)
{
    if (anchor)
        hurt(b, error_new(ERROR_RECIPE, at, "name the value in `let:` and write ${name} where it is used",
                          "anchors are not part of the language: '&%.80s'", (const char *)anchor));
    if (tag)
        hurt(b, error_new(ERROR_RECIPE, at, "take it out: the field decides the type",
                          "a tag is not part of the language: '%.80s'", (const char *)tag));
}

static struct error *scalar(struct builder *b, const yaml_event_t *event)
{
    struct place at = place_of(b, event->start_mark, event->end_mark);
    const char *text = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    refuse_anchor_and_tag(b, event->data.scalar.anchor, event->data.scalar.tag, at);
    if (memchr(text, 0, n))
        return error_new(ERROR_RECIPE, at, "take it out", "a value with a zero byte");

    struct level *level = b->n_levels ? &b->levels[b->n_levels - 1] : NULL;
    char *copy = arena_strndup(b->arena, text, n);
    if (!copy)
        return error_memory();
    if (level && level->node->kind == NODE_MAP && !level->key) {
        if (strcmp(text, "<<") == 0 && !quoted)
            hurt(b, error_new(ERROR_RECIPE, at, "write the keys out, or put them in a file of their own and `include:` it",
                              "merge keys are not part of the language: '<<'"));
        else if (!quoted && is_pattern(text, n)) {
            struct place braces = at;
            braces.column -= at.column > 1;
            braces.width += 2;
            hurt(b, pattern_error(braces));
        }
        level->key = copy;
        level->key_at = at;
        return NULL;
    }
    struct node *node;
    struct error *e = add_node(b, &node, NODE_SCALAR, at);
    if (e)
        return e;
    node->text = copy;
    node->quoted = quoted;
    return NULL;
}

static struct error *begin(struct builder *b, enum node_kind kind, struct place at)
{
    struct level *level = b->n_levels ? &b->levels[b->n_levels - 1] : NULL;
    if (level && level->node->kind == NODE_MAP && !level->key)
        return error_new(ERROR_RECIPE, at, "a key is a name; for ${x} or a pattern, put the value in quotes",
                         "a list or map cannot be a key");
    if (b->n_levels == MOST_NESTING)
        return error_new(ERROR_RECIPE, at, "nest less", "lists and maps nest more than 64 deep");
    struct node *node;
    struct error *e = add_node(b, &node, kind, at);
    if (!e)
        b->levels[b->n_levels++] = (struct level){.node = node};
    return e;
}

// One event; *done at the end of the stream.
static struct error *take(struct builder *b, const yaml_event_t *event, bool *done)
{
    struct place at = place_of(b, event->start_mark, event->end_mark);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->root)
            return error_new(ERROR_RECIPE, at, "put the other in a file of its own", "a second document in one file");
        if (event->data.document_start.version_directive ||
            event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
            hurt(b, error_new(ERROR_RECIPE, at, "take it out", "directives are not part of the language"));
        return NULL;
    case YAML_ALIAS_EVENT: {
        struct level *level = b->n_levels ? &b->levels[b->n_levels - 1] : NULL;
        struct error *e = error_new(ERROR_RECIPE, at, "name the value in `let:` and write ${name}",
                                    "aliases are not part of the language: '*%.80s'", (const char *)event->data.alias.anchor);
        if (level && level->node->kind == NODE_MAP && !level->key)
            return e;
        hurt(b, e);
        struct node *node;
        if ((e = add_node(b, &node, NODE_SCALAR, at)))
            return e;
        node->text = "";
        return NULL;
    }
    case YAML_SCALAR_EVENT:
        return scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        at.width = 1;
        refuse_anchor_and_tag(b, event->data.sequence_start.anchor, event->data.sequence_start.tag, at);
        return begin(b, NODE_LIST, at);
    case YAML_MAPPING_START_EVENT:
        at.width = 1;
        refuse_anchor_and_tag(b, event->data.mapping_start.anchor, event->data.mapping_start.tag, at);
        return begin(b, NODE_MAP, at);
    case YAML_MAPPING_END_EVENT:
        return check_duplicates(b, b->levels[--b->n_levels].node);
    case YAML_SEQUENCE_END_EVENT:
        b->n_levels--;
        return NULL;
    case YAML_STREAM_END_EVENT:
        *done = true;
        return NULL;
    default:
        return NULL;
    }
}

static struct error *events(struct builder *b)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_memory();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)b->text, b->n_bytes);
    struct error *e = NULL;
    for (bool done = false; !e && !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            e = syntax_error(b, &parser);
            b->root = NULL;
            b->broken = true;
            for (const struct error *told = b->errors; told && e && e != error_memory(); told = told->next)
                if (told->at.line == e->at.line && told->at.column == e->at.column) {
                    error_free(e); // the same pattern, seen twice
                    e = NULL;
                }
            break;
        }
        e = take(b, &event, &done);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return e;
}

struct error *yaml_load(const char *path, struct arena *arena, char **text, size_t *n_bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a named pipe must not hang us before fstat names it
    if (fd < 0)
        return error_system(ERROR_RECIPE, errno, "cannot open '%s'", path);
    struct error *e = NULL;
    if (fstat(fd, &st))
        e = error_system(ERROR_RECIPE, errno, "cannot open '%s'", path);
    else if (!S_ISREG(st.st_mode))
        e = error_plain(ERROR_RECIPE, "'%s' is not a regular file", path);
    else if (st.st_size > MOST_BYTES)
        e = error_plain(ERROR_RECIPE, "'%s' is larger than 4 MiB", path);
    else if (!(*text = arena_alloc(arena, (size_t)st.st_size + 1)))
        e = error_memory();
    *n_bytes = 0;
    while (!e && *n_bytes < (size_t)st.st_size) {
        ssize_t got = read(fd, *text + *n_bytes, (size_t)st.st_size - *n_bytes);
        if (got < 0 && errno != EINTR)
            e = error_system(ERROR_RECIPE, errno, "cannot read '%s'", path);
        else if (got == 0)
            break;
        else if (got > 0)
            *n_bytes += (size_t)got;
    }
    close(fd);
    return e;
}

struct error *yaml_parse(const char *name, const char *text, size_t n_bytes, struct arena *arena, struct node **root)
{
    *root = NULL;
    if (n_bytes > MOST_BYTES)
        return error_plain(ERROR_RECIPE, "'%s' is larger than 4 MiB", name);
    if (n_bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        n_bytes -= 3;
    }
    struct builder b = {.name = arena_strdup(arena, name), .text = text, .n_bytes = n_bytes, .arena = arena};
    b.errors_end = &b.errors;
    if (!b.name)
        return error_memory();
    struct error *e = check_text(&b);
    if (e)
        return e;
    e = events(&b);
    if (!e && b.no_memory)
        e = error_memory();
    if (!e && !b.root && !b.broken)
        e = error_new(ERROR_RECIPE, (struct place){.file = b.name, .line = 1, .column = 1, .width = 1}, "write something into it",
                      "the file is empty");
    if (!e)
        *root = b.root;
    if (b.n_errors > MOST_ERRORS)
        e = error_append(e, error_plain(ERROR_RECIPE, "and %d more errors of this kind", b.n_errors - MOST_ERRORS));
    return error_append(b.errors, e);
}

struct error *yaml_read(const char *path, struct arena *arena, struct node **root)
{
    char *text;
    size_t n_bytes;
    *root = NULL;
    struct error *e = yaml_load(path, arena, &text, &n_bytes);
    return e ? e : yaml_parse(path, text, n_bytes, arena, root);
}

struct node *node_get(const struct node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (struct node *c = map->first; c; c = c->next)
        if (strcmp(c->key, key) == 0)
            return c;
    return NULL;
}
