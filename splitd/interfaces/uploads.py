"""The interface for beginning and ending uploads.  It keeps the rules of `ICatalog` for changes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from storaged.parts.format import PartId


class Start(msgspec.Struct, frozen=True, gc=False):
    """The beginning of an upload.

    :param upload: its id, which no other upload has.
    :param path: the path that its file should get.
    :param nodes: the nodes where its parts may lie from now on, by the parts' index; "" for a part that no node takes.
    """

    upload: str
    path: str
    nodes: Sequence[str]


class Commit(msgspec.Struct, frozen=True, gc=False):
    """The commit of an upload.

    :param path: the path that its file gets.
    :param manifest: the version that the upload has made.  Its nodes are those of the `Start`, or "" for parts that are
        not stored: at least as many as the file has data parts are.
    :param condition: the condition for the commit; see `Admitted.condition`.
    :param number: 0 for a file.  Else the version becomes the segment of this number of the continued upload
        `manifest.segment_of`, and gets no name: path and condition are not looked at.
    :param replaces: for a segment, the id of the one that has its number now; empty if none has; None if any may.
    :param asked: for a file, the layout that the nearest collection must ask for, as in `Admitted.layout`; None if it
        may ask for any.
    """

    path: str
    manifest: Manifest
    condition: Condition
    number: int = 0
    replaces: str | None = None
    asked: str | None = None


class IUploadLedger(Interface):
    """Uploads under way, and their ends.  The catalog provides it, because committing an upload and giving its file a
    name is one step.
    """

    def begin_all(starts: Sequence[Start]) -> Deferred[None]:
        """Record that parts of some uploads may lie on their nodes from now on.

        :return: a Deferred that fires with None when all records are written; they need not be durable.  If it fails or
            is cancelled, each of the uploads may be under way or not: abort them all.
        """

    def commit_all(commits: Sequence[Commit]) -> Sequence[Deferred[bool]]:
        """Commit some uploads: each file gets its path.  The version before it, if any, is doomed unless it has another
        name.  Parts that the manifest does not place are doomed where the upload may have put them; a version with such
        parts is hurt (see `IHealLedger.hurt`) from the commit on.

        The commits are judged in this order and independently: one that fails, or waits long for its turn, does not
        delay the others.

        :return: a Deferred for each commit, in the same order, that fires with whether no file had this path before;
            for a segment, whether the upload had none of this number.  If it fails, the upload is still under way:
            abort it.
        :raise UploadUnknown: the continued upload of a segment is not under way.
        :raise UploadTooLarge: the segment has a number that no segment can have, or the continued upload would have
            more bytes than a file with segments can have.
        :raise PreconditionFailed: the condition of the commit does not hold.
        :raise Locked: a lock forbids it.
        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        :raise NotAFile: a collection has this path.
        :raise BadName: the path of the commit is not a path.
        :raise UploadAborted: the upload is not under way, or a collection asks for another layout than `Commit.asked`.
        :raise ValueError: the manifest's nodes are not as `Commit` demands; or the note of a segment, in the manifest's
            `said`, is no text or has more than `MAX_NOTE` characters.
        """

    def abort(upload: str, reason: str) -> Deferred[None]:
        """End an upload that will not be committed.  Its parts are doomed.  Does nothing if the upload is not under
        way.

        :return: a Deferred that fires with None when the record is written.  It need not be durable, because an upload
            whose end is unknown after a crash is aborted anyway.
        """

    def abort_abandoned() -> Deferred[int]:
        """Abort the uploads and moves of fronts that are gone.

        Each upload and each move belongs to the front that began it.  The catalog knows which fronts are gone.  Uploads
        and moves of running fronts, including the caller's, are not touched.

        :return: a Deferred that fires with how many were aborted, when that is written; it need not be durable.
        :raise CatalogReadOnly: nothing can be changed any more; they stay under way, and keep their parts.
        """

    def orphans(node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the orphans among parts that lie on a node: those that belong neither to a file, nor to an upload or a
        move in progress, and are not doomed.

        A part that has a reason to be there during the whole call is not chosen.  The call's cost depends on the number
        of `parts`, not on the number of files.

        :return: a Deferred that fires with the orphans, in the same order.
        """
