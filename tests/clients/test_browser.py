"""The plain page about a collection in a real browser: the list, the uploads, and names that would like to run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.clients.browser import Faults, opened
from tests.live.clients import ask, put

EVIL = [
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(2)" x="',
    "' onclick='alert(3)'",
    "javascript:alert(4)",
    "data:text,alert(5)",
    "<script>alert(6)",
    "&lt;b&gt; &amp; %41 %",
    "a?b#c",
    " two  spaces ",
    "\u202egpj.exe",
    "ünï 文 😀",
]
PHONE = {"viewport": {"width": 360, "height": 640}}


@pytest.fixture
def page(browser: Browser, faults: Faults, place: str) -> Iterator[Page]:
    """The page about the test's own collection."""
    with opened(browser, faults, f"{place}/?plain") as each:
        yield each


def listed(page: Page) -> list[str]:
    """The names in the list, without the link to the parent."""
    return page.locator("tbody tr:not(.u) a").all_text_contents()


def upload(page: Page, *files: Any) -> None:
    """Choose files in the upload control: paths, or names with their bytes."""
    chosen = [
        {"name": each[0], "mimeType": "", "buffer": each[1]} if isinstance(each, tuple) else each for each in files
    ]
    page.get_by_label("Choose files").set_input_files(chosen)


def line(page: Page, name: str) -> Any:
    """The line of an upload."""
    return page.locator("#sent li").filter(has=page.get_by_text(name, exact=True))


def test_collections_come_first_and_file2_before_file10(page: Page, place: str) -> None:
    for name in ("file10", "file2", "File3", "éclair", "eclipse"):
        put(f"{place}/{quote(name)}", b"x" * 2048)
    for name in ("zebra", "Alpha"):
        assert ask(f"{place}/{name}/", "MKCOL").status == 201
    page.reload()
    assert listed(page) == ["Alpha/", "zebra/", "éclair", "eclipse", "file2", "File3", "file10"]
    expect(page.locator(".sum")).to_have_text("2 collections and 5 files, 10.0 KiB")
    expect(page.get_by_role("row", name="file2").get_by_role("cell").nth(1)).to_have_attribute("title", "2,048 bytes")
    assert page.get_by_role("columnheader").all_text_contents() == ["Name", "Size", "Modified"]
    page.get_by_role("link", name="zebra/").click()
    page.get_by_role("link", name="..", exact=True).click()
    assert page.url == f"{place}/?plain"


def test_times_are_those_of_the_reader(browser: Browser, faults: Faults, page: Page, place: str) -> None:
    put(f"{place}/f", b"x")
    page.reload()
    for zone, offset in (("Asia/Tokyo", 9), ("UTC", 0)):
        with opened(browser, faults, f"{place}/?plain", timezone_id=zone, locale="en-GB") as here:
            time = here.locator("tbody time").first
            moment = time.evaluate(
                "(time, hours) => new Date(Date.parse(time.dateTime) + hours * 36e5).toISOString()", offset
            )
            assert moment[11:16] in str(time.text_content())
            assert str(time.get_attribute("title")).endswith(" UTC")


def test_two_files_are_uploaded_and_show_up(page: Page, place: str, tmp_path: Path) -> None:
    files = {"small.txt": b"small", "large file.bin": os.urandom(5_000_000)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    upload(page, *[tmp_path / name for name in files])
    for name in files:
        expect(line(page, name)).to_have_class("done")
    expect(page.locator("tbody tr:not(.u)")).to_have_count(2)
    assert listed(page) == ["large file.bin", "small.txt"]
    assert [ask(f"{place}/{quote(name)}").body for name in files] == list(files.values())


def test_files_that_are_dropped_are_uploaded(page: Page, place: str) -> None:
    transfer = page.evaluate_handle(
        "() => { const all = new DataTransfer(); all.items.add(new File(['dropped'], 'd.txt')); return all; }"
    )
    page.dispatch_event("main", "dragenter", {"dataTransfer": transfer})
    expect(page.locator("body")).to_have_class("dropping")
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})
    expect(line(page, "d.txt")).to_have_class("done")
    expect(page.locator("body")).not_to_have_class("dropping")
    assert ask(f"{place}/d.txt").body == b"dropped"


@pytest.mark.parametrize("size", [10, 3_000_000], ids=["small", "large"])
def test_a_file_is_replaced_only_when_the_reader_agrees(page: Page, place: str, size: int) -> None:
    put(f"{place}/f", b"old")
    new = os.urandom(size)
    upload(page, ("f", new))
    expect(line(page, "f")).to_have_class("asks")
    assert ask(f"{place}/f").body == b"old"
    page.get_by_role("button", name="Keep old: f").click()
    expect(line(page, "f")).to_have_class("stopped")
    assert ask(f"{place}/f").body == b"old"
    page.reload()
    upload(page, ("f", new))
    page.get_by_role("button", name="Replace: f").click()
    expect(line(page, "f")).to_have_class("done")
    assert ask(f"{place}/f").body == new


def test_a_version_that_came_meanwhile_is_asked_about_again(page: Page, place: str) -> None:
    put(f"{place}/f", b"old")
    upload(page, ("f", b"new"))
    expect(line(page, "f")).to_have_class("asks")
    put(f"{place}/f", b"newer")
    replace = page.get_by_role("button", name="Replace: f")
    with page.expect_response(lambda answer: answer.status == 412):
        replace.click()
    expect(line(page, "f")).to_have_class("asks")
    assert ask(f"{place}/f").body == b"newer"
    replace.click()
    expect(line(page, "f")).to_have_class("done")
    assert ask(f"{place}/f").body == b"new"


