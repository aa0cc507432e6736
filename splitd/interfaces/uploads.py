"""The seam for uploads: how they begin and end.  What `ICatalog` says of changes holds here."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from storaged.parts.format import PartId


@attrs.frozen
class Start:
    """An upload that begins.

    :param upload: its id, which no other upload has.
    :param path: the name that its file should get.
    :param nodes: where its parts may lie from now on, by the parts' index.
    """

    upload: str
    path: str
    nodes: Sequence[str]


@attrs.frozen
class Commit:
    """An upload that ends well.

    :param path: the name that its file gets.
    :param manifest: the version that the upload has made.
    :param condition: what must hold of what is there; see `Admitted.condition`.
    """

    path: str
    manifest: Manifest
    condition: Condition


class IUploadLedger(Interface):
    """Uploads under way, and how they end.  The catalog provides it: to commit an upload and to give its file a name is
    one step.
    """

    def begin_all(starts: Sequence[Start]) -> Deferred[None]:
        """Note that parts of some uploads may lie on their nodes from now on.

        Where it fails, or is cancelled, each of the uploads may be under way or not: abort them.

        :return: a Deferred that fires with None when that is written; it need not be durable.
        """

    def commit_all(commits: Sequence[Commit]) -> Sequence[Deferred[bool]]:
        """Give some files their names.  The versions before them, if any, are doomed.

        They are judged in this order, each for itself: one that fails, or waits long for its turn, holds up no other.

        :return: a Deferred for each commit, in the same order; it fires with whether there was no file of this name
            before.
        :raise PreconditionFailed: the condition of a commit does not hold.  Where a Deferred fails, its upload is still
            under way: abort it.
        :raise Locked: a lock forbids it.
        :raise ParentMissing: the collection that the file should lie in is not there.
        :raise NotAFile: there is a collection of this name.
        :raise BadName: the path is none.
        :raise UploadAborted: the upload is not under way.
        """

    def abort(upload: str, reason: str) -> Deferred[None]:
        """End an upload that will not be committed.  Its parts are doomed.  Nothing is done where the upload is not
        under way.

        :return: a Deferred that fires with None when that is written; it need not be durable, for an upload of which
            nothing is known after a crash is aborted as well.
        """

    def abort_abandoned() -> Deferred[int]:
        """Abort the uploads and moves that fronts which are gone have left under way.

        Each upload and each move belongs to the front that began it.  The catalog knows which fronts are gone.  Uploads
        and moves of fronts that live are left alone, and so are those of the caller.

        :return: a Deferred that fires with how many were aborted when that is written; it need not be durable.
        :raise CatalogReadOnly: nothing can be changed any more; they stay under way, and keep their parts.
        """

    def orphans(node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose from parts that lie on a node those that have no reason to lie there: they belong neither to a file,
        nor to an upload or a move under way, nor are they doomed.

        A part that has a reason to be there during the whole call is not chosen.  The call's cost depends on the number
        of `parts`, not on the number of files.

        :return: a Deferred that fires with them, in the same order.
        """
