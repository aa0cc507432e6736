"""The order in which people expect names: file2 before file10, upper and lower case together, é beside e.  Pure."""

from __future__ import annotations

import re
from unicodedata import combining, normalize

_NUMBER = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a key that sorts names in natural order.  Different names have different keys.

    :param name: at most a few hundred characters: its numbers are read as numbers.
    """
    # Text and numbers alternate, beginning with text: so no text is ever compared with a number.
    words: list[str | int] = [*_NUMBER.split(_folded(name))]
    words[1::2] = [int(digits) for digits in words[1::2]]
    return words, name


def _folded(name: str) -> str:
    """Return a name without case and accents."""
    if name.isascii():
        return name.lower()
    return "".join(each for each in normalize("NFKD", name.casefold()) if not combining(each))
