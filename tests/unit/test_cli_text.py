from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.cli.local.text import write_settings, write_urls

_REGISTRY = """\
# ours
- id: n1   # the first
  url: http://127.0.0.1:8091
  zone: "cellar"
- {id: nas, url: 'http://nas:8090'}  # theirs
"""


def test_only_the_values_that_differ_are_written() -> None:
    text = "# mine\nlisten: tcp:1  # why\nunit: 64KiB\ndata: /a"
    assert write_settings(text, {"listen": "tcp:2", "data": "/a", "admin": "tcp:3:interface=127.0.0.1"}) == (
        "# mine\nlisten: tcp:2  # why\nunit: 64KiB\ndata: /a\nadmin: tcp:3:interface=127.0.0.1\n"
    )


def test_a_file_of_comments_gets_all_settings() -> None:
    assert write_settings("# head\n", {"a": "/x", "b": "y"}) == "# head\na: /x\nb: y\n"


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "a: [\n"])
def test_what_holds_no_settings_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"keys and values|expected the node content"):
        write_settings(text, {"a": "b"})


def test_a_node_is_added_and_all_comments_stay() -> None:
    assert write_urls(_REGISTRY, {"n1": "http://127.0.0.1:8091", "n2": "http://127.0.0.1:8092"}) == (
        _REGISTRY + "- id: n2\n  url: http://127.0.0.1:8092\n"
    )


def test_an_url_is_replaced_in_its_place() -> None:
    assert write_urls(_REGISTRY, {"n1": "http://127.0.0.1:9"}) == _REGISTRY.replace("127.0.0.1:8091", "127.0.0.1:9")


def test_an_indented_list_stays_one() -> None:
    assert write_urls("  - id: a\n    url: http://h:1", {"b": "http://h:2"}) == (
        "  - id: a\n    url: http://h:1\n  - id: b\n    url: http://h:2\n"
    )


@pytest.mark.parametrize("text", ["[{id: a, url: 'http://h:1'}]\n", "a: b\n", "- a\n", "- id: x\n", "- id: [\n"])
def test_a_registry_that_cannot_be_added_to_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"nodes|expected the node content"):
        write_urls(text, {"b": "http://h:2"})


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["data", "registry", "listen"]), st.text(st.characters(codec="utf-8")), min_size=1),
    st.dictionaries(st.sampled_from(["data", "registry", "listen"]), st.text(st.characters(codec="utf-8")), min_size=1),
)
def test_any_text_can_be_a_value(first: dict[str, str], second: dict[str, str]) -> None:
    text = write_settings(write_settings("# head\n", first), second)
    assert text.startswith("# head\n")
    assert yaml.safe_load(text) == first | second
