"""The step about TLS: it is turned on while the service is used, and its certificate is changed."""

from __future__ import annotations

import json
import os
import socket
import ssl
from hashlib import sha256
from http.client import HTTPSConnection
from pathlib import Path

from splitd.cli.demo.files import Files
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.service import replace_front
from splitd.cli.demo.waiting import wait_until
from splitd.cli.errors import CommandFailed
from splitd.cli.local.plan import FRONT_CONFIG, HOST
from splitd.cli.server import Server

_FILE = "tls.bin"
_SIZE = 300_000
_TAKEN_S = 60.0
_WAIT_S = 30.0


def _encrypt(scene: Scene, report: Report) -> None:
    folder, port = scene.own.folder / "tls", _free_port()
    url, certificate = f"https://{HOST}:{port}", folder / "self-signed.pem"
    data, path = os.urandom(_SIZE), scene.path(_FILE)
    digest = sha256(data).hexdigest()
    scene.files.put(path, data)
    _certify(scene, report, folder)
    endpoint = f"tls:{folder}:{port}:interface={HOST}"
    report.command(f"echo 'listen_tls: {endpoint}' >> splitd.yaml; kill -USR2 FRONT   # its new settings, no pause")
    with (scene.own.front / FRONT_CONFIG).open("a", encoding="utf-8") as settings:
        settings.write(f"listen_tls: {json.dumps(endpoint)}\n")
    replace_front(scene)
    report.command(f"curl --cacert {certificate} {url}{path} | sha256sum")
    report.equal("the file is read by https, and the certificate verified", digest, _read(url, path, certificate))
    report.equal("a client that does not know the certificate reads nothing", "", _read(url, path, None))
    _change(scene, report, folder, port, path)
    report.equal("the file is read with the new certificate", digest, _read(url, path, certificate))


def _change(scene: Scene, report: Report, folder: Path, port: int, path: str) -> None:
    """Change the certificate, and see what an open connection and a new one have."""
    certificate = folder / "self-signed.pem"
    first = certificate.read_text(encoding="ascii")
    context = ssl.create_default_context(cafile=str(certificate))
    opened = HTTPSConnection(HOST, port, timeout=_WAIT_S, context=context)
    try:
        before = _ask(opened, path)
        _certify(scene, report, folder)
        second = certificate.read_text(encoding="ascii")
        wait_until(lambda: _served(port) in second, "the new certificate in use", _TAKEN_S)
        report.equal("new connections get the new certificate", False, _served(port) in first)
        report.equal("the connection of before goes on", [200, 200], [before, _ask(opened, path)])
    finally:
        opened.close()


def _certify(scene: Scene, report: Report, folder: Path) -> None:
    report.command(f"splitctl tls self-signed --dir {folder} --name {HOST}")
    code, said = scene.own.operate("tls", "self-signed", "--dir", str(folder), "--name", HOST)
    if code:
        raise CommandFailed(f"no certificate was made: {said}")


def _read(url: str, path: str, certificate: Path | None) -> str:
    """Return the SHA-256 of a file; empty if the server is not trusted."""
    try:
        return Files(Server(url, ca=None if certificate is None else str(certificate))).digest(path)
    except CommandFailed as problem:
        if "certificate is not trusted" in problem.message:
            return ""
        raise


def _ask(connection: HTTPSConnection, path: str) -> int:
    connection.request("HEAD", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _served(port: int) -> str:
    """Return the certificate that a new connection gets, as PEM."""
    return ssl.get_server_certificate((HOST, port), timeout=_WAIT_S).strip()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


TLS = Step(
    "TLS is turned on, and its certificate changed",
    "The front gets an endpoint with TLS, and a certificate made by splitctl, while it serves. A new certificate in "
    "the same folder is used for new connections at once; those that are open go on.",
    _encrypt,
    "the settings of the front",
)
