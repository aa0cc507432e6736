"""splitctl check on real processes: what it says is what a client finds."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.live.clients import ask, put
from tests.live.conftest import Starter
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.live.splitctl import Splitctl

LARGE = 6 * 300_000


@pytest.fixture
def harmed(own_cluster: Starter) -> LocalCluster:
    return own_cluster()


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 4]))


def test_a_check_says_exactly_which_files_are_hurt(harmed: LocalCluster, tmp_path: Path) -> None:
    splitctl = Splitctl(harmed, tmp_path)
    etags = {name: put(f"{harmed.url}/{name}", os.urandom(LARGE)) for name in ("well", "flipped", "gone")}
    put(f"{harmed.url}/small", b"x" * 1000)
    assert splitctl.run("check").startswith(b"4 files")
    assert b"all is well" in splitctl.run("check", "--deep")
    flipped = {node: part for node, parts in harmed.disks.parts(etags["flipped"]).items() for part in parts}
    node, part = next(iter(flipped.items()))
    flip(part, 200_000)
    [gone] = [part for parts in harmed.disks.parts(etags["gone"]).values() for part in parts][:1]
    gone.unlink()
    fast = splitctl.end("check")
    assert fast.returncode == 2
    assert b"/gone: lost" in fast.stdout
    assert b"/flipped" not in fast.stdout
    deep = splitctl.end("check", "--deep")
    assert deep.returncode == 2
    lines = deep.stdout.decode().splitlines()
    place = lines.index("/flipped: lost, cannot be read: too many of its parts are missing or damaged")
    assert lines[place + 1].startswith(
        f"  part {part.suffix[1:]} on {node}: damaged: part {part.name}: the checksum of unit"
    )
    assert lines[-1].endswith("2 lost")
    for name in ("well", "flipped", "gone", "small"):
        hurt = name in {"flipped", "gone"}
        assert splitctl.end("check", "--deep", f"/{name}").returncode == (2 if hurt else 0)
        assert (splitctl.end("get", f"/{name}", f"{name}.out").returncode != 0) == hurt


def test_ctrl_c_ends_a_check_in_the_front_too(harmed: LocalCluster, tmp_path: Path) -> None:
    splitctl = Splitctl(harmed, tmp_path)
    put(f"{harmed.url}/large", os.urandom(20 * LARGE))
    for _ in range(6):  # four may run at once: the fifth would be refused
        output = tmp_path / "output"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                splitctl.command("--json", "check", "--deep", "--limit", "0.1"), stdout=stream, stderr=subprocess.PIPE
            )
        with process:
            wait_until(lambda: b"progress" in output.read_bytes(), "the progress")  # noqa: B023 - used at once
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
    assert ask(f"{harmed.url}/large", "DELETE").status == 204


def test_rot_is_told_though_nobody_reads_the_file(harmed: LocalCluster, tmp_path: Path) -> None:
    etag = put(f"{harmed.url}/old", os.urandom(LARGE))
    node, [part] = next((node, parts) for node, parts in harmed.disks.parts(etag).items() if parts)
    flip(part, 100_000)
    # The operator wants all parts read soon.
    config = harmed.folder / "nodes" / node / "storaged.yaml"
    config.write_text(config.read_text() + "scrub_days: 0.00002\n")
    harmed.kill(node)
    wait_until(lambda: [text for text in harmed.status()["warnings"] if f"node {node} has 1 rotten parts" in text],
               "the warning", harmed.status)  # fmt: skip
    assert part.exists()
    assert Splitctl(harmed, tmp_path).end("check").returncode == 2
