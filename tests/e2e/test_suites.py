"""Suites of tasks that are asked as text: what is planned, run, left out, told and compared; killed in the middle, the same bits.

    test_suites.py RETORT SAME_RESULT SOURCE_FOLDER [Suites|Kills]
"""
import random
import struct

from harness import *

SUITE = """
title: Mine
suite:
  - task: letters
    source: {jsonl: "mine/letters.jsonl"}
    fields: {question: query, choices: choices, answer: gold}
    delimiter: "\\nAnswer: "
    shots: 3
    grader: loss
    baseline: 0.25
  - task: pronouns
    source: {jsonl: "mine/pronouns.jsonl"}
    fields: {question: continuation, choices: context_options, answer: gold}
    prompt: "{choice}{delimiter}{question}"
    grader: loss
    baseline: 0.5
  - task: words
    source: {jsonl: "mine/words.jsonl"}
    fields: {question: context, answer: continuation}
    shots: 2
    grader: exact_greedy
  - task: town
    source: {world: %s, records: quiz}
    splits: {test: {rows: 60, held_out: true}}
    fields: {question: question, right: right, wrong: wrong}
    shots: 1
    grader: loss
    baseline: 0.25
"""


def write_data(folder):
    draw = random.Random(5)
    names, things = ["Ada", "Ben", "Clara", "David", "Emma"], ["ball", "bell", "bike", "boat", "book", "box"]
    (folder / "mine").mkdir(parents=True, exist_ok=True)

    def write(name, rows):
        (folder / f"mine/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("letters", [{"query": f"Question: Who has the {draw.choice(things)}?\n" + "\n".join(
        f"{letter}. {name}" for letter, name in zip("ABCD", draw.sample(names, 4))), "choices": list("ABCD"), "gold": draw.randrange(4)}
        for _ in range(90)])
    write("pronouns", [{"context_options": [f"{a} has the {t} because {who}" for who in (a, b)], "continuation": f"likes the {t}.",
                        "gold": draw.randrange(2)}
                       for a, b, t in ((*draw.sample(names, 2), draw.choice(things)) for _ in range(70))])
    write("words", [{"context": f"{draw.choice(names)} has a {draw.choice(things)}. It is", "continuation": draw.choice("he she it".split())}
                    for _ in range(80)])


class Suite(Folder):
    def setUp(self):
        super().setUp()
        text = text_of()
        text = text.replace("suites: [bpb]", "suites: [bpb, mine], device_batch: 3")
        self.recipe = self.folder / "micro.yaml"
        self.recipe.write_text(text + "data: data\n")
        (self.folder / "suites").mkdir()
        (self.folder / "suites/mine.yaml").write_text(SUITE % (SOURCE / "recipes/worlds/town.yaml"))
        write_data(self.folder / "data")

    def run_it(self, *more, check=0, env=None):
        return call("run", self.recipe, *more, results=self.results, check=check, env=env)

    def report(self):
        return json.loads(call("report", "micro", "--json", results=self.results, check=0).stdout)


