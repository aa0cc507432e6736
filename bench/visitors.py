"""The clients of a soak: each has names of its own, and knows what each of them must hold."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit

import attrs
from body import MIB, Body
from signing import S3Key, encode_query

KIB = 1024
_NAMES = 40
_PIECE = 256 * KIB
_TIMEOUT_S = 120
_LEAST_PART = 5 * MIB  # S3 wants no smaller ones, but for the last
_IN_TREE = 5
_NONE: Mapping[str, str] = {}


class Tally:
    """Counts of what has happened; all clients share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def count(self, what: str) -> None:
        """Count one request."""
        with self._lock:
            self.counts[what] += 1

    def blame(self, problem: str) -> None:
        """Record a wrong answer."""
        with self._lock:
            self.wrong.append(problem)


@attrs.frozen
class Mix:
    """The shares of the requests for files.  The rest are GETs.

    :param leave: uploads whose client leaves in the middle.
    :param largest: bytes of the largest file; sizes are drawn so that each power of two is as likely as the next.
    """

    put: float
    delete: float
    leave: float
    largest: int

    def draw_size(self, dice: random.Random) -> int:
        """Draw the size of a new file, in bytes."""
        return int(self.largest ** dice.random()) - 1


class Visitor:
    """One client, which makes one request after the other on its own connection.

    :param url: the root of the service.
    :param folder: a path that begins the names of this client, and of no other one.
    :param login: the value of `Authorization`; empty for none.
    """

    def __init__(self, url: str, folder: str, mix: Mix, body: Body, tally: Tally, seed: int, login: str = "") -> None:
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
        self._login = login
        self._folder = folder
        self._mix = mix
        self._body = body
        self._tally = tally
        self._dice = random.Random(seed)
        self._held: dict[str, tuple[str, int]] = {}
        self._versions = 0
        self._connection = self._connect()

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(*self._address, timeout=_TIMEOUT_S)

    def visit(self, stop: threading.Event) -> None:
        """Make requests until `stop` is set."""
        while not stop.is_set():
            try:
                self._request()
            except Exception as problem:
                self._tally.blame(f"{self._folder}: {type(problem).__name__}: {problem}")
                self._connection.close()
                self._connection = self._connect()
                self._forget()
        self._connection.close()

    def _forget(self) -> None:
        """Expect nothing of any name any more, after an answer that was wrong."""
        self._folder += "x"
        self._held = {}

    def _request(self) -> None:
        name = f"{self._folder}-{self._dice.randrange(_NAMES)}"
        mix, kind = self._mix, self._dice.random()
        if kind < mix.put:
            self._put(name)
        elif kind < mix.put + mix.delete:
            self._delete(name)
        elif kind < mix.put + mix.delete + mix.leave:
            self._leave(name)
        else:
            self._get(name)

    def _headers(self, method: str, path: str, query: dict[str, str]) -> dict[str, str]:  # noqa: ARG002 - S3 signs them
        return {"Authorization": self._login} if self._login else {}

    def _begin(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        more: Mapping[str, str] = _NONE,
    ) -> None:
        query = query or {}
        connection.putrequest(method, f"{path}?{encode_query(query)}" if query else path)
        for name, value in {**self._headers(method, path, query), **more}.items():
            connection.putheader(name, value)

    def _ask(
        self, method: str, path: str, expected: set[int], query: dict[str, str] | None = None, **more: str
    ) -> bytes:
        self._begin(self._connection, method, path, query, {"Content-Length": "0", **more})
        self._connection.endheaders()
        return self._answer(method, path, expected)

    def _put(self, name: str) -> None:
        version, size = self._send_whole("PUT", name, self._mix.draw_size(self._dice))
        self._answer("PUT", name, {200, 201, 204})
        self._held[name] = version, size

    def _send_whole(self, method: str, path: str, size: int, query: dict[str, str] | None = None) -> tuple[str, int]:
        version = self._begin_upload(self._connection, method, path, size, query)
        self._send(self._connection, version, 0, size)
        return version, size

    def _begin_upload(
        self, connection: HTTPConnection, method: str, path: str, size: int, query: dict[str, str] | None = None
    ) -> str:
        self._versions += 1
        self._begin(connection, method, path, query, {"Content-Length": str(size)})
        connection.endheaders()
        return f"{path}@{self._versions}"

    def _send(self, connection: HTTPConnection, version: str, start: int, stop: int) -> None:
        for position in range(start, stop, _PIECE):
            connection.send(self._body.piece(version, position, min(position + _PIECE, stop)))

    def _leave(self, name: str, size: int = 0, query: dict[str, str] | None = None) -> None:
        """Leave in the middle of an upload.  The old content of the name stays."""
        size = size or self._mix.draw_size(self._dice) + 1
        leaving = self._connect()
        version = self._begin_upload(leaving, "PUT", name, size, query)
        self._send(leaving, version, 0, int(size * self._dice.random()))
        leaving.close()
        self._tally.count("left")

    def _delete(self, name: str) -> None:
        self._ask("DELETE", name, {204} if name in self._held else self._missing)
        self._held.pop(name, None)

    _missing: frozenset[int] | set[int] = frozenset({404})
    """The answers to a DELETE of what is not there."""

    def _get(self, name: str) -> None:
        if name not in self._held:
            self._ask("GET", name, {404})
            return
        version, size = self._held[name]
        if self._ask("GET", name, {200}) != self._body.piece(version, 0, size):
            self._tally.blame(f"GET {name}: not the {size} bytes that were stored")

    def _answer(self, method: str, name: str, expected: set[int] | frozenset[int]) -> bytes:
        response = self._connection.getresponse()
        data = response.read()
        self._tally.count(method)
        if response.status not in expected:
            raise ValueError(f"{method} {name}: {response.status}, expected {sorted(expected)}: {data[:200]!r}")
        return data


