// job.c - jobs as JSON: written field by field from the table of fields, read back through the same table.
//
// Reals go out as %.17g and integers as decimals, so that the stage computes with exactly the values that were hashed.
#include "runner/stages/job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/base/json.h"
#include "core/store/atomic.h"

enum { JOB_LIMIT = 256 << 20 }; // bytes; 100,000 files of 1 KiB and some

static const char *const forms[DOCUMENT_FORM_COUNT] = {
    [DOCUMENT_PARQUET] = "parquet", [DOCUMENT_JSONL] = "jsonl", [DOCUMENT_TEXT] = "text", [DOCUMENT_WORLD] = "world"};

static void write_option(struct json *j, const void *options, const struct field *field, struct arena *arena)
{
    const char *at = (const char *)options + field->offset;
    const struct field_list *list = (const struct field_list *)at;
    char text[40];
    json_key(j, field->name);
    switch (field->type) {
    case FIELD_INTS:
        json_open(j, '[');
        for (int i = 0; i < list->n; i++) {
            snprintf(text, sizeof text, "%lld", (long long)list->ints[i]);
            json_str(j, text);
        }
        json_close(j, ']');
        break;
    case FIELD_NAMES:
    case FIELD_STAGES:
        json_open(j, '[');
        for (int i = 0; i < list->n; i++)
            json_str(j, list->names[i]);
        json_close(j, ']');
        break;
    case FIELD_REAL:
        snprintf(text, sizeof text, "%.17g", *(const double *)at);
        json_str(j, text);
        break;
    case FIELD_INT:
        snprintf(text, sizeof text, "%lld", (long long)*(const int64_t *)at);
        json_str(j, text);
        break;
    default:
        json_str(j, field_text(options, field, arena));
    }
}

static void write_number(struct json *j, const char *key, double value)
{
    json_key(j, key), json_f64(j, value);
}

// The texts of a task, so that writing and reading cannot drift.
static const struct {
    const char *key;
    size_t offset;
} task_texts[] = {{"messages", offsetof(struct task, messages)},
                  {"question", offsetof(struct task, question)},
                  {"answer", offsetof(struct task, answer)},
                  {"choices", offsetof(struct task, choices)},
                  {"labels", offsetof(struct task, labels)},
                  {"right", offsetof(struct task, right)},
                  {"wrong", offsetof(struct task, wrong)},
                  {"prompt", offsetof(struct task, prompt)},
                  {"choice_line", offsetof(struct task, choice_line)},
                  {"call_begin", offsetof(struct task, call_begin)},
                  {"call_middle", offsetof(struct task, call_middle)},
                  {"call_end", offsetof(struct task, call_end)},
                  {"delimiter", offsetof(struct task, delimiter)},
                  {"tests", offsetof(struct task, tests)},
                  {"entry_point", offsetof(struct task, entry_point)},
                  {"answer_text", offsetof(struct task, answer_text)}};

static void write_task(struct json *j, const struct task *task)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, task->name);
    for (size_t i = 0; i < countof(task_texts); i++) {
        json_key(j, task_texts[i].key);
        json_str(j, *(const char *const *)((const char *)task + task_texts[i].offset));
    }
    json_key(j, "letters");
    json_open(j, '[');
    for (int i = 0; i < task->n_letters; i++)
        json_str(j, task->letters[i]);
    json_close(j, ']');
    json_key(j, "grader"), json_str(j, grader_name(task->grader));
    write_number(j, "baseline", task->baseline);
    json_key(j, "shuffled_labels"), json_bool(j, task->shuffled_labels);
    json_key(j, "shots"), json_i64(j, task->shots);
    json_key(j, "examples"), json_i64(j, task->examples);
    json_close(j, '}');
}

static void write_use(struct json *j, const struct job_task *task)
{
    json_open(j, '{');
    json_key(j, "role"), json_str(j, task->role);
    json_key(j, "name"), json_str(j, task->name);
    json_key(j, "split"), json_str(j, task->split);
    json_key(j, "suite"), json_str(j, task->suite);
    write_number(j, "epochs", task->epochs);
    json_key(j, "rows"), json_count(j, task->rows);
    json_key(j, "grader"), json_str(j, grader_name(task->grader));
    write_number(j, "baseline", task->baseline);
    json_key(j, "paths");
    json_open(j, '[');
    for (int i = 0; i < task->n_paths; i++)
        json_str(j, task->paths[i]);
    json_close(j, ']');
    json_close(j, '}');
}

