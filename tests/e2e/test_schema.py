#!/usr/bin/env python3
"""The JSON Schema of the language, and help: against every recipe there is, good and bad.

    test_schema.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Validating needs Python's jsonschema and yaml; without them those tests skip and say so.
"""
import json
import sys
import unittest
import warnings

from harness import SOURCE, call

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = None

# The bad recipes that a schema can refuse. What it cannot: what names refer to, what files hold, how patterns count, circles, what YAML
# itself reads otherwise (hexadecimal, 1:30, anchors, tags, duplicate keys), and words of the language that are not built.
REFUSED = """bad_name budget_key choice comma depth_and_shape empty_value fraction glob list_for_value many_at_once missing_field
mixture_amounts mixture_empty mixture_entries model_twice no_column no_kind no_stages no_validate no_version not_a_number not_finite
null one_file_last out_of_bounds preset_unknown shape_incomplete source_of_no_form source_of_tasks source_of_two_forms
source_unknown_key suffix_where_exact top_word_as_name two_horizons two_horizons_of_a_finetuning unknown_key unknown_kind
unknown_top_level_key update_of_nothing validate_held_out validate_word""".split()

# Recipes of the parts of the language that no shipped recipe uses.
GOOD = ["""
retort: 1
nanochat: 2025
seed: 1_000
budget: {usd: 100}
hardware: {device: H100-80GB, count: 8, usd_per_hour: 24}
let: {width: 256}
matrix: {depth: [4, 6]}
sources:
  web: {parquet: "https://host/shard_{00000..00239}.parquet", column: text, validate: last}
  notes: {text: ["notes/{000..017}.txt"], validate: notes/x.txt}
  both: {mix: [{source: web, share: 0.95}, {source: notes, share: 0.05}], validate: web}
  gsm8k: {jsonl: "mine/{split}.jsonl"}
  smoltalk: {parquet: {train: "mine/{0..3}.parquet", test: [mine/a.parquet]}}
stages:
  tokenizer: {kind: tokenizer, source: web, vocab: 65536, chars: 2e9}
  base: {kind: pretrain, tokenizer: tokenizer, source: both, depth: "${depth}", ratio: 10, keep: [100, 200]}
  mid: {kind: finetune, preset: mid, model: "other.yaml:base", mixture: [{task: gsm8k, epochs: 0.5}, {task: "identity.jsonl"}]}
  eval: {kind: eval, model: [base, mid], suites: [bpb, core, gsm8k]}
""", """
retort: 1
include: [base.yaml]
stages:
  base: {depth: 6}
"""]

BAD = {"a matrix that is no list": "retort: 1\nmatrix: {depth: 4}\nstages: {t: {kind: tokenizer, source: a}}\n",
       "a share of nothing": "retort: 1\nsources: {m: {mix: [{source: a, share: 0}], validate: none}}\n"
                             "stages: {t: {kind: tokenizer, source: m}}\n",
       "a negative seed": "retort: 1\nseed: -1\nstages: {t: {kind: tokenizer, source: m}}\n",
       "an unknown key beside an include": "retort: 1\ninclude: [a.yaml]\nstages: {b: {kind: pretrain, dpeth: 4}}\n"}


def schema(*kind):
    return json.loads(call("schema", *kind, "--json", check=0).stdout)


