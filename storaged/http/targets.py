"""Request targets: the path and the query that a request's first line asks for (RFC 9112 section 3.2).  Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

_ABSOLUTE_FORM = re.compile(rb"\A([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCODED = [bytes([byte]) if byte < 0x80 else b"%%%02X" % byte for byte in range(256)]


def encode_target(target: bytes) -> bytes:
    """Percent-encode each byte that is not ASCII, so that UTF-8 means the same whether a client encodes it or not.

    :raise ValueError: these bytes are not UTF-8.
    """
    if target.isascii():
        return target
    target.decode("utf-8")
    return b"".join(map(_ENCODED.__getitem__, target))


def parse_absolute(uri: bytes) -> tuple[bytes, bytes] | None:
    """The scheme and the authority of a URI in absolute form; None for one in another form."""
    match = _ABSOLUTE_FORM.match(uri)
    return None if match is None else (match[1], match[2])


def origin_form(uri: bytes) -> bytes:
    """The path and query of a URI, as they stand in it."""
    return _ABSOLUTE_FORM.sub(b"", uri)


class Parameters:
    """The parameters in a query.  They are read when they are asked for: most requests have a query that nobody reads.

    :param query: as it stands in a URI, all of it ASCII.
    """

    def __init__(self, query: bytes) -> None:
        self._query = query
        self._values: dict[str, list[str]] | None = None

    def values(self, name: str) -> list[str]:
        """All values of a parameter, in order; none where the query does not have it.

        :raise ValueError: one is not UTF-8.
        """
        if self._values is None:
            query = self._query.decode("ascii", "replace")
            self._values = parse_qs(query, keep_blank_values=True, errors="surrogateescape")
        values = self._values.get(name, [])
        if any(map(_SURROGATE.search, values)):
            raise ValueError(f"{name}: should be UTF-8, percent-encoded or not")
        return values


def split_target(uri: bytes) -> tuple[str, Parameters]:
    """The path of a request target, decoded, and its parameters.

    Bytes of the path that are not UTF-8 are U+FFFD.
    """
    path, _, query = origin_form(uri).partition(b"?")
    return unquote(path.decode("ascii", "replace")), Parameters(query)
