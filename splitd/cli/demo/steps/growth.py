"""The step that adds a storage server."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Event

from splitd.cli.demo.files import InterruptedStream
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.transfer import SAMPLE
from splitd.cli.demo.waiting import wait_until
from splitd.cli.server import read_pieces
from storaged.parts.format import SMALL_PART

_UNDER_WAY = "under-way.bin"
_HALF = 12 * 2**20
_FIRST_READ = 64 * 1024
_STILL_S = 50.0  # the front drops a client that does nothing for a minute
_FILES = 24
# Larger than small parts: then each part has its own file, which can be counted.
_PART = SMALL_PART + 1


def _grow(scene: Scene, report: Report) -> None:
    cluster, before = scene.own, scene.own.pids()
    _grow_under_load(scene, report)
    pids = cluster.pids()
    nodes, width, new = scene.nodes, scene.layout.width, f"n{scene.nodes + 1}"
    report.equal(f"{nodes + 1} storage servers run", nodes + 1, len(cluster.disks()))
    report.check("no process was started again", passed=before.items() <= pids.items())
    found = scene.files.digest(scene.path(SAMPLE))
    report.equal("the old file is there, every byte of it", scene.sample.sha256, found)
    here = {disk.node_id for disk in cluster.disks() if disk.parts(scene.versions[SAMPLE])}
    is_still = new not in here and len(here) == width
    report.check("its parts were not moved", is_still, f"{width} of n1 to n{nodes}", sorted(here))
    report.command(f"for i in $(seq {_FILES}); do curl -T new.bin {scene.link('new-$i.bin')}; done")
    size = scene.layout.data * _PART
    uploads = [scene.files.put(scene.path(f"new-{i}.bin"), os.urandom(size)).upload for i in range(_FILES)]
    counts = {disk.node_id: [len(disk.parts(upload)) for upload in uploads] for disk in cluster.disks()}
    report.table(["node", "parts of the new files"], [(node_id, sum(each)) for node_id, each in counts.items()])
    total = sum(map(sum, counts.values()))
    report.equal(f"the {_FILES} new files have {width} parts each", width * _FILES, total)
    report.check("no node has two parts of the same file", passed=max(map(max, counts.values())) <= 1)
    report.check("the new storage server takes its share", sum(counts[new]) > 0, "some parts", sum(counts[new]))


def _grow_under_load(scene: Scene, report: Report) -> None:
    """Add a storage server while an upload and a download are half-way."""
    half_way, go_on = Event(), Event()

    def stand_still() -> None:
        half_way.set()
        go_on.wait(_STILL_S)

    files, path, data = scene.files, scene.path(_UNDER_WAY), os.urandom(2 * _HALF)
    report.command(f"curl -T big.bin {scene.link(_UNDER_WAY)} &   # stands still half-way")
    report.command(f"curl -s {scene.link(SAMPLE)} | sha256sum &   # stands still after its first bytes")
    with ThreadPoolExecutor(1) as pool, files.front.ask("GET", scene.path(SAMPLE)) as slow:
        digest = sha256(slow.read(_FIRST_READ))
        upload = pool.submit(files.put, path, InterruptedStream(data, _HALF, stand_still), len(data))
        try:
            wait_until(half_way.is_set, "an upload half-way")
            report.command(f"splitctl grow --dir {scene.own.folder}")
            begun = time.monotonic()
            scene.own.grow()
            report.measure("there after", time.monotonic() - begun, "s")
        finally:
            go_on.set()
        stored = upload.result()
        for piece in read_pieces(slow, f"GET {scene.path(SAMPLE)}"):
            digest.update(piece)
    report.equal("the upload that was half-way did not notice: the answer is 201", 201, stored.status)
    report.equal("every byte of it is there", sha256(data).hexdigest(), files.digest(path))
    report.equal("the download that was half-way got every byte", scene.sample.sha256, digest.hexdigest())


GROW = Step(
    "A storage server is added",
    "While an upload and a download are half-way, another storage server joins. Nothing is stopped and nothing is "
    "moved; new files use the new server, too.",
    _grow,
    "the processes",
)
