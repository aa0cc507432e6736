"""Reads and writes XML.  What clients send is read within limits, and kept so that it can be written again as it came.

Elements keep the prefixes that they came with (RFC 4918 section 4.3), because values may refer to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from splitd.frontends.http.answers import Refused

DAV = "DAV:"
_XML = "http://www.w3.org/XML/1998/namespace"
_LANG = f"{{{_XML}}}lang"
_BOUND = {DAV: "D", _XML: "xml"}
_MOST_DEPTH = 64
_MOST_ELEMENTS = 2000
_MOST_SCOPE = 4096
"""The most characters of all namespaces in scope at one place, with their prefixes: each name there may repeat them."""


@attrs.frozen
class Element:
    """An element as it came.

    :param name: "{namespace}name", or only the name if it is in no namespace.
    :param attributes: the values, by names of the same form.
    :param scope: the namespaces of the prefixes in scope; "" is the prefix of the default namespace.
    :param language: the `xml:lang` in force; empty for none.
    :param content: texts and elements, in order.
    """

    name: str
    attributes: Mapping[str, str]
    scope: Mapping[str, str]
    language: str
    content: list[str | Element] = attrs.Factory(list)

    def children(self) -> Iterator[Element]:
        """Return the elements directly inside."""
        return (each for each in self.content if isinstance(each, Element))

    def find(self, name: str) -> Element | None:
        """Return the first child that has this name in the namespace DAV:; None if there is none."""
        return next((child for child in self.children() if child.name == dav(name)), None)


def dav(name: str) -> str:
    """Return a name in the namespace DAV: in the form of `Element.name`."""
    return f"{{{DAV}}}{name}"


class _TooLarge(Exception):
    """The elements would be out of proportion to the body."""


class _Builder:
    """Builds elements from the events of a parser, which calls these methods by their names."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._declared: dict[str, str] = {}
        self._count = 0
        self.root: Element | None = None

    def start_ns(self, prefix: str, uri: str) -> None:
        """Take the declaration of a prefix; it belongs to the element that begins next."""
        self._declared[prefix] = uri

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element.

        :raise _TooLarge: the elements exceed a limit.
        """
        self._count += 1
        if len(self._open) == _MOST_DEPTH:
            raise _TooLarge(f"elements lie more than {_MOST_DEPTH} deep in each other")
        if self._count > _MOST_ELEMENTS:
            raise _TooLarge(f"there are more than {_MOST_ELEMENTS} elements")
        scope: Mapping[str, str] = self._open[-1].scope if self._open else {}
        language = attributes.get(_LANG, self._open[-1].language if self._open else "")
        if self._declared:
            scope, self._declared = {**scope, **self._declared}, {}
            if sum(len(prefix) + len(uri) for prefix, uri in scope.items()) > _MOST_SCOPE:
                raise _TooLarge(f"namespaces of more than {_MOST_SCOPE} characters hold at one place")
        element = Element(name, attributes, scope, language)
        if self._open:
            self._open[-1].content.append(element)
        else:
            self.root = element
        self._open.append(element)

    def data(self, text: str) -> None:
        """Take a piece of text."""
        self._open[-1].content.append(text)

    def end(self, _: str) -> None:
        """End an element."""
        self._open.pop()

    def close(self) -> None:
        """Do nothing; the parser requires this method."""


def parse_xml(data: bytes, root: str) -> Element:
    """Read a request's XML.

    :param root: the name that its outermost element must have in the namespace DAV:.
    :raise Refused: the XML is not well formed, has a document type, is nested too deep, has too many elements or too
        long namespaces, or its outermost element has a different name.
    """
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    try:
        parser.feed(data)
        parser.close()
    except ParseError as problem:
        raise Refused(400, f"the body is not well-formed XML: {problem}") from None
    except DefusedXmlException:
        raise Refused(400, "the body has a document type or entities, which are not read") from None
    except _TooLarge as problem:
        raise Refused(400, f"the body is out of proportion: {problem}") from None
    except (ValueError, LookupError) as problem:  # an unknown encoding
        raise Refused(400, f"the body cannot be read: {problem}") from None
    if builder.root is None or builder.root.name != dav(root):
        found = "nothing" if builder.root is None else builder.root.name
        raise Refused(400, f"the body should be a {root} element of the namespace {DAV}, and is {found}")
    return builder.root


def write_standalone(element: Element) -> str:
    """Write an element so that it can stand alone: with declarations of all prefixes, and with its language."""
    attributes = dict(element.attributes)
    if element.language:
        attributes.setdefault(_LANG, element.language)
    return "".join(_write(attrs.evolve(element, attributes=attributes), {}))


def _write(element: Element, scope: Mapping[str, str]) -> Iterator[str]:
    name = _qualify(element.name, element.scope, is_attribute=False)
    yield f"<{name}"
    for prefix, uri in element.scope.items():
        if scope.get(prefix, "") != uri:
            yield f' xmlns{":" if prefix else ""}{prefix}="{escape_attribute(uri)}"'
    for each, value in element.attributes.items():
        yield f' {_qualify(each, element.scope, is_attribute=True)}="{escape_attribute(value)}"'
    if not element.content:
        yield "/>"
        return
    yield ">"
    for inner in element.content:
        if isinstance(inner, str):
            yield escape(inner)
        else:
            yield from _write(inner, element.scope)
    yield f"</{name}>"


def _qualify(name: str, scope: Mapping[str, str], *, is_attribute: bool) -> str:
    namespace, local = split_name(name)
    if namespace == _XML:
        return f"xml:{local}"
    if not namespace:
        return local
    # An attribute without a prefix is in no namespace, whatever the default one is (Namespaces in XML, section 6.2).
    prefix = next(prefix for prefix, uri in scope.items() if uri == namespace and (prefix or not is_attribute))
    return f"{prefix}:{local}" if prefix else local


def split_name(name: str) -> tuple[str, str]:
    """Split a name into its namespace, empty for none, and its local name."""
    namespace, brace, local = name.rpartition("}")
    return (namespace[1:], local) if brace else ("", local)


def write_empty(name: str) -> str:
    """Write an empty element with a name.  The result must stand where the prefix `D` means the namespace DAV:."""
    namespace, local = split_name(name)
    if namespace in _BOUND:
        return f"<{_BOUND[namespace]}:{local}/>"
    return f'<x:{local} xmlns:x="{escape_attribute(namespace)}"/>' if namespace else f"<{local}/>"


def escape(text: str) -> str:
    """Return text as it must stand between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escape_attribute(text: str) -> str:
    """Return text as it must stand in an attribute's double quotes."""
    return escape(text).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")
