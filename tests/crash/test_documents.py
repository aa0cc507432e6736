"""Small documents through power cuts: each change is there completely, or not at all."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import pytest_twisted
from twisted.python.threadpool import ThreadPool

from splitd.catalog.state import State
from splitd.model.documents import Document
from tests.crash.lives import Life, judge_seen
from tests.crash.trials import cut_at_every_moment, fail_every_call


def documents_of(state: State) -> Any:
    return state.documents.all()


class DocumentLife(Life):
    """Puts, replaces and deletes documents, some of which expire."""

    def look(self, state: State) -> Any:
        return documents_of(state)

    async def live(self) -> None:
        documents = self.catalog.documents
        for number in range(5):
            for key in "abc":
                made = Document("link", f"{key}{number}", "anna", "body " * 30, number * 1000 if key == "b" else 0)
                await self.change(lambda made=made: documents.put(made, expected=0))
            await self.change(lambda key=f"a{number}": documents.delete("link", key))
            await self.change(lambda: documents.put(Document("login", "one", f"bob {self._number}", "x")))
            self.clock.advance(1.5)
        await self.put("/last")


def judge(state: State, notes: list[Any], seen_states: list[Any]) -> None:
    judge_seen(state, notes, seen_states, documents_of)


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool) -> None:
    assert await cut_at_every_moment(lambda disk: DocumentLife(disk, pool), judge, "small documents") > 100


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_fails_once(pool: ThreadPool, error: int) -> None:
    await fail_every_call(lambda disk: DocumentLife(disk, pool), judge, error, "small documents")
