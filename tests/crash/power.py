"""A disk in memory that records all operations; `cuts` tells what a power cut would have left of it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from zope.interface import implementer

from storaged.system.interfaces import IFile, IFilesystem
from storaged.system.volume import Volume
from tests.crash.operations import (
    Event,
    FolderMade,
    FolderSynced,
    Image,
    Inode,
    Named,
    Note,
    Synced,
    Truncated,
    Wrote,
    carry_out,
)


@implementer(IFile)
class _File:
    def __init__(self, disk: PowerDisk, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode

    def write(self, pieces: Iterable[bytes]) -> None:
        self._write(None, b"".join(pieces))

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._write(offset, b"".join(pieces))

    def _write(self, offset: int | None, data: bytes) -> None:
        with self._disk.calling("write") as fault:
            present = self._inode.data
            start = len(present) if offset is None else offset
            if fault == errno.ENOSPC:
                data = data[: len(data) // 2]
            if fault != errno.EIO and data:
                change = Wrote(self._inode, start, data)
                self._disk.log.append(change)
                carry_out(present, change)

    def read_at(self, offset: int, count: int) -> bytes:
        with self._disk.lock:
            return bytes(self._inode.data[offset : offset + count])

    def read_cached(self, offset: int, count: int) -> bytes | None:
        return self.read_at(offset, count)

    def sync(self) -> None:
        with self._disk.calling("sync") as fault:
            self._disk.log.append(Synced(self._inode, not fault))

    def start_sync(self) -> None:
        pass

    def uncache(self, offset: int, count: int) -> None:
        pass

    def truncate(self, size: int) -> None:
        with self._disk.calling("truncate") as fault:
            if not fault:
                self._disk.log.append(Truncated(self._inode, size))
                del self._inode.data[size:]

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass

    @property
    def size(self) -> int:
        return len(self._inode.data)

    @property
    def modified_ms(self) -> int:
        return 0


class _Calling:
    """One call: it holds the disk's lock, is counted, and fails if the test wants it to."""

    def __init__(self, disk: PowerDisk, call: str) -> None:
        self._disk = disk
        self._call = call
        self._fault: int | None = None

    def __enter__(self) -> int | None:
        self._disk.lock.acquire()
        self._fault = self._disk.fault(self._disk.calls, self._call)
        self._disk.calls += 1
        return self._fault

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._disk.lock.release()
        if self._fault and kind is None:
            raise OSError(self._fault, os.strerror(self._fault))


@implementer(IFilesystem)
class PowerDisk:
    """The disk.

    :param image: its contents at first.
    :ivar log: all operations, in order.
    :ivar fault: returns how a call, given by its number and name, must fail: an error number, or None if it must
        succeed.
    :ivar calls: how many calls that change something were made.
    """

    def __init__(self, image: Image | None = None) -> None:
        self.folders = {
            path: {name: Inode(data) for name, data in files.items()} for path, files in (image or {}).items()
        }
        self.log: list[Event] = []
        self.lock = threading.Lock()
        self.fault: Callable[[int, str], int | None] = lambda _, __: None
        self.calls = 0

    def calling(self, call: str) -> _Calling:
        return _Calling(self, call)

    def note(self, result: Any) -> None:
        with self.lock:
            self.log.append(Note(result))

    def _find(self, path: str) -> tuple[dict[str, Inode], str, str]:
        place = PurePosixPath(path)
        files = self.folders.get(str(place.parent))
        if files is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return files, str(place.parent), place.name

    def open(self, path: str, mode: str) -> IFile:
        if mode != "read":
            return self._open_to_write(path, mode)
        with self.lock:
            files, _, name = self._find(path)
            if name not in files:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            return _File(self, files[name])

    def _open_to_write(self, path: str, mode: str) -> IFile:
        with self.calling(f"open-{mode}") as fault:
            files, folder, name = self._find(path)
            if name in files and mode == "create":
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            if name not in files and mode != "update" and not fault:
                files[name] = Inode()
                self.log.append(Named(folder, name, files[name]))
            inode = files.get(name)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return _File(self, inode)

    def rename(self, source: str, target: str) -> None:
        with self.calling("rename") as fault:
            files, folder, name = self._find(source)
            others, other_folder, new_name = self._find(target)
            if name not in files:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
            if fault:
                return
            inode = others[new_name] = files.pop(name)
            if folder == other_folder:
                self.log.append(Named(folder, new_name, inode, old=name))
            else:
                new = Named(other_folder, new_name, inode)
                self.log += [new, Named(folder, name, None, needs=new)]

    def remove(self, path: str) -> None:
        with self.calling("remove") as fault:
            files, folder, name = self._find(path)
            if name not in files:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            if not fault:
                del files[name]
                self.log.append(Named(folder, name, None))

    def sync_folder(self, path: str) -> None:
        with self.calling("sync_folder") as fault:
            if path not in self.folders:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            if not fault:
                self.log.append(FolderSynced(path))

    def make_folder(self, path: str) -> None:
        with self.lock:
            for folder in (path, *map(str, PurePosixPath(path).parents)):
                if folder not in self.folders:
                    self.folders[folder] = {}
                    self.log.append(FolderMade(folder))

    def scan(self, path: str) -> list[tuple[str, int, int]]:
        with self.lock:
            if path not in self.folders:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            return [(name, len(inode.data), 0) for name, inode in self.folders[path].items()]

    def volume(self, _: str) -> Volume:
        return Volume(2**40, 2**40)


def visible(disk: PowerDisk) -> Image:
    """Return what a restarted process sees if the power was not cut."""
    return {
        folder: {name: bytes(inode.data) for name, inode in files.items()} for folder, files in disk.folders.items()
    }
