"""The properties that the server computes itself: live properties (RFC 4918 section 15, RFC 4331)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import quote

import attrs

from splitd.frontends.http.media import DEFAULT_TYPE
from splitd.frontends.http.names import show_path
from splitd.frontends.http.opaque import readable
from splitd.frontends.http.times import format_time
from splitd.frontends.webdav.xml import escape
from splitd.interfaces.names import Details
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.room import Room
from splitd.model.tree import Collection

_ENTRY = "<D:lockentry><D:lockscope><D:{}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
_SUPPORTED = _ENTRY.format("exclusive") + _ENTRY.format("shared")


@attrs.frozen
class Resource:
    """A file or collection with its properties and locks.

    :param shown: its path as answers say it; see `splitd.frontends.http.names`.
    :param room: how full the store is at this place.
    :param base: what all URLs begin with; empty for nothing.
    :param now_ms: the time by which locks expire, in milliseconds since 1970.
    """

    shown: str
    entry: Manifest | Collection
    details: Details
    room: Room
    now_ms: int
    base: str = ""

    @property
    def is_collection(self) -> bool:
        """Whether it is a collection."""
        return isinstance(self.entry, Collection)


def _of_file(value_of: Callable[[Manifest], str]) -> Callable[[Resource], str | None]:
    return lambda resource: value_of(resource.entry) if isinstance(resource.entry, Manifest) else None


def _of_collection(value_of: Callable[[Resource], str]) -> Callable[[Resource], str | None]:
    return lambda resource: value_of(resource) if resource.is_collection else None


def _modified(resource: Resource) -> str:
    entry = resource.entry
    return format_time(entry.created_ms if isinstance(entry, Manifest) else entry.modified_ms)


def _created(resource: Resource) -> str:
    return f"{datetime.fromtimestamp(resource.entry.created_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def write_locks(locks: Sequence[Lock], now_ms: int, base: str) -> str:
    """Return the content of `lockdiscovery` (RFC 4918 section 15.8).

    :param now_ms: the time by which locks expire, in milliseconds since 1970.
    :param base: what all URLs begin with.
    """
    return "".join(_write_lock(lock, now_ms, base) for lock in locks)


def _write_lock(lock: Lock, now_ms: int, base: str) -> str:
    left_s = max(0, -((now_ms - lock.expires_ms) // 1000))
    return (
        f"<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{lock.scope}/></D:lockscope>"
        f"<D:depth>{'infinity' if lock.deep else '0'}</D:depth>{lock.owner}<D:timeout>Second-{left_s}</D:timeout>"
        f"<D:locktoken><D:href>{lock.token}</D:href></D:locktoken>"
        f"<D:lockroot><D:href>{base}{quote(show_path(lock.path))}</D:href></D:lockroot></D:activelock>"
    )


LIVE: Mapping[str, Callable[[Resource], str | None]] = MappingProxyType(
    {
        "resourcetype": lambda resource: "<D:collection/>" if resource.is_collection else "",
        "creationdate": _created,
        "getlastmodified": _modified,
        "getcontentlength": _of_file(lambda file: str(file.size)),
        "getcontenttype": _of_file(lambda file: escape(readable(file.content_type or DEFAULT_TYPE))),
        "getetag": _of_file(lambda file: file.etag),
        "supportedlock": lambda _: _SUPPORTED,
        "lockdiscovery": lambda resource: write_locks(resource.details.locks, resource.now_ms, resource.base),
        "quota-available-bytes": _of_collection(lambda resource: str(resource.room.available)),
        "quota-used-bytes": _of_collection(lambda resource: str(resource.room.used)),
    }
)
"""The value of each property in the namespace DAV: for a resource, as XML; None if the resource has no such
property.
"""

ON_DEMAND = frozenset({"quota-available-bytes", "quota-used-bytes"})
"""The properties that are sent only if a client asks for them by name (RFC 4331 section 2)."""
