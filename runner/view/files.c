// files.c - a row a dataset, in the order in which a reader meets them.
#include "runner/view/files.h"

#include "core/base/arena.h"
#include "core/store/metrics.h"
#include "runner/view/grid.h"

static const char all[] = "pretrain, finetune, grpo", models[] = "models", tokens[] = "tokens of text",
                  rows[] = "tokens of a task", tokenizers[] = "tokenizers, models";

const struct file_set file_sets[] = {
    {"/model/NAME", "f32", "[out, in]", models, true,
     "parameters, row-major; names are nanochat's without .weight; the shape stands in the attributes of /model", NULL, 0, NULL},
    {"/optim/NAME.m", "f32", "[out, in]", "checkpoints", true, "first moments of AdamW: embeddings, unembedding, single numbers",
     NULL, 0, NULL},
    {"/optim/NAME.v", "f32", "[out, in]", "checkpoints", true, "second moments of AdamW", NULL, 0, NULL},
    {"/optim/NAME.momentum", "f32", "[out, in]", "checkpoints", true, "momentum of Muon: matrices", NULL, 0, NULL},
    {"/optim/NAME.v2", "f32", "[out, 1] or [1, in]", "checkpoints", true, "second moments of Muon, of models of 2026", NULL, 0,
     NULL},
    {"/data/rows", "i64", "[1]", all, true, "rows that were trained on: the place in the data", NULL, 0, NULL},
    {"/tokenizer/tokens", "u8", "[bytes]", tokenizers, true, "the bytes of all tokens, one after the other", NULL, 0, NULL},
    {"/tokenizer/offsets", "i64", "[n + 1]", tokenizers, true, "where the bytes of token i begin, by id", NULL, 0, NULL},
    {"/tokenizer/special", "text", "[special]", tokenizers, true, "names of the special tokens, which have the last ids", NULL, 0,
     NULL},
    {"/tokenizer/pattern", "text", "[1]", tokenizers, true, "the pattern by which text is split", NULL, 0, NULL},
    {"/tokenizer/token_bytes", "i32", "[n]", tokenizers, true, "bytes that a token counts for in bits per byte", NULL, 0, NULL},
    {"/metrics/train", "table", "[steps]", all, true, "an update a row", metric_train_members, METRIC_TRAIN_MEMBERS, NULL},
    {"/metrics/val", "table", "[times]", all, true, "bits per byte of the validation text; nats and bytes are sums",
     metric_val_members, METRIC_VAL_MEMBERS, NULL},
    {"/metrics/rollouts", "table", "[steps]", "grpo", true, "means over the rollouts of an update", metric_rollouts_members,
     METRIC_ROLLOUTS_MEMBERS, NULL},
    {"/metrics/pass", "table", "[times]", "grpo", true, "share of questions that one of k answers got right", metric_pass_members,
     METRIC_PASS_MEMBERS, NULL},
    {"/metrics/text", "table", "[texts]", "tokenizers", true,
     "tokens that texts come to, beside those of GPT-2 and GPT-4 (-1: not known)", metric_text_members, METRIC_TEXT_MEMBERS,
     NULL},
    {"/samples", "table", "[samples]", all, true, "what the model wrote at a step", sample_members, SAMPLE_MEMBERS, NULL},
    {"/rollouts", "table", "[kept]", "grpo", true, "some rollouts, to read", rollout_members, ROLLOUT_MEMBERS, NULL},
    {"/scores/bpb", "table", "[1]", "eval", true, "bits per byte", metric_val_members, METRIC_VAL_MEMBERS, NULL},
    {"/scores/tasks", "table", "[tasks]", "eval", true, "a task a row", task_score_members, TASK_SCORE_MEMBERS, NULL},
    {"/scores/suites", "table", "[suites]", "eval", true, "a suite a row: the mean over its tasks", suite_score_members,
     SUITE_SCORE_MEMBERS, NULL},
    {"/examples", "table", "[examples]", "eval", true, "an example a row, in the order in which they were asked",
     example_score_members, EXAMPLE_SCORE_MEMBERS, NULL},
    {"/programs", "table", "[programs]", "eval", true,
     "how the programs ended that answers were graded by: passed, failed, timeout, memory, ended (left before its end)",
     program_score_members, PROGRAM_SCORE_MEMBERS, NULL},
    {"/timing/train", "table", "[steps]", all, false, "what an update took", timing_train_members, TIMING_TRAIN_MEMBERS, NULL},
    {"/events", "table", "[events]", all, false, "start, resumed, saved, done, ...; times are Unix seconds", event_members,
     EVENT_MEMBERS, NULL},
    {"/tokens", "u16 or u32 or i32", "[n]", "tokens, rows", true,
     "ids of all documents or rows, one after the other; in a plan of rows: how many tokens segment i has", NULL, 0, NULL},
    {"/first", "i64", "[rows + 1]", "rows", true, "the first segment of row i", NULL, 0, NULL},
    {"/starts", "i64", "[segments]", "rows", true, "the token of the text that segment i begins at", NULL, 0, NULL},
    {"/documents", "i64", "[documents + 1]", tokens, true, "where document i begins", NULL, 0, NULL},
    {"/rows", "i64", "[rows + 1]", rows, true, "where row i begins", NULL, 0, NULL},
    {"/mask", "u8", "[n]", rows, true, "1: the token is learned", NULL, 0, NULL},
    {"/prompts", "i64", "[rows]", rows, true, "tokens of a row that are its prompt; 0: it has no answer", NULL, 0, NULL},
    {"/answers", "u8", "[bytes]", rows, true, "texts that answers are graded against", NULL, 0, NULL},
    {"/answer_ends", "i64", "[rows + 1]", rows, true, "where the text of row i begins", NULL, 0, NULL},
    {"/letters", "i32", "[letters]", rows, true, "the token of each letter of a choice", NULL, 0, NULL},
    {"/letter_ends", "i64", "[rows + 1]", rows, true, "where the letters of row i begin", NULL, 0, NULL},
    {"/right", "i32", "[rows]", rows, true, "index of the right letter, or -1", NULL, 0, NULL},
    {"/counts/bytes", "u8", "[bytes]", "checkpoints of tokenizers", false, "pieces of text, one after the other", NULL, 0, NULL},
    {"/counts/lengths", "u32", "[pieces]", "checkpoints of tokenizers", false, "bytes of each", NULL, 0, NULL},
    {"/counts/counts", "i64", "[pieces]", "checkpoints of tokenizers", false, "how often it was met", NULL, 0, NULL},
    {"/counts/totals", "i64", "[totals]", "checkpoints of tokenizers", false, "sums over the text", NULL, 0, NULL},
    {"/progress/bpb", "table", "[1]", "checkpoints of eval", false, "sums so far", NULL, 0, "bpb nats bytes tokens rows"},
    {"/progress/cut", "i64", "[1]", "checkpoints of eval", false, "examples so far that were longer than the model", NULL, 0,
     NULL},
    {"/recipe/text", "text", "[1]", "runs", true, "the recipe's file", NULL, 0, NULL},
    {"/recipe/resolved", "text", "[1]", "runs", true, "every value, and who set it", NULL, 0, NULL},
    {"/stages", "table", "[stages]", "runs", false, "a stage a row", NULL, 0,
     "name kind key state seconds usd params tokens flops isa build machine canary threads"},
    {"/stage/STAGE/payload", "text", "[1]", "runs", true, "what the key is the hash of, as JSON", NULL, 0, NULL},
    {"/stage/STAGE/reasons", "text", "[1]", "runs", false, "why it ran, as JSON", NULL, 0, NULL},
    {"/stage/STAGE/error", "text", "[1]", "runs", false, "why it failed", NULL, 0, NULL},
    {"/machines", "table", "[machines]", "machine.h5", false, "what `retort bench machine` measured", NULL, 0,
     "machine build isa measured threads peak products attention bandwidth start_s small large small_s large_s small_flops "
     "large_flops had"},
    {"/checksums", "table", "[pieces]", "every file", false,
     "XXH3 (64 bits) of every 4 MiB of every dataset and of what lies between them, in file order", NULL, 0, "offset bytes xxh3"},
};

