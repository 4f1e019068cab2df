// task_form.c - what a task is: which fields its rows have, how it is asked, how it is graded; and what does not go together.
//
// A task is asked in a chat (messages, choices or text) or, by its grader, as text that a model goes on from; this decides which keys fit,
// and is looked at last.
#include "runner/recipe/task_reader.h"

#include <stdio.h>
#include <string.h>

#include "runner/recipe/number.h"

enum { MOST_LETTER_BYTES = 16, EXAMPLES_MOST = 100000000 };

static const char *const of_tests[] = {"tests", "entry_point"};

void task_report_of(struct task_reader *t, struct place at, const char *fix, const char *what, const char *name)
{
    reader_error(t->r, error_new(ERROR_RECIPE, at, fix, "%s '%.80s'", what, name));
}

void task_report(struct task_reader *t, struct place at, const char *fix, const char *what)
{
    reader_error(t->r, error_new(ERROR_RECIPE, at, fix, "%s", what));
}

const char *task_text(struct task_reader *t, const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    return node ? scalar_text(t->r, node, key) : NULL;
}

static bool is_map(struct task_reader *t, const struct node *node, const char *fix)
{
    if (node->kind != NODE_MAP)
        reader_error(t->r, error_new(ERROR_RECIPE, node->at, fix, "%s is not a map", node->key));
    return node->kind == NODE_MAP;
}

// The paths that a field of the task is read by: messages by one for roles and one for contents. How many; 0: no memory.
int task_paths_of(struct task_reader *t, const char *key, const char *text, const char *paths[TASK_PATHS])
{
    struct task talk = {.name = "", .messages = text};
    int n = 1;
    paths[0] = text;
    if (!strcmp(key, "messages"))
        reader_error(t->r, task_paths(&talk, t->r->arena, paths, &n));
    return t->r->no_memory ? 0 : n;
}

// What no data can have is an error of the line that asks for it.
static bool check_path(struct task_reader *t, struct place at, const char *path)
{
    struct error *e = record_path_check(path);
    if (!e || e == error_memory()) {
        reader_error(t->r, e);
        return !e;
    }
    reader_error(t->r, error_new(ERROR_RECIPE, at, e->fix ? e->fix : "write a shorter one", "%s", e->what));
    error_free(e);
    return false;
}

// "question | train.question"
static const char *read_path(struct task_reader *t, const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    const char *text = node ? scalar_text(t->r, node, key) : NULL, *paths[TASK_PATHS];
    if (text && check_path(t, node->at, text) && task_paths_of(t, key, text, paths))
        check_path(t, node->at, paths[0]);
    return text;
}

static void read_fields(struct task_reader *t, struct task *task)
{
    static const char *const keys[] = {"messages", "question", "answer", "choices",    "labels",
                                       "right",    "wrong",    "tests",  "entry_point"};
    const char **to[] = {&task->messages, &task->question, &task->answer, &task->choices,    &task->labels,
                         &task->right,    &task->wrong,    &task->tests,  &task->entry_point};
    const struct node *map = node_get(t->root, "fields");
    if (!map)
        task_report(t, t->root->at, "write fields: {question: question, answer: answer}",
                    "the task does not say which fields its rows have");
    if (!map || !is_map(t, map, "write fields: {question: question, answer: answer}"))
        return;
    check_keys(t->r, map, keys, (int)countof(keys));
    for (size_t i = 0; i < countof(keys); i++)
        *to[i] = read_path(t, map, keys[i]);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, part)); s += strlen(part))
        n++;
    return n;
}

// "<<{call}={output}>>" into what stands before, between and after.
static void read_calls(struct task_reader *t, struct task *task)
{
    const struct node *node = node_get(t->root, "calls");
    const char *text = node ? scalar_text(t->r, node, "calls") : NULL;
    if (!text)
        return;
    const char *call = strstr(text, "{call}"), *output = call ? strstr(call, "{output}") : NULL;
    const char *middle = call ? call + strlen("{call}") : NULL, *end = output ? output + strlen("{output}") : NULL;
    if (!end || call == text || middle == output || !*end || count(text, "{call}") != 1 || count(text, "{output}") != 1) {
        task_report(t, node->at, "write what stands before, between and after: \"<<{call}={output}>>\"",
                    "calls does not say how calls are marked");
        return;
    }
    task->call_begin = reader_have(t->r, arena_strndup(t->r->arena, text, (size_t)(call - text)));
    task->call_middle = reader_have(t->r, arena_strndup(t->r->arena, middle, (size_t)(output - middle)));
    task->call_end = end;
}

