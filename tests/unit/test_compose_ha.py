"""docker-compose.ha.yml: nothing of it is there once, only the balancers are published, and no secret is in it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from splitd.config import Config
from tests.unit.test_cli_compose import HARDENED, PROJECT, Loader

PLAIN = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
HA = yaml.load((PROJECT / "docker-compose.ha.yml").read_text(), Loader)
SERVICES: dict[str, Any] = HA["services"]
ONCE = {"passwords"}


def test_each_kind_of_server_is_there_twice_or_as_often_as_a_majority_needs() -> None:
    names = set(SERVICES) - ONCE
    assert names == {"etcd1", "etcd2", "etcd3", "pg1", "pg2", "pg3", "front", "front2", "balancer", "balancer2"}
    assert {name: SERVICES[name].get("hostname", name) for name in names} == {name: name for name in names}
    own = [volume for name in names for volume in SERVICES[name].get("volumes", []) if volume.endswith(":/data")]
    assert len(own) == len(set(own)) == 7, "each server has its own"


def test_the_fronts_are_alike_and_only_the_balancers_are_published() -> None:
    assert SERVICES["front"]["command"] == SERVICES["front2"]["command"]
    assert {name for name, service in SERVICES.items() if service.get("ports")} == {"balancer", "balancer2"}
    published = [port for name in ("balancer", "balancer2") for port in SERVICES[name]["ports"]]
    assert all(port.startswith("${SPLITD_ADDRESS:-127.0.0.1}:") for port in published)
    assert len({port.split("}:")[1] for port in published}) == 4
    assert {name for name, network in HA["networks"].items() if network.get("internal")} == set(HA["networks"])


def test_the_fronts_options_are_settings_and_hold_no_password() -> None:
    options = dict(each.removeprefix("--").split("=", 1) for each in SERVICES["front"]["command"][1:])
    assert {name.replace("-", "_") for name in options if name != "config"} <= set(Config.__struct_fields__)
    before = PLAIN["services"]["front"]["command"]
    assert options["config"] == before[before.index("--config") + 1]
    assert options["layout"] == before[before.index("--layout") + 1]
    assert "passfile=/passwords/pgpass" in options["catalog"]
    assert ":" not in options["catalog"].removeprefix("postgresql://").partition("@")[0]


def test_its_servers_are_as_hardened_as_those_of_the_plain_file() -> None:
    for name, service in SERVICES.items():
        if name in {"front", "front2"}:
            continue
        ours = {key: service[key] for key in HARDENED}
        assert ours == {**{key: PLAIN["x-server"][key] for key in HARDENED}, "image": "splitd-ha"}, name
    assert SERVICES["passwords"]["network_mode"] == "none"


def test_the_passwords_are_random_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    [script] = SERVICES["passwords"]["command"]
    made = []
    for folder in (tmp_path / "one", tmp_path / "one", tmp_path / "two"):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", script.replace("$$", "$").replace("/passwords", str(folder))]
        subprocess.run(command, check=True)
        made.append({each.name: each.read_text() for each in folder.iterdir()})
        assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    assert made[0] == made[1]
    assert len({text for files in made[1:] for text in files.values()}) == 10
    assert made[0]["pgpass"] == f"*:*:*:splitd:{made[0]['splitd']}\n"
