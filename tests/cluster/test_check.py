"""Checks of files: they tell exactly what is hurt, whatever else goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.logger import capturedLogs

from splitd.upkeep.check.events import CheckFailed
from storaged.parts.format import FOOTER_SIZE, HEADER_SIZE, parse_part_id
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.raw import connect
from tests.cluster.waiting import eventually

UNIT = 1024
LARGE = Random(1).randbytes(6 * UNIT * 300 + 777)
"""Its parts are larger than small parts may be."""

SMALL = Random(2).randbytes(6 * UNIT * 2 + 100)


async def check(cluster: Cluster, path: str = "/", **query: object) -> list[dict[str, Any]]:
    """Check, and return the events without those about the progress."""
    parameters = "".join(f"&{name}={value}" for name, value in query.items())
    answer = await cluster.ask("POST", f"{cluster.admin_url}/check?path={quote(path)}{parameters}")
    assert answer.code == 200, answer.text
    assert answer.header("Content-Type") == "application/jsonl; charset=utf-8"
    events = [json.loads(line) for line in answer.text.splitlines()]
    return [event for event in events if event["event"] != "progress"]


async def hurt(cluster: Cluster, path: str = "/", **query: object) -> dict[str, tuple[str, dict[int, str]]]:
    """Check, and return the state of each file that is hurt, and of its parts."""
    *files, end = await check(cluster, path, **query)
    assert end["event"] == "end"
    found = {file["path"]: (file["state"], {part["part"]: part["state"] for part in file["parts"]}) for file in files}
    states = [state for state, _ in found.values()]
    assert [end[state] for state in ("degraded", "unreadable", "lost")] == [
        states.count(state) for state in ("degraded", "unreadable", "lost")
    ]
    return found


def part_file(cluster: Cluster, upload: str, index: int) -> Path:
    [file] = [path for node in cluster.nodes for name, path in node.parts().items() if name == f"{upload}.{index}"]
    return file


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 0x20
    file.write_bytes(data)


async def stored(cluster: Cluster, path: str, data: bytes) -> str:
    """Store a file; return its upload."""
    answer = await cluster.put(path, data)
    assert answer.code == 201
    return (answer.header("ETag") or "").strip('"')


async def started(make_cluster: Callable[..., Cluster], layout: str = "6+2", **settings: object) -> Cluster:
    cluster = make_cluster(count=8, layout=layout, **settings)
    await cluster.start()
    assert cluster.front is not None
    await cluster.front.upkeep.healer.suspects.stop()  # what a check finds is not to be mended before the next one
    return cluster


@pytest.mark.parametrize("small_part", ["0", "256KiB"])
@pytest.mark.parametrize("layout", ["6+0", "6+2"])
@pytest_twisted.ensureDeferred
async def test_good_files_are_well(make_cluster: Callable[..., Cluster], layout: str, small_part: str) -> None:
    cluster = await started(make_cluster, layout, small_part=int(small_part.removesuffix("KiB")) * 1024)
    await cluster.ask("MKCOL", "/a b")
    await cluster.ask("MKCOL", "/a b/c")
    files = {"/large": LARGE, "/small": SMALL, "/empty": b"", "/a b/one": b"1", "/a b/c/short": SMALL[:4000]}
    for path, data in files.items():
        await stored(cluster, path, data)
    for deep in (0, 1):
        [end] = await check(cluster, deep=deep)
        assert (end["files"], end["bytes"]) == (5, sum(map(len, files.values())))
        assert (end["read"] > sum(map(len, files.values()))) == bool(deep)
        assert end["silent"] == {}
        assert [(await check(cluster, path, deep=deep))[-1]["files"] for path in ("/a b", "/a b/c", "/small")] == [
            2,
            1,
            1,
        ]


@pytest.mark.parametrize("deep", [0, 1])
@pytest_twisted.ensureDeferred
async def test_missing_parts_are_found(make_cluster: Callable[..., Cluster], deep: int) -> None:
    cluster = await started(make_cluster)
    uploads = [await stored(cluster, f"/{name}", LARGE) for name in ("well", "one", "two", "three")]
    for count, upload in enumerate(uploads):
        for index in range(count):
            part_file(cluster, upload, 3 * index).unlink()
    assert await hurt(cluster, deep=deep) == {
        "/one": ("degraded", {0: "missing"}),
        "/two": ("degraded", {0: "missing", 3: "missing"}),
        "/three": ("lost", {0: "missing", 3: "missing", 6: "missing"}),
    }
    for name in ("one", "two"):
        assert (await cluster.get(f"/{name}")).body == LARGE


STORED = HEADER_SIZE + (len(LARGE) // 6) + 301 * 4 + FOOTER_SIZE


OFFSETS = [10, HEADER_SIZE, HEADER_SIZE + UNIT + 2, STORED // 2, -FOOTER_SIZE - 2, -5]


@pytest.mark.parametrize("index", [0, 5, 6, 7])
@pytest.mark.parametrize("offset", OFFSETS)
@pytest_twisted.ensureDeferred
async def test_a_deep_check_finds_a_flipped_bit_in_any_part(
    make_cluster: Callable[..., Cluster], index: int, offset: int
) -> None:
    cluster = await started(make_cluster)
    upload = await stored(cluster, "/a", LARGE)
    file = part_file(cluster, upload, index)
    flip(file, offset % file.stat().st_size)
    assert await hurt(cluster, deep=1) == {"/a": ("degraded", {index: "damaged"})}


@pytest.mark.parametrize("offset", OFFSETS)
@pytest_twisted.ensureDeferred
async def test_a_fast_check_finds_a_flipped_bit_in_a_header_only(
    make_cluster: Callable[..., Cluster], offset: int
) -> None:
    cluster = await started(make_cluster)
    upload = await stored(cluster, "/a", LARGE)
    file = part_file(cluster, upload, 3)
    flip(file, offset % file.stat().st_size)
    assert await hurt(cluster) == ({"/a": ("degraded", {3: "damaged"})} if offset == 10 else {})


@pytest.mark.parametrize("deep", [0, 1])
@pytest_twisted.ensureDeferred
async def test_damaged_packs_are_found(make_cluster: Callable[..., Cluster], deep: int) -> None:
    cluster = await started(make_cluster, small_part=256 * 1024)
    await stored(cluster, "/a", SMALL)
    await cluster.nodes[2].stop()
    [pack] = (cluster.nodes[2].folder / "packs").iterdir()
    flip(pack, pack.read_bytes().index(b"SPLITPRT") + (9 if not deep else HEADER_SIZE + 300))
    await cluster.nodes[2].start()
    await cluster.look_at_nodes()
    [(state, parts)] = (await hurt(cluster, deep=deep)).values()
    assert (state, list(parts.values())) == ("degraded", ["damaged"])


@pytest_twisted.ensureDeferred
async def test_without_parity_it_says_exactly_which_files_are_lost(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, "6+0")
    gone = cluster.nodes[3]
    stored_files = 0
    # Chance places the parts: store until the node has a part of some files and none of others.
    while not 0 < len(gone.parts()) < stored_files:
        await stored(cluster, f"/{stored_files}", SMALL)
        stored_files += 1
    files = gone.parts()
    for path in files.values():
        path.unlink()
    found = await hurt(cluster)
    assert len(found) == len(files)
    for number in range(stored_files):
        assert ((await cluster.get(f"/{number}")).code == 200) == (f"/{number}" not in found)
    assert {state for state, _ in found.values()} == {"lost"}


@pytest.mark.parametrize("deep", [0, 1])
@pytest_twisted.ensureDeferred
async def test_parts_of_nodes_that_are_down_are_unreachable_and_no_loss(
    make_cluster: Callable[..., Cluster], deep: int
) -> None:
    cluster = await started(make_cluster)
    await stored(cluster, "/a", LARGE)
    for number in (1, 4):
        await cluster.break_node(number)
    [(state, parts)] = (await hurt(cluster, deep=deep)).values()
    assert (state, list(parts.values())) == ("degraded", ["unreachable"] * 2)
    await cluster.break_node(6)
    file, end = await check(cluster, deep=deep)
    assert (file["state"], file["spare"]) == ("unreadable", -1)
    assert sorted(end["silent"]) == ["n2", "n5", "n7"]


@pytest.mark.parametrize("deep", [0, 1])
@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_lost_node_are_missing(make_cluster: Callable[..., Cluster], deep: int) -> None:
    cluster = await started(make_cluster)
    await stored(cluster, "/a", LARGE)
    await cluster.break_node(1)
    entries = cluster.registry.read_text().splitlines(keepends=True)
    place = entries.index("- id: n2\n")
    cluster.registry.write_text("".join([*entries[: place + 1], "  state: lost\n", *entries[place + 1 :]]))
    assert (await cluster.reload()).code == 200
    [(state, parts)] = (await hurt(cluster, deep=deep)).values()
    assert (state, list(parts.values())) == ("degraded", ["missing"])


@pytest_twisted.ensureDeferred
async def test_a_node_that_stops_answering_does_not_hold_up_the_check(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    for number in range(3):
        await stored(cluster, f"/{number}", LARGE)
    await cluster.change_front(node_timeout_s=3.0)
    cluster.hang_node(5)
    found = await hurt(cluster)
    assert {path: list(parts.values()) for path, (_, parts) in found.items()} == {
        f"/{number}": ["unreachable"] for number in range(3)
    }


@pytest_twisted.ensureDeferred
async def test_parity_that_does_not_fit_the_data_is_found(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    upload, other = await stored(cluster, "/a", LARGE), await stored(cluster, "/b", LARGE[::-1])
    # The part of the other file, under the right id: every checksum is right.
    ours, theirs = part_file(cluster, upload, 7), part_file(cluster, other, 7)
    from storaged.parts.format import PartEncoder

    data = theirs.read_bytes()
    payload = b"".join(
        data[start : min(start + UNIT, len(data) - FOOTER_SIZE - 4)]
        for start in range(HEADER_SIZE, len(data) - FOOTER_SIZE, UNIT + 4)
    )
    encoder = PartEncoder(parse_part_id(ours.name), UNIT)
    ours.write_bytes(b"".join(encoder.encode(payload) + encoder.finish()))
    assert await hurt(cluster) == {}
    assert await hurt(cluster, deep=1) == {"/a": ("degraded", {7: "inconsistent"})}


@pytest_twisted.ensureDeferred
async def test_a_fast_check_tells_what_the_scrubs_have_found(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    upload = await stored(cluster, "/a", LARGE)
    file = part_file(cluster, upload, 2)
    [node] = [node for node in cluster.nodes if file.name in node.parts()]
    await node.stop()
    flip(file, HEADER_SIZE + 5 * UNIT)
    node.scrub_days = 1e-5
    await node.start()
    await cluster.look_at_nodes()
    await eventually(lambda: node.store.scrubber.report().rotten)
    assert await hurt(cluster) == {"/a": ("degraded", {2: "damaged"})}


@pytest_twisted.ensureDeferred
async def test_a_part_that_the_disk_cannot_read_is_damaged_and_says_nothing_about_its_node(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    uploads = [await stored(cluster, f"/{number}", LARGE * 2) for number in range(4)]
    file = part_file(cluster, uploads[1], 4)
    [node] = [node for node in cluster.nodes if file.name in node.parts()]
    node.filesystem.unreadable.add(file.name)
    assert await hurt(cluster, deep=1) == {"/1": ("degraded", {4: "unreachable"})}
    await node.stop()
    node.scrub_days = 1e-5
    await node.start()
    await cluster.look_at_nodes()
    await eventually(lambda: node.store.scrubber.report().rotten)
    for deep in (0, 1):
        assert await hurt(cluster, deep=deep) == {"/1": ("degraded", {4: "damaged"})}


@pytest.mark.parametrize("harm", ["gone", "flipped"])
@pytest_twisted.ensureDeferred
async def test_what_a_check_finds_is_rebuilt(make_cluster: Callable[..., Cluster], harm: str) -> None:
    cluster = make_cluster(count=9, layout="6+2", heal_limit=Size(0))
    await cluster.start()
    upload = await stored(cluster, "/a", LARGE)
    file = part_file(cluster, upload, 3)
    file.unlink() if harm == "gone" else flip(file, 7 * UNIT)
    assert list(await hurt(cluster, deep=1)) == ["/a"]
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == 1)
    assert await hurt(cluster, deep=1) == {}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("path=/nothing", 404),
        ("path=relative", 400),
        ("path=/&deep=2", 400),
        ("path=/&deep=1&limit=0", 400),
        ("path=/&limit=5", 400),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_checked_is_refused(cluster: Cluster, query: str, status: int) -> None:
    answer = await cluster.ask("POST", f"{cluster.admin_url}/check?{query}")
    assert answer.code == status
    assert (await cluster.ask("GET", f"{cluster.admin_url}/check?path=/")).code == 405


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_ends_its_check(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await stored(cluster, "/a", LARGE)
    assert cluster.front is not None
    checks = cluster.front.upkeep.checks
    assert cluster.front.endpoints.admin_port is not None
    client = await connect(cluster.front.endpoints.admin_port.getHost().port)
    client.send(b"POST /check?path=/&deep=1&limit=100000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await eventually(lambda: b'"progress"' in client.received)
    assert checks.running == 1
    with capturedLogs() as logs:
        client.reset()
        await eventually(lambda: not checks.running)
        await cluster.status()
    assert not [event for event in logs if "log_failure" in event]


@pytest_twisted.ensureDeferred
async def test_only_so_many_checks_run_at_once_and_a_stop_ends_them(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await stored(cluster, "/a", LARGE)
    assert cluster.front is not None
    checks = cluster.front.upkeep.checks
    running = [await checks.start("/", True, 1000.0) for _ in range(4)]
    assert (await cluster.ask("POST", f"{cluster.admin_url}/check?path=/")).code == 409
    await running[0].close()
    assert (await check(cluster))[-1]["event"] == "end"
    await checks.stop()
    assert checks.running == 0
    [*_, last] = await running[1].next()
    assert isinstance(last, CheckFailed)
    assert await running[1].next() == []
