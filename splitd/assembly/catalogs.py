"""Builds the catalog that the settings ask for, and its journal."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.threadpool import ThreadPool

from splitd.catalog.compactor import Compactor
from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.config import Config
from splitd.interfaces.journal import IJournal
from splitd.model.records import Record
from splitd.nodes.state import NodeStatus
from splitd.takeover.takeover import Takeover, Wanted
from storaged.system.clocks import WallClock
from storaged.system.interfaces import IFilesystem

if TYPE_CHECKING:
    from splitd.catalog.sql.catalog import StoredCatalog


def make_journal(
    config: Config,
    filesystem: IFilesystem,
    run: Callable[[Callable[[], Any]], Deferred[Any]],
    registered: Callable[[], Sequence[NodeStatus]],
    pool: ThreadPool,
    reactor: Any,
) -> tuple[Takeover, FileJournal]:
    """Make the journal, and what keeps its copies on nodes.

    :param run: runs a call in a thread.
    :param registered: returns the registered nodes.
    :param pool: writes the journal.
    """
    folder = os.path.join(config.data, "journal")  # noqa: PTH118 - text, as in the file system's seam
    copies = config.journal_copies if config.keeps_journal else 0
    wanted = Wanted(copies, config.journal_copies_required, config.lease_s)
    takeover = Takeover(folder, filesystem, run, registered, reactor, wanted)
    journal = FileJournal(
        folder,
        filesystem,
        pool,
        reactor,
        compactor=Compactor(reactor),
        copies=takeover.copies,
        segment_limit=int(config.journal_segment),
    )
    return takeover, journal


def address_of(listen: str, host: str) -> str:
    """Return the name of a machine, and the port of an endpoint on it.

    :param listen: a Twisted endpoint, as "tcp:8080:interface=127.0.0.1".
    """
    port = re.search(r":(\d+)(?::|\Z)", listen)
    return f"{host}:{port[1]}" if port else f"{host} {listen}"


def make_catalog(
    url: str,
    journal: IJournal,
    traced: IJournal,
    wall: WallClock,
    reactor: Any,
    changed: Callable[[Record], object],
    address: str,
) -> tuple[JournalledCatalog, Any, Callable[[], int] | None]:
    """Make the catalog.

    :param url: the setting `catalog`.
    :param journal: the journal, if the catalog is kept in one.
    :param traced: the same journal, with what traces it.
    :param changed: see `JournalledCatalog`; of no use with a database, which workers ask themselves.
    :param address: where the front is, for the operators of several fronts.
    :return: the catalog, the journal for the status, and what returns the epoch; None for that of the journal.
    """
    front = os.urandom(8).hex()
    if url == "journal":
        return JournalledCatalog(traced, wall, reactor, front=front, changed=changed), journal, None
    from splitd.catalog.sql.absent import NoJournal

    catalog = make_stored(url, wall, reactor, front, address)
    return catalog, NoJournal(lambda: catalog.problem), lambda: catalog.epoch


def make_stored(
    url: str, wall: WallClock, reactor: Any, front: str, address: str, *, upkeep: bool = True, before: str = ""
) -> StoredCatalog:
    """Make a catalog in a database.

    :param url: the setting `catalog`.
    :param front: the id of the front, or of the worker, that uses it.
    :param address: where that is, for operators.
    :param upkeep: whether it may do the upkeep.
    :param before: the id of the worker that has ended, and whose place this one takes; empty for none.
    """
    # What only a database needs takes 9 MiB, which others do without.
    from splitd.catalog.sql.catalog import StoredCatalog
    from splitd.catalog.sql.connecting import connector

    more: dict[str, Any] = {"address": address, "upkeep": upkeep, "before": before}
    return StoredCatalog(connector(url), reactor, wall, reactor, front=front, **more)
