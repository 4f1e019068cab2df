#!/usr/bin/env python3
"""core/data/parquet against pyarrow: the same values and levels in files over all settings that are read, and in the shared data.

    python3 tests/parity/test_parquet.py PARQUET_DUMP DATA_FOLDER [FILES [SEED]]

PARQUET_DUMP is the built program of parquet_dump.c. FILES (300) files are written by pyarrow, of settings and rows drawn by SEED (1),
each of columns of all types and of lists, structs and maps within each other; then come all parquet files under DATA_FOLDER, if it is
there. The speed of reading text is printed beside pyarrow's. Status 77 without pyarrow.
"""
import glob
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

WORDS = ["north", "east", "south", "west", "", "up", "Straße", "down the road and over the river"]


def steps_of(kind, nullable):
    """The columns that a type makes: path, steps from a value to its leaves, type of the leaf."""
    head = ["optional"] if nullable else []
    if pa.types.is_struct(kind):
        for field in kind:
            for path, steps, leaf in steps_of(field.type, field.nullable):
                yield [field.name] + path, head + [("at", field.name)] + steps, leaf
    elif pa.types.is_map(kind):
        for part, (name, inner, may) in enumerate((("key", kind.key_type, False), ("value", kind.item_type, kind.item_field.nullable))):
            for path, steps, leaf in steps_of(inner, may):
                yield ["key_value", name] + path, head + ["repeated", ("at", part)] + steps, leaf
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        for path, steps, leaf in steps_of(kind.value_type, kind.value_field.nullable):
            yield ["list", "element"] + path, head + ["repeated"] + steps, leaf
    else:
        yield [], head, kind


def shred(value, steps, at, repeat, level, depth, emit):
    """A row as the values of one column, with the levels of the format (Dremel, Melnik et al. 2010)."""
    if at == len(steps):
        emit(repeat, level, value)
    elif steps[at] == "optional":
        if value is None:
            emit(repeat, level, None)
        else:
            shred(value, steps, at + 1, repeat, level + 1, depth, emit)
    elif steps[at] == "repeated":
        if not value:
            emit(repeat, level, None)
        for i, item in enumerate(value):
            shred(item, steps, at + 1, depth + 1 if i else repeat, level + 1, depth + 1, emit)
    else:
        shred(value[steps[at][1]], steps, at + 1, repeat, level, depth, emit)


def packed(value, kind, physical):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"t", struct.pack("<I", len(value)) + value
    if isinstance(value, bool):
        return b"b", struct.pack("<q", value)
    if isinstance(value, int):
        return b"i", struct.pack("<Q", value) if kind == pa.uint64() else struct.pack("<q", value)
    return b"r", struct.pack("<d", value)


def groups_of(file, table):
    """The rows of each row group: of the table that was written, if there is one, or as pyarrow reads them."""
    at = 0
    for g in range(file.num_row_groups):
        n = file.metadata.row_group(g).num_rows
        yield table.slice(at, n) if table is not None else file.read_row_group(g)
        at += n


def expected(file, table=None):
    """What parquet_dump is to write of a file."""
    out = bytearray()
    leaf = 0
    groups = list(groups_of(file, table))
    for field in file.schema_arrow:
        for path, steps, kind in steps_of(field.type, field.nullable):
            name = file.schema.column(leaf).path.encode()
            top = sum(isinstance(s, str) for s in steps)
            lists = steps.count("repeated")
            list_level = sum(isinstance(s, str) for s in steps[: len(steps) - steps[::-1].index("repeated")]) if lists else 0
            out += struct.pack("<I", len(name)) + name + bytes([lists, top])

            physical = file.schema.column(leaf).physical_type
            leaf += 1

            def emit(repeat, level, value):
                if level == top:
                    letter, data = packed(value, kind, physical)
                else:
                    letter, data = (b"e" if level < list_level else b"n"), b""
                out.extend(letter + bytes([repeat, level]) + data)

            for group in groups:
                for value in group[field.name].to_pylist():
                    shred(value, steps, 0, 0, 0, 0, emit)
                out += b"g"
            out += b"c"
    return bytes(out)


def first_difference(ours, theirs):
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return f"byte {at} of {len(ours)} and {len(theirs)}: {ours[at - 20:at + 20]} and {theirs[at - 20:at + 20]}"


def check(program, path, note="", table=None):
    done = subprocess.run([program, path], capture_output=True)
    assert done.returncode == 0, f"{path} {note}: {done.stderr.decode()}"
    theirs = expected(pq.ParquetFile(path), table)
    assert done.stdout == theirs, f"{path} {note}: {first_difference(done.stdout, theirs)}"
    return len(theirs)


# Of each leaf type: how a value is drawn, and the encodings beside PLAIN and dictionary.
def text(rng):
    return rng.choice(WORDS) if rng.random() < 0.7 else "".join(chr(rng.randint(32, 0x2FF)) for _ in range(rng.randint(0, 60)))


