"""A parser of what comes from outside, as a function of bytes."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.frozen
class Parser:
    """One parser.

    :param parse: reads bytes; raises none but `refusals`.
    :param refusals: the errors that it promises for what it cannot read.
    :param seeds: what it can read: mutations of it get further than noise.
    """

    parse: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]

    def __call__(self, data: bytes) -> bool:
        """Read bytes; return whether they were accepted."""
        try:
            self.parse(data)
        except self.refusals:
            return False
        return True


def of_text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of a header's value, whose bytes that are not UTF-8 are lone surrogates."""
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))
