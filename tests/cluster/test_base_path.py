"""The store below a path: every URL that is read or written begins with it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster

LOCKINFO = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
)
SET = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><z xmlns="urn:z">1</z></D:prop></D:set></D:propertyupdate>'


@pytest_twisted.async_yield_fixture
async def below(make_cluster: Callable[..., Cluster]) -> AsyncIterator[Cluster]:
    """A cluster whose files are below /my/files, with a collection and a file in it."""
    cluster = make_cluster(base_path="/my/files")
    await cluster.start()
    assert (await cluster.ask("MKCOL", "/my/files/c/")).code == 201
    assert (await cluster.put("/my/files/c/a b", b"abc")).code == 201
    yield cluster


def hrefs(text: str) -> list[str]:
    return re.findall("<D:href>([^<]*)</D:href>", text)


@pytest_twisted.ensureDeferred
async def test_nothing_is_outside_of_it(below: Cluster) -> None:
    assert (await below.get("/my/files/c/a%20b")).text == "abc"
    for path in ("/", "/c/a%20b", "/my", "/my/", "/my/filesx/c", "/my/files2"):
        answer = await below.get(path)
        assert (answer.code, "all files are below /my/files/" in answer.text) == (404, True), path
        assert (await below.put(path + "x", b"x")).code == 404
        assert (await below.ask("OPTIONS", path)).code == 200
    for path in ("/my/files", "/my/files/"):
        assert (await below.get(path)).code == 200


@pytest_twisted.ensureDeferred
async def test_multistatus_and_locks_name_it(below: Cluster) -> None:
    answer = await below.ask("PROPFIND", "/my/files/", Depth="infinity")
    assert sorted(hrefs(answer.text)) == ["/my/files/", "/my/files/c/", "/my/files/c/a%20b"]
    answer = await below.ask("PROPFIND", "/my/files/c", Depth="0")
    assert answer.header("Content-Location") == "/my/files/c/"
    assert hrefs((await below.ask("PROPPATCH", "/my/files/c/", SET)).text) == ["/my/files/c/"]
    taken = await below.ask("LOCK", "/my/files/c/a%20b", LOCKINFO)
    token = (taken.header("Lock-Token") or "").strip("<>")
    assert hrefs(taken.text) == [token, "/my/files/c/a%20b"]
    answer = await below.ask("PROPFIND", "/my/files/c/a%20b", Depth="0")
    assert hrefs(answer.text) == ["/my/files/c/a%20b", token, "/my/files/c/a%20b"]
    answer = await below.put("/my/files/c/a%20b", b"x")
    assert (answer.code, hrefs(answer.text)) == (423, ["/my/files/c/a%20b"])
    answer = await below.ask("DELETE", "/my/files/c/")
    assert "/my/files/c/a%20b" in hrefs(answer.text)
    answer = await below.ask("LOCK", "/my/files/c/", LOCKINFO)
    assert (answer.code, hrefs(answer.text)[0]) == (207, "/my/files/c/a%20b")
    for name, code in (("/my/files/c/a%20b", 204), ("/c/a%20b", 412)):
        assert (await below.put("/my/files/c/a%20b", b"x", If=f"<{name}> (<{token}>)")).code == code


@pytest_twisted.ensureDeferred
async def test_destinations_are_read_with_it(below: Cluster) -> None:
    for destination, code in (
        ("/my/files/b", 201),
        (below.url("/my/files/b2"), 201),
        ("/b", 502),
        (below.url("/b"), 502),
        ("/my/files/../x", 400),
    ):
        answer = await below.ask("COPY", "/my/files/c/a%20b", Destination=destination)
        assert (destination, answer.code) == (destination, code)
    assert (await below.ask("MOVE", "/my/files/b", Destination="/my/files/c/d")).code == 201
    assert (await below.get("/my/files/c/d")).text == "abc"


@pytest_twisted.ensureDeferred
async def test_the_page_links_below_it(below: Cluster) -> None:
    text = (await below.get("/my/files/c/")).text
    assert set(re.findall(' href="(/[^"]*)"', text)) == {"/my/files/", "/my/files/c/a%20b"}
    assert 'data-base="/my/files/c/"' in text
    text = (await below.get("/my/files/")).text
    assert set(re.findall(' href="(/[^"]*)"', text)) == {"/my/files/c/"}


@pytest.mark.parametrize("path", ["files", "/", "/files/", "//x", "/a/../b", "/a b", "/.x", "/a?b", "/a%20b"])
def test_a_path_that_cannot_work_is_refused(path: str) -> None:
    import msgspec

    from splitd.config import Config

    given = {"data": "d", "registry": "r", "cluster_key_file": "k", "base_path": path}
    with pytest.raises(msgspec.ValidationError, match="base_path"):
        msgspec.convert(given, Config)
