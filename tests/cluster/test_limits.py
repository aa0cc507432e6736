"""Limits: each has an answer that says what it is, is judged before the body, and leaves the next request alone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest_twisted
from twisted.internet.defer import Deferred

from storaged.system.sizes import Size
from tests.clocks import StillReactor
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.raw import RawClient
from tests.cluster.s3 import KEY, S3, code_of, texts
from tests.cluster.waiting import eventually
from tests.users import ANNA, RITA, WILMA, hashed, write_users

MIB = 1024 * 1024
PROPFIND_QUOTA = (
    b'<D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/></D:prop></D:propfind>'
)

Made = Callable[..., Awaitable[Cluster]]


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def limited(make_cluster: Callable[..., Cluster], text: str, **settings: object) -> Cluster:
    """A started cluster with limits."""
    cluster = make_cluster(**settings)
    file = cluster.folder.parent / "limits.yaml"
    write(file, text)
    cluster.settings["limits"] = str(file)
    await cluster.start()
    return cluster


async def relimit(cluster: Cluster, text: str) -> Answer:
    """Change the limits' file, and let the front read it."""
    write(Path(cluster.settings["limits"]), text)
    return await cluster.reload()


async def begun(cluster: Cluster, path: str, *headers: str) -> RawClient:
    """A client that has begun an upload, and goes no further."""
    client = await cluster.connect()
    client.begin("PUT", path, "Content-Length: 1000", "Expect: 100-continue", *headers)
    return client


