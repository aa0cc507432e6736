"""The JSON answers of the operators' port to actions, and about one thing."""

from __future__ import annotations

import msgspec


class ReloadReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to `POST /reload`: the number of nodes, and the ids of those that changed.

    :param moved: nodes that have a new address.
    :param changed: nodes that have a new zone, weight or state.
    :param users: the number of users; missing if there is no file of users.
    """

    nodes: int
    added: tuple[str, ...]
    moved: tuple[str, ...]
    changed: tuple[str, ...]
    users: int | None = None


class LayoutReport(msgspec.Struct, frozen=True):
    """The answer to `GET /layout`, `PUT /layout` and `DELETE /layout`: how new files in a collection are cut.

    :param path: the collection.
    :param layout: the layout of new files in it, as "6+2".
    :param source: the collection that asks for this layout, the same or one that it lies in; null if the layout is that
        of the front's settings.
    :param setting: the layout of the front's settings.
    """

    path: str
    layout: str
    source: str | None
    setting: str


class LossReport(msgspec.Struct, frozen=True):
    """The answer to `GET /loss`: the cost of losing a node for good.

    :param files: how many different versions of files have a part on it.
    :param unreadable: how many of these could not be read any more, because too few of their parts lie on other nodes.
        Nodes that are only down count as if they will be back.
    """

    id: str
    files: int
    unreadable: int
