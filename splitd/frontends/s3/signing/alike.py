"""Requests that are signed as one whose signature was proven: most of a client's."""

from __future__ import annotations

import hashlib
from hmac import compare_digest

import attrs

from splitd.access.keys import AccessKey
from splitd.frontends.s3.signing.canonical import ALGORITHM, DIGITS, Scope, Signing, canonical_value
from splitd.frontends.s3.signing.claims import Claim
from storaged.http import IRequest

CONTENT_SHA256 = "x-amz-content-sha256"
DATE = "x-amz-date"
_LOGIN = b"authorization"
_DATE, _PAYLOAD = DATE.encode(), CONTENT_SHA256.encode()
_MOST = 1024
_LONGEST = 2048
"""The most bytes that are kept of a request: its login, and the names of all its headers; and of the values of those
that are signed.
"""


@attrs.frozen
class Signed:
    """What is signed of a request, but for its method and path, and the query, which it does not have.

    :param time: when, as it was sent: it may be no time at all.
    :param payload: what it says of its body's hash, as it was sent.
    :param rest: the canonical request behind the path.
    :param signing: computes the signature, with all that stands before the hash of the canonical request.
    """

    time: str
    payload: str
    rest: bytes
    signing: Signing

    def is_signed(self, method: bytes, path: bytes, signature: bytes) -> bool:
        """Return whether a signature is good.

        :param path: as `canonical_path` returns it.
        """
        digest = hashlib.sha256(b"%b\n%b%b" % (method, path, self.rest)).hexdigest()
        return compare_digest(self.signing.sign(digest.encode()), signature)


@attrs.define(eq=False)
class Alike:
    """What requests have in common that differ in method, path, the values of their headers, and signature only.

    :param access_key: the id of the key.
    :param secret: what the key makes of its scope.
    :param names: those of the signed headers, in lower case and in their order.
    :param form: the canonical request behind the path, with a place for the value of each header, and for the hash of
        the body.
    """

    access_key: str
    key: AccessKey
    secret: bytes
    scope: Scope
    names: tuple[bytes, ...]
    form: str
    # Many clients send the same values for a second, but for the hash of a body, if that is signed.
    _values: list[bytes] | None = None
    _signed: Signed | None = None

    def read(self, request: IRequest) -> Signed | None:
        """Return what is signed of a request; None if one of the headers did not come once, or is not ASCII."""
        values = request.only_headers(self.names)
        if values is None or values == self._values:
            return None if values is None else self._signed
        try:
            texts = [value.decode("ascii") for value in values]
        except UnicodeDecodeError:
            return None
        time, payload = texts[self.names.index(_DATE)], texts[self.names.index(_PAYLOAD)]
        rest = self.form % (*map(canonical_value, texts), payload)
        signing = Signing(self.secret, f"{ALGORITHM}\n{time}\n{self.scope}\n".encode())
        signed = Signed(time, payload, rest.encode(), signing)
        if sum(map(len, values)) <= _LONGEST:
            self._values, self._signed = values, signed
        return signed


class AlikeRequests:
    """Remembers how the last requests were signed that had no query, and finds it for those that are like them."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, tuple[str, ...]], Alike] = {}  # by login without signature, and names of headers

    def find(self, request: IRequest) -> tuple[Alike, Signed, bytes] | None:
        """Return how requests like this one are signed, what of this one is, and its signature; None if nothing is
        known of it.
        """
        login = request.only_header(_LOGIN)
        if login is None:
            return None
        alike = self._known.get((login[:-DIGITS], tuple(request.header_names())))
        signed = None if alike is None else alike.read(request)
        return None if alike is None or signed is None else (alike, signed, login[-DIGITS:])

    def note(self, request: IRequest, claim: Claim, key: AccessKey, secret: bytes) -> None:
        """Remember how a request is signed, after its signature was found good.

        :param claim: what its login says.
        :param secret: what the key makes of the scope.
        """
        names, login = claim.signed.split(";"), request.only_header(_LOGIN) or b""
        if names.count(CONTENT_SHA256) != 1 or not login.endswith(b"Signature=" + claim.signature.encode()):
            return
        # Without x-amz-date the time is in another header, which need not be signed; behind a proxy there are several
        # names that may have been signed.
        if DATE not in names or request.has_header(b"x-forwarded-host"):
            return
        all_names = tuple(request.header_names())
        if len(login) + sum(map(len, all_names)) > _LONGEST:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        lines = "".join(f"{_plain(name)}:%s\n" for name in names)
        self._known[login[:-DIGITS], all_names] = Alike(
            claim.access_key,
            key,
            secret,
            claim.scope,
            tuple(name.encode("ascii") for name in names),
            f"\n\n{lines}\n{_plain(claim.signed)}\n%s",
        )


def _plain(name: str) -> str:
    """Return a text as it stands in a form: a name may have a percent sign."""
    return name.replace("%", "%%")
