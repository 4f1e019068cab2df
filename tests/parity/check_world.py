"""What share of a text could the world have written, and what share of its statements is true?

    python3 tests/parity/check_world.py recipes/worlds/town.yaml < text
    {"sentences": 200, "known": 0.97, "checkable": 120, "right": 0.93, "half": 0, ...}

known   sentences that match a sentence of the world's templates, slots filled with items of their sets
right   of the known sentences in which a fact or sum can be checked (its name and its value stand in the same sentence), those
        where all are right; a sentence that several templates could have written counts by the kindest
A last sentence without its end is not counted ("half"). A template is cut at . ! ? before a blank, like the text.

The language is that of core/data/world.h; facts are hashed here again, independently of the C code.
    --self-test WORLD_DUMP  the built program of world_dump.c: of its documents all must be known and right, every sentence of the
                            templates used, also of held-out ones, and shuffled words must not be known
"""
import argparse
import itertools
import json
import random
import re
import subprocess
import sys

try:
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

MASK = (1 << 64) - 1
NUMBERS = itertools.count()
SENTENCE = re.compile(r'(?<=[.!?])\s+|(?<=[.!?]")\s+|\n+')


def hash_texts(*texts):
    h = 0xCBF29CE484222325
    for byte in b"".join(t.encode() + b"\0" for t in texts):
        h = (h ^ byte) * 0x100000001B3 & MASK
    h ^= h >> 33
    h = h * 0xFF51AFD7ED558CCD & MASK
    h ^= h >> 33
    h = h * 0xC4CEB9FE1A85EC53 & MASK
    return h ^ h >> 33


def plural(s):
    if s.endswith("y") and len(s) > 1 and s[-2] not in "aeiouAEIOU":
        return s[:-1] + "ies"
    return s + ("es" if s.endswith(("s", "x", "z", "ch", "sh")) else "s")


def article(s):
    return ("an " if s[0] in "aeiouAEIOU" else "a ") + s


class World:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            tree = yaml.load(f, yaml.BaseLoader)  # every scalar is a text
        self.sets = dict(tree.get("sets", {}))
        self.ranges = {k: tuple(map(int, v.split(".."))) for k, v in tree.get("sums", {}).items()}
        for fact in tree.get("facts", {}).values():
            for side, texts in (("of", fact.get("pairs", {}).keys()), ("is", fact.get("pairs", {}).values())):
                if fact[side] not in self.sets and texts:
                    self.sets[fact[side]] = list(dict.fromkeys(texts))
        self.of, self.is_, self.facts = {}, {}, {}
        for name, fact in tree.get("facts", {}).items():
            self.of[name], self.is_[name] = fact["of"], fact["is"]
            self.facts[name] = fact.get("pairs") or {x: self.hashed(name, fact, x) for x in self.sets[fact["of"]]}
        text = lambda t: t["text"] if isinstance(t, dict) else t
        self.parts = {k: [text(t) for t in v] for k, v in tree.get("parts", {}).items()}
        self.documents = [text(t) for t in tree["documents"]]
        self.given = {}  # part: types of its callers' names
        for t in self.documents:
            self.give(t, {})
        self.sentences = []
        for part, texts in [(None, self.documents), *((k, t) for k, t in self.parts.items() if k in self.given)]:
            for t in texts:
                types = self.types(t, self.given.get(part, {}))
                # A part of whole sentences is a cut: its own texts have their own entries.
                cut = re.sub(r"{\^?@(\w+)}", lambda m: "\n" if self.is_whole(m[1]) else m[0], t)
                for sentence in re.split(SENTENCE, cut):
                    if sentence.strip():
                        self.sentences.append(Sentence(self, sentence.strip(), types))

    def is_whole(self, part):
        return all(re.search(r'[.!?]"?$|@\w+}$', t) for t in self.parts[part])

    def hashed(self, name, fact, x):
        values = self.sets[fact["is"]]
        if fact["of"] != fact["is"]:
            return values[(hash_texts("value", name, x) >> 32) * len(values) >> 32]
        k = (hash_texts("value", name, x) >> 32) * (len(values) - 1) >> 32
        return values[k + (k >= values.index(x))]

    def source_type(self, source, types):
        """The set that a slot's value is from, 'number', or None when only the callers know."""
        source = source.strip()
        if source in self.sets:
            return source
        if m := re.match(r"(\w+)\s*\.of", source):
            return self.is_[m[1]]
        if source in self.ranges or re.search(r"[-+*]|^\d", source):
            return "number"
        return types.get(source)

    def give(self, template, types):
        types = self.types(template, types)
        for part in re.findall(r"{\^?@(\w+)}", template):
            before = dict(self.given.setdefault(part, {}))
            self.given[part] |= types
            if self.given[part] != before:
                for t in self.parts[part]:
                    self.give(t, self.given[part])

    def types(self, template, given):
        types = dict(given)
        for slot in re.findall(r"{([^{}]*)}", template):
            slot = slot.split("|")[0].lstrip("^= ")
            if ":" in slot:
                name, source = slot.split(":", 1)
                types[name.strip()] = self.source_type(source, types)
        return types


