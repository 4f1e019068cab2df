"""Data that is not as it should be: malformed lines, how many of them may be left out, and a file that is cut short in use."""
import json
import os
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, Folder, call, live_step, wait_for

RECIPE = """retort: 1
name: lines
seed: 1
sources:
  web: {jsonl: "{0..2}.jsonl", field: text, validate: last%s}
stages:
  tokenizer: {kind: tokenizer, source: web, vocab: 300, chars: 100k}
  base: {kind: pretrain, tokenizer: tokenizer, source: web, n_layer: 1, n_embd: 16, n_head: 1, n_kv_head: 1, head_dim: 16, n_mlp: 16,
         seq_len: 32, batch_tokens: 64, device_batch: 2, steps: 2, eval_every: 2, eval_tokens: 64, sample_every: 0}
"""


class Lines(Folder):
    def write(self, more=""):
        for i in range(3):
            lines = [json.dumps({"text": f"The {k}th line of file {i} says that {k * i} is a number."}) for k in range(200)]
            if i < 2:
                lines[50], lines[60] = '{"text": ', '{"words": "none"}'
            (self.folder / f"{i}.jsonl").write_text("\n".join(lines))
        recipe = self.folder / "lines.yaml"
        recipe.write_text(RECIPE % more)
        return recipe

    def test_a_bad_line_is_an_error(self):
        done = call("run", self.write(), results=self.results, check=1)
        self.assertIn("0.jsonl:51", done.stderr)
        self.assertIn("no JSON", done.stderr)

    def test_bad_lines_are_left_out_and_told(self):
        done = call("run", self.write(", skip_bad: 2"), results=self.results, check=0)
        told = done.stdout + done.stderr
        self.assertRegex(told, r"tokenizer: 4 bad rows of 2 files left out; the first: \S*0\.jsonl:51: no JSON")
        self.assertEqual(told.count("tokenizer: 4 bad"), 1)
        self.assertRegex(told, r"web\.tokens: 4 bad rows of 2 files left out")

    def test_no_more_than_so_many(self):
        done = call("run", self.write(", skip_bad: 1"), results=self.results, check=1)
        self.assertIn("0.jsonl:61", done.stderr)
        self.assertIn("the field 'text' is missing", done.stderr)
        self.assertIn("skip_bad is 1, and so many came before", done.stderr)

    def test_the_number_is_part_of_what_is_asked(self):
        call("run", self.write(", skip_bad: 2"), results=self.results, check=0)
        why = call("why", self.write(", skip_bad: 3"), results=self.results, check=0).stdout
        self.assertRegex(why, r"tokenizer: run\n.*skip_bad 2 -> skip_bad 3")


class Cut(Folder):
    def test_a_token_file_is_cut_short_while_it_is_read(self):
        """The stage has it mapped: the signal becomes an error that names the file, and the runner tells it."""
        run = subprocess.Popen([RETORT, "run", MICRO, "-s", "base.steps=1000000", "--results", self.results], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(run.kill)
        wait_for(lambda: live_step(self.results, "pretrain") > 0 or run.poll() is not None)
        for file in self.results.glob("store/tokens-*.h5"):
            os.truncate(file, 1)
        _, told = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(told, r"'\S*/tokens-\w+\.h5' was cut short while it was read, or its disk fails")
        self.assertNotIn("crashed", told)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
