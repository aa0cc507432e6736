"""The registry's entries, one for each node, and the changes between two registries.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import attrs
import msgspec

from storaged.system.origin import parse_origin


class NodeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node, as the registry describes it.

    :param id: its id; never given to another node.
    :param url: the URL it listens at, without a path.
    :param zone: nodes of one zone fail together, so a file's parts are spread over zones; empty for a zone of its own.
    :param weight: the factor by which placement multiplies its free space.
    :param state: "active"; "readonly" if it keeps its parts and takes no new ones; "draining" if it takes no new ones,
        and its parts are moved to others; "lost" if nothing on it can ever be read again, which cannot be taken back.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    url: str
    zone: str = ""
    weight: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    state: Literal["active", "readonly", "draining", "lost"] = "active"


LOST = "lost"
"""The state of a node that was declared lost."""


class RegistryInvalid(ValueError):
    """The registry's entries cannot be used; the message names the line."""


class NodesMissing(RegistryInvalid):
    """The registry ends without nodes that it must have; the message names them."""


@attrs.frozen
class RegistryChange:
    """The changes from one registry to the next; ids of nodes, in the order of the new one.

    :param added: new nodes.
    :param moved: nodes with a different URL.
    :param changed: nodes with a different zone, weight or state.
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
    """Find the changes that a new registry makes.

    :raise NodesMissing: a node of the old registry is missing in the new one.
    :raise RegistryInvalid: a node that was lost in the old registry has another state in the new one.
    """
    before = {entry.id: entry for entry in old}
    refuse_missing(before, new)
    refuse_found([entry.id for entry in old if entry.state == LOST], new)
    kept = [entry for entry in new if entry.id in before]
    return RegistryChange(
        tuple(entry.id for entry in new if entry.id not in before),
        tuple(entry.id for entry in kept if entry.url != before[entry.id].url),
        tuple(entry.id for entry in kept if _traits(entry) != _traits(before[entry.id])),
    )


def refuse_missing(node_ids: Iterable[str], entries: Sequence[NodeEntry]) -> None:
    """Refuse a registry that lacks a node.

    :param node_ids: the nodes that it must have.
    :raise NodesMissing: nodes are missing; the message names them.
    """
    missing = sorted(set(node_ids) - {entry.id for entry in entries})
    if missing:
        raise NodesMissing(
            f"the list ends without node {', '.join(missing)}: there are parts on it, so it can never be removed "
            "(`state: readonly` keeps new ones away)"
        )


def refuse_found(lost: Iterable[str], entries: Sequence[NodeEntry]) -> None:
    """Refuse a registry in which a node that was declared lost is not lost any more.

    Its parts count as missing, and are rebuilt on other nodes.  The node's server may have older ones.

    :param lost: the nodes that were declared lost.
    :raise RegistryInvalid: one of them has another state; the message names it.
    """
    states = {entry.id: entry.state for entry in entries}
    for node_id in lost:
        if states.get(node_id, LOST) != LOST:
            raise RegistryInvalid(
                f"node {node_id} was declared lost, which cannot be taken back: its state must stay lost.  Its disk "
                "can be used again with an empty folder and a new id"
            )


def _traits(entry: NodeEntry) -> tuple[str, float, str]:
    return entry.zone, entry.weight, entry.state


def parse_entries(entries: Sequence[tuple[int, Any]]) -> tuple[NodeEntry, ...]:
    """Check the registry's entries.

    :param entries: of each entry, the line it begins on and its parsed value.
    :raise RegistryInvalid: an entry is not valid, an id or url occurs twice, or there are no entries.
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
        # A new server may listen where a lost one did.
        for what in (f"id {node.id}", *([] if node.state == LOST else [f"url {node.url.rstrip('/')}"])):
            if what in seen:
                raise RegistryInvalid(f"line {line}: {what} stands on line {seen[what]} already")
            seen[what] = line
        nodes.append(node)
    if not nodes:
        raise RegistryInvalid("line 1: no nodes")
    return tuple(nodes)
