"""A part together with a node that holds it.  Pure."""

from __future__ import annotations

from typing import NamedTuple

from storaged.parts.format import PartId


class PartCopy(NamedTuple):
    """A part on one of the nodes that hold it.

    :param index: which part of the upload.
    """

    upload: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    node: str

    @property
    def part(self) -> PartId:
        """The part's id."""
        return PartId(self.upload, self.index)
