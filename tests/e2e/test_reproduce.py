#!/usr/bin/env python3
"""Runs held against runs: `reproduce`, `why RUN RUN`, `fit`, and what they go by.

    test_reproduce.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from harness import RETORT, SOURCE, Folder, call, live_step, text_of, wait_for

TEXT = text_of()
PORTABLE = {"RETORT_ISA": "portable"}


class Held(Folder):
    def setUp(self):
        super().setUp()
        self.recipe = self.folder / "micro.yaml"
        self.recipe.write_text(TEXT)
        call("run", self.recipe, results=self.results, check=0)

    def json(self, *args, check=0, env=None):
        return json.loads(call(*args, "--json", results=self.results, check=check, env=env).stdout)

    def narrow(self, text):
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
        return text

    def stamps(self):
        return {p: p.stat().st_mtime_ns for d in ("store", "runs") for p in (self.results / d).rglob("*.h5")}

    def test_reproduce(self):
        before = self.stamps()
        text = self.narrow(call("reproduce", "micro", results=self.results, check=0).stdout)
        self.assertIn("micro/0001: reproduced, bit for bit", text)
        self.assertEqual(self.stamps(), before)
        again = self.json("reproduce", "micro/1")  # it is there already
        self.assertEqual((again["verdict"], {s["verdict"] for s in again["stages"]}), ("same bits", {"same bits"}))

        # The recipe as it was recorded counts, not as it is by now; nor does the store have to be there.
        self.recipe.write_text(TEXT.replace("steps: 60", "steps: 61"))
        shutil.rmtree(self.results / "reproduce")
        shutil.move(self.results / "store", self.folder / "gone")
        again = self.json("reproduce", "micro/1")
        self.assertEqual({s["verdict"] for s in again["stages"]}, {"same numbers"})

        # Another instruction set: other bits, told by the canary, within tolerance.
        other = self.json("reproduce", "micro/1", "--into", self.folder / "portable", env=PORTABLE)
        base = {s["name"]: s for s in other["stages"]}["base"]
        self.assertEqual((other["verdict"], base["verdict"], base["cause"]), ("within tolerance", "within tolerance", "canary"))
        self.assertTrue(all(m["holds"] for m in base["measures"]) and base["measures"])

    def test_marks_in_the_recipe_itself(self):
        # Comments that look as what stands between a recipe and what it includes; and a recipe that does include.
        (self.folder / "more.yaml").write_text("seed: 11\n")
        for n, top in ((2, ""), (3, "include: [more.yaml]\n")):  # whose seed is the included one, so that there is something to run
            text = TEXT.replace("\nstages:", "\n# included: what follows\n# of another recipe: this.yaml:base\nstages:")
            self.assertNotEqual(text, TEXT)
            self.assertIn("\nseed: 7\n", text)
            self.recipe.write_text(top + (text.replace("\nseed: 7\n", "\n") if top else text))
            call("run", self.recipe, "-s", "base.steps=4", results=self.results, check=0)
            self.assertIn("reproduced, bit for bit", call("reproduce", f"micro/{n}", results=self.results, check=0).stdout)

    def test_not_reproduced(self):
        # Numbers that no build makes: those of another seed, under the key of this one.
        into = self.folder / "again"
        call("reproduce", "micro/1", "--into", into, results=self.results, check=0)
        other = self.folder / "other"
        call("run", self.recipe, "-s", "base.seed=8", results=other, check=0)
        shutil.rmtree(into / "runs")
        (into / "runs").mkdir()
        shutil.copytree(other / "runs/micro", into / "runs/micro")
        text = call("reproduce", "micro/1", "--into", into, results=self.results, check=1).stdout
        self.assertIn("not reproduced", text)
        self.assertRegex(text, r"base +differs")

        # What the recipe reads has changed: nothing is started.
        world = self.folder / "town.yaml"
        world.write_text((SOURCE / "recipes/worlds/town.yaml").read_text())
        self.recipe.write_text(TEXT.replace(str(SOURCE / "recipes/worlds/town.yaml"), "town.yaml"))
        call("run", self.recipe, results=self.folder / "mine", check=0)
        world.write_text(world.read_text() + "# another file\n")
        done = call("reproduce", "micro", results=self.folder / "mine", check=1)
        self.assertIn("cannot be made again as it was", done.stderr)
        self.assertIn("town.yaml", done.stderr)
        self.assertFalse((self.folder / "mine/reproduce/micro-0001/runs").exists())
        call("reproduce", "nanochat-d20", results=self.results, check=2)

    def test_cut_off_it_goes_on(self):
        runner = subprocess.Popen([RETORT, "reproduce", "micro", "--results", self.results], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        into = self.results / "reproduce/micro-0001"
        wait_for(lambda: live_step(into, "pretrain") >= 3 or runner.poll() is not None)
        self.assertIsNone(runner.poll(), "it ended before it could be stopped")
        runner.send_signal(signal.SIGINT)
        said = runner.communicate(timeout=60)[0]
        self.assertEqual(runner.returncode, 75, said)
        said = call("reproduce", "micro", results=self.results, check=0).stdout
        self.assertRegex(said, r"base: resuming at step \d+ of 60")
        self.assertIn("bit for bit", said)

    def test_why_two_runs_differ(self):
        call("run", self.recipe, "-s", "base.weight_decay=0.1", "-s", "base.steps=50", results=self.results, check=0)
        text = self.narrow(call("why", "micro/1", "micro/2", results=self.results, check=0).stdout)
        self.assertRegex(text, r"base +weight_decay +0 +0.1")
        self.assertRegex(text, r"They part first in 'base' at step \d+: asked differently")
        answer = self.json("why", "micro/1", "micro/2")
        base = {s["stage"]: s for s in answer["stages"]}["base"]
        self.assertEqual((base["table"], base["step"]), ("metrics/train", 2))  # the first update knows no loss that decay has changed
        self.assertEqual((base["cause"], base["steps"]), ("asked", [60, 50]))
        self.assertEqual({s["stage"]: s["cause"] for s in answer["stages"]}["base_eval"], "input")
        self.assertRegex(base["canary"][0], r"^[0-9a-f]{16}$")
        self.assertEqual(base["canary"][0], base["canary"][1])

        # The same recipe, other bits: the canary says whose they are.
        call("run", self.recipe, "--fresh", "base", results=self.results, env=PORTABLE, check=0)
        answer = self.json("why", "micro/1", "micro/3")
        self.assertEqual(answer["asked"], [])
        self.assertEqual({s["stage"]: s["cause"] for s in answer["stages"]}["base"], "canary")
        text = self.narrow(call("why", "micro/1", "micro/3", results=self.results, check=0).stdout)
        self.assertIn("Both were asked the same", text)
        self.assertIn("portable", text)
        self.assertIn("No number that both have differs", call("why", "micro/1", "micro/1", results=self.results, check=0).stdout)
        call("why", "micro/1", "nanochat-d20", results=self.results, check=2)


class Fits(Folder):
    HOST = ("-s", "hardware.device=H100-80GB", "-s", "hardware.count=8", "-s", "hardware.usd_per_hour=24")

    def test_fit(self):
        recipe = self.folder / "deep.yaml"
        stages = TEXT[:TEXT.index("  base:\n")]
        recipe.write_text(stages + "  base: {kind: pretrain, tokenizer: tokenizer, source: town, depth: 2, eval_every: 0}\n")

        def usd(depth):
            out = call("plan", recipe, *self.HOST, "-s", f"base.depth={depth}", "--json", results=self.results, check=0).stdout
            return json.loads(out)["total"]["usd"]

        answer = json.loads(call("fit", recipe, *self.HOST, "--usd", "20", "--json", results=self.results, check=0).stdout)
        depth = answer["fits"]["depth"]
        self.assertEqual(depth % 2, 0)
        self.assertEqual((answer["smaller"]["depth"], answer["larger"]["depth"]), (depth - 2, depth + 2))
        self.assertLessEqual(usd(depth), 20)
        self.assertGreater(usd(depth + 2), 20)
        self.assertAlmostEqual(answer["fits"]["usd"], usd(depth))
        text = call("fit", recipe, *self.HOST, "--usd", "20", results=self.results, check=0).stdout
        for line in text.replace(str(recipe), "deep.yaml").splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertIn(f"-s base.depth={depth}", text)
        self.assertIn("depth: 2,", recipe.read_text())
        call("fit", recipe, *self.HOST, "--usd", "20", "--yes", results=self.results, check=0)
        self.assertIn(f"depth: {depth},", recipe.read_text())
        self.assertIn("that depth already", call("fit", recipe, *self.HOST, "--usd", "20", results=self.results, check=0).stdout)
        call("fit", recipe, *self.HOST, "--usd", "1e-9", results=self.results, check=1)
        call("fit", recipe, *self.HOST, results=self.results, check=2)
        self.assertIn("an hour costs", call("fit", recipe, "--usd", "9", results=self.results, check=2).stderr)
        self.assertFalse((self.results / "store").exists())

    def test_fit_is_bound_by_memory(self):
        """However much money there is: a depth is offered that fits the device, be it with a smaller device_batch; which is said."""
        recipe = self.folder / "deep.yaml"
        recipe.write_text(TEXT[:TEXT.index("  base:\n")] + "  base: {kind: pretrain, tokenizer: tokenizer, source: town, depth: 4, steps: 50,\n"
                          "         batch_tokens: 524288, device_batch: 64, eval_every: 0}\n")

        def plan(depth, *more):
            out = call("plan", recipe, *self.HOST, "-s", f"base.depth={depth}", *more, "--json", results=self.results, check=0).stdout
            return {s["name"]: s for s in json.loads(out)["stages"]}["base"]

        def fit(*more, check=0):
            return call("fit", recipe, *self.HOST, "--usd", "1e9", *more, results=self.results, check=check).stdout

        answer = json.loads(fit("--json"))
        depth, batch = answer["fits"]["depth"], re.fullmatch(r"-s base\.device_batch=(\d+)", answer["fits"]["settings"])[1]
        self.assertTrue(answer["larger"]["never_fits"])
        self.assertEqual(answer["larger"]["depth"], depth + 2)
        self.assertLess(answer["larger"]["usd"], 1e9)
        self.assertLessEqual(plan(depth, "-s", f"base.device_batch={batch}")["bytes_device"], 80e9)
        self.assertGreater(plan(depth)["bytes_device"], 80e9)
        self.assertGreater(plan(depth + 2, "-s", "base.device_batch=1")["bytes_device"], 80e9)
        text = fit().replace(str(recipe), "deep.yaml")
        self.assertRegex(text, rf"(?m)^ *{depth} .*the largest for .*\n? *.*smaller device_batch")
        self.assertRegex(" ".join(text.split()), rf"{depth + 2} .*the next larger, does not fit the device's memory")
        self.assertRegex(" ".join(text.split()), rf"to take it: -s base\.depth={depth} -s base\.device_batch={batch}")
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)
        none = fit("-s", "tokenizer.vocab=16000000", check=1)
        self.assertIn("no depth fits the device's memory", none)

    def test_fit_with_kept_steps(self):
        # Small depths have fewer steps than those that are kept and read: they are only passed by, not offered.
        recipe = self.folder / "kept.yaml"
        stages = TEXT[:TEXT.index("  base:\n")] + "  base: {kind: pretrain, tokenizer: tokenizer, source: town, depth: 12, ratio: 20, keep: [500]}\n"
        recipe.write_text(stages + "  at: {kind: eval, model: base@500, suites: [bpb]}\n")
        answer = json.loads(call("fit", recipe, *self.HOST, "--usd", "20", "--json", results=self.results, check=0).stdout)
        recipe.write_text(stages.replace(", keep: [500]", "") + "  at: {kind: eval, model: base, suites: [bpb]}\n")
        other = json.loads(call("fit", recipe, *self.HOST, "--usd", "20", "--json", results=self.results, check=0).stdout)
        self.assertEqual(answer["fits"], other["fits"])
        recipe.write_text(stages)
        call("plan", recipe, "-s", "base.depth=2", results=self.results, check=2)
        said = call("fit", recipe, *self.HOST, "--usd", "0.001", results=self.results, check=2).stderr
        self.assertRegex(said, r"(?s)step 500, behind the last of \d+.*while trying depth [24]")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
