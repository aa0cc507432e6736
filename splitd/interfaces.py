"""The seams of splitd.

    front doors → IObjectStore → ICatalog, IUploadLedger, IPartMoves → IJournal
                ↘              ↘ INodeRegistry → IPartStore (storaged.interfaces)
                  INamespace, ILocks (splitd.name_interfaces)

Above the catalog nobody leans on state that only one process has: a catalog may be a database under several fronts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Collection as SetOf

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import Known, PartCopy
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.records import Record
from splitd.model.tree import Collection, Member
from storaged.interfaces import INodeStore
from storaged.ranges import Span


@attrs.frozen
class Doomed:
    """Parts that nobody needs any more: all of an upload, or the copy of one that was moved.

    :param upload: the upload that made them.
    :param holdings: (node, part id) of each.
    :param is_copy: whether it is a copy, of a version that may be needed still.
    """

    upload: str
    holdings: tuple[tuple[str, str], ...]
    is_copy: bool = False

    @property
    def key(self) -> str:
        """Names it among all that are doomed."""
        if not self.is_copy:
            return self.upload
        [(node, part)] = self.holdings
        return f"{part}@{node}"


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

    def doomed(limit: int, leave_out: SetOf[str]) -> Deferred[list[Doomed]]:
        """At most `limit` of what is to be deleted, oldest first.

        :param leave_out: the keys of those not to be told.
        """

    def is_doomed(doomed: Doomed) -> Deferred[bool]:
        """Whether something is still to be deleted.  While it is, no part comes to be where it lies."""

    def known() -> Deferred[Known]:
        """All parts that lie somewhere for a reason.

        An upload, or a move, that began before the call is in it, or is not needed any more when it fires.
        """

    def reaped(doomed: Doomed) -> Deferred[None]:
        """Note that doomed parts are gone from all their nodes.  Written, not synced."""


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


class INodeRegistry(Interface):
    """The nodes there are, and which of them shall take the parts of the next file."""

    def node_ids() -> list[str]:
        """The ids of all registered nodes, usable or not."""

    def store(node_id: str) -> INodeStore:
        """The part store of a node.

        :raise FileUnavailable: no node of this id is registered.
        """

    def place(count: int, stored: int, avoid: SetOf[str], *, is_guess: bool = False) -> list[str]:
        """Choose distinct nodes for the parts of a file, and reserve room there.

        :param count: how many.
        :param stored: the bytes each part will take.
        :param avoid: the ids of nodes not to choose.
        :param is_guess: whether that is not known: so much is kept free on each node until `release`.  What is known
            is told to the node, which counts it from then on.
        :return: their ids.
        :raise NotEnoughSpace: fewer nodes have room.
        :raise NotEnoughNodes: fewer nodes can be used.
        """

    def release(node_id: str, stored: int) -> None:
        """Keep room free no more for a part whose size was not known: it is stored, or given up."""

    def check_room(count: int, stored: int) -> None:
        """Make sure that `place` would find nodes now; it raises what that would.  Nothing is reserved."""

    def refresh() -> Deferred[None]:
        """Ask the nodes what room they have, unless that was just done: what is known of it may be some seconds old.

        :return: a Deferred that fires when each has answered or failed to; it does not fail.
        """

    def failed(node_id: str, reason: str) -> None:
        """Learn that a node did not do what it should: it is not chosen for a while."""


@attrs.frozen
class Opened:
    """A file open for reading.

    :param manifest: the version; it stays readable until `download` ended, whatever happens to the name.
    :param download: the bytes asked for.
    :param another: opens another range of the same version, as long as `download` was not closed.
    """

    manifest: Manifest
    download: IDownload
    another: Callable[[Span], Deferred[IDownload]]


class IDownload(Interface):
    """The bytes of a range of one version of a file."""

    def read() -> Deferred[Sequence[bytes]]:
        """Read on.  Must not be called again before the last call has fired.

        :return: a Deferred of the next pieces, each checked; none at the end.
        :raise FileUnavailable: a node cannot be read.
        :raise FileDamaged: stored bytes are wrong.
        In both cases what was read so far is a right beginning, and shorter than it should be.
        """

    def close() -> None:
        """Give the download up without reading, or in the middle.  May be called at any time and again."""


class IUpload(IConsumer):
    """A file on its way in: a consumer of its bytes that pauses the producer registered with it."""

    def when_broken() -> Deferred[Exception]:
        """Learn that the upload cannot succeed any more: fires with the reason, as its result; never after
        `finish` or `abort` was called.
        """

    def finish() -> Deferred[tuple[Manifest, bool]]:
        """End the file and commit it.

        :return: a Deferred of its manifest and whether there was no file of this name before, fired when the
            file would survive a power cut.
        :raise SplitdError: it is not committed, and the upload is aborted.
        """

    def abort(reason: str) -> Deferred[None]:
        """Give the upload up.  May be called at any time and again; after `finish` it waits for how that ends.

        :return: a Deferred that fires with None when the nodes that answer hold nothing of it any more.
        """


class IObjectStore(Interface):
    """What front doors use: files and collections by their paths."""

    def create(path: str, size: int | None, content_type: str, condition: Condition) -> Deferred[IUpload]:
        """Begin to store a file.  It fires when bytes can flow; until then none should be asked for.

        :param size: its bytes, where known in advance.
        :raise PreconditionFailed, Locked, ParentMissing, NotAFile, BadName, NotEnoughNodes, CatalogReadOnly: nothing
            was begun.
        """

    def open(path: str, span_of: Callable[[Manifest], Span]) -> Deferred[Opened]:
        """Open a file for reading.

        :param span_of: which range is wanted, once the version is known; what it raises is passed on.
        :raise NotFound, NotAFile: there is no file of this name.
        :raise FileUnavailable: a node that holds a part of it cannot be read now.
        """

    def stat(path: str) -> Deferred[Manifest | Collection | None]:
        """What there is of this name."""

    def list_members(path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """A page of a collection; see `ICatalog.list_members`."""

    def make_collection(
        path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; see `ICatalog.make_collection`."""

    def delete(path: str, condition: Condition) -> Deferred[None]:
        """Delete a file or a collection with all that is in it; see `ICatalog.delete`."""

    def lock(
        path: str, scope: str, condition: Condition, *, deep: bool, owner: str, timeout_s: int
    ) -> Deferred[tuple[Lock, bool]]:
        """Take a lock, where there is nothing on an empty file that is made for it; see `Lock` and `ILocks.lock`.

        :return: a Deferred of the lock, and whether there was nothing.
        """
