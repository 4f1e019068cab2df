#!/usr/bin/env python3
"""The small commands through the real binary: new, rm, gc; compare and report of runs and published runs.

    test_commands.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import csv
import io
import json
import random
import signal
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, Folder, call, live_step, wait_for

FAST = ["-s", "base.steps=10", "-s", "base.eval_every=0"]


class New(Folder):
    def test_what_it_writes_is_right(self):
        call("new", "mine", cwd=self.folder, check=0)
        text = (self.folder / "mine.yaml").read_text()
        self.assertIn("# ", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 140)
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
        call("new", "one", "part 0.txt", cwd=self.folder, check=0)
        call("run", "one.yaml", *few, cwd=self.folder, results=self.results, check=0)
        call("new", "lines", "a.jsonl", cwd=self.folder, check=0)
        call("check", "lines.yaml", cwd=self.folder, check=0)
        self.assertIn("a.jsonl", call("new", "both", "part 0.txt", "a.jsonl", cwd=self.folder, check=2).stderr)
        self.assertIn("cannot read", call("new", "none", "absent.txt", cwd=self.folder, check=2).stderr)
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

    def test_wrong(self):
        (self.folder / "few.txt").write_text("a few words")
        self.assertIn("largest vocabulary is", call("bench", "tokenizer", "few.txt", cwd=self.folder, check=2).stderr)
        (self.folder / "empty.txt").write_text("")
        self.assertIn("no text", call("bench", "tokenizer", "empty.txt", cwd=self.folder, check=1).stderr)
        self.assertIn("absent.txt", call("bench", "tokenizer", "absent.txt", cwd=self.folder, check=1).stderr)
        call("bench", "machine", "more", check=2)


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

    def test_published_runs_are_read_like_runs(self):
        scores = {(s["model"], s["score"]): s["values"] for s in self.compare("nanochat-d20", "gpt2-1558m")["scores"]}
        self.assertEqual(scores["base", "CORE"], [0.2219, 0.2565])
        self.assertAlmostEqual(scores["sft", "ChatCORE (5 tasks)"][0], 0.0884, 4)  # as it was published
        self.assertAlmostEqual(scores["mid", "ChatCORE (5 tasks)"][0], 0.0730, 4)
        call("run", MICRO, *FAST, results=self.results, check=0)
        both = self.compare("micro", "nanochat-d20")
        self.assertIn({"stage": "base", "field": "seq_len", "values": [64, 2048], "of": 1}, both["fields"])
        self.assertNotIn("grad_clip", {f["field"] for f in both["fields"]})  # not published is not different
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
        self.assertAlmostEqual(report["scores"][0]["value"], stages["base_eval"]["bpb"])
        self.assertIn("kind: pretrain", report["recipe_text"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
