"""What lanes do for a catalog: changes, and looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

import attrs

from splitd.catalog.changes import Claim, Prepare
from splitd.catalog.sql.beginning import Beginning
from splitd.catalog.sql.lanes import Job
from splitd.catalog.sql.stamps import News
from splitd.interfaces.uploads import Commit
from splitd.model.records import Record


class Gate(Enum):
    """What a change excludes while it is made, on all fronts: nothing, all changes of names, or those of documents."""

    NOTHING = auto()
    NAMES = auto()
    DOCUMENTS = auto()


@attrs.frozen
class Manner:
    """How a change is made.

    :param removes: whether it may leave implied collections empty.
    :param exclusive: whether no change of names may be made by anybody at the same time.
    :param documents: whether it changes documents, and nothing else: no other such change may be made at the same time.
    :param alone: whether it is made in a transaction of its own.
    :param about: what it looks at, besides what it touches.
    :param beginning: what it begins, if it does nothing else.
    :param placing: what it commits, if it does nothing else.
    """

    removes: bool = False
    exclusive: bool = False
    documents: bool = False
    alone: bool = False
    about: tuple[str, ...] = ()
    beginning: Beginning | None = None
    placing: Commit | None = None

    @property
    def gate(self) -> Gate:
        """What a change of this manner excludes while it is made."""
        return Gate.NAMES if self.exclusive else Gate.DOCUMENTS if self.documents else Gate.NOTHING


class Change(Job):
    """A change whose turn has come.

    :param judge: returns the records to write, and the result; or raises to refuse the change.
    :param keys: what it touches.
    """

    def __init__(
        self,
        judge: Callable[[], tuple[Sequence[Record], Any]],
        keys: Sequence[str],
        done: Callable[[Any], object],
        prepare: Prepare | None,
        claim: Claim | None,
        manner: Manner,
    ) -> None:
        super().__init__(done)
        self.manner = manner
        self.keys = [(key, manner.removes) for key in keys]
        self.gate = manner.gate
        self.alone = manner.alone or manner.gate != Gate.NOTHING
        self._judge = judge
        self._prepare = prepare
        self._claim = claim

    def judge(self) -> tuple[Sequence[Record], Any]:
        """Judge it.  If it raises an exception, nothing has changed but what is prepared for a change that is alone.

        :return: the records that are to take effect, and the result.
        """
        records, result = self._judge()
        for record in records:
            steps = None if self._prepare is None else self._prepare(record)
            for _ in steps or ():
                pass
        if records and self._claim is not None:
            self._claim()
        return records, result


class Look(Job):
    """A look at the catalog.

    :param call: looks, and returns the result.
    :param keys: what it looks at, for what is known.
    :param plain: whether it looks at nothing but the names at its keys, and, if `locks`, the locks of WebDAV there.
    :param free: a path, and what returns the result if it is free for a new file, there are no locks, and no collection
        above it has a layout of its own; None if `call` must look in any case.
    """

    def __init__(
        self,
        call: Callable[[], Any],
        keys: Sequence[str],
        done: Callable[[Any], object],
        *,
        plain: bool = False,
        locks: bool = False,
        free: tuple[str, Callable[[], Any]] | None = None,
    ) -> None:
        super().__init__(done)
        self.free = free
        self.call = call
        self.keys = [(key, False) for key in keys]
        self.plain = plain
        self.locks = locks


class Check(Look):
    """Asks what has been touched; see `Stamps`."""

    def __init__(self, done: Callable[[Any], object]) -> None:
        super().__init__(News, (), done, plain=True)
