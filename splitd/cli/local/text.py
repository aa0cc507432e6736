"""Changes to YAML text that leave the comments and all the rest of it as they are.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
    found = _compose(text)
    if found is not None and not isinstance(found, yaml.SequenceNode):
        raise ValueError("it should hold a list of nodes")
    indent = " " * (found.start_mark.column if found and not found.flow_style else 0)
    missing = dict(urls)
    for entry in reversed(found.value if found else []):
        values = {key.value: value for key, value in entry.value} if isinstance(entry, yaml.MappingNode) else {}
        if "id" in values and "url" in values and (url := missing.pop(values["id"].value, None)):
            text = _replace(text, values["url"], url)
    text = _with_last_newline(text)
    for node_id, url in missing.items():
        text += f"{indent}- id: {_scalar(node_id)}\n{indent}  url: {_scalar(url)}\n"
    _check(text, urls)
    return text


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from problem


def _replace(text: str, old: yaml.Node, new: str) -> str:
    if old.value == new:
        return text
    return text[: old.start_mark.index] + _scalar(new) + text[old.end_mark.index :]


def _with_last_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _scalar(value: str) -> str:
    style = None if value.isprintable() else '"'
    # As an item of a list, for YAML ends a document that is one bare scalar with a mark of its own.
    item: str = yaml.safe_dump([value], default_style=style, allow_unicode=True, width=math.inf)
    return item.removeprefix("- ").removesuffix("\n")


def _check(text: str, urls: Mapping[str, str]) -> None:
    try:
        found = {entry["id"]: entry["url"] for entry in yaml.safe_load(text)}
    except (yaml.YAMLError, TypeError, KeyError) as problem:
        raise ValueError(f"nodes cannot be added to it: {problem}") from problem
    if urls.items() - found.items():
        raise ValueError("nodes cannot be added to it; write it as a list with a dash before each node")
