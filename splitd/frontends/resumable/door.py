"""One request of a resumable upload, with all that is known of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import attrs

from splitd.frontends.http.answers import Refused
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.opaque import decode_opaque
from splitd.frontends.http.targets import Target, href, parse_target
from splitd.frontends.resumable.notes import CONDITIONS, Note
from splitd.frontends.resumable.uploads import Current, ResumableUploads
from splitd.interfaces.store import IObjectStore
from splitd.model.conditions import Condition
from splitd.model.segments import MAX_SIZE
from storaged.http import IRequest, origin_form
from storaged.system.clocks import WallClock

PREFIX = "/.splitd/uploads"
"""What the URLs of resumable uploads begin with."""

_PROXIED = (b"via", b"x-forwarded-for", b"x-forwarded-host")
_REPORTING = (b"forwarded", b"x-forwarded-proto")
_DAY_S = 24 * 3600
_UPLOAD = re.compile(r"\A/([0-9a-f]{32})(/.*)\Z", re.DOTALL)
_NUMBER = re.compile(r"\A[0-9]{1,15}\Z")


@attrs.frozen
class ResumableSettings:
    """What the operator has chosen.

    :param days: after how many days an upload that nobody continues is aborted; 0 for never.
    :param largest: returns the most bytes of a file; None for any number.
    :param base: what all URLs begin with, as "/files"; empty for nothing.
    """

    days: float
    largest: Callable[[], int | None]
    base: str = ""

    def most(self) -> int:
        """Return the most bytes of a file."""
        return min(MAX_SIZE, self.largest() or MAX_SIZE)


@attrs.frozen
class Asked:
    """A request for a resumable upload.

    :param uploads: the uploads of the one who asks.
    :param store: the files, as the one who asks sees them.
    :param wall: tells what time it is.
    """

    request: IRequest
    uploads: ResumableUploads
    store: IObjectStore
    settings: ResumableSettings
    wall: WallClock

    def header(self, name: str) -> str:
        """Return the value of a header; empty if it did not come."""
        return (self.request.getHeader(name) or "").strip()

    def number(self, name: str) -> int | None:
        """Return the number that a header has; None if it did not come.

        :raise Refused: it is none.
        """
        value = self.header(name)
        if not value:
            return None
        if not _NUMBER.match(value):
            raise Refused(400, f"{name}: {value[:40]!r} is not a number of bytes")
        return int(value)

    def behind_prefix(self) -> bytes:
        """Return the part of the URL behind the prefix of resumable uploads, without its query; it begins with a slash,
        or is empty.
        """
        raw = origin_form(self.request.uri).partition(b"?")[0]
        return raw[len(self.settings.base + PREFIX) :]

    def named(self) -> tuple[str, Target]:
        """Return the id of the upload that the URL names, and the target that its file gets.

        :raise Refused: it names none.
        """
        raw = self.behind_prefix()
        match = _UPLOAD.match(raw.decode("ascii", "replace"))
        if match is None:
            raise Refused(404, "this is not the URL of an upload")
        return match[1], self.target(match[2].encode())

    def target(self, raw: bytes) -> Target:
        """Return the target that a URL without the base names."""
        return parse_target(self.settings.base.encode() + raw, self.settings.base)

    def url(self, upload: str, path: str) -> str:
        """Return the URL of an upload, without the server's name."""
        return f"{self.settings.base}{PREFIX}/{upload}{href(path, '', is_collection=False)}"

    def whole_url(self, upload: str, path: str) -> str:
        """Return the URL of an upload with the server's name, which some clients need.

        It is without if a proxy is in between that does not report the scheme.
        """
        request, url = self.request, self.url(upload, path)
        origin = request.origin
        is_unsure = any(map(request.has_header, _PROXIED)) and not any(map(request.has_header, _REPORTING))
        return url if is_unsure or not origin.authority else f"{origin.scheme}://{origin.authority}{url}"

    def ends_ms(self, touched_ms: int) -> int | None:
        """Return when an upload is aborted if nobody continues it, milliseconds since 1970; None for never."""
        days = self.settings.days
        return int(touched_ms + days * _DAY_S * 1000) if days else None

    def left_s(self, current: Current) -> int | None:
        """Return for how many seconds an upload is kept; None for ever."""
        ends_ms = self.ends_ms(current.touched_ms)
        return None if ends_ms is None else max(0, (ends_ms - self.wall.now_ms()) // 1000)

    def conditions(self) -> dict[str, list[str]]:
        """Return the headers that make the request conditional, by their names."""
        return {name: values for name in CONDITIONS if (values := self.kept_values(name))}

    def kept_values(self, name: str) -> list[str]:
        """Return the values of a header as they can be kept with the upload; see `decode_opaque`."""
        return [decode_opaque(value) for value in self.request.header_values(name)]

    def refuse_too_long(self, length: int) -> None:
        """Refuse a length that no file may have.

        :raise Refused: it is more than `ResumableSettings.most`.
        """
        if length > self.settings.most():
            raise Refused(413, f"Upload-Length: a file may have at most {self.settings.most()} bytes")

    def condition(self, target: Target, note: Note) -> Condition:
        """Return the condition for the file: that of this request where it has one, and else that of the first."""
        return parse_condition(_Reminded(self.request, note), target)  # type: ignore[arg-type]


class _Reminded:
    """A request that also has the conditions of the first one of its upload."""

    def __init__(self, request: IRequest, note: Note) -> None:
        self._request = request
        self._note = note

    def header_values(self, name: str) -> list[str]:
        found = self._request.header_values(name)
        return found or self._note.conditions.get(name, [])

    def getHeader(self, name: str) -> str | None:
        values = self.header_values(name)
        return values[-1] if values else None

    def has_any_header(self, names: frozenset[bytes]) -> bool:
        noted = {name.lower().encode() for name in self._note.conditions}
        return self._request.has_any_header(names) or not names.isdisjoint(noted)

    def is_for(self, authority: str) -> bool:
        return self._request.is_for(authority)


def quoted(path: str) -> bytes:
    """Return a path as it stands in a URL."""
    return quote(path).encode()