class Suites(Suite):
    def scores(self):
        return {s["score"]: s for s in self.report()["scores"]}

    def test_scores_and_what_changes_them(self):
        self.run_it()
        scores = self.scores()
        self.assertEqual(list(scores), ["bpb", "mine/letters", "mine/pronouns", "mine/words", "mine/town", "Mine"])
        mean = sum((scores["mine/" + t]["value"] - chance) / (1 - chance)
                   for t, chance in (("letters", 0.25), ("pronouns", 0.5), ("words", 0), ("town", 0.25))) / 4
        self.assertAlmostEqual(scores["Mine"]["value"], mean, places=12)
        for name in ("mine/letters", "Mine"):
            self.assertLess(scores[name]["low"], scores[name]["value"])
            self.assertGreater(scores[name]["high"], scores[name]["value"])
            self.assertGreater(scores[name]["deviation"], 0)
        self.assertEqual([scores["mine/" + t]["n"] for t in ("letters", "pronouns", "words", "town")], [90, 70, 80, 60])
        self.assertIn("nothing to do", self.run_it().stdout)
        call("export", "micro", "--to", "tensorboard", self.folder / "tb", results=self.results, check=0)
        events = next((self.folder / "tb").iterdir()).read_bytes()
        self.assertIn(b"\x0ebase_eval/mine\x15" + struct.pack("<f", scores["Mine"]["value"]), events)  # a suite's mean
        self.assertIn(b"\x13base_eval/mine/town\x15" + struct.pack("<f", scores["mine/town"]["value"]), events)
        markdown = call("report", "micro", results=self.results, check=0).stdout
        self.assertRegex(markdown, r"\| mine/letters \| [0-9.]+ % ± [0-9.]+ \[[0-9.]+, [0-9.]+\] \|")

        # Names, comments and the batch are in no key; a prompt is, and why names it.
        suite = self.folder / "suites/mine.yaml"
        suite.write_text("# a comment\n" + suite.read_text())
        self.assertEqual(self.plan(self.recipe, "-s", "base_eval.device_batch=9")["base_eval"]["state"], "cached")
        suite.write_text(suite.read_text().replace("shots: 3", "shots: 4"))
        self.assertEqual(self.plan(self.recipe)["base_eval"]["state"], "run")
        self.assertRegex(call("why", self.recipe, "base_eval", results=self.results, check=0).stdout, r"shots 3 -> shots 4")

        # The title is in the result, which is made again for another one, and so for other tasks and another order: why says so.
        good = suite.read_text().replace("shots: 4", "shots: 3")
        parts = good.split("  - task: ")
        for text, said in ((good.replace("title: Mine", "title: Yours"), r'mine.yaml\' changed: title "Mine" -> title "Yours"'),
                           (good.replace("task: letters", "task: signs"), r"(?s)mine/letters\' changed: asked.*mine/signs\' changed: not asked"),
                           ("  - task: ".join([parts[0], parts[2], parts[1], *parts[3:]]), r"tasks in another order")):
            suite.write_text(text)
            why = call("why", self.recipe, "base_eval", results=self.results, check=0).stdout
            self.assertRegex(why, said)
            self.assertNotIn("not there any more", why)
        suite.write_text(good.replace("shots: 3", "shots: 4"))

        # Capped, it is another score, which says so.
        suite.write_text(suite.read_text().replace("shots: 4", "shots: 3"))
        self.run_it("-s", "base_eval.examples=20")
        self.assertEqual(list(self.scores())[1:], ["mine/letters (20 of 90)", "mine/pronouns (20 of 70)", "mine/words (20 of 80)",
                                                   "mine/town (20 of 60)", "Mine (capped)"])
        rows = json.loads(call("compare", "micro/1", "micro/2", "--json", results=self.results, check=0).stdout)["scores"]
        self.assertTrue(all(None in r["values"] for r in rows if "ine" in r["score"]), rows)

        # Which suites were asked and which tasks they had are two things.
        self.run_it("-s", "base_eval.suites=[bpb]")
        fields = json.loads(call("compare", "micro/1", "micro/3", "--json", results=self.results, check=0).stdout)["fields"]
        fields = [f["field"] for f in fields if f["stage"] == "base_eval"]
        self.assertEqual(len(set(fields)), len(fields))
        self.assertLessEqual({"suites", "tasks"}, set(fields))

    def test_what_is_left_out_is_named(self):
        (self.folder / "data/mine/words.jsonl").rename(self.folder / "words.jsonl")
        stages = json.loads(call("plan", self.recipe, "--json", results=self.results, check=0).stdout)["stages"]
        self.assertEqual([s["left_out"] for s in stages if s["kind"] == "eval"], [["mine/words"]])
        files = json.loads(call("data", self.recipe, "--json", results=self.results, check=0).stdout)["files"]
        self.assertEqual({f["source"]: f["state"] for f in files if f["source"].startswith("mine/")},
                         {"mine/letters.test": "there", "mine/pronouns.test": "there", "mine/words.test": "left out"})
        told = " ".join(call("data", self.recipe, "--only", "mine/words", results=self.results, check=0).stdout.split())
        where = f"{self.folder}/suites/mine.yaml says where"  # its head does, that is
        self.assertIn(f"not there, so that the tasks that read it are left out of their suites: mine/words.test. {where}", told)
        self.assertNotIn("letters", told)
        self.assertIn("mine/words", call("data", self.recipe, "--only", "mine/wrods", results=self.results, check=2).stderr)
        plan = " ".join(call("plan", self.recipe, results=self.results, check=0).stdout.split())
        self.assertRegex(plan, rf"without 1 task.*mine/words\..*{where}")
        out = self.run_it().stdout
        self.assertRegex(out, r"(?s)asked without 1 task.*mine/words")
        self.assertRegex(out, r"Mine \(3 of 4 tasks\): not asked, for want of\s+their data: mine/words")
        scores = self.scores()
        self.assertNotIn("Mine", scores)
        self.assertEqual(scores["Mine (3 of 4 tasks)"]["missing"], "mine/words")

        # Once it is there the whole is asked, and why says so.
        (self.folder / "words.jsonl").rename(self.folder / "data/mine/words.jsonl")
        self.assertRegex(call("why", self.recipe, "base_eval", results=self.results, check=0).stdout,
                         r"mine/words.*left out: no data -> there")
        self.run_it()
        self.assertIn("Mine", self.scores())

        # Without any data nothing starts.
        shutil.rmtree(self.folder / "data/mine")
        text = (self.folder / "suites/mine.yaml").read_text()
        (self.folder / "suites/mine.yaml").write_text(text[: text.index("  - task: town")])
        for done, says in ((call("data", self.recipe, results=self.results, check=3), "is not there"),
                           (self.run_it(check=3), "3 files .* are not there")):
            self.assertRegex(" ".join(done.stderr.split()), rf"{says}.*{where}.*-s data=FOLDER")

    def test_what_is_refused(self):
        suite = self.folder / "suites/mine.yaml"
        good = suite.read_text()
        for old, new, status, said in (
                ("grader: loss", "grader: lsos", 2, "did you mean 'loss'"),
                ("task: words", "task: letters", 2, "the suite has 'mine/letters' twice"),
                ("suite:", "suites:", 2, "no list of tasks `suite:`"),
                ("title: Mine", "title: \"a|b\"", 2, "a title is short"),
                ("shots: 3", "shots: 300", 2, "shots is 300"),
                ("title: Mine", "tilte: Mine", 2, "did you mean 'title'"),
                ("  - task: letters", "  - core\n  - task: letters", 2, "'core' is a suite, and a suite is made of tasks"),
                ("    grader: exact_greedy\n", "    splits: [test]\n", 2, "'shots' of a task that is asked in a chat"),
                ("    shots: 2\n    grader: exact_greedy\n", "    splits: [test]\n", 2, "task 'mine/words' has no grader"),
                ("    grader: exact_greedy\n", "    grader: number\n", 2, "write splits: [test]"),
        ):
            suite.write_text(good.replace(old, new, 1))
            done = call("check", self.recipe, results=self.results, check=status)
            self.assertIn(said, done.stderr, (old, new))
            self.assertIn("mine", done.stderr)
        suite.write_text(good)
        self.assertIn("shows 3 of them", call("check", self.recipe, "-s", "base_eval.examples=3", results=self.results, check=2).stderr)
        self.assertIn("did you mean 'mine'", call("check", self.recipe, "-s", "base_eval.suites=[mien]", results=self.results, check=2).stderr)
        self.assertIn("twice", call("check", self.recipe, "-s", "base_eval.suites=[mine, mine]", results=self.results, check=2).stderr)
        self.assertIn("write NAME of suites/NAME.yaml or tasks/NAME.yaml",
                      call("check", self.recipe, "-s", f"base_eval.suites=[{suite}]", results=self.results, check=2).stderr)
        without = self.folder / "without.yaml"
        without.write_text(self.recipe.read_text().replace("data: data\n", "").replace("[bpb, mine]", "[bpb, core]"))
        self.assertIn("nothing says where the data lies", call("check", without, results=self.results, check=2).stderr)
        # Data that is no data is told with task and row, and the rest of the run stays.
        lines = (self.folder / "data/mine/letters.jsonl").read_text().splitlines()
        lines[7] = '{"query": "x", "choices": ["A"], "gold": 1}'
        (self.folder / "data/mine/letters.jsonl").write_text("\n".join(lines))
        done = self.run_it(check=1)
        self.assertIn("row 7 of task 'mine/letters': 'gold' is 1 of 1 choices", done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"while reading 'data/mine/letters.jsonl'|while reading '.*/data/mine/letters.jsonl'")
        self.assertIn("mend the row, or the task's fields", done.stderr)
        for row, said in (('{"query": "x", "choices": "AB", "gold": 0}', "'choices' is one value where a list of choices should be"),
                          ('{"query": "x", "choices": ["A"], "gold": "B"}', "'gold' is 'B', which is no choice, nor the number of one")):
            lines[7] = row
            (self.folder / "data/mine/letters.jsonl").write_text("\n".join(lines))
            self.assertIn(said, self.run_it(check=1).stderr)
        write_data(self.folder / "data")
        (self.folder / "data/mine/words.jsonl").write_text(9 * '{"context": "", "continuation": "is"}\n')
        self.assertRegex(self.run_it("-s", "base_eval.examples=8", check=1).stderr,
                         "row [0-8] of task 'mine/words': what is asked begins with a blank, or is empty")
        (self.folder / "data/mine/letters.jsonl").write_text("\n")
        self.assertRegex(self.run_it(check=1).stderr, r"task 'mine/letters' has no rows in '.*data/mine/letters.jsonl'")


class Kills(Suite):
    """SIGKILL in the middle of an evaluation: run again it goes on from what was saved, with the bits of a run left alone."""

    ENV = {"RETORT_CHECKPOINT_SECONDS": "0"}

    def test_eval(self):
        self.run_it(env=self.ENV)
        alone = self.folder / "alone.h5"
        self.result("eval").rename(alone)
        # Of 300 examples: among the letters, the pronouns, the words, the records of the world. Each with another batch.
        for n, step in enumerate((20, 110, 180, 250)):
            for attempt in range(6):
                for path in self.results.glob("store/eval-*"):
                    path.unlink()
                batch = ["-s", f"base_eval.device_batch={1 + n}"]
                runner = subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results, *batch], stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, text=True, env={**os.environ, **self.ENV})
                if kill_in_stage(runner, self.results, "eval", step) and any(self.results.glob("store/eval-*.part.h5")):
                    break
            else:
                self.fail(f"the evaluation was always done before it could be killed at {step}")
            done = self.run_it(env=self.ENV)
            self.assertRegex(done.stdout, r"resum")
            self.assertSame(self.result("eval"), alone)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
