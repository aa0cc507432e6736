"""The share of the limits that one of several workers keeps."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from splitd.model.limits import AtOnce, Limits
from storaged.system.sizes import Size

_Number = TypeVar("_Number", int, Size)

_SLOWEST = 16 * 1024
"""The least rate of bytes per second that a limit may be; see docs/limits.md."""


def share_of(limits: Limits, workers: int) -> Limits:
    """Return the limits of one worker: so that they hold of all workers together.

    What a file may have at most, and quotas, are judged for each file, and by the catalog: they are not divided.
    """
    if workers == 1:
        return limits
    replace, rates, work = msgspec.structs.replace, limits.rates, limits.work
    return replace(
        limits,
        requests=_at_once(limits.requests, workers),
        uploads=_at_once(limits.uploads, workers),
        connections=replace(limits.connections, per_address=_part(limits.connections.per_address, workers)),
        work=None
        if work is None
        else replace(work, at_once=max(1, work.at_once // workers), waiting=work.waiting // workers),
        rates=replace(rates, per_user=_rate(rates.per_user, workers), per_address=_rate(rates.per_address, workers)),
    )


def _at_once(limit: AtOnce, workers: int) -> AtOnce:
    return AtOnce(_part(limit.in_all, workers), _part(limit.per_client, workers))


def _part(number: int | None, workers: int) -> int | None:
    return None if number is None else max(1, number // workers)


def _rate(rate: Size | None, workers: int) -> Size | None:
    return None if rate is None else Size(max(_SLOWEST, rate // workers))
