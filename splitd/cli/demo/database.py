"""The tour's own PostgreSQL server, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from splitd.cli.demo.own_cluster import free_ports
from splitd.cli.demo.waiting import wait_until
from splitd.cli.errors import CommandFailed
from splitd.cli.local.plan import HOST

_START_S = 60.0
_STOP_S = 60.0
_USER = "postgres"

_AS_USER = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
_IN_OUR_FOLDER = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
"""PostgreSQL refuses to run as root; its user may not enter root's folders otherwise."""


def find_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL server's programs; None if this machine cannot run one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    elsewhere = shutil.which("initdb")
    programs = found[-1].parent if found else Path(elsewhere).resolve().parent if elsewhere else None
    if os.geteuid() == 0 and not (shutil.which("setpriv") and _has_user()):
        return None
    return programs


def _has_user() -> bool:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return False
    return True


class OwnDatabase:
    """A PostgreSQL server, which only this machine reaches, with a password.

    :param folder: its folder, which must not exist yet.
    :param programs: see `find_programs`.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        self._password = secrets.token_hex(16)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The setting `catalog` of the fronts that use it."""
        return f"postgresql://splitd:{self._password}@{HOST}:{self._port}/postgres"

    def start(self) -> None:
        """Make it, start it, and wait until it takes connections.

        :raise CommandFailed: it did not start; the message has its output.
        """
        self._folder.mkdir(mode=0o700)
        password = self._folder / "password"
        password.write_text(self._password)
        if os.geteuid() == 0:
            for path in (self._folder, password):
                shutil.chown(path, _USER)
        data = str(self._folder / "data")
        made = subprocess.run(  # noqa: S603 - PostgreSQL's own program
            self._command("initdb", "--pgdata", data, "--username", "splitd", "--auth", "scram-sha-256", "--pwfile",
                          str(password), "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise CommandFailed(f"initdb: {made.stderr.strip()}")
        self._port = free_ports(lambda first: [first])
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
                self._command("postgres", "-D", data, "-p", str(self._port), "-c", f"listen_addresses={HOST}",
                              "-c", "unix_socket_directories=", "-c", "logging_collector=off"),
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
            )  # fmt: skip
        wait_until(self._answers, "the database ready", _START_S)

    def _command(self, program: str, *arguments: str) -> list[str]:
        before = [*_AS_USER, *_IN_OUR_FOLDER] if os.geteuid() == 0 else []
        return [*before, str(self._programs / program), *arguments]

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            said = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
            raise CommandFailed(f"the database did not start: {said.strip()}")
        try:
            socket.create_connection((HOST, self._port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # its connections are closed at once
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
