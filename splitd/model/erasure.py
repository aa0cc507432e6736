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

from splitd.model.striping import MAX_PARITY, Cutter, Layout, cut_stripe

_BLOCK = 2 * 1024 * 1024
"""Bytes that are coded in one call.  The buffers of larger blocks do not fit into the caches of a processor."""

AT_ONCE = 2 * _BLOCK
"""Bytes of a stripe that take less time to code than to pass to a thread.  The library keeps Python's lock, so that a
thread would compute nothing beside this one.
"""

_HEADER_SIZE = 80
"""Bytes before each fragment that pyeclib makes.  They are the same for all fragments of an index and a length, and are
not stored.
"""

_ALIGNMENT = 64
_MOST_LENGTHS = 1024

Pieces = Sequence[bytes]
"""A column, in one or more pieces; joining them has no meaning but that of the bytes."""


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
        self._most = max(_BLOCK // data // _ALIGNMENT, 1) * _ALIGNMENT
        self._headers_of = lru_cache(_MOST_LENGTHS)(self._make_headers)  # several threads may call it
        self._driver: Any = None
        if parity:
            # A front without parity need not load the library.
            from pyeclib.ec_iface import ECDriver

            self._driver = ECDriver(k=data, m=parity, ec_type="isa_l_rs_cauchy")

    def encode(self, columns: Sequence[Pieces], length: int) -> list[bytes]:
        """Compute the parity columns of a stripe.

        :param columns: all data columns.
        :param length: bytes of the longest column.
        :return: the parity columns, each of `length` bytes.
        """
        parity = range(self.data, self.data + self.parity)
        rebuilt = self.rebuild(dict(enumerate(columns)), length, parity)
        return [rebuilt[index] for index in parity]

    def rebuild(self, columns: Mapping[int, Pieces], length: int, wanted: Collection[int]) -> dict[int, bytes]:
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
        if not missing:
            return {}
        if length <= self._most:
            return dict(zip(missing, self._rebuild(columns, length, missing), strict=True))
        whole = {index: memoryview(b"".join(pieces)) for index, pieces in columns.items()}
        blocks = [
            self._rebuild(
                {index: [column[start : start + self._most]] for index, column in whole.items()},
                min(self._most, length - start),
                missing,
            )
            for start in range(0, length, self._most)
        ]
        return {index: b"".join(column) for index, column in zip(missing, zip(*blocks, strict=True), strict=True)}

    def _rebuild(
        self, columns: Mapping[int, Sequence[bytes | memoryview]], length: int, missing: list[int]
    ) -> list[bytes]:
        padded = _padded_length(length)
        headers = self._headers_of(padded)
        fragments = []
        for index, pieces in columns.items():
            zeros = bytes(padded - sum(map(len, pieces)))
            fragments.append(b"".join([headers[index], *pieces, zeros]))
        rebuilt = self._driver.reconstruct(fragments, missing)
        return [fragment[_HEADER_SIZE : _HEADER_SIZE + length] for fragment in rebuilt]

    def _make_headers(self, size: int) -> list[bytes]:
        return [fragment[:_HEADER_SIZE] for fragment in self._driver.encode(bytes(size * self.data))]


def cut_whole(layout: Layout, data: bytes) -> list[bytes]:
    """Cut a whole file that is in memory.

    :return: the payloads of all parts, parity parts included, by their index.
    """
    if len(data) <= layout.stripe:  # as of most small files: each column is one piece
        payloads = cut_stripe(layout.data, data)
    else:
        columns: list[list[bytes]] = [[] for _ in range(layout.data)]
        for index, piece in Cutter(layout, len(data)).cut(data):
            columns[index].append(piece)
        payloads = [b"".join(pieces) for pieces in columns]
    if not layout.parity:
        return payloads
    code, unit = code_of(layout.data, layout.parity), layout.unit
    if len(payloads[0]) <= unit:
        return payloads + code.encode([[payload] for payload in payloads], len(payloads[0]))
    stripes = [
        code.encode([[payload[start : start + unit]] for payload in payloads], min(unit, len(payloads[0]) - start))
        for start in range(0, len(payloads[0]), unit)
    ]
    return payloads + [b"".join(column) for column in zip(*stripes, strict=True)]


@lru_cache
def code_of(data: int, parity: int) -> ErasureCode:
    """Return the code of a layout; it may be used by several threads at once."""
    return ErasureCode(data, parity)


def _padded_length(length: int) -> int:
    """Return one of a few lengths that is at least `length`, and at most a sixteenth longer if `length` is large.

    The library needs headers that depend on the length, and making them costs as much as coding.
    """
    step = max(_ALIGNMENT, 1 << max(0, length.bit_length() - 5))
    return -(-length // step) * step
