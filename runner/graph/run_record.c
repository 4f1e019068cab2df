// run_record.c - a record is rewritten whole each time: it is small, and so it is always either the old one or the new one.
//
// The number is taken by making an empty NNNN.h5 with O_EXCL, which the first run_save replaces; an empty one that a crash left
// behind is damaged for readers and passed over. Numbers are not used again.
#include "runner/graph/run_record.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/store/atomic.h"
#include "runner/graph/lock.h"

enum { NAME_TEXT = 256, WORD_TEXT = 72, SETS_A_STAGE = 3 + RUN_TABLES, NUMBERS_MOST = 1000000, TEXT_MOST = 64 << 20 };

struct stage_row {
    char name[NAME_TEXT], kind[WORD_TEXT], key[WORD_TEXT], state[WORD_TEXT];
    double seconds, usd;
    int64_t params, tokens;
    double flops;
    char isa[WORD_TEXT], build[NAME_TEXT], machine[NAME_TEXT], canary[WORD_TEXT];
    int64_t threads;
};

static const struct store_member stage_members[] = {
    {"name", STORE_TEXT, offsetof(struct stage_row, name), NAME_TEXT},
    {"kind", STORE_TEXT, offsetof(struct stage_row, kind), WORD_TEXT},
    {"key", STORE_TEXT, offsetof(struct stage_row, key), WORD_TEXT},
    {"state", STORE_TEXT, offsetof(struct stage_row, state), WORD_TEXT},
    {"seconds", STORE_F64, offsetof(struct stage_row, seconds), 0},
    {"usd", STORE_F64, offsetof(struct stage_row, usd), 0},
    {"params", STORE_I64, offsetof(struct stage_row, params), 0},
    {"tokens", STORE_I64, offsetof(struct stage_row, tokens), 0},
    {"flops", STORE_F64, offsetof(struct stage_row, flops), 0},
    {"isa", STORE_TEXT, offsetof(struct stage_row, isa), WORD_TEXT},
    {"build", STORE_TEXT, offsetof(struct stage_row, build), NAME_TEXT},
    {"machine", STORE_TEXT, offsetof(struct stage_row, machine), NAME_TEXT},
    {"canary", STORE_TEXT, offsetof(struct stage_row, canary), WORD_TEXT},
    {"threads", STORE_I64, offsetof(struct stage_row, threads), 0},
};

// What a record is saved from: sets point into the arena and into the tables.
struct saving {
    struct arena arena;
    struct store_set *sets;
    int n_sets;
    struct run_tables *tables; // one a stage
};

// The tables of a stage: where they lie under its group, what their rows are, and which they are.
static const struct {
    const char *name;
    const struct store_member *members;
    int n_members;
    size_t row_bytes, offset;
} kept[RUN_TABLES] = {
    {"metrics/train", metric_train_members, METRIC_TRAIN_MEMBERS, sizeof(struct metric_train),
     offsetof(struct run_tables, train)},
    {"metrics/val", metric_val_members, METRIC_VAL_MEMBERS, sizeof(struct metric_val), offsetof(struct run_tables, val)},
    {"metrics/rollouts", metric_rollouts_members, METRIC_ROLLOUTS_MEMBERS, sizeof(struct metric_rollouts),
     offsetof(struct run_tables, rewards)},
    {"metrics/pass", metric_pass_members, METRIC_PASS_MEMBERS, sizeof(struct metric_pass), offsetof(struct run_tables, pass)},
    {"metrics/text", metric_text_members, METRIC_TEXT_MEMBERS, sizeof(struct metric_text), offsetof(struct run_tables, texts)},
    {"timing/train", timing_train_members, TIMING_TRAIN_MEMBERS, sizeof(struct timing_train),
     offsetof(struct run_tables, timing)},
    {"samples", sample_members, SAMPLE_MEMBERS, sizeof(struct sample), offsetof(struct run_tables, samples)},
    {"rollouts", rollout_members, ROLLOUT_MEMBERS, sizeof(struct rollout), offsetof(struct run_tables, rollouts)},
    {"scores/bpb", metric_val_members, METRIC_VAL_MEMBERS, sizeof(struct metric_val), offsetof(struct run_tables, scores)},
    {"scores/tasks", task_score_members, TASK_SCORE_MEMBERS, sizeof(struct task_score), offsetof(struct run_tables, tasks)},
    {"scores/suites", suite_score_members, SUITE_SCORE_MEMBERS, sizeof(struct suite_score), offsetof(struct run_tables, suites)},
    {"examples", example_score_members, EXAMPLE_SCORE_MEMBERS, sizeof(struct example_score),
     offsetof(struct run_tables, examples)},
    {"programs", program_score_members, PROGRAM_SCORE_MEMBERS, sizeof(struct program_score),
     offsetof(struct run_tables, programs)},
    {"events", event_members, EVENT_MEMBERS, sizeof(struct event), offsetof(struct run_tables, events)},
};

