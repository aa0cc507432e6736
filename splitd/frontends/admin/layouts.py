"""The layouts of collections, which operators look at and change: `GET`, `PUT` and `DELETE /layout?path=PATH`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs

from splitd.errors import LayoutRefused
from splitd.frontends.admin.action_reports import LayoutReport
from splitd.frontends.admin.actions import Action, Settle
from splitd.frontends.admin.answers import Query, answer_json
from splitd.frontends.http.answers import Refused
from splitd.interfaces.names import INamespace
from splitd.model.conditions import Condition
from splitd.model.properties import LAYOUT, PropertyChanges, write_layout
from splitd.model.striping import Layout, parse_layout
from splitd.upkeep.relayout import RELAYOUT, RelayoutProgress
from storaged.http import IRequest


@attrs.frozen
class Layouts:
    """The layouts of new files.

    :param namespace: keeps what collections ask for.
    :param setting: the layout of files whose collections ask for none.
    :param count_nodes: returns how many nodes may take parts.
    :param changed: called after a collection has asked for a layout.
    """

    namespace: INamespace
    setting: Layout
    count_nodes: Callable[[], int]
    changed: Callable[[], Awaitable[None]]

    async def look(self, path: str) -> LayoutReport:
        """Return the layout that new files in a collection get.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        asked = await self.namespace.asked_layout(path)
        setting = str(self.setting)
        return LayoutReport(path, asked.layout or setting, asked.source or None, setting)

    async def ask(self, path: str, text: str) -> LayoutReport:
        """Make a collection ask for a layout.  Files that are stored already keep theirs.

        :param text: the layout, as "6+2".
        :raise ValueError: the text is not a layout.
        :raise LayoutRefused: the layout has more parts than there are nodes that may take parts.
        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        layout = parse_layout(text, self.setting.unit)
        nodes = self.count_nodes()
        if layout.width > nodes:
            raise LayoutRefused(f"layout {layout} needs {layout.width} nodes that take parts, and there are {nodes}")
        await self._change(path, PropertyChanges({LAYOUT: write_layout(str(layout))}, ()))
        await self.changed()
        return await self.look(path)

    async def unset(self, path: str) -> LayoutReport:
        """Make a collection ask for no layout any more.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        await self._change(path, PropertyChanges({}, (LAYOUT,)))
        return await self.look(path)

    async def _change(self, path: str, changes: PropertyChanges) -> None:
        await self.namespace.asked_layout(path)  # it refuses files
        await self.namespace.change_properties(path, changes, Condition(collections=(path,)))


def layout(layouts: Layouts) -> Action:
    """Provide `GET /layout?path=PATH`, `PUT /layout?path=PATH&layout=LAYOUT` and `DELETE /layout?path=PATH`."""

    async def get(request: IRequest) -> None:
        answer_json(request, 200, await layouts.look(_path(Query(request))))

    async def put(request: IRequest) -> None:
        query = Query(request)
        # In a query, a plus sign that is not percent-encoded is a space.
        text = query.text("layout").replace(" ", "+")
        try:
            report = await layouts.ask(_path(query), text)
        except ValueError as problem:
            raise Refused(400, str(problem)) from problem
        answer_json(request, 200, report)

    async def delete(request: IRequest) -> None:
        answer_json(request, 200, await layouts.unset(_path(Query(request))))

    return {"GET": get, "PUT": put, "DELETE": delete}


class Relayouter(Protocol):
    """The calls of `splitd.upkeep.relayout.Relayout` that the action needs."""

    @property
    def under_way(self) -> bool:
        """Whether a walk is running."""

    @property
    def progress(self) -> RelayoutProgress | None:
        """The progress of the running walk, or of the last one; None before the first."""

    async def start(self, path: str) -> RelayoutProgress:
        """Begin to give the files at a path, and below it, the layout that their collection asks for."""

    async def stop(self) -> None:
        """Stop the running walk."""


def relayout(relayouter: Relayouter, settle: Settle) -> Action:
    """Provide `POST /layout/apply?path=PATH` and `DELETE /layout/apply`.

    :param settle: forgets a walk that ended with its front.
    """

    async def post(request: IRequest) -> None:
        answer_json(request, 202, await relayouter.start(_path(Query(request))))

    async def delete(request: IRequest) -> None:
        if not relayouter.under_way:
            raise Refused(404, await settle(RELAYOUT) or "no files are being given another layout")
        await relayouter.stop()
        answer_json(request, 200, relayouter.progress)

    return {"POST": post, "DELETE": delete}


def _path(query: Query) -> str:
    path = query.text("path")
    if not path.startswith("/"):
        raise Refused(400, f"path={path!r}: should begin with a slash")
    return path.rstrip("/") or "/"
