"""The JSON answers of the operators' port.  `python -m` this module writes docs/operators-http.schema.json from them.

Sizes are in bytes, times in milliseconds since 1970; fills are shares of a node.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import msgspec

from splitd.frontends.admin.action_reports import LayoutReport, LossReport, ReloadReport
from splitd.interfaces.journal import JournalStatistics
from splitd.model.fronts import SeenFront
from splitd.nodes.probe import Found
from splitd.nodes.reading import ReadingReport
from splitd.upkeep.bin import BinProgress
from splitd.upkeep.check.events import CheckEnd, CheckFailed, CheckProgress, HurtFile
from splitd.upkeep.heal.report import HealReport
from splitd.upkeep.lifecycle import LifecycleProgress
from splitd.upkeep.rebalance import Plan, Progress
from splitd.upkeep.relayout import RelayoutProgress
from splitd.upkeep.scrubs import ScrubsReport
from splitd.upkeep.sweep import Findings, NodeFindings
from splitd.upkeep.walks import WalkReport
from storaged.system.watched import Refusal


class ScrubReport(msgspec.Struct, frozen=True):
    """How far a node has scrubbed its parts, as it said last.

    :param rotten: how many parts it knows to be rotten.
    :param scrubbed_bytes: the bytes that it has read for this since its start.
    :param share: the share of the present pass that is done.
    :param ended_ms: when its last whole pass ended; null if none has.
    :param paused: whether an operator has paused it.
    """

    rotten: int
    scrubbed_bytes: int
    share: float
    ended_ms: int | None
    paused: bool


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a node.

    :param mode: the state in the registry: "active"; "readonly" if the node shall take no new parts; "draining" if its
        parts shall move to others; "lost" if it was declared lost.
    :param state: "up", "full", "readonly", "draining", "down", "stranger", "unknown" or "lost".
    :param capacity: the size of its volume; 0 while it is not known.
    :param free: what may still be written to it; its own reserve is subtracted already.
    :param reserve: the room of its volume that it leaves free; 0 if it does not report one.
    :param volume: the id of its file system: nodes that have the same one share a volume, whose size is to be counted
        once; empty if it is not known.
    :param disk: the id of its disk, which it made at its first start there; empty if it is not known.
    :param reserved: what was placed on it since it last reported its room, plus the room kept free for parts of unknown
        size.
    :param fill: the share of its volume that is used; null while its size is not known.
    :param latency_ms: how long it took to answer the last time it was asked for its state, which is about every 10 s;
        null if it did not answer.
    :param problem: why it is not up, or why it is full; empty if it is up.
    """

    id: str
    url: str
    zone: str
    weight: float
    mode: str
    state: str
    capacity: int
    free: int
    reserve: int
    volume: str
    disk: str
    reserved: int
    fill: float | None
    latency_ms: float | None
    problem: str
    scrub: ScrubReport


class ReadinessReport(msgspec.Struct, frozen=True):
    """Whether clients can do something.

    :param ready: whether they can.
    :param problems: why they cannot, one sentence each; empty if they can.
    """

    ready: bool
    problems: list[str]


class FillReport(msgspec.Struct, frozen=True):
    """The lowest and the highest fill of the nodes that take parts, and their difference.  The free room of a node
    counts multiplied by its weight.
    """

    lowest: float
    highest: float
    spread: float


class RegistryReport(msgspec.Struct, frozen=True):
    """The registry's file.

    :param refused: the last version of the file that could not be used; null if the running registry is what the file
        says.
    """

    path: str
    loaded_ms: int
    refused: Refusal | None


class UsersReport(msgspec.Struct, frozen=True):
    """The users' file.

    :param count: how many users there are.
    :param logins_refused: how many logins were refused since the start.
    :param refused: as for the registry.
    """

    path: str
    loaded_ms: int
    count: int
    logins_refused: int
    refused: Refusal | None


class UploadsReport(msgspec.Struct, frozen=True):
    """Uploads since the start.

    :param degraded: those of the committed ones of which some parts could not be stored.
    :param continued: uploads that can be continued: begun, and neither completed nor aborted.
    :param continued_bytes: the bytes of their segments.
    """

    under_way: int
    committed: int
    degraded: int
    aborted: int
    bytes: int
    continued: int
    continued_bytes: int


class DownloadsReport(msgspec.Struct, frozen=True):
    """Downloads since the start.

    :param degraded: those of them that read parity in place of parts that could not be read.
    """

    under_way: int
    finished: int
    failed: int
    degraded: int
    bytes: int


class ConnectionsReport(msgspec.Struct, frozen=True):
    """The connections of clients and the file descriptors of the front.

    :param limit: how many connections there may be at once; more wait until one has ended.
    :param waiting: whether some wait now.
    :param descriptors: file descriptors that are open, of all kinds.
    :param descriptor_limit: how many may be open.
    """

    open: int
    limit: int
    waiting: bool
    descriptors: int
    descriptor_limit: int


class CacheReport(msgspec.Struct, frozen=True):
    """The cache of small files.  Hits and misses are counted since the start."""

    bytes: int
    hits: int
    misses: int


