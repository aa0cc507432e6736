"""The step that shows where the parts are, what happens when one is damaged, and a pause of the scrub."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from splitd.cli.check import check_events
from splitd.cli.demo.disks import HEALED_S, NodeDisk, count_whole, flip_byte, flipped_byte, index_of, payload_of
from splitd.cli.demo.files import curl_verdict
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.transfer import SAMPLE
from splitd.cli.demo.waiting import wait_until
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
    width = scene.layout.width
    nodes = len({disk.node_id for disk, _ in found})
    report.equal(f"there are {width} parts, on {width} nodes", (width, width), (len(found), nodes))
    data = {index_of(part): payload for (_, part), payload in zip(found, payloads, strict=True)}
    size = sum(payload for index, payload in data.items() if index < scene.layout.data)
    report.equal("the data parts together have the file's bytes", scene.sample.size, size)
    difference = max(payloads) - min(payloads)
    report.check("they differ by at most one byte", difference <= 1, "0 or 1", difference)
    _damage(scene, report, *next((disk, part) for disk, part in found if index_of(part) == 0))
    _pause_the_scrub(scene, report)


def _damage(scene: Scene, report: Report, disk: NodeDisk, part: Path) -> None:
    offset = part.stat().st_size // 2
    report.say(f"Now the byte at {offset} of {part.name} is flipped on the disk, as a bad sector would do.")
    if scene.layout.parity:
        flip_byte(part, offset)
        report.command(f"curl --fail -o /dev/null {scene.link(SAMPLE)}")
        _see_it_rebuilt(scene, report)
        return
    with flipped_byte(part, offset):
        _see_it_found(scene, report, disk)
        report.command(f"curl --fail -o /dev/null {scene.link(SAMPLE)}")
        _see_it_fail(scene, report)
    report.say("The byte is put back.")
    report.equal("the file reads fine again", scene.sample.sha256, scene.files.digest(scene.path(SAMPLE)))


def _see_it_found(scene: Scene, report: Report, disk: NodeDisk) -> None:
    path = scene.path(SAMPLE)
    report.command(f"splitctl check --deep {path}")
    events = list(check_events(scene.own.operators, {"path": path, "deep": 1}))
    hurt = [part for event in events if event["event"] == "file" for part in event["parts"]]
    report.quote([f"part {part['part']} on {part['node']}: {part['state']}: {part['reason']}" for part in hurt])
    found = [(part["part"], part["node"], part["state"]) for part in hurt]
    report.equal("a check says which part of which file is hurt, and where", [(0, disk.node_id, "damaged")], found)


def _see_it_fail(scene: Scene, report: Report) -> None:
    if verdict := curl_verdict(scene.link(SAMPLE)):
        code, said = verdict
        report.quote(said.splitlines())
        report.check("curl ends with an error", code != 0, "an exit code that is not 0", code)
    try:
        scene.files.digest(scene.path(SAMPLE))
        failure = ""
    except CommandFailed as problem:
        failure = problem.message
    report.quote([f"splitctl: {failure}"] if failure else [])
    report.check("a wrong byte is never served: the reader sees a failure", bool(failure), "a failure", "a file")


def _see_it_rebuilt(scene: Scene, report: Report) -> None:
    if verdict := curl_verdict(scene.link(SAMPLE)):
        report.equal("curl ends without an error", 0, verdict[0])
    found = scene.files.digest(scene.path(SAMPLE))
    report.equal("a wrong byte is never served: it was computed from the other parts", scene.sample.sha256, found)
    width = scene.layout.width
    wait_until(lambda: _whole(scene) == width, "all parts right again", HEALED_S)
    report.equal(f"all {width} parts are right again on the disks", width, _whole(scene))


def _whole(scene: Scene) -> int:
    return count_whole(scene.own.disks(), scene.versions[SAMPLE])


def _pause_the_scrub(scene: Scene, report: Report) -> None:
    report.say(
        "Each storage server also reads all its parts by itself, to find such bytes. An operator can pause that."
    )
    for option, method, wanted in (("--pause", "DELETE", True), ("--resume", "POST", False)):
        report.command(f"splitctl scrub {option}")
        wait_until(partial(_all_scrubs_are, scene, method, wanted), f"an answer to {option} of all storage servers")
        paused = sum(node["scrub"]["paused"] for node in scene.own.operators.document("/status")["nodes"])
        report.equal("all scrubs are paused" if wanted else "none is any more", scene.nodes if wanted else 0, paused)


def _all_scrubs_are(scene: Scene, method: str, paused: bool) -> bool:
    asked = scene.own.operators.document("/scrub", method=method)["nodes"]
    shown = scene.own.operators.document("/status")["nodes"]
    return not any(node["problem"] for node in asked) and all(node["scrub"]["paused"] == paused for node in shown)


LOOK_AT_PARTS = Step(
    "Where the parts lie",
    "Each storage server has an equal part of the file, in a file of its own, with checksums. A disk that gives back "
    "wrong bytes must not go unnoticed; storage servers look for them by themselves.",
    _look_at_parts,
    "the folders of the storage servers",
)
