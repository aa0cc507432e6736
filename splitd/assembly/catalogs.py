"""Builds the catalog that the settings ask for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from splitd.catalog.journalled import JournalledCatalog
from splitd.catalog.sql.absent import NoJournal
from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import connector
from splitd.interfaces.journal import IJournal
from splitd.model.records import Record
from storaged.system.clocks import WallClock


def make_catalog(
    url: str,
    journal: IJournal,
    traced: IJournal,
    wall: WallClock,
    reactor: Any,
    changed: Callable[[Record], object],
) -> tuple[JournalledCatalog, Any, Callable[[], int] | None]:
    """Make the catalog.

    :param url: the setting `catalog`.
    :param journal: the journal, if the catalog is kept in one.
    :param traced: the same journal, with what traces it.
    :param changed: see `JournalledCatalog`; of no use with a database, which has no workers.
    :return: the catalog, the journal for the status, and what returns the epoch; None for that of the journal.
    """
    front = os.urandom(8).hex()
    if url == "journal":
        return JournalledCatalog(traced, wall, reactor, front=front, changed=changed), journal, None
    catalog = StoredCatalog(connector(url), reactor, wall, reactor, front=front)
    return catalog, NoJournal(lambda: catalog.problem), lambda: catalog.epoch
