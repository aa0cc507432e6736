"""The parts of a version that can be read, and the choice of those to read."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, NoReturn

from splitd.downloads.streams import PartLost
from splitd.errors import FileDamaged, FileUnavailable, SplitdError
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.manifest import Manifest
from storaged.system.parallel import gather


class Survivors:
    """The parts of one version that are stored and have not failed yet.

    :ivar lost: the errors of the parts that are missing or have failed, by their indexes.
    """

    def __init__(self, manifest: Manifest, registry: INodeRegistry) -> None:
        self._manifest = manifest
        self._registry = registry
        self.lost: dict[int, SplitdError] = {
            index: PartLost.nowhere(manifest.part(index)) for index in manifest.missing
        }

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
            self._end(problem)

    def _end(self, problem: FileUnavailable | FileDamaged) -> NoReturn:
        if not self._manifest.parity:
            raise problem
        width = len(self._manifest.nodes)
        raise type(problem)(
            f"{problem}; {len(self.lost)} of {width} parts cannot be read, {self._manifest.parity} may be missing"
        ) from problem

    async def try_all(self, work: Mapping[int, Coroutine[Any, Any, Any]]) -> dict[int, Any]:
        """Do something with several parts at the same time; those that fail are lost.

        :param work: by the index of the part.
        :return: the results of the parts that did not fail, by their indexes.
        :raise SplitdError: as `lose` raises.
        """
        done = dict(zip(work, await gather([_attempt(each) for each in work.values()]), strict=True))
        failed = {index: each for index, each in done.items() if isinstance(each, FileUnavailable | FileDamaged)}
        for index, problem in failed.items():
            self.lose(index, problem)
        return {index: each for index, each in done.items() if index not in failed}

    def seem_well(self, indexes: Iterable[int]) -> bool:
        """Whether the nodes of some parts all seem to be well."""
        return all(self._registry.is_usable(self._manifest.nodes[index]) for index in indexes)

    def choose(self, count: int, given: set[int]) -> list[int]:
        """Choose parts to read: of well nodes before others, data parts before parity parts.

        :param count: how many.
        :param given: the indexes of parts that are being read already.
        :raise PartLost: fewer parts are stored than the file has data parts.
        """
        nodes = self._manifest.nodes
        left = [index for index in range(len(nodes)) if index not in self.lost and index not in given]
        if len(left) > count:
            left.sort(key=lambda index: (not self._registry.is_usable(nodes[index]), index))
        if len(left) < count:  # `lose` would have raised, but no part had to fail
            self._end(PartLost.nowhere(self._manifest.part(min(self.lost))))
        return left[:count]


async def _attempt(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result, or the error of the part."""
    try:
        return await work
    except (FileUnavailable, FileDamaged) as problem:
        return problem
