"""Reads YAML documents, and says on which line one is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import yaml

from storaged.system.sizes import Size, parse_size

_STEP = re.compile(r"\.([A-Za-z_]+)|\[(\d+)\]")

_Content = TypeVar("_Content")


def read_document(
    path: str,
    text: str,
    read: Callable[[yaml.SafeLoader, yaml.Node | None], _Content],
    refusal: type[Exception],
    *,
    values: str = "values",
) -> _Content:
    """Read a YAML document.

    :param path: the file's name, for messages.
    :param text: the file's content.
    :param read: returns the content, given the loader and the root node, which is None if the document is empty; raises
        `refusal` with a message that names the line.
    :param refusal: the exception that refuses the document.
    :param values: what may lie in each other too deep, for the message.
    :raise Exception: (`refusal`) the document cannot be used; the message names the file, and the line if it is known.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)  # it refuses characters that YAML does not allow
        return read(loader, loader.get_single_node())
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise refusal(f"{path}: line {line}: {problem.problem}") from problem
    except (yaml.YAMLError, refusal) as problem:
        raise refusal(f"{path}: {problem}") from problem
    except RecursionError as problem:
        raise refusal(f"{path}: line 1: its {values} lie too deep in each other") from problem
    finally:
        if loader is not None:
            loader.dispose()


def convert(loader: yaml.SafeLoader, node: yaml.Node, kind: type[_Content], refusal: type[Exception]) -> _Content:
    """Return what a node says, as a `msgspec.Struct`.  A node without a value is one without fields.

    :raise Exception: (`refusal`) it does not fit; the message names the line and the field, and quotes no value.
    """
    if is_null(node):
        return kind()
    try:
        return msgspec.convert(loader.construct_document(node), kind, dec_hook=_decode)
    except msgspec.ValidationError as problem:
        reason, _, place = str(problem).partition(" - at `")
        place = place.rstrip("`")
        where = place.removeprefix("$").lstrip(".")
        raise refusal(f"line {line_at(node, place)}: {f'{where}: {reason}' if where else reason}") from problem
    except ValueError as problem:  # 2024-02-30, which looks like a date
        raise refusal(f"line {line_of(node)}: {problem}") from problem


def _decode(kind: type, value: Any) -> Any:
    if kind is not Size:
        raise NotImplementedError(kind)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Size(value)
    if isinstance(value, str):
        return parse_size(value)
    raise ValueError("not a size (write 4096, 256KiB, 1GiB or 500MB)")


def refuse_repeated(node: yaml.Node, refusal: type[Exception]) -> None:
    """Refuse keys that stand there twice, and aliases: a value that stands in two places is easily changed in one.

    :raise Exception: (`refusal`) there are some; the message names the line.
    """
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            raise refusal(
                f"line {line_of(each)}: aliases (*name) and merges are not understood here; write the value out"
            )
        seen.add(id(each))
        if isinstance(each, yaml.MappingNode):
            keys = set()
            for key, value in each.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        raise refusal(f"line {line_of(key)}: {key.value} stands there twice")
                    keys.add(key.value)
                waiting += [value, key]
        elif isinstance(each, yaml.SequenceNode):
            waiting += each.value


def line_of(node: yaml.Node) -> int:
    """Return the line on which a node begins; the first one is 1."""
    return int(node.start_mark.line) + 1


def line_at(node: yaml.Node, place: str) -> int:
    """Return the line of a place inside of a node, which is written as `$.grants[0].allow`; of the last step that is
    there.
    """
    for name, index in _STEP.findall(place):
        if isinstance(node, yaml.MappingNode) and name:
            node = next((value for key, value in node.value if key.value == name), node)
        elif isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
            node = node.value[int(index)]
        else:
            break
    return line_of(node)


def is_null(node: yaml.Node) -> bool:
    """Return whether a node has no value: `key:` alone."""
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
