"""File systems that behave as a test needs; the files are real."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Sequence

from zope.interface import implementer

from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile, IFilesystem
from storaged.system.volume import Volume


@implementer(IFile)
class PassingFile:
    """Passes every call on to a real file."""

    def __init__(self, file: IFile) -> None:
        self._file = file

    def write(self, pieces: Iterable[bytes]) -> None:
        self._file.write(pieces)

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._file.write_at(offset, pieces)

    def fileno(self) -> int:
        return -1

    def read_at(self, offset: int, count: int) -> bytes:
        return self._file.read_at(offset, count)

    def read_cached(self, offset: int, count: int) -> bytes | None:  # noqa: ARG002 - it has no page cache
        return None

    def sync(self) -> None:
        self._file.sync()

    def start_sync(self) -> None:
        self._file.start_sync()

    def uncache(self, offset: int, count: int) -> None:
        self._file.uncache(offset, count)

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        return self._file.size

    @property
    def modified_ms(self) -> int:
        return self._file.modified_ms


@implementer(IFilesystem)
class PassingFilesystem:
    """Passes every call on to the real file system."""

    def __init__(self) -> None:
        self._filesystem = OSFilesystem()

    def open(self, path: str, mode: str) -> IFile:
        return self._filesystem.open(path, mode)

    def rename(self, source: str, target: str) -> None:
        self._filesystem.rename(source, target)

    def remove(self, path: str) -> None:
        self._filesystem.remove(path)

    def sync_folder(self, path: str) -> None:
        self._filesystem.sync_folder(path)

    def make_folder(self, path: str) -> None:
        self._filesystem.make_folder(path)

    def scan(self, path: str) -> list[tuple[str, int, int]]:
        return self._filesystem.scan(path)

    def volume(self, path: str) -> Volume:
        return self._filesystem.volume(path)


class CachingFilesystem(PassingFilesystem):
    """Has all bytes in its page cache, and tells how often they were read from there.

    :ivar cached: how often that was.
    :ivar read: how often bytes were read otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cached = self.read = 0

    def open(self, path: str, mode: str) -> IFile:
        return _CachedFile(super().open(path, mode), self)


class _CachedFile(PassingFile):
    def __init__(self, file: IFile, filesystem: CachingFilesystem) -> None:
        super().__init__(file)
        self._filesystem = filesystem

    def read_at(self, offset: int, count: int) -> bytes:
        self._filesystem.read += 1
        return super().read_at(offset, count)

    def read_cached(self, offset: int, count: int) -> bytes | None:
        data = super().read_at(offset, count)
        self._filesystem.cached += 1
        return data if len(data) == count else None


class SmallFilesystem(PassingFilesystem):
    """A small volume that knows what is on it, and can be full.  It must be empty at first.

    :ivar least_available: the least that was free at any time.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self.least_available = capacity
        self._used = 0
        self._lock = threading.Lock()

    def open(self, path: str, mode: str) -> IFile:
        return _SmallFile(super().open(path, mode), self)

    def remove(self, path: str) -> None:
        size = os.stat(path).st_size  # noqa: PTH116 - the seam speaks text
        super().remove(path)
        with self._lock:
            self._used -= size

    def volume(self, path: str) -> Volume:  # noqa: ARG002 - it is one volume
        return Volume(self._capacity, self._capacity - self._used)

    def take(self, count: int) -> int:
        """Return for how many of `count` bytes there is room; they are used from now on."""
        with self._lock:
            taken = min(count, self._capacity - self._used)
            self._used += taken
            self.least_available = min(self.least_available, self._capacity - self._used)
            return taken


class _SmallFile(PassingFile):
    def __init__(self, file: IFile, filesystem: SmallFilesystem) -> None:
        super().__init__(file)
        self._filesystem = filesystem

    def write(self, pieces: Iterable[bytes]) -> None:
        data = b"".join(pieces)
        taken = self._filesystem.take(len(data))
        super().write([data[:taken]])
        if taken < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        data = b"".join(pieces)
        more = max(0, offset + len(data) - self.size)
        lacking = more - self._filesystem.take(more)
        super().write_at(offset, [data[: len(data) - lacking]])
        if lacking:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class HeldFilesystem(PassingFilesystem):
    """Blocks some calls until `let_go` is set, and sets `waiting` when the first one blocks.

    :param held: names of the calls: "write", "read_at" or "rename".
    """

    def __init__(self, *held: str) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.waiting = threading.Event()
        self.closed = 0
        self._held = held

    def open(self, path: str, mode: str) -> IFile:
        return _HeldFile(super().open(path, mode), self)

    def rename(self, source: str, target: str) -> None:
        self.hold("rename")
        super().rename(source, target)

    def hold_from_now_on(self, *calls: str) -> None:
        """Block other calls."""
        self._held = calls

    def hold(self, call: str) -> None:
        if call in self._held:
            self.waiting.set()
            self.let_go.wait()


class _HeldFile(PassingFile):
    def __init__(self, file: IFile, filesystem: HeldFilesystem) -> None:
        super().__init__(file)
        self._filesystem = filesystem

    def write(self, pieces: Iterable[bytes]) -> None:
        self._filesystem.hold("write")
        super().write(pieces)

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._filesystem.hold("write")
        super().write_at(offset, pieces)

    def read_at(self, offset: int, count: int) -> bytes:
        self._filesystem.hold("read_at")
        return super().read_at(offset, count)

    def close(self) -> None:
        self._filesystem.closed += 1
        super().close()


class FailingFilesystem(PassingFilesystem):
    """Records its calls, and makes chosen ones fail with EIO each time."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: set[str] = set()
        self.calls: list[str] = []

    def note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open(self, path: str, mode: str) -> IFile:
        self.note(f"open-{mode}")
        return _FailingFile(super().open(path, mode), self)

    def rename(self, source: str, target: str) -> None:
        self.note("rename")
        super().rename(source, target)

    def remove(self, path: str) -> None:
        self.note("remove")
        super().remove(path)

    def sync_folder(self, path: str) -> None:
        self.note("sync_folder")
        super().sync_folder(path)

    def volume(self, path: str) -> Volume:
        self.note("volume")
        return super().volume(path)


class _FailingFile(PassingFile):
    def __init__(self, file: IFile, filesystem: FailingFilesystem) -> None:
        super().__init__(file)
        self._filesystem = filesystem

    def write(self, pieces: Iterable[bytes]) -> None:
        self._filesystem.note("write")
        super().write(pieces)

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._filesystem.note("write")
        super().write_at(offset, pieces)

    def read_at(self, offset: int, count: int) -> bytes:
        self._filesystem.note("read_at")
        return super().read_at(offset, count)

    def start_sync(self) -> None:
        self._filesystem.note("start_sync")
        super().start_sync()

    def sync(self) -> None:
        self._filesystem.note("sync")
        super().sync()

    def close(self) -> None:
        super().close()
        self._filesystem.note("close")
