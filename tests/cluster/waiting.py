"""Waits for conditions that have no Deferred, with a limit on the time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

PATIENCE_S = 60.0
"""How long a condition may take.  A machine that is busy with something else may need many times what is usual."""

_STEP_S = 0.01
_SLOWER = 1.3
_LONGEST_STEP_S = 0.05
"""The pauses between polls grow up to this, because a poll may take as much of the machine as what is awaited."""

_STILL = 15
"""How many polls in a row must give the same result before it counts as stable."""


async def _look(ask: Callable[[], Coroutine[Deferred[Any], Any, Any]], what: object, pause_s: float) -> Any:
    from twisted.internet import reactor

    deadline = reactor.seconds() + PATIENCE_S  # type: ignore[attr-defined]
    while not (found := await ask()):
        if reactor.seconds() > deadline:  # type: ignore[attr-defined]
            raise AssertionError(f"not seen in {PATIENCE_S:.0f} s: {what}")
        await deferLater(reactor, pause_s)
        pause_s = min(pause_s * _SLOWER, _LONGEST_STEP_S)
    return found


async def eventually(holds: Callable[[], object], what: str = "") -> None:
    """Wait until a condition holds; fail if it does not within `PATIENCE_S`."""

    async def ask() -> object:
        return holds()

    await _look(ask, what or holds, _STEP_S)


async def becomes(
    ask: Callable[[], Coroutine[Deferred[Any], Any, Any]], what: str = "", pause_s: float = _STEP_S
) -> Any:
    """Ask until the answer is true, and return it; fail if it is not within `PATIENCE_S`."""
    return await _look(ask, what or ask, pause_s)


async def standstill(look: Callable[[], Any]) -> Any:
    """Wait until the result of a function no longer changes, and return it."""

    seen: list[Any] = []

    def is_still() -> bool:
        seen.append(look())
        return len(seen) > _STILL and len(set(seen[-_STILL - 1 :])) == 1

    await eventually(is_still, "a standstill")
    return seen[-1]
