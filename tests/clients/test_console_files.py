"""The console in a real browser: folders, and what is done with files."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.clients.browser import TIMEOUT_MS, Faults, opened
from tests.clients.console import Console, make, png
from tests.live.clients import ask, put

PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}


def test_folders_come_first_and_file2_before_file10(console: Console, place: str) -> None:
    make(place, "file10", "file2", "File3", "éclair", "eclipse", "zebra/", "Alpha/", data=b"x" * 2048)
    console.open()
    console.shows("Alpha", "zebra", "éclair", "eclipse", "file2", "File3", "file10")
    expect(console.page.locator(".foot")).to_contain_text("2 folders · 5 files · 10.0 KiB")
    put(f"{place}/largest", b"x" * 5000)
    console.open()
    console.page.get_by_role("button", name="Size").click()
    assert console.names()[:3] == ["zebra", "Alpha", "largest"] or console.names()[:3] == ["Alpha", "zebra", "largest"]
    console.page.get_by_role("button", name="Size").click()
    expect(console.rows.locator(".name").last).to_have_text("largest")
    console.page.reload()
    expect(console.rows.locator(".name").last).to_have_text("largest")


def test_one_goes_down_by_links_and_up_by_the_path_and_back(console: Console, place: str) -> None:
    make(place, "a/", "a/b c#?/", "a/b c#?/f")
    console.open()
    console.row("a").locator(".name").click()
    console.shows("b c#?")
    console.row("b c#?").dblclick()
    console.shows("f")
    assert urlsplit(console.page.url).path == urlsplit(place).path + "/a/b%20c%23%3F/"
    path = console.page.get_by_role("navigation", name="Path")
    expect(path.locator("[aria-current]")).to_have_text("b c#?")
    path.get_by_role("link", name="a", exact=True).click()
    console.shows("b c#?")
    console.page.go_back()
    console.shows("f")
    console.page.reload()
    console.shows("f")


def test_a_path_can_be_typed_and_is_completed(console: Console, place: str) -> None:
    make(place, "alpha/", "alpha/beta/", "alpha/beta/f")
    console.open()
    console.page.keyboard.press("/")
    field = console.page.get_by_role("combobox", name="Path")
    expect(field).to_have_value(urlsplit(place).path + "/")
    console.page.keyboard.type("al")
    expect(console.page.get_by_role("option", name="alpha")).to_be_visible()
    console.page.keyboard.press("Tab")
    console.page.keyboard.type("be")
    expect(console.page.get_by_role("option", name="beta")).to_be_visible()
    console.page.keyboard.press("ArrowDown")
    console.page.keyboard.press("Enter")
    console.page.keyboard.press("Enter")
    console.shows("f")
    console.page.keyboard.press("/")
    field.fill("/nothing/here")
    console.page.keyboard.press("Enter")
    expect(console.page.get_by_role("alert")).to_contain_text("There is no /nothing/here")


def test_typing_filters_and_a_search_looks_below(console: Console, place: str, tmp_path: Path) -> None:
    make(place, "report", "letter", "a/", "a/b/", "a/b/report 2", "a/other")
    console.open()
    console.shows("a", "letter", "report")
    console.page.keyboard.type("rep")
    console.shows("report")
    console.page.keyboard.press("Escape")
    console.shows("a", "letter", "report")
    console.page.get_by_placeholder("Filter").fill("port")
    console.page.keyboard.press("Shift+Enter")
    console.shows("report", "report 2")
    expect(console.row("report 2").locator(".where")).to_have_text(urlsplit(place).path + "/a/b")
    # What a search finds can be acted on.
    console.choose("report 2")
    console.act("Rename")
    console.answer("found", "Rename")
    expect(console.row("found")).to_be_visible()
    assert ask(f"{place}/a/b/found").body == b"x"
    console.row("report").hover()
    console.row("report").locator(".pick").click()
    with console.page.expect_download() as saved:
        console.act("Download")
    saved.value.save_as(tmp_path / "saved")
    with ZipFile(tmp_path / "saved") as archive:
        assert set(archive.namelist()) == {"report", "a/b/found"}
    console.page.get_by_role("button", name="End search").click()
    console.shows("a", "letter", "report")


def test_all_is_done_by_keys(console: Console, place: str) -> None:
    make(place, "1", "2", "3", "4", "sub/")
    console.open()
    console.shows("sub", "1", "2", "3", "4")
    keys = console.page.keyboard
    for key in ("ArrowDown", "ArrowDown", "Shift+ArrowDown"):
        keys.press(key)
    expect(console.list.locator("[aria-selected=true] .name")).to_have_text(["1", "2"])
    keys.press("Delete")
    expect(console.dialog).to_contain_text("Delete 2 items?")
    keys.press("Enter")
    console.shows("sub", "3", "4")
    assert ask(f"{place}/1").status == 404
    keys.press("End")
    keys.press("F2")
    expect(console.dialog.get_by_role("textbox")).to_have_value("4")
    keys.type("four")
    keys.press("Enter")
    console.shows("sub", "3", "four")
    keys.press("Control+a")
    expect(console.page.locator(".chosen strong")).to_have_text("3 selected")
    keys.press("Escape")
    expect(console.page.locator(".chosen")).to_have_count(0)
    keys.press("Home")
    keys.press("Enter")
    expect(console.page.locator(".empty")).to_contain_text("Nothing is here yet")
    keys.press("Backspace")
    console.shows("sub", "3", "four")
    # Cut here, paste there.
    keys.press("End")
    keys.press("Control+x")
    keys.press("Home")
    keys.press("Enter")
    expect(console.page.locator(".empty")).to_contain_text("Nothing is here yet")  # it knows the rights there, too
    keys.press("Control+v")
    console.shows("four")
    assert ask(f"{place}/sub/four").body == b"x"


def test_a_folder_is_made_and_the_server_says_why_not(console: Console, place: str) -> None:
    console.open()
    console.page.get_by_role("button", name="New folder").click()
    console.answer("new one", "Create")
    console.shows("new one")
    assert ask(f"{place}/new%20one/").status == 200
    console.page.get_by_role("button", name="New folder").click()
    console.answer("new one", "Create")
    expect(console.dialog.get_by_role("alert")).to_contain_text("new one")
    console.answer("a/b", "Create")
    expect(console.dialog.get_by_role("alert")).to_have_text("a name has no slash")
    console.answer("n" * 300, "Create")
    expect(console.dialog.get_by_role("alert")).to_contain_text("a segment of 300 bytes, 255 are allowed")
    console.page.keyboard.press("Escape")
    expect(console.dialog).to_have_count(0)


def test_files_are_moved_and_copied_into_a_folder_that_one_looks_for(console: Console, place: str) -> None:
    make(place, "a", "b", "to/", "to/inner/", "to/b")
    console.open()
    console.choose("a")
    console.act("Copy to…")
    console.dialog.get_by_role("button", name="to", exact=True).click()
    console.dialog.get_by_role("button", name="inner").click()
    console.answer(None, "Copy here")
    expect(console.said).to_have_text("Copied 1 item")
    assert [ask(f"{place}{path}").body for path in ("/a", "/to/inner/a")] == [b"x", b"x"]
    console.page.keyboard.press("Escape")
    console.choose("a", "b")
    console.act("Move to…")
    console.dialog.get_by_role("button", name="to", exact=True).click()
    expect(console.dialog.get_by_role("button", name="inner")).to_be_visible()
    console.answer(None, "Move here")
    console.shows("to", "b")
    expect(console.page.locator(".toast.bad")).to_contain_text("b is there already")
    assert [ask(f"{place}{path}").status for path in ("/a", "/to/a", "/b")] == [404, 200, 200]


def test_a_copy_beside_its_file_has_a_name_of_its_own(console: Console, place: str) -> None:
    make(place, "f.txt")
    console.open()
    console.row("f.txt").locator(".cell-size").click()
    console.page.keyboard.press("Control+c")
    console.page.keyboard.press("Control+v")
    console.shows("f (2).txt", "f.txt")
    console.page.keyboard.press("Control+v")
    console.shows("f (2).txt", "f (3).txt", "f.txt")


def test_files_are_saved_as_they_are_and_several_as_an_archive(console: Console, place: str, tmp_path: Path) -> None:
    make(place, "a b.txt", "c&d", "folder/", "folder/inside")
    console.open()
    for chosen, name, members in (
        (["a b.txt"], "a b.txt", None),
        (["folder"], "folder.zip", {"inside"}),
        (["c&d", "folder"], None, {"c&d", "folder/", "folder/inside"}),
    ):
        console.choose(*chosen)
        with console.page.expect_download() as saved:
            console.act("Download")
        saved.value.save_as(tmp_path / "saved")
        if name is not None:
            assert saved.value.suggested_filename == name
        if members is None:
            assert (tmp_path / "saved").read_bytes() == b"x"
        else:
            with ZipFile(tmp_path / "saved") as archive:
                assert set(archive.namelist()) == members
                assert archive.testzip() is None
        console.page.get_by_role("button", name="Clear the selection").click()


def test_a_folder_of_a_hundred_thousand_is_scrolled_and_filtered(console: Console, place: str) -> None:
    """The folder is made up: what the page does with it is the same."""
    total, step = 100_000, 10_000

    def page_of(route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        start = int(asked["after"][0][5:11]) + 1 if "after" in asked else 0
        some = range(start, min(start + min(int(asked["limit"][0]), step), total))
        members = [[f"file {number:06}.txt", number, 1_790_000_000_000 + number, ""] for number in some]
        rest = {"path": urlsplit(place).path, "modified_ms": 1, "rights": ["read", "write"]}
        route.fulfill(json={**rest, "members": members, "next": members[-1][0] if some.stop < total else None})

    make(place, "many/")
    console.page.route("**/.splitd/api/list?*", page_of)
    console.open()
    console.row("many").locator(".name").click()
    expect(console.page.locator(".foot")).to_contain_text("100,000 files", timeout=TIMEOUT_MS)
    expect(console.list).to_have_attribute("aria-rowcount", "100001")
    console.list.press("End")
    expect(console.row("file 099999.txt")).to_be_visible()
    console.list.evaluate("(list) => { list.scrollTop = list.scrollHeight / 2; }")
    expect(console.row("file 050000.txt")).to_be_visible()
    assert console.rows.count() < 100
    console.page.keyboard.type("77777")
    console.shows("file 077777.txt")
    console.page.keyboard.press("Escape")
    console.list.press("Control+a")
    expect(console.page.locator(".chosen strong")).to_have_text("100,000 selected")
    console.page.keyboard.press("Escape")
    console.page.get_by_role("button", name="Size").click()
    expect(console.rows.locator(".name").first).to_have_text("file 099999.txt")


def test_without_scripts_there_is_a_list(browser: Browser, faults: Faults, place: str) -> None:
    make(place, "a", "b/")
    with opened(browser, faults, f"{place}/", java_script_enabled=False) as page:
        page.wait_for_url(f"{place}/?plain")
        expect(page.locator("tbody a")).to_have_text(["..", "b/", "a"])


@pytest.mark.parametrize(("module", "name"), [("shares", "f"), ("vendor/marked", "f.md")])
def test_a_part_of_the_page_that_is_not_there_any_more_is_told(
    console: Console, place: str, module: str, name: str
) -> None:
    make(place, name)
    console.page.route(f"**/{module}.js", lambda route: route.fulfill(status=404))
    console.open()
    if module == "shares":
        console.row(name).click(button="right")
        console.page.get_by_role("menuitem", name="Share").click()
    else:
        console.row(name).locator(".name").click()
    expect(console.page.get_by_text("This part of the page could not be loaded: load the page again.")).to_be_visible()


def test_it_speaks_russian(browser: Browser, faults: Faults, place: str) -> None:
    make(place, "один", "два", "papka/")
    with opened(browser, faults, f"{place}/", locale="ru-RU") as page:
        expect(page.locator(".foot")).to_contain_text("1 папка · 2 файла")
        assert page.locator("html").get_attribute("lang") == "ru"
        page.get_by_role("button", name="Новая папка").click()
        expect(page.locator("dialog h2")).to_have_text("Новая папка")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Настройки").click()
        page.get_by_role("menuitem", name="In English").click()
        expect(page.locator(".foot")).to_contain_text("1 folder · 2 files")


def test_properties_tell_of_a_lock_and_a_locked_file_stays(console: Console, place: str) -> None:
    make(place, "f")
    lock = (
        b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        b"<D:owner>Petra</D:owner></D:lockinfo>"
    )
    locked = ask(f"{place}/f", "LOCK", lock, Timeout="Second-600")
    assert locked.status == 200
    console.open()
    console.choose("f")
    console.act("Properties")
    expect(console.dialog).to_contain_text("by Petra until")
    console.answer(None, "Close")
    console.act("Delete")
    console.answer(None, "Delete")
    expect(console.dialog.get_by_role("alert")).to_contain_text("lock")
    assert ask(f"{place}/f").status == 200
    token = re.search(rb"urn:uuid:[0-9a-f-]+", locked.body)
    assert token is not None
    assert ask(f"{place}/f", "UNLOCK", **{"Lock-Token": f"<{token[0].decode()}>"}).status == 204


def test_two_windows_see_what_the_other_one_does(
    browser: Browser, faults: Faults, console: Console, place: str
) -> None:
    make(place, "a", "b")
    console.open()
    console.shows("a", "b")
    with opened(browser, faults) as other:
        second = Console(other, place)
        second.open()
        second.choose("a")
        second.act("Delete")
        second.answer(None, "Delete")
        second.shows("b")
        console.page.evaluate("dispatchEvent(new Event('focus'))")
        console.shows("b")
        # Both rename the same file: the later one reads why not.
        for each, name in ((console, "mine"), (second, "yours")):
            each.choose("b")
            each.act("Rename")
            each.dialog.get_by_role("textbox").fill(name)
        console.answer(None, "Rename")
        console.shows("mine")
        second.answer(None, "Rename")
        expect(second.dialog.get_by_role("alert")).to_contain_text("there is no /")


def test_a_grid_shows_pictures_and_is_kept(console: Console, place: str) -> None:
    for number in range(30):
        put(f"{place}/p{number}.png", png(8, 8))
    console.open()
    console.page.get_by_role("button", name="Show as a grid").click()
    picture = console.row("p0.png").locator("img")
    expect(picture).to_be_visible()
    picture.evaluate("(image) => image.decode()")
    for key in ("Home", "ArrowRight", "ArrowDown"):
        console.list.press(key)
    columns = console.page.evaluate(
        "new Set([...document.querySelectorAll('.tile')].map((tile) => tile.style.left)).size"
    )
    expect(console.list.locator("[aria-selected=true] .name")).to_have_text(f"p{columns + 1}.png")
    console.page.reload()
    expect(console.page.locator(".tile").first).to_be_visible()


def test_it_fits_on_a_phone_and_taps_open(browser: Browser, faults: Faults, place: str) -> None:
    make(place, "long" * 60, "folder/", "folder/f.txt", "short")
    with opened(browser, faults, **PHONE) as page:
        console = Console(page, place)
        console.open()
        expect(console.rows).to_have_count(3)
        for state in ("list", "chosen", "grid"):
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, state
            for box in (each.bounding_box() for each in page.locator(".top button, .bar button, .rows .name").all()):
                assert box is not None
                assert 0 <= box["x"] <= box["x"] + box["width"] <= 360, state
            if state == "list":
                console.row("short").locator(".pick").tap()
                expect(page.locator(".chosen strong")).to_have_text("1 selected")
            elif state == "chosen":
                page.get_by_role("button", name="Clear the selection").tap()
                page.get_by_role("button", name="Show as a grid").tap()
        page.get_by_role("button", name="Show as a list").tap()
        console.row("folder").locator(".name").tap()
        console.shows("f.txt")
        console.row("f.txt").get_by_role("button", name="Actions for f.txt").tap()
        page.get_by_role("menuitem", name="Open").tap()
        expect(page.locator("dialog.preview .lines")).to_have_text("x")
