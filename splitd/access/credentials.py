"""The credentials in an `Authorization` header.  Pure; nothing is proven here."""

from __future__ import annotations

import base64
import re

import attrs

from splitd.access.secrets import MOST_PASSWORD, OWN_TOKEN_PREFIX, TOKEN_PREFIX

_MOST_HEADER = 4 * 1024
_MOST_TOKEN = 16 * 1024
_JWT = re.compile(r"(?:[A-Za-z0-9_-]+\.){2}[A-Za-z0-9_-]+")


@attrs.frozen
class Credentials:
    """The credentials in an `Authorization` header.

    :param user: the name; empty for a token that is sent alone.
    :param secret: the password or the token.
    :param is_jwt: whether it has the form of a token of an issuer (JWT), and not of one of ours.
    """

    user: str
    secret: bytes = attrs.field(repr=False)
    is_jwt: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it has the form of a token that its user has made."""
        return self.secret.startswith(OWN_TOKEN_PREFIX.encode())


def parse_credentials(header: str) -> Credentials | None:
    """Read the value of an `Authorization` header: `Basic` (RFC 7617, with UTF-8) or `Bearer` (RFC 6750).

    :param header: bytes that are not UTF-8 are lone surrogates.
    :return: None if it is neither, or is not well formed.
    """
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and len(value) <= _MOST_TOKEN and _JWT.fullmatch(value):
        return Credentials("", value.encode(), is_jwt=True)
    if len(header) > _MOST_HEADER or not value.isascii():
        return None
    if scheme.lower() == "bearer":
        return Credentials("", value.encode()) if value.startswith(TOKEN_PREFIX) else None
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(value, validate=True).partition(b":")
        user = name.decode()
    except ValueError:
        return None
    if not colon or not user or not secret or len(secret) > MOST_PASSWORD or b"\0" in secret:
        return None
    return Credentials(user, secret)