static struct table *table_of(struct run_tables *t, int i)
{
    return (struct table *)((char *)t + kept[i].offset);
}

static void tables_init(struct run_tables *t)
{
    for (int i = 0; i < RUN_TABLES; i++)
        *table_of(t, i) =
            (struct table){.members = kept[i].members, .n_members = kept[i].n_members, .row_bytes = kept[i].row_bytes};
}

// Whether the first part of a path is among the names.
static bool begins_in(const char *path, const char *const *names, int n_names)
{
    size_t n = strcspn(path, "/");
    for (int i = 0; i < n_names; i++)
        if (!strncmp(path, names[i], n) && !names[i][n])
            return true;
    return false;
}

// One look at what there is spares a search for each table that is not.
static struct error *tables_load(struct run_tables *t, struct store_file *file, const char *prefix, bool all)
{
    struct arena arena = {0};
    const char *const *names = NULL;
    int n_names = 0;
    struct error *e =
        !*prefix || store_has(file, prefix) ? store_list(file, *prefix ? prefix : "/", &arena, &names, &n_names) : NULL;
    for (int i = 0; i < RUN_TABLES && !e; i++) {
        const struct table *table = table_of(t, i);
        bool glanced = table == &t->train || table == &t->val || table == &t->scores || table == &t->rewards;
        if (!begins_in(kept[i].name, names, n_names) || !(all || glanced))
            continue;
        const char *path = arena_printf(&arena, "%s/%s", prefix, kept[i].name);
        e = path ? table_load(table_of(t, i), file, path) : error_memory();
    }
    arena_release(&arena);
    return e;
}

// A training of days is saved thousands of times.
static void forget_saves(struct table *events)
{
    struct event *rows = events->rows;
    int64_t n = 0;
    for (int64_t i = 0; i < events->n; i++)
        if (strcmp(rows[i].kind, "saved"))
            rows[n++] = rows[i];
    events->n = n;
}

static void add_text(struct saving *s, const char *path, const char *text)
{
    if (text)
        s->sets[s->n_sets++] = (struct store_set){
            .path = path, .type = STORE_TEXT, .n_dims = 1, .dims = {1}, .data = text, .text_bytes = strlen(text) + 1};
}

// Who made a result, by its attributes; what it does not have stays empty.
static void take_maker(struct stage_row *row, struct store_file *file, struct arena *arena)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } texts[] = {{"isa", row->isa, sizeof row->isa},
                 {"build", row->build, sizeof row->build},
                 {"machine", row->machine, sizeof row->machine},
                 {"canary", row->canary, sizeof row->canary}};
    for (size_t i = 0; i < countof(texts); i++) {
        const char *text = "";
        error_free(store_get_text(file, "/", texts[i].name, arena, &text));
        snprintf(texts[i].to, texts[i].size, "%s", text);
    }
    error_free(store_get_i64(file, "/", "threads", &row->threads));
}

