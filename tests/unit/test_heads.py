"""What a head says.  The refusals are tested with real connections, in tests/cluster/test_hostile_http*.py."""

from __future__ import annotations

import pytest

from storaged.http.head_reader import HeadReader
from storaged.http.heads import MOST_HEADERS, Head, Refused, read_head

LIMIT = 1000


def test_a_head_is_read() -> None:
    head = read_head(b"PUT /a%20b?c HTTP/1.1\r\nHost: h\r\nX-A:\t1 \r\nx-a: \xff\r\nY:\r\nContent-Length: 7", LIMIT)
    assert (head.method, head.uri, head.version, head.length) == (b"PUT", b"/a%20b?c", b"HTTP/1.1", 7)
    assert head.headers == {
        b"host": [b"h"],
        b"x-a": [b"1", b"\xff"],
        b"y": [b""],
        b"content-length": [b"7"],
    }


@pytest.mark.parametrize(
    ("version", "lines", "stays"),
    [
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"\r\nConnection: keep-alive", True),
        (b"HTTP/1.1", b"\r\nConnection: Close", False),
        (b"HTTP/1.1", b"\r\nConnection: te, close", False),
        (b"HTTP/1.1", b"\r\nConnection: te\r\nConnection: close", False),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"\r\nConnection: keep-alive", False),
    ],
)
def test_a_head_says_whether_the_connection_stays(version: bytes, lines: bytes, stays: bool) -> None:
    assert read_head(b"GET / " + version + b"\r\nHost: h" + lines, LIMIT).stays is stays


def test_raw_utf8_in_a_target_is_percent_encoded() -> None:
    assert read_head("GET /é HTTP/1.1\r\nHost: h".encode(), LIMIT).uri == b"/%C3%A9"


def test_the_limit_counts_all_but_line_ends() -> None:
    first, host = b"GET / HTTP/1.1", b"Host: h"
    left = LIMIT - len(first) - len(host) - len(b"X: ")
    assert read_head(b"\r\n".join([first, host, b"X: " + b"y" * left]), LIMIT)
    with pytest.raises(Refused) as refused:
        read_head(b"\r\n".join([first, host, b"X: " + b"y" * (left + 1)]), LIMIT)
    assert refused.value.status == 431