const int n_file_sets = (int)countof(file_sets);

// The files of a results folder, as Markdown has them.
static const struct {
    const char *name, *what;
} folder_files[] = {
    {"`store/KIND-KEY.h5`", "a finished stage, written once; KEY is the first 16 digits of its key"},
    {"`store/KIND-KEY.part.h5`, `.part.prev.h5`", "its last two checkpoints, while it runs or after it was cut off"},
    {"`store/tokens-KEY.h5`, `rows-KEY.h5`", "token files; plans of how documents fill rows"},
    {"`store/KIND-KEY@STEP.h5`", "weights kept of a step"},
    {"`store/….damaged.h5`, `.part.damaged.h5`", "a file found to be damaged: kept aside, never read, yours to remove"},
    {"`store/….live`, `.log`, `.lock`, `.job`", "of a running stage; none is the only copy of anything"},
    {"`store/….tmp.h5`", "being written; of no use after a crash, and removed by the next run"},
    {"`runs/NAME/NNNN.h5`", "a run: what was asked, made, why, and how it went"},
    {"`machine.h5`", "what this machine was measured to do"},
};

static const char about[] =
    "All .h5 files open with h5ls, h5py and HDFView; they need no plugin. Every dataset is contiguous and little "
    "endian; texts are UTF-8 of a fixed size, padded with zeros.";
static const char newer[] =
    "A file whose `retort_format` is greater than this version's was written by a newer retort. It is refused "
    "(exit status 4), never replaced or removed, nor renamed but by `rm`, which sets a record aside: what would be made "
    "in its place is not made. `ls --check` names it.";
static const char attributes[] =
    "Attributes of `/` of a stage: `retort_format` (1), `kind`, `key` (64 digits), `payload` (what the key is the hash of), "
    "`inputs` (their keys), `state` (running, stopped, finished), `step`, `n_steps`, `seed`, `isa`, `build`, `machine`, "
    "`started` (RFC 3339, UTC), `seconds`, `usd`, `device_batch`; more where a kind has more to say.";