static void write_mixed(struct json *j, const struct job_mixed *mixed)
{
    json_open(j, '{');
    json_key(j, "source"), json_str(j, mixed->source);
    json_key(j, "share"), json_f64(j, mixed->share);
    json_key(j, "rows"), json_str(j, mixed->rows);
    json_key(j, "paths");
    json_open(j, '[');
    for (int i = 0; i < mixed->n_paths; i++)
        json_str(j, mixed->paths[i]);
    json_close(j, ']');
    json_close(j, '}');
}

static void write_part(struct json *j, const struct job_part *part)
{
    json_open(j, '{');
    json_key(j, "form"), json_str(j, forms[part->part.form]);
    json_key(j, "path"), json_str(j, part->part.path);
    json_key(j, "column"), json_str(j, part->part.column);
    json_key(j, "skip_bad"), json_i64(j, part->part.skip_bad);
    json_key(j, "seed"), json_i64(j, (int64_t)part->part.seed);
    json_key(j, "first"), json_i64(j, part->part.first);
    json_key(j, "n"), json_i64(j, part->part.n);
    json_key(j, "held_out"), json_bool(j, part->part.held_out);
    json_key(j, "records"), json_str(j, part->part.records);
    json_key(j, "identity"), json_str(j, part->identity);
    json_key(j, "key"), json_str(j, part->key);
    json_key(j, "payload"), json_str(j, part->payload);
    json_key(j, "out"), json_str(j, part->out);
    if (part->task) {
        json_key(j, "split"), json_str(j, part->split);
        json_key(j, "suite"), json_str(j, part->suite);
        json_key(j, "task"), write_task(j, part->task);
    }
    json_close(j, '}');
}

static void write_kept(struct json *j, const struct job *job)
{
    json_key(j, "kept");
    json_open(j, '[');
    for (int i = 0; i < job->n_kept; i++) {
        json_open(j, '{');
        json_key(j, "step"), json_count(j, job->kept[i].step);
        json_key(j, "optim"), json_bool(j, job->kept[i].optim);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_key(j, "until"), json_count(j, job->until);
    json_key(j, "trunk"), json_str(j, job->trunk);
    json_key(j, "from_start"), json_bool(j, job->from_start);
    json_key(j, "again"), json_bool(j, job->again);
}

static struct error *malformed(const char *path, const char *what)
{
    return error_new(ERROR_DATA, NOWHERE, "run the recipe again; it writes the job anew", "'%s' is not a job file: %s", path,
                     what);
}

// A text of the object, NULL where it is absent or null.
static const char *get_text(const json_t *object, const char *key, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? arena_strdup(arena, text) : NULL;
}

static struct error *read_texts(const json_t *list, struct arena *arena, const char *const **texts, int *n)
{
    const char **all = arena_array(arena, json_array_size(list), sizeof *all);
    if (!all)
        return error_memory();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text)
            return error_plain(ERROR_DATA, "an item of a list is not a text");
        if (!(all[i] = arena_strdup(arena, text)))
            return error_memory();
    }
    *texts = all;
    *n = (int)json_array_size(list);
    return NULL;
}

static struct error *read_options(struct job *job, json_t *from, const char *path, struct arena *arena)
{
    struct place at = {.file = path};
    job->options = arena_alloc(arena, kind_options_bytes(job->kind) + 1);
    if (!job->options)
        return error_memory();
    fields_unset(job->options, job->kind);
    const char *name;
    json_t *value;
    json_object_foreach(from, name, value)
    {
        const struct field *field = field_find(job->kind, name);
        const char *one = json_string_value(value);
        const char *const *texts = &one;
        int n = 1;
        struct error *e = NULL;
        if (!field || field->type == FIELD_MIXTURE)
            return malformed(path, "unknown option");
        if (json_is_array(value))
            e = read_texts(value, arena, &texts, &n);
        else if (!one)
            return malformed(path, "an option is neither a text nor a list");
        if (!e)
            e = field_set(job->options, field, texts, n, at, arena);
        if (e)
            return error_while(e, at, "reading option '%s' of a job", name);
    }
    return NULL;
}

