"""Compaction: writes a snapshot of the state that the old records of a journal result in, and which replaces them.

`python -m splitd.catalog.compaction FOLDER UPCOMING` runs it as a process of its own, which shares neither memory nor
processor with the front.  Meanwhile the front goes on appending: compaction reads only files that no longer change.
"""

from __future__ import annotations

import gc
import os
import sys
from functools import partial

from splitd.catalog.effects import apply
from splitd.catalog.imaging import frames
from splitd.catalog.journal.image import write_image
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import write_snapshot
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.errors import JournalDamaged
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFilesystem

_NICENESS = 10


def fold(reader: JournalReader) -> State:
    """Build the state that the records of a reader result in.

    :raise JournalDamaged: the journal cannot be read, or its records contradict each other.
    """
    state = State()
    for batch in reader.batches():
        batch.apply(partial(apply, state))
    return state


def compact(filesystem: IFilesystem, folder: str, upcoming: int) -> str:
    """Write the snapshot of all records before a given one, and then its image.  Nothing is removed.

    :param upcoming: the number of that record, with which a segment begins.
    :return: why the image was not written; empty if it was.
    :raise JournalDamaged: the records before it cannot be read.
    """
    # The old image is not read for this: a snapshot follows from records alone.
    state = fold(JournalReader(filesystem, folder, stop=upcoming))
    digest = write_snapshot(filesystem, folder, upcoming, records_of(state))
    try:
        write_image(filesystem, folder, upcoming, digest, frames(state))
    except Exception as problem:  # the snapshot is durable, and as good without an image
        return f"the snapshot has no image: {problem}"
    return ""


def main(folder: str, upcoming: str) -> None:
    """Compact, and report a failure, or the lack of an image, in one line."""
    os.nice(_NICENESS)
    gc.disable()  # compaction makes many objects, and no cycles
    try:
        lacking = compact(OSFilesystem(), folder, int(upcoming))
    except (OSError, JournalDamaged) as problem:
        raise SystemExit(str(problem)) from problem
    if lacking:
        sys.stderr.write(f"{lacking}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
