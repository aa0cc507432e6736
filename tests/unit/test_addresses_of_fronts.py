"""How a front that shares its catalog tells operators where it is."""

from __future__ import annotations

import pytest

from splitd.assembly.catalogs import address_of


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("tcp:8080", "here:8080"),
        ("tcp:8080:interface=127.0.0.1", "here:8080"),
        ("tls:/etc/splitd/tls:8443", "here:8443"),
        ("unix:/run/splitd.sock", "here unix:/run/splitd.sock"),
    ],
)
def test_the_address_of_a_front_is_its_machine_and_its_port(listen: str, address: str) -> None:
    assert address_of(listen, "here") == address
