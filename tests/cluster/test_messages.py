"""What people are told when a node fails: plain words, the name of the node once, and what has become of the file."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from storaged.disk.writer import WRITE_SIZE
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.proxy import Fault, FaultyNetwork
from tests.cluster.waiting import eventually

DATA = os.urandom(200_000)
LARGE = 6 * (WRITE_SIZE + 2**16)
PART = r"part [0-9a-f]{32}\.[0-5]"
KEPT = "the file is kept; try again later"
SEND_AGAIN = "nothing was stored; send it again"
NOT_PLAIN = re.compile(r"clean|Failure|twisted|Errno|Traceback|Deferred|[A-Z]\w+Error|User timeout|\.\s*\Z|<|\(\)")

Make = Callable[..., Cluster]


@pytest_twisted.async_yield_fixture
async def network(make_cluster: Make) -> AsyncIterator[Callable[..., Any]]:
    """Starts a cluster whose third node is behind a network with faults."""
    from twisted.internet import reactor

    networks = []

    async def start(**settings: Any) -> tuple[Cluster, FaultyNetwork]:
        cluster = make_cluster(**settings)
        networks.append(FaultyNetwork(cluster.nodes[2].port, reactor))
        cluster.urls["n3"] = f"http://127.0.0.1:{networks[-1].port}"
        await cluster.start()
        return cluster, networks[-1]

    yield start
    for each in networks:
        await each.stop()


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines of the log that speak of n3."""
    found: list[str] = []

    def note(event: LogEvent) -> None:
        text = formatEvent(event)
        if names_of(text) and " serves " not in text:  # the node's own line names its folder
            found.append(text)

    globalLogPublisher.addObserver(note)
    yield found
    globalLogPublisher.removeObserver(note)


def names_of(text: str) -> int:
    """How often a text names n3."""
    return len(re.findall(r"\bn3\b", text))


def reasons_in_journal(cluster: Cluster) -> list[str]:
    """The reasons that the journal has of what was aborted."""
    files = (cluster.folder / "front").rglob("journal-*.jsonl")
    return re.findall(r'"reason":"([^"]*)"', "".join(file.read_text() for file in files))


async def expect(cluster: Cluster, log: list[str], body: str, expected: str, problem: str) -> None:
    """Compare an answer and what the status says of n3, both regular expressions, and read what else was written."""
    assert re.fullmatch(expected + "\n", body), body
    problems = {node["id"]: node["problem"] for node in (await cluster.status())["nodes"]}
    assert re.fullmatch(problem, problems["n3"]), problems
    assert {node for node, text in problems.items() if text} == {"n3"}
    assert (names_of(body), names_of(problems["n3"])) == (1, 0)
    assert log
    for text in (*log, *reasons_in_journal(cluster)):
        assert names_of(text) <= 1, text
    for text in (body, problems["n3"], *log, *reasons_in_journal(cluster)):
        assert not NOT_PLAIN.search(text), text


@pytest_twisted.ensureDeferred
async def test_a_node_that_refuses_connections(cluster: Cluster, log: list[str]) -> None:
    await cluster.put("/file", DATA)
    await cluster.break_node(2)
    put = await cluster.put("/other", DATA)
    refused, advice = (
        "the connection was refused",
        "nothing was stored; try again when more storage servers can be used",
    )
    expected = f"node n3: {refused}; no other node can take the part now; {advice}"
    await expect(cluster, log, put.text, expected, refused)
    got = await cluster.get("/file")
    await expect(cluster, log, got.text, f"node n3: {refused}; {KEPT}", refused)
    put = await cluster.put("/other", DATA)
    expected = f"6 nodes are needed, 5 of 6 can be used now: n3 is down; {advice}"
    await expect(cluster, log, put.text, expected, refused)


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest.mark.parametrize("kind", ["reset", "cut"])
@pytest_twisted.ensureDeferred
async def test_a_node_whose_connection_breaks_in_the_middle_of_an_upload(
    network: Callable[..., Any], log: list[str], small: bool, kind: str
) -> None:
    cluster, faulty = await network(small_part=Size(100_000 if small else 0))
    faulty.begin(Fault(kind, to_server=True, after=2000))
    put = await cluster.put("/file", DATA)
    if small:
        expected, problem = "no other node can take the part now", "the connection was closed before the answer"
        await expect(cluster, log, put.text, f"node n3: {problem}; {expected}; {SEND_AGAIN}", problem)
    else:
        problem = f"{PART}: the connection (broke|was closed).*"
        await expect(cluster, log, put.text, f"node n3: {problem}; {SEND_AGAIN}", problem)
    assert any("connection" in reason for reason in reasons_in_journal(cluster))


