"""The console in a real browser: uploads."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.clients.browser import Faults, opened
from tests.clients.console import Console
from tests.clients.relay import Relay
from tests.live.clients import ask, put
from tests.live.local_cluster import FRONT, LocalCluster


@pytest.fixture
def console(console: Console) -> Console:
    """The console, open at the test's own folder."""
    console.open()
    return console


def test_files_are_uploaded_and_show_up(console: Console, place: str, tmp_path: Path) -> None:
    files = {"small.txt": b"small", "large file.bin": os.urandom(5_000_000), "empty": b""}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    console.upload(*[tmp_path / name for name in files])
    for name in files:
        console.becomes(name, "done")
    console.shows("empty", "large file.bin", "small.txt")
    assert [ask(f"{place}/{quote(name)}").body for name in files] == list(files.values())
    expect(console.page.locator(".uploads .title")).to_contain_text("3 files uploaded")


def test_a_folder_is_uploaded_with_all_that_is_in_it(console: Console, place: str, tmp_path: Path) -> None:
    inside = {"a.txt": b"a", "deep/er/b.txt": b"b", "deep/c": b"c"}
    for name, data in inside.items():
        path = tmp_path / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    console.page.get_by_role("button", name="Upload", exact=True).click()
    with console.page.expect_file_chooser() as chooser:
        console.page.get_by_role("menuitem", name="Upload a folder").click()
    chooser.value.set_files(tmp_path / "top")
    expect(console.page.locator(".uploads li[data-state=done]")).to_have_count(3)
    console.shows("top")
    assert [ask(f"{place}/top/{name}").body for name in inside] == list(inside.values())


def test_a_thousand_files_are_dropped_at_once(console: Console, place: str) -> None:
    console.drop({f"file {number:04}": b"%d" % number for number in range(1000)})
    expect(console.page.locator(".uploads .title")).to_contain_text("1,000 files uploaded", timeout=120_000)
    expect(console.page.locator(".foot")).to_contain_text("1,000 files")
    assert console.page.locator(".uploads li").count() < 100
    assert console.rows.count() < 100
    assert [ask(f"{place}/file%20{number:04}").body for number in (0, 999)] == [b"0", b"999"]


def test_the_queue_goes_on_while_one_looks_elsewhere(console: Console, place: str) -> None:
    assert ask(f"{place}/other/", "MKCOL").status == 201
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    console.page.route("**/slow", hold)
    console.open()
    console.drop({"slow": b"slow"})
    console.becomes("slow", "running")
    console.row("other").locator(".name").click()
    expect(console.page.locator(".empty")).to_be_visible()
    console.becomes("slow", "running")
    held[0].continue_()
    console.becomes("slow", "done")
    assert ask(f"{place}/slow").body == b"slow"
    console.page.go_back()
    console.shows("other", "slow")


@pytest.mark.parametrize("size", [10, 3_000_000], ids=["small", "large"])
def test_a_name_that_is_taken_asks(console: Console, place: str, size: int) -> None:
    put(f"{place}/f.txt", b"old")
    new = os.urandom(size)
    console.upload(("f.txt", new))
    console.becomes("f.txt", "asks")
    assert ask(f"{place}/f.txt").body == b"old"
    console.page.get_by_role("button", name="Skip: f.txt").click()
    console.becomes("f.txt", "stopped")
    console.page.get_by_role("button", name="Try again: f.txt").click()
    console.becomes("f.txt", "asks")
    console.page.get_by_role("button", name="Keep both: f.txt").click()
    console.becomes("f (2).txt", "done")
    assert [ask(f"{place}/{name}").body for name in ("f.txt", "f%20(2).txt")] == [b"old", new]
    console.upload(("f.txt", new))
    console.becomes("f.txt", "asks")
    # A version that came meanwhile is asked about again.
    put(f"{place}/f.txt", b"newer")
    replace = console.page.get_by_role("button", name="Replace: f.txt")
    with console.page.expect_response(lambda answer: answer.status == 412):
        replace.click()
    console.becomes("f.txt", "asks")
    assert ask(f"{place}/f.txt").body == b"newer"
    replace.click()
    console.becomes("f.txt", "done")
    assert ask(f"{place}/f.txt").body == new


