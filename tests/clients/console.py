"""What tests do with the console in a browser, in the words of those who use it."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from playwright.sync_api import CDPSession, Locator, Page, expect

from tests.clients.browser import TIMEOUT_MS
from tests.live.clients import ask, put


class Console:
    """The console, open in a page.

    :param page: shows it.
    :param place: the URL of the test's own folder, without a slash at its end.
    """

    def __init__(self, page: Page, place: str) -> None:
        self.page = page
        self.place = place
        self._network: CDPSession | None = None

    @property
    def list(self) -> Locator:
        """The list or grid of members."""
        return self.page.locator("[data-list]")

    @property
    def rows(self) -> Locator:
        """The rows in sight."""
        return self.list.locator(".row, .tile")

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.locator("dialog[open]")

    @property
    def said(self) -> Locator:
        """What the page has said last."""
        return self.page.locator(".toast span").last

    def open(self, path: str = "/") -> None:
        """Open a folder in the test's own, by its address."""
        self.page.goto(self.place + path)
        expect(self.list.or_(self.page.locator(".empty"))).not_to_have_count(0)

    def row(self, name: str) -> Locator:
        """The row of a name."""
        return self.rows.filter(has=self.page.locator(".name").get_by_text(name, exact=True))

    def names(self) -> list[str]:
        """The names in sight, from the top."""
        return self.rows.locator(".name").all_text_contents()

    def shows(self, *names: str) -> None:
        """Wait until the list shows just these names, in this order."""
        expect(self.rows.locator(".name")).to_have_text(list(names), use_inner_text=False)

    def choose(self, *names: str) -> None:
        """Select rows."""
        for name in names:
            self.row(name).hover()
            self.row(name).locator(".pick").click()
        expect(self.page.locator(".chosen strong")).to_have_text(f"{len(names)} selected")

    def act(self, name: str) -> None:
        """Do something with the selection, by its toolbar."""
        self.page.get_by_role("toolbar").get_by_role("button", name=name).click()

    def answer(self, text: str | None, button: str) -> None:
        """Fill the field of the dialog, and press one of its buttons."""
        if text is not None:
            self.dialog.get_by_role("textbox").fill(text)
        self.dialog.get_by_role("button", name=button, exact=True).click()

    def upload(self, *files: Any) -> None:
        """Choose files to upload: paths, or names with their bytes."""
        chosen: list[Any] = [
            {"name": each[0], "mimeType": "", "buffer": each[1]} if isinstance(each, tuple) else each for each in files
        ]
        self.page.get_by_role("button", name="Upload", exact=True).click()
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("menuitem", name="Upload files").click()
        chooser.value.set_files(chosen)

    def sent(self, name: str) -> Locator:
        """The line of an upload."""
        return self.page.locator(".uploads li").filter(has=self.page.get_by_text(name, exact=True))

    def becomes(self, name: str, state: str) -> None:
        """Wait until an upload is in a state."""
        expect(self.sent(name)).to_have_attribute("data-state", state, timeout=TIMEOUT_MS)

    def network(self, bytes_per_s: int = -1, *, is_cut: bool = False) -> None:
        """Let the browser send no faster from now on, or nothing.

        :param bytes_per_s: -1 for as fast as it can.
        """
        if self._network is None:
            self._network = self.page.context.new_cdp_session(self.page)
            self._network.send("Network.enable")
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
        self._network.send("Network.emulateNetworkConditions", {"offline": is_cut, **speed})

    def drop(self, files: Mapping[str, bytes]) -> None:
        """Drop files on the page, by their names."""
        encoded = [[name, base64.b64encode(data).decode()] for name, data in files.items()]
        transfer = self.page.evaluate_handle(
            """(files) => {
                const all = new DataTransfer();
                for (const [name, data] of files) {
                    all.items.add(new File([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], name));
                }
                return all;
            }""",
            encoded,
        )
        self.page.dispatch_event(".files", "dragenter", {"dataTransfer": transfer})
        self.page.dispatch_event(".files", "drop", {"dataTransfer": transfer})


def make(place: str, *names: str, data: bytes = b"x") -> None:
    """Make files, and folders where a name ends in a slash.

    :param place: the URL of the folder that they are made in, without a slash at its end.
    """
    for name in names:
        if name.endswith("/"):
            assert ask(f"{place}/{quote(name)}", "MKCOL").status == 201
        else:
            put(f"{place}/{quote(name)}", data)


def png(width: int, height: int) -> bytes:
    """Return a picture."""
    raw = b"".join(
        b"\0" + bytes((x * 7 + y * 3 + band) % 256 for x in range(width) for band in (0, 80, 160))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