static void write_places(struct json *j, const struct job *job)
{
    json_open(j, '[');
    for (int i = 0; i < job->n_places; i++) {
        const struct job_place *p = &job->places[i];
        json_open(j, '{');
        json_key(j, "field"), json_str(j, p->field);
        json_key(j, "file"), json_str(j, p->at.file);
        json_key(j, "line"), json_i64(j, p->at.line);
        json_key(j, "column"), json_i64(j, p->at.column);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static struct error *read_places(struct job *job, const json_t *from, struct arena *arena)
{
    job->places = arena_array(arena, json_array_size(from) + 1, sizeof *job->places);
    if (!job->places)
        return error_memory();
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *each = json_array_get(from, i);
        struct job_place *p = &job->places[job->n_places++];
        p->field = get_text(each, "field", arena);
        p->at.file = get_text(each, "file", arena);
        p->at.line = (int)json_integer_value(json_object_get(each, "line"));
        p->at.column = (int)json_integer_value(json_object_get(each, "column"));
        if (!p->field || !p->at.file)
            return error_plain(ERROR_DATA, "a place of a job names no field or file");
    }
    return NULL;
}

static struct error *read_inputs(struct job *job, json_t *from, struct arena *arena)
{
    job->inputs = arena_array(arena, json_object_size(from) + 1, sizeof *job->inputs);
    if (!job->inputs)
        return error_memory();
    const char *role;
    json_t *paths;
    json_object_foreach(from, role, paths)
    {
        struct job_input *input = &job->inputs[job->n_inputs++];
        input->role = arena_strdup(arena, role);
        struct error *e = input->role ? read_texts(paths, arena, &input->paths, &input->n_paths) : error_memory();
        if (e)
            return e;
    }
    return NULL;
}

static bool read_grader(const json_t *object, enum task_grader *grader)
{
    const char *name = json_string_value(json_object_get(object, "grader"));
    for (int g = 0; g < GRADER_COUNT && name; g++)
        if (!strcmp(name, grader_name((enum task_grader)g))) {
            *grader = (enum task_grader)g;
            return true;
        }
    return false;
}

static bool read_baseline(const json_t *object, double *baseline)
{
    *baseline = json_number_value(json_object_get(object, "baseline"));
    return *baseline >= 0 && *baseline <= 1;
}

static struct error *read_task(struct task *task, const json_t *from, const char *path, struct arena *arena)
{
    const json_t *letters = json_object_get(from, "letters");
    task->name = get_text(from, "name", arena);
    for (size_t i = 0; i < countof(task_texts); i++)
        *(const char **)((char *)task + task_texts[i].offset) = get_text(from, task_texts[i].key, arena);
    if (!task->name || json_array_size(letters) > TASK_LETTERS)
        return malformed(path, "a task without a name, or with too many letters");
    for (size_t i = 0; i < json_array_size(letters); i++) {
        const char *letter = json_string_value(json_array_get(letters, i));
        if (!letter)
            return malformed(path, "a letter of a task is not a text");
        if (!(task->letters[task->n_letters++] = arena_strdup(arena, letter)))
            return error_memory();
    }
    if (!read_grader(from, &task->grader) || !read_baseline(from, &task->baseline))
        return malformed(path, "a task with an unknown grader or a baseline that is not a share");
    task->shuffled_labels = json_is_true(json_object_get(from, "shuffled_labels"));
    task->shots = json_integer_value(json_object_get(from, "shots"));
    task->examples = json_integer_value(json_object_get(from, "examples"));
    if (task->shots < 0 || task->shots > TASK_SHOTS_MOST || task->examples < 0)
        return malformed(path, "a task with an impossible number of examples");
    return NULL;
}

// A task that is read as tokens; those of a mixture come with a share of it.
static struct error *read_use(struct job_task *to, const json_t *from, const char *path, struct arena *arena)
{
    static const char *const roles[] = {"mixture", "test", "suite"};
    const char *role = json_string_value(json_object_get(from, "role"));
    const json_t *epochs = json_object_get(from, "epochs"), *rows = json_object_get(from, "rows");
    for (size_t r = 0; r < countof(roles); r++)
        if (role && !strcmp(role, roles[r]))
            to->role = roles[r];
    to->name = get_text(from, "name", arena);
    to->split = get_text(from, "split", arena);
    to->suite = get_text(from, "suite", arena);
    to->epochs = json_is_number(epochs) ? json_number_value(epochs) : NAN;
    to->rows = json_is_integer(rows) ? json_integer_value(rows) : -1;
    if (!to->role || !to->name || !to->split)
        return malformed(path, "a task without role, name or split");
    if (json_is_integer(rows) ? to->rows < 1 : !(to->epochs > 0))
        return malformed(path, "a task of neither epochs nor rows");
    if (!read_grader(from, &to->grader) || !read_baseline(from, &to->baseline))
        return malformed(path, "a task with an unknown grader or a baseline that is not a share");
    struct error *e = read_texts(json_object_get(from, "paths"), arena, &to->paths, &to->n_paths);
    return !e && !to->n_paths ? malformed(path, "a task without files") : e;
}

static struct error *read_uses(struct job *job, const json_t *from, const char *path, struct arena *arena)
{
    struct error *e = NULL;
    job->tasks = arena_array(arena, json_array_size(from) + 1, sizeof *job->tasks);
    if (!job->tasks)
        return error_memory();
    for (size_t i = 0; i < json_array_size(from) && !e; i++)
        e = read_use(&job->tasks[job->n_tasks++], json_array_get(from, i), path, arena);
    return e;
}

static struct error *read_suites(struct job *job, const json_t *from, const char *path, struct arena *arena)
{
    job->suites = arena_array(arena, json_array_size(from) + 1, sizeof *job->suites);
    if (!job->suites)
        return error_memory();
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *each = json_array_get(from, i);
        struct job_suite *to = &job->suites[job->n_suites++];
        *to = (struct job_suite){.name = get_text(each, "name", arena),
                                 .title = get_text(each, "title", arena),
                                 .n_all = json_integer_value(json_object_get(each, "tasks")),
                                 .missing = get_text(each, "missing", arena)};
        if (!to->name || !to->title || !to->missing)
            return malformed(path, "a suite without name, title or what is missing");
    }
    return NULL;
}

