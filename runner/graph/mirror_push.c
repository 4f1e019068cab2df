// mirror_push.c - items, one a file that is here; each is there, or on its way, or waits.
//
// What is there is known by what this process brought there, and at first by one look at the mirror for each stage: a result of the same
// length whose note, NAME.sha256, has its SHA-256. A file is read through one descriptor from beginning to end: stages replace checkpoints
// by rename, and what was opened stays as it was.
#include "runner/graph/mirror_push.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/point.h"
#include "core/remote/remote.h"
#include "core/store/atomic.h"
#include "core/store/identity.h"
#include "core/store/store.h"
#include "runner/graph/mirror_note.h"
#include "runner/graph/mirror_spare.h"

enum { SPARE = -1, NEWER = -2 }; // in place of the bytes of a file there: that it may be replaced, or must not be, is known

enum { LOOK_MS = 500, RECORDS_MOST = 50, PATIENCE = 2, WHY = 400, FD_PATH = 64, IDLE_PRIORITY = 3 << 13, OF_THIS_PROCESS = 1 };

static const double WAIT_MOST_S = 300, TELL_S = 0.5;

enum item_kind { ITEM_RESULT, ITEM_KEPT, ITEM_RECORD, ITEM_PART };

// What a file is known by, to see that it is another.
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    int64_t mtime_ns;
};

struct item {
    enum item_kind kind;
    int i_stage;                     // -1: a record
    const char *label, *path, *name; // name: there; of a checkpoint it depends on its step
    struct stamp seen, pushed, damaged;
    bool is_here, is_there, looked; // looked: whether the mirror has it was asked
    int n_failed;
    char why[WHY];
};

// What the mirror had of a stage when it was looked at.
struct shelf {
    bool looked, untidy; // untidy: something was left off in the middle, and may be there in part
    struct remote_entry *entries;
    int n;
    int64_t newest; // step of a checkpoint; -1: none
};

struct pusher {
    const struct mirror_job *job;
    struct arena arena;
    struct remote *remote;
    struct identities *ids;
    const char **stems; // of the stages
    struct shelf *shelves, records;
    struct item **items;
    int n_items, capacity;
    struct item *now;
    int lifeline, tries; // tries: once told to finish; else 0
    bool quit;
    int n_failed, n_pushed; // n_failed: in a row
    double wait_s, again_at, told_at;
    int64_t told; // a number that is another when there is something new to tell
    int64_t sent;
    char warning[WHY], newer[WHY], line[64];
    size_t n_line;
};

