#!/usr/bin/env python3
"""Training, step by step, beside the same model and optimizer in PyTorch; and PyTorch's beside the reference's published figures.

    python3 tests/parity/test_train.py TRAIN_DUMP

TRAIN_DUMP is the built program of train_dump.c. Status 77 where numpy or torch is missing.
"""
import os
import subprocess
import sys

os.environ["OMP_WAIT_POLICY"] = "passive"  # ours and PyTorch's threads: other tests run beside this one

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from nanochat_torch import Config, Model, Optimizer, schedule



def mix(stream, place):
    place = np.atleast_1d(place)  # arrays wrap around without a warning
    x = np.uint64(stream << 40) + np.asarray(place, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@torch.no_grad()
def fill(parameter, stream, amplitude, middle=0.0):
    word = mix(stream, np.arange(parameter.numel(), dtype=np.uint64))
    value = middle + ((word >> np.uint64(40)).astype(np.float64) - 2**23) / 2**23 * amplitude
    parameter.copy_(torch.tensor(value.astype(np.float32)).view_as(parameter))


def close(name, ours, theirs, relative, absolute=0.0):
    assert abs(ours - theirs) <= relative * abs(theirs) + absolute, f"{name}: {ours!r}, expected {theirs!r}"


def peer_is_the_reference():
    """Published for the 2026 model with weights by arithmetic: loss before and after two steps, some logits and gradient norms."""
    model = Model(Config(2026, 4, 64, 2, 1, 300, 256, 100000.0, 1.2, [128, 128, 128, None]))
    fill(model.transformer.wte.weight, 0, 1)
    fill(model.lm_head.weight, 1, 1 / 16)
    for layer, block in enumerate(model.transformer.h):
        at = 10 + 10 * layer
        for k, w in enumerate((block.attn.c_q, block.attn.c_k, block.attn.c_v, block.attn.c_proj)):
            fill(w.weight, at + k, 1 / 8)
        if block.attn.ve_gate is not None:
            fill(block.attn.ve_gate.weight, at + 4, 1 / 2)
            fill(model.value_embeds[str(layer)].weight, 200 + layer, 1 / 2)
        fill(block.mlp.c_fc.weight, at + 5, 1 / 8)
        fill(block.mlp.c_proj.weight, at + 6, 1 / 16)
    fill(model.smear_gate.weight, 300, 1 / 2)
    with torch.no_grad():
        model.smear_lambda.fill_(0.25)
    tokens = torch.tensor(np.stack([mix(400, np.arange(257) + 257 * b) % np.uint64(300) for b in (0, 1)]).astype(np.int64))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    logits = model.logits(inputs)
    for ours, theirs in zip(logits[0, 0, :4].tolist(), (0.045630, -0.377346, 0.370402, -0.267412)):
        close("logit", ours, theirs, 0, 1e-6)
    optimizer = Optimizer(model)
    for step, (lr, momentum, loss) in enumerate(((1 / 40, 0.85, 5.748669), (2 / 40, 0.8503, 5.659769))):
        model.zero_grad()
        value = model(inputs, targets).mean()
        close("loss", value.item(), loss, 1e-6)
        value.backward()
        if step == 0:
            norms = {"transformer.wte.weight": 2.260415e-2, "lm_head.weight": 3.560472e-1, "value_embeds.3.weight": 1.722065e-3}
            for name, p in model.named_parameters():
                if name in norms:
                    close(name, p.grad.norm().item(), norms[name], 1e-5)
        optimizer.step(step, lr, momentum)
    close("loss", model(inputs, targets).mean().item(), 5.484063, 1e-6)
    print("peer: the reference's losses, logits and gradients of 2026")


def made_rows(first, rows, vocab, T):
    out = np.zeros((rows, T + 1), dtype=np.int64)
    for r in range(rows):
        out[r, 0] = int(mix(900, first + r)[0]) % vocab
        words = mix(901, (first + r) * (T + 1) + np.arange(T + 1))
        for t in range(1, T + 1):
            word = int(words[t])
            out[r, t] = (5 * out[r, t - 1] + 3) % vocab if word % 4 else (word >> 8) % vocab
    return torch.tensor(out)


def in_our_order(model):
    """Names and parameters as train_dump numbers them: what 2026 adds beside the blocks stands behind lm_head."""
    named = dict(model.named_parameters())
    behind = [f"value_embeds.{i}.weight" for i in range(model.config.L)]
    behind += ["resid_lambdas", "x0_lambdas", "smear_gate.weight", "smear_lambda", "backout_lambda"]
    names = [name for name in named if name.startswith("transformer.")] + ["lm_head.weight"]
    blocks = [f"transformer.h.{i}." for i in range(model.config.L)]
    order = ("attn.c_q", "attn.c_k", "attn.c_v", "attn.c_proj", "attn.ve_gate", "mlp.c_fc", "mlp.c_proj")
    names = ["transformer.wte.weight"] + [b + part + ".weight" for b in blocks for part in order] + ["lm_head.weight"] + behind
    return [(name, named[name]) for name in names if name in named]


def begin(model):
    bound = (3 / model.config.C) ** 0.5
    for k, (name, p) in enumerate(in_our_order(model)):
        if "c_proj" in name or name == "smear_lambda":
            fill(p, k, 0.0 if model.config.year == 2025 else 0.1)
        elif model.config.year == 2025:
            out, into = p.shape
            deviation = 0.0 if "lm_head" in name else 1.0 if "wte" in name else min(1, (out / into) ** 0.5) / into**0.5
            fill(p, k, 3**0.5 * deviation)
        elif "gate" in name:
            fill(p, k, 0.01, 0.01)
        elif "lambda" not in name:
            narrow = {"transformer.wte.weight": 3**0.5 * 0.8, "lm_head.weight": 3**0.5 * 0.001}
            fill(p, k, narrow.get(name, bound * (0.4 if "c_fc" in name else 1.0)))


def train_peer(year, depth, vocab, T, rows, steps):
    model = Model(Config.of(year, depth, vocab, T))
    begin(model)
    begun = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer, losses, changes = Optimizer(model), [], {}
    for step in range(steps):
        tokens = made_rows(step * rows, rows, vocab, T)
        model.zero_grad()
        loss = model(tokens[:, :-1], tokens[:, 1:]).mean()
        losses.append(loss.item())
        loss.backward()
        if year == 2025:
            optimizer.clip(1.0)
        optimizer.step(step, *schedule(year, step, steps))
        if step in (0, 1, 9, steps - 1):
            for name, p in model.named_parameters():
                change = (p.detach().double() - begun[name].double()).square().mean().sqrt().item()
                changes[step + 1, name.removesuffix(".weight")] = change
    return losses, changes


def same_training(program, year, depth, vocab, T, rows, steps):
    done = subprocess.run([program, *map(str, (year, depth, vocab, T, rows, steps))], capture_output=True, check=True, text=True)
    ours = [line.split() for line in done.stdout.splitlines()]
    losses, changes = train_peer(year, depth, vocab, T, rows, steps)
    worst_loss = worst_change = 0.0
    n_losses = n_changes = 0
    for words in ours:
        if words[0] == "loss":
            step, value = int(words[1]), float(words[2])
            close(f"loss of step {step}", value, losses[step], 1e-3)
            worst_loss = max(worst_loss, abs(value / losses[step] - 1))
            n_losses += 1
        elif int(words[1]) <= 10:
            key = int(words[1]), words[2].removesuffix(".weight")
            grain = 2.0**-23 if "lambda" in key[1] else 1e-12  # float32 tells single numbers of about 1 no finer apart
            close(f"change of {key[1]} after {key[0]} steps", float(words[3]), changes[key], 1e-4, grain)
            if changes[key] > 1e-12 and grain == 1e-12:
                worst_change = max(worst_change, abs(float(words[3]) / changes[key] - 1))
            n_changes += 1
    assert n_losses == steps and n_changes == sum(step <= 10 for step, _ in changes)
    assert losses[-1] < 0.8 * losses[0], "nothing was learned"
    print(f"{year}, depth {depth}, vocabulary {vocab}, {steps} steps: losses {losses[0]:.3f} to {losses[-1]:.3f}, within {worst_loss:.1e}; "
          f"what {n_changes} parameters moved, within {worst_change:.1e}")


def main():
    torch.set_num_threads(2)
    peer_is_the_reference()
    same_training(sys.argv[1], 2025, 2, 256, 64, 16, 50)
    same_training(sys.argv[1], 2025, 4, 300, 48, 12, 50)
    same_training(sys.argv[1], 2026, 4, 300, 160, 4, 50)


main()