@pytest_twisted.ensureDeferred
async def test_a_client_has_so_many_uploads_at_once_and_all_have_so_many(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await limited(make_cluster, "uploads: {in_all: 3, per_client: 2}\n")
    two = [await begun(cluster, f"/{number}") for number in range(2)]
    assert [(await client.answer()).code for client in two] == [100, 100]
    answer = await (await begun(cluster, "/more")).answer()
    assert (answer.code, answer.headers["retry-after"]) == (429, "1")
    assert b"at most 2 uploads at once" in answer.body
    assert (await cluster.get("/")).code == 200
    forwarded = "X-Forwarded-For: 192.0.2."
    other = await begun(cluster, "/other", forwarded + "1")
    assert (await other.answer()).code == 100
    answer = await (await begun(cluster, "/more", forwarded + "2")).answer()
    assert (answer.code, answer.headers["retry-after"]) == (503, "1")
    # One leaves, and one ends well: both make room.
    two[0].reset()
    two[1].send(bytes(1000))
    assert (await two[1].answer()).code == 201
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    assert [(await cluster.put(f"/{number}", b"x")).code for number in range(5)] == [201, 204, 201, 201, 201]
    refused = (await cluster.status())["limits"]["refused"]
    assert refused == {"uploads per client": 1, "uploads in all": 1}
    metrics = (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
    assert 'splitd_refused_requests_total{limit="uploads in all"} 1.0' in metrics


@pytest_twisted.ensureDeferred
async def test_users_are_counted_by_name_and_others_by_address(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users)
    (tmp_path / "limits.yaml").write_text("requests: {per_client: 1}\n")
    cluster.settings["limits"] = str(tmp_path / "limits.yaml")
    await cluster.start()
    assert (await (await begun(cluster, "/f", f"Authorization: {WILMA}")).answer()).code == 100
    for address in ("192.0.2.1", "192.0.2.2"):
        again = await begun(cluster, "/g", f"Authorization: {WILMA}", f"X-Forwarded-For: {address}")
        assert (await again.answer()).code == 429
    assert (await cluster.get("/", Authorization=RITA)).code == 200


@pytest_twisted.ensureDeferred
async def test_a_file_may_be_so_large(make_cluster: Callable[..., Cluster]) -> None:
    for small_part in (0, 100_000):
        cluster = await limited(make_cluster, "largest_file: 100KB\n", small_part=Size(small_part))
        client = await cluster.connect()
        client.begin("PUT", "/a", "Content-Length: 100001", "Expect: 100-continue")
        answer = await client.answer()
        assert (answer.code, answer.body) == (413, b"a file may have at most 100000 bytes; nothing was stored\n")
        assert (await cluster.put("/a", bytes(100_000))).code == 201
        for size, code in ((100_000, 201), (100_001, 413)):
            client = await cluster.connect()
            client.begin("PUT", "/b", "Transfer-Encoding: chunked")
            client.send(b"%x\r\n" % size, bytes(size), b"\r\n0\r\n\r\n")
            assert (await client.answer()).code == code
        await cluster.status_becomes(lambda status: not status["uploads"]["under_way"])
        assert (await relimit(cluster, "largest_file: 10\n")).code == 200
        assert (await cluster.put("/c", bytes(11))).code == 413


@pytest_twisted.ensureDeferred
async def test_a_quota_is_judged_before_the_body_in_it_and_at_the_commit(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await limited(make_cluster, "quotas: [{path: /q, bytes: 50KB, files: 3}]\n")
    assert (await cluster.ask("MKCOL", "/q")).code == 201
    assert (await cluster.put("/q/a", bytes(20_000))).code == 201
    client = await cluster.connect()
    client.begin("PUT", "/q/b", "Content-Length: 30001", "Expect: 100-continue")
    answer = await client.answer()
    assert answer.code == 507
    assert b"the quota of /q is 48.8 KiB, 19.5 KiB are used" in answer.body
    client = await cluster.connect()
    client.begin("PUT", "/q/b", "Transfer-Encoding: chunked")
    client.send(b"%x\r\n" % 30_001, bytes(30_001), b"\r\n")
    assert (await client.answer()).code == 507
    # Two that each fit, and together do not.
    racing = [await cluster.connect() for _ in range(2)]
    for number, each in enumerate(racing):
        each.begin("PUT", f"/q/{number}", "Content-Length: 20000", "Expect: 100-continue")
        assert (await each.answer()).code == 100
    codes = []
    for each in racing:
        each.send(bytes(20_000))
        codes.append((await each.answer()).code)
    assert codes == [201, 507]
    assert (await cluster.put("/elsewhere", bytes(100_000))).code == 201
    assert (await cluster.ask("MOVE", "/elsewhere", Destination="/q/x")).code == 507
    assert (await cluster.ask("COPY", "/q/a", Destination="/q/x")).code == 507
    assert (await cluster.ask("COPY", "/q", Destination="/copy")).code == 201
    assert (await cluster.put("/q/a", b"")).code == 204
    assert (await cluster.put("/q/c", b"x")).code == 201
    answer = await cluster.put("/q/d", b"")
    assert (answer.code, "the quota of /q is 3 files, 3 are there" in answer.text) == (507, True)
    assert (await cluster.ask("DELETE", "/q")).code == 204
    [use] = (await cluster.status())["quotas"]
    assert (use["used_bytes"], use["used_files"]) == (0, 0)
    await cluster.status_becomes(lambda status: not status["uploads"]["under_way"])


@pytest_twisted.ensureDeferred
async def test_quotas_are_told_by_propfind_status_and_metrics_and_survive_a_restart(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    cluster.users.write_text(
        f"users:\n  anna:\n    password: {hashed('anna-pw')}\n    quota: {{bytes: 1000}}\n"
        "    grants: [{path: /, allow: [read, admin]}, {path: /anna, allow: [read, write]}, "
        "{path: /bert, allow: [read, write]}]\n"
        f"  wilma:\n    password: {hashed('wilma-pw')}\n    grants: [{{path: /, allow: [read, write, admin]}}]\n"
    )
    (tmp_path / "limits.yaml").write_text("quotas: [{path: /anna, bytes: 500}, {path: /x, files: 1}]\n")
    cluster.settings["limits"] = str(tmp_path / "limits.yaml")
    await cluster.start()

    async def ask(method: str, path: str, data: bytes | None = None, who: str = WILMA, **more: str) -> Answer:
        return await cluster.ask(method, path, data, Authorization=who, **more)

    for path in ("/anna", "/bert"):
        assert (await ask("MKCOL", path)).code == 201
    assert (await ask("PUT", "/anna/a", bytes(400), ANNA)).code == 201
    assert (await ask("PUT", "/anna/b", bytes(101), ANNA)).code == 507
    assert (await ask("PUT", "/bert/b", bytes(601))).code == 507  # anna may write there, so it counts for her
    assert (await ask("PUT", "/bert/b", bytes(550))).code == 201

    async def look() -> None:
        answer = await ask("PROPFIND", "/", PROPFIND_QUOTA, Depth="1")
        responses = answer.text.split("<D:response>")
        for path, left, used in (("/anna/", 50, 400 + 550), ("/bert/", 50, 950)):
            [told] = [each for each in responses if f"<D:href>{path}</D:href>" in each]
            assert f"<D:quota-available-bytes>{left}</D:quota-available-bytes>" in told
            assert f"<D:quota-used-bytes>{used}</D:quota-used-bytes>" in told
        [root] = [each for each in responses if "<D:href>/</D:href>" in each]
        assert "<D:quota-used-bytes>950</D:quota-used-bytes>" in root
        status = json.loads((await ask("GET", f"{cluster.admin_url}/status")).body)
        told = {each["name"]: (each["used_bytes"], each["used_files"], each["bytes"]) for each in status["quotas"]}
        assert told == {"/anna": (400, 1, 500), "/x": (0, 0, None), "user anna": (950, 2, 1000)}
        metrics = (await ask("GET", f"{cluster.admin_url}/metrics")).text
        assert 'splitd_quota_used_bytes{quota="user anna"} 950.0' in metrics
        assert 'splitd_quota_files{quota="/x"} 1.0' in metrics

    await look()
    await cluster.restart_front()
    await look()
    text = cluster.users.read_text()
    cluster.users.write_text(text.replace("bytes: 1000", "bytes: 900"))
    assert (await ask("POST", f"{cluster.admin_url}/reload")).code == 200
    assert (await ask("PUT", "/bert/c", b"x")).code == 507
    cluster.users.write_text(text.replace("quota: {bytes: 1000}", ""))
    assert (await ask("POST", f"{cluster.admin_url}/reload")).code == 200
    assert (await ask("PUT", "/bert/c", b"x")).code == 201


@pytest_twisted.ensureDeferred
async def test_a_wrong_file_changes_nothing_and_is_told(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await limited(make_cluster, "largest_file: 5\n")
    answer = await relimit(cluster, "largest_file: 10\nrequests: {per_cliend: 1}\n")
    assert answer.code == 422
    assert "limits.yaml: line 2: requests: " in answer.text
    assert (await cluster.put("/a", bytes(6))).code == 413
    status = await cluster.status()
    assert "line 2" in status["limits"]["problem"]
    assert any("the limits are not taken" in warning for warning in status["warnings"])
    assert (await relimit(cluster, "")).code == 200
    assert (await cluster.put("/a", bytes(6))).code == 201
    assert (await cluster.status())["limits"]["problem"] == ""


@pytest_twisted.ensureDeferred
async def test_rates_are_a_pause_in_both_directions_and_no_error(make_cluster: Callable[..., Cluster]) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    size, rate = 3 * 2**20, 2**20  # one read, before the pace is known, may take a mebibyte
    cluster = await limited(
        make_cluster, f"rates: {{per_address: {rate}}}\n", front_reactor=still, client_timeout_s=1.0
    )
    putting: Deferred[Answer] = Deferred.fromCoroutine(cluster.put("/a", bytes(size)))
    # Time passes only when all is taken that may be taken by then: so no timeout expires by chance.
    for passed in range(size // rate):
        allowed = min(size, rate * (passed + 1))
        status = await cluster.status_becomes(lambda status, most=allowed: status["uploads"]["bytes"] >= most)
        assert status["uploads"]["bytes"] <= rate * (passed + 1) + 2**20 + 2**16
        still.advance(1)
    assert (await putting).code == 201
    # The next request waits until that is paid for, and so does each of many small ones.
    clients = [await cluster.connect() for _ in range(2)]
    for client in clients:
        client.begin("GET", "/a")
    for passed in range(2 * size // rate):
        allowed = min(2 * size, rate * (passed + 1))
        await eventually(lambda most=allowed: sum(client.total for client in clients) >= most)
        assert sum(client.total for client in clients) <= rate * (passed + 1) + 2 * 2**20
        still.advance(1)
    assert [len((await client.answer()).body) for client in clients] == [size, size]


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_while_it_is_made_to_wait_leaves_nothing(
    make_cluster: Callable[..., Cluster],
) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    cluster = await limited(make_cluster, "rates: {per_address: 16KiB}\nuploads: {in_all: 1}\n", front_reactor=still)
    client = await cluster.connect()
    client.begin("PUT", "/a", "Content-Length: 100000")
    client.send(bytes(20_000))
    await cluster.status_becomes(lambda status: status["uploads"]["bytes"] == 20_000)
    waiting = await cluster.connect()
    waiting.begin("GET", "/")
    await cluster.status_becomes(lambda status: status["connections"]["open"] >= 2)
    waiting.reset()
    client.reset()
    still.advance(1)  # nothing is read in a pause, so that is when it is noticed
    await cluster.status_becomes(lambda status: not status["uploads"]["under_way"])
    await eventually(cluster.nothing_stored)
    assert (await cluster.put("/a", b"x")).code == 201


@pytest_twisted.ensureDeferred
async def test_what_exceeds_the_work_waits_or_is_refused_at_once(make_cluster: Callable[..., Cluster]) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    cluster = await limited(
        make_cluster, "work: {at_once: 1, waiting: 1, wait_s: 1}\n", front_reactor=still, small_part=Size(10_000)
    )
    assert (await cluster.put("/a", b"abc")).code == 201
    for node in range(6):
        cluster.hang_node(node)
    first = await cluster.connect()
    first.begin("PUT", "/b", "Content-Length: 3")
    first.send(b"abc")
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"])
    second, third = await cluster.connect(), await cluster.connect()
    second.begin("GET", "/")
    await cluster.status_becomes(lambda status: status["limits"]["waiting"] == 1)
    third.begin("GET", "/")
    answer = await third.answer()
    assert (answer.code, answer.headers["retry-after"]) == (503, "1")
    still.advance(1)
    assert (await second.answer()).code == 503
    fourth = await cluster.connect()
    fourth.begin("GET", "/")
    await cluster.status_becomes(lambda status: status["limits"]["waiting"] == 1)
    for node in cluster.nodes:
        node.filesystem.release()
    assert (await first.answer()).code == 201
    assert (await fourth.answer()).code == 200
    assert (await cluster.status())["limits"]["refused"] == {"work": 2}


@pytest_twisted.ensureDeferred
async def test_an_upload_that_waits_for_its_client_is_no_work(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await limited(make_cluster, "work: {at_once: 1, waiting: 9, wait_s: 60}\n")
    slow = [await cluster.connect() for _ in range(3)]
    for number, client in enumerate(slow):
        client.begin("PUT", f"/{number}", "Content-Length: 3")
        client.send(b"ab")
        await cluster.status_becomes(lambda status, number=number: status["uploads"]["under_way"] == number + 1)
    assert (await cluster.put("/x", b"abc")).code == 201
    for client in slow:
        client.send(b"c")
        assert (await client.answer()).code == 201
    assert (await cluster.get("/x")).text == "abc"


async def sent_in_parts(door: S3, path: str, *parts: bytes) -> tuple[int, str]:
    """The outcome of an upload of S3 in parts: that of the first request that is refused, or 200."""
    upload = texts(await door.ask("POST", f"{path}?uploads"), "UploadId")[0]
    tags = []
    for number, part in enumerate(parts, 1):
        answer = await door.put(f"{path}?partNumber={number}&uploadId={upload}", part)
        if answer.code != 200:
            return code_of(answer)
        tags.append((number, answer.header("ETag")))
    named = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in tags)
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    answer = await door.ask("POST", f"{path}?uploadId={upload}", body)
    return (200, "") if answer.code == 200 else code_of(answer)


@pytest_twisted.ensureDeferred
async def test_limits_hold_at_the_door_of_s3_too(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(unit=64 * 1024)
    cluster.s3_key = KEY
    file = cluster.folder.parent / "limits.yaml"
    write(file, "uploads: {in_all: 1}\nlargest_file: 6MiB\nquotas: [{path: /full, bytes: 10}]\n")
    cluster.settings["limits"] = str(file)
    await cluster.start()
    door = S3(cluster)
    assert [(await door.put(f"/{bucket}", b"")).code for bucket in ("full", "free")] == [200, 200]
    assert code_of(await door.put("/free/large", bytes(6 * MIB + 1))) == (400, "EntityTooLarge")
    assert code_of(await door.put("/full/more", bytes(11))) == (403, "QuotaExceeded")
    assert await sent_in_parts(door, "/free/large", bytes(5 * MIB), bytes(MIB + 1)) == (400, "EntityTooLarge")
    assert await sent_in_parts(door, "/full/more", bytes(11)) == (403, "QuotaExceeded")
    assert await sent_in_parts(door, "/free/large", bytes(5 * MIB), bytes(MIB)) == (200, "")
    assert await sent_in_parts(door, "/full/most", bytes(10)) == (200, "")
    client = await begun(cluster, "/free/one")
    assert (await client.answer()).code == 100
    answer = await door.put("/free/two", b"x")
    assert (code_of(answer), answer.header("Retry-After")) == ((503, "SlowDown"), "5")


@pytest_twisted.ensureDeferred
async def test_parts_of_an_unfinished_upload_count_for_quotas(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    cluster.s3_key = KEY
    file = cluster.folder.parent / "limits.yaml"
    write(file, "quotas: [{path: /bucket, bytes: 100KB}]\n")
    cluster.settings["limits"] = str(file)
    await cluster.start()
    s3 = S3(cluster)
    assert (await s3.put("/bucket", b"")).code == 200

    async def used() -> int:
        [use] = (await cluster.status())["quotas"]
        return int(use["used_bytes"])

    async def part(upload: str, number: int, size: int) -> Answer:
        return await s3.put(f"/bucket/k?partNumber={number}&uploadId={upload}", bytes(size))

    first, second = [texts(await s3.ask("POST", "/bucket/k?uploads"), "UploadId")[0] for _ in range(2)]
    assert (await part(first, 1, 60_000)).code == 200
    assert (await part(second, 1, 40_000)).code == 200
    refused = await part(second, 2, 1)
    assert code_of(refused) == (403, "QuotaExceeded")
    kept = await part(second, 1, 30_000)  # in place of what it has
    assert kept.code == 200
    assert (await cluster.put("/bucket/f", bytes(20_000))).code == 507
    assert await used() == 90_000
    assert (await s3.ask("DELETE", f"/bucket/k?uploadId={first}")).code == 204
    assert await used() == 30_000
    assert (await cluster.put("/bucket/f", bytes(70_000))).code == 201
    named = f"<Part><PartNumber>1</PartNumber><ETag>{kept.header('ETag')}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"
    assert (await s3.ask("POST", f"/bucket/k?uploadId={second}", body.encode())).code == 200
    assert await used() == 100_000
    await cluster.restart_front()
    assert await used() == 100_000
