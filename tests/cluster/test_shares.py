"""Links: they show files or take them, with the rights of the user who made them, and end with these."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest_twisted

from tests.cluster.cluster import Answer, Cluster
from tests.cluster.waiting import becomes, eventually
from tests.users import ANNA, NORA, RITA, ROOT, WILMA, basic

API = "/.splitd/api/shares"


@pytest_twisted.async_yield_fixture
async def guarded(make_guarded: Callable[..., Awaitable[Cluster]]) -> AsyncIterator[Cluster]:
    """A started cluster with the users of `write_users`, and files in /anna, each with its path in it."""
    cluster = await make_guarded("/anna", "/anna/secret", "/anna/d", "/anna/d/deep", "/in")
    for path in ("/anna/a.txt", "/anna/secret/s", "/anna/d/<b>.txt", "/anna/d/deep/x", "/in/old.txt", "/f"):
        assert (await cluster.put(path.replace("<b>", "%3Cb%3E"), path.encode(), authorization=ROOT)).code == 201
    yield cluster


async def share(cluster: Cluster, path: str, caller: str = ANNA, code: int = 201, **wanted: Any) -> Any:
    """Make a link; return what is told of it."""
    login = {"authorization": caller} if caller else {}
    answer = await cluster.ask("POST", API, json.dumps({"path": path, **wanted}).encode(), **login)
    assert answer.code == code, answer
    return json.loads(answer.body)


async def listed(cluster: Cluster, caller: str, query: str = "") -> list[Any]:
    answer = await cluster.get(API + query, authorization=caller)
    assert answer.code == 200, answer
    return list(json.loads(answer.body)["shares"])


async def reload(cluster: Cluster) -> None:
    """Let the front read the file of the users."""
    assert (await cluster.ask("POST", f"{cluster.admin_url}/reload", authorization=ROOT)).code == 200


def is_page(answer: Answer) -> bool:
    return answer.code == 200 and (answer.header("Content-Type") or "").startswith("text/html")


@pytest_twisted.ensureDeferred
async def test_a_collection_is_shown_without_a_login(guarded: Cluster) -> None:
    url = (await share(guarded, "/anna"))["url"]
    page = await guarded.get(url)
    assert is_page(page)
    assert "a.txt" in page.text
    assert "secret" not in page.text  # its maker may not see it either
    assert "<script" not in page.text
    assert "default-src 'none'" in (page.header("Content-Security-Policy") or "")
    assert page.header("Referrer-Policy") == "no-referrer"
    inner = await guarded.get(f"{url}/d/")
    assert "&lt;b&gt;.txt" in inner.text
    assert "<b>" not in inner.text
    assert (await guarded.get(f"{url}/d/%3Cb%3E.txt")).body == b"/anna/d/<b>.txt"
    assert (await guarded.get(f"{url}/d/deep/x", Range="bytes=1-4")).body == b"anna"
    for hidden in ("/secret/s", "/secret/", "/nothing", "/../f", "/%2e%2e/f", "/d/../../f", "//f"):
        assert (await guarded.get(url + hidden)).code in {400, 404}
    archive = await guarded.get(f"{url}/?zip")
    with zipfile.ZipFile(io.BytesIO(archive.body)) as found:
        assert sorted(found.namelist()) == ["a.txt", "d/", "d/<b>.txt", "d/deep/", "d/deep/x"]
    for method in ("PUT", "DELETE", "POST", "PROPFIND"):
        assert (await guarded.ask(method, f"{url}/a.txt", b"x")).code == 405
    assert (await guarded.ask("HEAD", f"{url}/a.txt")).header("Content-Length") == "11"


@pytest_twisted.ensureDeferred
async def test_a_collection_is_shown_in_the_order_in_which_people_look_for_names(guarded: Cluster) -> None:
    for name in ("d/day10", "d/day2", "d/Day1"):
        assert (await guarded.put(f"/anna/{name}", b"x", authorization=ROOT)).code == 201
    url = (await share(guarded, "/anna"))["url"]
    inner = (await guarded.get(f"{url}/d/")).text
    at = [inner.index(f"<bdi>{name}</bdi>") for name in ("deep", "Day1", "day2", "day10")]
    assert at == sorted(at)
    assert f'<a href="{url}/"><bdi>anna</bdi></a>' in inner  # the way back


@pytest_twisted.ensureDeferred
async def test_pages_are_in_the_language_of_their_readers(guarded: Cluster) -> None:
    url = (await share(guarded, "/in", WILMA, mode="upload"))["url"]
    for accepted, text in (
        ("ru-RU, en;q=0.5", "Отправить файлы"),
        ("de, ru;q=0.3, en;q=0.5", "Send files"),
        ("", "Send"),
    ):
        assert text in (await guarded.get(url, accept_language=accepted)).text


@pytest_twisted.ensureDeferred
async def test_a_browser_gets_refusals_as_pages_and_programs_as_text(guarded: Cluster) -> None:
    made = await share(guarded, "/anna", downloads=1)
    assert (await guarded.get(f"{made['url']}/a.txt")).code == 200
    browser = {"accept": "text/html,*/*;q=0.8", "accept_language": "ru"}
    used = await guarded.get(f"{made['url']}/a.txt", **browser)
    assert (used.code, "Ссылкой воспользовались" in used.text) == (410, True)
    assert used.header("X-Content-Type-Options") == "nosniff"
    assert (await guarded.ask("DELETE", f"{API}/{made['id']}", authorization=ANNA)).code == 204
    gone = await guarded.get(made["url"], **browser)
    assert (gone.code, "<h1>" in gone.text, "anna" in gone.text) == (404, True, False)
    plain = await guarded.get(made["url"])
    assert (plain.code, plain.header("Content-Type")) == (404, "text/plain; charset=utf-8")


@pytest_twisted.ensureDeferred
async def test_a_link_for_less_than_a_moment_has_an_end(guarded: Cluster) -> None:
    made = await share(guarded, "/anna/a.txt", days=1e-9)
    assert made["ends_ms"] is not None
    assert (await guarded.get(made["url"])).code == 404


@pytest_twisted.ensureDeferred
async def test_a_file_is_shared_alone(guarded: Cluster) -> None:
    url = (await share(guarded, "/anna/a.txt"))["url"]
    page = await guarded.get(url)
    assert is_page(page)
    assert f'href="{url}/a.txt" download' in page.text
    assert (await guarded.get(f"{url}/a.txt")).body == b"/anna/a.txt"
    for other in ("/d", "/secret", "/x"):
        assert (await guarded.get(url + other)).code == 404


@pytest_twisted.ensureDeferred
async def test_a_link_to_leave_files_shows_nothing_of_what_is_there(guarded: Cluster) -> None:
    url = (await share(guarded, "/in", WILMA, mode="upload"))["url"]
    page = await guarded.get(url)
    assert is_page(page)
    assert 'type="file"' in page.text
    assert "old.txt" not in page.text
    for there in ("/old.txt", "/old.txt/", "/?zip", "/new.txt"):
        answer = await guarded.get(url + there)
        assert "old" not in answer.text
        assert answer.code == 404 or is_page(answer)
    answers = [await guarded.ask("PUT", f"{url}/{name}", b"sent") for name in ("old.txt", "new.txt", "new.txt")]
    assert [(each.code, each.body, each.header("ETag"), each.header("Location")) for each in answers] == [
        (201, b"", None, None)
    ] * 3
    names = json.loads((await guarded.get("/in/", authorization=ROOT, accept="application/json")).body)["members"]
    assert [each["name"] for each in names] == ["new (2).txt", "new.txt", "old (2).txt", "old.txt"]
    assert (await guarded.get("/in/old.txt", authorization=ROOT)).body == b"/in/old.txt"
    for bad in ("/a/b", "/..", f"/{'x' * 300}"):
        refused = await guarded.ask("PUT", url + bad, b"x")
        assert refused.code in {400, 404, 405}
        assert "/in" not in refused.text
    assert (await guarded.ask("DELETE", f"{url}/new.txt")).code in {404, 405}


@pytest_twisted.ensureDeferred
async def test_files_of_one_name_that_are_left_at_the_same_time_are_all_stored(guarded: Cluster) -> None:
    url = (await share(guarded, "/in", WILMA, mode="upload"))["url"]
    other = (await share(guarded, "/in", WILMA, mode="upload"))["url"]
    clients = [await guarded.connect() for _ in range(3)]
    for client, link in zip(clients, (url, other, url), strict=True):
        client.begin("PUT", f"{link}/photo.jpg", "Content-Length: 3", "Expect: 100-continue")
        assert (await client.answer()).code == 100
    clients.pop().leave()
    for number, client in enumerate(clients):
        client.send(b"%03d" % number)
        assert (await client.answer()).code == 201
    found = [(await guarded.get(f"/in/{name}", authorization=ROOT)).body for name in ("photo.jpg", "photo%20(2).jpg")]
    assert found == [b"000", b"001"]

    async def has_freed_its_name() -> bool:
        """Whether the name is free that the client which left would have had."""
        assert (await guarded.ask("PUT", f"{url}/photo.jpg", b"new")).code == 201
        return (await guarded.get("/in/photo%20(3).jpg", authorization=ROOT)).code == 200

    await becomes(has_freed_its_name, "the name of the upload that broke off is free")


async def under_way(cluster: Cluster) -> bool:
    status = await cluster.get(f"{cluster.admin_url}/status", authorization=ROOT)
    return bool(json.loads(status.body)["uploads"]["under_way"])


def form(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """The body and the type of a form with files."""
    parts = [
        b'--limit\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n'
        b"Content-Type: text/plain\r\n\r\n%b\r\n" % (name.encode(), data)
        for name, data in files
    ]
    return b"".join([*parts, b"--limit--\r\n"]), "multipart/form-data; boundary=limit"


@pytest_twisted.ensureDeferred
async def test_files_are_left_by_a_form_without_scripts(guarded: Cluster) -> None:
    url = (await share(guarded, "/in", WILMA, mode="upload"))["url"]
    large = bytes(range(256)) * 8000
    body, kind = form(("C:\\photos\\a.bin", large), ("", b""), ("old.txt", b"other"), ("../../f", b"up"))
    sent = await guarded.ask("POST", url, body, content_type=kind)
    assert is_page(sent)
    assert "3 files were stored" in sent.text
    assert (await guarded.get("/in/a.bin", authorization=ROOT)).body == large
    assert (await guarded.get("/in/old%20(2).txt", authorization=ROOT)).body == b"other"
    assert (await guarded.get("/in/f", authorization=ROOT)).body == b"up"
    assert (await guarded.get("/f", authorization=ROOT)).body == b"/f"
    for wrong, code in ((kind.replace("limit", "other"), 400), ("text/plain", 415), ("multipart/form-data", 415)):
        assert (await guarded.ask("POST", url, body, content_type=wrong)).code == code
    client = await guarded.connect()
    client.begin("POST", url, f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    client.send(body[:1_000_000])
    await becomes(lambda: under_way(guarded), "an upload is under way")
    client.leave()

    async def ended() -> bool:
        return not await under_way(guarded)

    await becomes(ended, "no upload is under way")
    assert (await guarded.get("/in/a%20(2).bin", authorization=ROOT)).code == 404


@pytest_twisted.ensureDeferred
async def test_a_password_opens_a_link(guarded: Cluster) -> None:
    url = (await share(guarded, "/anna", password="sesame"))["url"]
    asked = await guarded.get(f"{url}/a.txt")
    assert is_page(asked)
    assert 'type="password"' in asked.text
    assert "a.txt" not in re.sub(r'action="[^"]*"', "", asked.text)
    form_type = "application/x-www-form-urlencoded"
    wrong = await guarded.ask("POST", url, b"password=other", content_type=form_type)
    assert (wrong.code, "wrong" in wrong.text) == (403, True)
    refused = await guarded.get(f"{url}/a.txt", authorization=basic("x", "no"))
    assert (refused.code, (refused.header("WWW-Authenticate") or "")[:5]) == (401, "Basic")
    assert (await guarded.get(f"{url}/a.txt", authorization=basic("x", "sesame"))).body == b"/anna/a.txt"
    assert is_page(await guarded.get(f"{url}/a.txt"))
    right = await guarded.ask("POST", url, b"password=sesame", content_type=form_type)
    assert (right.code, right.header("Location")) == (303, url)
    cookie = right.header("Set-Cookie") or ""
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    sent = cookie.partition(";")[0]
    assert (await guarded.get(f"{url}/a.txt", cookie=sent)).body == b"/anna/a.txt"
    other = (await share(guarded, "/anna/d", password="sesame"))["url"]
    assert is_page(await guarded.get(f"{other}/deep/x", cookie=sent.replace(url[-39:-23], other[-39:-23])))
    codes = {(await guarded.ask("POST", other, b"password=%d" % n, content_type=form_type)).code for n in range(30)}
    assert 429 in codes
    assert [each["password"] for each in await listed(guarded, ANNA)] == [True, True]
    assert "sesame" not in json.dumps(await listed(guarded, ANNA))


@pytest_twisted.ensureDeferred
async def test_downloads_are_limited(guarded: Cluster) -> None:
    made = await share(guarded, "/anna", downloads=2)
    url = made["url"]
    assert is_page(await guarded.get(url))  # a look is none
    assert (await guarded.get(f"{url}/a.txt", Range="bytes=1-")).code == 200
    await guarded.restart_front()
    assert (await guarded.get(f"{url}/?zip")).code == 200
    for path in ("/a.txt", "/?zip", "/d/deep/x"):
        assert (await guarded.get(url + path)).code == 410
    [told] = await listed(guarded, ANNA)
    assert (told["downloads"], told["downloads_used"]) == (2, 2)


@pytest_twisted.ensureDeferred
async def test_a_link_ends(guarded: Cluster) -> None:
    kept, gone = [await share(guarded, "/anna/a.txt", days=days) for days in (1, None)]
    # The two are read one after the other, from clocks of which only one may be set.
    assert round((kept["ends_ms"] - kept["made_ms"]) / 3_600_000, 1) == 24
    assert gone["ends_ms"] is None
    assert {each["id"] for each in await listed(guarded, ANNA)} == {kept["id"], gone["id"]}
    assert await listed(guarded, WILMA) == []
    assert len(await listed(guarded, ROOT, "?all=1")) == 2
    assert (await guarded.get(f"{API}?all=1", authorization=WILMA)).code == 403
    for caller, code in ((WILMA, 404), (NORA, 404), (ANNA, 204), (ANNA, 404)):
        assert (await guarded.ask("DELETE", f"{API}/{gone['id']}", authorization=caller)).code == code
    assert (await guarded.get(gone["url"])).code == 404
    assert is_page(await guarded.get(kept["url"]))
    assert (await guarded.ask("DELETE", f"{API}/{kept['id']}", authorization=ROOT)).code == 204
    assert (await guarded.get(kept["url"])).code == 404


@pytest_twisted.ensureDeferred
async def test_a_link_ends_with_the_rights_of_its_maker(guarded: Cluster) -> None:
    url = (await share(guarded, "/anna"))["url"]
    into = (await share(guarded, "/anna", mode="upload"))["url"]
    assert guarded.users is not None
    text = guarded.users.read_text()
    without = text.replace("{path: /anna, allow: [read, write]}", "{path: /anna, allow: []}")
    for changed in (without, text.replace("  anna:", "  other:")):
        guarded.users.write_text(changed)
        await reload(guarded)
        assert (await guarded.get(url)).code == 404
        assert (await guarded.get(f"{url}/a.txt")).code == 404
        assert (await guarded.ask("PUT", f"{into}/new", b"x")).code == 404
    guarded.users.write_text(text)
    await reload(guarded)
    assert is_page(await guarded.get(url))


@pytest_twisted.ensureDeferred
async def test_links_that_nobody_signed_are_none(guarded: Cluster) -> None:
    url = (await share(guarded, "/anna"))["url"]
    token = url.rpartition("/")[2]
    share_id, _, signature = token.partition(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    for forged in (share_id, f"{share_id}.", f"{share_id}.{flipped}", f"{share_id}.{signature}x", "x", "", "."):
        assert (await guarded.get(f"/.splitd/s/{forged}")).code == 404
    assert (await guarded.get(url)).code == 200


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_shared_is_refused(guarded: Cluster) -> None:
    for caller, path, wanted, code in (
        ("", "/anna", {}, 401),
        (NORA, "/anna", {}, 404),
        (ANNA, "/nothing", {}, 404),
        (ANNA, "/anna/secret", {}, 404),
        (RITA, "/in", {"mode": "upload"}, 403),
        (ANNA, "/anna/a.txt", {"mode": "upload"}, 403),
        (ANNA, "/anna", {"mode": "other"}, 400),
        (ANNA, "/anna", {"days": 0}, 400),
        (ANNA, "/anna", {"downloads": 0}, 400),
        (ANNA, "/anna", {"mode": "upload", "downloads": 1}, 400),
        (ANNA, "/anna", {"more": 1}, 400),
        (ANNA, "/anna", {"password": "x" * 2000}, 400),
        (ANNA, "/anna", {"password": "\x07"}, 400),
        (ANNA, "/anna", {"password": "\ud800"}, 400),
        (ANNA, "/\ud800", {}, 400),
        (ANNA, "anna", {}, 400),
    ):
        await share(guarded, path, caller, code, **wanted)
    body = json.dumps({"path": "/anna"}).encode()
    foreign = await guarded.ask("POST", API, body, authorization=ANNA, origin="https://evil.example")
    assert foreign.code == 403
    assert await listed(guarded, ROOT, "?all=1") == []


@pytest_twisted.ensureDeferred
async def test_without_users_everybody_makes_links(cluster: Cluster) -> None:
    assert (await cluster.put("/f", b"x")).code == 201
    url = (await share(cluster, "/f", ""))["url"]
    assert (await cluster.get(f"{url}/f")).body == b"x"
    await cluster.restart_front()
    assert (await cluster.get(f"{url}/f")).body == b"x"


@pytest_twisted.ensureDeferred
async def test_the_logs_do_not_have_the_secret_of_a_link(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    cluster = make_cluster(access_log=str(log))
    await cluster.start()
    assert (await cluster.put("/f", b"x")).code == 201
    url = (await share(cluster, "/f", ""))["url"]
    assert (await cluster.get(f"{url}/f")).code == 200
    for page in (cluster.url(url), cluster.url("/.splitd/oidc/back?code=secret")):  # that leads to something else
        assert (await cluster.get("/f", Referer=page)).code == 200
    await eventually(lambda: log.exists() and "oidc/back?-" in log.read_text(), "the lines")
    assert log.read_text().count("/.splitd/s/") == 2
    assert url.rpartition(".")[2] not in log.read_text()
    assert "secret" not in log.read_text()
