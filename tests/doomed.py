"""Lists the parts that are to be deleted, and confirms that they are gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitd.interfaces.parts import IDoomedParts
from storaged.parts.format import PartId, parse_part_id
from storaged.system.parallel import gather

_PAGE = 100


async def doomed_parts(doomed: IDoomedParts) -> dict[str, list[str]]:
    """Return the ids of the parts that are to be deleted on each node, the longest doomed first."""
    return {node: [str(part) for part in await doomed_on(doomed, node)] for node in await doomed.doomed_nodes()}


async def doomed_on(doomed: IDoomedParts, node: str) -> list[PartId]:
    """Return the parts that are to be deleted on one node, the longest doomed first, read page by page."""
    page = await doomed.doomed_on(node, "", _PAGE)
    parts = list(page.parts)
    while page.cursor:
        page = await doomed.doomed_on(node, page.cursor, _PAGE)
        parts += page.parts
    return parts


async def confirm(doomed: IDoomedParts, parts: Mapping[str, Sequence[str]]) -> None:
    """Record that parts are gone from their nodes.

    :param parts: the ids of the parts, by node id.
    """
    await gather([_confirm_on(doomed, node, some) for node, some in parts.items()])


async def _confirm_on(doomed: IDoomedParts, node: str, parts: Sequence[str]) -> None:
    await doomed.gone(node, [parse_part_id(part) for part in parts])


async def confirm_all(doomed: IDoomedParts) -> None:
    """Record that all parts that are to be deleted are gone."""
    await confirm(doomed, await doomed_parts(doomed))
