"""The console in a real browser, and oidc-provider, a certified issuer of OpenID Connect: logging in there, and out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.clients.browser import Faults, opened
from tests.clients.programs import find, succeed
from tests.live.clients import TIMEOUT_S, ask
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.ports import free_ports
from tests.users import basic, hashed

PROJECT = Path(__file__).parent / "oidc"
ANNA = basic("anna", "anna-pw")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an issuer that runs."""
    folder = tmp_path_factory.mktemp("oidc")
    for name in ("package.json", "package-lock.json", "issuer.mjs"):
        shutil.copy(PROJECT / name, folder)
    succeed("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder, environment=os.environ)
    port, log = free_ports(), folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [find("node"), "issuer.mjs", str(port)], cwd=folder, stdout=output, stderr=output, env=dict(os.environ)
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: ask(f"{url}/jwks").status == 200, "an issuer", log.read_text)
        yield url
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


@pytest.fixture(scope="module")
def cluster(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster whose users log in at the issuer, or by a password."""
    folder: Path = tmp_path_factory.mktemp("signing-in")
    (folder / "secret").write_text("the secret & more")
    (folder / "users.yaml").write_text(
        f"users:\n  anna: {{password: '{hashed('anna-pw')}', grants: [{{path: /, allow: [read, write, admin]}}]}}\n"
        "groups:\n  staff: {grants: [{path: /staff, allow: [read, write]}]}\n"
        f"oidc:\n  issuer: '{issuer}'\n  audience: splitd\n  user_claim: email\n  groups_claim: groups\n"
        f"  sign_in: {{client: console, secret_file: '{folder}/secret', scopes: [openid, email, groups],\n"
        "    name: Office}\n"
    )
    made = LocalCluster(folder / "cluster", users=str(folder / "users.yaml"))
    try:
        made.start()
        assert ask(f"{made.url}/staff/", "MKCOL", Authorization=ANNA).status == 201
        yield made
    finally:
        made.remove()


def sign_in(page: Page, name: str) -> None:
    page.get_by_role("link", name="Sign in with Office").click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def only_here(page: Page) -> None:
    """Let the issuer's pages fetch nothing from elsewhere."""
    page.route("**/*", lambda route: route.continue_() if "//127.0.0.1:" in route.request.url else route.abort())


def test_one_signs_in_at_the_issuer_works_and_signs_out_there(
    browser: Browser, faults: Faults, cluster: LocalCluster, issuer: str
) -> None:
    with opened(browser, faults, reduced_motion="reduce") as page:
        only_here(page)
        page.goto(f"{cluster.url}/staff/")
        assert Axe().run(page).response["violations"] == []
        sign_in(page, "bert")
        expect(page.get_by_role("button", name="New folder")).to_be_visible()
        assert page.url == f"{cluster.url}/staff/"
        page.get_by_role("button", name="New folder").click()
        page.locator("dialog[open]").get_by_role("textbox").fill("made by bert")
        page.locator("dialog[open]").get_by_role("button", name="Create").click()
        expect(page.locator(".row .name").get_by_text("made by bert")).to_be_visible()
        page.get_by_role("button", name="Account of bert@example.org").click()
        page.get_by_role("menuitem", name="Log out", exact=True).click()
        page.get_by_role("button", name="Yes, sign me out").click()
        expect(page.get_by_role("link", name="Sign in with Office")).to_be_visible()
        assert page.url == f"{cluster.url}/"
        assert not [each for each in page.context.cookies(issuer) if each["name"] == "_session"]


def test_whom_the_front_does_not_know_is_told_so_and_tries_again(
    browser: Browser, faults: Faults, cluster: LocalCluster
) -> None:
    with opened(browser, faults, reduced_motion="reduce", locale="ru-RU") as page:
        only_here(page)
        page.goto(f"{cluster.url}/staff/")
        page.get_by_role("link", name="Войти через Office").click()
        page.get_by_role("link", name="Cancel").click()
        expect(page.get_by_role("alert")).to_contain_text("Войти не удалось: the issuer refuses the login: access_den")
        page.get_by_role("link", name="Войти через Office").click()
        page.locator("input[name=login]").fill("carl")
        page.locator("input[name=password]").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_contain_text("carl@example.org has no account here")
        assert Axe().run(page).response["violations"] == []
        page.get_by_role("textbox").first.fill("anna")
        page.locator("input[type=password]").fill("anna-pw")
        page.get_by_role("button", name="Войти", exact=True).click()
        expect(page.get_by_role("link", name="Кластер")).to_be_visible()
        assert page.url == f"{cluster.url}/"
