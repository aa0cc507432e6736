"""Reads multi-status answers, and writes the requests for them."""

from __future__ import annotations

from urllib.parse import unquote
from xml.etree import ElementTree

import attrs

from tests.cluster.cluster import Answer, Cluster


@attrs.define
class Told:
    """The part of an answer about one resource.

    :ivar status: the status of the resource as a whole; 0 if it has none.
    :ivar found: the elements of the properties that it has, by name.
    :ivar statuses: the status of each property.
    """

    status: int = 0
    found: dict[str, ElementTree.Element] = attrs.Factory(dict)
    statuses: dict[str, int] = attrs.Factory(dict)

    def text(self, name: str) -> str | None:
        return self.found[dav(name)].text


def dav(name: str) -> str:
    return f"{{DAV:}}{name}"


def read_multistatus(answer: Answer) -> dict[str, Told]:
    """Return the contents of an answer, by path; the paths of collections end in a slash."""
    assert answer.code == 207, answer
    assert answer.header("Content-Type") == "application/xml; charset=utf-8"
    told: dict[str, Told] = {}
    for response in ElementTree.fromstring(answer.body).iter(dav("response")):
        [href] = response.findall(dav("href"))
        path = unquote(href.text or "", errors="strict")
        assert path not in told, f"{path} twice"
        told[path] = each = Told()
        for status in response.findall(dav("status")):
            each.status = status_of(status)
        for propstat in response.findall(dav("propstat")):
            status = status_of(propstat.findall(dav("status"))[0])
            for element in propstat.findall(f"{dav('prop')}/*"):
                each.statuses[element.tag] = status
                if status == 200:
                    each.found[element.tag] = element
    return told


def status_of(element: ElementTree.Element) -> int:
    return int((element.text or "").split()[1])


async def propfind(cluster: Cluster, path: str, *names: str, depth: str = "0", **headers: str) -> dict[str, Told]:
    """Request properties in the namespace DAV:; all of them if no name is given."""
    asked = "".join(f"<D:{name}/>" for name in names)
    body = f'<D:propfind xmlns:D="DAV:"><D:prop>{asked}</D:prop></D:propfind>' if names else None
    return read_multistatus(await cluster.ask("PROPFIND", path, body and body.encode(), Depth=depth, **headers))


async def proppatch(cluster: Cluster, path: str, inner: str, **headers: str) -> Answer:
    body = f'<D:propertyupdate xmlns:D="DAV:" xmlns:t="urn:test">{inner}</D:propertyupdate>'
    return await cluster.ask("PROPPATCH", path, body.encode(), **headers)


async def note(cluster: Cluster, path: str, text: str) -> None:
    """Set the property `note` in the namespace urn:test."""
    answer = await proppatch(cluster, path, f"<D:set><D:prop><t:note>{text}</t:note></D:prop></D:set>")
    assert read_multistatus(answer).popitem()[1].statuses == {"{urn:test}note": 200}


async def noted(cluster: Cluster, path: str) -> str | None:
    """Return the value of that property; None if it is not set."""
    answer = await cluster.ask(
        "PROPFIND",
        path,
        b'<propfind xmlns="DAV:"><prop><note xmlns="urn:test"/></prop></propfind>',
        Depth="0",
    )
    found = read_multistatus(answer).popitem()[1].found.get("{urn:test}note")
    return None if found is None else found.text


async def lock(
    cluster: Cluster, path: str, *, scope: str = "exclusive", owner: str = "<D:href>me</D:href>", **headers: str
) -> Answer:
    body = (
        f'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
        f"<D:locktype><D:write/></D:locktype><D:owner>{owner}</D:owner></D:lockinfo>"
    )
    return await cluster.ask("LOCK", path, body.encode(), **headers)


def token_of(answer: Answer) -> str:
    """Return the token of the lock that an answer grants."""
    assert answer.code in {200, 201}, answer
    return str(answer.header("Lock-Token")).strip("<>")


def condition_of(answer: Answer) -> tuple[str, list[str]]:
    """Return the failed condition in an answer, and the URLs that it names."""
    error = ElementTree.fromstring(answer.body)
    assert error.tag == dav("error")
    failed = error[0]
    return failed.tag.removeprefix("{DAV:}"), [href.text or "" for href in failed.iter(dav("href"))]
