"""Recipes that are wrong, huge or hostile, through the real binary: an error with a place, in a second and 256 MiB, or less.

    test_hostile.py RETORT SOURCE

The limits are the kernel's, of processor time and of memory, so that a busy machine fails no test."""
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

RETORT, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
BAD = SOURCE / "tests/e2e/recipes/bad"
MEMORY = 256 << 20

HEAD = 'retort: 1\nsources:\n  web: {text: "text/{00..09}.txt", validate: last}\n'
TOKENIZER = "stages:\n  tokenizer: {kind: tokenizer, source: web, vocab: 512}\n"
BASE = "  base: {kind: pretrain, tokenizer: tokenizer, source: web, depth: 2, seq_len: 256, batch_tokens: 4096, steps: 10}\n"
GOOD = HEAD + TOKENIZER
MOST = 4 << 20


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def check(path, *args):
    return subprocess.run([RETORT, "check", path, *args], preexec_fn=limits, capture_output=True, timeout=60)


def seq(format, n, start=0):
    return "".join(format.format(i) for i in range(start, n))


# What is said of each; None: nothing, it is only large.
TEXTS = {
    "a comment of 4 MiB": (GOOD + "#" + "x" * (MOST - 400), None),
    "4 MiB of empty lines": (GOOD + "\n" * (MOST - 400), None),
    "a value of 4 MiB": (GOOD + 'name: "' + "x" * (MOST - 400) + '"\n', "cannot be the name of a recipe"),
    "one byte more than 4 MiB": ("#" * (MOST + 1), "larger than 4 MiB"),
    "99,000 keys": (GOOD + seq("k{}: 1\n", 99000), "unknown key 'k0'"),
    "a key 90,000 times": (GOOD + "seed: 1\n" * 90000, "stands twice"),
    "120,000 values": (GOOD + "let: [" + "1," * 120000 + "]\n", "more than 100,000 values"),
    "brackets 100,000 deep": (GOOD + "name: " + "[" * 100000, "nest more than 64 deep"),
    "braces 50,000 deep": (GOOD + "name: " + "{a: " * 50000, "nest more than 64 deep"),
    "dashes 30,000 deep": (GOOD + "name:\n  " + "- " * 30000 + "a\n", "nest more than 64 deep"),
    "lines 1,200 deep": (GOOD + "name:\n" + "".join(" " * (i + 1) + "a:\n" for i in range(1200)), "nest more than 64 deep"),
    "an anchor 90,000 times": (GOOD + "name: [" + "&a b," * 90000 + "]\n", "anchors are not part of the language"),
    "an alias of a million letters": (GOOD + "name: *" + "a" * 1000000 + "\n", "aliases are not part of the language"),
    "a tag of a million letters": (GOOD + "name: " + "!" * 1000000 + "\n", "a tag is not part of the language"),
    "600,000 variables in one value": (GOOD + "let: {x: 1}\nname: \"" + "${x}" * 600000 + '"\n', "too long"),
    "80,000 values of 3 out of 1,000 variables":
        (GOOD + "let:\n" + seq('  v{}: "1"\n', 1000) + "name:\n" + '  - "${v999}${v998}${v997}"\n' * 80000, "takes one value"),
    "variables 1,000 deep": (GOOD + "let:\n" + "".join(f'  v{i}: "${{v{i + 1}}}"\n' for i in range(999)) + "  v999: 1\nname: ${v0}\n",
                             "more than 32 deep"),
    "4,001 stages": (HEAD + "stages:\n" + seq("  s{}: {{kind: tokenizer, source: web}}\n", 4001), "more than 4000 stages"),
    "a circle of 3,900 stages":
        (GOOD + "".join(f"  s{i}: {{kind: finetune, preset: sft, model: s{(i + 1) % 3900}, mixture: [{{task: town_talk}}]}}\n"
                        for i in range(3900)), "needs its own result"),
    "a model 90,000 times": (GOOD + BASE + "  e: {kind: eval, model: [" + "base, " * 90000 + "], suites: [bpb]}\n", "twice"),
    "90,000 suites": (GOOD + BASE + "  e: {kind: eval, model: base, suites: [" + seq("t{},", 90000) + "]}\n", "unknown task"),
    "390 million files": (HEAD + seq('  w{}: {{text: "t/{{00000..99999}}.txt", validate: none}}\n', 3900) + TOKENIZER,
                          "more than 100,000 files"),
    "a mix of 3,900 mixes": (HEAD + "".join(f"  m{i}: {{mix: [{{source: {f'm{i + 1}' if i < 3900 else 'web'}, share: 1}}], "
                                            "validate: none}\n" for i in range(3901)) + TOKENIZER, None),
    "30,000 names in a matrix": (HEAD + "matrix:\n" + seq("  v{}: [1, 2]\n", 30000) + TOKENIZER, "the matrix has more than 10^15 cells"),
    "3,900 stages in 1,000 cells":
        (HEAD + "matrix: {a: [" + seq("{},", 1001, 1) + "]}\n" + TOKENIZER +
         seq('  b{}: {{kind: pretrain, tokenizer: tokenizer, source: web, depth: 2, steps: "${{a}}"}}\n', 3900),
         "more than 200000 values"),
    "an error in 1,000 cells":
        (HEAD + "matrix: {a: [" + seq("{},", 1001, 1) + "]}\n" + GOOD.removeprefix(HEAD) + BASE.replace("steps: 10", 'stpes: "${a}"'),
         "did you mean 'steps'"),
    "lets of 1,000 cells": (HEAD + "matrix: {a: [" + seq("{},", 101, 1) + "], b: [" + seq("{},", 10) + "]}\nlet:\n" +
                            seq('  v{}: "${{a}}${{b}}"\n', 900) + TOKENIZER + BASE.replace("steps: 10", 'steps: "${v1}", x: 1'),
                            "unknown key 'x'"),
    "an escape 900,000 times": (GOOD + 'name: "' + "\\x41" * 900000 + '"\n', "cannot be the name of a recipe"),
    "100,000 documents": ("---\n" * 100000, "a second document"),
    "100,000 percent signs": ("%" * 100000, "directives are not part of the language"),
    "a name of 100,000 letters": (GOOD + "  " + "a" * 100000 + ": {kind: tokenizer, source: web}\n", "a key without ':'"),
    "UTF-16": ("\ufeffretort: 1\n".encode("utf-16"), "is not UTF-8"),
    "bytes of no meaning": (bytes((i * 7919 >> 3) & 255 for i in range(100000)), "has no business here"),
    "zero bytes": (b"\0" * 1000, "U+0000"),
    "nothing": (b"", "the file is empty"),
    "a mark and nothing": (b"\xef\xbb\xbf", "the file is empty"),
}


