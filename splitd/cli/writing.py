"""Writes files so that, at every instant and after a power cut, they are there completely: the old version or the new
one.

A new file is written under a temporary name in its own folder, and then renamed.  The temporary name is random, and the
file is created exclusively, so no file of another program is ever opened, followed or removed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_CONTINUED = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def resolved(path: Path) -> Path:
    """Resolve symbolic links, so that a file is replaced and not the link."""
    return path.resolve()


def read_text(path: Path) -> str:
    """Return the text of a file, with its line ends as they are.

    :raise FileNotFoundError: the file does not exist.
    :raise ValueError: the file is not UTF-8.
    """
    return path.read_bytes().decode()


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Keep other commands away from the files of a folder.  The lock is on the folder, because files are replaced.

    :raise OSError: the folder cannot be opened.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text to a file, which is replaced or created.

    :param mode: the file's permissions, before the umask is applied.
    :raise OSError: the file could not be written; it is unchanged.
    """
    with whole_file(path, mode=mode) as file:
        file.write(text.encode())


def replace_file(path: Path, text: str, like: Path | None = None) -> None:
    """Replace the text of a file; its permissions and owner stay.

    :param like: a file whose permissions and owner are used instead; `path` may then be missing.
    :raise OSError: the file could not be replaced; it is unchanged.  EBUSY: it is a mount point, as a single file in a
        container is.
    """
    model = (like or path).stat()
    with whole_file(path, mode=0o600) as file:
        # The order matters: the permissions of a file that another user owns cannot be changed without privileges.
        os.fchmod(file.fileno(), stat.S_IMODE(model.st_mode))
        os.fchown(file.fileno(), model.st_uid, model.st_gid)
        file.write(text.encode())


@contextmanager
def whole_file(path: Path, *, mode: int = 0o666, replace: bool = True) -> Iterator[IO[bytes]]:
    """Write a file that gets its name at the end of the block, synced; if the block raises, nothing is left behind.

    :param mode: the file's permissions, before the umask is applied.
    :param replace: whether a file of this name is replaced.
    :raise FileExistsError: something has this name and `replace` is false.
    :raise OSError: the file could not be written or renamed; whatever has this name is unchanged.
    """
    # The name is short, whatever the target's name is: a name of 255 bytes leaves no room for a suffix.
    temporary = path.with_name(f".splitctl-{secrets.token_hex(8)}.tmp")
    handle = os.open(temporary, _EXCLUSIVE, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            _rename_to_new(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def continued_file(path: Path, version: str, size: int, *, replace: bool = True) -> Iterator[tuple[IO[bytes], int]]:
    """Write a file as `whole_file` does, but keep what was written if the block raises, for the next try.

    :param version: what is written; only a try with the same version goes on with what is there.
    :param size: the bytes of the whole file; a longer rest is not used.
    :return: the file, with its position at its end, and how many bytes are in it.
    :raise FileExistsError: something has this name and `replace` is false, or what has the temporary name is not a
        file of this user.
    :raise OSError: the file could not be written or renamed; whatever has this name is unchanged.
    """
    digest = hashlib.sha256(f"{path.name} {version}".encode("utf-8", "surrogateescape")).hexdigest()
    temporary = path.with_name(f".splitctl-{digest[:32]}.part")
    handle = os.open(temporary, _CONTINUED, 0o666)
    with os.fdopen(handle, "r+b") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
            raise FileExistsError(errno.EEXIST, f"{temporary.name} is not a file that splitctl made", str(temporary))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise OSError(problem.errno, "another splitctl fetches this file") from problem
        got = found.st_size if found.st_size <= size else 0
        file.truncate(got)
        file.seek(got)
        yield file, got
        file.flush()
        os.fsync(handle)
        if replace:
            temporary.replace(path)
        else:
            _rename_to_new(temporary, path)
    _sync_folder(path.parent)


def _rename_to_new(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # FAT and some network file systems have no hard links: there, a file that gets this name at this very moment is
        # replaced.
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists") from None
        temporary.rename(path)
    else:
        temporary.unlink()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
