#!/usr/bin/env python3
"""`retort bench tokenizer` beside rustbpe (training) and tiktoken (encoding) on the same text, one after the other.

    python3 tests/bench/tokenizer_peers.py RETORT SHARD.parquet ... [--rounds N]

Of the shards (column `text`) the first 80 MB count; documents above 10,000 characters are cut into several, as the bench does. The
vocabulary is 32,768. rustbpe uses all its threads; tiktoken encodes on one, document by document, with the ranks that rustbpe
made. Of N rounds (1) each takes its best: whoever else uses the machine makes it slower, never faster. The load is printed.
"""
import argparse
import json
import os
import subprocess
import sys
import time

try:
    import pyarrow.parquet
    import rustbpe
    import tiktoken
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PATTERN = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
           r"|\s*[\r\n]|\s+(?!\S)|\s+")
VOCAB, SPECIALS, DOC_CAP, MOST = 32768, 9, 10_000, 80_000_000


def documents(paths):
    texts, size = [], 0
    for path in paths:
        for text in pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist():
            for at in range(0, len(text or ""), DOC_CAP):
                if size >= MOST:
                    return texts, size
                texts.append(text[at : at + DOC_CAP])
                size += len(texts[-1].encode())
    return texts, size


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def train(texts):
    peer = rustbpe.Tokenizer()
    peer.train_from_iterator(iter(texts), VOCAB - SPECIALS, pattern=PATTERN)
    return peer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("retort")
    parser.add_argument("shards", nargs="+")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    texts, size = documents(args.shards)
    ours, rust_s, tik_s, tokens = {}, float("inf"), float("inf"), 0
    for i in range(args.rounds):
        print(f"round {i + 1}: load {', '.join(f'{x:.2f}' for x in os.getloadavg())}", flush=True)
        done = subprocess.run([args.retort, "bench", "tokenizer", "--json", *args.shards], capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        assert answer["bytes"] == size and answer["documents"] == len(texts), "the texts are not the same"
        for name, value in answer.items():
            if name.endswith("_seconds"):
                ours[name] = min(value, ours.get(name, value))
        print(f"  retort: training {answer['count_seconds'] + answer['merge_seconds']:.2f} s, encoding {answer['encode_seconds']:.2f} s, "
              f"had {answer['processor_share']:.0%} of the processor", flush=True)
        seconds, peer = timed(lambda: train(texts))
        rust_s = min(rust_s, seconds)
        ranks = {bytes(token): rank for token, rank in peer.get_mergeable_ranks()}
        encoder = tiktoken.Encoding("peer", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
        seconds, tokens = timed(lambda: sum(len(encoder.encode_ordinary(text)) for text in texts))
        tik_s = min(tik_s, seconds)
        print(f"  rustbpe: training {rust_s:.2f} s; tiktoken: encoding {seconds:.2f} s", flush=True)
    assert tokens == answer["tokens"], f"{answer['tokens']} tokens here, {tokens} by tiktoken"
    trained = ours["count_seconds"] + ours["merge_seconds"]
    print(f"\n{size / 1e6:.1f} MB, {len(texts)} documents, vocabulary {VOCAB}, {answer['threads']} threads, {tokens} tokens as by tiktoken")
    print(f"training   rustbpe  {rust_s:7.2f} s   retort {trained:6.2f} s   {rust_s / trained:5.1f} times as fast")
    print(f"encoding   tiktoken {size / tik_s / 1e6:7.1f} MB/s retort {size / ours['encode_seconds'] / 1e6:6.1f} MB/s "
          f"{tik_s / ours['encode_seconds']:4.1f} times as fast, one thread")
    print(f"load at the end {', '.join(f'{x:.2f}' for x in os.getloadavg())}")


main()
