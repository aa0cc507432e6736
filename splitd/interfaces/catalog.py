"""The seams of the catalog: names, uploads under way, parts that move, and the journal below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.records import Record
from splitd.model.tree import Collection, Member
from storaged.parts.format import PartId


class ICatalog(Interface):
    """Names and what they mean.

    Paths are text: "/" is the root, "/a/b" a name in collection "/a"; never a slash at the end
    (`splitd.model.tree.check_path` says what is a path).  What fires has survived a power cut where it changed
    something, and only then do `lookup` and `list_members` show it.

    Every change fails with `CatalogReadOnly` once the journal has failed; with `PreconditionFailed` where its
    condition does not hold, and with `Locked` where a lock forbids it whose token is not in the condition.  Both are
    judged at the instant of the change, against all that was changed before.
    """

    def lookup(path: str) -> Deferred[Manifest | Collection | None]:
        """What there is of this name; None where there is nothing."""

    def list_members(path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """A page of a collection, in ascending order of the members' names (by code point).

        :param after: list only names greater than this; empty for the first page.
        :param limit: how many at most.
        :raise NotFound: there is nothing of this name.
        :raise NotACollection: it is a file.
        """

    def make_collection(
        path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection.

        :param properties: what to note of it; see `splitd.model.properties`.
        :raise NameTaken: something of this name is there.
        :raise ParentMissing: the collection it should lie in is not there.
        """

    def delete(path: str, condition: Condition) -> Deferred[None]:
        """Delete a file, or a collection with all that is in it, in one step.  The parts are doomed.

        :raise NotFound: there is nothing of this name.
        :raise BadName: it is the root.
        """


class IUploadLedger(Interface):
    """Uploads under way, how they end, and which parts are to go.  The catalog provides it too, for committing an
    upload and giving its file a name is one step.
    """

    def begin(upload: str, path: str, nodes: Sequence[str]) -> Deferred[None]:
        """Note that parts of this upload may lie on these nodes from now on, by the parts' index.

        Written, not synced, when it fires.
        """

    def commit(path: str, manifest: Manifest, condition: Condition) -> Deferred[bool]:
        """Give a file its name.  The version before it, if any, is doomed.

        `condition` is judged at this instant, against all that was committed before.

        :return: a Deferred of whether there was no file of this name before.
        :raise PreconditionFailed: `condition` does not hold.
        :raise Locked: a lock forbids it.
        :raise ParentMissing: the collection it should lie in is not there.
        :raise NotAFile: there is a collection of this name.
        Where it fails, the upload is still under way: abort it.
        """

    def abort(upload: str, reason: str) -> Deferred[None]:
        """End an upload that will not be committed.  Its parts are doomed.

        Written, not synced, when it fires: an upload of which nothing is known after a crash is aborted as well.
        """

    def orphans(node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose from parts that lie on a node those that have no reason to lie there: they belong neither to a file,
        nor to an upload or a move under way, nor are they doomed.

        A part that has a reason to be there during the whole call is not chosen.  The call's cost depends on the number
        of `parts`, not on the number of files.

        :return: a Deferred that fires with them, in the same order.
        """


@attrs.frozen
class DoomedPage:
    """Some of the parts that are to be deleted on one node.

    :param parts: the longest doomed first.
    :param cursor: where the next page begins; "" where this is the last one.
    """

    parts: Sequence[PartId]
    cursor: str


class IDoomedParts(Interface):
    """The parts that are to be deleted, by node: those of aborted uploads, of versions that have no name any more, and
    copies that a move left behind.  The catalog provides it too.

    A part is doomed until `gone` has recorded it, and stays where it is until then: no move puts a part of the same
    name on that node.  Afterwards one may, so deletions that were requested before `gone` must not arrive after it:
    only one caller at a time may delete parts on a node.
    """

    def doomed_nodes() -> Deferred[dict[str, int]]:
        """Count the doomed parts on each node that holds any.

        It waits until all parts are in the queue that became doomed before the call: after a large tree was deleted,
        that takes some seconds.

        :return: a Deferred that fires with the counts, by the nodes' ids in ascending order.
        """

    def doomed_on(node: str, after: str, limit: int) -> Deferred[DoomedPage]:
        """List doomed parts of one node.  The call's cost depends on `limit`, not on the number of doomed parts.

        Parts that become doomed after the call have their place after all that were doomed before.

        :param after: the cursor of the page before; "" for the first page.  A cursor is good until a restart.
        :param limit: how many parts at most; at least 1.
        """

    def gone(node: str, parts: Sequence[PartId]) -> Deferred[None]:
        """Record that parts are gone from a node.  Idempotent: parts that are not doomed there are skipped.

        Cancelling it takes nothing back: the parts may be recorded or not.

        :return: a Deferred that fires when the change is durable.
        :raise CatalogReadOnly: the journal has failed; some of the parts may be recorded.
        """


class IPartMoves(Interface):
    """Parts that go from one node to another.  The catalog provides it too: readers ask it where the parts lie."""

    def begin_move(path: str, copy: PartCopy) -> Deferred[None]:
        """Note that a copy of a part of a file may lie on another node from now on.

        Written, not synced, when it fires.

        :raise MoveRefused: the file is not of this upload any more, or its part cannot be copied to that node now.
        """

    def commit_move(path: str, copy: PartCopy) -> Deferred[None]:
        """Let the copy take the place of the part.  Where the part lay, it is doomed.

        :return: a Deferred that fires when the change would survive a power cut.
        :raise MoveRefused: the file is not of this upload any more.  The move is still under way: abort it.
        """

    def abort_move(copy: PartCopy, reason: str) -> Deferred[None]:
        """End a move that will not be committed.  The copy is doomed.  Written, not synced, when it fires."""


class IJournal(Interface):
    """Records in the order they were appended, durable on demand.  Known to the catalog alone.

    One process at a time; a second one is refused when it opens it.
    """

    def replay(apply: Callable[[Record], None]) -> Deferred[int]:
        """Read all records, oldest first, and make the journal ready for `append`.  To be called once, first.

        A last line that a crash has torn is cut off.

        :param apply: called with each record, in the thread of the caller of `replay`.
        :return: a Deferred of how many records there were.
        :raise JournalDamaged: there is other damage; the message names file and line.  Nothing was changed.
        """

    def append(record: Record, *, durable: bool) -> Deferred[None]:
        """Append a record.

        Deferreds fire in the order of the calls.  One sync serves all records that wait for one.

        :param durable: fire when the record would survive a power cut, not when it is handed to the system.
        :raise CatalogReadOnly: writing or syncing failed, now or earlier; the record may or may not be in the
            journal, and nothing is appended any more.
        """

    def close() -> Deferred[None]:
        """Sync what was appended, and let go of the journal."""

    failure = Attribute("Why nothing can be appended any more: a str; empty while all is well.")
