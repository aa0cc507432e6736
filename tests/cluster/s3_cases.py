"""Requests of small objects, each made by the short way and by the one that waits."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from splitd.frontends.s3.buckets.notes import owner_of
from splitd.frontends.s3.signing.canonical import EMPTY_SHA256, Scope, sign, signing_key
from splitd.frontends.s3.signing.stated import SIGNED_CHUNKS, UNSIGNED_CHUNKS
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawAnswer, RawClient, connect
from tests.cluster.s3 import KEY, S3, SECRET
from tests.cluster.watching import Watching

BODY = bytes(range(256)) * 16
BEFORE = b"before"
VARIES = {"date", "x-request-id", "x-amz-request-id", "last-modified"}
SLOWLY = {"x-amz-expected-bucket-owner": owner_of("splitd")[0]}
"""A condition, which always holds, so that the request takes the long way."""

EXPECT = b"Expect: 100-continue\r\n\r\n"
"""The end of a head."""

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

    @property
    def is_refused_by_head(self) -> bool:
        """Whether its body is not needed to refuse it."""
        return self.code != 200 and not self.is_short


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
    "several reads": stored({}, body=BODY * 16),
    "more than is hashed at once": Case({}, 200, body=BODY * 16 + b"x"),
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


async def begin(
    cluster: Cluster, method: str, case: Case, headers: Mapping[str, str], key: tuple[str, str] | None = KEY
) -> tuple[RawClient, bytes, bytes]:
    """Return a client, the head of a request but for its last line, and the body."""
    url, data = cluster.s3_url + case.path, case.body if method == "PUT" else b""
    request: Any = AWSRequest(method=method, url=url, headers=dict(headers), data=data)
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
    head = "\r\n".join([f"{method} {case.path} HTTP/1.1", f"Host: {host}", *lines, *sized, ""])
    return client, head.encode(), sent


async def ask(
    cluster: Cluster,
    method: str,
    case: Case,
    headers: dict[str, str],
    key: tuple[str, str] | None = KEY,
    *,
    expects: bool = False,
) -> RawAnswer:
    """Send a request, its head and its body at once.

    :param expects: whether the body is sent after `100 Continue` only, which comes if the head is not refused.
    """
    client, head, sent = await begin(cluster, method, case, headers, key)
    client.send(head, EXPECT if expects else b"\r\n" + sent)
    answer = await client.answer(method)
    if expects:
        assert (answer.code == 100) != case.is_refused_by_head
    if answer.code == 100:
        client.send(sent)
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


async def both(
    s3: S3, case: Case, watching: Watching, method: str = "PUT", *, expects: bool = False
) -> list[RawAnswer]:
    """Return the answers by the short way and by the long one, each followed by that to a GET of the object."""
    answers = []
    for slowly in ({}, SLOWLY):
        if method == "PUT":
            await prepare(s3, case)
        before = watching.left
        answers.append(await ask(s3.cluster, method, case, case.headers | slowly, expects=expects))
        assert watching.left - before == int(bool(slowly) or not case.is_short)
        answers.append(await ask(s3.cluster, "GET", case, {"x-amz-checksum-mode": "ENABLED"}))
    return answers
