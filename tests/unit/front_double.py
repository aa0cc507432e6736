"""A front in a thread, for tests of splitctl: real sockets, files in memory, and faults on request."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from click.testing import CliRunner, Result

from splitd.cli.main import main
from tests.unit.operators_double import No, Operators, Query

MODIFIED_S = 1_700_000_000


class FrontDouble(ThreadingHTTPServer):
    """Holds collections (None) and files by their paths.

    `seen` lists the received request lines; `types` the content types that files were stored with.
    A fault is called in place of the usual answer to requests of its method.  `operators` answers the operators'
    requests.
    """

    daemon_threads = False
    scheme = "http"
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.entries: dict[str, bytes | None] = {"/": None}
        self.seen: list[str] = []
        self.types: dict[str, str | None] = {}
        self.operators = Operators()
        self.faults: dict[str, Callable[[Any], None]] = {}
        self.page = 3

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):  # a client may leave at any time
            super().handle_error(request, client_address)

    @property
    def status(self) -> dict[str, Any]:
        return self.operators.status

    @status.setter
    def status(self, status: dict[str, Any]) -> None:
        self.operators.status = status

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FrontDouble

    def log_message(self, *_: Any) -> None:
        self.server.seen.append(self.requestline.removesuffix(" HTTP/1.1"))

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("do_"):
            raise AttributeError(name)
        method = name.removeprefix("do_")
        fault = self.server.faults.get(method)
        if fault:
            return lambda: fault(self)
        do = self.server.operators.answers().get(f"{method} {self._path}")
        return (lambda: self._operate(do)) if do else getattr(self, f"_{method.lower()}")

    @property
    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def say(self, status: int, text: str) -> None:
        self.answer(status, text.encode() + b"\n", "text/plain; charset=utf-8")

    def answer(self, status: int, body: bytes, content_type: str, etag: str | None = None) -> None:
        start = self._asked_start(etag)
        total, body = len(body), body[start:]
        self.send_response(206 if start else status)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if etag:
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", formatdate(MODIFIED_S, usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _asked_start(self, etag: str | None) -> int:
        """Return the first byte of the range that is asked for, if it is asked for this version."""
        if etag is None or self.headers["If-Range"] != etag:
            return 0
        return int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))

    def _operate(self, do: Callable[[Query], tuple[int, Any]]) -> None:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        try:
            status, document = do(query)
        except No as refusal:
            return self.say(refusal.status, str(refusal))
        return self.answer(status, json.dumps(document).encode(), "application/json")

    def _get(self) -> None:
        path = self._path
        if path not in self.server.entries:
            return self.say(404, f"{path} does not exist")
        entry = self.server.entries[path]
        if entry is not None:
            return self.answer(200, entry, "application/x-thing", etag(path))
        return self.answer(200, json.dumps(self._page(path)).encode(), "application/json")

    _head = _get

    def _page(self, path: str) -> dict[str, Any]:
        after = parse_qs(urlsplit(self.path).query).get("after", [""])[0]
        prefix = path.rstrip("/") + "/"
        members = {each.removeprefix(prefix): entry for each, entry in self.server.entries.items() if each != "/"}
        names = sorted(name for name in members if "/" not in name and prefix + name in self.server.entries)
        rest = [name for name in names if name > after]
        page = rest[: self.server.page]
        return {
            "path": path,
            "members": [_describe(prefix + name, members[name]) for name in page],
            "next": page[-1] if len(rest) > len(page) else None,
        }

    def _put(self) -> None:
        path, entries = self._path, self.server.entries
        if entries.get(path.rpartition("/")[0] or "/", b"") is not None:
            return self.say(409, "the collection is missing")
        status = 204 if path in entries else 201
        entries[path] = self._read_body()
        self.server.types[path] = self.headers["Content-Type"]
        return self.answer(status, b"", "text/plain", etag(path))

    def _read_body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            assert self.rfile.readline() == b"\r\n"
        assert self.rfile.readline() == b"\r\n"
        return body

    def _mkcol(self) -> None:
        path, entries = self._path, self.server.entries
        if path in entries:
            return self.say(405, f"{path} is there already")
        if entries.get(path.rpartition("/")[0] or "/", b"") is not None:
            return self.say(409, f"{path} lies in nothing")
        entries[path] = None
        return self.answer(201, b"", "text/plain")

    def _copy(self) -> None:
        path, entries = self._path, self.server.entries
        target = unquote(urlsplit(self.headers["Destination"]).path)
        if path not in entries:
            return self.say(404, f"{path} does not exist")
        if entries.get(target.rpartition("/")[0] or "/", b"") is not None:
            return self.say(409, f"{target} lies in nothing")
        taken = target in entries
        if taken and self.headers["Overwrite"] == "F":
            return self.say(412, f"{target} is there already")
        for each in _below(target, entries):
            del entries[each]
        for each in _below(path, entries):
            entries[target + each.removeprefix(path)] = entries[each]
            if self.command == "MOVE":
                del entries[each]
        return self.answer(204 if taken else 201, b"", "text/plain")

    _move = _copy

    def _delete(self) -> None:
        path, entries = self._path, self.server.entries
        if path not in entries:
            return self.say(404, f"{path} does not exist")
        for each in _below(path, entries):
            del entries[each]
        return self.answer(200, b"", "text/plain")


def _below(path: str, entries: dict[str, bytes | None]) -> list[str]:
    """Return a path and all that lies below it."""
    return [each for each in entries if each == path or each.startswith(path + "/")]


def etag(path: str) -> str:
    return f'"{path.encode().hex()}"'


def _describe(path: str, entry: bytes | None) -> dict[str, Any]:
    return {
        "name": path.rpartition("/")[2],
        "type": "collection" if entry is None else "file",
        "size": 0 if entry is None else len(entry),
        "modified_ms": MODIFIED_S * 1000,
        "etag": "" if entry is None else etag(path),
        "content_type": "",
    }


@contextmanager
def running_front(certificate: Path | None = None, key: Path | None = None) -> Iterator[FrontDouble]:
    """Run a front that serves until the end of the block, with TLS if it has a certificate."""
    with FrontDouble() as front:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            front.socket = context.wrap_socket(front.socket, server_side=True)
            front.scheme = "https"
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield front
        finally:
            front.shutdown()
            thread.join()


def run(front: FrontDouble, *arguments: str) -> Result:
    """Run splitctl against a front."""
    return CliRunner().invoke(main, ["--url", front.url, "--admin", front.url, *arguments])
