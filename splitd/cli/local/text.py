"""Edits YAML text, and leaves comments and everything else in it as they are.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

_INDENT = 2


def write_settings(text: str, settings: Mapping[str, str | int]) -> str:
    """Set keys of a configuration file to these values; missing keys are added at the end.

    :raise ValueError: the text does not consist of keys and values.
    """
    found = _compose(text)
    if found is not None and not isinstance(found, yaml.MappingNode):
        raise ValueError("it should hold keys and values")
    missing = dict(settings)
    for key, value in reversed(found.value if found else []):
        if key.value in missing:
            text = _replace(text, value, missing.pop(key.value))
    text = _with_last_newline(text)
    for name, setting in missing.items():
        text += f"{name}: {_scalar(setting)}\n"
    return text


def write_urls(text: str, urls: Mapping[str, str]) -> str:
    """Set the URLs of nodes in a registry; missing nodes are added at the end.

    :param urls: the URLs, by node id.
    :raise ValueError: the text is not a registry that can be edited like this.
    """
    found = _compose_list(text)
    missing = dict(urls)
    for entry in reversed(found.value if found else []):
        values = {key.value: value for key, value in entry.value} if isinstance(entry, yaml.MappingNode) else {}
        if "id" in values and "url" in values and (url := missing.pop(values["id"].value, None)):
            text = _replace(text, values["url"], url)
    for node_id, url in missing.items():
        text = append_node(text, {"id": node_id, "url": url})
    if urls.items() - read_urls(text).items():
        raise ValueError("the URLs of its nodes cannot be changed; write them as plain values")
    return text


def write_state(text: str, node_id: str, state: str) -> str:
    """Set the state of a node in a registry.

    :raise ValueError: the text is not a registry, does not have the node, or cannot be edited like this.
    """
    found = _compose_list(text)
    entries = [each for each in (found.value if found else []) if isinstance(each, yaml.MappingNode)]
    for entry in entries:
        values = {key.value: value for key, value in entry.value}
        if "id" in values and values["id"].value == node_id:
            break
    else:
        raise ValueError(f"there is no node {node_id}")
    if "state" in values:
        new = _replace(text, values["state"], state)
    else:
        last_key, last = entry.value[-1]
        at, column = last.end_mark.index, last_key.start_mark.column
        if entry.flow_style:
            new = f"{text[:at]}, state: {state}{text[at:]}"
        else:
            at = _end_of_lines(text, last.start_mark.index, at)
            new = f"{_with_last_newline(text[:at])}{' ' * column}state: {state}{_newline(text)}{text[at:]}"
    expected = [{**each, "state": state} if each["id"] == node_id else each for each in _load(text)]
    try:
        good = _load(new) == expected
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"the state of node {node_id} cannot be changed")
    return new


def append_node(text: str, entry: Mapping[str, str | float]) -> str:
    """Add a node at the end of a registry.

    :param entry: its keys and values, in the order in which they are written.
    :raise ValueError: the text is not a registry to which nodes can be added.
    """
    found = _compose_list(text)
    if found is not None and found.flow_style:
        raise ValueError(
            "its list of nodes stands in brackets; write each node on lines of its own, with a dash before it"
        )
    new = _with_last_newline(text) + format_node(entry, found.start_mark.column if found else 0, _newline(text))
    try:
        grown = yaml.safe_load(new)
    except yaml.YAMLError as problem:
        raise ValueError(f"nodes cannot be added at its end: {problem}") from problem
    if grown != [*(yaml.safe_load(text) or []), dict(entry)]:
        raise ValueError("nodes cannot be added at its end")
    return new


def format_node(entry: Mapping[str, str | float], column: int = 0, newline: str = "\n") -> str:
    """Return the lines of a node in a registry."""
    lines = [f"{key}: {_scalar(value)}{newline}" for key, value in entry.items()]
    return " " * column + "- " + (" " * column + "  ").join(lines)


def read_urls(text: str) -> dict[str, str]:
    """Return the URLs of a registry's nodes, by their ids.

    :raise ValueError: the text is not a registry.
    """
    try:
        return {str(entry["id"]): str(entry["url"]) for entry in yaml.safe_load(text) or []}
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from problem
    except (TypeError, KeyError) as problem:
        raise ValueError("it should hold a list of nodes, each with its id and url") from problem


def add_member(text: str, section: str, name: str, lines: Sequence[str]) -> str:
    """Add a key with the lines below it at the end of a section; a missing section is added first.

    :param section: a top-level key, whose value consists of keys.
    :param name: the new key; if the section has it already, nothing is changed.
    :param lines: the lines below the new key, without the indent that the key has.
    :raise ValueError: the text does not consist of keys and values, or the section cannot be added to.
    """
    found = _compose(text)
    if found is not None and not isinstance(found, yaml.MappingNode):
        raise ValueError("it should hold keys and values")
    if name in members(text, section):
        return text
    newline = _newline(text)
    at, column = len(text), _INDENT
    entries = found.value if found else []
    for number, (key, value) in enumerate(entries):
        if key.value == section:
            following = entries[number + 1][0].start_mark.index if number + 1 < len(entries) else len(text)
            at = _end_of_lines(text, key.end_mark.index, following)
            column = value.value[0][0].start_mark.column if _has_keys(value) else _INDENT
            head = ""
            break
    else:
        head = f"{section}:{newline}"
    lines = [f"{name}:", *(" " * _INDENT + line for line in lines)]
    before = _with_last_newline(text[:at])
    new = before + head + "".join(" " * column + line + newline for line in lines) + text[at:]
    _check_member(text, new, section, name)
    return new


def members(text: str, section: str) -> set[str]:
    """Return the keys below a top-level key.

    :raise ValueError: the text is not YAML.
    """
    found = _compose(text)
    sections = {key.value: value for key, value in found.value} if isinstance(found, yaml.MappingNode) else {}
    value = sections.get(section)
    return {member.value for member, _ in value.value} if isinstance(value, yaml.MappingNode) else set()


def _compose_list(text: str) -> yaml.SequenceNode | None:
    found = _compose(text)
    if found is not None and not isinstance(found, yaml.SequenceNode):
        raise ValueError("it should hold a list of nodes")
    return found


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from problem


def _replace(text: str, old: yaml.Node, new: str | int) -> str:
    if old.value == new:  # a text, however it is quoted
        return text
    return text[: old.start_mark.index] + _scalar(new) + text[old.end_mark.index :]


def _has_keys(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and bool(node.value)


def _end_of_lines(text: str, start: int, stop: int) -> int:
    """Return the start of the line after the section's last line that is neither empty nor a comment."""
    end = text.find("\n", start) + 1 or len(text)
    at = end
    for line in text[end:stop].splitlines(keepends=True):
        at += len(line)
        if line.strip() and not line.lstrip().startswith("#"):
            end = at
    return end


def _check_member(old: str, new: str, section: str, name: str) -> None:
    """Verify that the edit added one key and changed nothing else.

    :raise ValueError: it changed something else.
    """
    try:
        found, before = _load(new), _load(old) or {}
        del found[section][name]
        good = found == {**before, section: before.get(section) or {}}
    except (ValueError, TypeError, KeyError):
        good = False
    if not good:
        raise ValueError(f"nothing can be added to {section}; write each of its keys on a line of its own")


def _load(text: str) -> Any:
    """Return the content of a text, with all values as text.  Tags that only other programs know do no harm here."""
    loader = yaml.BaseLoader(text)
    try:
        return loader.get_single_data()
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from problem
    finally:
        loader.dispose()


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _with_last_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + _newline(text)


def _scalar(value: str | float) -> str:
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    # It is dumped as an item of a list, because YAML ends a document that is one bare scalar with an end mark.
    item: str = yaml.safe_dump([value], default_style=style, allow_unicode=True, width=math.inf)
    return item.removeprefix("- ").removesuffix("\n")
