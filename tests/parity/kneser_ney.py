#!/usr/bin/env python3
"""What an n-gram model makes of the same tokens: interpolated Kneser-Ney, order 5, against which a trained model is held.

    kneser_ney.py BASE.h5

Counts the rows that the training run in BASE.h5 saw (its steps, batch_tokens and seq_len), scores the rows that it was evaluated on, and
prints bits per byte by the same rule (special tokens do not count) as one JSON object. The token files of both are those that the run's
payload names, beside BASE.h5. Both the model with one discount an order and the modified one with three are computed. The n-gram model
reads across row borders, which the language model cannot.

Source: Kneser & Ney 1995; Chen & Goodman 1998, sections 2.7 and 3 (interpolated, modified).  Needs numpy and h5py.
"""
import argparse
import json
import pathlib
import sys

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ORDER = 5


def tokens_of(store, keys):
    parts = []
    for key in keys:
        with h5py.File(store / f"tokens-{key[:16]}.h5", "r") as f:
            parts.append(f["tokens"][:].astype(np.int64))
    return np.concatenate(parts)


class Tables:
    """ids[n][i]: which distinct n-gram starts at position i; keys[n]: sorted (prefix id * V + last token) of the distinct ones."""

    def __init__(self, tokens, vocab):
        self.vocab = vocab
        self.keys, self.levels = {}, {}
        ids = {1: tokens.copy()}
        first = {}
        count = {}
        for n in range(2, ORDER + 1):
            key = ids[n - 1][: len(tokens) - n + 1] * vocab + tokens[n - 1:]
            self.keys[n], first[n], ids[n], count[n] = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        # Lower orders count the distinct tokens that stand before an n-gram, the highest one counts occurrences.
        for n in range(ORDER, 0, -1):
            size = len(self.keys[n]) if n > 1 else vocab
            if n == ORDER:
                c = count[n].astype(np.float64)
            else:
                c = np.bincount(ids[n][first[n + 1] + 1], minlength=size).astype(np.float64)
            prefix = self.keys[n] // vocab if n > 1 else np.zeros(size, np.int64)
            self.levels[n] = (c, prefix)

    def lookup(self, tokens):
        """For every order the id of the n-gram that ends at each position, -1 where it was never seen."""
        found = {1: tokens.copy()}
        for n in range(2, ORDER + 1):
            out = np.full(len(tokens), -1, np.int64)
            prefix = found[n - 1][:-1]
            key = prefix * self.vocab + tokens[1:]
            at = np.minimum(np.searchsorted(self.keys[n], key), len(self.keys[n]) - 1)
            hit = (prefix >= 0) & (self.keys[n][at] == key)
            out[1:][hit] = at[hit]
            found[n] = out
        return found


def discounts(c, modified):
    n1, n2, n3, n4 = (max(int(np.sum(c == k)), 1) for k in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    if not modified:
        return np.array([0, y, y, y])
    return np.clip([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3], 0.01, 2.9)


def probabilities(tables, tokens, modified):
    found = tables.lookup(tokens)
    p = np.full(len(tokens), 1.0 / tables.vocab)
    for n in range(1, ORDER + 1):
        c, prefix = tables.levels[n]
        d = discounts(c, modified)[np.minimum(c, 3).astype(np.int64)]
        d = np.minimum(d, c)
        n_prefix = 1 if n == 1 else (len(tables.keys[n - 1]) if n > 2 else tables.vocab)
        total = np.bincount(prefix, weights=c, minlength=n_prefix)
        freed = np.bincount(prefix, weights=d, minlength=n_prefix)
        context = np.zeros(len(tokens), np.int64) if n == 1 else np.concatenate([[-1], found[n - 1][:-1]])
        known = context >= 0
        known[known] = total[context[known]] > 0
        h = context[known]
        gram = found[n][known]
        mass = np.where(gram >= 0, (c - d)[np.maximum(gram, 0)], 0.0)
        p[known] = (mass + freed[h] * p[known]) / total[h]
    return p


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("base", type=pathlib.Path)
    args = ask.parse_args()
    with h5py.File(args.base, "r") as f:
        payload = json.loads(f.attrs["payload"])
        fields, inputs = payload["fields"], payload["inputs"]
        T, steps = int(fields["seq_len"]), int(f.attrs["step"])
        rows_seen = steps * (int(fields["batch_tokens"]) // T)
        token_bytes = f["tokenizer/token_bytes"][:].astype(np.int64)
        val = f["metrics/val"][:]
        model_bpb, n_bytes = float(val["bpb"][-1]), int(val["bytes"][-1])
    train, held = (tokens_of(args.base.parent, inputs[role]) for role in ("tokens", "validation"))
    n_rows = (len(train) - 1) // T
    # Row i is tokens iT .. iT+T. Later epochs repeat rows, which changes no n-gram's being known; they are counted once.
    train = train[: min(rows_seen, n_rows) * T + 1]
    # As many whole rows of validation text as the run was measured on: found by the bytes that it counted.
    bytes_until = np.cumsum(token_bytes[held[1:]])
    end = int(np.searchsorted(bytes_until, n_bytes)) + 1
    end = -(-end // T) * T
    scored = held[: end + 1]
    size = token_bytes[scored[1:]]
    if size.sum() != n_bytes:
        sys.exit(f"the rows have {size.sum()} bytes, those that the model was measured on {n_bytes}: not the same text")
    out = {"train_tokens": int(len(train)), "epochs": round(rows_seen / n_rows, 2), "val_tokens": int(end), "bytes": n_bytes,
           "model_bpb": model_bpb}
    tables = Tables(train, len(token_bytes))
    for name, modified in (("kn5_bpb", False), ("modified_kn5_bpb", True)):
        p = probabilities(tables, scored, modified)[1:]
        out[name] = float(-np.log(p[size > 0]).sum() / (np.log(2) * size.sum()))
    print(json.dumps(out))


if __name__ == "__main__":
    main()
