"""curl and rclone with a user: a password, and a token in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.clusters import new_cluster
from tests.clients.programs import run, succeed
from tests.clients.trees import make_tree, read_tree
from tests.users import TOKEN, write_users


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a front with the users of `write_users`; wilma has made /anna and /public."""
    folder = tmp_path_factory.mktemp("users")
    write_users(folder / "users.yaml")
    cluster = new_cluster(folder / "cluster", users=str(folder / "users.yaml"))
    try:
        cluster.start()
        for name in ("anna", "public"):
            succeed("curl", "-sSf", "-u", "wilma:wilma-pw", "-X", "MKCOL", f"{cluster.url}/{name}", folder=folder)
        yield cluster.url
    finally:
        cluster.remove()


def status(tmp_path: Path, *arguments: str) -> str:
    """Return the status of curl's last answer."""
    return run("curl", "-sS", "-o", "body", "-w", "%{http_code}", *arguments, folder=tmp_path).said


def test_curl_logs_in(guarded: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 100_000)
    for login in (["-u", "anna:anna-pw"], ["--anyauth", "-u", "anna:anna-pw"]):
        assert status(tmp_path, *login, "-T", "data", f"{guarded}/anna/data") in {"201", "204"}
        assert status(tmp_path, *login, f"{guarded}/anna/data") == "200"
        assert (tmp_path / "body").read_bytes() == b"x" * 100_000
        assert status(tmp_path, *login, "-T", "data", f"{guarded}/public/data") == "403"
    assert status(tmp_path, "-u", "anna:wrong", f"{guarded}/anna/data") == "401"
    assert status(tmp_path, f"{guarded}/anna/data") == "401"
    assert status(tmp_path, "-u", "nora:nora-pw", f"{guarded}/anna/data") == "404"


def test_curl_sends_a_token(guarded: str, tmp_path: Path) -> None:
    assert status(tmp_path, "--oauth2-bearer", TOKEN, f"{guarded}/public/") == "200"
    assert status(tmp_path, "-u", f"nora:{TOKEN}", f"{guarded}/public/") == "200"
    assert status(tmp_path, "--oauth2-bearer", TOKEN[:-1], f"{guarded}/public/") == "401"


def test_rclone_copies_a_tree_as_a_user(guarded: str, tmp_path: Path) -> None:
    obscured = succeed("rclone", "obscure", "anna-pw", folder=tmp_path).strip()
    remote = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_TO_TYPE": "webdav",
        "RCLONE_CONFIG_TO_URL": f"{guarded}/anna",
        "RCLONE_CONFIG_TO_VENDOR": "other",
        "RCLONE_CONFIG_TO_USER": "anna",
        "RCLONE_CONFIG_TO_PASS": obscured,
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }
    source = tmp_path / "source"
    make_tree(source)
    succeed("rclone", "copy", "--create-empty-src-dirs", source, "to:copied", folder=tmp_path, environment=remote)
    succeed("rclone", "check", "--download", source, "to:copied", folder=tmp_path, environment=remote)
    succeed("rclone", "copy", "to:copied", tmp_path / "back", folder=tmp_path, environment=remote)
    assert read_tree(tmp_path / "back").keys() <= read_tree(source).keys()
    assert run("rclone", "copy", source, "to:fixed", folder=tmp_path, environment=remote).code != 0
