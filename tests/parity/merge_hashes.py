#!/usr/bin/env python3
"""The hashes in tests/unit/core/text/test_bpe_shared.c: what rustbpe's merges are on real text.

    python3 tests/parity/merge_hashes.py PARQUET_FOLDER [VOCAB ...]       512, 4096 and 32768; minutes

Every document (column `text` of all shards, in order) is cut to its first 10,000 characters. The hash is SHA-256 over a line of
hexadecimal digits for each merge.
"""
import glob
import hashlib
import sys

import pyarrow.parquet
import rustbpe

PATTERN = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
           r"|\s*[\r\n]|\s+(?!\S)|\s+")
DOC_CAP = 10_000

texts = [text[:DOC_CAP] for path in sorted(glob.glob(sys.argv[1] + "/*.parquet"))
         for text in pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist()]
for vocab in map(int, sys.argv[2:] or (512, 4096, 32768)):
    peer = rustbpe.Tokenizer()
    peer.train_from_iterator(iter(texts), vocab, pattern=PATTERN)
    ranks = sorted((rank, bytes(token)) for token, rank in peer.get_mergeable_ranks())
    assert len(ranks) == vocab
    lines = "".join(token.hex() + "\n" for rank, token in ranks if rank >= 256)
    print(vocab, hashlib.sha256(lines.encode()).hexdigest(), flush=True)
