"""Reads YAML documents, and says on which line one is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import yaml

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
    loader = yaml.SafeLoader(text)
    try:
        return read(loader, loader.get_single_node())
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise refusal(f"{path}: line {line}: {problem.problem}") from problem
    except (yaml.YAMLError, refusal) as problem:
        raise refusal(f"{path}: {problem}") from problem
    except RecursionError as problem:
        raise refusal(f"{path}: line 1: its {values} lie too deep in each other") from problem
    finally:
        loader.dispose()
