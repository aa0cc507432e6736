"""Reads the text of `limits.yaml`.  Anything but what `splitd.model.limits` describes refuses the whole file."""

from __future__ import annotations

import yaml

from splitd.errors import BadName, LimitsInvalid
from splitd.model.limits import Limits, Rates
from splitd.model.tree import check_path
from storaged.system.documents import convert, line_at, read_document, refuse_repeated

_LEAST_RATE = 16 * 1024
"""With less, a client that leaves in a pause would be noticed late."""


def read_limits(path: str, text: str) -> Limits:
    """Read the limits.

    :param path: the file's name, for messages.
    :param text: the file's content.
    :raise LimitsInvalid: the file cannot be used; the message names file and line.
    """
    return read_document(path, text, _read, LimitsInvalid)


def _read(loader: yaml.SafeLoader, root: yaml.Node | None) -> Limits:
    if root is None:
        return Limits()
    refuse_repeated(root, LimitsInvalid)
    limits = convert(loader, root, Limits, LimitsInvalid)
    _check_rates(limits.rates, root)
    seen: set[str] = set()
    for number, quota in enumerate(limits.quotas):
        line = line_at(root, f"$.quotas[{number}]")
        try:
            check_path(quota.path)
        except BadName as problem:
            raise LimitsInvalid(f"line {line}: path {problem}") from problem
        if quota.path in seen:
            raise LimitsInvalid(f"line {line}: {quota.path} has a quota already")
        if quota.bytes is None and quota.files is None:
            raise LimitsInvalid(f"line {line}: the quota of {quota.path} limits nothing: give it bytes or files")
        seen.add(quota.path)
    return limits


def _check_rates(rates: Rates, root: yaml.Node) -> None:
    for name in Rates.__struct_fields__:
        rate = getattr(rates, name)
        if rate is not None and rate < _LEAST_RATE:
            raise LimitsInvalid(
                f"line {line_at(root, f'$.rates.{name}')}: rates.{name}: {rate} bytes per second, at least "
                f"{_LEAST_RATE} are possible"
            )
