#!/usr/bin/env python3
"""Breaks runs in every way there is, and sees that nothing is lost.

    python3 tests/faults/run.py                       what CI runs: some hundred kills and faults, a few minutes
    python3 tests/faults/run.py --kills 2000          so many kills: at named points, at system calls, at random moments
    python3 tests/faults/run.py --faults 1000         so many faults of disk, memory and clock
    python3 tests/faults/run.py --seed 5              other ones; the seed is printed, and makes the same again
    python3 tests/faults/run.py --case kill:stage:any:37:base        one case, as it is named when it fails
    python3 tests/faults/run.py --kills 500 --only mirror,lost      kills of these scenes alone

micro.yaml is run once, undisturbed. A case is one stage of it: its results are copied without that stage and those that need it, it is
run and broken, and then

  - the broken run ends as it should: killed, or with an exit status and an error that says what to do, or well
  - every file is the old or the new one: `retort ls --check` finds nothing damaged
  - the same command again ends well, and has gone on from the checkpoint that was there
  - the result has the bits of the undisturbed run in every group that promises them, and nothing is left behind

Beside the stages there are scenes (SCENES): steps that are kept, branches from one, a longer training from a shorter one, a mirror that is
filled, and one that is brought back from. There every kept step must be there afterwards, what is in a mirror be whole at any moment, and
all of it there after running again; in the scene "lost" the machine is gone, and what the mirror has at that moment must do.

Needs nothing but Python's own library, a build with tests (RETORT_TESTS=ON), and some MB of disk.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
RECIPE = SOURCE / "tests/e2e/micro.yaml"
OFTEN = {"RETORT_CHECKPOINT_SECONDS": "0.02", "OMP_NUM_THREADS": "1", "RETORT_MIRROR_WAIT": "0.1"}
CALLS = ("open", "mkdir", "write", "pwrite", "fsync", "fallocate", "ftruncate", "rename", "unlink")
ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EMFILE")
LEFT = (".tmp", ".part", ".job", ".live", ".log", ".lock")
TRAINED = ("pretrain", "finetune", "grpo")
SMALL = f"""retort: 1
name: scene
nanochat: 2025
seed: 7
sources:
  town: {{world: {SOURCE}/recipes/worlds/town.yaml, documents: 400, validate: held_out}}
stages:
  tokenizer: {{kind: tokenizer, source: town, vocab: 300, chars: 20k}}
  base: {{kind: pretrain, tokenizer: tokenizer, source: town, n_layer: 1, n_embd: 32, n_head: 1, n_kv_head: 1, head_dim: 32, n_mlp: 64,
         seq_len: 64, batch_tokens: 1024, device_batch: 4, steps: 40, eval_every: 10, eval_tokens: 2048, sample_every: 0, KEEP}}
"""
KEEP = "keep: [0, 7, 40], keep_every: 10, keep_optim: warmdown"
BRANCH = """  long: {kind: pretrain, tokenizer: tokenizer, source: town, from: base@12, batch_tokens: 1024, device_batch: 4, steps: 36,
         eval_every: 12, eval_tokens: 2048, sample_every: 0, keep: [20]}
  more: {kind: pretrain, tokenizer: tokenizer, source: town, from: base, batch_tokens: 1024, device_batch: 4, steps: 60,
         eval_every: 0, sample_every: 0}
