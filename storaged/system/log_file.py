"""A file of lines that another program may rotate, and the form of lines that are JSON documents."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from storaged.system.os_errors import os_reason
from storaged.system.periodic import Periodic

_EVERY_S = 0.5
_MOST_WAITING = 4 * 1024 * 1024
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_MODE = 0o640


_TREACHEROUS = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")
"""Characters in UTF-8 that JSON allows in a text, and that some programs take for the end of a line, or terminals for
a command or a change of direction: DEL, C1, U+2028 to U+202E, U+2066 to U+2069.
"""


def encode_line(document: Any) -> bytes:
    """Return a document as a line of JSON that is one line for every program, whatever clients have sent."""
    line = msgspec.json.encode(document)
    return line if line.isascii() and b"\x7f" not in line else _TREACHEROUS.sub(_escape, line)


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


class LogFile:
    """Appends lines to a file, twice a second, in a thread.

    If the file was renamed or removed, as logrotate does, the next lines go to a new one.  If the disk takes no more,
    lines are dropped and counted; what waits in memory is bounded.

    :param path: the file's.
    :param in_thread: runs a call in a thread, one after the other for one file.
    :ivar dropped: how many lines were dropped.
    """

    _log = Logger()

    def __init__(self, path: str, in_thread: Callable[[Callable[[], Any]], Deferred[Any]], clock: Any) -> None:
        self.path = path
        self.dropped = 0
        self._in_thread = in_thread
        self._waiting: list[bytes] = []
        self._size = 0
        self._file: int | None = None
        self._problem = ""
        self._periodic = Periodic(self._flush, _EVERY_S, clock, f"writing {path}")

    def start(self) -> None:
        """Open the file.

        :raise OSError: it cannot be opened.
        """
        self._reopen()
        self._periodic.start()

    async def stop(self) -> None:
        """Write what waits, and close the file."""
        await self._periodic.stop()
        await self._flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def write(self, line: bytes) -> None:
        """Append a line, which has no line end."""
        if self._size > _MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(line)
        self._size += len(line) + 1

    async def _flush(self) -> None:
        if not self._waiting:
            return
        lines, self._waiting, self._size = self._waiting, [], 0
        try:
            await self._in_thread(lambda: self._append(lines))
        except OSError as problem:
            self.dropped += len(lines)
            if not self._problem:  # once, until it is well again
                self._log.error("{path}: {reason}; lines are dropped", path=self.path, reason=os_reason(problem))
            self._problem = os_reason(problem)
        else:
            self._problem = ""

    def _append(self, lines: list[bytes]) -> None:
        self._reopen()
        assert self._file is not None
        data = memoryview(b"".join(line + b"\n" for line in lines))
        while data:
            data = data[os.write(self._file, data) :]

    def _reopen(self) -> None:
        """Open the file, unless the one that is open still has the name."""
        if self._file is not None:
            try:
                there, here = os.stat(self.path), os.fstat(self._file)  # noqa: PTH116
            except FileNotFoundError:
                pass
            else:
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                    return
            os.close(self._file)
            self._file = None
        self._file = os.open(self.path, _FLAGS, _MODE)
