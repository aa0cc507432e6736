"""TLS on the front's ports: certificates by name, read again while connections last, and clients that misbehave."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.ssl import CertificateOptions, ClientContextFactory
from twisted.internet.utils import getProcessOutputAndValue

from storaged.system.words import Words
from tests.certificates import write_pair
from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawClient, connect
from tests.cluster.test_back_pressure import SIZE, STOPPED_READER
from tests.cluster.waiting import eventually, standstill

MIB = 1024 * 1024
PATIENCE_S = 2.0
FOLDER = "certificates"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one certificate, for two names."""
    made = tmp_path / FOLDER
    made.mkdir()
    write_pair(made / "a.pem", "one.example", "127.0.0.1")
    return made


@pytest.fixture
def make_front(make_cluster: Callable[..., Cluster], folder: Path) -> Callable[..., Awaitable[Cluster]]:
    """A function that starts a cluster whose clients come by TLS to its `port`."""

    async def make(**settings: Any) -> Cluster:
        cluster = make_cluster(listen=f"tls:{folder}:0:interface=127.0.0.1", **settings)
        await cluster.start()
        return cluster

    return make


class _Named(ClientContextFactory):
    """Asks for a name, and verifies nothing."""

    method = SSL.TLS_METHOD

    def __init__(self, name: str) -> None:
        self._name = name

    def clientConnectionForTLS(self, _protocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self.getContext(), None)
        connection.set_tlsext_host_name(self._name.encode())
        return connection


async def connect_tls(port: int, name: str = "") -> RawClient:
    from twisted.internet import reactor

    options = _Named(name) if name else CertificateOptions()
    return await connectProtocol(SSL4ClientEndpoint(reactor, "127.0.0.1", port, options), RawClient())


async def run(program: str, *arguments: object) -> tuple[int, str]:
    """Run a program that is told nothing; return its exit code, and all that it printed."""
    # openssl s_client waits for the end of its input.
    command = ["-c", 'exec "$@" </dev/null', "sh", program, *map(str, arguments)]
    out, err, code = await getProcessOutputAndValue("/bin/sh", command, os.environ)
    return code, (out + err).decode("utf-8", "replace")


async def served_name(port: int, name: str) -> str:
    """Return the first name of the certificate that is served for a name, as openssl prints it."""
    named = ["-servername", name] if name else ["-noservername"]
    _, text = await run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *named)
    return text.partition("subject=")[2].splitlines()[0].removeprefix("CN").strip(" =")


@pytest_twisted.ensureDeferred
async def test_curl_stores_and_reads_over_a_certificate_that_it_verifies(
    make_front: Callable[..., Awaitable[Cluster]], folder: Path, tmp_path: Path
) -> None:
    front = await make_front()
    data = os.urandom(MIB)
    (tmp_path / "data").write_bytes(data)
    url = f"https://127.0.0.1:{front.port}/file"
    trust = ["--fail", "-sS", "--cacert", folder / "a.pem"]
    assert await run("curl", *trust, "-T", tmp_path / "data", url) == (0, "")
    assert (await run("curl", *trust, "-o", tmp_path / "back", url))[0] == 0
    assert (tmp_path / "back").read_bytes() == data
    code, text = await run("curl", "-sS", url)
    assert (code, "certificate" in text) == (60, True)


@pytest_twisted.ensureDeferred
async def test_the_certificate_is_that_of_the_name(make_front: Callable[..., Awaitable[Cluster]], folder: Path) -> None:
    write_pair(folder / "b.pem", "two.example")
    write_pair(folder / "c.pem", "*.wild.example")
    front = await make_front()
    for name, served in {
        "one.example": "one.example", "TWO.example": "two.example", "x.wild.example": "*.wild.example",
        "x.y.wild.example": "one.example", "other.example": "one.example", "": "one.example",
    }.items():  # fmt: skip
        assert await served_name(front.port, name) == served


