"""The methods that cross the socket, each with the types of its arguments and of its result.

Only what a worker needs crosses it: the upkeep stays with the catalog.  Where a `Collection` or a
`Manifest` may stand, a collection is sent as an array, and a manifest as a map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast
from zlib import crc32

import msgspec

from splitd import __version__
from splitd.frontends.admin.reports import StatusReport
from splitd.frontends.console.history import Sample
from splitd.interfaces.catalog import Admitted
from splitd.interfaces.continued import Completion, ContinuedUpload, Segment
from splitd.interfaces.keys import KeyCopy, Listing
from splitd.interfaces.names import AskedLayout, Details
from splitd.interfaces.statistics import CatalogStatistics
from splitd.interfaces.uploads import Commit, Start
from splitd.model.binned import Binned
from splitd.model.conditions import Condition
from splitd.model.documents import Document
from splitd.model.keys import Key
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.properties import PropertyChanges
from splitd.model.quotas import QuotaUse
from splitd.model.tree import Collection, Member
from splitd.workers.report import Report
from splitd.workers.view import View
from splitd.workers.wire import Entry, encode
from storaged.parts.format import PartId

_Result = TypeVar("_Result")

_Collection = tuple[int, int, bool, Manifest | None]
_Found = Manifest | _Collection | None


def _pack(found: Manifest | Collection | None) -> Any:
    if isinstance(found, Collection):
        return found.created_ms, found.modified_ms, found.implied, found.own
    return found


def _unpack(found: Any) -> Any:
    return Collection(*found) if isinstance(found, tuple) else found


def _pack_members(members: Sequence[Member]) -> Any:
    return [(member.name, _pack(member.entry)) for member in members]


def _unpack_members(members: Any) -> list[Member]:
    return [Member(name, _unpack(entry)) for name, entry in members]


def _pack_listing(listing: Listing) -> Any:
    return listing.keys, listing.prefixes, listing.next


class Method(Generic[_Result]):
    """One method of an interface.

    :param seam: who has it.
    :param arguments: the types of its arguments.
    :param result: the type of its result, as it is sent.
    :param keywords: the names of the last arguments, if they are given by name.
    :param pack: makes of the result what is sent; None if it is sent as it is.
    :param unpack: makes the result of that.
    :ivar number: its number in `METHODS`.
    """

    def __init__(
        self,
        seam: str,
        name: str,
        arguments: Sequence[Any],
        result: Any = None,
        *,
        keywords: Sequence[str] = (),
        pack: Callable[[Any], Any] | None = None,
        unpack: Callable[[Any], _Result] | None = None,
    ) -> None:
        self.seam = seam
        self.name = name
        self.keywords = tuple(keywords)
        self._arguments = msgspec.msgpack.Decoder(cast(Any, tuple)[tuple(arguments)] if arguments else tuple[()])
        self._result = msgspec.msgpack.Decoder(result)
        self._pack = pack
        self._unpack = unpack
        self.number = len(METHODS)
        self.shape = f"{seam}.{name}({arguments}) {keywords} {result}"
        METHODS.append(self)

    def __repr__(self) -> str:
        return f"{self.seam}.{self.name}"

    def call(self, number: int, arguments: Sequence[object]) -> Entry:
        """Return the entry of a call.

        :param number: of the call; 0 if nobody waits for its end.
        :raise UnicodeEncodeError: a text has a lone surrogate.
        """
        return number, self.number, encode(arguments)

    def arguments(self, body: msgspec.Raw) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a call, by place and by name."""
        given = list(self._arguments.decode(body))
        count = len(given) - len(self.keywords)
        return given[:count], dict(zip(self.keywords, given[count:], strict=True))

    def encode_result(self, result: Any) -> msgspec.Raw:
        """Return the form of a result in an entry."""
        return encode(result if self._pack is None else self._pack(result))

    def decode_result(self, body: msgspec.Raw) -> _Result:
        """Return the result that an entry has."""
        result = self._result.decode(body)
        return cast(_Result, result) if self._unpack is None else self._unpack(result)


METHODS: list[Method[Any]] = []
"""All methods, by their numbers."""