static const char same[] =
    "\"Same\" datasets have the same bits however often a run was interrupted, on the same machine and build.";
static const char of_runs[] =
    "Runs keep the small tables of each stage under `/stage/STAGE/`, with the names that they have in its file.";
static const char calls[] = "    h5ls -r results/store/pretrain-*.h5\n"
                            "    python3 -c \"import h5py; print(h5py.File('results/runs/tiny/0001.h5')['/stages'][:])\"\n"
                            "    retort ls --check        holds every file against its checksums\n";

// ": `step` `loss`", or "" where a dataset has no columns. In the arena; NULL: no memory.
static const char *columns_text(const struct file_set *set, struct arena *arena)
{
    const char *text = set->columns ? arena_printf(arena, ": `%s`", set->columns) : "";
    for (int i = 0; i < set->n_members && text; i++)
        text = arena_printf(arena, "%s%s`%s`", text, i ? " " : ": ", set->members[i].name);
    return text;
}

// A text without the marks of Markdown; NULL: no memory.
static const char *unmarked(const char *text, struct arena *arena)
{
    char *out = arena_strdup(arena, text), *end = out;
    for (const char *c = out; c && *c; c++)
        if (*c != '`')
            *end++ = *c;
    if (out)
        *end = '\0';
    return out;
}

struct error *files_markdown(FILE *to, struct arena *arena)
{
    fprintf(to, "# Files of a results folder\n\nThis page is `retort help files`. %s\n\n| file | what |\n|---|---|\n", about);
    for (size_t i = 0; i < countof(folder_files); i++)
        fprintf(to, "| %s | %s |\n", folder_files[i].name, folder_files[i].what);
    fprintf(to, "\n%s\n\n%s\n\n%s\n\n| dataset | type | in | same | what |\n|---|---|---|---|---|\n", newer, attributes, same);
    for (int i = 0; i < n_file_sets; i++) {
        const struct file_set *s = &file_sets[i];
        const char *columns = columns_text(s, arena);
        if (!columns)
            return error_memory();
        fprintf(to, "| `%s` | %s %s | %s | %s | %s%s |\n", s->path, s->type, s->dims, s->in, s->same ? "yes" : "no", s->what,
                columns);
    }
    fprintf(to, "\n%s\n\n%s", of_runs, calls);
    return NULL;
}

// False: no memory.
static bool paragraph(FILE *to, const char *text, int width, struct arena *arena)
{
    const char *plain = unmarked(text, arena);
    if (!plain)
        return false;
    text_wrap(to, "", plain, width);
    fputc('\n', to);
    return true;
}

struct error *files_print(FILE *to, int width, struct arena *arena)
{
    struct column files[] = {{"file", false, false}, {"what", false, true}};
    struct column sets[] = {{"dataset", false, false}, {"same", false, false}, {"what", false, true}};
    struct grid grid;
    if (!paragraph(to, about, width, arena))
        return error_memory();
    grid_init(&grid, files, countof(files), arena);
    for (size_t i = 0; i < countof(folder_files); i++) {
        const char *name = unmarked(folder_files[i].name, arena);
        if (!name)
            return error_memory();
        grid_add(&grid, (const char *[]){name, folder_files[i].what});
    }
    grid_print(&grid, to, width);
    fputc('\n', to);
    if (grid.failed || !paragraph(to, newer, width, arena) || !paragraph(to, attributes, width, arena) ||
        !paragraph(to, same, width, arena))
        return error_memory();
    grid_init(&grid, sets, countof(sets), arena);
    for (int i = 0; i < n_file_sets; i++) {
        const struct file_set *s = &file_sets[i];
        const char *columns = columns_text(s, arena);
        const char *what = columns ? arena_printf(arena, "%s; %s %s, of %s%s", s->what, s->type, s->dims, s->in, columns) : NULL;
        if (!what || !(what = unmarked(what, arena)))
            return error_memory();
        grid_add(&grid, (const char *[]){s->path, s->same ? "yes" : "no", what});
    }
    grid_print(&grid, to, width);
    fputc('\n', to);
    if (grid.failed || !paragraph(to, of_runs, width, arena))
        return error_memory();
    fputs(calls, to);
    return NULL;
}

void files_to_json(struct json *j)
{
    json_open(j, '[');
    for (int i = 0; i < n_file_sets; i++) {
        const struct file_set *s = &file_sets[i];
        json_open(j, '{');
        json_key(j, "path"), json_str(j, s->path);
        json_key(j, "type"), json_str(j, s->type);
        json_key(j, "dims"), json_str(j, s->dims);
        json_key(j, "in"), json_str(j, s->in);
        json_key(j, "same"), json_bool(j, s->same);
        json_key(j, "what"), json_str(j, s->what);
        json_key(j, "columns");
        if (s->members) {
            json_open(j, '[');
            for (int m = 0; m < s->n_members; m++)
                json_str(j, s->members[m].name);
            json_close(j, ']');
        } else {
            json_str(j, s->columns);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
}