static struct error *read_mix(struct job *job, const json_t *from, const char *path, struct arena *arena)
{
    job->mix = arena_array(arena, json_array_size(from) + 1, sizeof *job->mix);
    if (!job->mix)
        return error_memory();
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *each = json_array_get(from, i);
        struct job_mixed *to = &job->mix[job->n_mix++];
        to->share = json_number_value(json_object_get(each, "share"));
        if (!(to->share > 0 && to->share <= 1))
            return malformed(path, "a text of a mix without a share");
        if (!(to->source = get_text(each, "source", arena)))
            return malformed(path, "a text of a mix without its source");
        to->rows = get_text(each, "rows", arena);
        struct error *e = read_texts(json_object_get(each, "paths"), arena, &to->paths, &to->n_paths);
        if (e || !to->n_paths)
            return e ? e : malformed(path, "a text of a mix without files");
    }
    return NULL;
}

static int64_t get_count(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
}

static struct error *read_kept(struct job *job, const json_t *root, struct arena *arena)
{
    const json_t *from = json_object_get(root, "kept");
    job->kept = arena_array(arena, json_array_size(from) + 1, sizeof *job->kept);
    if (!job->kept)
        return error_memory();
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *each = json_array_get(from, i);
        job->kept[job->n_kept++] =
            (struct job_kept){.step = get_count(each, "step"), .optim = json_is_true(json_object_get(each, "optim"))};
    }
    job->until = get_count(root, "until");
    job->trunk = get_text(root, "trunk", arena);
    job->from_start = json_is_true(json_object_get(root, "from_start"));
    job->again = json_is_true(json_object_get(root, "again"));
    return NULL;
}

