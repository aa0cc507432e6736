"""MKCOL: makes an empty collection (RFC 4918 section 9.3), with properties if the client sends some (RFC 5689)."""

from __future__ import annotations

from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.proppatch import properties_in
from splitd.frontends.webdav.xml import Element, dav, parse_xml
from storaged.http import IRequest

_XML_TYPES = frozenset({"application/xml", "text/xml"})


async def mkcol(request: IRequest, door: Door, target: Target) -> None:
    """Make an empty collection with the target's name."""
    condition = parse_condition(request, target)
    kind = (request.getHeader("Content-Type") or "").partition(";")[0].strip().lower()
    if request.body.length and kind not in _XML_TYPES:
        raise Refused(415, "MKCOL takes XML, or no body")
    body = await read_body(request)
    if body and kind not in _XML_TYPES:
        raise Refused(415, "MKCOL takes XML, or no body")
    await door.store.make_collection(target.path, condition, _properties(body) if body else {})
    answer(request, 201)


def _properties(body: bytes) -> dict[str, str]:
    root = parse_xml(body, "mkcol")
    for instruction in root.children():
        if instruction.name == dav("set"):
            prop = instruction.find("prop")
            if prop is not None:
                _take_type(prop)
    return properties_in(root)


def _take_type(prop: Element) -> None:
    """Read `resourcetype`, which must ask for a collection, and remove it: it is not kept.

    :raise Refused: it asks for something else.
    """
    kind = prop.find("resourcetype")
    if kind is None:
        return
    if [each.name for each in kind.children()] != [dav("collection")]:
        raise Refused(403, "only plain collections can be made", "<D:valid-resourcetype/>")
    prop.content.remove(kind)
