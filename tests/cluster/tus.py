"""A client of tus for clusters in this process."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.cluster.cluster import Answer, Cluster
from tests.cluster.raw import RawClient

ROOT = "/.splitd/uploads"
BODY = "application/offset+octet-stream"


def metadata(**values: str) -> str:
    """`Upload-Metadata` of these values."""
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())


def located(answer: Answer) -> str:
    """The URL of an upload that was begun, without the server's name."""
    return urlsplit(answer.header("Location") or "").path


class Tus:
    """The resumable uploads of a cluster.

    :param headers: come with each request.
    """

    def __init__(self, cluster: Cluster, **headers: str) -> None:
        self.cluster = cluster
        self._headers = headers

    async def ask(self, method: str, path: str, data: bytes | None = None, **headers: str) -> Answer:
        """Send a request; return its answer."""
        common = {"Tus_Resumable": "1.0.0", **self._headers}
        named = {name.lower(): value for name, value in {**common, **headers}.items() if value}
        return await self.cluster.ask(method, path, data, **named)

    async def create(self, name: str, length: int | None, data: bytes | None = None, **headers: str) -> Answer:
        """Begin an upload of a file in the root."""
        size = {"Upload_Defer_Length": "1"} if length is None else {"Upload_Length": str(length)}
        kind = {} if data is None else {"Content_Type": BODY}
        return await self.ask("POST", ROOT, data, Upload_Metadata=metadata(filename=name), **size, **kind, **headers)

    async def begin(self, name: str, length: int | None, **headers: str) -> str:
        """Begin an upload of a file in the root; return its URL."""
        answer = await self.create(name, length, **headers)
        assert answer.code == 201, answer
        return located(answer)

    async def offset(self, url: str) -> int:
        """Ask for the offset of an upload."""
        answer = await self.ask("HEAD", url)
        assert answer.code == 200, answer
        return int(answer.header("Upload-Offset") or "-1")

    async def patch(self, url: str, offset: int, data: bytes, **headers: str) -> Answer:
        """Append to an upload."""
        return await self.ask("PATCH", url, data, Upload_Offset=str(offset), Content_Type=BODY, **headers)

    async def send(self, url: str, offset: int, size: int, *sent: bytes, more: Sequence[str] = ()) -> RawClient:
        """Begin to append to an upload; when the front waits for the bytes, send only some of them."""
        client = await self.cluster.connect()
        headers = (f"Upload-Offset: {offset}", f"Content-Type: {BODY}", f"Content-Length: {size}", *more)
        client.begin("PATCH", url, "Tus-Resumable: 1.0.0", "Expect: 100-continue", *headers)
        assert (await client.answer()).code == 100
        client.send(*sent)
        return client