static bool same(const struct stamp *a, const struct stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static struct stamp stamp_of(const struct stat *st)
{
    return (struct stamp){st->st_dev, st->st_ino, st->st_size, (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec};
}

// ---- the other end of stdin

static void take_line(struct pusher *p, char c)
{
    if (c != '\n') {
        if (p->n_line + 1 < sizeof p->line)
            p->line[p->n_line++] = c;
        return;
    }
    p->line[p->n_line] = '\0';
    p->n_line = 0;
    if (!strncmp(p->line, "finish ", 7) && !p->tries) {
        p->tries = atoi(p->line + 7) > 0 ? atoi(p->line + 7) : 1;
        p->n_failed = 0;
        p->again_at = 0;
        for (int i = 0; i < p->n_items; i++)
            p->items[i]->n_failed = 0;
    }
}

static void listen_for(struct pusher *p, int milliseconds)
{
    struct pollfd fd = {.fd = p->lifeline, .events = POLLIN};
    char text[256];
    while (!p->quit && poll(&fd, 1, milliseconds) > 0) {
        ssize_t n = read(p->lifeline, text, sizeof text);
        if (n < 0 && errno == EINTR)
            continue;
        p->quit = n <= 0;
        for (ssize_t i = 0; i < n; i++)
            take_line(p, text[i]);
        milliseconds = 0;
    }
}

// ---- how it stands

static bool is_pending(const struct item *item)
{
    return item->is_here && !item->is_there;
}

// The state, if it is another than the last.
static void tell(struct pusher *p, bool ended)
{
    struct arena arena = {0};
    struct mirror_state s = {.address = p->job->address,
                             .number = p->job->number,
                             .pid = getpid(),
                             .ended = ended,
                             .now = p->now ? p->now->label : NULL,
                             .bytes_sent = p->now ? p->sent : 0,
                             .n_pushed = p->n_pushed,
                             .warning = p->warning[0] ? p->warning : NULL,
                             .newer = p->newer[0] ? p->newer : NULL};
    s.missing = arena_array(&arena, (size_t)p->n_items + 1, sizeof *s.missing);
    for (int i = 0; i < p->n_items && s.missing; i++) {
        const struct item *item = p->items[i];
        s.n_files += item->is_here;
        s.n_there += item->is_here && item->is_there;
        if (!is_pending(item))
            continue;
        s.bytes_left += item->seen.size;
        s.missing[s.n_missing++] = (struct mirror_missing){item->label, item->path, item->why[0] ? item->why : NULL};
    }
    int64_t is =
        (s.n_there * 31 + s.n_files) * 31 + p->n_failed * 7 + s.bytes_left + s.bytes_sent + (p->now ? p->now->kind + 1 : 0);
    p->told_at = clock_seconds();
    if (s.missing && (ended || is != p->told))
        error_free(mirror_write(&s, p->job->results, p->job->name)); // who wants to know asks again
    p->told = is;
    arena_release(&arena);
}

static bool go_on(void *self, int64_t bytes)
{
    struct pusher *p = self;
    p->sent = bytes;
    listen_for(p, 0);
    if (clock_seconds() - p->told_at >= TELL_S)
        tell(p, false);
    struct stat st;
    bool over = p->now && p->now->kind == ITEM_PART && !stat(p->items[p->now->i_stage]->path, &st); // its stage has finished
    return !p->quit && !over;
}

// ---- what is here

static struct error *add_item(struct pusher *p, struct item **added, enum item_kind kind, int i_stage, const char *label,
                              const char *path, const char *name)
{
    if (p->n_items == p->capacity) {
        int more = p->capacity ? 2 * p->capacity : 64;
        struct item **all = arena_grow(&p->arena, p->items, (size_t)p->n_items, (size_t)more, sizeof *all);
        if (!all)
            return error_memory();
        p->items = all;
        p->capacity = more;
    }
    struct item *item = arena_alloc(&p->arena, sizeof *item);
    if (!item || !label || !path || !name)
        return error_memory();
    *item = (struct item){.kind = kind, .i_stage = i_stage, .label = label, .path = path, .name = name};
    p->items[p->n_items++] = item;
    if (added)
        *added = item;
    return NULL;
}

// The first n_stages items are the results, the next n_stages the checkpoints.
static struct error *add_stages(struct pusher *p)
{
    const struct mirror_job *job = p->job;
    struct error *e = NULL;
    p->stems = arena_array(&p->arena, (size_t)job->n_stages + 1, sizeof *p->stems);
    p->shelves = arena_array(&p->arena, (size_t)job->n_stages + 1, sizeof *p->shelves);
    if (!p->stems || !p->shelves)
        return error_memory();
    for (int i = 0; i < job->n_stages; i++)
        if (!(p->stems[i] = mirror_stem(job->stages[i].kind, job->stages[i].key, &p->arena)))
            return error_memory();
    for (int part = 0; part < 2; part++)
        for (int i = 0; i < job->n_stages && !e; i++)
            e = add_item(p, NULL, part ? ITEM_PART : ITEM_RESULT, i,
                         part ? arena_printf(&p->arena, "checkpoint of %s", job->stages[i].name) : job->stages[i].name,
                         arena_printf(&p->arena, "%s/store/%s%s", job->results, p->stems[i], part ? ".part.h5" : ".h5"),
                         arena_printf(&p->arena, "store/%s%s", p->stems[i], part ? ".part" : ".h5"));
    return e;
}

static struct item *item_of(const struct pusher *p, const char *name)
{
    for (int i = 0; i < p->n_items; i++)
        if (!strcmp(p->items[i]->name, name))
            return p->items[i];
    return NULL;
}

// "STEM@STEP.h5" among the files of the store.
static struct error *add_kept(struct pusher *p, const char *file)
{
    const char *at = strchr(file, '@');
    size_t digits = at ? strspn(at + 1, "0123456789") : 0;
    if (!digits || strcmp(at + 1 + digits, ".h5"))
        return NULL;
    for (int i = 0; i < p->job->n_stages; i++) {
        if (strlen(p->stems[i]) != (size_t)(at - file) || strncmp(p->stems[i], file, (size_t)(at - file)))
            continue;
        const char *name = arena_printf(&p->arena, "store/%s", file);
        if (!name)
            return error_memory();
        if (item_of(p, name))
            return NULL;
        return add_item(p, NULL, ITEM_KEPT, i, arena_printf(&p->arena, "%s@%.*s", p->job->stages[i].name, (int)digits, at + 1),
                        arena_printf(&p->arena, "%s/store/%s", p->job->results, file), name);
    }
    return NULL;
}

static struct error *look_for_kept(struct pusher *p)
{
    struct arena scratch = {0};
    const char *folder = arena_printf(&scratch, "%s/store", p->job->results);
    DIR *dir = folder ? opendir(folder) : NULL;
    struct error *e = folder ? NULL : error_memory();
    for (const struct dirent *each; !e && dir && (each = readdir(dir));)
        e = strchr(each->d_name, '@') ? add_kept(p, each->d_name) : NULL;
    if (dir)
        closedir(dir);
    arena_release(&scratch);
    return e;
}

// The newest runs; a run of another process that begins meanwhile has a mirror of its own.
static struct error *add_records(struct pusher *p)
{
    int *numbers, n;
    struct error *e = run_numbers(p->job->results, p->job->name, &p->arena, &numbers, &n);
    for (int i = n > RECORDS_MOST ? n - RECORDS_MOST : 0; i < n && !e; i++)
        e = add_item(p, NULL, ITEM_RECORD, -1, arena_printf(&p->arena, "record of run %04d", numbers[i]),
                     run_path(&p->arena, p->job->results, p->job->name, numbers[i]),
                     arena_printf(&p->arena, "runs/%s/%04d.h5", p->job->name, numbers[i]));
    return e;
}

// Which files are there now, and whether they are those that were pushed.
static struct error *look_here(struct pusher *p)
{
    struct error *e = look_for_kept(p);
    int n = p->job->n_stages;
    for (int i = 0; i < p->n_items; i++) {
        struct item *item = p->items[i];
        struct stat st;
        item->is_here =
            !stat(item->path, &st) && S_ISREG(st.st_mode) && st.st_size > 0; // an empty record is of a run that begins
        if (item->kind == ITEM_PART && p->items[i - n]->is_here)
            item->is_here = false;
        if (!item->is_here)
            continue;
        item->seen = stamp_of(&st);
        item->is_there = same(&item->seen, &item->pushed);
        if (same(&item->seen, &item->damaged))
            continue;
        if (item->damaged.size) // another file by now
            item->damaged = (struct stamp){0}, item->why[0] = '\0', item->n_failed = 0;
    }
    return e;
}

// ---- what is there

static const struct remote_entry *entry_of(const struct shelf *shelf, const char *name)
{
    const char *file = strrchr(name, '/') + 1;
    for (int i = 0; i < shelf->n; i++)
        if (!strcmp(shelf->entries[i].name, file))
            return &shelf->entries[i];
    return NULL;
}

static struct shelf *shelf_of(struct pusher *p, const struct item *item)
{
    return item->i_stage < 0 ? &p->records : &p->shelves[item->i_stage];
}

static struct error *look_there(struct pusher *p, const struct item *item)
{
    struct shelf *shelf = shelf_of(p, item);
    const char *folder = item->i_stage < 0 ? arena_printf(&p->arena, "runs/%s", p->job->name) : "store";
    if (shelf->looked)
        return NULL;
    if (!folder)
        return error_memory();
    struct error *e = remote_make(p->remote, folder);
    if (!e)
        e = remote_list(p->remote, folder, item->i_stage < 0 ? "" : p->stems[item->i_stage], &p->arena, &shelf->entries,
                        &shelf->n);
    if (e)
        return e;
    shelf->looked = true;
    shelf->newest = -1;
    for (int i = 0; i < shelf->n && item->i_stage >= 0; i++) {
        int64_t step = mirror_step(shelf->entries[i].name, p->stems[item->i_stage]);
        shelf->newest = step > shelf->newest ? step : shelf->newest;
    }
    return NULL;
}

// A record of the same number that another machine put there keeps its name; ours gets its start into its own.
static struct error *name_record(struct pusher *p, struct item *item, const char *note)
{
    struct arena scratch = {0};
    char digits[MIRROR_NOTE_DIGITS];
    struct error *e = NULL;
    if (mirror_note_is_anothers(note, mirror_note_owner(item->path, &scratch), digits)) {
        size_t stem = strlen(item->name) - strlen(".h5");
        const char *name = arena_printf(&p->arena, "%.*s-%s.h5", (int)stem, item->name, digits);
        e = name ? NULL : error_memory();
        item->name = name ? name : item->name;
    }
    arena_release(&scratch);
    return e;
}

static struct error *write_note(struct pusher *p, const struct item *item, const char *sha256)
{
    struct arena scratch = {0};
    const char *owner = item->kind == ITEM_RECORD ? mirror_note_owner(item->path, &scratch) : NULL;
    struct error *e = mirror_note_write(p->remote, item->name, owner, sha256);
    arena_release(&scratch);
    return e;
}

// Whether a note is of the same bytes as the file here.
static struct error *compare_note(struct pusher *p, struct item *item, const char *note)
{
    char hex[SHA256_HEX];
    const char *its = mirror_note_sha256(note);
    struct error *e = its ? identities_get(p->ids, item->path, hex) : NULL;
    if (!e && its && !strncmp(its, hex, SHA256_HEX - 1))
        item->pushed = item->seen, item->is_there = true;
    return e;
}

// Whether the mirror has an item from before. A record may get another name on the way, and is looked for under that.
static struct error *look_for(struct pusher *p, struct item *item)
{
    char note[MIRROR_NOTE];
    struct error *e = look_there(p, item);
    if (e || item->looked)
        return e;
    for (int tries = 0; tries < 2 && !e && item->kind != ITEM_PART; tries++) {
        const char *name = item->name;
        const struct remote_entry *entry = entry_of(shelf_of(p, item), name);
        if (!entry || (e = mirror_note_read(p->remote, name, note)))
            break;
        if (item->kind == ITEM_RECORD && !tries)
            e = name_record(p, item, note);
        if (!e && name == item->name) {
            e = entry->bytes == item->seen.size ? compare_note(p, item, note) : NULL;
            break;
        }
    }
    item->looked = !e;
    return e;
}

// Whether what is there of a name may be replaced or removed: ERROR_NOT_BUILT where a newer retort wrote it.
static struct error *spare_entry(struct pusher *p, struct remote_entry *entry, const char *name)
{
    const struct remote_watch watch = {p, go_on};
    if (entry->bytes == NEWER)
        return error_plain(ERROR_NOT_BUILT, "'%s' of the mirror was written by a newer retort", name);
    struct error *e = entry->bytes == SPARE ? NULL : mirror_spare(p->remote, name, entry->bytes, p->job->results, &watch);
    p->sent = 0; // what came was no part of what goes
    if (!e || e->kind == ERROR_NOT_BUILT)
        entry->bytes = e ? NEWER : SPARE;
    return e;
}

// The same of all that copying an item would replace or remove: of a checkpoint those that are there, else the file of its name.
static struct error *spare(struct pusher *p, const struct item *item)
{
    struct shelf *shelf = shelf_of(p, item);
    const char *file = strrchr(item->name, '/') + 1;
    struct error *e = NULL;
    for (int i = 0; i < shelf->n && !e; i++) {
        struct arena scratch = {0};
        const char *its = shelf->entries[i].name;
        bool goes = item->kind == ITEM_PART ? mirror_step(its, p->stems[item->i_stage]) >= 0 : !strcmp(its, file);
        const char *name = goes ? arena_printf(&scratch, "%.*s%s", (int)(file - item->name), item->name, its) : "";
        e = !name ? error_memory() : goes ? spare_entry(p, &shelf->entries[i], name) : NULL;
        arena_release(&scratch);
    }
    if (e && e->kind != ERROR_NOT_BUILT)
        shelf->looked = false; // it may be another by now
    return e;
}

// ---- copying

// Checkpoints there that are older than `newer`; with INT64_MAX, of a stage that has finished, all, and what killed processes left of its
// files. What cannot be removed, for want of the right to, is no harm; the next time tries again. What a newer retort wrote stays.
static void remove_older(struct pusher *p, int i_stage, int64_t newer)
{
    struct shelf *shelf = &p->shelves[i_stage];
    for (int i = 0; i < shelf->n; i++) {
        struct arena scratch = {0};
        int64_t step = mirror_step(shelf->entries[i].name, p->stems[i_stage]);
        bool left = newer == INT64_MAX && remote_is_temporary(shelf->entries[i].name);
        const char *name =
            left || (step >= 0 && step < newer) ? arena_printf(&scratch, "store/%s", shelf->entries[i].name) : NULL;
        struct error *e = name && !left ? spare_entry(p, &shelf->entries[i], name) : NULL;
        if (name && !e)
            e = remote_remove(p->remote, name);
        if (name && !e)
            shelf->entries[i].name = "";
        error_free(e);
        arena_release(&scratch);
    }
}

static struct error *note_part(struct pusher *p, int i_stage, const char *name, int64_t step)
{
    struct shelf *shelf = &p->shelves[i_stage];
    shelf->newest = step;
    int free = 0;
    while (free < shelf->n && shelf->entries[free].name[0])
        free++;
    const char *file = arena_strdup(&p->arena, strrchr(name, '/') + 1);
    if (!file)
        return error_memory();
    if (free < shelf->n) {
        shelf->entries[free] = (struct remote_entry){file, SPARE};
        return NULL;
    }
    struct remote_entry *more = arena_grow(&p->arena, shelf->entries, (size_t)shelf->n, (size_t)shelf->n + 1, sizeof *more);
    if (!more)
        return error_memory();
    more[shelf->n++] = (struct remote_entry){file, SPARE};
    shelf->entries = more;
    return NULL;
}

// Reads all of it against its own checksums, through the descriptor that is going to be copied; path: what errors call it. step: of a
// checkpoint, 0 where it has none.
static struct error *verify_here(int fd, char path[FD_PATH], int64_t *step)
{
    struct store_file *file = NULL;
    snprintf(path, FD_PATH, "/proc/self/fd/%d", fd);
    *step = 0;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_verify(file);
    if (!e)
        error_free(store_get_i64(file, "/", "step", step));
    store_close(file);
    return e;
}

static struct error *put(struct pusher *p, struct item *item, int fd, int64_t step)
{
    struct arena scratch = {0};
    char sha256[SHA256_HEX];
    const char *name = item->kind == ITEM_PART ? arena_printf(&scratch, "%s@%lld.h5", item->name, (long long)step) : item->name;
    const struct remote_watch watch = {p, go_on};
    struct error *e = name ? hash_range(fd, 0, item->seen.size, sha256, NULL) : error_memory();
    if (!e)
        e = remote_put(p->remote, name, fd, item->seen.size, sha256, &watch);
    if (!e)
        point("mirror.put");
    if (!e && item->kind != ITEM_PART)
        e = write_note(p, item, sha256);
    if (!e && item->kind == ITEM_PART)
        e = note_part(p, item->i_stage, name, step);
    if (!e)
        point("mirror.noted");
    if (!e && (item->kind == ITEM_PART || item->kind == ITEM_RESULT))
        remove_older(p, item->i_stage, item->kind == ITEM_PART ? step : INT64_MAX);
    if (!e)
        point("mirror.tidied");
    if (e && item->i_stage >= 0)
        p->shelves[item->i_stage].untidy = true;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    arena_release(&scratch);
    return e;
}

static bool is_due(const struct pusher *p, const struct item *item)
{
    return is_pending(item) && !same(&item->seen, &item->damaged) && !(p->tries && item->n_failed >= p->tries);
}

// Whether a kept step that is due still stands before another file of its stage: not once it failed more often than that one, and at the
// end not while all fails, for one that cannot be copied must not keep out what can.
static bool stands_before(const struct pusher *p, const struct item *kept, const struct item *item)
{
    int patience = p->tries ? p->tries / 2 : PATIENCE;
    if (kept->n_failed >= item->n_failed + patience)
        return false;
    return p->n_failed < patience || (!p->tries && !kept->n_failed);
}

// A checkpoint or a result goes there behind the steps that were kept before it: who goes on from it does not come by them again.
static bool is_behind(const struct pusher *p, const struct item *item)
{
    for (int i = 0; i < p->n_items && (item->kind == ITEM_PART || item->kind == ITEM_RESULT); i++)
        if (p->items[i]->kind == ITEM_KEPT && p->items[i]->i_stage == item->i_stage && is_due(p, p->items[i]) &&
            stands_before(p, p->items[i], item))
            return true;
    return false;
}

// What is wrong with the file itself, here or there, keeps it from being copied as long as it is this one here.
static void leave(struct item *item, const char *why, const char *said)
{
    item->damaged = item->seen;
    snprintf(item->why, sizeof item->why, "not copied, since %s%s", why, said);
}

// The file as it is now, if it is still there.
static struct error *push_open(struct pusher *p, struct item *item, int fd)
{
    struct stat st;
    int64_t step;
    char path[FD_PATH];
    if (fstat(fd, &st))
        return error_system(ERROR_MACHINE, errno, "cannot read '%s'", item->path);
    item->seen = stamp_of(&st);
    struct error *e = look_for(p, item);
    if (!e && item->is_there && item->kind == ITEM_RESULT)
        remove_older(p, item->i_stage, INT64_MAX);
    if (e || item->is_there)
        return e;
    if ((e = verify_here(fd, path, &step))) {
        const char *said = mirror_said(e, path);
        leave(item, said == e->what ? "" : "here it ", said);
        error_free(e);
        return NULL;
    }
    if ((e = spare(p, item)) && e->kind == ERROR_NOT_BUILT) {
        leave(item, "", e->what);
        if (!p->newer[0])
            snprintf(p->newer, sizeof p->newer, "%s", e->what);
        error_free(e);
        return NULL;
    }
    if (e)
        return e;
    if ((e = look_here(p)) || is_behind(p, item)) // by what was kept since it was this one's turn
        return e;
    item->seen = stamp_of(&st); // the one that is open, whatever has that name by now
    item->is_there = false;
    // One that goes on from an older checkpoint makes the same bits again: the mirror's stays until there is a newer one.
    bool older = item->kind == ITEM_PART && step <= p->shelves[item->i_stage].newest;
    if (!older)
        e = put(p, item, fd, step);
    if (!e) {
        item->pushed = item->seen;
        item->is_there = true;
        item->why[0] = '\0';
        p->n_pushed += !older;
    }
    return e;
}

static void say(char why[WHY], const struct error *e)
{
    snprintf(why, WHY, "%s%s%s", e->what, e->fix ? "; " : "", e->fix ? e->fix : "");
}

static void fail(struct pusher *p, struct item *item, struct error *e)
{
    bool refused =
        e->kind == ERROR_USAGE && !(p->tries && item->kind == ITEM_KEPT); // others may be taken where a kept step is not
    item->n_failed++;
    p->n_failed++;
    say(item->why, e);
    say(p->warning, e);
    if (refused && p->tries)
        item->n_failed = p->n_failed = p->tries;
    p->again_at =
        clock_seconds() + (refused ? WAIT_MOST_S : fmin(ldexp(p->wait_s, p->n_failed < 12 ? p->n_failed - 1 : 11), WAIT_MOST_S));
    error_free(e);
}

static void push(struct pusher *p, struct item *item)
{
    int fd = open(item->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return; // it has gone meanwhile
    if (fd < 0) {
        fail(p, item, error_system(ERROR_MACHINE, errno, "cannot open '%s'", item->path));
        return;
    }
    p->now = item;
    p->sent = 0;
    tell(p, false);
    struct error *e = push_open(p, item, fd);
    close(fd);
    if (e && e->kind == ERROR_STOPPED) { // by go_on
        error_free(e);
    } else if (e) {
        fail(p, item, e);
    } else {
        p->n_failed = item->n_failed = 0;
        p->warning[0] = '\0';
    }
    p->now = NULL;
    tell(p, false);
}

// The next to be copied: what failed least, in the order of kinds.
static struct item *next(const struct pusher *p)
{
    struct item *best = NULL;
    if (p->tries && p->n_failed >= p->tries)
        return NULL;
    for (int i = 0; i < p->n_items; i++) {
        struct item *item = p->items[i];
        if (!is_due(p, item) || is_behind(p, item))
            continue;
        if (!best || item->n_failed < best->n_failed || (item->n_failed == best->n_failed && item->kind < best->kind))
            best = item;
    }
    return best;
}

static struct error *set_up(struct pusher *p)
{
    const char *wait = getenv("RETORT_MIRROR_WAIT"), *cache = arena_printf(&p->arena, "%s/identity.tsv", p->job->results);
    p->wait_s = wait && strtod(wait, NULL) > 0 ? fmin(strtod(wait, NULL), WAIT_MOST_S) : 1;
    if (setpriority(PRIO_PROCESS, 0, 19) || syscall(SYS_ioprio_set, OF_THIS_PROCESS, 0, IDLE_PRIORITY))
        errno = 0; // then it is as greedy as others
    struct error *e = cache ? identities_open(&p->ids, cache, &p->arena) : error_memory();
    if (!e)
        e = add_stages(p);
    return e ? e : add_records(p);
}

// Opening is looking at the address and for keys: what is wrong with them does not pass, but is told as anything else is.
static struct error *open_remote(struct pusher *p)
{
    struct error *e = remote_open(&p->remote, p->job->address, &p->arena);
    if (!e || e == error_memory())
        return e;
    say(p->warning, e);
    error_free(e);
    return NULL;
}

// What killed processes left of a record that is there.
static void tidy_record(struct pusher *p, const struct item *item)
{
    const char *file = strrchr(item->name, '/') + 1;
    size_t n = strlen(file);
    for (int i = 0; i < p->records.n; i++) {
        const char *left = p->records.entries[i].name;
        if (strncmp(left, file, n) || left[n] != '.' || !remote_is_temporary(left))
            continue;
        struct arena scratch = {0};
        const char *name = arena_printf(&scratch, "runs/%s/%s", p->job->name, left);
        error_free(name ? remote_remove(p->remote, name) : NULL);
        arena_release(&scratch);
    }
}

// What could not be removed when its result came there, once more; and what copies that were left off may have left.
static void tidy(struct pusher *p)
{
    for (int i = 0; i < p->n_items && !p->n_failed && p->remote; i++)
        if (p->items[i]->kind == ITEM_RECORD && p->items[i]->is_there)
            tidy_record(p, p->items[i]);
    for (int i = 0; i < p->job->n_stages && !p->n_failed && p->remote; i++) {
        struct shelf *shelf = &p->shelves[i];
        struct error *e = NULL;
        if (!p->items[i]->is_there)
            continue;
        if (shelf->untidy)
            e = remote_list(p->remote, "store", p->stems[i], &p->arena, &shelf->entries, &shelf->n);
        if (!e)
            remove_older(p, i, INT64_MAX);
        error_free(e);
    }
}

static struct error *run(struct pusher *p)
{
    for (;;) {
        listen_for(p, 0);
        if (p->quit)
            return NULL;
        struct error *e = look_here(p);
        if (e)
            return e;
        struct item *item = p->remote ? next(p) : NULL;
        double left = p->again_at - clock_seconds();
        if (item && left <= 0) {
            push(p, item);
            continue;
        }
        if (p->tries && !item) {
            tidy(p);
            return NULL;
        }
        if (clock_seconds() - p->told_at >= 2 * TELL_S)
            tell(p, false);
        identities_keep(p->ids); // if there is anything new
        listen_for(p, left > 0 && left * 1000 < LOOK_MS ? (int)(left * 1000) + 1 : LOOK_MS);
    }
}

struct error *mirror_push(const struct mirror_job *job, int lifeline)
{
    struct pusher p = {.job = job, .lifeline = lifeline};
    struct error *e = set_up(&p);
    if (!e)
        e = open_remote(&p);
    if (!e)
        e = run(&p);
    if (e)
        snprintf(p.warning, sizeof p.warning, "%s", e->what);
    if (!p.quit)
        tell(&p, true);
    if (p.ids)
        identities_keep(p.ids);
    remote_close(p.remote);
    arena_release(&p.arena);
    return e;
}
