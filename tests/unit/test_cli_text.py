from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from splitd.cli.local.text import add_member, append_node, members, read_urls, write_settings, write_state, write_urls

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


@pytest.mark.parametrize(
    ("node_id", "old", "new"),
    [
        ("n1", '  zone: "cellar"\n', '  zone: "cellar"\n  state: lost\n'),
        ("nas", "'http://nas:8090'}", "'http://nas:8090', state: lost}"),
    ],
)
def test_a_state_is_added_to_a_node_and_all_else_stays(node_id: str, old: str, new: str) -> None:
    assert write_state(_REGISTRY, node_id, "lost") == _REGISTRY.replace(old, new)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- id: a  # mine\n  state: active  # yes\n  url: u\n", "- id: a  # mine\n  state: lost  # yes\n  url: u\n"),
        ("- {state: draining, id: a, url: u}", "- {state: lost, id: a, url: u}"),
        ("- id: a\n  url: u  # here\n\n# end\n", "- id: a\n  url: u  # here\n  state: lost\n\n# end\n"),
        (
            "  - id: a\n    url: u\n  - id: b\n    url: v",
            "  - id: a\n    url: u\n    state: lost\n  - id: b\n    url: v",
        ),
        ("- id: b\n  url: v\n- id: a\n  url: u", "- id: b\n  url: v\n- id: a\n  url: u\n  state: lost\n"),
        ("- id: a\r\n  url: u\r\n", "- id: a\r\n  url: u\r\n  state: lost\r\n"),
        ("[{id: a, url: u}]\n", "[{id: a, url: u, state: lost}]\n"),
        ("- id: a\n  url: u\n  state: lost\n", "- id: a\n  url: u\n  state: lost\n"),
    ],
)
def test_a_state_is_written_in_any_style(text: str, expected: str) -> None:
    assert write_state(text, "a", "lost") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- id: b\n  url: u\n", "there is no node a"),
        ("", "there is no node a"),
        ("id: a\n", "a list of nodes"),
        ("- {id: b, url: v, state: &s active}\n- {id: a, url: u, state: *s}\n", "cannot be changed"),
    ],
)
def test_a_state_that_cannot_be_written_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        write_state(text, "a", "lost")


def test_an_indented_list_stays_one() -> None:
    assert write_urls("  - id: a\n    url: http://h:1", {"b": "http://h:2"}) == (
        "  - id: a\n    url: http://h:1\n  - id: b\n    url: http://h:2\n"
    )


@pytest.mark.parametrize("text", ["[{id: a, url: 'http://h:1'}]\n", "a: b\n", "- a\n", "- id: x\n", "- id: [\n"])
def test_a_registry_that_cannot_be_added_to_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"nodes|expected the node content"):
        write_urls(text, {"b": "http://h:2"})


@given(
    st.dictionaries(st.sampled_from(["data", "registry", "listen"]), st.text(st.characters(codec="utf-8")), min_size=1),
    st.dictionaries(st.sampled_from(["data", "registry", "listen"]), st.text(st.characters(codec="utf-8")), min_size=1),
)
def test_any_text_can_be_a_value(first: dict[str, str], second: dict[str, str]) -> None:
    text = write_settings(write_settings("# head\n", first), second)
    assert text.startswith("# head\n")
    assert yaml.safe_load(text) == first | second


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("- id: a\n  url: http://h:1", "\n- id: b\n  url: http://h:2\n  zone: '1'\n  weight: 0.5\n"),
        ("# none yet\n", "- id: b\n  url: http://h:2\n  zone: '1'\n  weight: 0.5\n"),
        (
            "---\n# ours\n  - id: a  # old\n    url: http://h:1\n# the end\n\n",
            "  - id: b\n    url: http://h:2\n    zone: '1'\n    weight: 0.5\n",
        ),
        ("- id: a\r\n  url: http://h:1\r\n", "- id: b\r\n  url: http://h:2\r\n  zone: '1'\r\n  weight: 0.5\r\n"),
    ],
    ids=["no newline at the end", "comments alone", "indented, comments at the end", "lines end with CR LF"],
)
def test_a_node_is_appended_and_not_a_byte_before_it_changes(text: str, added: str) -> None:
    assert append_node(text, {"id": "b", "url": "http://h:2", "zone": "1", "weight": 0.5}) == text + added


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[{id: a, url: 'http://h:1'}]\n", "stands in brackets"),
        ("[]\n", "stands in brackets"),
        ("- id: a\n  url: http://h:1\n...\n", "cannot be added at its end"),
        ("a: b\n", "a list of nodes"),
        ("- id: [\n", "expected the node content"),
    ],
)
def test_where_a_node_cannot_be_appended_it_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        append_node(text, {"id": "b", "url": "http://h:2"})


