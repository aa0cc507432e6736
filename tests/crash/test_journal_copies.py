"""A node's copy of the journal through power cuts: what it acknowledged is there, in order, and nothing else is."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import attrs
import pytest

from storaged.journals.copy import JournalCopy
from storaged.parts.blocks import decode_header
from storaged.parts.journals import Append, Piece
from tests.crash.cuts import Cuts
from tests.crash.operations import Image
from tests.crash.power import PowerDisk, visible
from tests.tally import TALLY

EMPTY: Image = {"/": {}, "/journals": {}}
Lines = dict[int, tuple[int, bytes]]
"""The records of a copy: the epoch and the line of each, by its number."""


@attrs.frozen
class Was:
    """The copy was this before a call, or after it."""

    lines: Lines
    base: int


def line(epoch: int, number: int) -> bytes:
    return b'{"record":%d,"epoch":%d,"%s"}\n' % (number, epoch, b"x" * (number * 37 % 90))


class Life:
    """Writes a copy, and notes what it must be at each moment.

    :ivar may: what the copy may be while a call is in progress.
    """

    def __init__(self, disk: PowerDisk) -> None:
        self.disk = disk
        self.copy = JournalCopy(disk, "/journals", segment_limit=700)
        self.now = Was({}, 1)

    def run(self) -> None:
        self.do(self.copy.load, self.now)
        for number in range(1, 20, 2):
            self.append(1, number, 2)
        self.trim(18)
        for number in range(18, 24, 3):
            self.append(2, number, 3)
        self.snapshot(10, 1)
        self.append(2, 24, 1)
        self.trim(13)
        self.append(3, 13, 4)
        self.snapshot(40, 3)
        self.append(3, 40, 2)
        self.trim(0)
        self.append(4, 1, 2)

    def do(self, call: Callable[[], Any], then: Was) -> None:
        """Make a call; if it fails, do as a front does: open the copy again, and repeat what it lacks."""
        self.disk.note(("begun", then))
        try:
            call()
        except OSError:
            self.copy.load()
            with suppress(Exception):
                call()
        self.disk.note(("ended", then))
        self.now = then

    def append(self, epoch: int, first: int, count: int) -> None:
        numbers = range(first, first + count)
        made = {number: (epoch, line(epoch, number)) for number in numbers}
        lines = b"".join(text for _, text in made.values())
        self.do(
            lambda: self.copy.append([Append(first, epoch, first, count, lines)]),
            Was({**self.now.lines, **made}, self.now.base),
        )

    def trim(self, upcoming: int) -> None:
        kept = {number: each for number, each in self.now.lines.items() if number < upcoming}
        self.do(lambda: self.copy.trim(upcoming), Was(kept, self.now.base if upcoming else 1))

    def snapshot(self, upcoming: int, epoch: int) -> None:
        data = b"snapshot before %d\n" % upcoming * 40

        def send() -> None:
            for offset in range(0, len(data), 300):
                self.copy.take(Piece(-1, upcoming, epoch, offset, len(data), data[offset : offset + 300]))

        kept = {number: each for number, each in self.now.lines.items() if number >= upcoming}
        self.do(send, Was(kept, upcoming))


def read(copy: JournalCopy) -> Lines:
    found: Lines = {}
    upcoming = copy.state.snapshot or 1
    while data := copy.read(upcoming):
        offset = 0
        while offset < len(data):
            block = decode_header(data, offset)
            assert block is not None
            offset += block.header
            for number, text in enumerate(data[offset : offset + block.size].splitlines(keepends=True), block.first):
                if number >= (copy.state.snapshot or 1):
                    found[number] = block.epoch, text
            offset += block.size
        upcoming = block.next
    return found


def judge(image: Image, notes: list[Any]) -> None:
    copy = JournalCopy(PowerDisk(image), "/journals", segment_limit=700)
    state = copy.load()
    last_ended = max((index for index, (what, _) in enumerate(notes) if what == "ended"), default=None)
    before = Was({}, 1) if last_ended is None else notes[last_ended][1]
    begun = [was for what, was in notes[0 if last_ended is None else last_ended + 1 :] if what == "begun"]
    if state.damage:  # a copy that is being dropped is worth nothing; the next try drops the rest
        assert begun == [Was({}, 1)]
        copy.trim(0)
        begun, state = [], copy.state
        before = Was({}, 1)
    found = read(copy)
    assert state.next == max(found, default=(state.snapshot or 1) - 1) + 1
    assert any(_lies_between(found, state.snapshot or 1, before, after) for after in begun or [before]), (found, before)
    copy.append([Append(1, 9, state.next, 1, b"{}\n")])  # the next append goes on


def _lies_between(found: Lines, base: int, before: Was, after: Was) -> bool:
    """Whether these may be the records while `before` becomes `after`: any step on the way from one to the other."""
    if base not in {before.base, after.base, 1 if not after.lines else base}:
        return False
    both = {**after.lines, **before.lines} if len(before.lines) > len(after.lines) else {**before.lines, **after.lines}
    good = all(both.get(number) == each for number, each in found.items())
    kept = {number for number in before.lines if before.lines.get(number) == after.lines.get(number)}
    return good and {number for number in kept if number >= base} <= found.keys()


def test_power_cuts_at_every_moment() -> None:
    disk = PowerDisk(EMPTY)
    Life(disk).run()
    cuts, random, seen = Cuts(EMPTY, disk.log), Random(1), set()
    for _ in cuts.moments():
        TALLY["moments of a journal copy's life at which the power was cut"] += 1
        for image in cuts.images(random):
            state = hash((len(cuts.notes), tuple(sorted(image["/journals"].items()))))
            if state not in seen:
                seen.add(state)
                judge(image, cuts.notes)
    assert len(seen) > 150


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_each_call_fails_once(number: int) -> None:
    disk = PowerDisk(EMPTY)
    Life(disk).run()
    for failing in range(disk.calls):
        TALLY["calls of a journal copy's disk that failed"] += 1
        harmed = PowerDisk(EMPTY)
        harmed.fault = lambda call, _, failing=failing: number if call == failing else None  # type: ignore[misc]
        life = Life(harmed)
        with suppress(OSError):  # the first reading of the folder failed: the node reports it
            life.run()
            judge(visible(harmed), [("ended", life.now)])
