"""A cluster that `splitctl up` runs, with methods to damage it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.live.clients import Command, ask
from tests.live.disks import Disks
from tests.live.processes import FRONT_LIMIT, NODE_LIMIT, forget_peaks, peak_memory, wait_until
from tests.ports import free_ports

FRONT = "front"
SPLITCTL = Path(sys.executable).with_name("splitctl")

_TRIES = 20
PORT_TAKEN = 5
BLOCK = [0, 1, 2, *range(11, 25)]
"""The ports of a cluster of up to fourteen storage servers, relative to the front's."""

_AWAY = {"unknown", "down", "stranger"}

_WITH_US = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
"""Runs a program that the kernel kills when this process ends, for whatever reason."""


class LocalCluster:
    """A front and six storage servers.

    :param folder: the `--dir` of `splitctl up`.
    :param settings: more keys of the front's configuration file.
    :ivar asked_for: what it must be ready for at its start, as a query; empty for everything.
    :ivar environment: variables for the processes, in addition to those of this process; read at `start`.
    :ivar descriptors: how many files each process may have open; None for as many as this one; read at `start`.
    :ivar workers: how many processes serve clients; more than one must all serve before the cluster is ready.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.asked_for = ""
        self.environment: dict[str, str] = {}
        self.descriptors: int | None = None
        self.output = folder.with_name(folder.name + ".out")
        self.disks = Disks(folder / "nodes")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "front").mkdir(parents=True)
        # One process, on machines of any size, where no test wants more.
        asked = {"workers": 1, **settings}
        self.workers: object = asked["workers"]
        (folder / "front" / "splitd.yaml").write_text(yaml.safe_dump(asked))

    # Life

    def start(self) -> None:
        """Start it, on free ports."""
        for _ in range(_TRIES):
            self.port = free_ports(BLOCK)
            if self._started():
                return
        raise AssertionError(f"no ports for a cluster: {self.output.read_text()}")

    def _started(self) -> bool:
        command: Command = [SPLITCTL, "up", "--dir", self.folder, "--port", str(self.port)]
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _limited(self.descriptors) + _WITH_US, *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
            )
        wait_until(lambda: self._supervisor.poll() is not None or self.is_ready(), "a cluster", self.output.read_text)
        if self._supervisor.poll() is None:
            return True
        # Another process may have taken a port after it was found free.
        assert self._supervisor.returncode == PORT_TAKEN, self.output.read_text()
        return False

    @property
    def _supervisor(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def send(self, number: signal.Signals) -> None:
        """Send `splitctl up` a signal."""
        self._supervisor.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop `splitctl up`.

        :return: its exit code.
        """
        self.send(number)
        try:
            return self._supervisor.wait(120)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
            raise

    def remove(self) -> None:
        """Stop it, if it runs, and remove its folder."""
        try:
            if self._process is not None and self._process.poll() is None:
                assert self.stop() == 0, self.output.read_text()
            faults = self.faults()
            assert not faults, faults
        finally:
            shutil.rmtree(self.folder)

    def faults(self) -> list[str]:
        """Return the lines in the logs about unexpected errors."""
        return [
            f"{path.name}: {line}"
            for path in self.folder.glob("log/*.log")
            for line in path.read_text(errors="replace").splitlines()
            if "Traceback" in line or "Unhandled" in line
        ]

    # Its state

    def is_ready(self) -> bool:
        """Return whether all daemons are reported as ready, and all workers serve.

        The front is ready while one worker serves.  Another one may still connect to the catalog's process, and answer
        503 until then.
        """
        if not self.ready_file.exists() or ask(f"{self.admin}/ready{self.asked_for}").status != 200:
            return False
        return self.workers == 1 or self._says(lambda status: len(status.get("workers", [])) == self.workers)

    def is_well(self) -> bool:
        """Return whether it is ready, and the front uses all nodes: with parity, it is ready without some of them."""
        return self.is_ready() and self._says(lambda status: not {node["state"] for node in status["nodes"]} & _AWAY)

    def _says(self, holds: Callable[[Any], bool]) -> bool:
        """Return whether something holds for the status; with users, only operators are told."""
        answer = ask(f"{self.admin}/status")
        return answer.status == 401 or (answer.status == 200 and holds(json.loads(answer.body)))

    @property
    def ready_file(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.port + 1}"

    def pids(self) -> dict[str, int]:
        """Return the process ids, by name."""
        told = json.loads(self.ready_file.read_text())
        return {FRONT: told["front"]["pid"], **{node["id"]: node["pid"] for node in told["nodes"]}}

    def status(self) -> Any:
        """Return the status; empty while the front does not answer."""
        answer = ask(f"{self.admin}/status")
        return json.loads(answer.body) if answer.status == 200 else {}

    # Harm

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop a daemon with SIGSTOP until the end of the block."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill(self, *names: str) -> dict[str, int]:
        """Kill daemons, one right after the other.

        :return: the ids of the killed processes.
        """
        pids = self.pids()
        for name in names:
            os.kill(pids[name], signal.SIGKILL)
        return {name: pids[name] for name in names}

    def wait_recovered(self, killed: dict[str, int]) -> None:
        """Wait until killed daemons run again, everything is ready, and the front uses all nodes."""
        wait_until(lambda: not killed.items() & self.pids().items(), f"{killed} started again", self.output.read_text)
        # The front may not have noticed that a node was down, so its answer alone does not prove that the node is back.
        for node in json.loads(self.ready_file.read_text())["nodes"]:
            wait_until(partial(_is_well, node["url"]), f"node {node['id']} well")
        wait_until(self.is_well, "all well", self.status)

    # Memory

    @contextmanager
    def memory_bounded(self) -> Iterator[None]:
        """Check at the end of the block that no daemon's memory has exceeded its limit."""
        pids = self.pids()
        forget_peaks(pids.values())
        yield
        peaks = {name: peak_memory(pid) for name, pid in pids.items()}
        assert self.pids() == pids, "a daemon was started again"
        too_much = {n: peak for n, peak in peaks.items() if peak > (FRONT_LIMIT if n == FRONT else NODE_LIMIT)}
        assert not too_much, f"too much memory: {too_much}"


def _is_well(url: str) -> bool:
    return ask(f"{url}/health").status == 200


def _limited(descriptors: int | None) -> str:
    if descriptors is None:
        return ""
    return f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors})); "
