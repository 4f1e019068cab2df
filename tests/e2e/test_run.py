#!/usr/bin/env python3
"""The real binary on a real recipe: run, run again, change, stop, kill, and compare bits.

    test_run.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from harness import MICRO, RETORT, Alone, Folder, call, children, in_time, kill_all, kill_in_stage, live_step, text_of, wait_for


class Runs(Folder):
    def test_plan_for_hardware(self):
        h100 = ["-s", "hardware.device=H100-80GB", "-s", "hardware.usd_per_hour=24", "-s", "hardware.count=8"]
        base = self.plan(MICRO, *h100)["base"]
        self.assertAlmostEqual(base["usd"], base["seconds"] * 24 / 3600)
        self.assertGreater(base["flops_counted"], 0)
        self.assertGreater(base["bytes_device"], 4 * base["params"])
        self.assertIsNone(self.plan(MICRO)["base"]["seconds"])  # nothing has been measured
        table = call("plan", MICRO, *h100, "-s", "hardware.usd_per_hour=1e6", results=self.results, check=0).stdout
        self.assertIn("on 8 H100-80GB", table)
        for line in table.splitlines():
            self.assertLessEqual(len(line), 80)
        self.assertIn("retort bench machine", call("plan", MICRO, results=self.results, check=0).stdout)
        wrong = call("plan", MICRO, "-s", "hardware.device=H900", results=self.results, check=2).stderr
        self.assertIn("RTX-4090", wrong)
        self.assertIn("bench machine", call("bench", "everything", results=self.results, check=4).stderr)

    def test_run_again_change_and_why(self):
        first = call("run", MICRO, results=self.results, check=0)
        for name in ("tokenizer", "base", "base_eval", "bpb"):
            self.assertIn(name, first.stdout)
        self.assertNotIn("\x1b", first.stdout)  # plain in a pipe
        self.assertTrue((self.results / "runs/micro/0001.h5").exists())
        self.assertEqual(list(self.results.glob("store/*.part*.h5")), [])
        self.assertEqual(list(self.results.glob("store/*.job")), [])

        again = call("run", MICRO, results=self.results, check=0)
        self.assertIn("nothing to do", again.stdout)
        self.assertFalse((self.results / "runs/micro/0002.h5").exists())
        self.assertEqual({s["state"] for s in self.plan().values()}, {"cached"})

        # The evaluation alone depends on how much it looks at; everything on the vocabulary; nothing on the batch a device takes.
        states = {n: s["state"] for n, s in self.plan(MICRO, "-s", "base_eval.eval_tokens=2048").items()}
        self.assertEqual(states.pop("base_eval"), "run")
        self.assertEqual(set(states.values()), {"cached"})
        states = {n: s["state"] for n, s in self.plan(MICRO, "-s", "tokenizer.vocab=390").items()}
        self.assertNotIn("cached", states.values())
        states = {n: s["state"] for n, s in self.plan(MICRO, "-s", "base.device_batch=2").items()}
        self.assertEqual(set(states.values()), {"cached"})

        changed = self.folder / "micro.yaml"
        text = text_of()
        changed.write_text(text.replace("vocab: 400", "vocab: 390"))
        why = call("why", changed, results=self.results, check=0).stdout
        self.assertRegex(why, r"vocab")
        self.assertIn("400", why)
        self.assertIn("390", why)
        line = next(i for i, l in enumerate(changed.read_text().splitlines(), 1) if "vocab: 390" in l)
        self.assertRegex(why, rf"micro\.yaml:{line}\b")

        report = call("report", "micro", results=self.results, check=0).stdout
        self.assertRegex(report, r"(?m)^# ")
        self.assertIn("bpb", report)
        ls = call("ls", results=self.results, check=0).stdout
        self.assertIn("micro", ls)
        status = call("status", MICRO, results=self.results, check=0).stdout
        self.assertIn("base", status)

    def test_not_built_and_wrong_say_so_before_anything_starts(self):
        recipe = self.folder / "r.yaml"
        text = text_of()
        recipe.write_text(text + "  gpt2: {kind: import, file: gpt2.json, format: retort}\n")
        done = call("run", recipe, results=self.results, check=4)
        self.assertRegex(done.stderr, r"r\.yaml:\d+:\d+: ")
        recipe.write_text(text.replace("vocab: 400", "vocabb: 400"))
        done = call("run", recipe, results=self.results, check=2)
        self.assertIn("vocab", done.stderr)
        self.assertIn("^", done.stderr)
        recipe.write_text(text.replace("../../recipes", "x").replace("town.yaml", "nowhere.yaml"))
        self.assertIn(call("run", recipe, results=self.results).returncode, (1, 2, 3))
        self.assertFalse((self.results / "store").exists() and any((self.results / "store").glob("*.h5")))
        call("frobnicate", check=2)
        call("serve", "x", check=4)
        call("run", self.folder / "absent.yaml", check=2)

    def test_threads_and_device_batch_leave_the_bits(self):
        call("run", MICRO, results=self.results, env={"OMP_NUM_THREADS": "1"}, check=0)
        other = self.folder / "other"
        call("run", MICRO, "-s", "base.device_batch=3", results=other, env={"OMP_NUM_THREADS": "2"}, check=0)
        self.assertSame(self.result("pretrain"), self.result("pretrain", other))

    def test_two_runners(self):
        first = subprocess.Popen([RETORT, "run", MICRO, "--results", self.results], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        wait_for(lambda: (self.results / "runs/micro/lock").exists())
        second = call("run", MICRO, results=self.results, check=3)
        self.assertIn(str(first.pid), second.stderr)
        self.assertEqual(first.wait(timeout=120), 0)


class Bf16(Folder):
    """precision: bf16 from the pretraining to the chat."""

    def setUp(self):
        super().setUp()
        self.recipe = self.folder / "bf16.yaml"
        text = text_of().replace("name: micro", "name: bf16")
        self.recipe.write_text(text.replace("    steps: 60\n", "    steps: 60\n    precision: bf16\n"))

    def test_trains_resumes_is_evaluated_and_chats(self):
        self.assertIn("base_eval.precision", call("plan", self.recipe, "--resolved", results=self.results, check=0).stdout)
        alone = self.folder / "alone"
        call("run", self.recipe, "-s", "base.device_batch=3", results=alone, env={"OMP_NUM_THREADS": "1"}, check=0)
        often = {**os.environ, "RETORT_CHECKPOINT_SECONDS": "0.05"}
        in_time(self.results, lambda: kill_in_stage(subprocess.Popen(
            [RETORT, "run", self.recipe, "--results", self.results], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=often), self.results, "pretrain", 12))
        done = call("run", self.recipe, results=self.results, check=0)
        self.assertRegex(done.stdout, r"resum\w*[^\n]*step \d+")
        for kind in ("tokenizer", "pretrain", "eval"):
            self.assertSame(self.result(kind, alone), self.result(kind))
        self.assertTrue(call("chat", f"{self.recipe}:base", "-m", "8", "-p", "Who is Sam?", results=self.results, check=0).stdout)

        # Another precision is another result; a model is never read in another than its own.
        f32 = self.plan(self.recipe, "-s", "base.precision=f32")
        self.assertEqual({f32["base"]["state"], f32["base_eval"]["state"]}, {"run"})
        wrong = call("plan", self.recipe, "-s", "base_eval.precision=f32", results=self.results, check=2).stderr
        self.assertIn("its model was trained in bf16", wrong)

    def test_emulated(self):
        # What has no instruction for it says so, and makes numbers that are as good.
        said = call("plan", self.recipe, results=self.results, env={"RETORT_ISA": "portable"}, check=0).stdout
        self.assertIn("no faster than f32", said)
        self.assertNotIn("no faster", call("plan", MICRO, results=self.results, env={"RETORT_ISA": "portable"}, check=0).stdout)
        call("run", self.recipe, "-s", "base.steps=10", results=self.results, env={"RETORT_ISA": "portable"}, check=0)
        self.assertIn("emulated", call("report", "bf16", results=self.results, check=0).stdout)


class Kills(Alone):
    """SIGKILL of stage, runner and both, in every kind of stage; stop by Ctrl-C. After running again the bits are those of a run
    left alone."""

    ENV = {**os.environ, "RETORT_CHECKPOINT_SECONDS": "0.05"}

    def start(self):
        return subprocess.Popen([RETORT, "run", MICRO, "--results", self.results], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=self.ENV)

    def finish(self):
        done = subprocess.run([RETORT, "run", MICRO, "--results", self.results], capture_output=True, text=True, env=self.ENV,
                              timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for kind in ("tokenizer", "pretrain", "eval"):
            self.assertSame(self.result(kind, self.alone), self.result(kind))
        mine = sorted(p for p in self.results.glob("store/tokens-*.h5"))
        self.assertEqual([p.name for p in mine], sorted(p.name for p in self.alone.glob("store/tokens-*.h5")))
        return done

    def kill(self, runner, whom):
        stages = children(runner.pid)
        if whom in ("stage", "both"):
            kill_all(stages)
        if whom in ("runner", "both"):
            runner.kill()
        runner.communicate(timeout=60)
        # A stage whose runner died sees its lifeline end, saves and goes; the next run waits for it.

    def killed_in(self, kind, whom, when):
        def attempt():
            runner = self.start()
            wait_for(lambda: when() or runner.poll() is not None)
            if runner.poll() is not None:
                runner.communicate()
                return False
            self.kill(runner, whom)
            return kind != "pretrain" or any(self.results.glob("store/pretrain-*.part.h5"))

        in_time(self.results, attempt)

    def interrupted(self, when):
        def attempt():
            runner = self.start()
            wait_for(lambda: when() or runner.poll() is not None)
            runner.send_signal(signal.SIGINT)
            out = runner.communicate(timeout=60)[0]
            self.assertIn(runner.returncode, (0, 75), out)
            return runner.returncode == 75

        in_time(self.results, attempt)

    def test_pretrain(self):
        for whom in ("stage", "runner", "both"):
            with self.subTest(whom=whom):
                shutil.rmtree(self.results, ignore_errors=True)
                self.killed_in("pretrain", whom, lambda: live_step(self.results, "pretrain") >= 12
                               and any(self.results.glob("store/pretrain-*.part.h5")))
                done = self.finish()
                resumed = re.search(r"resum\w*[^\n]*step (\d+)", done.stdout)
                self.assertTrue(resumed, done.stdout)
                self.assertGreater(int(resumed.group(1)), 0)

    def test_tokenizer_and_tokens(self):
        for kind in ("tokenizer", "tokens"):
            for whom in ("stage", "runner", "both"):
                with self.subTest(kind=kind, whom=whom):
                    shutil.rmtree(self.results, ignore_errors=True)
                    self.killed_in(kind, whom, lambda: any(self.results.glob(f"store/{kind}-*.lock")))
                    self.finish()

    def test_at_random(self):
        seed = random.randrange(10**6)
        print(f"seed {seed}", file=sys.stderr)
        chance = random.Random(seed)
        for _ in range(3):
            runner = self.start()
            time.sleep(chance.uniform(0.02, 2.5))
            if runner.poll() is None:
                self.kill(runner, chance.choice(("stage", "runner", "both")))
            else:
                runner.communicate()
        self.finish()

    def test_interrupt_saves_and_resumes(self):
        self.interrupted(lambda: live_step(self.results, "pretrain") >= 5)
        self.assertTrue(any(self.results.glob("store/pretrain-*.part.h5")))
        self.assertEqual(self.plan()["base"]["state"], "resume")
        self.finish()

    def test_damaged_checkpoint_falls_back(self):
        self.interrupted(lambda: any(self.results.glob("store/pretrain-*.part.prev.h5")))
        part = next(p for p in self.results.glob("store/pretrain-*.part.h5"))
        data = bytearray(part.read_bytes())
        data[len(data) // 2] ^= 0x40
        part.write_bytes(data)
        self.finish()


class Counts(Folder):
    """A tokenizer that is killed in its merges goes on from the counts that it kept; the bits are those of one left alone."""

    ENV = {**os.environ, "RETORT_CHECKPOINT_SECONDS": "0"}

    def setUp(self):
        super().setUp()
        chance = random.Random(1)  # words that are nearly all different: their merges take a while
        words = ("".join(chance.choices("etaoinshrdlu", k=chance.randint(4, 12))) for _ in range(500_000))
        (self.folder / "words.txt").write_text(" ".join(words))
        self.recipe = self.folder / "r.yaml"
        self.recipe.write_text("""\
