"""PROPPATCH: sets and removes the properties that clients keep with files and collections (RFC 4918 section 9.2)."""

from __future__ import annotations

from collections.abc import Iterator

from splitd.errors import NotFound
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target, href
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.live import LIVE
from splitd.frontends.webdav.multistatus import answer_multistatus, propstat, response
from splitd.frontends.webdav.xml import DAV, Element, dav, parse_xml, split_name, write_empty, write_standalone
from splitd.model.manifest import Manifest
from splitd.model.properties import OWN, PropertyChanges
from storaged.http import IRequest

_PROTECTED = "<D:cannot-modify-protected-property/>"


async def proppatch(request: IRequest, door: Door, target: Target) -> None:
    """Set and remove properties of the target: all of them, or none."""
    condition = parse_condition(request, target)
    root = parse_xml(await read_body(request), "propertyupdate")
    entry = await door.find(target)
    if entry is None:
        raise NotFound(f"{target.path} does not exist")
    url = href(target.path, target.base, is_collection=not isinstance(entry, Manifest))
    changed = dict.fromkeys(element.name for _, element in _instructions(root))
    protected = [name for name in changed if is_protected(name)]
    if protected:
        others = [name for name in changed if name not in protected]
        await door.locks.check(target.path, condition, changing=True)
        answer_multistatus(
            request,
            response(
                url,
                propstat(map(write_empty, protected), 403, _PROTECTED) + propstat(map(write_empty, others), 424),
            ),
        )
        return
    await door.namespace.change_properties(target.path, _changes(root), condition)
    answer_multistatus(request, response(url, propstat(map(write_empty, changed), 200)))


def is_protected(name: str) -> bool:
    """Return whether a property is one of the server's own, which clients cannot change."""
    namespace, local = split_name(name)
    return (namespace == DAV and local in LIVE) or namespace == OWN


def _instructions(root: Element) -> Iterator[tuple[bool, Element]]:
    """Yield the property elements in the order of the request, each with True to set it or False to remove it.

    :raise Refused: the request holds neither `set` nor `remove` with properties.
    """
    found = False
    for instruction in root.children():
        prop = instruction.find("prop")
        if instruction.name in {dav("set"), dav("remove")} and prop is not None:
            found = True
            for element in prop.children():
                yield instruction.name == dav("set"), element
    if not found:
        raise Refused(400, "propertyupdate: should hold set or remove, and these prop")


def _changes(root: Element) -> PropertyChanges:
    changed: dict[str, str | None] = {}
    for sets, element in _instructions(root):
        changed[element.name] = write_standalone(element) if sets else None
    return PropertyChanges(
        {name: element for name, element in changed.items() if element is not None},
        [name for name, element in changed.items() if element is None],
    )


def properties_in(root: Element) -> dict[str, str]:
    """Return the properties that a request sets.

    :raise Refused: one of the properties is the server's own.
    """
    names = {element.name for _, element in _instructions(root)}
    if any(is_protected(name) for name in names):
        raise Refused(403, "a property that is the server's own cannot be set", _PROTECTED)
    return dict(_changes(root).set)
