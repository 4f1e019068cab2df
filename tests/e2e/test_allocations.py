#!/usr/bin/env python3
"""A training step asks nobody for memory: a stage allocates as often for many steps as for few.

    test_allocations.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]
"""
import sys
import unittest

from harness import MICRO, SAME, SOURCE, Folder, call

COUNTER = SAME.parent / "libcount_allocations.so"
TALK = SOURCE / "tests/e2e/chat.yaml"


class Allocations(Folder):
    def setUp(self):
        super().setUp()
        if not COUNTER.exists():
            self.skipTest("the sanitizers allocate themselves")

    def count(self, recipe, stage, *settings):
        """How often the stage allocated."""
        told = self.folder / "told"
        told.unlink(missing_ok=True)
        args = [a for s in settings for a in ("-s", f"{stage}.{s}")]
        env = {"LD_PRELOAD": str(COUNTER), "ALLOCATIONS": str(told), "OMP_NUM_THREADS": "2", "RETORT_CHECKPOINT_SECONDS": "1000"}
        call("run", recipe, "--until", stage, *args, results=self.results, check=0, env=env)
        kind = self.plan(recipe, *args)[stage]["kind"]
        *_, n = [int(line.split()[0]) for line in told.read_text().splitlines() if line.split()[1].startswith(kind + "-")]
        return n

    def hold(self, few, many, more):
        # Writing a file allocates some times more or less; a step that allocated would show as often as there are more steps.
        self.assertGreater(few, 0)
        self.assertLess(many - few, more / 2, f"{few} allocations, and with {more} steps more {many}")

    def test_pretraining(self):
        for precision in "f32", "bf16":
            of = ("eval_every=0", "sample_every=0", f"precision={precision}")
            self.hold(self.count(MICRO, "base", "steps=8", *of), self.count(MICRO, "base", "steps=120", *of), 112)

    def test_finetuning(self):
        for stage, batch in ("mid", "batch_tokens=128"), ("sft", "rows=2"):
            few = self.count(TALK, stage, "mixture[1].rows=20", batch, "eval_every=0")
            many = self.count(TALK, stage, "mixture[1].rows=300", batch, "eval_every=0")
            self.hold(few, many, 100)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
