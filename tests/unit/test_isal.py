"""The library of checksums and erasure codes: what it computes is what its definition says, and it may be missing."""

from __future__ import annotations

import pytest

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
