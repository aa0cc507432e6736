"""The step about uploads that go on, and about a link to what was stored."""

from __future__ import annotations

import contextlib
import json
import os
from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from urllib.parse import unquote, urlsplit

import attrs

from splitd.cli.credentials import basic
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import ServerRefused, TransferBroken
from splitd.cli.server import Body, Server, read_pieces
from storaged.system.sizes import format_size

_MIB = 2**20
_SIZE, _HALF = 12 * _MIB + 3, 5 * _MIB
_NAME, _USER = "resumed.bin", "carla"
_UPLOADS, _SHARES = "/.splitd/uploads", "/.splitd/api/shares"
_TUS = {"Tus-Resumable": "1.0.0"}


def _go_on(scene: Scene, report: Report) -> None:
    front, data = scene.files.front, os.urandom(_SIZE)
    metadata = f"filename {b64encode(_NAME.encode()).decode()}"
    headers = {**_TUS, "Upload-Length": str(_SIZE), "Upload-Metadata": metadata}
    with front.ask("POST", _UPLOADS + scene.collection, headers=headers) as answer:
        url = unquote(urlsplit(answer.headers["Location"]).path)
    report.command(f"curl -X PATCH --data-binary @big.bin {scene.url}{url}   # killed half-way")
    with contextlib.suppress(TransferBroken):  # expected: the stream ends early
        _append(front, url, 0, data[:_HALF], _SIZE)
    report.say(f"The client announced {format_size(_SIZE)}, sent {format_size(_HALF)} and closed the connection.")
    offset = _offset(front, url)
    # What was still on its way when the client asked is not counted any more.
    report.check("the server tells how many bytes it has", 0 <= offset <= _HALF, f"at most {_HALF}", offset)
    report.equal("there is no file of this name yet", "", scene.files.version(scene.path(_NAME)))
    status = _append(front, url, offset, data[offset:], _SIZE - offset)
    report.equal("the client sends the rest: 204", 204, status)
    report.equal("the file has the right SHA-256", sha256(data).hexdigest(), scene.files.digest(scene.path(_NAME)))
    _share(scene, report, data)


def _append(front: Server, url: str, offset: int, data: bytes, size: int) -> int:
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    body = Body(BytesIO(data), size, url, lambda _: None)
    with front.ask("PATCH", url, headers=headers, body=body) as answer:
        return answer.status


def _offset(front: Server, url: str) -> int:
    with front.ask("HEAD", url, headers=_TUS) as answer:
        return int(answer.headers["Upload-Offset"])


def _log_in(scene: Scene, report: Report) -> Server:
    """Return the front as somebody who may make links, which end with their user: in our own cluster, a new one."""
    cluster, front = scene.cluster, scene.files.front
    if cluster is None:
        return front
    grant = f"{scene.collection}:read"
    add = ["user", "add", _USER, "--password-stdin", "--grant", grant, "--file", str(cluster.users)]
    report.command(f"splitctl {' '.join(add)}")
    added, said = cluster.operate(*add, said=f"{_USER}-secret\n")
    report.check(f"{_USER} was added", added == 0, "exit code 0", said)
    taken, said = cluster.operate("reload")
    report.check("the front has taken over the users", taken == 0, "exit code 0", said)
    return attrs.evolve(front, authorization=basic(_USER, f"{_USER}-secret"))


def _share(scene: Scene, report: Report, data: bytes) -> None:
    front, path = _log_in(scene, report), scene.path(_NAME)
    report.command(f"splitctl share add {path} --downloads 1")
    wanted = json.dumps({"path": path, "downloads": 1}).encode()
    with front.ask("POST", _SHARES, body=Body(BytesIO(wanted), len(wanted), "the link", lambda _: None)) as answer:
        made = json.loads(answer.read())
    stranger, shared = attrs.evolve(front, authorization=""), f"{made['url']}/{_NAME}"
    with stranger.ask("GET", shared) as answer:
        found = sha256(b"".join(read_pieces(answer, shared))).hexdigest()
    report.equal("somebody without a login reads it by the link", sha256(data).hexdigest(), found)
    report.equal("the link is good for one download: 410", 410, _status(stranger, shared))
    with front.ask("DELETE", f"{_SHARES}/{made['id']}"):
        pass
    report.equal("it was taken back: 404", 404, _status(stranger, made["url"]))


def _status(server: Server, path: str) -> int:
    try:
        with server.ask("GET", path) as answer:
            return answer.status
    except ServerRefused as refusal:
        return refusal.status


GO_ON = Step(
    "An upload goes on where it broke off, and a link shares the file",
    "A client that speaks tus loses its connection. What has arrived is kept, so it sends only the rest. A link then "
    "lets somebody without a login read the file, once; it has no more rights than the one who made it.",
    _go_on,
)
