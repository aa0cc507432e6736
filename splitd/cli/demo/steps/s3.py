"""The step about programs made for Amazon S3."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from types import MappingProxyType
from urllib.parse import quote, urlsplit

import attrs

from splitd.cli.credentials import basic
from splitd.cli.demo.own_cluster import PRIVATE
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import ServerRefused
from splitd.cli.server import Body, Server
from splitd.frontends.s3.query import Query
from splitd.frontends.s3.signing.canonical import (
    ALGORITHM,
    Scope,
    canonical_path,
    canonical_request,
    sign,
    signing_key,
    string_to_sign,
)

_REGION = "us-east-1"
_KEY, _BELOW = f"{PRIVATE}/by-s3", f"{PRIVATE}/by-s3/below"
"""Two keys that no folder tree can hold together."""

_PARTS = (b"part one " * (5 * 1024 * 1024 // 9 + 1), b"part two")
"""Those of an object that is sent in parts: all but the last one have at least 5 MiB."""

_FORM_LIMIT = 1000
_BOUNDARY = "the-tour"
_NOTHING: Mapping[str, str] = MappingProxyType({})


def _sign(
    method: str, server: Server, path: str, access_key: str, secret_key: str, more: Mapping[str, str] = _NOTHING
) -> dict[str, str]:
    """Return the query that signs a request for a minute.

    :param more: the rest of the query.
    """
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = Scope(time[:8], _REGION, "s3")
    query = {
        **more,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
    }
    raw = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    request = canonical_request(
        method,
        canonical_path(quote(path).encode()).decode(),
        Query(raw.encode()).canonical(),
        [("host", urlsplit(server.url).netloc)],
        "host",
        "UNSIGNED-PAYLOAD",
    )
    key = signing_key(secret_key, scope)
    return {**query, "X-Amz-Signature": sign(key, string_to_sign(time, scope, request))}


def _by_s3(scene: Scene, report: Report) -> None:
    cluster = scene.own
    add = ["user", "key", "add", "anna", "--file", str(cluster.users), "--cluster-key-file", str(cluster.key)]
    report.command(f"splitctl {' '.join(add)}")
    code, said = cluster.operate(*add)
    keys = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    report.check("anna has a pair of keys", code == 0 and len(keys) == 2, "exit code 0", f"exit code {code}")
    if len(keys) != 2:
        return
    code, said = cluster.operate("reload")
    report.check("the front has taken over the keys", code == 0, "exit code 0", said)
    s3 = Server(cluster.s3)
    access_key, secret_key = keys["access key"], keys["secret key"]

    def signed(method: str, path: str, body: bytes | None = None, **query: str) -> tuple[int, bytes]:
        return _ask(s3, method, path, _sign(method, s3, path, access_key, secret_key, query), body)

    content = b"an object of S3"
    report.equal("an object is stored by a signed URL: 200", 200, signed("PUT", _KEY, content)[0])
    report.equal("it is read by another one", (200, content), signed("GET", _KEY))
    stolen = _sign("GET", s3, _KEY, access_key, secret_key)
    report.equal("the URL is good for nothing else: 403", 403, _ask(s3, "DELETE", _KEY, stolen)[0])
    report.equal("without a signature it is refused: 403", 403, _ask(s3, "GET", _KEY, {})[0])
    anna = attrs.evolve(scene.files.front, authorization=basic("anna", "anna-secret"))
    report.equal("WebDAV has it at once", (200, content), _ask(anna, "GET", _KEY, {}))
    for what, sent, status in (
        ("a file comes from a form of a browser, whose policy anna signed: 204", content, 204),
        ("a larger one than the policy allows is refused: 400", bytes(_FORM_LIMIT + 1), 400),
    ):
        headers, form = _form(access_key, secret_key, PRIVATE.strip("/"), "from-a-form", sent)
        report.equal(what, status, _ask(s3, "POST", PRIVATE, body=form, headers=headers)[0])
    report.equal("the key has the one that was allowed", (200, content), signed("GET", f"{PRIVATE}/from-a-form"))
    _in_parts(report, signed)
    report.equal("a key below that of an object is stored: 200", 200, signed("PUT", _BELOW, content)[0])
    report.equal("and both are there", [200, 200], [signed("GET", key)[0] for key in (_KEY, _BELOW)])


def _in_parts(report: Report, signed: Callable[..., tuple[int, bytes]]) -> None:
    path = f"{PRIVATE}/in-parts"
    _, said = signed("POST", path, b"", uploads="")
    found = re.search(rb"<UploadId>(.+?)</UploadId>", said)
    upload = found[1].decode() if found else ""
    statuses = [
        signed("PUT", path, part, partNumber=str(number), uploadId=upload)[0]
        for number, part in reversed(list(enumerate(_PARTS, 1)))
    ]
    report.equal("an object is sent in two parts, the second one first: 200", [200, 200], statuses)
    report.equal("it is not there before it is complete: 404", 404, signed("GET", path)[0])
    tags = [hashlib.md5(part, usedforsecurity=False).hexdigest() for part in _PARTS]
    named = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in enumerate(tags, 1))
    whole = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    report.equal("the parts are named by their MD5: 200", 200, signed("POST", path, whole, uploadId=upload)[0])
    status, content = signed("GET", path)
    report.check("and are one object", (status, content) == (200, b"".join(_PARTS)), "the bytes of both", f"{status}")


def _form(access_key: str, secret_key: str, bucket: str, key: str, content: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a form of a browser.  Its policy allows one key of a bucket and a few bytes,
    for a minute.
    """
    now = datetime.now(UTC)
    scope = Scope(f"{now:%Y%m%d}", _REGION, "s3")
    fields = {
        "key": key,
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": f"{access_key}/{scope}",
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
    }
    named = ({name: value} for name, value in fields.items())
    conditions = [{"bucket": bucket}, *named, ["content-length-range", 0, _FORM_LIMIT]]
    policy = {"expiration": f"{now + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}
    fields["policy"] = b64encode(json.dumps(policy).encode()).decode()
    fields["x-amz-signature"] = sign(signing_key(secret_key, scope), fields["policy"])
    line = "--" + _BOUNDARY
    parts = [f'{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
    parts.append(f'{line}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n')
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return headers, "".join(parts).encode() + content + f"\r\n{line}--\r\n".encode()


def _ask(
    server: Server,
    method: str,
    path: str,
    query: Mapping[str, str] = _NOTHING,
    body: bytes | None = None,
    headers: Mapping[str, str] = _NOTHING,
) -> tuple[int, bytes]:
    try:
        sent = None if body is None else Body(BytesIO(body), len(body), "the object", lambda _: None)
        with server.ask(method, path, query=query, headers=headers, body=sent) as answer:
            return answer.status, answer.read()
    except ServerRefused as refusal:
        return refusal.status, b""


S3 = Step(
    "Programs made for Amazon S3 find buckets and objects",
    "The same files, by a port of their own: each request is signed with the keys of a user, who may do by S3 what "
    "they may do otherwise. Every key of S3 is kept, also beside what a folder tree could not hold with it.",
    _by_s3,
    "the processes",
)
