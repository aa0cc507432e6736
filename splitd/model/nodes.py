"""The registry's entries: which nodes there are.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import attrs
import msgspec

from storaged.system.origin import parse_origin


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


@attrs.frozen
class RegistryChange:
    """What a new registry changes; ids of nodes, in its order.

    :param added: nodes that were not there.
    :param moved: nodes that listen elsewhere now.
    :param changed: nodes of another zone, weight or state.
    """

    added: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.moved or self.changed)

    def __str__(self) -> str:
        parts = {"added": self.added, "moved": self.moved, "changed": self.changed}
        return "; ".join(f"{what}: {', '.join(ids)}" for what, ids in parts.items() if ids) or "nothing changed"


def compare_entries(old: Sequence[NodeEntry], new: Sequence[NodeEntry]) -> RegistryChange:
    """What changes when a registry takes the place of another one.

    :raise RegistryInvalid: a node is missing.
    """
    before = {entry.id: entry for entry in old}
    refuse_missing(before, new)
    kept = [entry for entry in new if entry.id in before]
    return RegistryChange(
        tuple(entry.id for entry in new if entry.id not in before),
        tuple(entry.id for entry in kept if entry.url != before[entry.id].url),
        tuple(entry.id for entry in kept if _traits(entry) != _traits(before[entry.id])),
    )


def refuse_missing(node_ids: Iterable[str], entries: Sequence[NodeEntry]) -> None:
    """Refuse entries among which a node is missing.

    :raise RegistryInvalid: the message names those that are.
    """
    missing = sorted(set(node_ids) - {entry.id for entry in entries})
    if missing:
        raise RegistryInvalid(
            f"the list ends without node {', '.join(missing)}: there are parts on it, so it can never be removed "
            "(`state: readonly` keeps new ones away)"
        )


def _traits(entry: NodeEntry) -> tuple[str, float, str]:
    return entry.zone, entry.weight, entry.state


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
        try:
            parse_origin(node.url)
        except ValueError as problem:
            raise RegistryInvalid(f"line {line}: url {node.url!r}: {problem}") from problem
        for what in (f"id {node.id}", f"url {node.url.rstrip('/')}"):
            if what in seen:
                raise RegistryInvalid(f"line {line}: {what} stands on line {seen[what]} already")
            seen[what] = line
        nodes.append(node)
    if not nodes:
        raise RegistryInvalid("line 1: no nodes")
    return tuple(nodes)
