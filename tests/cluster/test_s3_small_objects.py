"""A small object whose bytes are there is stored, and one that is not in memory is read, without a coroutine: the
answers are those of every other object.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from twisted.internet.defer import Deferred, gatherResults

from splitd.frontends.s3.buckets.notes import owner_of
from splitd.frontends.s3.signing.canonical import EMPTY_SHA256, Scope, sign, signing_key
from splitd.frontends.s3.signing.stated import SIGNED_CHUNKS, UNSIGNED_CHUNKS
from storaged.http import StreamingRequest
from storaged.system.sizes import Size
from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster
from tests.cluster.garbage import garbage
from tests.cluster.raw import RawAnswer, connect
from tests.cluster.s3 import KEY, S3, SECRET, write_users
from tests.cluster.waiting import eventually
from tests.cluster.watching import Watching, watch_s3

BODY = bytes(range(256)) * 16
BEFORE = b"before"
VARIES = {"date", "x-request-id", "x-amz-request-id", "last-modified"}
SLOWLY = {"x-amz-expected-bucket-owner": owner_of("splitd")[0]}
"""A condition, which always holds, so that the request takes the long way."""

UNSIGNED = Config(s3={"payload_signing_enabled": False})


def digest(kind: str, data: bytes = BODY) -> str:
    return base64.b64encode(hashlib.new(kind, data).digest()).decode()


CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()

CHUNKED = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(BODY))}
TRAILED = {**CHUNKED, "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm": "CRC32"}
LIMITS = (
    "requests: {in_all: 100, per_client: 50}\nuploads: {in_all: 3}\nrates: {per_address: 100MB}\n"
    "work: {at_once: 20, waiting: 20}\n"
)


def framed(*pieces: bytes, crc32: str = "") -> bytes:
    """Return pieces in chunks without signatures, and a trailer."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return chunks + b"0\r\n" + (f"x-amz-checksum-crc32:{crc32}\r\n".encode() if crc32 else b"") + b"\r\n"


def signed_chunks(data: bytes, headers: Mapping[str, str]) -> bytes:
    """Return bytes in one chunk, which is signed with the headers of its request."""
    time, seed = headers["X-Amz-Date"], headers["Authorization"][-64:]
    scope, out = Scope(time[:8], "us-east-1", "s3"), b""
    for piece in (data, b""):
        digest = hashlib.sha256(piece).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{seed}\n{EMPTY_SHA256}\n{digest}"
        seed = sign(signing_key(SECRET, scope), text)
        out += b"%x;chunk-signature=%b\r\n%b\r\n" % (len(piece), seed.encode(), piece)
    return out


@attrs.frozen
class Case:
    """A request, and the status of its answer.

    :param is_short: whether it is answered without a coroutine.
    :param sent: the body, if it is not the one that is signed; or what makes it of the signed headers.
    :param is_there: whether there is an object before.
    """

    headers: dict[str, str]
    code: int
    is_short: bool = False
    body: bytes = BODY
    sent: bytes | Callable[[Mapping[str, str]], bytes] | None = None
    path: str = "/bucket/key"
    is_there: bool = False
    signs_body: bool = True
    payload: str = ""  # what is said of the hash of the body, if it is not that


def stored(headers: dict[str, str], **more: Any) -> Case:
    return Case(headers, 200, is_short=True, **more)


def in_chunks(code: int = 200, *pieces: bytes, crc32: str = CRC32, **more: Any) -> Case:
    """Return a request whose body is framed, without signatures."""
    sent = framed(*(pieces or (BODY,)), crc32=crc32)
    return Case(**{"headers": TRAILED, "code": code, "is_short": True, "sent": sent, "payload": UNSIGNED_CHUNKS} | more)