class ReaperReport(msgspec.Struct, frozen=True):
    """The deletion of parts.

    :param doomed: uploads and versions whose parts are to be deleted.
    :param reaped: uploads and versions whose parts were deleted since the start.
    :param staying: how many parts a node did not delete, by the node's id.
    """

    doomed: int
    reaped: int
    staying: dict[str, int]


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a sweep.

    :param dry_run: whether it only reported, and moved nothing to the trash.
    :param stopped: why it moved nothing to the trash; empty if it did, or found nothing.
    """

    began_ms: int
    dry_run: bool
    nodes: list[NodeFindings]
    stopped: str
    orphans: int
    trashed: int


def report_sweep(findings: Findings) -> SweepReport:
    """Report the findings of a sweep, with their sums."""
    return SweepReport(
        began_ms=findings.began_ms,
        dry_run=findings.dry_run,
        nodes=findings.nodes,
        stopped=findings.stopped,
        orphans=findings.orphans,
        trashed=findings.trashed,
    )


class CertificateReport(msgspec.Struct, frozen=True):
    """A certificate with which clients or operators are served.

    :param file: the file that it was read from.
    :param names: the names that it is valid for.
    :param expires_ms: when it expires, milliseconds since 1970.
    """

    file: str
    names: tuple[str, ...]
    expires_ms: int


class QuotaReport(msgspec.Struct, frozen=True):
    """A quota, and how much of it is used.

    :param name: its path, or "user" and the name of the user.
    :param paths: where files count.
    :param bytes: the most bytes of files there; null for no limit.
    :param files: the most files; null for no limit.
    """

    name: str
    paths: tuple[str, ...]
    bytes: int | None
    files: int | None
    used_bytes: int
    used_files: int


class LimitsReport(msgspec.Struct, frozen=True):
    """The limits' file.

    :param refused: how many requests, and connections, were refused since the start, by the limit.
    :param waiting: requests that wait for their turn.
    :param problem: why the file as it is now is not taken; empty if it is.
    """

    path: str
    refused: dict[str, int]
    waiting: int
    problem: str


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `GET /status`.

    :param uptime_s: seconds since the start.
    :param ready: whether files can be both read and stored.
    :param problems: why files cannot be read, or cannot be stored; empty if they can.
    :param reads: whether files can be read.  A file needs the nodes that its parts are on: while one of them is down,
        this file cannot be read, though others can.
    :param writes: whether files can be stored.
    :param warnings: what an operator should look into, though files are stored and served.
    :param layout: how new files are cut, as "6+0".
    :param unit: bytes of one column in a full stripe.
    :param fill: null if no node takes parts.
    :param limits: null without a file of limits.
    :param rebalance: the one in progress, or the last one; null before the first.
    :param relayout: the present or the last walk that gave stored files another layout; null before the first.
    :param lifecycle: the present or the last walk over buckets with lifecycle rules; null before the first.
    :param bin: what was deleted and can be restored.
    :param files: files in the catalog, those in the bin included.
    :param bytes: bytes of all files, as their clients count them.
    :param sweep: the last one; null before the first.
    :param sweeping: whether one is under way.
    :param workers: the ids of the processes that serve clients; none if the front is one process.
    :param walks: the work that goes through the store in rounds, by itself.
    :param fronts: all fronts that share the catalog; none if it is a journal, which belongs to one front.
    """

    version: str
    cluster: str
    uptime_s: float
    ready: bool
    problems: list[str]
    reads: ReadinessReport
    writes: ReadinessReport
    warnings: list[str]
    layout: str
    unit: int
    nodes: list[NodeReport]
    fill: FillReport | None
    registry: RegistryReport
    users: UsersReport | None
    limits: LimitsReport | None
    quotas: list[QuotaReport]
    rebalance: Progress | None
    heal: HealReport
    reading: ReadingReport
    relayout: RelayoutProgress | None
    lifecycle: LifecycleProgress | None
    bin: BinProgress
    files: int
    bytes: int
    uploads: UploadsReport
    downloads: DownloadsReport
    connections: ConnectionsReport
    certificates: list[CertificateReport]
    cache: CacheReport
    reaper: ReaperReport
    sweep: SweepReport | None
    journal: JournalStatistics
    workers: list[int] = []
    fronts: list[SeenFront] = []
    sweeping: bool = False
    walks: list[WalkReport] = []


CHECK_LINE = HurtFile | CheckProgress | CheckEnd | CheckFailed
"""One line of the answer to `POST /check`."""

ANSWERS: dict[str, Any] = {
    "GET /status": StatusReport,
    "POST /reload": ReloadReport,
    "POST /probe": Found,
    "GET /loss": LossReport,
    "GET /layout": LayoutReport,
    "PUT /layout": LayoutReport,
    "DELETE /layout": LayoutReport,
    "POST /check": CHECK_LINE,
    "POST /layout/apply": RelayoutProgress,
    "DELETE /layout/apply": RelayoutProgress,
    "POST /sweep": SweepReport,
    "POST /heal": HealReport,
    "DELETE /heal": HealReport,
    "POST /scrub": ScrubsReport,
    "DELETE /scrub": ScrubsReport,
    "POST /rebalance?dry_run=1": Plan,
    "POST /rebalance": Progress,
    "DELETE /rebalance": Progress,
}
"""The type of each answer, by its request."""


def schema() -> bytes:
    """Return the JSON schema of all answers (draft 2020-12), as it stands in docs/."""
    answers, types = msgspec.json.schema_components(ANSWERS.values(), ref_template="#/$defs/{name}")
    for each in types.values():
        each["description"] = inspect.cleandoc(each["description"])
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The JSON answers of splitd's operators' port",
        "properties": dict(zip(ANSWERS, answers, strict=True)),
        "$defs": types,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(schema())
