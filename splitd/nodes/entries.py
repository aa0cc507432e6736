"""Reads the text of a registry."""

from __future__ import annotations

from typing import Any

import yaml

from splitd.model.nodes import NodeEntry, RegistryInvalid, parse_entries
from storaged.system.documents import read_document


def read_registry(path: str, text: str) -> tuple[NodeEntry, ...]:
    """Read a registry.

    :param path: the file's name, for messages.
    :param text: the file's contents.
    :raise RegistryInvalid: the registry cannot be used; the message names file and line.
    """
    return read_document(path, text, _read, RegistryInvalid, values="lists")


def _read(loader: yaml.SafeLoader, root: yaml.Node | None) -> tuple[NodeEntry, ...]:
    return parse_entries(_entries(loader, root))


def _entries(loader: yaml.SafeLoader, root: yaml.Node | None) -> list[tuple[int, Any]]:
    if not isinstance(root, yaml.SequenceNode):
        raise RegistryInvalid("line 1: should be a list of nodes")
    return [(node.start_mark.line + 1, _entry(loader, node)) for node in root.value]


def _entry(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        repeated = [key for key in keys if keys.count(key) > 1]
        if repeated:
            raise RegistryInvalid(f"line {line}: {repeated[0]} stands there twice")
    try:
        return loader.construct_document(node)
    except ValueError as problem:  # 2024-02-30, which looks like a date
        raise RegistryInvalid(f"line {line}: {problem}") from problem
