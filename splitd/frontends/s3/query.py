"""The query of a request's URL, as S3 reads it.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from splitd.frontends.s3.errors import S3Error


class Query:
    """The parameters of a query, in order.  A name without `=` has an empty value.

    :param raw: the query as it stands in the URL.
    """

    def __init__(self, raw: bytes) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []
        self._by_name: dict[str, str] | None = None
        for piece in raw.split(b"&") if raw else ():
            if piece:
                name, _, value = piece.partition(b"=")
                self._pairs.append((_decode(name), _decode(value)))

    def canonical(self, without: bytes = b"") -> str:
        """Return the query in the form that is signed: encoded once, in order.

        :param without: the name of a parameter that is left out.
        """
        if not self._pairs:
            return ""
        return "&".join(
            f"{name}={value}"
            for name, value in sorted((quote(n, safe=""), quote(v, safe="")) for n, v in self._pairs if n != without)
        )

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __contains__(self, name: str) -> bool:
        return name in self._values()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter; `default` if the query does not have it."""
        return self._values().get(name, default)

    def _values(self) -> dict[str, str]:
        if self._by_name is None:
            self._by_name = {}
            for name, value in self._pairs:
                self._by_name.setdefault(_text(name), _text(value))
        return self._by_name


NO_QUERY = Query(b"")
"""That of a URL without parameters."""


def _decode(piece: bytes) -> bytes:
    return unquote_to_bytes(piece.replace(b"+", b" ")) if b"%" in piece or b"+" in piece else piece


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "a parameter of the query is not UTF-8") from None
