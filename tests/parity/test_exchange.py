#!/usr/bin/env python3
"""What `retort export` writes, loaded by tokenizers and tiktoken: the same ids on real text, odd text and special tokens.

    python3 tests/parity/test_exchange.py RETORT PARQUET_FOLDER [DOCUMENTS]

RETORT is the built program, PARQUET_FOLDER holds shards with a column `text`, on the first of which a tokenizer is trained; DOCUMENTS
(40) of them are compared. Status 77 where a peer or the data is missing.
"""
import glob
import json
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import pyarrow.parquet
    import tiktoken
    import tiktoken.load
    import tokenizers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

RECIPE = """
retort: 1
name: exchange
nanochat: 2025
seed: 1
sources:
  web: {parquet: "%s", column: text, validate: none}
stages:
  tokenizer: {kind: tokenizer, source: web, vocab: 8192, chars: 4M}
"""


def odd_texts(n):
    """Full of borders, runs and repeats, whose merges could go either way."""
    rng = random.Random(7)
    bits = ["'s", "'LL", "'ſ", "'ve", "'", " ", "  ", "\n", "\r\n", "\t", "\u3000", "\x85", "\x1c", "12345", "½", "Ⅷ", "a", "Zq", "é",
            "e\u0301", "中文", "!!", " $", "...\n", "<|bos|>", "🙂", "\ufffd", "\u200d", "ab" * 9, "-=" * 7, "=" * 13, " " * 11, "the" * 5]
    for i in range(n):
        yield "".join(rng.choice(bits) for _ in range(rng.randint(1, 120)))
    for letter in "a -=\n0":
        for length in (1, 2, 3, 5, 7, 31, 64, 65, 127, 500):
            yield letter * length
            yield "x" + letter * length + "y"
    for _ in range(n):
        yield "".join(rng.choice("aab- =") for _ in range(rng.randint(1, 200)))


def main():
    retort, folder = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    shards = sorted(glob.glob(folder + "/*.parquet"))
    if not shards:
        print(f"skipped: no parquet in {folder}")
        sys.exit(77)
    documents = pyarrow.parquet.ParquetFile(shards[-1]).read_row_group(0, columns=["text"])["text"].to_pylist()
    documents = documents[: int(sys.argv[3]) if len(sys.argv) > 3 else 40]

    with tempfile.TemporaryDirectory(prefix="retort-exchange-") as name:
        place = pathlib.Path(name)
        (place / "exchange.yaml").write_text(RECIPE % pathlib.Path(shards[0]).resolve())

        def call(*args, text=None):
            return subprocess.run([retort, *args], input=text, capture_output=True, check=True, cwd=place).stdout

        call("run", "exchange.yaml")
        call("export", "exchange:tokenizer", "--to", "hf", "hf")
        call("export", "exchange:tokenizer", "--to", "tiktoken", "tiktoken")
        hf = tokenizers.Tokenizer.from_file(str(place / "hf/tokenizer.json"))
        plain = tokenizers.Tokenizer.from_file(str(place / "hf/tokenizer.json"))
        plain.encode_special_tokens = True  # their names in a text are text, as they are to us
        ranks = tiktoken.load.load_tiktoken_bpe(str(place / "tiktoken/ranks.tiktoken"))
        settings = json.loads((place / "tiktoken/settings.json").read_text())
        peer = tiktoken.Encoding(mergeable_ranks=ranks, **settings)

        assert hf.get_vocab_size() == peer.n_vocab == 8192
        n_tokens = n_texts = 0
        for text in [*documents, "\n\n".join(documents), *odd_texts(100)]:
            ours = list(map(int, call("encode", "exchange:tokenizer", "--ids", text=text.encode()).split()))
            assert ours == peer.encode_ordinary(text), f"tiktoken: {text[:300]!r}"
            assert ours == plain.encode(text, add_special_tokens=False).ids, f"tokenizers: {text[:300]!r}"
            assert hf.decode(ours, skip_special_tokens=False) == text, f"decoding by tokenizers: {text[:300]!r}"
            n_tokens += len(ours)
            n_texts += 1

        specials = settings["special_tokens"]
        assert len(specials) == 9
        for word, number in specials.items():
            assert hf.token_to_id(word) == number and hf.id_to_token(number) == word
        text = "<|bos|><|user_start|>hi there<|user_end|><|assistant_start|>"
        assert hf.encode(text, add_special_tokens=False).ids == peer.encode(text, allowed_special="all")
        assert hf.encode(text, add_special_tokens=False).ids[:2] == [specials["<|bos|>"], specials["<|user_start|>"]]

        raw = bytes(range(256)) + "中".encode()[:2]  # no peer takes it, and it comes back
        ids = call("encode", "exchange:tokenizer", text=raw)
        assert call("encode", "exchange:tokenizer", "--decode", text=ids) == raw
    print(f"exchange: {n_tokens} ids of {n_texts} texts as by tiktoken and tokenizers")


main()
