"""Makes folders whose names are easily mishandled, and reads folders."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

NAMES = [
    "plain.txt",
    "with space",
    " a space before",
    "two  spaces",
    "hash#tag",
    "what?",
    "100%",
    "%41",
    "%2F",
    "%zz",
    "a+b",
    "a&b;c=d,e",
    "it's",
    '"quoted"',
    "<tag>&amp;",
    "[brackets]{braces}(parentheses)",
    "colon:and|pipe*star",
    "back\\slash",
    "tilde~caret^back`tick$",
    "@at!",
    ".hidden",
    "..two dots before",
    "three...",
    "-dash",
    "case",
    "CASE",
    unicodedata.normalize("NFC", "caf\u00e9"),
    unicodedata.normalize("NFD", "caf\u00e9"),
    "\u65e5\u672c\u8a9e",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\U0001f389 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u00a0no-break\u2028separator",
    "long " + "n" * 240,
    "long " + "\u00fc" * 120,
]

Tree = dict[str, bytes | None]
"""The contents of a folder, by path: the bytes of a file, None for a folder."""


def make_tree(folder: Path, names: list[str] = NAMES) -> Tree:
    """Fill a new folder: each name is used for a file, and for a folder with a file; some folders are empty, some are
    deep.
    """
    source = random.Random(0)
    for number, name in enumerate(names):
        (folder / "files").mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_bytes(source.randbytes(number * 1000))  # the first is empty
        (folder / "folders" / name).mkdir(parents=True)
        (folder / "folders" / name / name).write_bytes(name.encode())
    (folder / "empty" / "empty too").mkdir(parents=True)
    deep = folder.joinpath("deep", *(f"level {number}" for number in range(40)))
    deep.mkdir(parents=True)
    (deep / "bottom").write_bytes(b"here")
    return read_tree(folder)


def read_tree(folder: Path) -> Tree:
    """Return the contents of a folder."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}
