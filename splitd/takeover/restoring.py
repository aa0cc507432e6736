"""Makes the folder of a journal anew from a backup, so that it deletes nothing that is newer.  Everything here blocks.

A backup is older than the cluster.  Uploads that it knows as unfinished may have become files since, and parts may have
moved to nodes where it knows them as doomed.  So only names, and where the parts of files lay, are taken from it; the
nodes are asked which parts they hold, and a part that lies elsewhere by now is noted there.  Whatever else lies on the
nodes is unknown, and the sweep leaves that alone until the hold ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from splitd.catalog.backup import BackupReader, End, Head
from splitd.catalog.effects import apply
from splitd.catalog.journal.writer import write_snapshot
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.errors import BackupDamaged, RecoveryRefused
from splitd.model.records import (
    ContinuedUploadBegun,
    DiskChecked,
    JournalRestored,
    PartMoveAborted,
    PartMoveStarted,
    PartsGone,
    Record,
    SegmentCommitted,
    UploadAborted,
    UploadStarted,
)
from splitd.model.rosters import majority
from splitd.takeover.folders import make_journal_folder, refuse_used_folder
from splitd.takeover.history import History, new_history, save_history
from splitd.takeover.recovery import ask_nodes
from splitd.takeover.whereabouts import Found, IPartNode, Whereabouts
from storaged.parts.journals import Claim, Standing
from storaged.system.interfaces import IFilesystem

DROPPED = (
    *(UploadStarted, UploadAborted, ContinuedUploadBegun, SegmentCommitted),
    *(PartMoveStarted, PartMoveAborted, PartsGone, DiskChecked, JournalRestored),
)
"""Records of a snapshot that are not taken over: they would have parts deleted, or not be looked for."""

_UNFINISHED = "journal.restoring"


@attrs.frozen
class Restored:
    """A journal that was made from a backup.

    :param taken_ms: when the backup was taken, milliseconds since 1970.
    :param until_ms: until when no unknown part is trashed.
    :param epoch: the epoch that was claimed.
    :param front: the id of the new folder.
    :param accepted: how many of the nodes accepted it.
    :param state: what the backup results in.
    :param records: the number of the last record.
    :param found: which parts are noted elsewhere than in the backup.
    """

    taken_ms: int
    until_ms: int
    epoch: int
    front: str
    accepted: int
    state: State
    records: int
    found: Found


class Restoring:
    """Restores the journal of a cluster.

    :param nodes: the registered nodes that are not lost.
    :param data: the front's data folder on this machine.
    :param new_id: makes an id of 16 hexadecimal digits.
    :param now_ms: the time of day, in milliseconds since 1970.
    :param say: is told what is being done, a sentence at a time.
    """

    def __init__(
        self,
        nodes: Sequence[IPartNode],
        data: Path,
        filesystem: IFilesystem,
        new_id: Callable[[], str],
        now_ms: int,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._nodes = nodes
        self._data = data
        self._filesystem = filesystem
        self._new_id = new_id
        self._now_ms = now_ms
        self._say = say

    def run(self, name: str, pieces: Iterable[bytes], *, accept_loss: bool, hold_ms: int) -> Restored:
        """Read the backup, claim the next epoch on the nodes, search them for parts, and make the journal's folder.

        Until the epoch is claimed, a refusal has changed nothing.  Afterwards no older front can change anything any
        more, and a restoration that fails can be repeated.

        :param name: the name of the backup, for messages.
        :param pieces: its bytes.
        :param accept_loss: whether to take the backup though nodes have a copy of the journal that is newer.
        :param hold_ms: for how long no unknown part is trashed.
        :raise BackupDamaged: the backup is damaged, or not whole.
        :raise RecoveryRefused: the folder is not empty, too few nodes answer, they belong to another cluster, or they
            have what is newer.
        """
        refuse_used_folder(self._data, _UNFINISHED)
        state, head, end = self._read(name, pieces)
        self._say(f"asking {len(self._nodes)} nodes")
        standings = ask_nodes(self._nodes, lambda node: node.look(), "look", self._say)
        self._refuse(standings, state.cluster)
        if not accept_loss:
            self._refuse_older(standings, head, end)
        last = max(head.epoch, *(standing.epoch for standing in standings.values()))
        claim = Claim(last + 1, self._new_id(), self._new_id(), last, any_front=True, look=True)
        self._say(f"claiming epoch {claim.epoch}: from now on no older front can change anything")
        accepted = ask_nodes(self._nodes, lambda node: node.claim(claim), "claim", self._say)
        self._refuse(accepted, state.cluster)
        self._say("asking which parts they hold: some may have moved since the backup")
        # No older front moves or deletes a part any more, because a majority has the new epoch.
        found = Whereabouts(state, self._nodes, self._say).correct()
        restored = JournalRestored(head.taken_ms, self._now_ms, self._now_ms + hold_ms)
        make_journal_folder(
            self._data,
            _UNFINISHED,
            self._filesystem,
            lambda folder: self._make_folder(str(folder), state, end, claim, restored),
        )
        made = claim.epoch, claim.front, len(accepted), state, end.next - 1
        return Restored(head.taken_ms, restored.until_ms, *made, found)

    def _read(self, name: str, pieces: Iterable[bytes]) -> tuple[State, Head, End]:
        state, reader = State(), BackupReader(name)
        for record in reader.records(pieces):
            try:
                apply(state, record)
            except ValueError as problem:
                raise BackupDamaged(f"{name}: {problem}") from problem
        if not state.cluster:
            raise BackupDamaged(f"{name}: it has no record")
        assert reader.head is not None
        return state, reader.head, reader.finish()

    def _refuse(self, standings: Mapping[str, Standing], cluster: str) -> None:
        needed = majority(len(self._nodes))
        if len(standings) < needed:
            raise RecoveryRefused(f"{len(standings)} of {len(self._nodes)} nodes answer, and {needed} are needed")
        for node, standing in standings.items():
            if standing.cluster and standing.cluster != cluster:
                raise RecoveryRefused(
                    f"node {node} belongs to cluster {standing.cluster}, and the backup is of cluster {cluster}"
                )

    def _refuse_older(self, standings: Mapping[str, Standing], head: Head, end: End) -> None:
        for node, standing in standings.items():
            copy = standing.copy
            if copy is None or copy.damage or (copy.next <= end.next and copy.last_epoch <= head.epoch):
                continue
            raise RecoveryRefused(
                f"node {node} has a copy of the journal with {copy.next - 1} records, which is newer than the backup "
                f"with {end.next - 1}: `splitctl journal recover` loses nothing (--accept-loss takes the backup, and "
                "forgets what was stored since then)"
            )

    def _make_folder(self, folder: str, state: State, end: End, claim: Claim, restored: JournalRestored) -> None:
        self._filesystem.make_folder(folder)
        write_snapshot(self._filesystem, folder, end.next, _kept(state, restored))
        # All of it counts as made in this epoch: no copy on a node agrees with it, so each is replaced.
        history = new_history(claim.front)
        epochs = ((claim.epoch, 1),)
        save_history(self._filesystem, folder, History(history.version, claim.front, epochs, claim.epoch))


def _kept(state: State, restored: JournalRestored) -> Iterator[Record]:
    """Iterate over the records of a state from which nothing is deleted."""
    yield from (record for record in records_of(state) if not isinstance(record, DROPPED))
    yield restored
