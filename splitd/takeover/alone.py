"""The epoch of a front that has no copies of its journal."""

from __future__ import annotations

from contextlib import suppress

from twisted.internet.defer import Deferred

from splitd.takeover.history import History, load_history, save_history
from storaged.system.interfaces import IFilesystem
from storaged.system.parallel import InThread


class EpochAlone:
    """Goes on with the epoch that the journal has from when it had copies, and claims none.

    So nodes still refuse this front if another one has taken over.  The records that it appends have an epoch of their
    own.  When there are copies again, no record that a crash took from the disk meanwhile is mistaken for one of them.

    :param folder: the journal's folder.
    :param in_thread: makes a blocking call.
    :ivar epoch: the epoch that requests to nodes carry; 0 if the journal never had copies.
    """

    def __init__(self, folder: str, filesystem: IFilesystem, in_thread: InThread) -> None:
        self._folder = folder
        self._filesystem = filesystem
        self._in_thread = in_thread
        self.epoch = 0

    def begin(self, upcoming: int) -> Deferred[None]:
        """Read the epoch.

        :param upcoming: the number of the next record.
        """
        return self._in_thread(lambda: self._begin(upcoming)).addCallback(self._begun)

    def _begin(self, upcoming: int) -> History | None:
        history = load_history(self._filesystem, self._folder)
        if history is not None:
            with suppress(OSError):  # then the journal cannot be written either, and the files are still served
                save_history(self._filesystem, self._folder, history.begin(upcoming, 1))
        return history

    def _begun(self, history: History | None) -> None:
        self.epoch = history.claimed if history is not None else 0
