"""A small object whose bytes are there is stored, and one that is not in memory is read, without a coroutine: the
answers are those of every other object.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from storaged.http import StreamingRequest
from storaged.system.sizes import Size
from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster
from tests.cluster.garbage import garbage
from tests.cluster.pacing import seconds_until
from tests.cluster.s3 import KEY, S3, SECRET, write_users
from tests.cluster.s3_cases import BEFORE, BODY, CASES, LIMITS, SLOWLY, Case, ask, both, started, stored, told
from tests.cluster.waiting import eventually
from tests.cluster.watching import watch_s3


@pytest.mark.parametrize(("etag", "limits", "expects"), [("md5", "", False), ("version", LIMITS, True)])
@pytest_twisted.ensureDeferred
async def test_an_object_is_stored_or_refused_as_after_a_wait(
    make_cluster: Callable[..., Cluster], tmp_path: Path, etag: str, limits: str, expects: bool
) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(limits)
    cluster = await started(make_cluster, s3_etag=etag, **({"limits": str(file)} if limits else {}))
    s3, watching = S3(cluster), watch_s3(cluster.front)
    for name, case in CASES.items():
        if etag == "version" and "If-Match" in case.headers and case.code == 200:
            continue  # the tag is not known before
        put, got, slow, got_slowly = await both(s3, case, watching, expects=expects)
        if expects:  # the long way may refuse a body before its end, and then has to close the connection
            for each in (put, slow):
                each.headers.pop("connection", None)
        assert told(put) == told(slow), name
        assert put.code == case.code, (name, put.body)
        assert told(got) == told(got_slowly), name
        if case.code == 200:
            assert got.body == case.body, name
        elif case.is_there:
            assert got.body == BEFORE, name


@pytest_twisted.ensureDeferred
async def test_an_object_that_is_not_in_memory_is_read_as_after_a_wait(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    s3 = S3(cluster)
    for key, headers in (
        ("a", {}),
        ("a/b", {"Content_Type": "text/x", "x_amz_meta_colour": "blue", "x_amz_tagging": "a=b"}),
        ("%C3%A4%20b", {"x_amz_checksum_algorithm": "SHA256"}),
        ("one", {}),
    ):
        assert (await s3.put(f"/bucket/{key}", BODY[:1] if key == "one" else BODY, **headers)).code == 200
    await cluster.put("/bucket/by-webdav", BODY)
    await s3.put("/bucket/empty", b"")
    watching = watch_s3(cluster.front)
    for key, code, is_short in (
        ("a", 200, True),
        ("a/b", 200, True),
        ("%C3%A4%20b", 200, True),
        ("one", 200, True),
        ("by-webdav", 200, True),
        ("empty", 200, False),
        ("none", 404, False),
        ("a/", 404, False),
        ("a?partNumber=1", 206, False),
    ):
        for method in ("GET", "HEAD"):
            # The head of an empty object needs no bytes either.
            case = Case({}, code, is_short=is_short or (key, method) == ("empty", "HEAD"), path=f"/bucket/{key}")
            got, whole, slow, _ = await both(s3, case, watching, method)
            assert told(got) == told(slow), (method, key)
            assert got.code == code, (method, key)
            assert (
                got.headers.get("last-modified")
                == slow.headers.get("last-modified")
                == whole.headers.get("last-modified")
            )


@pytest_twisted.ensureDeferred
async def test_a_lock_and_a_node_that_is_away_are_told_as_after_a_wait(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    s3, watching = S3(cluster), watch_s3(cluster.front)
    await s3.put("/bucket/key", BODY)
    lock = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    await cluster.put("/bucket/locked", BODY)
    assert (await cluster.ask("LOCK", "/bucket/locked", lock)).code == 200
    case = Case({}, 403, path="/bucket/locked")
    answers = [await ask(cluster, "PUT", case, slowly) for slowly in ({}, SLOWLY)]
    assert told(answers[0]) == told(answers[1])
    assert answers[0].code == 403
    await cluster.nodes[2].stop()
    for method in ("GET", "PUT"):
        before = watching.left
        answers = [await ask(cluster, method, Case({}, 503), slowly) for slowly in ({}, SLOWLY)]
        assert [answer.code for answer in answers] == [503, 503]
        assert b"n3" in answers[0].body
        assert watching.left == before + 2
    await cluster.nodes[2].start()


@pytest_twisted.ensureDeferred
async def test_an_object_is_stored_and_read_by_those_only_who_may(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster(small_part=Size(128 * 1024), cache=Size(0))
    cluster.users = tmp_path / "users.yaml"
    write_users(
        cluster.users,
        {
            "root": "{path: /, allow: [read, write]}",
            "rita": "{path: /bucket, allow: [read]}",
            "wilma": "{path: /bucket, allow: [write]}",
            "nora": "",
        },
    )
    await cluster.start()
    assert (await S3(cluster, ("ROOT", SECRET)).put("/bucket", b"")).code == 200
    assert (await S3(cluster, ("ROOT", SECRET)).put("/bucket/key", BODY)).code == 200
    watching = watch_s3(cluster.front)
    for name, expected, left in (
        ("root", (200, 200), 0),
        ("rita", (403, 200), 1),
        ("wilma", (200, 404), 1),
        ("nora", (404, 404), 2),
        ("wrong", (403, 403), 2),
        ("", (403, 403), 2),
    ):
        key = (name.upper(), SECRET) if name != "wrong" else ("ROOT", "wrong")
        for _ in range(2):  # the second time, what was proven is known
            before = watching.left
            case = Case({}, 0)
            put = await ask(cluster, "PUT", case, {}, key if name else None)
            got = await ask(cluster, "GET", case, {}, key if name else None)
            assert (put.code, got.code) == expected, name
            assert watching.left - before == left, name
            head = await ask(cluster, "HEAD", case, {}, key if name else None)
            assert head.code == got.code, name
            assert watching.left - before == left + (got.code != 200), name


@pytest.mark.parametrize("setting", ["", "node_request_ids", "limits"])
@pytest_twisted.ensureDeferred
async def test_the_logs_and_the_metrics_tell_it_as_after_a_wait(
    make_cluster: Callable[..., Cluster], tmp_path: Path, setting: str
) -> None:
    access, audit, limits = tmp_path / "access", tmp_path / "audit", tmp_path / "limits.yaml"
    limits.write_text("uploads: {in_all: 3, per_client: 2}\n")
    more: dict[str, Any] = {"": {}, "node_request_ids": {setting: True}, "limits": {setting: str(limits)}}[setting]
    logs = {"access_log": str(access), "access_log_format": "json", "audit_log": str(audit)}
    cluster = await started(make_cluster, **logs, **more)
    watching = watch_s3(cluster.front)
    for case in (Case({}, 200), Case({}, 400, sent=BODY[::-1])):
        for slowly in ({}, SLOWLY):
            assert (await ask(cluster, "PUT", case, slowly)).code == case.code
    assert watching.left == (4 if setting == "node_request_ids" else 2)

    def lines(file: Path) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (file.read_text() if file.exists() else "").splitlines()]
        return [each for each in found if each["target"] == "/bucket/key"]

    await eventually(lambda: len(lines(access)) == 4 and len(lines(audit)) == 2)
    for file in (access, audit):
        # The answer to a request that is refused has its id.
        found = [line | {"id": "", "time": "", "seconds": 0, "sent": 0} for line in lines(file)]
        assert found[::2] == found[1::2] if file is access else found[0] == found[1]
    metrics = (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
    assert 'splitd_requests_total{method="PUT",status="400"} 2.0' in metrics
    assert f'splitd_transfer_bytes_sum{{method="PUT"}} {2 * len(BODY)}.0' in metrics


@pytest_twisted.ensureDeferred
async def test_of_several_that_store_at_once_one_makes_the_object(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    watching = watch_s3(cluster.front)
    case = stored({"If-None-Match": "*"})
    asked = [Deferred.fromCoroutine(ask(cluster, "PUT", case, case.headers)) for _ in range(8)]
    codes = sorted([answer.code for answer in await gatherResults(asked)])
    assert codes == [200] + [412] * 7
    assert watching.left < 8


@pytest_twisted.ensureDeferred
async def test_a_request_that_was_answered_is_freed_at_once(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    watching = watch_s3(cluster.front)
    for method, name in (
        ("PUT", "plain"),
        ("GET", "plain"),
        ("HEAD", "plain"),
        ("PUT", "another MD5"),
        ("PUT", "in chunks"),
        ("PUT", "in a chunk, of another CRC32"),
        ("PUT", "in no chunk"),
    ):
        case, expects = CASES[name], method == "PUT"
        await ask(cluster, method, case, case.headers, expects=expects)
        with garbage() as found:
            for number in range(10):
                await ask(cluster, method, case, case.headers, expects=expects and number % 2 == 0)
            await cluster.status()  # the last ones may be on their way still
        assert found[StreamingRequest] <= 1, (method, name)
    assert watching.left == 0


@pytest_twisted.ensureDeferred
async def test_a_small_object_that_comes_with_its_head_is_paid_for(make_cluster: Callable[..., Cluster]) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    cluster = make_cluster(small_part=Size(128 * 1024), front_reactor=still)
    cluster.s3_key = KEY
    limits = cluster.folder.parent / "limits.yaml"
    limits.write_text("rates: {per_address: 16KiB}\n")
    cluster.settings["limits"] = str(limits)
    await cluster.start()
    assert (await S3(cluster).put("/bucket", b"")).code == 200
    watching = watch_s3(cluster.front)
    for _ in range(2):  # the first one may be taken without a debt
        assert (await ask(cluster, "PUT", Case({}, 200, body=bytes(15_000)), {})).code == 200
    assert watching.left == 0
    getting = Deferred.fromCoroutine(ask(cluster, "GET", Case({}, 200), {}))
    assert await seconds_until(getting, cluster, still) >= 1
    assert (await getting).code == 200
