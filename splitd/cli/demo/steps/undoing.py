"""The step about the bin: a deletion in the console is undone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from typing import Any

import attrs

from splitd.cli.credentials import basic
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import ServerRefused
from splitd.cli.server import Body, Server

_API = "/.splitd/api/bin"
_USER = "olga"
_FOLDER, _FILES = "letters", 20
_KEPT = {"Content-Type": "text/x-letter", "Content-Language": "en"}


def _log_in(scene: Scene, report: Report) -> Server:
    add = ["user", "add", _USER, "--password-stdin", "--grant", "/:read,write", "--file", str(scene.own.users)]
    report.command(f"splitctl {' '.join(add)}   # a bin is for those who have logged in")
    for words, said in ((add, f"{_USER}-secret\n"), (["reload"], "")):
        code, told = scene.own.operate(*words, said=said)
        report.check(f"splitctl {words[0]} went well", code == 0, "exit code 0", told)
    return attrs.evolve(scene.files.front, authorization=basic(_USER, f"{_USER}-secret"))


def _undo(scene: Scene, report: Report) -> None:
    front, folder = _log_in(scene, report), scene.path(_FOLDER)
    with front.ask("MKCOL", folder):
        pass
    letters = {f"{folder}/{number}": f"Dear {number},\n".encode() * number for number in range(1, _FILES + 1)}
    for path, data in letters.items():
        with front.ask("PUT", path, headers=_KEPT, body=Body(BytesIO(data), len(data), path, lambda _: None)):
            pass
    report.command(
        f"curl -u {_USER} --json '{json.dumps({'path': folder})}' {scene.url}{_API}   # as Delete in the console"
    )
    thing = _post(front, _API, {"path": folder})
    report.equal("the folder is in the bin, with its files", _FILES, thing["files"])
    report.equal("its path has nothing: 404", 404, _status(scene, folder))
    report.command(f"splitctl --user {_USER} bin restore {thing['id']}")
    report.equal("it is back where it was", folder, _post(front, f"{_API}/restore", {"id": thing["id"]})["path"])
    wrong = [path for path, data in letters.items() if scene.files.digest(path) != sha256(data).hexdigest()]
    report.equal("all files have their bytes", [], wrong)
    with front.ask("HEAD", f"{folder}/1") as answer:
        found = {name: answer.headers[name] for name in _KEPT}
    report.equal("and what their clients said of them", _KEPT, found)


def _post(front: Server, path: str, document: Mapping[str, str]) -> Any:
    data = json.dumps(document).encode()
    body = Body(BytesIO(data), len(data), path, lambda _: None)
    with front.ask("POST", path, headers={"Content-Type": "application/json"}, body=body) as answer:
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
