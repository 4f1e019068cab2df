"""Data that is not as it should be: malformed lines, how many of them may be left out, and a file that is cut short in use."""
import json
import os
import re
import subprocess
import sys
import unittest

from harness import MICRO, RETORT, SOURCE, Folder, call, children, live_step, text_of, wait_for

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


def start(recipe, results, **env):
    return subprocess.Popen([RETORT, "run", recipe, "--results", results], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            env={**os.environ, **env})


def kill(run):
    """The stage first, which would save where its runner is gone."""
    for pid in [*children(run.pid), run.pid]:
        os.kill(pid, 9)
    run.wait()


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

    def test_texts_that_are_all_empty(self):
        recipe = self.write()
        for i in range(2):
            (self.folder / f"{i}.jsonl").write_text('{"text": ""}\n{"text": null}\n' * 9)
        done = call("run", recipe, results=self.results, check=1)
        self.assertRegex(done.stderr, r"lines\.yaml:7:\d+: error: there is no text in '[^']*0\.jsonl' and the files behind it")

    def test_no_more_than_so_many(self):
        done = call("run", self.write(", skip_bad: 1"), results=self.results, check=1)
        self.assertIn("0.jsonl:61", done.stderr)
        self.assertIn("the field 'text' is missing", done.stderr)
        self.assertIn("skip_bad is 1, and so many came before", done.stderr)

    def test_the_number_is_part_of_what_is_asked(self):
        call("run", self.write(", skip_bad: 2"), results=self.results, check=0)
        why = call("why", self.write(", skip_bad: 3"), results=self.results, check=0).stdout
        self.assertRegex(why, r"tokenizer: run\n.*skip_bad 2 -> skip_bad 3")


