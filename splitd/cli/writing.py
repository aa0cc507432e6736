"""Files that are there whole, old or new, at every instant and after a power cut."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_text(path: Path) -> str:
    """The text of a file, with the ends of its lines as they are.

    :raise FileNotFoundError: there is none.
    :raise ValueError: it is not UTF-8.
    """
    return path.read_bytes().decode()


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Put a text in place of a file's, or make the file.

    :param mode: the file's, less the umask.
    """
    _write(path, text, mode, None)


def replace_file(path: Path, text: str, like: Path | None = None) -> None:
    """Put a text in place of a file's; its mode and owner stay.

    :param like: the file whose mode and owner it gets instead; with it, the file need not be there yet.
    :raise OSError: the file is as it was.  EBUSY: it is a mount point, as a single file in a container is.
    """
    _write(path, text, 0o600, (like or path).stat())


def _write(path: Path, text: str, mode: int, like: os.stat_result | None) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            if like is not None:
                # In this order: what belongs to somebody else cannot be changed so easily.
                os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
