"""A front and six nodes through power cuts that hit all of them at once, while clients use the door for S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest_twisted

from tests.cluster.cluster import Answer, Cluster
from tests.cluster.raw import connect
from tests.cluster.s3 import S3, texts
from tests.crash.oracle import Begun, Ended
from tests.crash.power import PowerDisk
from tests.crash.test_cluster import LARGE, SEGMENT, SMALL, Life, cut_at_every_moment


class S3Life(Life):
    """Puts, copies and deletes objects, and sends some in parts; paths begin with the bucket."""

    def __init__(self, cluster: Cluster, disk: PowerDisk) -> None:
        super().__init__(cluster, disk)
        self._s3 = S3(cluster)

    async def run(self) -> None:
        await self.change("PUT", "/bucket", True, b"")
        await self.put("/bucket/large", LARGE)
        await self.put("/bucket/small", SMALL)
        await self.put("/bucket/empty", 0)
        await self.put("/bucket/large", SMALL)
        await self.put("/bucket/small", LARGE)
        await self.break_off("/bucket/large")
        await self.copy("/bucket/small", "/bucket/copy")
        await self.copy("/bucket/copy", "/bucket/large")
        await self.change("DELETE", "/bucket/small", None)
        await self.reaped()
        await self.delete_many("/bucket/large", "/bucket/empty")
        await self.reaped()
        await self.in_parts("/bucket/copy")
        await self.change("DELETE", "/bucket/copy", None)
        await self.reaped()
        await self.change("DELETE", "/bucket", None)

    async def in_parts(self, path: str) -> None:
        """Send an object in parts, some of them twice, and one upload in vain."""
        upload = await self.begin(path)
        await self.part(path, upload, 1, SMALL)
        await self.part(path, upload, 1, LARGE)
        tag, data = await self.part(path, upload, 2, LARGE)
        await self.break_off(f"{path}?partNumber=2&uploadId={upload}")
        done = Begun(path, data)
        self._disk.note(done)
        body = f"<C><Part><PartNumber>2</PartNumber><ETag>{tag}</ETag></Part></C>".replace(
            "C>", "CompleteMultipartUpload>"
        )
        for _ in range(2):  # the second time nothing changes
            await self.end(upload, (1, 2), "POST", path, body.encode())
            self._disk.note(Ended(done, True))
        await self.reaped()
        other = await self.begin(path)
        await self.part(path, other, 7, SMALL)
        await self.end(other, (7,), "DELETE", path)
        await self.reaped()

    async def begin(self, path: str) -> str:
        return texts(await self._s3.ask("POST", f"{path}?uploads"), "UploadId")[0]

    async def part(self, path: str, upload: str, number: int, size: int) -> tuple[str, bytes]:
        """Store a part; return its tag and its bytes."""
        data = self._random.randbytes(size)
        change = Begun(f"{SEGMENT}{upload} {number}", data)
        self._disk.note(change)
        answer = await self._s3.put(f"{path}?partNumber={number}&uploadId={upload}", data)
        assert answer.code == 200, answer.text
        self._disk.note(Ended(change, True))
        return answer.header("ETag") or "", data

    async def end(self, upload: str, numbers: tuple[int, ...], method: str, path: str, body: bytes = b"") -> None:
        """Complete or abort an upload, whose parts are no longer its own then."""
        changes = [Begun(f"{SEGMENT}{upload} {number}", None) for number in numbers]
        for change in changes:
            self._disk.note(change)
        answer = await self._s3.ask(method, f"{path}?uploadId={upload}", body)
        assert answer.code in {200, 204}, answer.text
        for change in changes:
            self._disk.note(Ended(change, True))

    async def change(self, method: str, path: str, result: Any, body: bytes | None = None) -> Answer:
        change = Begun(path, result)
        self._disk.note(change)
        answer = await self._s3.ask(method, path, body or b"")
        assert answer.code in {200, 204}, answer.text
        self._disk.note(Ended(change, True))
        return answer

    async def copy(self, source: str, target: str) -> None:
        copied = (await self._s3.get(source)).body
        change = Begun(target, copied)
        self._disk.note(change)
        answer = await self._s3.put(target, b"", x_amz_copy_source=source)
        assert answer.code == 200, answer.text
        self._disk.note(Ended(change, True))

    async def delete_many(self, *paths: str) -> None:
        changes = [Begun(path, None) for path in paths]
        for change in changes:
            self._disk.note(change)
        named = "".join(f"<Object><Key>{path.removeprefix('/bucket/')}</Key></Object>" for path in paths)
        answer = await self._s3.ask("POST", "/bucket?delete", f"<Delete>{named}</Delete>".encode())
        assert len(texts(answer, "Deleted/Key")) == len(paths), answer.text
        for change in changes:
            self._disk.note(Ended(change, True))

    async def break_off(self, path: str) -> None:
        url = urlsplit(self._s3.presigned("PUT", path))
        client = await connect(url.port or 80)
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {LARGE}\r\n\r\n"
        client.send(head.encode(), bytes(LARGE // 2))
        await self._cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
        client.reset()
        await self.reaped()


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(make_cluster: Callable[..., Cluster]) -> None:
    assert await cut_at_every_moment(make_cluster, S3Life) > 500