def test_one_answer_is_enough_for_many_names(console: Console, place: str) -> None:
    for number in range(5):
        put(f"{place}/f{number}", b"old")
    console.drop({f"f{number}": b"new" for number in range(5)})
    expect(console.page.locator(".ask-all")).to_contain_text("5 names are taken")
    console.page.get_by_role("button", name="Replace all").click()
    expect(console.page.locator(".uploads .title")).to_contain_text("5 files uploaded")
    assert {ask(f"{place}/f{number}").body for number in range(5)} == {b"new"}


def test_the_message_of_the_server_is_shown(console: Console, place: str) -> None:
    assert ask(f"{place}/taken/", "MKCOL").status == 201
    console.drop({"n" * 300: b"x", "taken": b"x"})
    expect(console.sent("n" * 300).locator(".upload-state")).to_contain_text("a segment of 300 bytes, 255 are allowed")
    expect(console.sent("taken").locator(".upload-state")).to_contain_text("folder")


def test_a_cut_network_is_said_and_the_upload_can_be_tried_again(console: Console, place: str) -> None:
    console.page.context.set_offline(True)
    console.drop({"f": b"data"})
    console.becomes("f", "failed")
    expect(console.sent("f").locator(".upload-state")).to_have_text("no connection to the server")
    console.page.context.set_offline(False)
    console.page.get_by_role("button", name="Try again: f").click()
    console.becomes("f", "done")
    assert ask(f"{place}/f").body == b"data"


def test_an_upload_that_is_cancelled_stores_nothing(console: Console, place: str) -> None:
    console.page.route("**/f", lambda route: None if route.request.method == "PUT" else route.continue_())
    console.drop({"f": b"data"})
    console.page.get_by_role("button", name="Cancel: f").click()
    expect(console.sent("f").locator(".upload-state")).to_have_text("cancelled; nothing was stored")
    console.page.unroute("**/f")
    assert ask(f"{place}/f").status == 404
    console.page.get_by_role("button", name="Try again: f").click()
    console.becomes("f", "done")


@pytest.mark.parametrize("is_there", [False, True])
def test_an_upload_that_is_cancelled_before_its_first_byte_sends_none(
    console: Console, place: str, is_there: bool
) -> None:
    if is_there:
        put(f"{place}/f", b"old")
    asked: list[Route] = []
    sent: list[str] = []
    page = console.page
    page.route("**/f", lambda route: asked.append(route) if route.request.method == "HEAD" else route.continue_())
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    with page.expect_request(lambda request: request.method == "HEAD" and request.url.endswith("/f")):
        console.drop({"f": bytes(2**20)})
    page.get_by_role("button", name="Cancel: f").click()
    with page.expect_response(lambda response: response.request.method == "HEAD"):
        asked[0].continue_()
    console.drop({"g": b"after it"})
    console.becomes("g", "done")
    console.becomes("f", "stopped")
    assert [url for url in sent if url.endswith("/f")] == []
    assert ask(f"{place}/f").status == (200 if is_there else 404)


def test_an_upload_that_is_cancelled_before_its_question_stays_so(console: Console, place: str) -> None:
    put(f"{place}/f", b"old")
    asked: list[Route] = []
    page = console.page
    page.route("**/f", lambda route: asked.append(route) if route.request.method == "HEAD" else route.continue_())
    with page.expect_request(lambda request: request.method == "HEAD" and request.url.endswith("/f")):
        console.drop({"f": b"new"})
    page.get_by_role("button", name="Cancel: f").click()
    with page.expect_response(lambda response: response.request.method == "HEAD"):
        asked[0].continue_()
    console.drop({"g": b"after it"})
    console.becomes("g", "done")
    console.becomes("f", "stopped")
    assert ask(f"{place}/f").body == b"old"


def test_what_does_not_fit_is_refused_before_its_first_byte(console: Console, place: str) -> None:
    console.page.route("**/api/room?*", lambda route: route.fulfill(json={"used": 10, "available": 3}))
    console.drop({"f": b"data"})
    expect(console.said).to_have_text("4 B do not fit: 3 B are free. Nothing was sent")
    expect(console.page.locator(".uploads")).to_have_count(0)
    assert ask(f"{place}/f").status == 404


LARGE = 24 * 2**20
SLOW = 4 * 2**20


