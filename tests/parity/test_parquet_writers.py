#!/usr/bin/env python3
"""core/data/parquet on the files of other writers than pyarrow: polars, duckdb and fastparquet. The values and levels are held against
what was written; of fastparquet, which changes types, against what pyarrow reads.

    python3 tests/parity/test_parquet_writers.py PARQUET_DUMP [FILES [SEED]]

PARQUET_DUMP is the built program of parquet_dump.c. FILES (25) files of each writer, of settings and rows drawn by SEED (1). A writer that
is not installed is told and left out; status 77 without any, or without pyarrow.
"""
import os
import random
import sys
import tempfile

try:
    import pyarrow as pa
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from test_parquet import WORDS, check, text


def column(rng, n, p_null, draw):
    return [None if rng.random() < p_null else draw() for _ in range(n)]


def table(rng, n, p_null):
    """Columns of all kinds that the writers share, nulls at every level."""
    def some(draw):
        return lambda: None if rng.random() < p_null else draw()

    def listed(draw, most=3):
        return lambda: [draw() for _ in range(rng.randint(0, most))]

    word, words, small = (lambda: rng.choice(WORDS)), (lambda: text(rng)), (lambda: rng.randint(0, 9))
    columns = {
        "text": (pa.string(), words), "word": (pa.string(), word), "bytes": (pa.binary(), lambda: rng.randbytes(rng.randint(0, 9))),
        "flag": (pa.bool_(), lambda: rng.random() < 0.5), "small": (pa.int16(), small),
        "large": (pa.int64(), lambda: rng.randint(-2**63, 2**63 - 1)), "unsigned": (pa.uint32(), lambda: rng.randint(0, 2**32 - 1)),
        "single": (pa.float32(), lambda: rng.randint(-9, 9) / 8), "double": (pa.float64(), lambda: rng.gauss(0, 1)),
        "texts": (pa.list_(pa.string()), listed(some(words))),
        "messages": (pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
                     listed(lambda: {"role": some(word)(), "content": some(words)()}, 4)),
        "choices": (pa.struct([("text", pa.list_(pa.string())), ("label", pa.int64())]),
                    lambda: {"text": listed(some(words))(), "label": some(small)()}),
        "deep": (pa.list_(pa.list_(pa.int32())), listed(some(listed(small)), 2)),
    }
    return pa.table({name: pa.array(column(rng, n, p_null, draw), kind) for name, (kind, draw) in columns.items()})


def write_polars(polars, path, rng):
    options = {"compression": rng.choice(["uncompressed", "snappy", "zstd", "gzip", "lz4"]), "row_group_size": rng.choice([None, 3, 100, 1000]),
               "data_page_size": rng.choice([None, 100, 5000]), "statistics": rng.choice([True, False, "full"])}
    n, p_null = rng.choice([0, 1, 7, 100, 2000]), rng.choice([0, 0.1, 0.5, 1])
    rows = table(rng, n, p_null)
    frame = polars.from_arrow(rows)
    if rng.random() < 0.3:
        frame = frame.with_columns(polars.col("word").cast(polars.Categorical))
    frame.write_parquet(path, **options)
    return {"rows": n, "nulls": p_null, **options}, rows


def write_duckdb(duckdb, path, rng):
    n, p_null = rng.choice([0, 1, 7, 100, 3000, 5000]), rng.choice([0, 0.1, 0.5, 1])
    options = [f"CODEC {rng.choice(['uncompressed', 'snappy', 'zstd', 'gzip', 'lz4_raw'])}", f"ROW_GROUP_SIZE {rng.choice([2048, 4096, 100000])}",
               f"PARQUET_VERSION {rng.choice(['V1', 'V2'])}", f"DICTIONARY_SIZE_LIMIT {rng.choice([1, 10, 100000])}"]
    connection = duckdb.connect()
    rows = table(rng, n, p_null)
    connection.register("rows", rows)
    connection.execute(f"COPY (SELECT * FROM rows) TO '{path}' (FORMAT parquet, {', '.join(options)})")
    return {"rows": n, "nulls": p_null, "options": options}, rows


def write_fastparquet(fastparquet, path, rng):
    """Flat columns; its lists are JSON. Nulls are marked: what it makes of others pyarrow does not read, either."""
    import pandas
    n, p_null = rng.choice([1, 7, 100, 2000]), rng.choice([0, 0.1, 0.5])
    options = {"compression": rng.choice([None, "SNAPPY", "GZIP", "ZSTD", "LZ4", "LZ4_RAW"]), "row_group_offsets": rng.choice([50000000, 5, 100]),
               "has_nulls": True, "stats": rng.random() < 0.5}
    frame = table(rng, n, p_null).select(["text", "word", "small", "large", "double", "flag"]).to_pandas()
    for name, kind in (("small", "Int16"), ("flag", "boolean")):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), pandas.NA).astype(kind)
    frame["large"] = range(n)
    if rng.random() < 0.5 and frame["word"].notna().any():
        frame["word"] = frame["word"].astype("category")
    fastparquet.write(path, frame, **options)
    return {"rows": n, "nulls": p_null, **options}, None


WRITERS = {"polars": write_polars, "duckdb": write_duckdb, "fastparquet": write_fastparquet}


def main():
    program = sys.argv[1]
    n_files = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    n_writers = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, write in WRITERS.items():
            try:
                module = __import__(name)
            except ImportError as missing:
                print(f"without files of {name}: {missing}")
                continue
            n_writers += 1
            path, n_bytes = os.path.join(folder, f"{name}.parquet"), 0
            for i in range(n_files):
                options, rows = write(module, path, random.Random(f"{seed}.{name}.{i}"))
                n_bytes += check(program, path, f"(of {name}, seed {seed}, file {i}: {options})", rows)
            print(f"{n_files} files of {name} {module.__version__}: {n_bytes} bytes of values and levels are the same")
    if not n_writers:
        print("skipped: none of the writers is installed")
        sys.exit(77)


if __name__ == "__main__":
    main()
