"""What the catalog's process has besides a front without clients: its workers, and the numbers of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import msgspec
from prometheus_client.core import GaugeMetricFamily
from twisted.internet.defer import Deferred

from splitd.assembly.seams import Seams
from splitd.assembly.upkeep import Upkeep
from splitd.errors import FileDamaged
from splitd.frontends.admin.readiness import Readiness
from splitd.frontends.admin.reports import StatusReport
from splitd.frontends.admin.status import Measured, Status
from splitd.frontends.console.building import Operating
from splitd.model.manifest import Manifest
from splitd.nodes.registry import NodeRegistry
from splitd.workers.counters import Counters
from splitd.workers.hub import Hub
from splitd.workers.post import Post
from splitd.workers.summed import Summed


@attrs.frozen
class _Tending:
    upkeep: Upkeep

    def wake(self) -> None:
        self.upkeep.reaper.wake()

    def hurt(self) -> None:
        self.upkeep.healer.wake()

    def found(self, manifest: Manifest, index: int, problem: FileDamaged) -> None:
        self.upkeep.found(manifest, index, problem)


class Keeping:
    """The workers of this catalog.

    :param seams: of the catalog, which workers call.
    :param epoch: returns the epoch of which nodes take requests.
    :param status: the state of the front, from which this one is made.
    :param operating: what operators see and do.
    :param note_attempt: called with each login that a worker judges; see `Access.note_attempt`.
    """

    def __init__(
        self,
        post: Post,
        seams: Seams,
        upkeep: Upkeep,
        registry: NodeRegistry,
        epoch: Callable[[], int],
        status: Status,
        operating: Operating,
        *,
        note_attempt: Callable[..., object],
        reactor: Any,
    ) -> None:
        self._post = post
        self._status = status
        self.actions, self.closed, self.samples = operating.actions, operating.closed, operating.history.samples
        self._hub = Hub(
            attrs.asdict(seams, recurse=False),
            upkeep.aborts,
            upkeep.pins,
            upkeep.reaper,
            registry,
            tending=_Tending(upkeep),
            epoch=epoch,
            operating=self,
            note_attempt=note_attempt,
            wanted=post.workers,
            reactor=reactor,
        )
        self.tell_attempt = self._hub.tell_attempt
        self._summed = Summed(status, post.workers)

    def start(self) -> Deferred[None]:
        """Let the workers in.

        :return: a Deferred that fires with None when all of them serve.
        """
        Counters(self._post.counters).raise_all()  # what workers remember is of the catalog's process before this one
        return self._hub.start(self._status.cluster, self._post.socket)

    async def stop(self) -> None:
        """Let no worker in any more, and end what they had."""
        await self._hub.stop()

    def reload(self) -> Deferred[None]:
        """Have all workers read their files again."""
        return self._hub.reload()

    async def _sum(self) -> None:
        self._summed.show(await self._hub.collect())

    def totals(self) -> tuple[int, int]:
        """Return how many requests all workers have answered, and how many of them by a fault."""
        return self._summed.report.requests

    def readiness(self) -> Readiness:
        """Return whether files can be read, and stored; see `Status.readiness`."""
        readiness = self._status.readiness()
        if self._hub.workers() or self._status.starting:
            return readiness
        problem = "no worker serves clients"
        return Readiness([*readiness.reads, problem], [*readiness.writes, problem])

    async def report(self) -> StatusReport:
        """Return the state of the front now; see `Status.report`."""
        await self._sum()
        workers = [pid for _, pid in self._hub.workers()]
        return msgspec.structs.replace(await self._status.report(), workers=workers)

    async def measure(self) -> Measured:
        """Return the same values for Prometheus; see `Status.measure`."""
        await self._sum()
        workers = GaugeMetricFamily("splitd_workers", "Workers that serve.", value=float(len(self._hub.workers())))
        return Measured([*(await self._status.measure()).metrics, workers])
