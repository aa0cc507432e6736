"""A real file system that can be made to hang, to be full, or to fail."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from storaged.system.interfaces import IFile
from storaged.system.volume import Volume
from tests.contract.filesystems import PassingFile, PassingFilesystem

_READABLE = 64 * 1024


class HarmedFilesystem(PassingFilesystem):
    """Works until a test damages it, and counts the bytes that go through it.

    :ivar waiting: how many calls are blocked.
    :ivar room: bytes that may still be written before it is full; None for no limit.
    :ivar size: the capacity that it reports; None for the real size.
    :ivar fails_sync: whether every sync of a file fails.
    :ivar unreadable: names of files of which the disk cannot read the bytes behind the first 64 KiB.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.bytes_read = 0
        self.bytes_written = 0
        self.syncs = 0
        self.room: int | None = None
        self.size: int | None = None
        self.fails_sync = False
        self.unreadable: set[str] = set()
        self._may_go = {call: threading.Event() for call in ("open", "read", "write")}
        self._lock = threading.Lock()
        self.release()

    def hold(self, *calls: str) -> None:
        """Block these calls, or all calls if none is named, until `release`."""
        for call in calls or self._may_go:
            self._may_go[call].clear()

    def release(self) -> None:
        for event in self._may_go.values():
            event.set()

    def wait_for(self, call: str) -> None:
        with self._lock:
            self.waiting += 1
        self._may_go[call].wait()
        with self._lock:
            self.waiting -= 1

    def open(self, path: str, mode: str) -> IFile:
        self.wait_for("open")
        return _HarmedFile(super().open(path, mode), self, Path(path).name)

    def volume(self, path: str) -> Volume:
        if self.size is not None:
            used = sum(size for file in Path(path).rglob("*") if (size := _size(file)))
            return Volume(self.size, max(0, self.size - used))
        volume = super().volume(path)
        return volume if self.room is None else Volume(volume.capacity, self.room)

    def take(self, count: int) -> int:
        """Return for how many of `count` bytes there is room."""
        with self._lock:
            taken = count if self.room is None else min(count, self.room)
            self.bytes_written += taken
            if self.room is not None:
                self.room -= taken
            return taken

    def note_sync(self) -> None:
        with self._lock:
            self.syncs += 1

    def note_read(self, count: int) -> None:
        with self._lock:
            self.bytes_read += count


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0  # deleted after the folder was read


class _HarmedFile(PassingFile):
    def __init__(self, file: IFile, filesystem: HarmedFilesystem, name: str) -> None:
        super().__init__(file)
        self._filesystem = filesystem
        self._name = name

    def write(self, pieces: Iterable[bytes]) -> None:
        self._filesystem.wait_for("write")
        data = b"".join(pieces)
        taken = self._filesystem.take(len(data))
        super().write([data[:taken]])
        if taken < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._filesystem.wait_for("write")
        data = b"".join(pieces)
        more = max(0, offset + len(data) - self.size)
        lacking = more - self._filesystem.take(more)
        super().write_at(offset, [data[: len(data) - lacking]])
        if lacking:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read_at(self, offset: int, count: int) -> bytes:
        self._filesystem.wait_for("read")
        if self._name in self._filesystem.unreadable and offset + count > _READABLE:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        data = super().read_at(offset, count)
        self._filesystem.note_read(len(data))
        return data

    def sync(self) -> None:
        if self._filesystem.fails_sync:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync()
        self._filesystem.note_sync()
