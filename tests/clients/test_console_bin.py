"""The console in a real browser, with a bin: what is deleted comes back, at once or later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.clients.browser import Faults, opened
from tests.clients.clusters import new_cluster
from tests.clients.console import Console
from tests.live.clients import ask, put
from tests.live.local_cluster import LocalCluster
from tests.live.splitctl import Splitctl


@pytest.fixture(scope="module")
def binning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster with a bin."""
    cluster = new_cluster(tmp_path_factory.mktemp("binning") / "cluster", bin={"keep_days": 30})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def place(binning: LocalCluster) -> Iterator[str]:
    """A new collection, and an empty bin."""
    url = f"{binning.url}/of%20a%20test"
    assert ask(f"{url}/", "MKCOL").status == 201
    yield url
    ask(f"{url}/", "DELETE")
    assert ask(f"{binning.url}/.splitd/api/bin", "DELETE").status == 200


def make(place: str) -> None:
    for name in ("a", "b"):
        put(f"{place}/{name}", name.encode())
    assert ask(f"{place}/folder/", "MKCOL").status == 201
    put(f"{place}/folder/inside", b"inside")


def things(page: Page) -> Locator:
    return page.locator(".share-list strong")


def open_bin(page: Page) -> None:
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Bin").click()
    expect(page.get_by_role("heading", name="Bin")).to_be_visible()


def test_a_deletion_is_undone_at_once(console: Console, place: str) -> None:
    make(place)
    console.open()
    console.shows("folder", "a", "b")
    keys = console.page.keyboard
    for key in ("Home", "Shift+ArrowDown", "Delete"):
        keys.press(key)
    console.shows("b")
    expect(console.said).to_have_text("Deleted 2 items")
    assert ask(f"{place}/folder/inside").status == 404
    console.page.get_by_role("button", name="Undo").click()
    console.shows("folder", "a", "b")
    expect(console.said).to_have_text("Restored 2 items")
    assert ask(f"{place}/folder/inside").body == b"inside"


def test_control_z_takes_a_deletion_back_once(console: Console, place: str) -> None:
    make(place)
    console.open()
    console.shows("folder", "a", "b")
    for key in ("End", "Delete"):
        console.page.keyboard.press(key)
    console.shows("folder", "a")
    console.page.keyboard.press("Control+z")
    console.shows("folder", "a", "b")
    console.page.keyboard.press("Control+z")
    console.page.keyboard.press("End")
    expect(console.list.locator("[aria-selected=true] .name")).to_have_text("b")
    assert ask(f"{place}/b").body == b"b"


def test_what_was_deleted_is_restored_from_the_bin_and_a_taken_name_asks(console: Console, place: str) -> None:
    make(place)
    page = console.page
    console.open()
    for name in ("a", "folder"):
        console.choose(name)
        console.act("Delete")
        expect(console.row(name)).to_have_count(0)
    put(f"{place}/a", b"new")
    open_bin(page)
    expect(things(page)).to_have_text(["/of a test/folder", "/of a test/a"])
    first = page.locator(".share-list li").first
    expect(first).to_contain_text("1 file · 6 B · 30 days left")
    first.get_by_role("button", name="Restore").click()
    expect(things(page)).to_have_text(["/of a test/a"])
    expect(page.get_by_role("button", name="Restore: /of a test/a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(console.dialog).to_contain_text("The name is taken")
    expect(console.dialog.get_by_role("textbox")).to_have_value("/of a test/a (2)")
    console.answer("/of a test/b", "Restore")
    expect(console.dialog.get_by_role("alert")).to_have_text("/of a test/b is there already")
    console.answer("/of a test/gone/a", "Restore")
    expect(page.get_by_text("There is nothing in the bin.")).to_be_visible()
    assert ask(f"{place}/gone/a").body == b"a"
    assert ask(f"{place}/folder/inside").body == b"inside"
    assert ask(f"{place}/a").body == b"new"


def test_one_thing_or_all_are_deleted_for_good(console: Console, place: str) -> None:
    make(place)
    page = console.page
    console.open()
    for name in ("a", "b", "folder"):
        console.choose(name)
        console.act("Delete")
        expect(console.row(name)).to_have_count(0)
    open_bin(page)
    page.get_by_role("button", name="Delete for good: /of a test/b").click()
    console.answer(None, "Delete for good")
    expect(things(page)).to_have_text(["/of a test/folder", "/of a test/a"])
    page.get_by_role("button", name="Empty the bin").click()
    console.answer(None, "Empty the bin")
    expect(page.get_by_text("There is nothing in the bin.")).to_be_visible()


def test_axe_finds_nothing_wrong_on_a_phone_in_russian(browser: Browser, faults: Faults, place: str) -> None:
    make(place)
    options: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "locale": "ru-RU"}
    with opened(browser, faults, reduced_motion="reduce", **options) as page:
        console = Console(page, place)
        console.open()
        console.row("folder").click()
        page.keyboard.press("Delete")
        expect(page.get_by_role("button", name="Отменить")).to_be_visible()
        assert violations(page) == []
        page.goto(place.rpartition("/")[0] + "/.splitd/bin")
        expect(page.locator(".share-list li")).to_contain_text("осталось 30 дней")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert violations(page) == []
        page.emulate_media(color_scheme="dark")
        assert violations(page) == []


def violations(page: Page) -> list[Any]:
    """What axe finds wrong: the rules, and where."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


def test_the_same_is_done_at_a_terminal(binning: LocalCluster, place: str, tmp_path: Path) -> None:
    make(place)
    for path in ("/of a test/folder", "/of a test/a"):
        body = json.dumps({"path": path}).encode()
        answer = ask(f"{binning.url}/.splitd/api/bin", "POST", body, **{"Content-Type": "application/json"})
        assert answer.status == 201
    splitctl = Splitctl(binning, tmp_path)
    [found] = splitctl.documents("bin", "ls")
    assert [each["path"] for each in found] == ["/of a test/a", "/of a test/folder"]
    assert splitctl.lines("bin", "ls")[1].startswith(f"{found[0]['id']}  /of a test/a")
    assert splitctl.lines("bin", "restore", found[1]["id"]) == ["/of a test/folder"]
    assert splitctl.lines("bin", "restore", found[0]["id"], "--to", "/of a test/folder/b") == ["/of a test/folder/b"]
    assert ask(f"{place}/folder/inside").body == b"inside"
    splitctl.run("bin", "restore", found[0]["id"], expected=1)
    assert splitctl.lines("bin", "empty", "--yes") == ["0 deleted for good"]
    assert splitctl.lines("bin", "ls") == ["nothing is in the bin"]
