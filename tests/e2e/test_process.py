#!/usr/bin/env python3
"""Runs as processes: stopped, left, followed, met by others, on disks that are full, read-only or without locks.

    test_process.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library. Where the moment matters a stage is held with SIGSTOP, so that nothing depends on how fast the
machine is.
"""
import atexit
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from harness import MICRO, RETORT, SAME, Folder, call, children, live_step, text_of, wait_for

NO_LOCKS = SAME.parent / "libno_locks.so"
OFTEN = {"RETORT_CHECKPOINT_SECONDS": "0.05", "OMP_NUM_THREADS": "1"}  # one thread: so little work is not worth two on a busy machine
LONG = ("-s", "base.steps=120", "-s", "base.eval_every=0")  # so that there is time to meet it


class Processes(Folder):
    alone = {}  # by settings, what a run left alone makes; for all tests of the process

    def other_recipe(self, name="other", extra=""):
        path = self.folder / f"{name}.yaml"
        text = text_of()
        path.write_text(text.replace("name: micro", f"name: {name}") + extra)
        return path

    def start(self, *args, recipe=MICRO, env=OFTEN, **more):
        """`retort run`, with its output in a file that can be looked at while it goes on."""
        out = tempfile.NamedTemporaryFile(dir=self.folder, prefix="out-", delete=False)
        runner = subprocess.Popen([RETORT, "run", recipe, "--results", self.results, *args], stdout=out, stderr=subprocess.STDOUT,
                                  env={**os.environ, **env}, **more)
        runner.output = lambda: pathlib.Path(out.name).read_text(errors="replace")
        self.addCleanup(self.end, runner)
        return runner

    @staticmethod
    def end(runner):
        if runner.poll() is None:
            runner.kill()
        runner.wait()

    def ends_with(self, runner, status):
        self.assertEqual(runner.wait(timeout=120), status, runner.output())

    def trains(self, runner=None, step=5):
        """Waits until the base model is in training and has a checkpoint."""
        wait_for(lambda: (live_step(self.results, "pretrain") >= step and any(self.results.glob("store/pretrain-*.part.h5")))
                 or (runner and runner.poll() is not None))
        if runner:
            self.assertIsNone(runner.poll(), "it ended too early:\n" + runner.output())

    @contextlib.contextmanager
    def held(self, runner):
        """The stages of a runner do nothing meanwhile."""
        stages = children(runner.pid)
        self.assertTrue(stages)
        for pid in stages:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield stages
        finally:
            for pid in stages:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def run_of(self, name="micro"):
        answer = json.loads(call("status", name, "--json", results=self.results, check=0).stdout)
        return answer["runs"][0]

    def state_of(self, stage, name="micro"):
        return {s["name"]: s for s in self.run_of(name)["stages"]}[stage]["state"]

    def same_as_alone(self, *settings):
        """What is there now is what a run left alone makes."""
        if settings not in self.alone:
            self.alone[settings] = pathlib.Path(tempfile.mkdtemp(prefix="retort-alone-"))
            atexit.register(shutil.rmtree, self.alone[settings], ignore_errors=True)
            call("run", MICRO, *settings, results=self.alone[settings], check=0, env={"OMP_NUM_THREADS": "1"})
        other = self.alone[settings]
        for kind in ("tokenizer", "pretrain", "eval"):
            self.assertSame(self.result(kind, other), self.result(kind))


