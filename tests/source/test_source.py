#!/usr/bin/env python3
"""What holds of the source text itself: calls go down only, no file is too long, headers say what they are, and the files that
READMEs name are there.

    python3 tests/source/test_source.py            # of this checkout
"""
import glob
import os
import re
import subprocess
import sys
import unittest

SOURCE = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", ".."))
LONGEST = 900  # lines; a longer file says at its top "Long because ..."
TOP = ["CMakeLists.txt", "README.md", "LICENSE", "runner", "core", "kernels", "recipes", "results", "tests"]


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def files():
    """Those of the project: what git has, or in a copy without git what is there."""
    git = subprocess.run(["git", "-C", SOURCE, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if git.returncode == 0:
        return sorted(f for f in git.stdout.splitlines() if os.path.exists(os.path.join(SOURCE, f)))
    found = []
    for top in TOP:
        for folder, _, names in os.walk(os.path.join(SOURCE, top)):
            found += [os.path.relpath(os.path.join(folder, n), SOURCE) for n in names]
        if os.path.isfile(os.path.join(SOURCE, top)):
            found.append(top)
    return sorted(found)


FILES = files()
CODE = [f for f in FILES if f.endswith((".c", ".h")) and f.startswith(("kernels/", "core/", "runner/"))]


def layers():
    """From the lowest to the highest: kernels, then the folders in the order in which CMake builds them, which is written there."""
    def listed(path):
        return re.search(r"foreach\(folder ([\w\s]+)\)", read(path)).group(1).split()
    return (["kernels", "core/base"] + ["core/" + f for f in listed("core/CMakeLists.txt")] +
            ["runner/" + f for f in listed("runner/CMakeLists.txt")] + ["runner"])


def folder_of(path):
    parts = path.split("/")
    return parts[0] if parts[0] == "kernels" else "/".join(parts[:-1])


class Layers(unittest.TestCase):
    def test_every_folder_has_a_place(self):
        self.assertEqual({folder_of(f) for f in CODE}, set(layers()))

    def test_includes_go_down_only(self):
        height = {folder: i for i, folder in enumerate(layers())}
        n = 0
        for path in CODE:
            for line, text in enumerate(read(path).splitlines(), 1):
                found = re.match(r'\s*#\s*include\s+"([^"]+)"', text)
                if not found or found.group(1) in ("build_id.h", "guard.inc"):  # which the build makes
                    continue
                n += 1
                to = found.group(1)
                where = f"{path}:{line} includes {to}"
                self.assertIn(to, CODE, where + ", which is no header of the program")
                self.assertLessEqual(height[folder_of(to)], height[folder_of(path)], where + ", which lies above it")
                inside = to.endswith("_inside.h") and folder_of(to) != folder_of(path)
                self.assertFalse(inside, where + ", which is for its own folder only")
        self.assertGreater(n, 1000)


class Files(unittest.TestCase):
    def test_the_top_is_what_it_is(self):
        self.assertEqual({f.split("/")[0] for f in FILES if not f.startswith(".")} - {"retort"}, set(TOP))

    def test_none_is_too_long(self):
        for path in FILES:
            if path.endswith((".c", ".h", ".py", ".yaml", ".md", ".txt", ".cmake")):
                lines = read(path).splitlines()
                excused = any("Long because" in line for line in lines[:15])
                self.assertTrue(len(lines) <= LONGEST or excused, f"{path} has {len(lines)} lines")


class Headers(unittest.TestCase):
    def test_the_first_line_says_what_it_is(self):
        for path in CODE:
            first = read(path).split("\n", 1)[0]
            self.assertRegex(first, r"^// " + re.escape(os.path.basename(path)) + r" - \S", path)

    def test_guards_differ(self):
        guards = [re.search(r"^#ifndef (\w+_H)\n#define \1\n", read(f), re.M).group(1) for f in CODE if f.endswith(".h")]
        self.assertEqual(len(guards), len(set(guards)))

    def test_what_is_declared_is_called(self):
        """By somebody, be it a test; what one file alone calls is static there."""
        words, defined = {}, {}
        for path in FILES:
            if path.endswith((".c", ".h", ".cu")):
                text = re.sub(r"//[^\n]*", "", read(path))
                for word in set(re.findall(r"\b[a-z]\w+\b", text)):
                    words.setdefault(word, set()).add(path)
                if path.endswith(".c"):
                    for word in re.findall(r"^(?!static|return|else)[\w][\w \*]*?\b(\w+)\([^;{]*\)\n\{", text, re.M):
                        defined.setdefault(word, set()).add(path)
        n, idle = 0, []
        for path in CODE:
            if not path.endswith(".h") or path.startswith(("kernels/cpu/", "kernels/ref/")):  # behind tables
                continue
            text = re.sub(r"//[^\n]*|__attribute__\(\(.*?\)\)\)?", "", read(path))
            for name in re.findall(r"^(?!static|typedef|return|#|\s)[\w][\w \*]*?\b(?:CHECKED )?\*?(\w+)\([^;{}]*\);", text, re.M):
                n += 1
                users = {f for f in words.get(name, set()) - defined.get(name, set()) if not f.endswith(".h")}
                if not users:
                    idle.append(f"{path}: {name}")
        self.assertEqual(idle, [])
        self.assertGreater(n, 500)


class Readmes(unittest.TestCase):
    """A name in backticks, or a link, that looks like a file or a folder of the project is one."""

    def named(self, path):
        text = re.sub(r"^( {4}|```).*$", "", read(path), flags=re.M)
        for name in re.findall(r"`([^`\s]+)`|\]\(([^)\s#]+)[^)]*\)", text):
            name = name[0] or name[1]
            if re.fullmatch(r"[\w./*-]*(/|\.(c|h|py|sh|md|txt|yaml|cmake))", name) and not re.search(r"[A-Z]{3,}(?!.*\.(md|txt)$)", name):
                yield name

    def test_what_they_name_is_there(self):
        n, names = 0, {os.path.basename(f) for f in FILES}
        missing = []
        for readme in [f for f in FILES if f.endswith(".md") and not f.startswith("recipes/")]:  # those name files of users
            here = os.path.dirname(readme)
            for name in self.named(readme):
                n += 1
                tries = [os.path.join(SOURCE, base, name) for base in (here, "", "core", "runner", "tests", "tests/e2e", "recipes")]
                if name not in names and not any(glob.glob(t) for t in tries):
                    missing.append(f"{readme}: {name}")
        self.assertEqual(missing, [])
        self.assertGreater(n, 150)

    def test_everyday_changes_name_places(self):
        """Each row of the table in README.md has files that are there, by their whole path from the top."""
        table = read("README.md").split("## Where to change what", 1)[1].split("\n## ", 1)[0]
        rows = [line for line in table.splitlines() if line.startswith("|")][2:]
        self.assertGreaterEqual(len(rows), 10)
        for row in rows:
            places = [n for n in re.findall(r"`([^`\s]+)`", row) if "/" in n]
            self.assertTrue(places, row)
            for name in places:
                if not re.search(r"[A-Z]{3,}", name):
                    self.assertTrue(os.path.exists(os.path.join(SOURCE, name)), f"{name} of README.md is not there")
                else:  # NAME stands for a new file, of which there are others
                    self.assertTrue(glob.glob(os.path.join(SOURCE, re.sub(r"[A-Z]{3,}", "*", name))), name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
