"""The step with many clients at once."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from threading import Barrier

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import CommandFailed

_MIB = 2**20
_SIZES = [16 * _MIB] * 3 + [4 * _MIB + 1] * 5 + [_MIB] * 8 + [100_000] * 8 + [0, 1, 5, 6, 7, 4096, 262_144, 262_145]
_TOGETHER_S = 30.0


def _at_once(scene: Scene, report: Report) -> None:
    clients = len(_SIZES)
    report.command(f"for i in $(seq {clients}); do curl -T $i.bin {scene.link('client-$i.bin')} & done")
    files, together = scene.files, Barrier(clients)

    def run(number: int) -> str:
        """Store a file and read it back; return what was wrong, if anything."""
        size, path = _SIZES[number], scene.path(f"client-{number}.bin")
        data = os.urandom(size)
        together.wait(_TOGETHER_S)
        try:
            stored = files.put(path, BytesIO(data), size if number % 2 else None)
            found = files.digest(path)
        except CommandFailed as problem:
            return problem.message
        good = stored.status == 201 and found == sha256(data).hexdigest()
        return "" if good else f"client {number}: status {stored.status}, SHA-256 {found}"

    begun = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        problems = [problem for problem in pool.map(run, range(clients)) if problem]
    report.measure("speed, in and out together", 2 * sum(_SIZES) / (time.monotonic() - begun) / 1e6, "MB/s")
    found = "; ".join(problems[:3]) or "all"
    report.check(f"each of the {clients} clients got 201, and its own bytes back", not problems, "all", found)


AT_ONCE = Step(
    f"{len(_SIZES)} clients at once",
    "Each stores a file, from nothing to 16 MiB, half of them without a length, and reads it back. All begin at the "
    "same moment.",
    _at_once,
)
