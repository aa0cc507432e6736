"""What the front tells of its requests: metrics, ids, the access log, the audit log."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock

from splitd.frontends.observing.distribution import Distribution
from splitd.frontends.observing.metrics import Lag
from splitd.settings.storing import Bin
from storaged.system.log_file import LogFile
from storaged.system.settings import SettingsError
from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.users import ROOT, WILMA, basic

COMBINED = re.compile(
    r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "(?P<asked>.*)" (?P<status>\d+) (?P<sent>\d+) '
    r'"(?P<referer>.*)" "(?P<agent>.*)"'
)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def values(cluster: Cluster) -> dict[str, float]:
    answer = await cluster.ask("GET", f"{cluster.admin_url}/metrics")
    return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", answer.text, re.MULTILINE)}


@pytest_twisted.ensureDeferred
async def test_each_answer_has_an_id_of_its_own(cluster: Cluster) -> None:
    answers = [await cluster.put("/a", b"x"), await cluster.get("/a"), await cluster.get("/none")]
    answers.append(await cluster.ask("GET", f"{cluster.admin_url}/health"))
    ids = {answer.header("X-Request-Id") for answer in answers}
    assert len(ids) == 4
    assert all(re.fullmatch("[0-9a-f]{10}-[0-9a-f]+", str(each)) for each in ids)


@pytest_twisted.ensureDeferred
async def test_requests_are_counted_by_method_and_status(cluster: Cluster) -> None:
    await cluster.put("/a", b"x" * 5000)
    for _ in range(3):
        await cluster.get("/a")
    await cluster.get("/none")
    await cluster.ask("BREW", "/a")
    await cluster.ask("MAKE-ANOTHER", "/a")
    client = await cluster.connect()
    client.send(b"nonsense\r\n\r\n")
    await client.until_ended()
    found = await values(cluster)
    counts = {name: value for name, value in found.items() if name.startswith("splitd_requests_total")}
    assert counts == {
        'splitd_requests_total{method="PUT",status="201"}': 1,
        'splitd_requests_total{method="GET",status="200"}': 3,
        'splitd_requests_total{method="GET",status="404"}': 1,
        'splitd_requests_total{method="other",status="405"}': 2,
        'splitd_requests_total{method="none",status="400"}': 1,
    }
    assert found["splitd_requests_under_way"] == 0
    assert found['splitd_request_seconds_count{method="GET"}'] == 4
    assert found['splitd_transfer_bytes_bucket{le="1024.0",method="GET"}'] == 0
    assert found['splitd_transfer_bytes_bucket{le="16384.0",method="GET"}'] == 3
    assert found['splitd_transfer_bytes_sum{method="GET"}'] == 15_000
    assert found['splitd_transfer_bytes_sum{method="PUT"}'] == 5000


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_is_counted_as_cut(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    log = tmp_path / "access"
    cluster = make_cluster(access_log=str(log), access_log_format="json")
    await cluster.start()
    client = await cluster.connect()
    client.begin("PUT", "/a", "Content-Length: 1000")
    client.send(b"half")
    assert cluster.front is not None
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    assert (await values(cluster))["splitd_requests_under_way"] == 1
    client.reset()
    await eventually(lambda: lines(log))
    assert (await values(cluster))['splitd_requests_total{method="PUT",status="cut"}'] == 1
    [line] = map(json.loads, lines(log))
    assert (line["method"], line["status"], line["whole"], line["received"]) == ("PUT", 499, False, 4)


@pytest_twisted.ensureDeferred
async def test_the_access_log_has_a_line_for_each_request(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    log = tmp_path / "access"
    cluster = make_cluster(access_log=str(log))
    await cluster.start()
    await cluster.put("/a", b"12345", User_Agent="curl/8", Referer="http://x/")
    await cluster.get("/a%20b?c")
    await cluster.get("/a")
    await cluster.ask("GET", f"{cluster.admin_url}/health")
    await eventually(lambda: len(lines(log)) == 3)
    found = [COMBINED.fullmatch(line) for line in lines(log)]
    assert [each.group("asked", "status", "sent") for each in found if each] == [
        ("PUT /a HTTP/1.1", "201", "0"),
        ("GET /a%20b?c HTTP/1.1", "404", found[1]["sent"] if found[1] else ""),
        ("GET /a HTTP/1.1", "200", "5"),
    ]
    assert found[0] is not None
    assert found[0].group("referer", "agent") == ("http://x/", "curl/8")


@pytest_twisted.ensureDeferred
async def test_a_client_cannot_forge_a_line(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    logs = {kind: tmp_path / kind for kind in ("combined", "json")}
    hostile = b'x" 200 1 "\\ \x1b[31m\xff\t\xc3\xa9'
    for kind, log in logs.items():
        cluster = make_cluster(access_log=str(log), access_log_format=kind, audit_log=str(tmp_path / f"{kind}-audit"))
        await cluster.start()
        client = await cluster.connect()
        client.send(
            b'PUT /a"%20 HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nUser-Agent: ', hostile, b"\r\n",
            b"Destination: ", hostile, b"\r\nConnection: close\r\n\r\n",
        )  # fmt: skip
        assert b" 201 " in await client.until_ended()
        await eventually(lambda log=log: lines(log))
    [line] = lines(logs["combined"])
    found = COMBINED.fullmatch(line)
    assert found is not None
    assert found["asked"] == 'PUT /a\\"%20 HTTP/1.1'
    assert found["agent"] == r"x\" 200 1 \"\\ \x1b[31m\xff\x09\xc3\xa9"
    assert line.isascii()
    [document] = map(json.loads, lines(logs["json"]))
    assert (document["target"], document["agent"]) == ('/a"%20', 'x" 200 1 "\\ \x1b[31m?\té')
    await eventually(lambda: lines(tmp_path / "json-audit"))
    assert len(lines(tmp_path / "json-audit")) == 1


@pytest_twisted.ensureDeferred
async def test_the_audit_log_has_each_change_and_nothing_else(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    log = tmp_path / "audit"
    cluster = make_cluster(audit_log=str(log))
    await cluster.start()
    stored = await cluster.put("/a", b"12345")
    await cluster.get("/a")
    await cluster.put("/a", b"", If_None_Match="*")  # refused
    await cluster.ask("MOVE", "/a", Destination=cluster.url("/b"))
    await cluster.ask("MKCOL", "/c")
    await cluster.ask("DELETE", "/b")
    await cluster.reload()
    await eventually(lambda: len(lines(log)) == 5)
    found = [json.loads(line) for line in lines(log)]
    assert [(each["method"], each["target"], each["status"]) for each in found] == [
        ("PUT", "/a", 201),
        ("MOVE", "/a", 201),
        ("MKCOL", "/c", 201),
        ("DELETE", "/b", 204),
        ("POST", "/reload", 200),
    ]
    assert found[0]["id"] == stored.header("X-Request-Id")
    assert (found[0]["client"], found[0]["user"]) == ("127.0.0.1", None)
    assert found[1]["destination"] == cluster.url("/b")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found[0]["time"])


@pytest_twisted.ensureDeferred
async def test_the_audit_log_says_what_goes_into_the_bin_and_out_of_it(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    log = tmp_path / "audit"
    cluster = make_cluster(audit_log=str(log), bin=Bin(30))
    await cluster.start()
    await cluster.put("/a", b"12345")

    async def ask(method: str, name: str, body: bytes | None = None) -> str:
        answer = await cluster.ask(method, f"/.splitd/api/{name}", body, Content_Type="application/json")
        return str(json.loads(answer.body).get("id"))

    thing = await ask("POST", "bin", b'{"path":"/a"}')
    await ask("POST", "bin/restore", json.dumps({"id": thing, "to": "/b"}).encode())
    thing = await ask("POST", "bin", b'{"path":"/b"}')
    await ask("DELETE", f"bin?id={thing}")
    await eventually(lambda: len(lines(log)) == 5)
    assert [json.loads(line).get("what") for line in lines(log)] == [None, "/a", "/b", "/b", "/b"]


@pytest_twisted.ensureDeferred
async def test_what_waits_is_written_at_the_end(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    log = tmp_path / "access"
    cluster = make_cluster(access_log=str(log))
    await cluster.start()
    for number in range(50):
        await cluster.get(f"/{number}")
    await cluster.stop_front()
    assert len(lines(log)) == 50


@pytest_twisted.ensureDeferred
async def test_a_log_that_cannot_be_opened_refuses_the_start(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster(audit_log=str(tmp_path / "no/such/folder/audit"))
    with pytest.raises(SettingsError, match=r"audit_log: .*no/such/folder/audit: No such file or directory"):
        await cluster.start()


class Threads:
    """Runs calls at once, or fails them as a full disk does."""

    def __init__(self) -> None:
        self.problem: OSError | None = None

    def __call__(self, call: Callable[[], Any]) -> Deferred[Any]:
        return fail(self.problem) if self.problem else maybeDeferred(call)


@pytest_twisted.ensureDeferred
async def test_lines_go_to_a_new_file_after_a_rotation(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "log"
    log = LogFile(str(path), Threads(), clock)
    log.start()
    log.write(b"1")
    clock.advance(0.5)
    path.rename(tmp_path / "log.1")
    log.write(b"2")
    clock.advance(0.5)
    path.unlink()
    log.write(b"3")
    await log.stop()
    assert lines(tmp_path / "log.1") == ["1"]
    assert lines(path) == ["3"]


@pytest_twisted.ensureDeferred
async def test_a_full_disk_drops_lines_and_counts_them(tmp_path: Path) -> None:
    clock, threads, path = Clock(), Threads(), tmp_path / "log"
    log = LogFile(str(path), threads, clock)
    log.start()
    threads.problem = OSError(28, "No space left on device")
    for _ in range(3):
        log.write(b"lost")
    clock.advance(0.5)
    assert (log.dropped, lines(path)) == (3, [])
    threads.problem = None
    log.write(b"kept")
    clock.advance(0.5)
    assert lines(path) == ["kept"]
    await log.stop()


def test_a_disk_that_hangs_does_not_fill_the_memory(tmp_path: Path) -> None:
    clock = Clock()
    hanging: Deferred[None] = Deferred()
    log = LogFile(str(tmp_path / "log"), lambda _: hanging, clock)
    log.start()
    line = bytes(1_000_000)
    for _ in range(20):
        log.write(line)
        clock.advance(0.5)
    assert log.dropped == 14
    hanging.callback(None)


def test_values_are_counted_in_their_ranges() -> None:
    distribution = Distribution([1, 10])
    for value in (0, 1, 1.5, 10, 11, 1000):
        distribution.add(value)
    assert distribution.buckets() == [("1.0", 2.0), ("10.0", 4.0), ("+Inf", 6.0)]
    assert distribution.total == 1023.5


def test_the_lag_is_how_late_a_call_is() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.start()
    clock.advance(0.25)
    clock.advance(0.25 + 0.04)
    clock.advance(0.25 - 0.04)
    [metric] = lag.measure()
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in metric.samples}
    assert samples["splitd_reactor_lag_seconds_bucket", "0.02"] == 2
    assert samples["splitd_reactor_lag_seconds_bucket", "0.05"] == 3
    assert samples["splitd_reactor_lag_seconds_sum", None] == pytest.approx(0.04)
    lag.stop()


@pytest_twisted.ensureDeferred
async def test_logs_name_the_user_who_asked(make_guarded: Callable[..., Awaitable[Cluster]], tmp_path: Path) -> None:
    log, audit = tmp_path / "access", tmp_path / "audit"
    cluster = await make_guarded(access_log=str(log), access_log_format="json", audit_log=str(audit))
    await cluster.put("/a", b"x", Authorization=WILMA)
    await cluster.get("/a", Authorization=WILMA)  # known by now
    await cluster.get("/public/p")
    await cluster.get("/a", Authorization=basic("wilma", "wrong"))
    await cluster.ask("POST", f"{cluster.admin_url}/reload", Authorization=ROOT)
    await eventually(lambda: len(lines(log)) == 4 and len(lines(audit)) == 2)
    assert [json.loads(line)["user"] for line in lines(log)] == ["wilma", "wilma", None, None]
    assert [json.loads(line)["user"] for line in lines(audit)] == ["wilma", "root"]
