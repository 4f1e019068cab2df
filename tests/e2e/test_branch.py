#!/usr/bin/env python3
"""Kept steps, branches from them, and longer trainings that go on from shorter ones: killed, resumed, compared bit for bit.

    test_branch.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

from harness import RETORT, Alone, call, children, in_time, kill_all, live_step, text_of, wait_for

TEXT = text_of()
BASE = TEXT[TEXT.index("  base:\n"):TEXT.index("  base_eval:")]
OFTEN = {**os.environ, "RETORT_CHECKPOINT_SECONDS": "0.05"}


def branch(name, source, **fields):
    """The stage of micro.yaml again, under another name, from a step of another."""
    text = BASE.replace("  base:\n", f"  {name}:\n") + f"    from: {source}\n"
    for field, value in fields.items():
        text = re.sub(rf"    {field}: .*\n", f"    {field}: {value}\n", text)
    return text


class Trainings(Alone):
    ASKED = ("--until", "base")

    def setUp(self):
        super().setUp()
        self.recipe = self.folder / "micro.yaml"
        self.recipe.write_text(TEXT)

    def path(self, name, recipe=None, step=None):
        """The result of a stage, or of a step of it."""
        stage = self.plan(recipe or self.recipe)[name]
        at = "" if step is None else f"@{step}"
        return self.results / f"store/{stage['kind']}-{stage['key'][:16]}{at}.h5"

    def base(self):
        return self.result("pretrain", self.alone)

    def killed(self, recipe, when, settings=(), whom="stage"):
        """Runs a recipe, and kills the stage, or stage and runner, when it is time; there is a checkpoint then."""
        said = []

        def due():
            with contextlib.suppress(FileNotFoundError):  # the stage ended meanwhile, and its files are gone
                return when()

        def attempt():
            for path in self.results.glob("store/*.live"):  # of one that was killed before: it says what that one did
                path.unlink()
            runner = subprocess.Popen([RETORT, "run", recipe, *settings, "--results", self.results], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, env=OFTEN)
            wait_for(lambda: due() or runner.poll() is not None)
            stages = children(runner.pid)
            early = runner.poll() is None and bool(stages)
            kill_all(stages + ([runner.pid] if early and whom == "both" else []))
            said.append(runner.communicate(timeout=60)[0])
            return early and runner.returncode != 0 and any(self.results.glob("store/pretrain-*.part.h5"))

        in_time(self.results, attempt)
        return said[-1]


class Branches(Trainings):
    def test_kept_steps(self):
        keep = ["-s", "base.keep=[0, 20, 60]", "-s", "base.keep_every=25", "-s", "base.keep_optim=warmdown"]
        call("run", self.recipe, *keep, results=self.results, check=0)
        base = self.path("base")  # the key knows nothing of what is kept
        self.assertSame(self.base(), base)
        self.assertEqual(sorted(int(p.stem.split("@")[1]) for p in self.results.glob("store/*@*.h5")), [0, 20, 25, 48, 50, 60])
        self.assertEqual(list(self.results.glob("store/*.part*")), [])
        weights, optim = self.path("base", step=20), self.path("base", step=48)
        self.assertLess(weights.stat().st_size * 1.5, optim.stat().st_size)

        # Weights kept at the end are those of the result.
        for what in ("micro:base@20", f"{self.recipe}:base@20", weights):
            self.assertTrue(call("chat", what, "-m", "4", "-p", "Who", results=self.results, check=0).stdout)
        self.assertEqual(call("chat", "micro:base@60", "-m", "9", "-p", "Who is", results=self.results, check=0).stdout,
                         call("chat", "micro:base", "-m", "9", "-p", "Who is", results=self.results, check=0).stdout)
        self.assertEqual(call("encode", "micro:base@25", "Who", "--ids", results=self.results, check=0).stdout,
                         call("encode", "micro:tokenizer", "Who", "--ids", results=self.results, check=0).stdout)
        wrong = call("chat", "micro:base@21", "-p", "Who", results=self.results, check=2).stderr
        self.assertIn("0, 20, 25, 48, 50, 60", wrong)

        # An evaluation of steps has a column each; their models get better.
        text = TEXT.replace("model: base,", "model: [base@0, base@20, base],")
        self.recipe.write_text(text)
        call("run", self.recipe, results=self.results, check=0)
        card = json.loads(call("report", "micro", "--json", results=self.results, check=0).stdout)
        bpb = {s["model"]: s["value"] for s in card["scores"] if s["score"] == "bpb"}
        self.assertEqual(sorted(bpb), ["base", "base@0", "base@20"])
        self.assertGreater(bpb["base@0"], bpb["base@20"])
        self.assertGreater(bpb["base@20"], bpb["base"])

        # gc counts them with their result, which they go with.
        call("rm", "micro/1", results=self.results, check=0)
        call("rm", "micro/2", results=self.results, check=0)
        call("gc", "--yes", results=self.results, check=0)
        self.assertEqual(list(self.results.glob("store/*@*")), [])

    def test_what_is_wrong_with_a_step(self):
        for text, what in ((branch("long", "base@70"), r"'base@70', behind the last of 60 steps"),
                           (branch("long", "base@60"), r"goes on from step 60 of 'base', and its own last step is 60"),
                           (branch("long", "base"), r"goes on from step 60 of 'base', and its own last step is 60"),
                           (branch("long", "tokenizer@3"), r"cannot be 'tokenizer@3'"),
                           (branch("long", "base@30", n_embd=64), r"n_embd of stage 'long' is 64, and that of 'base@30' is 32"),
                           (branch("long", "base@30", eval_every=0).replace("base@30", "base@30\n    keep: [61]"), r"step 61, behind the last of 60")):
            self.recipe.write_text(TEXT + text)
            said = call("plan", self.recipe, results=self.results, check=2).stderr
            self.assertRegex(said, what)
            if "last step" in what or "behind the last of 60 steps" in what or "n_embd" in what:
                self.assertGreaterEqual(len(set(re.findall(r"micro\.yaml:(\d+)", said))), 2, said)  # two places

    def test_branch_is_the_parent_going_on(self):
        # Nothing kept beforehand: base is cached, and runs again as far as the branch needs it.
        call("run", self.recipe, results=self.results, check=0)
        self.recipe.write_text(TEXT + branch("long", "base@30") + branch("fast", "base@30", steps=40))
        plan = self.plan(self.recipe)
        self.assertEqual(plan["base"]["state"], "run")
        self.assertIn("step 30, read by 'long', is not kept", plan["base"]["reasons"][0]["new"])
        self.assertEqual(plan["base_eval"]["state"], "cached")
        before = self.path("base").stat().st_mtime_ns
        call("run", self.recipe, results=self.results, check=0)
        self.assertEqual(self.path("base").stat().st_mtime_ns, before)  # the result is not made again
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"cached"})
        self.assertSame(self.base(), self.path("long"))
        self.assertEqual(len({s["key"] for s in self.plan(self.recipe).values()}), len(self.plan(self.recipe)))

        # The same from another recipe.
        other = self.folder / "other.yaml"
        text = TEXT.replace("name: micro", "name: other")
        stages = text[:text.index("  base:\n")] + branch("more", "micro.yaml:base@30", tokenizer="micro.yaml:tokenizer")
        other.write_text(stages)
        self.assertEqual(self.plan(other)["more"]["state"], "cached")  # its key is that of 'long'

    def test_a_new_branch_hides_no_result(self):
        # Not all readers' steps are kept, but whoever does not ask for those has all that is needed.
        call("run", self.recipe, "--until", "base", results=self.results, check=0)
        self.recipe.write_text(TEXT + branch("more", "base", steps=90) + branch("long", "base@30"))
        base = self.path("base")
        self.assertEqual(self.plan(self.recipe)["base"]["state"], "run")
        call("chat", f"{self.recipe}:base", "-m", "4", "-p", "Who", results=self.results, check=0)
        call("encode", f"{self.recipe}:base", "Who", results=self.results, check=0)
        call("export", f"{self.recipe}:base", self.folder / "tables", "--to", "csv", results=self.results, check=0)
        self.assertIn("nothing to do", call("run", self.recipe, "--until", "base", results=self.results, check=0).stdout)
        said = call("run", self.recipe, "--only", "more", results=self.results, check=2).stderr
        self.assertRegex(said, "stage 'more' reads a step of 'base', or its optimizer, that was not kept")
        said = call("run", self.recipe, "--until", "base_eval", results=self.results, check=0).stdout
        self.assertNotRegex(said, r"(?m)^base: ")
        call("run", self.recipe, "--only", "base_eval", "--fresh", "base_eval", results=self.results, check=0)
        self.assertEqual(list(self.results.glob("store/*@*")), [])
        call("run", self.recipe, "--until", "more", results=self.results, check=0)
        self.assertEqual(self.plan(self.recipe)["base"]["state"], "cached")

    def test_fresh_makes_what_it_reads(self):
        # Token files and plans of rows that nobody needs may be gone; nothing is removed where a stage could not start.
        text = TEXT.replace("    steps: 60\n", "    steps: 60\n    packing: best_fit\n", 1)
        self.recipe.write_text(text + branch("more", "base", steps=70))
        call("run", self.recipe, results=self.results, check=0)
        base, more = self.path("base"), self.path("more")
        held = {path: path.with_suffix(".held") for path in (base, more)}
        for path, other in held.items():
            shutil.copy(path, other)

        def clear():
            for path in [p for name in ("tokens", "rows") for p in self.results.glob(f"store/{name}-*")]:
                path.unlink()

        clear()
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"cached"})
        said = call("run", self.recipe, "--only", "base", "--fresh", "base", results=self.results, check=2).stderr
        self.assertRegex(said, "stage 'base' needs 'town.*', which has not been made")
        self.assertTrue(base.exists())
        said = call("run", self.recipe, "--fresh", "base", results=self.results, check=0).stdout
        self.assertRegex(said, r"(?m)^\[1/\d\] town\.tokens: started")
        self.assertSame(held[base], base)
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"cached"})

        # Plans of rows that this stage does not read stay away; the run is recorded without them.
        clear()
        call("run", self.recipe, "--until", "more", "--fresh", "more", results=self.results, check=0)
        self.assertSame(held[more], more)
        self.assertEqual(list(self.results.glob("store/rows-*")), [])

        # What lacks of a training is made as well: here the optimizer that a branch goes on from.
        self.recipe.write_text(text)
        call("run", self.recipe, "--fresh", "base", results=self.results, check=0)
        self.recipe.write_text(text + branch("more", "base", steps=70))
        self.assertEqual(self.plan(self.recipe)["base"]["state"], "cached")
        said = call("run", self.recipe, "--only", "more", "--fresh", "more", results=self.results, check=2).stderr
        self.assertIn("'more' reads a step of 'base', or its optimizer, that was not kept", said)
        self.assertSame(held[more], more)
        said = call("run", self.recipe, "--fresh", "more", results=self.results, check=0).stdout
        self.assertRegex(said, r"(?m)^\[\d/\d\] base: started")
        self.assertSame(held[more], more)

    def test_branch_at_the_end_and_killed(self):
        # From the end of base, which then keeps its optimizer; another learning rate, another text, another batch.
        more = (branch("more", "base", steps=90) + "    warmdown: 0.1\n" + branch("wide", "more@70", batch_tokens=2048, steps=100, seed=3))
        self.recipe.write_text(TEXT + more)
        alone = self.folder / "left"
        call("run", self.recipe, results=alone, check=0)
        self.killed(self.recipe, lambda: live_step(self.results, "pretrain") >= 30)
        for name, step in (("more", 65), ("more", 75), ("wide", 80)):
            path = self.path(name)
            live = path.with_suffix(".live")
            self.killed(self.recipe, lambda: any(int(s) >= step for s in re.findall(r'"step":(\d+)', live.read_text()
                        if live.exists() else "")[-1:]) and list(path.parent.glob(path.stem + ".part.h5")), whom="both")
        done = call("run", self.recipe, results=self.results, check=0)
        self.assertRegex(done.stdout, r"wide\S*: resuming at step [789]\d of 100")
        for name in ("base", "more", "wide"):
            self.assertSame(alone / "store" / self.path(name).name, self.path(name))
        self.assertSame(alone / "store" / self.path("more", step=70).name, self.path("more", step=70))

    def test_part_that_is_too_late(self):
        # base stands behind the step that a new branch needs, and so begins anew.
        self.killed(self.recipe, lambda: live_step(self.results, "pretrain") >= 40 and list(self.results.glob("store/*.part.h5")))
        base = self.plan(self.recipe)["base"]
        self.assertEqual(base["state"], "resume")
        step = int(re.search(r"saved at step (\d+) of 60", base["reasons"][-1]["new"])[1]) // 2  # on a busy machine it is an early one
        self.recipe.write_text(TEXT + branch("long", f"base@{step}"))
        base = self.plan(self.recipe)["base"]
        self.assertEqual(base["state"], "run")
        self.assertIn(f"step {step},", base["reasons"][-1]["new"])
        call("run", self.recipe, results=self.results, check=0)
        self.assertSame(self.base(), self.path("base"))
        self.assertSame(self.base(), self.path("long"))

    def test_inherits(self):
        small = "  long: {kind: pretrain, tokenizer: tokenizer, source: town, from: base@30, batch_tokens: 1024, steps: 40, eval_tokens: 4096}\n"
        self.recipe.write_text(TEXT + small)
        resolved = call("plan", self.recipe, "--resolved", results=self.results, check=0).stdout
        self.assertRegex(resolved, r"long\.n_embd +32 +default")
        self.assertRegex(resolved, r"long\.seq_len +64 +default")
        self.recipe.write_text(TEXT + small.replace("1024", "1000"))
        self.assertIn("is not a multiple of seq_len 64", call("plan", self.recipe, results=self.results, check=2).stderr)


class Longer(Trainings):
    """A longer training is a shorter one up to where that lowers its rates."""

    ASKED = ("-s", "base.steps=180", "--until", "base")

    def longer(self, *settings):
        return self.plan(self.recipe, "-s", "base.steps=180", *settings)["base"]

    def test_from_before_the_warmdown(self):
        call("run", self.recipe, "-s", "base.keep_optim=warmdown", "-s", "base.keep_every=20", results=self.results, check=0)
        base = self.longer()
        self.assertEqual((base["state"], base["reasons"][0]["name"]), ("resume", "steps"))
        self.assertIn("up to step 48", base["reasons"][1]["new"])
        self.assertRegex(call("why", self.recipe, "-s", "base.steps=180", results=self.results, check=0).stdout, "up to step 48")
        said = call("run", self.recipe, "-s", "base.steps=180", results=self.results, check=0).stdout
        self.assertRegex(said, r"base: resuming at step 48 of 180")
        result = self.results / f"store/pretrain-{base['key'][:16]}.h5"
        self.assertSame(self.base(), result)

        # Where rates, rows or anything else differ before, there is no trunk; nor where all is to be made anew.
        for settings in (["-s", "base.warmup=0.1"], ["-s", "base.matrix_lr=0.01"], ["-s", "base.batch_tokens=2048"], ["-s", "seed=8"]):
            self.assertEqual(self.longer(*settings)["state"], "run", settings)
        self.assertEqual(self.longer("-s", "base.warmdown=0.9")["state"], "run")  # rates fall from step 9 on
        fresh = call("run", self.recipe, "-s", "base.steps=180", "--fresh", "base", results=self.results, check=0).stdout
        self.assertNotIn("resuming", fresh)
        self.assertSame(self.base(), result)

    def test_from_a_checkpoint_and_killed(self):
        short = ["-s", "base.steps=150"]

        def saved():  # behind the beginning, however slow the disk is
            return any(re.search(r'"e":"saved","step":[1-9]', p.read_text()) for p in self.results.glob("store/pretrain-*.live"))

        self.killed(self.recipe, saved, settings=short)
        base = self.longer()
        self.assertEqual(base["state"], "resume")
        step = int(re.search(r"up to step (\d+)", base["reasons"][1]["new"])[1])
        self.assertGreater(step, 0)
        live = self.results / f"store/pretrain-{base['key'][:16]}.live"
        self.killed(self.recipe, lambda: live.exists() and any(int(s) >= 125 for s in re.findall(r'"step":(\d+)', live.read_text())),
                    settings=["-s", "base.steps=180"])
        said = call("run", self.recipe, "-s", "base.steps=180", results=self.results, check=0).stdout
        self.assertRegex(said, r"base: resuming at step \d+ of 180")
        self.assertSame(self.base(), self.results / f"store/pretrain-{base['key'][:16]}.h5")
        # The shorter one goes on from its own checkpoint, as if nothing had been.
        call("run", self.recipe, *short, results=self.results, check=0)
        alone = self.folder / "short"
        call("run", self.recipe, *short, "--until", "base", results=alone, check=0)
        result = self.result("pretrain", alone)
        self.assertSame(result, self.results / "store" / result.name)

    def test_a_damaged_trunk(self):
        call("run", self.recipe, "-s", "base.keep_optim=warmdown", results=self.results, check=0)
        kept = next(self.results.glob("store/*@48.h5"))
        data = bytearray(kept.read_bytes())
        data[len(data) // 2] ^= 1
        kept.write_bytes(data)
        call("run", self.recipe, "-s", "base.steps=180", results=self.results, check=0)
        self.assertSame(self.base(), self.results / f"store/pretrain-{self.longer()['key'][:16]}.h5")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
