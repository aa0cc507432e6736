"""Logins with tokens of a real issuer of OpenID Connect, which runs as a process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from splitd.access.entries import OidcEntry
from splitd.access.oidc.issuer import LAST_S, PAUSE_S, Issuer
from splitd.errors import BadCredentials, LoginUnavailable
from storaged.http import Fetcher
from storaged.system.clocks import WallClock
from tests.live.clients import TIMEOUT_S, ask
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.live.splitctl import Splitctl
from tests.ports import free_ports

ANNA, BERT, CARL = "anna@example.org", "bert@example.org", "carl@example.org"


class Provider:
    """The issuer; each of its lives has a key of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports()
        self._log = folder / "issuer.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        people = [{"sub": ANNA, "email": ANNA}, {"sub": BERT, "email": BERT, "groups": ["staff", "else"]}]
        claims = [word for each in people for word in ("--user-claims", json.dumps(each))]
        command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(self.port), *claims]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: ask(f"{self.url}/jwks").status == 200, "an issuer", self._log.read_text)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(TIMEOUT_S)

    def token(self, user: str, client: str = "splitd") -> str:
        """Log a user in by the authorization code flow; return the ID token."""
        to = "http://127.0.0.1/back"
        asked = {"response_type": "code", "client_id": client, "redirect_uri": to, "scope": "openid email"}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        location = _redirected(f"{self.url}/oauth2/authorize?{urlencode(asked)}", urlencode({"sub": user}), form)
        [code] = parse_qs(urlsplit(location).query)["code"]
        wanted = {"grant_type": "authorization_code", "code": code, "redirect_uri": to, "client_id": client}
        answer = ask(f"{self.url}/oauth2/token", "POST", urlencode({**wanted, "client_secret": "x"}), **form)
        return str(json.loads(answer.body)["id_token"])


def _redirected(url: str, body: str, headers: dict[str, str]) -> str:
    place = urlsplit(url)
    connection = HTTPConnection(place.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"{place.path}?{place.query}", body, headers)
        answer = connection.getresponse()
        assert answer.status == 302, answer.read()
        return str(answer.headers["Location"])
    finally:
        connection.close()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_users_log_in_with_tokens_of_the_issuer(provider: Provider, tmp_path: Path) -> None:
    users = tmp_path / "users.yaml"
    users.write_text(
        f"users:\n  {ANNA}: {{grants: [{{path: /, allow: [read, write, admin]}}]}}\n"
        "groups:\n  staff: {grants: [{path: /staff, allow: [read, write]}]}\n"
        f"oidc: {{issuer: '{provider.url}', audience: splitd, user_claim: email, groups_claim: groups}}\n"
    )
    cluster = LocalCluster(tmp_path / "cluster", users=str(users))
    try:
        cluster.start()
        _use(cluster, provider, tmp_path)
    finally:
        cluster.remove()


def _use(cluster: LocalCluster, provider: Provider, folder: Path) -> None:
    def status(method: str, path: str, token: str) -> int:
        return ask(f"{cluster.url}{path}", method, b"x" * (method == "PUT"), Authorization=f"Bearer {token}").status

    anna, bert = provider.token(ANNA), provider.token(BERT)
    assert status("MKCOL", "/staff", anna) == 201
    assert status("PUT", "/staff/a", bert) == 201
    assert status("PUT", "/b", bert) == 404
    assert status("GET", "/staff/a", provider.token(CARL)) == 401  # no user here, and in no group
    assert status("GET", "/staff/a", provider.token(ANNA, "another")) == 401  # for somebody else
    assert status("GET", "/staff/a", anna[:-4] + "AAAA") == 401
    answer = ask(f"{cluster.admin}/status", Authorization=f"Bearer {anna}")
    assert (answer.status, json.loads(answer.body)["warnings"]) == (200, [])
    (folder / "token").write_text(anna)
    splitctl = Splitctl(cluster, folder)
    assert splitctl.run("--token-file", "token", "ls", "/staff") == b"a\n"
    login = "--token-file", "token"
    assert splitctl.lines(*login, "key", "list") == ["there are no keys and no tokens"]
    [own] = splitctl.lines(*login, "key", "add", "--token", "--label", "laptop", "--days", "1", "--read-only")
    assert (status("GET", "/staff/a", own), status("PUT", "/staff/a", own)) == (200, 403)
    access, secret = splitctl.lines(*login, "key", "add", "--path", "/staff")
    assert (access.startswith("access key: SPLOWN"), secret.startswith("secret key: ")) == (True, True)
    [keys] = splitctl.documents(*login, "key", "list", "--all")
    assert [(each["kind"], each["label"], each["owner"]) for each in keys] == [
        ("key", "", ANNA),
        ("token", "laptop", ANNA),
    ]
    assert len(splitctl.lines(*login, "key", "list")) == 3
    splitctl.run(*login, "key", "rm", keys[1]["id"])
    assert status("GET", "/staff/a", own) == 401
    # Somebody who is in no file has what the issuer said last.
    wanted = json.dumps({"kind": "token"}).encode()
    answer = ask(f"{cluster.url}/.splitd/api/keys", "POST", wanted, Authorization=f"Bearer {bert}")
    own = json.loads(answer.body)["secret"]
    assert (status("PUT", "/staff/a", own), status("PUT", "/b", own)) == (204, 404)


@pytest_twisted.ensureDeferred
async def test_the_issuer_may_change_its_key_and_be_away(provider: Provider) -> None:
    from twisted.internet import reactor

    clock = Clock()
    entry = OidcEntry(provider.url, "splitd", "email")
    issuer = Issuer(entry, Fetcher(reactor, timeout_s=60, limit=100_000).fetch, clock, WallClock())
    first = provider.token(ANNA)
    assert (await issuer.identify(first)).user == ANNA
    provider.stop()
    provider.start()
    second = provider.token(ANNA)
    with pytest.raises(BadCredentials, match="none of the issuer's keys"):
        await issuer.identify(second)  # it was asked a moment ago
    assert (await issuer.identify(first)).user == ANNA
    clock.advance(PAUSE_S)
    assert (await issuer.identify(second)).user == ANNA
    with pytest.raises(BadCredentials):
        await issuer.identify(first)
    provider.stop()
    clock.advance(LAST_S - 1)
    assert (await issuer.identify(second)).user == ANNA
    await issuer.stop()
    clock.advance(2)
    with pytest.raises(LoginUnavailable):
        await issuer.identify(second)
