#!/usr/bin/env python3
"""Files that a newer retort wrote, and four other kinds of wrong file: each has its own words, and a newer one is never touched.

    test_newer.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library, and set_format beside SAME_RESULT.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from harness import RETORT, SAME, Once, call, text_of

SET_FORMAT = SAME.parent / "set_format"
TEXT = text_of()
TEXT = TEXT.replace("    steps: 60\n", "    steps: 60\n    packing: best_fit\n    keep: [20]\n")
OFTEN = {"RETORT_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
SAYS = r"is of format 2, written by a newer retort; this one reads up to 1"


class Newer(Once):
    @classmethod
    def make_once(cls):
        """One store with a file of each type: results, a checkpoint, kept weights, tokens, rows, a record, the machine's figures."""
        recipe, results = cls.made / "micro.yaml", cls.made / "results"
        recipe.write_text(TEXT)
        for _ in range(5):  # until a checkpoint is there, however fast the machine is
            call("run", recipe, "-s", "seed=9", results=results, check=1, env={**OFTEN, "RETORT_FAULT": "stage/checkpoint.copied:2"})
            if list(results.glob("store/*.part.h5")):
                break
        shutil.rmtree(results / "runs")
        for left in (*results.glob("store/*.job"), *results.glob("store/*.part.tmp.h5")):
            left.unlink()
        call("run", recipe, results=results, check=0)
        call("bench", "machine", results=results, check=0)

    def setUp(self):
        super().setUp()
        self.recipe = self.folder / "micro.yaml"
        self.recipe.write_text(TEXT)
        shutil.copytree(self.made / "results", self.results)
        stages = self.plan(self.recipe)
        stem = f"pretrain-{stages['base']['key'][:16]}"
        store = self.results / "store"
        self.files = {"result": store / f"{stem}.h5", "kept": store / f"{stem}@20.h5", "tokens": next(store.glob("tokens-*.h5")),
                      "rows": store / f"rows-{stages['town.rows']['key'][:16]}.h5", "record": self.results / "runs/micro/0001.h5",
                      "checkpoint": next(p for p in store.glob("pretrain-*.part.h5")), "machine": self.results / "machine.h5"}

    def make(self, path, what):
        self.assertEqual(subprocess.run([SET_FORMAT, path, what]).returncode, 0)

    def everything(self):
        return {p: p.read_bytes() for p in self.results.rglob("*") if p.is_file()}

    def refused(self, path, *args, settings=()):
        """A command ends with status 4, names the file and what to do, and leaves everything as it was."""
        before = self.everything()
        done = call(*args, *settings, results=self.results, check=4)
        said = re.sub(r"\s+", " ", done.stderr)
        self.assertRegex(said, rf"'{re.escape(str(path))}' {SAYS}")
        self.assertRegex(said, r"fix: take the retort that wrote it, or another folder with --results; or remove the file yourself")
        after = self.everything()
        self.assertEqual({p.name for p in after}, {p.name for p in before}, args)
        self.assertEqual(after, before, args)
        return done

    def test_five_kinds_of_wrong_file_have_their_own_words(self):
        for name, path in self.files.items():
            good = path.read_bytes()
            flipped = bytearray(good)
            flipped[len(good) // 2] ^= 4
            kinds = {"flipped": ("damaged", r"is damaged: |cannot be read"), "cut": ("damaged", r"is cut short: it has \d+ of \d+ bytes"),
                     "text": ("damaged", "is another kind of file, not HDF5"),
                     "foreign": ("damaged", "is an HDF5 file, but not a result of retort: it has no retort_format"),
                     "newer": ("newer", SAYS)}
            for kind, (state, says) in kinds.items():
                with self.subTest(file=name, kind=kind):
                    path.write_bytes(flipped if kind == "flipped" else good[:len(good) * 2 // 3] if kind == "cut" else
                                     b"letters of mine, and more than forty-eight of them in all\n" if kind == "text" else good)
                    if kind in ("foreign", "newer"):
                        self.make(path, "foreign" if kind == "foreign" else "2")
                    done = call("ls", "--check", "--json", results=self.results, check=4 if state == "newer" else 1)
                    wrong = [f for f in json.loads(done.stdout)["files"] if f["state"] not in ("good", "not read")]
                    self.assertEqual([(pathlib.Path(f["file"]), f["state"]) for f in wrong], [(path, state)])
                    self.assertRegex(wrong[0]["what"], says)
                    self.assertTrue(wrong[0]["fix"])
            path.write_bytes(good)
        call("ls", "--check", results=self.results, check=0)

    def test_results_of_a_newer_retort_are_refused(self):
        for name in ("result", "tokens", "rows"):
            path = self.files[name]
            good = path.read_bytes()
            self.make(path, "2")
            with self.subTest(file=name):
                if name != "result":  # somebody must need it
                    self.files["result"].rename(self.folder / "held.h5")
                for args in (("plan", self.recipe), ("why", self.recipe), ("run", self.recipe), ("run", self.recipe, "--fresh", "base")):
                    self.refused(path, *args)
                if name != "result":
                    (self.folder / "held.h5").rename(self.files["result"])
            path.write_bytes(good)
        self.assertIn("nothing to do", call("run", self.recipe, results=self.results, check=0).stdout)

    def test_what_only_looks_goes_on(self):
        self.make(self.files["result"], "2")
        for args in (("status", "micro"), ("ls",), ("report", "micro"), ("compare", "micro", "micro"), ("check", self.recipe)):
            call(*args, results=self.results, check=0)
        shown = call("ls", "--check", results=self.results, check=4).stdout
        self.assertRegex(shown, rf"(?m)^newer +\S+ \S+ +store/{self.files['result'].name}$")
        self.assertIn(" 0 damaged, 1 of a newer retort, ", shown)
        for args in (("chat", "micro:base", "-p", "Who"), ("encode", "micro:base", "Who"), ("logits", self.files["result"], "1"),
                     ("export", "micro:base", "--to", "hf", self.folder / "hf")):
            self.refused(self.files["result"], *args)

    def test_checkpoints_and_kept_steps_are_refused(self):
        held = self.files["result"].read_bytes()
        self.files["result"].unlink()
        self.make(self.files["kept"], "2")
        for args in (("plan", self.recipe), ("run", self.recipe)):
            self.refused(self.files["kept"], *args)
        self.files["kept"].unlink()
        part, prev = (self.files["result"].with_name(self.files["result"].name.replace(".h5", e)) for e in (".part.h5", ".part.prev.h5"))
        for wrong, other in ((part, prev), (prev, part)):
            shutil.copy(self.files["checkpoint"], wrong)
            self.make(wrong, "2")
            for args in (("plan", self.recipe), ("run", self.recipe)):
                self.refused(wrong, *args)
            wrong.unlink()
        self.files["result"].write_bytes(held)
        self.make(self.files["checkpoint"], "2")  # of another seed: no matter here
        self.assertIn("nothing to do", call("run", self.recipe, results=self.results, check=0).stdout)
        self.refused(self.files["checkpoint"], "run", self.recipe, settings=("-s", "seed=9"))
        call("run", self.recipe, "-s", "base.steps=70", "--until", "base", results=self.results, check=0)  # it is no trunk either

    def test_a_stage_refuses_what_comes_meanwhile(self):
        # The plan is made, and then somebody puts a newer file there: the stage looks again before it makes anything.
        held, job = self.files["result"].read_bytes(), self.folder / "stage.job"
        self.files["result"].unlink()
        call("run", self.recipe, results=self.results, check=1, env={"RETORT_FAULT": "stage/stage.begun"})
        shutil.copy(self.files["result"].with_suffix(".job"), job)
        self.files["result"].write_bytes(held)
        self.make(self.files["result"], "2")
        before = self.files["result"].read_bytes()
        stage = subprocess.Popen([RETORT, "_stage", "--job", job, "--results", self.results], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = stage.stderr.read()  # its standard input stays open: its end would be a request to stop
        stage.communicate()
        self.assertEqual(stage.returncode, 4, said)
        self.assertRegex(re.sub(r"\s+", " ", said), SAYS)
        self.assertEqual(self.files["result"].read_bytes(), before)
        self.assertEqual(list(self.results.glob("store/*.damaged.h5")), [])

    def test_gc_leaves_them(self):
        held = self.everything()
        self.make(self.files["kept"], "2")
        call("rm", "micro/1", results=self.results, check=0)
        shown = call("gc", results=self.results, check=0).stdout
        self.assertRegex(shown, r"left alone: 1 result, .*, that a newer retort wrote")
        answer = json.loads(call("gc", "--yes", "--json", results=self.results, check=0).stdout)
        self.assertEqual(answer["kept"]["newer"], 1)
        self.assertEqual(sorted(p.name for p in self.results.glob("store/pretrain-*.h5")),
                         sorted([self.files["result"].name, self.files["kept"].name]))
        self.assertEqual(self.files["result"].read_bytes(), held[self.files["result"]])
        self.assertFalse(self.files["tokens"].exists())

    def test_records_of_a_newer_retort(self):
        record = self.files["record"]
        self.make(record, "2")
        self.assertRegex(call("ls", results=self.results, check=0).stdout, r"(?m)^micro/0001 +newer +-")
        self.assertEqual(json.loads(call("ls", "--json", results=self.results, check=0).stdout)["runs"][0]["state"], "newer")
        for args in (("report", "micro"), ("compare", "micro/1", "micro/1"), ("gc",), ("gc", "--yes")):
            self.refused(record, *args)
        before = record.read_bytes()
        call("status", results=self.results, check=0)
        call("plan", self.recipe, results=self.results, check=0)
        call("run", self.recipe, "-s", "base.steps=30", "-s", "base.keep=[20]", results=self.results, check=0)
        self.assertTrue((self.results / "runs/micro/0002.h5").exists())
        self.assertEqual(record.read_bytes(), before)
        call("rm", "micro/1", results=self.results, check=0)
        self.assertEqual((self.results / "runs/micro/0001.gone.h5").read_bytes(), before)

    def test_figures_of_a_newer_retort(self):
        self.make(self.files["machine"], "2")
        self.assertFalse(json.loads(call("plan", self.recipe, "--json", results=self.results, check=0).stdout)["hardware"]["measured"])
        self.refused(self.files["machine"], "bench", "machine")

    def test_a_mirror_of_a_newer_retort(self):
        mirror = self.folder / "mirror"
        call("run", self.recipe, "-s", f"mirror={mirror}", results=self.results, check=0)
        self.make(mirror / "store" / self.files["result"].name, "2")
        for path in mirror.glob("runs/micro/*.h5"):
            self.make(path, "2")
        there = {p: p.read_bytes() for p in mirror.rglob("*") if p.is_file()}
        elsewhere = self.folder / "elsewhere"
        done = call("run", self.recipe, "--from", mirror, "-s", f"mirror={mirror}", results=elsewhere, check=4)
        self.assertRegex(re.sub(r"\s+", " ", done.stderr), SAYS)
        self.assertEqual(there, {p: p.read_bytes() for p in mirror.rglob("*") if p.is_file()})
        self.assertEqual([p for p in elsewhere.glob("store/pretrain-*.h5") if "@" not in p.name], [])  # kept weights came before


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
