"""The parts of a version that can be read, and the choice of those to read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NoReturn

from splitd.downloads.streams import PartLost
from splitd.errors import FileDamaged, FileLost, FileUnavailable, SplitdError
from splitd.interfaces.nodes import IReadPolicy
from splitd.model.manifest import Manifest

Found = Callable[[Manifest, int, FileDamaged], object]
"""Called with a version, the index of a part that its node lacks or that is damaged there, and the error."""


def ignore_finding(manifest: Manifest, index: int, problem: FileDamaged) -> None:
    """Do nothing."""


def refuse_lost(manifest: Manifest, nodes: Collection[str]) -> None:
    """Refuse to read a version of which too many parts are gone for good.

    :param nodes: the ids of the nodes that were not declared lost.
    :raise FileLost: more parts than the version has parity are stored nowhere, or on nodes that were declared lost; the
        message names these parts.
    """
    gone = [
        index
        for index, node in enumerate(manifest.nodes)
        if node not in nodes and not manifest.size <= index < manifest.data  # such a part has no bytes
    ]
    if len(gone) > manifest.parity:
        of = {node for index in gone if (node := manifest.nodes[index])}
        where = f" with {', '.join(sorted(of))}" if of else ""
        named = f"part {gone[0]} is" if len(gone) == 1 else f"parts {', '.join(map(str, gone))} are"
        spare = f", and it can do without {manifest.parity}" if manifest.parity else ""
        raise FileLost(f"the file is lost: {named} gone for good{where}, of {len(manifest.nodes)} parts{spare}")


class Survivors:
    """The parts of one version that are stored and have not failed yet.

    :param policy: says which nodes to read from first.
    :param found: called for each part that is missing or damaged on its node.
    :ivar lost: the errors of the parts that are missing or have failed, by their indexes.
    """

    def __init__(self, manifest: Manifest, policy: IReadPolicy, found: Found = ignore_finding) -> None:
        self._manifest = manifest
        self._policy = policy
        self._found = found
        self.lost: dict[int, SplitdError] = {
            index: PartLost.nowhere(manifest.part(index)) for index in manifest.missing
        }

    def check(self) -> None:
        """Check that enough parts are stored.

        :raise PartLost: fewer parts are stored than the file has data parts.
        """
        if len(self.lost) > self._manifest.parity:
            self._end(PartLost.nowhere(self._manifest.part(min(self.lost))))

    def lose(self, index: int, problem: SplitdError) -> None:
        """Note that a part has failed.

        :raise FileUnavailable, FileDamaged: more parts have failed than there are parity parts.  The error is that of
            this part, or of one whose node cannot be read now if the file can be read with it; it says why each has
            failed.
        :raise SplitdError: the error is not about the part, as `Overloaded`.
        """
        if not isinstance(problem, FileUnavailable | FileDamaged):
            raise problem
        if isinstance(problem, FileDamaged):
            self._found(self._manifest, index, problem)
        self.lost[index] = problem
        if len(self.lost) > self._manifest.parity:
            self._end(problem)

    def _end(self, problem: FileUnavailable | FileDamaged) -> NoReturn:
        if not self._manifest.parity:
            raise problem
        damaged = sum(isinstance(each, FileDamaged) for each in self.lost.values())
        if damaged <= self._manifest.parity:  # with the nodes that do not answer now, the file could be read
            problem = next((each for each in self.lost.values() if isinstance(each, FileUnavailable)), problem)
        width = len(self._manifest.nodes)
        reasons = "; ".join(dict.fromkeys(map(str, [problem, *self.lost.values()])))
        raise type(problem)(
            f"{reasons}; {len(self.lost)} of {width} parts cannot be read, {self._manifest.parity} may be missing"
        ) from problem

    def choose(self, count: int, given: set[int]) -> list[int]:
        """Choose parts to read: those of the nodes to ask first before others, data parts before parity parts.

        :param count: how many at most.
        :param given: the indexes of parts that are being read already.
        """
        nodes = self._manifest.nodes
        left = [index for index in range(len(nodes)) if index not in self.lost and index not in given]
        if len(left) > count and any(self._policy.rank(nodes[index]) for index in left[:count]):
            left.sort(key=lambda index: (self._policy.rank(nodes[index]), index))
        return left[:count]
