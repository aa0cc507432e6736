"""Tries a life of a catalog: the power is cut at every moment of it, and each of its calls of the disk fails once."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from splitd.catalog.state import State
from tests.crash.cuts import Cuts
from tests.crash.operations import Image
from tests.crash.power import PowerDisk, visible
from tests.crash.recovery import Starts
from tests.tally import TALLY, shared

EMPTY: Image = {"/": {}, "/journal": {}}

Judge = Callable[[State, list[Any], Any], None]
"""Judges the state that a start after a cut finds, by the notes up to it and the states that a whole life has seen."""


class ALife(Protocol):
    """What a catalog does on a disk."""

    disk: PowerDisk
    seen_states: Any

    async def run(self) -> None: ...


async def lived(make: Callable[[PowerDisk], ALife], fault: Callable[[int, str], int | None] | None = None) -> ALife:
    """A life that has ended."""
    disk = PowerDisk(EMPTY)
    if fault is not None:
        disk.fault = fault
    life = make(disk)
    await life.run()
    return life


async def cut_at_every_moment(make: Callable[[PowerDisk], ALife], judge: Judge, what: str) -> int:
    """Judge what a cut at any moment can leave; return how many different disks that were."""
    life = await lived(make)
    cuts, random, starts = Cuts(EMPTY, life.disk.log), Random(1), Starts()
    found = set()
    for _ in cuts.moments():
        TALLY[f"moments of {what} at which the power was cut"] += 1
        for image in cuts.images(random):
            state = hash((len(cuts.notes), tuple(sorted(image["/journal"].items()))))
            if state not in found:
                found.add(state)
                judge(starts.journal(image), cuts.notes, life.seen_states)
    assert any(name.startswith("snapshot") for name in life.disk.folders["/journal"])
    return len(found)


async def fail_every_call(make: Callable[[PowerDisk], ALife], judge: Judge, error: int, what: str) -> None:
    """Judge what is left after each call of the disk has failed, in a life for each."""
    whole = await lived(make)
    random, starts = Random(2), Starts()
    for number in shared(whole.disk.calls, odd=error == errno.ENOSPC):
        life = await lived(make, lambda at, _, number=number: error if at == number else None)
        TALLY[f"calls of {what} that failed"] += 1
        cuts = Cuts(EMPTY, life.disk.log)
        for _ in cuts.moments():
            pass
        for image in (visible(life.disk), *cuts.images(random)):
            judge(starts.journal(image), cuts.notes, whole.seen_states)
