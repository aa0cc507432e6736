"""The interface of the object store, which the front doors use."""

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
from storaged.system.buffers import Piece
from storaged.system.ranges import Span

Kept = tuple[Manifest, bytes]
"""A file that is in memory, and all its bytes, if they are wanted."""


@attrs.frozen
class Opened:
    """A file open for reading.

    :param manifest: the version; it stays readable until `download` has ended, even if its name is changed or deleted.
    :param download: the requested bytes.
    :param another: opens a further range of the same version; it may be called until `download` is closed.
    """

    manifest: Manifest
    download: IDownload
    another: Callable[[Span], Deferred[IDownload]]


class IDownload(Interface):
    """The bytes of a range of one version of a file."""

    def read() -> Deferred[Sequence[Piece]]:
        """Read on.  This must not be called again before the Deferred of the last call has fired.

        :return: a Deferred that fires with the next pieces, each checked, bytes or views of some; with none at the end.
        :raise FileUnavailable: a node cannot be read.
        :raise FileDamaged: stored bytes are wrong.
        After both errors the bytes read so far are right, but they are only the beginning of the range.
        """

    def close() -> None:
        """End the download, at the end of the range or before.  May be called at any time, and more than once."""


class IUpload(IConsumer):
    """An upload of one file: a consumer of the file's bytes that pauses the producer registered with it."""

    def when_broken() -> Deferred[Exception]:
        """Wait for a failure of the upload.

        :return: a Deferred that fires with the reason, as its result, when the upload cannot succeed any more.  It does
            not fire after `finish` or `abort` was called.
        """

    def finish(said: str | Media | None = None) -> Deferred[tuple[Manifest, bool]]:
        """End the file and commit it.

        :param said: the headers to store with the file, as `Media.compact` returns them, in place of those that the
            upload began with: where they are known only when all bytes have come.  None to store those.
        :return: a Deferred that fires with the manifest and whether no file had this path before, when the file would
            survive a power cut.
        :raise SplitdError: the file is not committed, and the upload is aborted.
        """

    def abort(reason: str) -> Deferred[None]:
        """Abort the upload.  May be called at any time, and more than once.

        After `finish` it ends the wait for the nodes.  Once all parts are stored, the commit is in progress; then the
        upload is not aborted, and this waits for the end of the commit.

        :return: a Deferred that fires with None when the journal has recorded the abort, the commit has ended, or the
            journal has failed.  The reaper deletes the parts afterwards: no node is waited for.
        """


class IObjectStore(Interface):
    """Files and collections by their paths."""

    def create(path: str, size: int | None, media: Media, condition: Condition) -> Deferred[IUpload]:
        """Begin to store a file.

        :param size: the bytes of the file, or None if unknown.
        :param media: the headers that the client sent with the file.
        :return: a Deferred that fires with the upload when bytes can flow; the client should send none before.
        :raise PreconditionFailed: the condition does not hold.
        :raise Locked: a lock forbids it.
        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        :raise NotAFile: a collection has this path.
        :raise BadName: the text is not a path.
        :raise NotEnoughNodes: too few nodes can take a part, or have room for one.
        :raise FileTooLarge: a file may not have so many bytes.
        :raise QuotaExceeded: a quota allows no such file there.
        :raise CatalogReadOnly: the journal has failed.
        After each of these errors, nothing was begun.
        """

    def create_soon(
        path: str, size: int, media: Media, condition: Condition, *, assumes: bool = True
    ) -> IUpload | None:
        """Begin to store a small file, if nothing has to be waited for; see `create` for the parameters.

        :param assumes: whether the file may also be admitted on assumptions, which only the commit judges; see
            `Admitted`.  If its bytes are still to come, what can be refused should be refused before.
        :return: the upload, which never pauses who writes to it; None if nothing was begun, because only `create` can
            store the file, or tell why it cannot be stored.
        """

    def open(path: str, span_of: Callable[[Manifest], Span]) -> Deferred[Opened]:
        """Open a file for reading; with a slash at the end of the path, the file that a collection itself is.

        :param span_of: returns the wanted range of a version; its exceptions are passed on.
        :return: a Deferred that fires with the open file.
        :raise NotFound: nothing has this path.
        :raise NotAFile: a collection has this path, and is no file itself, or the path has no slash at its end.
        :raise FileUnavailable: a node that holds a part of the file cannot be read now.
        :raise FileDamaged: stored bytes are wrong, or a node has lost its part.
        """

    def read_kept(path: str) -> Kept | Deferred[Kept | None] | None:
        """Read a small file, if all of it and its name are in memory.  Nothing is waited for but a proof of the catalog
        that the file is still there.

        :return: the file; None if only `open` can tell; or a Deferred that fires with one of the two.  It does not
            fail, and cancelling it changes nothing.
        :raise SplitdError: see `open`, which fails with the same error.
        """

    def stat_soon(path: str) -> Kept | Deferred[Kept | None] | None:
        """Look up a file, if its name is in memory.  Nothing is waited for but a proof of the catalog that the file is
        still there.

        :return: the file, with no bytes; None if only `stat` can tell; or a Deferred that fires with one of the two. It
            does not fail, and cancelling it changes nothing.
        :raise SplitdError: see `stat`, which fails with the same error.
        """

    def read_soon(path: str) -> Kept | Deferred[Kept | None] | None:
        """Do as `read_kept` does; and if only the bytes are not in memory, read them from their nodes.

        :return: the file, and all its bytes; a Deferred that fires with them, or with None if only `open` can tell why
            they cannot be read; None if nothing was begun, because only `open` can read the file.
        :raise SplitdError: see `open`, which fails with the same error.
        """

    def stat(path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a path.

        :return: a Deferred that fires with the file or collection, or with None if nothing has this path.
        """

    def list_members(path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """List a page of a collection's members; see `ICatalog.list_members`."""

    def make_collection(
        path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; see `ICatalog.make_collection`."""

    def delete(path: str, condition: Condition) -> Deferred[None]:
        """Delete a file or a collection with all that is in it; see `ICatalog.delete`."""

    def lock(
        path: str, scope: str, condition: Condition, *, deep: bool, owner: str, timeout_s: int, user: str = ""
    ) -> Deferred[tuple[Lock, bool]]:
        """Take a lock; see `Lock` and `ILocks.lock`.  If nothing has the path, an empty file is made there and locked.

        :param user: the user who takes it; empty for nobody in particular.
        :return: a Deferred that fires with the lock, and whether the file was made for it.
        """
