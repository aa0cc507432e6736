"""Reads a size on the command line."""

from __future__ import annotations

import click

from storaged.system.sizes import parse_size


class SizeType(click.ParamType[int]):
    """A number of bytes, with or without a unit: 4096, 256KiB, 1GiB, 500MB.

    :param smallest: the smallest size that is accepted.
    """

    name = "size"

    def __init__(self, smallest: int) -> None:
        self._smallest = smallest

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a size."""
        if isinstance(value, int):
            return value
        try:
            size = parse_size(value)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)
        if size < self._smallest:
            self.fail(f"{value!r} is less than {self._smallest} bytes", param, ctx)
        return size
