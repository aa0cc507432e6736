"""Reads the heads of requests, and refuses those that are malformed (RFC 9112).  Pure.

The reader is strict, because a proxy in front may read a lax one differently.  It is not llhttp's: that refuses methods
that it does not know, and gives no status for a refusal.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import attrs

from storaged.http.targets import encode_target

MOST_HEADERS = 500
BARE_FEED = "a line should end with CR and LF, not with LF alone"
_TOLD_TWICE = "the length of the body should be told once"

_METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Bytes of a path or query that are not ASCII should be percent-encoded; curl and others send them as they are typed.
_BYTES = rb"[!-~\x80-\xff]*"
_AUTHORITY = rb"[!\"$-.0->@-~]*"
_TARGET = rb"(?:/" + _BYTES + rb"|[A-Za-z][A-Za-z0-9+.-]*://" + _AUTHORITY + rb"(?:[/?#]" + _BYTES + rb")?)"
_FIRST_LINE = re.compile(
    rb"(" + _METHOD + rb") (" + _TARGET + rb") HTTP/1\.([01])"
    rb"|(OPTIONS) (\*) HTTP/1\.([01])"
    rb"|(CONNECT) ([!-~]+) HTTP/1\.([01])"
)
"""RFC 9112 sections 3.2 and 2.3."""

_OTHER_VERSION = re.compile(rb"[^ ]+ [^ ]+ HTTP/(?!1\.[01])[0-9]\.[0-9]")
_VALUE = re.compile(rb"[^\x00\r\n]*")
_HEADER = _METHOD + rb":" + _VALUE.pattern + rb"\r\n"
_HEADERS = re.compile(rb"(?:" + _HEADER + rb")*")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(:[0-9]*)?")
_BARE_FEED = re.compile(rb"(?<!\r)\n")
_MOST_DIGITS = 18
"""The most digits of a length, which must fit into the 64 bits that other programs use."""

_LOGIN, _LOGIN_LINE = b"authorization", b"Authorization:"

_JUDGED = frozenset({b"host", b"transfer-encoding"})
"""The headers whose values are judged when a head is read, but for the length, which is read for each head."""

_NEEDS_LENGTH = frozenset({b"PATCH", b"POST", b"PUT"})
"""Methods whose requests need a length in HTTP/1.0, which has no chunks: without a length a body has no known end."""


class Refused(Exception):
    """A request is malformed, or beyond a limit.

    :param status: the status of the answer.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def format_refusal(status: int, why: str) -> bytes:
    """Return the answer to a request that is refused; the connection is closed behind it.

    :param status: its status.
    """
    body = f"{why}\n"
    retry = "Retry-After: 1\r\n" if status in {429, 503} else ""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n{retry}"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode("ascii")


