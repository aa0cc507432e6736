"""The steps that store files and read them back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BufferedIOBase
from typing import cast

from splitd.cli.demo.files import Stored
from splitd.cli.demo.memory import forget_peak, peak_memory
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.local.plan import FRONT
from splitd.cli.server import read_pieces
from storaged.system.sizes import format_size

SAMPLE = "random.bin"
PIPED = "piped.bin"
_MIB = 2**20
_MEMORY_LIMIT = 150 * _MIB
_RANGE = _MIB
_FIRST_READ = 64 * 1024
_NEW_VERSION = 3 * _MIB + 1


def _put_known(scene: Scene, report: Report) -> None:
    sample = scene.sample
    report.command(f"curl -T {SAMPLE} {scene.link(SAMPLE)}")
    with _front_watched(scene, report), sample.path.open("rb") as stream:
        stored = scene.files.put(scene.path(SAMPLE), stream, sample.size)
        _report_speed(report, stored, sample.size)
    scene.versions[SAMPLE] = stored.upload


def _put_piped(scene: Scene, report: Report) -> None:
    sample = scene.sample
    report.command(f"cat {SAMPLE} | curl -T - {scene.link(PIPED)}")
    with _front_watched(scene, report), subprocess.Popen(["cat", sample.path], stdout=subprocess.PIPE) as cat:  # noqa: S603, S607
        stored = scene.files.put(scene.path(PIPED), cast("BufferedIOBase", cat.stdout))
        _report_speed(report, stored, sample.size)
    scene.versions[PIPED] = stored.upload


@contextmanager
def _front_watched(scene: Scene, report: Report) -> Iterator[None]:
    if scene.cluster is None:
        yield
        return
    pid = scene.own.pids()[FRONT]
    forget_peak(pid)
    yield
    peak = peak_memory(pid)
    report.measure("peak memory of the front", peak / _MIB, "MiB")
    limit = f"at most {format_size(_MEMORY_LIMIT)}"
    report.check(
        "the front's memory stays small, however large the file", peak <= _MEMORY_LIMIT, limit, format_size(peak)
    )


def _report_speed(report: Report, stored: Stored, size: int) -> None:
    report.measure("speed", size / stored.seconds / 1e6, "MB/s")
    report.equal("the answer is 201: all parts and the name would survive a power cut", 201, stored.status)


def _read_back(scene: Scene, report: Report) -> None:
    sample, files = scene.sample, scene.files
    for name in (SAMPLE, PIPED):
        report.command(f"curl -s {scene.link(name)} | sha256sum")
        begun = time.monotonic()
        found = files.digest(scene.path(name))
        report.measure("speed", sample.size / (time.monotonic() - begun) / 1e6, "MB/s")
        report.equal(f"the SHA-256 is that of the file that went in, {sample.sha256[:16]}…", sample.sha256, found)
    start = sample.size // 2 - _RANGE // 3
    stop = min(start + _RANGE, sample.size)
    report.command(f"curl -r {start}-{stop - 1} {scene.link(SAMPLE)}")
    status, found_bytes = files.read(scene.path(SAMPLE), {"Range": f"bytes={start}-{stop - 1}"})
    report.equal("a range is answered with 206", 206, status)
    report.equal(
        f"the {stop - start} bytes from the middle are those of the file",
        sha256(sample.read(start, stop - start)).hexdigest(),
        sha256(found_bytes).hexdigest(),
    )


def _overwrite(scene: Scene, report: Report) -> None:
    sample, files, path = scene.sample, scene.files, scene.path(PIPED)
    old, new = scene.sample.sha256, scene.sample.read(0, _NEW_VERSION)[::-1]
    report.command(f"curl --limit-rate 1M -s {scene.link(PIPED)} | sha256sum   # stands still after its first bytes")
    with files.front.ask("GET", path) as slow:
        digest = sha256(slow.read(_FIRST_READ))
        report.command(f"curl -T new.bin {scene.link(PIPED)}")
        stored = files.put(path, new)
        report.equal("the new version is in: the answer is 204", 204, stored.status)
        report.equal("whoever asks now gets the new version", sha256(new).hexdigest(), files.digest(path))
        for piece in read_pieces(slow, f"GET {path}"):
            digest.update(piece)
    left = format_size(max(sample.size - _FIRST_READ, 0))
    report.equal(f"the slow reader gets the other {left} of the old version, to the end", old, digest.hexdigest())
    scene.versions[PIPED] = stored.upload


PUT_KNOWN = Step(
    "A file goes in",
    "While the bytes stream through, the front cuts them into equal parts, and sends each to a storage server of its "
    "own. It never holds the file, so its memory does not depend on the file's size.",
    _put_known,
)
PUT_PIPED = Step(
    "A file of unknown length goes in",
    "The same from a pipe. Nobody says how long the file will be (chunked encoding), and equal parts come out all the "
    "same.",
    _put_piped,
)
READ_BACK = Step(
    "The files come back",
    "The front joins the parts again and checks every byte on the way. A range from the middle is read from the middle "
    "of the parts, not from their beginning.",
    _read_back,
)
OVERWRITE = Step(
    "Overwriting is atomic",
    "A slow reader is in the middle of a file when a new version replaces it. A read is of one version to its end, "
    "never a mix of two.",
    _overwrite,
)
