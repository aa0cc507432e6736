"""What workers have in common: shares of limits, sums of counts, and the status that has them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from splitd.access.limits_file import read_limits
from splitd.frontends.admin.quotas import LimitsStatus
from splitd.frontends.admin.status import Status
from splitd.frontends.http.limits import RequestLimits
from splitd.frontends.observing.lines import COMBINED
from splitd.frontends.observing.observers import Observing
from splitd.model.traffic import Traffic
from splitd.nodes.reading import ReadingReport, ReadPolicy
from splitd.workers.limits import share_of
from splitd.workers.report import NO_REPORT, add_reports, metrics_of, traffic_of
from splitd.workers.summed import Summed
from storaged.system.descriptors import Descriptors
from tests.clocks import wall_of
from tests.workers import report_of

LIMITS = """\
requests: {in_all: 11, per_client: 1}
connections: {per_address: 8}
work: {at_once: 32, waiting: 3}
rates: {per_user: 1MiB, per_address: 20KiB}
largest_file: 1GiB
quotas: [{path: /a, bytes: 1GiB}]
"""


def test_the_shares_of_all_workers_are_no_more_than_the_limits() -> None:
    limits = read_limits("limits.yaml", LIMITS)
    assert share_of(limits, 1) is limits
    share = share_of(limits, 2)
    assert (share.requests.in_all, share.requests.per_client, share.uploads.in_all) == (5, 1, None)
    assert share.connections.per_address == 4
    assert share.work is not None
    assert (share.work.at_once, share.work.waiting, share.work.wait_s) == (16, 1, 1.0)
    assert (share.rates.per_user, share.rates.per_address) == (512 * 1024, 16 * 1024)
    assert (share.largest_file, share.quotas) == (limits.largest_file, limits.quotas)


def test_reports_are_summed_and_counts_do_not_go_back_when_a_worker_ends() -> None:
    assert add_reports([report_of(1), report_of(2)]) == report_of(3)
    left = add_reports([report_of(1), report_of(2).ended()])
    values = {sample.name: sample.value for metric in metrics_of(left.metrics) for sample in metric.samples}
    assert values == {"splitd_x_total": 3.0, "splitd_y": 1.0}
    assert (left.cache, left.connections, left.refused) == ((1, 3, 3), (1, 1), {"a": 3})
    assert (left.refused_connections, left.waiting, left.reading) == (3, 1, (3, 3, {"n1": "slow"}))
    traffic = Traffic(bytes_out=7)
    traffic_of(left, traffic)
    assert (traffic.bytes_in, traffic.uploads_under_way, traffic.bytes_out) == (3, 1, 0)
    assert add_reports([]) == NO_REPORT


def status_of_one_process() -> Status:
    """The status of a catalog's process, as far as workers have numbers of the same kind."""
    clock = Clock()
    own: dict[str, Any] = {each.name: None for each in attrs.fields(Status)}
    own["traffic"] = Traffic()
    own["policy"] = ReadPolicy(lambda _: True, lambda _: None, clock, silent_after_s=5, hedge_share=0.1)
    own["descriptors"] = Descriptors(1000)
    own["observing"] = Observing("", COMBINED, "", lambda call: succeed(call()), clock, wall_of(clock))
    limiting: Any = SimpleNamespace(files=SimpleNamespace(refused=""))
    own["limits"] = LimitsStatus("limits.yaml", limiting, RequestLimits(clock), lambda: 0)
    return Status(**own)


def test_a_status_has_the_numbers_of_all_processes() -> None:
    status = status_of_one_process()
    own_descriptors, own_policy = status.descriptors, status.policy
    summed = Summed(status, workers=2)
    own_policy.silent("n2")
    summed.show(report_of(3))
    assert (status.traffic.bytes_in, status.cache.hits, status.site.admission.limit) == (3, 3, 3)
    assert len(status.site.connections()) == 3
    assert abs(status.descriptors.used() - own_descriptors.used() - 3) <= 1
    assert status.descriptors.limit == 3 * own_descriptors.limit
    assert status.policy.report() == ReadingReport(3, 4, {"n1": "slow", "n2": "silent"})
    limits = status.limits.report()
    assert limits is not None
    assert (limits.refused, limits.waiting) == ({"a": 3, "connections per address": 3}, 3)
    assert status.logins_refused == 3
    names = [metric.name for metric in (*status.observing.measure(), *status.limits.measure())]
    assert {"splitd_x", "splitd_reactor_lag_seconds"} <= {*names}
    assert len(names) == len({*names})
