"""The library of erasure codes, and checksums: what it computes is what its definition says, and it may be missing."""

from __future__ import annotations

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.parts.checksums import extend, value
from storaged.system.isal import IsaL, find_isal


@pytest.fixture
def isal() -> IsaL:
    found = find_isal()
    assert found is not None
    return found


def test_a_matrix_times_its_inverse_is_the_identity(isal: IsaL) -> None:
    matrix = isal.cauchy_matrix(4, 4)
    assert matrix[:4] == [bytes(row == column for column in range(4)) for row in range(4)]
    inverse = isal.inverse(matrix[4:])
    assert [isal.product(row, inverse) for row in matrix[4:]] == matrix[:4]


def test_a_matrix_without_an_inverse_is_refused(isal: IsaL) -> None:
    with pytest.raises(ValueError, match="no inverse"):
        isal.inverse([bytes([1, 2]), bytes([1, 2])])


@pytest.mark.parametrize("path", ["no-such-library.so.9", "libc.so.6"])
def test_a_library_that_is_missing_or_another_one_is_refused(path: str) -> None:
    with pytest.raises(OSError, match=path):
        IsaL(path)


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 10))
def test_the_checksum_of_a_view_is_that_of_its_bytes(first: bytes, second: bytes, start: int) -> None:
    expected = google_crc32c.value(first[start:] + second)
    view = memoryview(first)[start:]
    assert extend(value(view), second) == expected
    assert extend(value(memoryview(bytearray(first))[start:]), second) == expected


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 - 1, 16 * 1024, 100_000])
def test_checksums_are_the_same_whichever_library_computes_them(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    expected = google_crc32c.extend(7, data[:size])
    assert extend(7, data[:size]) == extend(7, memoryview(data)[:size]) == expected
