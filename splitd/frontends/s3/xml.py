"""Writes and reads the XML of S3."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as SetOf
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from splitd.frontends.s3.errors import S3Error

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
TYPE = "application/xml"
_PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ESCAPED = re.compile('[&<>"\x00-\x1f\x7f\ufffe\uffff]')
_PLAIN = re.compile("[A-Za-z0-9_.~/*-]*")
"""Texts that stand in a list with `encoding-type=url` as they are."""
_MOST_MARKS = 128 * 1024
"""How often `<` may stand in a document: a list of ten thousand parts, each with two checksums, has it 120,000 times.

An element of four bytes takes 250 in memory, and a microsecond.
"""
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def text(name: str, value: object) -> str:
    """Return an element with a text.  A character that XML cannot hold is written as S3 does, by its number."""
    return f"<{name}>{escape(str(value))}</{name}>"


def escape(value: str) -> str:
    """Return a text as it stands in XML."""
    if _ESCAPED.search(value) is None:  # nearly always
        return value
    return _ESCAPED.sub(lambda match: _NAMED.get(match[0]) or f"&#x{ord(match[0]):X};", value)


def escape_all(values: Sequence[str]) -> Sequence[str]:
    """Return texts as they stand in XML; see `escape`."""
    # Nearly always there is nothing to escape in a whole list, which one search finds out.
    return values if _ESCAPED.search("".join(values)) is None else [escape(value) for value in values]


def element(name: str, *content: str) -> str:
    """Return an element.

    :param content: its children, in XML already.
    """
    return f"<{name}>{''.join(content)}</{name}>"


def document(name: str, *content: str) -> bytes:
    """Return a whole document, in the namespace of S3."""
    begin = f'{_PROLOG}<{name} xmlns="{NAMESPACE}">'
    return "".join([begin, *content, f"</{name}>"]).encode("utf-8", "replace")  # joined once, as a list may be long


def error_document(*content: str) -> bytes:
    """Return the document of an error, which is in no namespace."""
    return f"{_PROLOG}{element('Error', *content)}".encode("utf-8", "replace")


def encode_name(value: str) -> str:
    """Return a key or a prefix as it stands in lists with `encoding-type=url`."""
    return quote(value, safe="/*-._")


def encode_names(values: Sequence[str]) -> Sequence[str]:
    """Return keys or prefixes as they stand in lists with `encoding-type=url`."""
    return values if _PLAIN.fullmatch("".join(values)) else [encode_name(value) for value in values]


def format_time(time_ms: int) -> str:
    """Return a time as it stands in XML.

    :param time_ms: milliseconds since 1970.
    """
    return _format_second(time_ms // 1000) + _MILLISECONDS[time_ms % 1000]


_MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]
"""The ends of times: to format a number takes as long as all else of a time in a list."""


@lru_cache(1024)
def _format_second(time_s: int) -> str:
    # Of the objects in a list, many were made in the same second.
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse(body: bytes, root: str, code: str = "MalformedXML") -> Element:
    """Read a document; the names of its elements are without their namespaces.

    :param root: the name of its root.
    :param code: of the refusal.
    :raise S3Error: it cannot be read, has another root, or far more elements than any request needs.
    """
    if body.count(b"<") > _MOST_MARKS:
        raise malformed(code)
    try:
        found = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):  # the last for an encoding that is not known
        raise malformed(code) from None
    for each in found.iter():
        if isinstance(each.tag, str):
            each.tag = each.tag.rpartition("}")[2]
    if found.tag != root:
        raise malformed(code)
    assert isinstance(found, Element)
    return found


def refuse_others(parent: Element, known: SetOf[str], code: str = "MalformedXML") -> None:
    """Refuse a document in which something stands that is not known: it may change what is meant.

    :param known: the names of the elements that there may be.
    :param code: of the refusal.
    :raise S3Error: there are others.
    """
    if not {each.tag for each in parent} <= known:
        raise malformed(code)


def only_child(parent: Element, name: str, code: str = "MalformedXML") -> Element | None:
    """Return the only child of a name; None if there is none.

    :param code: of the refusal.
    :raise S3Error: there are several.
    """
    found = parent.findall(name)
    if len(found) > 1:
        raise malformed(code)
    return found[0] if found else None


def only_text(parent: Element, name: str, default: str | None = None) -> str:
    """Return the text of the only child of a name.

    :param default: what is returned if there is none; None to refuse that.
    :raise S3Error: there are several, or none and no default; or it has elements.
    """
    found = parent.findall(name)
    if len(found) > 1 or (not found and default is None) or (found and len(found[0])):
        raise malformed()
    return (found[0].text or "") if found else default or ""


def only_flag(parent: Element, name: str) -> bool:
    """Return whether the only child of a name says yes: `true` or 1, as in XML Schema; False if there is none.

    :raise S3Error: there are several, or it says neither yes nor no.
    """
    said = only_text(parent, name, "false").strip().lower()
    if said not in {"true", "1", "false", "0"}:
        raise malformed()
    return said in {"true", "1"}


def malformed(code: str = "MalformedXML") -> S3Error:
    """Return the refusal of a document that is not as it should be."""
    return S3Error(code, "The XML you provided was not well-formed or did not validate against our published schema")
