"""What a check tells, one event after the other, and how it judges a file.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from splitd.model.manifest import Manifest

MISSING, DAMAGED, UNREACHABLE, INCONSISTENT = "missing", "damaged", "unreachable", "inconsistent"
DEGRADED, UNREADABLE, LOST = "degraded", "unreadable", "lost"
_BADNESS = (DEGRADED, UNREADABLE, LOST)

_SHOWN = 100
"""The most segments of a file of which the hurt parts are told one by one."""


class HurtPart(msgspec.Struct, frozen=True):
    """A part that is not as it should be.

    :param part: its index; parity parts come after the data parts.
    :param node: the node that should hold it; empty if it is stored nowhere.
    :param state: "missing"; "damaged"; "unreachable" if its node did not answer, so nothing is known about the part; or
        "inconsistent" for a parity part that is whole and does not fit the data parts.
    :param reason: what was found, in words.
    :param segment: the number of the segment that it is a part of; 0 if the file has no segments.
    """

    part: int
    node: str
    state: str
    reason: str
    segment: int = 0


class Finding(NamedTuple):
    """A version of which at least one part is not as it should be.

    :param number: its number if it is a segment; 0 if it is a file.
    :param hurt: these parts, at most one entry for each.
    """

    version: Manifest
    number: int
    hurt: list[HurtPart]

    @property
    def spare(self) -> int:
        """How many more parts may fail before it cannot be read; negative if it cannot be read now."""
        return len(self.version.nodes) - len(self._unread) - self.version.data

    @property
    def state(self) -> str:
        """`DEGRADED`, `UNREADABLE` or `LOST`."""
        silent = sum(part.state == UNREACHABLE for part in self._unread)
        return DEGRADED if self.spare >= 0 else UNREADABLE if self.spare + silent >= 0 else LOST

    @property
    def _unread(self) -> list[HurtPart]:
        return [part for part in self.hurt if part.state != INCONSISTENT]


class HurtFile(msgspec.Struct, frozen=True, tag_field="event", tag="file"):
    """A file with parts that are not as they should be.

    :param state: "degraded" if it can be read; "unreadable" if it cannot be read now, because nodes do not answer;
        "lost" if too many parts are missing or damaged.
    :param spare: how many more parts may fail before it cannot be read; negative if it cannot be read now.
    :param parts: these parts; of a file with segments those of the 100 segments that are worst off.
    :param segments: how many of its segments have such parts.

    A file with segments is as badly off as the worst of them.
    """

    path: str
    size: int
    state: str
    spare: int
    parts: list[HurtPart]
    segments: int = 0


class CheckProgress(msgspec.Struct, frozen=True, tag_field="event", tag="progress"):
    """How far a check is.

    :param files: files that were checked.
    :param bytes: their bytes, as their clients count them.
    :param read: stored bytes that were read from the nodes, and checked; 0 unless the check is deep.
    :param hurt: files of which parts are not as they should be.
    :param total_files: how many files there are to check, about; null if that is not known.
    :param total_bytes: their bytes, about; null if that is not known.
    """

    files: int
    bytes: int
    read: int
    hurt: int
    total_files: int | None
    total_bytes: int | None


class CheckEnd(msgspec.Struct, frozen=True, tag_field="event", tag="end"):
    """The last event of a check that came to its end.

    :param files: files that were checked.
    :param bytes: their bytes, as their clients count them.
    :param read: stored bytes that were read from the nodes, and checked.
    :param degraded: files that can be read, of which parts are not as they should be.
    :param unreadable: files that cannot be read now, because nodes do not answer.
    :param lost: files of which too many parts are missing or damaged.
    :param silent: the nodes that did not answer, each with the reason.
    """

    files: int
    bytes: int
    read: int
    degraded: int
    unreadable: int
    lost: int
    silent: dict[str, str]


class CheckFailed(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """The last event of a check that could not come to its end."""

    reason: str


CheckEvent: TypeAlias = HurtFile | CheckProgress | CheckEnd | CheckFailed


def judge(path: str, manifest: Manifest, findings: Sequence[Finding]) -> HurtFile:
    """Judge a file that is hurt.

    :param findings: itself, or its segments that are hurt; at least one.
    """
    worst = sorted(findings, key=lambda each: (-_BADNESS.index(each.state), each.spare, each.number))[:_SHOWN]
    parts = [
        part if not each.number else msgspec.structs.replace(part, segment=each.number)
        for each in sorted(worst, key=lambda each: each.number)
        for part in sorted(each.hurt, key=lambda part: part.part)
    ]
    hurt = sum(each.number > 0 for each in findings)
    return HurtFile(path, manifest.size, worst[0].state, worst[0].spare, parts, hurt)
