"""Builds what clients' files go through: uploads, downloads, and the store over both."""

from __future__ import annotations

import os
from collections.abc import Callable
from uuid import uuid4

from splitd.assembly.process import FrontProcess
from splitd.assembly.seams import Seams, Tending
from splitd.downloads.cache import VersionCache
from splitd.downloads.downloads import Downloads
from splitd.downloads.sources import Sources
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.traffic import Traffic
from splitd.model.uploads import RANDOM_BYTES, upload_id
from splitd.nodes.reading import ReadPolicy
from splitd.store import ObjectStore
from splitd.uploads.gathering import FAR_GAP_S, NEAR_GAP_S
from splitd.uploads.uploads import Cutting, Uploads


def make_policy(
    process: FrontProcess, is_usable: Callable[[str], bool], suspect: Callable[[str], object]
) -> ReadPolicy:
    """Make what decides which nodes are read first, and when an answer is late.

    :param is_usable: returns whether a node seems to be well.
    :param suspect: called with a node that may not answer any more.
    """
    config = process.config
    return ReadPolicy(
        is_usable,
        suspect,
        process.reactor,
        silent_after_s=config.silent_after_s,
        hedge_share=config.hedge_share,
    )


def make_uploads(
    process: FrontProcess, registry: INodeRegistry, tending: Tending, cache: VersionCache, traffic: Traffic
) -> Uploads:
    """Make what stores files."""
    config, wall = process.config, process.wall

    def new_id() -> str:
        return upload_id(wall.now_ms(), os.urandom(RANDOM_BYTES))

    spare = config.spare_parts(), config.slow_part_s
    return Uploads(
        tending.ledger,
        registry,
        tending.reaper,
        traffic,
        cache.keep,
        tending.hurt,
        cutting=Cutting(config.cut(), int(config.small_part), new_id, *spare),
        gap_s=NEAR_GAP_S if tending.is_near else FAR_GAP_S,
        clock=process.reactor,
        wall=wall,
        run=process.in_thread,
    )


def make_downloads(
    process: FrontProcess,
    registry: INodeRegistry,
    policy: ReadPolicy,
    tending: Tending,
    cache: VersionCache,
    traffic: Traffic,
) -> Downloads:
    """Make what reads files for clients."""
    return Downloads(
        Sources(registry, policy, process.reactor, process.in_thread),
        tending.segmentation,
        tending.pins,
        tending.unpinned,
        cache,
        traffic,
        small_part=int(process.config.small_part),
        found=tending.found,
    )


def make_store(
    process: FrontProcess,
    seams: Seams,
    tending: Tending,
    uploads: Uploads,
    downloads: Downloads,
    largest: Callable[[], int | None],
) -> ObjectStore:
    """Make the store.

    :param largest: returns the most bytes that a file may have; None for any number.
    """
    tracing = process.tracing
    return ObjectStore(
        seams.catalog,
        seams.namespace,
        seams.keys,
        seams.locks,
        uploads if tracing is None else tracing.uploads(uploads),
        seams.continued,
        downloads if tracing is None else tracing.downloads(downloads),
        seams.bin,
        wake_reaper=tending.reaper.wake,
        new_token=lambda: f"urn:uuid:{uuid4()}",
        wall=process.wall,
        quotas=seams.quotas,
        largest=largest,
    )
