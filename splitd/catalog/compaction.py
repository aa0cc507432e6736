"""Compaction: what the old records of a journal come to is written down, and stands for them from then on.

As a program of its own, `python -m splitd.catalog.compaction FOLDER UPCOMING`, it works beside a front that goes on
appending: it reads what does not change any more, in a process with a memory and a processor of its own.
"""

from __future__ import annotations

import gc
import os
import sys
from functools import partial

from splitd.catalog.effects import apply
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import write_snapshot
from splitd.catalog.state import State
from splitd.errors import JournalDamaged
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFilesystem

_NICENESS = 10


def fold(reader: JournalReader) -> State:
    """What all that a reader reads comes to.

    :raise JournalDamaged: it cannot be read, or contradicts itself.
    """
    state = State()
    for batch in reader.batches():
        batch.apply(partial(apply, state))
    return state


def compact(filesystem: IFilesystem, folder: str, upcoming: int) -> None:
    """Write the snapshot of all that is before a record.  Nothing is removed.

    :param upcoming: the record that a segment begins with.
    :raise JournalDamaged: what is before it cannot be read.
    """
    write_snapshot(filesystem, folder, upcoming, fold(JournalReader(filesystem, folder, stop=upcoming)).records())


def main(folder: str, upcoming: str) -> None:
    """Compact, and say in one line what went wrong."""
    os.nice(_NICENESS)
    gc.disable()  # it makes no cycles, and many objects
    try:
        compact(OSFilesystem(), folder, int(upcoming))
    except (OSError, JournalDamaged) as problem:
        raise SystemExit(str(problem)) from problem


if __name__ == "__main__":
    main(*sys.argv[1:])
