#!/usr/bin/env python3
"""Mirrors: a folder, a store that speaks S3, a machine behind ssh; filled beside a run, through trouble, and brought back from.

    test_mirror.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library, and set_format beside SAME_RESULT. The far side of ssh is a program of that name that gives its command to sh.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import unittest

from bucket import Bucket
from harness import RETORT, SAME, SOURCE, Folder, call, children, wait_for

OFTEN = {"RETORT_CHECKPOINT_SECONDS": "0.05", "OMP_NUM_THREADS": "1", "RETORT_MIRROR_WAIT": "0.1"}
RECIPE = f"""retort: 1
name: copied
nanochat: 2025
seed: 7
sources:
  town: {{world: {SOURCE}/recipes/worlds/town.yaml, documents: 400, validate: held_out}}
stages:
  tokenizer: {{kind: tokenizer, source: town, vocab: 300, chars: 20k}}
  base: {{kind: pretrain, tokenizer: tokenizer, source: town, n_layer: 1, n_embd: 16, n_head: 1, n_kv_head: 1, head_dim: 16,
         n_mlp: 32, seq_len: 32, batch_tokens: 512, device_batch: 4, steps: 60, eval_every: 0, sample_every: 0}}
  base_eval: {{kind: eval, model: base, suites: [bpb]}}
