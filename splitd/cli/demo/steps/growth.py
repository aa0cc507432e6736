"""A storage server is added."""

from __future__ import annotations

import os

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.start import NODES
from splitd.cli.demo.steps.transfer import SAMPLE
from storaged.partfile import SMALL_PART

_FILES = 24
# More than six small parts: each part is a file of its own, that can be counted.
_SIZE = 6 * SMALL_PART + 1


def _grow(scene: Scene, report: Report) -> None:
    cluster = scene.own
    cluster.stop()
    report.command(f"splitctl up --nodes {NODES + 1} --dir {cluster.folder}")
    cluster.start(NODES + 1)
    report.equal("seven storage servers run", NODES + 1, len(cluster.disks()))
    found = scene.files.digest(scene.path(SAMPLE))
    report.equal("the old file is there, every byte of it", scene.sample.sha256, found)
    here = {disk.node_id for disk in cluster.disks() if disk.parts(scene.versions[SAMPLE])}
    report.check("its parts were not moved", "n7" not in here and len(here) == NODES, "n1 to n6", sorted(here))
    report.command(f"for i in $(seq {_FILES}); do curl -T new.bin {scene.link('new-$i.bin')}; done")
    uploads = [scene.files.put(scene.path(f"new-{i}.bin"), os.urandom(_SIZE)).upload for i in range(_FILES)]
    counts = {disk.node_id: [len(disk.parts(upload)) for upload in uploads] for disk in cluster.disks()}
    report.table(["node", "parts of the new files"], [(node_id, sum(each)) for node_id, each in counts.items()])
    total = sum(map(sum, counts.values()))
    report.equal(f"the {_FILES} new files have six parts each", 6 * _FILES, total)
    report.check("no node has two parts of the same file", passed=max(map(max, counts.values())) <= 1)
    report.check("the new storage server takes its share", sum(counts["n7"]) > 0, "some parts", sum(counts["n7"]))


GROW = Step(
    "A storage server is added",
    "The cluster is stopped, and started again with seven storage servers. The old files stay where they are; new "
    "files use the new server, too.",
    _grow,
    "the processes",
)
