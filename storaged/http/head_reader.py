"""The head of a request that arrives in pieces."""

from __future__ import annotations

from storaged.http.heads import (
    BARE_FEED,
    MOST_HEADERS,
    Head,
    Refused,
    has_bare_feed,
    read_first_line,
    read_head,
    refuse_first_line,
    refuse_size,
)

_FIRST_BYTES = frozenset(b"\r\n!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
"""The first bytes of methods, and of the empty line that may precede one (RFC 9112 section 2.2)."""

_MOST_EMPTY_LINES = 16
"""The most empty lines that are skipped before a request (RFC 9112 section 2.2)."""

_MOST_KEPT = 1024
_MOST_HEADERS_KEPT = 32
"""Headers are kept up to so many bytes and headers, so that those that come again need not be read again.  Each header
takes some hundred bytes of memory, on each connection, for as long as it waits.
"""

_SECRETS = (b"authorization", b"cookie")
"""Headers that are not kept longer than their request."""


class HeadReader:
    """Finds the heads in what a client sends, and refuses one as soon as it can be: its sender may wait for an answer.

    :param limit: the most bytes of a head.
    """

    __slots__ = ("_before", "_empty_lines", "_is_first_line_read", "_kept", "_limit", "_searched")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()  # of a head that is not whole
        self._searched = 0  # no head ends before this
        self._is_first_line_read = False
        self._empty_lines = 0
        self._before: Head | None = None  # the one before, if it is kept

    def __len__(self) -> int:
        """Return how many bytes of a head that is not whole are kept."""
        return len(self._kept)

    def feed(self, data: bytes) -> tuple[Head, bytes] | None:
        """Take the next bytes.

        :param data: at least one byte.
        :return: the head and what comes behind it; None if it is not whole.
        :raise Refused: no request can begin with these bytes.
        """
        if not self._kept:
            whole: bytes | bytearray = data
            if data[0] not in _FIRST_BYTES:
                # For example, a client that speaks TLS to this port waits for an answer, and never ends a line.
                raise Refused(400, "this is not HTTP")
        else:
            self._kept += data
            whole = self._kept
        start = 0
        while whole.startswith(b"\r\n", start):
            start += 2
            self._empty_lines += 1
            if self._empty_lines > _MOST_EMPTY_LINES:
                raise Refused(400, f"more than {_MOST_EMPTY_LINES} empty lines came before a request")
        end = whole.find(b"\r\n\r\n", max(start, self._searched))
        if end < 0:
            self._keep(whole, start)
            return None
        head = read_head(bytes(whole[start:end]), self._limit, self._before)
        if not head.is_alike:
            self._before = _kept(head.without_login()) if len(head.block) <= _MOST_KEPT else None
        rest = bytes(whole[end + 4 :])
        self.forget()
        self._empty_lines = 0
        return head, rest

    def _keep(self, whole: bytes | bytearray, start: int) -> None:
        if start == len(whole):
            self.forget()
            return
        if whole is not self._kept or start:
            self._kept, self._searched = bytearray(whole[start:]), 0
        head, limit, before = self._kept, self._limit, self._searched
        self._searched = max(0, len(head) - 3)
        if has_bare_feed(head, before):
            raise Refused(400, BARE_FEED)
        if not self._is_first_line_read:
            end = head.find(b"\r\n", before)
            if end >= 0:
                read_first_line(bytes(head[:end]), limit)
                self._is_first_line_read = True
            elif len(head) > limit:
                raise refuse_first_line(limit)
        if len(head) > limit + 2 * MOST_HEADERS:
            raise refuse_size(limit)

    def forget(self) -> None:
        """Forget the bytes that are kept."""
        if self._kept:
            self._kept = bytearray()
        self._searched = 0
        self._is_first_line_read = False


def _kept(head: Head) -> Head | None:
    return head if len(head.headers) <= _MOST_HEADERS_KEPT and not any(map(head.headers.get, _SECRETS)) else None
