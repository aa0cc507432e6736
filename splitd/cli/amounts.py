"""Sizes and ages, as users type them and as they are shown."""

from __future__ import annotations

import re

import click

from storaged.system.sizes import parse_size

_AGE_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGE = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def read_size(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:  # noqa: ARG001
    """Read an option that is a size, such as 10MiB.

    :return: bytes; None without the option.
    :raise click.BadParameter: it is not a size.
    """
    if text is None:
        return None
    try:
        return int(parse_size(text))
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem


def read_age(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:  # noqa: ARG001
    """Read an option that is an age: a whole number of s, m, h, d or w, such as 7d.

    :return: milliseconds; None without the option.
    :raise click.BadParameter: it is not an age.
    """
    if text is None:
        return None
    found = _AGE.fullmatch(text)
    if not found:
        raise click.BadParameter(f"{text!r} is not an age like 30s, 10m, 12h, 7d or 4w")
    return int(found[1]) * _AGE_MS[found[2]]