"""
RESULTS = ["eval", "pretrain", "tokenizer"]


class Mirrors(Folder):
    env = OFTEN

    def setUp(self):
        super().setUp()
        self.recipe = self.folder / "copied.yaml"
        self.recipe.write_text(RECIPE)
        self.mirror = self.folder / "mirror"

    def run_it(self, *args, check=0, env=None, results=None):
        return call("run", self.recipe, *args, results=results or self.results, check=check, env={**self.env, **(env or {})})

    def mirrored(self, *args, **more):
        return self.run_it("-s", f"mirror={self.address()}", *args, **more)

    def address(self):
        return self.mirror

    def files(self):
        """What the mirror has: name to bytes."""
        there = {}
        for path in self.mirror.rglob("*"):
            with contextlib.suppress(OSError):  # it was renamed, or removed, just now
                there[str(path.relative_to(self.mirror))] = path.read_bytes()
        return there

    def put(self, name, data):
        (self.mirror / name).write_bytes(data)

    def clear(self):
        """As before the first run."""
        shutil.rmtree(self.results)
        for path in self.mirror.iterdir():
            shutil.rmtree(path)

    def state(self):
        out = call("status", "copied", "--json", results=self.results, check=0).stdout
        return json.loads(out)["runs"][0]["mirror"]

    def assertWhole(self):
        """Every result and the record is there, as it is here; notes name their hashes; nothing else is there."""
        here = {f"store/{p.name}": p.read_bytes() for p in self.results.glob("store/*.h5") if not p.name.startswith("tokens")}
        here |= {f"runs/copied/{p.name}": p.read_bytes() for p in self.results.glob("runs/copied/*.h5")}
        there = self.files()
        self.assertEqual(sorted(n.partition("-")[0].partition("/")[2] for n in here if n.startswith("store")), RESULTS)
        self.assertEqual(sorted(there), sorted([*here, *[n + ".sha256" for n in here]]))
        for name, data in here.items():
            self.assertEqual(there[name], data, name)
            self.assertRegex(there[name + ".sha256"].decode(),
                             rf"(?m)^{hashlib.sha256(data).hexdigest()}  {re.escape(name.rpartition('/')[2])}$")

    def alone(self):
        """The folder of a run without a mirror, made once for all tests."""
        folder = getattr(Mirrors, "_alone", None)
        if not folder:
            folder = Mirrors._alone = self.folder.parent / f"{self.folder.name}-alone"
            self.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
            self.run_it(results=folder)
        return folder

    def assertSameAsAlone(self, results):
        for kind in RESULTS:
            self.assertSame(self.result(kind, results), self.result(kind, self.alone()))

    def killed_in_training(self, *args):
        """A run whose machine is gone, once a checkpoint of its training is in the mirror: runner, stage and mirror at once."""
        for _ in range(20):  # on a busy machine it may be over before the mirror has one: then as if nothing had been
            before = self.checkpoints()
            runner = subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results, "-s", f"mirror={self.address()}", *args],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **self.env})
            wait_for(lambda: runner.poll() is not None or self.checkpoints() - before)
            pids = [runner.pid, *children(runner.pid)]
            if runner.poll() is None:
                break
            self.clear()
        self.assertIsNone(runner.poll(), "it was over too soon")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGKILL)
        runner.wait()
        shutil.rmtree(self.results)

    def checkpoints(self):
        """What the mirror has of them; those of another attempt are others, be they of the same step."""
        return {(n, hash(data)) for n, data in self.files().items() if re.search(r"pretrain-[0-9a-f]+\.part@\d+\.h5$", n)}

    def checkpoint(self):
        """The newest step of the training that the mirror has, or -1."""
        steps = [int(found[1]) for n in self.files() if (found := re.search(r"pretrain-[0-9a-f]+\.part@(\d+)\.h5$", n))]
        return max(steps, default=-1)

    LONG = ("-s", "base.steps=3000")  # so that there is time to meet it

    def goes_on_elsewhere(self):
        self.killed_in_training(*self.LONG)
        there = self.folder / "elsewhere"
        done = self.run_it("--from", self.address(), *self.LONG, results=there)
        self.assertRegex(done.stdout, r"from the mirror: 1 result, [12] checkpoints?, 1 record")
        self.assertRegex(done.stdout, r"base: resuming at step [1-9]")
        alone = self.folder / "long"
        self.run_it(*self.LONG, results=alone)
        for kind in RESULTS:
            self.assertSame(self.result(kind, there), self.result(kind, alone))

    def newer(self, data):
        """The same file, as a retort of the next format would have written it."""
        path = self.folder / "newer.h5"
        path.write_bytes(data)
        self.assertEqual(subprocess.run([SAME.parent / "set_format", path, "2"]).returncode, 0)
        return path.read_bytes()

    def keeps_what_is_newer(self):
        """Of a file that a newer retort wrote there nothing takes the place, nor is it removed; and the run says so with status 4."""
        self.mirrored()
        there = self.files()
        result = next(n for n in there if re.fullmatch(r"store/pretrain-[0-9a-f]+\.h5", n))
        stem = f"store/pretrain-{self.plan(self.recipe, *self.LONG)['base']['key'][:16]}"
        newer = {n: self.newer(there[result]) for n in (result, result[:-3] + ".part@5.h5", f"{stem}.part@5.h5")}
        for name, data in newer.items():
            self.put(name, data)
        newer[result + ".sha256"] = there[result + ".sha256"]
        other, says = self.folder / "other", "' of the mirror is of format 2, written by a newer retort; this one reads up to 1"
        done = self.mirrored(results=other, check=4)
        self.assertRegex(done.stderr, rf"(?s)not in the mirror '[^\n]*': 1 of 4 files\n  base [^\n]*not copied, since '{result}{says}\nretort: error: '{result[:-3]}(\.part@5)?\.h5{says}")
        self.assertIn("nothing to do", self.mirrored(results=other, check=4).stdout)
        answer = json.loads(self.mirrored("--json", results=other, check=4).stdout)
        self.assertEqual((answer["ok"], answer["errors"][0]["kind"]), (False, "not_built"))
        self.assertEqual(answer["mirror"]["newer"], f"'{result}{says}")
        # A checkpoint goes nowhere beside one of a newer format: who came for the newest would find that one.
        self.mirrored(*self.LONG, check=1, env={"RETORT_FAULT": "stage/checkpoint.copied:4", "RETORT_CHECKPOINT_SECONDS": "0"})
        self.assertTrue(list(self.results.glob(f"{stem}.part.h5")))
        self.assertIn(f"'{stem}.part@5.h5{says}", self.state()["newer"])
        self.assertEqual([n for n in self.files() if n.startswith(stem)], [f"{stem}.part@5.h5"])
        self.assertEqual({n: data for n, data in self.files().items() if n in newer}, newer)
        self.assertEqual([p for p in self.folder.rglob("*.tmp.h5") if p.parent.parent != self.results or ".there" in p.name], [])


class InFolder(Mirrors):
    def test_all_is_there_and_comes_back(self):
        done = self.mirrored()
        self.assertIn(f"mirror {self.mirror}: all 4 files are there", done.stdout)
        self.assertWhole()
        state = self.state()
        self.assertEqual((state["files"], state["there"], state["missing"], state["ended"]), (4, 4, [], True))
        self.assertIn("mirror: 4 of 4 files are there", call("status", "copied", results=self.results, check=0).stdout)
        before = {n: (self.mirror / n).stat().st_ino for n in self.files()}
        again = self.mirrored()
        self.assertIn("nothing to do", again.stdout)
        self.assertIn("all 4 files are there", again.stdout)
        self.assertEqual(before, {n: (self.mirror / n).stat().st_ino for n in self.files()}, "copied twice")
        elsewhere = self.folder / "elsewhere"
        done = self.run_it("--from", self.mirror, results=elsewhere)
        self.assertIn("from the mirror: 3 results, 0 checkpoints, 1 record", done.stdout)
        self.assertIn("nothing to do", done.stdout)
        self.assertSameAsAlone(elsewhere)
        self.assertIn("- finished after", call("report", "copied", results=elsewhere, check=0).stdout)
        call("report", "copied", results=self.mirror, check=0)  # a mirror is a results folder

    def test_goes_on_elsewhere(self):
        self.goes_on_elsewhere()

    def test_what_is_newer_there(self):
        self.keeps_what_is_newer()

    def test_relative_to_the_recipe(self):
        self.recipe.write_text(RECIPE + "mirror: mirror\n")
        self.run_it()
        self.assertWhole()

    def test_kept_weights(self):
        self.run_it()
        result = self.result("pretrain")
        kept = result.with_name(result.stem + "@30.h5")
        shutil.copy(result, kept)
        self.assertIn("all 5 files are there", self.mirrored().stdout)
        elsewhere = self.folder / "elsewhere"
        self.assertIn("kept weights, 1 file", self.run_it("--from", self.mirror, results=elsewhere).stdout)
        self.assertEqual((elsewhere / "store" / kept.name).read_bytes(), kept.read_bytes())

    def test_kept_weights_that_cannot_be_copied(self):
        self.run_it()
        result = self.result("pretrain")
        names = [f"{result.stem}@{step}.h5" for step in (10, 20, 30, 40, 50)]
        for name in names:
            shutil.copy(result, result.with_name(name))
            (self.mirror / "store" / name / "in the way").mkdir(parents=True)
        done = self.mirrored()
        self.assertIn("5 of 9 files", done.stderr)
        self.assertEqual((self.mirror / "store" / result.name).read_bytes(), result.read_bytes())

    def test_kept_weights_come_first(self):
        self.run_it()
        result = self.result("pretrain")
        kept = result.with_name(result.stem + "@30.h5")
        shutil.copy(result, kept)
        self.mirrored()
        elsewhere = self.folder / "elsewhere"
        self.run_it("--from", self.mirror, results=elsewhere, check=None,
                    env={"RETORT_FAULT": "runner/mirror.brought:4"})  # behind the record, the tokenizer and the kept weights
        self.assertEqual([p.name for p in elsewhere.glob("store/pretrain-*.h5") if ".tmp" not in p.name], [kept.name])
        self.run_it("--from", self.mirror, results=elsewhere)
        back = elsewhere / "store" / kept.name
        self.assertEqual(back.read_bytes(), kept.read_bytes())
        back.unlink()
        self.assertSameAsAlone(elsewhere)

    def test_its_own_mirror(self):
        self.run_it()
        done = self.run_it("-s", f"mirror={self.results}", "--fresh", "base_eval")
        self.assertEqual(done.stderr.count("is the results folder itself"), 1, done.stderr)

    def test_damaged_there(self):
        self.mirrored()
        for name, data in self.files().items():
            if re.match(r"store/pretrain-.*h5$", name):
                self.put(name, data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
            if re.match(r"store/tokenizer-.*h5$", name):
                self.put(name, data[:-100])
        elsewhere = self.folder / "elsewhere"
        done = self.run_it("--from", self.mirror, results=elsewhere)
        self.assertEqual(len(re.findall(r"warning: passed over in the mirror: (base|tokenizer):", done.stderr)), 2, done.stderr)
        self.assertSameAsAlone(elsewhere)

    def test_not_there_at_first(self):
        self.mirror = self.folder / "disk" / "mirror"
        done = self.mirrored()
        self.assertIn("not in the mirror", done.stderr)
        self.assertIn("4 of 4 files", done.stderr)
        self.assertIn("is not there", done.stderr)
        self.assertFalse(self.mirror.exists())
        self.mirror.parent.mkdir()
        done = self.mirrored()
        self.assertIn("all 4 files are there", done.stdout)
        self.assertWhole()

    def test_gone_in_the_middle_and_back(self):
        runner = subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results, "-s", f"mirror={self.mirror}", *self.LONG],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **self.env})
        wait_for(lambda: runner.poll() is not None or self.checkpoint() > 0)
        self.mirror.rename(self.folder / "away")
        wait_for(lambda: runner.poll() is not None or "is gone" in (self.state()["warning"] or ""))
        self.assertFalse(self.mirror.exists(), "made anew where the disk was")
        (self.folder / "away").rename(self.mirror)
        out = runner.communicate(timeout=120)[0]
        self.assertEqual(runner.returncode, 0, out)
        self.assertIn("all 4 files are there", out)
        self.mirrored(*self.LONG)  # what was being written when it went away is cleared up
        self.assertWhole()

    def test_full(self):
        self.mirror.mkdir()
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", self.mirror], capture_output=True).returncode:
            self.skipTest("only root can mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", self.mirror], check=True)
        done = self.mirrored("-s", "base.n_embd=128", "-s", "base.head_dim=128", "-s", "base.steps=4")
        self.assertRegex(done.stderr, r"(?s)not in the mirror.*\n  base .*[Nn]o space left")
        self.assertEqual([n for n in self.files() if ".tmp" in n], [])
        subprocess.run(["mount", "-o", "remount,size=8m", self.mirror], check=True)
        self.assertIn("all 4 files are there", self.mirrored("-s", "base.n_embd=128", "-s", "base.head_dim=128", "-s", "base.steps=4").stdout)
        self.assertWhole()

    def test_killed_while_it_copies(self):
        for _ in range(3):
            self.killed_in_training(*self.LONG)
        self.mirrored(*self.LONG)  # what copies that were cut off have left goes away with the checkpoints
        left = [n for n in self.files() if re.search(r"pretrain-.*\.tmp$|part@", n)]
        self.assertEqual(left, [])

    def test_two_machines_number_alike(self):
        self.mirrored()
        other = self.folder / "other"
        self.mirrored("-s", "base.steps=30", results=other)
        third = self.folder / "third"
        self.mirrored("-s", "base.steps=20", results=third)
        records = sorted(p.name for p in self.mirror.glob("runs/copied/*.h5"))
        self.assertEqual(len(records), 3, records)
        self.assertRegex(" ".join(records), r"^0001-[0-9a-f]{16}\.h5 0001-[0-9a-f]{16}\.h5 0001\.h5$")
        notes = {(self.mirror / f"runs/copied/{r}.sha256").read_text().splitlines()[0] for r in records}
        self.assertEqual(len(notes), 3, notes)
        self.assertEqual((self.mirror / "runs/copied/0001.h5").read_bytes(), (self.results / "runs/copied/0001.h5").read_bytes())
        self.mirrored("-s", "base.steps=30", results=other)
        self.assertEqual(sorted(p.name for p in self.mirror.glob("runs/copied/*.h5")), records)

    def test_no_such_mirror_to_come_from(self):
        done = self.run_it("--from", self.folder / "nowhere", check=3)
        self.assertIn("cannot read the mirror", done.stderr)
        done = self.run_it("--from", "ftp://host/x", check=2)
        self.assertIn("no address of a mirror", done.stderr)


class InBucket(Mirrors):
    def setUp(self):
        super().setUp()
        self.bucket = Bucket(token="session-token-17")
        self.addCleanup(self.bucket.close)
        self.env = {**OFTEN, **self.bucket.environment()}

    def address(self):
        return "s3://bucket/some/folder"

    def files(self):
        return self.bucket.files("bucket/some/folder")

    def clear(self):
        shutil.rmtree(self.results)
        self.bucket.objects.clear()

    def put(self, name, data):
        self.bucket.objects[f"bucket/some/folder/{name}"], self.bucket.etags[f"bucket/some/folder/{name}"] = data, "of-another"

    def test_all_is_there_and_comes_back(self):
        done = self.mirrored()
        self.assertIn("mirror s3://bucket/some/folder: all 4 files are there", done.stdout)
        self.assertWhole()
        self.assertEqual([code for code in self.bucket.refused if code != "NoSuchKey"], [])
        n_puts = sum(method == "PUT" for method, *_ in self.bucket.seen)
        self.assertIn("nothing to do", self.mirrored().stdout)
        self.assertEqual(n_puts, sum(method == "PUT" for method, *_ in self.bucket.seen), "copied twice")
        elsewhere = self.folder / "elsewhere"
        self.run_it("--from", self.address(), results=elsewhere)
        self.assertSameAsAlone(elsewhere)
        for path in [*self.results.rglob("*"), *elsewhere.rglob("*")]:
            data = path.read_bytes() if path.is_file() else b""
            for secret in (Bucket.KEY, Bucket.SECRET, self.bucket.token):
                self.assertNotIn(secret.encode(), data, path)
        self.assertNotIn(Bucket.SECRET, done.stdout + done.stderr)

    def test_goes_on_elsewhere(self):
        self.goes_on_elsewhere()

    def test_what_is_newer_there(self):
        self.keeps_what_is_newer()

    def in_parts(self):
        self.env = {**self.env, "RETORT_MIRROR_PART": "20000"}
        self.mirrored("-s", "base.steps=30")
        self.assertWhole()
        self.assertGreater(self.bucket.n_uploads, 1)
        self.assertEqual(self.bucket.uploads, {}, "parts that are paid for and of no use")
        self.assertEqual([todo for todo in self.bucket.todo.values() if todo], [], "trouble that was not met")
        self.assertNotIn("SignatureDoesNotMatch", self.bucket.refused)
        elsewhere = self.folder / "elsewhere"
        self.assertIn("3 results", self.run_it("--from", self.address(), "-s", "base.steps=30", results=elsewhere).stdout)

    # Each test's troubles are at most three in a row, however late in the run the first one comes: the fourth would be the last try.

    def test_trouble_with_parts(self):
        self.bucket.todo["PUT"] += [("status", 503), ("cut",), ("spoil",), ("etag",)]
        self.in_parts()

    def test_trouble_around_parts(self):
        self.bucket.todo["POST"] += [("status", 503)]
        self.bucket.todo["PUT"] += [("status", 500)]
        self.bucket.todo["FINISH"] += [("late",)]
        self.in_parts()

    def test_spoiled_on_the_way(self):
        self.bucket.todo["PUT"] += [("spoil",)] * 3
        self.mirrored()
        self.assertWhole()

    def test_wrong_key(self):
        done = self.mirrored(env={"AWS_SECRET_ACCESS_KEY": "wrong"})
        self.assertIn("not in the mirror", done.stderr)
        self.assertIn("HTTP 403, SignatureDoesNotMatch", done.stderr)
        self.assertIn("AWS_SECRET_ACCESS_KEY", done.stderr)
        self.assertEqual(self.files(), {})
        self.assertIn("all 4 files", self.mirrored().stdout)
        self.assertWhole()

    def test_no_key(self):
        done = self.mirrored(env={"AWS_ACCESS_KEY_ID": ""})
        self.assertIn("AWS_ACCESS_KEY_ID is not set", done.stderr)
        done = self.run_it("--from", self.address(), check=2, env={"AWS_ACCESS_KEY_ID": ""})
        self.assertIn("AWS_ACCESS_KEY_ID is not set", done.stderr)

    def test_away_and_back(self):
        self.bucket.close()
        done = self.mirrored()
        self.assertIn("cannot reach 's3://bucket/some/folder'", done.stderr)
        again = Bucket(token=self.bucket.token)
        self.addCleanup(again.close)
        self.bucket = again
        self.env = {**OFTEN, **again.environment()}
        self.mirrored()
        self.assertWhole()

    def test_stopped_in_the_middle(self):
        self.bucket.todo["PUT"] += [("slow", 0.3)] * 50
        runner = subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results, "-s", f"mirror={self.address()}", *self.LONG],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **self.env})
        wait_for(lambda: runner.poll() is not None or list(self.results.glob("store/pretrain-*.part.h5")))
        runner.send_signal(signal.SIGINT)
        out = runner.communicate(timeout=120)[0]
        self.assertEqual(runner.returncode, 75, out)
        self.assertEqual(len([n for n in self.files() if re.search(r"pretrain.*\.part@\d+\.h5$", n)]), 1, out)
        self.assertIn("files are there", out)


class BehindSsh(Mirrors):
    def setUp(self):
        super().setUp()
        programs = self.folder / "bin"
        programs.mkdir()
        self.calls = self.folder / "calls"
        self.trouble = self.folder / "trouble"
        (programs / "ssh").write_text(f"""#!/bin/sh
