#!/usr/bin/env python3
"""The small commands through the real binary: new, rm, gc; compare and report of runs and published runs.

    test_commands.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import json
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


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
