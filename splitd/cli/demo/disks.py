"""Reads the disks of a cluster: parts, half-written parts, and the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from splitd.model.records import PartsGone, Record, UploadStarted, decode_line
from storaged.parts.decoding import check_part
from storaged.parts.errors import BadPart
from storaged.parts.format import HEADER_SIZE, decode_header, parse_part_id, payload_size


@attrs.frozen
class NodeDisk:
    """The folder of a storage server.

    :param data: its `data` setting.
    """

    node_id: str
    data: Path

    def parts(self, upload: str = "") -> list[Path]:
        """Return the files of complete parts: those of one upload, or all."""
        return sorted(self.data.glob(f"parts/{upload[:2]}*/{upload}*"))

    def half_written(self) -> list[Path]:
        """Return the files of parts that are being written."""
        return list(self.data.glob("tmp/*"))


def payload_of(part: Path) -> int:
    """Return how many bytes of the file a part holds, without header, checksums and footer.

    :raise BadPart: it is not a part.
    """
    with part.open("rb") as file:
        header = decode_header(file.read(HEADER_SIZE))
    return payload_size(part.stat().st_size, header.unit)


def index_of(part: Path) -> int:
    """Return which part of its file it is, from 0; data parts come before parity parts."""
    return int(part.suffix[1:])


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; 0 if it no longer exists."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def flip_byte(path: Path, offset: int) -> None:
    """Change one byte of a file; a second call restores it."""
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        good = file.read(1)
        file.seek(offset)
        file.write(bytes([good[0] ^ 0xFF]))


@contextmanager
def flipped_byte(path: Path, offset: int) -> Iterator[None]:
    """Change one byte of a file; at the end of the block it is restored."""
    flip_byte(path, offset)
    try:
        yield
    finally:
        flip_byte(path, offset)


HEALED_S = 60.0
"""How long the tour waits until missing or damaged parts are rebuilt, in seconds."""


def count_whole(disks: Sequence[NodeDisk], upload: str) -> int:
    """Count the parts of an upload that have the right bytes on the disks."""
    return sum(is_whole(part) for disk in disks for part in disk.parts(upload))


def is_whole(part: Path) -> bool:
    """Return whether the file of a part has the right bytes; False if it is gone."""
    try:
        check_part(parse_part_id(part.name), part.read_bytes())
    except (OSError, BadPart):
        return False
    return True


@attrs.frozen
class LiveJournal:
    """A journal that is read while the front writes it.

    :param folder: the folder of its segments.
    """

    folder: Path

    def last_upload_of(self, path: str) -> str:
        """Return the id of the last upload that was started for a path; empty if there was none."""
        found = ""
        for _, record in self._records():
            if isinstance(record, UploadStarted) and record.path == path:
                found = record.upload
        return found

    def records_of(self, upload: str) -> list[tuple[str, str]]:
        """Return the lines about an upload, in order, each with the type of its record."""
        return [
            (line, str(record.__struct_config__.tag))
            for line, record in self._records()
            if getattr(record, "upload", None) == upload
            or (isinstance(record, PartsGone) and any(part.startswith(f"{upload}.") for part in record.parts))
        ]

    def _records(self) -> Iterator[tuple[str, Record]]:
        for path in sorted(self.folder.glob("journal-*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:  # the front may be writing the last one
                yield line.decode(), decode_line(line).record
