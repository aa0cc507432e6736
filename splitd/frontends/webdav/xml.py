"""XML in and out: what clients send is read with limits, and kept so that it can be written again as it was.

Elements keep the prefixes they came with (RFC 4918 section 4.3): values may speak of them.
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
"""Characters of all the namespaces, and their prefixes, that hold at one place: each name there may repeat them."""


@attrs.frozen
class Element:
    """An element as it came.

    :param name: "{namespace}name", or the name alone where it is in no namespace.
    :param attributes: by names of the same kind.
    :param scope: the namespaces that prefixes stand for here; "" is the default one.
    :param language: the `xml:lang` that holds here; empty for none.
    :param content: texts and elements, in order.
    """

    name: str
    attributes: Mapping[str, str]
    scope: Mapping[str, str]
    language: str
    content: list[str | Element] = attrs.Factory(list)

    def children(self) -> Iterator[Element]:
        """The elements directly inside."""
        return (each for each in self.content if isinstance(each, Element))

    def find(self, name: str) -> Element | None:
        """The first child of a name in DAV's namespace."""
        return next((child for child in self.children() if child.name == dav(name)), None)


def dav(name: str) -> str:
    """A name in DAV's namespace."""
    return f"{{{DAV}}}{name}"


class _TooLarge(Exception):
    """What would come of the elements is out of proportion to the body."""


class _Builder:
    """Makes elements of what a parser tells; the parser calls these methods by their names."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._declared: dict[str, str] = {}
        self._count = 0
        self.root: Element | None = None

    def start_ns(self, prefix: str, uri: str) -> None:
        """The element that comes declares a prefix."""
        self._declared[prefix] = uri

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
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
        """Text."""
        self._open[-1].content.append(text)

    def end(self, _: str) -> None:
        """An element ends."""
        self._open.pop()

    def close(self) -> None:
        """All was told."""


def parse_xml(data: bytes, root: str) -> Element:
    """Read a request's XML.

    :param root: the name that its outermost element must have in DAV's namespace.
    :raise Refused: it is not well formed, has a document type, lies in itself too deep, has too many elements or too
        long namespaces, or begins with another element.
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
    except (ValueError, LookupError) as problem:  # an encoding that is not known
        raise Refused(400, f"the body cannot be read: {problem}") from None
    if builder.root is None or builder.root.name != dav(root):
        found = "nothing" if builder.root is None else builder.root.name
        raise Refused(400, f"the body should be a {root} element of the namespace {DAV}, and is {found}")
    return builder.root


def write_standalone(element: Element) -> str:
    """An element that stands for itself: it declares all prefixes, and its language."""
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
    """The namespace of a name, empty for none, and the name in it."""
    namespace, brace, local = name.rpartition("}")
    return (namespace[1:], local) if brace else ("", local)


def write_empty(name: str) -> str:
    """An empty element of a name; `D` stands for DAV's namespace around it."""
    namespace, local = split_name(name)
    if namespace in _BOUND:
        return f"<{_BOUND[namespace]}:{local}/>"
    return f'<x:{local} xmlns:x="{escape_attribute(namespace)}"/>' if namespace else f"<{local}/>"


def escape(text: str) -> str:
    """Text as it stands between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escape_attribute(text: str) -> str:
    """Text as it stands in an attribute's double quotes."""
    return escape(text).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")
