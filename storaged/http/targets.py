"""Request targets: the path and the query in the first line of a request (RFC 9112 section 3.2).  Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

_ABSOLUTE_FORM = re.compile(rb"\A([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCODED = [bytes([byte]) if byte < 0x80 else b"%%%02X" % byte for byte in range(256)]


def encode_target(target: bytes) -> bytes:
    """Percent-encode each byte that is not ASCII, so that UTF-8 means the same whether a client encodes it or not.

    :raise ValueError: the bytes are not UTF-8.
    """
    if target.isascii():
        return target
    target.decode("utf-8")
    return b"".join(map(_ENCODED.__getitem__, target))


def parse_absolute(uri: bytes) -> tuple[bytes, bytes] | None:
    """Return the scheme and the authority of a URI in absolute form; None if it has a different form."""
    match = _ABSOLUTE_FORM.match(uri)
    return None if match is None else (match[1], match[2])


def origin_form(uri: bytes) -> bytes:
    """Return the path and query of a URI, unchanged."""
    return _ABSOLUTE_FORM.sub(b"", uri)


class Parameters:
    """The parameters in a query.  They are parsed at the first access, because most queries are never read.

    :param query: the query as it stands in a URI, all ASCII.
    """

    def __init__(self, query: bytes) -> None:
        self._query = query
        self._values: dict[str, list[str]] | None = None

    def __bool__(self) -> bool:
        return bool(self._query)

    def values(self, name: str) -> list[str]:
        """Return all values of a parameter, in order; none if the query does not have it.

        :raise ValueError: a value is not UTF-8.
        """
        if self._values is None:
            query = self._query.decode("ascii", "replace")
            self._values = parse_qs(query, keep_blank_values=True, errors="surrogateescape")
        values = self._values.get(name, [])
        if any(map(_SURROGATE.search, values)):
            raise ValueError(f"{name}: should be UTF-8, percent-encoded or not")
        return values


def split_target(uri: bytes) -> tuple[str, Parameters]:
    """Return the decoded path of a request target, and its parameters.

    Bytes of the path that are not UTF-8 become U+FFFD.
    """
    path, _, query = origin_form(uri).partition(b"?")
    return unquote(path.decode("ascii", "replace")), Parameters(query)
