"""The step that starts the cluster."""

from __future__ import annotations

import time

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step


def _start(scene: Scene, report: Report) -> None:
    if scene.cluster is None:
        report.command(f"curl -X MKCOL {scene.url}{scene.collection}")
        scene.make_collection()
        report.check(f"the service at {scene.url} answers, and made a collection for the tour", passed=True)
        return
    cut = f" --layout {scene.layout}" if scene.layout.parity else ""
    report.command(f"splitctl up --nodes {scene.nodes} --dir {scene.own.folder}{cut}")
    begun = time.monotonic()
    scene.own.start(scene.nodes)
    report.measure("ready after", time.monotonic() - begun, "s")
    pids, urls = scene.own.pids(), scene.own.urls()
    report.table(["process", "pid", "listens on"], [(name, pids[name], urls[name]) for name in pids])
    processes = scene.nodes + 1
    what = f"{processes} processes of their own run: the front and {scene.nodes} storage servers"
    report.equal(what, processes, len(set(pids.values())))
    scene.make_collection()


START = Step(
    "The cluster starts",
    "splitd is one front, which clients talk to, and six or more storage servers, which keep the parts of files. "
    "All of them are real processes, as in production.",
    _start,
)
