"""The real file system: the `IFilesystem` of every program that is not a test."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path

from zope.interface import implementer

from storaged.system.interfaces import IFile, IFilesystem
from storaged.system.volume import Volume

WRITEV_PIECES = 1024
"""IOV_MAX of Linux: the most pieces one writev takes."""

UNFINISHED = ".new"
"""Stands behind the name of a file that is being written."""

_FLAGS = {
    "read": os.O_RDONLY,
    "append": os.O_RDWR | os.O_APPEND | os.O_CREAT,
    "create": os.O_RDWR | os.O_CREAT | os.O_EXCL,
}
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def write_all(writev: Callable[[Sequence[bytes | memoryview]], int], pieces: Iterable[bytes]) -> None:
    """Write all pieces in order, however few bytes each call takes, without joining them.

    :param writev: takes at most `WRITEV_PIECES` pieces; returns how many of their bytes it has written.
    :raise OSError: what `writev` raised, or it writes nothing any more.
    """
    waiting: deque[bytes | memoryview] = deque(piece for piece in pieces if piece)
    while waiting:
        written = writev(list(islice(waiting, WRITEV_PIECES)))
        if not written:
            raise OSError(errno.EIO, "a write that wrote nothing")
        while written:
            piece = waiting.popleft()
            if len(piece) > written:
                waiting.appendleft(memoryview(piece)[written:])
            written = max(0, written - len(piece))


@implementer(IFile)
class OSFile:
    """A file by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sync_started = 0

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append the pieces, all of them."""
        write_all(lambda batch: os.writev(self._descriptor, batch), pieces)

    def read_at(self, offset: int, count: int) -> bytes:
        """Read `count` bytes from `offset`; fewer only at the end of the file."""
        data = os.pread(self._descriptor, count, offset)
        while len(data) < count and (more := os.pread(self._descriptor, count - len(data), offset + len(data))):
            data += more
        return data

    def sync(self) -> None:
        """Make the file's bytes and its size survive a power cut."""
        os.fdatasync(self._descriptor)

    def start_sync(self) -> None:
        """Have the kernel begin to write out what was written since the last call; it is not waited for."""
        start, self._sync_started = self._sync_started, self.size
        if _sync_file_range is not None and self._sync_started > start:
            # Its result is of no use: where it fails, `sync` still does all the work and says what is wrong.
            _sync_file_range(self._descriptor, start, self._sync_started - start, _SYNC_FILE_RANGE_WRITE)

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(self._descriptor, size)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close the file.  May be called again."""
        # Forgotten first: after a close that failed the number may already be another file's.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def size(self) -> int:
        """The bytes in the file."""
        return os.fstat(self._descriptor).st_size

    @property
    def modified_ms(self) -> int:
        """When it was last written, milliseconds since 1970."""
        return _milliseconds(os.fstat(self._descriptor))


@implementer(IFilesystem)
class OSFilesystem:
    """The operating system's calls."""

    def open(self, path: str, mode: str) -> OSFile:
        """Open a file; `mode` as in `IFilesystem.open`."""
        return OSFile(os.open(path, _FLAGS[mode] | os.O_CLOEXEC, 0o600))

    def rename(self, source: str, target: str) -> None:
        """Move a file over `target`."""
        Path(source).rename(target)

    def remove(self, path: str) -> None:
        """Delete a file."""
        Path(path).unlink()

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder survive a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, path: str) -> None:
        """Make a folder and the missing ones above it, durably."""
        missing: list[Path] = []
        for folder in (Path(path), *Path(path).parents):
            if folder.is_dir():
                break
            missing.append(folder)
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            try:
                self.sync_folder(str(folder.parent))
            except OSError:
                with suppress(OSError):  # another try would take it for durable
                    folder.rmdir()
                raise

    def scan(self, path: str) -> list[tuple[str, int, int]]:
        """List the files in a folder: name, size in bytes, modified_ms."""
        found = []
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    if entry.is_file(follow_symlinks=False):
                        stat = entry.stat(follow_symlinks=False)
                        found.append((entry.name, stat.st_size, _milliseconds(stat)))
                except FileNotFoundError:
                    continue  # deleted since the folder was read: not in it any more
        return found

    def volume(self, path: str) -> Volume:
        """The volume that a path lies on."""
        stat = os.statvfs(path)
        device = os.stat(path).st_dev  # noqa: PTH116
        return Volume(stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize, _volume_id(device))


def _volume_id(device: int) -> str:
    """The id of a file system: a device number means the same in all containers of a machine, and elsewhere nothing."""
    boot = _boot_id()
    return sha256(f"{boot} {device}".encode()).hexdigest()[:16] if boot else ""


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _milliseconds(stat: os.stat_result) -> int:
    return stat.st_mtime_ns // 1_000_000


@contextmanager
def new_file(filesystem: IFilesystem, folder: str, path: str) -> Iterator[IFile]:
    """A file to be written, that is at `path` whole and durable at the end, or not at all.

    Until then it is there with `UNFINISHED` behind its name.  A process that ends in the middle leaves that file, and
    so may one whose disk fails; the next try replaces it.

    :param folder: where `path` lies; it belongs to this program alone, and one file is written at a time under a name.
    """
    unfinished = path + UNFINISHED
    try:
        file = filesystem.open(unfinished, "create")
    except FileExistsError:
        filesystem.remove(unfinished)
        file = filesystem.open(unfinished, "create")
    try:
        try:
            yield file
            file.sync()
        finally:
            file.close()
        filesystem.rename(unfinished, path)
    except BaseException:
        with suppress(OSError):  # what is wrong is told already, and a start removes what is left
            filesystem.remove(unfinished)
        raise
    filesystem.sync_folder(folder)


class FolderTaken(OSError):
    """Another process holds the folder's lock."""


class FolderLock:
    """Keeps a folder to one process, by a lock on the file `lock` in it.

    The system gives it up when the process ends, however it ends; so the file may stay.

    :param folder: the folder's path; it must be there when the lock is acquired.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the folder, or fail at once.

        :raise FolderTaken: it is taken; the message names the folder and the process.
        """
        descriptor = os.open(f"{self._folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BlockingIOError as problem:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise FolderTaken(f"{self._folder} is in use by process {holder or '(unknown)'}") from problem
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the folder up.  May be called again, and before `acquire`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