class Stops(Processes):
    def terminal(self, *args):
        """`retort run` in a terminal of its own; the master side, its output so far, its process."""
        pid, master = pty.fork()
        if pid == 0:
            os.environ.update(OFTEN, TERM="xterm")
            os.execv(RETORT, [str(RETORT), "run", str(MICRO), "--results", str(self.results), *LONG, *args])
        return pid, master

    @staticmethod
    def read(master):
        text = b""
        with contextlib.suppress(OSError):
            while more := os.read(master, 65536):
                text += more
        return text.decode(errors="replace")

    def test_ctrl_c_once(self):
        pid, master = self.terminal()
        self.trains()
        os.write(master, b"\x03")
        text = self.read(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 75, text)
        self.assertIn("stopping", text)
        self.assertIn("everything is saved", text)
        self.assertEqual(self.run_of()["state"], "stopped")
        self.assertEqual(self.plan(MICRO, *LONG)["base"]["state"], "resume")
        call("run", MICRO, *LONG, results=self.results, check=0)
        self.same_as_alone(*LONG)

    def test_ctrl_c_twice(self):
        pid, master = self.terminal()
        self.trains()
        for stage in children(pid):  # it will not hear of the first
            os.kill(stage, signal.SIGSTOP)
        os.write(master, b"\x03")
        text = ""
        while "stopping" not in text:
            text += os.read(master, 65536).decode(errors="replace")
        self.assertIn("Ctrl-C again", text)
        os.write(master, b"\x03")
        text += self.read(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 1, text)
        self.assertIn("since its last checkpoint is lost", " ".join(text.split()))  # errors are wrapped on a terminal
        self.assertEqual(self.state_of("base"), "stopped")
        call("run", MICRO, *LONG, results=self.results, check=0)
        self.same_as_alone(*LONG)

    def test_terminal_closed(self):
        pid, master = self.terminal()
        self.trains()
        os.close(master)  # SIGHUP, and nowhere to write to
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertEqual(self.run_of()["state"], "finished")
        self.same_as_alone(*LONG)

    def test_lines_fit_a_terminal(self):
        pid, master = self.terminal("--until", "base")
        text = self.read(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, text)
        self.assertRegex(text, r"\[3/3\] base  [#-]{5} +\d+/120 steps  loss \d")  # however few of them a fast machine shows
        for line in re.split(r"[\r\n]+|\x1b\[[0-9]*[A-Z]", text):
            self.assertLessEqual(len(line), 80)

    def test_stop_from_elsewhere_as_often_as_one_likes(self):
        runner = self.start(*LONG)
        self.trains(runner)
        with self.held(runner):
            for args in ((), ("micro",), (MICRO,)):
                self.assertIn(str(runner.pid), call("stop", *args, results=self.results, check=0).stdout)
            wait_for(lambda: "stopping" in runner.output())
        self.ends_with(runner, 75)
        call("stop", "micro", results=self.results, check=2)
        self.assertEqual(self.state_of("base"), "stopped")

    def test_stop_file(self):
        runner = self.start(*LONG)
        self.trains(runner)
        with self.held(runner):  # the file is looked for once a second, and the training may be shorter
            (self.results / "runs/micro/stop").write_text("stop\n")
            wait_for(lambda: "stopping" in runner.output())
        self.ends_with(runner, 75)
        self.assertFalse((self.results / "runs/micro/stop").exists())

    def test_stop_of_a_run_on_another_host_leaves_the_file(self):
        folder = self.results / "runs/micro"
        folder.mkdir(parents=True)
        with open(folder / "lock", "w") as lock:
            lock.write(f"nowhere-at-all {os.getpid()} 2026-01-01T00:00:00Z retort run micro.yaml\n")
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("nowhere-at-all", call("stop", "micro", results=self.results, check=0).stdout)
        self.assertTrue((folder / "stop").exists())


class Detached(Processes):
    def go(self, *args):
        done = call("run", MICRO, "--detach", *LONG, *args, results=self.results, check=0, env=OFTEN)
        return int(re.search(r"process (\d+)", done.stdout).group(1)), done.stdout

    def test_detach_and_watch(self):
        pid, text = self.go()
        self.assertIn("status --watch micro", text)
        self.assertIn("0001.log", text)
        self.assertEqual(os.getsid(pid), pid)
        again = call("run", MICRO, results=self.results, check=3)
        self.assertIn(f"process {pid}", again.stderr)
        watched = call("status", MICRO, "--watch", results=self.results, check=0).stdout
        self.assertIn("finished", watched.splitlines()[-4])
        self.assertNotIn("\x1b", watched)
        self.assertIn("base: done", (self.results / "runs/micro/0001.log").read_text())
        call("status", "micro", "--watch", results=self.results, check=0)  # too late to see it end, and yet
        self.same_as_alone(*LONG)

    def test_watch_ends_as_the_run_does(self):
        self.go()
        watch = subprocess.Popen([RETORT, "status", "--watch", "--results", self.results], stdout=subprocess.PIPE, text=True)
        self.trains()
        call("stop", results=self.results, check=0)
        out, _ = watch.communicate(timeout=60)
        self.assertEqual(watch.returncode, 75, out)

        pid, _ = self.go()
        wait_for(lambda: self.state_of("base") == "running")
        for stage in children(pid):
            os.kill(stage, signal.SIGKILL)
        failed = call("status", "micro", "--watch", results=self.results, check=1)
        self.assertIn("failed", failed.stdout)

    def test_json(self):
        done = call("run", MICRO, "--detach", "--json", results=self.results, check=0)
        answer = json.loads(done.stdout)
        self.assertTrue(answer["ok"])
        self.assertEqual((answer["name"], answer["run"], answer["state"]), ("micro", 1, "running"))
        call("status", "micro", "--watch", results=self.results, check=0)
        self.assertTrue(pathlib.Path(answer["log"]).read_text().startswith("[1/4]"))

    def test_errors_come_at_once(self):
        call("run", self.folder / "absent.yaml", "--detach", results=self.results, check=2)
        self.assertIn("nothing to do", call("run", self.finished(), "--detach", results=self.results, check=0).stdout)

    def finished(self):
        call("run", MICRO, results=self.results, check=0)
        return MICRO


