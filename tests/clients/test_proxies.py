"""Clients that reach the front through a proxy: a URL of the proxy that names another resource works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.documented import PROXIES
from tests.clients.nginx import BELOW, BY_DEFAULT, NAME, WAYS, Nginx
from tests.clients.programs import succeed
from tests.clients.trees import make_tree, read_tree
from tests.live.local_cluster import LocalCluster
from tests.ports import free_ports


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The URLs of all proxies, in front of a cluster whose settings have the name that a default nginx does not pass
    on.
    """
    folder = tmp_path_factory.mktemp("proxies")
    ports = [free_ports() for _ in WAYS]
    port = dict(zip(WAYS, ports, strict=True))[BY_DEFAULT]
    cluster = LocalCluster(folder / "cluster", names=[f"{NAME}:{port}"])
    try:
        cluster.start()
        front = f"127.0.0.1:{cluster.port}"
        nginx = Nginx(folder / "nginx", front, ports)
        others = {name: kind(folder / name, front, free_ports()) for name, kind in PROXIES.items()}
        with ExitStack() as stack:
            for proxy in (nginx, *others.values()):
                stack.callback(proxy.stop)
                proxy.start()
            yield {name: nginx.url(name) for name in WAYS} | {name: other.url for name, other in others.items()}
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx that passes on what is below a path only, and a cluster that knows it."""
    folder = tmp_path_factory.mktemp("below")
    [way] = BELOW.values()
    cluster = LocalCluster(folder / "cluster", base_path=way.below)
    try:
        cluster.start()
        proxy = Nginx(folder / "nginx", f"127.0.0.1:{cluster.port}", [free_ports()], BELOW)
        try:
            proxy.start()
            yield proxy
        finally:
            proxy.stop()
    finally:
        cluster.remove()


@pytest.fixture(params=[*WAYS, *BELOW, *PROXIES])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty tree, through a proxy."""
    name = request.param
    url = request.getfixturevalue("below").url(name) if name in BELOW else request.getfixturevalue("urls")[name]
    assert status(tmp_path, url + "/place/", "-X", "MKCOL") == "201"
    yield url + "/place"
    assert status(tmp_path, url + "/place/", "-X", "DELETE") == "204"


def status(folder: Path, url: str, *arguments: str) -> str:
    """Return the status of curl's answer."""
    command = ["-sSk", "-o", "body", "-D", "headers", "-w", "%{http_code}", *arguments, url]
    return succeed("curl", *command, folder=folder)


LOCKINFO = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype></D:lockinfo>"
)


def test_curl_moves_copies_and_submits_locks(root: str, tmp_path: Path) -> None:
    def curl(path: str, *arguments: str) -> str:
        return status(tmp_path, root + path, *arguments)

    assert curl("/a", "-X", "PUT", "-d", "abc") == "201"
    assert curl("/a", "-X", "COPY", "-H", f"Destination: {root}/b") == "201"
    assert curl("/b", "-X", "MOVE", "-H", f"Destination: {root}/c") == "201"
    assert curl("/c", "-X", "LOCK", "-d", LOCKINFO) == "200"
    (token,) = re.findall(r"(?im)^lock-token: *(<.*>)", (tmp_path / "headers").read_text())
    assert curl("/c", "-X", "MOVE", "-H", f"Destination: {root}/d") == "423"
    assert curl("/c", "-X", "MOVE", "-H", f"Destination: {root}/d", "-H", f"If: <{root}/c> ({token})") == "201"
    for elsewhere in ("https://files.example/x", "ftp://files.example/x", f"http://{NAME}.example/x"):
        assert curl("/d", "-X", "COPY", "-H", f"Destination: {elsewhere}") == "502"


def test_rclone_moves_and_copies_on_the_server(root: str, tmp_path: Path) -> None:
    environment = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_TO_TYPE": "webdav",
        "RCLONE_CONFIG_TO_URL": root,
        "RCLONE_CONFIG_TO_VENDOR": "other",
        "RCLONE_NO_CHECK_CERTIFICATE": "true",
        "RCLONE_NO_UNICODE_NORMALIZATION": "true",
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }

    def rclone(*arguments: str | Path) -> str:
        return succeed("rclone", *arguments, folder=tmp_path, environment=environment)

    source, back = tmp_path / "source", tmp_path / "back"
    make_tree(source)
    rclone("copy", "--create-empty-src-dirs", source, "to:a")
    rclone("moveto", "to:a", "to:b")
    rclone("copyto", "to:b/files/hash#tag", "to:b/files/copied")
    rclone("moveto", "to:b/files/copied", "to:b/moved")
    rclone("deletefile", "to:b/moved")
    rclone("copy", "--create-empty-src-dirs", "to:b", back)
    assert read_tree(back) == read_tree(source)


def test_git_pushes_and_clones(root: str, tmp_path: Path) -> None:
    """A push over WebDAV locks, puts with a tagged If, and moves what it has put."""
    environment = {
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.sslVerify", "GIT_CONFIG_VALUE_0": "false",
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_TO_TYPE": "webdav", "RCLONE_CONFIG_TO_URL": root,
        "RCLONE_NO_CHECK_CERTIFICATE": "true",
    }  # fmt: skip

    def git(*arguments: str | Path) -> str:
        return succeed("git", *arguments, folder=tmp_path, environment=environment)

    git("init", "-q", "--bare", "bare.git")
    git("-C", "bare.git", "update-server-info")
    succeed(
        "rclone", "copy", "--create-empty-src-dirs", "bare.git", "to:r.git", folder=tmp_path, environment=environment
    )
    git("init", "-q", "-b", "main", "work")
    for number in range(3):
        (tmp_path / "work" / "file").write_text(f"{number}\n" * 1000)
        git("-C", "work", "add", "file")
        git("-C", "work", "commit", "-q", "-m", f"commit {number}")
        git("-C", "work", "push", "-q", f"{root}/r.git/", "main")
    git("clone", "-q", "-b", "main", f"{root}/r.git/", "clone")
    assert (tmp_path / "clone" / "file").read_text() == "2\n" * 1000
    assert git("-C", "clone", "rev-list", "--count", "main") == "3\n"
