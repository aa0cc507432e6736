"""Resumable uploads by the draft of the IETF, on the URLs of the files themselves."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode

import pytest
import pytest_twisted

from tests.cluster.cluster import Answer, Cluster
from tests.cluster.raw import RawAnswer, RawClient
from tests.cluster.waiting import eventually

DATA = os.urandom(2_500_000)
PARTIAL = "application/partial-upload"


class Draft:
    """The draft, as spoken to a cluster.

    :param version: the interop version.
    """

    def __init__(self, cluster: Cluster, version: str = "9") -> None:
        self.cluster = cluster
        self.version = version

    async def ask(self, method: str, path: str, data: bytes | None = None, **headers: str) -> Answer:
        named = {"Upload-Draft-Interop-Version": self.version, **headers}
        return await self.cluster.ask(method, path, data, **{name.lower(): value for name, value in named.items()})

    async def begin(self, method: str, path: str, size: int, *headers: str) -> tuple[RawClient, RawAnswer]:
        """Begin an upload; return the connection and the interim answer."""
        client = await self.cluster.connect()
        version = f"Upload-Draft-Interop-Version: {self.version}"
        client.begin(method, path, version, f"Content-Length: {size}", *headers)
        return client, await client.answer()

    async def url(self, path: str, **headers: str) -> str:
        """Begin an upload without bytes; return its URL."""
        answer = await self.ask("POST", path, b"", Upload_Complete="?0", **headers)
        assert answer.code == 201, answer
        return answer.header("Location") or ""

    async def patch(self, url: str, offset: int, data: bytes, complete: str = "?0", **headers: str) -> Answer:
        named = {"Upload_Offset": str(offset), "Upload_Complete": complete, "Content_Type": PARTIAL}
        return await self.ask("PATCH", url, data, **{**named, **headers})


async def final(client: RawClient) -> RawAnswer:
    """The answer after all interim ones."""
    while (answer := await client.answer()).code < 200:
        pass
    return answer


@pytest.mark.parametrize("version", ["6", "9"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest_twisted.ensureDeferred
async def test_a_put_is_resumed_after_the_connection_is_lost(cluster: Cluster, version: str, method: str) -> None:
    draft = Draft(cluster, version)
    client, interim = await draft.begin(method, "/f", len(DATA), "Upload-Complete: ?1", "Content-Type: text/x-own")
    assert interim.code == 104
    assert interim.headers["upload-draft-interop-version"] == version
    assert ("max-age=" if version == "9" else "expires=") in interim.headers["upload-limit"]
    url = interim.headers["location"]
    client.send(DATA[:1_500_000])
    await eventually(lambda: client.unsent() == 0, "half of it is sent")
    client.leave()
    # To ask for the offset would end the request, with what has been read of it so far.
    await cluster.status_becomes(lambda status: status["uploads"]["continued_bytes"] == 1_500_000)
    await cluster.crash_front()
    await cluster.start_front()
    head = await draft.ask("HEAD", url)
    assert (head.code, head.header("Upload-Offset"), head.header("Upload-Complete")) == (204, "1500000", "?0")
    assert (head.header("Upload-Length"), head.header("Cache-Control")) == (str(len(DATA)), "no-store")
    assert "max-size=" in (head.header("Upload-Limit") or "")
    last = await draft.patch(url, 1_500_000, DATA[1_500_000:], "?1")
    assert (last.code, last.header("Upload-Complete")) == (201, "?1")
    got = await cluster.get("/f")
    assert (got.body, got.header("Content-Type"), got.header("ETag")) == (DATA, "text/x-own", last.header("ETag"))
    head = await draft.ask("HEAD", url)
    assert (head.header("Upload-Offset"), head.header("Upload-Complete")) == (str(len(DATA)), "?1")


@pytest_twisted.ensureDeferred
async def test_a_put_that_is_not_interrupted_is_answered_as_any_put(cluster: Cluster) -> None:
    draft = Draft(cluster)
    for code in (201, 204):
        answer = await draft.ask("PUT", "/f", DATA, Upload_Complete="?1")
        assert (answer.code, answer.header("Upload-Complete"), answer.header("Location")) == (code, "?1", "/f")
        assert (await cluster.get("/f")).body == DATA
    assert (await draft.ask("PUT", "/empty", b"", Upload_Complete="?1")).code == 201
    assert (await cluster.get("/empty")).body == b""


@pytest_twisted.ensureDeferred
async def test_the_server_says_continue_too(cluster: Cluster) -> None:
    client, interim = await Draft(cluster).begin("PUT", "/f", 3, "Upload-Complete: ?1", "Expect: 100-continue")
    assert interim.code == 104
    assert (await client.answer()).code == 100
    client.send(b"new")
    assert (await final(client)).code == 201
    assert (await cluster.get("/f")).body == b"new"


@pytest_twisted.ensureDeferred
async def test_a_file_comes_in_parts_of_unknown_length(cluster: Cluster) -> None:
    draft = Draft(cluster)
    first = await draft.ask("POST", "/f", b"012", Upload_Complete="?0")
    assert (first.code, first.header("Upload-Complete"), first.header("Upload-Offset")) == (201, "?0", "3")
    url = first.header("Location") or ""
    assert (await draft.ask("HEAD", url)).header("Upload-Length") is None
    second = await draft.patch(url, 3, b"345")
    assert (second.code, second.header("Upload-Complete"), second.header("Upload-Offset")) == (204, "?0", "6")
    assert (await cluster.get("/f")).code == 404
    assert (await draft.patch(url, 6, b"", "?1")).code == 201
    assert (await cluster.get("/f")).body == b"012345"


@pytest_twisted.ensureDeferred
async def test_a_length_makes_no_upload_complete(cluster: Cluster) -> None:
    draft = Draft(cluster)
    url = await draft.url("/f", Upload_Length="3")
    assert (await draft.patch(url, 0, b"012")).header("Upload-Complete") == "?0"
    assert (await cluster.get("/f")).code == 404
    assert (await draft.patch(url, 3, b"", "?1")).code == 201


@pytest_twisted.ensureDeferred
async def test_problems_are_told_by_their_types(cluster: Cluster) -> None:
    draft = Draft(cluster)
    url = await draft.url("/f", Upload_Length="10")

    def kind(answer: Answer) -> str:
        assert answer.header("Content-Type") == "application/problem+json"
        return str(json.loads(answer.body)["type"]).rpartition("#")[2]

    wrong = await draft.patch(url, 4, b"x")
    assert (wrong.code, wrong.header("Upload-Offset"), kind(wrong)) == (409, "0", "mismatching-upload-offset")
    assert json.loads(wrong.body)["expected-offset"] == 0
    assert json.loads(wrong.body)["provided-offset"] == 4
    for inconsistent in (
        await draft.patch(url, 0, b"x" * 11),
        await draft.patch(url, 0, b"x", "?1"),
        await draft.patch(url, 0, b"x", Upload_Length="9"),
        await draft.ask("POST", "/g", b"123", Upload_Complete="?1", Upload_Length="4"),
    ):
        assert (inconsistent.code, kind(inconsistent)) == (400, "inconsistent-upload-length")
    assert (await draft.patch(url, 0, b"x" * 10, "?1")).code == 201
    again = await draft.patch(url, 10, b"", "?1")
    assert (again.code, kind(again)) == (400, "completed-upload")
    unknown = await draft.ask("HEAD", "/.splitd/uploads/" + "0" * 32 + "/f")
    assert unknown.code == 404
    for path, headers, code in (
        (url, {"Content_Type": "text/plain"}, 415),
        ("/h", {"Upload_Complete": "true"}, 400),
    ):
        named = {"Upload_Offset": "0", "Upload_Complete": "?0", "Content_Type": PARTIAL, **headers}
        assert (await draft.ask("PATCH" if path == url else "PUT", path, b"x", **named)).code == code
    assert (await Draft(cluster, "3").ask("PUT", "/h", b"x", Upload_Complete="?1")).code == 400
    assert (await cluster.get("/h")).code == 404


@pytest_twisted.ensureDeferred
async def test_conditions_hold_at_the_end_too(cluster: Cluster) -> None:
    draft = Draft(cluster)
    await cluster.put("/f", b"old")
    assert (await draft.ask("PUT", "/f", b"x", Upload_Complete="?1", If_None_Match="*")).code == 412
    url = await draft.url("/g", If_None_Match="*")
    await cluster.put("/g", b"meanwhile")
    refused = await draft.patch(url, 0, b"new", "?1")
    assert (refused.code, refused.header("Upload-Complete")) == (412, "?1")
    assert (await cluster.get("/g")).body == b"meanwhile"
    assert (await draft.ask("DELETE", url)).code == 204
    assert (await draft.ask("HEAD", url)).code == 404
    assert (await draft.ask("PUT", "/nowhere/f", b"x", Upload_Complete="?1")).code == 409
    assert (await draft.ask("PUT", "/f/", b"x", Upload_Complete="?1")).code == 400


@pytest_twisted.ensureDeferred
async def test_digests_of_requests_and_of_the_file_are_verified(cluster: Cluster) -> None:
    draft = Draft(cluster)

    def digest(data: bytes) -> str:
        return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"

    url = await draft.url("/f", Repr_Digest=digest(DATA))
    assert (await draft.patch(url, 0, DATA[:10], Content_Digest=digest(b"other"))).code == 400
    assert (await draft.ask("HEAD", url)).header("Upload-Offset") == "0"
    assert (await draft.patch(url, 0, DATA[:10], Content_Digest=digest(DATA[:10]))).code == 204
    assert (await draft.patch(url, 10, DATA[10:], "?1")).code == 201
    assert (await cluster.get("/f")).body == DATA
    wrong = await draft.url("/g", Repr_Digest=digest(b"other"))
    assert (await draft.patch(wrong, 0, DATA, "?1")).code == 400
    assert (await cluster.get("/g")).code == 404
    assert (await draft.ask("HEAD", wrong)).code == 404


@pytest_twisted.ensureDeferred
async def test_options_tell_the_limits(cluster: Cluster) -> None:
    answer = await Draft(cluster).ask("OPTIONS", "/any/file")
    assert (answer.code, answer.header("Accept-Patch")) == (204, PARTIAL)
    assert "max-size=" in (answer.header("Upload-Limit") or "")
    assert (await cluster.ask("OPTIONS", "/any/file")).header("DAV")


@pytest_twisted.ensureDeferred
async def test_a_client_of_http_1_0_gets_no_interim_answer(cluster: Cluster) -> None:
    client = await cluster.connect()
    client.send(
        b"PUT /f HTTP/1.0\r\nUpload-Draft-Interop-Version: 9\r\nUpload-Complete: ?1\r\nContent-Length: 1\r\n\r\nx"
    )
    assert (await client.answer()).code == 201