class Hostile(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="retort-hostile-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def refused(self, path, words, *args, status=2):
        done = check(path, *args)
        said = done.stderr.decode("utf-8", "replace")
        self.assertEqual(done.returncode, status, f"{path}: {said[:2000]}")
        self.assertIn(words, said[:100000], path)
        self.assertLess(len(said), 200000, f"{path}: more is said than anybody reads")
        return said

    def test_every_bad_recipe(self):
        paths = sorted(BAD.glob("*.yaml"))
        self.assertGreater(len(paths), 100)
        for path in paths:
            with self.subTest(path=path.name):
                first = path.read_bytes().split(b"\n")[0]
                status = int(first.split()[-1]) if first.startswith(b"# status:") else 2
                self.assertRegex(self.refused(path, ": error: ", status=status), r"(?m)^\S+\.yaml:\d+:\d+: error: ")

    def test_texts(self):
        for name, (text, words) in TEXTS.items():
            with self.subTest(name=name):
                path = self.write("r.yaml", text)
                if words:
                    self.refused(path, words)
                else:
                    done = check(path)
                    self.assertEqual(done.returncode, 0, done.stderr[:2000])

    def test_100_megabytes(self):
        self.refused(self.write("r.yaml", b"#" * (100 << 20)), "larger than 4 MiB")
        self.refused(self.write("world.yaml", GOOD.replace('{text: "text/{00..09}.txt", validate: last}',
                                                           "{world: r.yaml, documents: 9, validate: none}")), "larger than 4 MiB")
        self.refused(self.write("include.yaml", "include: [r.yaml]\n" + GOOD), "larger than 4 MiB")

    def test_files_that_are_none(self):
        self.refused(self.folder, "is not a regular file")
        self.refused("/dev/zero", "is not a regular file")
        self.refused(self.folder / "nowhere.yaml", "cannot open")

    def test_unknown_device_beside_the_rest(self):
        path = self.write("r.yaml", GOOD + "hardware: {device: H1000, count: 0}\n")
        line = GOOD.count("\n") + 1
        for command in "check", "plan", "run":
            done = subprocess.run([RETORT, command, path, "--results", self.folder / "results"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{path}:{line}:20: error: nothing is known of the device 'H1000'", done.stderr)
            self.assertIn(f"{path}:{line}:34: error: count is 0", done.stderr)

    def test_includes(self):
        for i in range(12):
            self.write(f"parts/two{i}.yaml", f"include: [two{i + 1}.yaml, two{i + 1}.yaml]\n")
        self.write("parts/two12.yaml", "seed: 1\n")
        self.refused(self.write("r.yaml", "include: [parts/two0.yaml]\n" + GOOD), "more than 256 files")
        for i in range(17):
            self.write(f"parts/deep{i}.yaml", f"include: [deep{i + 1}.yaml]\n")
        self.write("parts/deep17.yaml", "seed: 1\n")
        self.refused(self.write("r.yaml", "include: [parts/deep1.yaml]\n" + GOOD), "more than 16 deep")
        self.assertEqual(check(self.write("r.yaml", "include: [parts/deep2.yaml]\n" + GOOD)).returncode, 0)
        self.write("parts/keys.yaml", "let:\n" + seq("  k{}: 1\n", 99000))
        self.refused(self.write("r.yaml", "include: [" + "parts/keys.yaml, " * 200 + "]\n" + GOOD), "more than 200000 values")
        self.write("parts/comment.yaml", "seed: 1\n#" + "x" * 4000000)
        self.refused(self.write("r.yaml", "include: [" + "parts/comment.yaml, " * 200 + "]\n" + GOOD), "or 16 MiB, in all")

    def test_links_out_of_the_folder(self):
        outside = self.write("outside.yaml", "seed: 1\n")
        (self.folder / "in").mkdir()
        (self.folder / "in/link.yaml").symlink_to(outside)
        (self.folder / "in/folder").symlink_to(self.folder)
        for name in ("link.yaml", "folder/outside.yaml", "../outside.yaml", outside):
            self.refused(self.write("in/r.yaml", f"include: ['{name}']\n" + GOOD), "is not under the folder")
        (self.folder / "in/again.yaml").symlink_to(self.folder / "in/r.yaml")
        self.refused(self.write("in/r.yaml", "include: [again.yaml]\n" + GOOD), "includes itself")

    def test_other_recipes(self):
        use = '  e: {kind: eval, model: [%s], suites: [bpb]}\n'
        for i in range(20):
            self.write(f"deep{i}.yaml", GOOD + BASE.replace("tokenizer: tokenizer", f"tokenizer: 'deep{i + 1}.yaml:tokenizer'"))
        self.refused(self.write("r.yaml", GOOD + use % "'deep0.yaml:base'"), "more than 16 deep")
        for i in range(300):
            self.write(f"many{i}.yaml", GOOD + BASE + "#" + "x" * 10000)
        self.refused(self.write("r.yaml", GOOD + use % ", ".join(f"'many{i}.yaml:base'" for i in range(300))), "more than 256 files")

    def test_vocabulary_too_large_for_its_text(self):
        self.write("a.txt", "hello world hello\n")
        path = self.write("r.yaml", "retort: 1\nsources: {t: {text: a.txt, validate: none}}\n"
                          "stages: {tok: {kind: tokenizer, source: t, vocab: 400}}\n")
        done = subprocess.run([RETORT, "run", path, "--results", self.folder / "results"], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        most = re.search(r"largest vocabulary is (\d+)", done.stderr)
        self.assertTrue(most, done.stderr)
        line, column = 3, "stages: {tok: {kind: tokenizer, source: t, vocab: 400}}".index("400") + 1
        self.assertIn(f"{path}:{line}:{column}: error: ", done.stderr)
        done = subprocess.run([RETORT, "run", path, "--results", self.folder / "results", "-s", f"tok.vocab={most.group(1)}"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
