"""Checks a file as a whole: its own parts, or those of its segments."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred

from splitd.downloads.finding import Segmentation
from splitd.model.manifest import Manifest
from splitd.upkeep.check.events import Finding, HurtPart

CheckVersions: TypeAlias = Callable[[Sequence[Manifest]], Coroutine[Deferred[Any], Any, list[list[HurtPart]]]]
"""Checks some versions, and returns for each, in their order, the parts that are not as they should be."""

_TRIES = 3
"""How often a segment is checked whose parts moved meanwhile."""


async def check_file(manifest: Manifest, check: CheckVersions, segmentation: Segmentation) -> list[Finding]:
    """Check one file.

    :return: its versions that have hurt parts: itself, or some of its segments.
    """
    if not manifest.packed_segments:
        [hurt] = await check([manifest])
        return [Finding(manifest, 0, hurt)] if hurt else []
    found = []
    async for page in segmentation.pages(manifest):
        hurts = await check([version for _, version in page])
        for (ref, version), hurt in zip(page, hurts, strict=True):
            if hurt:
                finding = await _settle(Finding(version, ref.number, hurt), check, segmentation)
                found += [finding] if finding.hurt else []
    return found


async def _settle(finding: Finding, check: CheckVersions, segmentation: Segmentation) -> Finding:
    """Check a segment again as long as its parts have moved meanwhile."""
    for _ in range(_TRIES):
        now = await segmentation.find_again(finding.version)
        if now == finding.version:
            break
        [hurt] = await check([now])
        finding = Finding(now, finding.number, hurt)
        if not hurt:
            break
    return finding
