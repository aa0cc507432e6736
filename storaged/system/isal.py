"""ISA-L, Intel's library of erasure codes, called on bytes where they lie.

It comes with pyeclib, whose own functions take each column in one piece behind a header, and return new columns.  The
library may be missing, as where pyeclib was built without it: `find_isal` returns None then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from typing import Any

from cffi import FFI

from storaged.system.buffers import Piece

_FUNCTIONS = """
void gf_gen_cauchy1_matrix(unsigned char *matrix, int rows, int columns);
int gf_invert_matrix(unsigned char *in, unsigned char *out, int size);
unsigned char gf_mul(unsigned char a, unsigned char b);
void ec_init_tables(int columns, int rows, unsigned char *matrix, unsigned char *tables);
void ec_encode_data(int length, int columns, int rows, unsigned char *tables, unsigned char **in, unsigned char **out);
"""
"""Of ISA-L's erasure_code.h and gf_vect_mul.h; these have not changed since its version 2.14."""

_PACKAGE = "pyeclib"
_SYSTEM = "libisal.so.2"
_TABLE_SIZE = 32


class IsaL:
    """The library.  All functions may be called by several threads at once, and release Python's lock.

    :param path: the file of the library, or its name for the loader.
    :raise OSError: there is no such library, or it lacks a function.
    """

    def __init__(self, path: str) -> None:
        self._ffi = FFI()
        self._ffi.cdef(_FUNCTIONS)
        library = self._ffi.dlopen(path)
        try:
            self._make_matrix = library.gf_gen_cauchy1_matrix
            self._invert = library.gf_invert_matrix
            self._multiply = library.gf_mul
            self._make_tables = library.ec_init_tables
            self._encode = library.ec_encode_data
        except AttributeError as problem:
            raise OSError(f"{path}: {problem}") from problem
        self._allocate = self._ffi.new_allocator(should_clear_after_alloc=False)

    def cauchy_matrix(self, data: int, parity: int) -> list[bytes]:
        """Return the rows of the Cauchy matrix: those of the identity, then one for each parity column."""
        rows = data + parity
        matrix = self._ffi.new("unsigned char[]", rows * data)
        self._make_matrix(matrix, rows, data)
        return self._rows(matrix, rows, data)

    def inverse(self, rows: Sequence[bytes]) -> list[bytes]:
        """Return the rows of the inverse of a square matrix over GF(2^8), polynomial 0x11d.

        :raise ValueError: the matrix has no inverse.
        """
        size = len(rows)
        given = self._ffi.new("unsigned char[]", b"".join(rows))
        inverse = self._ffi.new("unsigned char[]", size * size)
        if self._invert(given, inverse, size):
            raise ValueError("a matrix that has no inverse")
        return self._rows(inverse, size, size)

    def product(self, row: bytes, matrix: Sequence[bytes]) -> bytes:
        """Return the product of a row and a matrix over GF(2^8)."""
        out = bytearray(len(matrix[0]))
        for factor, line in zip(row, matrix, strict=True):
            if factor:
                for index, value in enumerate(line):
                    out[index] ^= self._multiply(factor, value)
        return bytes(out)

    def _rows(self, matrix: Any, rows: int, columns: int) -> list[bytes]:
        return [bytes(self._ffi.buffer(matrix + row * columns, columns)) for row in range(rows)]

    def sums(self, rows: Sequence[bytes]) -> ColumnSums:
        """Prepare sums of columns.

        :param rows: for each sum, the factors of the columns.
        """
        tables = self._ffi.new("unsigned char[]", _TABLE_SIZE * sum(map(len, rows)))
        self._make_tables(len(rows[0]), len(rows), b"".join(rows), tables)
        return ColumnSums(self._ffi, self._allocate, self._encode, tables, len(rows[0]), len(rows))


_ZEROS = bytes(64 * 1024)


class ColumnSums:
    """Computes sums of columns over GF(2^8); made by `IsaL.sums`."""

    def __init__(self, ffi: Any, allocate: Any, encode: Any, tables: Any, columns: int, rows: int) -> None:
        self._encode = encode
        self._tables = tables
        self._columns = columns
        self._rows = rows
        self._allocate = allocate
        self._address = ffi.from_buffer
        self._buffer = ffi.buffer
        self._new = ffi.new
        self._bytes = ffi.typeof("unsigned char[]")
        self._pointers = ffi.typeof("unsigned char *[]")

    def compute(self, columns: Sequence[Sequence[Piece]], length: int) -> list[memoryview]:
        """Compute all sums.

        :param columns: each in pieces; one that is shorter than `length` counts as padded with zeros.
        :return: the sums, each of `length` bytes.
        """
        rows = range(self._rows)
        sums = self._allocate(self._bytes, length * self._rows)
        outs = [sums + length * row for row in rows]
        if all(len(pieces) == 1 and len(pieces[0]) == length for pieces in columns):
            self._step(length, [self._address(pieces[0]) for pieces in columns], outs)
        else:
            self._walk(columns, length, outs)
        whole = memoryview(self._buffer(sums))
        return [whole[length * row : length * (row + 1)] for row in rows]

    def _walk(self, columns: Sequence[Sequence[Piece]], length: int, outs: Sequence[Any]) -> None:
        """Compute the sums in steps in which each column lies in one piece."""
        address, zeros = self._address, self._address(_ZEROS)
        queues = [[zeros, *(address(piece) for piece in reversed(pieces) if piece)] for pieces in columns]
        offsets = [0] * len(queues)
        done = 0
        while done < length:
            left = [len(queue[-1]) - offset for queue, offset in zip(queues, offsets, strict=True)]
            step = min(length - done, *left)
            sources = [queue[-1] + offset for queue, offset in zip(queues, offsets, strict=True)]
            self._step(step, sources, [out + done for out in outs])
            done += step
            for index, queue in enumerate(queues):
                offsets[index] += step
                if step == left[index]:
                    offsets[index] = 0
                    if len(queue) > 1:  # the zeros stay: there may be need of more than there are
                        queue.pop()

    def _step(self, length: int, sources: Sequence[Any], outs: Sequence[Any]) -> None:
        sums, columns = self._new(self._pointers, outs), self._new(self._pointers, sources)
        self._encode(length, self._columns, self._rows, self._tables, columns, sums)


@cache
def find_isal() -> IsaL | None:
    """Return the library, or None if there is none here."""
    try:
        bundled = [file for file in files(_PACKAGE) or () if file.name.startswith("libisal")]
    except PackageNotFoundError:
        bundled = []
    for path in (*(str(file.locate()) for file in bundled), _SYSTEM):
        try:
            return IsaL(path)
        except OSError:
            continue
    return None
