// commands.c - the table; in the order in which help shows it.
#include "runner/commands/command.h"

#include <string.h>

const struct command commands[] = {
    {"check", "RECIPE", "every error of a recipe at once",
     "Reads the recipe and everything it names, and reports all that is wrong with it,\n"
     "with line, caret and remedy.\n"
     "  --overlap       also read all of the training text, and tell which questions\n"
     "                  of the evaluations have 13 words in a row with it; `report`\n"
     "                  has a line of it from then on",
     command_check, TAKES_SETTINGS | TAKES_MACHINE, 1, 1},
    {"plan", "RECIPE", "what would run, and why",
     "Shows every stage: cached (its result is there), run, resume (a checkpoint is\n"
     "there) or unknown (a data file is missing), why, and what it comes to. What plan\n"
     "prints is what run does.\n"
     "  --resolved      every value and who set it",
     command_plan, TAKES_SETTINGS | TAKES_RESOLVED, 1, 1},
    {"run", "RECIPE", "run what is missing",
     "Runs every stage whose result is not there yet; goes on where an earlier run was\n"
     "cut off. Results are kept under the key of all they are made from, so that a\n"
     "change runs again only what depends on it. Ctrl-C saves and stops (exit status\n"
     "75); run again to go on. A second Ctrl-C does not wait for the saving. A closed\n"
     "terminal does not end it.\n"
     "  --until STAGE   only what STAGE needs, and STAGE\n"
     "  --only STAGE    STAGE alone; what it needs must be there\n"
     "  --fresh STAGE   make the result of STAGE anew although it is there\n"
     "  --from MIRROR   first bring back what is missing here and there in the mirror\n"
     "                  (`retort help mirror`): results, else the newest checkpoint\n"
     "  --detach        go on in the background; `retort status --watch` follows\n"
     "  --jobs N        so many stages at once, which divide the cores; 1: one after\n"
     "                  the other. Without it a training has all cores (or as many as\n"
     "                  OMP_NUM_THREADS says), and evaluations run side by side",
     command_run, TAKES_SETTINGS | TAKES_STAGES | TAKES_DETACH | TAKES_FROM, 1, 1},
    {"stop", "[RECIPE]", "ask a run to save and stop",
     "Asks the run of that recipe (or, without one, the only run there is) to save and\n"
     "stop.",
     command_stop, TAKES_SETTINGS, 0, 1},
    {"why", "RECIPE [STAGE]", "why stages will run or not; why two runs differ",
     "For each stage what changed since this recipe last ran: fields with line, old\n"
     "and new value, inputs, data files.\n\n"
     "`retort why RUN RUN`, of two runs (names of recipes, NAME/NUMBER, recipe files\n"
     "or files of runs): what was asked differently; for each stage the first step at\n"
     "which losses, or any other number, part; and what is recorded that explains it:\n"
     "a field, an input, the canary (a fixed batch at the start of each training,\n"
     "whose hash is kept), instruction set, build, machine, a resume on another\n"
     "processor.\n\n"
     "  retort why recipes/tiny.yaml -s base.depth=6\n"
     "  retort why tiny/1 tiny/2",
     command_why, TAKES_SETTINGS, 1, 2},
    {"status", "[RECIPE]", "the stages now",
     "Of the newest run of the recipe, or of all recipes: state of each stage, step,\n"
     "loss, tokens a second, time left, and what would be done again if it were killed\n"
     "now. \"died\" is a run whose process is gone without having said so: run it again.\n"
     "  --watch         again every second until the run ends, with its exit status",
     command_status, TAKES_SETTINGS | TAKES_WATCH, 0, 1},
    {"chat", "MODEL", "talk with a model",
     "MODEL is RECIPE.yaml:STAGE, RUN:STAGE or the file of a result; STAGE@500 is what\n"
     "it was at step 500, if that was kept. Type a question and press Enter; Ctrl-C\n"
     "stops the answer, `clear` forgets what was said, `quit` ends. With standard\n"
     "input in a pipe each line is a question, and only answers are printed. A\n"
     "calculation of the model is shown as [7+5=12].\n"
     "  -p TEXT         one question, one answer\n"
     "  -t NUMBER       temperature, 0.6; 0 always takes the likeliest token\n"
     "  -k NUMBER       sample from so many likeliest tokens, 50; 0: from all\n"
     "  -m NUMBER       longest answer in tokens, 256\n"
     "  --seed NUMBER   42; the same seed and questions give the same answers",
     command_chat, TAKES_SETTINGS | TAKES_CHAT | COMPUTES, 1, 1},
    {"encode", "MODEL [TEXT]", "ids of a text, text of ids",
     "MODEL is RECIPE.yaml:STAGE, RUN:STAGE or the file of a result: a tokenizer, or a\n"
     "model with its own. The text is TEXT, or --file FILE, or standard input; its\n"
     "bytes need not be UTF-8, and files may be larger than memory. On a terminal the\n"
     "pieces are shown with their ids, in a pipe the ids alone. The name of a special\n"
     "token in a text is text.\n"
     "  --file FILE     the text, or the ids; -: standard input\n"
     "  --ids           the ids alone\n"
     "  --decode        the other way: the text of ids, which stand behind MODEL or\n"
     "                  are read like a text; in a pipe the very bytes, nothing added\n\n"
     "  retort encode tiny:tokenizer \"Ada has 3 kites\"\n"
     "  retort encode tiny:base --decode 264 115 270\n"
     "  retort encode tiny:tokenizer --file big.txt | wc -w",
     command_encode, TAKES_SETTINGS | TAKES_ENCODE, 1, -1},
    {"logits", "MODEL [ID ...]", "logits of ids",
     "What the model gives to each token of its vocabulary as the next one, after each\n"
     "of the ids. MODEL as for chat. Ids stand behind it, or are read, a line a\n"
     "sequence, from --file or standard input. In a pipe a position is a line of\n"
     "numbers, and an empty line stands between sequences; on a terminal the likeliest\n"
     "tokens after the last id are shown.\n"
     "  --text TEXT     the ids of a text, behind <|bos|> as in training\n"
     "  --file FILE     a file of ids; -: standard input; of an HDF5 file, FILE.h5,\n"
     "                  the dataset /ids: [ids] or [sequences, ids] of whole numbers\n"
     "  --last          after the last id of each sequence alone\n"
     "  --out FILE.h5   into an HDF5 file: /ids [sequences, ids], and /logits\n"
     "                  [sequences, ids, vocabulary]; of --last without the ids\n\n"
     "  retort logits tiny:sft --text \"Ada has\"\n"
     "  retort encode tiny:sft \"Ada has\" | retort logits tiny:sft --last",
     command_logits, TAKES_SETTINGS | TAKES_LOGITS | COMPUTES, 1, -1},
    {"export", "WHAT DIR", "models and metrics for other programs",
     "Makes the folder DIR, which must not be there, of a model or tokenizer (WHAT as\n"
     "for encode):\n"
     "  --to hf         what `transformers` of Hugging Face reads: config.json,\n"
     "                  generation_config.json, model.safetensors (float32, the bits\n"
     "                  of the model), tokenizer.json, and tokenizer_config.json with\n"
     "                  the chat as a template. Of a tokenizer the last two\n"
     "  --to tiktoken   ranks.tiktoken for tiktoken.load.load_tiktoken_bpe, and in\n"
     "                  settings.json the other arguments of tiktoken.Encoding\n"
     "  --tokenizer     of a model the tokenizer alone\n"
     "or of the metrics of a run or a stage (RUN as for report, or RUN:STAGE):\n"
     "  --to csv, --to jsonl   a file a table: losses, validation, times, scores,\n"
     "                  examples, samples, events; the stage in the first column\n"
     "  --to tensorboard       the numbers that go over steps\n\n"
     "Loaded there, texts give the same ids as here, and ids the same logits. A stage\n"
     "of kind import reads models and tokenizers back (`retort help import`).\n\n"
     "  retort export tiny:sft --to hf tiny-sft\n"
     "  retort export tiny --to csv tiny-csv",
     command_export, TAKES_SETTINGS | TAKES_EXPORT, 2, 2},
    {"report", "RUN", "the report card of a run, in Markdown",
     "RUN is the name of a recipe (its newest run), NAME/NUMBER, a recipe file, the\n"
     "file of a run, or a published run (`retort ls`).",
     command_report, TAKES_SETTINGS | TAKES_HTML, 1, 1},
    {"compare", "A B ...", "runs side by side, and what is noise",
     "Two to eight runs: each the name of a recipe (its newest run), NAME/NUMBER, a\n"
     "recipe file, the file of a run, or a published run (`retort ls`). Shows what was\n"
     "asked differently, what came out of training, and what the models score; what is\n"
     "the same is left out.\n\n"
     "  retort compare tiny/1 tiny/2       a recipe before and after a change\n"
     "  retort compare small nano          the newest runs of two recipes\n"
     "  retort compare nano nanochat-d20   a run beside a published one\n"
     "  --md, --csv     as Markdown, as a spreadsheet reads it\n\n"
     "Numbers that cannot be compared (another tokenizer, other validation text, other\n"
     "questions, another count) have rows of their own, which say why.\n\n"
     "Of two runs, differences of accuracies say whether they are more than noise:\n"
     "where both models were asked the same questions, only those count that one of\n"
     "them got right and the other wrong. If 10 fell to one and 2 to the other, chance\n"
     "alone does that or more in 4 of 100 times: p 0.039. From 0.05 on it is called\n"
     "noise; so one measure in twenty looks like a difference and is none. Another\n"
     "seed would differ too: that noise only another run shows. So runs that differ\n"
     "in nothing but seeds are taken together: of three with one setting and three\n"
     "with another it says what lies between the two, mean and deviation, and whether\n"
     "it is more than what lies between seeds.\n\n"
     "  retort compare tiny/1 tiny/2 tiny/3 tiny/4 tiny/5 tiny/6\n\n"
     "Runs that differ in one thing teach most: if many fields differ, nothing tells\n"
     "which of them did it.",
     command_compare, TAKES_SETTINGS | TAKES_HTML | TAKES_TABLES, 2, 8},
    {"ls", "", "runs, with sizes and scores",
     "Lists all runs under the results folder, the newest of each recipe last, and the\n"
     "published runs of results/reference that `compare` and `report` read like runs.\n"
     "  --check         instead, reads every result, checkpoint and record whole,\n"
     "                  holds it against its checksums and its name, and says of each\n"
     "                  file whether it is good; status 1 if one is not",
     command_ls, TAKES_CHECK, 0, 0},
    {"rm", "RUN", "forget a run",
     "RUN is NAME/NUMBER, the file of a run, or the name of a recipe that has just\n"
     "one. The run is not listed, compared or explained against any more. Its results\n"
     "stay, and so does its record, under another name, until `retort gc --yes`; what\n"
     "brings it back is printed. A run that is going on is refused.",
     command_rm, 0, 1, 1},
    {"gc", "[RECIPE ...]", "what no run refers to; --yes removes it",
     "Lists the results in the store that nothing needs: no run, no running stage, and\n"
     "no stage of the recipes given here. Says whose they were, how large they are,\n"
     "and what it took to make them. Removes nothing without --yes, and then nothing\n"
     "else: runs, files with other names and results that are being made stay.\n\n"
     "  retort gc                  what could go\n"
     "  retort gc plan.yaml        the same, but nothing that plan.yaml would use\n"
     "  retort gc --yes            removes it",
     command_gc, TAKES_SETTINGS | TAKES_YES, 0, -1},
    {"fit", "RECIPE [STAGE]", "the largest model for a sum of money",
     "The largest even depth whose whole recipe costs at most that, by what `plan`\n"
     "prints, and which fits the device's memory, be it with a smaller device_batch;\n"
     "with the next smaller and the next larger. STAGE says which pretraining, where\n"
     "there are several. Where it is not known how long answers get, they count\n"
     "as if none ended early.\n"
     "  --usd SUM       dollars for the whole recipe, cached stages included\n"
     "  --yes           writes the depth into the recipe\n\n"
     "  retort fit mine.yaml --usd 100",
     command_fit, TAKES_SETTINGS | TAKES_USD | TAKES_YES, 1, 2},
    {"reproduce", "RUN", "run it again and hold every number against it",
     "RUN is the name of a recipe (its newest run), NAME/NUMBER, a recipe file or the\n"
     "file of a run. Runs the recorded recipe again, in a results folder of its own,\n"
     "RESULTS/reproduce/NAME-NUMBER, and touches nothing of the old run. If the\n"
     "recipe, or a file that it reads, is not what it was, it says so before anything\n"
     "starts.\n"
     "  --into DIR      another folder\n\n"
     "Where canary, instruction set, build and machine are those of the record, every\n"
     "bit must be the same. Elsewhere rounding differs, and a training spreads that:\n"
     "the loss (its mean over the last tenth of the steps) must agree within 2 %, bits\n"
     "per byte within 1 %, the mean reward within 0.1, and accuracies so far that a\n"
     "test of two proportions does not tell them apart at 0.01. The canary is a fixed\n"
     "batch forward and backward at the start of each training, whose hash is kept.\n"
     "Exit status 0: reproduced; 1: not. Cut off, it goes on when it is called again.",
     command_reproduce, TAKES_INTO, 1, 1},
    {"serve", "MODEL ...", "web page and API", "", NULL, 0, 0, -1},
    {"data", "RECIPE", "fetch and verify what a recipe reads",
     "Lists the files that the recipe reads, and fetches those that have an address,\n"
     "https://..., and are not there. They come to RESULTS/data/HOST/..., for all\n"
     "recipes. What each of them is, is written down beside the recipe, in\n"
     "NAME.data.yaml: bytes, SHA-256, etag. Keep that file with the recipe. Whoever\n"
     "fetches by it later gets the same data, or an error. Cut off, it goes on where\n"
     "it was.\n"
     "  --list          only list: no network\n"
     "  --offline       no network: verify what is there; status 3 if not all is\n"
     "  --only SOURCE   the files of one source or task\n"
     "  --jobs N        so many files at once, 8\n\n"
     "In the environment:\n"
     "  RETORT_DATA_TOKEN=HOST=TOKEN   a token for that host, for no other, and never\n"
     "                  written down; HF_TOKEN is one for huggingface.co\n"
     "  CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR   certificates to trust, in place\n"
     "                  of the system's\n"
     "  RETORT_DATA_WAIT=1    seconds before the second try; doubled from try to try\n"
     "  RETORT_DATA_STALL=30  seconds under 1 kB/s that count as cut off\n"
     "  https_proxy, no_proxy as usual",
     command_data, TAKES_SETTINGS | TAKES_FETCH, 1, 1},
    {"bench", "[WHAT ...]", "this machine's figures, as shares of its peak",
     "`retort bench machine` measures what this machine does at the most and what it\n"
     "reaches in products, attention and real training steps of two small models. It\n"
     "takes some seconds, and nothing else should run meanwhile. The figures are kept\n"
     "in machine.h5 under the results folder: `plan` tells time by them. Another\n"
     "machine or another build has its own.\n\n"
     "`retort bench train [RECIPE [STAGE]]` times whole training steps of that stage\n"
     "(the first training without STAGE) on made-up tokens; without RECIPE four models\n"
     "that are known to many, in a few minutes.\n"
     "  --profile       how the time of a step divides among operations\n\n"
     "`retort bench eval [RECIPE [STAGE]]` scores questions that are asked as text, as\n"
     "CORE's are, on made-up tokens: examples a second, beside one forward pass of\n"
     "each prompt by itself. The model is that of the stage, else one of depth 4.\n\n"
     "`retort bench kernels` times products, attention, loss and optimizer by\n"
     "themselves.\n"
     "  --blas LIB      the products of another library (libblis.so) beside ours\n\n"
     "`retort bench tokenizer` splits, counts, merges and encodes 80 MB of text at a\n"
     "vocabulary of 32,768, and shows each as a share of what bounds it: reading\n"
     "memory, splitting, or waiting for memory. The text is of made-up words with the\n"
     "frequencies of a language, or the first 80 MB of your own: .parquet (its column\n"
     "`text`), .jsonl (its field `text`) or plain text. Documents above 10,000\n"
     "characters are cut into several. How long memory makes one wait is reckoned\n"
     "with one read for each place that merges change.\n\n"
     "`retort bench data` reads parquet, JSON lines, plain text and token files, and\n"
     "writes the documents of a world, beside what bounds each: reading the file's\n"
     "bytes alone, copying rows, or the processor. Files of 8 MB of text and more are\n"
     "tokenized, too, as a token stage does, beside encoding alone. Without files it\n"
     "takes the shipped town and what it writes.\n\n"
     "`retort bench store [MiB]` writes a checkpoint of 1 GiB under the results\n"
     "folder, in turns with plain writes of the same bytes, and verifies it: what\n"
     "share of the disk it gets, and how long training waits while it is copied.\n\n"
     "  retort bench\n"
     "  retort bench train recipes/tiny.yaml --profile\n"
     "  retort bench data shards/*.parquet\n"
     "  retort bench eval\n"
     "  retort bench tokenizer\n"
     "  retort bench tokenizer shards/*.parquet",
     command_bench, TAKES_SETTINGS | TAKES_BENCH | COMPUTES, 0, -1},
    {"new", "NAME [FILE ...]", "write a recipe to begin with",
     "Writes NAME.yaml in this folder: a small commented recipe that runs in about a\n"
     "minute. It learns from the shipped town, or from your own FILES: text, .jsonl\n"
     "(its field `text`) or .parquet (its column `text`), of which the last is kept to\n"
     "measure on. A file that is there is not overwritten.\n\n"
     "  retort new mine\n"
     "  retort new letters letters/*.txt",
     command_new, 0, 1, -1},
    {"schema", "[KIND]", "the language of recipes",
     "Every word of the language, to look things up in: what it takes, its default,\n"
     "and whether it is in the key of a result. With --json a JSON Schema (draft\n"
     "2020-12), for editors that check as one types:\n\n"
     "  retort schema --json > recipe.schema.json\n\n"
     "and at the top of a recipe, for editors with yaml-language-server:\n\n"
     "  # yaml-language-server: $schema=recipe.schema.json",
     command_schema, 0, 0, 1},
    {"help", "[TOPIC]", "this, or a command, a kind of stage, a field",
     "  retort help run            a command\n"
     "  retort help pretrain       the fields of a kind of stage, with defaults\n"
     "  retort help batch_tokens   a field: what it takes and what changing it means\n"
     "  retort help grpo.rows      a field of one kind\n"
     "  retort help matrix         a word at the top of a recipe\n"
     "  retort help files          what is in result files, for other programs",
     command_help, 0, 0, 1},
    {"version", "", "version, build and machine", "The version, how it was built, and the machine it is on.", command_version, 0,
     0, 0},
};
const int n_commands = countof(commands);

const struct command *command_find(const char *name)
{
    for (int i = 0; i < n_commands; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}
