"""Collections as ZIP archives, which are made while they are sent."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Awaitable, Callable

import pytest_twisted

from tests.cluster.cluster import Answer, Cluster
from tests.users import ANNA

LARGE = os.urandom(400_000)
FILES = {"a.txt": b"a", "empty": b"", "large.bin": LARGE, "folder/ä b.txt": b"umlaut", "folder/deep/x": b"deep"}


async def furnish(cluster: Cluster, **login: str) -> None:
    for folder in ("/c", "/c/folder", "/c/folder/deep", "/c/none"):
        assert (await cluster.ask("MKCOL", folder, **login)).code == 201
    for name, data in FILES.items():
        assert (await cluster.put(f"/c/{name.replace(' ', '%20')}", data, **login)).code == 201


def unpacked(answer: Answer) -> dict[str, bytes]:
    """The files of an archive; folders end in a slash."""
    assert answer.code == 200, answer
    assert answer.length == len(answer.body)
    assert answer.header("Content-Type") == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        return {each.filename: archive.read(each) for each in archive.infolist()}


FOLDERS = {"folder/": b"", "folder/deep/": b"", "none/": b""}


@pytest_twisted.ensureDeferred
async def test_a_collection_is_an_archive_of_known_length(cluster: Cluster) -> None:
    await furnish(cluster)
    for path in ("/c?zip", "/c/?zip", "/c/?zip=1"):
        got = await cluster.get(path)
        assert unpacked(got) == FILES | FOLDERS
        assert got.header("Content-Disposition") == "attachment; filename*=UTF-8''c.zip"
    head = await cluster.ask("HEAD", "/c/?zip")
    assert (head.code, head.header("Content-Length")) == (200, str(len(got.body)))
    assert unpacked(await cluster.get("/c/none?zip")) == {}
    assert set(unpacked(await cluster.get("/?zip"))) == {"c/", *(f"c/{name}" for name in FILES | FOLDERS)}
    assert (await cluster.get("/c/a.txt?zip")).code == 404
    assert (await cluster.get("/nowhere?zip")).code == 404
    assert (await cluster.get("/c/")).header("Content-Type") != "application/zip"


@pytest_twisted.ensureDeferred
async def test_some_members_are_an_archive(cluster: Cluster) -> None:
    await furnish(cluster)
    got = unpacked(await cluster.get("/c/folder/?zip&name=%C3%A4%20b.txt&name=deep&name=deep"))
    assert got == {"ä b.txt": b"umlaut", "deep/": b"", "deep/x": b"deep"}
    for name in ("missing", "deep/missing", "..", "deep/../x", "deep/", "/deep", "", "a/" * 30_000 + "a"):
        assert (await cluster.get(f"/c/folder/?zip&name={name}")).code in {400, 404}


@pytest_twisted.ensureDeferred
async def test_what_lies_in_several_collections_is_an_archive(cluster: Cluster) -> None:
    await furnish(cluster)
    got = unpacked(await cluster.get("/c/?zip&name=folder/deep/x&name=a.txt&name=folder/deep&name=none"))
    assert got == {"a.txt": b"a", "folder/deep/": b"", "folder/deep/x": b"deep", "none/": b""}
    assert unpacked(await cluster.get("/?zip&name=c/folder/%C3%A4%20b.txt")) == {"c/folder/ä b.txt": b"umlaut"}


@pytest_twisted.ensureDeferred
async def test_no_name_leads_out_of_where_an_archive_is_unpacked_on_windows(cluster: Cluster) -> None:
    assert (await cluster.ask("MKCOL", "/..%5Cd")).code == 201
    assert (await cluster.put("/..%5Cd/..%5C..%5Cf", b"x")).code == 201
    assert unpacked(await cluster.get("/?zip")) == {"..\uff3cd/": b"", "..\uff3cd/..\uff3c..\uff3cf": b"x"}
    assert unpacked(await cluster.get("/?zip&name=..%5Cd/..%5C..%5Cf")) == {"..\uff3cd/..\uff3c..\uff3cf": b"x"}


@pytest_twisted.ensureDeferred
async def test_an_archive_has_only_what_its_reader_may_see(make_guarded: Callable[..., Awaitable[Cluster]]) -> None:
    files = ["/anna/a", "/anna/secret/s", "/anna/fixed/x"]
    cluster = await make_guarded("/anna", "/anna/secret", "/anna/fixed", files=files)
    got = unpacked(await cluster.get("/anna?zip", authorization=ANNA))
    assert got == {"a": b"content", "fixed/": b"", "fixed/x": b"content"}
    assert (await cluster.get("/anna?zip&name=secret", authorization=ANNA)).code == 404
    assert (await cluster.get("/anna/secret?zip", authorization=ANNA)).code == 404
    assert (await cluster.get("/anna?zip")).code == 401


@pytest_twisted.ensureDeferred
async def test_an_archive_that_cannot_be_whole_is_cut(cluster: Cluster) -> None:
    await furnish(cluster)
    whole = await cluster.get("/c?zip")
    await cluster.break_node(2)
    client = await cluster.connect()
    client.begin("GET", "/c?zip")
    received = await client.until_ended()
    assert len(received.partition(b"\r\n\r\n")[2]) < len(whole.body)


@pytest_twisted.ensureDeferred
async def test_a_folder_of_many_files_is_an_archive(cluster: Cluster) -> None:
    assert (await cluster.ask("MKCOL", "/many")).code == 201
    for number in range(1200):
        assert (await cluster.put(f"/many/{number}", b"")).code == 201
    assert len(unpacked(await cluster.get("/many?zip"))) == 1200
