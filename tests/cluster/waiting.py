"""Waiting for what has no Deferred, for as long as it takes and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater

_STEP_S = 0.01
_STEPS = 1000
_STILL = 15
"""Looks that must be the same before something counts as standing still."""


async def eventually(holds: Callable[[], object], what: str = "") -> None:
    """Wait until something holds; fail where it does not in some seconds."""
    from twisted.internet import reactor

    for _ in range(_STEPS):
        if holds():
            return
        await deferLater(reactor, _STEP_S)
    raise AssertionError(f"did not come: {what or holds}")


async def standstill(look: Callable[[], Any]) -> Any:
    """Wait until what is seen does not change any more, and tell what that is."""
    from twisted.internet import reactor

    last, same = look(), 0
    for _ in range(_STEPS):
        await deferLater(reactor, _STEP_S)
        now = look()
        last, same = now, same + 1 if now == last else 0
        if same == _STILL:
            return now
    raise AssertionError(f"does not stand still: {last}")
