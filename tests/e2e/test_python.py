"""Answers that are programs: run and graded, killed in the middle, rewarded, and what a machine without Python says.

    test_python.py RETORT SAME_RESULT SOURCE_FOLDER [Programs|Kills|Without]
"""
import csv
import io

from harness import *

RECIPE = """
retort: 1
name: coder
nanochat: 2025
seed: 7
data: data
sources:
  python: {world: %s, documents: 300, validate: held_out}
stages:
  tokenizer: {kind: tokenizer, source: python, vocab: 400, chars: 50k}
  base: {kind: pretrain, tokenizer: tokenizer, source: python, n_layer: 2, n_embd: 32, n_head: 2, n_kv_head: 1, head_dim: 16, n_mlp: 64,
         seq_len: 64, batch_tokens: 1024, steps: 10, eval_every: 0}
  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: lines, epochs: 150}], rows: 5, lr_frac: 1, eval_every: 0}
""" % (SOURCE / "recipes/worlds/python.yaml")
ANSWERS = "  answers: {kind: eval, model: sft, suites: [lines], max_tokens: 20, device_batch: 1}\n"
REWARDED = "  rl: {kind: grpo, model: sft, mixture: [{task: short}], rows: 3, samples: 4, steps: 2, max_tokens: 12}\n"

TASK = """
task: %s
source: {jsonl: "%s.{split}.jsonl"}
splits: [train, test]
fields: {question: question, answer: code, tests: tests}
grader: python_tests
"""
# What a small model learns by heart in 150 passes; the fixed order of five rows asks the first last.
LINES = [("loop", "while 1: 0", ["assert True"]), ("two", "b = 2", ["assert b == 2", "assert b > 1"]),
         ("bad", "c = 1", ["assert c == 2"]), ("exit", "import os\nos._exit(0)", ["assert True"]), ("one", "a = 1", ["assert a == 1"])]
VERDICTS = {"loop": "timeout", "two": "passed", "bad": "failed", "exit": "ended", "one": "passed"}


class Coder(Folder):
    def setUp(self):
        super().setUp()
        (self.folder / "tasks").mkdir()
        (self.folder / "data").mkdir()
        for name, rows in (("lines", LINES), ("short", LINES[1:3] + LINES[4:])):
            (self.folder / f"tasks/{name}.yaml").write_text(TASK % (name, name))
            for split in ("train", "test"):
                (self.folder / f"data/{name}.{split}.jsonl").write_text(
                    "".join(json.dumps({"question": q, "code": c, "tests": t, "of": split}) + "\n" for q, c, t in rows))
        self.recipe = self.folder / "coder.yaml"
        self.recipe.write_text(RECIPE + ANSWERS)

    def run_it(self, check=0, env=None):
        return call("run", self.recipe, results=self.results, check=check, env=env)

    def table(self, name):
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        call("export", "coder", "--to", "csv", out, results=self.results, check=0)
        return list(csv.DictReader(io.StringIO((out / f"{name}.csv").read_text())))