static struct error *read_part_task(struct job_part *part, const json_t *from, const char *path, struct arena *arena)
{
    if (!from)
        return NULL;
    struct task *task = arena_alloc(arena, sizeof *task);
    if (!task)
        return error_memory();
    part->task = task;
    return part->split ? read_task(task, from, path, arena) : malformed(path, "a part of a task without its split");
}

static struct error *read_parts(struct job *job, const json_t *from, const char *path, struct arena *arena)
{
    job->parts = arena_array(arena, json_array_size(from) + 1, sizeof *job->parts);
    if (!job->parts)
        return error_memory();
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *each = json_array_get(from, i);
        struct job_part *part = &job->parts[job->n_parts++];
        const char *form = json_string_value(json_object_get(each, "form"));
        size_t f = 0;
        while (f < countof(forms) && form && strcmp(form, forms[f]))
            f++;
        if (!form || f == countof(forms))
            return malformed(path, "a part of unknown form");
        part->part = (struct document_part){.form = (enum document_form)f,
                                            .path = get_text(each, "path", arena),
                                            .column = get_text(each, "column", arena),
                                            .skip_bad = json_integer_value(json_object_get(each, "skip_bad")),
                                            .seed = (uint64_t)json_integer_value(json_object_get(each, "seed")),
                                            .first = json_integer_value(json_object_get(each, "first")),
                                            .n = json_integer_value(json_object_get(each, "n")),
                                            .held_out = json_is_true(json_object_get(each, "held_out")),
                                            .records = get_text(each, "records", arena)};
        part->identity = get_text(each, "identity", arena);
        part->key = get_text(each, "key", arena);
        part->payload = get_text(each, "payload", arena);
        part->out = get_text(each, "out", arena);
        part->split = get_text(each, "split", arena);
        part->suite = get_text(each, "suite", arena);
        if (!part->part.path || !part->identity)
            return malformed(path, "a part without path or identity");
        struct error *e = read_part_task(part, json_object_get(each, "task"), path, arena);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *read_job(struct job *job, json_t *root, const char *path, struct arena *arena)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    if (json_integer_value(json_object_get(root, "retort")) != 1)
        return malformed(path, "it is of another version");
    job->kind = kind ? kind_named(kind, strlen(kind)) : KIND_COUNT;
    if (job->kind == KIND_COUNT)
        return malformed(path, "unknown kind of stage");
    job->name = get_text(root, "name", arena);
    job->key = get_text(root, "key", arena);
    job->payload = get_text(root, "payload", arena);
    job->results = get_text(root, "results", arena);
    job->out = get_text(root, "out", arena);
    job->lock = get_text(root, "lock", arena);
    const json_t *usd = json_object_get(root, "usd_per_hour"), *peak = json_object_get(root, "peak_flops");
    job->runner = json_integer_value(json_object_get(root, "runner"));
    job->usd_per_hour = json_is_number(usd) ? json_number_value(usd) : NAN;
    job->peak_flops = json_is_number(peak) ? json_number_value(peak) : NAN;
    if (!job->name || !job->key || !job->payload || !job->results || !job->lock)
        return malformed(path, "name, key, payload, results or lock is missing");
    struct error *e = read_options(job, json_object_get(root, "options"), path, arena);
    if (!e)
        e = read_places(job, json_object_get(root, "places"), arena);
    if (!e)
        e = read_inputs(job, json_object_get(root, "inputs"), arena);
    if (!e)
        e = read_uses(job, json_object_get(root, "tasks"), path, arena);
    if (!e)
        e = read_suites(job, json_object_get(root, "suites"), path, arena);
    if (!e)
        e = read_mix(job, json_object_get(root, "mix"), path, arena);
    if (!e)
        e = read_kept(job, root, arena);
    return e ? e : read_parts(job, json_object_get(root, "parts"), path, arena);
}

