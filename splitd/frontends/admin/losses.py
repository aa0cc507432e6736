"""The cost of losing a node: `GET /loss?id=ID`."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.task import deferLater

from splitd.frontends.admin.action_reports import LossReport
from splitd.frontends.admin.actions import Action
from splitd.frontends.admin.answers import Query, answer_json
from splitd.frontends.http.answers import Refused
from splitd.interfaces.heal import IHealLedger
from splitd.model.manifest import Manifest
from splitd.model.nodes import LOST
from splitd.model.packing import key_of
from splitd.nodes.registry import NodeRegistry
from storaged.http import IRequest

_PAGE = 500
"""The most versions that are looked at in one step."""


@attrs.frozen
class Losses:
    """Computes what the loss of a node would cost.

    :param heal: lists the versions with parts on a node.
    :param clock: calls later.
    """

    heal: IHealLedger
    registry: NodeRegistry
    clock: Any

    async def look(self, node_id: str) -> LossReport:
        """Count the files that could not be read any more if a node were lost, now that others are lost already.

        Nodes that are only down count as if they will be back.  The work is done in slices, one for each `_PAGE`
        versions.

        :raise KeyError: no node has this id.
        """
        nodes = {node.entry.id: node.entry.state for node in self.registry.nodes()}
        if node_id not in nodes:
            raise KeyError(node_id)
        gone = {each for each, state in nodes.items() if state == LOST} | {node_id, ""}
        files, unreadable = _Files(), _Files()
        cursor = ""
        while True:
            page = await self.heal.placed_on(node_id, cursor, _PAGE)
            for version in page.versions:
                files.add(version)
                if not _is_readable(version, gone):
                    unreadable.add(version)
            cursor = page.cursor
            if not cursor:
                return LossReport(node_id, len(files), len(unreadable))
            await deferLater(self.clock, 0)  # let other work run


class _Files:
    """Counts files, each once, however many of its segments are added."""

    def __init__(self) -> None:
        self._plain = 0
        self._segmented: set[bytes] = set()

    def add(self, version: Manifest) -> None:
        if version.segment_of:
            self._segmented.add(key_of(version.segment_of))
        else:
            self._plain += 1

    def __len__(self) -> int:
        return self._plain + len(self._segmented)


def _is_readable(version: Manifest, gone: set[str]) -> bool:
    """Whether enough parts lie on other nodes than those in `gone`; data parts without bytes need no node."""
    left = sum(node not in gone or version.size <= index < version.data for index, node in enumerate(version.nodes))
    return left >= version.data


def loss(losses: Losses) -> Action:
    """Provide `GET /loss?id=ID`."""

    async def get(request: IRequest) -> None:
        node_id = Query(request).text("id")
        try:
            answer_json(request, 200, await losses.look(node_id))
        except KeyError as problem:
            raise Refused(404, f"there is no node {node_id}") from problem

    return {"GET": get}
