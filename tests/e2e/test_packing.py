"""Rows by best-fit packing: planned once, kept beside the token files, read by trainings and evaluations, and never seen to be cut."""
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, SOURCE, Folder, call, children, kill_all, text_of, wait_for

PACKED = ("-s", "base.packing=best_fit")
PLANS = ("town.rows", "town.val.rows")


def start(recipe, results, *more, **env):
    return subprocess.Popen([RETORT, "run", recipe, "--results", results, *more], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env={**os.environ, **env})


def kill(run):
    """The stage first, which would save where its runner is gone."""
    kill_all([*children(run.pid), run.pid])
    run.wait()


class Packing(Folder):
    def rows(self, results=None):
        return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (results or self.results).glob("store/rows-*.h5")}

    def test_a_run_its_plan_and_why(self):
        flat = self.plan()
        self.assertEqual(flat["base"]["key"], self.plan(MICRO, "-s", "base.packing=flat")["base"]["key"])
        self.assertFalse(set(PLANS) & set(flat))
        packed = self.plan(MICRO, *PACKED)
        self.assertNotEqual(flat["base"]["key"], packed["base"]["key"])
        self.assertEqual(flat["town.tokens"]["key"], packed["town.tokens"]["key"])
        self.assertIsNone(packed["town.rows"]["rows"])
        self.assertIsNone(packed["base"]["texts"][0]["epochs"])

        asked = (*PACKED, "-s", "base_eval.eval_tokens=4096")
        done = call("run", MICRO, *asked, results=self.results, check=0)
        self.assertRegex(done.stdout, r"town\.rows: done in [^,]*, \d+ rows, \d+\.\d % of the tokens dropped")
        # Measured at the end of training and by the evaluation: the same rows of the same text.
        scores = [float(x) for x in re.findall(r"done in .*bpb (\d\.\d+)", done.stdout)]
        self.assertEqual(len(scores), 2, done.stdout)
        self.assertEqual(scores[0], scores[1])

        made = self.plan(MICRO, *PACKED)
        text, rows = made["base"]["texts"][0], made["town.rows"]["rows"]
        self.assertTrue(all(made[name]["state"] == "cached" for name in PLANS))
        self.assertAlmostEqual(made["town.rows"]["dropped"], 1 - rows * 65 / text["tokens"])
        self.assertTrue(0 < text["dropped"] < 0.7)
        self.assertAlmostEqual(text["epochs"], 60 * 16 / rows)
        self.assertEqual(made["town.rows"]["tokens"], rows * 64)
        told = call("plan", MICRO, *PACKED, results=self.results, check=0).stdout
        self.assertRegex(told, r"\n  1.2k rows +\d+\.\d% dropped")

        why = call("why", MICRO, "base", results=self.results, check=0).stdout
        self.assertRegex(why, r"base: run\n +packing: best_fit -> flat[^\n]*\n$")
        why = call("why", MICRO, "base", *PACKED, "-s", "base.seq_len=32", results=self.results, check=0).stdout
        self.assertRegex(why, r"base: run\n +seq_len: 64 -> 32[^\n]*\n$")

        # What nobody needs goes with the run, and is not made again for its own sake.
        gone = json.loads(call("gc", "--json", results=self.results, check=0).stdout)
        self.assertNotIn("rows-", json.dumps(gone))
        for path in self.results.glob("store/rows-*.h5"):
            path.unlink()
        self.assertTrue(all(self.plan(MICRO, *asked)[name]["state"] == "cached" for name in PLANS))
        call("run", MICRO, *PACKED, "-s", "base.steps=2", results=self.results, check=0)
        self.assertEqual(len(self.rows()), 2)
        for run in ("micro/0001", "micro/0002"):
            call("rm", run, results=self.results, check=0)
        self.assertEqual(json.dumps(json.loads(call("gc", "--json", results=self.results, check=0).stdout)).count('"kind": "rows"'), 2)
        call("gc", "--yes", results=self.results, check=0)
        self.assertEqual(self.rows(), {})

    def test_the_same_however_it_is_cut_killed_and_shared(self):
        other = self.folder / "other"
        call("run", MICRO, *PACKED, results=self.results, check=0)
        call("run", MICRO, *PACKED, "-s", "base.device_batch=1", results=other, check=0, env={"OMP_NUM_THREADS": "1"})
        self.assertSame(self.result("pretrain"), self.result("pretrain", other))
        third = self.folder / "third"
        run = start(MICRO, third, *PACKED, RETORT_CHECKPOINT_SECONDS="0.01")
        wait_for(lambda: list(third.glob("store/pretrain-*.part.h5")) or run.poll() is not None)
        self.assertIsNone(run.poll())
        kill(run)
        self.assertIn("resuming at step", call("run", MICRO, *PACKED, results=third, check=0).stdout)
        self.assertSame(self.result("pretrain"), self.result("pretrain", third))

        # Another recipe, seed and horizon: the same plans.
        before, recipe = self.rows(), self.folder / "second.yaml"
        recipe.write_text(text_of().replace("name: micro", "name: second"))
        told = call("run", recipe, *PACKED, "-s", "base.seed=8", "-s", "base.steps=3", results=self.results, check=0).stdout
        self.assertNotIn("rows: done", told)
        self.assertEqual(self.rows(), before)

        # Bits per byte of rows that are cut otherwise are no match, and say why.
        call("run", MICRO, "-s", "base.steps=3", results=self.results, check=0)
        told = json.loads(call("compare", "micro/1", "micro/2", "--json", results=self.results, check=0).stdout)["scores"]
        bits = {row["score"]: row["values"] for row in told if row["score"].startswith("bpb")}
        self.assertEqual(set(bits), {"bpb", "bpb, other rows"})
        self.assertTrue(all(values.count(None) == len(values) // 2 for values in bits.values()), bits)

    def test_killed_while_the_plan_is_made(self):
        lines = [json.dumps({"text": f"{k} and {k * k % 1009}. " * (1 + k * k % 7)}) for k in range(30000)]
        recipe = self.folder / "many.yaml"
        (self.folder / "many.jsonl").write_text("\n".join(lines))
        recipe.write_text("""retort: 1
name: many
sources:
  web: {jsonl: many.jsonl, field: text, validate: none}
stages:
  tokenizer: {kind: tokenizer, source: web, vocab: 300, chars: 10k}
  base: {kind: pretrain, tokenizer: tokenizer, source: web, packing: best_fit, n_layer: 1, n_embd: 16, n_head: 1, n_kv_head: 1,
         head_dim: 16, n_mlp: 16, seq_len: 32, batch_tokens: 64, device_batch: 2, steps: 2, eval_every: 0, sample_every: 0}
""")
        call("run", recipe, results=self.results, check=0)
        whole = self.result("rows")
        killed = 0
        for _ in range(20):
            other = self.folder / "other"
            subprocess.run(["rm", "-rf", other])
            subprocess.run(["cp", "-r", self.results, other])
            for path in [*other.glob("store/rows-*"), *other.glob("store/pretrain-*")]:
                path.unlink()
            run = start(recipe, other)
            wait_for(lambda: any(other.glob("store/rows-*.lock")) or run.poll() is not None)
            kill(run)
            killed += not (other / "store" / whole.name).exists()
            call("run", recipe, results=other, check=0)
            self.assertSame(whole, other / "store" / whole.name)
            self.assertEqual([*other.glob("store/*spill*"), *other.glob("store/.spill*"), *other.glob("store/*.tmp*")], [])
            if killed > 1:
                break
        self.assertGreater(killed, 0, "the stage could not be killed before it was done")

    def test_a_damaged_plan_is_named(self):
        call("run", MICRO, *PACKED, results=self.results, check=0)
        path = self.results / "store" / (self.plan(MICRO, *PACKED)["town.rows"]["key"][:16].join(("rows-", ".h5")))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
        done = call("run", MICRO, *PACKED, "-s", "base.steps=2", results=self.results, check=1)
        self.assertIn(f"'{path}' is damaged", done.stderr)
        self.assertIn("fix:", done.stderr)
        path.write_bytes(data[:-8])
        call("run", MICRO, *PACKED, "-s", "base.steps=2", results=self.results, check=0)  # seen before: made anew

    def test_a_mix_of_packed_texts(self):
        (self.folder / "notes.txt").write_text(" ".join(f"the {k * k % 97} notes say {k}" for k in range(3000)))
        text = text_of().replace("steps: 60", "packing: best_fit\n    steps: 20")
        text = text.replace("    source: town", "    source: both").replace("stages:", """  more: {world: %s, documents: 400, validate: none}
  both: {mix: [{source: town, share: 0.75}, {source: more, share: 0.25}], validate: town}

stages:""" % (SOURCE / "recipes/worlds/town.yaml"))
        recipe, other = self.folder / "micro.yaml", self.folder / "other"
        recipe.write_text(text)
        call("run", recipe, results=self.results, check=0)
        call("run", recipe, "-s", "base.device_batch=1", results=other, check=0, env={"OMP_NUM_THREADS": "1"})
        self.assertSame(self.result("pretrain"), self.result("pretrain", other))
        made = self.plan(recipe)
        texts = {t["source"]: t for t in made["base"]["texts"]}
        self.assertEqual((texts["town"]["rows"], texts["more"]["rows"]), (240, 80))
        for name, text in texts.items():
            self.assertAlmostEqual(text["epochs"], text["rows"] / made[f"{name}.rows"]["rows"])
            self.assertAlmostEqual(text["dropped"], made[f"{name}.rows"]["dropped"])



class Conversations(Folder):
    """What plan says of a mixture is what the training makes of it, once the token files are there."""

    def made(self, recipe, *asked):
        call("run", recipe, *asked, "--until", "sft", results=self.results, check=0)
        folder = self.folder / "tables"
        call("export", f"{recipe}:sft", *asked, "--to", "csv", folder, results=self.results, check=0)
        with open(folder / "metrics_train.csv", newline="") as f:
            steps = max(int(row["step"]) for row in csv.DictReader(f))
        shutil.rmtree(folder)
        return self.plan(recipe, *asked)["sft"], steps

    def test_steps_are_those_that_are_made(self):
        text = text_of(SOURCE / "tests/e2e/micro.yaml")
        text = text.replace("steps: 30", "steps: 2").replace("../fixtures", str(SOURCE / "tests/fixtures"))
        packed, each = self.folder / "packed.yaml", self.folder / "each.yaml"
        packed.write_text(text)
        each.write_text(text.replace("preset: mid", "preset: sft").replace("batch_tokens: 1024\n    device_batch: 3",
                                                                          "rows: 8\n    device_batch: 3\n    seq_len: 64"))
        self.assertIsNone(self.plan(packed, "-s", "sft.packing=best_fit")["sft"]["steps"])
        rows = []
        for recipe, *asked in ((packed,), (packed, "-s", "sft.packing=best_fit"), (packed, "-s", "sft.packing=best_fit", "-s", "sft.seq_len=64"),
                               (each,)):
            plan, steps = self.made(recipe, *asked)
            self.assertEqual(plan["steps"], steps, asked)
            rows.append(plan["rows"])
        self.assertGreater(rows[1], rows[0])  # rows of whole conversations are not full
        self.assertLess(rows[3], 400)         # of some the answer is cut off


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
