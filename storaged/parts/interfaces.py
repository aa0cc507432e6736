"""The interfaces of part stores.

`IPartStore` is provided by the disk (`storaged.store`), by memory (`storaged.parts.memory`, for tests) and by a node at
the other end of a connection (`storaged.parts.client`); one contract suite tests all three.

Part stores take and return *stored bytes*: the part format of `storaged.parts.format`, header to footer.  The writer of
a part encodes it, every store checks it, and its reader decodes and checks it again.

Every Deferred below may fail with `storaged.parts.errors.NodeUnavailable` if the store is remote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.journals import Claim, Standing
from storaged.parts.values import NodeInfo, PartInfo, PartLook, RottenPart, Scrub
from storaged.system.buffers import Piece
from storaged.system.ranges import Span

if TYPE_CHECKING:
    from storaged.parts.client.journal import JournalLink


class IPartWriter(IConsumer):
    """Writes one part to a store.

    It is a consumer of stored bytes: `registerProducer(producer, True)` registers a producer, which is paused while the
    writer holds more bytes than it can pass on.  `write` is never refused: bytes that arrive during a pause are kept.
    After `finish` or `abort` was called, or after a failure, `write` does nothing.
    """

    def writeSequence(pieces: Sequence[Piece]) -> None:
        """Write several pieces, as several `write` would."""

    def when_broken() -> Deferred[Exception]:
        """Wait for a failure before `finish`.

        :return: a Deferred that fires as soon as the part cannot be stored any more.  Its result is the `StoragedError`
            itself, not a `Failure`, which a Deferred would take as its own.  It never fires after `finish` or `abort`
            was called.
        """

    def finish() -> Deferred[PartInfo]:
        """Complete the part.

        :return: a Deferred that fires with its `PartInfo` when the part is durable.  A remote store may have stored it
            earlier, as soon as all bytes that were announced to `create` were written.
        :raise BadPart: the written bytes are not one whole, valid part.  Nothing is kept.
        :raise NoSpace: the store has no room for the part.  Nothing is kept.
        :raise PartExists: a part of this id exists already; it is not changed.
        """

    def abort() -> Deferred[None]:
        """Abort the part.  May be called at any time and again; after `finish` has fired it does nothing.

        :return: a Deferred that fires with None when the bytes written so far take no space any more; for a remote
            store, when the connection has ended, which makes the node discard them.  It does not fail.
        """


class IPartReader(Interface):
    """Reads the stored bytes of one part, or of a span of it, one piece after the other."""

    stored_size = Attribute("The size of the whole part in bytes: an int.")

    def read() -> Deferred[bytes]:
        """Read the next bytes.  Must not be called again before the last call has fired.

        :return: a Deferred that fires with the next bytes, at most 1 MiB; with none at the end, and from
            then on.
        :raise NodeUnavailable: the connection broke before the end.  A span never ends early without an error.
        """

    def close() -> None:
        """Stop reading.  May be called at any time and again; returns None at once.

        A pending `read` fails with `twisted.internet.defer.CancelledError`.
        """

    def descriptor() -> tuple[int, Span] | None:
        """Return what the kernel itself can read in place of `read`.

        :return: a file's descriptor, which stays open until `close`, and the span of the file that `read` has not
            returned yet.  None if there is no such file.
        """


class IPartStore(Interface):
    """A store of parts.

    Part ids are text that `storaged.parts.format.parse_part_id` accepts; any other text fails with `BadRequest`.
    """

    def create(part_id: str, stored_size: int | None) -> Deferred[IPartWriter]:
        """Begin a part.

        :param stored_size: the bytes it will take, header to footer; None if not known.
        :return: a Deferred that fires with an `IPartWriter` when bytes can flow.  Cancelling it leaves nothing behind.
        :raise NoSpace: there is no room for `stored_size` bytes, or, if that is None, for any.
        :raise PartExists: a part of this id exists already.
        :raise PartMissing: a part of this id was removed before it arrived.
        A remote store may report these errors only through the writer: by `when_broken` or `finish`.
        """

    def open(part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Open a part for reading.

        :param span: the `Span` of stored bytes to read, or None for all.
        :return: a Deferred that fires with an `IPartReader`.
        :raise PartMissing: no part has this id.
        :raise BadSpan: the span is empty or does not lie inside the part.
        """

    def stat(part_id: str) -> Deferred[PartInfo]:
        """Look up a part.

        :return: a Deferred that fires with its `PartInfo`.
        :raise PartMissing: no part has this id.
        """

    def remove(part_id: str) -> Deferred[bool]:
        """Delete a part, and abort it if it is still being written.

        :return: a Deferred that fires with whether there was such a part.  The part is then gone for good: no power cut
            brings it back.  If there was none, it cannot arrive afterwards either: `create` refuses it.
        """

    def trash(part_id: str) -> Deferred[bool]:
        """Move a part to the trash: it is gone as if it were removed, but an operator can bring it back for some time.

        Unlike after `remove`, the part may arrive afterwards, also if it was removed before: the caller is about to
        store it anew.

        :return: a Deferred that fires with whether there was such a part.
        """

    def list_parts(after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts in ascending order of their ids (as text).

        :param after: list only ids greater than this text; empty for the first page.
        :param limit: how many at most, 1 to 10,000.
        :return: a Deferred that fires with a list of `PartInfo`; empty if there are no more.
        """

    def info() -> Deferred[NodeInfo]:
        """Describe the node and its room.

        :return: a Deferred that fires with its `NodeInfo`.
        """


class ISmallPartStore(Interface):
    """A store of small parts, which are written and read whole, many at a time.

    Provided beside `IPartStore`, over the same parts: a part that is put here can be opened, listed and removed there,
    and a small part that was written there can be read here.  An error of one part does not affect the others; the
    Deferred fails only if the store as a whole cannot be used.

    A part is small if it takes at most `storaged.parts.format.SMALL_PART` bytes.
    """

    def put_all(parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        """Store parts.  Parts that arrive at about the same time share one sync.

        :param parts: (part id, stored bytes from header to footer) of each.
        :return: a Deferred that fires, when all parts that could be stored are durable, with the outcome of each, in
            their order.  Cancelling it ends the wait: the parts may be stored or not.  If a part is not stored, nothing
            of it is kept, and its outcome is an error in place of a `PartInfo`:
            `BadPart`: the bytes are not one whole, valid part of this id;
            `BadRequest`: the bytes are more than `SMALL_PART`, or the id is not a part id;
            `NoSpace`: there is no room for the part;
            `PartExists`: a part of this id exists already; it is not changed;
            `PartMissing`: a part of this id was removed before it arrived.
        """

    def get_all(part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read parts.

        :return: a Deferred that fires with all stored bytes of each, in their order.  In place of the bytes there is
            `PartMissing` if no part has the id, `BadRequest` if the part is not small, `PartDamaged` if it cannot be
            read, `NodeUnavailable` if the node cannot read it now.
        """

    def remove_all(part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts, each as `IPartStore.remove` does.

        :return: a Deferred that fires, for each part in their order, with whether there was one, or with an error.
        """


class IPromptPuts(Interface):
    """Tells of stored parts in the thread that has stored them.  Provided beside `ISmallPartStore`, if there is one."""

    def put_all_then(
        parts: Sequence[tuple[str, bytes]], then: Callable[[list[PartInfo | StoragedError]], object]
    ) -> None:
        """Store parts as `ISmallPartStore.put_all` does, and tell only a function of it: the reactor is not woken.

        :param then: called once with the outcome of each part: in the thread that stores them; in the reactor's if the
            store stops before they were begun.
        :raise StoragedError: the store cannot be used; `then` is not called.
        """

    def tell(call: Callable[[], object]) -> None:
        """Make a call in the reactor's thread; for `then`."""


class IPartChecks(Interface):
    """Tells which parts are there and which are rotten.  Provided beside `IPartStore`, over the same parts."""

    def look_all(part_ids: Sequence[str]) -> Deferred[list[PartLook | StoragedError]]:
        """Look at the headers and the sizes of parts.  No other bytes are read.

        :param part_ids: at most `storaged.parts.wire.LOOK_LIMIT`; more fail with `BadRequest`.
        :return: a Deferred that fires with the outcome of each, in their order.  In place of a `PartLook` there is
            `PartMissing` if no part has the id, `PartDamaged` if the header is not that of this part, does not fit the
            size, or cannot be read, `BadRequest` if the id is not a part id, `NodeUnavailable` if the node cannot look
            now.
        """

    def rotten(after: str, limit: int) -> Deferred[list[RottenPart]]:
        """List parts that are known to be rotten, in ascending order of their ids (as text).

        A rotten part stays in the list until it is removed or moved to the trash, or a later check finds it good.

        :param after: list only ids greater than this text; empty for the first page.
        :param limit: how many at most, 1 to 10,000.
        """

    def pause_scrub(*, paused: bool) -> Deferred[Scrub]:
        """Pause the scrub, or resume it.  A pause ends with a restart of the node, too.

        :return: a Deferred that fires with the state of the scrub when the pause has begun or ended: only what is being
            read at that moment is still read.  Cancelling it ends the wait: the scrub may be paused or not.
        :raise NodeUnavailable: a remote node cannot be reached, or is too old to pause its scrub.
        """


class INodeStore(IPartStore, ISmallPartStore, IPartChecks):
    """The store of a node: parts large and small."""


class IRemoteStore(INodeStore):
    """A node at the other end of a connection."""

    def retire() -> None:
        """Close the connection as soon as no request is pending; a later request opens a new one."""

    def end_waits(since: float, problem: NodeUnavailable) -> None:
        """Fail each request that has waited for the node without a break since `since` or longer.

        To be called when the node is known not to answer.  Requests that began later continue, and so do those for
        which the node has done something since.

        :param since: a time of the clock that the store was given, in seconds.
        :param problem: the error that the requests fail with.
        """


class IJournalHolder(Interface):
    """A node at the other end of a connection, which may hold a copy of the front's journal."""

    def claim(claim: Claim) -> Deferred[Standing]:
        """Claim an epoch, or renew the claim.

        :return: a Deferred that fires with what the node has accepted, durably.
        :raise TakenOver: the node has accepted a different front, or a higher epoch.
        """

    def connect_journal(link: JournalLink) -> Deferred[None]:
        """Connect a journal's link.

        :return: a Deferred that fires with None when it is connected.
        """
