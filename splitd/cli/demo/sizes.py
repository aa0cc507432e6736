"""Sizes as they are typed.  Pure."""

from __future__ import annotations

import re

import click

_UNITS = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"\A\s*([0-9]+)\s*([A-Za-z]*)\s*\Z")


class SizeType(click.ParamType[int]):
    """A number of bytes, written as such or with a unit: 4096, 256KiB, 1GiB, 500MB.

    :param smallest: the least that is taken.
    """

    name = "size"

    def __init__(self, smallest: int) -> None:
        self._smallest = smallest

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read one."""
        if isinstance(value, int):
            return value
        match = _SIZE.match(value)
        if match is None or match[2].upper() not in _UNITS:
            self.fail(f"{value!r} is not a size like 8MiB, 1GiB or 500MB", param, ctx)
        size = int(match[1]) * _UNITS[match[2].upper()]
        if size < self._smallest:
            self.fail(f"{value!r} is less than {self._smallest} bytes", param, ctx)
        return size
