"""Finds parts that lie on other nodes than an old journal says, and notes them there.  Everything here blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import attrs

from splitd.catalog.state import State
from splitd.model.manifest import Manifest
from splitd.takeover.recovery import INode, NodeGone
from storaged.parts.format import PartId, parse_part_id, stored_size
from storaged.parts.values import PartInfo

_PAGE = 5_000


class IPartNode(INode, Protocol):
    """A registered node that also tells which parts it holds."""

    def list_parts(self, after: str, limit: int) -> Sequence[PartInfo]:
        """List parts, in ascending order of their ids (as text).

        :param after: list only higher ids; empty for the first page.
        :raise NodeGone: there is no good answer.
        """


@attrs.frozen
class Found:
    """What a search has found.

    :param moved: how many parts are noted on other nodes than before.
    :param silent: the nodes that could not be searched, or not to the end.
    """

    moved: int
    silent: tuple[str, ...]


class Whereabouts:
    """Corrects where the parts of a state's versions lie, by what the nodes hold.

    A part that its node holds stays noted there.  Of the others, those that another node holds are noted on that node,
    also those that were missing.  What nobody holds stays as it is: a node that does not answer now may hold it.

    :param state: the state; nothing else uses it.
    :param nodes: the nodes to ask.  No front may change anything on them meanwhile.
    :param say: is told which nodes do not answer, and why.
    """

    def __init__(self, state: State, nodes: Sequence[IPartNode], say: Callable[[str], None]) -> None:
        self._state = state
        self._nodes = {node.id: node for node in nodes}
        self._say = say
        self._silent: dict[str, None] = {}

    def correct(self) -> Found:
        """Search all nodes, and correct the state."""
        elsewhere: dict[PartId, list[str]] = {}
        for node in self._nodes:
            for info in self._list(node):
                part = parse_part_id(info.part_id)
                manifest = self._state.committed(part.upload)
                if manifest is not None and self._may_be(manifest, part, node, info.stored_size):
                    elsewhere.setdefault(part, []).append(node)
        # Most of these are copies that were not deleted yet: only now is it known where to look for the parts.
        for node in {self._noted(part) for part in elsewhere} & self._nodes.keys():
            for info in self._list(node) if node not in self._silent else ():
                part = parse_part_id(info.part_id)
                if part in elsewhere and self._noted(part) == node:
                    del elsewhere[part]
        return Found(self._note(elsewhere), tuple(self._silent))

    def _may_be(self, manifest: Manifest, part: PartId, node: str, size: int) -> bool:
        nodes = self._state.moves.nodes_of(manifest)
        if part.index >= len(nodes) or nodes[part.index] == node:
            return False
        placed = self._state.moves.place(manifest)
        return size == stored_size(placed.part_size(part.index), placed.unit)

    def _noted(self, part: PartId) -> str:
        manifest = self._state.committed(part.upload)
        assert manifest is not None
        return self._state.moves.nodes_of(manifest)[part.index]

    def _list(self, node: str) -> Iterator[PartInfo]:
        after = ""
        try:
            while page := self._nodes[node].list_parts(after, _PAGE):
                for info in page:
                    _refuse_disorder(info.part_id, after)
                    after = info.part_id
                    yield info
        except (NodeGone, ValueError) as problem:  # ValueError: that is no part id
            self._silent[node] = None
            self._say(f"node {node}: list its parts: {problem}")

    def _note(self, elsewhere: dict[PartId, list[str]]) -> int:
        of_uploads: dict[str, dict[int, list[str]]] = {}
        for part, nodes in elsewhere.items():
            of_uploads.setdefault(part.upload, {})[part.index] = nodes
        return sum(self._note_upload(upload, found) for upload, found in of_uploads.items())

    def _note_upload(self, upload: str, found: dict[int, list[str]]) -> int:
        state = self._state
        manifest = state.committed(upload)
        assert manifest is not None
        before = state.moves.nodes_of(manifest)
        # The parts of a version lie on distinct nodes, and the place of one may be where another one was before.
        after = ["" if index in found else node for index, node in enumerate(before)]
        for index, nodes in found.items():
            free = [node for node in (*nodes, before[index]) if node not in after]
            after[index] = free[0] if free else ""
        state.moves.set_nodes(manifest, tuple(after))
        changed = [(was, now) for was, now in zip(before, after, strict=True) if was != now]
        for was, now in changed:
            state.count_move(manifest, was, now)
        return sum(1 for _, now in changed if now)


def _refuse_disorder(part: str, after: str) -> None:
    """Refuse a node that repeats itself: it would never reach its last page.

    :raise NodeGone: the part does not come after the one before.
    """
    if part <= after:
        raise NodeGone(f"listed part {part} after {after}")
