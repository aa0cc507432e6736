"""Runs services for a measurement, on 127.0.0.1 only: starts them, waits until they are ready, and stops them."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
from processes import Processes

HOST = "127.0.0.1"
_START_S = 60
_STOP_S = 20


@attrs.frozen
class S3:
    """A door for S3.

    :param address: its address and port.
    """

    address: str
    access_key: str
    secret_key: str


class Service(Protocol):
    """A service that accepts PUT and GET.

    :ivar url: the URL below which files of any name can be stored.
    """

    url: str

    def start(self) -> None:
        """Start it, and wait until it can be used."""

    def processes(self) -> Processes:
        """Return its daemons."""

    def stop(self) -> None:
        """Stop whatever of it was started."""


class Children:
    """The daemons that were started here, by name.

    :param folder: the folder in which they run, and which gets their output.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], port: int, env: Mapping[str, str] | None = None) -> None:
        """Start a daemon, and wait until it listens on its port.

        :raise RuntimeError: it ended, or does not listen in time.
        """
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            raise RuntimeError(f"{name}: something listens on port {port} already")
        output = self._folder / f"{name}.out"
        with output.open("ab") as file:
            child = subprocess.Popen(
                command, cwd=self._folder, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, process_group=0
            )
        self._started[name] = child
        end = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((HOST, port), 1).close()
                return
            if child.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{name} does not listen on port {port}: {output.read_text()[-2000:]}")
            time.sleep(0.1)

    def pids(self) -> dict[str, int]:
        """Return their process ids."""
        return {name: child.pid for name, child in self._started.items()}

    def stop(self) -> None:
        """Stop them, beginning with the one started last."""
        for child in reversed(self._started.values()):
            child.terminate()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._started = {}


class Cluster:
    """A cluster of splitd, run by `splitctl up`.

    :param folder: its folder; files that an earlier start left there are served.
    :param port: the front's port; the other daemons have the ports after it.
    :param cached: whether the front keeps small files in memory.
    :param users: the file of the users; None for none.
    :param etag: what the ETags of objects of S3 are.
    :param catalog: the address of the database that has its names; empty for a journal.
    :param workers: how many processes serve clients; None for as many as the machine gets by itself.
    :param more: other settings of the front, as lines of YAML.
    :ivar folder: where its files are.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        cached: bool = True,
        users: Path | None = None,
        etag: str = "md5",
        catalog: str = "",
        workers: int | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder / "cluster"
        self._port = port
        self._own = {"cache": "32MiB" if cached else "0", "s3_etag": etag} | dict(more or {})
        self._options = [] if users is None else ["--users", str(users)]
        self._options += ["--catalog", catalog] if catalog else []
        self._options += [] if workers is None else ["--workers", str(workers)]
        self._children = Children(folder)
        self.url = f"http://{HOST}:{port}"

    def start(self) -> None:
        """Start it; see `Service`."""
        front = self.folder / "front" / "splitd.yaml"
        front.parent.mkdir(parents=True, exist_ok=True)
        kept = front.read_text().splitlines() if front.exists() else []
        lines = [line for line in kept if line.partition(":")[0] not in self._own]
        lines += [f"{name}: {value}" for name, value in self._own.items()]
        front.write_text("\n".join(lines) + "\n")
        command = [str(Path(sys.executable).with_name("splitctl")), "up", "--dir", str(self.folder)]
        self._children.start("splitctl", [*command, *self._options, "--port", str(self._port)], self._port)
        end = time.monotonic() + _START_S
        while not (self.folder / "cluster.json").exists():
            if time.monotonic() > end:
                raise RuntimeError(f"the cluster in {self.folder} does not get ready")
            time.sleep(0.1)

    def told(self) -> dict[str, Any]:
        """Return what `splitctl up` tells of it, in cluster.json."""
        told: dict[str, Any] = json.loads((self.folder / "cluster.json").read_text())
        return told

    def s3(self) -> S3:
        """Return its door for S3, with the key of a cluster without users."""
        told = self.told()
        return S3(urlsplit(told["front"]["s3"]).netloc, told["s3_key"]["access_key"], told["s3_key"]["secret_key"])

    def processes(self) -> Processes:
        """Return its daemons; see `Service`."""
        return processes_of(self.folder / "cluster.json")

    def stop(self) -> None:
        """Stop it; see `Service`."""
        self._children.stop()


def processes_of(told: Path) -> Processes:
    """Return the daemons of a cluster from the cluster.json that `splitctl up` writes."""
    cluster = json.loads(told.read_text())
    return Processes({"front": cluster["front"]["pid"]} | {node["id"]: node["pid"] for node in cluster["nodes"]})


@contextlib.contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """Make a new folder, which is removed at the end of the block."""
    work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=work)).absolute()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def running(service: Service) -> Iterator[None]:
    """Start a service, and stop it at the end of the block."""
    try:
        service.start()
        yield
    finally:
        service.stop()
