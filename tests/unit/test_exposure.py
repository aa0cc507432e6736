"""Which endpoints can be reached from other machines."""

from __future__ import annotations

import pytest

from splitd.access.exposure import is_local

LOCAL = [
    "tcp:8080:interface=127.0.0.1",
    "tcp:port=8080:interface=127.0.0.1",
    "tcp:8080:127.0.0.1",
    r"tcp:8080:interface=\:\:1",
    r"tcp6:8080:interface=\:\:1",
    "tcp:interface=127.8.8.8:8080",
    "ssl:443:interface=127.0.0.1:privateKey=k",
    "tls:/etc/certs:8443:interface=127.0.0.1",
    "unix:/run/splitd.sock",
    "unix:/run/splitd.sock:mode=660",
    "tcp:8080:interface=localhost",
    "haproxy:tcp:8080:interface=127.0.0.1",
]
WIDE = [
    "tcp:8080",
    "tcp:8080:interface=0.0.0.0",
    r"tcp:8080:interface=\:\:",
    "tcp:8080:interface=192.0.2.1",
    "tcp:8080:interface=",
    "tcp:8080:0.0.0.0",
    "ssl:443:privateKey=127.0.0.1",
    "tls:127.0.0.1:8443",
    "tls:/etc/127.0.0.1:8443:127.0.0.1",
    "systemd:domain=INET:index=0",
    "haproxy:tcp:8080",
    "",
    ":",
    "nonsense",
    "tcp:8080:interface=example.org",
    r"tcp:8080:interface=127.0.0.1\:x",
    "tcp:8080:interface",
]


@pytest.mark.parametrize("endpoint", LOCAL)
def test_these_are_for_this_machine_only(endpoint: str) -> None:
    assert is_local(endpoint)


@pytest.mark.parametrize("endpoint", WIDE)
def test_these_may_be_reached_by_others(endpoint: str) -> None:
    assert not is_local(endpoint)
