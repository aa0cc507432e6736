"""The steps about failures: a client leaves, a storage server dies, the front dies."""

from __future__ import annotations

import os
import time
from hashlib import sha256

from splitd.cli.demo.disks import size_of
from splitd.cli.demo.files import InterruptedStream
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.transfer import SAMPLE
from splitd.cli.demo.waiting import wait_until
from splitd.cli.errors import CommandFailed, ServerRefused, TransferBroken
from splitd.cli.local.plan import FRONT
from splitd.cli.server import read_pieces
from storaged.system.sizes import format_size

_MIB = 2**20
_HALF = 24 * _MIB
_SMALL = 6 * _MIB + 5
_LEFT = "abandoned.bin"
_REPLACED = "replaced.bin"
_KEPT = "kept.bin"
_VICTIM = "n3"
_UNAVAILABLE = 503
_SECONDS = 10.0
_PARITY = "the files of this tour have parity, and a later step shows what becomes of them"


def _leave(scene: Scene, report: Report) -> None:
    path = scene.path(_LEFT)
    report.command(f"timeout 1 curl --limit-rate 1M -T big.bin {scene.link(_LEFT)}   # killed half-way")
    stream = InterruptedStream(os.urandom(_HALF), _HALF, lambda: _wait_in_the_middle(scene))
    try:
        scene.files.put(path, stream, 2 * _HALF)
    except TransferBroken:  # expected: the stream ends early
        left_at = time.monotonic()
    report.say(f"The client announced {format_size(2 * _HALF)}, sent {format_size(_HALF)} and closed the connection.")
    if scene.cluster is not None:
        _look_for_remains(scene, report, path, left_at)
    else:
        report.say("What is left on the disks of the storage servers is not looked at: they are somebody else's.")
    report.equal("there is no file of this name", "", scene.files.version(path))


def _look_for_remains(scene: Scene, report: Report, path: str, left_at: float) -> None:
    journal = scene.own.journal
    upload = wait_until(lambda: journal.last_upload_of(path), "the upload in the journal")
    wait_until(lambda: not _remains(scene, upload), f"no byte of upload {upload} on any disk", _SECONDS)
    report.measure("nothing left after", time.monotonic() - left_at, "s")
    report.check("no part and no temporary file is left on any storage server", passed=not _remains(scene, upload))
    story = ["upload-started", "upload-aborted", *["parts-gone"] * scene.layout.width]  # each node confirms its part
    wait_until(lambda: len(journal.records_of(upload)) == len(story), "all records of the upload", _SECONDS)
    report.say("What the journal says of it:")
    report.quote([line for line, _ in journal.records_of(upload)])
    report.equal("the journal tells the whole story", story, [kind for _, kind in journal.records_of(upload)])


def _remains(scene: Scene, upload: str) -> list[str]:
    return [
        path.name
        for disk in scene.own.disks()
        for path in [*disk.parts(upload), *disk.half_written()]
        if path.name.startswith(upload)
    ]


def _wait_in_the_middle(scene: Scene) -> None:
    """Wait until the first bytes of an upload are on the disks, if the tour can read these."""
    if scene.cluster is not None:
        wait_until(lambda: _in_the_middle(scene), "the first bytes on the disks of the storage servers")


def _in_the_middle(scene: Scene) -> bool:
    return all(any(size_of(path) for path in disk.half_written()) for disk in scene.own.disks())


