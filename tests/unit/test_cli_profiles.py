"""Profiles of splitctl, and the authority that it trusts."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from splitd.cli.main import main
from splitd.cli.profiles import profiles_file
from tests.unit.front_double import FrontDouble, running_front


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    with running_front() as running:
        running.entries["/a"] = b""
        yield running


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of profiles, which is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("SPLITD_URL", "SPLITD_PROFILE", "SPLITD_USER", "SPLITD_PASSWORD", "SPLITD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "splitctl.yaml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_the_file_lies_with_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/anna")
    assert profiles_file() == Path("/home/anna/.config/splitctl.yaml")


@pytest.mark.parametrize("options", [["--profile", "here"], []])
def test_a_profile_says_which_server_and_how_to_log_in(front: FrontDouble, file: Path, options: list[str]) -> None:
    seen: list[str] = []

    def note(handler: object) -> None:
        seen.append(handler.headers["Authorization"])  # type: ignore[attr-defined]
        handler._get()  # type: ignore[attr-defined]

    front.faults["GET"] = note
    (file.parent / "secret").write_text("anna's\n")
    file.write_text(
        f"default: here\nprofiles:\n  here: {{url: '{front.url}', user: anna, password_file: secret}}\n"
        "  away: {url: 'http://127.0.0.1:1'}\n"
    )
    result = run(*options, "ls")
    assert (result.exit_code, result.stdout) == (0, "a\n"), result.output
    assert seen == ["Basic " + base64.b64encode(b"anna:anna's").decode()]


def test_what_is_given_goes_before_the_profile(front: FrontDouble, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("default: away\nprofiles: {away: {url: 'http://127.0.0.1:1'}}\n")
    assert run("ls").exit_code == 3
    assert run("--url", front.url, "ls").exit_code == 0
    monkeypatch.setenv("SPLITD_URL", front.url)
    assert run("ls").exit_code == 0


def test_without_a_file_there_is_no_profile(front: FrontDouble, file: Path) -> None:
    assert run("--url", front.url, "ls").exit_code == 0
    result = run("--profile", "here", "ls")
    assert result.exit_code == 2
    assert f"{file} does not exist" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profiles: {b: {}, a: {}}", "has no profile 'here'; it has: a, b"),
        ("{}", "it has: none"),
        ("profiles: {here: {password: x}}", "unknown field `password`"),
        ("profiles: [", "splitctl.yaml: while parsing"),
        ("profiles: {here: {url: 1}}", "Expected `str | null`, got `int`"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    result = run("--profile", "here", "ls")
    assert result.exit_code == 2
    assert words in result.stderr
    assert str(file) in result.stderr


def test_an_authority_that_is_none_is_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    for name, words in (("ca.pem", "this is not a PEM file of certificates"), ("none", "No such file")):
        result = run("--url", "https://127.0.0.1:1", "--ca", str(tmp_path / name), "ls")
        assert result.exit_code == 3
        assert f"{tmp_path / name}: " in result.stderr
        assert words in result.stderr
    assert not file.exists()


def test_a_certificate_of_its_own_is_trusted_if_named(file: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", tmp_path / "key", "-out", tmp_path / "pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with running_front(certificate=tmp_path / "pem", key=tmp_path / "key") as front:
        front.entries["/a"] = b""
        refused = run("--url", front.url, "ls")
        assert refused.exit_code == 3
        assert "its certificate is not trusted" in refused.stderr
        file.write_text(f"default: here\nprofiles: {{here: {{url: '{front.url}', ca: pem}}}}\n")
        assert run("ls").stdout == "a\n"
