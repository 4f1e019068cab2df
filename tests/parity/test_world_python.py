"""What recipes/worlds/python.yaml writes, run by Python: functions pass their tests, talk and documents hold, calls give what they say;
and no combination that is held out is ever shown. And what the world of the README writes, as the README says.

    test_world_python.py WORLD_DUMP WORLDS_FOLDER
"""
import contextlib
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

DUMP, WORLDS = sys.argv[1], pathlib.Path(sys.argv[2])
ROWS = 1500


def dump(*args, world=WORLDS / "python.yaml"):
    return subprocess.run([DUMP, world, *map(str, args)], capture_output=True, text=True, check=True).stdout


def records(kind, name, fields, n=ROWS):
    """Rows as lists of (field, text); a text may have lines of its own."""
    rows = []
    for line in dump(1, 0, n, kind, name).splitlines(keepends=True):
        field = re.match(rf"({'|'.join(fields)}): ", line)
        if field and (field[1] != fields[0] or not rows or any(f != fields[0] for f, _ in rows[-1])):
            if field[1] == fields[0]:
                rows.append([])
            rows[-1].append((field[1], line[field.end():]))
        elif line.strip() or rows[-1][-1][1]:
            rows[-1][-1] = (rows[-1][-1][0], rows[-1][-1][1] + line)
    return rows


def run(text):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(text, {})
    return out.getvalue().splitlines()


class Python(unittest.TestCase):
    def functions(self, kind):
        names = set()
        for row in records(kind, "functions", ["prompt", "code", "tests"]):
            text = {field: value for field, value in row if field != "tests"}
            tests = [value for field, value in row if field == "tests"]
            source = text["prompt"].rstrip("\n") + "\n" + text["code"].rstrip("\n") + "\n"
            self.assertRegex(source, r'^def \w+\(\w+\):\n    """[A-Z][^\n]*\."""\n    return [^\n]+\n$')
            run(source + "".join(tests))
            with self.assertRaises(AssertionError):  # and the tests tell a wrong one
                run(text["prompt"] + "    return None\n" + "".join(tests))
            names.add(re.match(r"def (\w+)", source)[1])
        return names

    def test_functions_pass_their_tests_and_none_is_in_both_splits(self):
        kept, held_out = self.functions("kept"), self.functions("held_out")
        self.assertFalse(kept & held_out)
        self.assertGreater(len(kept), 150)
        self.assertGreater(len(held_out), 30)
        # A conversation shows no function that is held out, nor do documents.
        shown = set()
        for row in records("kept", "talk", ["role", "content"]):
            contents = [value for field, value in row if field == "content"]
            self.assertEqual(len(contents), 2)
            run(contents[1])
            shown.add(re.match(r"def (\w+)", contents[1])[1])
            self.assertIn(re.match(r"def (\w+)", contents[1])[1], contents[0])
        self.assertFalse(shown & held_out)
        self.assertGreater(len(shown & kept), 100)
        self.assertFalse({name for name in held_out if f"{name}(" in dump(1, 0, 3000)})

    def test_documents_are_right(self):
        for text in dump(1, 0, 800).split("\n\n\n"):
            for name in re.findall(r"^# .*\ndef", text):
                source = text.split("\n\n\n")[0]
                wanted = re.findall(r"^print\(.*  # (.*)$", source, re.M)
                self.assertEqual(run(source), wanted)
        prose = dump(1, 0, 800)
        checked = 0
        for left, right in re.findall(r"(?<![\w\"])(\[?\d[^.:,]*?|len\(\[.*?\]\)|sum\(\[.*?\]\)) (?:is|are) (True|False|\d+)", prose):
            with contextlib.suppress(SyntaxError, NameError):
                self.assertEqual(str(eval(left)), right, left)
                checked += 1
        self.assertGreater(checked, 500)

    def test_calls_give_what_they_say(self):
        for kind in ("kept", "held_out"):
            for row in records(kind, "runs", ["question", "answer"]):
                answer = dict(row)["answer"]
                call, said = re.search(r"<<(.*)=(.*?)>>", answer).groups()
                self.assertEqual(str(eval(call)), said)
                self.assertEqual(answer.strip().splitlines()[-1], f"#### {said}")


class Readme(unittest.TestCase):
    def test_the_world_of_the_readme(self):
        blocks = re.findall(r"```yaml\n(world: 1\n.*?)```", (WORLDS / "README.md").read_text(), re.S)
        self.assertGreaterEqual(len(blocks), 2)
        with tempfile.TemporaryDirectory() as folder:
            for block in blocks:
                path = pathlib.Path(folder) / "zoo.yaml"
                path.write_text(block)
                text = dump(1, 0, 200, world=path)
                self.assertGreater(len(set(text.split("\n\n"))), 20)
            self.assertIn("question: ", dump(1, 0, 5, "held_out", "quiz", world=path))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
