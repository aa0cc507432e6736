"""The real file system: `IFilesystem` by calls of the operating system."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from zope.interface import implementer

from storaged.system.buffers import Piece
from storaged.system.interfaces import IFile, IFilesystem
from storaged.system.volume import Volume

WRITEV_PIECES = 1024
"""IOV_MAX of Linux: the most pieces that one writev takes."""

UNFINISHED = ".new"
"""The suffix of a file that is being written."""

_FLAGS = {
    "read": os.O_RDONLY,
    "append": os.O_RDWR | os.O_APPEND | os.O_CREAT,
    "create": os.O_RDWR | os.O_CREAT | os.O_EXCL,
    "update": os.O_RDWR,
}
_AT_ONCE: int | None = getattr(os, "RWF_NOWAIT", None)  # Linux only
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def write_all(writev: Callable[[Sequence[Piece]], int], pieces: Iterable[Piece]) -> None:
    """Write all pieces in order, however few bytes each call takes, without joining them.

    :param writev: takes at most `WRITEV_PIECES` pieces; returns how many of their bytes it has written.
    :raise OSError: `writev` raised it, or wrote nothing.
    """
    waiting = [piece for piece in pieces if piece]
    while waiting:
        batch = waiting[:WRITEV_PIECES]
        written = writev(batch)
        if not written:
            raise OSError(errno.EIO, "a write that wrote nothing")
        if written == sum(map(len, batch)):  # as nearly always
            del waiting[:WRITEV_PIECES]
        else:
            waiting = _without(waiting, written)


def _without(pieces: Sequence[Piece], written: int) -> list[Piece]:
    """Return pieces, which have more bytes than that, without their first `written` bytes."""
    number = 0
    while written >= len(pieces[number]):
        written -= len(pieces[number])
        number += 1
    return [memoryview(pieces[number])[written:], *pieces[number + 1 :]]


@implementer(IFile)
class OSFile:
    """A file by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sync_started = 0

    def write(self, pieces: Iterable[Piece]) -> None:
        """Append all the pieces."""
        write_all(lambda batch: os.writev(self._descriptor, batch), pieces)

    def write_at(self, offset: int, pieces: Sequence[Piece]) -> None:
        """Write all the pieces from `offset` on."""

        def writev(batch: Sequence[Piece]) -> int:
            nonlocal offset
            written = os.pwritev(self._descriptor, batch, offset)
            offset += written
            return written

        write_all(writev, pieces)

    def read_at(self, offset: int, count: int) -> bytes:
        """Read `count` bytes from `offset`; fewer only at the end of the file."""
        data = os.pread(self._descriptor, count, offset)
        while len(data) < count and (more := os.pread(self._descriptor, count - len(data), offset + len(data))):
            data += more
        return data

    def read_cached(self, offset: int, count: int) -> bytes | None:
        """Read `count` bytes from `offset` if all of them are in the page cache; None if not."""
        if _AT_ONCE is None:
            return None
        buffer = bytearray(count)
        try:
            got = os.preadv(self._descriptor, [buffer], offset, _AT_ONCE)
        except OSError:  # not in the page cache, or a file system that cannot tell
            return None
        return bytes(buffer) if got == count else None

    def sync(self) -> None:
        """Make the file's bytes and its size durable."""
        os.fdatasync(self._descriptor)

    def start_sync(self) -> None:
        """Ask the kernel to begin to write the bytes since the last call to the disk, and do not wait for it."""
        start, self._sync_started = self._sync_started, self.size
        if _sync_file_range is not None and self._sync_started > start:
            # Its result does not matter: if it fails, `sync` still does all the work, and reports an error.
            _sync_file_range(self._descriptor, start, self._sync_started - start, _SYNC_FILE_RANGE_WRITE)

    def uncache(self, offset: int, count: int) -> None:
        """Tell the kernel that these bytes need not stay in its page cache.  Bytes that are not synced yet stay."""
        with suppress(OSError):  # advice that a file system does not know
            os.posix_fadvise(self._descriptor, offset, count, os.POSIX_FADV_DONTNEED)

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(self._descriptor, size)

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close the file.  May be called again."""
        # Forget the descriptor first: after a failed close its number may already belong to a different file.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
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
        """Rename a file to `target`, which is replaced."""
        Path(source).rename(target)

    def remove(self, path: str) -> None:
        """Delete a file."""
        Path(path).unlink()

    def sync_folder(self, path: str) -> None:
        """Make all changes of names in a folder durable."""
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
                with suppress(OSError):  # a later try would take the folder for durable
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
                    continue  # deleted since the folder was read
        return found

    def volume(self, path: str) -> Volume:
        """Return the volume that a path lies on."""
        stat = os.statvfs(path)
        device = os.stat(path).st_dev  # noqa: PTH116
        return Volume(stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize, _volume_id(device))


def _volume_id(device: int) -> str:
    """Return the id of a file system.  A device number is the same in all containers of a machine, but means nothing on
    another machine, or after a restart.
    """
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
    """Open a file for writing; at the end of the `with` block it is whole and durable at `path`, or not there at all.

    Until then its name has the suffix `UNFINISHED`.  That file may be left if the process is killed or the disk fails;
    the next try replaces it.

    :param folder: the folder of `path`.  Only this program may use it, and only one file of a name may be written at a
        time.
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
        with suppress(OSError):  # the first error is raised, and a start removes the rest
            filesystem.remove(unfinished)
        raise
    filesystem.sync_folder(folder)


class FolderTaken(OSError):
    """Another process holds the folder's lock."""


class FolderLock:
    """Reserves a folder for one process, by a lock on the file `lock` in it.

    The system releases the lock when the process ends, however it ends; so the file may stay.

    :param folder: the folder's path; the folder must exist when the lock is acquired.
    :param holder: what this process is, for those that are refused meanwhile; empty for nothing but its number.
    """

    def __init__(self, folder: str, holder: str = "") -> None:
        self._folder = folder
        self._holder = f" ({holder})" if holder else ""
        self._descriptor = -1

    def acquire(self) -> None:
        """Acquire the lock, or fail at once.

        :raise FolderTaken: another process holds the lock; the message names the folder and the process.
        """
        descriptor = os.open(f"{self._folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}{self._holder}\n".encode(), 0)
        except BlockingIOError as problem:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise FolderTaken(f"{self._folder} is in use by process {holder or '(unknown)'}") from problem
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock.  May be called again, and before `acquire`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