def whole(bits, signed=True):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return lambda rng: rng.choice([0, low, high]) if rng.random() < 0.05 else rng.randint(max(low, -100), 100) if rng.random() < 0.5 else rng.randint(low, high)


def single(rng):
    return struct.unpack("<f", struct.pack("<f", rng.gauss(0, 1e6)))[0]


BYTES = ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]
NUMBERS = ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"]
LEAVES = [
    (pa.string(), text, BYTES),
    (pa.large_string(), lambda rng: "/usr/share/" + text(rng), BYTES),
    (pa.binary(), lambda rng: rng.randbytes(rng.randint(0, 40)), BYTES),
    (pa.binary(7), lambda rng: b"abc" + rng.randbytes(4), ["DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"]),
    (pa.bool_(), lambda rng: rng.random() < 0.3, ["RLE"]),
    (pa.int8(), whole(8), NUMBERS),
    (pa.int32(), whole(32), NUMBERS),
    (pa.int64(), whole(64), NUMBERS),
    (pa.uint32(), whole(32, False), NUMBERS),
    (pa.uint64(), whole(64, False), NUMBERS),
    (pa.float32(), single, ["BYTE_STREAM_SPLIT"]),
    (pa.float64(), lambda rng: rng.gauss(0, 1e100), ["BYTE_STREAM_SPLIT"]),
]


def some(draw, nullable, p_null):
    return lambda rng: None if nullable and rng.random() < p_null else draw(rng)


def listed(draw, most=4):
    return lambda rng: [draw(rng) for _ in range(rng.randint(0, most))]


def columns_of(rng, p_null):
    """Name, type, nullable, draw, of flat columns and of some within each other, each of leaves drawn."""
    for i, (kind, draw, _) in enumerate(LEAVES):
        nullable = rng.random() < 0.7
        yield f"flat{i}", kind, nullable, some(draw, nullable, p_null)

    def leaf(may=True):
        kind, draw, _ = rng.choice(LEAVES)
        return kind, some(draw, may, p_null)

    kind, draw = leaf()
    yield "list", pa.list_(kind), True, some(listed(draw), True, p_null)
    kind, draw = leaf(False)
    yield "required_list", pa.list_(pa.field("element", kind, nullable=False)), False, listed(draw)
    yield ("messages", pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())])), True,
           some(listed(some(lambda r: {"content": text(r), "role": r.choice(WORDS)}, True, p_null)), True, p_null))
    kind, draw = leaf()
    yield ("choices", pa.struct([("text", pa.list_(pa.string())), ("label", pa.list_(kind))]), True,
           some(lambda r: {"text": some(listed(text), True, p_null)(r), "label": listed(draw)(r)}, True, p_null))
    kind, draw = leaf()
    yield "map", pa.map_(pa.string(), kind), True, some(lambda r: [(text(r), draw(r)) for _ in range(r.randint(0, 3))], True, p_null)
    kind, draw = leaf()
    yield "deep", pa.list_(pa.list_(kind)), True, some(listed(some(listed(draw, 3), True, p_null), 3), True, p_null)
    kind, draw = leaf()
    yield ("mixed", pa.list_(pa.struct([("a", pa.list_(pa.struct([("b", kind)]))), ("c", pa.int32())])), True,
           some(listed(lambda r: {"a": some(listed(lambda q: {"b": draw(q)}, 2), True, p_null)(r), "c": r.randint(0, 9)}, 3), True, p_null))


def write(path, rng):
    """A file of settings that the generator drew; what they were."""
    n = rng.choice([0, 1, 7, 100, 300, 600])
    p_null = rng.choice([0, 0.1, 0.5, 1])
    fields, arrays = [], []
    for name, kind, nullable, draw in columns_of(rng, p_null):
        fields.append(pa.field(name, kind, nullable))
        arrays.append(pa.array([draw(rng) for _ in range(n)], kind))
    mode = rng.choice(["dictionary", "plain", "other", "other"])
    encodings = {}
    if mode == "other":
        for field in fields:
            for column, _, kind in steps_of(field.type, field.nullable):
                others = next(o for k, _, o in LEAVES if k == kind)
                encodings[".".join([field.name] + column)] = rng.choice(others + ["PLAIN"])
    options = {
        "compression": rng.choice(["none", "snappy", "gzip", "zstd", "lz4"]),
        "version": rng.choice(["1.0", "2.4", "2.6"]),
        "data_page_version": rng.choice(["1.0", "2.0"]),
        "use_dictionary": mode == "dictionary",
        "column_encoding": encodings or None,
        "row_group_size": rng.choice([50, 1000]),
        "data_page_size": rng.choice([100, 2000, 1 << 20]),
        "write_batch_size": rng.choice([4, 64, 1024]),
        "dictionary_pagesize_limit": rng.choice([200, 1 << 20]),  # the small one falls back to PLAIN in the middle
        "write_page_checksum": rng.random() < 0.5,
        "write_statistics": rng.random() < 0.5,
        "write_page_index": rng.random() < 0.3,
    }
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), path, **options)
    return {"rows": n, "nulls": p_null, **options}


