// pins.c - a sorted list; entries without a place are those that this process has put there.
#include "runner/recipe/pins.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/data/fetch.h"
#include "core/store/atomic.h"
#include "core/text/buffer.h"
#include "runner/recipe/address.h"
#include "runner/recipe/number.h"
#include "runner/recipe/yaml.h"

enum { MOST_ETAG = 1000 };

static const char entry_fix[] = "write {url: ADDRESS, bytes: N, sha256: HEX}, or delete the entry: `retort data` writes it anew";

// Where url stands, or would have to.
static int place_of(const struct pins *pins, const char *url, bool *found)
{
    int low = 0, high = pins->n;
    *found = false;
    while (low < high && !*found) {
        int middle = low + (high - low) / 2, order = strcmp(pins->all[middle].url, url);
        *found = order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

const struct pin *pins_find(const struct pins *pins, const char *url)
{
    bool found;
    int at = place_of(pins, url, &found);
    return found ? &pins->all[at] : NULL;
}

static struct error *add(struct pins *pins, const struct pin *pin)
{
    bool found;
    int at = place_of(pins, pin->url, &found);
    if (found) {
        pins->all[at] = *pin;
        return NULL;
    }
    if (pins->n >= MOST_PINS)
        return error_new(ERROR_RECIPE, pin->at, "read fewer, larger files", "more than %d files in '%s'", MOST_PINS, pins->path);
    if (pins->n == pins->capacity) {
        int capacity = pins->capacity ? 2 * pins->capacity : 64;
        void *all = arena_grow(pins->arena, pins->all, (size_t)pins->n, (size_t)capacity, sizeof *pins->all);
        if (!all)
            return error_memory();
        pins->all = all;
        pins->capacity = capacity;
    }
    memmove(&pins->all[at + 1], &pins->all[at], (size_t)(pins->n - at) * sizeof *pins->all);
    pins->all[at] = *pin;
    pins->n++;
    return NULL;
}

struct error *pins_put(struct pins *pins, const struct pin *pin)
{
    struct pin copy = {.url = arena_strdup(pins->arena, pin->url),
                       .sha256 = arena_strdup(pins->arena, pin->sha256),
                       .bytes = pin->bytes,
                       .etag = pin->etag ? arena_strdup(pins->arena, pin->etag) : NULL};
    return copy.url && copy.sha256 && (copy.etag || !pin->etag) ? add(pins, &copy) : error_memory();
}

static struct error *bad(struct place at, const char *what)
{
    return error_new(ERROR_RECIPE, at, entry_fix, "%s", what);
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static struct error *read_value(struct pin *pin, const struct node *node)
{
    const char *key = node->key, *text = node->text;
    if (node->kind != NODE_SCALAR)
        return error_new(ERROR_RECIPE, node->at, entry_fix, "%s is no single value", key);
    if (!strcmp(key, "url")) {
        pin->url = text;
        return address_is(text) ? address_check(text, node->at) : bad(node->at, "url is no https address");
    }
    if (!strcmp(key, "sha256")) {
        pin->sha256 = text;
        return strlen(text) == SHA256_HEX - 1 && strspn(text, "0123456789abcdef") == SHA256_HEX - 1
                   ? NULL
                   : bad(node->at, "sha256 is not 64 digits of 0-9 and a-f");
    }
    if (!strcmp(key, "bytes")) {
        struct error *e = number_int(text, false, node->at, "bytes", &pin->bytes);
        bool size = pin->bytes >= 0 && pin->bytes <= FETCH_MOST_BYTES;
        return e || size ? e : bad(node->at, "bytes is not the size of a file");
    }
    if (!strcmp(key, "etag")) {
        pin->etag = text;
        return strlen(text) <= MOST_ETAG && is_printable(text) ? NULL : bad(node->at, "etag is no etag");
    }
    return error_new(ERROR_RECIPE, node->key_at, entry_fix, "unknown key '%.80s' of a fetched file", key);
}

static struct error *read_entry(struct pins *pins, const struct node *node)
{
    struct pin pin = {.bytes = -1, .at = node->at};
    struct error *e = NULL;
    bool found = false;
    if (node->kind != NODE_MAP)
        return bad(node->at, "an entry of files is not a map");
    for (const struct node *c = node->first; c; c = c->next)
        e = error_append(e, read_value(&pin, c));
    if (!e && (!pin.url || !pin.sha256))
        e = bad(node->at, pin.url ? "an entry without sha256" : "an entry without url");
    if (!e)
        place_of(pins, pin.url, &found);
    if (found)
        e = error_new(ERROR_RECIPE, node->at, "keep one entry", "'%s' stands twice", pin.url);
    return e ? e : add(pins, &pin);
}

static struct error *read_tree(struct pins *pins, const struct node *root)
{
    const struct node *version = node_get(root, "retort"), *files = node_get(root, "files");
    struct error *e = NULL;
    bool empty = files && files->kind == NODE_SCALAR && !*files->text; // all its lines were deleted
    if (root->kind != NODE_MAP || !version || version->kind != NODE_SCALAR || !files || (files->kind != NODE_LIST && !empty))
        return error_new(ERROR_RECIPE, root->at, "delete it, and run `retort data` again",
                         "this is no list of fetched files: `retort: 1` and `files: [...]`");
    if (strcmp(version->text, "1"))
        return error_new(ERROR_NOT_BUILT, version->at, "take a newer retort, or delete the file",
                         "version '%.20s' of the list of fetched files is not built in this version", version->text);
    for (const struct node *c = root->first; c; c = c->next)
        if (c != version && c != files)
            e = error_append(e, error_new(ERROR_RECIPE, c->key_at, "delete it", "unknown key '%.80s'", c->key));
    int n_told = 0;
    for (const struct node *c = files->first; c && n_told < 100; c = c->next) {
        struct error *entry = read_entry(pins, c);
        n_told += entry != NULL;
        e = error_append(e, entry);
    }
    return e;
}

static struct error *read_file(struct pins *pins)
{
    struct node *root;
    if (!file_exists(pins->path))
        return NULL;
    struct error *e = yaml_read(pins->path, pins->arena, &root);
    if (!e)
        e = read_tree(pins, root);
    for (struct error *each = e; each && each != error_memory(); each = each->next)
        if (!each->at.file)
            return error_while(e, NOWHERE, "reading the list of fetched files '%s'", pins->path);
    return e;
}

struct error *pins_read(struct pins *pins, const char *recipe, struct arena *arena)
{
    const char *dot = strrchr(recipe, '.');
    bool yaml = dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
    *pins = (struct pins){.arena = arena};
    pins->path = arena_printf(arena, "%.*s.data.yaml", yaml ? (int)(dot - recipe) : (int)strlen(recipe), recipe);
    return pins->path ? read_file(pins) : error_memory();
}

// Entries that are new here, into what the file holds now.
static struct error *merge(struct pins *pins, const struct pins *ours)
{
    struct error *e = read_file(pins);
    for (int i = 0; i < ours->n && !e; i++) {
        const struct pin *mine = &ours->all[i], *theirs = pins_find(pins, mine->url);
        if (mine->at.file)
            continue;
        if (theirs && strcmp(theirs->sha256, mine->sha256))
            e = error_new(ERROR_DATA, theirs->at, "keep one of the two: remove the entry, or the file",
                          "another process found something else at '%s'", mine->url);
        else if (!theirs || (!theirs->etag && mine->etag) || theirs->bytes < 0)
            e = add(pins, mine);
    }
    return e;
}

// A line an entry; JSON's quoted texts are YAML's, too.
static struct error *add_line(struct bytes *text, const struct pin *pin)
{
    struct json url = {0}, etag = {0};
    struct arena scratch = {0};
    json_str(&url, pin->url);
    json_str(&etag, pin->etag);
    const char *bytes = pin->bytes >= 0 ? arena_printf(&scratch, ", bytes: %lld", (long long)pin->bytes) : "";
    const char *line = json_text(&url) && json_text(&etag) && bytes
                           ? arena_printf(&scratch, "  - {url: %s%s, sha256: \"%s\"%s%s}\n", url.text, bytes, pin->sha256,
                                          pin->etag ? ", etag: " : "", pin->etag ? etag.text : "")
                           : NULL;
    struct error *e = line ? bytes_append(text, line, strlen(line)) : error_memory();
    json_release(&url);
    json_release(&etag);
    arena_release(&scratch);
    return e;
}

static struct error *write_file(const struct pins *pins)
{
    static const char head[] =
        "# What `retort data` fetched for the recipe beside this file. Keep it with the recipe: the keys of results are made of "
        "it,\n"
        "# and what is fetched again must be the same. To take what an address holds now, delete its line here and its file.\n"
        "retort: 1\nfiles:\n";
    struct bytes text = {0};
    struct error *e = bytes_append(&text, head, sizeof head - 1);
    for (int i = 0; i < pins->n && !e; i++)
        e = add_line(&text, &pins->all[i]);
    if (!e && text.n > YAML_MOST_BYTES)
        e = error_new(ERROR_RECIPE, NOWHERE, "read fewer files, or shorter addresses", "'%s' would be larger than 4 MiB",
                      pins->path);
    if (!e)
        e = atomic_write(pins->path, text.byte, text.n);
    bytes_release(&text);
    return e;
}

// Processes that write the same file take turns: a lock of its folder, which leaves nothing behind. Where folders cannot be locked the
// last writer wins, and what was lost is put there again by the next `retort data`.
static int lock_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct arena scratch = {0};
    const char *folder = slash == path ? "/" : slash ? arena_strndup(&scratch, path, (size_t)(slash - path)) : ".";
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0)
        (void)!flock(fd, LOCK_EX);
    arena_release(&scratch);
    return fd;
}

struct error *pins_write(struct pins *pins)
{
    struct arena scratch = {0};
    struct pins merged = {.path = pins->path, .arena = &scratch};
    int fd = lock_folder(pins->path);
    struct error *e = merge(&merged, pins);
    if (!e)
        e = write_file(&merged);
    if (fd >= 0)
        close(fd);
    arena_release(&scratch);
    return error_while(e, NOWHERE, "writing down in '%s' what was fetched", pins->path);
}
