#!/usr/bin/env python3
"""Uploads one large file through the console in a real browser, kills the front twice meanwhile, and measures memory.

    bench/browser_upload.py              10 GiB
    bench/browser_upload.py --gib 1      less

It starts a cluster of its own below --work, needs Chromium and the test requirements, and twice the room of the file on
the disk.  The exit status is 1 if the file is not stored whole.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

import attrs
from playwright.sync_api import Page
from report import end_well, say, table

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.clients.browser import running_browser
from tests.clients.console import Console
from tests.live.local_cluster import FRONT, LocalCluster

_MIB = 2**20
_NAME = "large.bin"
_LONGEST_S = 6 * 3600
_EACH_S = 1.0
_SEEN = "li => [li.dataset.state, parseFloat((li.querySelector('.track > div') || {style: {width: '0'}}).style.width)]"


@attrs.frozen
class Sample:
    """What was seen at one moment: the share of the file that was sent, and MiB of memory."""

    share: float
    front: float
    tab: float
    heap: float


def resident_mib(pid: int) -> float:
    """Return the memory of a process, in MiB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def tabs() -> list[int]:
    """Return the processes of the browser that run pages."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"--type=renderer" in command and is_below(int(folder.name), os.getpid()):
            found.append(int(folder.name))
    return found


def is_below(pid: int, ancestor: int) -> bool:
    """Return whether a process is a descendant of another one."""
    while pid > 1 and pid != ancestor:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return pid == ancestor


def make_file(path: Path, size: int) -> str:
    """Write random bytes; return their SHA-256."""
    digest = sha256()
    with path.open("wb") as file:
        for start in range(0, size, 8 * _MIB):
            data = os.urandom(min(8 * _MIB, size - start))
            digest.update(data)
            file.write(data)
    return digest.hexdigest()


def digest_of(url: str) -> str:
    """Return the SHA-256 of what the front answers."""
    digest = sha256()
    with urlopen(url) as answer:
        while data := answer.read(_MIB):
            digest.update(data)
    return digest.hexdigest()


def watch(page: Page, cluster: LocalCluster, kills: list[float]) -> list[Sample]:
    """Look on until the file is stored, and kill the front at these shares of it."""
    samples, deadline, told = [], time.monotonic() + _LONGEST_S, 0.0
    line = page.locator(".uploads li").filter(has=page.get_by_text(_NAME, exact=True))
    while time.monotonic() < deadline:
        state, percent = line.evaluate(_SEEN)
        heap = page.evaluate("performance.memory.usedJSHeapSize") / _MIB
        front = resident_mib(cluster.pids()[FRONT])
        samples.append(Sample(percent / 100, front, max(map(resident_mib, tabs()), default=0.0), heap))
        if samples[-1].share >= told:
            say(f"{state}, {percent:.0f} %: front {front:.0f} MiB, tab {samples[-1].tab:.0f} MiB, heap {heap:.1f} MiB")
            told += 0.1
        if state == "done":
            return samples
        if state not in {"running", "lost", "waiting"}:
            raise SystemExit(f"the upload is {state}: {line.text_content()}")
        if kills and state == "running" and samples[-1].share >= kills[0]:
            say(f"the front is killed at {percent:.0f} %")
            kills.pop(0)
            cluster.wait_recovered(cluster.kill(FRONT))
        page.wait_for_timeout(_EACH_S * 1000)
    raise SystemExit("the upload takes too long")


def main() -> None:
    """Upload the file, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gib", type=float, default=10.0, help="size of the file [%(default)s]")
    options.add_argument("--work", type=Path, default=Path("var/bench/browser"), help="where it works [%(default)s]")
    given = options.parse_args()
    end_well()
    work, size = given.work.resolve(), int(given.gib * 2**30)
    work.mkdir(parents=True, exist_ok=True)
    cluster = LocalCluster(work / "cluster")
    try:
        say(f"writing {given.gib:g} GiB")
        expected = make_file(work / _NAME, size)
        cluster.start()
        with running_browser() as browser:
            page = browser.new_page()
            console = Console(page, cluster.url)
            console.open()
            began = time.monotonic()
            console.upload(work / _NAME)
            samples = watch(page, cluster, [0.3, 0.65])
            took_s = time.monotonic() - began
        stored = digest_of(f"{cluster.url}/{_NAME}")
    finally:
        cluster.remove()
        shutil.rmtree(work)
    whole = [sample for sample in samples if sample.front]
    thirds = [[each for each in whole if low <= each.share < low + 1 / 3] for low in (0.0, 1 / 3, 2 / 3)]
    rows = [
        [name, *(max((getattr(each, field) for each in third), default=0.0) for third in thirds)]
        for name, field in (("front", "front"), ("tab, its process", "tab"), ("tab, its heap", "heap"))
    ]
    print(table(["most memory, MiB", "first third", "second", "last"], rows))
    same = "the same" if stored == expected else "differs"
    print(f"{size / 1e6 / took_s:.0f} MB/s, the two kills included; SHA-256 {same}")
    if stored != expected:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