def _kill_node(scene: Scene, report: Report) -> None:
    if scene.layout.parity:
        report.leave_out(_PARITY)
        return
    files, path = scene.files, scene.path(_REPLACED)
    data = os.urandom(_SMALL)
    old = files.put(path, data)
    report.command(f"curl -T new.bin {scene.link(_REPLACED)}   # there is an old version of it")
    killed: list[tuple[int, float]] = []

    def kill() -> None:
        _wait_in_the_middle(scene)
        killed.append((scene.own.kill(_VICTIM), time.monotonic()))
        report.command(f"kill -9 {killed[0][0]}   # storage server {_VICTIM}, half-way")

    reason, status = "", 204
    try:
        files.put(path, InterruptedStream(os.urandom(_HALF) * 2, _HALF, kill), 2 * _HALF)
    except ServerRefused as refusal:
        reason, status = refusal.message, refusal.status
    except TransferBroken as broken:
        reason, status = broken.message, 0
    if not killed:
        raise CommandFailed(f"the upload was over before its middle: {reason or status}")
    pid, killed_at = killed[0]
    if reason:
        report.quote([f"splitctl: {reason}"])
    is_reported = bool(reason) and status in {0, _UNAVAILABLE}
    report.check("the client is told", is_reported, "503 or the end of the connection", status)
    report.equal("the old version is the one that is visible", old.upload, files.version(path))
    scene.own.wait_recovered(_VICTIM, pid)
    report.measure("all well again after", time.monotonic() - killed_at, "s")
    report.check(
        f"{_VICTIM} came back by itself, as process {scene.own.pids()[_VICTIM]}",
        scene.own.pids()[_VICTIM] != pid,
    )
    report.equal("every byte of the old version is there", sha256(data).hexdigest(), files.digest(path))
    upload = scene.own.journal.last_upload_of(path)
    wait_until(lambda: not _remains(scene, upload), f"no byte of upload {upload} on any disk", _SECONDS)
    report.check("nothing of the new version is left on any storage server", passed=not _remains(scene, upload))


def _kill_read(scene: Scene, report: Report) -> None:
    if scene.layout.parity:
        report.leave_out(_PARITY)
        return
    sample, path = scene.sample, scene.path(SAMPLE)
    report.command(f"curl -O {scene.link(SAMPLE)}")
    got, digest, reason = 0, sha256(), ""
    with scene.files.front.ask("GET", path) as answer:
        pid, killed_at = scene.own.kill(_VICTIM), time.monotonic()
        report.command(f"kill -9 {pid}   # storage server {_VICTIM}, while the file comes")
        try:
            for piece in read_pieces(answer, f"GET {path}"):
                digest.update(piece)
                got += len(piece)
        except TransferBroken as broken:
            reason = broken.message
    ended_s = time.monotonic() - killed_at
    report.measure("the download ended after", ended_s, "s")
    if reason:
        report.quote([f"splitctl: {reason}"])
    report.check(
        "the client is not left waiting", ended_s < _SECONDS, f"less than {_SECONDS:.0f} s", f"{ended_s:.1f} s"
    )
    whole = got == sample.size
    report.check("it is whole, or the client knows that it is not", whole or bool(reason), "an error", "none")
    report.equal(f"the {format_size(got)} that came are those of the file", sample.digest(got), digest.hexdigest())
    scene.own.wait_recovered(_VICTIM, pid)
    report.equal("once the server is back, the file is whole", sample.sha256, scene.files.digest(path))


def _kill_front(scene: Scene, report: Report) -> None:
    path, data = scene.path(_KEPT), os.urandom(_SMALL)
    report.command(f"curl -T kept.bin {scene.link(_KEPT)}")
    stored = scene.files.put(path, data)
    pid = scene.own.kill(FRONT)
    killed_at = time.monotonic()
    report.equal("the answer was 201", 201, stored.status)
    report.command(f"kill -9 {pid}   # the front, at once")
    scene.own.wait_recovered(FRONT, pid)
    report.measure("all well again after", time.monotonic() - killed_at, "s")
    report.check(f"it came back by itself, as process {scene.own.pids()[FRONT]}", scene.own.pids()[FRONT] != pid)
    report.equal("the file is there, every byte of it", sha256(data).hexdigest(), scene.files.digest(path))


LEAVE = Step(
    "A client leaves in the middle",
    "An upload breaks off half-way. Nothing of it may ever be visible, and nothing of it may keep its space on the "
    "storage servers.",
    _leave,
)
KILL_NODE = Step(
    "A storage server dies in the middle",
    "A storage server is killed while a new version of a file is on its way in. The client must be told, and the old "
    "version must stay as it is.",
    _kill_node,
    "the processes",
)
KILL_READ = Step(
    "A storage server dies during a download",
    "Without redundancy the file cannot be read to its end. The client must learn that at once, and get no wrong byte.",
    _kill_read,
    "the processes",
)
KILL_FRONT = Step(
    "The front dies right after it said yes",
    "What was answered with 201 is on disk, the parts and the name. The front is killed as soon as the answer is here.",
    _kill_front,
    "the processes",
)