static void read_letters(struct task_reader *t, const struct node *list, struct task *task)
{
    if (list->kind != NODE_LIST || list->n < 2 || list->n > TASK_LETTERS) {
        task_report(t, list->at, "write [A, B, C, D]", "letters takes a list of 2 to 26");
        return;
    }
    for (const struct node *c = list->first; c; c = c->next) {
        const char *letter = scalar_text(t->r, c, "a letter");
        if (!letter)
            continue;
        if (strlen(letter) > MOST_LETTER_BYTES)
            task_report(t, c->at, "take single letters", "a letter of more than 16 bytes");
        for (int i = 0; i < task->n_letters; i++)
            if (strcmp(task->letters[i], letter) == 0) {
                task_report_of(t, c->at, "take different letters", "the same letter twice", letter);
                break;
            }
        task->letters[task->n_letters++] = letter;
    }
}

static void read_choices(struct task_reader *t, struct task *task)
{
    static const char *const keys[] = {"line", "letters"};
    const struct node *map = node_get(t->root, "choices");
    if (!map || !is_map(t, map, "write choices: {line: \"- {choice}={letter}\\n\", letters: [A, B, C, D]}"))
        return;
    check_keys(t->r, map, keys, (int)countof(keys));
    const struct node *letters = node_get(map, "letters");
    task->choice_line = task_text(t, map, "line");
    if (task->choice_line && (count(task->choice_line, "{choice}") != 1 || count(task->choice_line, "{letter}") != 1))
        task_report(t, node_get(map, "line")->at, "write \"- {choice}={letter}\\n\"",
                    "the line of a choice has {choice} and {letter} once each");
    if (letters)
        read_letters(t, letters, task);
}

static void read_grader(struct task_reader *t, struct task *task)
{
    const struct node *node = node_get(t->root, "grader"), *baseline = node_get(t->root, "baseline"),
                      *labels = node_get(t->root, "labels");
    const char *name = node ? scalar_text(t->r, node, "grader") : NULL;
    const char *guess = baseline ? scalar_text(t->r, baseline, "baseline") : NULL;
    const char *dealt = labels ? scalar_text(t->r, labels, "labels") : NULL;
    const char *names[GRADER_COUNT];
    bool known = false;
    for (int i = 0; i < GRADER_COUNT; i++) {
        names[i] = grader_name((enum task_grader)i);
        if (!name || strcmp(names[i], name))
            continue;
        task->grader = (enum task_grader)i;
        known = true;
    }
    t->grader_unknown = node && !known;
    if (name && !known)
        reader_error(t->r, unknown_word(node->at, "grader", name, names, GRADER_COUNT));
    struct error *e = guess ? number_real(guess, false, baseline->at, "baseline", &task->baseline) : NULL;
    if (!e && guess && !(task->baseline >= 0 && task->baseline < 1))
        e = error_new(ERROR_RECIPE, baseline->at, "write the share that guessing gets right: 0.25 of four choices",
                      "baseline is %s", guess);
    reader_error(t->r, e);
    task->shuffled_labels = dealt && strcmp(dealt, "shuffled") == 0;
    if (dealt && !task->shuffled_labels)
        task_report_of(t, labels->at, "write labels: shuffled, a control that nothing can learn, or leave it out", "labels is",
                       dealt);
}

// A key that stands in the way of what the task is.
void task_refuse(struct task_reader *t, const struct node *map, const char *key, const char *why)
{
    const struct node *node = node_get(map, key);
    if (node)
        reader_error(t->r, error_new(ERROR_RECIPE, node->key_at, "leave it out", "'%s' of %s", key, why));
}

static void refuse_all(struct task_reader *t, const struct node *map, const char *const *keys, size_t n, const char *why)
{
    for (size_t i = 0; i < n; i++)
        task_refuse(t, map, keys[i], why);
}

static void read_count(struct task_reader *t, const char *key, int64_t least, int64_t most, int64_t *count)
{
    const struct node *node = node_get(t->root, key);
    const char *text = node ? scalar_text(t->r, node, key) : NULL;
    struct error *e = text ? number_int(text, true, node->at, key, count) : NULL;
    if (!e && text && (*count < least || *count > most)) {
        char fix[80];
        snprintf(fix, sizeof fix, "write %lld to %lld", (long long)least, (long long)most);
        e = error_new(ERROR_RECIPE, node->at, fix, "%s is %s", key, text);
    }
    reader_error(t->r, e);
}