def test_the_message_of_the_server_is_shown(page: Page, place: str) -> None:
    upload(page, ("n" * 300, b"x"))
    expect(page.locator("#sent .failed .state")).to_contain_text("a segment of 300 bytes, 255 are allowed")
    assert ask(f"{place}/taken/", "MKCOL").status == 201
    upload(page, ("taken", b"x"))
    expect(line(page, "taken").locator(".state")).to_contain_text("collection")
    page.get_by_label("New collection").fill("taken")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status")).to_contain_text("taken is not made: ")


def test_an_upload_that_is_cancelled_stores_nothing_and_may_be_tried_again(page: Page, place: str) -> None:
    page.route("**/f", lambda route: None if route.request.method == "PUT" else route.continue_())  # never answered
    upload(page, ("f", b"data"))
    page.get_by_role("button", name="Cancel: f").click()
    expect(line(page, "f").locator(".state")).to_have_text("cancelled; nothing was stored")
    page.unroute("**/f")
    assert ask(f"{place}/f").status == 404
    page.get_by_role("button", name="Try again: f").click()
    expect(line(page, "f")).to_have_class("done")
    assert ask(f"{place}/f").body == b"data"


def test_an_upload_whose_connection_breaks_says_so(page: Page) -> None:
    page.route("**/f", lambda route: route.abort("connectionreset"))
    upload(page, ("f", b"data"))
    expect(line(page, "f").locator(".state")).to_contain_text("no connection to the server")


def test_a_collection_is_made_with_the_keyboard_alone(page: Page, place: str) -> None:
    page.get_by_label("Choose files").focus()
    page.keyboard.press("Tab")
    page.keyboard.type("new one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="new one/")).to_be_visible()
    assert ask(f"{place}/new%20one/").status == 200
    expect(page.get_by_label("New collection")).to_have_value("")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_names_are_shown_as_they_are_and_their_links_work(
    browser: Browser, faults: Faults, page: Page, place: str, scripts: bool
) -> None:
    for name in EVIL:
        put(f"{place}/{quote(name)}", b"x")
    with opened(browser, faults, f"{place}/?plain" if scripts else f"{place}/", java_script_enabled=scripts) as here:
        here.wait_for_url(f"{place}/?plain")
        assert sorted(listed(here)) == sorted(EVIL)
        for name in EVIL:
            link = here.locator("tbody a").filter(has_text=name.strip()).first
            href = str(link.get_attribute("href"))
            assert ask(place.replace(urlsplit(place).path, "") + href).body == b"x"
            link.hover()
        assert here.locator("#add").is_visible() is scripts


def test_evil_names_of_collections_and_of_uploads_run_nothing(page: Page, place: str) -> None:
    for name in EVIL:
        url = f"{place}/{quote(name)}"
        assert ask(url + "/", "MKCOL").status == 201
        page.goto(url + "/?plain")
        assert "".join(name.split()) in "".join(page.title().split())
        assert page.locator("h1 [aria-current]").text_content() == name
        upload(page, (name, b"x"))
        expect(page.locator("#sent .done")).to_have_count(1)
        expect(page.locator("tbody tr:not(.u)")).to_have_count(1)
        assert ask(f"{url}/{quote(name)}").body == b"x"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/html", "<script>alert('ran')</script>"),
        ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert('ran')</script></svg>"),
        ("text/xml", "<html xmlns='http://www.w3.org/1999/xhtml'><script>alert('ran')</script></html>"),
        ("text/xsl", "<html xmlns='http://www.w3.org/1999/xhtml'><script>alert('ran')</script></html>"),
        ("application/xhtml+xml", "<html xmlns='http://www.w3.org/1999/xhtml'><script>alert('ran')</script></html>"),
        (
            "multipart/x-mixed-replace; boundary=b",
            "--b\r\nContent-Type: text/html\r\n\r\n<script>alert('ran')</script>\r\n--b--",
        ),
        ("message/rfc822", "Content-Type: text/html\r\n\r\n<script>alert('ran')</script>"),
    ],
)
def test_stored_scripts_do_not_run(browser: Browser, place: str, kind: str, text: str) -> None:
    assert ask(f"{place}/f", "PUT", text.encode(), **{"Content-Type": kind}).status == 201
    ran: list[str] = []
    with opened(browser, Faults()) as page:
        page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
        page.on("download", lambda _: None)
        with suppress(Error):  # some of them are downloads
            page.goto(f"{place}/f")
    assert ran == []


def test_it_fits_on_a_phone(browser: Browser, faults: Faults, page: Page, place: str) -> None:
    put(f"{place}/{'long' * 60}", b"x")
    put(f"{place}/short", b"x")
    assert ask(f"{place}/collection/", "MKCOL").status == 201
    with opened(browser, faults, f"{place}/?plain", **PHONE) as phone:
        assert phone.evaluate("document.documentElement.scrollWidth") <= 360
        upload(phone, ("another " + "very " * 40 + "long name", b"x"))
        expect(phone.locator("#sent .done")).to_have_count(1)
        expect(phone.locator("tbody tr:not(.u)")).to_have_count(4)
        assert phone.evaluate("document.documentElement.scrollWidth") <= 360
        for box in (each.bounding_box() for each in phone.locator("tbody a, button, label").all()):
            assert box is not None
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 360
