"""Every parser of what comes from outside, as a function of bytes that fails only where the parser has a fault.

`tests/unit/test_fuzz.py` gives them what Hypothesis finds, `make fuzz` what atheris does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from splitd.access.credentials import parse_credentials
from splitd.access.entries import read_users
from splitd.access.limits_file import read_limits
from splitd.errors import BadName, LimitsInvalid, NotFound, UsersInvalid
from splitd.frontends.http.answers import Refused as Refusal
from splitd.frontends.http.names import read_path, show_path
from splitd.frontends.http.targets import href, parse_target
from splitd.frontends.http.times import parse_time
from splitd.frontends.webdav.xml import parse_xml
from splitd.model.conditions import parse_entity_tags, parse_none_match
from splitd.model.digests import parse_digests, parse_md5
from splitd.model.if_header import parse_if
from splitd.model.nodes import RegistryInvalid
from splitd.model.paths import check_catalog_path, check_shape
from splitd.model.records import decode_line
from splitd.model.striping import parse_layout
from splitd.nodes.entries import read_registry
from storaged.http import parse_authority
from storaged.http.chunks import BrokenChunks, ChunkDecoder
from storaged.http.forwarded import client_behind
from storaged.http.get_connection import BadAnswer, begin_body, read_answer_head
from storaged.http.heads import Refused, read_head
from storaged.http.origins import origin_of
from storaged.http.targets import split_target
from storaged.packs.format import scan
from storaged.parts import journals, messages, wire
from storaged.parts.decoding import PartChecker
from storaged.parts.errors import StoragedError
from storaged.parts.format import parse_part_id
from storaged.system.keys import parse_cluster_keys
from storaged.system.origin import parse_origin
from storaged.system.ranges import Unsatisfiable, parse_content_range, parse_ranges
from storaged.system.sizes import parse_size
from tests.fuzz.parser import Parser, of_text
from tests.fuzz.s3 import S3_PARSERS

_LIMIT = 16 * 1024


def _document(parse: Callable[[str, str], object]) -> Callable[[bytes], object]:
    return lambda data: parse("f.yaml", data.decode("utf-8", "replace"))


def _target(data: bytes) -> None:
    head = read_head(b"GET " + data + b" HTTP/1.1\r\nHost: h", _LIMIT)
    target = parse_target(head.uri)
    split_target(head.uri)
    # What is understood is shown so that it is understood as the same again.
    again = parse_target(href(target.path, "", is_collection=target.slash).encode())
    assert again.path == target.path, (target, again)


def _answer(data: bytes) -> None:
    _, code, headers = read_answer_head(data)
    begin_body(code, headers)


def _shown(text: str) -> None:
    check_shape(text)
    real = read_path(text)
    check_catalog_path(real)
    assert read_path(show_path(real)) == real


def _chunks(data: bytes) -> None:
    decoder = ChunkDecoder()
    while data and not decoder.ended:
        before = len(data)
        _, data = decoder.feed(data)
        assert len(data) < before or decoder.ended


def _part(data: bytes) -> None:
    checker = PartChecker(parse_part_id("a" * 32 + ".0"))
    for start in range(0, len(data), 7):
        checker.feed(data[start : start + 7])
    checker.finish()


def _pack(data: bytes) -> None:
    for found in scan(lambda start, stop: data[start:stop], 0, len(data)):
        assert found is not None


def _ranges(text: str) -> None:
    for span in parse_ranges(text, 1000, 32) or ():
        assert 0 <= span.start < span.stop <= 1000


_JSON = (StoragedError,)


def _seen_origin(text: str) -> None:
    host, proto, hosts, forwarded = [*text.split("\0", 3), "", "", ""][:4]
    origin = origin_of(
        host, is_secure=False, trusts=True, protocols=[proto], hosts=[hosts], forwarded=[forwarded, forwarded]
    )
    assert origin.scheme in {"http", "https"}
    assert not set(origin.authority) & set(" \r\n\t<>\"'/?#@")
    assert origin.host in origin.authority


PARSERS: Mapping[str, Parser] = MappingProxyType(
    {
        "head": Parser(
            lambda data: read_head(data, _LIMIT),
            (Refused,),
            (b"GET / HTTP/1.1\r\nHost: a", b"PUT /a%20b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\nX: y"),
        ),
        "answer": Parser(
            _answer,
            (BadAnswer,),
            (b"HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nA: b", b"HTTP/1.0 200 \r\nTransfer-Encoding: chunked"),
        ),
        "target": Parser(
            _target, (Refused, BadName, NotFound), (b"/a/b%20c?x=1&y", b"http://h/a/../b", b"/%ff%2e", b"*")
        ),
        "shown path": Parser(of_text(_shown), (BadName,), (b"/a/b", "/a/%2520/\N{SNOWMAN}".encode(), b"//", b"/..")),
        "chunks": Parser(
            _chunks, (BrokenChunks,), (b"3\r\nabc\r\n0\r\n\r\n", b"A;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n")
        ),
        "ranges": Parser(of_text(_ranges), (Unsatisfiable,), (b"bytes=0-4,5-,-3", b"bytes=999-", b"items=1-2")),
        "content range": Parser(of_text(parse_content_range), (ValueError,), (b"bytes 0-4/10",)),
        "if": Parser(
            of_text(lambda text: parse_if(text, "/p", lambda uri: uri)),
            (ValueError,),
            (b'(<urn:x> ["a"])', b'</a> (Not <urn:x>) (["b"])', b"((((("),
        ),
        "if-match": Parser(of_text(parse_entity_tags), (ValueError,), (b'"a", W/"b"', b"*", b' , ,"x"')),
        "if-none-match": Parser(of_text(parse_none_match), (), (b'"a", W/"b", junk', b"*", b" ,")),
        "time": Parser(of_text(parse_time), (), (b"Sun, 29 Nov 2026 08:00:00 GMT", b"Sunday, 29-Nov-26 08:00:00 GMT")),
        "digests": Parser(
            of_text(parse_digests), (ValueError,), (b"sha-256=:AAAA:, md5=:BBBB=:", b"crc32c=:AAAAAA==:")
        ),
        "md5": Parser(of_text(parse_md5), (ValueError,), (b"1B2M2Y8AsgTpgAmY7PhCfg==",)),
        "credentials": Parser(of_text(parse_credentials), (), (b"Basic YTpi", b"Bearer splitd_abc", b"Basic /w==")),
        "authority": Parser(
            of_text(parse_authority), (ValueError,), (b"example.org:80", b"[::1%25eth0]:1", b"1.2.3.4")
        ),
        "forwarded": Parser(
            of_text(lambda text: client_behind("127.0.0.1", [text], [text], lambda _: True)),
            (),
            (b"10.0.0.1, 127.0.0.1", b'for="[::1]:4711";proto=https, for=_x', b'for="\\"'),
        ),
        "seen origin": Parser(
            of_text(_seen_origin),
            (),
            (b"h:1\0https\0a, b\0proto=http;host=c", b'\0\0"a,b"\0host="x;\\"y";proto="https"'),
        ),
        "origin": Parser(of_text(parse_origin), (ValueError,), (b"http://h:1", b"https://[::1]:2/", b"unix:/x")),
        "size": Parser(of_text(parse_size), (ValueError,), (b"10GiB", b" 5 kb ", b"1e9")),
        "layout": Parser(of_text(lambda text: parse_layout(text, 1024)), (ValueError,), (b"6+2", b"6", b"+")),
        "cluster keys": Parser(of_text(parse_cluster_keys), (ValueError,), (b"k" * 32 + b"\n" + b"l" * 32,)),
        "xml": Parser(
            lambda data: parse_xml(data, "propfind"),
            (Refusal,),
            (
                b'<D:propfind xmlns:D="DAV:"><D:prop><a xmlns="urn:x">t&amp;<![CDATA[x]]></a></D:prop></D:propfind>',
                b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><propfind/>',
            ),
        ),
        "record": Parser(
            decode_line,
            (ValueError,),
            (b'{"seq":1,"durable":0,"record":{"type":"journal-opened","version":1},"crc":"00000000"}\n', b"x 1 {}"),
        ),
        "part": Parser(_part, (StoragedError,), (b"", b"SPLT" + bytes(60))),
        "part id": Parser(of_text(parse_part_id), (ValueError,), (b"a" * 32 + b".0", b"../../etc/passwd")),
        "pack": Parser(_pack, (StoragedError,), (b"", bytes(200))),
        "link request": Parser(messages.decode_request, _JSON, (messages.encode(messages.Get(1, ["a"])),)),
        "link answer": Parser(messages.decode_answer, _JSON, (messages.encode(messages.Answer(1, [b"x"], {})),)),
        "journal request": Parser(journals.decode_request, _JSON, (b"",)),
        "journal answer": Parser(journals.decode_answer, _JSON, (b"",)),
        "claim": Parser(journals.decode_claim, _JSON, (b'{"epoch":1,"front":"0123456789abcdef","after":0}',)),
        "standing": Parser(journals.decode_standing, _JSON, (b'{"epoch":1,"front":"x"}',)),
        "node": Parser(wire.decode_node, _JSON, (b'{"id":"n1","cluster":"c"}',)),
        "part list": Parser(wire.decode_parts, _JSON, (b'[{"id":"a"}]',)),
        "asked": Parser(wire.decode_asked, _JSON, (b'["a"]',)),
        "proof": Parser(wire.decode_proof, _JSON, (b'{"nonce":"00","node":"n1","proofs":[]}',)),
        "error": Parser(of_text(lambda text: wire.parse_error(400, text)), (), (b"NoSpace: x", b"Unknown", b":")),
        "epoch": Parser(of_text(wire.parse_epoch), _JSON, (b"17", b"-1")),
        "users": Parser(
            _document(read_users),
            (UsersInvalid,),
            (b"users:\n  anna:\n    grants: [{path: /a, allow: [read]}]\n    quota: {bytes: 1GiB}\ngroups: {s: {}}\n",),
        ),
        "limits": Parser(
            _document(read_limits),
            (LimitsInvalid,),
            (b"work: {at_once: 1}\nquotas: [{path: /a, bytes: 1}]\nrates: {per_user: 1MiB}\n",),
        ),
        "registry": Parser(
            _document(read_registry), (RegistryInvalid,), (b"- {id: n1, url: 'http://h:1', zone: z, weight: 2}\n",)
        ),
        **S3_PARSERS,
    }
)