struct error *job_write(const struct job *job, const char *path)
{
    struct arena scratch = {0};
    struct json j = {0};
    json_open(&j, '{');
    json_key(&j, "retort"), json_i64(&j, 1);
    json_key(&j, "name"), json_str(&j, job->name);
    json_key(&j, "kind"), json_str(&j, kind_name(job->kind));
    json_key(&j, "key"), json_str(&j, job->key);
    json_key(&j, "payload"), json_str(&j, job->payload);
    json_key(&j, "results"), json_str(&j, job->results);
    json_key(&j, "out"), json_str(&j, job->out);
    json_key(&j, "lock"), json_str(&j, job->lock);
    json_key(&j, "usd_per_hour"), json_f64(&j, job->usd_per_hour);
    json_key(&j, "peak_flops"), json_f64(&j, job->peak_flops);
    json_key(&j, "runner"), json_i64(&j, job->runner);
    json_key(&j, "options");
    json_open(&j, '{');
    for (int i = 0; i < n_fields; i++)
        if (fields[i].kinds & 1u << job->kind && fields[i].type != FIELD_MIXTURE && job->options &&
            field_is_set(job->options, &fields[i]))
            write_option(&j, job->options, &fields[i], &scratch);
    json_close(&j, '}');
    json_key(&j, "places");
    write_places(&j, job);
    json_key(&j, "inputs");
    json_open(&j, '{');
    for (int i = 0; i < job->n_inputs; i++) {
        json_key(&j, job->inputs[i].role);
        json_open(&j, '[');
        for (int p = 0; p < job->inputs[i].n_paths; p++)
            json_str(&j, job->inputs[i].paths[p]);
        json_close(&j, ']');
    }
    json_close(&j, '}');
    json_key(&j, "tasks");
    json_open(&j, '[');
    for (int i = 0; i < job->n_tasks; i++)
        write_use(&j, &job->tasks[i]);
    json_close(&j, ']');
    json_key(&j, "suites");
    json_open(&j, '[');
    for (int i = 0; i < job->n_suites; i++) {
        const struct job_suite *s = &job->suites[i];
        json_open(&j, '{');
        json_key(&j, "name"), json_str(&j, s->name);
        json_key(&j, "title"), json_str(&j, s->title);
        json_key(&j, "tasks"), json_i64(&j, s->n_all);
        json_key(&j, "missing"), json_str(&j, s->missing);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_key(&j, "mix");
    json_open(&j, '[');
    for (int i = 0; i < job->n_mix; i++)
        write_mixed(&j, &job->mix[i]);
    json_close(&j, ']');
    write_kept(&j, job);
    json_key(&j, "parts");
    json_open(&j, '[');
    for (int i = 0; i < job->n_parts; i++)
        write_part(&j, &job->parts[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    const char *text = json_text(&j);
    struct error *e = text ? atomic_write(path, text, j.n) : error_memory();
    json_release(&j);
    arena_release(&scratch);
    return e;
}

struct error *job_read(struct job *job, const char *path, struct arena *arena)
{
    char *text;
    size_t n;
    *job = (struct job){0};
    struct error *e = file_read(path, JOB_LIMIT, arena, &text, &n);
    if (e)
        return e;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    e = root ? read_job(job, root, path, arena) : malformed(path, "it does not parse");
    json_decref(root);
    return e;
}

struct error *job_error(const struct job *job, const char *field, struct error *e)
{
    struct place at = NOWHERE;
    for (int i = 0; i < job->n_places; i++)
        if (!strcmp(job->places[i].field, field) || (!at.file && !job->places[i].field[0]))
            at = job->places[i].at;
    if (!e || e == error_memory() || e->at.file || !at.file)
        return e;
    struct error *placed = error_new(e->kind, at, e->fix, "%s", e->what);
    error_free(e);
    return placed;
}

struct error *job_paths(const struct job *job, const char *role, const char *const **paths, int *n_paths)
{
    for (int i = 0; i < job->n_inputs; i++)
        if (!strcmp(job->inputs[i].role, role)) {
            *paths = job->inputs[i].paths;
            *n_paths = job->inputs[i].n_paths;
            return NULL;
        }
    return error_plain(ERROR_FAILED, "stage '%s' was given no input '%s'", job->name, role);
}