class Programs(Coder):
    def test_answers_are_run(self):
        self.run_it()
        self.assertEqual({LINES[int(p["row"])][0]: p["verdict"] for p in self.table("programs")}, VERDICTS)
        self.assertEqual({LINES[int(x["row"])][0]: (x["right"], x["expected"], x["answer"]) for x in self.table("examples")},
                         {q: (str(int(VERDICTS[q] == "passed")), t[-1], c) for q, c, t in LINES})
        errors = {LINES[int(p["row"])][0]: p["error"] for p in self.table("programs")}
        self.assertIn("AssertionError", errors["bad"])
        self.assertIn("left with status 0", errors["exit"])
        report = call("report", "coder", results=self.results, check=0).stdout
        self.assertIn("lines: of 5 programs 2 passed, 1 failed, 1 took too long, 1 ended otherwise", report)
        scores = json.loads(call("report", "coder", "--json", results=self.results, check=0).stdout)["scores"]
        self.assertEqual([(s["score"], s["value"], s["n"]) for s in scores], [("lines", 0.4, 5)])

        # How answers are graded is in the key, and in that of the tokens what they are graded by.
        rows = [json.loads(line) for line in (self.folder / "data/lines.test.jsonl").read_text().splitlines()]
        task = self.folder / "tasks/lines.yaml"
        task.write_text(task.read_text().replace("python_tests", "exact").replace(", tests: tests", ""))
        self.assertEqual(self.plan(self.recipe)["answers"]["state"], "run")
        task.write_text(TASK % ("lines", "lines"))
        self.assertEqual(self.plan(self.recipe)["answers"]["state"], "cached")
        rows[1]["tests"] = ["assert b == 3"]
        (self.folder / "data/lines.test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        self.assertEqual(self.plan(self.recipe)["answers"]["state"], "run")

    def test_programs_are_rewarded(self):
        self.recipe.write_text(RECIPE + REWARDED)
        self.run_it()
        rewards = [float(r["reward"]) for r in self.table("metrics_rollouts")]
        self.assertEqual(len(rewards), 2)
        for reward in rewards:  # two questions of three have answers that pass, and they are known by heart
            self.assertGreater(reward, 0.3)
            self.assertLess(reward, 0.9)

    def test_a_world_of_functions_is_scored(self):
        self.recipe.write_text((RECIPE + ANSWERS).replace("{task: lines, epochs: 150}", "{task: python_functions, rows: 50}")
                               .replace("[lines]", "[python_functions], examples: 6"))
        self.run_it()
        programs = self.table("programs")
        self.assertEqual(len(programs), 6)
        self.assertTrue(all(p["task"] == "python_functions" and p["verdict"] in VERDICTS.values() for p in programs), programs)


class Kills(Coder):
    ENV = {"RETORT_CHECKPOINT_SECONDS": "0"}

    def runs_a_program(self, stage):
        """The process of a program that the stage runs, or None; not of those with which it looks for Python."""
        for pid in children(stage):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"exec(program" in words and live_step(self.results, "eval") == 4:
                return pid
        return None

    def test_a_stage_that_is_killed_takes_its_program_with_it(self):
        self.run_it(env=self.ENV)
        alone = self.folder / "alone.h5"
        self.result("eval").rename(alone)
        for path in self.results.glob("store/eval-*"):
            path.unlink()

        def attempt():
            runner = subprocess.Popen([RETORT, "run", self.recipe, "--results", self.results], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, env={**os.environ, **self.ENV})
            program = []
            wait_for(lambda: any(program.append(p) for p in map(self.runs_a_program, children(runner.pid)) if p) or program or
                     runner.poll() is not None)
            stages = children(runner.pid)
            kill_all(stages)
            runner.kill()
            runner.communicate(timeout=60)
            if program and stages:
                wait_for(lambda: not pathlib.Path(f"/proc/{program[0]}").exists())
            return program and stages and not any(self.results.glob("store/eval-*[0-9a-f].h5"))

        in_time(self.results, attempt)
        done = self.run_it(env=self.ENV)
        self.assertRegex(done.stdout, r"resum")
        self.assertSame(self.result("eval"), alone)


class Without(Coder):
    def test_a_machine_without_python_says_so_before_anything_starts(self):
        nothing = {"PATH": str(self.folder / "data")}
        told = call("run", self.recipe, results=self.results, check=3, env=nothing)
        self.assertIn("error: there is no python3 on PATH", told.stderr)
        self.assertIn("stage 'answers' runs answers to task 'lines'", told.stderr)
        self.assertIn("coder.yaml:14", told.stderr)
        self.assertFalse(self.results.exists() and any(self.results.glob("store/*.h5")))
        for command in ("check", "plan"):
            self.assertRegex(call(command, self.recipe, results=self.results, check=0, env=nothing).stdout,
                             r"! answers grades 'lines' by running Python, and\s+there\s+is\s+no\s+python3\s+on\s+PATH:\s+install\s+Python")
            self.assertNotIn("python3", call(command, self.recipe, results=self.results, check=0).stdout)
        stages = json.loads(call("plan", self.recipe, "--json", results=self.results, check=0, env=nothing).stdout)["stages"]
        self.assertEqual([s["name"] for s in stages if "lacks" in s], ["answers"])
        # What needs none goes on.
        call("run", self.recipe, "--only", "tokenizer", results=self.results, check=0, env=nothing)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