def test_an_encoded_target_counts_as_it_is_passed_on() -> None:
    with pytest.raises(Refused) as refused:
        read_head(b"GET /" + b"\xc3\xa9" * 160 + b" HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 100, LIMIT)
    assert refused.value.status == 431


def test_the_number_of_headers_is_limited() -> None:
    lines = [b"GET / HTTP/1.1", b"Host: h", *[b"a:"] * (MOST_HEADERS - 1)]
    assert read_head(b"\r\n".join(lines), 10_000)
    with pytest.raises(Refused) as refused:
        read_head(b"\r\n".join([*lines, b"a:"]), 10_000)
    assert refused.value.status == 431


REPEATED = [
    b"Host: h",
    b"Host: h\r\nX: y",
    b"Host: h\r\nX:\tz ",
    b"Host: h\r\nX:",
    b"Host: h\r\nX: y\x00",
    b"Host: h\r\nX: y\nz",
    b"Host: h\r\nX: y\rz",
    b"Host: h\r\nX",
    b"Host: h\r\nX : y",
    b"Host: h\r\nx: z",
    b"Host: h\r\nXY: y",
    b"Host: h\r\n: y",
    b"Host: h\r\n",
    b"Host: h\r\nX: Z: y",
    b"Host: h\r\nX: y\r\nX: z",
    b"Host: h\r\nX: z\r\nX: z",
    b"Host: i\r\nX: y",
    b"Host: /\r\nX: y",
    b"Host: h\r\nContent-Length: 7",
    b"Host: h\r\nContent-Length: 8",
    b"Host: h\r\nContent-Length: -8",
    b"Host: h\r\nTransfer-Encoding: gzip",
    b"Host: h\r\nConnection: close",
    b"Host: h\r\nConnection: keep-alive",
    b"Host: h\r\nTransfer-Encoding: chunked",
    b"Host: h\r\nExpect: something",
    b"Host: h\r\nExpect: 100-continue",
    b"Host: h\r\nHost: h",
    b"X: y",
    b"Host: h\r\nAuthorization: Basic a",
    b"Host: h\r\nAuthorization:  Basic b ",
    b"Authorization: \x00\r\nHost: h",
    b"Host: h\r\nauthorization: Basic c",
    b"Host: h\r\nAuthorization: Basic d\r\nAuthorization: Basic e",
    b"Host: h\r\nauthorization: f\r\nAuthorization: g",
    b"Host: h\r\nX: Authorization: h",
    b"Host: h\r\nX: z\r\nAuthorization: Basic k",
    b"Host: h\r\nX: Authorization: h\r\nAuthorization: Basic l",
    b"Host: h\r\nX-Authorization: i",
    b"Host: h\r\nAuthorization: j\r\n folded",
    b"Host: h\r\n folded",
    b"Host: h\r\nX: " + b"y" * 900,
    b"",
]


@pytest.mark.parametrize("first", [b"GET /a HTTP/1.1", b"PUT /b HTTP/1.0", b"GET /" + b"c" * 400 + b" HTTP/1.1"])
@pytest.mark.parametrize("lines", REPEATED)
def test_a_head_says_the_same_whatever_head_came_before(first: bytes, lines: bytes) -> None:
    def read(before: Head | None) -> Head | tuple[int, str]:
        try:
            return read_head(b"\r\n".join([first, *filter(None, [lines])]), LIMIT, before)
        except Refused as refused:
            return refused.status, refused.why

    expected = read(None)
    for method in (b"GET / HTTP/1.1", b"PUT / HTTP/1.0"):
        for other in REPEATED:
            try:
                before = read_head(b"\r\n".join([method, *filter(None, [other])]), LIMIT)
            except Refused:
                continue
            found = read(before.without_login())
            assert found == expected
            if isinstance(found, Head) and isinstance(expected, Head):
                assert (found.stays, found.expects_continue) == (expected.stays, expected.expects_continue)


@pytest.mark.parametrize(
    ("lines", "is_kept"),
    [
        (b"X: y", True),
        (b"X: " + b"y" * 700, True),
        (b"authorization: Basic YTpi", False),
        (b"Authorization: Basic YTpi\r\nAuthorization: Basic YTpj", False),
        (b"X: y\r\nCOOKIE: a=b", False),
        (b"X: " + b"y" * 900, False),
        (b"\r\n".join(b"%x:" % number for number in range(100)), False),
    ],
)
def test_headers_are_kept_for_the_next_request_if_they_are_few_and_no_secret(lines: bytes, is_kept: bool) -> None:
    reader = HeadReader(10 * LIMIT)
    whole = b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" + b"A: b\r\n" * 20 + lines + b"\r\n\r\n"
    found = [reader.feed(whole) for _ in range(2)]
    heads = [each[0] for each in found if each is not None]
    assert heads[0] == heads[1]
    assert (heads[0].headers is heads[1].headers) == is_kept


def test_a_login_is_not_kept_for_the_next_request_and_the_other_headers_are() -> None:
    reader, found = HeadReader(LIMIT), []
    for number in range(3):
        lines = b"Host: h\r\nAuthorization: Basic %d\r\nX: " % number
        result = reader.feed(b"GET /a HTTP/1.1\r\n" + lines + b"y\r\n\r\n")
        assert result is not None
        found.append(result[0].headers)
        assert "Basic" not in repr(reader._before)
    assert [each[b"authorization"] for each in found] == [[b"Basic 0"], [b"Basic 1"], [b"Basic 2"]]
    assert found[1][b"x"] is found[2][b"x"]
    without = reader.feed(b"GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n")
    assert without is not None
    assert b"authorization" not in without[0].headers


def test_headers_are_read_anew_only_where_they_differ() -> None:
    reader, found = HeadReader(LIMIT), []
    for number in range(3):
        lines = b"Host: h\r\nId: %d\r\nAuthorization: Basic %d\r\nX: y" % (number, number)
        result = reader.feed(b"PUT /%b HTTP/1.1\r\n%b\r\n\r\n" % (b"a" * 500, lines))
        assert result is not None
        found.append(result[0].headers)
    assert [each[b"id"] for each in found] == [[b"0"], [b"1"], [b"2"]]
    assert [each[b"authorization"] for each in found] == [[b"Basic 0"], [b"Basic 1"], [b"Basic 2"]]
    assert found[0][b"x"] is found[1][b"x"] is found[2][b"x"]