class TwoRunners(Processes):
    def test_same_recipe_is_refused_and_names_the_holder(self):
        first = self.start(*LONG)
        self.trains(first)
        second = call("run", MICRO, *LONG, results=self.results, check=3).stderr
        for part in (f"process {first.pid}", os.uname().nodename, r"20\d\d-\d\d-\d\dT", f"retort run {MICRO}"):
            self.assertRegex(second, part)

    def kill_both(self, runner, stages):
        runner.send_signal(signal.SIGSTOP)  # a runner that dies first lets its stage save
        for pid in stages:
            os.kill(pid, signal.SIGKILL)
        runner.kill()
        runner.wait()

    def meet(self):
        """A run that waits for a stage of another."""
        first = self.start(*LONG)
        self.trains(first)
        return first, self.held(first)

    def wait_of(self, second, first):
        wait_for(lambda: "waiting for" in second.output() or second.poll() is not None)
        self.assertRegex(second.output(), rf"base: waiting for .*\n  process \d+ on .* stage base for runner {first.pid}")
        self.assertIsNone(second.poll())

    def test_one_stage_for_two(self):
        first, held = self.meet()
        with held:
            second = self.start(*LONG, recipe=self.other_recipe())
            self.wait_of(second, first)
        self.ends_with(first, 0)
        self.ends_with(second, 0)
        self.assertIn("made meanwhile", second.output())
        self.assertEqual(self.state_of("base", "other"), "cached")
        self.assertEqual(self.state_of("base", "micro"), "finished")
        self.same_as_alone(*LONG)

    def test_other_runner_and_its_stage_killed(self):
        first, held = self.meet()
        with held as stages:
            second = self.start(*LONG, recipe=self.other_recipe())
            self.wait_of(second, first)
            self.kill_both(first, stages)
            self.assertEqual(self.run_of("micro")["state"], "died")
        self.ends_with(second, 0)
        self.assertRegex(second.output(), r"base: resuming at step [1-9]")
        self.same_as_alone(*LONG)

    def test_waiting_can_be_stopped(self):
        first, held = self.meet()
        with held:
            second = self.start(*LONG, recipe=self.other_recipe())
            self.wait_of(second, first)
            call("stop", "other", results=self.results, check=0)
            self.ends_with(second, 75)
        self.ends_with(first, 0)

    def test_made_between_the_look_and_the_lock(self):
        call("run", MICRO, results=self.results, check=1, env={"RETORT_FAULT": "stage/stage.begun"})
        job = next(self.results.glob("store/tokenizer-*.job"))
        told = job.read_bytes()
        call("run", MICRO, results=self.results, check=0)
        made = self.result("tokenizer").stat()
        for again in (False, True):
            job.write_bytes(told.replace(b'"again":false', b'"again":true') if again else told)
            self.assertEqual(json.loads(job.read_bytes())["again"], again)
            stage = subprocess.Popen([RETORT, "_stage", "--results", self.results, "--job", job], stdin=subprocess.PIPE)
            self.assertEqual(stage.wait(timeout=60), 0)
            stage.stdin.close()
            self.assertEqual(self.result("tokenizer").stat().st_ino != made.st_ino, again)
            self.assertFalse(job.exists())
            if not again:
                self.assertEqual(list(self.results.glob("store/*.live")), [])

    def test_all_made_by_another(self):
        call("run", MICRO, results=self.results, check=0)
        self.assertIn("nothing to do", call("run", self.other_recipe(), results=self.results, check=0).stdout)

    def test_begun_at_the_same_moment(self):
        names = ["a", "b", "c"]
        runners = [self.start(recipe=self.other_recipe(name)) for name in names]
        for runner in runners:
            self.ends_with(runner, 0)
        self.assertEqual(list(self.results.glob("store/*.tmp*")), [])
        self.assertEqual(list(self.results.glob("store/*.job")), [])
        self.same_as_alone()

    def test_fresh_waits_for_the_lock(self):
        call("run", MICRO, results=self.results, check=0)
        result = self.result("pretrain")
        before = result.stat().st_ino
        with open(result.with_suffix(".lock"), "w") as lock:
            lock.write("somewhere 77 2026-01-01T00:00:00Z stage base for runner 66\n")
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            runner = self.start("--fresh", "base")
            wait_for(lambda: "waiting for" in runner.output() or runner.poll() is not None)
            self.assertIn("process 77 on somewhere", runner.output())
            self.assertEqual(result.stat().st_ino, before)
        self.ends_with(runner, 0)
        self.assertNotEqual(self.result("pretrain").stat().st_ino, before)
        self.same_as_alone()

    def test_status_of_a_run_whose_runner_was_killed(self):
        runner = self.start(*LONG)
        self.trains(runner)
        with self.held(runner) as stages:
            base = {s["name"]: s for s in self.run_of()["stages"]}["base"]
            self.assertEqual((self.run_of()["state"], base["state"]), ("running", "running"))
            self.assertGreaterEqual(base["redo_s"], 0)
            wait_for(lambda: {s["name"]: s for s in self.run_of()["stages"]}["base"]["redo_s"] >= 1)
            self.assertIn("killed now", call("status", results=self.results, check=0).stdout)
            self.kill_both(runner, stages)
        self.assertEqual((self.run_of()["state"], self.state_of("base")), ("died", "died"))
        text = call("status", "micro", results=self.results, check=0).stdout
        self.assertIn("run it again", text)
        call("status", "micro", "--watch", results=self.results, check=1)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_the_record_of_a_run_that_died(self):
        runner = self.start(*LONG)
        self.trains(runner)
        with self.held(runner) as stages:
            self.kill_both(runner, stages)
        stages = {"tokenizer": "finished", "town.tokens": "finished", "base": "interrupted", "base_eval": "waiting"}

        def reported():
            answer = json.loads(call("report", "micro/1", "--json", results=self.results, check=0).stdout)
            return answer["run"]["state"], {s["name"]: s["state"] for s in answer["stages"]}
        record = self.results / "runs/micro/0001.h5"
        before = record.read_bytes()
        self.assertEqual(reported(), ("died", stages))
        self.assertEqual(record.read_bytes(), before)  # whoever looks changes nothing
        self.assertIn("died", call("ls", results=self.results, check=0).stdout)
        call("run", MICRO, *LONG, results=self.results, check=0)
        self.assertNotEqual(record.read_bytes(), before)  # the next run writes it down
        self.assertEqual(reported(), ("died", stages))
        self.assertIn("interrupted", call("report", record, results=self.folder, check=0).stdout)
        call("ls", "--check", results=self.results, check=0)

    def test_status_of_a_stage_that_saves_since_its_runner_was_killed(self):
        runner = self.start(*LONG)
        self.trains(runner)
        runner.kill()
        runner.wait()
        self.assertEqual(self.run_of()["state"], "died")
        wait_for(lambda: self.state_of("base") == "stopped")
        self.assertIn(self.plan(MICRO, *LONG)["base"]["state"], "resume")


