"""The erasure code: parity columns of a stripe, and columns that are rebuilt from others.  Pure.

The code is systematic Reed-Solomon over GF(2^8) with the polynomial 0x11d and the Cauchy matrix of ISA-L: byte by byte,
parity column *j* (counted from `data`) is the sum of `inverse(j ^ i) * column i` over all data columns *i*.  Any `data`
columns of a stripe are enough to rebuild the others.  A column that is shorter than the longest counts as padded with
zeros.  ISA-L does the work, on the columns as they lie, or by way of pyeclib where only that can be called.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from splitd.model.coders import Coder, DirectCoder, JoinedCoder, Pieces
from splitd.model.striping import MAX_PARITY, Cutter, Layout, cut_stripe
from storaged.system.buffers import Piece
from storaged.system.isal import IsaL, find_isal

__all__ = ["AT_ONCE", "ErasureCode", "Pieces", "code_of", "cut_whole"]

AT_ONCE = 4 * 1024 * 1024
"""Bytes of a stripe that take less time to code than to pass to a thread."""


class ErasureCode:
    """The code of one layout.

    :param data: the number of data columns, at least 1.
    :param parity: the number of parity columns, at most `MAX_PARITY`; 0 for none.
    :param isal: computes the columns; if None, pyeclib does.
    """

    def __init__(self, data: int, parity: int, isal: IsaL | None) -> None:
        if data < 1 or not 0 <= parity <= MAX_PARITY:
            raise ValueError(f"no erasure code has {data} data columns and {parity} parity columns")
        self.data = data
        self.parity = parity
        self._coder: Coder | None = None
        if parity:
            self._coder = JoinedCoder(data, parity) if isal is None else DirectCoder(data, parity, isal)

    def encode(self, columns: Sequence[Pieces], length: int) -> list[Piece]:
        """Compute the parity columns of a stripe.

        :param columns: all data columns.
        :param length: bytes of the longest column.
        :return: the parity columns, each of `length` bytes.
        """
        parity = range(self.data, self.data + self.parity)
        rebuilt = self.rebuild(dict(enumerate(columns)), length, parity)
        return [rebuilt[index] for index in parity]

    def rebuild(self, columns: Mapping[int, Pieces], length: int, wanted: Collection[int]) -> dict[int, Piece]:
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
        if self._coder is None or not missing:
            return {}
        return dict(zip(missing, self._coder.rebuild(columns, length, missing), strict=True))


def cut_whole(layout: Layout, data: bytes) -> list[Piece]:
    """Cut a whole file that is in memory.

    :return: the payloads of all parts, parity parts included, by their index.
    """
    if len(data) <= layout.stripe:  # as of most small files: each column is one piece
        payloads: list[Piece] = [*cut_stripe(layout.data, data)]
    else:
        columns: list[list[Piece]] = [[] for _ in range(layout.data)]
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
    return ErasureCode(data, parity, find_isal() if parity else None)
