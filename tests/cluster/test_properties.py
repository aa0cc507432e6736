"""PROPFIND, PROPPATCH and MKCOL with properties."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from shutil import disk_usage
from xml.etree import ElementTree

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.multistatus import condition_of, dav, note, noted, propfind, proppatch, read_multistatus

LIVE_OF_FILE = {
    "resourcetype", "creationdate", "getlastmodified", "getcontentlength", "getcontenttype", "getetag", "supportedlock",
    "lockdiscovery",
}  # fmt: skip
LIVE_OF_COLLECTION = {"resourcetype", "creationdate", "getlastmodified", "supportedlock", "lockdiscovery"}
QUOTA = {"quota-available-bytes", "quota-used-bytes"}


def names(*local: str) -> set[str]:
    return {dav(name) for name in local}


@pytest_twisted.ensureDeferred
async def test_all_is_told_of_a_file(cluster: Cluster) -> None:
    put = await cluster.put("/a b", b"12345", Content_Type='text/x-"test"; a=<&>')
    head = await cluster.ask("HEAD", "/a%20b")
    await note(cluster, "/a%20b", "mine")
    found = await propfind(cluster, "/a%20b")
    told = found["/a b"]
    assert set(told.statuses.values()) == {200}
    assert told.found.keys() == names(*LIVE_OF_FILE) | {"{urn:test}note"}
    assert told.text("getetag") == put.header("ETag")
    assert told.text("getlastmodified") == head.header("Last-Modified")
    assert told.text("getcontentlength") == "5"
    assert told.text("getcontenttype") == 'text/x-"test"; a=<&>'
    created = datetime.fromisoformat(str(told.text("creationdate")))
    assert created == parsedate_to_datetime(str(head.header("Last-Modified")))
    assert list(told.found[dav("resourcetype")]) == []
    scopes = [scope[0].tag for scope in told.found[dav("supportedlock")].iter(dav("lockscope"))]
    assert scopes == [dav("exclusive"), dav("shared")]


@pytest_twisted.ensureDeferred
async def test_all_is_told_of_a_collection(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/c")
    for path in ("/c", "/c/"):
        answer = await cluster.ask("PROPFIND", path, Depth="0")
        told = read_multistatus(answer)["/c/"]
        assert told.found.keys() == names(*LIVE_OF_COLLECTION)
        assert [each.tag for each in told.found[dav("resourcetype")]] == [dav("collection")]
        assert answer.header("Content-Location") == (None if path == "/c/" else "/c/")


@pytest_twisted.ensureDeferred
async def test_names_alone_are_told_where_that_is_asked_for(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    await note(cluster, "/file", "mine")
    body = b'<x:propfind xmlns:x="DAV:"><x:propname/></x:propfind>'
    told = read_multistatus(await cluster.ask("PROPFIND", "/file", body, Depth="0"))["/file"]
    assert told.found.keys() == names(*LIVE_OF_FILE) | {"{urn:test}note"}
    assert all(element.text is None and not list(element) for element in told.found.values())


@pytest_twisted.ensureDeferred
async def test_what_is_not_there_is_told_beside_what_is(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    told = (await propfind(cluster, "/file", "getetag", "quota-used-bytes", "nothing"))["/file"]
    assert told.statuses == {dav("getetag"): 200, dav("quota-used-bytes"): 404, dav("nothing"): 404}


@pytest_twisted.ensureDeferred
async def test_the_room_on_a_disk_that_nodes_share_counts_once(cluster: Cluster) -> None:
    told = (await propfind(cluster, "/", "quota-available-bytes"))["/"]
    free = disk_usage(cluster.nodes[0].folder).free
    assert int(str(told.text("quota-available-bytes"))) < 2 * free  # others write to it meanwhile


@pytest_twisted.ensureDeferred
async def test_a_quota_is_told_to_those_who_ask_for_it(cluster: Cluster) -> None:
    await cluster.put("/file", bytes(1234))
    told = (await propfind(cluster, "/", *QUOTA))["/"]
    assert told.text("quota-used-bytes") == "1234"
    assert int(str(told.text("quota-available-bytes"))) > 1_000_000
    body = (
        b'<D:propfind xmlns:D="DAV:"><D:allprop/><D:include><D:quota-used-bytes/><D:nothing/></D:include></D:propfind>'
    )
    told = read_multistatus(await cluster.ask("PROPFIND", "/", body, Depth="0"))["/"]
    assert told.statuses[dav("quota-used-bytes")] == 200
    assert told.statuses[dav("nothing")] == 404
    assert told.statuses[dav("resourcetype")] == 200


@pytest_twisted.ensureDeferred
async def test_depth_says_how_much_is_told(cluster: Cluster) -> None:
    for path in ("/c", "/c/d", "/c/d/e"):
        await cluster.ask("MKCOL", path)
        await cluster.put(f"{path}/f", b"x")
    assert (await propfind(cluster, "/c", "getetag", depth="0")).keys() == {"/c/"}
    assert (await propfind(cluster, "/c", "getetag", depth="1")).keys() == {"/c/", "/c/d/", "/c/f"}
    everything = {"/c/", "/c/d/", "/c/f", "/c/d/e/", "/c/d/f", "/c/d/e/f"}
    assert (await propfind(cluster, "/c", "getetag", depth="Infinity")).keys() == everything
    assert read_multistatus(await cluster.ask("PROPFIND", "/c")).keys() == everything
    for depth in ("1", "infinity"):
        assert (await propfind(cluster, "/c/f", "getetag", depth=depth)).keys() == {"/c/f"}
    assert (await cluster.ask("PROPFIND", "/c", Depth="2")).code == 400


@pytest_twisted.ensureDeferred
async def test_a_long_collection_is_told_whole(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/c")
    expected = {f"/c/n{number:04}/" for number in range(450)}
    for path in sorted(expected):
        assert (await cluster.ask("MKCOL", path)).code == 201
    for depth in ("1", "infinity"):
        assert (await propfind(cluster, "/c", "resourcetype", depth=depth)).keys() == expected | {"/c/"}


@pytest_twisted.ensureDeferred
async def test_what_is_not_there_cannot_be_asked_or_told_of(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    for path in ("/missing", "/file/", "/file/x"):
        assert (await cluster.ask("PROPFIND", path, Depth="0")).code == 404
        assert (await proppatch(cluster, path, "<D:set><D:prop><t:a/></D:prop></D:set>")).code == 404


def canonical(element: ElementTree.Element) -> str:
    return ElementTree.canonicalize(ElementTree.tostring(element, encoding="unicode"))


VALUES = [
    "<t:a>text</t:a>",
    "<t:a/>",
    "<a>in no namespace</a>",
    '<b xmlns="urn:other">in another</b>',
    '<t:a xml:lang="de">Gr\u00fc\u00dfe \U0001f600</t:a>',
    "<t:a>&lt;&amp;&gt;&#13;&#9;&quot; ]]&gt;</t:a>",
    '<t:a t:b="&lt;&quot;&#10;&#13;&#9;\'" c="d"/>',
    '<t:a>one <t:b/>two<c xmlns="urn:c"><t:d x="y">three</t:d><e xmlns=""/></c> four</t:a>',
    '<q:a xmlns:q="urn:q"><q:b xmlns:q="urn:r"><q:c/></q:b><q:d/></q:a>',
    "<t:a><![CDATA[<not an element>]]><!-- not kept --></t:a>",
    "<t:\u00fcml\u00e4ut>x</t:\u00fcml\u00e4ut>",
]


@pytest.mark.parametrize("restart", [False, True])
@pytest_twisted.ensureDeferred
async def test_properties_come_back_as_they_were_sent(cluster: Cluster, restart: bool) -> None:
    await cluster.ask("MKCOL", "/c")
    for number, value in enumerate(VALUES):
        await cluster.put(f"/c/{number}", b"x")
        answer = await proppatch(cluster, f"/c/{number}", f"<D:set><D:prop>{value}</D:prop></D:set>")
        assert set(read_multistatus(answer)[f"/c/{number}"].statuses.values()) == {200}, value
    if restart:
        await cluster.restart_front()
    told = await propfind(cluster, "/c", depth="1")
    for number, value in enumerate(VALUES):
        wrapped = ElementTree.fromstring(f'<w xmlns:D="DAV:" xmlns:t="urn:test">{value}</w>')[0]
        found = told[f"/c/{number}"].found[wrapped.tag]
        assert canonical(found) == canonical(wrapped)


@pytest_twisted.ensureDeferred
async def test_the_prefixes_and_the_language_around_a_property_are_kept(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    inner = '<D:set xml:lang="fr"><D:prop><t:a xmlns:v="urn:v">v:qualified</t:a></D:prop></D:set>'
    await proppatch(cluster, "/file", inner)
    text = (await cluster.ask("PROPFIND", "/file", Depth="0")).text
    assert "<t:a " in text
    assert 'xmlns:v="urn:v"' in text
    assert 'xml:lang="fr"' in text


@pytest_twisted.ensureDeferred
async def test_instructions_are_followed_in_their_order(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    inner = (
        "<D:set><D:prop><t:a>1</t:a><t:b>1</t:b></D:prop></D:set>"
        "<D:remove><D:prop><t:a/><t:c/></D:prop></D:remove>"
        "<D:set><D:prop><t:b>2</t:b></D:prop></D:set>"
    )
    answer = await proppatch(cluster, "/file", inner, Depth="1")  # which has no meaning here
    assert read_multistatus(answer)["/file"].statuses == dict.fromkeys(
        ["{urn:test}a", "{urn:test}b", "{urn:test}c"], 200
    )
    told = (await propfind(cluster, "/file"))["/file"]
    assert "{urn:test}a" not in told.found
    assert told.found["{urn:test}b"].text == "2"


@pytest_twisted.ensureDeferred
async def test_what_is_the_servers_own_cannot_be_set_and_nothing_beside_it_is(cluster: Cluster) -> None:
    etag = (await cluster.put("/file", b"x")).header("ETag")
    inner = "<D:set><D:prop><t:note>x</t:note><D:getetag>y</D:getetag></D:prop></D:set>"
    answer = await proppatch(cluster, "/file", inner)
    assert read_multistatus(answer)["/file"].statuses == {dav("getetag"): 403, "{urn:test}note": 424}
    assert b"<D:cannot-modify-protected-property/>" in answer.body
    told = (await propfind(cluster, "/file", "getetag"))["/file"]
    assert told.text("getetag") == etag
    assert await noted(cluster, "/file") is None


@pytest_twisted.ensureDeferred
async def test_a_display_name_is_the_clients(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    await proppatch(cluster, "/file", "<D:set><D:prop><D:displayname>A name</D:displayname></D:prop></D:set>")
    assert (await propfind(cluster, "/file", "displayname"))["/file"].text("displayname") == "A name"


@pytest_twisted.ensureDeferred
async def test_properties_stay_with_a_file_that_is_replaced_and_go_with_one_that_is_deleted(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    await note(cluster, "/file", "mine")
    await note(cluster, "/", "the root's")
    await cluster.put("/file", b"y")
    assert [await noted(cluster, path) for path in ("/file", "/")] == ["mine", "the root's"]
    await cluster.ask("DELETE", "/file")
    await cluster.put("/file", b"z")
    assert await noted(cluster, "/file") is None


@pytest_twisted.ensureDeferred
async def test_a_file_keeps_so_many_properties_and_no_more(cluster: Cluster) -> None:
    await cluster.put("/file", b"x")
    inner = "<D:set><D:prop><t:{}>{}</t:{}></D:prop></D:set>"
    assert (await proppatch(cluster, "/file", inner.format("a", "x" * 40_000, "a"))).code == 207
    assert (await proppatch(cluster, "/file", inner.format("b", "x" * 40_000, "b"))).code == 507
    assert (await proppatch(cluster, "/file", inner.format("a", "x", "a"))).code == 207


MKCOL = (
    '<D:mkcol xmlns:D="DAV:"><D:set><D:prop><D:resourcetype>{}</D:resourcetype>'
    "<D:displayname>{}</D:displayname></D:prop></D:set></D:mkcol>"
)


@pytest_twisted.ensureDeferred
async def test_a_collection_is_made_with_properties(cluster: Cluster) -> None:
    body = MKCOL.format("<D:collection/>", "A name").encode()
    answer = await cluster.ask("MKCOL", "/c", body, Content_Type="application/xml; charset=utf-8")
    assert answer.code == 201
    await cluster.restart_front()
    told = (await propfind(cluster, "/c", "displayname", "resourcetype"))["/c/"]
    assert told.text("displayname") == "A name"
    assert len(told.found[dav("resourcetype")]) == 1


@pytest_twisted.ensureDeferred
async def test_no_collection_is_made_of_what_is_not_understood(cluster: Cluster) -> None:
    for body, kind, code in [
        (MKCOL.format("<D:collection/><t:calendar xmlns:t='urn:t'/>", "x"), "text/xml", 403),
        (MKCOL.format("<D:collection/>", "x").replace("displayname", "getetag"), "text/xml", 403),
        (MKCOL.format("<D:collection/>", "x"), "text/plain", 415),
        ("<wrong/>", "text/xml", 400),
        ("x", "", 415),
    ]:
        answer = await cluster.ask("MKCOL", "/c", body.encode(), Content_Type=kind)
        assert answer.code == code, body
    wrong = await cluster.ask("MKCOL", "/c", MKCOL.format("", "x").encode(), Content_Type="text/xml")
    assert condition_of(wrong) == ("valid-resourcetype", [])
    assert (await cluster.get("/c")).code == 404
