"""splitctl user, and the credentials that splitctl sends."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splitd.access.entries import UsersEntries, read_users
from splitd.access.secrets import Seal, hash_token, proves_password
from splitd.cli.main import main
from tests.unit.front_double import FrontDouble, running_front

CLUSTER_KEY = "0123456789abcdef"

COMMENTED = """\
# Our people.
users:
  anna:   # the boss
    grants:
      # her own place
      - {path: /anna, allow: [read, write]}   # all of it
  bert:
groups:
  staff: {grants: [{path: /, allow: [read]}]}  # everybody here
"""


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    with running_front() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "cluster.key").write_text(CLUSTER_KEY + "\n")
    return tmp_path / "users.yaml"


def run(*arguments: str | Path, said: str = "", **environment: str) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], input=said, env=environment)


def good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def change(file: Path, *arguments: str, said: str = "") -> Any:
    """Run `splitctl --json user …`; return what it prints."""
    return json.loads(good(run("--json", "user", *arguments, "--file", file, said=said)).stdout)


def users(file: Path) -> UsersEntries:
    return read_users(str(file), file.read_text(), Seal(CLUSTER_KEY).open)


def test_a_user_is_added_to_a_new_file(file: Path) -> None:
    said = ["--password-stdin", "--grant", "/anna/:read,write", "--grant", "/:read"]
    assert change(file, "add", "anna", *said, said="pass word\n") == {"user": "anna", "file": str(file)}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "pass word" not in file.read_text()
    anna = users(file).users["anna"]
    assert proves_password(b"pass word", anna.password)
    assert not proves_password(b"pass word\n", anna.password)
    assert users(file).grants_of("anna").rights("/anna/x") == {"read", "write"}
    assert users(file).grants_of("anna").rights("/x") == {"read"}
    again = run("user", "add", "anna", "--no-password", "--file", file)
    assert (again.exit_code, "there is a user anna already" in again.stderr) == (1, True)


def test_edits_keep_comments(file: Path) -> None:
    file.write_text(COMMENTED)
    change(file, "add", "carl", "--no-password", "--group", "staff")
    change(file, "passwd", "anna", "--password-stdin", said="pw\n")
    change(file, "grant", "anna", "/anna:read", "/extra:")
    change(file, "token", "add", "bert", "--id", "t-1")
    change(file, "rm", "carl")
    text = file.read_text()
    for comment in ("# Our people.", "# the boss", "# her own place", "# all of it", "# everybody here"):
        assert comment in text
    anna = users(file).users["anna"]
    assert [(grant.path, grant.allow) for grant in anna.grants] == [("/anna", ("read",)), ("/extra", ())]
    assert proves_password(b"pw", anna.password)
    assert list(users(file).users) == ["anna", "bert"]


def test_line_ends_and_a_file_of_comments_stay(file: Path) -> None:
    file.write_bytes(b"# nobody yet\r\n# really\r\n")
    change(file, "add", "anna", "--no-password")
    text = file.read_bytes().decode()
    assert text.startswith("# nobody yet\r\n# really\r\nusers:\r\n")
    assert text.count("\n") == text.count("\r\n")


def test_a_token_is_shown_once_and_kept_as_a_hash(file: Path) -> None:
    change(file, "add", "anna", "--no-password")
    made = change(file, "token", "add", "anna", "--days", "30")
    assert made["token"] not in file.read_text()
    [kept] = users(file).users["anna"].tokens
    assert (kept.id, kept.hash) == (made["id"], hash_token(made["token"].encode()))
    assert kept.expires is not None
    assert kept.expires.isoformat() == made["expires"]
    change(file, "token", "rm", "anna", made["id"])
    assert not users(file).users["anna"].tokens
    assert run("user", "token", "rm", "anna", "t-x", "--file", file).exit_code == 1


def test_a_key_is_sealed_under_the_cluster_key(file: Path) -> None:
    change(file, "add", "anna", "--no-password")
    made = change(file, "key", "add", "anna")
    assert made["secret_key"] not in file.read_text()
    [kept] = users(file).users["anna"].keys
    assert kept.id == made["access_key"]
    assert Seal(CLUSTER_KEY).open(kept.id, kept.secret) == made["secret_key"]
    assert [json.loads(good(run("--json", "user", "list", "--file", file)).stdout)["keys"]] == [[made["access_key"]]]
    change(file, "key", "rm", "anna", made["access_key"])
    assert not users(file).users["anna"].keys


def test_secrets_are_sealed_anew_when_the_cluster_key_changes(file: Path, tmp_path: Path) -> None:
    change(file, "add", "anna", "--no-password")
    change(file, "add", "bert", "--no-password")
    change(file, "add", "carl", "--no-password")
    old = [change(file, "key", "add", name) for name in ("anna", "anna", "bert")]
    new = "another-cluster-key"
    (tmp_path / "cluster.key").write_text(f"{new}\n{CLUSTER_KEY}\n")
    late = change(file, "key", "add", "bert")  # which is sealed under the new one already
    assert change(file, "key", "reseal") == {"resealed": 3}
    assert change(file, "key", "reseal") == {"resealed": 0}
    opened = {
        key.id: Seal(new).open(key.id, key.secret)
        for user in read_users("", file.read_text()).users.values()
        for key in user.keys
    }
    assert opened == {made["access_key"]: made["secret_key"] for made in (*old, late)}
    text = file.read_text()
    (tmp_path / "cluster.key").write_text("a-third-cluster-key\n")
    failed = run("user", "key", "reseal", "--file", file)
    assert (failed.exit_code, file.read_text()) == (1, text)
    assert f"key {old[0]['access_key']} of anna: its secret was not sealed" in failed.stderr


def test_a_key_needs_the_cluster_key(file: Path, tmp_path: Path) -> None:
    change(file, "add", "anna", "--no-password")
    missing = run("user", "key", "add", "anna", "--file", file, "--cluster-key-file", tmp_path / "no.key")
    assert (missing.exit_code, "no.key" in missing.stderr) == (1, True)


def test_the_list_shows_no_secret(file: Path) -> None:
    change(file, "add", "anna", "--password-stdin", "--grant", "/a:read", "--grant", "/b:", said="pw\n")
    change(file, "token", "add", "anna", "--id", "laptop")
    listed = good(run("user", "list", "--file", file)).stdout
    assert listed == "anna\n  /a: read\n  /b: nothing\n  token laptop\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "a:b", "--no-password"), 2),
        (("add", "new", "--no-password", "--grant", "/a:reed"), 2),
        (("add", "new", "--no-password", "--grant", "/a"), 2),
        (("add", "new", "--no-password", "--grant", "a:read"), 2),
        (("add", "new", "--no-password", "--group", "strangers"), 1),
        (("add", "new"), 2),  # no terminal
        (("add", "new", "--password-stdin"), 1),  # an empty password
        (("passwd", "nobody", "--password-stdin"), 1),
        (("grant", "nobody", "/a:read"), 1),
        (("grant", "anna"), 2),
        (("grant", "anna", "--remove", "/elsewhere"), 1),
        (("rm", "nobody"), 1),
        (("token", "add", "nobody"), 1),
        (("key", "add", "nobody"), 1),
    ],
)
def test_what_cannot_be_done_changes_nothing(file: Path, arguments: tuple[str, ...], code: int) -> None:
    file.write_text(COMMENTED)
    result = run("user", *arguments, "--file", file)
    assert (result.exit_code, bool(result.stderr)) == (code, True)
    assert file.read_text() == COMMENTED


def test_a_file_that_is_wrong_already_is_not_touched(file: Path) -> None:
    file.write_text("users: {anna: {pasword: x}}\n")
    result = run("user", "add", "bert", "--no-password", "--file", file)
    assert result.exit_code == 1
    assert f"{file}: line 1: " in result.stderr
    assert file.read_text() == "users: {anna: {pasword: x}}\n"


def test_the_first_user_gets_a_random_password_once(file: Path, tmp_path: Path) -> None:
    password, token = tmp_path / "password", tmp_path / "token"
    command = ("user", "init", "--file", file, "--password-file", password, "--token-file", token)
    assert str(password) in good(run(*command)).stdout
    admin = users(file).users["admin"]
    assert proves_password(password.read_bytes().strip(), admin.password)
    assert admin.tokens[0].hash == hash_token(token.read_bytes().strip())
    assert users(file).grants_of("admin").rights("/x") == {"read", "write", "admin"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, password, token)} == {0o600}
    before = file.read_text()
    good(run(*command))
    assert file.read_text() == before


def test_splitctl_logs_in(front: FrontDouble, tmp_path: Path) -> None:
    sent: list[str | None] = []

    def note(handler: Any) -> None:
        sent.append(handler.headers["Authorization"])
        handler.say(401, "log in to do this")

    front.faults["HEAD"] = front.faults["GET"] = note
    (tmp_path / "secret").write_text("from-file\n")
    for options, environment in [
        (["--user", "anna"], {"SPLITD_PASSWORD": "from-env"}),
        (["--user", "anna", "--password-file", str(tmp_path / "secret")], {}),
        ([], {"SPLITD_USER": "anna", "SPLITD_PASSWORD": "p\u00e4ss"}),
        (["--token-file", str(tmp_path / "secret")], {}),
        ([], {"SPLITD_TOKEN": "splitd_x"}),
        ([], {}),
    ]:
        result = run("--url", front.url, *options, "ls", "/", **environment)
        assert result.exit_code == 1
        assert "log in to do this; see --user and --token-file (401)" in result.stderr
    assert sent == [
        "Basic " + base64.b64encode(b"anna:from-env").decode(),
        "Basic " + base64.b64encode(b"anna:from-file").decode(),
        "Basic " + base64.b64encode("anna:p\u00e4ss".encode()).decode(),
        "Bearer from-file",
        "Bearer splitd_x",
        None,
    ]


def test_a_user_without_a_password_is_asked_for_it(front: FrontDouble, tmp_path: Path) -> None:
    assert "SPLITD_PASSWORD" not in os.environ
    assert run("--url", front.url, "--user", "anna", "ls").exit_code == 2
    assert run("--url", front.url, "--token-file", tmp_path / "missing", "ls").exit_code == 2