// As it was read; a result tells it better.
static void keep_maker(struct stage_row *row, const struct run_stage *stage)
{
    snprintf(row->isa, sizeof row->isa, "%s", stage->isa ? stage->isa : "");
    snprintf(row->build, sizeof row->build, "%s", stage->build ? stage->build : "");
    snprintf(row->machine, sizeof row->machine, "%s", stage->machine ? stage->machine : "");
    snprintf(row->canary, sizeof row->canary, "%s", stage->canary ? stage->canary : "");
    row->threads = stage->threads;
}

static struct error *add_stage(struct saving *s, const struct run *run, const struct run_stage *stage, struct stage_row *row,
                               struct run_tables *tables)
{
    const char *texts[3] = {stage->payload, stage->reasons, stage->error};
    static const char *const text_names[3] = {"payload", "reasons", "error"};
    const char *base = arena_printf(&s->arena, "/stage/%s", stage->name);
    tables_init(tables);
    for (int i = 0; i < 3; i++) {
        const char *path = arena_printf(&s->arena, "%s/%s", base, text_names[i]);
        if (!path)
            return error_memory();
        add_text(s, path, texts[i]);
    }
    struct store_file *file = NULL;
    const char *from = stage->file ? stage->file : stage->recorded ? run->path : NULL;
    struct error *e = !base ? error_memory() : from ? store_open(&file, from) : NULL;
    if (!e && file) {
        keep_maker(row, stage);
        if (stage->file)
            take_maker(row, file, &s->arena);
        e = tables_load(tables, file, stage->file ? "" : base, true);
    }
    store_close(file);
    forget_saves(&tables->events);
    for (int i = 0; i < RUN_TABLES && !e; i++) {
        const char *path = arena_printf(&s->arena, "%s/%s", base, kept[i].name);
        if (!path)
            return error_memory();
        if (table_of(tables, i)->n)
            s->sets[s->n_sets++] = table_set(table_of(tables, i), path);
    }
    return e;
}

static struct error *save(struct saving *s, const struct run *run)
{
    size_t n = (size_t)run->n_stages;
    s->sets = arena_array(&s->arena, n * SETS_A_STAGE + 3, sizeof *s->sets);
    s->tables = arena_array(&s->arena, n + 1, sizeof *s->tables);
    struct stage_row *rows = arena_array(&s->arena, n + 1, sizeof *rows);
    if (!s->sets || !s->tables || !rows)
        return error_memory();
    add_text(s, "/recipe/text", run->recipe_text);
    add_text(s, "/recipe/resolved", run->resolved);
    for (size_t i = 0; i < n; i++) {
        const struct run_stage *stage = &run->stages[i];
        rows[i] = (struct stage_row){.seconds = stage->seconds,
                                     .usd = stage->usd,
                                     .params = stage->params,
                                     .tokens = stage->tokens,
                                     .flops = stage->flops};
        snprintf(rows[i].name, sizeof rows[i].name, "%s", stage->name);
        snprintf(rows[i].kind, sizeof rows[i].kind, "%s", stage->kind);
        snprintf(rows[i].key, sizeof rows[i].key, "%s", stage->key);
        snprintf(rows[i].state, sizeof rows[i].state, "%s", stage->state);
        struct error *e = add_stage(s, run, stage, &rows[i], &s->tables[i]);
        if (e)
            return e;
    }
    s->sets[s->n_sets++] = (struct store_set){.path = "/stages",
                                              .type = STORE_TABLE,
                                              .n_dims = 1,
                                              .dims = {run->n_stages},
                                              .data = rows,
                                              .members = stage_members,
                                              .n_members = countof(stage_members),
                                              .row_bytes = sizeof *rows};
    const struct store_attribute attributes[] = {
        store_text("/", "kind", "run"),
        store_text("/", "name", run->name),
        store_i64("/", "number", run->number),
        store_text("/", "state", run->state),
        store_text("/", "started", run->started),
        store_text("/", "ended", run->ended ? run->ended : ""),
        store_f64("/", "seconds", run->seconds),
        store_f64("/", "usd", run->usd),
        store_text("/", "recipe_path", run->recipe_path),
        store_text("/", "settings", run->settings),
        store_text("/", "host", run->host),
        store_i64("/", "recipe_bytes", run->recipe_bytes),
        store_i64("/", "pid", run->pid),
        store_i64("/", "exit_status", run->exit_status),
        store_text("/", "machine", run->machine),
        store_text("/", "build", run->build),
        store_text("/", "code", run->code ? run->code : ""),
        store_text("/", "id", run->id ? run->id : ""),
    };
    return store_save(run->path, attributes, countof(attributes), s->sets, s->n_sets);
}

