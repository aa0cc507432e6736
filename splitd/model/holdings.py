"""Which parts lie where for a reason.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as SetOf
from typing import NamedTuple

import attrs

from storaged.parts.format import PartId


class PartCopy(NamedTuple):
    """A part on one of the nodes where it lies.

    :param index: which part of the upload.
    """

    upload: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    node: str

    @property
    def part(self) -> PartId:
        """The part's id."""
        return PartId(self.upload, self.index)


@attrs.frozen
class Known:
    """All parts that lie somewhere for a reason.

    :param nodes: of each upload's parts, by their index: those of files, those under way and those to delete.
    :param copies: parts that lie on yet another node, for they are being moved, or were.
    """

    nodes: Mapping[str, Sequence[str]]
    copies: SetOf[PartCopy]

    def has(self, part: PartId, node: str) -> bool:
        """Whether a part has a reason to lie on a node."""
        nodes = self.nodes.get(part.upload, ())
        if part.index < len(nodes) and nodes[part.index] == node:
            return True
        return PartCopy(part.upload, part.index, node) in self.copies
