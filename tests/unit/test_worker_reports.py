"""What workers have in common: shares of limits, and sums of counts."""

from __future__ import annotations

from splitd.access.limits_file import read_limits
from splitd.model.traffic import Traffic
from splitd.workers.limits import share_of
from splitd.workers.report import NO_REPORT, add_reports, metrics_of, traffic_of
from tests.unit.worker_reports import report_of

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
    values = {sample.name: sample.value for metric in metrics_of(left) for sample in metric.samples}
    assert values == {"splitd_x_total": 3.0, "splitd_y": 1.0}
    assert (left.cache, left.connections, left.refused) == ((1, 3, 3), (1, 1), {"a": 3})
    traffic = Traffic(bytes_out=7)
    traffic_of(left, traffic)
    assert (traffic.bytes_in, traffic.uploads_under_way, traffic.bytes_out) == (3, 1, 0)
    assert add_reports([]) == NO_REPORT
