"""PROPFIND: sends the properties of a file, or of a collection and its members (RFC 4918 section 9.1).

The answer is made page by page from the store.  For a tree of any size, it takes no more memory than one page for each
collection on the path to the present position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from splitd.errors import NotACollection, NotFound
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.names import show_name
from splitd.frontends.http.targets import Target, href_of_shown, parse_depth
from splitd.frontends.webdav.answers import XML_TYPE
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.live import LIVE, ON_DEMAND, Resource
from splitd.frontends.webdav.multistatus import BEGIN, END, answer_multistatus, propstat, response, status_element
from splitd.frontends.webdav.xml import DAV, Element, parse_xml, split_name, write_empty
from splitd.model.manifest import Manifest
from splitd.model.paths import join
from splitd.model.properties import OWN
from splitd.model.room import Room
from splitd.model.tree import Collection
from storaged.http import IRequest, send_body
from storaged.system.buffers import Piece

_PAGE = 200
_PAGE_SIZE = 512 * 1024
"""Characters after which a page ends early: requested names, locks and properties may be long."""
_NOTHING = f"<D:propstat><D:prop/>{status_element(200)}</D:propstat>"


async def propfind(request: IRequest, door: Door, target: Target) -> None:
    """Send the properties of the target and of its members, as deep as `Depth` says."""
    wanted = _parse(await read_body(request))
    entry = await door.find(target)
    await door.locks.check(target.path, parse_condition(request, target), changing=False)
    if entry is None:
        raise NotFound(f"{target.path} does not exist")
    if isinstance(entry, Collection) and not target.slash:
        request.setHeader("Content-Location", href_of_shown(target.shown, target.base, is_collection=True))
    # A file has one answer at any depth: `Depth` is not read.
    depth = "0" if isinstance(entry, Manifest) else parse_depth(request, "infinity", "1", "0")
    walk = _Walk(door, wanted, await door.quota(target.path), target.base, deep=depth == "infinity")
    _, first = await walk.describe([(target.path, target.shown, entry)])
    if depth == "0":
        answer_multistatus(request, first)
        return
    walk.enter(target.path, target.shown)
    request.setResponseCode(207)
    request.setHeader("Content-Type", XML_TYPE)
    request.write(f"{BEGIN}{first}".encode())
    await send_body(request, walk.read)
    request.write(END.encode())
    request.finish()


@attrs.frozen
class _Wanted:
    """The properties that a request asks for.

    :param names: their names; None for all that the resource has.
    :param more: names to add to all that the resource has, if `names` is None.
    :param values: whether to send the values too, and not only the names.
    """

    names: Sequence[str] | None = None
    more: Sequence[str] = ()
    values: bool = True

    def describe(self, resource: Resource) -> str:
        """Return the response element of a resource."""
        if self.names is not None:
            inner = self._describe_named(resource, self.names)
        elif self.values:
            inner = propstat(self._all(resource), 200)
            if self.more:
                inner += self._describe_named(resource, self.more)
        else:
            inner = propstat(map(write_empty, self._names(resource)), 200)
        return response(href_of_shown(resource.shown, resource.base, is_collection=resource.is_collection), inner)

    @staticmethod
    def _describe_named(resource: Resource, names: Iterable[str]) -> str:
        found, missing = [], []
        for name in names:
            element = _element(resource, name)
            if element is None:
                missing.append(write_empty(name))
            else:
                found.append(element)
        if not (found or missing):
            return _NOTHING
        return propstat(found, 200) + propstat(missing, 404)

    @staticmethod
    def _all(resource: Resource) -> Iterable[str]:
        for name in LIVE:
            if name not in ON_DEMAND:
                element = _live(resource, name)
                if element is not None:
                    yield element
        # Those of splitd's own are told by name only: a client that copies all it is told could not set them.
        yield from (each for name, each in resource.details.properties.items() if split_name(name)[0] != OWN)

    @staticmethod
    def _names(resource: Resource) -> Iterable[str]:
        yield from (f"{{{DAV}}}{name}" for name in LIVE if LIVE[name](resource) is not None)
        yield from resource.details.properties


def _element(resource: Resource, name: str) -> str | None:
    """Return a property's element; None if the resource has no such property."""
    namespace, local = split_name(name)
    if namespace == DAV and local in LIVE:
        return _live(resource, local)
    return resource.details.properties.get(name)


def _live(resource: Resource, name: str) -> str | None:
    inner = LIVE[name](resource)
    return None if inner is None else f"<D:{name}>{inner}</D:{name}>" if inner else f"<D:{name}/>"


def _parse(body: bytes) -> _Wanted:
    if not body:
        return _Wanted()
    root = parse_xml(body, "propfind")
    prop = root.find("prop")
    if prop is not None:
        return _Wanted(names=_names_in(prop))
    if root.find("propname") is not None:
        return _Wanted(values=False)
    if root.find("allprop") is not None:
        include = root.find("include")
        return _Wanted(more=() if include is None else _names_in(include))
    raise Refused(400, "propfind: should hold prop, propname or allprop")


def _names_in(element: Element) -> list[str]:
    return list(dict.fromkeys(child.name for child in element.children()))


class _Walk:
    """Describes the members of a collection, and optionally everything below them, page by page.

    :param room: how full the store is.
    :param base: what all URLs begin with.
    :param deep: whether to describe what is below the members, too.
    """

    def __init__(self, door: Door, wanted: _Wanted, room: Room, base: str, *, deep: bool) -> None:
        self._door = door
        self._wanted = wanted
        self._deep = deep
        self._room = room
        self._base = base
        self._waiting: list[tuple[str, str, str]] = []

    def enter(self, path: str, shown: str) -> None:
        """Describe the members of this collection next."""
        self._waiting.append((path, shown, ""))

    async def describe(self, entries: Sequence[tuple[str, str, Manifest | Collection]]) -> tuple[int, str]:
        """Describe as many of these files and collections as fit into a page.

        :param entries: each with its path, and with its path as answers say it.
        :return: how many were described, and their response elements.
        """
        details = await self._door.namespace.details([path for path, _, _ in entries])
        now_ms = self._door.lock_ms()
        described: list[str] = []
        size = 0
        for (path, shown, entry), each in zip(entries, details, strict=True):
            resource = Resource(shown, entry, each, self._room.at(path), now_ms, self._base)
            described.append(self._wanted.describe(resource))
            size += len(described[-1])
            if size > _PAGE_SIZE:
                break
        return len(described), "".join(described)

    def read(self) -> Deferred[Sequence[Piece]]:
        """Read on.

        :return: a Deferred that fires with the next responses; an empty sequence at the end.
        """
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[Piece]:
        while self._waiting:
            # Other requests must be served, too: a page takes some milliseconds.
            await deferLater(self._door.clock, 0)
            described = await self._next_page()
            if described:
                return [described.encode()]
        return []

    async def _next_page(self) -> str:
        path, shown, after = self._waiting.pop()
        try:
            members = await self._door.store.list_members(path, after, _PAGE)
        except (NotFound, NotACollection):
            return ""  # it was deleted or replaced after its parent was listed
        base = shown.rstrip("/")
        entries = [(join(path, each.name), f"{base}/{show_name(each.name)}", each.entry) for each in members]
        count, described = await self.describe(entries)
        if count < len(members) or count == _PAGE:
            self._waiting.append((path, shown, members[count - 1].name))
        if self._deep:
            below = [(path, shown) for path, shown, entry in entries[:count] if isinstance(entry, Collection)]
            self._waiting.extend((*each, "") for each in reversed(below))
        return described
