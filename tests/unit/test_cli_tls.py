"""splitctl tls: the certificates that it makes, verified by openssl."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from splitd.cli.main import main


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(main, ["--json", "tls", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else result.output


def verify(ca: Path, certificate: Path, *options: str) -> bool:
    command = ["openssl", "verify", *options, "-CAfile", str(ca), str(certificate)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_a_self_signed_certificate_is_good_for_its_names(tmp_path: Path) -> None:
    file = Path(run("self-signed", "--dir", tmp_path, "--name", "files.example", "--name", "10.0.0.7")["file"])
    assert file.stat().st_mode & 0o777 == 0o600
    for option, name in [("-verify_hostname", "files.example"), ("-verify_ip", "10.0.0.7")]:
        assert verify(file, file, option, name)
    assert not verify(file, file, "-verify_hostname", "other.example")


def test_the_nodes_of_a_registry_get_certificates_of_one_authority(tmp_path: Path) -> None:
    registry = tmp_path / "nodes.yaml"
    registry.write_text("- {id: n1, url: 'http://10.0.0.1:8090'}\n- {id: n2, url: 'http://store2:8090'}\n")
    folder = tmp_path / "tls"
    made = run("cluster", "--dir", folder, "--registry", registry, "--node", "n3=store3,10.0.0.3")
    assert made == {"ca": str(folder / "ca.pem"), "nodes": ["n1", "n2", "n3"], "made": ["n1", "n2", "n3"]}
    ca = folder / "ca.pem"
    names = [("n1", "-verify_ip", "10.0.0.1"), ("n2", "-verify_hostname", "store2"), ("n3", "-verify_ip", "10.0.0.3")]
    for node, option, name in names:
        assert verify(ca, folder / node / "node.pem", "-x509_strict", "-purpose", "sslserver", option, name)
        assert (folder / node / "node.pem").stat().st_mode & 0o777 == 0o600
    assert not verify(ca, folder / "n1" / "node.pem", "-verify_ip", "10.0.0.2")
    assert "PRIVATE" not in ca.read_text()


def test_a_second_run_keeps_what_is_good(tmp_path: Path) -> None:
    def cluster(*arguments: str) -> Any:
        return run("cluster", "--dir", tmp_path, *arguments)["made"]

    assert cluster("--node", "n1=a") == ["n1"]
    ca = (tmp_path / "ca.pem").read_bytes()
    assert cluster("--node", "n1=a", "--node", "n2=b") == ["n2"]
    assert cluster("--node", "n1=a,c") == ["n1"]
    assert cluster("--node", "n1=a", "--renew") == ["n1"]
    (tmp_path / "n1" / "node.pem").write_text("damaged")
    assert cluster("--node", "n1=a") == ["n1"]
    assert (tmp_path / "ca.pem").read_bytes() == ca


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    assert "name the nodes" in run("cluster", "--dir", tmp_path, code=2)
    for node in ("n1", "=a", "n1=", "../n1=a"):
        assert "should be ID=HOST" in run("cluster", "--dir", tmp_path, "--node", node, code=2)
    (tmp_path / "authority.pem").write_text("damaged")
    assert str(tmp_path) in run("cluster", "--dir", tmp_path, "--node", "n1=a", code=1)
