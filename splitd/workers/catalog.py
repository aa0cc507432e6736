"""The catalog as a worker has it: each call goes through the socket to the catalog's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as SetOf

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from splitd.assembly.seams import Seams
from splitd.interfaces.bin import IBin
from splitd.interfaces.catalog import Admitted, ICatalog, Prove
from splitd.interfaces.continued import Completion, ContinuedUpload, IContinuedLedger, Segment
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.keys import IKeys, KeyCopy, Listing
from splitd.interfaces.names import AskedLayout, Details, ILocks, INamespace
from splitd.interfaces.quotas import IQuotas
from splitd.interfaces.statistics import CatalogStatistics, ICatalogStatistics
from splitd.interfaces.versions import IVersions
from splitd.model.binned import Binned
from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.documents import Document, check_document
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.properties import PropertyChanges
from splitd.model.quotas import Quota, QuotaUse
from splitd.model.tree import Collection, Member
from splitd.workers import methods
from splitd.workers.calls import Calls
from splitd.workers.counters import Counters
from splitd.workers.look_ups import LookUps


@implementer(ICatalog, ICatalogStatistics, INamespace, IVersions)
class SocketCatalog:
    """Names, and versions.

    :param look_ups: remembers what was looked up.
    """

    def __init__(self, calls: Calls, look_ups: LookUps) -> None:
        self._call = calls.call
        self._look_ups = look_ups

    def lookup(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a path; see `ICatalog`."""
        return self._look_ups.lookup(path)

    def admit_at_once(self, path: str, condition: Condition) -> Admitted | None:  # noqa: ARG002 - as ICatalog
        """Return None; see `ICatalog`."""
        return None

    def known_file(self, path: str) -> tuple[Manifest, Prove | None] | None:
        """Look up a file, if that needs no more waiting than a proof; see `ICatalog`."""
        return self._look_ups.known_file(path)

    def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """List a page of a collection's members; see `ICatalog`."""
        return self._call(methods.LIST_MEMBERS, path, after, limit)

    def admit(self, path: str, condition: Condition) -> Deferred[Admitted]:
        """Ask whether a file may be put at a path now; see `ICatalog`."""
        return self._call(methods.ADMIT, path, condition)

    def make_collection(
        self, path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; see `ICatalog`."""
        return self._call(methods.MAKE_COLLECTION, path, condition, properties)

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file or a collection; see `ICatalog`."""
        return self._call(methods.DELETE, path, condition)

    def cluster(self) -> Deferred[str]:
        """Look up the id of the catalog's cluster; see `ICatalogStatistics`."""
        return self._call(methods.CLUSTER)

    def statistics(self) -> Deferred[CatalogStatistics]:
        """Count the catalog's entries; see `ICatalogStatistics`."""
        return self._call(methods.STATISTICS)

    def nodes(self) -> Deferred[set[str]]:
        """List the nodes that parts may lie on; see `ICatalogStatistics`."""
        return self._call(methods.NODES)

    def move(self, source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Move a file or collection; see `INamespace`."""
        return self._call(methods.MOVE, source, target, condition, overwrite)

    def copy(self, source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Copy a file or a collection; see `INamespace`."""
        return self._call(methods.COPY, source, target, condition, deep, overwrite)

    def change_properties(self, path: str, changes: PropertyChanges, condition: Condition) -> Deferred[None]:
        """Change the properties of a file or collection; see `INamespace`."""
        return self._call(methods.CHANGE_PROPERTIES, path, changes, condition)

    def details(self, paths: Sequence[str]) -> Deferred[list[Details]]:
        """Look up the properties and locks of some files and collections; see `INamespace`."""
        return self._call(methods.DETAILS, paths)

    def asked_layout(self, path: str) -> Deferred[AskedLayout]:
        """Look up the layout that a collection asks for; see `INamespace`."""
        return self._call(methods.ASKED_LAYOUT, path)

    def find_all(self, uploads: Sequence[str]) -> Deferred[list[Manifest | None]]:
        """Look up versions; see `IVersions`."""
        return self._call(methods.FIND_ALL, uploads)


@implementer(ILocks)
class SocketLocks:
    """Write locks."""

    def __init__(self, calls: Calls) -> None:
        self._call = calls.call

    def lock(self, requested: Lock, condition: Condition, empty: Manifest) -> Deferred[bool]:
        """Take a lock; see `ILocks`."""
        return self._call(methods.LOCK, requested, condition, empty)

    def refresh(self, path: str, expires_ms: int, condition: Condition) -> Deferred[list[Lock]]:
        """Set when locks expire; see `ILocks`."""
        return self._call(methods.REFRESH, path, expires_ms, condition)

    def unlock(self, path: str, token: str, condition: Condition) -> Deferred[None]:
        """Release a lock; see `ILocks`."""
        return self._call(methods.UNLOCK, path, token, condition)

    def check(self, path: str, condition: Condition, *, changing: bool) -> Deferred[None]:
        """Check that a condition holds now, and that no lock forbids a change; see `ILocks`."""
        return self._call(methods.CHECK, path, condition, changing)


@implementer(IKeys)
class SocketKeys:
    """Names as keys.

    :param look_ups: remembers what was looked up.
    """

    def __init__(self, calls: Calls, look_ups: LookUps) -> None:
        self._call = calls.call
        self._look_ups = look_ups

    def list_keys(
        self, collection: str, prefix: str, after: str, delimiter: str, limit: int, hidden: SetOf[str] = frozenset()
    ) -> Deferred[Listing]:
        """List a page of keys; see `IKeys`."""
        return self._call(methods.LIST_KEYS, collection, prefix, after, delimiter, limit, hidden)

    def find_key(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a key; see `IKeys`."""
        return self._look_ups.find_key(path)

    def delete_key(self, path: str, condition: Condition) -> Deferred[bool]:
        """Delete one key; see `IKeys`."""
        return self._call(methods.DELETE_KEY, path, condition)

    def copy_key(self, copy: KeyCopy) -> Deferred[tuple[Manifest, bool]]:
        """Copy one key; see `IKeys`."""
        return self._call(methods.COPY_KEY, copy)

    def delete_empty(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a collection that has nothing in it; see `IKeys`."""
        return self._call(methods.DELETE_EMPTY, path, condition)


@implementer(IContinuedLedger)
class SocketContinuedUploads:
    """Uploads that can be continued."""

    def __init__(self, calls: Calls) -> None:
        self._call = calls.call

    def begin(self, upload: str, path: str, said: str | Media) -> Deferred[None]:
        """Record that an upload was begun; see `IContinuedLedger`."""
        return self._call(methods.BEGIN_CONTINUED, upload, path, said)

    def find(self, upload: str) -> Deferred[ContinuedUpload | None]:
        """Look up an upload; see `IContinuedLedger`."""
        return self._call(methods.FIND_CONTINUED, upload)

    def list_segments(self, upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        """List segments of an upload; see `IContinuedLedger`."""
        return self._call(methods.LIST_SEGMENTS, upload, after, limit)

    def list_uploads(self, prefix: str, after: tuple[str, str], limit: int) -> Deferred[list[ContinuedUpload]]:
        """List uploads; see `IContinuedLedger`."""
        return self._call(methods.LIST_UPLOADS, prefix, after, limit)

    def complete(self, completion: Completion) -> Deferred[tuple[Manifest, bool]]:
        """Make a file of segments; see `IContinuedLedger`."""
        return self._call(methods.COMPLETE, completion)

    def abort(self, upload: str, reason: str) -> Deferred[bool]:
        """End an upload without a file; see `IContinuedLedger`."""
        return self._call(methods.ABORT_CONTINUED, upload, reason)


@implementer(IDocuments)
class SocketDocuments:
    """Small documents.

    :param counters: tell whether a document has changed.
    """

    def __init__(self, calls: Calls, counters: Counters) -> None:
        self._call = calls.call
        self._counters = counters

    def put(self, document: Document, expected: int | None = None, most: int | None = None) -> Deferred[Document]:
        """Keep a document; see `IDocuments`."""
        try:
            check_document(document)
        except ValueError:
            return fail()
        return self._call(methods.PUT_DOCUMENT, document, expected, most)

    def find(self, kind: str, key: str) -> Deferred[Document | None]:
        """Look up a document; see `IDocuments`."""
        return self._call(methods.FIND_DOCUMENT, kind, key)

    def delete(self, kind: str, key: str, expected: int | None = None) -> Deferred[bool]:
        """Delete a document; see `IDocuments`."""
        return self._call(methods.DELETE_DOCUMENT, kind, key, expected)

    def stamp(self, kind: str, key: str) -> object | None:
        """Return what stands for the present revision of a document; see `IDocuments`."""
        return self._counters.document_stamp(kind, key)

    def page(self, kind: str, owner: str | None, after: str, limit: int) -> Deferred[list[Document]]:
        """List a page of the documents of a kind; see `IDocuments`."""
        return self._call(methods.PAGE_OF_DOCUMENTS, kind, owner, after, limit)


@implementer(IBin)
class SocketBin:
    """What was deleted, and can be restored."""

    def __init__(self, calls: Calls) -> None:
        self._call = calls.call

    def put(self, path: str, condition: Condition, user: str) -> Deferred[Binned]:
        """Delete something so that it can be restored; see `IBin`."""
        return self._call(methods.PUT_IN_BIN, path, condition, user)

    def restore(self, binned: Binned, target: str) -> Deferred[None]:
        """Put something from the bin back; see `IBin`."""
        return self._call(methods.RESTORE, binned, target)

    def purge(self, binned: Binned) -> Deferred[bool]:
        """Delete something in the bin for good; see `IBin`."""
        return self._call(methods.PURGE, binned)

    def find(self, key: str) -> Deferred[Binned | None]:
        """Look up something in the bin; see `IBin`."""
        return self._call(methods.FIND_IN_BIN, key)

    def page(self, after: str, limit: int) -> Deferred[list[Binned]]:
        """List a page of what is in the bin; see `IBin`."""
        return self._call(methods.PAGE_OF_BIN, after, limit)


@implementer(IQuotas)
class SocketQuotas:
    """Quotas, which the catalog's process takes from the same files as a worker.

    :ivar quotas: those that the files of the worker say; if there are none, nobody is asked.
    """

    def __init__(self, calls: Calls) -> None:
        self._call = calls.call
        self.quotas: Sequence[Quota] = ()

    def set_quotas(self, quotas: Sequence[Quota]) -> Deferred[None]:
        """Note which quotas there are; see `IQuotas`.  The catalog's process has them set already, or soon."""
        self.quotas = tuple(quotas)
        return succeed(None)

    def usage(self, path: str | None = None) -> Deferred[Sequence[QuotaUse]]:
        """Tell how much of the quotas is used; see `IQuotas`."""
        return self._call(methods.USAGE, path) if self.quotas else succeed([])

    def refuse(self, path: str, size: int | None, replaced: int | None = None) -> Deferred[int | None]:
        """Ask whether a file or a segment may be put at a path now; see `IQuotas`."""
        return self._call(methods.REFUSE, path, size, replaced) if self.quotas else succeed(None)


def socket_seams(calls: Calls, counters: Counters) -> Seams:
    """Return all that clients need of the catalog, through the socket."""
    look_ups = LookUps(calls, counters)
    catalog = SocketCatalog(calls, look_ups)
    return Seams(
        catalog,
        catalog,
        catalog,
        SocketKeys(calls, look_ups),
        SocketLocks(calls),
        SocketContinuedUploads(calls),
        catalog,
        SocketDocuments(calls, counters),
        SocketBin(calls),
        SocketQuotas(calls),
    )
