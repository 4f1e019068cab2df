#!/usr/bin/env python3
"""Models out to the files of Hugging Face and in again, logits, and metrics for others, through the real binary.

    test_models.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import csv
import json
import math
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

from harness import MICRO, RETORT, SOURCE, Folder, Once, call, text_of

IMPORT = """
retort: 1
name: brought
nanochat: 2025
seed: 7
sources:
  town: {world: %s/recipes/worlds/town.yaml, documents: 300, validate: held_out}
stages:
  theirs: {kind: import, file: %s}
"""

REST = """
  sft:
    kind: finetune
    preset: sft
    model: theirs
    mixture: [{task: town_quiz, rows: 60}]
    rows: 8
    eval_every: 0
  rl: {kind: grpo, model: sft, mixture: [{task: town_quiz}], rows: 2, samples: 2, steps: 2, max_tokens: 8, eval_every: 0}
  own: {kind: grpo, model: theirs, mixture: [{task: town_quiz}], rows: 2, samples: 2, steps: 1, max_tokens: 8, eval_every: 0}
  scores: {kind: eval, model: [theirs, sft, rl], suites: [bpb, town_quiz], source: town, examples: 10, eval_tokens: 1024, max_tokens: 8}
"""


def read_tensors(path):
    """Name to (dtype, shape, bytes)."""
    raw = pathlib.Path(path).read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + n]), raw[8 + n:]
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for name, t in header.items()}


def write_tensors(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


class WithModel(Once):
    @classmethod
    def make_once(cls):
        call("run", MICRO, "--until", "base", "-s", "base.steps=20", "-s", "base.seq_len=128", results=cls.made / "results", check=0)
        call("export", "micro:base", "--to", "hf", cls.made / "hf", results=cls.made / "results", check=0)

    def setUp(self):
        super().setUp()
        self.hf = self.folder / "hf"
        shutil.copytree(self.made / "hf", self.hf)
        self.recipe = self.folder / "r.yaml"

    def write(self, more="", file="./hf"):
        self.recipe.write_text(IMPORT % (SOURCE, file) + more)
        return self.recipe

    def run_import(self, check=0):
        return call("run", self.write(), results=self.results, check=check)

    def again(self, name):
        """The folder that the import exports."""
        out = self.folder / name
        call("export", "brought:theirs", "--to", "hf", out, results=self.results, check=0)
        return out

    def assertSameFolder(self, a, b, but=()):
        self.assertEqual({p.name for p in a.iterdir()} - set(but), {p.name for p in b.iterdir()} - set(but))
        for p in a.iterdir():
            if p.name not in but:
                self.assertEqual(p.read_bytes(), (b / p.name).read_bytes(), p.name)


class Models(WithModel):
    def test_what_is_written(self):
        config = json.loads((self.hf / "config.json").read_text())
        for key, value in (("model_type", "nanochat"), ("architectures", ["NanoChatForCausalLM"]), ("vocab_size", 400),
                           ("hidden_size", 32), ("num_hidden_layers", 2), ("num_attention_heads", 2), ("num_key_value_heads", 1),
                           ("head_dim", 16), ("intermediate_size", 64), ("max_position_embeddings", 128), ("rms_norm_eps", 2.0**-23),
                           ("final_logit_softcapping", 15), ("bos_token_id", 391), ("eos_token_id", 395), ("pad_token_id", None)):
            self.assertEqual(config[key], value, key)
        self.assertEqual(config["rope_parameters"], {"rope_type": "default", "rope_theta": 10000})
        self.assertEqual(json.loads((self.hf / "generation_config.json").read_text())["eos_token_id"], [395, 391])
        settings = json.loads((self.hf / "tokenizer_config.json").read_text())
        self.assertIn("<|python_start|>", settings["chat_template"])
        self.assertEqual(settings["model_max_length"], 128)
        tensors = read_tensors(self.hf / "model.safetensors")
        self.assertEqual(len(tensors), 2 + 6 * 2)
        self.assertEqual(tensors["model.layers.1.self_attn.k_proj.weight"][:2], ("F32", [16, 32]))
        self.assertEqual(tensors["model.layers.0.mlp.fc2.weight"][:2], ("F32", [32, 64]))
        self.assertTrue(any(tensors["lm_head.weight"][2]))
        out = call("export", "micro:base", "--to", "hf", self.folder / "b", "--json", results=self.made / "results", check=0).stdout
        self.assertEqual({f["name"]: f["bytes"] for f in json.loads(out)["files"]},
                         {p.name: p.stat().st_size for p in self.hf.iterdir()})

    def test_in_again_bit_for_bit(self):
        planned = self.plan(self.write())["theirs"]
        self.assertEqual((planned["state"], planned["params"]), ("run", 400 * 32 * 2 + 2 * (32 * 32 * 2 + 32 * 16 * 2 + 2 * 32 * 64)))
        self.run_import()
        self.assertSameFolder(self.again("again"), self.hf)
        ids = ["391", "65", "66"]
        for command in (("logits", *ids), ("encode", "Ada has 3 kites")):
            theirs = call(command[0], "brought:theirs", *command[1:], results=self.results, check=0).stdout
            ours = call(command[0], "micro:base", *command[1:], results=self.made / "results", check=0).stdout
            self.assertEqual(theirs, ours)
        # A new place is the same model; another bit is another model, and why says where.
        shutil.move(self.hf, self.folder / "moved")
        self.assertEqual(self.plan(self.write(file="./moved"))["theirs"]["state"], "cached")
        raw = bytearray((self.folder / "moved/model.safetensors").read_bytes())
        raw[-1] ^= 1
        (self.folder / "moved/model.safetensors").write_bytes(raw)
        self.assertIn("model.safetensors", call("why", self.recipe, results=self.results, check=0).stdout)
        call("run", self.recipe, results=self.results, check=0)
        self.assertEqual(len(list(self.results.glob("store/import-*.h5"))), 2)
        self.assertEqual((self.again("other") / "model.safetensors").read_bytes(), raw)

    def test_shards_and_other_types(self):
        tensors = read_tensors(self.hf / "model.safetensors")
        names = sorted(tensors)
        random.Random(3).shuffle(names)
        original = self.folder / "original"
        shutil.copytree(self.hf, original)
        (self.hf / "model.safetensors").unlink()
        weight_map = {}
        for i, part in enumerate((names[:5], names[5:], [])):
            file = f"model-0000{i + 1}-of-00003.safetensors"
            write_tensors(self.hf / file, {name: tensors[name] for name in part})
            weight_map.update({name: file for name in part})
        index = self.hf / "model.safetensors.index.json"
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
        self.run_import()
        self.assertSameFolder(self.again("sharded"), original)
        weight_map[names[0]], weight_map[names[6]] = weight_map[names[6]], weight_map[names[0]]
        index.write_text(json.dumps({"weight_map": weight_map}))
        self.assertIn("and the index says in", self.run_import(1).stderr)
        weight_map.pop(names[0])
        index.write_text(json.dumps({"weight_map": weight_map}))
        self.assertIn("the index says", self.run_import(1).stderr)
        index.unlink()

        # bfloat16 and float16 become the numbers that they are; so does what no number is.
        floats = {name: [struct.unpack_from("<f", data, i)[0] for i in range(0, len(data), 4)] for name, (_, _, data) in tensors.items()}
        halves = {name: struct.pack(f"<{len(f)}e", *f) for name, f in floats.items()}
        brains = {name: b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4)) for name, (_, _, data) in tensors.items()}
        mixed = {}
        for i, name in enumerate(names):
            mixed[name] = (("F16", tensors[name][1], halves[name]) if i % 2 else ("BF16", tensors[name][1], brains[name]))
        write_tensors(self.hf / "model.safetensors", mixed)
        self.run_import()
        back = read_tensors(self.again("widened") / "model.safetensors")
        for i, name in enumerate(names):
            n = len(floats[name])
            wide = (struct.pack(f"<{n}f", *struct.unpack(f"<{n}e", halves[name])) if i % 2
                    else b"".join(b"\0\0" + brains[name][2 * k:2 * k + 2] for k in range(n)))
            self.assertEqual(back[name], ("F32", tensors[name][1], wide), name)

    def test_shapes_as_they_come(self):
        """Another epsilon, rotary base, softcap and length; rows of the vocabulary that no token has."""
        config = json.loads((self.hf / "config.json").read_text())
        config.update(rms_norm_eps=1e-5, rope_parameters=None, rope_theta=500000.0, final_logit_softcapping=None, vocab_size=448,
                      max_position_embeddings=200)
        (self.hf / "config.json").write_text(json.dumps(config))
        tensors = read_tensors(self.hf / "model.safetensors")
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            dtype, shape, data = tensors[name]
            tensors[name] = (dtype, [448, 32], data + struct.pack("<f", 3) * 48 * 32)
        write_tensors(self.hf / "model.safetensors", tensors)
        self.run_import()
        again = self.again("again")
        self.assertEqual(read_tensors(again / "model.safetensors"), {name: tensors[name] for name in read_tensors(again / "model.safetensors")})
        back = json.loads((again / "config.json").read_text())
        for key in ("rms_norm_eps", "vocab_size", "max_position_embeddings", "final_logit_softcapping"):
            self.assertEqual(back[key], config[key], key)
        self.assertEqual(back["rope_parameters"]["rope_theta"], 500000)
        suppressed = json.loads((again / "generation_config.json").read_text())["suppress_tokens"]
        self.assertEqual(suppressed, list(range(400, 448)))
        rows = call("logits", "brought:theirs", "391", "--last", results=self.results, check=0).stdout.split()
        self.assertEqual(len(rows), 400)
        self.assertIn("outside the vocabulary", call("logits", "brought:theirs", "400", results=self.results, check=2).stderr)

    def test_stages_go_on_with_it(self):
        recipe = self.write(REST)
        planned = self.plan(recipe)
        self.assertEqual({s["params"] for n, s in planned.items() if n in ("theirs", "sft", "rl")}, {planned["theirs"]["params"]})
        call("run", recipe, results=self.results, check=0)
        out = call("report", "brought", "--json", results=self.results, check=0).stdout
        self.assertIn("town_quiz", out)
        # bpb of the import is that of the model it was, on the same text.
        text = text_of().replace("suites: [bpb]", "suites: [bpb], source: few, eval_tokens: 1024")
        text = text.replace("stages:", "  few: {world: %s/recipes/worlds/town.yaml, documents: 300, validate: held_out}\n\nstages:" % SOURCE)
        (self.folder / "same.yaml").write_text(text)
        call("run", self.folder / "same.yaml", "-s", "base.steps=20", "-s", "base.seq_len=128", results=self.made / "results", check=0)

        def bpb(name, results):
            out = self.folder / f"bpb-{name}"
            call("export", name, "--to", "jsonl", out, results=results, check=0)
            return json.loads((out / "scores_bpb.jsonl").read_text())["bpb"]

        self.assertEqual(bpb("brought:scores@theirs", self.results), bpb("micro:base_eval", self.made / "results"))
        call("chat", "brought:rl", "-p", "hi", "-m", "4", results=self.results, check=0)
        call("chat", str(recipe) + ":theirs", "-p", "hi", "-m", "4", results=self.results, check=0)
        # Rows as long as the model was trained on, by its config.json.
        resolved = call("plan", recipe, "--resolved", results=self.results, check=0).stdout
        self.assertRegex(resolved, r"sft\.seq_len +128\b|seq_len +128\b")
        call("check", self.write(REST.replace("rows: 8", "rows: 8, seq_len: 129")), check=2)

    BASE = """
  base: {kind: pretrain, tokenizer: theirs, source: town, from: theirs, batch_tokens: 1024, steps: 12, eval_every: 6, eval_tokens: 2048,
         sample_every: 0, keep: [6]}
