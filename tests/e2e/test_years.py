#!/usr/bin/env python3
"""Recipes of nanochat 2026 with the real binary: run whole, cut another way, killed and resumed to the same bits, asked, compared.

    test_years.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, SOURCE, Alone, call, kill_in_stage, text_of

MICRO_2026 = SOURCE / "tests/e2e/micro_2026.yaml"
NAME = "micro_2026"
MADE = ("base", "sft", "rl", "chat_eval@sft", "chat_eval@rl")


class OfTheYear(Alone):
    RECIPE = MICRO_2026

    def files(self, results):
        """name -> result file"""
        stages = json.loads(call("plan", MICRO_2026, "--json", results=results, check=0).stdout)["stages"]
        return {s["name"]: results / "store" / f"{s['kind']}-{s['key'][:16]}.h5" for s in stages if s["name"] in MADE}


class Years(OfTheYear):
    def setUp(self):
        super().setUp()
        shutil.copytree(self.alone, self.results)

    def resolved(self, recipe, *more):
        out = call("plan", recipe, "--resolved", "--json", *more, results=self.results, check=0).stdout
        return {v["name"]: v for v in json.loads(out)["values"]}

    def test_second_run_has_nothing_to_do(self):
        self.assertIn("nothing to do", call("run", MICRO_2026, results=self.results, check=0).stdout)
        header = next(line for line in self.first.stdout.splitlines() if line.startswith("score"))
        self.assertEqual(header.split(), ["score", "sft", "rl"])
        report = json.loads(call("report", NAME, "--json", results=self.results, check=0).stdout)
        losses = {s["name"]: s["loss"] for s in report["stages"]}
        self.assertLess(losses["base"], 5.99)  # ln 400: it has learned something
        self.assertLess(losses["sft"], 5.99)

    def test_every_value_and_who_set_it(self):
        values = self.resolved(MICRO_2026)
        for name, value, by in (("nanochat", "2026", "recipe"), ("base.architecture", "2026", "default"),
                                ("base.optimizer", "2026", "default"), ("base.window_pattern", "SSSL", "default"),
                                ("base.n_embd", "48", "default"), ("base.aspect", "16", "recipe"),
                                ("base.ratio", None, None), ("base.warmup", None, None), ("base.warmup_steps", "4", "recipe"),
                                ("base.warmdown", "0.65", "default"), ("base.scalar_lr", "0.5", "default"),
                                ("base.weight_decay", "0.28", "default"), ("base.embedding_lr", "0.3", "default"), ("base.packing", "best_fit", "default"),
                                ("tokenizer.token_bytes", "raw", "default"), ("sft.packing", "best_fit", "default"),
                                ("sft.batch_tokens", "1280", "default"), ("sft.lr_frac", "0.8", "default"),
                                ("sft.warmdown", "0.5", "default"), ("sft.moments", "model", "default"), ("sft.weight_decay", "0", "default"),
                                ("rl.embedding_lr", "0.2", "default"), ("rl.optimizer", "2026", "default")):
            with self.subTest(name=name):
                self.assertEqual((values[name]["value"], values[name]["by"]) if name in values else (None, None), (value, by))
        own = self.resolved(MICRO_2026, "-s", "base.embedding_lr=0.1", "-s", "base.batch_tokens=640", "-s", "base.warmup=0.1")
        self.assertEqual([own[n]["value"] for n in ("sft.embedding_lr", "sft.batch_tokens", "base.warmup")], ["0.1", "640", "0.1"])
        self.assertNotIn("base.warmup_steps", own)
        rows = self.resolved(MICRO_2026, "-s", "sft.rows=8")
        self.assertNotIn("sft.batch_tokens", rows)
        self.assertNotIn("sft.packing", rows)

    def planned(self, *more):
        out = call("plan", MICRO_2026, "--json", *more, results=self.results, check=0).stdout
        return {s["name"]: s for s in json.loads(out)["stages"]}

    def start(self, stage, *more):
        """What a finished training says of its beginning, and its first loss."""
        folder = self.folder / f"tables-{stage}-{len(list(self.folder.iterdir()))}"
        call("export", f"{MICRO_2026}:{stage}", "--to", "jsonl", folder, *more, results=self.results, check=0)
        events = [json.loads(line) for p in folder.rglob("events.jsonl") for line in p.read_text().splitlines()]
        losses = [json.loads(line)["loss"] for p in folder.rglob("*train.jsonl") if "metrics" in str(p) for line in p.read_text().splitlines()]
        return next(e["text"] for e in events if e["kind"] == "start"), losses

    def test_fine_tuning_takes_the_moments_of_the_pretraining(self):
        # They are there because sft reads them, and gone where nobody does; what begins without them is another training.
        self.assertEqual(self.planned()["sft"]["begins"], {"stage": "base", "step": None, "optimizer": True})
        text, losses = self.start("sft")
        self.assertEqual(text, "with the moments of 40 updates")
        fresh = ("-s", "sft.moments=fresh")
        self.assertEqual(self.planned(*fresh)["sft"]["reasons"][0]["name"], "moments")
        self.assertRegex(call("plan", MICRO_2026, "-s", "sft.lr_frac=0.5", results=self.results, check=0).stdout,
                         r"(?m)^ +from base +weights,\s+moments *$")
        self.assertIn("begins with 'base': weights, moments",
                      call("why", MICRO_2026, "sft", "-s", "sft.lr_frac=0.5", results=self.results, check=0).stdout)
        call("run", MICRO_2026, *fresh, "--until", "sft", results=self.results, check=0)
        text, others = self.start("sft", *fresh)
        self.assertEqual(text, "")
        self.assertEqual(losses[0], others[0])  # the weights are the same, and the first batch
        self.assertNotEqual(losses[1:3], others[1:3])
        # A base that was trained for the one has not what the other needs; why says so, and what does without.
        alone = self.folder / "alone"
        call("run", MICRO_2026, *fresh, "--until", "sft", results=alone, check=0)
        more = self.files(self.results)["base"].stat().st_size - self.files(alone)["base"].stat().st_size
        other = ("-s", "seed=8")  # what nobody has made yet is foreseen
        foreseen = self.planned(*other)["base"]["bytes_disk"] - self.planned(*other, *fresh)["base"]["bytes_disk"]
        self.assertLess(abs(foreseen - more), 0.1 * more)
        said = call("why", MICRO_2026, "base", results=alone, check=0).stdout
        self.assertIn("base: run", said)
        self.assertIn("the optimizer of the end, read by 'sft', is not kept; `moments: fresh` there does without", said)
        call("run", MICRO_2026, "--until", "sft", results=alone, check=0)
        for name in ("base", "sft"):
            self.assertSame(self.files(alone)[name], self.files(self.results)[name])

    def test_moments_of_a_step_and_of_another_fine_tuning(self):
        recipe = self.folder / "r.yaml"
        text = text_of(MICRO_2026)
        sft = text[text.index("  sft:\n"):text.index("  rl:\n")]
        second = sft.replace("  sft:\n", "  second:\n").replace("model: base", "model: sft") + "    steps: 3\n"
        early = sft.replace("  sft:\n", "  early:\n").replace("model: base", "model: base@20") + "    steps: 3\n"
        recipe.write_text(text + second + early)
        call("run", recipe, "--until", "second", results=self.results, check=0)
        call("run", recipe, "--until", "early", results=self.results, check=0)
        for stage, n in (("second", 40), ("early", 20)):
            folder = self.folder / stage
            call("export", f"{recipe}:{stage}", "--to", "jsonl", folder, results=self.results, check=0)
            text = "".join(p.read_text() for p in folder.rglob("events.jsonl"))
            found = int(re.search(r"with the moments of (\d+) updates", text)[1])
            self.assertGreater(found, n) if stage == "second" else self.assertEqual(found, n)

    def test_where_there_are_no_moments(self):
        recipe = self.folder / "r.yaml"
        text = text_of(MICRO_2026)
        for change, says in (("    optimizer: 2025\n", "has another optimizer"), ("    model: rl\n", "which has none")):
            more = "  third: {kind: finetune, preset: sft, model: rl, mixture: [{task: town_talk}]}\n" if "rl" in change else ""
            recipe.write_text(text.replace("    preset: sft\n", "    preset: sft\n" + change) + more if not more else text + more)
            name = "third" if more else "sft"
            out = json.loads(call("plan", recipe, "--resolved", "--json", results=self.results, check=0).stdout)["values"]
            self.assertEqual([v["value"] for v in out if v["name"] == name + ".moments"], ["fresh"])
            said = call("plan", recipe, "-s", f"{name}.moments=model", results=self.results, check=2).stderr
            self.assertIn(says, said)

    def test_threads_and_device_batch_leave_the_bits(self):
        other = self.folder / "other"
        call("run", MICRO_2026, "-s", "base.device_batch=1", "-s", "sft.device_batch=8", "-s", "rl.device_batch=2", "-s",
             "chat_eval.device_batch=3", results=other, env={"OMP_NUM_THREADS": "1"}, check=0)
        mine, others = self.files(self.results), self.files(other)
        for name in MADE:
            with self.subTest(name=name):
                self.assertSame(mine[name], others[name])

    def test_chat_answers(self):
        model = f"{MICRO_2026}:sft"
        one = call("chat", model, "-p", "Where does Ada live?", "-m", "20", results=self.results, check=0).stdout
        self.assertEqual(one, call("chat", model, "-p", "Where does Ada live?", "-m", "20", results=self.results, check=0).stdout)

    def test_compare_with_a_run_of_2025(self):
        call("run", MICRO, results=self.results, check=0)
        shown = call("compare", "micro", NAME, results=self.results, check=0).stdout
        self.assertRegex(shown, r"architecture\s.*2026")
        self.assertRegex(shown, r"optimizer\s.*2026")
        self.assertTrue(all(len(line) <= 80 for line in shown.splitlines()))
        self.assertTrue(json.loads(call("compare", "micro", NAME, "--json", results=self.results, check=0).stdout)["ok"])
        why = call("why", MICRO, "-s", "nanochat=2026", "-s", "base.depth=2", results=self.results, check=0).stdout
        self.assertIn("architecture", why)

    def test_either_half_of_the_year_alone(self):
        for setting in ("base.optimizer=2025", "base.window_pattern=L"):
            plan = {s["name"]: s for s in json.loads(call("plan", MICRO_2026, "--json", "-s", setting, results=self.results,
                                                          check=0).stdout)["stages"]}
            self.assertEqual((plan["tokenizer"]["state"], plan["base"]["state"]), ("cached", "run"))
            call("run", MICRO_2026, "-s", setting, "-s", "base.steps=6", "--until", "base", results=self.results, check=0)

    def test_export_writes_no_layout_that_others_do_not_know(self):
        done = call("export", f"{MICRO_2026}:sft", self.folder / "hf", "--to", "hf", results=self.results)
        self.assertIn(done.returncode, (2, 4))
        self.assertFalse((self.folder / "hf").exists())
        call("export", f"{MICRO_2026}:tokenizer", self.folder / "own", "--to", "hf", results=self.results, check=0)


class Kills(OfTheYear):
    """SIGKILL in base, sft and rl: run again it goes on from what was saved, and ends with the bits of a run left alone."""

    ENV = {**os.environ, "RETORT_CHECKPOINT_SECONDS": "0"}

    def prepared(self, first):
        """Results of all before a stage, so that the run to be killed begins with it."""
        shutil.rmtree(self.results, ignore_errors=True)
        shutil.copytree(self.alone, self.results)
        shutil.rmtree(self.results / "runs")
        files = self.files(self.results)
        for name in MADE[MADE.index(first):]:
            files[name].unlink()

    def killed(self, first, kind, step):
        for _ in range(5):
            self.prepared(first)
            runner = subprocess.Popen([RETORT, "run", MICRO_2026, "--results", self.results], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, env=self.ENV)
            if kill_in_stage(runner, self.results, kind, step):
                break
        else:
            self.fail(f"{first} was always done before it could be killed")
        self.assertRegex(call("run", MICRO_2026, results=self.results, env=self.ENV, check=0).stdout, "resum")
        mine, others = self.files(self.alone), self.files(self.results)
        for name in MADE:
            with self.subTest(name=name):
                self.assertSame(mine[name], others[name])

    def test_base(self):
        self.killed("base", "pretrain", 7)

    def test_sft(self):
        self.killed("sft", "finetune", 5)

    def test_rl(self):
        self.killed("rl", "grpo", 2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
