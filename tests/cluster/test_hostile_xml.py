"""XML that no correct client sends: it is clearly refused, and the server keeps serving."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.multistatus import lock, read_multistatus
from tests.cluster.test_round_trip import ChunkedBody

BILLION = (
    '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True))
    + ']><D:propfind xmlns:D="DAV:"><D:prop><D:x>&i;</D:x></D:prop></D:propfind>'
)
EXTERNAL = (
    '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    '<D:propfind xmlns:D="DAV:"><D:prop><D:x>&a;</D:x></D:prop></D:propfind>'
)
BODIES = {
    "an entity bomb": BILLION,
    "an external entity": EXTERNAL,
    "a document type": '<!DOCTYPE p SYSTEM "http://127.0.0.1:1/x"><D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>',
    "an entity nobody declared": '<D:propfind xmlns:D="DAV:"><D:prop>&x;</D:prop></D:propfind>',
    "very deep": '<D:propfind xmlns:D="DAV:">' + "<D:a>" * 5000 + "</D:a>" * 5000 + "</D:propfind>",
    "open for ever": "<a>" * 10_000,
    "an attribute twice": '<D:propfind xmlns:D="DAV:" a="1" a="2"><D:allprop/></D:propfind>',
    "a prefix nobody declared": "<D:propfind><D:allprop/></D:propfind>",
    "a prefix for nothing": '<D:propfind xmlns:D="DAV:"><D:prop><x:a xmlns:x=""/></D:prop></D:propfind>',
    "another element": '<D:something xmlns:D="DAV:"/>',
    "another namespace": "<propfind><allprop/></propfind>",
    "nothing that is asked for": '<D:propfind xmlns:D="DAV:"/>',
    "a control character": '<D:propfind xmlns:D="DAV:">\x01</D:propfind>',
    "an unknown encoding": '<?xml version="1.0" encoding="klingon"?><D:propfind xmlns:D="DAV:"/>',
    "no XML": "allprop, please",
    "white space": " ",
    "two elements": '<D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind><D:propfind xmlns:D="DAV:"/>',
}


@pytest.mark.parametrize("what", BODIES)
@pytest_twisted.ensureDeferred
async def test_it_is_refused_by_each_method_that_reads_xml(cluster: Cluster, what: str) -> None:
    await cluster.put("/file", b"abc")
    for method, root in [("PROPFIND", "propfind"), ("PROPPATCH", "propertyupdate"), ("LOCK", "lockinfo")]:
        body = BODIES[what].replace("propfind", root)
        answer = await cluster.ask(method, "/file", body.encode())
        assert answer.code in {400, 422}, (method, answer)
        assert answer.text.endswith("\n")
        assert "root:" not in answer.text
    assert (await cluster.ask("PROPFIND", "/file", Depth="0")).code == 207
    assert (await cluster.put("/file", b"def")).code == 204


@pytest_twisted.ensureDeferred
async def test_bytes_that_are_no_utf8_are_refused(cluster: Cluster) -> None:
    for body in (b"\xff", b"<D:propfind xmlns:D='DAV:'>\xff</D:propfind>", b"\xef\xbb\xbf", b"\xfe\xff\x00<"):
        assert (await cluster.ask("PROPFIND", "/", body, Depth="0")).code == 400


@pytest_twisted.ensureDeferred
async def test_xml_in_utf16_is_read(cluster: Cluster) -> None:
    body = '<?xml version="1.0" encoding="utf-16"?><D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>'
    assert (await cluster.ask("PROPFIND", "/", body.encode("utf-16"), Depth="0")).code == 207


@pytest.mark.parametrize("method", ["PROPFIND", "PROPPATCH", "LOCK", "MKCOL"])
@pytest_twisted.ensureDeferred
async def test_a_body_that_is_too_long_is_refused_however_it_comes(cluster: Cluster, method: str) -> None:
    await cluster.put("/file", b"abc")
    path = "/c" if method == "MKCOL" else "/file"
    body = b"<a>" + b" " * 70_000
    for each in (body, ChunkedBody(body)):
        assert (await cluster.ask(method, path, each, Content_Type="text/xml")).code == 413
    client = await cluster.connect()
    client.begin(method, path, "Content-Length: 10000000000", "Content-Type: text/xml", "Expect: 100-continue")
    assert (await client.answer()).code == 413
    assert (await cluster.get("/c")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_body_that_breaks_off_changes_nothing(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    client = await cluster.connect()
    client.begin("LOCK", "/file", "Content-Length: 1000")
    client.send(b'<D:lockinfo xmlns:D="DAV:">')
    client.reset()
    assert (await cluster.put("/file", b"def")).code == 204


@pytest.mark.parametrize(
    "what",
    {
        "a long namespace": f'xmlns:x="{"u" * 5000}"><D:prop><x:a/></D:prop>',
        "many namespaces": "".join(f' xmlns:x{i}="u:{"v" * 60}"' for i in range(100)) + "><D:prop><x1:a/></D:prop>",
        "many elements": "><D:prop>" + "<a/>" * 2500 + "</D:prop>",
    }.items(),
    ids=lambda case: case[0],
)
@pytest_twisted.ensureDeferred
async def test_what_would_be_answered_out_of_proportion_is_refused(cluster: Cluster, what: tuple[str, str]) -> None:
    body = f'<D:propfind xmlns:D="DAV:" {what[1]}</D:propfind>'
    answer = await cluster.ask("PROPFIND", "/", body.encode(), Depth="0")
    assert (answer.code, "out of proportion" in answer.text) == (400, True)


@pytest_twisted.ensureDeferred
async def test_names_of_xml_itself_and_none_at_all_are_answered_well_formed(cluster: Cluster) -> None:
    for asked in ("<xml:a/>", ""):
        body = f'<D:propfind xmlns:D="DAV:"><D:prop>{asked}</D:prop></D:propfind>'
        told = read_multistatus(await cluster.ask("PROPFIND", "/", body.encode(), Depth="0"))
        assert list(told) == ["/"]


@pytest_twisted.ensureDeferred
async def test_a_name_that_xml_cannot_hold_is_answered_well_formed(cluster: Cluster) -> None:
    assert (await lock(cluster, "/%EF%BF%BF")).code == 201
    answer = await cluster.put("/%EF%BF%BF", b"x")
    assert answer.code == 423
    assert ElementTree.fromstring(answer.body).tag == "{DAV:}error"


@pytest_twisted.ensureDeferred
async def test_pages_with_many_names_tell_of_every_member_once(cluster: Cluster) -> None:
    made = {f"/m{number:03}" for number in range(250)}
    for path in made:
        assert (await cluster.ask("MKCOL", path)).code == 201
    names = "".join(f"<a{number:x}/>" for number in range(1500))
    body = f'<D:propfind xmlns:D="DAV:"><D:prop>{names}</D:prop></D:propfind>'
    told = read_multistatus(await cluster.ask("PROPFIND", "/", body.encode(), Depth="1"))
    assert {path.rstrip("/") for path in told} == made | {""}
