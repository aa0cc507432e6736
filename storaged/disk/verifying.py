"""Reads whole parts from a disk, to find out whether every byte of them is right.  Everything here blocks."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from storaged.disk.folder import PartFolder
from storaged.parts.decoding import PartChecker
from storaged.parts.errors import BadPart, PartDamaged
from storaged.parts.format import PartId
from storaged.system.interfaces import IFilesystem
from storaged.system.os_errors import os_reason

PIECE = 256 * 1024
"""Bytes that are read and checked at once.  More would take the interpreter from the reactor for longer."""

_ROT = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ENODATA})
"""Errors by which a disk or a file system says that stored bytes are lost.  Others say nothing about the bytes."""


def rot_of(problem: OSError) -> str | None:
    """Return why stored bytes are lost, if an error of reading says that they are; otherwise None."""
    return os_reason(problem) if problem.errno in _ROT else None


def verify_file(parts: PartFolder, filesystem: IFilesystem, part: PartId) -> Iterator[int]:
    """Read a part that is not packed, piece by piece, and check every byte of it.

    The file is not kept open between two pieces: otherwise a part that is deleted meanwhile would still take its space.
    The bytes do not stay in the page cache.

    :return: yields the number of bytes of each piece, after it was checked.  It ends early if the part is deleted.
    :raise PartDamaged: the part is not whole, or a byte of it is wrong or cannot be read.
    :raise OSError: the part could not be read for a reason that says nothing about its bytes.
    """
    path = parts.place(part).path
    checker: PartChecker | None = None
    position, size = 0, -1
    try:
        while position != size:
            file = filesystem.open(path, "read")
            try:
                if checker is None:
                    size = file.size
                    checker = PartChecker(part, size)
                data = file.read_at(position, min(PIECE, size - position))
                file.uncache(position, len(data))
            finally:
                file.close()
            if not data:
                raise PartDamaged(f"part {part}: ends after {position} bytes, had {size}")
            checker.feed(data)
            position += len(data)
            yield len(data)
        assert checker is not None
        checker.finish()
    except FileNotFoundError:
        return
    except BadPart as problem:
        raise PartDamaged(problem.reason) from problem
    except OSError as problem:
        reason = rot_of(problem)
        if reason is None:
            raise
        raise PartDamaged(f"part {part}: bytes from {position} on: {reason}") from problem
