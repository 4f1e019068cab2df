#!/usr/bin/env python3
"""Questions that stand in the training text: found wherever, told by check and by the report, and nothing else is.

    test_overlap.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import json
import sys
import unittest

from harness import Folder, call

RECIPE = """retort: 1
name: seen
seed: 7
hardware: {usd_per_hour: 3.6}
sources:
  web: {jsonl: ["a.jsonl", "b.jsonl", "held.jsonl"], field: text, validate: last}
stages:
  tokenizer: {kind: tokenizer, source: web, vocab: 280, chars: 20k}
  base: {kind: pretrain, tokenizer: tokenizer, source: web, n_layer: 1, n_embd: 16, n_head: 1, n_kv_head: 1, head_dim: 16, n_mlp: 32,
         seq_len: 128, batch_tokens: 256, device_batch: 2, steps: 2, eval_every: 0, sample_every: 0}
  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: sums}], rows: 1, eval_every: 0}
  asked: {kind: eval, model: sft, suites: [sums], max_tokens: 4}
"""
TASK = """task: sums
source: {jsonl: "sums_{split}.jsonl"}
splits: [train, test]
fields: {question: question, answer: answer}
grader: exact
"""
QUESTIONS = [
    "A farmer has twelve cows, and sells five of them at the market; how many cows are left?",  # in b.jsonl, written otherwise
    "Nine birds sit on a wire when two more come along, so how many birds sit there now?",  # in what is fine-tuned on
    "There were seven ships in the harbour of the town before a storm took three of them away.",  # in the validation text alone
    "The baker made eleven loaves in the morning, eight of which he sold before it was noon.",  # all but its last words in a.jsonl
    "Two plus two?",
]


class Overlap(Folder):
    def setUp(self):
        super().setUp()
        filler = ["the cat sat on the mat and the dog sat on the cat " * 20] * 10
        self.write("a.jsonl", [{"text": t} for t in [*filler, "The baker made eleven loaves in the morning, eight of which he gave away."]])
        self.write("b.jsonl", [{"text": "x " * 50 + "a FARMER has twelve cows and sells five of them -- at the market -- how many?"},
                               {"text": "Two plus two?"}])
        self.write("held.jsonl", [{"text": QUESTIONS[2] + " " + filler[0]}])
        (self.folder / "tasks").mkdir()
        (self.folder / "tasks/sums.yaml").write_text(TASK)
        self.write("sums_test.jsonl", [{"question": q, "answer": str(i)} for i, q in enumerate(QUESTIONS)])
        self.write("sums_train.jsonl", [{"question": q, "answer": "11"} for q in ("How are you?", QUESTIONS[1].upper())])
        self.recipe = self.folder / "seen.yaml"
        self.recipe.write_text(RECIPE)

    def write(self, name, rows):
        (self.folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows))

    def retort(self, *args, **more):
        return call(*args, "-s", f"data={self.folder}", results=self.results, **more)

    def test_found_and_reported(self):
        self.retort("run", self.recipe, check=0)
        report = self.retort("report", self.recipe, check=0).stdout
        self.assertIn("Overlap of these questions with the training text: not measured", report)
        told = json.loads(self.retort("check", self.recipe, "--overlap", "--json", check=0).stdout)["overlap"]
        self.assertEqual([{k: told["tasks"][0][k] for k in ("task", "n", "short", "in_text", "in_mixtures", "rows")}],
                         [{"task": "sums test", "n": 5, "short": 1, "in_text": 1, "in_mixtures": 1, "rows": [0, 1]}])
        self.assertEqual(told["documents"], 11 + 2 + 2)
        self.assertRegex(self.retort("check", self.recipe, "--overlap", check=0).stdout, r"sums test +5 +1 \(20\.0 %\) +1 \(20\.0 %\) +1 \(20\.0 %\)")
        report = self.retort("report", self.recipe, check=0).stdout
        self.assertIn("with 13 words in a row that stand there: sums test 1 of 5, and 1 in what is fine-tuned on (1 too short to tell).", report)
        self.assertEqual(json.loads(self.retort("report", self.recipe, "--json", check=0).stdout)["overlap"]["tasks"][0]["in_text"], 1)
        self.write("b.jsonl", [{"text": "another text"}])  # of another text nothing is known yet
        self.retort("run", self.recipe, check=0)
        self.assertIn("not measured", self.retort("report", self.recipe, check=0).stdout)

    def test_rows_are_counted_over_all_files_and_listed_once(self):
        """A question that the text and the mixture have, in the second of two files."""
        self.write("sums_a.jsonl", [{"question": q, "answer": "1"} for q in QUESTIONS[2:]])
        self.write("sums_b.jsonl", [{"question": q, "answer": "1"} for q in QUESTIONS[:2]])
        self.write("sums_train.jsonl", [{"question": QUESTIONS[0], "answer": "11"}])
        task = TASK.replace('jsonl: "sums_{split}.jsonl"', 'jsonl: {train: sums_train.jsonl, test: [sums_a.jsonl, sums_b.jsonl]}')
        (self.folder / "tasks/sums.yaml").write_text(task)
        told = json.loads(self.retort("check", self.recipe, "--overlap", "--json", check=0).stdout)["overlap"]
        self.assertEqual([(t["n"], t["in_text"], t["in_mixtures"], t["rows"]) for t in told["tasks"]], [(5, 1, 1, [3])])

    def test_bad_rows_that_the_recipe_allows(self):
        for name in ("sums_test.jsonl", "sums_train.jsonl", "a.jsonl"):
            with (self.folder / name).open("a") as file:
                file.write("{broken\n")
        self.retort("check", self.recipe, "--overlap", check=1)
        self.recipe.write_text(RECIPE.replace("validate: last", "validate: last, skip_bad: 1"))
        (self.folder / "tasks/sums.yaml").write_text(TASK.replace('.jsonl"}', '.jsonl", skip_bad: 1}'))
        told = json.loads(self.retort("check", self.recipe, "--overlap", "--json", check=0).stdout)["overlap"]
        self.assertEqual([(t["task"], t["n"], t["in_text"], t["in_mixtures"]) for t in told["tasks"]], [("sums test", 5, 1, 1)])

    def test_the_rest_of_the_card(self):
        self.retort("run", self.recipe, check=0)
        report = self.retort("report", self.recipe, check=0).stdout
        self.assertRegex(report, r"(?m)^- code: [\d]+ lines of C in \d+ files, \d+ libraries$")
        self.assertRegex(report, r"(?m)^\| base \| pretrain \| finished \| [0-9.]+s \| \$\d")
        self.assertRegex(report, r"(?m)^In all [0-9.]+s: training [0-9.]+s \(\d.* FLOPs\), the rest [0-9.]+s; \$\d")
        self.assertRegex(report, r"(?m)^\| web.tokens \| jsonl \| 3 \| [0-9.k]+ \| [0-9a-f]{12} \.\.\. \|$")

    def test_what_is_not_there(self):
        (self.folder / "sums_test.jsonl").unlink()
        done = self.retort("check", self.recipe, "--overlap", check=3)
        self.assertIn("sums_test.jsonl", done.stderr)
        self.recipe.write_text(RECIPE.replace("suites: [sums]", "suites: [bpb]"))
        done = self.retort("check", self.recipe, "--overlap", check=2)
        self.assertIn("no evaluation of the recipe asks questions", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
