"""The parts of a version that can be read, and the choice of those to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from splitd.downloads.streams import PartLost
from splitd.errors import FileDamaged, FileUnavailable, SplitdError
from splitd.interfaces.nodes import IReadPolicy
from splitd.model.manifest import Manifest

Found = Callable[[Manifest, int, FileDamaged], object]
"""Called with a version, the index of a part that its node lacks or that is damaged there, and the error."""


def ignore_finding(manifest: Manifest, index: int, problem: FileDamaged) -> None:
    """Do nothing."""


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
            this part, and says how many have failed.
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
        width = len(self._manifest.nodes)
        raise type(problem)(
            f"{problem}; {len(self.lost)} of {width} parts cannot be read, {self._manifest.parity} may be missing"
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
