"""Caddy and Traefik in front of the front, with the configurations that docs/proxies.md shows."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import yaml

from tests.clients.nginx import NAME, listens
from tests.clients.programs import find
from tests.live.processes import wait_until

_PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"
_FRONT, _NAME = "127.0.0.1:8080", "files.example.org"


def shown(word: str) -> str:
    """Return the only block of the page that has a word in it."""
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```$", _PAGE.read_text())
    [found] = [block for block in blocks if word in block]
    assert _NAME in found
    return str(found)


class Documented:
    """A proxy that listens on one port, with TLS.

    :param front: the address and port of the front.
    """

    def __init__(self, folder: Path, front: str, port: int) -> None:
        self._folder = folder
        self._front = front
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self._port}"

    def _command(self) -> list[str | Path]:
        """Write the configuration, and return the command that uses it."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command(), stdout=output, stderr=output, cwd=self._folder, env={"HOME": str(self._folder)}
            )
        wait_until(lambda: listens(self._port), type(self).__name__, log.read_text)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)


class Caddy(Documented):
    """Caddy, whose certificate is of an authority of its own, as always for localhost."""

    def _command(self) -> list[str | Path]:
        block = shown("reverse_proxy").replace(_NAME, f"{NAME}:{self._port}").replace(_FRONT, self._front)
        options = "{\nadmin off\nskip_install_trust\nauto_https disable_redirects\ndefault_bind 127.0.0.1\n}\n"
        (self._folder / "Caddyfile").write_text(options + block)
        return [find("caddy"), "run", "--config", "Caddyfile"]


class Traefik(Documented):
    """Traefik, with the certificate that it makes if it has none."""

    def _command(self) -> list[str | Path]:
        (self._folder / "files.yaml").write_text(
            shown("loadBalancer").replace(_NAME, NAME).replace(_FRONT, self._front)
        )
        static = yaml.safe_load(shown("readTimeout").replace(_NAME, NAME))
        static["entryPoints"]["websecure"]["address"] = f"127.0.0.1:{self._port}"
        static["providers"]["file"]["filename"] = str(self._folder / "files.yaml")
        static["global"] = {"checkNewVersion": False, "sendAnonymousUsage": False}
        (self._folder / "traefik.yaml").write_text(yaml.safe_dump(static))
        return [find("traefik"), "--configFile=traefik.yaml"]


PROXIES: dict[str, type[Documented]] = {"Caddy": Caddy, "Traefik": Traefik}