class Mix(Folder):
    def write(self, first=0.7):
        (self.folder / "notes.txt").write_text(" ".join(f"the {k * k % 97} notes say {k}" for k in range(3000)))
        text = text_of().replace("steps: 60", "steps: 40")
        text = text.replace("    source: town", "    source: both").replace("stages:", f"""  notes: {{text: notes.txt, validate: none}}
  both: {{mix: [{{source: town, share: {first}}}, {{source: notes, share: {round(1 - first, 6)}}}], validate: town}}

stages:""")
        recipe = self.folder / "micro.yaml"
        recipe.write_text(text)
        return recipe

    def test_a_mix_is_the_same_however_it_is_cut(self):
        recipe, other = self.write(), self.folder / "other"
        call("run", recipe, results=self.results, check=0)
        call("run", recipe, "-s", "base.device_batch=1", results=other, check=0, env={"OMP_NUM_THREADS": "1"})
        self.assertSame(self.result("pretrain"), self.result("pretrain", other))
        texts = {t["source"]: t for t in self.plan(recipe)["base"]["texts"]}
        self.assertEqual(texts["town"]["rows"] + texts["notes"]["rows"], 40 * 16)
        self.assertAlmostEqual(texts["town"]["rows"], 0.7 * 40 * 16, delta=1)
        for text in texts.values():
            self.assertAlmostEqual(text["epochs"], text["rows"] / ((text["tokens"] - 1) // 64))

    def test_killed_and_gone_on(self):
        recipe, other = self.write(), self.folder / "other"
        call("run", recipe, results=self.results, check=0)
        run = start(recipe, other, RETORT_CHECKPOINT_SECONDS="0.01")
        wait_for(lambda: live_step(other, "pretrain") > 5)
        kill(run)
        call("run", recipe, results=other, check=0)
        self.assertSame(self.result("pretrain"), self.result("pretrain", other))

    def test_a_text_too_short_is_named(self):
        recipe = self.write()
        (self.folder / "notes.txt").write_text("two words")
        done = call("run", recipe, results=self.results, check=1)
        self.assertRegex(done.stderr, r"\d+ tokens do not make one row[^\n]*\n  while opening 'notes' of the mix")

    def test_shares_are_why(self):
        call("run", self.write(), results=self.results, check=0)
        why = call("why", self.write(0.6), results=self.results, check=0).stdout
        self.assertRegex(why, r"base: run\n +share of town: 0\.7 -> 0\.6 .*\n +share of notes: 0\.3 -> 0\.4")


class Worlds(Folder):
    def test_the_world_of_the_readme_runs(self):
        text = (SOURCE / "recipes/worlds/README.md").read_text().split("## A world of your own")[1]
        world, task, recipe = re.findall(r"```yaml\n(.*?)```", text, re.S)
        (self.folder / "tasks").mkdir()
        (self.folder / "zoo.yaml").write_text(world)
        (self.folder / "tasks/zoo_quiz.yaml").write_text(task)
        (self.folder / "zoo_run.yaml").write_text(recipe)
        done = call("run", self.folder / "zoo_run.yaml", "-s", "base.steps=4", "-s", "base.depth=1", "-s", "sft.steps=2",
                    "-s", "sources.zoo.documents=600", results=self.results, check=0)
        self.assertRegex(done.stdout, r"answers: done")

    def test_python_is_learned_from_and_scored(self):
        recipe = self.folder / "python.yaml"
        recipe.write_text(MICRO.read_text().replace("../../recipes/worlds/town.yaml", str(SOURCE / "recipes/worlds/python.yaml"))
                          .replace("steps: 60", "steps: 4").replace("seq_len: 64", "seq_len: 128") + """
  sft: {kind: finetune, preset: sft, model: base, rows: 8, steps: 2, eval_every: 0,
        mixture: [{task: python_functions, rows: 40}, {task: python_talk, rows: 40}, {task: python_runs, rows: 40}]}
""")
        call("run", recipe, results=self.results, check=0)
        with recipe.open("a") as f:
            f.write("  scores: {kind: eval, model: sft, suites: [python_runs, python_functions], examples: 3, max_tokens: 8}\n")
        call("run", recipe, results=self.results, check=0)
        scores = json.loads(call("report", "micro", "--json", results=self.results, check=0).stdout)["scores"]
        self.assertIn("python_functions (3 of 200)", [s["score"] for s in scores])


class TokenFiles(Folder):
    def write(self, files, words):
        for i in range(files):
            (self.folder / f"{i:03}.txt").write_text(" ".join(f"{k * i % 89} words of file {i}" for k in range(words)))
        recipe = self.folder / "files.yaml"
        recipe.write_text(RECIPE.replace('{jsonl: "{0..2}.jsonl", field: text,', f'{{text: "{{000..{files - 1:03}}}.txt",') % "")
        return recipe

    def test_a_killed_stage_goes_on_with_the_next_file(self):
        recipe, files, other = self.write(150, 200), 150, self.folder / "other"
        run = start(recipe, self.results)
        wait_for(lambda: len(list(self.results.glob("store/tokens-*[0-9a-f].h5"))) >= 3 or run.poll() is not None)
        self.assertIsNone(run.poll(), "all files were made before the stage could be killed")
        kill(run)
        made = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in self.results.glob("store/tokens-*[0-9a-f].h5")}
        self.assertLess(len(made), files)
        told = call("run", recipe, results=self.results, check=0).stdout
        self.assertRegex(told, rf"web\.tokens: {len(made)} of {files} files done\n")
        self.assertRegex(told, rf"web\.tokens: done in [^,]*, {files - len(made)} documents, \d+ tokens\n")
        for path, before in made.items():
            self.assertEqual((path.stat().st_ino, path.stat().st_mtime_ns), before)
        self.assertEqual(list(self.results.glob("store/*.tmp*")), [])
        call("run", recipe, results=other, check=0)
        whole = sorted(other.glob("store/tokens-*[0-9a-f].h5"))
        self.assertEqual(len(whole), files)
        for path in whole:
            self.assertSame(path, self.results / "store" / path.name)
        self.assertSame(self.result("pretrain"), self.result("pretrain", other))
        # Each file's own time: together they are the stage's, not a multiple.
        self.assertLess(self.plan(recipe)["web.tokens"]["seconds"], 150)

    def changed(self, kind):
        """A stage is planned, and then its first file becomes another: what was said of the old one must not be made of the new."""
        call("run", self.folder / "files.yaml", results=self.results, check=1, env={"RETORT_FAULT": "stage/store.laid_out:1"})
        job, = self.results.glob(f"store/{kind}-*.job")
        first = self.folder / "000.txt"
        text = first.read_text()
        first.write_text(text.replace("words", "birds"))
        stage = subprocess.Popen([RETORT, "_stage", "--results", self.results, "--job", job], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stage.wait(120)
        stage.stdin.close()
        first.write_text(text)
        self.assertEqual(stage.returncode, 1)
        self.assertRegex(job.with_suffix(".live").read_text(), r"000\.txt' was changed after the run was planned: its SHA-256 is \w{16}")
        self.assertEqual(list(self.results.glob(f"store/{kind}-*[0-9a-f].h5")), [])

    def test_a_source_that_changes_between_plan_and_stage(self):
        recipe, other = self.write(3, 200), self.folder / "other"
        self.changed("tokenizer")
        call("run", recipe, "--until", "tokenizer", results=self.results, check=0)
        self.changed("tokens")
        call("run", recipe, results=self.results, check=0)
        call("run", recipe, results=other, check=0)
        self.assertSame(self.result("pretrain"), self.result("pretrain", other))

    def test_files_of_the_same_content_are_made_once(self):
        recipe = self.write(12, 50)
        for i in (3, 4, 9):
            (self.folder / f"{i:03}.txt").write_text((self.folder / "001.txt").read_text())
        done = call("run", recipe, results=self.results, check=0)
        self.assertRegex(done.stdout, r"web\.tokens: done in [^,]*, 9 documents")
        self.assertEqual(len(list(self.results.glob("store/tokens-*[0-9a-f].h5"))), 9)
        self.assertEqual(self.plan(recipe)["web.tokens"]["state"], "cached")

    def test_unfinished_files_of_a_killed_stage_take_no_room(self):
        recipe = self.write(6, 50)
        call("run", recipe, results=self.results, check=0)
        self.result("pretrain").unlink()
        for path in self.results.glob("store/tokens-*[0-9a-f].h5"):
            path.rename(path.with_suffix(".tmp.h5"))
        self.assertEqual(len(list(self.results.glob("store/tokens-*.tmp.h5"))), 6)
        call("run", recipe, results=self.results, check=1, env={"RETORT_FAULT": "stage/store.laid_out:1"})
        self.assertEqual(len(list(self.results.glob("store/tokens-*.tmp.h5"))), 1)  # the one that is being written
        call("run", recipe, results=self.results, check=0)
        self.assertEqual(list(self.results.glob("store/*.tmp*")), [])

    def test_room_is_looked_for_before_the_files_are_made(self):
        recipe, disk = self.write(40, 12000), self.folder / "disk"
        disk.mkdir()
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], capture_output=True).returncode:
            self.skipTest("only root can mount a small disk")
        try:
            done = call("run", recipe, results=disk / "results", check=3)
            self.assertRegex(done.stderr, r"error: no room for 39 more token files: .* they take \d+\.\d MB, and \d\.\d MB are free")
            self.assertIn("fix: free space", done.stderr)
            self.assertEqual(len(list(disk.glob("results/store/tokens-*[0-9a-f].h5"))), 1)
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


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
