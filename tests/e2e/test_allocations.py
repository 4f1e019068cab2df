#!/usr/bin/env python3
"""A training step asks nobody for memory: a stage allocates as often for many steps as for few.

    test_allocations.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]
"""
import os
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

    def counts(self, recipe, wanted, *settings):
        """Of each kind of stage that ran: how often it allocated."""
        told = self.folder / "told"
        told.unlink(missing_ok=True)
        args = [a for s in settings for a in ("-s", s)]
        env = {"LD_PRELOAD": str(COUNTER), "ALLOCATIONS": str(told), "OMP_NUM_THREADS": "2", "RETORT_CHECKPOINT_SECONDS": "1000"}
        call("run", recipe, "--until", wanted, *args, results=self.results, check=0, env=env)
        lines = [line.split() for line in told.read_text().splitlines()]
        return {name.split("-")[0]: int(n) for n, name in lines}

    def same(self, kind, few, many):
        self.assertGreater(few[kind], 0)
        self.assertEqual(few[kind], many[kind], f"{kind} allocates in its steps")

    def test_pretraining(self):
        for precision in "f32", "bf16":
            of = ("base.eval_every=0", "base.sample_every=0", f"base.precision={precision}")
            few = self.counts(MICRO, "base", "base.steps=12", *of)
            many = self.counts(MICRO, "base", "base.steps=30", *of)
            self.same("pretrain", few, many)

    def test_finetuning(self):
        call("run", TALK, "--until", "base", results=self.results, check=0)
        for stage, extra in ("mid", "mid.batch_tokens=1024"), ("sft", "sft.rows=8"):
            off = (f"{stage}.eval_every=0", extra)
            few = self.counts(TALK, stage, f"{stage}.mixture[1].rows=100", *off)
            many = self.counts(TALK, stage, f"{stage}.mixture[1].rows=280", *off)
            self.assertGreater(few["finetune"], 0)
            self.assertEqual(few["finetune"], many["finetune"], f"{stage} allocates in its steps")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
