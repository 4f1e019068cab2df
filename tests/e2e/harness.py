"""What the tests of the whole binary share: calling it, waiting for it, killing it, comparing bits.

The command line of each test is  test_x.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]
"""
import contextlib
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

RETORT, SAME, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
MICRO = SOURCE / "tests/e2e/base.yaml"


def call(*args, results=None, check=None, env=None, cwd=None):
    full = [str(RETORT), *map(str, args)]
    if results:
        full += ["--results", str(results)]
    done = subprocess.run(full, capture_output=True, text=True, env={**os.environ, **(env or {})}, cwd=cwd, timeout=300)
    if check is not None and done.returncode != check:
        raise AssertionError(f"{' '.join(full)}: exit {done.returncode}, wanted {check}\n{done.stdout}\n{done.stderr}")
    return done


def terminal(*args, results, cwd=None):
    """What someone sees, both ends being a terminal: the exit status and the text."""
    master, slave = pty.openpty()
    done = subprocess.Popen([str(RETORT), *map(str, args), "--results", str(results)], stdin=slave, stdout=slave, stderr=slave, cwd=cwd)
    os.close(slave)
    out = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        out += part
    os.close(master)
    return done.wait(timeout=60), out.replace(b"\r\n", b"\n").decode()


def text_of(recipe=MICRO):
    """A recipe of this folder, to be written elsewhere: what it names beside itself is named by its whole path."""
    return recipe.read_text().replace("../../recipes", str(SOURCE / "recipes"))


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="retort-e2e-"))
        self.results = self.folder / "results"

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def plan(self, recipe=MICRO, *more):
        out = call("plan", recipe, "--json", *more, results=self.results, check=0).stdout
        return {s["name"]: s for s in json.loads(out)["stages"]}

    def result(self, kind, results=None):
        found = [p for p in (results or self.results).glob(f"store/{kind}-*.h5") if ".part" not in p.name and ".tmp" not in p.name]
        self.assertEqual(len(found), 1, f"{kind}: {found}")
        return found[0]

    def assertSame(self, a, b):
        done = subprocess.run([SAME, a, b], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Once(Folder):
    """Tests that start from what make_once() puts into the folder `made`."""

    @classmethod
    def setUpClass(cls):
        cls.made = pathlib.Path(tempfile.mkdtemp(prefix="retort-once-"))
        cls.addClassCleanup(shutil.rmtree, cls.made, ignore_errors=True)
        cls.make_once()


class Alone(Once):
    """Tests that start from one whole run of RECIPE."""

    RECIPE, ASKED = MICRO, ()

    @classmethod
    def make_once(cls):
        cls.alone = cls.made / "alone"
        cls.first = call("run", cls.RECIPE, *cls.ASKED, results=cls.alone, check=0)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.005)


def children(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(p) for p in text.split()]


def kill_all(pids, signal_number=signal.SIGKILL):
    """Those that have ended by themselves meanwhile are no matter."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)


def kill_in_stage(runner, results, kind, step, signal_number=signal.SIGKILL):
    """Kills a run in the stage of that kind, once it has a checkpoint and is at that step; False: it was over before."""
    wait_for(lambda: (live_step(results, kind) >= step and any(results.glob(f"store/{kind}-*.part.h5"))) or runner.poll() is not None)
    stages = children(runner.pid)
    if runner.poll() is not None or not stages:
        runner.communicate()
        return False
    kill_all(stages, signal_number)
    runner.kill()
    runner.communicate(timeout=60)
    return any(results.glob(f"store/{kind}-*.part.h5"))  # else it had ended at that very moment


def in_time(results, attempt):
    """Calls attempt() until it says that it broke a run before that had ended; each time the results are as they were at first."""
    with tempfile.TemporaryDirectory(prefix="retort-e2e-") as folder:
        before = pathlib.Path(folder) / "before"
        if results.exists():
            shutil.copytree(results, before)
        for _ in range(6):
            if attempt():
                return
            shutil.rmtree(results)
            if before.exists():
                shutil.copytree(before, results)
    raise AssertionError("the run was always over before it could be broken")


def live_step(results, kind):
    """The newest step of a running stage of that kind, or -1."""
    for path in results.glob(f"store/{kind}-*.live"):
        try:
            steps = re.findall(r'"step":(\d+)', path.read_text())
        except OSError:
            continue
        if steps:
            return int(steps[-1])
    return -1
