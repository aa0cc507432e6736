#!/usr/bin/env python3
"""Measures how fast the console shows a folder in a real browser: from the navigation until its first row is painted.

    bench/browser_list.py                  a folder of 1,000 files and one of 100,000
    bench/browser_list.py --many 0 -n 40   only the small one, more rounds

Cold: a browser that was never here.  Warm: one that has the page's files, as on every visit but the first.  Plain: the
list without scripts (`?plain`), which says what the browser itself takes just now.  By turns.
It starts a cluster of its own, and needs Chromium and the test requirements.  The front is warm: each folder was opened
once before.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, BrowserContext
from report import Cell, end_well, say, table

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.clients.browser import running_browser
from tests.live.local_cluster import LocalCluster

_FIRST_ROW = """() => new Promise((done) => {
    const look = () => document.querySelector('.row, tbody tr')
        ? requestAnimationFrame(() => setTimeout(() => done(performance.now())))
        : requestAnimationFrame(look);
    look();
})"""
_RESOURCES = """() => performance.getEntriesByType('resource').filter((each) => each.startTime < performance.now())
    .concat(performance.getEntriesByType('navigation'))
    .map((each) => [each.name, each.transferSize])"""


def look(context: BrowserContext, url: str) -> tuple[float, int, int]:
    """Open a folder in a new tab.

    :return: milliseconds until its first row was painted; the requests until then, and their bytes.
    """
    page = context.new_page()
    page.goto(url, wait_until="commit")
    took_ms = page.evaluate(_FIRST_ROW)
    sent = [size for _, size in page.evaluate(_RESOURCES) if size]
    page.close()
    return took_ms, len(sent), sum(sent)


def scroll(browser: Browser, url: str, many: int) -> tuple[float, float, float]:
    """Open a large folder, wait until all of it is there, and scroll through it.

    :return: seconds until all members were there; the longest gap between two frames while it was scrolled,
        milliseconds; MiB of the page's heap.
    """
    page = browser.new_page()
    page.goto(url)
    page.wait_for_function(f"document.querySelector('[data-list]')?.getAttribute('aria-rowcount') === '{many + 1}'")
    all_s = page.evaluate("performance.now()") / 1000
    longest = page.evaluate(
        """async () => {
            const list = document.querySelector('[data-list]');
            const frame = () => new Promise(requestAnimationFrame);
            let [before, longest] = [await frame(), 0];
            for (let step = 0; step < 200; step += 1) {
                list.scrollTop = (list.scrollHeight / 200) * step;
                const now = await frame();
                longest = Math.max(longest, now - before);
                before = now;
            }
            return longest;
        }"""
    )
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    page.close()
    return all_s, longest, heap


def fill(url: str, name: str, count: int) -> None:
    """Make a folder of empty files."""
    urlopen(Request(f"{url}/{name}", method="MKCOL")).close()

    def put(number: int) -> None:
        urlopen(Request(f"{url}/{name}/file%20{number:06}.txt", b"", method="PUT")).close()

    with ThreadPoolExecutor(32) as pool:
        for _ in pool.map(put, range(count)):
            pass


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("-n", type=int, default=15, help="rounds [%(default)s]")
    options.add_argument("--few", type=int, default=1_000, help="files in the small folder [%(default)s]")
    options.add_argument("--many", type=int, default=100_000, help="files in the large folder [%(default)s]")
    given = options.parse_args()
    end_well()
    counts = [count for count in (given.few, given.many) if count]
    figures: dict[tuple[int, str], list[tuple[float, int, int]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder) / "cluster")
        try:
            cluster.start()
            for count in counts:
                say(f"storing {count} files")
                fill(cluster.url, str(count), count)
            with running_browser() as browser:
                warm = browser.new_context()
                for count in counts:
                    look(warm, f"{cluster.url}/{count}/")
                for _ in range(given.n):
                    for count in counts:
                        cold = browser.new_context()
                        figures[count, "cold"].append(look(cold, f"{cluster.url}/{count}/"))
                        cold.close()
                        figures[count, "warm"].append(look(warm, f"{cluster.url}/{count}/"))
                        if count == given.few:
                            figures[count, "plain"].append(look(warm, f"{cluster.url}/{count}/?plain"))
                scrolled = scroll(browser, f"{cluster.url}/{given.many}/", given.many) if given.many else None
        finally:
            cluster.remove()
    rows: list[list[Cell]] = []
    for (count, kind), seen in figures.items():
        times = sorted(time for time, _, _ in seen)
        rows.append(
            [f"{count:,} files, {kind}", median(times), times[0], times[-1], seen[-1][1], seen[-1][2] / 1024],
        )
    print(table(["first row painted", "ms, median", "least", "most", "requests", "KiB"], rows))
    print(f"load average {os.getloadavg()[0]:.1f}")
    if scrolled is not None:
        all_s, longest, heap = scrolled
        print(f"{given.many:,} files all loaded in {all_s:.1f} s; longest frame {longest:.0f} ms; heap {heap:.0f} MiB")


if __name__ == "__main__":
    main()
