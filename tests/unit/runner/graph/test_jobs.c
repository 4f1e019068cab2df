// test_jobs.c - jobs, live lines and errors come back as they were written; torn ones do not hurt.
#include "place.h"

#include <math.h>

#include "runner/stages/error_json.h"
#include "runner/stages/job.h"
#include "runner/stages/live.h"

static void a_job_comes_back(void **state)
{
    struct place_of_test *p = *state;
    const char *path = arena_printf(&p->arena, "%s/x.job", p->folder);
    const char *setting = "base.weight_decay=0.1";
    no_error(try_graph(p, RECIPE, &setting, 1));
    const struct graph_node *base = graph_find(&p->graph, "base");
    const char *const paths[] = {"a.h5", "b\".h5"};
    struct job_input input = {.role = "tokens", .paths = paths, .n_paths = 2};
    struct job_part part = {.part = {.form = DOCUMENT_WORLD, .path = "w.yaml", .seed = 7, .first = 3, .n = 9, .held_out = true},
                            .identity = "{}",
                            .key = "k",
                            .out = "o",
                            .payload = "p"};
    struct job_place places[] = {{"", base->stage->at},
                                 {"depth", stage_setting(base->stage, "depth")->at},
                                 {"weight_decay", stage_setting(base->stage, "weight_decay")->at}};
    struct job job = {.name = "base",
                      .places = places,
                      .n_places = 3,
                      .kind = KIND_PRETRAIN,
                      .key = base->key,
                      .payload = base->payload,
                      .options = base->options,
                      .results = "results",
                      .out = "out.h5",
                      .lock = "out.lock",
                      .inputs = &input,
                      .n_inputs = 1,
                      .parts = &part,
                      .n_parts = 1,
                      .usd_per_hour = NAN},
               back;
    no_error(job_write(&job, path));
    no_error(job_read(&back, path, &p->arena));
    const struct pretrain_options *a = base->options, *b = back.options;
    for (int i = 0; i < n_fields; i++)
        if (fields[i].kinds & 1u << KIND_PRETRAIN && field_is_set(a, &fields[i]))
            assert_string_equal(field_text(a, &fields[i], &p->arena), field_text(b, &fields[i], &p->arena));
    assert_true(a->weight_decay == b->weight_decay && a->warmdown == b->warmdown);
    assert_string_equal(back.payload, base->payload);
    assert_true(isnan(back.usd_per_hour));
    const char *const *got;
    int n;
    no_error(job_paths(&back, "tokens", &got, &n));
    assert_int_equal(n, 2);
    assert_string_equal(got[1], "b\".h5");
    assert_int_equal(back.parts[0].part.n, 9);
    assert_true(back.parts[0].part.held_out);
    assert_string_equal(back.parts[0].payload, "p");
    assert_null(back.parts[0].part.column);
    struct error *e = job_paths(&back, "model", &got, &n);
    assert_non_null(e);
    error_free(e);
    for (int i = 0; i < 3; i++) {
        e = job_error(&back, i ? places[i].field : "seq_len", error_new(ERROR_RECIPE, NOWHERE, "mend it", "%s", "wrong"));
        assert_string_equal(e->at.file, places[i].at.file);
        assert_int_equal(e->at.line, places[i].at.line);
        assert_int_equal(e->at.column, places[i].at.column);
        assert_string_equal(e->fix, "mend it");
        error_free(e);
    }
    assert_null(job_error(&back, "depth", NULL));
}

