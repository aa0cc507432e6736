"""Counters in memory that the workers share: they tell a worker whether a look-up that it remembers still holds.

There is one counter for all paths, and one for each of 4,096 groups of paths and of small documents.  Only the
catalog's process writes them, in the step in which a change takes effect, and so before anybody is told of it.
"""

from __future__ import annotations

import mmap
import os

from splitd.catalog.touched import GROUPS, group_of, touched
from splitd.model import records
from splitd.model.paths import place_of
from splitd.model.records import Record
from splitd.model.workers import MOST_WORKERS

SIZE = 8 * (1 + GROUPS + MOST_WORKERS)
"""The bytes of shared memory that the counters take."""

Stamp = tuple[int, int]


def make_shared(name: str, size: int) -> int:
    """Make memory that processes can share.

    :return: its descriptor, which child processes inherit if they are told to.
    """
    descriptor = os.memfd_create(name)
    os.ftruncate(descriptor, size)
    return descriptor


class Counters:
    """The counters.  They are read and written in units of 8 bytes, each of which changes at once.

    :param descriptor: of memory of `SIZE` bytes; the caller closes it.
    :ivar connections: how many each worker has, by its number; each writes its own.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = memoryview(mmap.mmap(descriptor, SIZE)).cast("Q")
        self.connections = self._memory[1 + GROUPS :]

    def stamp(self, path: str) -> Stamp:
        """Return what the counters of a path say now.  As long as they do, a look-up of the path finds the same."""
        memory = self._memory
        return memory[0], memory[_group(place_of(path))]

    def document_stamp(self, kind: str, key: str) -> Stamp:
        """Return what the counters of a small document say now.  As long as they do, it is the same."""
        memory = self._memory
        return memory[0], memory[_group_of_document(kind, key)]

    def changed(self, record: Record) -> None:
        """Raise the counters of what a record changes.  To be called when it takes effect."""
        if isinstance(record, records.DocumentPut | records.DocumentDeleted):
            self._memory[_group_of_document(record.kind, record.key)] += 1
            return
        places = touched(record)
        if places is None:
            self.raise_all()
            return
        for place in places:
            self._memory[_group(place)] += 1

    def raise_all(self) -> None:
        """Let no look-up hold any more that was made before."""
        self._memory[0] += 1


def _group(place: str) -> int:
    return 1 + group_of(place)


def _group_of_document(kind: str, key: str) -> int:
    return _group(f"{kind}\0{key}")  # no path has a NUL


def no_counters(_: Record) -> None:
    """Raise none: there are no workers."""
