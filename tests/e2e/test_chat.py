#!/usr/bin/env python3
"""The chat stages with the real binary: mixtures edited, runs killed in every stage and resumed to the same bits, chat, compare.

    test_chat.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library.
"""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import unittest

from harness import RETORT, SOURCE, Alone, call, kill_in_stage, live_step, text_of, wait_for

CHAT = SOURCE / "tests/e2e/chat.yaml"
TALK = "talk"  # the recipe's name


def copy_recipe(folder):
    path = folder / "chat.yaml"
    path.write_text(text_of(CHAT))
    return path


def stages_of(folder):
    """name -> result file, from the newest run's plan."""
    out = call("plan", CHAT, "--json", results=folder, check=0).stdout
    found = {}
    for stage in json.loads(out)["stages"]:
        path = folder / "store" / f"{stage['kind']}-{(stage['key'] or '')[:16]}.h5"
        if path.exists():
            found[stage["name"]] = path
    return found


def catches(pid, signal_number):
    """Whether a process has a handler for a signal by now."""
    caught = re.search(r"SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    return bool(caught and int(caught[1], 16) >> (signal_number - 1) & 1)


ATTEMPTS = 1000  # to meet an answer of some milliseconds in its middle, beside whatever else the machine does


class Chat(Alone):
    RECIPE = CHAT

    def setUp(self):
        super().setUp()
        shutil.copytree(self.alone, self.results)

    def test_report_has_a_column_a_model(self):
        header = next(line for line in self.first.stdout.splitlines() if line.startswith("score"))
        self.assertEqual(header.split(), ["score", "mid", "sft", "rl"])
        for row in ("bpb", "town_quiz (60 of 500)", "town_sums (60 of 500)", "ChatCORE"):
            self.assertIn(row, self.first.stdout)
        self.assertTrue(all(len(line) <= 80 for line in self.first.stdout.splitlines() if "%" in line))
        report = call("report", TALK, results=self.results, check=0).stdout
        self.assertIn("pass@4", report)
        self.assertRegex(report, r"(?m)^\| rl \|.*\| - \| - \| - \|$")  # the loss of GRPO says nothing
        stages = {s["name"]: s for s in json.loads(call("report", TALK, "--json", results=self.results, check=0).stdout)["stages"]}
        self.assertIsNone(stages["rl"]["loss"])
        runs = json.loads(call("ls", "--json", results=self.results, check=0).stdout)["runs"]
        self.assertEqual([r["loss"] for r in runs], [stages["sft"]["loss"]])
        status = call("status", TALK, results=self.results, check=0).stdout
        self.assertRegex(status, rf"(?m)^  rl +finished +reward {stages['rl']['reward']:.2f}$")
        self.assertRegex(status, r"(?m)^  sft +finished +loss ")
        self.assertGreaterEqual(len(re.findall(r"(?m)^At step \d+, reward [01], advantage", report)), 3)

    def test_second_run_has_nothing_to_do(self):
        self.assertIn("nothing to do", call("run", CHAT, results=self.results, check=0).stdout)
        files = json.loads(call("data", CHAT, "--list", "--json", results=self.results, check=0).stdout)["files"]
        self.assertIn(str(SOURCE / "recipes/worlds/town.yaml"), {f["path"] for f in files})  # not tests/e2e/../../recipes

    def test_epochs_of_one_task_rerun_mid_and_what_depends_on_it(self):
        recipe = copy_recipe(self.folder)
        text = recipe.read_text()
        recipe.write_text(text.replace("{task: town_sums, epochs: 0.1}", "{task: town_sums, epochs: 0.2}"))
        line = next(i for i, l in enumerate(recipe.read_text().splitlines(), 1) if "epochs: 0.2" in l)
        why = call("why", recipe, "mid", results=self.results, check=0).stdout
        self.assertIn("mixture[2].epochs", why)
        self.assertRegex(why, rf"chat\.yaml:{line}\b")
        self.assertRegex(why, r"0\.1\b.*0\.2\b")
        states = {n: s["state"] for n, s in self.plan(recipe).items()}
        rerun = {n for n, s in states.items() if s != "cached"}
        self.assertEqual(rerun, {"mid", "sft", "rl", "chat_eval@mid", "chat_eval@sft", "chat_eval@rl"})
        before = {p.name for p in self.results.glob("store/*.h5")}
        call("run", recipe, results=self.results, check=0)
        made = {p.name.split("-")[0] for p in self.results.glob("store/*.h5") if p.name not in before}
        self.assertEqual(made, {"finetune", "grpo", "eval"})
        # And back again: what was there is taken.
        self.assertEqual({s["state"] for s in self.plan(CHAT).values()}, {"cached"})

    def test_setting_of_an_entry(self):
        plan = self.plan(CHAT, "-s", "mid.mixture[2].epochs=0.2")
        self.assertEqual(plan["mid"]["state"], "run")
        reason = plan["mid"]["reasons"][0]
        self.assertEqual(reason["name"], "mixture[2].epochs")
        entries = {e["task"]: e for e in plan["mid"]["mixture"]}
        self.assertEqual(entries["town_talk"]["rows"], 300)
        self.assertEqual(entries["town_sums"]["rows"], 800)
        self.assertAlmostEqual(sum(e["share"] for e in entries.values()), 1, places=6)
        self.assertGreater(entries["town_talk"]["tokens"], 3000)  # known, since the rows are tokens by now

    def test_threads_and_device_batch_leave_the_bits(self):
        other = self.folder / "other"
        call("run", CHAT, "-s", "mid.device_batch=1", "-s", "sft.device_batch=8", "-s", "rl.device_batch=2", "-s",
             "chat_eval.device_batch=3", results=other, env={"OMP_NUM_THREADS": "1"}, check=0)
        mine, others = stages_of(self.results), stages_of(other)
        self.assertEqual(mine.keys(), others.keys())
        for name in ("mid", "sft", "rl", "chat_eval@mid", "chat_eval@sft", "chat_eval@rl"):
            with self.subTest(name=name):
                self.assertSame(mine[name], others[name])

    def test_chat_answers(self):
        one = call("chat", f"{CHAT}:sft", "-p", "Where does Ada live?", "-m", "20", results=self.results, check=0)
        self.assertEqual(one.stdout.count("\n"), 1 + one.stdout.rstrip("\n").count("\n"))
        again = call("chat", f"{TALK}:sft", "-p", "Where does Ada live?", "-m", "20", results=self.results, check=0)
        self.assertEqual(one.stdout, again.stdout)
        whole = json.loads(call("chat", f"{CHAT}:sft", "-p", "Where does Ada live?", "-m", "20", "--json", results=self.results,
                                check=0).stdout)
        self.assertEqual(whole["answer"] + "\n", one.stdout)
        file = stages_of(self.results)["sft"]
        piped = subprocess.run([RETORT, "chat", file, "-m", "5"], input=b"Hello!\nclear\n\nWho are you?\nquit\nnot asked\n",
                               capture_output=True, timeout=60)
        self.assertEqual(piped.returncode, 0, piped.stderr)
        piped.stdout.decode("utf-8")  # whole characters
        self.assertNotIn(b"\x1b", piped.stdout)
        closed = subprocess.run([RETORT, "chat", file], preexec_fn=lambda: os.close(0), capture_output=True, timeout=60)
        self.assertEqual((closed.returncode, closed.stdout), (0, b""), closed.stderr)
        call("chat", f"{CHAT}:tokenizer", "-p", "x", results=self.results, check=2)
        call("chat", f"{CHAT}:nobody", "-p", "x", results=self.results, check=2)
        call("chat", f"{CHAT}:sft", "-p", "x", "-t", "-1", results=self.results, check=2)
        call("chat", "nothing.h5", "-p", "x", results=self.results, check=2)

    def test_a_screen_sees_no_control_characters(self):
        ask = [str(RETORT), "chat", str(stages_of(self.results)["base"]), "-p", "Hm", "-t", "2", "-k", "0"]
        control = rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]"
        for seed in map(str, range(50)):  # until an answer has some
            raw = subprocess.run([*ask, "--seed", seed], capture_output=True, timeout=60, check=True).stdout
            if re.search(control, raw):
                break
        self.assertRegex(raw, control)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(RETORT, [*ask, "--seed", seed])
        shown = b""
        try:
            while piece := os.read(terminal, 65536):
                shown += piece
        except OSError:  # the other end is closed
            pass
        os.close(terminal)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(shown.replace(b"\r\n", b"\n"), re.sub(control, b"?", raw))

    def test_interrupt_leaves_no_cut_answer_as_json(self):
        ask = [RETORT, "chat", stages_of(self.results)["base"], "-p", "Hm", "-t", "1", "-k", "0", "-m", "1000", "--json"]
        for attempt in range(ATTEMPTS):  # an answer may be whole before it is stopped
            talk = subprocess.Popen(ask, stdout=subprocess.PIPE, text=True)
            wait_for(lambda: catches(talk.pid, signal.SIGINT) or talk.poll() is not None)
            talk.send_signal(signal.SIGINT)
            answer = json.loads(talk.communicate(timeout=60)[0])
            self.assertEqual(answer["ok"], talk.returncode == 0)
            if talk.returncode:
                break
        self.assertEqual((talk.returncode, answer["errors"][0]["kind"]), (75, "stopped"))

    def test_interrupt_ends_a_program_that_nobody_types_to(self):
        talk = subprocess.Popen([RETORT, "chat", stages_of(self.results)["base"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        wait_for(lambda: catches(talk.pid, signal.SIGINT))
        talk.send_signal(signal.SIGINT)
        try:
            talk.wait(timeout=60)
        finally:
            talk.kill()
            out, told = talk.communicate()
        self.assertEqual((talk.returncode, out), (75, ""), told)

    def test_interrupt_ends_the_answer_and_not_the_program(self):
        """In a terminal: Ctrl-C while it answers brings the prompt back, Ctrl-C at the prompt says how to leave, quit leaves."""
        model = stages_of(self.results)["base"]
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(RETORT, [str(RETORT), "chat", str(model), "-m", "100000", "-t", "1", "-k", "0"])
        # What was written and not read yet would be thrown away with a Ctrl-C: the end of an answer, for which this waits. And the ^C
        # would be shown behind what came of it, now and then.
        attributes = termios.tcgetattr(terminal)
        attributes[3] = (attributes[3] | termios.NOFLSH) & ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, attributes)
        try:
            def read_until(pattern, text=b"", seconds=120):
                end = time.monotonic() + seconds
                while not re.search(pattern, text):
                    left = end - time.monotonic()
                    self.assertGreater(left, 0, f"no {pattern} in {text[-400:]}")
                    if select.select([terminal], [], [], left)[0]:
                        text += os.read(terminal, 65536)
                return text
            read_until(rb"You: $")
            interrupted = 0
            for _ in range(ATTEMPTS):  # an answer may end by itself before it is stopped
                os.write(terminal, b"Tell me all you know.\n")
                begun = read_until(rb"Model: .")  # and maybe all of it
                os.write(terminal, b"\x03")
                if b"stopped" in read_until(rb"tokens, [^\n]*\n(.|\n)*You: $", begun):
                    interrupted += 1
                    break
            self.assertEqual(interrupted, 1)
            for _ in range(100):  # however early after the prompt it comes
                os.write(terminal, b"\x03")
                read_until(rb"quit. or Ctrl-D ends\)\r?\n.*You: $")
            os.write(terminal, b"quit\n")
            read_until(rb"Goodbye!")
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            pid = 0
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(terminal)

    def test_a_flipped_bit_of_a_model_is_no_other_result(self):
        stages = stages_of(self.results)
        stages["mid"].unlink(), stages["chat_eval@sft"].unlink()
        for name in ("base", "sft"):
            damaged = bytearray(stages[name].read_bytes())
            damaged[len(damaged) // 2] ^= 1  # among the weights, which are most of it
            stages[name].write_bytes(damaged)
        for args in (("run", CHAT, "--only", "mid"), ("run", CHAT, "--only", "chat_eval@sft"),
                     ("chat", stages["sft"], "-p", "Hm")):
            with self.subTest(args=args):
                model = stages["base" if "mid" in args else "sft"]
                told = call(*args, results=self.results, check=1).stderr
                self.assertRegex(told, rf"{model.name}' is damaged(.|\n)*/model/")

    def test_compare_two_runs(self):
        recipe = copy_recipe(self.folder)
        recipe.write_text(recipe.read_text().replace("steps: 12\n    max_tokens", "steps: 6\n    max_tokens"))
        call("run", recipe, results=self.results, check=0)
        shown = call("compare", f"{TALK}/1", f"{TALK}/2", results=self.results, check=0).stdout
        self.assertRegex(shown, r"steps\s.*\b12\b.*\b6\b")
        self.assertIn("town_quiz", shown)
        self.assertTrue(all(len(line) <= 80 for line in shown.splitlines()))
        whole = json.loads(call("compare", f"{TALK}/1", f"{TALK}/2", "--json", results=self.results, check=0).stdout)
        self.assertTrue(whole["ok"])
        call("compare", TALK, results=self.results, check=2)

    def test_own_conversations(self):
        """A file of the user's own, beside the recipe."""
        recipe = copy_recipe(self.folder)
        rows = [json.dumps({"messages": [{"role": "user", "content": f"Who are you, {i}?"},
                                         {"role": "assistant", "content": "I am Retort \u2014 ask me."}]}) for i in range(40)]
        (self.folder / "identity.jsonl").write_text("\n".join(rows) + "\n")
        recipe.write_text(recipe.read_text().replace("{task: town_talk, rows: 300}", '{task: "identity.jsonl", epochs: 2}'))
        call("run", recipe, "--until", "mid", results=self.results, check=0)
        (self.folder / "identity.jsonl").write_text("\n".join(rows) + "\n[{\"role\": \"assistant\"}]\n")
        done = call("run", recipe, "--until", "mid", results=self.results, check=1)
        self.assertIn("identity.jsonl", done.stdout + done.stderr)

    def test_conversations_with_nothing_to_learn_are_told(self):
        recipe = copy_recipe(self.folder)
        rows = [{"role": "user", "content": "Who? " * (200 if i % 4 == 0 else 1)} for i in range(40)]
        (self.folder / "own.jsonl").write_text("".join(
            json.dumps([row, {"role": "assistant", "content": "I am Retort."}]) + "\n" for row in rows))
        recipe.write_text(recipe.read_text().replace("{task: town_sums, rows: 300}", '{task: "own.jsonl"}'))
        done = call("run", recipe, "--until", "sft", results=self.results, check=0)
        told = re.findall(r"\nsft:\n  (\d+) of 340 conversations have nothing to learn within 128 tokens", done.stdout)
        self.assertEqual(len(told), 1, done.stdout)
        self.assertGreaterEqual(int(told[0]), 10)  # every fourth of ours, and questions of the town that are too long
        self.assertNotIn("\nmid:\n", done.stdout)
        self.assertIn(f"\nsft:\n  {told[0]} of 340 conversations", call("report", TALK, results=self.results, check=0).stdout)

    def test_short_test_split_leaves_training_without_validation(self):
        """A task of the user's own, whose test split has too little of all that validation needs."""
        def talk(question, answer):
            return json.dumps({"q": question, "a": answer}) + "\n"
        (self.folder / "tasks").mkdir()
        (self.folder / "tasks/own.yaml").write_text(
            'task: own\nsource: {jsonl: "own_{split}.jsonl"}\nsplits: [train, test]\n'
            "fields: {question: q, answer: a}\ngrader: exact\n")
        (self.folder / "own_train.jsonl").write_text("".join(talk(f"Say {i}.", f"{i}") for i in range(300)))
        long = talk("Why? " * 200, "So.")
        cases = [("mid", "".join(talk("Hi.", "Ho.") for i in range(5)), "one row of 128 needs 129"),
                 ("mid", "", "no examples"),
                 ("sft", long, "within 128 tokens"),
                 ("rl", "", "no examples")]
        recipe = copy_recipe(self.folder)
        text = re.sub(r"(?s)    mixture:.*?(?=    batch_tokens|    seq_len)", "    mixture: [{task: own}]\n", recipe.read_text())
        text = re.sub(r"mixture: \[\{task: town_quiz\}.*", "mixture: [{task: own}]", text).replace("seed: 7", "seed: 7\ndata: .")
        recipe.write_text(text)
        for stage, test, what in cases:
            with self.subTest(stage=stage, what=what):
                (self.folder / "own_test.jsonl").write_text(test)
                call("run", recipe, "--until", stage, results=self.results, check=0)
                report = call("report", TALK, results=self.results, check=0).stdout
                self.assertRegex(report, rf"(?m)^{stage}:\n  no [^\n]*{what}$")
        (self.folder / "own_test.jsonl").write_text('{"q": "Hi."}\n')  # wrong is not little
        self.assertIn("'a' is missing", call("run", recipe, "--until", "mid", results=self.results, check=1).stderr)

    def test_control_beside_the_recipe(self):
        """A task in the recipe's own folder whose right letters are dealt out at random: trained on, and scored."""
        (self.folder / "tasks").mkdir()
        quiz = (SOURCE / "recipes/tasks/town_quiz.yaml").read_text()
        control = quiz.replace("task: town_quiz", "task: control").replace("../worlds", str(SOURCE / "recipes/worlds"))
        (self.folder / "tasks/control.yaml").write_text(control + "labels: shuffled\n")
        recipe = copy_recipe(self.folder)
        recipe.write_text(recipe.read_text().replace("{task: town_quiz, rows: 200}", "{task: control, rows: 200}")
                          .replace("[bpb, town_quiz, town_sums]", "[control, town_quiz]").replace("[mid, sft, rl]", "mid"))
        self.assertIn(str(self.folder / "tasks/control.yaml"), call("plan", recipe, "--resolved", results=self.results, check=0).stdout)
        done = call("run", recipe, "--until", "chat_eval", results=self.results, check=0)
        self.assertRegex(done.stdout, r"control \(60 of 500\) +\d+\.\d %")
        self.assertRegex(done.stdout, r"town_quiz \(60 of 500\) +\d+\.\d %")
        plan = self.plan(recipe)
        self.assertEqual({plan[n]["state"] for n in ("mid", "chat_eval", "control.train.tokens", "control.test.tokens")}, {"cached"})
        self.assertIn(("control", 200), [(e["task"], e["rows"]) for e in plan["mid"]["mixture"]])
        self.assertNotEqual(plan["control.test.tokens"]["key"], plan["town_quiz.test.tokens"]["key"])


class Kills(Alone):
    """SIGKILL in mid, sft, rl and eval: run again it goes on from what was saved, and ends with the bits of a run left alone."""

    RECIPE = CHAT
    ENV = {**os.environ, "RETORT_CHECKPOINT_SECONDS": "0"}

    def start(self):
        return subprocess.Popen([RETORT, "run", CHAT, "--results", self.results], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=self.ENV)

    def finish(self):
        done = subprocess.run([RETORT, "run", CHAT, "--results", self.results], capture_output=True, text=True, env=self.ENV,
                              timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        mine, alone = stages_of(self.results), stages_of(self.alone)
        self.assertEqual(mine.keys(), alone.keys())
        for name, path in mine.items():
            with self.subTest(name=name):
                self.assertSame(path, alone[name])
        return done

    def prepared(self, last):
        """Results up to a stage, so that the run to be killed begins with the next."""
        shutil.rmtree(self.results, ignore_errors=True)
        shutil.copytree(self.alone, self.results)
        shutil.rmtree(self.results / "runs")
        keep = stages_of(self.results)
        order = list(keep)
        for name in order[order.index(last):]:
            keep[name].unlink()

    def killed(self, name, kind, step, signal_number=signal.SIGKILL):
        for attempt in range(5):
            self.prepared(name)
            if kill_in_stage(self.start(), self.results, kind, step, signal_number):
                break
        else:
            self.fail(f"{name} was always done before it could be killed")
        done = self.finish()
        self.assertRegex(done.stdout, r"resum")

    def test_mid(self):
        self.killed("mid", "finetune", 4)

    def test_sft(self):
        self.killed("sft", "finetune", 20)

    def test_rl(self):
        self.killed("rl", "grpo", 3)

    def test_eval(self):
        self.killed("chat_eval@mid", "eval", 40)  # of 32 rows of text and 120 examples: among the examples

    def test_interrupt_in_rollouts(self):
        self.prepared("rl")
        runner = self.start()
        wait_for(lambda: live_step(self.results, "grpo") >= 2 or runner.poll() is not None)
        runner.send_signal(signal.SIGINT)
        out, _ = runner.communicate(timeout=60)
        if runner.returncode == 75:
            self.assertIn("run it again", out)
        self.finish()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