retort: 1
name: words
nanochat: 2025
sources:
  words: {text: words.txt, validate: none}
stages:
  tokenizer: {kind: tokenizer, source: words, vocab: 30_000, doc_cap: 10M}
""")

    def start(self):
        return subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=self.ENV)

    def live(self):
        for path in self.results.glob("store/tokenizer-*.live"):
            try:
                return path.read_text()
            except OSError:
                pass
        return ""

    def part(self):
        return next(iter(self.results.glob("store/tokenizer-*.part.h5")), None)

    def kill_in_merges(self):
        def attempt():
            nonlocal first
            runner = self.start()
            wait_for(lambda: self.part() or runner.poll() is not None)
            first = self.live()
            kill_all(children(runner.pid))
            runner.communicate(timeout=60)
            return runner.returncode != 0 and self.part()

        first = ""
        in_time(self.results, attempt)
        self.assertIn('"characters"', first)
        self.assertEqual(self.plan(self.recipe)["tokenizer"]["state"], "resume")

    def finish(self):
        """Runs to the end; what the run and its live file said."""
        runner, said = self.start(), ""
        while runner.poll() is None:
            said = max(said, self.live(), key=len)
            time.sleep(0.005)
        out, _ = runner.communicate()
        self.assertEqual(runner.returncode, 0, out)
        self.assertIsNone(self.part())
        return out, said

    def test_killed_in_the_merges(self):
        call("run", self.recipe, results=self.folder / "alone", check=0)
        alone = self.result("tokenizer", self.folder / "alone")
        self.kill_in_merges()
        out, said = self.finish()
        self.assertIn("resuming", out)
        self.assertIn('"resumed"', said)
        self.assertRegex(said, r'"unit":"merges".*"eta_s":')
        self.assertNotIn('"characters"', said)  # nothing was counted again
        self.assertSame(alone, self.result("tokenizer"))

        # Counts that were damaged are made anew.
        shutil.rmtree(self.results)
        self.kill_in_merges()
        data = bytearray(self.part().read_bytes())
        data[len(data) // 2] ^= 0x40
        self.part().write_bytes(data)
        _, said = self.finish()
        self.assertIn('"characters"', said)
        self.assertSame(alone, self.result("tokenizer"))

    def test_too_few_merges_names_what_can_be_had(self):
        (self.folder / "words.txt").write_text("a few words, and no more than a few")
        done = call("run", self.recipe, results=self.results)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"the largest vocabulary is \d+")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