// A text dataset; *text NULL where there is none.
static struct error *read_text(struct store_file *file, const char *path, struct arena *arena, const char **text)
{
    struct store_set set;
    int64_t offset, bytes;
    *text = NULL;
    if (!store_has(file, path))
        return NULL;
    struct error *e = store_describe(file, path, &set, &offset, &bytes);
    if (e)
        return e;
    if (set.type != STORE_TEXT || bytes < 1 || bytes > TEXT_MOST || set.text_bytes != (size_t)bytes)
        return error_plain(ERROR_DATA, "'%s' is not a text", path);
    char *to = arena_alloc(arena, (size_t)bytes + 1);
    if (!to)
        return error_memory();
    *text = to;
    return store_read(file, path, STORE_TEXT, 0, 1, to);
}

static struct error *read_stage(struct run_stage *stage, struct stage_row *row, struct store_file *file, struct arena *arena)
{
    row->isa[WORD_TEXT - 1] = row->build[NAME_TEXT - 1] = row->machine[NAME_TEXT - 1] = row->canary[WORD_TEXT - 1] = '\0';
    row->name[NAME_TEXT - 1] = row->kind[WORD_TEXT - 1] = row->key[WORD_TEXT - 1] = row->state[WORD_TEXT - 1] = '\0';
    *stage = (struct run_stage){.name = row->name,
                                .kind = row->kind,
                                .key = row->key,
                                .state = row->state,
                                .seconds = row->seconds,
                                .usd = row->usd,
                                .params = row->params,
                                .tokens = row->tokens,
                                .flops = row->flops,
                                .isa = row->isa,
                                .build = row->build,
                                .machine = row->machine,
                                .canary = row->canary,
                                .threads = row->threads};
    const char **const texts[3] = {&stage->payload, &stage->reasons, &stage->error};
    static const char *const names[3] = {"payload", "reasons", "error"};
    for (int i = 0; i < 3; i++) {
        const char *path = arena_printf(arena, "/stage/%s/%s", row->name, names[i]);
        struct error *e = path ? read_text(file, path, arena, texts[i]) : error_memory();
        if (e)
            return e;
    }
    return NULL;
}

static struct error *read_attributes(struct run *run, struct store_file *file, struct arena *arena)
{
    const struct {
        const char *name, **to;
    } texts[] = {{"name", &run->name},   {"state", &run->state},       {"started", &run->started},
                 {"ended", &run->ended}, {"host", &run->host},         {"recipe_path", &run->recipe_path},
                 {"build", &run->build}, {"settings", &run->settings}, {"machine", &run->machine}};
    const char *kind;
    int64_t number = 0;
    struct error *e = store_get_text(file, "/", "kind", arena, &kind);
    if (!e && strcmp(kind, "run"))
        return error_plain(ERROR_DATA, "it is not the record of a run");
    for (size_t i = 0; i < countof(texts) && !e; i++)
        e = store_get_text(file, "/", texts[i].name, arena, texts[i].to);
    if (e || (e = store_get_i64(file, "/", "number", &number)) || (e = store_get_i64(file, "/", "pid", &run->pid)) ||
        (e = store_get_f64(file, "/", "seconds", &run->seconds)))
        return e;
    run->number = number > 0 && number <= NUMBERS_MOST ? (int)number : 0;
    run->exit_status = -1; // records of earlier versions have none
    run->recipe_bytes = 0; // nor this
    error_free(store_get_i64(file, "/", "recipe_bytes", &run->recipe_bytes));
    error_free(store_get_i64(file, "/", "exit_status", &run->exit_status));
    error_free(store_get_text(file, "/", "code", arena, &run->code));
    error_free(store_get_text(file, "/", "id", arena, &run->id));
    return store_get_f64(file, "/", "usd", &run->usd);
}

