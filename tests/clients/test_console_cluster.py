"""The console in a real browser: logging in, and the cluster as operators see it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.clients.browser import Faults, opened
from tests.clients.clusters import new_cluster
from tests.clients.console import Console
from tests.live.clients import ask
from tests.live.local_cluster import LocalCluster
from tests.users import ANNA, ROOT, write_users


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster with the users of `write_users`."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    write_users(folder / "users.yaml")
    cluster = new_cluster(folder / "cluster", users=str(folder / "users.yaml"))
    try:
        cluster.start()
        for path in ("/anna/", "/public/"):
            assert ask(cluster.url + path, "MKCOL", Authorization=ROOT).status == 201
        yield cluster
    finally:
        cluster.remove()


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_one_logs_in_and_sees_what_one_may_see(browser: Browser, faults: Faults, guarded: LocalCluster) -> None:
    with opened(browser, faults) as page:
        page.goto(f"{guarded.url}/anna/")
        assert Axe().run(page).response["violations"] == []
        log_in(page, "anna", "wrong")
        expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong")
        log_in(page, "anna", "anna-pw")
        console = Console(page, f"{guarded.url}/anna")
        expect(page.locator(".empty")).to_contain_text("Nothing is here yet")
        assert page.url == f"{guarded.url}/anna/"
        console.drop({"f": b"hers"})
        console.becomes("f", "done")
        expect(page.get_by_role("link", name="Cluster")).to_have_count(0)
        # Where she may only read, nothing is offered that she may not do.
        page.get_by_role("link", name="Files", exact=True).first.click()
        expect(console.row("anna")).to_be_visible()
        expect(page.get_by_role("button", name="New folder")).to_have_count(0)
        expect(page.get_by_role("button", name="Upload", exact=True)).to_have_count(0)
        page.goto(f"{guarded.url}/.splitd/cluster")
        expect(page.locator(".empty")).to_have_text("This is for operators.")


def test_logging_out_everywhere_ends_the_other_window_which_asks_and_goes_on(
    browser: Browser, faults: Faults, guarded: LocalCluster
) -> None:
    with opened(browser, faults) as here, opened(browser, faults) as there:
        for page in (here, there):
            page.goto(f"{guarded.url}/anna/")
            log_in(page, "anna", "anna-pw")
            expect(page.get_by_role("button", name="New folder")).to_be_visible()
        here.get_by_role("button", name="Account of anna").click()
        here.get_by_role("menuitem", name="Log out everywhere").click()
        expect(here.get_by_label("Password")).to_be_visible()
        there.get_by_role("button", name="New folder").click()
        there.locator("dialog[open]").get_by_role("textbox").fill("made later")
        there.locator("dialog[open]").get_by_role("button", name="Create").click()
        log_in(there, "anna", "anna-pw")
        there.locator("dialog[open]").get_by_role("button", name="Create").click()
        expect(there.locator(".row .name").get_by_text("made later")).to_be_visible()


def test_a_view_that_lacked_a_login_begins_anew_after_it(
    browser: Browser, faults: Faults, guarded: LocalCluster
) -> None:
    with opened(browser, faults) as page:
        page.goto(f"{guarded.url}/anna/")
        log_in(page, "anna", "anna-pw")
        expect(page.get_by_role("button", name="New folder")).to_be_visible()
        page.context.clear_cookies()
        page.get_by_role("link", name="Shared").click()
        log_in(page, "anna", "anna-pw")
        expect(page.get_by_text("Nothing is shared")).to_be_visible()


def test_uploads_go_on_after_a_login_when_their_session_has_ended(
    browser: Browser, faults: Faults, guarded: LocalCluster
) -> None:
    with opened(browser, faults) as page:
        page.goto(f"{guarded.url}/anna/")
        log_in(page, "anna", "anna-pw")
        console = Console(page, f"{guarded.url}/anna")
        console.network(2**16)
        console.upload(("large", bytes(9 * 2**20)))
        expect(page.get_by_role("button", name="Pause: large")).to_be_visible()
        page.get_by_role("button", name="Pause: large").click()
        console.becomes("large", "paused")
        page.context.clear_cookies()
        console.network()
        console.upload(("small", b"x"))
        page.get_by_role("button", name="Resume: large").dispatch_event("click")
        console.becomes("large", "failed")
        console.becomes("small", "failed")
        log_in(page, "anna", "anna-pw")
        console.becomes("large", "done")
        console.becomes("small", "done")
    assert ask(f"{guarded.url}/anna/small", Authorization=ANNA).body == b"x"


def test_a_window_works_on_after_a_new_login_in_another_one(
    browser: Browser, faults: Faults, guarded: LocalCluster
) -> None:
    with opened(browser, faults) as here:
        here.goto(f"{guarded.url}/anna/")
        log_in(here, "anna", "anna-pw")
        expect(here.get_by_role("button", name="New folder")).to_be_visible()
        there = here.context.new_page()
        there.goto(f"{guarded.url}/anna/")
        there.get_by_role("button", name="Account of anna").click()
        there.get_by_role("menuitem", name="Log out", exact=True).click()
        log_in(there, "anna", "anna-pw")
        expect(there.get_by_role("button", name="Account of anna")).to_be_visible()
        here.get_by_role("button", name="New folder").click()
        here.locator("dialog[open]").get_by_role("textbox").fill("by the new login")
        here.locator("dialog[open]").get_by_role("button", name="Create").click()
        expect(here.locator(".row .name").get_by_text("by the new login")).to_be_visible()
        Console(here, f"{guarded.url}/anna").upload(("sent by it", b"x"))
        Console(here, f"{guarded.url}/anna").becomes("sent by it", "done")


def test_a_window_changes_nothing_in_the_name_of_who_has_logged_in_in_another_one(
    browser: Browser, faults: Faults, guarded: LocalCluster
) -> None:
    with opened(browser, faults) as here:
        here.goto(f"{guarded.url}/anna/")
        log_in(here, "anna", "anna-pw")
        here.get_by_role("button", name="New folder").click()
        there = here.context.new_page()
        there.goto(f"{guarded.url}/anna/")
        there.get_by_role("button", name="Account of anna").click()
        there.get_by_role("menuitem", name="Log out", exact=True).click()
        log_in(there, "wilma", "wilma-pw")
        expect(there.get_by_role("button", name="Account of wilma")).to_be_visible()
        here.locator("dialog[open]").get_by_role("textbox").fill("hers")
        here.locator("dialog[open]").get_by_role("button", name="Create").click()
        expect(here.get_by_label("User name")).to_have_value("anna")
        assert ask(f"{guarded.url}/anna/hers/", "HEAD", Authorization=ANNA).status == 404
        log_in(here, "anna", "anna-pw")
        here.locator("dialog[open]").get_by_role("button", name="Create").click()
        expect(here.locator(".row .name").get_by_text("hers")).to_be_visible()


def test_links_are_made_listed_and_taken_back(browser: Browser, faults: Faults, guarded: LocalCluster) -> None:
    assert ask(f"{guarded.url}/shared/", "MKCOL", Authorization=ROOT).status == 201
    assert ask(f"{guarded.url}/shared/f", "PUT", b"content", Authorization=ROOT).status == 201
    with opened(browser, faults, reduced_motion="reduce") as page:
        page.goto(guarded.url)
        log_in(page, "root", "root-pw")
        console = Console(page, guarded.url)
        console.row("shared").click(button="right")
        page.get_by_role("menuitem", name="Share").click()
        assert Axe().run(page).response["violations"] == []
        console.dialog.get_by_label("Password").fill("secret")
        console.dialog.get_by_label("At most so many downloads").fill("3")
        console.dialog.get_by_role("button", name="Make a link").click()
        url = console.dialog.get_by_label("Address").input_value()
        page.keyboard.press("Escape")
        with opened(browser, faults, url) as theirs:
            theirs.get_by_label("Password").fill("secret")
            theirs.get_by_role("button", name="Open").click()
            with theirs.expect_download() as saved:
                theirs.get_by_role("link", name="f", exact=True).click()
            assert saved.value.path().read_bytes() == b"content"
        page.get_by_role("link", name="Shared", exact=True).click()
        expect(page.locator(".share-list li")).to_contain_text(["/shared"])
        expect(page.locator(".share-list li")).to_contain_text(["1 of 3 downloads"])
        assert Axe().run(page).response["violations"] == []
        page.get_by_role("button", name="Take back: /shared").click()
        console.dialog.get_by_role("button", name="Take back").click()
        expect(page.locator(".share-list li")).to_have_count(0)
        assert ask(url).status == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_on_the_pages_of_links(
    browser: Browser, faults: Faults, guarded: LocalCluster, scheme: Any
) -> None:
    ask(f"{guarded.url}/anna/some%20files/", "MKCOL", Authorization=ANNA)
    ask(f"{guarded.url}/anna/some%20files/a%20%25.txt", "PUT", b"text", Authorization=ANNA)
    with opened(browser, faults, color_scheme=scheme, viewport={"width": 360, "height": 640}) as page:
        for path, more, shown in (
            ("/anna/some files", {"mode": "read"}, page.get_by_role("link", name="a %.txt")),
            ("/anna/some files/a %.txt", {"mode": "read"}, page.get_by_role("link", name="Download")),
            ("/anna/some files", {"mode": "upload"}, page.get_by_role("button", name="Send")),
            ("/anna/some files", {"mode": "read", "password": "x"}, page.get_by_label("Password")),
        ):
            document = json.dumps({"path": path, **more}).encode()
            headers = {"Authorization": ANNA, "Content-Type": "application/json"}
            made = ask(f"{guarded.url}/.splitd/api/shares", "POST", document, **headers)
            page.goto(guarded.url + json.loads(made.body)["url"])
            expect(shown).to_be_visible()
            assert Axe().run(page).response["violations"] == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_operator_sees_the_cluster_and_keeps_it_up(browser: Browser, faults: Faults, guarded: LocalCluster) -> None:
    with opened(browser, faults, reduced_motion="reduce") as page:
        page.goto(guarded.url)
        log_in(page, "root", "root-pw")
        page.get_by_role("link", name="Cluster").click()
        expect(page.locator(".health")).to_contain_text("All is well")
        expect(page.locator(".node")).to_have_count(6)
        expect(page.locator(".node .state")).to_have_text(["up"] * 6)
        expect(page.locator(".chart")).to_have_count(3)
        assert Axe().run(page).response["violations"] == []
        with guarded.paused("n2"):
            expect(page.locator(".node").filter(has_text="n2").locator(".state")).to_have_text("down", timeout=60_000)
            expect(page.locator(".health")).to_contain_text("Nothing can be stored now")
        expect(page.locator(".health")).to_contain_text("All is well", timeout=60_000)
        page.get_by_role("button", name="Try only: Sweep").click()
        expect(page.locator(".toast span")).to_contain_text("0 orphans found")
        page.get_by_role("button", name="Pause: Heal").click()
        page.locator("dialog[open]").get_by_role("button", name="Pause").click()
        expect(page.locator(".health")).to_contain_text("the heal is paused by an operator")
        page.get_by_role("button", name="Resume: Heal").click()
        expect(page.locator(".health")).to_contain_text("All is well")
        registry = guarded.folder / "nodes.yaml"
        nodes = yaml.safe_load(registry.read_text())
        registry.write_text(yaml.safe_dump([*nodes[:5], {**nodes[5], "state": "readonly"}]))
        expect(page.locator(".node").filter(has_text="n6").locator(".state")).to_have_text("read only")
        page.get_by_role("button", name="Pause: Scrub").click()
        page.locator("dialog[open]").get_by_role("button", name="Pause").click()
        expect(page.locator(".duties")).to_contain_text(["Paused by an operator on n1, n2, n3, n4, n5, n6"])
        expect(page.locator(".health")).to_contain_text("the scrub is paused by an operator")
        page.get_by_role("button", name="Resume: Scrub").click()
        registry.write_text(yaml.safe_dump(nodes))
        expect(page.locator(".health")).to_contain_text("All is well")
        page.get_by_role("button", name="Start: Rebalance").click()
        expect(page.locator("dialog[open]")).to_contain_text("It would move 0 parts")
        page.locator("dialog[open]").get_by_role("button", name="Start").click()
        expect(page.locator(".duties")).to_contain_text(["0 parts moved"])


def test_keys_and_tokens_are_made_used_and_taken_back(browser: Browser, faults: Faults, guarded: LocalCluster) -> None:
    with opened(browser, faults, reduced_motion="reduce") as page:
        page.goto(f"{guarded.url}/anna/")
        log_in(page, "anna", "anna-pw")
        page.get_by_role("button", name="Account of anna").click()
        page.get_by_role("menuitem", name="Keys and tokens").click()
        expect(page.get_by_text("You have made no keys and no tokens.")).to_be_visible()
        dialog = page.locator("dialog[open]")
        page.get_by_role("button", name="Make a key or token").click()
        assert Axe().run(page).response["violations"] == []
        dialog.get_by_label("What it is for").fill("laptop <b>")
        dialog.get_by_text("A password for a program").click()
        dialog.get_by_label("What it may do").select_option("Read only")
        dialog.get_by_label("Only in this folder").fill("anna")
        dialog.get_by_role("button", name="Make", exact=True).click()
        expect(dialog.get_by_role("alert")).to_contain_text("path")
        dialog.get_by_label("Only in this folder").fill("/anna")
        dialog.get_by_role("button", name="Make", exact=True).click()
        token = f"Bearer {dialog.get_by_label('Token', exact=True).input_value()}"
        assert Axe().run(page).response["violations"] == []
        dialog.get_by_role("button", name="Done").click()
        line = page.locator(".share-list li")
        expect(line).to_contain_text(["laptop <b>"])
        expect(line).to_contain_text(["Read only · /anna · "])
        assert ask(f"{guarded.url}/anna/", Authorization=token).status == 200
        assert ask(f"{guarded.url}/anna/x", "PUT", b"x", Authorization=token).status == 403
        assert ask(f"{guarded.url}/public/", Authorization=token).status == 404
        page.get_by_role("button", name="Make a key or token").click()
        dialog.get_by_role("button", name="Make", exact=True).click()
        expect(dialog.get_by_label("Access key")).to_have_value(re.compile("SPLOWN.{16}"))
        expect(dialog.get_by_label("Secret key")).to_have_value(re.compile(".{40}"))
        page.keyboard.press("Escape")
        expect(line).to_have_count(2)
        assert Axe().run(page).response["violations"] == []
        page.set_viewport_size({"width": 360, "height": 640})
        text, revoke = line.first.locator("div").bounding_box(), line.first.get_by_role("button").bounding_box()
        assert text is not None
        assert revoke is not None
        assert text["y"] <= revoke["y"] < revoke["y"] + revoke["height"] <= text["y"] + text["height"] + 1
        assert revoke["x"] + revoke["width"] <= 360
        page.get_by_role("button", name="Take back: laptop <b>").click()
        dialog.get_by_role("button", name="Take back").click()
        expect(line).to_have_count(1)
        assert ask(f"{guarded.url}/anna/", Authorization=token).status == 401
