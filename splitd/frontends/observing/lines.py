"""The lines of the access log and of the audit log.  A client cannot forge one: what it sends is escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from storaged.http import IObservedRequest
from storaged.system.log_file import encode_line

COMBINED = "combined"
JSON = "json"

CHANGES = frozenset(
    {b"PUT", b"DELETE", b"MKCOL", b"COPY", b"MOVE", b"PROPPATCH", b"LOCK", b"UNLOCK", b"POST", b"PATCH"}
)
"""The methods that change something."""

_UNSAFE = re.compile(r"[^\x20-\x7e]|[\\\"]")
_SIGNATURE = re.compile(r"\b((?:X-Amz-)?Signature)=[^&]*", re.IGNORECASE)
_CUT = 499
"""The status of an answer whose client left before it began, as nginx writes it."""


def combined_line(request: IObservedRequest, seconds: float, now_ms: int, *, whole: bool) -> bytes:  # noqa: ARG001 - as json_line
    """Return a line in the combined format of Apache and nginx."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    asked = f"{request.method.decode('ascii', 'replace')} {_target(request.uri)} {_text(request.version)}"
    referer, agent = _referer(request), request.getHeader("User-Agent")
    return (
        f"{request.client or '-'} - {_escape(request.user or '-')} [{moment:%d/%b/%Y:%H:%M:%S +0000}] "
        f'"{_escape(asked)}" {_status(request, whole=whole)} {request.sent} '
        f'"{_escape(referer or "-")}" "{_escape(agent or "-")}"'
    ).encode("ascii")


def json_line(request: IObservedRequest, seconds: float, now_ms: int, *, whole: bool) -> bytes:
    """Return a line as one JSON document."""
    return encode_line(
        {
            **_who(request, now_ms),
            "version": _text(request.version),
            "status": _status(request, whole=whole),
            "whole": whole,
            "received": request.body.size,
            "sent": request.sent,
            "seconds": round(seconds, 6),
            "referer": _readable(_referer(request)),
            "agent": _readable(request.getHeader("User-Agent")),
        }
    )


def audit_line(request: IObservedRequest, now_ms: int) -> bytes:
    """Return a line about a change that was made."""
    document = {**_who(request, now_ms), "status": request.status}
    destination = request.getHeader("Destination")
    if destination is not None:
        document["destination"] = _readable(destination)
    if request.what is not None:
        document["what"] = request.what
    return encode_line(document)


def _who(request: IObservedRequest, now_ms: int) -> dict[str, Any]:
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "id": request.id,
        "client": request.client,
        "user": request.user,
        "method": request.method.decode("ascii", "replace"),
        "target": _target(request.uri),
    }


def _status(request: IObservedRequest, *, whole: bool) -> int:
    return request.status if whole or request.startedWriting or request.status >= 400 else _CUT


def _target(uri: bytes) -> str:
    return _without_secrets(_text(uri))


def _referer(request: IObservedRequest) -> str | None:
    """Return the page that led to a request, by a URL of ours perhaps."""
    text = request.getHeader("Referer")
    return None if text is None else _without_secrets(text)


def _without_secrets(text: str) -> str:
    """Return a URL without the signature in it, which is good for others, too, until it expires."""
    text = _LINK.sub(r"\1-", text)
    if "/.splitd/oidc/back?" in text:
        text = text.partition("?")[0] + "?-"  # the code of a login
    return _SIGNATURE.sub(r"\1=-", text) if "ignature=" in text else text


_LINK = re.compile(r"(/\.splitd/s/[A-Za-z0-9_-]{16}\.)[A-Za-z0-9_-]{22}")
"""A link to share files: who has its signature has the link."""


def _text(data: bytes) -> str:
    return data.decode("ascii", "replace")


def _readable(text: str | None) -> str | None:
    """Return a header's value with its bytes that are not UTF-8 replaced."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _escape(text: str) -> str:
    """Return a text with everything escaped that could end its place in a line, as Apache does."""

    def escape(found: re.Match[str]) -> str:
        character = found[0]
        if character in '\\"':
            return "\\" + character
        return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))

    return _UNSAFE.sub(escape, text)
