"""What a link is, as the catalog keeps it."""

from __future__ import annotations

import re
from secrets import token_urlsafe

import attrs
import msgspec

from splitd.access.links import LinkSigner
from splitd.model.documents import Document

KIND = "share"
MOST = 1000
"""The most links of one user."""

_TOKEN = re.compile(r"\A([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22})\Z")


class Share(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A link.

    :param path: the file or the collection that it leads to.
    :param made_ms: when it was made, milliseconds since 1970.
    :param is_upload: whether files may only be left there, and nothing is shown.
    :param password: the hash of its password; empty for none.
    :param most: how many downloads it allows; None for any number.
    :param used: how many downloads there were, if their number is limited.
    :param by_issuer: whether its maker may do what they may by what an issuer of OpenID Connect said of them.
    """

    path: str
    made_ms: int
    is_upload: bool = False
    password: str = ""
    most: int | None = None
    used: int = 0
    by_issuer: bool = False


_decoder = msgspec.json.Decoder(Share)


def new_id() -> str:
    """Return the id of a new link: 96 random bits.  It does not begin as an option of a command does."""
    while (made := token_urlsafe(12)).startswith("-"):
        pass
    return made


def read_share(document: Document) -> Share:
    """Return the link that a document keeps."""
    return _decoder.decode(document.body)


def with_share(document: Document, share: Share) -> Document:
    """Return the document that keeps a link."""
    return attrs.evolve(document, body=msgspec.json.encode(share).decode())


def token_of(signer: LinkSigner, share_id: str) -> str:
    """Return what the URL of a link ends with."""
    return f"{share_id}.{signer.sign(share_id)}"


def read_token(signer: LinkSigner, token: str) -> str | None:
    """Return the id in a token; None if this cluster has not signed it."""
    match = _TOKEN.match(token)
    return match[1] if match is not None and signer.proves(match[1], match[2]) else None
