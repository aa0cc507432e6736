"""Requests that are like one whose signature was proven: those of a client in the same second, to other paths."""

from __future__ import annotations

import hashlib
from hmac import compare_digest

import attrs

from splitd.access.keys import AccessKey
from splitd.frontends.s3.signing.canonical import DIGITS, sign
from storaged.http import IRequest

CONTENT_SHA256 = "x-amz-content-sha256"
_MOST = 1024
_LONGEST = 2048
"""The most bytes that are kept of a request: the names of all its headers, and the values of those that are signed."""


@attrs.frozen
class Alike:
    """What requests have in common that differ in method, path, the hash of their body, and signature only.

    :param access_key: the id of the key.
    :param secret: what the key makes of its scope.
    :param time: the time of the signature, as it was sent.
    :param start: what is signed, up to the hash of the canonical request.
    :param before: the canonical request behind the query, up to the hash of the body among the headers.
    :param behind: what follows that, up to the hash of the body at the end.
    """

    access_key: str
    key: AccessKey
    secret: bytes
    time: str
    start: str
    before: bytes
    behind: bytes

    def is_signed(self, method: bytes, path: str, payload: bytes, signature: bytes) -> bool:
        """Return whether a signature is that of a request without a query.

        :param path: as `canonical_path` returns it.
        :param payload: what the request says of its body's hash.
        """
        request = b"%b\n%b\n\n%b%b%b%b" % (method, path.encode(), self.before, payload, self.behind, payload)
        text = self.start + hashlib.sha256(request).hexdigest()
        return compare_digest(sign(self.secret, text).encode(), signature)


_PAYLOAD = CONTENT_SHA256.encode()


class AlikeRequests:
    """Remembers what was proven of the last requests that had no query, and finds it for those that are like them."""

    def __init__(self) -> None:
        self._signed: dict[bytes, tuple[bytes, ...]] = {}  # names of headers, by `Authorization` without the signature
        self._known: dict[object, Alike] = {}

    def find(self, request: IRequest) -> tuple[Alike, bytes, bytes] | None:
        """Return what is known of the requests that are like this one, what it says of its body's hash, and its
        signature; None if nothing is known.
        """
        login = request.only_header(b"authorization") or b""
        signed = self._signed.get(login[:-DIGITS])
        payload = None if signed is None else request.only_header(_PAYLOAD)
        if signed is None or payload is None:
            return None
        alike = self._known.get(_key_of(request, login, signed))
        return None if alike is None else (alike, payload, login[-DIGITS:])

    def note(self, request: IRequest, signed: str, alike: Alike) -> None:
        """Remember what was proven of a request.

        :param signed: the names of its signed headers, in lower case, joined by semicolons.
        """
        names = tuple(name.encode("ascii") for name in signed.split(";") if name != CONTENT_SHA256)
        if len(names) != signed.count(";"):
            return  # the hash of the body must stand there once
        login = request.only_header(b"authorization") or b""
        values = [login, *(request.only_header(name) for name in names)]
        # Without x-amz-date the time is in another header, which need not be signed; behind a proxy there are several
        # names that may have been signed.
        if b"x-amz-date" not in names or None in values or request.has_header(b"x-forwarded-host"):
            return
        if sum(len(value) for value in values if value) + sum(map(len, request.header_names())) > _LONGEST:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
            self._signed.clear()
        self._signed[login[:-DIGITS]] = names
        self._known[_key_of(request, login, names)] = alike


def _key_of(request: IRequest, login: bytes, signed: tuple[bytes, ...]) -> object:
    """Return all that a proof looks at, but for method, path, the hash of the body, and signature.

    :param signed: the names of the other signed headers.
    """
    return login[:-DIGITS], tuple(map(request.only_header, signed)), tuple(request.header_names())
