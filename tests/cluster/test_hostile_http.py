"""Request heads that no honest client sends: each gets a clear refusal, and the bytes after it are never taken for a
request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import pytest_twisted

from splitd.frontends.http.targets import HEAD_LIMIT
from tests.cluster.cluster import Cluster
from tests.cluster.hostile import KEPT, SMUGGLED, about, refused, surviving

Case = tuple[int, str, bytes]
"""The status of the answer, what is wrong with the bytes, and the bytes."""


@pytest.fixture
def front(make_cluster: Callable[..., Cluster]) -> Iterator[Cluster]:
    with surviving(make_cluster()) as cluster:
        yield cluster


def head(*lines: str | bytes, first: bytes = b"PUT /new HTTP/1.1", host: bool = True) -> bytes:
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    return b"\r\n".join([first, *([b"Host: test"] if host else []), *encoded, b"", b""])


def case(code: int, what: str, data: bytes) -> Case:
    return code, what, data


LENGTHS = ["", "+5", "-5", "5,5", "5, 5", "5 5", "5;", "0x5", "5.0", "1e3", "\uff15", "five", "9" * 30, "9" * 5000]
CODINGS = ["", "identity", "gzip", "gzip, chunked", "chunked, chunked", "chunked, identity", "chunked;x=1", "xchunked",
           "\x0bchunked", "chunked\x0b", '"chunked"']  # fmt: skip

FRAMING = [
    case(400, "a length and chunks", head("Content-Length: 4", "Transfer-Encoding: chunked")),
    case(400, "chunks and a length", head("Transfer-Encoding: chunked", "Content-Length: 4")),
    case(400, "two lengths", head("Content-Length: 5", "Content-Length: 6")),
    case(400, "a length twice", head("Content-Length: 5", "Content-Length: 5")),
    case(400, "no length and a length", head("Content-Length: 0", "Content-Length: 5")),
    *(case(400, f"a length of {length[:40]!r}", head(f"Content-Length: {length}")) for length in LENGTHS),
    *(case(501, f"a coding of {coding!r}", head(f"Transfer-Encoding: {coding}")) for coding in CODINGS),
    case(501, "identity and a length", head("Transfer-Encoding: identity", "Content-Length: 5")),
    case(400, "chunks twice", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    case(501, "identity and chunks", head("Transfer-Encoding: identity", "Transfer-Encoding: chunked")),
    case(400, "chunks in HTTP/1.0", head("Transfer-Encoding: chunked", first=b"PUT /new HTTP/1.0")),
    case(400, "a folded length", head("Content-Length:", " 5")),
    case(400, "folded chunks", head("Transfer-Encoding:", "\tchunked")),
    case(400, "a folded line that is a header", head("X: a", " Content-Length: 5")),
    case(400, "a folded line before any header", head(" X: a", host=False)),
    case(411, "a body without a length in HTTP/1.0", head(first=b"PUT /new HTTP/1.0")),
    case(411, "a form without a length in HTTP/1.0", head(first=b"POST /new HTTP/1.0")),
    case(400, "a space before the colon", head("Content-Length : 5")),
    case(400, "a tab before the colon", head("Transfer-Encoding\t: chunked")),
]

LINES = [
    case(400, "a bare LF in a header", head(b"X: a\nContent-Length: 5")),
    case(400, "a bare LF after a header", head(b"X: a\n")),
    case(400, "bare LFs only", b"GET /kept HTTP/1.1\nHost: test\n\n"),
    case(400, "a bare LF in the middle of the last header", b"GET /kept HTTP/1.1\r\nHost: test\nX: "),
    case(400, "a bare CR in a header", head(b"X: a\rContent-Length: 5")),
    case(400, "CRs only", b"GET /kept HTTP/1.1\rHost: test\r\r" + b"\r\n"),
    case(400, "a CR before CRLF", head(b"X: a\r")),
    case(400, "a NUL in a value", head(b"X: a\x00b")),
    case(400, "a NUL in a name", head(b"X\x00: a")),
    case(400, "no colon", head("X")),
    case(400, "no name", head(": a")),
    case(400, "a name that is no token", head("X(Y): a")),
    case(400, "a name that is not ASCII", head("\u00e9: a")),
    case(400, "many empty lines before the request", b"\r\n" * 100 + head(first=b"GET /kept HTTP/1.1")),
]

FIRST_LINES = [
    case(400, f"{line[:40]!r}", head(first=line))
    for line in [
        b"GET /kept",
        b"GET",
        b" GET /kept HTTP/1.1",
        b"GET  /kept HTTP/1.1",
        b"GET /kept  HTTP/1.1",
        b"GET /kept HTTP/1.1 ",
        b"GET\t/kept\tHTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"G\xc3\x89T /kept HTTP/1.1",
        b"G(T /kept HTTP/1.1",
        b"GET\x00 /kept HTTP/1.1",
        b"\x01\x02 /kept HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET kept HTTP/1.1",
        b"GET ?kept HTTP/1.1",
        b"GET test:80 HTTP/1.1",
        b"OPTIONS kept HTTP/1.1",
        b"OPTIONS ** HTTP/1.1",
        b"GET /kept http/1.1",
        b"GET /kept HTTP/1.10",
        b"GET /kept HTTP/11",
        b"GET /kept HTTP/1.1\x00",
        b"GET /kept HTTPS/1.1",
        b"GET /kept HTCPCP/1.0",
    ]
] + [
    case(505, f"{line!r}", head(first=line))
    for line in [b"GET /kept HTTP/0.9", b"GET /kept HTTP/1.2", b"GET /kept HTTP/2.0", b"GET /kept HTTP/9.9"]
]

HOSTS = [
    case(400, "no host", head(first=b"GET /kept HTTP/1.1", host=False)),
    case(400, "two hosts", head("Host: other", first=b"GET /kept HTTP/1.1")),
    case(400, "the same host twice", head("Host: test", first=b"GET /kept HTTP/1.1")),
    case(400, "two hosts in HTTP/1.0", head("Host: other", first=b"GET /kept HTTP/1.0")),
    *(
        case(400, f"host {value!r}", head(f"Host: {value}", first=b"GET /kept HTTP/1.1", host=False))
        for value in ["a b", "a/b", "a, b", "user@a", "a\x01b", "\u00e9", "a:b", "a:80:80", "[::1", "<a>", "a?b", "a#b"]
    ),
]

OTHERS = [
    case(400, "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2),
    case(400, "the beginning of TLS", b"\x16"),
    case(400, "NULs", bytes(100)),
    case(400, "every byte", bytes(range(256))),
    case(400, "bytes that are no text", b"\xff\xfe\xfd" * 1000),
    case(505, "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    case(400, "SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
    case(400, "SMTP", b"EHLO example.org\r\n"),
    case(400, "SOCKS", b"\x05\x01\x00"),
]

BOMBS = [
    case(431, "many headers", head(*["X: y"] * 2_000)),
    case(431, "many small headers", head(*["a:"] * 501)),
    case(431, "a large header", head("X: " + "y" * HEAD_LIMIT)),
    case(431, "a very large header", head("X: " + "y" * 10 * HEAD_LIMIT)),
    case(431, "a large name", head("X" * HEAD_LIMIT + ": y")),
    case(431, "large headers", head(*["X: " + "y" * (HEAD_LIMIT // 10)] * 10)),
    case(431, "a header without end", head().removesuffix(b"\r\n") + b"X: " + b"y" * 2_000_000),
    case(414, "a large URL", head(first=b"GET /" + b"a" * HEAD_LIMIT + b" HTTP/1.1")),
    case(414, "a very large URL", head(first=b"GET /" + b"a" * 10 * HEAD_LIMIT + b" HTTP/1.1")),
    case(
        414,
        "a URL that is large when it is encoded",
        head(first=b"GET /?" + b"\xc3\xa9" * (HEAD_LIMIT // 4) + b" HTTP/1.1"),
    ),
    case(414, "a large query", head(first=b"GET /?" + b"a&" * (HEAD_LIMIT // 2) + b" HTTP/1.1")),
    case(414, "a URL without end", b"GET /" + b"a" * 2_000_000),
    case(414, "a method without end", b"A" * 2_000_000),
]


@pytest.mark.parametrize(
    "cases",
    [FRAMING, LINES, FIRST_LINES, HOSTS, OTHERS, BOMBS],
    ids=["framing", "lines", "first lines", "hosts", "others", "bombs"],
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_request_is_refused_and_nothing_behind_it_is_read(front: Cluster, cases: list[Case]) -> None:
    for code, what, data in cases:
        with about(what):
            for between in (b"", b"5\r\nabcde\r\n0\r\n\r\n"):
                client = await front.connect()
                client.send(data, between, SMUGGLED)
                client.send(SMUGGLED)
                assert (await refused(client)).code == code
            assert (await front.get("/new")).code == 404
            assert (await front.get("/kept")).body == KEPT


ODD_AND_RIGHT: dict[str, tuple[list[str], bytes]] = {
    "a host": (["Host: test"], b"GET /kept HTTP/1.1"),
    "case and space": (["hOST:test"], b"GET /kept HTTP/1.1"),
    "a port and white space": (["Host: test:8080 \t"], b"GET /kept HTTP/1.1"),
    "an address": (["Host: [::1]:80"], b"GET /kept HTTP/1.1"),
    "an empty host": (["Host:"], b"GET /kept HTTP/1.1"),
    "HTTP/1.0 without a host": ([], b"GET /kept HTTP/1.0"),
    "HTTP/1.0 that would stay": (["Host: test", "Connection: keep-alive"], b"GET /kept HTTP/1.0"),
    "absolute form": (["Host: other"], b"GET http://test/kept HTTP/1.1"),
    "absolute form in capitals": (["Host: test"], b"GET HTTP://test:80/kept HTTP/1.1"),
    "nothing to wait for": (["Host: test", "Expect: 100-continue"], b"GET /kept HTTP/1.1"),
    "an expectation before there were any": (["Host: test", "Expect: x"], b"GET /kept HTTP/1.0"),
    "a value that is not ASCII": (["Host: test", "X: \xff\x80"], b"GET /kept HTTP/1.1"),
    "an empty value": (["Host: test", "X:"], b"GET /kept HTTP/1.1"),
    "many headers": (["Host: test", *["X: y"] * 400], b"GET /kept HTTP/1.1"),
    "a large header": (["Host: test", "X: " + "y" * (HEAD_LIMIT - 100)], b"GET /kept HTTP/1.1"),
    "an empty line before the request": (["Host: test"], b"\r\nGET /kept HTTP/1.1"),
    "two empty lines before the request": (["Host: test"], b"\r\n\r\nGET /kept HTTP/1.1"),
    "some empty lines before the request": (["Host: test"], b"\r\n" * 16 + b"GET /kept HTTP/1.1"),
    "a large URL": (["Host: test"], b"GET /kept?" + b"a" * (HEAD_LIMIT - 100) + b" HTTP/1.1"),
}


@pytest_twisted.ensureDeferred
async def test_what_is_odd_and_right_is_served(front: Cluster) -> None:
    for what, (lines, first) in ODD_AND_RIGHT.items():
        with about(what):
            data = head(*(line.encode("latin-1") for line in lines), first=first, host=False)
            whole, by_byte = await front.connect(), await front.connect()
            whole.send(data)
            for position in range(len(data) if len(data) < 1000 else 0):
                by_byte.send(data[position : position + 1])
            for client in (whole, by_byte) if len(data) < 1000 else (whole,):
                answer = await client.answer()
                assert (answer.code, answer.body) == (200, KEPT)
                if first.endswith(b"HTTP/1.0"):
                    assert await client.until_ended() == b""


@pytest_twisted.ensureDeferred
async def test_chunks_are_known_however_their_name_is_written(front: Cluster) -> None:
    for coding in ("chunked", "Chunked", "CHUNKED", "\tchunked \t"):
        with about(coding):
            client = await front.connect()
            client.send(head(f"Transfer-Encoding:{coding}"), b"5\r\nabcde\r\n0\r\n\r\n")
            assert (await client.answer()).code == 201
            assert (await front.get("/new")).body == b"abcde"
            assert (await front.ask("DELETE", "/new")).code == 204


@pytest_twisted.ensureDeferred
async def test_100_continue_is_known_however_it_is_written(front: Cluster) -> None:
    for value in (
        "100-continue",
        "100-Continue",
        " 100-CONTINUE",
        "100-continue, 200-ok",
        "teapot ,\t100-continue",
        "100-continue\r\nExpect: teapot",
    ):
        with about(value):
            client = await front.connect()
            client.send(head("Content-Length: 5", f"Expect:{value}"))
            assert (await client.answer()).code == 100
            client.send(b"abcde")
            assert (await client.answer()).code == 201
            assert (await front.ask("DELETE", "/new")).code == 204


@pytest_twisted.ensureDeferred
async def test_other_expectations_are_ignored(front: Cluster) -> None:
    for value in ("200-ok", "100", "", "100-continues"):
        with about(value):
            client = await front.connect()
            client.send(head("Content-Length: 5", f"Expect: {value}"), b"abcde")
            assert (await client.answer()).code == 201, "without a 100 before it"
            assert (await front.get("/new")).body == b"abcde"
            assert (await front.ask("DELETE", "/new")).code == 204


ODD_TARGETS = [
    (b"CONNECT test:443 HTTP/1.1", 405),
    (b"TRACE /kept HTTP/1.1", 405),
    (b"get /kept HTTP/1.1", 405),
    (b"A" * 5000 + b" /kept HTTP/1.1", 405),
    (b"!#$%&'*+-.^_`|~9 /kept HTTP/1.1", 405),
    (b"GET /%zz HTTP/1.1", 404),
    (b"GET /%00 HTTP/1.1", 400),
    (b"GET /%ff HTTP/1.1", 400),
    (b"GET //kept HTTP/1.1", 400),
    (b"GET /./kept HTTP/1.1", 400),
    (b"GET /../../etc/passwd HTTP/1.1", 400),
    (b"GET /%2e%2e/etc/passwd HTTP/1.1", 400),
    (b"GET /a%2fb HTTP/1.1", 400),
    (b"GET file:///etc/passwd HTTP/1.1", 404),
]


@pytest_twisted.ensureDeferred
async def test_an_odd_target_is_told_why_and_the_connection_goes_on(front: Cluster) -> None:
    for first, code in ODD_TARGETS:
        with about(first):
            client = await front.connect()
            client.send(head(first=first))
            answer = await client.answer()
            assert (answer.code, len(answer.body) > 10) == (code, True)
            client.begin("GET", "/kept")
            assert (await client.answer()).body == KEPT


@pytest_twisted.ensureDeferred
async def test_empty_lines_are_skipped_before_each_request_of_a_connection(front: Cluster) -> None:
    client = await front.connect()
    for _ in range(10):
        client.send(b"\r\n" * 10, head(first=b"GET /kept HTTP/1.1"))
        assert (await client.answer()).body == KEPT


@pytest.mark.parametrize("length", [0, 5])
@pytest_twisted.ensureDeferred
async def test_a_body_with_a_length_is_stored_in_http_1_0_too(front: Cluster, length: int) -> None:
    client = await front.connect()
    client.send(head(f"Content-Length: {length}", first=b"PUT /new HTTP/1.0"), b"abcde"[:length])
    assert (await client.answer()).code == 201
    assert (await front.get("/new")).body == b"abcde"[:length]