@unittest.skipIf(jsonschema is None, "jsonschema and yaml are not installed")
class Validation(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore")
        self.schema = schema()
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.validator = jsonschema.Draft202012Validator(self.schema)

    def refuses(self, text):
        return bool(list(self.validator.iter_errors(yaml.safe_load(text))))

    def test_good_recipes_are_valid(self):
        paths = sorted([*SOURCE.glob("recipes/*.yaml"), *SOURCE.glob("tests/e2e/*.yaml")])
        self.assertGreater(len(paths), 3)
        for text in [*(p.read_text() for p in paths), *GOOD]:
            self.assertEqual([e.message for e in self.validator.iter_errors(yaml.safe_load(text))], [])

    def test_bad_recipes_are_refused_where_a_schema_can(self):
        refused, passed = set(), set()
        for path in SOURCE.glob("tests/e2e/recipes/bad/*.yaml"):
            try:
                (refused if self.refuses(path.read_text()) else passed).add(path.stem)
            except (yaml.YAMLError, ValueError):
                continue  # no YAML
        print(f"{len(refused)} of {len(refused) + len(passed)} bad recipes refused")
        self.assertEqual(set(REFUSED) - refused, set())
        for what, text in BAD.items():
            self.assertTrue(self.refuses(text), what)

    def test_schema_of_one_kind(self):
        validator = jsonschema.Draft202012Validator(schema("grpo"))
        good = {"kind": "grpo", "model": "sft", "mixture": [{"task": "gsm8k"}]}
        self.assertEqual(list(validator.iter_errors(good)), [])
        for wrong in ({**good, "samples": 1}, {**good, "kind": "eval"}, {"kind": "grpo", "model": "sft"}):
            self.assertTrue(list(validator.iter_errors(wrong)), wrong)


class Help(unittest.TestCase):
    def test_every_command_has_help_and_those_not_built_say_so(self):
        commands = json.loads(call("help", "--json", check=0).stdout)["commands"]
        self.assertGreater(len(commands), 20)
        names = {c["name"] for c in commands}
        for word in ("check", "plan", "run", "schema", "new", "rm", "gc", "compare", "help"):
            self.assertIn(word, names)
        for c in commands:
            shown = call("help", c["name"], check=0).stdout
            self.assertIn(f"retort {c['name']}", shown)
            if c["name"] != "help":  # whose --help is that of the program
                self.assertTrue(shown.startswith(call(c["name"], "--help", check=0).stdout), c["name"])
            self.assertTrue(c["summary"], c["name"])
            if c["built"]:
                self.assertTrue(c["help"], c["name"])
            else:
                self.assertIn("not built in this version", shown)
                self.assertIn("not built in this version", call(c["name"], "x", check=4).stderr)
                self.assertEqual(json.loads(call(c["name"], "--json", check=4).stdout)["errors"][0]["kind"], "not_built")

    def test_every_field_has_help(self):
        fields = json.loads(call("help", "--json", check=0).stdout)["fields"]
        self.assertGreater(len(fields), 80)
        for f in fields:
            shown = call("help", f"{f['kind']}.{f['name']}", check=0).stdout
            self.assertIn(f["help"].split()[0], shown)
            self.assertIn(f["class"], shown)
            self.assertIn(f["name"], call("schema", f["kind"], check=0).stdout)

    def test_help_finds_what_was_meant(self):
        self.assertIn("65536", call("help", "vocab", check=0).stdout)
        self.assertIn("In the key", call("help", "pretrain", check=0).stdout)
        self.assertIn("matrix: {depth: [4, 6]}", call("help", "matrix", check=0).stdout)
        both = call("help", "data", check=0).stdout
        self.assertIn("retort data RECIPE", both)
        self.assertIn("data: at the top of a recipe", both)
        shared = call("help", "seed", check=0).stdout
        self.assertIn("pretrain.seed, finetune.seed", shared)
        self.assertEqual(shared.count("In the key:"), 1)
        self.assertIn("did you mean 'vocab'?", call("help", "vocb", check=2).stderr)
        self.assertIn("did you mean 'grpo.rows'?", call("help", "grpo.rws", check=2).stderr)
        self.assertIn("did you mean 'pretrain'?", call("schema", "pretrian", check=2).stderr)

    def test_no_line_is_too_wide(self):
        all = json.loads(call("help", "--json", check=0).stdout)
        topics = {t["name"] for part in ("commands", "kinds", "fields", "words") for t in all[part]}
        for args in (["help"], ["schema"], *(["help", topic] for topic in sorted(topics))):
            for line in call(*args, check=0).stdout.splitlines():
                self.assertLessEqual(len(line), 80, line)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
