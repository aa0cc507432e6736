"""Runs splitctl as a process with arguments, pipes and an exit code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.live.clients import Command
from tests.live.local_cluster import SPLITCTL, LocalCluster


class Splitctl:
    """Runs splitctl for a cluster.

    :param folder: the folder in which it runs.
    """

    def __init__(self, cluster: LocalCluster, folder: Path) -> None:
        self._options = ["--url", cluster.url, "--admin", cluster.admin]
        self.folder = folder

    def command(self, *arguments: str) -> Command:
        """Return the words of a command."""
        return [SPLITCTL, *self._options, *arguments]

    def end(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, whatever its exit code."""
        return subprocess.run(
            self.command(*arguments), input=data, cwd=self.folder, capture_output=True, timeout=180, check=False
        )

    def run(self, *arguments: str, data: bytes = b"", expected: int = 0) -> bytes:
        """Run a command in the folder; return its output."""
        done = self.end(*arguments, data=data)
        assert done.returncode == expected, f"{arguments}: exit code {done.returncode}: {done.stderr.decode()}"
        assert bool(done.stderr) == bool(expected), done.stderr.decode()
        return done.stdout

    def refused(self, *arguments: str, expected: int = 1) -> str:
        """Run a command that must fail; return its error message."""
        done = self.end(*arguments)
        assert done.returncode == expected, f"{arguments}: exit code {done.returncode}: {done.stderr.decode()}"
        return done.stderr.decode()

    def lines(self, *arguments: str) -> list[str]:
        return self.run(*arguments).decode().splitlines()

    def documents(self, *arguments: str) -> list[Any]:
        return [json.loads(line) for line in self.lines("--json", *arguments)]
