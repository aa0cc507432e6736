"""Changes to YAML text that leave the comments and all the rest of it as they are.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import yaml


def write_settings(text: str, settings: Mapping[str, str]) -> str:
    """Give keys of a configuration file these values; keys that are missing are added at the end.

    :raise ValueError: the text is not keys and values.
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
    """Give nodes of a registry these URLs; nodes that are missing are added at the end.

    :param urls: by node id.
    :raise ValueError: the text is not a registry that can be changed so.
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


def append_node(text: str, entry: Mapping[str, str | float]) -> str:
    """Add a node at the end of a registry.

    :param entry: its keys and values, in the order in which they are to stand.
    :raise ValueError: the text is not a registry that can be added to.
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
    """The lines of a node in a registry."""
    lines = [f"{key}: {_scalar(value)}{newline}" for key, value in entry.items()]
    return " " * column + "- " + (" " * column + "  ").join(lines)


def read_urls(text: str) -> dict[str, str]:
    """The URLs of a registry's nodes, by their ids.

    :raise ValueError: the text is not a registry.
    """
    try:
        return {str(entry["id"]): str(entry["url"]) for entry in yaml.safe_load(text) or []}
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from problem
    except (TypeError, KeyError) as problem:
        raise ValueError("it should hold a list of nodes, each with its id and url") from problem


def add_member(text: str, section: str, name: str, lines: Sequence[str]) -> str:
    """Add a key with what is below it at the end of a section; the section is made where it is missing.

    :param section: a key of the text, below which keys stand.
    :param name: the new key; nothing happens where the section has it.
    :param lines: what stands below the new key, indented from there.
    :raise ValueError: the text has no such keys, or the section cannot be added to.
    """
    found = _compose(text)
    if found is not None and not isinstance(found, yaml.MappingNode):
        raise ValueError("it should hold keys and values")
    newline = _newline(text)
    sections = {key.value: (key, value) for key, value in (found.value if found else [])}
    if section not in sections:
        text = f"{_with_last_newline(text)}{section}:{newline}"
        at, column = len(text), 2
    else:
        key, value = sections[section]
        if name in members(text, section):
            return text
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            at, column = _end_of_lines(text, value), value.start_mark.column
        elif isinstance(value, yaml.ScalarNode) and not value.value:
            at, column = _line_after(text, key.end_mark.index), 2
        else:
            raise ValueError(f"nothing can be added to {section}; write each of its keys on a line of its own")
    before, after = _with_last_newline(text[:at]), text[at:]
    indent = " " * column
    added = [f"{indent}{name}:", *(f"{indent}  {line}" for line in lines)]
    new = before + "".join(line + newline for line in added) + after
    if name not in members(new, section):
        raise ValueError(f"nothing can be added at the end of {section}")
    return new


def members(text: str, section: str) -> set[str]:
    """The keys below a key.

    :raise ValueError: the text has no such keys.
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


def _replace(text: str, old: yaml.Node, new: str) -> str:
    if old.value == new:
        return text
    return text[: old.start_mark.index] + _scalar(new) + text[old.end_mark.index :]


def _end_of_lines(text: str, node: yaml.Node) -> int:
    """Where the line after the last one of a node begins; what yaml calls its end lies behind the comments there."""
    leaf = node
    while isinstance(leaf, yaml.CollectionNode) and not leaf.flow_style and leaf.value:
        last = leaf.value[-1]
        leaf = last[1] if isinstance(leaf, yaml.MappingNode) else last
    at: int = leaf.end_mark.index
    return at if text[:at].endswith("\n") else _line_after(text, at)


def _line_after(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _with_last_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + _newline(text)


def _scalar(value: str | float) -> str:
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    # As an item of a list, for YAML ends a document that is one bare scalar with a mark of its own.
    item: str = yaml.safe_dump([value], default_style=style, allow_unicode=True, width=math.inf)
    return item.removeprefix("- ").removesuffix("\n")
