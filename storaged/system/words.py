"""Settings that are several words: a list in YAML, separated by commas on the command line.  Pure."""

from __future__ import annotations

from typing import Any


class Words(tuple[str, ...]):
    """Some words, in order."""

    __slots__ = ()


def parse_words(value: Any) -> Words:
    """Read words: a list of them, or a text with commas between them.

    :raise ValueError: the value is neither, or a word is empty.
    """
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"not a list of words: {value!r}")
    stripped = [word.strip() for word in words]
    if stripped == [""]:
        return Words()
    if "" in stripped:
        raise ValueError(f"a word is empty: {value!r}")
    return Words(stripped)
