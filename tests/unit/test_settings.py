from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from twisted.python.usage import UsageError

from splitd.config import Config as FrontConfig
from storaged.system.settings import (
    SettingsError,
    SettingsOptions,
    load_settings,
    read_cluster_key,
)
from storaged.system.sizes import Size, parse_size


class Pace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rest_s: float = 1.0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(description="A name.")]
    reserve: Annotated[Size, msgspec.Meta(description="Bytes.")] = Size(5)
    wait_s: Annotated[float, msgspec.Meta(description="Seconds.", gt=0)] = 3.0
    quick: Annotated[bool, msgspec.Meta(description="Whether it is quick.")] = True
    loud: Annotated[bool, msgspec.Meta(description="Whether it is loud.")] = False
    pace: Annotated[Pace, msgspec.Meta(description="Its pace.")] = Pace()


class Options(SettingsOptions[Config]):
    kind = Config


def write(folder: Path, text: str) -> str:
    path = folder / "settings.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("256KiB", 262144),
        ("1GiB", 2**30),
        ("500MB", 500_000_000),
        ("2 TiB", 2**41),
        ("7b", 7),
    ],
)
def test_a_size_is_a_number_with_or_without_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "1.5GiB", "-1", "1 parsec", "1KiBs"])
def test_what_is_not_a_size_is_refused_by_its_words(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


def test_the_file_gives_the_settings_and_the_command_line_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "name: from the file\nreserve: 1MiB\n")
    assert load_settings(Config, path, {"reserve": "2MiB"}) == Config("from the file", Size(2 * 2**20), 3.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: n\nreserv: 5\n", "reserv"),
        ("name: n\nreserve: much\n", r"\$\.reserve"),
        ("name: n\nwait_s: -1\n", r"\$\.wait_s"),
        ("name: 5\n", r"\$\.name"),
        ("reserve: 5\n", "name"),
        ("- name\n", "keys and values"),
        ("name: [\n", "line 2"),
    ],
)
def test_an_error_names_the_file_and_the_key(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError, match=told) as raised:
        load_settings(Config, path, {})
    assert path in str(raised.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"/nowhere\.yaml"):
        load_settings(Config, "/nowhere.yaml", {})


def test_every_key_is_an_option_of_the_command_line() -> None:
    options = Options()
    options.parseOptions(["--name", "n1", "--reserve", "1KiB", "--wait-s", "2.5"])
    assert options.settings == Config("n1", Size(1024), 2.5)
    assert "--wait-s" in options.getUsage()


def test_what_is_on_by_default_has_an_option_that_switches_it_off(tmp_path: Path) -> None:
    path = write(tmp_path, "name: n\nloud: true\n")
    for words, is_quick, is_loud in (([], True, True), (["--no-quick"], False, True), (["--loud"], True, True)):
        options = Options()
        options.parseOptions(["--config", path, *words])
        assert (options.settings.quick, options.settings.loud) == (is_quick, is_loud)


def test_keys_that_belong_together_are_yaml_on_the_command_line(tmp_path: Path) -> None:
    options = Options()
    options.parseOptions(["--name", "n", "--pace", "{rest_s: 3}"])
    assert options.settings.pace == Pace(rest_s=3)
    for text, told in (("{rest_s: [}", "pace"), ("{rest: 3}", "rest"), ("3", "pace")):
        with pytest.raises(UsageError, match=told):
            Options().parseOptions(["--name", "n", "--pace", text])


def test_a_wrong_option_is_told_as_one() -> None:
    with pytest.raises(UsageError, match=r"command line: .*wait_s"):
        Options().parseOptions(["--name", "n1", "--wait-s", "soon"])


@pytest.mark.parametrize(
    "text", ["", "short\n", "has a space in its middle\n", "zwölf und mehr zeichen".replace(" ", "")]
)
def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(SettingsError, match="the cluster key should be"):
        read_cluster_key(str(path))


def test_the_key_is_the_line_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("0123456789abcdef\n")
    assert read_cluster_key(str(path)) == "0123456789abcdef"


def test_a_part_that_is_called_small_is_a_small_one() -> None:
    needed = {"data": "/d", "registry": "/r", "cluster_key_file": "/k"}
    assert load_settings(FrontConfig, None, {**needed, "small_part": "256KiB"}).small_part == 262144
    with pytest.raises(SettingsError, match=r"small_part: 262145 bytes, at most 262144 can be"):
        load_settings(FrontConfig, None, {**needed, "small_part": "262145"})


FRONT = {"data": "d", "registry": "r", "cluster_key_file": "k"}


def test_words_are_a_list_in_yaml_and_have_commas_on_the_command_line(tmp_path: Path) -> None:
    path = write(tmp_path, "names: [a.example, 'b.example:8443']\ntrusted_proxies: []\n")
    config = load_settings(FrontConfig, path, FRONT)
    assert (config.names, config.trusted_proxies) == (("a.example", "b.example:8443"), ())
    config = load_settings(
        FrontConfig, path, {**FRONT, "names": "c.example, d.example", "trusted_proxies": "10.0.0.0/8"}
    )
    assert (config.names, config.trusted_proxies) == (("c.example", "d.example"), ("10.0.0.0/8",))
    assert load_settings(FrontConfig, path, {**FRONT, "names": ""}).names == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("names: [a b]", "names"),
        ("names: ['http://a.example']", "names"),
        ("names: [a.example, '']", "names"),
        ("names: 5", "names"),
        ("trusted_proxies: [nginx]", "trusted_proxies"),
        ("trusted_proxies: [10.0.0.1/8]", "trusted_proxies"),
    ],
)
def test_names_and_networks_that_cannot_be_used_are_refused_with_file_and_key(
    tmp_path: Path, text: str, told: str
) -> None:
    path = write(tmp_path, text + "\n")
    with pytest.raises(SettingsError, match=f"{path}: .*{told}"):
        load_settings(FrontConfig, path, FRONT)


@pytest.mark.parametrize("days", [".inf", ".nan", "-1", "1e12"])
def test_a_bin_that_keeps_things_for_no_number_of_days_is_refused(tmp_path: Path, days: str) -> None:
    path = write(tmp_path, f"bin: {{keep_days: {days}}}\n")
    with pytest.raises(SettingsError, match=f"{path}: .*keep_days"):
        load_settings(FrontConfig, path, FRONT)