for word; do last=$word; done
printf '%s\\n' "$*" >> '{self.calls}'
case "$*" in *BatchMode=yes*"-p 2222 -- me@far.example cd "*|*BatchMode=yes*"-p 2222 -- me@far.example mkdir "*) ;; *) echo "odd call: $*" >&2; exit 255;; esac
if [ -s '{self.trouble}' ]; then sed -i 1d '{self.trouble}'; echo 'kex_exchange_identification: Connection closed' >&2; exit 255; fi
exec sh -c "$last"
""")
        (programs / "ssh").chmod(0o755)
        self.env = {**OFTEN, "PATH": f"{programs}:{os.environ['PATH']}"}
        self.synced = self.folder / "synced"  # at the far end: folders, and what they had by then
        (programs / "sync").write_text(f"""#!/bin/sh
[ -d "$1" ] && ls "$1" | sed "s|^|$1/|" >> '{self.synced}'
exit 1
""")
        (programs / "sync").chmod(0o755)
        self.mirror = self.folder / "it's $(here) now"

    def address(self):
        return f"ssh://me@far.example:2222{self.mirror}"

    def test_all_is_there_and_comes_back(self):
        done = self.mirrored()
        self.assertIn("all 4 files are there", done.stdout)
        self.assertWhole()
        self.assertLessEqual(set(self.files()), set(self.synced.read_text().splitlines()), "a rename that was not synced")
        n_puts = self.calls.read_text().count("cat >")
        self.assertIn("nothing to do", self.mirrored().stdout)
        self.assertEqual(n_puts, self.calls.read_text().count("cat >"), "copied twice")
        elsewhere = self.folder / "elsewhere"
        self.assertIn("3 results", self.run_it("--from", self.address(), results=elsewhere).stdout)
        self.assertSameAsAlone(elsewhere)

    def test_goes_on_elsewhere(self):
        self.goes_on_elsewhere()

    def test_what_is_newer_there(self):
        self.keeps_what_is_newer()

    def test_trouble(self):
        self.trouble.write_text("no\n" * 2)
        self.mirrored()
        self.assertWhole()
        self.trouble.write_text("no\n" * 100)
        (self.mirror / "store").rename(self.mirror / "gone")
        done = self.mirrored()
        self.assertIn("kex_exchange_identification", done.stderr)
        self.assertIn("3 of 4 files" if "3 of 4" in done.stderr else "4 of 4 files", done.stderr)

    def test_a_machine_that_is_not_one(self):
        for address in ("ssh://-oProxyCommand=touch${IFS}x/y", "ssh://me:secret@host/x", "ssh://host", "ssh://ho;st/x", "s3://b", "s3://bucket/a/../b",
                        "s3://bucket/..", "s3://bucket/../", "s3://bucket/a/..", "s3://bucket/.", "s3://bucket/./a", "s3://bucket/a/./",
                        "https://host/bucket/..", "https://host/bucket/a/..", "https://host/bucket/a/.",
                        "https://key@host/bucket", "http://host/bucket"):
            done = call("check", self.recipe, "-s", f"mirror={address}".replace("${", "$ {"), results=self.results)
            self.assertEqual(done.returncode, 2, address)
            self.assertRegex(done.stderr, "address|password|key|bucket")
        for address in ("s3://bucket/..a/b", "s3://bucket/a../.b", "s3://bucket/...", "https://host/bucket/a.b/"):
            call("check", self.recipe, "-s", f"mirror={address}", results=self.results, check=0)


class Hooks(Mirrors):
    def hooked(self, *args, **more):
        out = self.folder / "hook.json"
        return self.run_it("-s", f"on_end=cat > {out}.end", "-s", f"on_fail=cat > {out}.fail; echo told; exit 3", *args, **more)

    def told(self, which):
        path = self.folder / f"hook.json.{which}"
        return json.loads(path.read_text()) if path.exists() else None

    def test_end(self):
        self.hooked("-s", f"mirror={self.mirror}", env={"SOME_TOKEN": "s3cret"})
        told = self.told("end")
        self.assertEqual((told["name"], told["run"], told["state"], told["exit_status"]), ("copied", 1, "finished", 0))
        self.assertEqual({s["name"]: s["state"] for s in told["stages"]}["base"], "finished")
        self.assertEqual((told["mirror"]["there"], told["mirror"]["files"]), (4, 4))  # it is over when the hook begins
        self.assertIsNone(self.told("fail"))
        (self.folder / "hook.json.end").unlink()
        self.hooked()  # nothing to do is no run
        self.assertIsNone(self.told("end"))

    def test_fail(self):
        runner = subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results, *self.LONG,
                                   "-s", f"on_fail=cat > {self.folder}/hook.json.fail; echo told; exit 3", "-s", "on_end=exit 4"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **self.env})
        wait_for(lambda: runner.poll() is not None or list(self.results.glob("store/pretrain-*.part.h5")))
        for pid in children(runner.pid):
            os.kill(pid, signal.SIGKILL)
        out, err = runner.communicate(timeout=60)
        self.assertEqual(runner.returncode, 1, out)
        told = self.told("fail")
        self.assertEqual((told["state"], told["exit_status"]), ("failed", 1))
        self.assertIn("crashed", {s["name"]: s["error"] for s in told["stages"]}["base"])
        self.assertIn("told\n", err)
        self.assertNotIn("told\n", out)
        self.assertIn("warning: on_fail ended with status 3", err)

    def test_stopped_is_neither(self):
        runner = subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results, *self.LONG, "-s", f"on_fail=touch {self.folder}/x",
                                   "-s", f"on_end=touch {self.folder}/x"], stdout=subprocess.DEVNULL, env={**os.environ, **self.env})
        wait_for(lambda: runner.poll() is not None or list(self.results.glob("store/pretrain-*.part.h5")))
        runner.send_signal(signal.SIGINT)
        self.assertEqual(runner.wait(timeout=60), 75)
        self.assertFalse((self.folder / "x").exists())

    def test_too_long_and_deaf(self):
        done = self.run_it("-s", "on_end=exec <&-; sleep 100", env={"RETORT_HOOK_SECONDS": "0.2"})
        self.assertIn("warning: on_end was ended since its time was over", done.stderr)

    def test_json_stays_json(self):
        done = self.run_it("--json", "-s", "on_end=echo hello")
        self.assertEqual(json.loads(done.stdout)["state"], "finished")
        self.assertIn("hello", done.stderr)

    def test_detached(self):
        self.hooked("--detach")
        wait_for(lambda: self.told_whole("end"))
        self.assertEqual(self.told("end")["state"], "finished")

    def told_whole(self, which):
        try:
            return self.told(which)
        except ValueError:
            return None


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