_CHANGE: list[Any] = [str, Condition]

LOOKUP: Method[Manifest | Collection | None] = Method("catalog", "lookup", [str], _Found, pack=_pack, unpack=_unpack)
LIST_MEMBERS: Method[list[Member]] = Method(
    "catalog", "list_members", [str, str, int], list[tuple[str, _Found]], pack=_pack_members, unpack=_unpack_members
)
ADMIT: Method[Admitted] = Method("catalog", "admit", _CHANGE, Admitted)
MAKE_COLLECTION: Method[Collection] = Method("catalog", "make_collection", [*_CHANGE, dict[str, str]], Collection)
DELETE: Method[None] = Method("catalog", "delete", _CHANGE)
STATISTICS: Method[CatalogStatistics] = Method("catalog", "statistics", [], CatalogStatistics)
CLUSTER: Method[str] = Method("catalog", "cluster", [], str)
NODES: Method[set[str]] = Method("catalog", "nodes", [], set[str])

MOVE: Method[bool] = Method("namespace", "move", [str, str, Condition, bool], bool, keywords=["overwrite"])
COPY: Method[bool] = Method(
    "namespace", "copy", [str, str, Condition, bool, bool], bool, keywords=["deep", "overwrite"]
)
CHANGE_PROPERTIES: Method[None] = Method("namespace", "change_properties", [str, PropertyChanges, Condition])
DETAILS: Method[list[Details]] = Method("namespace", "details", [list[str]], list[Details])
ASKED_LAYOUT: Method[AskedLayout] = Method("namespace", "asked_layout", [str], AskedLayout)

LOCK: Method[bool] = Method("locks", "lock", [Lock, Condition, Manifest], bool)
REFRESH: Method[list[Lock]] = Method("locks", "refresh", [str, int, Condition], list[Lock])
UNLOCK: Method[None] = Method("locks", "unlock", [str, str, Condition])
CHECK: Method[None] = Method("locks", "check", [str, Condition, bool], keywords=["changing"])

LIST_KEYS: Method[Listing] = Method(
    "keys",
    "list_keys",
    [str, str, str, str, int, frozenset[str]],
    tuple[list[Key], list[str], str | None],
    pack=_pack_listing,
    unpack=lambda listing: Listing(*listing),
)
FIND_KEY: Method[Manifest | Collection | None] = Method("keys", "find_key", [str], _Found, pack=_pack, unpack=_unpack)
DELETE_KEY: Method[bool] = Method("keys", "delete_key", _CHANGE, bool)
COPY_KEY: Method[tuple[Manifest, bool]] = Method("keys", "copy_key", [KeyCopy], tuple[Manifest, bool])
DELETE_EMPTY: Method[None] = Method("keys", "delete_empty", _CHANGE)

BEGIN_ALL: Method[None] = Method("ledger", "begin_all", [list[Start]])
COMMIT: Method[bool] = Method("ledger", "commit", [Commit], bool)
"""One of the commits of `IUploadLedger.commit_all`; those that stand together in a frame are committed together."""
ABORT: Method[None] = Method("ledger", "abort", [str, str])
ABORT_ABANDONED: Method[int] = Method("ledger", "abort_abandoned", [], int)
ORPHANS: Method[list[PartId]] = Method("ledger", "orphans", [str, list[PartId]], list[PartId])

BEGIN_CONTINUED: Method[None] = Method("continued", "begin", [str, str, str | Media])
FIND_CONTINUED: Method[ContinuedUpload | None] = Method("continued", "find", [str], ContinuedUpload | None)
LIST_SEGMENTS: Method[list[Segment]] = Method("continued", "list_segments", [str, int, int], list[Segment])
LIST_UPLOADS: Method[list[ContinuedUpload]] = Method(
    "continued", "list_uploads", [str, tuple[str, str], int], list[ContinuedUpload]
)
COMPLETE: Method[tuple[Manifest, bool]] = Method("continued", "complete", [Completion], tuple[Manifest, bool])
ABORT_CONTINUED: Method[bool] = Method("continued", "abort", [str, str], bool)

FIND_ALL: Method[list[Manifest | None]] = Method("versions", "find_all", [list[str]], list[Manifest | None])

