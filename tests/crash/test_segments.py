"""Uploads that can be continued through power cuts: each change is there completely, or not at all."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import pytest_twisted
from twisted.python.threadpool import ThreadPool

from splitd.catalog.state import State
from splitd.model.conditions import ALWAYS
from tests.crash.lives import NODES, Life, judge_seen, seen
from tests.crash.trials import cut_at_every_moment, fail_every_call
from tests.ledger import begin
from tests.segments import commit_segment, complete, segment


def seen_too(state: State) -> Any:
    """Return everything that clients can see of a state, with the uploads that can be continued and all segments."""
    continued = [
        (
            each.upload,
            each.path,
            each.said,
            each.size,
            [(number, packed[:16]) for number, packed in each.segments.items()],
        )
        for each in state.continued
    ]
    return seen(state), continued, [packed[:16] for packed in state.versions.after("")]


class SegmentLife(Life):
    """Begins uploads that can be continued, and ends them in each way."""

    def look(self, state: State) -> Any:
        return seen_too(state)

    async def live(self) -> None:
        continued = self.catalog.continued
        await self.change(lambda: continued.begin("0" * 32, "/f", "text/plain"))
        first = [await self.segment("0" * 32, number, size) for number, size in ((1, 10), (2, 0), (3, 7))]
        again = await self.segment("0" * 32, 1, 12)
        await self.reap()
        await self.change(lambda: continued.begin("1" * 32, "/f", ""))
        second = [await self.segment("1" * 32, number, 5) for number in (1, 2)]
        chosen = [(1, again), (2, first[1]), (3, first[2])]
        await self.change(lambda: complete(continued, "0" * 32, "/f", chosen))
        await self.change(lambda: self.catalog.namespace.copy("/f", "/g", ALWAYS, deep=True, overwrite=False))
        await self.change(lambda: complete(continued, "1" * 32, "/f", [(2, second[1])]))
        await self.reap()
        await self.change(lambda: continued.begin("2" * 32, "/h", ""))
        for number in range(4):
            await self.segment("2" * 32, number + 1, 3)
        await self.change(lambda: continued.abort("2" * 32, "no longer wanted"))
        await self.reap()
        await self.change(lambda: continued.begin("3" * 32, "/h", ""))
        await self.segment("3" * 32, 1, 3)
        await self.change(lambda: self.catalog.delete("/g", ALWAYS))
        await self.reap()
        await self.put("/f")

    async def segment(self, upload: str, number: int, size: int) -> str:
        made = segment(self.manifest(size).upload, upload, size=size)
        await begin(self.catalog.ledger, made.upload, "/f", NODES)
        await self.change(lambda: commit_segment(self.catalog.ledger, number, made))
        return made.upload


def judge(state: State, notes: list[Any], seen_states: list[Any]) -> None:
    """Check what a start after the cut finds, and that no version's parts are doomed."""
    judge_seen(state, notes, seen_states, seen_too)
    for packed in state.versions.after(""):
        manifest = state.packing.unpack(packed)
        assert not manifest.nodes or manifest.upload not in state.doomed


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool) -> None:
    assert await cut_at_every_moment(lambda disk: SegmentLife(disk, pool), judge, "uploads in segments") > 300


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_fails_once(pool: ThreadPool, error: int) -> None:
    await fail_every_call(lambda disk: SegmentLife(disk, pool), judge, error, "uploads in segments")
