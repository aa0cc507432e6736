"""The parts of a version that can be read, and which of them to read.  Pure, but for the registry that it asks."""

from __future__ import annotations

from splitd.errors import FileDamaged, FileUnavailable, SplitdError
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.manifest import Manifest


class Survivors:
    """The parts of one version that have not failed yet.

    :ivar lost: the errors of the parts that have failed, by their indexes.
    """

    def __init__(self, manifest: Manifest, registry: INodeRegistry) -> None:
        self._manifest = manifest
        self._registry = registry
        self.lost: dict[int, SplitdError] = {}

    def lose(self, index: int, problem: SplitdError) -> None:
        """Note that a part has failed.

        :raise FileUnavailable, FileDamaged: more parts have failed than there are parity parts.  The error is that of
            this part, and says how many have failed.
        :raise SplitdError: the error is not about the part, as `Overloaded`.
        """
        if not isinstance(problem, FileUnavailable | FileDamaged):
            raise problem
        self.lost[index] = problem
        if len(self.lost) > self._manifest.parity:
            if not self._manifest.parity:
                raise problem
            width = len(self._manifest.nodes)
            raise type(problem)(
                f"{problem}; {len(self.lost)} of {width} parts cannot be read, {self._manifest.parity} may be missing"
            ) from problem

    def are_usable(self, indexes: range | list[int]) -> bool:
        """Whether no part of some has failed, and all their nodes seem to be well."""
        nodes = self._manifest.nodes
        return all(index not in self.lost and self._registry.is_usable(nodes[index]) for index in indexes)

    def choose(self, count: int, given: set[int]) -> list[int]:
        """Choose parts to read: of well nodes before others, data parts before parity parts.

        :param count: how many; there are as many, as long as `lose` has not raised.
        :param given: the indexes of parts that are being read already.
        """
        nodes = self._manifest.nodes
        left = [index for index in range(len(nodes)) if index not in self.lost and index not in given]
        return sorted(left, key=lambda index: (not self._registry.is_usable(nodes[index]), index))[:count]
