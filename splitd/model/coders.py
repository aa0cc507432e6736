"""Two ways to compute columns of a stripe from others: by ISA-L where the columns lie, or by pyeclib.  Pure.

Both give the same bytes, those that `splitd.model.erasure` defines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from storaged.system.buffers import Piece
from storaged.system.isal import ColumnSums, IsaL

Pieces = Sequence[Piece]
"""A column, in one or more pieces; joining them has no meaning but that of the bytes."""

_MOST_TABLES = 256
"""Sets of columns, given and wanted, whose factors are kept."""

_MOST_PIECES = 4
_SHORT = 8 * 1024
"""A column in more pieces, or of fewer bytes, is joined and padded first: that takes less time than more calls."""

_BLOCK = 2 * 1024 * 1024
"""Bytes that pyeclib codes in one call.  The buffers of larger blocks do not fit into the caches of a processor."""

_HEADER_SIZE = 80
"""Bytes before each fragment that pyeclib makes.  They are the same for all fragments of an index and a length, and are
not stored.
"""

_ALIGNMENT = 64
_MOST_LENGTHS = 1024


class Coder(Protocol):
    """Computes columns from others; several threads may call it at once."""

    def rebuild(self, columns: Mapping[int, Pieces], length: int, missing: Sequence[int]) -> Sequence[Piece]:
        """Compute columns; see `ErasureCode.rebuild`.

        :param columns: as many as there are data columns.
        :param missing: the indexes of the wanted columns, ascending; at least one.
        :return: the wanted columns in their order, each of `length` bytes.
        """


class DirectCoder:
    """Computes columns from the pieces as they lie, with one pass over them.  Provides `Coder`."""

    def __init__(self, data: int, parity: int, isal: IsaL) -> None:
        self._isal = isal
        self._matrix = isal.cauchy_matrix(data, parity)
        self._sums_of = lru_cache(_MOST_TABLES)(self._prepare)

    def rebuild(self, columns: Mapping[int, Pieces], length: int, missing: Sequence[int]) -> Sequence[Piece]:
        """Compute columns; see `Coder`."""
        given = sorted(columns)
        found: list[Pieces] = [columns[index] for index in given]
        if length < _SHORT:
            found = [[b"".join(pieces).ljust(length, b"\0")] for pieces in found]
        else:
            found = [pieces if len(pieces) <= _MOST_PIECES else [b"".join(pieces)] for pieces in found]
        return self._sums_of(tuple(given), tuple(missing)).compute(found, length)

    def _prepare(self, given: tuple[int, ...], missing: tuple[int, ...]) -> ColumnSums:
        inverse = self._isal.inverse([self._matrix[index] for index in given])
        return self._isal.sums([self._isal.product(self._matrix[index], inverse) for index in missing])


class JoinedCoder:
    """Computes columns by pyeclib, which takes each in one piece behind a header.  Provides `Coder`."""

    def __init__(self, data: int, parity: int) -> None:
        # A front without parity need not load the library.
        from pyeclib.ec_iface import ECDriver

        self._driver: Any = ECDriver(k=data, m=parity, ec_type="isa_l_rs_cauchy")
        self._data = data
        self._most = max(_BLOCK // data // _ALIGNMENT, 1) * _ALIGNMENT
        self._headers_of = lru_cache(_MOST_LENGTHS)(self._make_headers)  # several threads may call it

    def rebuild(self, columns: Mapping[int, Pieces], length: int, missing: Sequence[int]) -> Sequence[Piece]:
        """Compute columns; see `Coder`."""
        if length <= self._most:
            return self._rebuild(columns, length, missing)
        whole = {index: memoryview(b"".join(pieces)) for index, pieces in columns.items()}
        blocks = [
            self._rebuild(
                {index: [column[start : start + self._most]] for index, column in whole.items()},
                min(self._most, length - start),
                missing,
            )
            for start in range(0, length, self._most)
        ]
        return [b"".join(column) for column in zip(*blocks, strict=True)]

    def _rebuild(self, columns: Mapping[int, Pieces], length: int, missing: Sequence[int]) -> list[bytes]:
        padded = _padded_length(length)
        headers = self._headers_of(padded)
        fragments = []
        for index, pieces in columns.items():
            zeros = bytes(padded - sum(map(len, pieces)))
            fragments.append(b"".join([headers[index], *pieces, zeros]))
        rebuilt = self._driver.reconstruct(fragments, list(missing))
        return [fragment[_HEADER_SIZE : _HEADER_SIZE + length] for fragment in rebuilt]

    def _make_headers(self, size: int) -> list[bytes]:
        return [fragment[:_HEADER_SIZE] for fragment in self._driver.encode(bytes(size * self._data))]


def _padded_length(length: int) -> int:
    """Return one of a few lengths that is at least `length`, and at most a sixteenth longer if `length` is large.

    The library needs headers that depend on the length, and making them costs as much as coding.
    """
    step = max(_ALIGNMENT, 1 << max(0, length.bit_length() - 5))
    return -(-length // step) * step
