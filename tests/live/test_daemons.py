"""What the daemons say when they cannot start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TWISTD = Path(sys.executable).with_name("twistd")
NODES = "- id: n1\n  url: http://127.0.0.1:1\n"


def start(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(TWISTD), "-n", "--pidfile=", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("0123456789abcdef\n")
    (tmp_path / "nodes.yaml").write_text(NODES)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["storaged", "--node", "n1", "--data", "d", "--cluster-key-file", "none"], "storaged: none: No such file"),
        (["storaged", "--data", "d", "--cluster-key-file", "key"], "missing required field `node`"),
        (["storaged", "--config", "none.yaml"], "none.yaml: No such file"),
        (
            ["splitd", "--data", "d", "--cluster-key-file", "key", "--registry", "no.yaml"],
            "splitd: no.yaml: No such file",
        ),
        (["splitd", "--data", "d", "--cluster-key-file", "key", "--registry", "key"], "splitd: key: line 1: should be"),
        (["splitd", "--data", "d", "--cluster-key-file", "key", "--registry", "nodes.yaml", "--unit", "x"], "unit"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_nothing_starts(
    folder: Path, arguments: list[str], told: str
) -> None:
    ended = start(*arguments, folder=folder)
    assert ended.returncode == 1
    assert told in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (folder / "d").exists()


def test_a_server_that_cannot_listen_ends_with_status_1(folder: Path) -> None:
    arguments = [
        "storaged",
        "--node",
        "n1",
        "--data",
        "d",
        "--cluster-key-file",
        "key",
        "--listen",
        "tcp:1:interface=192.0.2.1",
    ]
    ended = start(*arguments, folder=folder)
    assert ended.returncode == 1
    assert "Couldn't listen on 192.0.2.1:1" in ended.stdout + ended.stderr


def test_every_setting_is_in_the_help(folder: Path) -> None:
    for daemon, options in (("splitd", ["--registry", "--admin", "--unit"]), ("storaged", ["--node", "--reserve"])):
        told = start(daemon, "--help", folder=folder).stdout
        assert all(option in told for option in ["--config", "--listen", "--data", *options])
