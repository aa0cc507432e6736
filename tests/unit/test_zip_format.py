"""The records of ZIP archives, as Python's own reader finds them."""

from __future__ import annotations

import io
import zipfile
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.frontends.http.zip_format import (
    Entry,
    Length,
    central_header,
    descriptor,
    end_of_archive,
    local_header,
)

LARGE = 5 * 2**30


class Sparse(io.RawIOBase):
    """A file of which only some places hold bytes."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.size = self._at = 0

    def add(self, data: bytes) -> None:
        self.pieces.append((self.size, data))
        self.size += len(data)

    def skip(self, size: int) -> None:
        self.size += size

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self.size if size < 0 else min(self.size, self._at + size)
        found = bytearray(stop - self._at)
        for start, data in self.pieces:
            low, high = max(start, self._at), min(start + len(data), stop)
            if low < high:
                found[low - self._at : high - self._at] = data[low - start : high - start]
        self._at = stop
        return bytes(found)


def length_of(entries: list[Entry]) -> int:
    length = Length()
    for entry in entries:
        length.add(entry)
    return length.total()


def archive(entries: list[tuple[Entry, bytes]]) -> Sparse:
    """An archive; what is missing of an entry's bytes is a hole."""
    made, places = Sparse(), []
    for entry, data in entries:
        places.append(made.size)
        made.add(local_header(entry))
        made.add(data)
        made.skip(entry.size - len(data))
        made.add(descriptor(entry, crc32(data)))
    start = made.size
    for (entry, data), offset in zip(entries, places, strict=True):
        made.add(central_header(entry, crc32(data), offset))
    made.add(end_of_archive(len(entries), start, made.size - start))
    return made


_names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)


@given(st.lists(st.tuples(_names, st.binary(max_size=50), st.integers(-(10**13), 10**14)), unique_by=lambda e: e[0]))
def test_archives_are_read_as_they_were_made(files: list[tuple[str, bytes, int]]) -> None:
    entries = [(Entry(name.encode(), len(data), time_ms), data) for name, data, time_ms in files]
    made = archive(entries)
    assert made.size == length_of([entry for entry, _ in entries])
    with zipfile.ZipFile(made) as found:
        assert found.testzip() is None
        assert [(each.orig_filename, found.read(each)) for each in found.infolist()] == [
            (name, data) for name, data, _ in files
        ]


def test_a_time_and_the_kind_of_a_member_are_told() -> None:
    made = archive([(Entry(b"folder/", 0, 1_767_225_602_000), b""), (Entry(b"f", 1, 1_767_225_602_000), b"x")])
    with zipfile.ZipFile(made) as found:
        folder, file = found.infolist()
    assert folder.is_dir()
    assert file.date_time == (2026, 1, 1, 0, 0, 2)
    assert file.external_attr >> 16 == 0o100644


@pytest.mark.parametrize("small", [0, 1])
def test_members_and_archives_of_more_than_4_gib_have_the_fields_of_zip64(small: int) -> None:
    entries = [(Entry(b"small", 4, 0), b"data")] * small
    entries += [(Entry(b"large", LARGE, 0), b""), (Entry(b"behind", 4, 0), b"more"), (Entry(b"larger", LARGE, 0), b"")]
    made = archive(entries)
    assert made.size == length_of([entry for entry, _ in entries])
    with zipfile.ZipFile(made) as found:
        assert [each.file_size for each in found.infolist()] == [entry.size for entry, _ in entries]
        assert found.read("behind") == b"more"
        assert found.getinfo("behind").header_offset > 2**32


def test_an_archive_may_have_more_than_65535_members() -> None:
    entries = [(Entry(b"%d" % number, 0, 0), b"") for number in range(65_536)]
    start = sum(len(local_header(entry)) + len(descriptor(entry, 0)) for entry, _ in entries)
    directory = [central_header(entry, 0, 0) for entry, _ in entries]
    size = sum(map(len, directory))
    end = end_of_archive(len(entries), start, size)
    assert length_of([entry for entry, _ in entries]) == start + size + len(end)
    with zipfile.ZipFile(io.BytesIO(bytes(start) + b"".join(directory) + end)) as found:
        assert len(found.infolist()) == 65_536
