"""The image of a snapshot: the same state in a form that is read much faster.  Everything here blocks.

An image is a cache.  It is used only if it is whole and was made from exactly the bytes of the snapshot beside it;
otherwise the snapshot is read.  The format is described in docs/journal-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator

import attrs
from google_crc32c import extend

from splitd.catalog.journal.names import image_name, list_folder, snapshot_name
from storaged.system.filesystem import new_file
from storaged.system.interfaces import IFile, IFilesystem

VERSION = 3
"""The version of the format.  It changes with the frames, and with the effects of the records that they stand for."""

_HEAD = re.compile(rb"\Asplitd-image ([0-9]+) ([0-9]+) ([0-9]+) ([0-9a-f]{8})\n")
_LONGEST_HEAD = 100
_BLOCK = 1024 * 1024
_SYNC_EVERY = 8 * 1024 * 1024


class ImageUnusable(ValueError):
    """The image cannot be used; the message says why.  The snapshot is read instead."""


@attrs.frozen
class Digest:
    """What an image knows of its snapshot.

    :param size: its bytes.
    :param crc: the CRC32C of all of them.
    """

    size: int = 0
    crc: int = 0

    def over(self, pieces: Iterable[bytes]) -> Digest:
        """Return the digest of the bytes so far and these."""
        size, crc = self.size, self.crc
        for piece in pieces:
            size, crc = size + len(piece), extend(crc, piece)
        return Digest(size, crc)


def write_image(filesystem: IFilesystem, folder: str, upcoming: int, snapshot: Digest, frames: Iterable[bytes]) -> None:
    """Write the image of a snapshot, which afterwards exists whole and durable, or not at all.

    :param upcoming: the number in the snapshot's name.
    :param snapshot: the digest of the snapshot.
    :param frames: what a reader gets back, frame by frame; none is empty.
    :raise OSError: it could not be written.
    """
    with new_file(filesystem, folder, f"{folder}/{image_name(upcoming)}") as file:
        head = b"splitd-image %d %d %d %08x\n" % (VERSION, upcoming, snapshot.size, snapshot.crc)
        file.write([head])
        crc = extend(0, head)
        since_sync = 0
        for frame in _ended(frames):
            length = len(frame).to_bytes(4, "big")
            crc = extend(extend(crc, length), frame)
            file.write([length, frame, crc.to_bytes(4, "big")])
            since_sync += len(frame)
            if since_sync >= _SYNC_EVERY:
                file.start_sync()
                since_sync = 0


def _ended(frames: Iterable[bytes]) -> Iterator[bytes]:
    yield from frames
    yield b""


class ImageReader:
    """Reads the image of the newest snapshot in a folder, and changes nothing.

    :ivar upcoming: the number in the snapshot's name; 0 if there is no snapshot, or `frames` has not begun.
    :ivar size: the bytes of the snapshot.
    """

    def __init__(self, filesystem: IFilesystem, folder: str) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self.upcoming = 0
        self.size = 0

    def frames(self) -> Generator[bytes, None, None]:
        """Iterate over the frames; none if there is no snapshot.  They are all good only if the last one was reached.

        :raise ImageUnusable: there is no image, it is damaged, or it is that of other bytes than the snapshot has now.
        :raise OSError: a file cannot be read.
        """
        upcoming = list_folder(self._filesystem, self._folder).snapshot
        if upcoming is None:
            return
        try:
            file = self._filesystem.open(f"{self._folder}/{image_name(upcoming)}", "read")
        except FileNotFoundError:
            raise ImageUnusable("there is none") from None
        try:
            yield from self._frames(file, upcoming)
        finally:
            file.close()

    def _frames(self, file: IFile, upcoming: int) -> Iterator[bytes]:
        size = file.size
        match = _HEAD.match(file.read_at(0, _LONGEST_HEAD))
        if match is None:
            raise ImageUnusable("its first line is none of an image")
        version, made_for, made_from, checksum = int(match[1]), int(match[2]), int(match[3]), int(match[4], 16)
        if version != VERSION:
            raise ImageUnusable(f"its format has version {version}, only {VERSION} is known here")
        found = self._digest(upcoming)
        if (made_for, made_from, checksum) != (upcoming, found.size, found.crc):
            raise ImageUnusable("it was made from another snapshot")
        self.upcoming, self.size = upcoming, found.size
        crc, place = extend(0, match[0]), match.end()
        while True:
            length = file.read_at(place, 4)
            end = place + 4 + int.from_bytes(length, "big")
            if end + 4 > size:
                raise ImageUnusable(f"it ends in the frame at byte {place}")
            frame = file.read_at(place + 4, end - place - 4)
            crc = extend(extend(crc, length), frame)
            if file.read_at(end, 4) != crc.to_bytes(4, "big"):
                raise ImageUnusable(f"the frame at byte {place} is damaged")
            place = end + 4
            if not frame:
                break
            yield frame
        if place != size:
            raise ImageUnusable(f"it goes on behind its end at byte {place}")

    def _digest(self, upcoming: int) -> Digest:
        file = self._filesystem.open(f"{self._folder}/{snapshot_name(upcoming)}", "read")
        try:
            size = file.size
            return Digest().over(file.read_at(place, min(_BLOCK, size - place)) for place in range(0, size, _BLOCK))
        finally:
            file.close()
