"""Measures the S3 door of a server, by the same client as its other doors.

Bodies are not signed, as over TLS.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from urllib.parse import quote

from body import MIB, Body
from load import Exchange, Failed
from processes import Processes
from service import S3
from workload import Workload, latencies

PART = 64 * MIB
AT_ONCE = 4
PAGE = 1000
_EMPTY_CLIENTS = 64
_PAGES = 40
_LISTED = 100_000
"""Keys that are listed page by page, at most."""

_UNSIGNED = "UNSIGNED-PAYLOAD"
_SIGNED = "host;x-amz-content-sha256;x-amz-date"


class Signer:
    """Signs requests with version 4, in headers; their bodies are not signed.

    A GET that is made again within a minute has the same signature, so that a client which asks for the same files
    again and again spends nothing on it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """

    def __init__(self, door: S3) -> None:
        self._door = door
        self._day = ""
        self._key = b""
        self._minute = ""
        self._signed: dict[tuple[str, str], str] = {}

    def __call__(self, method: str, target: str) -> str:
        """Return the headers of a request.

        :param target: its path and query, encoded.
        """
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        if method != "GET":
            return self._sign(method, target, date)
        if self._minute != date[:13]:
            self._minute, self._signed = date[:13], {}
        signed = self._signed.get((method, target))
        if signed is None:
            signed = self._signed[method, target] = self._sign(method, target, date)
        return signed

    def _sign(self, method: str, target: str, date: str) -> str:
        scope = f"{date[:8]}/us-east-1/s3/aws4_request"
        if self._day != date[:8]:
            self._day, self._key = date[:8], f"AWS4{self._door.secret_key}".encode()
            for word in scope.split("/"):
                self._key = hmac.digest(self._key, word.encode(), "sha256")
        path, _, query = target.partition("?")
        named = "&".join(sorted(each if "=" in each else f"{each}=" for each in query.split("&"))) if query else ""
        headers = f"host:{self._door.address}\nx-amz-content-sha256:{_UNSIGNED}\nx-amz-date:{date}\n"
        canonical = f"{method}\n{path}\n{named}\n{headers}\n{_SIGNED}\n{_UNSIGNED}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.digest(self._key, f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}".encode(), "sha256").hex()
        return (
            f"x-amz-date: {date}\r\nx-amz-content-sha256: {_UNSIGNED}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={self._door.access_key}/{scope}, "
            f"SignedHeaders={_SIGNED}, Signature={signature}\r\n"
        )


class S3Workload(Workload):
    """Measurements of a door for S3, in a bucket of its own.

    :param note: what the names of the rows end with.
    """

    def __init__(self, door: S3, processes: Processes, body: Body, *, verify: bool, note: str = "") -> None:
        self._sign = Signer(door)
        super().__init__(
            f"http://{door.address}/bench",
            processes,
            body,
            verify=verify,
            sign=self._sign,
            name=f"S3 {{}}{note}",
        )
        self._connection = HTTPConnection(door.address, timeout=300)
        for attempt in itertools.count():  # a service that has just been started may not be ready yet
            try:
                self.ask("PUT", "/bench")
            except (Failed, OSError):
                if attempt == 100:
                    raise
                time.sleep(0.3)
            else:
                break

    def ask(self, method: str, target: str, body: bytes = b"") -> str:
        """Make one request; return the body of its answer.

        :raise Failed: it was refused.
        """
        try:
            return self._ask(method, target, body)
        except ConnectionError:  # it was idle for so long that the server has closed it
            return self._ask(method, target, body)

    def _ask(self, method: str, target: str, body: bytes) -> str:
        lines = self._sign(method, target).strip().split("\r\n")
        try:
            self._connection.request(method, target, body, dict(line.split(": ", 1) for line in lines))
            answer = self._connection.getresponse()
            text = answer.read().decode()
        except OSError:
            self._connection.close()
            raise
        if answer.status >= 300:
            raise Failed(f"{method} {target}: {answer.status} {text[:300]}")
        return text

    def multipart(self, size: int) -> None:
        """Write an object in parts, and read it in ranges of the same size, several at once each."""
        what = f"{size // MIB} MiB, {AT_ONCE} x {PART // MIB} MiB at once"
        path = self._path()
        starts = range(0, size, PART)

        def put() -> list[Exchange]:
            return [*self._put_parts(path, [min(PART, size - start) for start in starts])]

        row, done = self._measure(f"PUT {what}", put)
        self._keep_large(row, done[:1], size)

        def get() -> list[Exchange]:
            ranges = (Exchange("GET", path, min(PART, size - start), start) for start in starts)
            return self.client.run(AT_ONCE, ranges)

        row, done = self._measure(f"GET {what}", get)
        self._keep_large(row, done[:1], size)

    def _put_parts(self, path: str, sizes: Sequence[int]) -> Iterator[Exchange]:
        target = f"/bench{path}"
        [upload] = re.findall("<UploadId>(.*?)</UploadId>", self.ask("POST", f"{target}?uploads="))
        query = f"uploadId={quote(upload, safe='')}"
        parts = [Exchange("PUT", f"{path}?partNumber={number}&{query}", size) for number, size in enumerate(sizes, 1)]
        yield from self.client.run(AT_ONCE, iter(parts))
        end = Exchange("POST", path, began=time.perf_counter())
        listed = self.ask("GET", f"{target}?{query}")
        tags = re.findall("<ETag>(.*?)</ETag>", listed)
        named = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{t}</ETag></Part>" for n, t in enumerate(tags, 1))
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"
        self.ask("POST", f"{target}?{query}", body.encode())
        end.ended = time.perf_counter()
        yield end

    def lists(self, many: int) -> None:
        """List a bucket of many keys, or its first 100,000, page by page, and pages from all over it; fill it first."""
        self.ask("PUT", "/many")
        keys = (Exchange("PUT", f"/{_key(number)}", 0) for number in range(many))
        self.client.to("many").run(_EMPTY_CLIENTS, keys)
        some = min(many, _LISTED)
        row, done = self._measure_lists(f"list of {some:,}", [""] * -(-some // PAGE))
        self.rows.append(row | {"keys_per_s": some / row["seconds"]})
        step = max(1, many // _PAGES)
        row, done = self._measure_lists(f"list of {PAGE:,} in {many:,}", list(map(_key, range(0, many, step))))
        cpu = {name: 1000 * spent / len(done) for name, spent in row["cpu_s"].items()}
        self.rows.append(row | latencies([each.seconds for each in done]) | {"cpu_ms_per_list": cpu})

    def _measure_lists(self, what: str, after: Sequence[str]) -> tuple[dict[str, object], list[Exchange]]:
        return self._measure(what, lambda: list(self._pages(after)))

    def _pages(self, after: Sequence[str]) -> Iterator[Exchange]:
        """List a page after each of some keys; after the page before for those that are empty."""
        token = ""
        for key in after:
            query = f"start-after={key}" if key else f"continuation-token={quote(token, safe='')}" if token else ""
            page = Exchange("GET", f"/many?list-type=2{query and '&'}{query}", began=time.perf_counter())
            text = self.ask("GET", page.path)
            page.ended = time.perf_counter()
            found = re.findall("<NextContinuationToken>(.*?)</NextContinuationToken>", text)
            token = found[0] if found else ""
            if not text.count("<Contents>"):
                raise Failed(f"GET {page.path}: no keys")
            yield page


def _key(number: int) -> str:
    return f"k{number:07}"
