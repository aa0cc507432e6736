"""splitctl check on real processes: what it says is what a client finds."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.live.clients import ask, put
from tests.live.conftest import Starter
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.live.splitctl import Splitctl

LARGE = 6 * 300_000


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 4]))


def test_a_check_says_exactly_which_files_are_hurt(module_cluster: LocalCluster, tmp_path: Path) -> None:
    splitctl = Splitctl(module_cluster, tmp_path)
    etags = {name: put(f"{module_cluster.url}/{name}", os.urandom(LARGE)) for name in ("well", "flipped", "gone")}
    put(f"{module_cluster.url}/small", b"x" * 1000)
    assert splitctl.run("check").startswith(b"4 files")
    assert b"all is well" in splitctl.run("check", "--deep")
    flipped = {node: part for node, parts in module_cluster.disks.parts(etags["flipped"]).items() for part in parts}
    node, part = next(iter(flipped.items()))
    flip(part, 200_000)
    [gone] = [part for parts in module_cluster.disks.parts(etags["gone"]).values() for part in parts][:1]
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


def test_ctrl_c_ends_a_check_in_the_front_too(module_cluster: LocalCluster, tmp_path: Path) -> None:
    splitctl = Splitctl(module_cluster, tmp_path)
    put(f"{module_cluster.url}/large", os.urandom(20 * LARGE))
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
    assert ask(f"{module_cluster.url}/large", "DELETE").status == 204


def test_rot_is_told_though_nobody_reads_the_file(own_cluster: Starter, tmp_path: Path) -> None:
    cluster = own_cluster()
    etag = put(f"{cluster.url}/old", os.urandom(LARGE))
    node, [part] = next((node, parts) for node, parts in cluster.disks.parts(etag).items() if parts)
    flip(part, 100_000)
    # The operator wants all parts read soon.
    config = cluster.folder / "nodes" / node / "storaged.yaml"
    config.write_text(config.read_text() + "scrub_days: 0.00002\n")
    cluster.kill(node)
    warning = f"node {node} has 1 rotten parts"
    wait_until(
        lambda: any(warning in text for text in cluster.status()["warnings"]),
        "the warning",
        cluster.status,
    )
    assert part.exists()
    assert Splitctl(cluster, tmp_path).end("check").returncode == 2