static struct error *read_run(struct run *run, struct store_file *file, struct arena *arena)
{
    void *rows;
    int64_t n;
    struct error *e = read_attributes(run, file, arena);
    if (e || (e = read_text(file, "/recipe/text", arena, &run->recipe_text)) ||
        (e = read_text(file, "/recipe/resolved", arena, &run->resolved)) ||
        (e = store_read_table(file, "/stages", stage_members, countof(stage_members), sizeof(struct stage_row), arena, &rows,
                              &n)))
        return e;
    run->stages = arena_array(arena, (size_t)n + 1, sizeof *run->stages);
    if (!run->stages)
        return error_memory();
    for (int64_t i = 0; i < n && !e; i++)
        e = read_stage(&run->stages[run->n_stages++], (struct stage_row *)rows + i, file, arena);
    return e;
}

// NNNN of "NNNN.h5" (ending ".h5") with at least four digits, else 0.
static int number_of(const char *file_name, const char *ending)
{
    size_t digits = strspn(file_name, "0123456789");
    if (digits < 4 || digits > 6 || strcmp(file_name + digits, ending))
        return 0;
    return (int)strtol(file_name, NULL, 10);
}

static int ascending(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int alphabetical(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *run_path(struct arena *arena, const char *results, const char *name, int number)
{
    return arena_printf(arena, "%s/runs/%s/%04d.h5", results, name, number);
}

static struct error *list_numbers(const char *results, const char *name, const char *ending, struct arena *arena, int **numbers,
                                  int *n_numbers)
{
    *numbers = NULL;
    *n_numbers = 0;
    int capacity = 0;
    const char *folder = arena_printf(arena, "%s/runs/%s", results, name);
    if (!folder)
        return error_memory();
    DIR *dir = opendir(folder);
    for (const struct dirent *each; dir && (each = readdir(dir));) {
        int number = number_of(each->d_name, ending);
        if (!number)
            continue;
        if (*n_numbers == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            int *more = arena_grow(arena, *numbers, (size_t)*n_numbers, (size_t)capacity, sizeof *more);
            if (!more) {
                closedir(dir);
                return error_memory();
            }
            *numbers = more;
        }
        (*numbers)[(*n_numbers)++] = number;
    }
    if (dir)
        closedir(dir);
    if (*n_numbers)
        qsort(*numbers, (size_t)*n_numbers, sizeof **numbers, ascending);
    return NULL;
}

struct error *run_numbers(const char *results, const char *name, struct arena *arena, int **numbers, int *n_numbers)
{
    return list_numbers(results, name, ".h5", arena, numbers, n_numbers);
}

struct error *run_forgotten(const char *results, const char *name, struct arena *arena, int **numbers, int *n_numbers)
{
    return list_numbers(results, name, ".gone.h5", arena, numbers, n_numbers);
}

char *run_forgotten_path(struct arena *arena, const char *results, const char *name, int number)
{
    return arena_printf(arena, "%s/runs/%s/%04d.gone.h5", results, name, number);
}

char *run_log_path(struct arena *arena, const char *results, const char *name, int number)
{
    return arena_printf(arena, "%s/runs/%s/%04d.log", results, name, number);
}

char *run_forgotten_log_path(struct arena *arena, const char *results, const char *name, int number)
{
    return arena_printf(arena, "%s/runs/%s/%04d.gone.log", results, name, number);
}

struct error *run_forget(const char *results, const char *name, int number, struct arena *arena)
{
    const char *from = run_path(arena, results, name, number), *to = run_forgotten_path(arena, results, name, number);
    const char *log = run_log_path(arena, results, name, number), *gone = run_forgotten_log_path(arena, results, name, number);
    if (!from || !to || !log || !gone)
        return error_memory();
    struct error *e = atomic_publish(from, to);
    return e || !file_exists(log) ? e : atomic_publish(log, gone);
}

struct error *run_logs_left(const char *results, const char *name, struct arena *arena, const char ***paths, int *n_paths)
{
    int *logs, *gone, *runs, n_logs, n_gone, n_runs;
    *paths = NULL;
    *n_paths = 0;
    struct error *e = list_numbers(results, name, ".log", arena, &logs, &n_logs);
    if (e || (e = list_numbers(results, name, ".gone.log", arena, &gone, &n_gone)) ||
        (e = run_numbers(results, name, arena, &runs, &n_runs))) // last: a run has its record before its log
        return e;
    if (!(*paths = arena_array(arena, (size_t)n_logs + (size_t)n_gone + 1, sizeof **paths)))
        return error_memory();
    for (int i = 0; i < n_gone; i++)
        (*paths)[(*n_paths)++] = run_forgotten_log_path(arena, results, name, gone[i]);
    for (int i = 0; i < n_logs; i++)
        if (!n_runs || !bsearch(&logs[i], runs, (size_t)n_runs, sizeof *runs, ascending))
            (*paths)[(*n_paths)++] = run_log_path(arena, results, name, logs[i]);
    for (int i = 0; i < *n_paths; i++)
        if (!(*paths)[i])
            return error_memory();
    return NULL;
}

struct error *run_names(const char *results, struct arena *arena, const char ***names, int *n_names)
{
    *names = NULL;
    *n_names = 0;
    const char *folder = arena_printf(arena, "%s/runs", results);
    if (!folder)
        return error_memory();
    DIR *dir = opendir(folder);
    for (const struct dirent *each; dir && (each = readdir(dir));) {
        if (!isalnum((unsigned char)each->d_name[0]))
            continue;
        const char **more = arena_grow(arena, *names, (size_t)*n_names, (size_t)*n_names + 1, sizeof *more);
        if (!more || !(more[*n_names] = arena_strdup(arena, each->d_name))) {
            closedir(dir);
            return error_memory();
        }
        *names = more;
        ++*n_names;
    }
    if (dir)
        closedir(dir);
    if (*n_names)
        qsort(*names, (size_t)*n_names, sizeof **names, alphabetical);
    return NULL;
}

// Sixteen digits at random; where the system has none to give, of the process and the moment.
static const char *make_id(struct arena *arena)
{
    uint64_t id = 0;
    if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id) {
        double now = clock_unix();
        memcpy(&id, &now, sizeof id);
        id ^= (uint64_t)getpid() * 0x9E3779B97F4A7C15;
    }
    return arena_printf(arena, "%016" PRIx64, id);
}

struct error *run_create(struct run *run, const char *results, struct arena *arena)
{
    int *numbers, *gone, n, n_gone;
    if (!(run->id = make_id(arena)))
        return error_memory();
    const char *folder = arena_printf(arena, "%s/runs/%s", results, run->name);
    struct error *e = folder ? folder_make(folder) : error_memory();
    if (e || (e = run_numbers(results, run->name, arena, &numbers, &n)) ||
        (e = run_forgotten(results, run->name, arena, &gone, &n_gone)))
        return e;
    int last = n ? numbers[n - 1] : 0, last_gone = n_gone ? gone[n_gone - 1] : 0;
    for (int number = (last > last_gone ? last : last_gone) + 1; number < NUMBERS_MOST; number++) {
        const char *path = run_path(arena, results, run->name, number);
        if (!path)
            return error_memory();
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            close(fd);
            run->path = path;
            run->number = number;
            return NULL;
        }
        if (errno != EEXIST)
            return error_system(ERROR_MACHINE, errno, "cannot create '%s'", path);
    }
    return error_new(ERROR_MACHINE, NOWHERE, "move old ones away", "there are too many runs in '%s'", folder);
}