static void tasks_come_back(void **state)
{
    struct place_of_test *p = *state;
    const char *path = arena_printf(&p->arena, "%s/x.job", p->folder);
    const char *const paths[] = {"a.h5", "b.h5"};
    struct job_task tasks[] = {{"mixture", "quiz", "train", 0.1, -1, GRADER_CHOICE, 0.25, paths, 2, NULL},
                               {"mixture", "sums", "train", NAN, 7, GRADER_NUMBER, 0, paths, 1, NULL},
                               {"test", "quiz", "test", 1, -1, GRADER_CHOICE, 0.25, paths, 1, "both"}};
    const struct task task = {.name = "quiz",
                              .question = "q | r.q",
                              .right = "right",
                              .wrong = "wrong",
                              .prompt = "{question}\n\"{choices}\"",
                              .choice_line = "- {choice}={letter}\n",
                              .letters = {"A", "B"},
                              .n_letters = 2,
                              .call_begin = "<<",
                              .call_middle = "=",
                              .call_end = ">>",
                              .grader = GRADER_CHOICE,
                              .baseline = 1. / 3,
                              .shuffled_labels = true,
                              .delimiter = "",
                              .shots = 10,
                              .examples = 500};
    struct job_part part = {.part = {.form = DOCUMENT_WORLD, .path = "w.yaml", .n = 9, .records = "quiz"},
                            .identity = "{}",
                            .task = &task,
                            .split = "train",
                            .suite = "core"};
    struct job_suite suite = {.name = "core", .title = "CORE", .n_all = 22, .missing = "core/squad core/coqa"};
    const struct mixture_use use = {.epochs = 2};
    struct finetune_options options;
    fields_unset(&options, KIND_FINETUNE);
    options.mixture = (struct mixture_uses){1, &use};
    options.steps = 5;
    struct job job = {.name = "mid",
                      .kind = KIND_FINETUNE,
                      .key = "k",
                      .payload = "p",
                      .options = &options,
                      .results = "results",
                      .lock = "out.lock",
                      .parts = &part,
                      .n_parts = 1,
                      .tasks = tasks,
                      .n_tasks = countof(tasks),
                      .suites = &suite,
                      .n_suites = 1},
               back;
    no_error(job_write(&job, path));
    no_error(job_read(&back, path, &p->arena));
    assert_int_equal(((const struct finetune_options *)back.options)->steps, 5);
    assert_int_equal(((const struct finetune_options *)back.options)->mixture.n, 0);
    assert_int_equal(back.n_tasks, 3);
    for (int i = 0; i < back.n_tasks; i++) {
        const struct job_task *a = &tasks[i], *b = &back.tasks[i];
        assert_string_equal(a->role, b->role);
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->split, b->split);
        assert_true(a->epochs == b->epochs || (isnan(a->epochs) && isnan(b->epochs)));
        assert_int_equal(a->rows, b->rows);
        assert_int_equal(a->grader, b->grader);
        assert_true(a->baseline == b->baseline);
        assert_int_equal(a->n_paths, b->n_paths);
        assert_true(a->suite ? b->suite && !strcmp(a->suite, b->suite) : !b->suite);
        assert_string_equal(b->paths[a->n_paths - 1], paths[a->n_paths - 1]);
    }
    const struct task *t = back.parts[0].task;
    assert_string_equal(back.parts[0].part.records, "quiz");
    assert_string_equal(back.parts[0].split, "train");
    assert_string_equal(t->name, task.name);
    assert_string_equal(t->question, task.question);
    assert_string_equal(t->right, task.right);
    assert_string_equal(t->wrong, task.wrong);
    assert_string_equal(t->prompt, task.prompt);
    assert_string_equal(t->choice_line, task.choice_line);
    assert_string_equal(t->call_begin, "<<");
    assert_string_equal(t->call_middle, "=");
    assert_string_equal(t->call_end, ">>");
    assert_null(t->messages);
    assert_null(t->answer);
    assert_null(t->choices);
    assert_null(t->labels);
    assert_int_equal(t->n_letters, 2);
    assert_string_equal(t->letters[1], "B");
    assert_int_equal(t->grader, GRADER_CHOICE);
    assert_true(t->baseline == task.baseline && t->shuffled_labels);
    assert_string_equal(t->delimiter, "");
    assert_int_equal(t->shots, 10);
    assert_int_equal(t->examples, 500);
    assert_string_equal(back.parts[0].suite, "core");
    assert_int_equal(back.n_suites, 1);
    assert_string_equal(back.suites[0].name, "core");
    assert_string_equal(back.suites[0].title, "CORE");
    assert_string_equal(back.suites[0].missing, suite.missing);
    assert_int_equal(back.suites[0].n_all, 22);
}

// Every cut of a job file, and wrong types in it, end in an error.
static void torn_jobs(void **state)
{
    struct place_of_test *p = *state;
#define LETTERS                                                                                                                  \
    "[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","                    \
    "\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]"
#define BEGIN "{\"retort\":1,\"kind\":\"eval\",\"name\":\"n\",\"key\":\"k\",\"payload\":\"p\",\"results\":\"r\",\"lock\":\"l\","
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "null",
                                      "{\"retort\":2}",
                                      "{\"retort\":1,\"kind\":\"dance\"}",
                                      "{\"retort\":1,\"kind\":\"eval\"}",
                                      "{\"retort\":1,\"kind\":\"eval\",\"name\":1,\"key\":[],\"payload\":{},\"results\":null}",
                                      BEGIN "\"options\":{\"nope\":\"1\"}}",
                                      BEGIN "\"options\":{\"seed\":1}}",
                                      BEGIN "\"inputs\":{\"a\":[1]}}",
                                      BEGIN "\"parts\":[{\"form\":\"x\"}]}",
#define PART BEGIN "\"parts\":[{\"form\":\"jsonl\",\"path\":\"p\",\"identity\":\"{}\",\"split\":\"s\",\"task\":"
                                      PART "{}}]}",
                                      PART "1}]}",
                                      PART "{\"name\":\"t\",\"grader\":\"x\"}}]}",
                                      PART "{\"name\":\"t\",\"grader\":\"none\",\"letters\":[1]}}]}",
                                      PART "{\"name\":\"t\",\"grader\":\"none\",\"letters\":" LETTERS "}}]}",
                                      PART "{\"name\":\"t\",\"grader\":\"none\",\"baseline\":1.5}}]}",
                                      BEGIN "\"tasks\":[1]}",
