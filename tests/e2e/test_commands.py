#!/usr/bin/env python3
"""The small commands through the real binary: new, rm, gc; compare and report of runs and published runs.

    test_commands.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, SOURCE, Folder, call, live_step, terminal, text_of, wait_for

FAST = ["-s", "base.steps=10", "-s", "base.eval_every=0"]


class New(Folder):
    def test_what_it_writes_is_right(self):
        call("new", "mine", cwd=self.folder, check=0)
        text = (self.folder / "mine.yaml").read_text()
        self.assertIn("# ", text)
        self.assertLessEqual(max(len(l) for l in text.splitlines() if "world: " not in l), 80)
        call("check", "mine.yaml", cwd=self.folder, check=0)
        stages = json.loads(call("plan", "mine.yaml", "--json", cwd=self.folder, results=self.results, check=0).stdout)["stages"]
        self.assertEqual({s["state"] for s in stages}, {"run"})
        self.assertIn("pretrain", {s["kind"] for s in stages})

        (self.folder / "mine.yaml").write_text("mine")
        done = call("new", "mine", cwd=self.folder, check=2)
        self.assertIn("there already", done.stderr)
        self.assertEqual((self.folder / "mine.yaml").read_text(), "mine")

    def test_files_of_ones_own(self):
        for i in range(3):
            (self.folder / f"part {i}.txt").write_text("the cat and the dog sat on the mat\n" * 400)
        (self.folder / "a.jsonl").write_text('{"text": "x"}\n')
        call("new", "own", "part 0.txt", "part 1.txt", "part 2.txt", cwd=self.folder, check=0)
        few = ["-s", "base.steps=2", "-s", "base.sample_every=0", "-s", "tokenizer.vocab=270"]
        call("run", "own.yaml", *few, cwd=self.folder, results=self.results, check=0)
        self.assertIn("steps: 30 ", (self.folder / "own.yaml").read_text())  # a short text is not learned by heart
        call("new", "one", "part 0.txt", cwd=self.folder, check=0)
        call("run", "one.yaml", *few, cwd=self.folder, results=self.results, check=0)
        call("new", "lines", "a.jsonl", cwd=self.folder, check=0)
        call("check", "lines.yaml", cwd=self.folder, check=0)
        self.assertIn("a.jsonl", call("new", "both", "part 0.txt", "a.jsonl", cwd=self.folder, check=2).stderr)
        for absent in ("absent.txt", "absent/*.txt"):
            self.assertIn("cannot read", call("new", "none", absent, cwd=self.folder, check=2).stderr)
        (self.folder / "empty.txt").write_text("")
        (self.folder / "binary.txt").write_bytes(b"\x7fELF\0\0")
        os.mkfifo(self.folder / "pipe.txt")
        for wrong, says in ((".", "is a folder"), ("/dev/null", "not a regular file"), ("pipe.txt", "not a regular file"),
                            ("binary.txt", "is not text"), ("empty.txt", "is empty")):
            error = json.loads(call("new", "none", wrong, "--json", cwd=self.folder, check=2).stdout)["errors"][0]
            self.assertIn(says, error["what"])
            self.assertTrue(error["fix"], wrong)
        for name in ("../x", "a/b", ".x", "-", "", "x y"):
            call("new", name, cwd=self.folder, check=2)
        self.assertEqual({p.name for p in self.folder.glob("*.yaml")}, {"own.yaml", "one.yaml", "lines.yaml"})


class Bench(Folder):
    def test_tokenizer_of_a_file(self):
        chance = random.Random(1)
        words = ("".join(chance.choices("etaoinshrdlu", k=chance.randint(3, 9))) for _ in range(120_000))
        (self.folder / "words.txt").write_text(" ".join(words) + " \u00e9" * 20_000)
        answer = json.loads(call("bench", "tokenizer", "words.txt", "--json", cwd=self.folder, check=0).stdout)
        self.assertTrue(answer["ok"])
        self.assertEqual(answer["bytes"], (self.folder / "words.txt").stat().st_size)
        self.assertGreater(answer["documents"], 60)  # a long text is cut into several, none of it is lost
        self.assertGreater(answer["tokens"], answer["distinct"] / 2)
        for name in ("split", "count", "merge", "encode", "encode_threads"):
            self.assertGreater(answer[name + "_seconds"], 0)
        lines = call("bench", "tokenizer", "words.txt", cwd=self.folder, check=0).stdout.splitlines()
        self.assertTrue(any(line.startswith("training") for line in lines))
        self.assertLessEqual(max(map(len, lines)), 80)

    def test_data(self):
        for i in range(3):
            (self.folder / f"{i}.jsonl").write_text("".join(json.dumps({"text": f"line {k} " * 9}) + "\n" for k in range(3000)))
        files = ["0.jsonl", "1.jsonl", SOURCE / "tests/fixtures/parquet/delta.parquet", SOURCE / "recipes/worlds/town.yaml"]
        answer = json.loads(call("bench", "data", *files, "--json", cwd=self.folder, check=0).stdout)
        self.assertEqual([f["form"] for f in answer["files"]], ["JSON lines", "JSON lines", "parquet", "world"])
        for file, path in zip(answer["files"], files):
            self.assertGreater(file["seconds"], 0)
            self.assertEqual(file["file_bytes"], (self.folder / path).stat().st_size)
        lines = answer["files"][0]
        self.assertEqual((lines["documents"], lines["bytes"]), (3000, sum(len(f"line {k} ") * 9 for k in range(3000))))
        self.assertIsNone(lines["threads_seconds"])
        self.assertGreater(answer["files"][3]["threads_seconds"], 0)
        lines = call("bench", "data", *files, cwd=self.folder, check=0).stdout.splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("absent.jsonl", call("bench", "data", "absent.jsonl", cwd=self.folder, check=1).stderr)

    def test_wrong(self):
        (self.folder / "few.txt").write_text("a few words")
        self.assertIn("largest vocabulary is", call("bench", "tokenizer", "few.txt", cwd=self.folder, check=2).stderr)
        (self.folder / "empty.txt").write_text("")
        self.assertIn("no text", call("bench", "tokenizer", "empty.txt", cwd=self.folder, check=1).stderr)
        self.assertIn("absent.txt", call("bench", "tokenizer", "absent.txt", cwd=self.folder, check=1).stderr)
        call("bench", "machine", "more", check=2)


def columns(text):
    return max(map(len, text.splitlines()))


class Asking(Folder):
    """What a user gets who is nearly right, and tables that fit."""

    def wrong(self, *args, status=2):
        """What is wrong and how to mend it, of an answer with one error."""
        done = call(*args, "--json", results=self.results, cwd=self.folder, check=status)
        error, = json.loads(done.stdout)["errors"]
        return f"{error['what']} -> {error['fix']}"

    def test_recipes_that_are_not_there(self):
        call("new", "letters", cwd=self.folder, check=0)
        for asked in ("lettesr.yaml", "letters"):
            for command in ("check", "run", "status"):
                what = "there is no run" if (command, asked) == ("status", "letters") else "cannot open '"
                self.assertRegex(self.wrong(command, asked), rf"{what}.*-> did you mean 'letters.yaml'")
        (self.folder / "recipes").mkdir()
        (self.folder / "letters.yaml").rename(self.folder / "recipes/letters.yaml")
        self.assertIn("did you mean 'recipes/letters.yaml'", self.wrong("check", "letters.yaml"))
        self.assertIn("retort new NAME", self.wrong("check", "other.yaml"))
        self.assertIn("'check' wants RECIPE", self.wrong("check"))

    def test_words_nearly_right(self):
        self.assertEqual(self.wrong("check", MICRO, "-s", "base.stpes=3"), "unknown key 'stpes'; did you mean 'steps'? -> write 'steps'")
        self.assertIn("-> write ${data}", self.wrong("check", MICRO, "-s", "sources.town.world=${dta}/x"))

    def test_models_are_named(self):
        said = self.wrong("chat", MICRO, "-p", "x")
        self.assertIn("is a recipe, and no model", said)
        self.assertIn("base.yaml:base'", said)
        self.assertNotIn("tokenizer", said)
        self.assertIn("base@steps=1', ", self.wrong("chat", self.grid(3), "-p", "x"))

    def grid(self, n):
        """A recipe with so many cells of base."""
        text = text_of().replace("steps: 60", 'steps: "${steps}"')
        path = self.folder / "grid.yaml"
        path.write_text(text + f"matrix: {{steps: {list(range(1, n + 1))}}}\n")
        return "grid.yaml"

    def test_stages_of_a_matrix_are_named(self):
        grid = self.grid(20)
        for args in (("why", grid, "base"), ("chat", grid + ":base", "-p", "x"), ("run", grid, "--until", "base")):
            said = self.wrong(*args)
            self.assertIn("20 stages of 'base'", said)
            self.assertIn("'base@steps=1', 'base@steps=2'", said)
            self.assertIn("and 16 more", said)
            self.assertIn("`retort plan grid.yaml`", said)
        self.assertIn("is a stage, and no run -> name the whole run: `retort report grid`",
                      self.wrong("compare", "grid:base@steps=1", "grid:base@steps=2"))
        self.assertIn("did you mean 'base@steps=3'", self.wrong("why", self.grid(3), "bas@steps=3"))
        self.assertIn("'base@steps=1', 'base@steps=2', 'base@steps=3';", self.wrong("why", grid, "base"))

    def test_runs_that_are_not_there(self):
        self.assertIn("-> `retort run RECIPE` makes one", self.wrong("status", "nobody"))
        self.assertIn("no run yet", call("status", MICRO, results=self.results, check=0).stdout)  # a recipe that was not run is no mistake
        call("run", MICRO, *FAST, results=self.results, check=0)
        (self.results / "runs/micro").rename(self.results / "runs/letters")
        for command in ("status", "report", "export"):
            more = ("--to", "csv", "x") if command == "export" else ()
            self.assertIn("there is no run of 'lettres' in", self.wrong(command, "lettres", *more))
            self.assertIn("-> did you mean 'letters'?", self.wrong(command, "lettres", *more))
            self.assertIn("-> there are those of 'letters'", self.wrong(command, "somebody", *more))
        self.assertIn("-> name 'letters' alone, whose newest run is meant", self.wrong("status", "letters/1"))
        self.assertIn("-> `retort ls` lists the runs of 'letters'", self.wrong("report", "letters/7"))
        self.assertIn("did you mean 'nanochat-d20'", self.wrong("report", "nanochat-d2O"))
        (self.results / "runs/letters/0001.h5").write_bytes(b"no record")
        self.assertIn("no record of a run that can be read", call("status", "letters", results=self.results, check=0).stdout)

    def test_lines_fit_a_terminal_and_are_whole_in_a_pipe(self):
        deep = self.folder / "a_folder_of_a_long_name/within_another_that_is_not_short_either/and_one_more_of_them"
        deep.mkdir(parents=True)
        rows = [json.dumps({"text": f"the cat sat on mat {i} and the dog sat on the cat"}) + "\n" for i in range(200)]
        (deep / "texts.jsonl").write_text("".join(rows))
        recipe = deep / "deep.yaml"
        recipe.write_text("retort: 1\nname: deep\nsources: {texts: {jsonl: texts.jsonl, field: text, validate: none}}\n"
                          "stages: {tokenizer: {kind: tokenizer, source: texts, vocab: 280, chars: 5k}}\n")
        call("run", recipe, results=self.results, check=0)
        (deep / "texts.jsonl").write_text("".join(rows[1:]))
        store, = self.results.glob("store/tokenizer-*.h5")
        store.write_bytes(store.read_bytes()[:-7])
        for args, status, whole in ((("why", recipe, "-s", "tokenizer.chars=6k"), 0, "data '" + str(deep)),
                                    (("ls", "--check"), 1, "damaged"), (("data", recipe), 0, str(deep))):
            done, text = terminal(*args, results=self.results)
            self.assertEqual(done, status, text)
            self.assertLessEqual(columns(text), 80, text)
            piped = call(*args, results=self.results, check=status).stdout
            self.assertIn(whole, piped)
            self.assertGreater(columns(piped), 80)
            if args[0] == "ls":
                self.assertEqual("".join(text.split()), "".join(piped.split()))

    def test_nothing_to_remove(self):
        self.assertIn("there are no results in", call("gc", results=self.results, check=0).stdout)
        self.results.mkdir()
        self.assertIn("there are no results in", call("gc", results=self.results, check=0).stdout)

    def test_plans_fit_and_mixtures_are_read_on_one_line(self):
        chat = SOURCE / "tests/e2e/chat.yaml"
        text = call("plan", chat, results=self.results, check=0).stdout
        self.assertLessEqual(columns(text), 80)
        self.assertRegex(text, r"(?m)^  town_talk +300 rows, 33%")
        self.assertRegex(text, r"(?m)^  town_sums x0.1 +400 rows, 44%")
        plain = call("plan", chat, "--resolved", results=self.results, check=0).stdout
        self.assertLessEqual(columns(plain[:plain.index("\ntask ")]), 80)
        self.assertRegex(plain, r"(?m)^mid.seq_len +128 +default$")
        self.assertRegex(plain, r"(?m)^base.seq_len +128 +recipe :23$")
        values = json.loads(call("plan", chat, "--resolved", "--json", results=self.results, check=0).stdout)["values"]
        self.assertIn({"name": "base.seq_len", "value": "128", "by": "recipe", "file": str(chat), "line": 23}, values)


class Forgetting(Folder):
    def gc(self, *more):
        return json.loads(call("gc", *more, "--json", results=self.results, check=0).stdout)

    def test_rm_and_gc(self):
        call("run", MICRO, *FAST, results=self.results, check=0)
        call("run", MICRO, *FAST, "-s", "base.steps=11", results=self.results, check=0)
        self.assertEqual(self.gc()["results"], [])
        self.assertIn("say which: micro/0002", call("rm", "micro", results=self.results, check=2).stderr)
        for wrong in ("micro/7", "nobody", "../micro/1", "micro/../micro/1", str(MICRO.parent / "absent.h5")):
            self.assertNotEqual(call("rm", wrong, results=self.results).returncode, 0, wrong)

        told = json.loads(call("rm", "micro/1", "--json", results=self.results, check=0).stdout)
        self.assertEqual((told["name"], told["run"], told["left"]), ("micro", 1, 2))
        self.assertEqual(len(json.loads(call("ls", "--json", results=self.results, check=0).stdout)["runs"]), 1)
        before = {p: p.read_bytes() for p in self.results.rglob("*") if p.is_file()}
        preview = self.gc()
        self.assertEqual({(r["name"], r["run"], r["stage"]) for r in preview["results"]},
                         {("micro", 1, "base"), ("micro", 1, "base_eval")})
        self.assertEqual(preview["bytes"], told["left_bytes"])
        self.assertGreater(preview["seconds"], 0)
        self.assertEqual(before, {p: p.read_bytes() for p in self.results.rglob("*") if p.is_file()})  # a preview does nothing
        text = call("gc", results=self.results, check=0).stdout
        self.assertIn("micro/0001", text)
        self.assertIn("retort gc --yes", text)
        self.assertTrue(all(len(l) <= 80 for l in text.splitlines()))

        # A recipe on the command line keeps what it needs.
        kept = json.loads(call("gc", MICRO, *FAST, "--json", results=self.results, check=0).stdout)
        self.assertEqual(kept["results"], [])

        done = self.gc("--yes")
        self.assertTrue(all(r["removed"] for r in done["results"]))
        gone = {f for r in done["results"] for f in r["files"]}
        after = {p for p in self.results.rglob("*") if p.is_file()}
        self.assertEqual({str(p) for p in set(before) - after}, gone)
        self.assertEqual({s["state"] for s in self.plan(MICRO, *FAST, "-s", "base.steps=11").values()}, {"cached"})
        states = {n: s["state"] for n, s in self.plan(MICRO, *FAST).items()}
        self.assertEqual((states["base"], states["tokenizer"]), ("run", "cached"))

    def test_what_is_running_stays(self):
        runner = subprocess.Popen([RETORT, "run", MICRO, "-s", "base.steps=200000", "--results", self.results],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: live_step(self.results, "pretrain") > 0)
            refused = call("rm", "micro", results=self.results, check=3)
            self.assertIn("in use by process", refused.stderr)
            done = self.gc("--yes")
            self.assertEqual(done["results"], [])
            self.assertGreater(done["kept"]["results"], 2)
            runner.send_signal(signal.SIGINT)
            self.assertEqual(runner.wait(60), 75)
        finally:
            runner.kill()
            runner.wait()
        self.assertEqual(self.plan(MICRO, "-s", "base.steps=200000")["base"]["state"], "resume")
        call("rm", "micro", results=self.results, check=0)
        done = self.gc("--yes")
        self.assertIn("pretrain", {r["kind"] for r in done["results"]})
        self.assertEqual([p for p in self.results.glob("store/*")], [])


class Comparing(Folder):
    def compare(self, *args):
        return json.loads(call("compare", *args, "--json", results=self.results, check=0).stdout)

    def test_cells_of_a_matrix_stand_below_each_other(self):
        text = MICRO.read_text().replace("eval_every: 20", 'eval_every: "${every_so_many}"').replace("steps: 60", "steps: 2")
        recipe = self.folder / "grid.yaml"
        recipe.write_text(text.replace("../../recipes", str(SOURCE / "recipes")) + "matrix: {every_so_many: [0]}\n")
        for tokens in ("1024", "2048"):
            call("run", recipe, "-s", f"base_eval.eval_tokens={tokens}", "-s", f"base.batch_tokens={tokens}", results=self.results, check=0)
        status = call("status", "micro", results=self.results, check=0).stdout
        self.assertEqual(len({line.index(word) for line in status.splitlines()[1:] for word in ("cached", "finished") if word in line}), 1)
        for args in (("compare", "micro/1", "micro/2"), ("plan", recipe, "-s", "base.steps=3")):
            self.assertLessEqual(columns(call(*args, results=self.results, check=0).stdout), 80)

    def test_what_cannot_be_compared_stands_apart_and_says_why(self):
        call("run", MICRO, *FAST, results=self.results, check=0)
        call("run", MICRO, *FAST, "-s", "tokenizer.vocab=300", results=self.results, check=0)
        call("run", MICRO, *FAST, "-s", "base_eval.eval_tokens=2048", results=self.results, check=0)
        rows = {(s["score"], s["why"]): s["values"] for s in self.compare("micro/1", "micro/2")["scores"]}
        self.assertEqual(set(rows), {("bpb", None), ("bpb, other tokenizer", "other tokenizer")})
        self.assertEqual([v is None for v in rows["bpb", None]], [False, True])
        rows = {(s["measure"], s["why"]) for s in self.compare("micro/1", "micro/2")["stages"]}
        self.assertIn(("loss, other tokenizer", "other tokenizer"), rows)
        rows = {(s["score"], s["why"]) for s in self.compare("micro/1", "micro/3")["scores"]}
        self.assertEqual(rows, {("bpb", None), ("bpb, other count", "other count")})
        self.assertIn("cannot be compared", call("compare", "micro/1", "micro/2", results=self.results, check=0)
                      .stdout.replace("\n", " "))

        md = call("compare", "micro/1", "micro/2", "--md", results=self.results, check=0).stdout
        self.assertIn("| tokenizer | vocab | 400 | 300 |", md)
        self.assertIn("other tokenizer", md)
        for table in md.split("\n\n"):
            lines = [l for l in table.splitlines() if l.startswith("|")]
            self.assertLessEqual(len({l.count("|") for l in lines}), 1, table)
        rows = list(csv.reader(io.StringIO(call("compare", "micro/1", "micro/2", "--csv", results=self.results, check=0).stdout)))
        self.assertEqual(rows[0], ["part", "stage", "name", "why", "micro/0001", "micro/0002", "difference", "p"])
        self.assertEqual({len(r) for r in rows}, {8})
        self.assertIn(["asked", "tokenizer", "vocab", "", "400", "300", "", ""], rows)
        loss = next(r for r in rows if r[:3] == ["came out", "base", "loss"])
        self.assertGreater(float(loss[4]), 1)
        self.assertEqual(loss[5], "")
        call("compare", "micro/1", "micro/2", "--csv", "--md", results=self.results, check=2)

    def test_what_was_cut_off_did_not_come_out(self):
        """Tokens that were planned are not told of a stage that was stopped; a run whose process died is not running."""
        long = ["-s", "base.steps=200000"]
        for number, end in ((1, signal.SIGINT), (2, signal.SIGKILL)):
            runner = subprocess.Popen([RETORT, "run", MICRO, *long, "--results", self.results],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for(lambda: len(list(self.results.glob("runs/micro/*.h5"))) == number and
                         list(self.results.glob("store/pretrain-*.lock")) and live_step(self.results, "pretrain") > 0)
                runner.send_signal(end)
                runner.wait(60)
            finally:
                runner.kill()
                runner.wait()
            wait_for(lambda: not list(self.results.glob("store/*.lock")))
        call("run", MICRO, *FAST, results=self.results, check=0)
        report = json.loads(call("report", "micro/1", "--json", results=self.results, check=0).stdout)
        base, = (s for s in report["stages"] if s["name"] == "base")
        self.assertEqual((base["state"], base["tokens"], base["flops"]), ("stopped", None, None))
        self.assertRegex(call("report", "micro/1", results=self.results, check=0).stdout,
                         r"\| base \| pretrain \| stopped \| [^|]+ \| [^|]+k \| - \| - \|")
        for number in (1, 2):
            self.assertNotRegex(call("report", f"micro/{number}", results=self.results, check=0).stdout, r"In all .*FLOPs")
        tokens, = (s["values"] for s in self.compare("micro/1", "micro/3")["stages"] if (s["stage"], s["measure"]) == ("base", "tokens"))
        self.assertEqual(tokens, [None, 10 * 1024])
        runs = {r["run"]: r["state"] for r in json.loads(call("ls", "--json", results=self.results, check=0).stdout)["runs"]}
        self.assertEqual(runs, {1: "stopped", 2: "died", 3: "finished"})
        text = call("ls", results=self.results, check=0).stdout
        self.assertRegex(text, r"micro/0002 +died +\d{4}-\d\d-\d\d \d\d:\d\d ")
        self.assertLessEqual(columns(text), 80)
        died = json.loads(call("report", "micro/2", "--json", results=self.results, check=0).stdout)
        self.assertEqual(died["run"]["state"], "died")

    def test_published_runs_are_read_like_runs(self):
        scores = {(s["model"], s["score"]): s["values"] for s in self.compare("nanochat-d20", "gpt2-1558m")["scores"]}
        self.assertEqual(scores["base", "CORE"], [0.2219, 0.2565])
        self.assertAlmostEqual(scores["sft", "ChatCORE (5 tasks)"][0], 0.0884, 4)  # as it was published
        self.assertAlmostEqual(scores["mid", "ChatCORE (5 tasks)"][0], 0.0730, 4)
        call("run", MICRO, *FAST, results=self.results, check=0)
        both = self.compare("micro", "nanochat-d20")
        lines = call("compare", "micro", "nanochat-d20", results=self.results, check=0).stdout.split("\nB  ")
        self.assertIn(", on ", lines[0])  # the machine of the one run there is, in its own lines
        self.assertIn("build", lines[0])
        self.assertNotIn("build", lines[1].split("\n\n")[0])
        three = call("compare", "micro", "nanochat-d20", "micro/1", results=self.results, check=0).stdout
        self.assertRegex(three, r"(?m)^   A, C on .+, build ")
        self.assertIn({"stage": "base", "field": "seq_len", "values": [64, 2048], "of": 1}, both["fields"])
        self.assertNotIn("grad_clip", {f["field"] for f in both["fields"]})  # not published is not different
        call("run", MICRO, *FAST, "-s", "seed=8", results=self.results, check=0)
        fields = {(f["stage"], f["field"]): f["values"] for f in self.compare("micro/1", "micro/2", "nanochat-d20")["fields"]}
        self.assertEqual(fields["tokenizer", "data[0].seed"][1:], [8, None])  # of two runs that are known, whatever a third one tells
        self.assertIn("nanochat-d26", {r["name"] for r in json.loads(call("ls", "--json", results=self.results, check=0).stdout)["published"]})
        self.assertIn("discussions/1", call("report", "nanochat-d20", results=self.results, check=0).stdout)
        own = self.results / "reference/own.yaml"
        own.parent.mkdir()
        own.write_text("reference: 1\nname: own\ndate: 2026-01-01\nsource: me\nstages: {base: {kind: pretrain, core: 0.5}}\n")
        for what in ("own", own):
            report = json.loads(call("report", what, "--json", results=self.results, check=0).stdout)
            self.assertEqual((report["run"]["source"], report["scores"][0]["value"]), ("me", 0.5))
        own.write_text("reference: 1\nname: own\nstages: 3\n")
        self.assertIn("own.yaml:", call("report", "own", results=self.results, check=2).stderr)
        call("ls", results=self.results, check=0)

    def test_report_as_json(self):
        call("run", MICRO, *FAST, results=self.results, check=0)
        report = json.loads(call("report", "micro", "--json", results=self.results, check=0).stdout)
        self.assertEqual((report["run"]["name"], report["run"]["number"], report["run"]["state"]), ("micro", 1, "finished"))
        stages = {s["name"]: s for s in report["stages"]}
        self.assertGreater(stages["base"]["loss"], 1)
        self.assertEqual([s["score"] for s in report["scores"]], ["bpb"])
        text = call("report", "micro", results=self.results, check=0).stdout
        self.assertIn("bpb: bits per byte, less is better.\n", text)
        self.assertNotIn("ChatCORE", text)  # what is not there is not explained
        self.assertAlmostEqual(report["scores"][0]["value"], stages["base_eval"]["bpb"])
        self.assertIn("kind: pretrain", report["recipe_text"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