"""


class Scene:
    """A command on a prepared store: what there is before, and what a run left alone makes of it."""

    def __init__(self, text, first=None, settings=(), trained=("base",), mirror=False, brings=False):
        self.text, self.first, self.settings, self.trained = text, first, settings, trained
        self.mirror, self.brings = mirror, brings  # fills a mirror; brings what there is back from one


# first: the command that makes what is there before, settings of it.
SCENES = {
    "keep": Scene(SMALL.replace("KEEP", KEEP)),
    "branch": Scene(SMALL.replace(", KEEP", "") + BRANCH, first=("--until", "base"), trained=("base", "long", "more")),
    "longer": Scene(SMALL.replace("KEEP", KEEP), first=(), settings=("-s", "base.steps=70")),
    "mirror": Scene(SMALL.replace("KEEP", KEEP), mirror=True),
    "lost": Scene(SMALL.replace("KEEP", KEEP), mirror=True),
    "from": Scene(SMALL.replace("KEEP", KEEP), brings=True),
}


class Lost(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Lost(text)


class Harness:
    def __init__(self, build, scratch):
        self.retort, self.same = build / "retort", build / "tests/same_result"
        self.inject = build / "tests/libinject.so"
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="retort-faults-", dir=scratch))
        self.alone = self.scratch / "alone"
        self.log_of, self.parts = {}, {}
        self.lock = threading.Lock()
        self.scenes = {}
        self.n_resumed = self.n_fresh = 0
        for path in (self.retort, self.same, self.inject):
            if not path.exists():
                sys.exit(f"'{path}' is not there: build with -DRETORT_TESTS=ON, or name the folder with --build")

    def call(self, *args, results, env=None, timeout=300):
        full = [str(self.retort), *map(str, args), "--results", str(results)]
        return subprocess.run(full, capture_output=True, text=True, errors="replace", env={**os.environ, **OFTEN, **(env or {})},
                              timeout=timeout)

    def prepare(self):
        begin = time.monotonic()
        done = self.call("run", RECIPE, results=self.alone)
        if done.returncode:
            sys.exit(f"the undisturbed run failed:\n{done.stdout}{done.stderr}")
        print(f"undisturbed: {time.monotonic() - begin:.1f} s")
        plan = json.loads(self.call("plan", RECIPE, "--json", results=self.alone).stdout)["stages"]
        self.stages = {s["name"]: s for s in plan}
        self.order = [s["name"] for s in plan]
        for stage in self.order:
            if self.stages[stage]["kind"] in (*TRAINED, "eval"):
                self.prepare_part(stage)

    def prepare_part(self, stage):
        """Checkpoints of a stage to begin with: STAGE+part in the name of a case."""
        # Short trainings are cut off again until a checkpoint that is not the first is there, however slow the disk is.
        points = ["store.published:2"] if self.stages[stage]["kind"] == "eval" else [f"train.step:{k}" for k in (6, *8 * [9], 15, 22, 29)]
        results = self.place(stage, f"part-{stage}")
        for point in points:  # goes on from where it was
            done = self.call(*self.arguments(stage, results), results=results, env={"RETORT_FAULT": "stage/" + point, "RETORT_CHECKPOINT_SECONDS": "0"})
            if self.step_saved(stage, results):
                break
        check(self.step_saved(stage, results), f"there is no checkpoint of {stage}:\n{done.stdout}{done.stderr}")
        self.parts[stage] = [shutil.copy(p, self.scratch / p.name) for p in results.glob("store/*.part*.h5") if ".tmp" not in p.name]
        shutil.rmtree(results.parent)

    def scene(self, name):
        """A scene, prepared when it is first asked for: before, and what a run left alone makes of it."""
        with self.lock:
            s = self.scenes.get(name)
            if s:
                return s
            s = SCENES[name]
            s.folder = self.scratch / f"scene-{name}"
            s.folder.mkdir()
            s.recipe, s.before, s.alone = s.folder / "scene.yaml", s.folder / "before", s.folder / "alone"
            s.recipe.write_text(s.text)
            (s.before / "store").mkdir(parents=True)
            if s.first is not None:
                self.good("run", s.recipe, *s.first, results=s.before)
            if s.brings:  # what a machine that was lost had brought there
                env = {"RETORT_FAULT": "stage/train.step:25", "RETORT_MIRROR_WAIT": "0.1"}
                self.call("run", s.recipe, "-s", f"mirror={s.folder / 'mirror'}", results=s.folder / "gone", env=env)
                check(any(s.folder.glob("mirror/store/*.part@*.h5")), "the mirror has no checkpoint")
                check(any(s.folder.glob("mirror/store/*@10.h5")), "the mirror has no kept step")
            shutil.copytree(s.before, s.alone)
            self.good("run", s.recipe, *s.settings, results=s.alone)
            self.scenes[name] = s
            return s

    def good(self, *args, results, env=None):
        done = self.call(*args, results=results, env=env)
        check(done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def files_of(self, stage, results):
        """The results of a stage: one file, or those of a token stage."""
        if self.stages[stage]["kind"] != "tokens":
            return [results / f"store/{self.stages[stage]['kind']}-{self.stages[stage]['key'][:16]}.h5"]
        return sorted(results / "store" / name for name in self.token_files(stage))

    def token_files(self, stage):
        with self.lock:
            if ("tokens", stage) not in self.log_of:
                # What is missing without the stage's files is told by making them: a store of everything else.
                results = self.scratch / f"tokens-{stage}"
                shutil.copytree(self.alone, results)
                for path in results.glob("store/tokens-*.h5"):
                    path.unlink()
                for path in self.dependants(stage, results):
                    path.unlink(missing_ok=True)
                done = self.call("run", RECIPE, "--until", stage, results=results)
                check(done.returncode == 0, done.stdout + done.stderr)
                made = {p.name for p in results.glob("store/tokens-*.h5")}
                self.log_of["tokens", stage] = made
                shutil.rmtree(results)
            return self.log_of["tokens", stage]

    def dependants(self, stage, results):
        """Files of the stages after it that are no token files: whether they need it or not, they will not be looked at."""
        for name in self.order[self.order.index(stage):]:
            if self.stages[name]["kind"] != "tokens":
                yield results / f"store/{self.stages[name]['kind']}-{self.stages[name]['key'][:16]}.h5"

    def place(self, stage, name, with_part=False):
        """A store with everything but that stage and what comes after it."""
        root = self.scratch / name
        results = root / "results"
        (results / "store").mkdir(parents=True)
        gone = {p.name for p in self.dependants(stage, self.alone)}
        if self.stages[stage]["kind"] == "tokens":
            gone |= set(self.token_files(stage))
        for path in (self.alone / "store").glob("*.h5"):
            if path.name not in gone:
                shutil.copy(path, results / "store" / path.name)
        for path in self.parts[stage] if with_part else []:
            shutil.copy(path, results / "store")
        return results

    def begin(self, stage, name):
        if stage in SCENES:
            results = self.scratch / name / "results"
            shutil.copytree(self.scene(stage).before, results)
            if self.scene(stage).brings:
                shutil.copytree(self.scene(stage).folder / "mirror", results.with_name("mirror"))
            return stage, results
        stage, plus, _ = stage.partition("+")
        return stage, self.place(stage, name, bool(plus))

    def arguments(self, stage, results):
        if stage not in SCENES:
            return ("run", RECIPE, "--until", stage)
        s, mirror = self.scene(stage), results.with_name("mirror")
        more = ("-s", f"mirror={mirror}") if s.mirror else ("--from", mirror) if s.brings else ()
        return ("run", s.recipe, *s.settings, *more)

    def fault_env(self, results, who, call, at, what, by=""):
        folder = results.with_name("mirror") if who == "mirror" else results
        return {"LD_PRELOAD": str(self.inject), "FAULT_FOLDER": str(folder), "FAULT_WHO": who, "FAULT_CALL": call,
                "FAULT_AT": str(at), "FAULT_WHAT": what, "FAULT_BY": str(by)}

    def counted(self, stage, who, call):
        """How many such calls an undisturbed run of the stage makes: about, for checkpoints come by the clock."""
        stage = stage.partition("+")[0]
        logged = (stage, call == "memory", who == "mirror")
        with self.lock:
            known = self.log_of.get(logged)
        if known is None:
            stage, results = self.begin(stage, f"count-{stage}-{call}-{random.random()}")
            log = results.parent / "log"
            env = self.fault_env(results, who if who == "mirror" else "any", "memory" if call == "memory" else "any", 0, "none")
            self.call(*self.arguments(stage, results), results=results, env={**env, "FAULT_LOG": str(log)})
            lines = log.read_text().splitlines() if log.exists() else []
            shutil.rmtree(results.parent)
            with self.lock:
                known = self.log_of[logged] = [l.split(" ")[:2] for l in lines]
        if call == "memory":
            return len(known) // 2
        return sum(w == who and (call == "any" or c == call) for w, c, *_ in known)

    # What was broken is looked at, and run again.

    def state(self, stage, results):
        done = self.call("plan", RECIPE, "--json", results=results)
        check(done.returncode == 0, "plan failed:\n" + done.stdout + done.stderr)
        return {s["name"]: s for s in json.loads(done.stdout)["stages"]}[stage]

    def step_saved(self, stage, results):
        """Where the newest checkpoint stands; None: there is none; 0: it says nothing."""
        state = self.state(stage, results)
        if state["state"] != "resume":
            return None
        found = [re.search(r"saved at step (\d+)", r["new"] or "") for r in state["reasons"]]
        return max([int(m.group(1)) for m in found if m], default=0)

    def nothing_damaged(self, results):
        done = self.call("ls", "--check", results=results)
        check(done.returncode == 0, "a file is damaged:\n" + done.stdout + done.stderr)

    def nothing_left(self, results):
        """But for the text of a lock that nobody holds."""
        left = [p.name for p in results.glob("store/*") if any(l in p.name for l in LEFT) and not p.name.endswith(".lock")]
        check(not left, f"left behind: {left}")

    def same_as_alone(self, stage, results):
        resumed = []
        for path in self.files_of(stage, results):
            check(path.exists(), f"'{path}' is not there")
            done = subprocess.run([self.same, self.alone / "store" / path.name, path], capture_output=True, text=True)
            check(done.returncode == 0, f"{path.name} is another: {done.stdout}{done.stderr}")
            resumed += [int(n) for n in re.findall(r"resumed at (\d+)", done.stdout)]
        return resumed

    # The same of scenes.

    def steps_saved(self, s, results):
        """Where the trainings of a scene would go on from: name to step, of those that would."""
        plan = json.loads(self.good("plan", s.recipe, *s.settings, "--json", results=results))["stages"]
        found = {p["name"]: [re.search(r"saved at step (\d+)", r["new"] or "") for r in p["reasons"]]
                 for p in plan if p["name"] in s.trained and p["state"] == "resume"}
        return {name: int(m.group(1)) for name, all in found.items() for m in all if m}

    def mirror_whole(self, mirror, results):
        """Whatever has a name in a mirror is whole, and what it says; half-written files have other names."""
        if not mirror.exists():
            return
        shown = results.with_name("shown")  # a results folder with the same files, checkpoints under names that `ls --check` reads
        (shown / "store").mkdir(parents=True)
        for path in mirror.glob("store/*.h5"):
            shutil.copy(path, shown / "store" / path.name.replace(".part@", "@"))
        if (mirror / "runs").exists():
            shutil.copytree(mirror / "runs", shown / "runs")
        text = self.good("ls", "--check", results=shown)
        check(" 0 damaged" in text, text)
        shutil.rmtree(shown)

    def mirror_complete(self, mirror, results):
        """All that is kept here is there, byte for byte, with its note; nothing is left of copies that were cut off."""
        here = {f"store/{p.name}": p for p in results.glob("store/*.h5") if not p.name.startswith("tokens")}
        here |= {f"runs/scene/{p.name}": p for p in results.glob("runs/scene/[0-9][0-9][0-9][0-9].h5") if p.stat().st_size}
        there = {str(p.relative_to(mirror)) for p in mirror.rglob("*") if p.is_file()}
        check(there == {*here, *[n + ".sha256" for n in here]}, f"the mirror has {sorted(there)}, and here is {sorted(here)}")
        for name, path in here.items():
            data = path.read_bytes()
            check((mirror / name).read_bytes() == data, f"the mirror's '{name}' is another")
            check(hashlib.sha256(data).hexdigest() in (mirror / (name + ".sha256")).read_text(), f"the note of '{name}' is of another")

    def scene_again(self, name, results):
        """The same command, undisturbed; in "lost" on an empty machine, from what the mirror has."""
        s, mirror = self.scene(name), results.with_name("mirror")
        more = ()
        if s.mirror:
            self.mirror_whole(mirror, results)
        if name == "lost":
            shutil.rmtree(results)
            (mirror / "store").mkdir(parents=True, exist_ok=True)
            more = ("--from", mirror)
            base = self.base_of(s)
            parts = [int(m[1]) for p in mirror.glob("store/*") if (m := re.fullmatch(re.escape(base[:-3]) + r"\.part@(\d+)\.h5", p.name))]
            done = (mirror / "store" / base).exists()
            saved = {"base": max(parts)} if parts and not done else {}
        else:
            saved = self.steps_saved(s, results)
        done = self.call(*self.arguments(name, results), *more, results=results)
        text = done.stdout + done.stderr
        check(done.returncode == 0, f"run again, it ended with {done.returncode}:\n{text}")
        for stage, step in saved.items():
            found = [int(n) for n in re.findall(rf"\b{stage}: resuming at step (\d+)", text)]
            made = "made meanwhile by another run" in text or "nothing to do" in text
            check(made or (found and max(found) >= step), f"a checkpoint of {stage} at step {step} was there, and it began anew:\n{text}")
        with self.lock:
            self.n_resumed += bool(saved)
            self.n_fresh += not saved
        files = {p.name for p in results.glob("store/*.h5")}
        wanted = {p.name for p in s.alone.glob("store/*.h5")}
        if s.brings or name == "lost":  # they are no part of a mirror, and made where they are needed
            wanted -= {w for w in wanted if w.startswith("tokens-")} - files
        check(files == wanted, f"missing: {sorted(wanted - files)}, too many: {sorted(files - wanted)}\n{text}")
        for file in sorted(files):
            done = subprocess.run([self.same, s.alone / "store" / file, results / "store" / file], capture_output=True, text=True)
            check(done.returncode == 0, f"{file} is another: {done.stdout}{done.stderr}")
        self.nothing_left(results)
        self.nothing_damaged(results)
        if s.mirror:
            self.mirror_complete(mirror, results)

    def base_of(self, s):
        plan = json.loads(self.good("plan", s.recipe, *s.settings, "--json", results=s.alone))["stages"]
        return next(f"pretrain-{p['key'][:16]}.h5" for p in plan if p["name"] == "base")

    def again(self, stage, results):
        """The same command, undisturbed: goes on from what is there, ends well, leaves nothing behind."""
        if stage in SCENES:
            return self.scene_again(stage, results)
        whole = all(p.exists() for p in self.files_of(stage, results))
        saved = None if whole else self.step_saved(stage, results)
        done = self.call(*self.arguments(stage, results), results=results)
        text = done.stdout + done.stderr
        check(done.returncode == 0, f"run again, it ended with {done.returncode}:\n{text}")
        if whole:
            check("nothing to do" in text, "it was done, and was done again:\n" + text)
        resumed = self.same_as_alone(stage, results)
        if saved is not None:
            found = [int(n) for n in re.findall(rf"{re.escape(stage)}: resuming at step (\d+)", text)]
            made = "made meanwhile by another run" in text or "nothing to do" in text  # by the stage that had lost its runner
            check(made or (found and found[-1] >= saved) or "resuming from a checkpoint" in text,
                  f"a checkpoint of step {saved} was there, and it began anew:\n{text}")
            if not made and self.stages[stage]["kind"] in TRAINED:
                check(resumed and resumed[-1] >= saved, f"its events do not say that it went on from step {saved}: {resumed}")
            with self.lock:
                self.n_resumed += bool(made or found)
        else:
            with self.lock:
                self.n_fresh += 1
        self.nothing_left(results)
        self.nothing_damaged(results)

    def ends_with_reason(self, done, results):
        """It ended well; or not well, and says why and what to do."""
        text = done.stdout + done.stderr
        check(done.returncode in (0, 1, 3, 75), f"ended with {done.returncode}:\n{text}")
        if done.returncode in (1, 3):
            check("error: " in text, f"ended with {done.returncode} and no error:\n{text}")
            check("fix: " in text, "the error does not say what to do:\n" + text)
        check("crashed" not in text, "it crashed:\n" + text)

    # The kinds of cases.

    def kill(self, name, who, call, at, stage):
        """kill:WHO:CALL:N:STAGE: SIGKILL before (killed: after) the n-th system call of that kind."""
        stage, results = self.begin(stage, name)
        what = "killed" if name.startswith("killed") else "kill"
        done = self.call(*self.arguments(stage, results), results=results, env=self.fault_env(results, who, call, at, what))
        self.after_kill(done, who, stage, results)
        return results

    def after_kill(self, done, who, stage, results):
        text = done.stdout + done.stderr
        if who == "stage" and done.returncode:
            check(done.returncode == 1 and "crashed: signal 9" in text and "fix: " in text, f"exit {done.returncode}:\n{text}")
        elif who == "runner":
            check(done.returncode in (0, -signal.SIGKILL), f"exit {done.returncode}:\n{text}")
        elif who == "mirror":
            check(done.returncode == 0, f"a mirror that dies stops nothing, and the run ended with {done.returncode}:\n{text}")
        self.nothing_damaged(results)
        self.again(stage, results)

    def point(self, name, point, stage):
        """point:WHO/NAME-N:STAGE: SIGKILL at the n-th passing of a named point of the program."""
        stage, results = self.begin(stage, name)
        who, n = point.split("/")[0], point.rpartition("-")
        done = self.call(*self.arguments(stage, results), results=results, env={"RETORT_FAULT": f"{n[0]}:{n[2]}"})
        self.after_kill(done, who, stage, results)
        return results

    def moment(self, name, who, after, stage):
        """moment:WHO:SECONDS:STAGE: SIGKILL of runner, stage, mirror or all (both) at some moment."""
        stage, results = self.begin(stage, name)
        out = open(results.parent / "out", "w+")
        runner = subprocess.Popen([self.retort, *map(str, self.arguments(stage, results)), "--results", results], stdout=out,
                                  stderr=subprocess.STDOUT, env={**os.environ, **OFTEN})
        end = time.monotonic() + float(after)
        while time.monotonic() < end and runner.poll() is None:
            time.sleep(0.001)
        stages = children(runner.pid, who) if runner.poll() is None else []
        if who == "both" and stages:  # the runner first, held, so that it tells of nothing
            os.kill(runner.pid, signal.SIGSTOP)
        for pid in stages if who != "runner" else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if who in ("runner", "both") and runner.poll() is None:
            runner.kill()
        runner.wait(timeout=120)
        out.seek(0)
        self.after_moment(runner.returncode, out.read())
        self.again(stage, results)
        return results

    @staticmethod
    def after_moment(status, text):
        check(status in (0, 1, -signal.SIGKILL), f"exit {status}:\n{text}")
        check(status != 1 or "fix: " in text, text)

    def fault(self, name, who, call, at, what, stage):
        """fault:WHO:CALL:N[+]:WHAT:STAGE: the n-th call (and all after it) fails; short: writes half."""
        stage, results = self.begin(stage, name)
        done = self.call(*self.arguments(stage, results), results=results, env=self.fault_env(results, who, call, at, what))
        away = results.with_name("results.away")
        if what == "vanish":
            if away.exists():
                begun = any(away.glob("runs/micro/*.h5"))  # before, a folder that is not there is one to be made
                check(done.returncode == 3 or not begun, f"the folder went, and the run ended with {done.returncode}")
                self.ends_with_reason(done, results)
                if results.exists() and not begun:
                    shutil.rmtree(results)
                elif results.exists():
                    left = [p for p in results.rglob("*") if p.is_file()]
                    check(not left, f"the folder was made anew: {left}")
                    shutil.rmtree(results)
                away.rename(results)
        else:
            self.ends_with_reason(done, results)
            if what == "short":
                check(done.returncode == 0, "a short write is no failure:\n" + done.stdout + done.stderr)
        self.nothing_damaged(results)
        self.again(stage, results)
        return results

    def memory(self, name, who, at, stage):
        """memory:WHO:N[+]:STAGE: the n-th time that the program asks for memory it gets none."""
        stage, results = self.begin(stage, name)
        done = self.call(*self.arguments(stage, results), results=results, env=self.fault_env(results, who, "memory", at, "ENOMEM"))
        self.ends_with_reason(done, results)
        self.nothing_damaged(results)
        self.again(stage, results)
        return results

    def clock(self, name, who, at, by, stage):
        """clock:WHO:N:SECONDS:STAGE: from the n-th look at the clock on it is so much later."""
        stage, results = self.begin(stage, name)
        done = self.call(*self.arguments(stage, results), results=results, env=self.fault_env(results, who, "clock", at, "clock", by))
        check(done.returncode == 0, f"the clock jumped, and the run ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        self.same_as_alone(stage, results)
        self.nothing_damaged(results)
        return results

    def two(self, name, who, after, stage):
        """two:WHO:SECONDS:STAGE: two runs of different names make the same stage, and of one runner or stage is killed."""
        stage, results = self.begin(stage, name)
        other = results.parent / "other.yaml"
        text = RECIPE.read_text().replace("../../recipes", str(SOURCE / "recipes")).replace("../fixtures", str(SOURCE / "tests/fixtures"))
        other.write_text(text.replace("name: micro", "name: other"))
        runs = []
        for recipe in (RECIPE, other):
            out = open(results.parent / f"out-{recipe.stem}", "w+")
            runs.append((subprocess.Popen([self.retort, "run", recipe, "--until", stage, "--results", results], stdout=out,
                                          stderr=subprocess.STDOUT, env={**os.environ, **OFTEN}), out))
        time.sleep(float(after))
        victim = runs[0][0]
        pids = children(victim.pid, who) if who == "stage" else [victim.pid]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for i, (process, out) in enumerate(runs):
            process.wait(timeout=120)
            out.seek(0)
            text = out.read()
            if i == 0:
                self.after_moment(process.returncode, text)
            else:
                check(process.returncode == 0, f"the other run ended with {process.returncode}:\n{text}")
        self.again(stage, results)
        return results

    def run(self, case):
        kind, *parts = case.split(":")
        folder = re.sub(r"[^a-z0-9]+", "-", case.lower()) + f"-{time.monotonic_ns() % 10**9}"
        kinds = {"kill": self.kill, "killed": self.kill, "point": self.point, "moment": self.moment, "fault": self.fault,
                 "memory": self.memory, "clock": self.clock, "two": self.two}
        results = kinds[kind](kind + "-" + folder, *parts)
        shutil.rmtree(results.parent, ignore_errors=True)


def children(pid, who):
    """Stages of a runner, or its mirror; with `both` all that it started."""
    found = []
    try:
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if who == "both" or (len(words) > 1 and words[1] == b"_" + who.encode()):
                found.append(int(child))
    except OSError:
        pass
    return found


def points():
    """The named points of the program, read from its source."""
    found = set()
    for folder in ("core", "runner"):
        for path in (SOURCE / folder).rglob("*.c"):
            found |= set(re.findall(r'\bpoint\("([a-z_.]+)"\)', path.read_text()))
    return sorted(found)


def who_passes(point, rng):
    """The process that passes a point; what a mirror's process passes is the matter of scenes."""
    if point == "mirror.brought" or point.startswith("runner."):
        return "runner"
    return "mirror" if point.startswith(("mirror.", "remote.")) else rng.choice(["stage", "stage", "runner"])


