from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

MIB = 2**20

Mounter = Callable[[Path, int], None]


@pytest.fixture
def mount() -> Iterator[Mounter]:
    """A function that mounts a disk of a given size in bytes on a new folder; it is unmounted at the end."""
    with ExitStack() as stack:

        def do(folder: Path, size: int) -> None:
            folder.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", folder], check=True)

        yield do
