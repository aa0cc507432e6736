"""nginx in front of the front, in several common configurations."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import attrs

from tests.clients.programs import find
from tests.live.processes import wait_until

NAME = "localhost"
"""The name that clients use; the front itself is at an address."""


@attrs.frozen
class Way:
    """One configuration for passing requests on.

    :param headers: the headers that nginx sets for the front.
    :param tls: whether clients use TLS.
    :param below: the path that clients find the store below; the front of this has it as its `base_path`.
    """

    headers: tuple[str, ...] = ()
    tls: bool = False
    below: str = ""


WAYS = {
    "as it is by default": Way(),
    "with the client's host and port": Way(("Host $host:$server_port",)),
    "with the client's host": Way(("Host $host",)),
    "with X-Forwarded-Host, behind TLS": Way(("X-Forwarded-Host $http_host", "X-Forwarded-Proto $scheme"), tls=True),
    "with Forwarded, behind TLS": Way(('Forwarded "for=$remote_addr;host=\\"$http_host\\";proto=https"',), tls=True),
}
BELOW = {"below a path": Way(("Host $http_host",), below="/files/of-ours")}
"""In this one, only URLs below a path are passed on, unchanged."""
BY_DEFAULT = "as it is by default"
"""In this configuration, the front knows its name only from its settings."""


class Nginx:
    """One nginx that listens in all configurations.

    :param front: the address and port of the front.
    :param ports: its ports, in the order of `ways`.
    :param ways: its configurations; None for `WAYS`.
    """

    def __init__(self, folder: Path, front: str, ports: list[int], ways: Mapping[str, Way] | None = None) -> None:
        self._folder = folder
        self._ways = ways or WAYS
        self._ports = dict(zip(self._ways, ports, strict=True))
        folder.mkdir()
        _write_certificate(folder)
        (folder / "nginx.conf").write_text(self._configuration(front))
        self._process: subprocess.Popen[bytes] | None = None

    def _configuration(self, front: str) -> str:
        servers = [self._server(name, front) for name in self._ways]
        kinds = "\n".join(f"{kind}_temp_path {self._folder}/{kind};" for kind in ("client_body", "proxy"))
        return (
            f"daemon off;\nmaster_process off;\npid {self._folder}/pid;\nerror_log stderr;\n"
            f"events {{}}\nhttp {{\naccess_log off;\nclient_max_body_size 0;\n{kinds}\n{''.join(servers)}}}\n"
        )

    def _server(self, name: str, front: str) -> str:
        way = self._ways[name]
        tls = f"ssl_certificate {self._folder}/pem;\nssl_certificate_key {self._folder}/pem;\n" if way.tls else ""
        headers = "".join(f"proxy_set_header {header};\n" for header in way.headers)
        return (
            f"server {{\nlisten 127.0.0.1:{self._ports[name]}{' ssl' * way.tls};\nserver_name {NAME};\n{tls}"
            f"location {way.below}/ {{\nproxy_pass http://{front};\nproxy_request_buffering off;\n{headers}}}\n}}\n"
        )

    def url(self, name: str) -> str:
        """Return the URL that clients use in one configuration."""
        way = self._ways[name]
        return f"http{'s' * way.tls}://{NAME}:{self._ports[name]}{way.below}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [find("nginx"), "-p", self._folder, "-c", self._folder / "nginx.conf"], stdout=output, stderr=output
            )
        wait_until(lambda: all(map(listens, self._ports.values())), "nginx", log.read_text)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)


def listens(port: int) -> bool:
    """Return whether something listens at a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _write_certificate(folder: Path) -> None:
    subprocess.run(
        [
            find("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
            "-keyout", folder / "key", "-out", folder / "certificate",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "pem").write_text((folder / "key").read_text() + (folder / "certificate").read_text())
