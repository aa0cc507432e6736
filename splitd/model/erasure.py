"""The erasure code: parity columns of a stripe, and columns that are rebuilt from others.  Pure.

The code is systematic Reed-Solomon over GF(2^8) with the polynomial 0x11d and the Cauchy matrix of ISA-L: byte by byte,
parity column *j* (counted from `data`) is the sum of `inverse(j ^ i) * column i` over all data columns *i*.  Any `data`
columns of a stripe are enough to rebuild the others.  A column that is shorter than the longest counts as padded with
zeros.  ISA-L does the work, by way of pyeclib.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from splitd.model.striping import MAX_PARITY, Cutter, Layout

_BLOCK = 96 * 1024
"""Bytes that are coded in one call.  For much larger blocks the library allocates pages afresh each time, which takes
ten times as long.
"""

_HEADER_SIZE = 80
"""Bytes before each fragment that pyeclib makes.  They are the same for all fragments of an index and a length, and are
not stored.
"""

_MOST_LENGTHS = 64


class ErasureCode:
    """The code of one layout.

    :param data: the number of data columns, at least 1.
    :param parity: the number of parity columns, at most `MAX_PARITY`; 0 for none.
    """

    def __init__(self, data: int, parity: int) -> None:
        if data < 1 or not 0 <= parity <= MAX_PARITY:
            raise ValueError(f"no erasure code has {data} data columns and {parity} parity columns")
        self.data = data
        self.parity = parity
        self._piece = max(_BLOCK // data, 1)
        self._headers_of = lru_cache(_MOST_LENGTHS)(self._make_headers)  # several threads may call it
        self._driver: Any = None
        if parity:
            # A front without parity need not load the library.
            from pyeclib.ec_iface import ECDriver

            self._driver = ECDriver(k=data, m=parity, ec_type="isa_l_rs_cauchy")

    def encode(self, columns: Sequence[bytes]) -> list[bytes]:
        """Compute the parity columns of a stripe.

        :param columns: all data columns; none is longer than the first.
        :return: the parity columns, each as long as the first data column.
        """
        if not self.parity:
            return []
        length = len(columns[0])
        if length <= self._piece:
            return self._encode(columns, 0, length)
        pieces = [self._encode(columns, start, length) for start in range(0, length, self._piece)]
        return [b"".join(column) for column in zip(*pieces, strict=True)]

    def _encode(self, columns: Sequence[bytes], start: int, length: int) -> list[bytes]:
        size = min(self._piece, length - start)
        block = b"".join([piece for column in columns for piece in _padded(column, start, size)])
        return [fragment[_HEADER_SIZE:] for fragment in self._driver.encode(block)[self.data :]]

    def rebuild(self, columns: Mapping[int, bytes], length: int, wanted: Collection[int]) -> dict[int, bytes]:
        """Rebuild columns of a stripe from others.

        :param columns: by index, parity columns from `data` on; exactly `data` of them.
        :param length: bytes of the longest column of the stripe.
        :param wanted: the indexes of the columns to rebuild; none of them is in `columns`.
        :return: the wanted columns by index, each padded with zeros to `length`.
        :raise ValueError: there are not exactly `data` columns.
        """
        if len(columns) != self.data:
            raise ValueError(f"{len(columns)} columns are given, {self.data} are needed")
        missing = sorted(wanted)
        pieces = [self._rebuild(columns, start, length, missing) for start in range(0, length, self._piece)]
        return {index: b"".join(column) for index, column in zip(missing, zip(*pieces, strict=True), strict=True)}

    def _rebuild(self, columns: Mapping[int, bytes], start: int, length: int, missing: list[int]) -> list[bytes]:
        size = min(self._piece, length - start)
        headers = self._headers_of(size)
        fragments = [b"".join([headers[index], *_padded(column, start, size)]) for index, column in columns.items()]
        return [fragment[_HEADER_SIZE:] for fragment in self._driver.reconstruct(fragments, missing)]

    def _make_headers(self, size: int) -> list[bytes]:
        return [fragment[:_HEADER_SIZE] for fragment in self._driver.encode(bytes(size * self.data))]


def cut_whole(layout: Layout, data: bytes) -> list[bytes]:
    """Cut a whole file that is in memory.

    :return: the payloads of all parts, parity parts included, by their index.
    """
    columns: list[list[bytes]] = [[] for _ in range(layout.data)]
    for index, piece in Cutter(layout, len(data)).cut(data):
        columns[index].append(piece)
    payloads = [b"".join(pieces) for pieces in columns]
    if not layout.parity:
        return payloads
    code, unit = code_of(layout.data, layout.parity), layout.unit
    if len(payloads[0]) <= unit:
        return payloads + code.encode(payloads)
    stripes = [
        code.encode([payload[start : start + unit] for payload in payloads])
        for start in range(0, len(payloads[0]), unit)
    ]
    return payloads + [b"".join(column) for column in zip(*stripes, strict=True)]


@lru_cache
def code_of(data: int, parity: int) -> ErasureCode:
    """Return the code of a layout; it may be used by several threads at once."""
    return ErasureCode(data, parity)


def _padded(column: bytes, start: int, size: int) -> list[bytes | memoryview]:
    piece = memoryview(column)[start : start + size]
    return [piece] if len(piece) == size else [piece, bytes(size - len(piece))]
