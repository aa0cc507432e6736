"""Waits for conditions that have no Deferred, with a limit on the time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.task import deferLater

_STEP_S = 0.01
_STEPS = 1000
_STILL = 15
"""How many polls in a row must give the same result before it counts as stable."""


async def eventually(holds: Callable[[], object], what: str = "") -> None:
    """Wait until a condition holds; fail if it does not within some seconds."""
    from twisted.internet import reactor

    for _ in range(_STEPS):
        if holds():
            return
        await deferLater(reactor, _STEP_S)
    raise AssertionError(f"did not come: {what or holds}")


async def becomes(look: Callable[[], Awaitable[object]], what: str = "") -> None:
    """Wait until a condition holds that takes a request to find out."""
    from twisted.internet import reactor

    for _ in range(_STEPS):
        if await look():
            return
        await deferLater(reactor, _STEP_S)
    raise AssertionError(f"did not come: {what or look}")


async def standstill(look: Callable[[], Any]) -> Any:
    """Wait until the result of a function no longer changes, and return it."""
    from twisted.internet import reactor

    last, same = look(), 0
    for _ in range(_STEPS):
        await deferLater(reactor, _STEP_S)
        now = look()
        last, same = now, same + 1 if now == last else 0
        if same == _STILL:
            return now
    raise AssertionError(f"does not stand still: {last}")
