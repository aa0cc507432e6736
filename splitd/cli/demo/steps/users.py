"""The step about users."""

from __future__ import annotations

import json
from io import BytesIO

import attrs

from splitd.cli.credentials import basic
from splitd.cli.demo.own_cluster import PRIVATE
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import ServerRefused
from splitd.cli.server import Body, Server

_GRANTS = {"anna": f"{PRIVATE}:read,write", "bert": "/elsewhere:read,write"}
_FILE = f"{PRIVATE}/for-anna.txt"
_KEYS = "/.splitd/api/keys"


def _log_in(scene: Scene, report: Report) -> None:
    cluster = scene.own
    for name, grant in _GRANTS.items():
        add = ["user", "add", name, "--password-stdin", "--grant", grant, "--file", str(cluster.users)]
        report.command(f"splitctl {' '.join(add)}")
        code, said = cluster.operate(*add, said=f"{name}-secret\n")
        report.check(f"{name} was added", code == 0, "exit code 0", said)
    report.command("splitctl reload   # the front would notice by itself")
    code, said = cluster.operate("reload")
    report.check("the front has taken over the users", code == 0, "exit code 0", said)
    anna, bert, wrong = basic("anna", "anna-secret"), basic("bert", "bert-secret"), basic("anna", "bert-secret")
    for what, login, method, path, expected in (
        ("anna, who has a grant, makes a collection", anna, "MKCOL", PRIVATE, 201),
        ("she stores a file in it", anna, "PUT", _FILE, 201),
        ("she reads it back", anna, "GET", _FILE, 200),
        ("for bert, who has no grant there, it does not exist", bert, "GET", _FILE, 404),
        ("nor can he delete it", bert, "DELETE", _FILE, 404),
        ("a wrong password is refused", wrong, "GET", _FILE, 401),
        ("so is somebody who does not log in", "", "GET", _FILE, 401),
    ):
        front = attrs.evolve(scene.files.front, authorization=login)
        report.equal(f"{what}: {expected}", expected, _status(front, method, path))
    _use_own_token(attrs.evolve(scene.files.front, authorization=anna), report)


def _use_own_token(anna: Server, report: Report) -> None:
    report.command("splitctl --user anna key add --token --read-only   # for a program that only reads")
    wanted = b'{"kind": "token", "label": "a program", "allow": ["read"]}'
    with anna.ask("POST", _KEYS, body=Body(BytesIO(wanted), len(wanted), "the token", lambda _: None)) as answer:
        made = json.loads(answer.read())
    program = attrs.evolve(anna, authorization=f"Bearer {made['secret']}")
    for what, server, method, path, expected in (
        ("anna has made a token, which reads her file", program, "GET", _FILE, 200),
        ("and deletes nothing", program, "DELETE", _FILE, 403),
        ("she takes it back", anna, "DELETE", f"{_KEYS}/{made['id']}", 204),
        ("from then on it is good for nothing", program, "GET", _FILE, 401),
    ):
        report.equal(f"{what}: {expected}", expected, _status(server, method, path))


def _status(server: Server, method: str, path: str) -> int:
    try:
        with server.ask(method, path) as answer:
            return answer.status
    except ServerRefused as refusal:
        return refusal.status


USERS = Step(
    "Users may do what they are granted",
    f"Everybody may do everything in this tour, but for one place, {PRIVATE}. Users are added while all goes on; each "
    "request is judged by the grants of who sends it, and what somebody may not read does not exist for them. They "
    "make tokens for their programs themselves, and take them back.",
    _log_in,
    "the processes",
)
