#!/usr/bin/env python3
"""core/text against tiktoken: pieces of every code point in context, ids of all texts of the shared data, ids of hostile texts.

    python3 tests/parity/test_coding.py BPE_DUMP DATA [split] [ids] [hostile]     (all three, where none is named)

BPE_DUMP is the built program of bpe_dump.c; of the folder DATA all strings of all parquet and JSON lines files are read. Status 77
where a peer or the data is missing.
"""
import glob
import itertools
import json
import random
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata

try:
    import pyarrow.parquet
    import tiktoken
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PATTERN = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
           r"|\s*[\r\n]|\s+(?!\S)|\s+")
BYTES = [bytes([i]) for i in range(256)]
VOCAB = 8192 - 9


def dump(program, *args, documents):
    data = b"".join(struct.pack("<I", len(d)) + d for d in documents)
    done = subprocess.run([program, *map(str, args)], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def encoding(tokens):
    return tiktoken.Encoding("peer", pat_str=PATTERN, mergeable_ranks={t: i for i, t in enumerate(tokens)}, special_tokens={})


def same_pieces(program, texts):
    """Splits as tiktoken does, which its ids show: the vocabulary has all our pieces, and all neighbours joined.

    If tiktoken splits as we do, every piece is one token, and the lengths of the tokens are those of the pieces. If a piece of its is
    ours and the next together, this is a token or becomes one; if it is a part of ours, a shorter token stands there."""
    documents = [t.encode() for t in texts]
    lengths = memoryview(dump(program, "split", documents=documents)).cast("I")
    tokens, at, ours = set(), 0, []
    for document in documents:
        place, before, here = 0, b"", []
        while length := lengths[at]:
            piece = document[place : place + length]
            tokens.add(piece)
            tokens.add(before + piece)
            here.append(length)
            before = piece
            place += length
            at += 1
        at += 1
        assert place == len(document)
        ours.append(here)
    tokens = BYTES + sorted(t for t in tokens if len(t) > 1)
    peer, sizes = encoding(tokens), [len(t) for t in tokens]
    for text, here in zip(texts, ours):
        theirs = [sizes[i] for i in peer.encode_ordinary(text)]
        assert theirs == here, f"pieces of {text[:80]!r} have {here[:40]} bytes, in tiktoken {theirs[:40]}"
    return sum(map(len, ours))


# Every pair of these once, one after the other: a de Bruijn sequence of order 2.
AROUND = "s1 '\n!"
PAIRS = "".join(a + "".join(a + b for b in AROUND[i + 1 :]) for i, a in enumerate(AROUND)) + AROUND[0]


def around(chars, contexts):
    """The character between all neighbours of contexts."""
    return "".join("".join(x + c for x in contexts[:-1]) + contexts[-1] for c in chars)


def same_splits(program):
    start = time.perf_counter()
    rich, plain = [], []
    for c in map(chr, itertools.chain(range(0xD800), range(0xE000, 0x110000))):
        # Ideographs, syllables, private use and what is no character are many and alike: for those a shorter round of contexts.
        many = unicodedata.category(c) in ("Cn", "Co") or "\u3400" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3" or c >= "\U00016000"
        (plain if many else rich).append(c)
    n, step = 0, 4000
    for chars, contexts in ((rich, PAIRS), (plain, "s'1 !\ns")):
        for i in range(0, len(chars), step):
            n += same_pieces(program, [around(chars[i : i + step], contexts)])
    for i in range(0, len(rich), step):
        n += same_pieces(program, [t for c in rich[i : i + step] for t in (c, *(x + c for x in AROUND), *(c + x for x in AROUND))])
    print(f"split: {n} pieces of all {len(rich) + len(plain)} code points in context as by tiktoken, "
          f"{time.perf_counter() - start:.0f} s")


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def shared_texts(folder):
    for path in sorted(glob.glob(folder + "/**/*.parquet", recursive=True)):
        file = pyarrow.parquet.ParquetFile(path)
        for group in range(file.num_row_groups):
            yield from strings(file.read_row_group(group).to_pylist())
    for path in sorted(glob.glob(folder + "/**/*.jsonl", recursive=True)):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                yield from strings(json.loads(line))


class Vocabulary:
    """What bpe_dump learns of some texts, for both sides."""

    def __init__(self, program, texts, vocab):
        self.program = program
        self.file = tempfile.NamedTemporaryFile(suffix=".hex")
        self.file.write(dump(program, "train", vocab - 256, 10_000, documents=[t.encode() for t in texts]))
        self.file.flush()
        with open(self.file.name) as lines:
            self.peer = encoding(BYTES + [bytes.fromhex(line) for line in lines])

    def same_ids(self, texts):
        """How many ids; they are tiktoken's."""
        ids = memoryview(dump(self.program, "encode", self.file.name, documents=[t.encode() for t in texts])).cast("i")
        at = 0
        for text, theirs in zip(texts, self.peer.encode_ordinary_batch(texts, num_threads=2)):
            ours = ids[at : at + len(theirs)].tolist()
            assert ours == theirs and ids[at + len(theirs)] == -1, f"ids differ: {ours[:50]} here, {theirs[:50]} in tiktoken, of {text[:200]!r}"
            at += len(theirs) + 1
        assert at == len(ids)
        return at - len(texts)


def same_ids(program, folder):
    start = time.perf_counter()
    vocabulary = Vocabulary(program, list(itertools.islice(shared_texts(folder + "/pretrain"), 600)), VOCAB)
    texts = iter(shared_texts(folder))
    n_texts = n_bytes = n_ids = 0
    for batch in iter(lambda: list(itertools.islice(texts, 4000)), []):
        n_ids += vocabulary.same_ids(batch)
        n_texts += len(batch)
        n_bytes += sum(len(t.encode()) for t in batch)
    print(f"ids: {n_ids} of {n_texts} texts, {n_bytes / 1e6:.1f} MB, as by tiktoken, {time.perf_counter() - start:.0f} s")


def same_hostile(program):
    """Pieces of up to 200 kB, of few letters, where merges hide in one another, and of all kinds of characters."""
    start = time.perf_counter()
    rng = random.Random(7)
    small = ["".join(rng.choices(letters, k=rng.randint(1, 3000))) for letters in ("ab", "aab", "abc", "-=", "é", "aé", "\u0301!", "你好", "🙂",
             " \t", "\n", " \n", "aaab", "'s", "0123", "١٢½") for _ in range(40)]
    vocabulary = Vocabulary(program, small, 1500)
    n = vocabulary.same_ids(small)
    n += vocabulary.same_ids(["<|bos|>", "a<|user_start|>b", "\ufffd", "\x00" * 100, "\ufeffx", ""])
    for letters in ("a", "ab", "aab", "abc", "-", "-=", "é", "aé", "你好", "🙂", " ", "\n", " \n"):
        for size in (500, 5_000, 200_000):
            k = size // max(len(c.encode()) for c in letters)
            n += vocabulary.same_ids(["".join(rng.choices(letters, k=k)), (letters * k)[:k]])
    print(f"hostile: {n} ids of pieces of up to 200 kB as by tiktoken, {time.perf_counter() - start:.0f} s")


def main():
    program, folder, *wanted = sys.argv[1:]
    if not glob.glob(folder + "/**/*.parquet", recursive=True):
        print(f"skipped: no parquet file in {folder}")
        sys.exit(77)
    for name, check in (("split", lambda: same_splits(program)), ("ids", lambda: same_ids(program, folder)),
                        ("hostile", lambda: same_hostile(program))):
        if name in wanted or not wanted:
            check()


if __name__ == "__main__":
    main()
