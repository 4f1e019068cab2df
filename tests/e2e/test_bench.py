#!/usr/bin/env python3
"""`retort bench train`, `eval` and `kernels`: what they answer and refuse; never how fast.

    test_bench.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]
"""
import json
import signal
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, SOURCE, Folder, call, live_step, wait_for


class Bench(Folder):
    def train(self, *args):
        return json.loads(call("bench", "train", *args, "--json", results=self.results, check=0).stdout)

    def test_a_stage(self):
        answer = self.train(MICRO, "-s", "base.batch_tokens=512", "--profile")
        (base,) = answer["trainings"]
        self.assertEqual(base["precision"], "f32")
        self.assertEqual((base["name"], base["seq_len"], base["rows"], base["device_batch"]), ("base", 64, 8, 4))
        self.assertGreaterEqual(base["tok_s"], base["tok_s_median"])
        self.assertAlmostEqual(base["tok_s"] * base["seconds"], 512, places=6)
        self.assertAlmostEqual(base["mfu"] * base["peak_flops"] * base["seconds"] / base["flops"], 1)
        calls = {o["op"]: o["calls"] for o in base["operations"]}
        self.assertEqual((calls["loss"], calls["attention"], calls["clip"]), (8, 16, 1))
        self.assertLess(sum(o["share"] for o in base["operations"]), 1.001)
        self.assertTrue(all(o["products_share"] <= o["share"] for o in base["operations"]))

    def test_as_text(self):
        out = call("bench", "train", MICRO, "base", results=self.results, check=0).stdout
        self.assertRegex(out, r"\nbase +\d+ +\d+ ")
        self.assertLessEqual(max(map(len, out.splitlines())), 80)
        self.assertNotIn("loss", out)
        out = call("bench", "train", MICRO, "base", "-s", "base.precision=bf16", results=self.results, check=0).stdout
        self.assertRegex(out, r"\nbase, bf16 +\d+ ")

    def test_eval(self):
        answer = json.loads(call("bench", "eval", MICRO, "base_eval", "--json", results=self.results, check=0).stdout)
        self.assertEqual(answer["model"], "base_eval")
        self.assertEqual(len(answer["forms"]), 4)
        for form in answer["forms"]:
            self.assertAlmostEqual(form["ratio"], form["examples_s"] / form["plain_examples_s"])
            self.assertLessEqual(form["tokens_an_example"], form["tokens_of_its_prompts"])
            self.assertEqual(form["verdicts_that_differ"], 0)
        letters, endings = answer["forms"][:2]
        self.assertEqual((letters["tokens_an_example"], letters["tokens_of_its_prompts"]), (500, 2004))
        self.assertEqual((endings["tokens_an_example"], endings["tokens_of_its_prompts"]), (460, 1664))

    def test_refused(self):
        def refused(status, *args):
            return call("bench", *args, results=self.results, check=status).stderr

        self.assertIn("no stage 'bsae'", refused(2, "train", MICRO, "bsae"))
        self.assertIn("base_eval' is no training", refused(2, "train", MICRO, "base_eval"))
        self.assertIn("no stage 'bsae'", refused(2, "eval", MICRO, "bsae"))
        self.assertIn("none is named", refused(2, "train", "-s", "base.depth=2"))
        self.assertIn("one argument too many", refused(2, "machine", MICRO))
        self.assertIn("one argument too many", refused(2, "train", MICRO, "base", "more"))
        self.assertIn("cannot load", refused(3, "kernels", "--blas", SOURCE / "README.md"))
        self.assertIn("not an option", call("plan", MICRO, "--profile", check=2).stderr)

    def test_share_of_the_peak(self):
        """MFU is told once the machine was measured, and not known before."""
        run = [str(RETORT), "run", str(MICRO), "--until", "base", "-s", "base.steps=100000", "--results", str(self.results)]

        def tells_mfu():
            return any('"mfu"' in path.read_text() for path in self.results.glob("store/pretrain-*.live"))

        def shares(ready):
            running = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for(ready)
                status = json.loads(call("status", "micro", "--json", results=self.results, check=0).stdout)
            finally:
                running.send_signal(signal.SIGINT)
                self.assertEqual(running.wait(60), 75)
            return [s["mfu"] for s in status["runs"][0]["stages"] if s["name"] == "base"]

        self.assertEqual(shares(lambda: live_step(self.results, "pretrain") > 0), [None])
        measured = call("bench", "machine", results=self.results, check=0).stdout
        self.assertIn("peak of bfloat16", measured)
        (share,) = shares(tells_mfu)
        self.assertTrue(0 < share < 1, share)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
