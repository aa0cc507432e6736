"""Clients of the front: curl, and plain HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import attrs

PIECE = 2**20
TIMEOUT_S = 120

Command = Sequence[str | Path]


@attrs.frozen
class Answer:
    """An answer of a server; status 0 if there was none."""

    status: int
    etag: str = ""
    body: bytes = b""
    retry_after: str = ""


def ask(url: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    """Send one request on its own connection; return the whole answer."""
    place = urlsplit(url)
    connection = HTTPConnection(place.netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, place._replace(scheme="", netloc="").geturl() or "/", body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers["ETag"] or "", answer.read(), answer.headers["Retry-After"] or "")
    except (OSError, HTTPException):
        return Answer(0)
    finally:
        connection.close()


def put(url: str, body: Any) -> str:
    """Store a file.

    :return: its entity tag.
    """
    answer = ask(url, "PUT", body)
    assert answer.status in {201, 204}, answer
    return answer.etag


def numbered_pieces(count: int) -> Iterator[bytes]:
    """Yield the bytes of a file, one MiB at a time, no two of them equal."""
    for number in range(count):
        yield number.to_bytes(8, "big") * (PIECE // 8)


def hash_of(stream: IO[bytes]) -> tuple[str, int]:
    """Return the SHA-256 and the size of a stream."""
    digest, size = sha256(), 0
    while piece := stream.read(PIECE):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def curl(*arguments: str | Path, stdin: IO[bytes] | None = None) -> list[str]:
    """Run curl, which must succeed.

    :return: the words that its `-w` printed.
    """
    done = subprocess.run(
        ["curl", "-sS", *arguments], stdin=stdin or subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"curl {arguments}: exit code {done.returncode}: {done.stderr}"
    return done.stdout.split()


def curl_hash(url: str) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file that curl fetches, which must succeed."""
    with running(["curl", "-sS", "--fail", url], stdout=subprocess.PIPE) as process:
        found = hash_of(out(process))
        assert process.wait() == 0, url
    return found


@contextmanager
def running(command: Command, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process; at the end of the block it is killed, if it still runs, and its pipes are closed."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def out(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """Return the output stream of a process."""
    assert process.stdout is not None
    return process.stdout


class PipedUpload:
    """curl in the middle of an upload: it sends what it is fed, and does not know the length before `finish`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def feed(self, pieces: Iterator[bytes]) -> None:
        """Give it more to send; if curl has stopped reading, the rest is dropped."""
        assert self._process.stdin is not None
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[self._process.stdin.write(view) :]
        except BrokenPipeError:
            return

    def end(self) -> None:
        """End the file."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def finish(self) -> tuple[int, int]:
        """End the file, if curl is still sending it.

        :return: curl's exit code, and the status that it received; 0 if none.
        """
        self.end()
        text = out(self._process).read()
        return self._process.wait(), int(text.split()[-1])

    def kill(self) -> None:
        """Kill the client in the middle."""
        self._process.kill()
        self._process.wait()


@contextmanager
def piped_upload(url: str) -> Iterator[PipedUpload]:
    """Start an upload of unknown length with curl."""
    command = ["curl", "-sS", "-w", " %{http_code}", "-T", "-", url]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        yield PipedUpload(process)
