"""The steps about headers that a file keeps, and about the name of the front behind a proxy."""

from __future__ import annotations

import gzip
from hashlib import sha256
from io import BytesIO

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import ServerRefused
from splitd.cli.paths import quote_path
from splitd.cli.server import Body

_PAGE = "notes.txt"
_COPY = "copy-of-notes.txt"
_KEPT = {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Encoding": "gzip",
    "Content-Language": "en",
    "Cache-Control": "max-age=3600",
}
_PROXY = "files.example.org"
_ELSEWHERE = "https://elsewhere.example.org"


def _keep(scene: Scene, report: Report) -> None:
    front, path, data = scene.files.front, scene.path(_PAGE), gzip.compress(b"Some notes.\n" * 1000)
    options = " ".join(f"-H '{name}: {value}'" for name, value in _KEPT.items())
    report.command(f"gzip < notes | curl -T - {options} {scene.link(_PAGE)}")
    with front.ask("PUT", path, headers=_KEPT, body=Body(BytesIO(data), len(data), path, lambda _: None)):
        pass
    report.command(f"curl -I {scene.link(_PAGE)}")
    with front.ask("HEAD", path) as answer:
        found = {name: answer.headers[name] for name in _KEPT}
    report.equal("the headers are those of the PUT", _KEPT, found)
    report.equal("the bytes are those of the PUT", sha256(data).hexdigest(), scene.files.digest(path))


def _copy_behind_a_proxy(scene: Scene, report: Report) -> None:
    _keep_name(scene, report)
    front, path = scene.files.front, scene.path(_PAGE)
    target = f"{_ELSEWHERE}{quote_path(scene.path(_COPY))}"
    report.command(f"curl -X COPY -H 'Destination: {target}' {scene.link(_PAGE)}")
    try:
        with front.ask("COPY", path, headers={"Destination": target}) as answer:
            status = answer.status
    except ServerRefused as refusal:
        status = refusal.status
    report.equal("a destination on another server is refused with 502", 502, status)


def _keep_name(scene: Scene, report: Report) -> None:
    front, path, copy = scene.files.front, scene.path(_PAGE), scene.path(_COPY)
    data = b"Some notes.\n"
    scene.files.put(path, data)
    target = f"https://{_PROXY}{quote_path(copy)}"
    named = {"Destination": target, "X-Forwarded-Host": _PROXY}
    options = " ".join(f"-H '{name}: {value}'" for name, value in named.items())
    report.command(f"curl -X COPY {options} {scene.link(_PAGE)}")
    with front.ask("COPY", path, headers=named) as answer:
        report.equal("a destination under the proxy's name is on this server: 201", 201, answer.status)
    report.equal("the copy has the same bytes", sha256(data).hexdigest(), scene.files.digest(copy))


KEEP_HEADERS = Step(
    "A file keeps what its client says of it",
    "A file that was stored compressed can be read only if its readers learn that. Content-Type, Content-Encoding, "
    "Content-Language, Content-Disposition and Cache-Control of a PUT are answered by each GET.",
    _keep,
)
BEHIND_A_PROXY = Step(
    "The front knows its name behind a proxy",
    "A COPY names its destination by a URL, and behind a proxy that URL has the proxy's name. A destination that is "
    "really on another server is refused.",
    _copy_behind_a_proxy,
    "the processes",
)
