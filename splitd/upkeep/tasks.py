"""Notes of the tasks that operators have started: what ends with its front does not end unseen."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from splitd.errors import DocumentChanged, DoneElsewhere
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.fronts import IFronts
from splitd.model.documents import Document
from splitd.model.fronts import SeenFront
from storaged.system.clocks import WallClock

_KIND = "task"
_MOST = 10

_WORDS: dict[str, Callable[[str], tuple[str, str]]] = {
    "rebalance": lambda _: ("the rebalance", "splitctl rebalance"),
    "relayout": lambda path: (
        f"the walk that gives files in {path} their layout",
        f"splitctl layout {shlex.quote(path)} --apply",
    ),
}
"""By task: what it is called, and the command that begins it again, given what it is about."""


class _Note(msgspec.Struct, frozen=True):
    """The body of the document of a task.

    :param front: the address of the front that does it; empty if the catalog belongs to one front.
    :param about: the path that it is about; empty for none.
    """

    front: str
    about: str
    began_ms: int


class TaskNotes:
    """Keeps a note of each task in progress in the catalog.  It stays if the task ends with its front.

    :param documents: where they are kept.
    :param fronts: knows which front does what.
    :param wall: tells when a task began.
    """

    def __init__(self, documents: IDocuments, fronts: IFronts, wall: WallClock) -> None:
        self._documents = documents
        self._fronts = fronts
        self._wall = wall
        self._own: dict[str, int] = {}  # the revisions of the notes of this front, by task
        self._closed = False

    async def begin(self, task: str, about: str = "") -> None:
        """Note that this front begins a task, whose lease it has.

        :param about: the path that it is about; empty for none.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        front = next((each.address for each in await self._fronts.seen() if each.asked), "")
        note = _Note(front, about, self._wall.now_ms())
        made = await self._documents.put(Document(_KIND, task, "", msgspec.json.encode(note).decode()))
        self._own[task] = made.revision

    async def end(self, task: str) -> None:
        """Note that a task of this front has ended, unless the front stops.

        :raise CatalogReadOnly: the catalog cannot be written; the task counts as one that ended with its front.
        """
        revision = self._own.pop(task, None)
        if revision is None or self._closed:
            return
        try:
            await self._documents.delete(_KIND, task, revision)
        except DocumentChanged:
            return  # this front has lost the lease, and the note is of another one that does the task now

    def close(self) -> None:
        """Keep the notes of the tasks that end from now on: the front stops."""
        self._closed = True

    async def warnings(self, fronts: Sequence[SeenFront]) -> list[str]:
        """Tell of the tasks that ended with their front, and how to begin them again.

        :param fronts: those that share the catalog, as they were seen lately.
        """
        found = self._left(await self._documents.page(_KIND, "", "", _MOST), fronts)
        if not found:
            return []
        # A lease is acquired before its note is made, and released after that is removed.  So a note that is there
        # before and after a look at the leases, and has none, is of a task that has ended.
        fronts = await self._fronts.seen()
        still = self._left(await self._documents.page(_KIND, "", "", _MOST), fronts)
        return [_describe(each) for each in still if each in found]

    def _left(self, notes: Sequence[Document], fronts: Sequence[SeenFront]) -> list[Document]:
        """Return the notes of tasks that no front does."""
        doing = {*self._own}.union(*(front.upkeep for front in fronts))
        return [each for each in notes if each.key not in doing]

    async def settle(self, task: str) -> str:
        """Forget a task that ended with its front.

        :return: what there is to say of it; empty if there is no such task.
        :raise DoneElsewhere: another front does it.
        """
        for front in await self._fronts.seen():
            if task in front.upkeep and not front.asked:
                raise DoneElsewhere(f"front {front.address} does this: ask there")
        document = await self._documents.find(_KIND, task)
        if document is None or task in self._own:
            return ""
        await self._documents.delete(_KIND, task, document.revision)
        return f"{_describe(document)}; no warning tells of it any more"


def _describe(document: Document) -> str:
    note = msgspec.json.decode(document.body, type=_Note)
    name, command = _WORDS[document.key](note.about) if document.key in _WORDS else (document.key, "")
    where = f" on front {note.front}" if note.front else ""
    since = datetime.fromtimestamp(note.began_ms / 1000, UTC)
    again = f": `{command}` begins it again, and goes on with what is left" if command else ""
    return f"{name} that began{where} at {since:%Y-%m-%d %H:%M} UTC ended with its front{again}"
