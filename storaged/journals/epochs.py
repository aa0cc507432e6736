"""The highest epoch that a node has accepted, which it keeps in `journals/epoch.json`."""

from __future__ import annotations

from contextlib import suppress

import msgspec
from twisted.internet.defer import Deferred, DeferredLock

from storaged.disk.calls import DiskCalls
from storaged.parts.errors import BadRequest, NodeUnavailable, TakenOver
from storaged.parts.journals import Claim, Roster, Standing
from storaged.system.filesystem import new_file
from storaged.system.interfaces import IFilesystem

_VERSION = 1


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    epoch: int
    front: str
    run: str
    roster: Roster | None


class Epochs:
    """Accepts claims, and refuses fronts that another one has taken over from.

    :param folder: the folder of the file.
    """

    def __init__(self, folder: str, filesystem: IFilesystem, calls: DiskCalls) -> None:
        self._folder = folder
        self._path = f"{folder}/epoch.json"
        self._filesystem = filesystem
        self._calls = calls
        self._lock = DeferredLock()
        self._kept = _Kept(_VERSION, 0, "", "", None)

    def load(self) -> None:
        """Read the file.  Blocks.

        :raise NodeUnavailable: the file cannot be read.  A node that has forgotten its epoch would accept a front that
            was replaced, so it must not start.
        """
        self._filesystem.make_folder(self._folder)
        try:
            file = self._filesystem.open(self._path, "read")
        except FileNotFoundError:
            return
        try:
            self._kept = msgspec.json.decode(file.read_at(0, file.size), type=_Kept)
        except msgspec.MsgspecError as problem:
            raise NodeUnavailable(f"{self._path}: {problem}") from problem
        finally:
            file.close()
        if self._kept.version != _VERSION:
            raise NodeUnavailable(f"{self._path}: version {self._kept.version}, this program knows {_VERSION}")

    @property
    def standing(self) -> Standing:
        """What was accepted, without cluster and copy."""
        return Standing(self._kept.epoch, self._kept.front, self._kept.roster)

    def check(self, epoch: int) -> None:
        """Refuse a change of a front that was replaced.

        :param epoch: the front's epoch; 0 if it has none.
        :raise TakenOver: a higher epoch was accepted.
        """
        if epoch < self._kept.epoch:
            raise TakenOver(
                f"front {self._kept.front} has taken over with epoch {self._kept.epoch}: "
                f"a front of epoch {epoch} may change nothing any more"
            )

    def check_owner(self, epoch: int, front: str, run: str) -> None:
        """Refuse a front that does not own the present epoch.

        :raise TakenOver: the present epoch is higher, or that of a different front.
        :raise BadRequest: the epoch was not claimed on this node yet.
        """
        self.check(epoch)
        if epoch > self._kept.epoch:
            raise BadRequest(f"epoch {epoch} is not claimed here yet, the present one is {self._kept.epoch}")
        if (front, run) != (self._kept.front, self._kept.run):
            raise TakenOver(f"epoch {epoch} is that of front {self._kept.front}, run {self._kept.run}")

    def claim(self, claim: Claim) -> Deferred[Standing]:
        """Accept a claim, or the renewal of one, and keep its roster if it is newer.

        :return: a Deferred that fires with what is accepted now, when it is durable.
        :raise TakenOver: the epoch was claimed by a different front, or is older than the present one.
        :raise NodeUnavailable: it could not be written.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._claim(claim)))

    async def _claim(self, claim: Claim) -> Standing:
        kept = self._kept
        if (claim.epoch, claim.front, claim.run) != (kept.epoch, kept.front, kept.run):
            self._refuse(claim, kept)
        roster = kept.roster
        if claim.roster is not None and (roster is None or roster < claim.roster):
            roster = claim.roster
        upcoming = _Kept(_VERSION, claim.epoch, claim.front, claim.run, roster)
        if upcoming != kept:
            await self._calls.run("the epoch", lambda: self._write(upcoming))
            self._kept = upcoming
        return self.standing

    def _refuse(self, claim: Claim, kept: _Kept) -> None:
        stranger = kept.front not in {"", claim.front}
        if stranger and (not claim.any_front or kept.epoch > claim.after):
            raise TakenOver(
                f"front {kept.front} has taken over with epoch {kept.epoch}: front {claim.front} cannot go on"
            )
        if kept.epoch > claim.after or kept.epoch >= claim.epoch:
            raise TakenOver(
                f"front {kept.front} has epoch {kept.epoch}: "
                f"front {claim.front}, which knows epochs up to {claim.after} only, cannot claim {claim.epoch}"
            )

    def _write(self, kept: _Kept) -> None:
        with suppress(FileNotFoundError):  # it exists only if a crash interrupted the lines below
            self._filesystem.remove(self._path + ".new")
        with new_file(self._filesystem, self._folder, self._path) as file:
            file.write([msgspec.json.encode(kept) + b"\n"])
