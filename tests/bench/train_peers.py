#!/usr/bin/env python3
"""Whole training steps beside PyTorch's on this machine, in turns: tokens a second and how many times as fast we are.

    python3 tests/bench/train_peers.py build/retort [--depth 4] [--vocab 8192] [--seq 512] [--tokens 8192] [--rounds 3] [--no-compile]

The peer is the model and optimizer of tests/parity/nanochat_torch.py with as many threads, eager and, where it works, compiled (its first
step takes a minute or two), and with memory that is kept instead of given back, which makes it faster. Each step is forward, backward,
clipping, optimizer, and zeroing the gradients, on random tokens. Turns take about SECONDS each; a machine that others use makes
steps slower and never faster, so the best of each is compared, and the medians beside it. Status 77 where torch is missing.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
SECONDS = 20.0

RECIPE = """retort: 1
name: peers
nanochat: {year}
seed: 1
sources:
  text: {{text: [text.txt], validate: none}}
stages:
  tokenizer: {{kind: tokenizer, source: text, vocab: {vocab}}}
  base: {{kind: pretrain, tokenizer: tokenizer, source: text, depth: {depth}, seq_len: {seq}, batch_tokens: {tokens}, device_batch: 16, steps: 1}}
"""


def serve(args, compiled):
    """The peer's process: a line on standard input asks for a turn, a line of JSON with the seconds of its steps answers."""
    sys.path.insert(0, os.path.join(HERE, "..", "parity"))
    import torch
    from nanochat_torch import Config, Model, Optimizer

    torch.set_num_threads(args.threads)
    model = Model(Config.of(args.year, args.depth, args.vocab, args.seq))
    optimizer = Optimizer(model)
    run = torch.compile(model, dynamic=False) if compiled else model
    rows = args.tokens // args.seq
    parts = 4 if args.vocab > 16384 and rows % 4 == 0 else 1  # whole logits of 16 rows of many words would not fit
    tokens = torch.randint(args.vocab, (parts, rows // parts, args.seq + 1))

    def step(number):
        begin = time.perf_counter()
        for part in tokens:
            (run(part[:, :-1], part[:, 1:]).mean() / parts).backward()
        optimizer.clip(1.0)
        optimizer.step(number, 1.0, 0.9)
        model.zero_grad(set_to_none=False)
        return time.perf_counter() - begin

    step(0)
    step(1)
    print(json.dumps([]), flush=True)
    number = 2
    for _ in sys.stdin:
        times = []
        while not times or sum(times) < SECONDS:
            times.append(step(number))
            number += 1
        print(json.dumps(times), flush=True)


class Peer:
    def __init__(self, args, compiled):
        self.name = "PyTorch, compiled" if compiled else "PyTorch, eager"
        words = [sys.executable, __file__, "--serve", "compiled" if compiled else "eager", "--threads", str(args.threads)]
        for name in ("depth", "vocab", "seq", "tokens", "year"):
            words += [f"--{name}", str(getattr(args, name))]
        self.process = subprocess.Popen(
            [*words, args.retort], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **KEPT}
        )
        self.best, self.medians = float("inf"), []
        self.works = self.answer() is not None

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def turn(self):
        self.process.stdin.write("turn\n")
        self.process.stdin.flush()
        times = self.answer()
        self.best = min(self.best, *times)
        self.medians.append(statistics.median(times))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    name = "retort"

    def __init__(self, args):
        self.retort, self.folder = os.path.abspath(args.retort), tempfile.TemporaryDirectory()
        self.recipe = os.path.join(self.folder.name, "peers.yaml")
        with open(self.recipe, "w") as f:
            f.write(RECIPE.format(**vars(args)))
        with open(os.path.join(self.folder.name, "text.txt"), "w") as f:
            f.write("some text\n")
        self.best, self.medians, self.told = float("inf"), [], None

    def turn(self):
        done = subprocess.run([self.retort, "bench", "train", self.recipe, "--json"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        self.told = json.loads(done.stdout)
        training = self.told["trainings"][0]
        self.best = min(self.best, training["seconds"])
        self.medians.append(training["seconds_median"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("retort")
    for name, value in (("depth", 4), ("vocab", 8192), ("seq", 512), ("tokens", 8192), ("rounds", 3), ("year", 2025)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--serve", choices=("eager", "compiled"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args, args.serve == "compiled")
    try:
        import torch
    except ImportError:
        print("skipped: torch is missing")
        sys.exit(77)
    ours, peers = Ours(args), [Peer(args, False)] + ([] if args.no_compile else [Peer(args, True)])
    for peer in peers:
        if not peer.works:
            print(f"{peer.name}: does not work here")
    peers = [peer for peer in peers if peer.works]
    loads = []
    for turn in range(args.rounds):
        for each in (ours, *peers):
            each.turn()
            loads.append(os.getloadavg()[0])
            print(f"turn {turn + 1}: {each.name:18} {args.tokens / each.medians[-1]:8.0f} tok/s", file=sys.stderr, flush=True)
    print(f"depth {args.depth}, vocabulary {args.vocab}, {args.seq} tokens a row, {args.tokens} a step, {args.threads} threads, "
          f"{ours.told['isa']}, torch {torch.__version__}, load average {min(loads):.1f} to {max(loads):.1f}")
    print(f"{'':20} {'tok/s':>8} {'median':>8} {'ours is':>9} {'by medians':>11}")
    for each in (ours, *peers):
        median = statistics.median(each.medians)
        own = statistics.median(ours.medians)
        ratios = "" if each is ours else f" {each.best / ours.best:8.2f}x {median / own:10.2f}x"
        print(f"{each.name:20} {args.tokens / each.best:8.0f} {args.tokens / median:8.0f}{ratios}")
    for peer in peers:
        peer.close()


if __name__ == "__main__":
    main()