class SideBySide(Processes):
    TWO = "  second: {kind: eval, model: base, suites: [bpb], eval_tokens: 4096}\n"

    def order(self, *args, threads):
        """Of the two evaluations, the events in the order in which they were told."""
        recipe = self.other_recipe(extra=self.TWO)
        call("run", recipe, "--until", "base", results=self.results, check=0)
        for old in self.results.glob("store/eval-*"):
            old.unlink()
        out = call("run", recipe, *args, results=self.results, check=0, env={"OMP_NUM_THREADS": threads}).stdout
        return [m.group(1) for m in re.finditer(r"(?:base_eval|second): (started|done)", out)]

    def test_evaluations(self):
        apart = ["started", "done", "started", "done"]
        self.assertEqual(self.order(threads="2"), ["started", "started", "done", "done"])
        bits = {p.name: p.read_bytes() for p in self.results.glob("store/eval-*.h5")}
        self.assertEqual(len(bits), 2)
        kept = self.folder / "kept"
        shutil.copytree(self.results / "store", kept)
        self.assertEqual(self.order("--jobs", "1", threads="2"), apart)
        for name in bits:
            self.assertSame(kept / name, self.results / "store" / name)
        self.assertEqual(self.order(threads="1"), apart)
        self.assertEqual(self.order("--jobs", "2", threads="1"), ["started", "started", "done", "done"])
        call("run", MICRO, "--jobs", "0", results=self.results, check=2)
        call("run", MICRO, "--jobs", "many", results=self.results, check=2)