CASES = {
    "plain": stored({}),
    "one byte": stored({}, body=b"x"),
    "in place of another": stored({}, is_there=True),
    "an unsigned body": stored({}, signs_body=False),
    "empty": Case({}, 200, body=b""),
    "several reads": Case({}, 200, body=BODY * 5),
    "a folder": stored({}, path="/bucket/a/"),
    "a key that WebDAV cannot say": stored({}, path="/bucket/a//%C3%A4/../%20b"),
    "media": stored(
        {"Content-Type": "text/x", "Cache-Control": "no-cache", "Content-Encoding": "compress", "Expires": "0"}
    ),
    "metadata and tags": stored({"x-amz-meta-colour": "blue", "x-amz-meta-e": "", "x-amz-tagging": "a=b&c=d"}),
    "private": stored({"x-amz-acl": "private", "x-amz-storage-class": "STANDARD"}),
    "public": Case({"x-amz-acl": "public-read"}, 200),
    "MD5": stored({"Content-MD5": digest("md5")}),
    "CRC32": stored({"x-amz-checksum-crc32": CRC32, "x-amz-sdk-checksum-algorithm": "CRC32"}),
    "SHA-256": stored({"x-amz-checksum-sha256": digest("sha256")}, signs_body=False),
    "another body than signed": Case({}, 400, is_short=True, sent=BODY[::-1], is_there=True),
    "another MD5": Case({"Content-MD5": digest("md5", b"")}, 400, is_short=True),
    "no MD5": Case({"Content-MD5": "nonsense"}, 400),
    "another CRC32": Case({"x-amz-checksum-crc32": "AAAAAA=="}, 400, is_short=True, is_there=True),
    "no CRC32": Case({"x-amz-checksum-crc32": "AAAA"}, 400),
    "two checksums": Case({"x-amz-checksum-crc32": CRC32, "x-amz-checksum-md5": digest("md5")}, 400),
    "another kind than told": Case({"x-amz-checksum-crc32": CRC32, "x-amz-sdk-checksum-algorithm": "SHA1"}, 400),
    "a trailer without chunks": Case({"x-amz-trailer": "x-amz-checksum-crc32"}, 400),
    "a length of chunks": Case({"x-amz-decoded-content-length": "1"}, 400),
    "only if new": stored({"If-None-Match": "*"}),
    "only if new, and there": Case({"If-None-Match": "*"}, 412, is_there=True),
    "only if it is": stored({"If-Match": f'"{hashlib.md5(BEFORE).hexdigest()}"'}, is_there=True),
    "only if it is another": Case({"If-Match": '"another"'}, 412, is_there=True),
    "only if it is there": Case({"If-Match": "*"}, 404),
    "both conditions": Case({"If-Match": "*", "If-None-Match": "*"}, 400),
    "a condition for reads": Case({"If-Modified-Since": "Sun, 22 Nov 2026 00:00:00 GMT"}, 501),
    "a piece": Case({"Content-Range": "bytes 0-4095/9999"}, 501),
    "too many metadata": Case({"x-amz-meta-long": "x" * 2049}, 400),
    "bad tags": Case({"x-amz-tagging": "a=1&a=2"}, 400),
    "another class": Case({"x-amz-storage-class": "GLACIER"}, 400),
    "encryption": Case({"x-amz-server-side-encryption": "AES256"}, 501),
    "an unknown header": Case({"x-amz-unknown": "x"}, 501),
    "an unknown parameter": Case({}, 501, path="/bucket/key?unknown"),
    "no bucket": Case({}, 404, path="/other/key"),
    "no name of a bucket": Case({}, 404, path="/B/key"),
    "a long key": Case({}, 400, path="/bucket/" + "k" * 1025),
    "in a chunk": in_chunks(),
    "in chunks": in_chunks(200, BODY[:7], BODY[7:4000], BODY[4000:], is_there=True),
    "in a chunk, without a trailer": in_chunks(crc32="", headers=CHUNKED),
    "in a chunk, with another MD5": in_chunks(400, headers={**TRAILED, "Content-MD5": digest("md5", b"")}),
    "in a chunk, and encoded": in_chunks(headers={**TRAILED, "Content-Encoding": "compress,aws-chunked"}),
    "in a chunk, only if new": in_chunks(412, headers={**TRAILED, "If-None-Match": "*"}, is_there=True, is_short=False),
    "in a chunk, of another CRC32": in_chunks(400, crc32="AAAAAA==", is_there=True),
    "in a chunk, of no CRC32": in_chunks(400, crc32="", is_there=True),
    "in a chunk, of a CRC32 that was not announced": in_chunks(400, headers=CHUNKED),
    "in a chunk that is longer than told": in_chunks(400, BODY, b"x", is_there=True),
    "in a chunk that is shorter than told": in_chunks(400, BODY[1:], is_there=True),
    "in a chunk that breaks off": in_chunks(400, sent=framed(BODY)[:-10], is_there=True),
    "in no chunk": in_chunks(400, sent=BODY),
    "in a chunk, of no length": in_chunks(411, headers={"Content-Encoding": "aws-chunked"}, is_short=False),
    "in no chunk, and empty": in_chunks(
        headers={**CHUNKED, "x-amz-decoded-content-length": "0"}, sent=framed(), body=b"", is_short=False
    ),
    "in a signed chunk": in_chunks(
        headers=CHUNKED, sent=partial(signed_chunks, BODY), payload=SIGNED_CHUNKS, is_there=True
    ),
    "in a chunk with a wrong signature": in_chunks(
        403,
        headers=CHUNKED,
        sent=lambda headers: signed_chunks(BODY, headers).replace(BODY, BODY[::-1]),
        payload=SIGNED_CHUNKS,
        is_there=True,
    ),
}


