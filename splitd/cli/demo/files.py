"""Stores and reads the tour's files, as a client."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from io import BufferedIOBase, BytesIO
from pathlib import Path

import attrs

from splitd.cli.server import PIECE, Body, Server, read_pieces
from splitd.cli.tree import RemoteTree

_NO_HEADERS: Mapping[str, str] = {}


@attrs.frozen
class Stored:
    """The result of a PUT."""

    status: int
    upload: str
    seconds: float


@attrs.frozen
class Sample:
    """A file of random bytes on this machine's disk."""

    path: Path
    size: int
    sha256: str

    def read(self, start: int, count: int) -> bytes:
        """Return some of its bytes."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(count)

    def digest(self, count: int) -> str:
        """Return the SHA-256 of its first `count` bytes."""
        digest = sha256()
        with self.path.open("rb") as file:
            while count and (piece := file.read(min(PIECE, count))):
                digest.update(piece)
                count -= len(piece)
        return digest.hexdigest()


def make_sample(path: Path, size: int) -> Sample:
    """Write a file of random bytes."""
    digest = sha256()
    with path.open("wb") as file:
        for start in range(0, size, PIECE):
            piece = os.urandom(min(PIECE, size - start))
            digest.update(piece)
            file.write(piece)
    return Sample(path, size, digest.hexdigest())


class InterruptedStream(BufferedIOBase):
    """A stream that calls a function in the middle of its bytes.

    :param data: its bytes.
    :param at: how many bytes are read before the call.
    :param happen: the function, which is called once.
    """

    def __init__(self, data: bytes, at: int, happen: Callable[[], object]) -> None:
        self._before = BytesIO(data[:at])
        self._after = BytesIO(data[at:])
        self._happen: Callable[[], object] | None = happen

    def read1(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        if piece := self._before.read(size):
            return piece
        happen, self._happen = self._happen, None
        if happen is not None:
            happen()
        return self._after.read(size)


@attrs.frozen
class Files:
    """The files of a front."""

    front: Server

    def put(self, path: str, data: bytes | BufferedIOBase, size: int | None = None) -> Stored:
        """Store a file.

        :param size: the size of a stream, if it is known.
        :raise CommandFailed: the file was not stored.
        """
        stream, size = (BytesIO(data), len(data)) if isinstance(data, bytes) else (data, size)
        begun = time.monotonic()
        with self.front.ask("PUT", path, body=Body(stream, size, path, lambda _: None)) as answer:
            upload = (answer.headers["ETag"] or "").strip('"')
            return Stored(answer.status, upload, time.monotonic() - begun)

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file's bytes as the service sends them."""
        digest = sha256()
        with self.front.ask("GET", path) as answer:
            for piece in read_pieces(answer, f"GET {path}"):
                digest.update(piece)
        return digest.hexdigest()

    def read(self, path: str, headers: Mapping[str, str] = _NO_HEADERS) -> tuple[int, bytes]:
        """Return the status, and the bytes, of a small file or range."""
        with self.front.ask("GET", path, headers=headers) as answer:
            return answer.status, b"".join(read_pieces(answer, f"GET {path}"))

    def version(self, path: str) -> str:
        """Return the id of the upload that made the current version; empty if there is no such file."""
        entry = RemoteTree(self.front).find(path)
        return "" if entry is None else entry["etag"].strip('"')


def curl_verdict(url: str) -> tuple[int, str] | None:
    """Fetch a file with curl, and discard it.

    :return: curl's exit code and its error output; None if curl is not installed.
    """
    curl = shutil.which("curl")
    if curl is None:
        return None
    done = subprocess.run(  # noqa: S603 - the URL is our own
        [curl, "-sS", "--fail", "-o", os.devnull, url], capture_output=True, text=True, errors="replace", check=False
    )
    return done.returncode, done.stderr.strip()
