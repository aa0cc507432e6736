"""The epoch of a front, with copies of its journal or without."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from splitd.nodes.state import NodeStatus
from splitd.takeover.alone import EpochAlone
from splitd.takeover.copies import JournalCopies
from splitd.takeover.lease import Member
from storaged.parts.interfaces import IJournalHolder
from storaged.system.clocks import elapsed_s
from storaged.system.interfaces import IFilesystem
from storaged.system.parallel import InThread


@attrs.frozen
class Wanted:
    """The settings of the copies.

    :param copies: how many there should be; 0 for none.
    :param required: whether nothing is acknowledged while all copies but one are not there.
    :param lease_s: for how many seconds a node's confirmation counts.
    """

    copies: int
    required: bool
    lease_s: float


class Takeover:
    """What a front does so that another one can take over from it, and so that it notices.

    :param folder: the journal's folder.
    :param in_thread: makes a blocking call.
    :param nodes: returns the registered nodes.
    :ivar copies: the copies of the journal; None without.
    """

    def __init__(
        self,
        folder: str,
        filesystem: IFilesystem,
        in_thread: InThread,
        nodes: Callable[[], Sequence[NodeStatus]],
        clock: IReactorTime,
        wanted: Wanted,
    ) -> None:
        self._nodes = nodes
        self._alone = EpochAlone(folder, filesystem, in_thread)
        self.copies = (
            JournalCopies(
                folder,
                filesystem,
                in_thread,
                self._members,
                clock,
                elapsed_s,
                wanted=wanted.copies,
                required=wanted.required,
                lease_s=wanted.lease_s,
                new_id=lambda: os.urandom(8).hex(),
            )
            if wanted.copies
            else None
        )

    def _members(self) -> list[Member]:
        nodes = [node for node in self._nodes() if str(node.entry.state) != "lost"]
        return [
            Member(node.entry.id, node.entry.zone, IJournalHolder(node.remote), node.health.usable) for node in nodes
        ]

    def epoch(self) -> int:
        """Return the epoch that requests to nodes carry; 0 if there is none."""
        return self._alone.epoch if self.copies is None else self.copies.epoch()

    def opened(self, records: int) -> Deferred[None]:
        """Take note that the journal was read.

        :param records: the number of its last record.
        """
        return self._alone.begin(records + 1) if self.copies is None else succeed(None)

    def start(self) -> Deferred[None]:
        """Claim the epoch, and begin to send copies; see `JournalCopies.start`."""
        return succeed(None) if self.copies is None else self.copies.start()

    def end_waits(self) -> None:
        """Let records that wait for copies fail after some seconds; see `JournalCopies.end_waits`."""
        if self.copies is not None:
            self.copies.end_waits()

    def stop(self) -> Deferred[None]:
        """End it; see `JournalCopies.stop`."""
        return succeed(None) if self.copies is None else self.copies.stop()
