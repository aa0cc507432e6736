"""Reports the state of the front: readiness, the answer to `GET /status`, and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from splitd import __version__
from splitd.access.file import UsersFile
from splitd.catalog.journal.file import FileJournal
from splitd.catalog.sql.absent import NoJournal
from splitd.frontends.admin.certificates import measure_certificates, report_certificates, warn_of_certificates
from splitd.frontends.admin.counted import (
    CountedCache,
    CountedDescriptors,
    CountedObserving,
    CountedReading,
    CountedSite,
)
from splitd.frontends.admin.front_metrics import (
    measure_catalog,
    measure_files,
    measure_journal,
    measure_readiness,
    measure_serving,
    measure_traffic,
    measure_upkeep,
)
from splitd.frontends.admin.heal_metrics import measure_heal
from splitd.frontends.admin.node_metrics import measure_nodes
from splitd.frontends.admin.quotas import LimitsStatus, measure_quotas, report_quotas
from splitd.frontends.admin.read_metrics import measure_reading
from splitd.frontends.admin.readiness import Readiness, judge_readiness
from splitd.frontends.admin.reports import (
    CacheReport,
    ConnectionsReport,
    DownloadsReport,
    FillReport,
    NodeReport,
    ReadinessReport,
    ReaperReport,
    RegistryReport,
    ScrubReport,
    StatusReport,
    UploadsReport,
    UsersReport,
    report_sweep,
)
from splitd.interfaces.fronts import IFronts
from splitd.interfaces.quotas import IQuotas
from splitd.interfaces.statistics import CatalogStatistics, ICatalogStatistics
from splitd.model.striping import Layout
from splitd.model.traffic import Traffic
from splitd.nodes.file import RegistryFile
from splitd.nodes.registry import NodeRegistry
from splitd.nodes.state import NodeStatus
from splitd.upkeep.bin import BinUpkeep
from splitd.upkeep.heal.disks import DiskWatch
from splitd.upkeep.heal.healer import Healer
from splitd.upkeep.lifecycle import Lifecycle
from splitd.upkeep.reaper import Reaper
from splitd.upkeep.rebalance import Rebalance
from splitd.upkeep.relayout import Relayout
from splitd.upkeep.scrubs import Scrubs
from splitd.upkeep.sweep import Sweep
from splitd.upkeep.tasks import TaskNotes
from splitd.upkeep.walks import Walks
from storaged.http.tls import CertificateFolders
from storaged.parts.values import Scrub
from storaged.system.clocks import WallClock


@attrs.frozen
class Measured(Collector):
    """The values of one moment, for Prometheus."""

    metrics: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        """Return them."""
        return self.metrics


@attrs.define(eq=False)
class Status:
    """Reads the state of the front's components whenever it is asked.

    :ivar cluster: the cluster's id; empty while the catalog is being read.
    :ivar starting: whether the front does not take requests yet.
    :ivar stopping: whether the front is stopping and takes no more requests.
    :ivar logins_refused: how many logins other processes of the front have refused.
    """

    catalog: ICatalogStatistics
    fronts: IFronts
    journal: FileJournal | NoJournal
    registry: NodeRegistry
    registry_file: RegistryFile
    users_file: UsersFile | None
    limits: LimitsStatus
    quotas: IQuotas
    rebalance: Rebalance
    healer: Healer
    disks: DiskWatch
    scrubs: Scrubs
    walks: Walks
    tasks: TaskNotes
    policy: CountedReading
    relayout: Relayout
    lifecycle: Lifecycle
    bin: BinUpkeep
    traffic: Traffic
    reaper: Reaper
    sweep: Sweep
    held: Callable[[], str]
    cache: CountedCache
    layout: Layout
    min_parts: int
    site: CountedSite
    observing: CountedObserving
    descriptors: CountedDescriptors
    certificates: CertificateFolders
    started_at_s: float
    clock: Any
    wall: WallClock
    cluster: str = ""
    starting: bool = True
    stopping: bool = False
    logins_refused: int = 0

    def readiness(self) -> Readiness:
        """Return whether files can be read, and stored, and if not, why."""
        general = []
        if self.stopping:
            general.append("the front stops, and finishes what is under way")
        if not self.cluster:
            general.append("the journal is being read")
        elif self.starting:
            general.append("the front starts, and looks for its nodes and for the copies of its journal")
        states = [(node.entry.id, node.state) for node in self.registry.nodes()]
        layout = self.layout
        readiness = judge_readiness(general, self.journal.failure, states, data=layout.data, least=self.min_parts)
        suspended = self.journal.unavailable
        if not suspended:
            return readiness
        return Readiness(readiness.reads, [*readiness.writes, f"nothing can be changed just now: {suspended}"])

    def warnings(self) -> list[str]:
        """Return what an operator should look into, though files are stored and served; empty if there is nothing."""
        warnings = []
        if self.registry_file.refused is not None:
            warnings.append(f"the registry is not taken: {self.registry_file.refused.reason}")
        warnings += warn_of_certificates(self.certificates, self.wall.now_ms())
        if self.registry_file.warning():
            warnings.append(self.registry_file.warning())
        if self.users_file is not None and self.users_file.warning():
            warnings.append(self.users_file.warning())
        warnings += self.limits.warnings()
        if self.site.admission.waiting:
            limit = self.descriptors.limit
            warnings.append(f"new connections wait: as many are open as {limit} file descriptors allow")
        if self.held():
            warnings.append(self.held())
        if self.healer.paused:
            warnings.append("the heal is paused by an operator: missing parts are not rebuilt")
        sweep, compaction_problem = self.sweep.last, self.journal.statistics.compaction_problem
        if sweep is not None and sweep.stopped:
            warnings.append(f"the sweep put nothing aside: {sweep.stopped}")
        warnings += [
            f"node {node} has {count} rotten parts; splitctl check tells which files are hurt"
            for node, count in self.registry.rotten().items()
        ]
        warnings += [*self.scrubs.warnings(), *self.disks.warnings()]
        if self._copies_missing():
            warnings.append(self._copies_missing())
        if compaction_problem:
            warnings.append(f"the journal is not compacted: {compaction_problem}")
        return warnings

    def _copies_missing(self) -> str:
        """Say how many copies of the journal there are, if some are missing; empty if not."""
        copies = self.journal.statistics.copies
        if copies is None or copies.present >= copies.wanted:
            return ""
        return f"journal copies: {copies.present} of {copies.wanted}"

    async def report(self) -> StatusReport:
        """Return the state of the front now."""
        catalog, traffic = await self.catalog.statistics(), self.traffic
        heal, fronts = await self.healer.report(), await self.fronts.seen()
        readiness, last_sweep, registry_file = self.readiness(), self.sweep.last, self.registry_file
        return StatusReport(
            version=__version__,
            cluster=self.cluster,
            uptime_s=round(self.clock.seconds() - self.started_at_s, 3),
            ready=not readiness.problems,
            problems=readiness.problems,
            reads=_report_readiness(readiness.reads),
            writes=_report_readiness(readiness.writes),
            warnings=[*self.warnings(), *await self.tasks.warnings(fronts)],
            layout=str(self.layout),
            unit=self.layout.unit,
            nodes=[_report_node(node) for node in self.registry.nodes()],
            fill=_report_fill(self.registry),
            registry=RegistryReport(registry_file.path, registry_file.loaded_ms, registry_file.refused),
            users=_report_users(self.users_file, self.logins_refused),
            limits=self.limits.report(),
            quotas=report_quotas(await self.quotas.usage()),
            rebalance=self.rebalance.progress,
            heal=heal,
            reading=self.policy.report(),
            relayout=self.relayout.progress,
            lifecycle=self.lifecycle.progress,
            bin=self.bin.progress,
            files=catalog.files,
            bytes=catalog.bytes_stored,
            uploads=UploadsReport(
                traffic.uploads_under_way,
                traffic.uploads_committed,
                traffic.uploads_degraded,
                traffic.uploads_aborted,
                traffic.bytes_in,
                catalog.continued,
                catalog.continued_bytes,
            ),
            downloads=DownloadsReport(
                traffic.downloads_under_way,
                traffic.downloads_finished,
                traffic.downloads_failed,
                traffic.downloads_degraded,
                traffic.bytes_out,
            ),
            connections=self._report_connections(),
            certificates=report_certificates(self.certificates),
            cache=CacheReport(self.cache.size, self.cache.hits, self.cache.misses),
            reaper=ReaperReport(catalog.doomed, catalog.reaped, self.reaper.staying),
            sweep=None if last_sweep is None else report_sweep(last_sweep),
            journal=self.journal.statistics,
            fronts=fronts,
            sweeping=self.sweep.under_way,
            walks=self.walks.reports(),
        )

    def _report_connections(self) -> ConnectionsReport:
        admission, descriptors = self.site.admission, self.descriptors
        return ConnectionsReport(
            len(self.site.connections()),
            admission.limit or 0,
            admission.waiting,
            descriptors.used(),
            descriptors.limit,
        )

    async def measure(self) -> Measured:
        """Return the same values for Prometheus."""
        catalog, heal = await self.catalog.statistics(), await self.healer.report()
        reading = measure_reading(self.policy.report())
        limits = [*self.limits.measure(), *measure_quotas(await self.quotas.usage())]
        return Measured([*self._measure(catalog), *measure_heal(heal), *reading, *limits, *self.observing.measure()])

    def _measure(self, catalog: CatalogStatistics) -> Iterator[Metric]:
        yield from measure_readiness(self.readiness())
        yield from measure_catalog(catalog)
        yield from measure_traffic(self.traffic)
        yield from measure_serving(self.site, self.descriptors, self.cache)
        yield from measure_files(self.registry_file, self.users_file, self.logins_refused)
        yield from measure_journal(self.journal.statistics, failed=bool(self.journal.failure))
        yield from measure_upkeep(self.sweep, self.rebalance, self.lifecycle, self.bin)
        yield from measure_certificates(self.certificates)
        yield from measure_nodes(self.registry, self.reaper.staying)


def _report_readiness(reasons: Sequence[str]) -> ReadinessReport:
    return ReadinessReport(not reasons, list(reasons))


def _report_users(file: UsersFile | None, elsewhere: int) -> UsersReport | None:
    if file is None:
        return None
    return UsersReport(file.path, file.loaded_ms, file.count, file.logins.refused + elsewhere, file.refused)


def _report_fill(registry: NodeRegistry) -> FillReport | None:
    fill = registry.fill()
    return None if fill is None else FillReport(fill.lowest, fill.highest, fill.spread)


def _report_node(node: NodeStatus) -> NodeReport:
    entry = node.entry
    return NodeReport(
        id=entry.id,
        url=entry.url,
        zone=entry.zone,
        weight=entry.weight,
        mode=entry.state,
        state=node.state,
        capacity=node.capacity,
        free=node.free,
        reserve=node.reserve,
        volume=node.volume,
        disk=node.disk,
        reserved=node.reserved + node.held,
        fill=node.fill,
        latency_ms=None if node.latency_s is None else round(node.latency_s * 1000, 1),
        problem=node.health.problem,
        scrub=_report_scrub(node.scrub),
    )


def _report_scrub(scrub: Scrub) -> ScrubReport:
    return ScrubReport(scrub.rotten, scrub.scrubbed_bytes, scrub.share, scrub.ended_ms or None, scrub.paused)
