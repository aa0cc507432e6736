"""Builds what clients' files go through: uploads, downloads, and the store over both."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from twisted.internet.defer import Deferred

from splitd.assembly.upkeep import Upkeep
from splitd.catalog.journalled import JournalledCatalog
from splitd.config import Config
from splitd.downloads.cache import VersionCache
from splitd.downloads.downloads import Downloads
from splitd.downloads.sources import Sources
from splitd.model.traffic import Traffic
from splitd.model.uploads import RANDOM_BYTES, upload_id
from splitd.nodes.registry import NodeRegistry
from splitd.store import ObjectStore
from splitd.uploads.uploads import Cutting, Uploads
from storaged.system.clocks import WallClock

if TYPE_CHECKING:
    from splitd.tracing import Tracing


def make_uploads(
    config: Config,
    registry: NodeRegistry,
    upkeep: Upkeep,
    cache: VersionCache,
    traffic: Traffic,
    run: Callable[[Callable[[], Any]], Deferred[Any]],
    reactor: Any,
    wall: WallClock,
) -> Uploads:
    """Make what stores files.

    :param run: runs a call in a thread.
    """

    def new_id() -> str:
        return upload_id(wall.now_ms(), os.urandom(RANDOM_BYTES))

    spare = config.spare_parts(), config.slow_part_s
    return Uploads(
        upkeep.aborts,
        registry,
        upkeep.reaper,
        traffic,
        cache.keep,
        upkeep.healer.wake,
        cutting=Cutting(config.cut(), int(config.small_part), new_id, *spare),
        clock=reactor,
        wall=wall,
        run=run,
    )


def make_downloads(
    config: Config, sources: Sources, upkeep: Upkeep, cache: VersionCache, traffic: Traffic
) -> Downloads:
    """Make what reads files for clients."""
    return Downloads(
        sources,
        upkeep.segmentation,
        upkeep.pins,
        upkeep.reaper.unpinned,
        cache,
        traffic,
        small_part=int(config.small_part),
        found=upkeep.found,
    )


def make_store(
    catalog: JournalledCatalog,
    uploads: Uploads,
    downloads: Downloads,
    upkeep: Upkeep,
    largest: Callable[[], int | None],
    tracing: Tracing | None,
    wall: WallClock,
) -> ObjectStore:
    """Make the store.

    :param largest: returns the most bytes that a file may have; None for any number.
    :param tracing: traces uploads and downloads; None for no traces.
    """
    return ObjectStore(
        catalog,
        catalog.namespace,
        catalog.keys,
        catalog.locks,
        uploads if tracing is None else tracing.uploads(uploads),
        catalog.continued,
        downloads if tracing is None else tracing.downloads(downloads),
        wake_reaper=upkeep.reaper.wake,
        new_token=lambda: f"urn:uuid:{uuid4()}",
        wall=wall,
        quotas=catalog.quotas,
        largest=largest,
    )
