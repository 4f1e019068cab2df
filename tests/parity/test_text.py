#!/usr/bin/env python3
"""core/text against its peers: the same classes, pieces, merges and ids as tiktoken, regex and rustbpe.

    python3 tests/parity/test_text.py BPE_DUMP PARQUET_FOLDER [MEGABYTES]

BPE_DUMP is the built program of bpe_dump.c, PARQUET_FOLDER holds shards with a column `text`; of them the first MEGABYTES (4) are
read. Speeds are printed beside the peers'. Status 77 where a peer or the data is missing.
"""
import glob
import random
import struct
import subprocess
import sys
import tempfile
import time

try:
    import pyarrow.parquet
    import regex
    import rustbpe
    import tiktoken
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PATTERN = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
           r"|\s*[\r\n]|\s+(?!\S)|\s+")
BYTES = {bytes([i]): i for i in range(256)}
VOCAB = 8192 - 9
DOC_CAP = 10_000


def dump(program, *args, documents=()):
    data = b"".join(struct.pack("<I", len(d)) + d for d in documents)
    done = subprocess.run([program, *map(str, args)], input=data, capture_output=True, check=True)
    return done.stdout, [float(s) for s in done.stderr.split()]


def shard_texts(folder, megabytes):
    texts, size = [], 0
    for path in sorted(glob.glob(folder + "/*.parquet")):
        file = pyarrow.parquet.ParquetFile(path)
        for group in range(file.num_row_groups):
            for text in file.read_row_group(group, columns=["text"])["text"].to_pylist():
                texts.append(text)
                size += len(text.encode())
                if size > megabytes * 1e6:
                    return texts
    return texts


def random_texts(seed, allowed, n):
    """Texts full of borders: contractions, runs of spaces and line ends, digits, and any character at all."""
    rng = random.Random(seed)
    snippets = ["'s", "'LL", "'ſ", "'ve", "'", "''", " ", "  ", "\n", "\r\n", "\t", "\u3000", "\x85", "\x1c", "12345", "½", "Ⅷ", "a",
                "Zq", "é", "e\u0301", "中文", "!!", " $", "...\n", "<|bos|>", "🙂", "\ufffd", "\u200d", "K", "ǅ"]
    for _ in range(n):
        yield "".join(rng.choice(snippets) if rng.random() < 0.8 else chr(rng.choice(allowed)) for _ in range(rng.randint(1, 200)))


def same_classes(program):
    classes, _ = dump(program, "classes")
    everything = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF)
    for pattern, wanted in ((r"\p{L}", {1}), (r"\p{N}", {2}), (r"\s", {3, 4})):
        peer = tiktoken.Encoding("class", pat_str=pattern, mergeable_ranks=BYTES, special_tokens={})
        found = set()
        for i in range(0, len(everything), 1 << 16):
            found |= set(bytes(peer.encode_ordinary(everything[i : i + (1 << 16)])).decode())
        ours = {chr(c) for c in range(0x110000) if classes[c] in wanted}
        assert found == ours, f"{pattern}: {sorted(map(ord, found ^ ours))[:10]} differ"
    print("classes: all code points as in tiktoken's engine")
    # regex carries another Unicode version: its splits are compared on the code points that both class alike.
    allowed = []
    for c in range(0x110000):
        if not 0xD800 <= c <= 0xDFFF:
            theirs = next((k for k, p in ((1, r"\p{L}"), (2, r"\p{N}"), (3, r"\s")) if regex.match(p, chr(c))), 0)
            if theirs == (3 if classes[c] == 4 else classes[c]):
                allowed.append(c)
    return allowed


def same_pieces(program, texts):
    out, seconds = dump(program, "split", documents=[t.encode() for t in texts])
    lengths = iter(struct.unpack(f"<{len(out) // 4}I", out))
    compiled, n_pieces = regex.compile(PATTERN), 0
    for text in texts:
        for piece in compiled.findall(text):
            length = next(lengths)
            assert length == len(piece.encode()), f"piece {piece!r} has {length} bytes here, in {text[:200]!r}"
            n_pieces += 1
        assert next(lengths) == 0
    size = sum(len(t.encode()) for t in texts)
    print(f"split: {n_pieces} pieces as by regex, {size / seconds[0] / 1e6:.0f} MB/s")


def same_merges(program, texts, vocab):
    cut = [t[:DOC_CAP] for t in texts]
    size = sum(len(t.encode()) for t in cut)
    start = time.perf_counter()
    peer = rustbpe.Tokenizer()
    peer.train_from_iterator(iter(cut), vocab, pattern=PATTERN)
    peer_seconds = time.perf_counter() - start
    ranks = {bytes(b): i for b, i in peer.get_mergeable_ranks()}
    out, seconds = dump(program, "train", vocab - 256, DOC_CAP, documents=[t.encode() for t in texts])
    ours = [bytes.fromhex(line) for line in out.decode().split()]
    theirs = sorted((b for b in ranks if ranks[b] >= 256), key=ranks.get)
    for i, (a, b) in enumerate(zip(ours, theirs)):
        assert a == b, f"merge {i} is {a!r} here, {b!r} in rustbpe"
    assert len(ours) == len(theirs) == vocab - 256
    print(f"train: {len(ours)} merges as by rustbpe; {size / 1e6:.1f} MB in {seconds[0]:.2f} s counting + {seconds[1]:.2f} s merging = "
          f"{size / sum(seconds) / 1e6:.1f} MB/s (rustbpe, all cores: {size / peer_seconds / 1e6:.1f})")
    return ranks, out


def same_ids(program, ranks, lines, texts, what):
    peer = tiktoken.Encoding("peer", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    start = time.perf_counter()
    theirs = [peer.encode_ordinary(t) for t in texts]
    peer_seconds = time.perf_counter() - start
    with tempfile.NamedTemporaryFile(suffix=".hex") as file:
        file.write(lines)
        file.flush()
        out, seconds = dump(program, "encode", file.name, documents=[t.encode() for t in texts])
    ids = iter(struct.unpack(f"<{len(out) // 4}i", out))
    for text, expected in zip(texts, theirs):
        ours = []
        while (i := next(ids)) >= 0:
            ours.append(i)
        assert ours == expected, f"ids differ: {ours[:50]} here, {expected[:50]} in tiktoken, of {text[:200]!r}"
    size = sum(len(t.encode()) for t in texts)
    print(f"encode: {what}: {sum(map(len, theirs))} ids as by tiktoken, one thread {size / seconds[1] / 1e6:.1f} MB/s "
          f"(tiktoken {size / peer_seconds / 1e6:.1f})")


def main():
    program, folder = sys.argv[1:3]
    texts = shard_texts(folder, float(sys.argv[3]) if len(sys.argv) > 3 else 4)
    if not texts:
        print(f"skipped: no parquet file in {folder}")
        sys.exit(77)
    allowed = same_classes(program)
    odd = list(random_texts(1, allowed, 3000))
    same_pieces(program, odd)
    same_pieces(program, texts[:200])
    ranks, lines = same_merges(program, texts, VOCAB)
    same_merges(program, odd, 2000)
    same_ids(program, ranks, lines, texts, "text")
    same_ids(program, ranks, lines, odd, "odd text")
    runs = ["a" * 5000, "-" * 3001, " " * 4000 + "x", "ab" * 3000, "\n" * 100, "the" * 999]
    same_ids(program, ranks, lines, runs, "long runs")


main()