#define TASK BEGIN "\"tasks\":[{\"name\":\"n\",\"split\":\"s\",\"paths\":[\"p\"],"
                                      TASK "\"role\":\"model\",\"grader\":\"none\",\"epochs\":1}]}",
                                      TASK "\"role\":\"mixture\",\"grader\":\"none\"}]}",
                                      TASK "\"role\":\"mixture\",\"grader\":\"none\",\"epochs\":0}]}",
                                      TASK "\"role\":\"mixture\",\"grader\":\"none\",\"rows\":-5,\"epochs\":1}]}",
                                      TASK "\"role\":\"mixture\",\"grader\":\"best\",\"epochs\":1}]}",
                                      BEGIN "\"tasks\":[{\"name\":\"n\",\"split\":\"s\",\"role\":\"suite\",\"grader\":\"none\","
                                            "\"epochs\":1,\"paths\":[]}]}"};
    const char *path = arena_printf(&p->arena, "%s/bad.job", p->folder);
    for (size_t i = 0; i < countof(bad); i++) {
        struct job job;
        put_file(p, "bad.job", bad[i]);
        struct error *e = job_read(&job, path, &p->arena);
        if (!e)
            fail_msg("taken: %s", bad[i]);
        error_free(e);
    }
}

static void live_lines(void **state)
{
    struct place_of_test *p = *state;
    const char *path = arena_printf(&p->arena, "%s/x.live", p->folder);
    struct live *live;
    struct live_line last;
    no_error(live_read(path, &last, &p->arena));
    assert_null(last.e);
    no_error(live_open(&live, path, &p->arena));
    struct live_line line = live_line("step");
    line.step = 3;
    line.of = 10;
    line.loss = 2.5;
    line.unit = "steps";
    live_write(live, line);
    line.step = 4; // too soon after the last one: dropped
    live_write(live, line);
    line = live_line("val");
    line.bpb = 1.25;
    line.text = "a \"text\"\n";
    live_write(live, line);
    no_error(live_read(path, &last, &p->arena));
    assert_string_equal(last.e, "val");
    assert_int_equal(last.step, 3);
    assert_true(last.loss == 2.5 && last.bpb == 1.25 && isnan(last.eta_s));
    assert_string_equal(last.text, "a \"text\"\n");
    live_close(live);

    FILE *f = fopen(path, "a");
    fputs("nonsense\n{\"e\":5,\"step\":\"x\",\"new\":[1]}\n{\"e\":\"step\",\"step\":7,\"of\":10}\n{\"e\":\"done\",\"st", f);
    fclose(f);
    no_error(live_read(path, &last, &p->arena));
    assert_string_equal(last.e, "step");
    assert_int_equal(last.step, 7);
    // Only the end of a long file is read.
    f = fopen(path, "a");
    for (int i = 0; i < 100000; i++)
        fprintf(f, "\n{\"e\":\"step\",\"step\":%d}\n", i);
    fclose(f);
    no_error(live_read(path, &last, &p->arena));
    assert_int_equal(last.step, 99999);
}

// What an event says is over with the next step; what is wrong stays until something is saved.
static void texts_and_warnings_of_live_lines(void **state)
{
    struct place_of_test *p = *state;
    const char *path = arena_printf(&p->arena, "%s/y.live", p->folder);
    struct live *live;
    struct live_line last, line = live_line("unsaved");
    no_error(live_open(&live, path, &p->arena));
    line.text = "from here on";
    line.warning = "no room";
    live_write(live, line);
    no_error(live_read(path, &last, &p->arena));
    assert_string_equal(last.text, "from here on");
    assert_string_equal(last.warning, "no room");
    live_write(live, live_line("step"));
    no_error(live_read(path, &last, &p->arena));
    assert_null(last.text);
    assert_string_equal(last.warning, "no room");
    live_write(live, live_line("saved"));
    no_error(live_read(path, &last, &p->arena));
    assert_null(last.warning);
    live_close(live);
}

static void errors_as_json(void **state)
{
    (void)state;
    struct json j = {0};
    struct error *e = error_new(ERROR_MACHINE, (struct place){"f.yaml", 3, 4, 1}, "buy a disk", "no room for '%s'", "x");
    e = error_append(error_while(e, NOWHERE, "saving"), error_plain(ERROR_STOPPED, "stopped"));
    errors_to_json(&j, e);
    struct error *back = errors_from_json(json_text(&j));
    assert_int_equal(back->kind, ERROR_MACHINE);
    assert_string_equal(back->what, "no room for 'x'");
    assert_string_equal(back->fix, "buy a disk");
    assert_string_equal(back->at.file, "f.yaml");
    assert_string_equal(back->while_->what, "saving");
    assert_int_equal(back->next->kind, ERROR_STOPPED);
    error_free(back);
    error_free(e);
    json_release(&j);
    assert_null(errors_from_json("{"));
    assert_null(errors_from_json(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tasks_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(torn_jobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(live_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_and_warnings_of_live_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_as_json, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