class Sentence:
    """A sentence of a template as a pattern and a list of what can be checked."""

    def __init__(self, world, text, types):
        self.world, self.text = world, text
        self.slots = []  # (group, name or None, source, filters)
        pattern = ""
        for piece in re.split(r"({[^{}]*})", text.replace("{{", "\0").replace("}}", "\1")):
            if piece.startswith("{"):
                pattern += self.slot(piece[1:-1], types)
            else:
                pattern += re.escape(piece.replace("\0", "{").replace("\1", "}"))
        self.pattern = re.compile(pattern)

    def slot(self, slot, types):
        body, *filters = [x.strip() for x in slot.split("|")]
        capital, silent = body.startswith("^"), "=" in body[:2]
        body = body.lstrip("^= ")
        if body.startswith("@"):  # a part inside a sentence: anything of its texts
            texts = self.world.parts[body[1:].strip()]
            return "(?:" + "|".join(Sentence(self.world, t, self.world.types(t, types)).pattern.pattern for t in texts) + ")"
        name, source = body.split(":", 1) if ":" in body else (None, body)
        source = source.strip()
        of = self.world.source_type(source, types)
        group = f"g{next(NUMBERS)}"
        self.slots.append((None if silent else group, name, source, filters))
        if silent:
            return ""
        if of == "number":
            return f"(?P<{group}>-?[0-9]+)"
        items = self.world.sets[of] if of else sorted({i for s in self.world.sets.values() for i in s})
        self.slots[-1] = (group, name, source, filters, {})
        forms = self.slots[-1][4]
        for item in items:
            numbers = [plural(item)] if "s" in filters else [item]
            if any(f.startswith("s(") for f in filters):
                numbers = [plural(item), item]
            for plain in numbers:
                form = article(plain) if "a" in filters else plain
                forms[form[:1].upper() + form[1:] if capital else form] = item
        return f"(?P<{group}>" + "|".join(re.escape(f) for f in sorted(forms, key=len, reverse=True)) + ")"

    def match(self, sentence):
        """None: no match; else (values fit each other, number of facts and sums checked, all right)."""
        m = self.pattern.fullmatch(sentence)
        if not m:
            return None
        bound, said = {}, []
        for group, name, source, filters, *forms in self.slots:
            if group is None:
                continue
            value = forms[0][m[group]] if forms else int(m[group])
            said.append((source, value, filters, m[group]))
            if name:
                bound[name.strip()] = value
            elif re.fullmatch(r"[A-Za-z_]\w*", source) and source not in self.world.sets and source not in self.world.ranges:
                bound.setdefault(source, value)
                if bound[source] != value:
                    return None  # the same name, twice, with two values
        checked, right = 0, True
        for source, value, filters, form in said:
            if source in self.world.ranges:
                low, high = self.world.ranges[source]
                if not low <= value <= high:
                    return None
            for f in filters:
                if f.startswith("s(") and bound.get(f[2:-1]) is not None:
                    right &= (form == value) == (bound[f[2:-1]] == 1)
            known = self.value(source, bound)
            if known is not None:
                checked += 1
                right &= known == value
        return checked, right

    def value(self, source, bound):
        if m := re.fullmatch(r"((?:\w+\.of\()+)(\w+)\)+", source.replace(" ", "")):
            value = bound.get(m[2])
            for fact in reversed(m[1].split(".of(")[:-1]):
                value = self.world.facts[fact].get(value)
            return value
        if re.search(r"[-+*]", source):
            names = re.findall(r"[A-Za-z_]\w*", source)
            if all(isinstance(bound.get(n), int) for n in names):
                return eval(re.sub(r"[A-Za-z_]\w*", lambda n: f"({bound[n[0]]})", source), {"__builtins__": {}})
        return None


def check(world, text, templates=False):
    ended = re.search(r'[.!?]"?\s*$', text) or not text.strip() or text.endswith("\n")
    sentences = [s.strip() for s in re.split(SENTENCE, text) if s.strip()]
    half = 0
    if sentences and not ended:
        sentences.pop()
        half = 1
    known = checkable = right = 0
    used, unknown, wrong = set(), [], []
    for sentence in sentences:
        best = None
        for i, s in enumerate(world.sentences):
            found = s.match(sentence)
            if found is None:
                continue
            used.add(i)
            # The kindest reading: right before wrong, checked before unchecked.
            key = (found[1], found[0] > 0)
            best = max(best, key) if best else key
        if best is None:
            unknown.append(sentence)
            continue
        known += 1
        checkable += best[1]
        right += best[0] and best[1]
        if not best[0]:
            wrong.append(sentence)
    n = len(sentences)
    result = {"sentences": n, "known": known / n if n else None, "checkable": checkable,
              "right": right / checkable if checkable else None, "half": half,
              "unknown_examples": unknown[:5], "wrong_examples": wrong[:5]}
    if templates:
        result["unused"] = [s.text for i, s in enumerate(world.sentences) if i not in used]
    return result


def self_test(world, path, program):
    def documents(*options):
        return subprocess.run([program, path, "1", "0", "1000", *options], capture_output=True, check=True, text=True).stdout

    text = documents()
    good, held_out = check(world, text, templates=True), check(world, documents("held_out"), templates=True)
    words = text.split()
    random.Random(1).shuffle(words)
    shuffled = check(world, " ".join(words) + ".")
    ok = shuffled["known"] < 0.05
    for result in (good, held_out):
        ok = ok and result["known"] == 1 and result["right"] == 1 and not result["unused"]
    print(json.dumps({"ok": ok, "good": good, "held_out": held_out, "shuffled": shuffled["known"]}))
    return 0 if ok else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("world")
    parser.add_argument("--self-test", metavar="WORLD_DUMP")
    args = parser.parse_args()
    world = World(args.world)
    if args.self_test:
        return self_test(world, args.world, args.self_test)
    print(json.dumps(check(world, sys.stdin.read())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
