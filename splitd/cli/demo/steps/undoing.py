"""The step about the bin: a deletion in the console is undone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from typing import Any

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import ServerRefused
from splitd.cli.server import Body

_API = "/.splitd/api/bin"
_FOLDER, _FILES = "letters", 20
_KEPT = {"Content-Type": "text/x-letter", "Content-Language": "en"}


def _undo(scene: Scene, report: Report) -> None:
    front, folder = scene.files.front, scene.path(_FOLDER)
    with front.ask("MKCOL", folder):
        pass
    letters = {f"{folder}/{number}": f"Dear {number},\n".encode() * number for number in range(1, _FILES + 1)}
    for path, data in letters.items():
        with front.ask("PUT", path, headers=_KEPT, body=Body(BytesIO(data), len(data), path, lambda _: None)):
            pass
    report.command(f"curl --json '{json.dumps({'path': folder})}' {scene.url}{_API}   # as Delete in the console")
    thing = _post(scene, _API, {"path": folder})
    report.equal("the folder is in the bin, with its files", _FILES, thing["files"])
    report.equal("its path has nothing: 404", 404, _status(scene, folder))
    report.command(f"splitctl bin restore {thing['id']}")
    report.equal("it is back where it was", folder, _post(scene, f"{_API}/restore", {"id": thing["id"]})["path"])
    wrong = [path for path, data in letters.items() if scene.files.digest(path) != sha256(data).hexdigest()]
    report.equal("all files have their bytes", [], wrong)
    with front.ask("HEAD", f"{folder}/1") as answer:
        found = {name: answer.headers[name] for name in _KEPT}
    report.equal("and what their clients said of them", _KEPT, found)


def _post(scene: Scene, path: str, document: Mapping[str, str]) -> Any:
    data = json.dumps(document).encode()
    body = Body(BytesIO(data), len(data), path, lambda _: None)
    with scene.files.front.ask("POST", path, headers={"Content-Type": "application/json"}, body=body) as answer:
        return json.loads(answer.read())


def _status(scene: Scene, path: str) -> int:
    try:
        with scene.files.front.ask("HEAD", path) as answer:
            return answer.status
    except ServerRefused as refusal:
        return refusal.status


UNDO = Step(
    "A deletion in the console is undone",
    "What is deleted in the console goes into a bin for 30 days, in one step, whatever the size of the folder. It "
    "comes back with all that it had. Programs that delete by WebDAV or S3 free the space.",
    _undo,
    "the processes",
)
