"""The console in a real browser: nothing that is stored runs in it, and those who cannot see or point can use it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, expect

from tests.clients.browser import Faults, opened
from tests.clients.console import Console, png
from tests.live.clients import ask, put

EVIL = [
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(2)" x="',
    "' onclick='alert(3)'",
    "javascript:alert(4)",
    "${alert(5)}",
    "<script>alert(6)",
    "&lt;b&gt; &amp; %41 %",
    "a?b#c",
    " two  spaces ",
    "\u202egpj.exe",
    "ünï 文 😀",
    "__proto__",
]
SCRIPT = "<script>alert('ran')</script>"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert('ran')</script></svg>"
MARKDOWN = f"""# Title
{SCRIPT}
<img src=x onerror="alert('ran')"> [link](javascript:alert('ran'))
<iframe srcdoc="{SCRIPT}"></iframe>
<form action="//elsewhere.example"><button>send</button></form>
"""
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert('ran'))>>>>endobj\n%%EOF"


def test_names_are_shown_as_they_are_whatever_is_done_with_them(console: Console, place: str) -> None:
    for name in EVIL:
        put(f"{place}/{quote(name)}", b"x")
    console.open()
    expect(console.rows).to_have_count(len(EVIL))
    assert sorted(console.names()) == sorted(EVIL)
    for name in EVIL:
        row = console.rows.nth(console.names().index(name))
        row.hover()
        row.locator(".pick").click()
        console.act("Properties")
        expect(console.dialog.locator("h2")).to_have_text(name)
        expect(console.dialog.locator("dd").first).to_contain_text(name.strip())
        console.page.keyboard.press("Escape")
        console.page.keyboard.press("Escape")


def test_folders_and_uploads_of_evil_names_run_nothing(console: Console, place: str) -> None:
    for name in EVIL:
        url = f"{place}/{quote(name)}"
        assert ask(url + "/", "MKCOL").status == 201
        console.page.goto(url + "/")
        expect(console.page.locator(".path [aria-current]")).to_have_text(name)
        console.drop({name: b"x"})
        expect(console.page.locator(".uploads li[data-state=done]")).to_have_count(1)
        expect(console.rows).to_have_count(1)
        assert ask(f"{url}/{quote(name)}").body == b"x"


def test_evil_types_and_properties_are_only_text(console: Console, place: str) -> None:
    assert ask(f"{place}/f", "PUT", b"x", **{"Content-Type": 'text/"><img src=x onerror=alert(1)>'}).status == 201
    update = (
        '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><note xmlns="urn:&lt;img src=x onerror=alert(1)>">'
        "&lt;img src=x onerror=alert(1)&gt;&lt;script>alert(2)&lt;/script></note></D:prop></D:set></D:propertyupdate>"
    )
    assert ask(f"{place}/f", "PROPPATCH", update.encode()).status == 207
    console.open()
    console.choose("f")
    console.act("Properties")
    expect(console.dialog).to_contain_text("onerror=alert(1)>")
    expect(console.dialog.locator("img, script")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("page.html", "text/html", SCRIPT.encode()),
        ("picture.svg", "image/svg+xml", SVG.encode()),
        ("notes.md", "text/markdown", MARKDOWN.encode()),
        ("data.json", "text/html", SCRIPT.encode()),
        ("paper.pdf", "application/pdf", PDF),
        ("paper.pdf", "text/html", SCRIPT.encode()),
        ("paper.pdf", "application/pdf;,text/html", SCRIPT.encode()),
        ("movie.mp4", "text/html", SCRIPT.encode()),
    ],
)
def test_a_preview_runs_nothing(browser: Browser, place: str, name: str, kind: str, data: bytes) -> None:
    assert ask(f"{place}/{name}", "PUT", data, **{"Content-Type": kind}).status == 201
    ran: list[str] = []
    with opened(browser, Faults()) as page:
        page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
        console = Console(page, place)
        console.open()
        console.row(name).locator(".name").click()
        expect(page.locator("dialog.preview .content > *")).not_to_have_count(0)
        page.wait_for_load_state("networkidle")
        assert ran == []
        for frame in page.frames[1:]:
            if kind == "application/pdf":
                continue  # the frame is that of the browser's own viewer
            with suppress(Error):  # no script runs there at all
                assert frame.evaluate("self.origin") != urlsplit(place)._replace(path="").geturl()


def test_a_link_in_markdown_opens_as_every_link_does(console: Console, place: str) -> None:
    put(f"{place}/notes.md", b"[folder](./)")
    console.open()
    console.row("notes.md").locator(".name").click()
    with console.page.context.expect_page() as opened_by_it:
        console.page.frame_locator("iframe.markdown").get_by_role("link", name="folder").click()
    expect(opened_by_it.value.locator("[data-list]")).to_be_visible()  # scripts run there


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "image/svg+xml",
        "text/xml",
        "application/xhtml+xml",
        "application/pdf;, text/html",  # two types, of which the browser takes the last
        "text/plain",
        "",
    ],
)
def test_a_stored_file_that_is_opened_has_no_origin(browser: Browser, place: str, kind: str) -> None:
    data = SVG if "svg" in kind else SCRIPT
    assert ask(f"{place}/f", "PUT", data.encode(), **{"Content-Type": kind}).status == 201
    ran: list[str] = []
    with opened(browser, Faults()) as page:
        page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
        with suppress(Error):  # some of them are downloads
            page.goto(f"{place}/f")
    assert ran == []


def test_the_policy_stops_what_an_injection_would_do(browser: Browser, place: str) -> None:
    """Even HTML that got into the page would run nothing."""
    put(f"{place}/evil.js", b"alert('ran')")
    faults, refused = Faults(), []
    with opened(browser, faults) as page:
        page.on("console", lambda message: refused.append(message.text))
        console = Console(page, place)
        console.open()
        page.evaluate(
            """(url) => {
                document.querySelector('.foot').innerHTML =
                    '<img src=x onerror="alert(1)"><a href="javascript:alert(2)">x</a>';
                document.querySelector('.foot a').click();
                const script = document.createElement('div');
                script.innerHTML = `<script src="${url}"></scr` + 'ipt>';
                document.body.append(document.createRange().createContextualFragment(script.innerHTML));
            }""",
            urlsplit(place).path + "/evil.js",
        )
        page.wait_for_load_state("networkidle")
        assert any("Content Security Policy" in text for text in refused)
    assert [each for each in faults.found if each.startswith("dialog")] == []


def violations(page: Page) -> list[Any]:
    """What axe finds wrong: the rules, and where."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Browser, faults: Faults, place: str, scheme: Any) -> None:
    for name in ("a.txt", "notes.md", "b.zip"):
        put(f"{place}/{name}", b"# text\n")
    put(f"{place}/p.png", png(4, 4))
    assert ask(f"{place}/folder/", "MKCOL").status == 201
    with opened(browser, faults, color_scheme=scheme, reduced_motion="reduce") as page:
        console = Console(page, place)
        console.open()
        assert violations(page) == []
        console.choose("a.txt")
        assert violations(page) == []
        console.drop({"a.txt": b"x", "new": b"x"})
        console.becomes("a.txt", "asks")
        console.becomes("new", "done")
        assert violations(page) == []
        page.get_by_role("button", name="Skip: a.txt").click()
        console.act("Rename")
        assert violations(page) == []
        page.keyboard.press("Escape")
        console.act("Properties")
        expect(console.dialog.locator("dd")).not_to_have_count(0)
        assert violations(page) == []
        page.keyboard.press("Escape")
        console.row("p.png").click(button="right")
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Show as a grid").click()
        assert violations(page) == []
        page.goto(f"{place}/?show={quote_plus(urlsplit(place).path + '/notes.md')}")
        expect(page.frame_locator("iframe.markdown").locator("h1")).to_have_text("text")
        assert violations(page) == []
