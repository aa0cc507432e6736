"""The access log of a node: a JSON line for each request of the front, with the clients' requests that it is for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from storaged.http import IObservedRequest
from storaged.parts import messages, wire
from storaged.system.clocks import WallClock
from storaged.system.log_file import LogFile, encode_line
from storaged.system.os_errors import os_reason
from storaged.system.parallel import InThread
from storaged.system.settings import SettingsError

_MOST = 1024  # characters of a target, and of the ids of requests


class AccessLog:
    """Observes the requests of a site, and those of links.  A client cannot forge a line: it is one JSON document.

    :param path: the file.
    :param in_thread: runs a call in a thread.
    :param clock: measures how long requests take.
    :param wall: tells the time of a line.
    """

    def __init__(self, path: str, in_thread: InThread, clock: Any, wall: WallClock) -> None:
        self._file = LogFile(path, in_thread, clock)
        self._clock = clock
        self._wall = wall

    def start(self) -> None:
        """Open the file.

        :raise SettingsError: it cannot be written.
        """
        try:
            self._file.start()
        except OSError as problem:
            raise SettingsError(f"access_log: {self._file.path}: {os_reason(problem)}") from problem

    async def stop(self) -> None:
        """Write what waits, and close the file."""
        await self._file.stop()

    def began(self, request: IObservedRequest) -> None:
        """Take note of a request; see `Observer`."""

    def ended(self, request: IObservedRequest, *, whole: bool) -> None:
        """Write a line about a request."""
        requests = request.getHeader(wire.REQUESTS_HEADER)
        self._write(
            _readable(requests or ""),
            request.began_s,
            method=request.method.decode("ascii", "replace"),
            target=request.uri.decode("ascii", "replace")[:_MOST],
            status=request.status,
            whole=whole,
            received=request.body.size,
            sent=request.sent,
        )

    def refused(self, status: int, peer: str) -> None:
        """Write a line about a connection that was refused before it had sent a whole head."""
        self._write("", self._clock.seconds(), method="", target="", status=status, peer=peer)

    def link(self, request: messages.Request) -> Callable[[int], None]:
        """Begin a request of a link.

        :return: writes a line about it, given how many of its parts failed.
        """
        began_s, kind, count = self._clock.seconds(), str(request.__struct_config__.tag), len(request.parts)
        first = request.parts[0] if request.parts else ""
        part, requests = first if isinstance(first, str) else first[0], request.requests

        def ended(failed: int) -> None:
            self._write(_readable(requests), began_s, link=kind, parts=count, first=_readable(part), failed=failed)

        return ended

    def _write(self, requests: str, began_s: float, **more: object) -> None:
        moment = datetime.fromtimestamp(self._wall.now_ms() / 1000, UTC)
        document = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requests": requests.split(),
            **more,
            "seconds": round(self._clock.seconds() - began_s, 6),
        }
        self._file.write(encode_line(document))


def _readable(text: str) -> str:
    """Return a text that fits into JSON, and is not too long."""
    return text[:_MOST].encode("utf-8", "replace").decode()