def scene_kill(h, rng, name, turn):
    """A kill in a scene: at a named point, at a system call, at some moment, in turns."""
    s = SCENES[name]
    who = rng.choice(["stage", "runner"] + 2 * ["mirror"] * s.mirror) if not s.brings else rng.choice(["runner", "runner", "stage"])
    if turn == 0:
        of_mirrors = ("mirror.put", "mirror.noted", "mirror.tidied", "remote.copied", "atomic.renamed")
        fit = [p for p in points() if (p in of_mirrors if who == "mirror" else p == "mirror.brought" if s.brings and who == "runner" else
                                       p not in of_mirrors and who_passes(p, rng) == who)]
        return f"point:{who}/{rng.choice(fit)}-{rng.randint(1, 9)}:{name}"
    if turn == 1:
        return f"moment:{rng.choice(['both', who])}:{rng.uniform(0.02, 0.9):.3f}:{name}"
    return f"{rng.choice(['kill', 'killed'])}:{who}:any:{rng.randint(1, max(1, h.counted(name, who, 'any')))}:{name}"


# What each scene is there for, first of all.
SCENE_POINTS = ("stage/train.kept-1:keep", "stage/store.published-2:keep", "stage/train.kept-1:branch", "stage/store.aside-2:longer",
                "mirror/mirror.put-2:mirror", "mirror/remote.copied-3:mirror", "mirror/mirror.noted-2:lost", "mirror/mirror.tidied-2:lost",
                "runner/mirror.brought-2:from")