const char *run_state(const struct run *run, const char *results, struct arena *arena)
{
    struct lock_holder holder;
    const char *lock = arena_printf(arena, "%s/runs/%s/lock", results, run->name);
    bool going = lock && lock_seen(lock, &holder) && holder.pid == run->pid && !strcmp(holder.host, run->host);
    return strcmp(run->state, "running") || going ? run->state : "died";
}

struct error *run_save(const struct run *run)
{
    struct saving s = {0};
    struct error *e = save(&s, run);
    for (int i = 0; i < run->n_stages && s.tables; i++)
        run_tables_release(&s.tables[i]);
    arena_release(&s.arena);
    return e ? error_while(e, NOWHERE, "recording run %04d of '%s'", run->number, run->name) : NULL;
}

struct error *run_read(struct run *run, const char *path, struct arena *arena)
{
    struct store_file *file = NULL;
    *run = (struct run){.path = path};
    struct error *e = store_open(&file, path);
    if (!e)
        e = read_run(run, file, arena);
    store_close(file);
    return e ? error_while(e, NOWHERE, "reading the run '%s'", path) : NULL;
}

struct error *run_newest(struct run *run, const char *results, const char *name, struct arena *arena)
{
    int *numbers, n;
    struct error *e = run_numbers(results, name, arena, &numbers, &n);
    *run = (struct run){.name = name};
    for (int i = n - 1; i >= 0 && !e; i--) {
        const char *path = run_path(arena, results, name, numbers[i]);
        e = path ? run_read(run, path, arena) : error_memory();
        if (!e && run->number)
            return NULL;
        if (e && e->kind != ERROR_DATA && e->kind != ERROR_NOT_BUILT)
            return e;
        error_free(e);
        e = NULL;
        *run = (struct run){.name = name};
    }
    return e;
}

