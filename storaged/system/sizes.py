"""Reads and formats numbers of bytes as people write them.  Pure."""

from __future__ import annotations

import re

_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"\A\s*([0-9]+)\s*([A-Za-z]*)\s*\Z")


class Size(int):
    """A number of bytes, written as such or with a unit: 4096, 256KiB, 1GiB, 500MB."""


def format_size(size: int) -> str:
    """Format a number of bytes for a person: 512 B, 1.5 MiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def parse_size(text: str) -> Size:
    """Read a number of bytes.

    :raise ValueError: the text is not a number of bytes.
    """
    match = _SIZE.match(text)
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError(f"not a size: {text!r} (write 4096, 256KiB, 1GiB or 500MB)")
    return Size(int(match[1]) * _UNITS[match[2].upper()])