def weighted(h):
    """Stages with checkpoints more often than others."""
    many = {"pretrain": 5, "finetune": 5, "grpo": 5, "eval": 3, "tokenizer": 2, "tokens": 1, "import": 1}
    return [s + plus for s in h.order for i in range(many.get(h.stages[s]["kind"], 1)) for plus in ["+part" if i % 2 and s in h.parts else ""]]


def kills(h, rng, n):
    """Every named point first, then system calls and moments, in turns."""
    cases = []
    stages = weighted(h)
    trained = [s for s in stages if h.stages[s.partition("+")[0]]["kind"] in TRAINED]
    everywhere = [p for p in points() if not p.startswith(("mirror.", "remote."))]
    for point in everywhere:
        who = "runner" if point.startswith("runner.") else "stage"
        needs_training = point.startswith(("train.", "checkpoint.", "store.aside"))
        cases += [f"point:{who}/{point}-{k}:{rng.choice(trained if needs_training else stages)}" for k in (1, rng.randint(2, 6))]
    cases += ["point:" + p for p in SCENE_POINTS]
    while len(cases) < n:
        stage = rng.choice(stages)
        turn = len(cases) % 6
        if turn == 0:
            cases.append(f"moment:{rng.choice(['stage', 'runner', 'both'])}:{rng.uniform(0.02, 0.9):.3f}:{stage}")
        elif turn == 1:
            cases.append(f"two:{rng.choice(['stage', 'runner'])}:{rng.uniform(0.02, 0.6):.3f}:{stage}")
        elif turn == 2:
            point = rng.choice(everywhere)
            cases.append(f"point:{who_passes(point, rng)}/{point}-{rng.randint(1, 12)}:{stage}")
        elif turn == 3:
            cases.append(scene_kill(h, rng, rng.choice(list(SCENES)), len(cases) // 6 % 3))
        else:
            who = rng.choice(["stage", "stage", "runner"])
            at = rng.randint(1, max(1, h.counted(stage, who, "any")))
            cases.append(f"{rng.choice(['kill', 'killed'])}:{who}:any:{at}:{stage}")
    return cases[:n]


def faults(h, rng, n):
    """Each kind of call with each error, one time and from then on; then memory, clock and folders."""
    cases = []
    stages = weighted(h)

    def one(who, call, what, every):
        stage = rng.choice(stages)
        most = max(1, h.counted(stage, who, call))
        return f"fault:{who}:{call}:{rng.randint(1, most)}{'+' if every else ''}:{what}:{stage}"

    for call in CALLS:
        for what in ERRORS if call not in ("unlink", "mkdir", "ftruncate") else ("EIO",):
            cases.append(one(rng.choice(["stage", "runner"]), call, what, rng.random() < 0.3))
    for call in ("write", "pwrite"):
        cases += [one("stage", call, "short", True), one("runner", call, "short", True), one("stage", call, "short", False)]
    cases += [one(who, "any", "vanish", False) for who in ("stage", "stage", "runner", "runner")]
    cases += [one(who, "any", "EROFS", True) for who in ("stage", "runner", "any")]
    for _ in range(10):
        stage, who = rng.choice(stages), rng.choice(["stage", "runner"])
        cases.append(f"memory:{who}:{rng.randint(1, max(1, h.counted(stage, who, 'memory')))}{rng.choice(['', '+'])}:{stage}")
    for by in (-86400, 3600, 3e8):
        cases.append(f"clock:{rng.choice(['stage', 'runner', 'any'])}:{rng.randint(1, 40)}:{by:.0f}:{rng.choice(stages)}")
    rng.shuffle(cases)
    while len(cases) < n:
        turn = len(cases) % 6
        stage, who = rng.choice(stages), rng.choice(["stage", "runner"])
        if turn < 3:
            cases.append(one(who, rng.choice(CALLS), rng.choice(ERRORS), rng.random() < 0.3))
        elif turn == 3:
            cases.append(one(who, "any", rng.choice(["vanish", "EROFS", "EIO", "ENOSPC"]), rng.random() < 0.5))
        elif turn == 4:
            cases.append(f"memory:{who}:{rng.randint(1, max(1, h.counted(stage, who, 'memory')))}{rng.choice(['', '+'])}:{stage}")
        else:
            cases.append(f"clock:{who}:{rng.randint(1, 60)}:{rng.choice([-1e6, -60, 60, 1e6]):.0f}:{stage}")
    return cases[:n]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", help="where retort was built with tests")
    a.add_argument("--kills", type=int, help="how many kills; with it alone no faults")
    a.add_argument("--faults", type=int, help="how many faults; with it alone no kills")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--only", help="kills of these scenes alone, commas between")
    a.add_argument("--case", action="append", help="this case alone; may be given several times")
    a.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="cases at a time")
    a.add_argument("--scratch", help="a folder for what is made meanwhile")
    a.add_argument("--keep", action="store_true", help="leaves what failed where it is")
    o = a.parse_args()
    h = Harness(o.build.resolve(), o.scratch)
    h.prepare()
    rng = random.Random(o.seed)
    given = o.kills is not None or o.faults is not None
    n_kills, n_faults = (o.kills or 0, o.faults or 0) if given else (90, 90)
    if o.only:
        names = o.only.split(",")
        cases = [scene_kill(h, rng, names[i % len(names)], i // len(names) % 3) for i in range(n_kills)]
    else:
        cases = o.case or kills(h, rng, n_kills) + faults(h, rng, n_faults)
    print(f"seed {o.seed}: {len(cases)} cases, {o.jobs} at a time", flush=True)
    failed, begin = [], time.monotonic()

    def run(case):
        try:
            h.run(case)
            return None
        except Lost as e:
            return str(e)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as e:
            return f"{type(e).__name__}: {e}"

    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for i, (case, why) in enumerate(zip(cases, pool.map(run, cases)), 1):
            if why:
                failed.append(case)
                print(f"\nFAILED {case}\n  {why.strip()[:3000]}\n  python3 tests/faults/run.py --case '{case}'\n", flush=True)
            elif i % 50 == 0:
                print(f"{i} of {len(cases)}, {time.monotonic() - begin:.0f} s", flush=True)
    print(f"{len(cases) - len(failed)} of {len(cases)} good, {len(failed)} lost something; {h.n_resumed} went on from a checkpoint, "
          f"{h.n_fresh} from the beginning; {time.monotonic() - begin:.0f} s; seed {o.seed}")
    for case in failed:
        print(f"  python3 tests/faults/run.py --case '{case}'")
    if not (failed and o.keep):
        shutil.rmtree(h.scratch, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
