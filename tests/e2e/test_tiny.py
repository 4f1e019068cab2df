#!/usr/bin/env python3
"""recipes/tiny.yaml whole: the base model writes sentences of its world and beats an n-gram model on held-out text; fine-tuning and
practice make it better at word problems it has not seen.

    test_tiny.py RETORT SAMPLES_DUMP SOURCE_FOLDER

Of 200 sampled sentences at least 80 % must be sentences of the world with known names (needs PyYAML, else skipped); bits per byte must be
below those of an interpolated Kneser-Ney 5-gram counted on the same rows (needs numpy and h5py, else only said). Of the word problems,
500 held out, the fine-tuned model must solve half, and practice by GRPO at least 5 points more.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

RETORT, DUMP, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
PARITY = SOURCE / "tests/parity"


def program(*args, **more):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, **more)


def main():
    try:
        import yaml  # noqa: F401
    except ImportError as missing:
        print(f"skipped: {missing}")
        return 77
    with tempfile.TemporaryDirectory(prefix="retort-tiny-") as folder:
        run = program(RETORT, "run", SOURCE / "recipes/tiny.yaml", "--results", folder)
        print(run.stdout[-1500:], run.stderr[-1500:])
        if run.returncode:
            return 1
        store = pathlib.Path(folder) / "store"
        model = next(store.glob("pretrain-*.h5"))
        text = program(DUMP, model, check=True).stdout
        sentences = re.findall(r"[^.!?]*[.!?]+\"?\s*", text)
        checked = program(sys.executable, PARITY / "check_world.py", SOURCE / "recipes/worlds/town.yaml", input="".join(sentences[:200]),
                          check=True).stdout
        print(checked)
        verdict = json.loads(checked)
        if verdict["sentences"] < 150 or verdict["known"] < 0.8:
            print("too few of the sentences are the world's")
            return 1
        scores = json.loads(program(RETORT, "report", "tiny", "--results", folder, "--json", check=True).stdout)["scores"]
        solved = {s["model"]: s["value"] for s in scores if s["score"].startswith("town_sums")}
        print(solved)
        if solved["sft"] < 0.5 or solved["rl"] < solved["sft"] + 0.05:
            print("it learned too little about sums")
            return 1
        peer = program(sys.executable, PARITY / "kneser_ney.py", model)
        print(peer.stdout, peer.stderr)
        if peer.returncode:
            return 0 if peer.returncode == 77 else 1
        figures = json.loads(peer.stdout)
        return 0 if figures["model_bpb"] < min(figures["kn5_bpb"], figures["modified_kn5_bpb"]) else 1


if __name__ == "__main__":
    sys.exit(main())
