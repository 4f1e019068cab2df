#!/usr/bin/env python3
"""CORE by the reference's algorithm, written plainly from its description: the same verdict, example for example.

    python3 tests/parity/test_core.py RETORT DATA [EXAMPLES]

DATA has the eval bundle (eval_bundle/core.yaml, eval_data) and pretrain/*.parquet. A small model is trained and evaluated by RETORT; its
weights and its vocabulary then go into PyTorch and tiktoken, each prompt goes through the model by itself, whole, and what the two say of
each example is compared. Where the margin is below 1e-5 nats rounding may decide: those are counted. A second model has so few positions
that prompts are cut. So small a model predicts no answer of CORE; a suite of its own asks it for what PyTorch finds likeliest, and for what
is nearly that. Status 77 where the data or a peer is missing.
"""
import glob
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["OMP_WAIT_POLICY"] = "passive"

try:
    import h5py
    import tiktoken
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from nanochat_torch import Config, Model

MARGIN = 1e-5
RECIPE = """
retort: 1
name: parity
seed: 3
sources:
  web: {parquet: "%s", column: text, validate: none}
stages:
  tokenizer: {kind: tokenizer, source: web, vocab: 1536, chars: 3M}
  base: {kind: pretrain, tokenizer: tokenizer, source: web, n_layer: 2, n_embd: 48, n_head: 3, n_kv_head: 3, head_dim: 16, n_mlp: 192,
         seq_len: 1024, batch_tokens: 4096, device_batch: 4, steps: 16, eval_every: 0}
  short: {kind: pretrain, tokenizer: tokenizer, source: web, n_layer: 1, n_embd: 32, n_head: 1, n_kv_head: 1, head_dim: 32, n_mlp: 64,
          seq_len: 64, batch_tokens: 1024, steps: 20, eval_every: 0}
  whole: {kind: eval, model: base, suites: [core], examples: %d}
  cut: {kind: eval, model: short, suites: [core], examples: 12}
  own: {kind: eval, model: base, suites: [own]}
"""
OWN = """
suite:
  - {task: greedy, source: {jsonl: "%s/greedy.jsonl"}, fields: {question: context, answer: continuation}, delimiter: "",
     grader: exact_greedy}
"""


# --- the tasks of the bundle ----------------------------------------------------------------------------------------------------------


def read_tasks(bundle):
    """core.yaml, which is a list of flat maps; and the rows of each task."""
    tasks, task = [], None
    for line in (bundle / "core.yaml").read_text().splitlines():
        if line.strip() == "-":
            task = {"continuation_delimiter": " "}
            tasks.append(task)
        elif task is not None and ":" in line:
            key, value = (part.strip() for part in line.split(":", 1))
            task[key] = json.loads(value) if value[0] in '"[' else value
    for task in tasks:
        task["shots"] = task["num_fewshot"][0]
        lines = (bundle / "eval_data" / task["dataset_uri"]).read_text(encoding="utf-8").split("\n")
        task["rows"] = [json.loads(line) for line in lines if line.strip()]
    return tasks


def prompts_of(task, item, shots):
    kind, delimiter = task["icl_task_type"], task["continuation_delimiter"]
    if kind == "multiple_choice":
        head = "".join(s["query"] + delimiter + s["choices"][s["gold"]] + "\n\n" for s in shots)
        return [head + item["query"] + delimiter + choice for choice in item["choices"]]
    if kind == "schema":
        head = "".join(s["context_options"][s["gold"]] + delimiter + s["continuation"] + "\n\n" for s in shots)
        return [head + option + delimiter + item["continuation"] for option in item["context_options"]]
    head = "".join(s["context"].strip() + delimiter + s["continuation"] + "\n\n" for s in shots)
    without = head + item["context"].strip() + delimiter
    return [without.strip(), without + item["continuation"]]


def common(lists, from_end=False):
    n = 0
    while n < min(map(len, lists)) and len({l[-1 - n] if from_end else l[n] for l in lists}) == 1:
        n += 1
    return n


def spans_of(kind, lists):
    if kind == "multiple_choice":
        start = common(lists)
        return [(ids, start, len(ids)) for ids in lists]
    if kind == "schema":
        n = common(lists, from_end=True)
        return [(ids, len(ids) - n, len(ids)) for ids in lists]
    without, given = lists
    assert len(without) < len(given) and given[: len(without)] == without, "not a prefix"
    return [(given, len(without), len(given))]


