"""The fronts that share a catalog, as operators see them."""

from __future__ import annotations

import msgspec


class SeenFront(msgspec.Struct, frozen=True, kw_only=True):
    """A front that shares the catalog, as the catalog's database knows it.

    :param id: made anew at each start.
    :param address: the name of its machine, and the port where its clients connect.
    :param version: that of its program.
    :param since_ms: when it started.
    :param heard_ms: when it last renewed its lease.
    :param gone: whether its lease has expired: it was killed, or does not reach the database.
    :param upkeep: what it alone does at present, for all fronts: "upkeep" is the deletion of parts, the heal, and all
        else that begins by itself; "sweep", "rebalance" and "relayout" are in progress.
    :param asked: whether it is the front that answers.
    """

    id: str
    address: str
    version: str
    since_ms: int
    heard_ms: int
    gone: bool
    upkeep: list[str]
    asked: bool
