"""nginx, which gives the requests of clients to several fronts by turns: each to the next one."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.clients.nginx import listens
from tests.clients.programs import find
from tests.live.processes import wait_until
from tests.ports import free_ports

_CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
access_log off;
client_max_body_size 0;
client_body_temp_path {folder}/client_body;
proxy_temp_path {folder}/proxy;
proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_request_buffering off;
proxy_next_upstream off;
{doors}}}
"""

_DOOR = """\
upstream fronts{port} {{
{servers}}}
server {{
listen 127.0.0.1:{port};
location / {{
proxy_pass http://fronts{port};
}}
}}
"""


class Turns:
    """A balancer before fronts, with a port for each of their doors.

    :param doors: the ports of the fronts, for each door.
    :ivar ports: its own ports, in the same order.
    """

    def __init__(self, folder: Path, *doors: Sequence[int]) -> None:
        folder.mkdir()
        self._folder = folder
        self.ports = [free_ports() for _ in doors]
        (folder / "nginx.conf").write_text(
            _CONFIGURATION.format(
                folder=folder,
                doors="".join(
                    _DOOR.format(
                        port=port, servers="".join(f"server 127.0.0.1:{front} max_fails=0;\n" for front in fronts)
                    )
                    for port, fronts in zip(self.ports, doors, strict=True)
                ),
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = self._folder / "log"
        command = [find("nginx"), "-p", self._folder, "-c", self._folder / "nginx.conf"]
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_until(lambda: all(map(listens, self.ports)), "nginx", log.read_text)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