def cut(ids, start, end, most):
    over = max(0, len(ids) - most)
    assert start >= over
    return ids[over:], start - over, end - over


# --- the model ------------------------------------------------------------------------------------------------------------------------


def load_model(path, positions):
    with h5py.File(path) as f:
        a = f["model"].attrs
        config = Config(2025, int(a["n_layer"]), int(a["n_embd"]), int(a["n_head"]), int(a["n_kv_head"]), int(a["n_vocab"]), positions,
                        float(a["rope_base"]), 1.0, [None] * int(a["n_layer"]))
        model = Model(config)
        # The MLP of the peer is four times as wide as the model; ours may differ.
        for block in model.transformer.h:
            block.mlp.c_fc = torch.nn.Linear(config.C, int(a["n_mlp"]), bias=False)
            block.mlp.c_proj = torch.nn.Linear(int(a["n_mlp"]), config.C, bias=False)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(torch.from_numpy(f["model/" + name.removesuffix(".weight")][...]))
        seq_len = int(a["seq_len"])
    return model.eval(), seq_len


def load_tokenizer(path):
    with h5py.File(path) as f:
        t = f["tokenizer"]
        data, offsets = t["tokens"][...].tobytes(), t["offsets"][...]
        pattern, names = t["pattern"][0].decode(), list(t["special"][...])
    tokens = [data[offsets[i] : offsets[i + 1]] for i in range(len(offsets) - 1)]
    n = len(tokens) - len(names)
    ranks = {token: i for i, token in enumerate(tokens[:n])}
    encoding = tiktoken.Encoding("ours", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    bos = n + names.index(b"<|bos|>")
    return lambda text: [bos] + encoding.encode_ordinary(text), lambda ids: encoding.decode(ids)


@torch.no_grad()
def judge(model, kind, spans, gold):
    """The verdict and its margin in nats."""
    losses, margin, right = [], float("inf"), None
    for ids, start, end in spans:
        z = model.logits(torch.tensor([ids]), slice(start - 1, end - 1) if start > 0 else slice(0))[0]
        if kind == "language_modeling":
            target = torch.tensor(ids[start:end])
            right = bool((z.argmax(-1) == target).all())
            two = z.topk(2, -1).values
            # It takes one place to go wrong, and all to go right: the margin is that of the place which decides.
            gaps = (two[:, 0] - two[:, 1]).tolist()
            wrong = [g for g, same in zip(gaps, (z.argmax(-1) == target).tolist()) if not same]
            return right, max(wrong) if wrong else min(gaps)
        loss = F.cross_entropy(z, torch.tensor(ids[start:end]), reduction="none") if len(z) else z.sum(-1)
        losses.append(float(loss.double().mean()) if len(z) else float("nan"))
    best = 0
    for i, loss in enumerate(losses):
        if loss < losses[best]:
            best = i
    others = [loss - losses[best] for i, loss in enumerate(losses) if i != best and loss == loss and losses[best] == losses[best]]
    return best == gold, min(others, default=float("inf"))


@torch.no_grad()
def write_greedy(path, model, encode, decode, texts):
    """Contexts and what is likeliest after them, of one to four tokens; in every other row the last of these is another. The verdicts."""
    rows, verdicts = [], {}
    for i, text in enumerate(texts):
        context = text[: 60 + 7 * (i % 40)].strip()
        ids = encode(context)
        z = None
        for _ in range(1 + i % 4):
            z = model.logits(torch.tensor([ids]), slice(-1, None))[0, 0]
            ids = ids + [int(z.argmax())]
        if i % 2:
            ids[-1] = int(z.topk(3).indices[1])
        continuation = decode(ids[len(encode(context)) :])
        if encode(context + continuation) == ids and continuation.strip() and "\ufffd" not in continuation:
            verdicts[len(rows)] = i % 2 == 0
            rows.append({"context": context, "continuation": continuation})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return verdicts


def compare(model, positions, encode, tasks, ours, most):
    n = close = shortened = 0
    differences = []
    for task in tasks:
        rows, kind = task["rows"], task["icl_task_type"]
        order = list(range(len(rows)))
        random.Random(1337).shuffle(order)
        order = order[:most]
        for i, row in enumerate(order):
            others = [k for k in range(len(order)) if k != i]
            shots = [rows[order[k]] for k in random.Random(1234 + i).sample(others, task["shots"])] if task["shots"] else []
            spans = spans_of(kind, [encode(text) for text in prompts_of(task, rows[row], shots)])
            shortened += any(len(ids) > positions for ids, _, _ in spans)
            right, margin = judge(model, kind, [cut(*span, positions) for span in spans], rows[row].get("gold"))
            theirs = next(ours)
            assert (theirs[0], theirs[1]) == ("core/" + task["label"], row), f"{theirs} is not example {i} of {task['label']}"
            n += 1
            if margin < MARGIN:
                close += 1
            elif bool(theirs[2]) != right:
                differences.append((task["label"], row, margin))
    assert next(ours, None) is None, "more examples than there are"
    assert not differences, f"{len(differences)} of {n} verdicts differ: {differences[:5]}"
    return n, close, shortened


def main():
    retort, data = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    examples = int(sys.argv[3]) if len(sys.argv) > 3 else 40
    shards = sorted(glob.glob(f"{data}/pretrain/*.parquet"))
    if not shards or not (data / "eval_bundle/core.yaml").exists():
        print(f"skipped: no eval bundle, or no parquet, in {data}")
        sys.exit(77)
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    tasks = read_tasks(data / "eval_bundle")
    assert len(tasks) >= 18 and {t["icl_task_type"] for t in tasks} == {"multiple_choice", "schema", "language_modeling"}
    with tempfile.TemporaryDirectory(prefix="retort-core-") as name:
        place = pathlib.Path(name)
        (place / "parity.yaml").write_text(RECIPE % (shards[0], examples))
        (place / "suites").mkdir()
        (place / "suites/own.yaml").write_text(OWN % place)

        def run(*more):
            done = subprocess.run([retort, "run", "parity.yaml", "-s", f"data={data}", *more], capture_output=True, text=True, cwd=place)
            assert done.returncode == 0, done.stdout + done.stderr
            report = json.loads(subprocess.run([retort, "report", "parity", "--json"], capture_output=True, cwd=place, check=True).stdout)
            return {s["name"]: f"{place}/results/store/{s['kind']}-{s['key'][:16]}.h5" for s in report["stages"] if s["key"]}

        keys = run("--until", "base")
        encode, decode = load_tokenizer(keys["tokenizer"])
        texts = [row["context"] for task in tasks if task["label"] == "lambada_openai" for row in task["rows"][:160]]
        verdicts = write_greedy(place / "greedy.jsonl", load_model(keys["base"], 16384)[0], encode, decode, texts)
        keys = run()
        with h5py.File(keys["own"]) as f:
            assert {int(r["row"]): bool(r["right"]) for r in f["examples"]} == verdicts
        assert 20 < sum(verdicts.values()) < len(verdicts) - 20
        print(f"greedy answers: {len(verdicts)} examples, {sum(verdicts.values())} right")
        for base, evaluation, most in (("base", "whole", examples), ("short", "cut", 12)):
            model, seq_len = load_model(keys[base], 16384)
            with h5py.File(keys[evaluation]) as f:
                rows = [(r["task"].decode(), int(r["row"]), int(r["right"])) for r in f["examples"]]
                scores = {r["task"].decode(): float(r["accuracy"]) for r in f["scores/tasks"]}
                suite = f["scores/suites"][0]
            n, close, shortened = compare(model, 10 * seq_len, encode, tasks, iter(rows), most)
            assert bool(shortened) == (base == "short")
            missing = suite["missing"].decode().split()
            assert int(suite["n"]) == len(tasks) == len(scores) and int(suite["n"]) + len(missing) == int(suite["n_all"]) == 22
            with open(data / "eval_bundle/eval_meta_data.csv") as f:
                chance = {line.split(",")[0]: 0.01 * float(line.split(",")[5]) for line in list(f)[1:]}
            mean = sum((scores["core/" + t["label"]] - chance[t["label"]]) / (1 - chance[t["label"]]) for t in tasks) / len(tasks)
            assert abs(mean - float(suite["value"])) < 1e-12, (mean, float(suite["value"]))
            print(f"core, model '{base}': {n} examples of {len(tasks)} tasks, {close} within {MARGIN} nats, {shortened} cut; "
                  f"CORE {mean:.4f}")


main()
