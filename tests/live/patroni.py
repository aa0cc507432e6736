"""PostgreSQL on three servers under Patroni, which makes another one the leader when the leader dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import yaml

from tests.live.clients import ask
from tests.live.processes import wait_until
from tests.ports import free_ports
from tests.postgres import program

SERVERS = ("a", "b", "c")
_TTL_S = 20
"""For how long the leader is one without saying so again; Patroni allows no less."""

_WITH_US = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"
"""Runs a program that the kernel kills when this process ends, for whatever reason."""

_AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
_READING_OURS = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
"""The programs from PyPI may lie where only root can read."""


class Patroni:
    """Three servers of PostgreSQL with synchronous replication to a quorum, and one etcd that knows the leader.

    A commit is answered when the leader and one other server have it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="splitd-ha-"))
        self._is_root = os.geteuid() == 0
        self._etcd_port = free_ports([0, 1])
        self._ports = {name: free_ports([0, 1]) for name in SERVERS}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in SERVERS:
            (self.folder / name).mkdir()
            (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(self._settings(name)))
        if self._is_root:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "postgres")

    @property
    def url(self) -> str:
        """The address of the database, whichever server is the leader."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports.values())
        return f"postgresql://splitd@{hosts}/postgres?target_session_attrs=read-write"

    def _settings(self, name: str) -> dict[str, Any]:
        port = self._ports[name]
        return {
            "scope": "splitd",
            "name": name,
            "restapi": {"listen": f"127.0.0.1:{port + 1}"},
            "etcd3": {"host": f"127.0.0.1:{self._etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": _TTL_S,
                    "loop_wait": 1,
                    "retry_timeout": 5,
                    "synchronous_mode": "quorum",
                    "synchronous_mode_strict": True,
                    "postgresql": {"parameters": {"max_connections": 60, "shared_buffers": "32MB"}},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{port}",
                "connect_address": f"127.0.0.1:{port}",
                "data_dir": str(self.folder / name / "data"),
                "bin_dir": str(Path(program("postgres")).parent),
                "pgpass": str(self.folder / name / "pgpass"),
                "basebackup": [{"checkpoint": "fast"}],
                "authentication": {"superuser": {"username": "splitd"}, "replication": {"username": "splitd"}},
                "parameters": {"unix_socket_directories": str(self.folder / name)},
                "pg_hba": [
                    "local all all trust",
                    *(f"host {what} all 127.0.0.1/32 trust" for what in ("all", "replication")),
                ],
            },
        }

    def start(self) -> None:
        """Start all, and wait until a commit reaches two servers."""
        etcd = shutil.which("etcd")
        assert etcd, "etcd is missing: apt-get install etcd-server"
        client, peer = (f"http://127.0.0.1:{self._etcd_port + offset}" for offset in (0, 1))
        self._run(
            "etcd", etcd, "--data-dir", self.folder / "etcd", "--listen-client-urls", client, "--advertise-client-urls",
            client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
            f"default={peer}", "--unsafe-no-fsync",
        )  # fmt: skip
        for name in SERVERS:
            self.bring_up(name)
        wait_until(self._is_whole, "three servers", self.log)

    def bring_up(self, name: str) -> None:
        """Start a server."""
        patroni = [sys.executable, Path(sys.executable).with_name("patroni"), self.folder / f"{name}.yaml"]
        self._run(name, *patroni, before=[*_AS_POSTGRES, *_READING_OURS] if self._is_root else [])

    def _run(self, name: str, *command: str | Path, before: Sequence[str] = ()) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*before, sys.executable, "-c", _WITH_US, *command],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """The last lines of all logs."""
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in self.folder.glob("*.log"))

    def cluster(self) -> dict[str, dict[str, Any]]:
        """Return the servers as one of them that runs knows them, by their names."""
        for port in self._ports.values():
            answer = ask(f"http://127.0.0.1:{port + 1}/cluster")
            if answer.status == 200:
                return {member["name"]: member for member in json.loads(answer.body)["members"]}
        return {}

    def _is_whole(self) -> bool:
        """Whether all servers run, and commits wait for one of two others."""
        roles = sorted(member["role"] for member in self.cluster().values())
        return roles == ["leader", "quorum_standby", "quorum_standby"]

    def leader(self) -> str:
        """Return the leader; empty if there is none."""
        return next((name for name, member in self.cluster().items() if member["role"] == "leader"), "")

    def kill(self, name: str) -> None:
        """Kill a server, Patroni and PostgreSQL, with all processes at once, as a power cut does."""
        patroni = self._processes.pop(name)
        for pid in (patroni.pid, *self._servers(name)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        patroni.wait()

    def _servers(self, name: str) -> list[int]:
        """Return the processes of one PostgreSQL; none before it was started."""
        pid = self.folder / name / "data/postmaster.pid"
        if not pid.exists():
            return []
        postmaster = pid.read_text().split()[0]
        children = subprocess.run(["pgrep", "-P", postmaster], check=False, capture_output=True, text=True)
        return [int(postmaster), *map(int, children.stdout.split())]

    @contextmanager
    def nobody_leads(self) -> Iterator[str]:
        """Kill the leader, and let no other server become it before the end of the block.

        :return: the name of the server that was killed.
        """
        while True:
            leader = wait_until(self.leader, "a leader", self.log)
            others = [self._processes[name].pid for name in SERVERS if name != leader]
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            if ask(f"http://127.0.0.1:{self._ports[leader] + 1}/leader").status == 200:
                break
            for pid in others:  # another one has just become it
                os.kill(pid, signal.SIGCONT)
        self.kill(leader)
        yield leader
        for pid in others:
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop all, and remove the folder."""
        for name in [name for name in self._processes if name in SERVERS]:
            self.kill(name)
        for process in self._processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url)