@attrs.define
class Head:
    """The head of a request.

    :param uri: the target, all ASCII.
    :param version: b"HTTP/1.1" or b"HTTP/1.0".
    :param headers: the values of each header, in order, by the header's name in lower case.
    :param length: the bytes of the body; None for a body in chunks.
    :param block: the lines of the headers, as they were sent, but for the first one with a login: it is a secret, and
        with S3 it differs in each request.
    :param is_alike: whether it was read by the head of another request, whose headers have the same names.
    """

    method: bytes
    uri: bytes
    version: bytes
    headers: dict[bytes, list[bytes]]
    length: int | None
    block: bytes
    is_alike: bool = attrs.field(default=False, eq=False)

    @property
    def stays(self) -> bool:
        """Whether the client wants to use the connection again after this request."""
        if self.version != b"HTTP/1.1":
            return False
        values = self.headers.get(b"connection")
        return values is None or not any(
            option.strip() == b"close" for value in values for option in value.lower().split(b",")
        )

    def without_login(self) -> Head:
        """Return the head of the same request without its login, if it has one line of that."""
        if _LOGIN not in self.headers or _LOGIN in self.block.lower():
            return self
        headers = {name: values for name, values in self.headers.items() if name != _LOGIN}
        return attrs.evolve(self, headers=headers)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body.  Other expectations may be ignored (RFC
        9110 section 10.1.1); HTTP/1.0 has none.
        """
        values = self.headers.get(b"expect")
        return (
            values is not None
            and self.version == b"HTTP/1.1"
            and any(each.strip() == b"100-continue" for value in values for each in value.lower().split(b","))
        )


def read_head(data: bytes, limit: int, before: Head | None = None) -> Head:
    """Read a whole head.

    :param data: its bytes, without the empty line and the CRLF before that.
    :param limit: the most bytes that it may have, line ends not counted.
    :param before: the head of another request, `without_login`.  Most clients send the same headers again and again,
        and some of them with a number or a time that changes.  Those that are the same are not read again.
    :raise Refused: it is malformed or too large.
    """
    first, _, block = data.partition(b"\r\n")
    method, uri, version = read_first_line(first, limit)
    if block:
        block += b"\r\n"
    count = block.count(b"\r\n")
    grown = len(method) + len(uri) + len("  HTTP/1.1") - len(first)  # by encoding the target
    if len(data) + grown - 2 * count > limit:
        raise refuse_size(limit)
    login, shared = _split_login(block)
    # In HTTP/1.0 it depends on the method, too, which headers are good.
    if before is not None and version == before.version == b"HTTP/1.1":
        known = before.headers if shared == before.block else _read_changed(shared, before)
        if known is not None and login:
            is_good = _LOGIN not in known and _is_one_line(login)
            known = {**known, _LOGIN: [_value_of(login[:-2].partition(b":")[2])]} if is_good else None
        if known is not None:
            return Head(method, uri, version, known, _length(known, version), shared, is_alike=True)
    if count > MOST_HEADERS:
        raise Refused(431, f"a request should have at most {MOST_HEADERS} headers")
    if not _HEADERS.fullmatch(block):
        raise Refused(400, _fault_of_lines(block))
    headers: dict[bytes, list[bytes]] = {}
    for line in block[:-2].split(b"\r\n") if block else ():
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in headers:
            headers[name].append(_value_of(value))
        else:
            headers[name] = [_value_of(value)]
    head = Head(method, uri, version, headers, _length(headers, version), shared)
    _refuse_bad_headers(head)
    return head


def _read_changed(block: bytes, before: Head) -> dict[bytes, list[bytes]] | None:
    """Read headers by those of another request, from which they differ in some values.

    :return: the headers; None if that is not the only difference, or if a value is changed that is judged, or that no
        header may have.
    """
    known, lines = before.block.split(b"\r\n"), block.split(b"\r\n")
    if len(known) != len(lines) or len(known) != len(before.headers) + 1:  # then a name comes twice
        return None
    headers = before.headers.copy()
    for line, other in zip(lines, known, strict=True):
        if line != other:
            name, colon, value = line.partition(b":")
            if not colon or not other.startswith(name + colon) or not _VALUE.fullmatch(value):
                return None
            name = name.lower()
            if name in _JUDGED:
                return None
            headers[name] = [_value_of(value)]
    return headers


def _split_login(block: bytes) -> tuple[bytes, bytes]:
    """Return the first line of a login in headers, spelled as nearly all clients do, and the other lines."""
    start = block.find(_LOGIN_LINE)
    if start < 0 or block[max(0, start - 2) : start] not in {b"", b"\r\n"}:
        return b"", block
    end = block.index(b"\r\n", start) + 2
    return block[start:end], block[:start] + block[end:]


def _is_one_line(line: bytes) -> bool:
    """Return whether a line, which begins with the name of a header and a colon, and ends at the first CRLF, is one."""
    return line.count(b"\n") == line.count(b"\r") == 1 and b"\0" not in line


def _value_of(rest: bytes) -> bytes:
    return rest.strip(b" \t")


def refuse_size(limit: int) -> Refused:
    """Return the refusal of a head that is too large."""
    return Refused(431, f"the head of a request should have at most {limit} bytes")


def refuse_first_line(limit: int) -> Refused:
    """Return the refusal of a first line that is too long."""
    return Refused(414, f"the first line of a request should have at most {limit} bytes")


def read_first_line(line: bytes, limit: int) -> tuple[bytes, bytes, bytes]:
    """Read the first line of a head.

    :return: the method, the target, all ASCII, and the version.
    :raise Refused: the line is malformed or too long.
    """
    if len(line) > limit:
        raise refuse_first_line(limit)
    match = _FIRST_LINE.fullmatch(line)
    if match is None:
        if _OTHER_VERSION.fullmatch(line):
            raise Refused(505, "this server speaks HTTP/1.1")
        if b"\n" in line:
            raise Refused(400, BARE_FEED)
        raise Refused(400, "a request should begin with a method, a path or a URL, and HTTP/1.1")
    method, target, minor = match.group(*((1, 2, 3) if match[1] else (4, 5, 6) if match[4] else (7, 8, 9)))
    try:
        uri = encode_target(target)
    except UnicodeDecodeError:
        raise Refused(400, "a URL should be UTF-8, percent-encoded or not") from None
    if len(line) - len(target) + len(uri) > limit:
        raise refuse_first_line(limit)
    return method, uri, b"HTTP/1.1" if minor == b"1" else b"HTTP/1.0"


def has_bare_feed(data: bytes | bytearray, start: int) -> bool:
    """Return whether a LF without a CR is in some bytes, from `start` on."""
    return _BARE_FEED.search(data, start) is not None


def _fault_of_lines(block: bytes) -> str:
    if has_bare_feed(block, 0):
        return BARE_FEED
    for line in block.split(b"\r\n")[:-1]:
        if line.startswith((b" ", b"\t")):
            # Some programs join it to the line before, others see a second header (RFC 9112 section 5.2).
            return "a header should be one line"
        if not _HEADERS.fullmatch(line + b"\r\n"):
            break
    return "a header should be a name, a colon and a value"


def _length(headers: dict[bytes, list[bytes]], version: bytes) -> int | None:
    """Return the bytes of the body; None if it is in chunks."""
    lengths, codings = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if codings is not None:
        if any(coding.lower() != b"chunked" for coding in codings):
            raise Refused(501, "Transfer-Encoding: should be chunked")
        if lengths is not None or len(codings) > 1:
            raise Refused(400, _TOLD_TWICE)
        if version != b"HTTP/1.1":
            # Other programs may not understand chunks in HTTP/1.0 (RFC 9112 section 6.1).
            raise Refused(400, "Transfer-Encoding: is of HTTP/1.1")
        return None
    if lengths is None:
        return 0
    if len(lengths) > 1:
        raise Refused(400, _TOLD_TWICE)
    if not lengths[0].isdigit() or len(lengths[0]) > _MOST_DIGITS:
        raise Refused(400, "Content-Length: should be the number of the body's bytes")
    return int(lengths[0])


def _refuse_bad_headers(head: Head) -> None:
    headers, is_1_1 = head.headers, head.version == b"HTTP/1.1"
    hosts = headers.get(b"host", ())
    # RFC 9112 section 3.2
    if len(hosts) != 1 and (hosts or is_1_1):
        raise Refused(400, f"a request should have one Host header, not {len(hosts)}")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise Refused(400, "Host: should be a name or an address, with or without a port")
    if not is_1_1 and head.method in _NEEDS_LENGTH and b"content-length" not in headers:
        raise Refused(411, f"{head.method.decode()} in HTTP/1.0 needs a Content-Length")