USAGE: Method[Sequence[QuotaUse]] = Method("quotas", "usage", [str | None], list[QuotaUse])
REFUSE: Method[int | None] = Method("quotas", "refuse", [str, int | None, int | None], int | None)
PUT_DOCUMENT: Method[Document] = Method(
    "documents", "put", [Document, int | None, int | None], Document, keywords=["expected", "most"]
)
FIND_DOCUMENT: Method[Document | None] = Method("documents", "find", [str, str], Document | None)
DELETE_DOCUMENT: Method[bool] = Method("documents", "delete", [str, str, int | None], bool)
PAGE_OF_DOCUMENTS: Method[list[Document]] = Method("documents", "page", [str, str | None, str, int], list[Document])

PUT_IN_BIN: Method[Binned] = Method("bin", "put", [str, Condition, str], Binned)
RESTORE: Method[None] = Method("bin", "restore", [Binned, str])
PURGE: Method[bool] = Method("bin", "purge", [Binned], bool)
FIND_IN_BIN: Method[Binned | None] = Method("bin", "find", [str], Binned | None)
PAGE_OF_BIN: Method[list[Binned]] = Method("bin", "page", [str, int], list[Binned])

PING: Method[None] = Method("session", "ping", [])
"""Answered after all that was called before has begun."""
HELLO: Method[View] = Method("session", "hello", [int, int, int], View)
"""The first call of a worker: its `fingerprint`, its number, the id of its process."""
SERVING: Method[None] = Method("session", "serving", [])
REPLY: Method[None] = Method("session", "reply", [int, Report])
"""The answer to `Answering.ask`, with its number."""
REPORT: Method[tuple[StatusReport, tuple[int, int]]] = Method(
    "session", "report", [], tuple[StatusReport, tuple[int, int]]
)
"""The report of the whole front; how many requests it has answered, and how many of them by a fault."""
SAMPLES: Method[Sequence[Sample]] = Method("session", "samples", [], list[Sample])
OFFERED: Method[dict[str, list[str]]] = Method("session", "offered", [], dict[str, list[str]])
ACT: Method[tuple[int, str, bytes]] = Method("session", "act", [str, str, str], tuple[int, str, bytes])
"""Do what an operator asks for: the name of the action, the method, and the URI of the request."""
PIN: Method[None] = Method("session", "pin", [Manifest])
UNPIN: Method[None] = Method("session", "unpin", [Manifest])
WAKE: Method[None] = Method("session", "wake", [])
HURT: Method[None] = Method("session", "hurt", [])
FOUND: Method[None] = Method("session", "found", [Manifest, int, str])
NODE_FAILED: Method[None] = Method("session", "node_failed", [str, str, bool])
SUSPECT: Method[None] = Method("session", "suspect", [str])
RESERVE: Method[None] = Method("session", "reserve", [list[str], int, bool])
RELEASE: Method[None] = Method("session", "release", [str, int])
ASK_ROOM: Method[View] = Method("session", "ask_room", [], View)

ATTEMPT: Method[None] = Method("session", "attempt", [str, int, str, str])
"""A login that a worker judges; see `Access.note_attempt`."""
ACQUIRE: Method[None] = Method("session", "acquire", [str, int])
"""Use a resumable upload, for the request of a number; when this is answered, no other worker uses it any more."""
GIVE_BACK: Method[None] = Method("session", "give_back", [str, int])

ATTEMPTED: msgspec.msgpack.Decoder[tuple[str, int, str, str]] = msgspec.msgpack.Decoder(tuple[str, int, str, str])
"""Reads what is pushed to workers as `wire.ATTEMPT`."""
WANTED: msgspec.msgpack.Decoder[tuple[str, int]] = msgspec.msgpack.Decoder(tuple[str, int])
"""Reads what is pushed to workers as `wire.END`."""
VIEW = msgspec.msgpack.Decoder(View)
"""Reads what is pushed to workers as `wire.VIEW`."""


def fingerprint() -> int:
    """Return a number that two processes share if they understand each other: they are of one version of splitd."""
    return crc32("\n".join([__version__, *(method.shape for method in METHODS)]).encode())