"""

    def test_pretraining_begins_with_it(self):
        config = json.loads((self.hf / "config.json").read_text())
        config["rms_norm_eps"] = 1e-5
        config["rope_parameters"]["rope_theta"] = 20000.0
        (self.hf / "config.json").write_text(json.dumps(config))
        recipe = self.write(self.BASE)
        values = {v["name"]: v for v in
                  json.loads(call("plan", recipe, "--resolved", "--json", results=self.results, check=0).stdout)["values"]}
        for name in ("n_layer", "n_embd", "n_head", "n_kv_head", "head_dim", "n_mlp", "seq_len"):
            self.assertEqual(values["base." + name]["by"], "default", name)
        self.assertEqual((values["base.n_layer"]["value"], values["base.seq_len"]["value"]), ("2", "128"))
        self.assertRegex(call("plan", recipe, results=self.results, check=0).stdout, r"(?m)^ +from theirs +weights,\s+fresh\s+moments *$")
        self.assertIn("begins with 'theirs': weights, fresh moments", call("why", recipe, "base", results=self.results, check=0).stdout)
        plan = self.plan(recipe)["base"]
        self.assertEqual((plan["begins"], plan["steps"]), ({"stage": "theirs", "step": None, "optimizer": False}, 12))
        self.assertGreater(plan["params"], 0)
        call("run", recipe, results=self.results, check=0)

        # Its first loss is that of the model, not of guessing; all of its config goes on with it.
        tables = self.folder / "tables"
        call("export", "brought:base", "--to", "jsonl", tables, results=self.results, check=0)
        rows = [json.loads(line) for p in tables.rglob("*train.jsonl") if "metrics" in str(p) for line in p.read_text().splitlines()]
        self.assertEqual([r["step"] for r in rows], list(range(1, 13)))
        self.assertLess(rows[0]["loss"], math.log(400) - 0.5)
        call("export", "brought:base", "--to", "hf", self.folder / "out", results=self.results, check=0)
        out = json.loads((self.folder / "out/config.json").read_text())
        for key in ("rms_norm_eps", "vocab_size", "num_hidden_layers", "num_key_value_heads", "intermediate_size"):
            self.assertEqual(out[key], config[key], key)
        self.assertEqual(out["rope_parameters"]["rope_theta"], 20000.0)

        # Killed, it goes on to the same bits, and so does a pretraining that goes on from a step of it.
        again = self.folder / "again"
        call("run", recipe, results=again, check=1, env={"RETORT_CHECKPOINT_SECONDS": "0", "RETORT_FAULT": "stage/train.step:9"})
        done = call("run", recipe, results=again, check=0, env={"RETORT_CHECKPOINT_SECONDS": "0"})
        self.assertRegex(done.stdout, r"base: resuming at step \d")
        for path in self.results.glob("store/pretrain-*.h5"):
            self.assertSame(path, again / "store" / path.name)
        recipe.write_text(recipe.read_text() + self.BASE.replace("  base:", "  more:").replace("from: theirs", "from: base@6").replace(", keep: [6]", ""))
        call("run", recipe, results=self.results, check=0)
        call("export", "brought:more", "--to", "hf", self.folder / "more", results=self.results, check=0)
        for name in ("model.safetensors", "config.json"):
            self.assertEqual((self.folder / "more" / name).read_bytes(), (self.folder / "out" / name).read_bytes(), name)

    def test_pretraining_that_does_not_fit_it(self):
        for change, says in (("from: theirs, depth: 4", r"n_layer of stage 'base' is 4, and that of 'theirs' is 2"),
                             ("from: theirs, architecture: 2026", "architecture of stage 'base' is 2026, and 'theirs' is a model of 2025"),
                             ("from: theirs, window_pattern: SL", "window_pattern of stage 'base' is SL"),
                             ("from: theirs@5", "cannot be 'theirs@5'|a step of a stage that has none"),
                             ("from: theirs, seq_len: 100", "batch_tokens 1024 is not a multiple of seq_len 100")):
            recipe = self.write(self.BASE.replace("from: theirs", change))
            said = call("plan", recipe, results=self.results, check=2).stderr
            self.assertRegex(said, says)
        own = "  own: {kind: tokenizer, source: town, vocab: 400, chars: 20k}\n"
        said = call("plan", self.write(own + self.BASE.replace("tokenizer: theirs", "tokenizer: own")), results=self.results, check=2).stderr
        self.assertRegex(said, "stage 'base' has the vocabulary of 'own', and 'theirs' brings its own")
        self.assertRegex(said, "following from to 'theirs'")
        # What is wrong with the recipe is told before the model is there; its sizes come when it is.
        self.write(self.BASE, file="./not-there-yet")
        self.assertEqual(self.plan(self.recipe)["base"]["state"], "unknown")

    def test_what_is_missing_or_foreign(self):
        self.write(REST)
        for name in ("tokenizer.json", "model.safetensors"):
            shutil.move(self.hf / name, self.folder / name)
            self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"unknown"})
            self.assertIn(name, call("run", self.recipe, results=self.results, check=3).stderr)
            shutil.move(self.folder / name, self.hf / name)
        config = json.loads((self.hf / "config.json").read_text())
        shutil.move(self.hf, self.folder / "away")
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"unknown"})
        call("run", self.recipe, results=self.results, check=3)
        shutil.move(self.folder / "away", self.hf)

        (self.hf / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
        done = call("check", self.recipe, check=1)
        self.assertIn('has model_type "llama"', done.stderr)
        self.assertIn("r.yaml:9", done.stderr)
        (self.hf / "config.json").write_text(json.dumps({**config, "attention_bias": True}))
        self.assertIn("attention_bias true", self.run_import(1).stderr)
        (self.hf / "config.json").write_text(json.dumps({**config, "vocab_size": 399}))
        self.assertIn("400 tokens", self.run_import(1).stderr)
        (self.hf / "config.json").write_text(json.dumps({**config, "hidden_size": 34}))
        self.assertIn("config.json asks for", self.run_import(1).stderr)
        (self.hf / "config.json").write_text(json.dumps(config))

        tensors = read_tensors(self.hf / "model.safetensors")
        whole = (self.hf / "model.safetensors").read_bytes()
        q = "model.layers.0.self_attn.q_proj.weight"

        def refused(what, change):
            other = dict(tensors)
            change(other)
            write_tensors(self.hf / "model.safetensors", other)
            stderr = self.run_import(1).stderr
            self.assertIn(what, stderr)
            self.assertIn("model.safetensors", stderr)

        refused(f"has no tensor '{q}'", lambda t: t.pop(q))
        refused("has no place", lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": ("F32", [1], b"\0" * 4)}))
        refused("has no place", lambda t: t.update({"model.layers.2.mlp.fc1.weight": t["model.layers.1.mlp.fc1.weight"]}))
        refused("is [16,64], and config.json asks for [32,32]", lambda t: t.update({q: ("F32", [16, 64], t[q][2])}))
        refused("is of type I32", lambda t: t.update({q: ("I32", t[q][1], t[q][2])}))
        for n in (0, 5, 8, 100, len(whole) // 2, len(whole) - 1):
            (self.hf / "model.safetensors").write_bytes(whole[:n])
            self.assertIn("model.safetensors", self.run_import(1).stderr)
        (self.hf / "model.safetensors").write_bytes(whole + b"x")
        self.assertIn("behind its last tensor", self.run_import(1).stderr)
        self.assertEqual(list(self.results.glob("store/import-*.h5")), [])
        (self.hf / "model.safetensors").write_bytes(whole)
        self.run_import()

    def test_killed_anywhere(self):
        """Kills at any moment: then nothing is there, or all of it."""
        recipe = self.write()
        rng = random.Random(11)
        for _ in range(12):
            done = subprocess.Popen([RETORT, "run", recipe, "--results", self.results], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(rng.random() * 0.15)
            try:
                os.killpg(done.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            done.wait()
            whole = [p for p in self.results.glob("store/import-*.h5") if ".tmp" not in p.name]
            if whole:
                self.assertSameFolder(self.again("whole"), self.hf)
                break
        call("run", recipe, results=self.results, check=0)
        self.assertSameFolder(self.again("again"), self.hf)
        self.assertEqual(list(self.results.glob("store/*.tmp*")), [])


class Logits(WithModel):
    def setUp(self):
        super().setUp()
        self.results = self.made / "results"

    def pipe(self, *args, data="", check=0):
        done = subprocess.run([RETORT, args[0], "--results", self.results, *map(str, args[1:])], input=data, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, check, done.stderr)
        return done if check else done.stdout

    def test_the_last_of_a_bf16_model(self):
        results, ids = self.folder / "bf16", [391, 65, 100, 97]
        call("run", MICRO, "--until", "base", "-s", "base.steps=2", "-s", "base.precision=bf16", results=results, check=0)
        whole = call("logits", "micro:base", *map(str, ids), results=results, check=0).stdout.splitlines()
        last = call("logits", "micro:base", *map(str, ids), "--last", results=results, check=0).stdout.splitlines()
        self.assertEqual((len(whole), last), (4, whole[-1:]))

    def test_ways_in_and_out(self):
        ids = [391, 65, 100, 97]
        rows = [list(map(float, line.split())) for line in self.pipe("logits", "micro:base", *ids).splitlines()]
        self.assertEqual([len(row) for row in rows], [400] * 4)
        self.assertTrue(all(abs(x) <= 15 for row in rows for x in row) and len({tuple(row) for row in rows}) == 4)
        text = " ".join(map(str, ids))
        once = self.pipe("logits", "micro:base", *ids)
        self.assertEqual(self.pipe("logits", "micro:base", text), once)
        self.assertEqual(self.pipe("logits", "micro:base", data=text), once)
        (self.folder / "ids").write_text("391,65\n\n391 65, 100\n" + text)
        many = self.pipe("logits", "micro:base", "--file", self.folder / "ids")
        lines = once.splitlines()
        self.assertEqual(many.split("\n\n"), ["\n".join(lines[:2]), "\n".join(lines[:3]), once.rstrip("\n") + "\n"])  # causal, bit for bit
        self.assertEqual(self.pipe("logits", "micro:base", *ids, "--last").splitlines(), lines[-1:])
        answer = json.loads(self.pipe("logits", "micro:base", *ids, "--json"))
        self.assertEqual((answer["n_vocab"], answer["sequences"][0]["ids"], answer["sequences"][0]["logits"]), (400, ids, rows))
        encoded = list(map(int, self.pipe("encode", "micro:base", "Ada has").split()))
        self.assertEqual(self.pipe("logits", "micro:base", "--text", "Ada has"), self.pipe("logits", "micro:base", 391, *encoded))
        out = self.folder / "out.h5"
        self.pipe("logits", "micro:base", *ids, "--out", out)
        self.assertEqual(self.pipe("logits", "micro:base", "--file", out), once)  # its /ids are ids
        self.assertIn("there already", self.pipe("logits", "micro:base", *ids, "--out", out, check=2).stderr)
        self.assertEqual(json.loads(self.pipe("logits", "micro:base", 1, "--last", "--out", self.folder / "l.h5", "--json"))["sequences"], 1)

    def test_what_is_wrong_is_said(self):
        for ids in ("400", "-1", "x", "1.5", "99999999999"):
            self.assertIn("sequence 1", self.pipe("logits", "micro:base", "--", ids, check=2).stderr, ids)
        self.assertIn("in sequence 2", self.pipe("logits", "micro:base", data="1 2\n3 400\n", check=2).stderr)
        self.assertIn("1280", self.pipe("logits", "micro:base", data="1 " * 1281, check=2).stderr)
        self.pipe("logits", "micro:base", "--last", data="1 " * 1280)
        self.assertIn("no ids", self.pipe("logits", "micro:base", data="\n", check=2).stderr)
        self.assertIn("one length", self.pipe("logits", "micro:base", "--out", self.folder / "x.h5", data="1\n1 2\n", check=2).stderr)
        self.assertIn("FILE.h5", self.pipe("logits", "micro:base", "--out", self.folder / "x", data="1", check=2).stderr)
        self.assertIn("in 2 ways", self.pipe("logits", "micro:base", 1, "--text", "x", check=2).stderr)
        self.assertIn("no model", self.pipe("logits", "micro:tokenizer", 1, check=2).stderr)
        self.assertIn("cannot open", self.pipe("logits", "micro:base", "--file", "nowhere", check=2).stderr)
        (self.folder / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"x" * 100)
        self.assertIn("bad.h5", self.pipe("logits", "micro:base", "--file", self.folder / "bad.h5", check=1).stderr)
        self.assertIn("/ids", self.pipe("logits", "micro:base", "--file", self.result("pretrain"), check=1).stderr)
        self.assertFalse((self.folder / "x.h5").exists())


class Metrics(WithModel):
    @classmethod
    def make_once(cls):
        call("run", MICRO, "-s", "base.steps=20", "-s", "base.eval_tokens=2048", results=cls.made / "results", check=0)

    def setUp(self):
        Folder.setUp(self)
        self.results = self.made / "results"

    def export(self, what, to, name):
        call("export", what, "--to", to, self.folder / name, results=self.results, check=0)
        return self.folder / name

    def test_tables(self):
        table = self.export("micro", "csv", "csv")
        lines = self.export("micro", "jsonl", "jsonl")
        self.assertEqual({p.stem for p in table.iterdir()}, {p.stem for p in lines.iterdir()})
        self.assertLessEqual({"metrics_train", "metrics_val", "timing_train", "events", "metrics_text", "scores_bpb"},
                             {p.stem for p in table.iterdir()})
        for path in table.iterdir():
            with open(path, newline="") as file:
                rows = list(csv.DictReader(file))
            objects = [json.loads(line) for line in (lines / (path.stem + ".jsonl")).read_text().splitlines()]
            self.assertEqual(len(rows), len(objects), path.name)
            for row, one in zip(rows, objects):
                self.assertEqual(list(row), list(one))
                for key, value in one.items():
                    self.assertEqual(row[key] if isinstance(value, str) else float(row[key]) if row[key] else None, value)
        train = [json.loads(line) for line in (lines / "metrics_train.jsonl").read_text().splitlines()]
        self.assertEqual([row["step"] for row in train], list(range(1, 21)))
        self.assertEqual({row["stage"] for row in train}, {"base"})
        status = json.loads(call("report", "micro", "--json", results=self.results, check=0).stdout)
        self.assertIn(str(train[-1]["tokens"]), json.dumps(status))

    def test_of_one_stage(self):
        whole = self.export("micro", "jsonl", "whole")
        for i, what in enumerate(("micro:base", str(self.result("pretrain")), next((self.results / "runs/micro").glob("*.h5")))):
            one = self.export(what, "jsonl", f"one{i}")
            rows = [json.loads(line) for line in (one / "metrics_train.jsonl").read_text().splitlines()]
            theirs = [json.loads(line) for line in (whole / "metrics_train.jsonl").read_text().splitlines()]
            self.assertEqual([{**row, "stage": ""} for row in rows], [{**row, "stage": ""} for row in theirs])
        self.assertFalse((self.folder / "one0/scores_bpb.jsonl").exists())
        for what, says in (("micro:nobody", "no stage"), ("nobody", "no run"), ("micro:town.tokens", "no metrics")):
            self.assertIn(says, call("export", what, "--to", "csv", self.folder / "x", results=self.results, check=2).stderr)

    def test_tensorboard(self):
        folder = self.export("micro", "tensorboard", "tb")
        [path] = folder.iterdir()
        self.assertIn("tfevents", path.name)
        raw, at, tags, last = path.read_bytes(), 0, {}, None

        def crc(data):
            value = 0xFFFFFFFF
            for byte in data:
                value ^= byte
                for _ in range(8):
                    value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
            value ^= 0xFFFFFFFF
            return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF

        self.assertEqual(((crc(b"123456789") - 0xA282EAD8) & 0xFFFFFFFF), (0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF)

        def fields(data):
            i = 0
            while i < len(data):
                key, i = data[i], i + 1
                if key & 7 == 0:
                    value = shift = 0
                    while True:
                        value |= (data[i] & 127) << shift
                        shift, i = shift + 7, i + 1
                        if data[i - 1] < 128:
                            break
                elif key & 7 == 2:
                    n, i = data[i], i + 1
                    self.assertLess(n, 128)
                    value, i = data[i:i + n], i + n
                else:
                    n = 8 if key & 7 == 1 else 4
                    value, i = data[i:i + n], i + n
                yield key >> 3, value

        while at < len(raw):
            n, check = struct.unpack_from("<QI", raw, at)
            self.assertEqual(check, crc(raw[at:at + 8]))
            body = raw[at + 12:at + 12 + n]
            self.assertEqual(struct.unpack_from("<I", raw, at + 12 + n)[0], crc(body))
            at += 16 + n
            event = dict(fields(body))
            if 5 not in event:
                self.assertEqual(event[3], b"brain.Event:2")
                continue
            value = dict(fields(dict(fields(event[5]))[1]))
            time_of = struct.unpack("<d", event[1])[0]
            if value[1].startswith(b"base/"):
                self.assertGreater(time_of, 1.6e9)
            tags.setdefault(value[1].decode(), []).append((event.get(2, 0), struct.unpack("<f", value[2])[0], time_of))
        losses = tags["base/loss"]
        self.assertEqual([step for step, _, _ in losses], list(range(1, 21)))
        self.assertTrue(all(a[2] <= b[2] for a, b in zip(losses, losses[1:])))
        jsonl = self.export("micro", "jsonl", "jsonl")
        rows = [json.loads(line) for line in (jsonl / "metrics_train.jsonl").read_text().splitlines()]
        for (_, loss, _), row in zip(losses, rows):
            self.assertTrue(math.isclose(loss, row["loss"], rel_tol=1e-6))
        self.assertIn("base/validation bpb", tags)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
