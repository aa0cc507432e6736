"""LOCK and UNLOCK, and what other clients may do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.multistatus import (
    condition_of,
    dav,
    lock,
    note,
    propfind,
    proppatch,
    read_multistatus,
    token_of,
)
from tests.cluster.waiting import becomes

NOTE = "<D:set><D:prop><t:note>x</t:note></D:prop></D:set>"


async def furnish(cluster: Cluster) -> None:
    """Make /c/f and /h."""
    await cluster.ask("MKCOL", "/c")
    for path in ("/c/f", "/h"):
        assert (await cluster.put(path, b"abc")).code == 201


def activelock(answer: Answer) -> ElementTree.Element:
    [found] = list(ElementTree.fromstring(answer.body).iter(dav("activelock")))
    return found


def text(element: ElementTree.Element, *path: str) -> str | None:
    return element.find("/".join(map(dav, path))).text  # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_a_lock_is_told_to_who_took_it_and_to_who_asks(cluster: Cluster) -> None:
    await furnish(cluster)
    answer = await lock(cluster, "/c", owner="<D:href>me &amp; you</D:href>", Timeout="Second-100, Infinite")
    assert answer.code == 200
    token = token_of(answer)
    told = await propfind(cluster, "/c", "lockdiscovery", depth="1")
    for found in (
        activelock(answer),
        told["/c/"].found[dav("lockdiscovery")][0],
        told["/c/f"].found[dav("lockdiscovery")][0],
    ):
        assert text(found, "locktoken", "href") == token
        assert text(found, "lockroot", "href") == "/c"
        assert text(found, "depth") == "infinity"
        assert text(found, "owner", "href") == "me & you"
        assert 0 < int(str(text(found, "timeout")).removeprefix("Second-")) <= 100
        assert [each.tag for each in found.find(dav("lockscope")) or ()] == [dav("exclusive")]
        assert [each.tag for each in found.find(dav("locktype")) or ()] == [dav("write")]


CHANGES: dict[str, Callable[..., Any]] = {
    "PUT": lambda cluster, **headers: cluster.put("/c/f", b"x", **headers),
    "DELETE": lambda cluster, **headers: cluster.ask("DELETE", "/c/f", **headers),
    "PROPPATCH": lambda cluster, **headers: proppatch(cluster, "/c/f", NOTE, **headers),
    "MOVE away": lambda cluster, **headers: cluster.ask("MOVE", "/c/f", Destination="/x", **headers),
    "MOVE onto": lambda cluster, **headers: cluster.ask("MOVE", "/h", Destination="/c/f", **headers),
    "COPY onto": lambda cluster, **headers: cluster.ask("COPY", "/h", Destination="/c/f", **headers),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("path", "depth"), [("/c/f", "0"), ("/c/", "infinity"), ("/", "infinity")])
@pytest_twisted.ensureDeferred
async def test_what_is_locked_is_changed_only_with_the_token(
    cluster: Cluster, change: str, path: str, depth: str
) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, path, Depth=depth))
    for headers in ({}, {"If": '(Not <urn:x>) (["y"])'}):
        refused = await CHANGES[change](cluster, **headers)
        assert refused.code == 423
        assert condition_of(refused) == ("lock-token-submitted", [path.rstrip("/") or "/"])
    assert (await cluster.get("/c/f")).body == b"abc"
    tag = f"<{cluster.url(path)}> " if change.endswith("onto") else ""
    done = await CHANGES[change](cluster, If=f"{tag}(<{token}>)")
    assert done.code in {204, 207, 201}
    if done.code == 207:
        assert read_multistatus(done)["/c/f"].statuses == {"{urn:test}note": 200}


@pytest_twisted.ensureDeferred
async def test_a_body_is_not_read_where_a_lock_forbids_to_keep_it(cluster: Cluster) -> None:
    await furnish(cluster)
    await lock(cluster, "/h")
    client = await cluster.connect()
    client.begin("PUT", "/h", "Content-Length: 1000000", "Expect: 100-continue")
    assert (await client.answer()).code == 423


@pytest_twisted.ensureDeferred
async def test_a_lock_that_is_taken_during_an_upload_keeps_it_out(cluster: Cluster) -> None:
    await furnish(cluster)
    client = await cluster.connect()
    client.begin("PUT", "/h", "Content-Length: 50000", "Expect: 100-continue")
    assert (await client.answer()).code == 100
    token = token_of(await lock(cluster, "/h"))
    client.send(bytes(50_000))
    assert (await client.answer()).code == 423
    assert (await cluster.get("/h")).body == b"abc"
    assert (await cluster.put("/h", b"x", If=f"(<{token}>)")).code == 204


@pytest_twisted.ensureDeferred
async def test_a_lock_on_a_collection_alone_keeps_its_members_names(cluster: Cluster) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/c", Depth="0"))
    assert (await cluster.put("/c/f", b"changed")).code == 204
    for answer in (
        await cluster.put("/c/new", b"x"),
        await cluster.ask("MKCOL", "/c/new"),
        await cluster.ask("DELETE", "/c/f"),
        await cluster.ask("MOVE", "/c/f", Destination="/x"),
        await cluster.ask("COPY", "/h", Destination="/c/new"),
        await lock(cluster, "/c/new"),
    ):
        assert answer.code == 423
    assert (await cluster.put("/c/new", b"x", If=f"</c> (<{token}>)")).code == 201


@pytest_twisted.ensureDeferred
async def test_a_collection_stays_where_something_in_it_is_locked(cluster: Cluster) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/c/f"))
    answer = await cluster.ask("DELETE", "/c")
    assert {path: told.status for path, told in read_multistatus(answer).items()} == {"/c/f": 423}
    for method, source, target in [("MOVE", "/c", "/x"), ("MOVE", "/h", "/c"), ("COPY", "/h", "/c")]:
        refused = await cluster.ask(method, source, Destination=target)
        assert (refused.code, condition_of(refused)) == (423, ("lock-token-submitted", ["/c/f"]))
    assert (await cluster.get("/c/f")).body == b"abc"
    assert (await cluster.ask("DELETE", "/c", If=f"</c/f> (<{token}>)")).code == 204


@pytest_twisted.ensureDeferred
async def test_locks_that_do_not_go_together_are_refused(cluster: Cluster) -> None:
    await furnish(cluster)
    first = token_of(await lock(cluster, "/c/f", scope="shared"))
    second = token_of(await lock(cluster, "/c/f", scope="shared"))
    assert first != second
    refused = await lock(cluster, "/c/f")
    assert (refused.code, condition_of(refused)) == (423, ("no-conflicting-lock", ["/c/f"]))
    above = read_multistatus(await lock(cluster, "/c"))
    assert {path: told.status for path, told in above.items()} == {"/c/f": 423, "/c/": 424}
    assert (await lock(cluster, "/c", Depth="0")).code == 200
    assert (await cluster.put("/c/f", b"x")).code == 423
    assert (await cluster.put("/c/f", b"x", If=f"(<{second}>)")).code == 204


@pytest.mark.parametrize("restart", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_lock_where_nothing_is_makes_an_empty_file(cluster: Cluster, restart: bool) -> None:
    await furnish(cluster)
    answer = await lock(cluster, "/c/new")
    assert answer.code == 201
    token = token_of(answer)
    if restart:
        await cluster.restart_front()
    got = await cluster.get("/c/new")
    assert (got.code, got.body) == (200, b"")
    assert (await cluster.put("/c/new", b"x")).code == 423
    assert (await cluster.put("/c/new", b"x", If=f"(<{token}>)")).code == 204
    assert (await cluster.ask("UNLOCK", "/c/new", Lock_Token=f"<{token}>")).code == 204
    assert (await cluster.get("/c/new")).body == b"x"
    assert (await lock(cluster, "/x/y")).code == 409
    assert (await lock(cluster, "/c/new/y")).code == 409


@pytest_twisted.ensureDeferred
async def test_a_lock_is_released_by_its_token(cluster: Cluster) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/c"))
    for path, sent, code in [
        ("/c", "", 400),
        ("/c", token, 400),
        ("/c", f"<{token}> <{token}>", 400),
        ("/h", f"<{token}>", 409),
        ("/c", "<urn:uuid:unknown>", 409),
        ("/missing", f"<{token}>", 409),
        ("/c/f", f"<{token}>", 204),
        ("/c", f"<{token}>", 409),
    ]:
        answer = await cluster.ask("UNLOCK", path, Lock_Token=sent)
        assert answer.code == code, (path, sent)
        if code == 409:
            assert condition_of(answer) == ("lock-token-matches-request-uri", [])
    assert (await cluster.put("/c/f", b"x")).code == 204


@pytest_twisted.ensureDeferred
async def test_a_lock_is_refreshed_without_a_body(cluster: Cluster) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/c", Timeout="Second-10"))
    answer = await cluster.ask("LOCK", "/c/f", If=f"(<{token}>)", Timeout="Second-500")
    assert (answer.code, answer.header("Lock-Token")) == (200, None)
    assert 400 < int(str(text(activelock(answer), "timeout")).removeprefix("Second-")) <= 500
    assert (await cluster.ask("LOCK", "/c")).code == 400
    for path, sent in (("/h", token), ("/c", "urn:uuid:unknown")):
        assert (await cluster.ask("LOCK", path, If=f"(<{sent}>)")).code == 412


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ("", 3600), ("Infinite", 86400), ("Second-4100000000", 86400), ("Second-0", 1), ("Extend, Second-77", 77),
        ("nonsense", 3600), ("Second-99999999999999999999999", 3600), ("infinite, Second-5", 86400),
    ],
)  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_a_lock_lasts_as_long_as_asked_for_and_a_day_at_most(
    cluster: Cluster, requested: str, granted: int
) -> None:
    await furnish(cluster)
    answer = await lock(cluster, "/h", Timeout=requested)
    told = int(str(text(activelock(answer), "timeout")).removeprefix("Second-"))
    assert granted - 30 <= told <= granted


@pytest_twisted.ensureDeferred
async def test_locks_survive_a_restart(cluster: Cluster) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/c", owner="<D:href>me</D:href>"))
    before = (await propfind(cluster, "/c/f", "lockdiscovery"))["/c/f"].found[dav("lockdiscovery")][0]
    await cluster.restart_front()
    after = (await propfind(cluster, "/c/f", "lockdiscovery"))["/c/f"].found[dav("lockdiscovery")][0]
    for path in (("locktoken", "href"), ("owner", "href"), ("lockroot", "href"), ("depth",)):
        assert text(before, *path) == text(after, *path)
    assert (await cluster.put("/c/f", b"x")).code == 423
    assert (await cluster.put("/c/f", b"x", If=f"(<{token}>)")).code == 204


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_locks_stay_where_they_are(cluster: Cluster, method: str) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/h"))
    target = token_of(await lock(cluster, "/c/f"))
    both = f"</h> (<{token}>) </c/f> (<{target}>)"
    assert (await cluster.ask(method, "/h", Destination="/c/f", If=both)).code == 204
    assert (await cluster.put("/c/f", b"x", If=f"(<{token}>)")).code == 412
    assert (await cluster.put("/c/f", b"x", If=f"(<{target}>)")).code == 204
    assert (await cluster.put("/h", b"x")).code == (423 if method == "COPY" else 201)


@pytest_twisted.ensureDeferred
async def test_the_if_header_is_judged_by_every_method(cluster: Cluster) -> None:
    await furnish(cluster)
    etag = (await cluster.ask("HEAD", "/h")).header("ETag")
    url = cluster.url("/h")
    for value, holds in [
        (f"([{etag}])", True),
        ('(["other"])', False),
        (f'(["other"]) (Not ["other"] [{etag}])', True),
        (f"<{url}> ([{etag}])", True),
        (f"</h> ([{etag}])", True),
        (f"<http://elsewhere.example/h> ([{etag}])", False),
        ("</c> (Not <DAV:no-lock>)", True),
        ("</h> (<DAV:no-lock>)", False),
    ]:
        for method in ("GET", "HEAD", "PROPFIND", "PROPPATCH"):
            body = NOTE if method == "PROPPATCH" else ""
            asked = proppatch(cluster, "/h", body, If=value) if body else cluster.ask(method, "/h", If=value)
            assert (await asked).code in ({200, 207} if holds else {412}), (method, value)
        for change in (
            cluster.ask("MKCOL", "/new", If=value.replace("([", "</h> ([") if value.startswith("([") else value),
            cluster.ask("DELETE", "/new", If=value.replace("([", "</h> ([") if value.startswith("([") else value),
        ):
            assert (await change).code in ({201, 204, 404} if holds else {412, 404}), value
    for wrong in ("", "()", "(", "([x])", "</h>", "nonsense"):
        assert (await cluster.get("/h", If=wrong)).code == 400, wrong


@pytest_twisted.ensureDeferred
async def test_what_is_no_lock_is_refused(cluster: Cluster) -> None:
    await furnish(cluster)
    good = (
        '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        "</D:lockinfo>"
    )
    for body, headers, code in [
        (good.replace("exclusive", "private"), {}, 422),
        (good.replace("write", "read"), {}, 422),
        (good, {"Depth": "1"}, 400),
        (good, {"If_Match": '"x"'}, 412),
        (good, {"If_None_Match": "*"}, 412),
        (good, {"If": "(<urn:x>)"}, 412),
    ]:
        assert (await cluster.ask("LOCK", "/h", body.encode(), **headers)).code == code
    assert (await cluster.put("/h", b"x")).code == 204


@pytest_twisted.ensureDeferred
async def test_an_editor_of_files_is_served(cluster: Cluster) -> None:
    """What Finder does to save a file."""
    await furnish(cluster)
    assert (await cluster.put("/c/._doc", b"resource fork")).code == 201
    assert (await cluster.put("/c/doc", b"")).code == 201
    token = token_of(await lock(cluster, "/c/doc", Timeout="Second-600", Depth="0"))
    client = await cluster.connect()
    client.begin("PUT", "/c/doc", "Transfer-Encoding: chunked", "X-Expected-Entity-Length: 10", f"If: (<{token}>)")
    client.send(b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n")
    assert (await client.answer()).code == 204
    assert (await cluster.ask("UNLOCK", "/c/doc", Lock_Token=f"<{token}>")).code == 204
    assert (await cluster.get("/c/doc")).body == b"0123456789"
    client.begin("PUT", "/c/doc", "Transfer-Encoding: chunked", "X-Expected-Entity-Length: 11")
    client.send(b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n")
    assert (await client.answer()).code == 400


@pytest_twisted.ensureDeferred
async def test_a_lock_does_not_keep_anybody_from_reading(cluster: Cluster) -> None:
    await furnish(cluster)
    await note(cluster, "/c/f", "x")
    await lock(cluster, "/c")
    assert (await cluster.get("/c/f")).body == b"abc"
    assert (await cluster.ask("COPY", "/c", Destination="/new")).code == 201
    assert (await cluster.put("/new/f", b"x")).code == 204


@pytest_twisted.ensureDeferred
async def test_a_path_has_32_locks_at_most(cluster: Cluster) -> None:
    assert (await cluster.ask("MKCOL", "/c")).code == 201
    for number in range(32):
        assert (await lock(cluster, "/c" if number % 2 else "/c/f", scope="shared")).code in {200, 201}
    for path in ("/c/f", "/c"):
        answer = await lock(cluster, path, scope="shared")
        assert (answer.code, "32 locks" in answer.text) == (507, True)
    assert (await lock(cluster, "/g")).code == 201


@pytest_twisted.ensureDeferred
async def test_an_owner_is_told_in_4096_bytes(cluster: Cluster) -> None:
    assert (await lock(cluster, "/f", owner="o" * 4000)).code == 201
    for owner in ("o" * 4096, f"<D:href a='{'&quot;' * 1000}'/>"):
        assert (await lock(cluster, "/g", owner=owner)).code == 413


async def until_expired(cluster: Cluster, path: str) -> None:
    """Wait until no lock covers a path any more."""

    async def has_none() -> bool:
        told = await propfind(cluster, path, "lockdiscovery")
        return told[path].found[dav("lockdiscovery")].find(dav("activelock")) is None

    await becomes(has_none, "the end of the lock")


@pytest.mark.parametrize("size", [2000, 50_000])
@pytest.mark.parametrize("path", ["/h", "/new"])
@pytest_twisted.ensureDeferred
async def test_an_upload_outlasts_its_lock_and_leaves_no_empty_file(
    make_cluster: Callable[..., Cluster], path: str, size: int
) -> None:
    cluster = make_cluster(small_part=Size(1000))
    await cluster.start()
    await furnish(cluster)
    token = token_of(await lock(cluster, path, Timeout="Second-2"))
    client = await cluster.connect()
    client.begin("PUT", path, f"Content-Length: {size}", f"If: (<{token}>)", "Expect: 100-continue")
    assert (await client.answer()).code == 100
    await until_expired(cluster, path)
    client.send(b"x" * size)
    assert (await client.answer()).code == 204
    assert (await cluster.get(path)).body == b"x" * size


@pytest.mark.parametrize("released", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_lock_taken_after_the_uploads_own_expired_wins(cluster: Cluster, released: bool) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/h", Timeout="Second-2"))
    client = await cluster.connect()
    client.begin("PUT", "/h", "Content-Length: 50000", f"If: (<{token}>)", "Expect: 100-continue")
    assert (await client.answer()).code == 100
    await until_expired(cluster, "/h")
    other = token_of(await lock(cluster, "/h"))
    if released:
        assert (await cluster.put("/h", b"other", If=f"(<{other}>)")).code == 204
        assert (await cluster.ask("UNLOCK", "/h", Lock_Token=f"<{other}>")).code == 204
    client.send(bytes(50_000))
    assert (await client.answer()).code == 412
    assert (await cluster.get("/h")).body == (b"other" if released else b"abc")
