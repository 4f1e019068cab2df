#!/usr/bin/env python3
"""Result files: opened by other programs as `retort help files` says; damaged in every way, and what is said of it.

    test_files.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Outside needs h5py, and ends with status 77 without it; the rest needs nothing but Python's own library.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from harness import MICRO, SOURCE, Folder, call

ALL_KINDS = SOURCE / "tests/e2e/micro.yaml"
OFTEN = {"RETORT_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
DTYPES = {"u8": "uint8", "u16": "uint16", "u32": "uint32", "i32": "int32", "i64": "int64", "f32": "float32"}


class Outside(Folder):
    """With h5py and h5ls."""

    def setUp(self):
        super().setUp()
        answer = json.loads(call("help", "files", "--json", check=0).stdout)
        self.rows = [(re.compile(re.escape(r["path"]).replace("NAME", "[^/]+").replace("STAGE", "[^/]+") + "$"), r) for r in answer["files"]]
        self.seen = set()

    def row_of(self, name):
        inner = re.match(r"/stage/[^/]+(/(?!payload|reasons|error).*)", name)  # a run's copy of a stage's table
        for pattern, row in self.rows:
            if pattern.match(inner.group(1) if inner else name):
                return row
        self.fail(f"{name} is not on the page")

    def check_dataset(self, path, name, data):
        row = self.row_of(name)
        self.seen.add(row["path"])
        self.assertTrue(row["in"] != "checkpoints" or ".part" in path.name, f"{name} of {path.name}")
        kinds = row["type"].split(" or ")
        if kinds == ["table"]:
            self.assertIsNotNone(data.dtype.names, name)
            columns = row["columns"].split() if isinstance(row["columns"], str) else row["columns"]
            self.assertEqual(list(data.dtype.names), columns, name)
        elif kinds == ["text"]:
            self.assertEqual(data.dtype.kind, "S", name)
        else:
            self.assertIn(data.dtype.name, [DTYPES[k] for k in kinds], name)
        self.assertIn(len(data.shape), {d.count(",") + 1 for d in row["dims"].split(" or ")}, name)
        self.assertIsNone(data.chunks, name)

    def check_files(self):
        import h5py
        for path in [*self.results.glob("store/*.h5"), *self.results.glob("runs/*/*.h5"), *self.results.glob("*.h5")]:
            if ".tmp" in path.name:  # of a checkpoint that was being written when its stage was killed
                continue
            with h5py.File(path) as file:
                self.assertEqual(file.attrs["retort_format"], 1)
                sets = {}
                file.visititems(lambda name, item: sets.update({"/" + name: item}) if isinstance(item, h5py.Dataset) else None)
                for name, data in sets.items():
                    self.check_dataset(path, name, data)
                if "store" in path.parts:
                    for attribute in ("kind", "key", "payload", "inputs", "state", "step", "n_steps", "seed", "isa", "build", "machine",
                                      "started", "seconds", "usd", "device_batch"):
                        self.assertIn(attribute, file.attrs, path.name)

    def test_every_dataset_is_as_the_page_says(self):
        try:
            import h5py
        except ImportError:
            self.skipTest("h5py is not installed")
        call("run", ALL_KINDS, results=self.results, check=1, env={**OFTEN, "RETORT_FAULT": "stage/checkpoint.copied:2"})
        self.assertTrue(list(self.results.glob("store/pretrain-*.part.h5")))
        self.check_files()
        call("run", ALL_KINDS, "-s", "chat_eval.suites=[bpb, town_quiz, python_functions]", "-s", "chat_eval.examples=2",
             results=self.results, check=0)
        self.check_files()
        # Not met here: the 2026 model's moments, what takes a tokenizer minutes, an evaluation that was cut off, failures, other benches.
        rare = {"/optim/NAME.v2", "/counts/bytes", "/counts/lengths", "/counts/counts", "/counts/totals", "/progress/bpb",
                "/progress/cut", "/scores/suites", "/machines"}
        self.assertEqual({r["path"] for _, r in self.rows} - self.seen - rare, set())
        model = h5py.File(self.result("pretrain"))
        self.assertEqual(model["/model/transformer.wte"].shape[1], model["/model"].attrs["n_embd"])
        self.assertEqual(list(model["/metrics/train"]["step"]), list(range(1, 31)))
        if shutil.which("h5ls"):
            listed = subprocess.run(["h5ls", "-r", self.result("pretrain")], capture_output=True, text=True, check=True).stdout
            self.assertRegex(listed, r"/model/lm_head +Dataset \{\d+, 32\}")

    def test_the_page_is_the_table(self):
        self.assertEqual((SOURCE / "results/FILES.md").read_text(), call("help", "files", check=0).stdout)


class Damage(Folder):
    """`ls --check`, and what plan and run make of files that are not what they should be."""

    def setUp(self):
        super().setUp()
        call("run", MICRO, results=self.results, check=0, env=OFTEN)
        self.model = self.result("pretrain")

    def check_all(self, status):
        done = call("ls", "--check", results=self.results, check=status)
        answer = json.loads(call("ls", "--check", "--json", results=self.results, check=status).stdout)
        self.assertEqual(answer["ok"], status == 0)
        return done.stdout, {pathlib.Path(f["file"]).name: f for f in answer["files"]}

    def flip(self, path, at):
        text = bytearray(path.read_bytes())
        text[at] ^= 1
        path.write_bytes(text)

    def damaged(self, path, change, says):
        """One file is changed; the check names it and nothing else, and it is put back."""
        kept = path.read_bytes()
        change()
        text, files = self.check_all(1)
        self.assertEqual({n for n, f in files.items() if f["state"] == "damaged"}, {path.name}, text)
        self.assertRegex(files[path.name]["what"], says)
        self.assertTrue(files[path.name]["fix"])
        self.assertIn("fix: ", text)
        self.assertIn("1 damaged", text)
        path.unlink()
        path.write_bytes(kept)

    def cut_off(self, *files):
        """Trains and is killed, however fast the machine is, until these checkpoints are there."""
        for _ in range(5):
            call("run", MICRO, results=self.results, check=1, env={**OFTEN, "RETORT_FAULT": "stage/checkpoint.copied:2"})
            if all(f.exists() for f in files):
                return
        self.fail(f"no checkpoints: {files}")

    def test_all_good(self):
        text, files = self.check_all(0)
        self.assertEqual({f["state"] for f in files.values()}, {"good"})
        self.assertEqual({re.sub(r"[-.].*", "", n) for n in files}, {"tokenizer", "tokens", "pretrain", "eval", "0001"})
        self.assertIn(" 0 damaged", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_each_damage_has_its_own_words(self):
        m = self.model
        size = m.stat().st_size
        self.damaged(m, lambda: self.flip(m, size // 2), "differs from its checksum")
        self.damaged(m, lambda: self.flip(m, size - 9), "damaged")
        self.damaged(m, lambda: os.truncate(m, size - 1), f"is cut short: it has {size - 1} of {size} bytes")
        self.damaged(m, lambda: os.truncate(m, 0), "is empty, not HDF5")
        self.damaged(m, lambda: m.write_bytes(m.read_bytes() + b"x"), "should have")
        self.damaged(m, lambda: m.write_text("name: micro\n" * 20), "another kind of file, not HDF5")
        self.damaged(m, lambda: shutil.copy(self.result("tokenizer"), m), "holds another result than its name says: tokenizer-")
        tokens = next(self.results.glob("store/tokens-*.h5"))
        self.damaged(tokens, lambda: self.flip(tokens, tokens.stat().st_size // 2), "differs from its checksum")
        run = self.results / "runs/micro/0001.h5"
        self.damaged(run, lambda: self.flip(run, run.stat().st_size // 2), "damaged|checksum")
        part = m.with_name(m.name.replace(".h5", ".part.h5"))
        shutil.copy(m, part)
        self.damaged(part, lambda: self.flip(part, size // 2), "differs from its checksum")
        part.unlink()
        (self.results / "store/mine.txt").write_text("x")
        text, files = self.check_all(0)
        self.assertEqual(files["mine.txt"]["state"], "not read")

    def test_other_hdf5(self):
        try:
            import h5py
        except ImportError:
            self.skipTest("h5py is not installed")

        def make(attributes):
            self.model.unlink()
            with h5py.File(self.model, "w") as file:
                file.attrs.update(attributes)
        self.damaged(self.model, lambda: make({}), "an HDF5 file, but not a result of retort")

    def test_a_damaged_result_is_kept_and_made_anew(self):
        good = self.model.read_bytes()
        self.model.write_text("letters of mine, under the wrong name, and long enough for a look")
        self.assertEqual(self.plan()["base"]["state"], "run")
        self.assertIn("another kind of file", call("why", MICRO, "base", results=self.results, check=0).stdout)
        call("run", MICRO, results=self.results, check=0)
        self.assertEqual(self.model.with_name(self.model.name.replace(".h5", ".damaged.h5")).read_text()[:7], "letters")
        again = self.folder / "good.h5"
        again.write_bytes(good)
        self.assertSame(again, self.model)
        text, files = self.check_all(0)
        self.assertEqual([n for n, f in files.items() if f["state"] == "not read"], [self.model.name.replace(".h5", ".damaged.h5")])

    def test_a_damaged_checkpoint_is_kept_and_passed_over(self):
        self.model.unlink()
        part, prev = (self.model.with_name(self.model.name.replace(".h5", e)) for e in (".part.h5", ".part.prev.h5"))
        self.cut_off(part, prev)
        self.flip(part, part.stat().st_size // 2)
        was = part.read_bytes()
        done = call("run", MICRO, results=self.results, check=0, env=OFTEN)
        self.assertRegex(done.stdout, r"base: resuming at step \d")
        damaged = self.model.with_name(self.model.name.replace(".h5", ".part.damaged.h5"))
        self.assertEqual(damaged.read_bytes(), was)
        self.assertIn("passed over", call("report", "micro", results=self.results, check=0).stdout)

        # Another result's checkpoint under this name is not gone on from.
        self.model.unlink()
        call("run", MICRO, "-s", "seed=8", results=self.results, check=1, env={**OFTEN, "RETORT_FAULT": "stage/checkpoint.copied:2"})
        other = next(p for p in self.results.glob("store/pretrain-*.part.h5"))
        other.rename(part)
        for left in self.results.glob("store/pretrain-*.part.prev.h5"):
            left.unlink()
        call("run", MICRO, results=self.results, check=0)
        self.assertIn("it is of another result", call("report", "micro", results=self.results, check=0).stdout)
        alone = self.folder / "alone"
        call("run", MICRO, results=alone, check=0)
        self.assertSame(self.result("pretrain", alone), self.model)


if __name__ == "__main__":
    program = unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2, exit=False)
    result = program.result
    sys.exit(1 if not result.wasSuccessful() else 77 if result.skipped and result.testsRun == len(result.skipped) else 0)
