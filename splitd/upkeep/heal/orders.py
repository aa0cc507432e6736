"""The orders of operators for the heal.  All fronts that share the catalog keep to them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred

from splitd.errors import DocumentChanged
from splitd.interfaces.documents import IDocuments
from splitd.model.documents import Document

_KIND, _KEY = "orders", "heal"


class Orders(msgspec.Struct, frozen=True):
    """The orders for the heal.

    :param paused: whether nothing is to be rebuilt or moved.
    :param limit: bytes of stored parts per second; 0 for no limit, None for the one in the settings.
    """

    paused: bool = False
    limit: float | None = None

    def limit_or(self, usual: float | None) -> float | None:
        """Return the limit that holds; None for no limit.

        :param usual: the one in the settings; None for no limit.
        """
        return usual if self.limit is None else self.limit or None


class StandingOrders:
    """Keeps the orders in the catalog.

    :param documents: the small documents of the catalog.
    """

    def __init__(self, documents: IDocuments) -> None:
        self._documents = documents

    def find(self) -> Deferred[Orders]:
        """Look up the orders.

        :return: a Deferred that fires with them.
        """
        return self._documents.find(_KIND, _KEY).addCallback(_read)

    async def pause(self, *, paused: bool) -> Orders:
        """Order a pause, or its end.

        :return: the orders, when they are durable.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        return await self._change(lambda orders: Orders(paused, orders.limit))

    async def limit(self, limit: float | None) -> Orders:
        """Order a limit.

        :param limit: as in `Orders`.
        :return: the orders, when they are durable.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        return await self._change(lambda orders: Orders(orders.paused, limit))

    async def _change(self, change: Callable[[Orders], Orders]) -> Orders:
        while True:
            present = await self._documents.find(_KIND, _KEY)
            orders = change(_read(present))
            body = msgspec.json.encode(orders).decode()
            try:
                await self._documents.put(Document(_KIND, _KEY, "", body), 0 if present is None else present.revision)
            except DocumentChanged:
                continue  # somebody else has ordered something meanwhile
            return orders


def _read(document: Document | None) -> Orders:
    return Orders() if document is None else msgspec.json.decode(document.body, type=Orders)