@pytest_twisted.ensureDeferred
async def test_new_certificates_are_served_and_open_connections_go_on(
    make_front: Callable[..., Awaitable[Cluster]], folder: Path
) -> None:
    front = await make_front()
    client = await connect_tls(front.port)
    client.begin("PUT", "/file", f"Content-Length: {MIB}")
    client.send(bytes(MIB // 2))
    write_pair(folder / "b.pem", "two.example")
    (folder / "a.pem").unlink()
    assert (await front.reload()).code == 200
    assert await served_name(front.port, "one.example") == "two.example"
    client.send(bytes(MIB // 2))
    assert (await client.answer()).code == 201


@pytest_twisted.ensureDeferred
async def test_a_hang_up_and_a_change_of_the_file_are_enough(
    make_front: Callable[..., Awaitable[Cluster]], folder: Path
) -> None:
    front = await make_front()
    write_pair(folder / "b.pem", "two.example")
    assert front.front is not None
    await front.front.hang_up()
    assert await served_name(front.port, "two.example") == "two.example"
    write_pair(folder / "c.pem", "three.example")
    await front.status_becomes(lambda status: len(status["certificates"]) == 3)
    assert await served_name(front.port, "three.example") == "three.example"


@pytest_twisted.ensureDeferred
async def test_a_bad_certificate_is_refused_and_the_old_one_stays(
    make_front: Callable[..., Awaitable[Cluster]], folder: Path
) -> None:
    front = await make_front()
    bad: dict[str, Callable[[Path], object]] = {
        "neither a certificate nor a key": lambda path: path.write_text("hello"),
        "has expired on": lambda path: write_pair(path, "one.example", days=-1),
        "no certificate in": lambda path: write_pair(path, "one.example", keep="key"),
        "no key in": lambda path: write_pair(path, "one.example", keep="certificate"),
        "the key cannot be read": lambda path: path.write_text(
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        ),
        "the key is encrypted": lambda path: write_pair(path, "one.example", passphrase=b"secret"),
    }
    for reason, write in bad.items():
        write(folder / "b.pem")
        answer = await front.reload()
        assert (answer.code, f"{folder}/b.pem" in answer.text, reason in answer.text) == (422, True, True), answer.text
        assert [warning for warning in (await front.status())["warnings"] if reason in warning]
        assert await served_name(front.port, "one.example") == "one.example"
    (folder / "b.pem").unlink()
    assert (await front.reload()).code == 200
    assert (await front.status())["warnings"] == []


@pytest_twisted.ensureDeferred
async def test_only_tls_of_today_is_spoken(make_front: Callable[..., Awaitable[Cluster]]) -> None:
    front = await make_front()
    for option, code in [("-tls1_1", 1), ("-tls1_2", 0), ("-tls1_3", 0)]:
        weak = ["-cipher", "DEFAULT@SECLEVEL=0"]
        assert (await run("openssl", "s_client", option, *weak, "-connect", f"127.0.0.1:{front.port}"))[0] == code
    for cipher in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"):
        asked = ["-tls1_2", "-cipher", cipher, "-connect", f"127.0.0.1:{front.port}"]
        assert (await run("openssl", "s_client", *asked))[0] == 1


@pytest_twisted.ensureDeferred
async def test_strict_transport_is_asked_for_on_tls_only(make_front: Callable[..., Awaitable[Cluster]]) -> None:
    front = await make_front(hsts_s=1000)
    client = await connect_tls(front.port)
    client.begin("OPTIONS", "/")
    assert (await client.answer()).headers["strict-transport-security"] == "max-age=1000"
    assert (await front.ask("GET", f"{front.admin_url}/health")).header("Strict-Transport-Security") is None


@pytest_twisted.ensureDeferred
async def test_plaintext_and_a_handshake_that_is_cut_or_slow_end_and_harm_nobody(
    make_front: Callable[..., Awaitable[Cluster]],
) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    front = await make_front(head_timeout_s=PATIENCE_S, front_reactor=still)
    plain = await connect(front.port)
    plain.begin("GET", "/")
    assert b"HTTP" not in await plain.until_ended()
    cut = await connect(front.port)
    cut.send(b"\x16\x03\x01\x02\x00\x01")
    cut.leave()
    silent, slow = await connect(front.port), await connect(front.port)
    slow.send(b"\x16\x03\x01\x02\x00\x01")
    client = await connect_tls(front.port)
    client.begin("OPTIONS", "/")
    assert (await client.answer()).code == 200
    await front.status_becomes(lambda status: status["connections"]["open"] == 3)
    still.advance(PATIENCE_S)
    await silent.until_ended()
    await slow.until_ended()
    client.begin("OPTIONS", "/")
    assert (await client.answer()).code == 200
    client.leave()
    await client.until_ended()
    await front.status_becomes(lambda status: status["connections"]["open"] == 0)


@pytest_twisted.ensureDeferred
async def test_a_client_without_tls_is_led_to_the_same_url_with_it(
    make_cluster: Callable[..., Cluster], folder: Path
) -> None:
    cluster = make_cluster(
        listen_tls=f"tls:{folder}:0:interface=127.0.0.1", redirect="tcp:0:interface=127.0.0.1", redirect_port=8443
    )
    await cluster.start()
    front = cluster.front
    assert front is not None
    assert front.endpoints.tls_port is not None
    assert front.endpoints.redirect_port is not None
    client = await connect(front.endpoints.redirect_port.getHost().port)
    client.send(b"PUT /a%20b?c HTTP/1.1\r\nHost: files.example:80\r\nContent-Length: 1000000\r\n\r\n", bytes(1000))
    answer = await client.answer()
    assert (answer.code, answer.headers["location"]) == (308, "https://files.example:8443/a%20b?c")
    await client.until_ended()
    assert (await cluster.put("/plain", b"x")).code == 201
    client = await connect_tls(front.endpoints.tls_port.getHost().port)
    client.begin("GET", "/plain")
    assert (await client.answer()).body == b"x"


@pytest.mark.parametrize(
    ("headers", "code", "location"),
    [
        ("Host: inner", 308, "https://inner:8443/a"),
        ("Host: inner|X-Forwarded-Host: files.example|X-Forwarded-Proto: http", 308, "https://files.example:8443/a"),
        ('Host: inner|Forwarded: host="[2001:db8::1]:80";proto=http', 308, "https://[2001:db8::1]:8443/a"),
        ("Host: inner|X-Forwarded-Host: a b", 308, "https://inner:8443/a"),
        ("Host: files.example|X-Forwarded-Proto: https", 421, None),
        ("Host: files.example|Forwarded: proto=https", 421, None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_clients_of_a_proxy_are_led_to_the_name_that_they_know(
    make_cluster: Callable[..., Cluster], folder: Path, headers: str, code: int, location: str | None
) -> None:
    """And those that have come by https already are not led round in circles."""
    tls = f"tls:{folder}:0:interface=127.0.0.1"
    cluster = make_cluster(listen_tls=tls, redirect="tcp:0:interface=127.0.0.1", redirect_port=8443)
    await cluster.start()
    client = await connect(cluster.front.endpoints.redirect_port.getHost().port)  # type: ignore[union-attr]
    client.send("\r\n".join(["GET /a HTTP/1.1", *headers.split("|"), "", ""]).encode())
    answer = await client.answer()
    assert (answer.code, answer.headers.get("location")) == (code, location)
    client.leave()


@pytest_twisted.ensureDeferred
async def test_clients_are_led_to_own_names_only(make_cluster: Callable[..., Cluster], folder: Path) -> None:
    tls = f"tls:{folder}:0:interface=127.0.0.1"
    cluster = make_cluster(listen_tls=tls, redirect="tcp:0:interface=127.0.0.1", names=Words(["files.example"]))
    await cluster.start()
    port = cluster.front.endpoints.redirect_port.getHost().port  # type: ignore[union-attr]
    for host, code in (("files.example", 308), ("evil.example", 421)):
        client = await connect(port)
        client.send(f"GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await client.answer()).code == code
        client.leave()


@pytest_twisted.ensureDeferred
async def test_a_client_that_reads_nothing_over_tls_stops_the_nodes(
    make_front: Callable[..., Awaitable[Cluster]],
) -> None:
    front = await make_front(unit=64 * 1024)
    front.bound_sending(65_536)
    client = await connect_tls(front.port)
    client.begin("PUT", "/file", f"Content-Length: {SIZE}")
    client.send(bytes(SIZE))
    assert (await client.answer()).code == 201
    client.stop_reading()
    client.begin("GET", "/file")
    await eventually(lambda: all(node.filesystem.bytes_read for node in front.nodes))
    read = await standstill(lambda: sum(node.filesystem.bytes_read for node in front.nodes))
    assert 0 < read < STOPPED_READER
    client.read_on()
    assert len((await client.answer()).body) == SIZE


@pytest_twisted.ensureDeferred
async def test_a_front_without_a_usable_certificate_does_not_start(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster(listen=f"tls:{tmp_path / 'missing'}:0:interface=127.0.0.1")
    with pytest.raises(Exception, match="missing: is not a folder"):
        await cluster.start()
