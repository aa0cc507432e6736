"""The steps about what an operator does while the service is used: a new disk, a new version."""

from __future__ import annotations

import os
import signal
import threading
import time
from hashlib import sha256

from splitd.cli.demo.disks import HEALED_S, NodeDisk, count_whole
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.redundancy import SAFE, layout_of
from splitd.cli.demo.waiting import wait_until
from splitd.cli.errors import CommandFailed
from splitd.cli.local.plan import FRONT

_COPY = f"{SAFE}/random.bin"
_USED = "used.bin"
_SIZE = 300_000
_NOTICED_S = 60.0
_UPGRADED_S = 120.0


def _replace_disk(scene: Scene, report: Report) -> None:
    layout, upload = layout_of(scene), scene.versions[_COPY]
    victim: NodeDisk = next(disk for disk in scene.own.disks() if disk.parts(upload))
    old = victim.data.with_name("old-disk")
    report.command(f"mv {victim.data} {old}   # the disk of storage server {victim.node_id} is taken out")
    victim.data.rename(old)
    pid = scene.own.kill(victim.node_id)
    report.command(f"kill -9 {pid}   # and the server starts again on an empty one")
    begun = time.monotonic()
    scene.own.wait_recovered(victim.node_id, pid)
    report.equal("the file can be read meanwhile", scene.sample.sha256, scene.files.digest(scene.path(_COPY)))
    wait_until(
        lambda: count_whole(scene.own.disks(), upload) == layout.width,
        "all parts of the file right again",
        _NOTICED_S + HEALED_S,
    )
    report.measure("healed after", time.monotonic() - begun, "s")
    report.equal(f"all {layout.width} parts are right again", layout.width, count_whole(scene.own.disks(), upload))


class _User(threading.Thread):
    """Stores a file and reads it back, again and again, until the end."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self._scene = scene
        self._over = threading.Event()
        self.done = 0
        self.failed: list[str] = []

    def run(self) -> None:
        path, files = self._scene.path(_USED), self._scene.files
        while not self._over.is_set():
            data = os.urandom(_SIZE)
            try:
                files.put(path, data)
                if files.digest(path) != sha256(data).hexdigest():
                    self.failed.append("other bytes came back")
            except CommandFailed as problem:
                self.failed.append(problem.message)
            self.done += 1

    def end(self) -> None:
        self._over.set()
        self.join()


def _epoch(scene: Scene) -> int:
    """Return the epoch of the front; 0 if it does not serve just now."""
    try:
        status = scene.own.operators.document("/status")
    except CommandFailed:
        return 0
    return int(status["journal"]["copies"]["epoch"]) if status["ready"] else 0


def replace_front(scene: Scene) -> None:
    """Have the front replaced by the installed version, with its present settings, and wait for it."""
    before = _epoch(scene)
    os.kill(scene.own.pids()[FRONT], signal.SIGUSR2)
    wait_until(lambda: _epoch(scene) > before, "the installed version in its place", _UPGRADED_S)


def _upgrade(scene: Scene, report: Report) -> None:
    pid, user = scene.own.pids()[FRONT], _User(scene)
    user.start()
    try:
        wait_until(lambda: user.done, "a client at work")
        report.command(f"kill -USR2 {pid}   # the front, while a client stores and reads files")
        begun = time.monotonic()
        replace_front(scene)
        report.measure("replaced after", time.monotonic() - begun, "s")
        served = user.done
        wait_until(lambda: user.done > served, "the client served by it")
    finally:
        user.end()
    report.equal(f"of {2 * user.done} requests of the client, none failed", [], user.failed)
    report.equal("it is the same process", pid, scene.own.pids()[FRONT])


REPLACE_DISK = Step(
    "A disk is replaced by an empty one",
    "The disk of a storage server is taken out, and the server starts on an empty one, with the same name. The front "
    "notices that the disk is another one, and has every part rebuilt that is not on it, as far as there is parity.",
    _replace_disk,
    "the folders of the storage servers",
)
UPGRADE = Step(
    "The front is upgraded while it is used",
    "A signal has the front replaced by the installed version, here the same one. It takes over the listening sockets, "
    "so clients wait for a moment, and none is refused.",
    _upgrade,
    "the processes",
)