async def started(make_cluster: Callable[..., Cluster], **settings: Any) -> Cluster:
    """A cluster with the bucket `bucket`, whose front keeps no bytes."""
    cluster = make_cluster(small_part=Size(128 * 1024), cache=Size(0), **settings)
    cluster.s3_key = KEY
    await cluster.start()
    assert (await S3(cluster).put("/bucket", b"")).code == 200
    return cluster


async def ask(
    cluster: Cluster, method: str, case: Case, headers: dict[str, str], key: tuple[str, str] | None = KEY
) -> RawAnswer:
    """Send a request, its head and its body at once."""
    url, data = cluster.s3_url + case.path, case.body if method == "PUT" else b""
    request: Any = AWSRequest(method=method, url=url, headers=headers, data=data)
    if not case.signs_body:
        request.context["client_config"] = UNSIGNED
    if key is not None:
        auth: Any = S3SigV4Auth(Credentials(*key), "s3", "us-east-1")
        if case.payload and method == "PUT":
            auth.payload = lambda _: case.payload
        auth.add_auth(request)
    assert cluster.front is not None
    assert cluster.front.endpoints.s3_port is not None
    client = await connect(cluster.front.endpoints.s3_port.getHost().port)
    sent = data if case.sent is None or method != "PUT" else case.sent
    if callable(sent):
        sent = sent(request.headers)
    lines = [
        f"{name}: {value if isinstance(value, str) else value.decode()}" for name, value in request.headers.items()
    ]
    sized = [f"Content-Length: {len(sent)}"] if method == "PUT" else []
    host = cluster.s3_url.partition("://")[2]
    client.send("\r\n".join([f"{method} {case.path} HTTP/1.1", f"Host: {host}", *lines, *sized, "", ""]).encode(), sent)
    answer = await client.answer(method)
    client.leave()
    return answer


def told(answer: RawAnswer) -> tuple[int, bytes, dict[str, str]]:
    """Return what an answer says, without what is different in each answer."""
    headers = {name: text for name, text in answer.headers.items() if name not in VARIES}
    if headers.get("etag", "").endswith('-1"'):
        del headers["etag"]  # the name of the version
    return answer.code, answer.body.replace(answer.headers["x-amz-request-id"].encode(), b""), headers


async def prepare(s3: S3, case: Case) -> None:
    """Let there be the object that there is before, or none."""
    path = case.path.partition("?")[0]
    answer = await (s3.put(path, BEFORE) if case.is_there else s3.ask("DELETE", path))
    assert answer.code in {200, 204, 400, 404}


async def both(s3: S3, case: Case, watching: Watching, method: str = "PUT") -> list[RawAnswer]:
    """Return the answers by the short way and by the long one, each followed by that to a GET of the object."""
    answers = []
    for slowly in ({}, SLOWLY):
        if method == "PUT":
            await prepare(s3, case)
        before = watching.left
        answers.append(await ask(s3.cluster, method, case, case.headers | slowly))
        assert watching.left - before == int(bool(slowly) or not case.is_short)
        answers.append(await ask(s3.cluster, "GET", case, {"x-amz-checksum-mode": "ENABLED"}))
    return answers


@pytest.mark.parametrize(("etag", "limits"), [("md5", ""), ("version", LIMITS)])
@pytest_twisted.ensureDeferred
async def test_an_object_is_stored_or_refused_as_after_a_wait(
    make_cluster: Callable[..., Cluster], tmp_path: Path, etag: str, limits: str
) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(limits)
    cluster = await started(make_cluster, s3_etag=etag, **({"limits": str(file)} if limits else {}))
    s3, watching = S3(cluster), watch_s3(cluster.front)
    for name, case in CASES.items():
        if etag == "version" and "If-Match" in case.headers and case.code == 200:
            continue  # the tag is not known before
        put, got, slow, got_slowly = await both(s3, case, watching)
        assert told(put) == told(slow), name
        assert put.code == case.code, (name, put.body)
        assert told(got) == told(got_slowly), name
        if case.code == 200:
            assert got.body == case.body, name
        elif case.is_there:
            assert got.body == BEFORE, name