// What stands around worked examples. A delimiter may be empty.
static void read_shots(struct task_reader *t, struct task *task)
{
    const struct node *delimiter = node_get(t->root, "delimiter");
    read_count(t, "shots", 0, TASK_SHOTS_MOST, &task->shots);
    read_count(t, "examples", 1, EXAMPLES_MOST, &task->examples);
    if (delimiter && delimiter->kind == NODE_SCALAR)
        task->delimiter = delimiter->text;
    else if (delimiter)
        task_report(t, delimiter->at, "write delimiter: \"\\nAnswer: \"", "delimiter is not a text");
    if (task->examples && task->examples <= task->shots)
        task_report(t, node_get(t->root, "examples")->at, "ask more, or show fewer",
                    "examples are drawn from for shots, and there have to be more of them");
}

// A slot that is written nearly right would be asked as it stands.
static void check_slots(struct task_reader *t, const struct node *node, const char *const *slots, int n)
{
    enum { SLOT = 24 };
    for (const char *s = node->text; (s = strchr(s, '{')); s++) {
        char word[SLOT], what[80], fix[80];
        size_t length = strspn(s + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        if (!length || length >= SLOT || s[1 + length] != '}')
            continue;
        snprintf(word, sizeof word, "%.*s", (int)length, s + 1);
        const char *near = nearest_name(word, slots, n);
        if (!near || !strcmp(near, word))
            continue;
        snprintf(what, sizeof what, "the prompt has {%s}; did you mean {%s}?", word, near);
        snprintf(fix, sizeof fix, "write {%s}", near);
        task_report(t, node->at, fix, what);
        return;
    }
}

// The prompt of a task that is asked as text, and where what follows stands in it.
static void check_prompted(struct task_reader *t, const struct task *task)
{
    const struct node *node = node_get(t->root, "prompt");
    bool loss = task->grader == GRADER_LOSS;
    const char *slot = loss ? "{choice}" : "{answer}", *at = task->prompt ? strstr(task->prompt, slot) : NULL;
    const char *fix =
        loss ? "write \"{question}{delimiter}{choice}\", or the choice first" : "write \"{question}{delimiter}{answer}\"";
    if (!task->prompt)
        return;
    if (count(task->prompt, "{question}") != 1 || count(task->prompt, slot) != 1 || count(task->prompt, "{delimiter}") > 1)
        task_report(t, node->at, fix, "the prompt has not what is asked and what may follow, once each");
    else if (!loss && at[strlen(slot)])
        task_report(t, node->at, fix, "the answer does not stand at the end of the prompt");
    else
        check_slots(t, node, (const char *const[]){"question", "delimiter", loss ? "choice" : "answer"}, 3);
}

// What the assistant says.
static void check_answer(struct task_reader *t, const struct task *task)
{
    const struct node *node = node_get(t->root, "answer");
    const char *text = task->answer_text;
    if (text && (count(text, "{answer}") != 1 || count(text, "{question}") > 1))
        task_report(t, node->at, "write \"{answer}\", and what stands around it",
                    "the answer has not one {answer}, and one {question} at most");
}

// Tests are for one grader, and that one is for tests.
static void check_tests(struct task_reader *t, const struct task *task, const struct node *map)
{
    const struct node *grader = node_get(t->root, "grader");
    if (task->grader == GRADER_PYTHON_TESTS && !node_get(map, "tests"))
        task_report(t, grader->at, "map tests: the field with what has to run without an exception",
                    "there are no tests to grade by");
    if (task->grader != GRADER_PYTHON_TESTS)
        refuse_all(t, map, of_tests, countof(of_tests), "a task that is not graded by python_tests");
}

// A question that a model goes on from: what may follow, one of which is right, or the answer.
static void check_text_form(struct task_reader *t, const struct task *task, const struct node *map)
{
    static const char *const of_chats[] = {"choices", "answer", "calls", "labels"};
    static const char *const of_answers[] = {"choices", "labels", "right", "wrong"};
    bool loss = task->grader == GRADER_LOSS, pair = node_get(map, "right") || node_get(map, "wrong");
    const char *why = loss ? "a task that is graded by loss" : "a task that is graded by exact_greedy";
    if (node_get(map, "messages")) {
        task_refuse(t, map, "messages", why);
        return;
    }
    refuse_all(t, t->root, of_chats, countof(of_chats), why);
    refuse_all(t, map, of_tests, countof(of_tests), why);
    if (!loss)
        refuse_all(t, map, of_answers, countof(of_answers), why);
    if (loss && pair) {
        refuse_all(t, map, (const char *const[]){"choices", "labels", "answer"}, 3, "a task with right and wrong choices");
        if (!node_get(map, "right") || !node_get(map, "wrong"))
            task_report(t, map->key_at, "map both", "right and wrong choices need each other");
    } else if (loss && !node_get(map, "choices")) {
        task_report(t, map->key_at, "map choices and answer, or right and wrong",
                    "there are no choices to compare the losses of");
    }
    if (!node_get(map, "question"))
        task_report(t, map->key_at, "map question", "the task has no question");
    if (!pair && !node_get(map, "answer"))
        task_report(t, map->key_at, loss ? "map answer: the number of the right choice, from 0" : "map answer",
                    "the task has no answer");
    check_prompted(t, task);
}

static void check_prompt(struct task_reader *t, const struct task *task, bool choices)
{
    const struct node *node = node_get(t->root, "prompt");
    if (!task->prompt)
        return;
    if (count(task->prompt, "{question}") != 1)
        task_report(t, node->at, "write \"{question}\", and what stands around it", "the prompt has not one {question}");
    if (count(task->prompt, "{choices}") != choices)
        task_report(t, node->at, choices ? "write \"{question}\\n{choices}\"" : "leave {choices} out",
                    choices ? "the prompt has not one {choices}" : "the prompt has {choices}, and the task has none");
}

// What the task is: a conversation, a question with choices, or a question with a text for an answer.
static void check_form(struct task_reader *t, struct task *task)
{
    static const char *const of_questions[] = {"question", "answer", "choices", "labels",
                                               "right",    "wrong",  "tests",   "entry_point"};
    static const char *const around_questions[] = {"prompt", "choices", "answer", "calls", "labels"};
    static const char *const of_choices[] = {"choices", "labels"}, *const of_text[] = {"labels", "choices"};
    static const char *const of_prompts[] = {"shots", "delimiter", "examples"};
    const struct node *map = node_get(t->root, "fields"), *grader = node_get(t->root, "grader");
    if (!map || map->kind != NODE_MAP)
        return;
    if (grader_is_prompted(task->grader)) {
        check_text_form(t, task, map);
        return;
    }
    refuse_all(t, t->root, of_prompts, countof(of_prompts), "a task that is asked in a chat");
    bool choices = node_get(map, "choices"), pair = node_get(map, "right") || node_get(map, "wrong");
    struct place at = grader ? grader->at : map->key_at;
    if (node_get(map, "messages")) {
        refuse_all(t, map, of_questions, countof(of_questions), "a task of messages");
        refuse_all(t, t->root, around_questions, countof(around_questions), "a task of messages");
        if (task->grader != GRADER_NONE)
            task_report(t, at, "leave it out", "messages cannot be graded");
        return;
    }
    if (!node_get(map, "question"))
        task_report(t, map->key_at, "map question, or messages", "the task has neither messages nor a question");
    if (pair) {
        task_refuse(t, map, "answer", "a task with right and wrong choices");
        refuse_all(t, map, of_choices, countof(of_choices), "a task with right and wrong choices");
        if (!node_get(map, "right") || !node_get(map, "wrong"))
            task_report(t, map->key_at, "map both", "right and wrong choices need each other");
    } else if (!node_get(map, "answer")) {
        task_report(t, map->key_at, "map answer, or right and wrong", "the task has no answer");
    }
    choices |= pair;
    if (choices) {
        task_refuse(t, t->root, "calls", "a task with choices");
        task_refuse(t, t->root, "answer", "a task with choices");
        if (task->labels && task->n_letters)
            task_report(t, node_get(t->root, "choices")->at, "leave the letters out", "the rows have labels of their own");
        if (task->grader != GRADER_NONE && task->grader != GRADER_CHOICE)
            task_report_of(t, at, "write grader: choice", "choices are not graded by", grader_name(task->grader));
    } else {
        refuse_all(t, t->root, of_text, countof(of_text), "a task without choices");
        task_refuse(t, map, "labels", "a task without choices");
        if (task->grader == GRADER_CHOICE)
            task_report(t, at, "map choices, or write grader: number or exact", "there are no choices to grade");
    }
    check_prompt(t, task, choices);
    check_answer(t, task);
    if (choices)
        refuse_all(t, map, of_tests, countof(of_tests), "a task with choices");
    else
        check_tests(t, task, map);
    if (choices && !task->labels && !task->n_letters) {
        static const char *const letters[] = {"A", "B", "C", "D"};
        memcpy(task->letters, letters, sizeof letters);
        task->n_letters = (int)countof(letters);
    }
}

void task_form_read(struct task_reader *t)
{
    struct task *task = &t->file->task;
    read_fields(t, task);
    task->name = t->file->name;
    task->prompt = task_text(t, t->root, "prompt");
    task->answer_text = task_text(t, t->root, "answer");
    read_calls(t, task);
    read_choices(t, task);
    read_grader(t, task);
    read_shots(t, task);
    if (!t->grader_unknown)
        check_form(t, task);
}
