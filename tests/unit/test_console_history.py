"""The samples of the last hour."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock

from splitd.frontends.console.history import EVERY_S, KEPT, History
from tests.clocks import wall_of
from tests.fired import fired


class Front:
    """A front that has stored 100 bytes more each time that it is asked."""

    def __init__(self) -> None:
        self.stored = 0

    async def status(self) -> Any:
        self.stored += 100
        uploads = SimpleNamespace(bytes=self.stored, under_way=2)
        return SimpleNamespace(uploads=uploads, downloads=SimpleNamespace(bytes=7, under_way=1))


def test_samples_are_taken_at_the_start_and_then_at_equal_times() -> None:
    clock = Clock()
    history = History(Front().status, lambda: (5, 1), clock, wall_of(clock))
    history.start()
    clock.pump([EVERY_S] * 2)
    step = int(EVERY_S * 1000)
    assert list(fired(history.samples())) == [(number * step, 100 + 100 * number, 7, 5, 1, 2, 1) for number in range(3)]
    history.stop()
    clock.pump([EVERY_S] * 2)
    assert len(fired(history.samples())) == 3
    assert not clock.getDelayedCalls()


def test_an_hour_is_kept() -> None:
    clock = Clock()
    history = History(Front().status, lambda: (0, 0), clock, wall_of(clock))
    history.start()
    clock.pump([EVERY_S] * (KEPT + 5))
    samples = fired(history.samples())
    assert len(samples) == KEPT
    assert samples[-1][0] - samples[0][0] == (KEPT - 1) * EVERY_S * 1000
