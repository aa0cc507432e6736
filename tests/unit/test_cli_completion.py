"""What the shell completes, as the shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from splitd.cli.main import main
from tests.unit.front_double import FrontDouble, running_front

SPLITCTL = Path(sys.executable).with_name("splitctl")


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    with running_front() as running:
        running.page = 10
        running.entries |= {"/holiday": None, "/holiday/a b": b"", "/holiday/c": None, "/house": b"", "/x": b""}
        yield running


def completed(front: FrontDouble, *words: str) -> list[str]:
    environment = {
        **os.environ,
        "_SPLITCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["splitctl", "--url", front.url, *words]),
        "COMP_CWORD": str(len(words) + 2),
    }
    done = subprocess.run([SPLITCTL], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_and_options_are_completed(front: FrontDouble) -> None:
    assert {"put", "get", "sync"} < set(completed(front, ""))
    assert "--checksum" in completed(front, "sync", "up", "--c")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ls", "/ho"], ["/holiday/", "/house"]),
        (["rm", "/holiday/"], ["/holiday/a b", "/holiday/c/"]),
        (["mv", "/x", "/hol"], ["/holiday/"]),
        (["get", "ho"], ["/holiday/", "/house"]),
        (["du", "/none/"], []),
        (["ls", "/x/"], []),
    ],
)
def test_paths_are_completed_with_what_is_there(front: FrontDouble, words: list[str], expected: list[str]) -> None:
    assert completed(front, *words) == expected


def test_a_server_that_is_gone_completes_nothing(front: FrontDouble) -> None:
    front.faults["GET"] = lambda handler: handler.say(503, "starting")
    assert completed(front, "ls", "/") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_SPLITCTL_COMPLETE" in result.stdout


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    check = f"{script}\ncomplete -p splitctl"
    done = subprocess.run(["bash", "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert "_splitctl_completion" in done.stdout
