"""The operators' backup of the journal: the answer is the backup, whose last line shows that it is whole."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from threading import Lock

from splitd.errors import BackupUnderWay
from splitd.frontends.admin.actions import Action
from splitd.frontends.admin.checking import LINES
from storaged.http import IRequest, send_body
from storaged.system.parallel import InThread


class Backup:
    """A backup in progress.  Its calls block.

    :param pieces: iterates over its bytes.
    :param ended: called at its end.
    """

    def __init__(self, pieces: Generator[bytes, None, None], ended: Callable[[], None]) -> None:
        self._pieces = pieces
        self._ended = ended
        self._turn = Lock()  # a read that was cancelled may go on while the backup is closed

    def next(self) -> Sequence[bytes]:
        """Return the next bytes; none at the end.

        :raise JournalDamaged: the journal is damaged.
        :raise OSError: it cannot be read.
        """
        with self._turn:
            piece = next(self._pieces, None)
        return [] if piece is None else [piece]

    def close(self) -> None:
        """End it."""
        with self._turn:
            self._pieces.close()
        self._ended()


class Backups:
    """Begins backups of the journal, one at a time.

    :param encode: returns an iterator over the bytes of a new one.
    """

    def __init__(self, encode: Callable[[], Generator[bytes, None, None]]) -> None:
        self._encode = encode
        self._busy = False

    def start(self) -> Backup:
        """Begin a backup.

        :raise BackupUnderWay: another one has not ended yet.
        """
        if self._busy:
            raise BackupUnderWay("another backup has not ended yet")
        self._busy = True
        return Backup(self._encode(), self._ended)

    def _ended(self) -> None:
        self._busy = False


def backup(start: Callable[[], Backup], in_thread: InThread) -> Action:
    """Provide `GET /journal/backup`."""

    async def get(request: IRequest) -> None:
        running = start()
        try:
            first = await in_thread(running.next)  # which finds most faults, while there is no answer yet
            request.setResponseCode(200)
            request.setHeader("Content-Type", LINES)
            request.write_pieces(first)
            await send_body(request, lambda: in_thread(running.next))
            request.finish()
        finally:
            await in_thread(running.close)  # also if the client has left

    return {"GET": get}
