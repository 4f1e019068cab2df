// test_task_file.c - task files: the shipped ones, what can be wrong in one, the user's own files.
#include "cmocka_all.h"

#include <unistd.h>

#include "runner/recipe/task_file.h"

static struct arena arena;
static struct task_file task;

static const char *write_file(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "task_file_%ld.yaml", (long)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static void reads(const char *path, const char *data)
{
    struct error *e = task_file_read(path, data, &arena, &task);
    if (e)
        fail_msg("%s:%d:%d: %s", e->at.file ? e->at.file : path, e->at.line, e->at.column, e->what);
}

static void reads_shipped(const char *name)
{
    const char *path = task_file_shipped(name, &arena);
    assert_int_equal(access(path, R_OK), 0);
    reads(path, "data");
    assert_string_equal(task.name, name);
    assert_string_equal(task.task.name, name);
    assert_non_null(task.content);
}

// Each part stands in an error of its own, and there is no other.
static void fails(const char *text, const char *const *parts, int n_parts)
{
    const char *path = write_file(text);
    struct error *e = task_file_read(path, "data", &arena, &task);
    int n = 0;
    for (struct error *each = e; each; each = each->next, n++) {
        bool known = false;
        for (int i = 0; i < n_parts; i++)
            known |= strstr(each->what, parts[i]) || (each->fix && strstr(each->fix, parts[i]));
        if (!known)
            fail_msg("%d: not expected: %s", each->at.line, each->what);
        assert_true(each->kind == ERROR_RECIPE || each->kind == ERROR_NOT_BUILT);
        assert_true(each->at.line > 0);
    }
    if (n != n_parts)
        fail_msg("%d errors, expected %d, of\n%s", n, n_parts, text);
    error_free(e);
    arena_release(&arena);
    unlink(path);
}

#define FAILS(text, ...) fails(text, (const char *const[]){__VA_ARGS__}, (int)countof(((const char *const[]){__VA_ARGS__})))

static void shipped(void **state)
{
    (void)state;
    reads_shipped("smoltalk");
    assert_string_equal(task.task.messages, "messages");
    assert_int_equal(task.task.grader, GRADER_NONE);
    assert_int_equal(task.n_splits, 2);
    assert_string_equal(task.splits[1].name, "test");
    assert_string_equal(task.splits[1].files[0], "data/smoltalk/test-00000-of-00001.parquet");
    assert_int_equal(task.splits[1].rows, -1);

    reads_shipped("mmlu");
    assert_string_equal(task.task.question, "question | train.question");
    assert_int_equal(task.task.n_letters, 4);
    assert_string_equal(task.task.letters[3], "D");
    assert_true(task.task.grader == GRADER_CHOICE && task.task.baseline == 0.25);
    assert_null(task_split_find(&task, "train"));
    assert_non_null(task_split_find(&task, "auxiliary_train"));

    for (int i = 0; i < 2; i++) {
        reads_shipped(i ? "arc_easy" : "arc_challenge");
        assert_string_equal(task.task.labels, "choices.label");
        assert_int_equal(task.task.n_letters, 0);
    }

    reads_shipped("gsm8k");
    assert_string_equal(task.task.call_begin, "<<");
    assert_string_equal(task.task.call_middle, "=");
    assert_string_equal(task.task.call_end, ">>");
    assert_int_equal(task.task.grader, GRADER_NUMBER);
    assert_string_equal(task.content, "{\"answer\":\"answer\",\"call_begin\":\"<<\",\"call_end\":\">>\",\"call_middle\":"
                                      "\"=\",\"question\":\"question\",\"version\":2}");

    reads_shipped("humaneval");
    assert_int_equal(task.task.grader, GRADER_PYTHON_TESTS);
    assert_string_equal(task.splits[0].files[0], "data/humaneval/test-00000-of-00001.parquet");
    assert_string_equal(task.content,
                        "{\"answer\":\"canonical_solution\",\"answer_text\":\"{question}\\n{answer}\",\"entry_point\":"
                        "\"entry_point\",\"question\":\"prompt\",\"tests\":\"test\",\"version\":2}");
    arena_release(&arena);
}

static void towns(void **state)
{
    (void)state;
    static const struct {
        const char *name, *list;
        int64_t train, test;
    } towns[] = {{"town_talk", "talk", 4000, 200}, {"town_quiz", "quiz", 8000, 500}, {"town_sums", "sums", 4000, 500}};
    for (size_t i = 0; i < countof(towns); i++) {
        reads_shipped(towns[i].name);
        assert_int_equal(task.form, DOCUMENT_WORLD);
        assert_non_null(task.world->compiled);
        assert_string_equal(task.records, towns[i].list);
        assert_int_equal(task.splits[0].rows, towns[i].train);
        assert_int_equal(task.splits[1].rows, towns[i].test);
        assert_true(!task.splits[0].held_out && task.splits[1].held_out);
        assert_int_equal(task.splits[0].n_files, 1);
        assert_int_equal(access(task.splits[0].files[0], R_OK), 0);
    }
    arena_release(&arena);
}

#define HEAD "task: x\nsource: {parquet: \"x/{split}.parquet\"}\nsplits: [train, test]\n"
#define TEXT HEAD "fields: {question: q, answer: a}\n"
#define CHOICES HEAD "fields: {question: q, right: r, wrong: w}\n"

static void good(void **state)
{
    (void)state;
    reads(write_file("task: x\nsource: {jsonl: [\"/a/{split}_{0..2}.jsonl\", \"b.jsonl\"]}\nsplits: [one, two]\n"
                     "fields: {messages: messages | .}\n"),
          "base/");
    assert_int_equal(task.splits[1].n_files, 4);
    assert_string_equal(task.splits[1].files[2], "/a/two_2.jsonl");
    assert_string_equal(task.splits[1].files[3], "base/b.jsonl");
    // Splits with different numbers of files; one that has none is none of the task.
    reads(write_file("task: x\nsource: {parquet: {train: [\"/t/{split}_{0..3}.parquet\", more.parquet], test: one.parquet}}\n"
                     "splits: [train, dev, test]\nfields: {question: q, answer: a}\n"),
          "base");
    assert_int_equal(task.n_splits, 2);
    assert_int_equal(task.splits[0].n_files, 5);
    assert_string_equal(task.splits[0].files[3], "/t/train_3.parquet");
    assert_string_equal(task.splits[0].files[4], "base/more.parquet");
    assert_string_equal(task.splits[1].name, "test");
    assert_string_equal(task.splits[1].files[0], "base/one.parquet");
    reads(write_file(CHOICES "labels: shuffled\ngrader: choice\n"), "d");
    assert_true(task.task.shuffled_labels);
    assert_int_equal(task.task.n_letters, 4);
    assert_null(task.task.prompt);
    const char *content = task.content;
    reads(write_file("task: y\nsource: {jsonl: \"{split}.jsonl\"}\nsplits: [train]\nfields: {question: q, right: r, wrong: w}\n"
                     "labels: shuffled\ngrader: choice\n"),
          "elsewhere");
    assert_string_equal(task.content, content); // neither name nor files
    unlink(write_file(""));
    arena_release(&arena);
}

#define NAMES_4 "a.a.a.a"
#define NAMES_16 NAMES_4 "." NAMES_4 "." NAMES_4 "." NAMES_4
#define PATHS_4 "a | a | a | a"
#define PATHS_8 PATHS_4 " | " PATHS_4
#define PATHS_16 PATHS_8 " | " PATHS_8

static void bad(void **state)
{
    (void)state;
    FAILS("- task\n", "not a map");
    FAILS("title: x\nsuite: [a]\n", "the file is one of suites");
    FAILS("task: x\n", "where its rows are", "which splits", "which fields");
    FAILS("taks: x\n" HEAD "fields: {question: q, answer: a}\n", "did you mean 'task'");
    FAILS(TEXT "prompt: \"{questoin}\"\n", "not one {question}");
    FAILS(TEXT "prompt: \"{question} {choices}\"\n", "the task has none");
    FAILS(CHOICES "prompt: \"{question}\"\n", "not one {choices}");
    FAILS(CHOICES "choices: {line: \"{choice}\", letters: [A, A]}\n", "{choice} and {letter}", "the same letter twice");
    FAILS(CHOICES "choices: {letters: [A]}\n", "2 to 26");
    FAILS(CHOICES "calls: \"<<{call}={output}>>\"\n", "'calls' of a task with choices");
    FAILS(CHOICES "grader: number\n", "not graded by 'number'");
    FAILS(CHOICES "baseline: 1\n", "baseline is 1");
    FAILS(CHOICES "baseline: .nan\n", "baseline");
    FAILS(CHOICES "grader: chioce\n", "did you mean 'choice'");
    FAILS(CHOICES "labels: random\n", "labels is 'random'");
    FAILS(TEXT "calls: \"<<{call}>>\"\n", "how calls are marked");
    FAILS(TEXT "calls: \"{call}={output}>>\"\n", "how calls are marked");
    FAILS(TEXT "grader: choice\n", "no choices to grade");
    FAILS(TEXT "labels: shuffled\n", "'labels' of a task without choices");
    FAILS(TEXT "shots: 10\n", "'shots' of a task that is asked in a chat");
    FAILS(TEXT "grader: exact_greedy\nshots: 101\n", "shots is 101");
    FAILS(TEXT "grader: exact_greedy\nshots: 3\nexamples: 3\n", "there have to be more of them");
    FAILS(TEXT "grader: exact_greedy\nexamples: 0\n", "examples is 0");
    FAILS(TEXT "grader: exact_greedy\nprompt: \"{answer} {question}\"\n", "does not stand at the end");
    FAILS(TEXT "grader: exact_greedy\nprompt: \"{question}\"\n", "what is asked and what may follow");
    FAILS(TEXT "grader: loss\n", "no choices to compare");
    FAILS(CHOICES "grader: exact_greedy\n", "'right' of a task that is graded by exact_greedy",
          "'wrong' of a task that is graded by exact_greedy");
    FAILS(CHOICES "grader: loss\nchoices: {letters: [A, B]}\n", "'choices' of a task that is graded by loss");
    FAILS(CHOICES "grader: loss\nprompt: \"{question} {choices}\"\n", "what is asked and what may follow");
    FAILS(CHOICES "grader: loss\nprompt: \"{question}{delimeter}{choice}\"\n",
          "the prompt has {delimeter}; did you mean {delimiter}?");
    FAILS(CHOICES "grader: loss\nprompt: \"{question} {choices}{choice}\"\n", "did you mean {choice}?");
    FAILS("task: x\nsource: {jsonl: x.jsonl}\nfields: {question: q, choices: c, answer: a}\ngrader: lss\nshots: 3\n",
          "did you mean 'loss'");
    FAILS(CHOICES "grader: loss\ndelimiter: [a]\n", "delimiter is not a text");
    FAILS(HEAD "fields: {messages: m}\ngrader: loss\n", "'messages' of a task that is graded by loss");
    FAILS(HEAD "fields: {messages: m, question: q}\ngrader: exact\n", "'question' of a task of messages", "cannot be graded");
    FAILS(HEAD "fields: {question: q}\n", "no answer");
    FAILS(HEAD "fields: {answer: q}\n", "neither messages nor a question");
    FAILS(HEAD "fields: {question: q, right: r}\n", "need each other");
    FAILS(HEAD "fields: {question: \"a | \", answer: a}\n", "'' has a name of no letters");
    FAILS(HEAD "fields: {question: \"question|train.question\", answer: \"a..b\"}\n", "'question|train.question' has a '|'",
          "'a..b' has a name of no letters");
    FAILS(HEAD "fields: {question: \"a  | b\", answer: .a}\n", "'a ' has a '|' or a blank", "'.a' has a name of no letters");
    FAILS(HEAD "fields: {question: \"" NAMES_16 "." NAMES_16 "\", answer: \"" NAMES_16 "." NAMES_16 ".x\"}\n", "too many names");
    FAILS(HEAD "fields: {question: \"" PATHS_16 "\", answer: \"" PATHS_16 " | x\"}\n", "more than 16 alternatives");
    FAILS(HEAD "fields: {messages: \"a|b\"}\n", "'a|b' has a '|'");
    FAILS(HEAD "fields: {messages: \"" NAMES_16 "." NAMES_16 "\"}\n", "too many names"); // with role and content
    FAILS(HEAD "fields: {messages: \"" PATHS_8 " | " PATHS_4 " | a | a | a | .\"}\n", "more than 16 alternatives"); // "." is two
    FAILS(HEAD "fields: {question: q, choices: c, labels: l, answer: a}\nchoices: {letters: [A, B]}\n", "labels of their own");
    FAILS(TEXT "grader: python_tests\n", "there are no tests to grade by");
    FAILS(HEAD "fields: {question: q, answer: a, tests: t, entry_point: e}\ngrader: exact\n",
          "'tests' of a task that is not graded by python_tests", "'entry_point' of a task that is not graded by python_tests");
    FAILS(HEAD "fields: {question: q, answer: a, tests: t}\ngrader: loss\n", "no choices",
          "'tests' of a task that is graded by loss");
    FAILS(CHOICES "grader: python_tests\n", "choices are not graded by 'python_tests'");
    FAILS(CHOICES "answer: \"{answer}\"\n", "'answer' of a task with choices");
    FAILS(TEXT "answer: \"{question}\"\n", "not one {answer}");
    FAILS(TEXT "answer: \"{answer}{question}{question}\"\n", "one {question} at most");
    FAILS(TEXT "answer: \"{answer}\"\ngrader: exact_greedy\n", "'answer' of a task that is graded by exact_greedy");
    FAILS(HEAD "fields: {messages: m, tests: t}\nanswer: \"{answer}\"\n", "'tests' of a task of messages",
          "'answer' of a task of messages");
    FAILS("task: x\nsource: {parquet: x.parquet}\nsplits: [train, test]\nfields: {messages: m}\n", "the same files");
    FAILS("task: x\nsource: {parquet: {train: a, tset: b}}\nsplits: [train, test]\nfields: {messages: m}\n",
          "did you mean 'test'");
    FAILS("task: x\nsource: {parquet: {train: {a: b}}}\nsplits: [train, test]\nfields: {messages: m}\n", "takes one value");
    FAILS("task: x\nsource: {parquet: {train: \"{a}\", test: []}}\nsplits: [train, test]\nfields: {messages: m}\n",
          "not a pattern", "an empty list");
    FAILS("task: x\nsource: {parquet: \"{split}\", jsonl: \"{split}\"}\nsplits: [train]\nfields: {messages: m}\n",
          "one of parquet");
    FAILS("task: x\nsource: {text: \"{split}\"}\nsplits: [train]\nfields: {messages: m}\n", "unknown key", "one of parquet");
    FAILS("task: x\nsource: {parquet: \"{split}\", records: quiz}\nsplits: [train]\nfields: {messages: m}\n",
          "'records' of files");
    FAILS("task: x\nsource: {parquet: \"{split}\"}\nsplits: [a/b, c, c]\nfields: {messages: m}\n", "not the name of a split",
          "the same split twice");
    FAILS("task: x\nsource: {parquet: \"{split}\"}\nsplits: {train: {rows: 3}}\nfields: {messages: m}\n", "list of names");
    FAILS("task: x\nsource: {parquet: \"http://host/{split}\"}\nsplits: [train]\nfields: {messages: m}\n", "is not encrypted");
    FAILS("task: x\nsource: {parquet: \"https://host/{split}?a\"}\nsplits: [train]\nfields: {messages: m}\n", "takes no '?'");
    FAILS("task: x\nsource: {parquet: \"${data}/{split}\"}\nsplits: [train]\nfields: {messages: m}\n",
          "'${' in the file of a task");
    FAILS("task: X y\nsource: {parquet: \"{split}\"}\nsplits: [train]\nfields: {messages: m}\n", "not the name of a task");
}

#define TOWN "task: x\nsource: {world: \"" RETORT_SOURCE "/recipes/worlds/town.yaml\", records: "

static void bad_worlds(void **state)
{
    (void)state;
    FAILS(TOWN "quizz}\nsplits: {train: {rows: 5}}\nfields: {question: question, right: right, wrong: wrong}\n",
          "did you mean 'quiz'");
    FAILS(TOWN "quiz}\nsplits: {train: {rows: 5}}\nfields: {question: qeustion, right: right, wrong: wrong}\n",
          "did you mean 'question'");
    FAILS(TOWN "quiz}\nsplits: {train: {rows: 5}}\nfields: {question: question.text, right: ., wrong: nothing | wrong}\n",
          "'question.text'", "'.'");
    FAILS(TOWN "talk}\nsplits: {train: {rows: 5}}\nfields: {messages: messages}\n", "'messages'");
    FAILS(TOWN "quiz}\nsplits: {train: {rows: 0}, test: {held_out: maybe}, dev: 5, huge: {rows: 1e12}}\n"
               "fields: {question: question, right: right, wrong: wrong}\n",
          "rows is 0", "how many rows there are 'test'", "held_out", "not a map 'dev'", "rows is 1e12");
    FAILS(TOWN "quiz}\nsplits: [train]\nfields: {question: question, right: right, wrong: wrong}\n", "a map");
    FAILS("task: x\nsource: {world: nowhere.yaml, records: quiz}\nsplits: {train: {rows: 5}}\nfields: {messages: m}\n", "cannot");
    FAILS("task: x\nsource: {world: nowhere.yaml}\nsplits: {train: {rows: 5}}\nfields: {messages: m}\n", "cannot",
          "which records of the world");
}

static void without_data(void **state)
{
    (void)state;
    struct error *e = task_file_read(task_file_shipped("gsm8k", &arena), NULL, &arena, &task);
    assert_non_null(e);
    assert_non_null(strstr(e->fix, "-s data=FOLDER"));
    assert_int_equal(e->at.line, 3);
    error_free(e);
    reads(task_file_shipped("town_sums", &arena), NULL);
    e = task_file_read("no/such/file.yaml", NULL, &arena, &task);
    assert_non_null(e);
    error_free(e);
    arena_release(&arena);
}

static void jsonl(void **state)
{
    (void)state;
    assert_null(task_file_of_jsonl("some/where/identity.jsonl", &arena, &task));
    assert_string_equal(task.name, "identity");
    assert_string_equal(task.task.messages, "messages | .");
    assert_int_equal(task.form, DOCUMENT_JSONL);
    assert_int_equal(task.n_splits, 1);
    assert_string_equal(task.splits[0].name, "train");
    assert_string_equal(task.splits[0].files[0], "some/where/identity.jsonl");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shipped), cmocka_unit_test(towns),      cmocka_unit_test(good),
                                       cmocka_unit_test(bad),     cmocka_unit_test(bad_worlds), cmocka_unit_test(without_data),
                                       cmocka_unit_test(jsonl)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