def large(folder: Path) -> tuple[Path, str]:
    """A file that takes some seconds, and its SHA-256."""
    path = folder / "large.bin"
    path.write_bytes(os.urandom(LARGE))
    return path, sha256(path.read_bytes()).hexdigest()


def digest(url: str) -> str:
    return sha256(ask(url).body).hexdigest()


def under_way(console: Console) -> None:
    """Wait until some of the large file is there."""
    expect(console.sent("large.bin").locator(".track > div")).not_to_have_attribute(
        "style", re.compile(r"width: 0(\.\d+)?%")
    )


def test_an_upload_is_paused_and_resumed(console: Console, place: str, tmp_path: Path) -> None:
    path, expected = large(tmp_path)
    console.network(SLOW)
    console.upload(path)
    under_way(console)
    console.page.get_by_role("button", name="Pause: large.bin").click()
    console.becomes("large.bin", "paused")
    assert ask(f"{place}/large.bin").status == 404
    console.network()
    console.page.get_by_role("button", name="Resume: large.bin").click()
    console.becomes("large.bin", "done")
    assert digest(f"{place}/large.bin") == expected


def test_an_upload_goes_on_after_a_reload_when_its_file_is_chosen_again(
    console: Console, place: str, tmp_path: Path
) -> None:
    path, expected = large(tmp_path)
    console.network(SLOW)
    console.upload(path)
    under_way(console)
    console.page.reload()
    console.becomes("large.bin", "left")
    again = console.page.get_by_role("button", name="Choose the file again: large.bin")
    other = tmp_path / "other.bin"
    other.write_bytes(b"x")
    for chosen in (other, path):
        with console.page.expect_file_chooser() as chooser:
            again.click()
        if chosen is path:
            # All but what was there is sent: a PATCH from an offset of more than nothing.
            with console.page.expect_request(lambda request: request.method == "PATCH") as patched:
                chooser.value.set_files(chosen)
            assert int(patched.value.headers["upload-offset"]) > 0
        else:
            chooser.value.set_files(chosen)
            expect(console.sent("large.bin")).to_contain_text("other.bin is another file")
    console.becomes("large.bin", "done")
    assert digest(f"{place}/large.bin") == expected
    console.page.reload()
    expect(console.row("large.bin")).to_be_visible()
    expect(console.page.locator(".uploads")).to_have_count(0)


def test_an_upload_survives_a_lost_network(browser: Browser, place: str, tmp_path: Path, cluster: LocalCluster) -> None:
    path, expected = large(tmp_path)
    relay = Relay(cluster.port)
    relay.mend()
    # The browser tells of each attempt that does not get there.
    with opened(browser, Faults()) as page:
        console = Console(page, place.replace(f":{cluster.port}", f":{relay.port}"))
        console.open()
        console.network(SLOW)
        console.upload(path)
        under_way(console)
        relay.cut()
        console.becomes("large.bin", "lost")
        relay.mend()
        console.becomes("large.bin", "done")
    relay.cut()
    assert digest(f"{place}/large.bin") == expected


def test_an_upload_survives_that_the_front_is_killed_twice(
    console: Console, place: str, tmp_path: Path, cluster: LocalCluster
) -> None:
    path, expected = large(tmp_path)
    console.network(SLOW)
    console.upload(path)
    for _ in range(2):
        under_way(console)
        console.becomes("large.bin", "running")
        cluster.wait_recovered(cluster.kill(FRONT))
    expect(console.sent("large.bin")).to_have_attribute("data-state", "done", timeout=90_000)
    assert digest(f"{place}/large.bin") == expected


def test_a_large_file_whose_name_is_taken_meanwhile_asks_and_is_not_sent_again(
    console: Console, place: str, tmp_path: Path
) -> None:
    path, expected = large(tmp_path)
    console.network(SLOW)
    console.upload(path)
    under_way(console)
    put(f"{place}/large.bin", b"somebody else's")
    console.network()
    console.becomes("large.bin", "asks")
    assert ask(f"{place}/large.bin").body == b"somebody else's"
    sent: list[str] = []
    console.page.on("request", lambda request: sent.append(request.headers.get("upload-offset", "")))
    console.page.get_by_role("button", name="Replace: large.bin").click()
    console.becomes("large.bin", "done")
    assert digest(f"{place}/large.bin") == expected
    assert all(offset != "0" for offset in sent)
