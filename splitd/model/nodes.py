"""The registry's entries: which nodes there are.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec


class NodeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node, as the registry names it.

    :param id: its id; never given to another node.
    :param url: where it listens, without a path.
    :param zone: nodes of one zone fail together: a file's parts are spread over zones.
    :param weight: how much of the free space it should be thought to have, as a factor.
    :param state: "readonly" keeps its parts and takes no new ones.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    url: str
    zone: str = ""
    weight: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    state: Literal["active", "readonly"] = "active"


class RegistryInvalid(ValueError):
    """The registry's entries cannot be used; the message names the line."""


def parse_entries(entries: Sequence[tuple[int, Any]]) -> tuple[NodeEntry, ...]:
    """Check the registry's entries.

    :param entries: of each, the line it begins on and what stands there.
    :raise RegistryInvalid: an entry is not one, an id or url stands there twice, or there is none.
    """
    nodes: list[NodeEntry] = []
    seen: dict[str, int] = {}
    for line, entry in entries:
        try:
            node = msgspec.convert(entry, NodeEntry)
        except msgspec.ValidationError as problem:
            raise RegistryInvalid(f"line {line}: {problem}") from problem
        url = urlsplit(node.url)
        try:
            usable = url.scheme in {"http", "https"} and url.hostname and url.port and not url.path.strip("/")
        except ValueError:
            usable = False
        if not usable:
            raise RegistryInvalid(f"line {line}: url {node.url!r}: should be like http://HOST:PORT")
        for what in (f"id {node.id}", f"url {node.url.rstrip('/')}"):
            if what in seen:
                raise RegistryInvalid(f"line {line}: {what} stands on line {seen[what]} already")
            seen[what] = line
        nodes.append(node)
    if not nodes:
        raise RegistryInvalid("line 1: no nodes")
    return tuple(nodes)
