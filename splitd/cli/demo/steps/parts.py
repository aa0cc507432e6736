"""The step that shows where the parts are, and what happens when one is damaged."""

from __future__ import annotations

from pathlib import Path

from splitd.cli.demo.disks import flipped_byte, payload_of
from splitd.cli.demo.files import curl_verdict
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.transfer import SAMPLE
from splitd.cli.errors import CommandFailed


def _look_at_parts(scene: Scene, report: Report) -> None:
    upload = scene.versions[SAMPLE]
    found = [(disk, part) for disk in scene.own.disks() for part in disk.parts(upload)]
    payloads = [payload_of(part) for _, part in found]
    report.table(
        ["node", "part", "bytes of the file", "bytes on disk"],
        [
            (disk.node_id, part.relative_to(disk.data), payload, part.stat().st_size)
            for (disk, part), payload in zip(found, payloads, strict=True)
        ],
    )
    report.equal("there are six parts, on six nodes", (6, 6), (len(found), len({disk.node_id for disk, _ in found})))
    report.equal("together they have the file's bytes", scene.sample.size, sum(payloads))
    difference = max(payloads) - min(payloads)
    report.check("they differ by at most one byte", difference <= 1, "0 or 1", difference)
    _damage(scene, report, found[2][1])


def _damage(scene: Scene, report: Report, part: Path) -> None:
    path, offset = scene.path(SAMPLE), part.stat().st_size // 2
    report.say(f"Now the byte at {offset} of {part.name} is flipped on the disk, as a bad sector would do.")
    with flipped_byte(part, offset):
        report.command(f"curl --fail -o /dev/null {scene.link(SAMPLE)}")
        if verdict := curl_verdict(scene.link(SAMPLE)):
            code, said = verdict
            report.quote(said.splitlines())
            report.check("curl ends with an error", code != 0, "an exit code that is not 0", code)
        try:
            scene.files.digest(path)
            failure = ""
        except CommandFailed as problem:
            failure = problem.message
        report.quote([f"splitctl: {failure}"] if failure else [])
        report.check("a wrong byte is never served: the reader sees a failure", bool(failure), "a failure", "a file")
    report.say("The byte is put back.")
    report.equal("the file reads fine again", scene.sample.sha256, scene.files.digest(path))


LOOK_AT_PARTS = Step(
    "Where the parts lie",
    "Each storage server has one sixth of the file, in a file of its own, with checksums. A disk that gives back wrong "
    "bytes must not go unnoticed.",
    _look_at_parts,
    "the folders of the storage servers",
)
