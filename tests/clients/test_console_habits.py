"""The console in a real browser: what people do out of habit, and by mistake."""

from __future__ import annotations

from unicodedata import normalize
from urllib.parse import quote, urlsplit

from playwright.sync_api import expect

from tests.clients.console import Console, make, png
from tests.live.clients import ask

_PASTE = """(names) => {
    const clipboardData = new DataTransfer();
    for (const name of names) clipboardData.items.add(new File(["of another program"], name));
    const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    document.activeElement.dispatchEvent(paste);
}"""
_DROPPED = """(selector) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["x"], "x"));
    const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    document.querySelector(selector).dispatchEvent(drop);
    return drop.defaultPrevented;
}"""


def test_files_that_another_program_has_copied_are_pasted(console: Console, place: str) -> None:
    console.open()
    console.page.evaluate(_PASTE, ["one 100%.txt", "two #?.txt"])
    console.becomes("two #?.txt", "done")
    console.shows("one 100%.txt", "two #?.txt")
    assert ask(f"{place}/one%20100%25.txt").body == b"of another program"


def test_a_file_that_is_dropped_beside_the_list_does_not_take_the_place_of_the_page(console: Console) -> None:
    console.open()
    assert console.page.evaluate(_DROPPED, "header.top") is True
    expect(console.page.locator(".uploads")).to_have_count(0)


def test_letters_with_accents_are_the_same_however_they_are_written(console: Console, place: str) -> None:
    apart, whole = normalize("NFD", "Übung"), normalize("NFC", "Übung")
    make(place, f"{apart}/", "other/")
    console.open(f"/{quote(apart)}/")
    console.upload((normalize("NFD", "é.txt"), b"x"))
    console.becomes(normalize("NFC", "é.txt"), "done")
    assert ask(f"{place}/{quote(apart)}/{quote(normalize('NFC', 'é.txt'))}").body == b"x"
    assert ask(f"{place}/{quote(whole)}/").status == 404  # the folder keeps the name that it has
    console.open()
    console.page.get_by_placeholder("Filter").fill(whole.lower())
    console.shows(apart)


def test_a_folder_is_not_put_into_itself_and_a_name_that_is_taken_is_said(console: Console, place: str) -> None:
    make(place, "folder/", "one", "two")
    console.open()
    console.shows("folder", "one", "two")
    keys = console.page.keyboard
    for key in ("Home", "Control+x", "Enter"):
        keys.press(key)
    expect(console.page.locator(".empty")).to_contain_text("Nothing is here yet")
    keys.press("Control+v")
    expect(console.said).to_have_text("folder: a folder cannot be put into itself")
    keys.press("Backspace")
    console.shows("folder", "one", "two")
    # The folder that one came from is the one that keys act on.
    expect(console.list.locator(".cursor .name")).to_have_text("folder")
    keys.press("ArrowDown")
    # Cut and pasted where it is: nothing happens.
    keys.press("Control+x")
    keys.press("Control+v")
    expect(console.page.locator(".clip")).to_have_count(0)
    console.shows("folder", "one", "two")
    keys.press("F2")
    console.answer("two", "Rename")
    expect(console.dialog.get_by_role("alert")).to_contain_text("two")
    console.answer("zwölf 12%", "Rename")
    console.shows("folder", "two", "zwölf 12%")


def test_a_file_that_somebody_else_has_deleted_goes_with_a_message(console: Console, place: str) -> None:
    make(place, "a", "gone")
    console.open()
    console.shows("a", "gone")
    assert ask(f"{place}/gone", "DELETE").status == 204
    console.page.keyboard.press("End")
    console.page.keyboard.press("Delete")
    console.answer(None, "Delete")
    expect(console.dialog.get_by_role("alert")).to_contain_text("gone")
    console.page.keyboard.press("Escape")
    console.shows("a")


def test_keys_open_the_menu_of_a_row_and_escape_ends_the_filter(console: Console, place: str) -> None:
    make(place, "a", "b")
    console.open()
    console.shows("a", "b")
    keys = console.page.keyboard
    keys.type("b")
    console.shows("b")
    keys.press("ArrowDown")
    keys.press("Escape")  # the selection
    keys.press("Escape")  # the filter
    console.shows("a", "b")
    keys.press("End")
    keys.press("Shift+F10")
    console.page.get_by_role("menuitem", name="Rename").press("Enter")
    expect(console.dialog.get_by_role("textbox")).to_have_value("b")


def test_keys_in_a_preview_act_on_nothing_below_it_and_back_does_not_lead_there_again(
    console: Console, place: str
) -> None:
    make(place, "1.png", "2.png", data=png(40, 40))
    make(place, "3.png", data=b"")
    page = console.page
    page.goto(place.rpartition("/")[0] + "/")
    page.get_by_role("link", name=urlsplit(place).path.strip("/"), exact=True).click()
    console.shows("1.png", "2.png", "3.png")
    console.row("1.png").locator(".name").click()
    preview = page.locator("dialog.preview")
    preview.get_by_role("img", name="1.png").click()  # which takes the focus away
    page.keyboard.press("Delete")
    page.keyboard.press("ArrowRight")
    expect(preview.get_by_role("img", name="2.png")).to_be_visible()
    expect(page.locator("dialog[open]")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(preview).to_contain_text("no preview")  # it has no bytes
    page.keyboard.press("Escape")
    expect(preview).to_have_count(0)
    console.shows("1.png", "2.png", "3.png")
    page.go_back()
    expect(page.get_by_role("navigation", name="Path").locator("[aria-current]")).to_have_text("Files")
    expect(preview).to_have_count(0)
    # A preview that was opened by its address is closed too, and a folder has none.
    page.goto(f"{place}/?show={quote(urlsplit(place).path + '/1.png', safe='')}")
    expect(preview.get_by_role("img", name="1.png")).to_be_visible()
    page.keyboard.press("Escape")
    console.shows("1.png", "2.png", "3.png")
    page.goto(f"{place}/?show={quote(urlsplit(place).path, safe='')}")
    console.shows("1.png", "2.png", "3.png")
    expect(preview).to_have_count(0)
