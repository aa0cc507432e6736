"""Fetches the bytes of a file, and goes on where it stopped when the connection breaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPResponse
from typing import IO

import attrs
import click

from splitd.cli.errors import CommandFailed, ServerRefused, TransferBroken, Unreachable
from splitd.cli.paths import printable
from splitd.cli.progress import Meter
from splitd.cli.server import Server, read_pieces

TRIES = 6
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0

retries_option = click.option(
    "--retries",
    type=click.IntRange(0, 1000),
    default=TRIES,
    show_default=True,
    help="After a broken connection, go on where it stopped; give up after so many tries that bring no byte.",
)


@attrs.frozen
class Fetched:
    """What was fetched.

    :param size: bytes of the whole file.
    """

    size: int
    etag: str


@attrs.define
class Fetch:
    """One file on its way from the server to a file here.

    :param path: the path in the service.
    :param retries: how many tries in a row may bring no byte, after the first one that did.
    :param pause: waits for so many seconds.
    """

    server: Server
    path: str
    bar: Meter
    retries: int = TRIES
    pause: Callable[[float], None] = time.sleep
    _got: int = 0
    _etag: str | None = None
    _total: int = 0

    def fetch(self, target: IO[bytes], *, got: int = 0, etag: str | None = None) -> Fetched:
        """Write the file to a target, from its first byte to its last.

        If the connection breaks, the rest is requested.  If the file has been replaced meanwhile, the new one is
        fetched from its start; this needs a target that can be truncated.

        :param got: the bytes that the target has already, of the version with this entity tag.
        :raise ServerRefused: there is no such file, or this is a collection.
        :raise Unreachable: the connection could not be made.
        :raise TransferBroken: the connection broke, and no try to go on succeeded.
        """
        self._got, self._etag = got, etag
        vain = 0
        while True:
            before = self._got
            try:
                return self._try(target)
            except CommandFailed as failure:
                vain = 1 if self._got > before else vain + 1
                if not self._got or vain > self.retries or not _may_pass(failure):
                    raise
            self.pause(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (vain - 1)))

    def _try(self, target: IO[bytes]) -> Fetched:
        headers = {"Range": f"bytes={self._got}-", "If-Range": self._etag} if self._got and self._etag else {}
        with self.server.ask("GET", self.path, headers=headers) as answer:
            etag = answer.headers["ETag"]
            if etag is None:
                raise ServerRefused(f"{printable(self.path)}: this is a collection; only files can be fetched", 409)
            if self._got and answer.status != HTTPStatus.PARTIAL_CONTENT:
                self._begin_again(target)
            elif self._got and _start(answer) != self._got:
                raise ServerRefused(f"{printable(self.path)}: the server answered another range than it was asked", 502)
            self._etag = etag
            self._expect(answer.length)
            for piece in read_pieces(answer, f"GET {printable(self.path)}"):
                target.write(piece)
                self._got += len(piece)
                self.bar.advance(len(piece))
        return Fetched(self._got, etag)

    def _expect(self, left: int | None) -> None:
        total = self._got + (left or 0)
        self.bar.expect(total - self._total)
        self._total = total

    def _begin_again(self, target: IO[bytes]) -> None:
        if not target.seekable():
            raise ServerRefused(f"{printable(self.path)}: was replaced while it was fetched", 409)
        target.seek(0)
        target.truncate()
        self.bar.advance(-self._got)
        self._got = 0


def _may_pass(failure: CommandFailed) -> bool:
    """Return whether what failed may be good at another time."""
    if isinstance(failure, ServerRefused):
        return failure.status == HTTPStatus.SERVICE_UNAVAILABLE
    return isinstance(failure, TransferBroken | Unreachable)


def _start(answer: HTTPResponse) -> int | None:
    words = (answer.headers["Content-Range"] or "").removeprefix("bytes ").partition("-")
    return int(words[0]) if words[0].isdecimal() else None
