"""The seams of storaged: wherever parts lie, and the operating system's files.

`IPartStore` is provided by the disk (`storaged.store`), by memory (`storaged.parts.memory`, for tests) and by a node at
the other end of a connection (`storaged.parts.client`); one contract suite holds all three to these words.

What travels through a part store are *stored bytes*: the part format of `storaged.parts.format`, header to footer.
The one who writes a part encodes it, every store checks it, the one who reads it decodes and checks it again.

Every Deferred below may fail with `storaged.parts.errors.NodeUnavailable` where the store is remote.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.values import NodeInfo, PartInfo
from storaged.system.ranges import Span


class IPartWriter(IConsumer):
    """One part on its way into a store.

    It is a consumer of stored bytes: `registerProducer(producer, True)` hands it the producer to pause while it
    has taken in more than it can pass on.  `write` is never refused: what comes while paused is kept.
    Once `finish` or `abort` was called, or the writer broke, `write` does nothing.
    """

    def writeSequence(pieces: Sequence[bytes]) -> None:
        """Write several pieces, as several `write` would."""

    def when_broken() -> Deferred[Exception]:
        """Learn of a failure before `finish`.

        :return: a Deferred that fires with the `StoragedError`, as its result, as soon as the part cannot be stored
            any more.  (Not with a `Failure`: a Deferred takes one for a failure of its own.)  It never fires after
            `finish` or `abort` was called.
        """

    def finish() -> Deferred[PartInfo]:
        """End the part.

        :return: a Deferred of its `PartInfo`, fired when the part would survive a power cut.
            A remote store may have stored it before, once all the bytes announced to `create` were written.
        :raise BadPart: what was written is not one whole, good part.  Nothing is kept.
        :raise NoSpace: nothing is kept.
        :raise PartExists: a part of this id is there already; it is left as it is.
        """

    def abort() -> Deferred[None]:
        """Give the part up.  May be called at any time and again; after `finish` has fired it does nothing.

        :return: a Deferred that fires with None when what was written so far takes no space any more, or, for a
            remote store, when the node has been told by the end of the connection.  It does not fail.
        """


class IPartReader(Interface):
    """The stored bytes of one part, or of a span of it, read one piece after the other."""

    stored_size = Attribute("The bytes of the whole part: an int.")

    def read() -> Deferred[bytes]:
        """Read on.  Must not be called again before the last call has fired.

        :return: a Deferred of the next bytes, at most a few hundred KiB; empty at the end, and from then on.
        :raise NodeUnavailable: the connection broke before the end.  A span never ends short in silence.
        """

    def close() -> None:
        """Read no more.  May be called at any time and again; returns None at once.

        A `read` still waiting fails with `twisted.internet.defer.CancelledError`.
        """

    def descriptor() -> tuple[int, Span] | None:
        """Where the kernel itself can read on: a file's descriptor, open until `close`, and the span of it that `read`
        has not given out.  None where there is no such file.
        """


class IPartStore(Interface):
    """A place where parts lie.

    Part ids are text as `storaged.parts.format.parse_part_id` reads it; any other text fails with `BadRequest`.
    """

    def create(part_id: str, stored_size: int | None) -> Deferred[IPartWriter]:
        """Begin a part.

        :param stored_size: the bytes it will take, header to footer, where known.
        :return: a Deferred of an `IPartWriter`; it fires when bytes can flow.  Cancelling it leaves nothing behind.
        :raise NoSpace: there is no room for `stored` bytes, or for any.
        :raise PartExists: a part of this id is there already.
        :raise PartMissing: a part of this id was removed before it came.
        A remote store may tell these only through the writer: by `when_broken` or `finish`.
        """

    def open(part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Read a part.

        :param span: the `Span` of stored bytes wanted, or None for all.
        :return: a Deferred of an `IPartReader`.
        :raise PartMissing: there is no such part.
        :raise BadSpan: the span is empty or does not lie inside the part.
        """

    def stat(part_id: str) -> Deferred[PartInfo]:
        """Look at a part.

        :return: a Deferred of its `PartInfo`.
        :raise PartMissing: there is no such part.
        """

    def remove(part_id: str) -> Deferred[bool]:
        """Delete a part, and abort it where it is still being written.

        :return: a Deferred of whether there was such a part.  When it fires, the part is gone for good: no
            power cut brings it back.  Where there was none, it does not come later either: `create` refuses it.
        """

    def trash(part_id: str) -> Deferred[bool]:
        """Put a part aside: it is gone as if it were removed, and an operator can bring it back for a while.

        :return: a Deferred of whether there was such a part.
        """

    def list_parts(after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts in ascending order of their ids (as text).

        :param after: list only ids greater than this text; empty for the first page.
        :param limit: how many at most, 1 to 10,000.
        :return: a Deferred of a list of `PartInfo`; empty when there are no more.
        """

    def info() -> Deferred[NodeInfo]:
        """Who this is and what room there is: a Deferred of `NodeInfo`."""


class ISmallPartStore(Interface):
    """A place where small parts come and go whole, many at a time.

    Provided beside `IPartStore`, over the same parts: what is put here can be opened, listed and removed there, and
    what was written there can be got here.  What is wrong with one of the parts does no harm to the others; only where
    the store as a whole cannot be used the Deferred fails.

    A part is small when it takes at most `storaged.parts.format.SMALL_PART` bytes.
    """

    def put_all(parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        """Store parts.  Those that come at about the same time share one sync.

        :param parts: (part id, stored bytes, header to footer) of each.
        :return: a Deferred of what came of each, in their order, fired when those that are stored would survive a power
            cut.  Cancelling it gives up waiting: the parts may be stored or not.  Of a part that is not stored nothing
            is kept, and there is an error in place of its `PartInfo`:
            `BadPart`: the bytes are not one whole, good part of this id;
            `BadRequest`: they are more than `SMALL_PART`, or the id is none;
            `NoSpace`;
            `PartExists`: a part of this id is there already; it is left as it is;
            `PartMissing`: a part of this id was removed before it came.
        """

    def get_all(part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read parts.

        :return: a Deferred of all stored bytes of each, in their order; in their place `PartMissing` where there is no
            such part, `BadRequest` where it is not a small one, `PartDamaged` where it cannot be read.
        """

    def remove_all(part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts, each as `IPartStore.remove` does."""


class INodeStore(IPartStore, ISmallPartStore):
    """What a node offers: parts large and small."""


class IRemoteStore(INodeStore):
    """A node at the other end of a connection."""

    def retire() -> None:
        """Close the connection as soon as no request is pending; a later request makes a connection of its own."""

    def end_waits(since: float, problem: NodeUnavailable) -> None:
        """Fail each request that has waited for the node without a break since then or longer.

        The node is known not to answer; requests that the node has answered in part, or that began later, go on.

        :param since: a time of the clock that the store was given, in seconds.
        :param problem: the error that the requests fail with.
        """
