"""A PostgreSQL server for tests, with all the care for durability that it has by default."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

_numbers = count(1)
_LOOK_S = 0.001


def program(name: str) -> str:
    """The path of one of the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if not found:
        found = [Path(path)] if (path := shutil.which(name)) else []
    assert found, f"{name} is missing: apt-get install postgresql"
    return str(found[-1])


def _stands_still(pid: int) -> bool:
    return _state_of(pid) in {"T", "Z", "X", ""}


def _state_of(pid: int) -> str:
    """The state of a process, as proc_pid_stat(5) has it; empty if there is none any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Postgres:
    """A server in a folder of its own, which listens on a socket in the file system only.

    It never runs as root, because PostgreSQL refuses that.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="splitd-pg-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        initdb = [program("initdb"), "--pgdata", "data", "--username", "splitd", "--auth", "trust", "--no-sync"]
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        self._options = {"cwd": self.folder, "user": self._user, "env": environment}
        subprocess.run(
            [*initdb, "--encoding", "UTF8", "--locale", "C"], check=True, capture_output=True, **self._options
        )  # type: ignore[call-overload]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "64MB",
            "logging_collector": "off",
        }
        arguments = [each for name, value in settings.items() for each in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            command = [program("postgres"), "-D", "data", *arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._options)  # type: ignore[call-overload]
        while True:
            try:
                self.connect("").close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
            else:
                return

    def kill(self) -> None:
        """Kill it and all its processes at once, as a power cut does.

        None of them is left: a start would be refused.
        """
        children = self._stop()
        for pid in [*children, self._process.pid]:
            os.kill(pid, signal.SIGKILL)
        self._process.wait()
        while not all(_state_of(pid) in {"Z", "X", ""} for pid in children):
            time.sleep(_LOOK_S)

    @contextmanager
    def paused(self, *pids: int) -> Iterator[None]:
        """Let it stand still for the length of the block; it still takes connections.

        :param pids: only these of its processes; none for all.
        """
        if pids:
            stopped = list(pids)
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
        else:
            stopped = [*self._stop(), self._process.pid]
        try:
            while not all(map(_stands_still, stopped)):
                time.sleep(_LOOK_S)
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def lacking_a_replica(self) -> Iterator[None]:
        """Let commits wait for a replica that is not there, soon and until the end of the block."""
        with psycopg.connect(self.url("public"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names TO 'nobody'")
            connection.execute("SELECT pg_reload_conf()")
            try:
                yield
            finally:
                connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                connection.execute("SELECT pg_reload_conf()")

    def _stop(self) -> list[int]:
        """Let it stand still with all its processes; return those that it has started, which are all that there are."""
        os.kill(self._process.pid, signal.SIGSTOP)
        while not _stands_still(self._process.pid):
            time.sleep(_LOOK_S)
        # It starts no more of them, and waits for none that has ended: their numbers stay theirs.
        started = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in map(int, started):
            os.kill(pid, signal.SIGSTOP)
        return list(map(int, started))

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        shutil.rmtree(self.folder)

    def url(self, schema: str) -> str:
        """The address of a catalog that is kept in a schema."""
        return f"postgresql://splitd@/postgres?host={self.folder}&options=-csearch_path%3D{schema}"

    def connect(self, schema: str) -> psycopg.Connection:
        return psycopg.connect(self.url(schema))

    def new_schema(self) -> str:
        """Make an empty schema."""
        schema = f"test{next(_numbers)}"
        with self.connect("public") as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        connection.close()
        return schema

    def drop(self, schema: str) -> None:
        with self.connect("public") as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
        connection.close()


@cache
def postgres() -> Postgres:
    """The server of this process, which runs until its end."""
    server = Postgres()
    atexit.register(server.stop)
    return server