const struct run_stage *run_stage(const struct run *run, const char *name)
{
    for (int i = 0; i < run->n_stages; i++)
        if (!strcmp(run->stages[i].name, name))
            return &run->stages[i];
    return NULL;
}

bool run_stage_made(const struct run_stage *stage)
{
    return !strcmp(stage->state, "finished") || !strcmp(stage->state, "cached");
}

struct error *run_tables_glance(struct run_tables *tables, struct store_file *file, const char *prefix)
{
    tables_init(tables);
    return tables_load(tables, file, prefix, false);
}

struct error *run_tables_load(struct run_tables *tables, const char *path, const char *prefix)
{
    struct store_file *file = NULL;
    tables_init(tables);
    struct error *e = store_open(&file, path);
    if (!e)
        e = tables_load(tables, file, prefix, true);
    store_close(file);
    return e;
}

// A published stage has scores and nothing else.
static struct error *published_tables(struct run_tables *tables, const struct run_published *p)
{
    struct error *e = NULL;
    tables_init(tables);
    for (int i = 0; i < p->n_tasks && !e; i++)
        e = table_add(&tables->tasks, &p->tasks[i]);
    if (!e && !isnan(p->bpb))
        e = table_add(&tables->scores, &(struct metric_val){.bpb = p->bpb});
    return e;
}

struct error *run_stage_tables(struct run_tables *tables, const struct run *run, const struct run_stage *stage)
{
    if (stage->published)
        return published_tables(tables, stage->published);
    struct arena scratch = {0};
    const char *prefix = arena_printf(&scratch, "/stage/%s", stage->name);
    struct error *e = prefix ? run_tables_load(tables, run->path, prefix) : error_memory();
    arena_release(&scratch);
    return e;
}

void run_tables_release(struct run_tables *tables)
{
    for (int i = 0; i < RUN_TABLES; i++)
        table_release(table_of(tables, i));
}

const struct table *run_table(const struct run_tables *tables, int i, const char **name)
{
    *name = kept[i].name;
    return (const struct table *)((const char *)tables + kept[i].offset);
}
