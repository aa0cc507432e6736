"""Header values that are kept and sent again exactly as they came, whatever bytes they hold (RFC 9110 section 5.5).

A value is kept as text, because the journal holds text.  Bytes that are UTF-8 become the characters that they encode.
Each other byte, from 0x80 on, becomes one character from U+EF80 to U+EFFF.  If the UTF-8 itself encodes one of these
characters, its bytes are kept one by one in the same way.  So every value can be turned back into the bytes that came.
"""

from __future__ import annotations

import re

from splitd.frontends.http.answers import Refused
from storaged.http import IHeaders

LIMIT = 1024
"""The most bytes that a header's value may have if it is kept with a file."""

_FIRST = 0xEF00
_KEPT = re.compile("[\uef80-\uefff]")
_LONE = re.compile("[\udc80-\udcff]")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def decode_opaque(value: str) -> str:
    """Return the text under which a header's value is kept.

    :param value: bytes decoded as UTF-8 with `surrogateescape`, as `IRequest.header_values` returns them.
    """
    if value.isascii():
        return value
    escaped = _KEPT.sub(lambda match: match[0].encode().decode("ascii", "surrogateescape"), value)
    return _LONE.sub(lambda match: chr(ord(match[0]) - 0xDC00 + _FIRST), escaped)


def encode_opaque(text: str) -> bytes:
    """Return the bytes of a header's value from the text that `decode_opaque` made of them."""
    if text.isascii():
        return text.encode()
    return _KEPT.sub(lambda match: chr(ord(match[0]) - _FIRST + 0xDC00), text).encode("utf-8", "surrogateescape")


def readable(text: str) -> str:
    """Return the text to show in XML or JSON.  A byte that is not UTF-8 is shown as the character of Latin-1, and a
    character that XML cannot hold (XML 1.0 section 2.2) as U+FFFD.
    """
    return _NO_XML.sub("\ufffd", _KEPT.sub(lambda match: chr(ord(match[0]) - _FIRST), text))


def parse_opaque(headers: IHeaders, name: str, *, is_list: bool = False) -> str:
    """Return the value of a header in the form of `decode_opaque`; empty if there is none.

    :param is_list: whether several headers of this name form one list (RFC 9110 section 5.3); otherwise the last one
        counts.
    :raise Refused: the value has control characters, or is longer than `LIMIT`.
    """
    values = headers.header_values(name)
    if not values:
        return ""
    value = (", ".join(values) if is_list else values[-1]).replace("\t", " ")
    if value.isascii() and value.isprintable() and len(value) <= LIMIT:  # nearly always
        return value
    size = len(value.encode("utf-8", "surrogateescape"))
    if size > LIMIT:
        raise Refused(400, f"{name}: has {size} bytes, {LIMIT} are allowed")
    if _CONTROL.search(value):
        raise Refused(400, f"{name}: has control characters")
    return decode_opaque(value)
