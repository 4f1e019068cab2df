#!/usr/bin/env python3
"""Writes unicode_table.c: the class of every code point, from the Unicode version that the peers' regex engine has.

    pip install unicodedata2==16.0.0        (or a Python whose own unicodedata is 16.0.0)
    python3 core/text/unicode_table.py > core/text/unicode_table.c

Letters are the general categories L*, numbers N*. White_Space is no general category, so its code points stand here; they have been
the same since Unicode 6.3. tests/parity/test_text.py compares every code point with tiktoken.
"""
import sys

VERSION = "16.0.0"
try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

SPACES = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
OTHER, LETTER, NUMBER, SPACE = range(4)
BLOCK = 256  # code points a block, two bits each, 32 to a word


def class_of(code):
    if code in SPACES:
        return SPACE
    return {"L": LETTER, "N": NUMBER}.get(unicodedata.category(chr(code))[0], OTHER)


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"unicode_table.py: unicodedata is {unicodedata.unidata_version}, {VERSION} is wanted")
    blocks, block_of = {}, []
    for first in range(0, 0x110000, BLOCK):
        words = tuple(sum(class_of(code + i) << 2 * i for i in range(32)) for code in range(first, first + BLOCK, 32))
        block_of.append(blocks.setdefault(words, len(blocks)))
    assert len(blocks) <= 256
    print(f"// unicode_table.c - made by core/text/unicode_table.py from Unicode {VERSION}; do not edit.")
    print('#include "core/text/unicode.h"\n')
    print(f'const char unicode_version[] = "{VERSION}";\n')
    print(f"const uint8_t unicode_block_of[{len(block_of)}] = {{")
    for i in range(0, len(block_of), 32):
        print("    " + " ".join(f"{b}," for b in block_of[i : i + 32]))
    print(f"}};\n\nconst uint64_t unicode_blocks[{len(blocks)}][{BLOCK // 32}] = {{")
    for words in blocks:
        print("    {" + ", ".join(f"0x{w:x}" for w in words) + "},")
    print("};")


main()