@given(st.text(st.characters(codec="utf-8")), st.floats(0.001, 1000))
def test_any_zone_and_weight_can_be_written(zone: str, weight: float) -> None:
    entry: dict[str, str | float] = {"id": "n7", "url": "http://h:7", "zone": zone, "weight": weight}
    text = append_node(_REGISTRY, entry)
    assert text.startswith(_REGISTRY)
    assert yaml.safe_load(text)[2] == entry


def test_the_urls_of_a_registry_are_read_by_id() -> None:
    assert read_urls(_REGISTRY) == {"n1": "http://127.0.0.1:8091", "nas": "http://nas:8090"}
    assert read_urls("# none yet\n") == {}


_COMPOSE = """\
# mine
services:  # all of them
  n7:  # the first
    image: x
    networks: [a, b]   # two
    # no ports

  # of the volumes
volumes:
    n7:
# the end
"""


def test_a_key_is_added_at_the_end_of_its_section_and_comments_stay() -> None:
    text = add_member(_COMPOSE, "services", "n8", ["image: x", "command: [y]"])
    at = _COMPOSE.index("    # no ports")
    assert text == _COMPOSE[:at] + "  n8:\n    image: x\n    command: [y]\n" + _COMPOSE[at:]
    assert add_member(_COMPOSE, "volumes", "n8", []) == _COMPOSE.replace("    n7:\n#", "    n7:\n    n8:\n#")


def test_a_key_that_is_there_stays_as_it_is() -> None:
    assert add_member(_COMPOSE, "services", "n7", ["image: y"]) == _COMPOSE


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", "volumes:\n  n8:\n"),
        ("a: b", "a: b\nvolumes:\n  n8:\n"),
        ("volumes:", "volumes:\n  n8:\n"),
        ("volumes:  # none\na: b\n", "volumes:  # none\n  n8:\na: b\n"),
        ("volumes:\n  a:\n    b: |\n      c\n\nd: e\n", "volumes:\n  a:\n    b: |\n      c\n  n8:\n\nd: e\n"),
        (
            "volumes:\n    &k a: &v\n        b: c\n    d: *v",
            "volumes:\n    &k a: &v\n        b: c\n    d: *v\n    n8:\n",
        ),
        ("x:\r\n  y: !reset []\r\n", "x:\r\n  y: !reset []\r\nvolumes:\r\n  n8:\r\n"),
    ],
)
def test_a_section_that_is_missing_or_empty_is_begun(text: str, result: str) -> None:
    assert add_member(text, "volumes", "n8", []) == result
    assert members(result, "volumes") >= {"n8"}


def test_nothing_else_changes_where_values_stand_for_others() -> None:
    text = "services:\n  a:\n    env: &e\n      x: y\n    image: z\n  b:\n    env: *e\n"
    assert add_member(text, "services", "n8", ["image: x"]) == text + "  n8:\n    image: x\n"


@pytest.mark.parametrize(
    "text",
    [
        "volumes:\n  a: |\n    b\n    # c\n",
        "a: b\n...\n",
        "volumes: {a: }\n",
        "volumes: 5\n",
        "- a\n",
        "a: [\n",
        "volumes: &x\n  <<: *y\n",
    ],
)
def test_a_section_that_cannot_be_added_to_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"nothing can be added to volumes|keys and values|expected|undefined"):
        add_member(text, "volumes", "n8", [])
