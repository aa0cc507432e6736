"""The step about the front's disk: it is lost, and the journal is recovered from the storage servers."""

from __future__ import annotations

import os
import time
from hashlib import sha256

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.transfer import SAMPLE
from splitd.cli.local.plan import FRONT

_LAST = "the-last-one.bin"
_SIZE = 3 * 2**20 + 1


def _lose_disk(scene: Scene, report: Report) -> None:
    cluster, path, data = scene.own, scene.path(_LAST), os.urandom(_SIZE)
    files = cluster.operators.document("/status")["files"]
    report.command(f"curl -T {_LAST} {scene.link(_LAST)}")
    report.equal("the answer is 201", 201, scene.files.put(path, data).status)
    pid = cluster.destroy_front()
    begun = time.monotonic()
    report.command(f"kill -9 {pid}; rm -rf {cluster.front}   # the front, with its journal and its settings")
    recover = ["--registry", str(cluster.registry), "--key", str(cluster.key), "--data", str(cluster.front / "data")]
    report.command(f"splitctl journal recover {' '.join(recover)}")
    code, said = cluster.operate("journal", "recover", *recover)
    report.quote(said.splitlines())
    report.equal("the journal is there again, from the storage servers", 0, code)
    cluster.restore_front()
    cluster.wait_recovered(FRONT, pid)
    report.measure("all well again after", time.monotonic() - begun, "s")
    report.equal("no file is missing", files + 1, cluster.operators.document("/status")["files"])
    report.equal("the last one is there, every byte of it", sha256(data).hexdigest(), scene.files.digest(path))
    report.equal("so is the first one", scene.sample.sha256, scene.files.digest(scene.path(SAMPLE)))


LOSE_FRONT = Step(
    "The front's disk is lost",
    "The front's journal has the names of all files, and its disk is gone right after an upload was answered. Storage "
    "servers have copies of the journal, and no answer is given before they have it.",
    _lose_disk,
    "the processes",
)
