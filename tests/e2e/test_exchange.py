#!/usr/bin/env python3
"""Ids of a text and text of ids, and tokenizers in the formats of others, through the real binary.

    test_exchange.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import base64
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, Once, call, terminal, text_of

MODEL = "micro:tokenizer"


class WithTokenizer(Once):
    @classmethod
    def make_once(cls):
        call("run", MICRO, "--until", "tokenizer", results=cls.made / "results", check=0)

    def setUp(self):
        super().setUp()
        self.results = self.made / "results"

    def call(self, *args, **more):
        return call(*args, results=self.results, **more)

    def pipe(self, *args, data=b"", check=0):
        done = subprocess.run([RETORT, *args, "--results", self.results], input=data, capture_output=True, timeout=300)
        self.assertEqual(done.returncode, check, done.stderr)
        return done.stdout

    def terminal(self, *args):
        return terminal(*args, results=self.results)


class Encode(WithTokenizer):
    def test_ways_to_give_a_text(self):
        text = "Ada has 3 kites.\n"
        (self.folder / "text").write_text(text)
        ids = self.pipe("encode", MODEL, data=text.encode())
        self.assertEqual(ids, self.pipe("encode", MODEL, text))
        self.assertEqual(ids, self.pipe("encode", MODEL, "--file", self.folder / "text"))
        self.assertEqual(ids, self.pipe("encode", MODEL, "--file", "-", "--ids", data=text.encode()))
        self.assertEqual(ids, self.pipe("encode", str(MICRO) + ":tokenizer", text))
        self.assertEqual(ids, self.pipe("encode", self.result("tokenizer"), text))
        answer = json.loads(self.pipe("encode", MODEL, text, "--json"))
        self.assertEqual(answer["ids"], list(map(int, ids.split())))
        self.assertEqual("".join(answer["pieces"]), text)
        self.assertEqual((answer["bytes"], answer["tokens"], answer["n_vocab"]), (len(text), len(answer["ids"]), 400))
        self.assertLess(answer["tokens"], len(text))
        self.assertEqual(self.pipe("encode", MODEL, ""), b"\n")
        self.assertEqual(self.pipe("encode", MODEL), b"\n")
        self.assertEqual(json.loads(self.pipe("encode", MODEL, "", "--json"))["ids"], [])
        self.assertEqual(self.pipe("encode", MODEL, "--decode"), b"")

    def test_any_bytes_come_back(self):
        rng = random.Random(5)
        raw = bytes(range(256)) + rng.randbytes(5000) + b" \n\t\xe4\xbd\xa0 word" * 999 + b"\xe4\xbd"
        ids = self.pipe("encode", MODEL, data=raw)
        self.assertEqual(self.pipe("encode", MODEL, "--decode", data=ids), raw)
        self.assertEqual(self.pipe("encode", MODEL, "--decode", data=ids.replace(b" ", b",\n")), raw)
        self.assertEqual(self.pipe("encode", MODEL, "--decode", *ids.decode().split()), raw)
        answer = json.loads(self.pipe("encode", MODEL, "--decode", "--json", data=ids))
        self.assertFalse(answer["exact"])
        self.assertEqual((answer["bytes"], answer["tokens"]), (len(raw), len(ids.split())))
        answer = json.loads(self.pipe("encode", MODEL, "--decode", "--json", "72 105,33"))
        self.assertEqual((answer["text"], answer["exact"]), ("Hi!", True))
        self.assertEqual(self.pipe("encode", MODEL, "--decode", "391", "399"), b"<|bos|><|output_end|>")
        self.assertNotIn(b"391", self.pipe("encode", MODEL, "<|bos|>").split())  # in a text it is text

    def test_large_files_take_little_memory(self):
        block = (b"Ada has a kite and Bob has %d of them.\n  \n" % 17) * 24000
        with open(self.folder / "large", "wb") as large:
            for _ in range(24):  # 25 MB
                large.write(block)
        sanitized = b"__asan_init" in RETORT.read_bytes()  # which takes terabytes of addresses
        limit = f'ulimit -v {"unlimited" if sanitized else 200000}; exec "$0" "$@"'
        command = ["/bin/sh", "-c", limit, RETORT, "encode", MODEL, "--file", self.folder / "large", "--results", self.results]
        limited = subprocess.run(command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300)
        self.assertEqual(limited.returncode, 0, limited.stderr)
        once = self.pipe("encode", MODEL, data=block)
        self.assertEqual(limited.stdout, b" ".join([once.strip()] * 24) + b"\n")
        done = self.call("encode", MODEL, "--file", self.folder / "large", "--json", check=2)
        self.assertIn("at most 16 MiB", json.loads(done.stdout)["errors"][0]["what"])

    def test_what_is_wrong_is_said(self):
        for ids in ("400", "4294967296", "99999999999999999999", "-1", "1.5", "x", "0x10", "three"):
            self.assertIn("behind", call("encode", MODEL, "--results", self.results, "--decode", "--", ids, check=2).stderr, ids)
            self.assertIn(self.pipe("encode", MODEL, "--decode", data=b"65 " + ids.encode(), check=1), (b"", b"A"), ids)
        self.assertIn("'abs' is no token id, behind 2 ids", self.call("encode", MODEL, "--decode", "1 2", "abs", check=2).stderr)
        self.assertIn("in quotes", self.call("encode", MODEL, "two", "words", check=2).stderr)
        self.assertIn("both given", self.call("encode", MODEL, "text", "--file", "x", check=2).stderr)
        self.assertIn("cannot open", self.call("encode", MODEL, "--file", self.folder / "absent", check=2).stderr)
        self.assertIn("cannot read", self.call("encode", MODEL, "--file", self.folder, check=1).stderr)
        self.assertIn("there is no model", self.call("encode", "nobody", "x", check=2).stderr)
        self.assertIn("has no stage", self.call("encode", "micro:nobody", "x", check=2).stderr)
        self.assertIn("has no tokenizer", self.call("encode", str(MICRO) + ":base_eval", "x", check=2).stderr)
        self.assertIn("has not been made", self.call("encode", str(MICRO) + ":base", "x", check=2).stderr)
        self.assertIn("say which of its stages", self.call("encode", MICRO, "x", check=2).stderr)
        self.call("encode", MODEL, "--to", "hf", check=2)

    def test_on_a_terminal(self):
        status, text = self.terminal("encode", MODEL, "Ada \\ has\tä \x1b[31m\u202e" + "x" * 200)
        self.assertEqual(status, 0)
        self.assertNotIn("\x1b", text)
        self.assertIn("'\\t'", text)
        self.assertIn("\\x1B", text)
        self.assertIn(" bytes a token", text)
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()))
        status, out = self.terminal("encode", MODEL, "--decode", "27 65 228 189 160 255 7")
        self.assertEqual((status, out), (0, "?A你\ufffd?\n"))
        status, out = self.terminal("encode", MODEL)
        self.assertEqual(status, 2)
        self.assertIn("there is no text", out)
        self.assertEqual(self.terminal("encode", MODEL, "A", "--ids"), (0, "65\n"))


class Export(WithTokenizer):
    def test_files(self):
        self.call("export", MODEL, "--to", "hf", "hf/", cwd=self.folder, check=0)
        self.assertEqual({p.name for p in (self.folder / "hf").iterdir()}, {"tokenizer.json", "tokenizer_config.json"})
        hf = json.loads((self.folder / "hf/tokenizer.json").read_text())
        self.assertEqual(len(hf["model"]["vocab"]), 391)
        self.assertEqual([t["id"] for t in hf["added_tokens"]], list(range(391, 400)))
        for left, right in hf["model"]["merges"]:
            self.assertIn(left + right, hf["model"]["vocab"])
        out = self.call("export", MODEL, "--to", "tiktoken", "tt", "--json", cwd=self.folder, check=0).stdout
        self.assertEqual({f["name"]: f["bytes"] for f in json.loads(out)["files"]},
                         {p.name: p.stat().st_size for p in (self.folder / "tt").iterdir()})
        ranks = [line.split() for line in (self.folder / "tt/ranks.tiktoken").read_text().splitlines()]
        self.assertEqual([int(rank) for _, rank in ranks], list(range(391)))
        for code, rank in ranks:
            self.assertEqual(base64.b64decode(code), self.pipe("encode", MODEL, "--decode", rank))
            if int(rank) > 300:
                break
        self.assertEqual(json.loads((self.folder / "tt/settings.json").read_text())["explicit_n_vocab"], 400)

    def test_nothing_is_overwritten_and_nothing_half_written(self):
        taken = self.folder / "taken"
        taken.mkdir()
        (taken / "mine").write_text("mine")
        self.assertIn("there already", self.call("export", MODEL, "--to", "hf", taken, check=2).stderr)
        self.assertEqual([p.name for p in taken.iterdir()], ["mine"])
        (self.folder / "half.tmp").mkdir()
        (self.folder / "half.tmp/mine").write_text("mine")
        self.assertIn("remove it", self.call("export", MODEL, "--to", "hf", "half", cwd=self.folder, check=3).stderr)
        self.assertEqual((self.folder / "half.tmp/mine").read_text(), "mine")
        # What an export that was killed has left is used again, unless one is still writing there.
        left = self.folder / "left.tmp"
        left.mkdir()
        (left / "tokenizer.json.tmp").write_text("{")
        lock = os.open(left, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.assertIn("another export", self.call("export", MODEL, "--to", "hf", "left", cwd=self.folder, check=3).stderr)
        os.close(lock)
        self.call("export", MODEL, "--to", "hf", "left", cwd=self.folder, check=0)
        self.assertEqual({p.name for p in (self.folder / "left").iterdir()}, {"tokenizer.json", "tokenizer_config.json"})
        shutil.rmtree(self.folder / "left")
        self.assertIn("no/where", self.call("export", MODEL, "--to", "hf", "no/where", cwd=self.folder, check=3).stderr)
        # Files as large as a kilobyte, no larger: it fails in the middle, and leaves nothing.
        command = ["/bin/sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$0" "$@"', RETORT, "export", MODEL, "--to", "hf", "full",
                   "--results", self.results]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=60)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual({p.name for p in self.folder.iterdir()}, {"taken", "half.tmp"})

    def test_of_a_model_its_tokenizer_alone(self):
        call("run", MICRO, "--until", "base", "-s", "base.steps=2", "-s", "base.eval_every=0", results=self.results, check=0)
        self.call("export", "micro:base", "--to", "hf", "--tokenizer", "alone", cwd=self.folder, check=0)
        self.assertEqual({p.name for p in (self.folder / "alone").iterdir()}, {"tokenizer.json", "tokenizer_config.json"})
        self.call("export", "micro:base", "--to", "tiktoken", "ranks", cwd=self.folder, check=0)
        self.assertEqual(self.pipe("encode", "micro:base", "Ada"), self.pipe("encode", str(MICRO) + ":tokenizer", "Ada"))
        self.assertIn("hf or tiktoken", self.call("export", "micro:base", "--to", "xml", "x", cwd=self.folder, check=2).stderr)
        self.assertIn("--to", self.call("export", "micro:base", "x", cwd=self.folder, check=2).stderr)
        self.assertIn("leave one", self.call("export", "micro", "--to", "csv", "--tokenizer", "x", cwd=self.folder, check=2).stderr)


class Report(WithTokenizer):
    def texts(self, results):
        return json.loads(call("report", "micro", "--json", results=results, check=0).stdout)["texts"]

    def test_how_texts_are_compressed(self):
        few = ["-s", "base.steps=2", "-s", "base.eval_every=1", "-s", "base.eval_tokens=1024", "--until", "base"]
        results = self.folder / "results"
        call("run", MICRO, *few, results=results, check=0)
        texts = {row["text"]: row for row in self.texts(results)}
        self.assertEqual(set(texts), {"news", "code", "maths", "science", "korean", "training text"})
        self.assertTrue(all(row["tokens"] <= row["bytes"] for row in texts.values()))
        self.assertLess(texts["training text"]["tokens"], 0.7 * texts["training text"]["bytes"])
        self.assertGreater(texts["korean"]["tokens"], 0.9 * texts["korean"]["bytes"])  # the town knows none
        self.assertIsNone(texts["training text"]["gpt2_tokens"])
        report = call("report", "micro", results=results, check=0).stdout
        news = texts["news"]
        fewer = 100 * (news["gpt2_tokens"] - news["tokens"]) / news["gpt2_tokens"]
        self.assertIn("## Tokenizer: tokenizer", report)
        self.assertIn(f"| news | {news['bytes']} | {news['tokens']} | {news['bytes'] / news['tokens']:.2f} | "
                      f"{news['gpt2_tokens']} | {news['bytes'] / news['gpt2_tokens']:.2f} | {fewer:+.1f} % |", report)
        self.assertRegex(report, r"\| validation of base \| \d+ \| 1024 \| 1\.\d\d \|")

        # An import of the same vocabulary makes the same tokens of the same texts.
        self.call("export", MODEL, "--to", "hf", "hf", cwd=self.folder, check=0)
        text = text_of()
        text = text.replace("kind: tokenizer, source: town, vocab: 400, chars: 200k", "kind: import, file: hf/tokenizer.json")
        (self.folder / "r.yaml").write_text(text)
        other = self.folder / "other"
        call("run", self.folder / "r.yaml", "--until", "tokenizer", results=other, check=0)
        self.assertEqual({row["text"]: row for row in self.texts(other)}, {k: v for k, v in texts.items() if k != "training text"})


class Import(WithTokenizer):
    def setUp(self):
        super().setUp()
        self.call("export", MODEL, "--to", "hf", "hf", cwd=self.folder, check=0)
        self.call("export", MODEL, "--to", "tiktoken", "tt", cwd=self.folder, check=0)

    def write(self, file, name="r.yaml", more=""):
        text = text_of()
        text = text.replace("kind: tokenizer, source: town, vocab: 400, chars: 200k", f"kind: import, file: {file}{more}")
        (self.folder / name).write_text(text)
        return self.folder / name

    def test_a_training_goes_on_with_it(self):
        base = None
        for file, more in (("hf/tokenizer.json", ""), ("hf/tokenizer.json", ", format: hf"), ("tt/ranks.tiktoken", "")):
            recipe, results = self.write(file, more=more), self.folder / "results"
            fast = ["-s", "base.steps=3", "-s", "base.eval_every=0"]
            self.assertEqual(self.plan(recipe)["tokenizer"]["state"], "run")
            call("run", recipe, *fast, results=results, check=0)
            made = self.result("import", results)
            self.assertEqual(call("encode", made, "Ada has 3 kites", results=results).stdout,
                             self.call("encode", MODEL, "Ada has 3 kites").stdout)
            model = self.result("pretrain", results)
            if base:
                self.assertSame(base, model)
            shutil.copy(model, self.folder / "base.h5")
            base = self.folder / "base.h5"
            # The key is of the contents: another name or folder changes nothing.
            (self.folder / "moved.json").write_bytes((self.folder / file).read_bytes())
            self.assertEqual(call("run", self.write("./moved.json", more=more), *fast, results=results, check=0).returncode, 0)
            self.result("import", results)
            shutil.rmtree(results)

    def test_what_cannot_be_had(self):
        results = self.folder / "results"

        def run(file, check, more=""):
            return call("run", self.write(file, more=more), results=results, check=check).stderr

        self.assertEqual(json.loads(call("plan", self.write("none.json"), "--json", results=results).stdout)["stages"][0]["state"],
                         "unknown")
        self.assertIn("none.json", run("none.json", 3))
        self.assertIn("name the folder", run("model.safetensors", 2))
        self.assertIn("retort", run("hf/tokenizer.json", 4, ", format: retort"))
        hf = json.loads((self.folder / "hf/tokenizer.json").read_text())
        hf["normalizer"] = {"type": "NFC"}
        (self.folder / "bad.json").write_text(json.dumps(hf))
        self.assertIn("it has a normalizer", run("bad.json", 1))
        self.assertIn("no JSON", run("tt/ranks.tiktoken", 1, ", format: hf"))
        self.assertIn("line 1 ", run("hf/tokenizer.json", 1, ", format: tiktoken"))
        ranks = (self.folder / "tt/ranks.tiktoken").read_text().replace(" 300\n", " 301\n")
        (self.folder / "bad.tiktoken").write_text(ranks)
        self.assertIn("line 301 has rank '301', not 300", run("bad.tiktoken", 1))
        recipe = self.write("hf/tokenizer.json")
        recipe.write_text(recipe.read_text().replace("model: base,", "model: tokenizer, source: town,"))
        done = call("run", recipe, results=results, check=2)
        self.assertIn("imports a tokenizer alone", done.stderr)
        call("chat", str(self.write("hf/tokenizer.json")) + ":tokenizer", "-p", "x", results=results, check=2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
