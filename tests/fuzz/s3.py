"""The parsers of the S3 door."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from twisted.python.failure import Failure

from splitd.frontends.s3.acls import read_policy
from splitd.frontends.s3.buckets.cors import read_cors
from splitd.frontends.s3.buckets.lifecycle import read_lifecycle
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.body import FormBody
from splitd.frontends.s3.forms.policy import parse_policy
from splitd.frontends.s3.headers import parse_tagging
from splitd.frontends.s3.objects.tagging import read_tags
from splitd.frontends.s3.payload.chunked import ChunkedDecoder
from splitd.frontends.s3.query import Query
from splitd.frontends.s3.signing.canonical import canonical_path
from splitd.frontends.s3.signing.claims import parse_authorization, parse_presigned
from splitd.frontends.s3.target import parse_target
from storaged.http.heads import Refused, read_head
from tests.fuzz.parser import Parser, of_text
from tests.s3 import BOUNDARY, form_of

_SCOPE = b"20260101/us-east-1/s3/aws4_request"
_HEX = b"0" * 64


def _framed(data: bytes) -> None:
    decoder = ChunkedDecoder(20, None, has_trailer=True)
    found = b"".join(piece for start in range(0, len(data), 7) for piece in decoder.feed(data[start : start + 7]))
    decoder.finish()
    assert len(found) == 20


class _Sink:
    size = 0

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing: this takes all."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Count the bytes."""
        self.size += len(data)


def _form(data: bytes) -> None:
    body, sink = FormBody(BOUNDARY), _Sink()
    broken: list[Exception] = []
    body.when_broken().addCallback(broken.append)
    body.form().addCallbacks(lambda _: body.lead_into(sink, None), lambda _: None)  # type: ignore[arg-type]
    for start in range(0, len(data), 7):
        body.write(data[start : start + 7])
    if broken:
        body.fail(Failure(broken[0]))
        raise broken[0]
    body.finish(None)
    failed: list[Exception] = []
    body.ended().addErrback(lambda failure: failed.append(failure.value))
    if failed:
        raise failed[0]
    assert body.size == sink.size


def _target(data: bytes) -> None:
    uri = read_head(b"GET " + data + b" HTTP/1.1\r\nHost: h", 16 * 1024).uri
    target = parse_target(uri, ["bucket.s3.example"], ["s3.example"])
    canonical_path(target.raw_path)
    # What is signed is the same when it is encoded once more.
    assert Query(target.query.canonical().encode()).canonical() == target.query.canonical()


_REFUSED = (S3Error,)

S3_PARSERS: Mapping[str, Parser] = {
    "s3 target": Parser(
        _target, (S3Error, Refused), (b"/bucket/a%20b?list-type=2&prefix=%C3%A4", b"/?a=b&a=c&d", b"http://h/b?x")
    ),
    "s3 authorization": Parser(
        of_text(parse_authorization),
        _REFUSED,
        (b"AWS4-HMAC-SHA256 Credential=a/" + _SCOPE + b", SignedHeaders=host;x-amz-date, Signature=" + _HEX,),
    ),
    "s3 signed url": Parser(
        lambda data: parse_presigned(Query(data)),
        _REFUSED,
        (
            b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/"
            + _SCOPE
            + b"&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="
            + _HEX,
        ),
    ),
    "s3 chunks": Parser(
        _framed, _REFUSED, (b"14\r\n" + b"x" * 20 + b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",)
    ),
    "s3 form": Parser(_form, _REFUSED, (form_of({"key": b"k", "policy": b"p"}, b"content", behind={"x": b"y"}),)),
    "s3 policy": Parser(
        of_text(lambda text: parse_policy(base64.b64encode(text.encode("utf-8", "surrogateescape")).decode())),
        _REFUSED,
        (
            b'{"expiration":"2040-01-01T00:00:00Z","conditions":[{"key":"k"},["starts-with","$acl",""],'
            b'["content-length-range",1,9]]}',
        ),
    ),
    "s3 policy in base64": Parser(of_text(parse_policy), _REFUSED, (b"e30=", b"eyJ4IjogMX0=\n")),
    "s3 acl": Parser(
        lambda data: read_policy(data, ("id", "name")),
        _REFUSED,
        (
            b"<AccessControlPolicy><Owner><ID>id</ID></Owner><AccessControlList><Grant><Grantee><URI>http://acs.amazonaws."
            b"com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList>"
            b"</AccessControlPolicy>",
        ),
    ),
    "s3 cors": Parser(
        read_cors,
        _REFUSED,
        (
            b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
            b"<MaxAgeSeconds>1</MaxAgeSeconds></CORSRule></CORSConfiguration>",
        ),
    ),
    "s3 lifecycle": Parser(
        read_lifecycle,
        _REFUSED,
        (
            b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><And><Prefix>x</Prefix><Tag><Key>k"
            b"</Key><Value/></Tag></And></Filter><Expiration><Date>2040-01-01T00:00:00Z</Date></Expiration></Rule>"
            b"</LifecycleConfiguration>",
        ),
    ),
    "s3 tags": Parser(
        lambda data: read_tags(data, 10),
        _REFUSED,
        (b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",),
    ),
    "s3 tagging": Parser(of_text(parse_tagging), _REFUSED, (b"a=1&b=%20",)),
}
