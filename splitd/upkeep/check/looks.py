"""The fast check: looks at the headers and the sizes of parts, those of many files with one request to each node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from splitd.model.manifest import Manifest
from splitd.upkeep.check.asking import Asking, hurt_part, nowhere
from splitd.upkeep.check.events import HurtPart
from storaged.parts.errors import PartDamaged, StoragedError
from storaged.parts.format import stored_size
from storaged.parts.values import PartLook
from storaged.parts.wire import LOOK_LIMIT
from storaged.system.parallel import gather


class LookCheck:
    """Checks files by the headers and sizes of their parts, and by what the nodes' scrubs have found.

    :param rotten: for each node, why parts are rotten, by their ids.
    """

    def __init__(self, rotten: Mapping[str, Mapping[str, str]], asking: Asking) -> None:
        self._rotten = rotten
        self._asking = asking

    async def check(self, versions: Sequence[Manifest]) -> list[list[HurtPart]]:
        """Check some versions.

        :return: for each, in their order, the parts that are not as they should be.
        """
        hurt = [nowhere(manifest) for manifest in versions]
        by_node: dict[str, list[tuple[int, int]]] = defaultdict(list)  # (number of the version, index of the part)
        for number, manifest in enumerate(versions):
            for index, node in enumerate(manifest.nodes):
                if node:
                    by_node[node].append((number, index))
        await gather([self._look(node, places, versions, hurt) for node, places in by_node.items()])
        return hurt

    async def _look(
        self, node: str, places: list[tuple[int, int]], versions: Sequence[Manifest], hurt: list[list[HurtPart]]
    ) -> None:
        for start in range(0, len(places), LOOK_LIMIT):
            some = places[start : start + LOOK_LIMIT]
            ids = [str(versions[number].part(index)) for number, index in some]
            looks = await self._asking.ask(node, lambda store: store.look_all(ids))  # noqa: B023 - used at once
            for place, (number, index) in enumerate(some):
                manifest = versions[number]
                look = looks if isinstance(looks, StoragedError) else looks[place]
                problem = self._judge(manifest, index, look)
                if problem is not None:
                    hurt[number].append(hurt_part(manifest, index, problem))

    def _judge(self, manifest: Manifest, index: int, look: PartLook | StoragedError) -> StoragedError | None:
        if isinstance(look, StoragedError):
            return look
        part, unit = manifest.part(index), manifest.unit
        expected = stored_size(manifest.part_size(index), unit)
        if (look.stored_size, look.unit) != (expected, unit):
            return PartDamaged(
                f"part {part}: takes {look.stored_size} bytes with units of {look.unit}, "
                f"expected {expected} with units of {unit}"
            )
        rotten = self._rotten.get(manifest.nodes[index], {}).get(str(part))
        return None if rotten is None else PartDamaged(rotten)
