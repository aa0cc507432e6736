"""Which front made which records: the file `epochs.json` in the journal's folder.  Its functions block."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from splitd.errors import JournalDamaged
from storaged.parts.journals import Run
from storaged.system.filesystem import new_file
from storaged.system.interfaces import IFilesystem

NAME = "epochs.json"
_VERSION = 1


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The epochs of a journal's records.

    :param front: the id of the folder: 16 hexadecimal digits.
    :param epochs: each epoch, and the number of its first record, ascending.
    :param claimed: the highest epoch that a majority of the nodes has accepted from this folder.
    """

    version: int
    front: str
    epochs: tuple[tuple[int, int], ...]
    claimed: int = 0

    @property
    def epoch(self) -> int:
        """The epoch of the records that are appended now."""
        return self.epochs[-1][0]

    def begin(self, upcoming: int, base: int) -> History:
        """Return the history with one more epoch.

        :param upcoming: the number of the epoch's first record.
        :param base: the number of the first record that is not in the journal's snapshot; older epochs are forgotten,
            but for that of the record before it.
        """
        epochs = [*((epoch, first) for epoch, first in self.epochs if first < upcoming), (self.epoch + 1, upcoming)]
        while len(epochs) > 1 and epochs[1][1] < base:
            epochs.pop(0)
        return msgspec.structs.replace(self, epochs=tuple(epochs))

    def own(self) -> History:
        """Return the history in which the present epoch is claimed."""
        return msgspec.structs.replace(self, claimed=self.epoch)

    def runs(self, upcoming: int) -> tuple[Run, ...]:
        """Return the runs of all records before a number."""
        ends = [*(first for _, first in self.epochs[1:]), upcoming]
        return tuple(
            Run(epoch, first, min(end, upcoming) - 1)
            for (epoch, first), end in zip(self.epochs, ends, strict=True)
            if first < min(end, upcoming)
        )

    def epoch_of(self, number: int) -> int:
        """Return the epoch of a record."""
        return next((epoch for epoch, first in reversed(self.epochs) if first <= number), 0)


def new_history(front: str) -> History:
    """Return the history of a journal whose records, if it has any, were made without epochs."""
    return History(_VERSION, front, ((0, 1),))


def load_history(filesystem: IFilesystem, folder: str) -> History | None:
    """Read the file; None if there is none.

    :raise JournalDamaged: the file cannot be read.
    """
    path = f"{folder}/{NAME}"
    try:
        file = filesystem.open(path, "read")
    except FileNotFoundError:
        return None
    try:
        history = msgspec.json.decode(file.read_at(0, file.size), type=History)
    except msgspec.MsgspecError as problem:
        raise JournalDamaged(f"{path}: {problem}") from problem
    finally:
        file.close()
    if history.version != _VERSION or not history.epochs:
        raise JournalDamaged(f"{path}: version {history.version}, only {_VERSION} is known here")
    return history


def save_history(filesystem: IFilesystem, folder: str, history: History) -> None:
    """Replace the file, durably.

    :raise OSError: it could not be written; the old one may be there, or the new one.
    """
    with new_file(filesystem, folder, f"{folder}/{NAME}") as file:
        file.write([msgspec.json.encode(history) + b"\n"])


def begin_epoch(filesystem: IFilesystem, folder: str, new_id: Callable[[], str], upcoming: int, base: int) -> History:
    """Begin the next epoch of a journal, and write that down.  Blocks.

    :param upcoming: the number of the next record.
    :param base: the number of the record before which the snapshot was made; 1 if there is none.
    """
    history = load_history(filesystem, folder) or new_history(new_id())
    begun = history.begin(upcoming, base)
    save_history(filesystem, folder, begun)
    return begun
