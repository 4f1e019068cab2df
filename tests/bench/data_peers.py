"""Reading parquet and JSON lines beside pyarrow and Python's json, in turns on the same files by one thread each.

    python3 tests/bench/data_peers.py build/retort FILE.parquet ... FILE.jsonl ...

Prints MB/s of text, the best of the turns, and what retort's is of each peer's. No part of the test suite: it measures.
"""
import json
import os
import subprocess
import sys
import time

TURNS = 5


def retort(binary, path):
    out = subprocess.run([binary, "bench", "data", path, "--json"], capture_output=True, text=True, check=True).stdout
    file = json.loads(out)["files"][0]
    return file["bytes"], file["seconds"], file["column"]


def pyarrow_parquet(path, column):
    import pyarrow.parquet
    file = pyarrow.parquet.ParquetFile(path, memory_map=True)
    n = 0
    for group in range(file.num_row_groups):
        for chunk in file.read_row_group(group, columns=[column], use_threads=False).column(0).chunks:
            n += sum(len(b) for b in chunk.buffers()[2:] if b)
    return n


def pyarrow_json(path, _):
    import pyarrow.json
    table = pyarrow.json.read_json(path, read_options=pyarrow.json.ReadOptions(use_threads=False))
    return table.column("text").nbytes


def python_json(path, _):
    with open(path, "rb") as lines:
        return sum(len(json.loads(line)["text"]) for line in lines)


def main():
    binary, paths = sys.argv[1], sys.argv[2:]
    print("load average", *os.getloadavg())
    for path in paths:
        peers = {"pyarrow": pyarrow_parquet} if path.endswith(".parquet") else {"pyarrow": pyarrow_json, "python": python_json}
        best = dict.fromkeys(["retort", *peers], float("inf"))
        for _ in range(TURNS):
            n_bytes, seconds, column = retort(binary, path)
            best["retort"] = min(best["retort"], seconds)
            for name, read in peers.items():
                start = time.perf_counter()
                read(path, column)
                best[name] = min(best[name], time.perf_counter() - start)
        line = f"{os.path.basename(path)[:40]:40} retort {n_bytes / best['retort'] / 1e6:6.0f} MB/s"
        for name in peers:
            line += f"  {name} {n_bytes / best[name] / 1e6:6.0f} MB/s ({best[name] / best['retort']:.2f}x)"
        print(line)
    print("load average", *os.getloadavg())


if __name__ == "__main__":
    main()