class Disks(Processes):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.results = self.disk / "results"
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", self.disk], capture_output=True).returncode:
            self.skipTest("only root can mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)

    def tearDown(self):
        pass

    def doCleanups(self):
        super().doCleanups()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self):
        with open(self.disk / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def free(self):
        (self.disk / "filler").unlink()

    def whole(self):
        self.assertEqual(list(self.results.glob("*/*.tmp*")), [])
        self.assertEqual([p for p in self.results.glob("store/*.h5") if not p.stat().st_size], [])

    def test_full_at_a_checkpoint(self):
        runner = self.start(*LONG)
        self.trains(runner)
        with self.held(runner):
            self.fill()
        wait_for(lambda: "no checkpoint written, going on" in runner.output() or runner.poll() is not None)
        self.assertIsNone(runner.poll(), runner.output())
        with self.held(runner):
            self.assertIn("no room", call("status", results=self.results, check=0).stdout)
            self.free()
        self.ends_with(runner, 0)
        self.assertIn("saved again", runner.output())
        self.whole()
        self.same_as_alone(*LONG)

    def test_full_at_the_result(self):
        runner = self.start(*LONG)
        self.trains(runner)
        with self.held(runner):
            self.fill()
        self.ends_with(runner, 3)
        self.assertRegex(runner.output(), r"error: no room for '.*pretrain-[0-9a-f]+\.h5'")
        self.assertIn("fix: free space", runner.output())
        self.whole()
        self.assertEqual(self.plan(MICRO, *LONG)["base"]["state"], "resume")
        self.free()
        done = call("run", MICRO, *LONG, results=self.results, check=0)
        self.assertRegex(done.stdout, r"base: resuming at step [1-9]")
        self.same_as_alone(*LONG)

    def test_full_from_the_start(self):
        self.fill()
        done = call("run", MICRO, results=self.results, check=3)
        self.assertIn("fix: ", done.stderr)
        self.assertEqual(list(self.results.glob("runs/micro/*.h5")), [])
        self.free()
        call("run", MICRO, results=self.results, check=0)
        self.same_as_alone()

    def test_read_only(self):
        call("run", MICRO, "--until", "tokenizer", results=self.results, check=0)
        subprocess.run(["mount", "-o", "remount,ro", self.disk], check=True)
        done = call("run", MICRO, results=self.results, check=3)
        self.assertRegex(done.stderr, r"Read-only file system\n.*\n  fix: .*read-only")
        self.assertIn("tokenizer", call("status", results=self.results, check=0).stdout)
        subprocess.run(["mount", "-o", "remount,rw", self.disk], check=True)
        call("run", MICRO, results=self.results, check=0)

    def test_vanished_and_back(self):
        runner = self.start(*LONG)
        self.trains(runner)
        away = self.disk / "away"
        with self.held(runner):
            self.results.rename(away)
        wait_for(lambda: runner.poll() is not None)
        self.assertEqual(runner.returncode, 3, runner.output())
        self.assertRegex(runner.output(), r"error: the results folder '.*' is not as it was")
        self.assertIn("fix: put it back", runner.output())
        self.assertFalse(self.results.exists())
        away.rename(self.results)
        done = call("run", MICRO, *LONG, results=self.results, check=0)
        self.assertRegex(done.stdout, r"base: resuming at step [1-9]")
        self.same_as_alone(*LONG)


class Limits(Processes):
    def test_size_of_files(self):
        call("run", MICRO, "--until", "tokenizer", results=self.results, check=0)
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
        runner = self.start(preexec_fn=limit)
        self.ends_with(runner, 3)
        self.assertIn("fix: ", runner.output())
        self.assertEqual(list(self.results.glob("*/*.tmp*")), [])
        call("run", MICRO, results=self.results, check=0)
        self.same_as_alone()

    @unittest.skipUnless(NO_LOCKS.exists(), "the library that takes locks away is not built")
    def test_no_locks(self):
        for how, says in (("fail", "[Nn]o locks available"), ("grant", "grants the same lock twice")):
            with self.subTest(how=how):
                done = call("run", MICRO, results=self.results, check=3, env={"LD_PRELOAD": str(NO_LOCKS), "NO_LOCKS": how})
                self.assertRegex(done.stderr, says)
                self.assertRegex(done.stderr, "fix: .*working locks")
                self.assertFalse(any(self.results.glob("runs/micro/*.h5")) or any(self.results.glob("store/*.h5")))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
