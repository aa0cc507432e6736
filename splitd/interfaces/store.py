"""The seam of the store: what front doors use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Interface

from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.tree import Collection, Member
from storaged.system.ranges import Span


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
        """Abort the upload.  It may be called at any time and again.  After `finish` it ends the wait for the nodes;
        once all parts are stored, the commit is under way, and it waits for how that ends.

        :return: a Deferred that fires with None once the journal says that the upload is aborted, or why it is not.
            The reaper deletes its parts afterwards: no node is waited for.
        """


class IObjectStore(Interface):
    """What front doors use: files and collections by their paths."""

    def create(path: str, size: int | None, media: Media, condition: Condition) -> Deferred[IUpload]:
        """Begin to store a file.  It fires when bytes can flow; until then none should be asked for.

        :param size: its bytes, where known in advance.
        :param media: what the client says of the file.
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
