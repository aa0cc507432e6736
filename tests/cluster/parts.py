"""The parts of files in a test's cluster: where they should be, and harm to them."""

from __future__ import annotations

import os
from pathlib import Path

from splitd.model.manifest import Manifest
from storaged.parts.format import CHECKSUM_SIZE, HEADER_SIZE
from tests.cluster.cluster import Cluster

UNIT = 1024
"""Bytes of a column of a full stripe, as in each cluster that is not made with another unit."""

STRIPE = 6 * UNIT


async def manifest_of(cluster: Cluster, path: str) -> Manifest:
    """Return the manifest of a file."""
    assert cluster.front is not None
    found = await cluster.front.catalog.lookup(path)
    assert isinstance(found, Manifest)
    return found


def unlink(path: Path) -> None:
    """Delete a part."""
    path.unlink()


def truncate(path: Path) -> None:
    """Cut a part in half."""
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Flip a bit in the fifth unit of a part; a second time, it is right again."""
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 4 * (UNIT + CHECKSUM_SIZE) + 7] ^= 0x10
    path.write_bytes(data)