class TreeVisitor(Visitor):
    """Makes collections, moves, copies, lists and deletes them with all that is in them."""

    def _request(self) -> None:
        steps: list[Callable[[], None]] = [self._make, self._move, self._copy, self._take_apart]
        for step in steps:
            step()

    def _make(self) -> None:
        self._ask("MKCOL", f"{self._folder}-t", {201})
        for number in range(_IN_TREE):
            self._put(f"{self._folder}-t/{number}")

    def _move(self) -> None:
        self._carry("MOVE", "-t", "-u")
        self._leave(f"{self._folder}-u/0")

    def _copy(self) -> None:
        self._carry("COPY", "-u", "-v")
        listed = self._ask("PROPFIND", f"{self._folder}-v/", {207}, Depth="1")
        if listed.count(b"<D:response>") != 1 + _IN_TREE:
            self._tally.blame(f"PROPFIND {self._folder}-v/: {listed.count(b'<D:response>')} answers")
        self._get(f"{self._folder}-v/{self._dice.randrange(_IN_TREE)}")

    def _carry(self, method: str, source: str, target: str) -> None:
        host, port = self._address
        where = f"http://{host}:{port}{self._folder}{target}"
        self._ask(method, self._folder + source, {201}, Destination=where)
        for number in range(_IN_TREE):
            before, after = (f"{self._folder}{each}/{number}" for each in (source, target))
            self._held[after] = self._held.pop(before) if method == "MOVE" else self._held[before]

    def _take_apart(self) -> None:
        for each in ("-u", "-v"):
            self._ask("DELETE", self._folder + each, {204})
        self._held = {}


class S3Visitor(Visitor):
    """Uses the door of S3: objects, uploads in parts, some of which are aborted or left, and lists.

    :param bucket: the bucket that has all its keys; it must be there.
    """

    _missing = frozenset({204})

    def __init__(
        self, url: str, bucket: str, name: str, mix: Mix, body: Body, tally: Tally, seed: int, key: S3Key
    ) -> None:
        self._bucket = bucket
        self._key = key
        super().__init__(url, f"/{bucket}/{name}", mix, body, tally, seed)

    def _headers(self, method: str, path: str, query: dict[str, str]) -> dict[str, str]:
        host, port = self._address
        return self._key.headers(method, f"{host}:{port}", path, query)

    def make_bucket(self) -> None:
        """Make the bucket, before any visit."""
        self._ask("PUT", f"/{self._bucket}", {200})

    def _request(self) -> None:
        kind = self._dice.random()
        if kind < 0.1:
            self._list()
        elif kind < 0.2:
            self._send_in_parts(f"{self._folder}-{self._dice.randrange(_NAMES)}")
        else:
            super()._request()

    def _list(self) -> None:
        prefix = self._folder.removeprefix(f"/{self._bucket}/") + "-"
        listed = self._ask("GET", f"/{self._bucket}", {200}, {"list-type": "2", "prefix": prefix, "max-keys": "1000"})
        found = {f"/{self._bucket}/{key.decode()}" for key in re.findall(rb"<Key>([^<]*)</Key>", listed)}
        if found != set(self._held):
            self._tally.blame(f"list of {prefix}: {len(found)} keys, expected {len(self._held)}")

    def _send_in_parts(self, name: str) -> None:
        begun = self._ask("POST", name, {200}, {"uploads": ""})
        found = re.search(rb"<UploadId>([^<]*)</UploadId>", begun)
        if found is None:
            raise ValueError(f"POST {name}: no upload id")
        upload = found[1].decode()
        parts = []
        for number, wanted in enumerate((_LEAST_PART, self._mix.draw_size(self._dice) + 1), 1):
            query = {"partNumber": str(number), "uploadId": upload}
            version, size = self._send_whole("PUT", name, wanted, query)
            response = self._connection.getresponse()
            response.read()
            self._tally.count("PUT of a part")
            if response.status != 200:
                raise ValueError(f"PUT of part {number} of {name}: {response.status}")
            parts.append((number, response.headers["ETag"], version, size))
        if self._dice.random() < 0.3:
            self._leave(name, _LEAST_PART, {"partNumber": "3", "uploadId": upload})
            self._ask("DELETE", name, {204}, {"uploadId": upload})
            return
        told = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag, _, _ in parts)
        document = f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>".encode()
        self._begin(self._connection, "POST", name, {"uploadId": upload}, {"Content-Length": str(len(document))})
        self._connection.endheaders(document)
        if b"<CompleteMultipartUploadResult" not in self._answer("POST", name, {200}):
            raise ValueError(f"POST {name}: the upload was not completed")
        data = b"".join(self._body.piece(version, 0, size) for _, _, version, size in parts)
        if self._ask("GET", name, {200}) != data:
            self._tally.blame(f"GET {name}: not the {len(data)} bytes that were stored in parts")
        self._delete_parts(name)

    def _delete_parts(self, name: str) -> None:
        self._ask("DELETE", name, {204})
        self._held.pop(name, None)