@pytest_twisted.ensureDeferred
async def test_an_object_that_is_not_in_memory_is_read_as_after_a_wait(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    s3 = S3(cluster)
    for key, headers in (
        ("a", {}),
        ("a/b", {"Content_Type": "text/x", "x_amz_meta_colour": "blue", "x_amz_tagging": "a=b"}),
        ("%C3%A4%20b", {"x_amz_checksum_algorithm": "SHA256"}),
        ("one", {}),
    ):
        assert (await s3.put(f"/bucket/{key}", BODY[:1] if key == "one" else BODY, **headers)).code == 200
    await cluster.put("/bucket/by-webdav", BODY)
    await s3.put("/bucket/empty", b"")
    watching = watch_s3(cluster.front)
    for key, code, is_short in (
        ("a", 200, True),
        ("a/b", 200, True),
        ("%C3%A4%20b", 200, True),
        ("one", 200, True),
        ("by-webdav", 200, True),
        ("empty", 200, False),
        ("none", 404, False),
        ("a/", 404, False),
        ("a?partNumber=1", 206, False),
    ):
        for method in ("GET", "HEAD"):
            # The head of an empty object needs no bytes either.
            case = Case({}, code, is_short=is_short or (key, method) == ("empty", "HEAD"), path=f"/bucket/{key}")
            got, whole, slow, _ = await both(s3, case, watching, method)
            assert told(got) == told(slow), (method, key)
            assert got.code == code, (method, key)
            assert (
                got.headers.get("last-modified")
                == slow.headers.get("last-modified")
                == whole.headers.get("last-modified")
            )


@pytest_twisted.ensureDeferred
async def test_a_lock_and_a_node_that_is_away_are_told_as_after_a_wait(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    s3, watching = S3(cluster), watch_s3(cluster.front)
    await s3.put("/bucket/key", BODY)
    lock = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    await cluster.put("/bucket/locked", BODY)
    assert (await cluster.ask("LOCK", "/bucket/locked", lock)).code == 200
    case = Case({}, 403, path="/bucket/locked")
    answers = [await ask(cluster, "PUT", case, slowly) for slowly in ({}, SLOWLY)]
    assert told(answers[0]) == told(answers[1])
    assert answers[0].code == 403
    await cluster.nodes[2].stop()
    for method in ("GET", "PUT"):
        before = watching.left
        answers = [await ask(cluster, method, Case({}, 503), slowly) for slowly in ({}, SLOWLY)]
        assert [answer.code for answer in answers] == [503, 503]
        assert b"n3" in answers[0].body
        assert watching.left == before + 2
    await cluster.nodes[2].start()


@pytest_twisted.ensureDeferred
async def test_an_object_is_stored_and_read_by_those_only_who_may(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster(small_part=Size(128 * 1024), cache=Size(0))
    cluster.users = tmp_path / "users.yaml"
    write_users(
        cluster.users,
        {
            "root": "{path: /, allow: [read, write]}",
            "rita": "{path: /bucket, allow: [read]}",
            "wilma": "{path: /bucket, allow: [write]}",
            "nora": "",
        },
    )
    await cluster.start()
    assert (await S3(cluster, ("ROOT", SECRET)).put("/bucket", b"")).code == 200
    assert (await S3(cluster, ("ROOT", SECRET)).put("/bucket/key", BODY)).code == 200
    watching = watch_s3(cluster.front)
    for name, expected, left in (
        ("root", (200, 200), 0),
        ("rita", (403, 200), 1),
        ("wilma", (200, 404), 1),
        ("nora", (404, 404), 2),
        ("wrong", (403, 403), 2),
        ("", (403, 403), 2),
    ):
        key = (name.upper(), SECRET) if name != "wrong" else ("ROOT", "wrong")
        for _ in range(2):  # the second time, what was proven is known
            before = watching.left
            case = Case({}, 0)
            put = await ask(cluster, "PUT", case, {}, key if name else None)
            got = await ask(cluster, "GET", case, {}, key if name else None)
            assert (put.code, got.code) == expected, name
            assert watching.left - before == left, name
            head = await ask(cluster, "HEAD", case, {}, key if name else None)
            assert head.code == got.code, name
            assert watching.left - before == left + (got.code != 200), name


@pytest.mark.parametrize("setting", ["", "node_request_ids", "limits"])
@pytest_twisted.ensureDeferred
async def test_the_logs_and_the_metrics_tell_it_as_after_a_wait(
    make_cluster: Callable[..., Cluster], tmp_path: Path, setting: str
) -> None:
    access, audit, limits = tmp_path / "access", tmp_path / "audit", tmp_path / "limits.yaml"
    limits.write_text("uploads: {in_all: 3, per_client: 2}\n")
    more: dict[str, Any] = {"": {}, "node_request_ids": {setting: True}, "limits": {setting: str(limits)}}[setting]
    logs = {"access_log": str(access), "access_log_format": "json", "audit_log": str(audit)}
    cluster = await started(make_cluster, **logs, **more)
    watching = watch_s3(cluster.front)
    for case in (Case({}, 200), Case({}, 400, sent=BODY[::-1])):
        for slowly in ({}, SLOWLY):
            assert (await ask(cluster, "PUT", case, slowly)).code == case.code
    assert watching.left == (4 if setting == "node_request_ids" else 2)

    def lines(file: Path) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (file.read_text() if file.exists() else "").splitlines()]
        return [each for each in found if each["target"] == "/bucket/key"]

    await eventually(lambda: len(lines(access)) == 4 and len(lines(audit)) == 2)
    for file in (access, audit):
        # The answer to a request that is refused has its id.
        found = [line | {"id": "", "time": "", "seconds": 0, "sent": 0} for line in lines(file)]
        assert found[::2] == found[1::2] if file is access else found[0] == found[1]
    metrics = (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
    assert 'splitd_requests_total{method="PUT",status="400"} 2.0' in metrics
    assert f'splitd_transfer_bytes_sum{{method="PUT"}} {2 * len(BODY)}.0' in metrics


@pytest_twisted.ensureDeferred
async def test_of_several_that_store_at_once_one_makes_the_object(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    watching = watch_s3(cluster.front)
    case = stored({"If-None-Match": "*"})
    asked = [Deferred.fromCoroutine(ask(cluster, "PUT", case, case.headers)) for _ in range(8)]
    codes = sorted([answer.code for answer in await gatherResults(asked)])
    assert codes == [200] + [412] * 7
    assert watching.left < 8


@pytest_twisted.ensureDeferred
async def test_a_request_that_was_answered_is_freed_at_once(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    watching = watch_s3(cluster.front)
    for method, name in (
        ("PUT", "plain"),
        ("GET", "plain"),
        ("HEAD", "plain"),
        ("PUT", "another MD5"),
        ("PUT", "in chunks"),
        ("PUT", "in a chunk, of another CRC32"),
    ):
        case = CASES[name]
        await ask(cluster, method, case, case.headers)
        with garbage() as found:
            for _ in range(10):
                await ask(cluster, method, case, case.headers)
            await cluster.status()  # the last ones may be on their way still
        assert found[StreamingRequest] <= 1, (method, name)
    assert watching.left == 0


@pytest_twisted.ensureDeferred
async def test_a_small_object_that_comes_with_its_head_is_paid_for(make_cluster: Callable[..., Cluster]) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    cluster = make_cluster(small_part=Size(128 * 1024), front_reactor=still)
    cluster.s3_key = KEY
    limits = cluster.folder.parent / "limits.yaml"
    limits.write_text("rates: {per_address: 16KiB}\n")
    cluster.settings["limits"] = str(limits)
    await cluster.start()
    assert (await S3(cluster).put("/bucket", b"")).code == 200
    watching = watch_s3(cluster.front)
    for _ in range(2):  # the first one may be taken without a debt
        assert (await ask(cluster, "PUT", Case({}, 200, body=bytes(15_000)), {})).code == 200
    assert watching.left == 0
    getting = Deferred.fromCoroutine(ask(cluster, "GET", Case({}, 200), {}))
    seconds = 0
    while not getting.called:
        for _ in range(3):
            await cluster.status()  # meanwhile it would be answered
        if not getting.called:
            still.advance(1)
            seconds += 1
    assert (await getting).code == 200
    assert seconds >= 1