def generated(program, folder, n_files, seed):
    n_bytes, seen = 0, set()
    path = os.path.join(folder, "made.parquet")
    for i in range(n_files):
        options = write(path, random.Random(f"{seed}.{i}"))
        n_bytes += check(program, path, f"(seed {seed}, file {i}: {options})")
        meta = pq.ParquetFile(path).metadata
        for g in range(meta.num_row_groups):
            for c in range(meta.num_columns):
                chunk = meta.row_group(g).column(c)
                seen.update((chunk.physical_type, e) for e in chunk.encodings)
                seen.add(chunk.compression)
    print(f"{n_files} files of pyarrow {pa.__version__}: {n_bytes} bytes of values and levels are the same")
    print("seen:", ", ".join(sorted(s if isinstance(s, str) else " ".join(s) for s in seen)))


def long_pages(program, folder):
    """Pages of several megabytes, one a row group: they are unpacked as they are read. A text longer than a step is among them."""
    rng = random.Random(3)
    path, bad = os.path.join(folder, "long.parquet"), os.path.join(folder, "bad.parquet")
    texts = ["".join(chr(rng.randint(32, 126)) for _ in range(rng.choice([3, 500, 9000]))) for _ in range(500)] + ["x" * 5 + "yz" * 1300000]
    rng.shuffle(texts)
    n_bytes = n_damaged = 0
    schema = pa.schema([pa.field("required", pa.string(), False), pa.field("text", pa.string()), pa.field("list", pa.list_(pa.string()))])
    columns = [texts, [t if rng.random() < 0.8 else None for t in texts], [rng.sample(texts[:400], rng.randint(0, 3)) for _ in texts]]
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, schema)], schema=schema)
    for codec in ("zstd", "gzip", "snappy", "none"):
        for version in ("1.0", "2.0"):
            pq.write_table(table, path, compression=codec, data_page_version=version, use_dictionary=False, data_page_size=1 << 28)
            n_bytes += check(program, path, f"({codec}, long pages {version})")
            data = open(path, "rb").read()
            for _ in range(6):  # damage is an error or other values, never a signal, and gzip's checksum sees it
                at = rng.randint(len(data) // 4, len(data) * 3 // 4)
                with open(bad, "wb") as f:
                    f.write(data[:at] + bytes([data[at] ^ (1 << rng.randint(0, 7))]) + data[at + 1:])
                done = subprocess.run([program, bad], capture_output=True)
                assert done.returncode >= 0 and (codec != "gzip" or done.returncode), f"{codec} {version}, byte {at}: {done}"
                n_damaged += done.returncode > 0
    print(f"long pages: {n_bytes} bytes are the same; of 48 damaged files {n_damaged} are seen to be")


def shared(program, folder):
    files = sorted(glob.glob(folder + "/**/*.parquet", recursive=True))
    if not files:
        print(f"no parquet files under {folder}")
    n_bytes = sum(check(program, path) for path in files)
    print(f"{len(files)} files of {folder}: {n_bytes} bytes are the same")


def speed(program, folder):
    """Both read the texts of the shards on one core, in turns, in seconds of the processor, the best of seven; then snappy."""
    shards = sorted(glob.glob(folder + "/pretrain/*.parquet"))[:3]
    if not shards:
        return
    with tempfile.TemporaryDirectory() as made:
        snappy = os.path.join(made, "snappy.parquet")
        texts = pa.concat_tables(pq.read_table(s, columns=["text"]) for s in shards)
        pq.write_table(texts, snappy, compression="snappy", row_group_size=1024)
        pa.set_cpu_count(1)
        for name, files in (("zstd, PLAIN", shards), ("snappy, pyarrow's defaults", [snappy])):
            ours, theirs, n_bytes = [], [], 0
            for _ in range(7):
                n_bytes, s = subprocess.run([program, "speed", *files, "text"], capture_output=True, check=True).stdout.split()
                ours.append(float(s))
                begin = time.process_time()
                for path in files:
                    file = pq.ParquetFile(path, memory_map=True)
                    for g in range(file.num_row_groups):
                        file.read_row_group(g, columns=["text"], use_threads=False)
                theirs.append(time.process_time() - begin)
            megabytes = int(n_bytes) / 1e6
            print(f"{name}: {megabytes / min(ours):.0f} MB/s, pyarrow {megabytes / min(theirs):.0f} MB/s")


def main():
    program, folder = sys.argv[1:3]
    n_files = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    with tempfile.TemporaryDirectory() as made:
        generated(program, made, n_files, seed)
        long_pages(program, made)
    shared(program, folder)
    speed(program, folder)


if __name__ == "__main__":
    main()
