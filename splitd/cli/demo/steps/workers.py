"""The step about workers: the front gets two processes that serve clients, and one of them is killed."""

from __future__ import annotations

import os
import signal

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.redundancy import SAFE
from splitd.cli.demo.steps.service import replace_front
from splitd.cli.demo.waiting import wait_until
from splitd.cli.errors import CommandFailed
from splitd.cli.local.plan import FRONT, FRONT_CONFIG

_COPY = f"{SAFE}/random.bin"
_WORKERS = 2
_AGAIN_S = 60.0


def _work(scene: Scene, report: Report) -> None:
    settings = scene.own.front / FRONT_CONFIG
    before = settings.read_text(encoding="utf-8")
    others = [line for line in before.splitlines() if not line.startswith("workers:")]
    report.command(f"echo 'workers: {_WORKERS}' >> splitd.yaml; kill -USR2 FRONT   # its new settings, no pause")
    settings.write_text("\n".join([*others, f"workers: {_WORKERS}", ""]), encoding="utf-8")
    pid = scene.own.pids()[FRONT]
    try:
        replace_front(scene)
        report.equal("it is the same process", pid, scene.own.pids()[FRONT])
        serving = _serving(scene)
        report.equal("so many processes serve clients", _WORKERS, len(serving))
        killed = serving[0]
        report.command(f"kill -9 {killed}   # one of them")
        os.kill(killed, signal.SIGKILL)
        digest = scene.files.digest(scene.path(_COPY))
        report.equal("the other one serves on", scene.sample.sha256, digest)
        wait_until(lambda: len(set(_serving(scene)) - {killed}) == _WORKERS, "a new one in its place", _AGAIN_S)
        report.equal("and there are two again", _WORKERS, len(_serving(scene)))
    finally:
        settings.write_text(before, encoding="utf-8")
        replace_front(scene)


def _serving(scene: Scene) -> list[int]:
    """Return the processes that serve clients; none while the front does not answer."""
    try:
        return list(scene.own.operators.document("/status")["workers"])
    except CommandFailed:
        return []


WORKERS = Step(
    "Several processes serve clients, and one of them is killed",
    "One process uses one core. With workers, several serve at the same ports, over one catalog. One that "
    "ends is started again; the clients of the others notice nothing.",
    _work,
    "the processes",
)
