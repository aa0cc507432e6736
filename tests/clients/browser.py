"""A real browser, Debian's Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.clients.programs import find

_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # it may run as root
]
TIMEOUT_MS = 30_000

expect.set_options(timeout=TIMEOUT_MS)  # by default five seconds, which a busy machine may take for a page


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a browser until the end of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find("chromium"), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Faults:
    """What a page must never do: show a dialog, violate its policy, fail in its script.

    :ivar found: what it did.
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    def watch(self, page: Page) -> None:
        """Take note of the faults of a page from now on."""
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.found.append(f"script: {error}"))
        page.on("console", self._console)

    def _dialog(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        # Chromium also writes a line for each answer of 400 or more, which are the server's and expected.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.found.append(f"console: {message.text}")


@contextmanager
def opened(browser: Browser, faults: Faults, url: str = "", **options: Any) -> Iterator[Page]:
    """Open a page in a context of its own.

    :param options: of the context: the size of the window, the zone, whether scripts run.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    context.on("page", faults.watch)
    try:
        page = context.new_page()
        if url:
            page.goto(url)
        yield page
    finally:
        context.close()