@pytest_twisted.ensureDeferred
async def test_a_node_whose_connection_breaks_in_the_middle_of_a_download(
    network: Callable[..., Any], log: list[str]
) -> None:
    cluster, faulty = await network()
    await cluster.put("/file", DATA)
    faulty.begin(Fault("reset", to_server=False, after=100))
    got = await cluster.get("/file")
    problem = "(part .*: )?the connection (broke|was closed).*"
    await expect(cluster, log, got.text, f"node n3: {problem}; {KEPT}", problem)


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest_twisted.ensureDeferred
async def test_a_node_that_is_silent(make_cluster: Make, log: list[str], small: bool) -> None:
    cluster = make_cluster(small_part=Size(10_000 if small else 0), cache=Size(0))
    await cluster.start()
    data = DATA[:20_000] if small else bytes(150_000_000)  # a part is larger than what sockets hold
    await cluster.put("/file", data[:100_000])
    await cluster.change_front(node_timeout_s=2.0)
    cluster.nodes[2].filesystem.hold("open", "read")
    got = await cluster.get("/file")
    await expect(cluster, log, got.text, rf"node n3: no answer in 2 s; {KEPT}", r"no answer in 2 s")
    cluster.nodes[2].filesystem.release()
    await cluster.look_at_nodes()
    log.clear()
    cluster.nodes[2].filesystem.hold("write")
    put = await cluster.put("/other", data)
    if small:
        problem = r"no answer in 2 s"
        expected = f"node n3: {problem}; no other node can take the part now; {SEND_AGAIN}"
    else:
        problem = rf"{PART}: took nothing of it for 2 s"
        expected = f"node n3: {problem}; {SEND_AGAIN}"
    await expect(cluster, log, put.text, expected, problem)
    assert any("nothing" in reason or "no answer" in reason for reason in reasons_in_journal(cluster))


@pytest_twisted.ensureDeferred
async def test_a_node_whose_host_nobody_knows(make_cluster: Make, log: list[str]) -> None:
    cluster = make_cluster()
    cluster.urls["n3"] = "http://nowhere.invalid:1"
    await cluster.start()
    put = await cluster.put("/file", DATA)
    await expect(cluster, log, put.text, ".*: n3 is down; nothing was stored; .*", "the host name is not known")


@pytest_twisted.ensureDeferred
async def test_a_node_that_has_another_key(make_cluster: Make, log: list[str]) -> None:
    cluster = make_cluster()
    cluster.nodes[2].key = "f" * 32
    await cluster.start()
    put = await cluster.put("/file", DATA)
    problem = "did not prove that it knows the cluster key"
    await expect(cluster, log, put.text, ".*: n3 is down; nothing was stored; .*", problem)


@pytest_twisted.ensureDeferred
async def test_another_node_in_the_place_of_a_node(make_cluster: Make, log: list[str]) -> None:
    from twisted.internet import reactor

    cluster = make_cluster()
    other = Node("n9", cluster.folder / "n9", reactor)
    await other.start()
    cluster.urls["n3"] = f"http://127.0.0.1:{other.port}"
    await cluster.start()
    put = await cluster.put("/file", DATA)
    await expect(cluster, log, put.text, ".*: n3 is stranger; nothing was stored; .*", "this is node n9")
    await other.stop()


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_full_in_the_middle_of_an_upload(cluster: Cluster, log: list[str]) -> None:
    cluster.nodes[2].filesystem.hold("write")  # its room was looked at before
    client = await cluster.connect()
    client.begin("PUT", "/file", "Transfer-Encoding: chunked")
    client.send(b"%x\r\n%s\r\n" % (LARGE, bytes(LARGE)))
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    cluster.fill_node(2, room=3000)
    cluster.nodes[2].filesystem.release()
    answer = await client.answer()
    problem = rf"{PART}: No space left on device \(ENOSPC\)"
    advice = "nothing was stored; free some space or add a storage server"
    await expect(cluster, log, answer.body.decode(), f"node n3: {problem}; {advice}", problem)
    client.leave()


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_damaged(cluster: Cluster, log: list[str]) -> None:
    await cluster.put("/file", DATA)
    (part,) = cluster.nodes[2].parts()
    cluster.corrupt_part(int(part.partition(".")[2]), 100)
    got = await cluster.get("/file", Range=f"bytes={int(part.partition('.')[2]) * 1024}-")
    assert re.fullmatch(f"node n3: {PART}: .*; the file is damaged there; nothing that is wrong was sent\n", got.text)
    assert [names_of(line) for line in log] == [1]


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_in_the_middle(cluster: Cluster) -> None:
    for leave, reason in (
        ("leave", "the client closed the connection"),
        ("reset", "the connection to the client broke"),
    ):
        client = await cluster.connect()
        client.begin("PUT", "/file", f"Content-Length: {len(DATA)}")
        client.send(DATA[:100_000])
        await eventually(lambda: all(node.half_written() for node in cluster.nodes))
        getattr(client, leave)()
        await eventually(lambda reason=reason: reason in reasons_in_journal(cluster), reason)
        await eventually(cluster.nothing_stored)
