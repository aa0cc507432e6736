"""The console in a real browser, on a folder that really has 100,000 members."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from splitd.catalog.journal.file import SEGMENT_LIMIT
from splitd.catalog.journal.writer import SegmentWriter
from splitd.model.manifest import Manifest
from splitd.model.records import VERSION, CollectionMade, FileCommitted, JournalOpened, encode_line
from storaged.system.filesystem import OSFilesystem
from tests.clients.browser import TIMEOUT_MS, Faults, opened
from tests.clients.console import Console
from tests.live.clients import put
from tests.live.local_cluster import LocalCluster

COUNT = 100_000
MOST_HEAP = 128 * 2**20
TIME_MS = 1_767_225_600_000


def write_journal(folder: Path) -> None:
    """Write the journal of a store with empty files in one folder."""
    folder.mkdir(parents=True)
    records = [JournalOpened(VERSION, "0" * 32, TIME_MS), CollectionMade("/many", TIME_MS)]
    records += [
        FileCommitted(f"/many/photo {number:06}.jpg", Manifest(f"{number:032x}", 0, TIME_MS + number, 6, 0, 1024, ()))
        for number in range(COUNT)
    ]
    writer = SegmentWriter(OSFilesystem(), str(folder), SEGMENT_LIMIT)
    lines = [encode_line(number, number - 1, record) for number, record in enumerate(records, 1)]
    writer.write(1, lines, durable=True)
    writer.close()


@pytest.fixture
def long(tmp_path: Path) -> Iterator[LocalCluster]:
    """A cluster with the folder /many."""
    cluster = LocalCluster(tmp_path / "cluster")
    write_journal(cluster.folder / "front" / "data" / "journal")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def heap_of(page: Page) -> int:
    """Return the bytes that the page's scripts hold, without garbage that waits to be collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = int(session.send("Runtime.getHeapUsage")["usedSize"])
    session.detach()
    return used


def test_a_folder_of_a_hundred_thousand_is_opened_scrolled_and_kept_up_to_date(
    browser: Browser, faults: Faults, long: LocalCluster
) -> None:
    with opened(browser, faults) as page:
        console = Console(page, long.url)
        pages: list[str] = []
        page.on("request", lambda request: pages.append(request.url) if "api/list" in request.url else None)
        console.open("/many/")
        expect(console.row("photo 000000.jpg")).to_be_visible()  # the first members come with the page
        expect(page.locator(".foot")).to_contain_text("100,000 files", timeout=TIMEOUT_MS)
        assert len(pages) <= 11
        for at in range(0, 101, 5):
            console.list.evaluate(
                "(list, at) => { list.scrollTop = (list.scrollHeight - list.clientHeight) * at / 100 }", at
            )
            expect(console.row(f"photo {min(COUNT - 1, COUNT * at // 100):06}.jpg")).to_be_visible()
            assert console.rows.count() < 100
        assert heap_of(page) < MOST_HEAP
        put(f"{long.url}/many/photo 050000 b.jpg".replace(" ", "%20"), b"new")
        page.evaluate("dispatchEvent(new Event('focus'))")
        expect(page.locator(".foot")).to_contain_text("100,001 files", timeout=TIMEOUT_MS)
        page.keyboard.type("50000")
        console.shows("photo 050000 b.jpg", "photo 050000.jpg")
