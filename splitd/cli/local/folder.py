"""Prepares the folder of a local cluster: its key, its configuration files and its registry."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from collections.abc import Set as SetOf
from pathlib import Path

import attrs
import yaml

from splitd.access.key_file import format_key_file
from splitd.access.secrets import new_key
from splitd.cli.local.plan import (
    LEAST_NODES,
    NODE_CONFIG,
    REGISTRY,
    ClusterPlan,
    choose_next,
    choose_numbers,
    node_folder,
    numbers_of,
)
from splitd.cli.local.text import read_urls, write_settings, write_urls
from splitd.cli.writing import read_text, write_file
from splitd.model.striping import Layout, parse_layout

_REGISTRY_HEAD = """\
# The storage servers.  Add one at any time, as `splitctl grow` does; never remove one.
# Those that lie under nodes/ beside this file are started and stopped by `splitctl up`; others may be listed, too.
"""
_FRONT_HEAD = "# The front.  `splitctl up` sets the keys below; add others as you like.\n"
_NODE_HEAD = "# A storage server.  `splitctl up` sets the keys below; add others as you like.\n"


class FolderError(Exception):
    """The folder cannot be used as it is; the message names the file."""


def plan_cluster(
    folder: Path, port: int, count: int | None = None, layout: Layout | None = None, users: Path | None = None
) -> ClusterPlan:
    """Plan the cluster of a folder: its existing nodes, and new ones up to `count`.

    :param count: None for as many nodes as a file has parts, and at least `LEAST_NODES`.
    :param layout: how new files are cut; None to leave that as it is.
    :param users: the file of the users; None to leave that as it is.
    :raise FolderError: its registry cannot be read.
    :raise ValueError: a port would be out of range, or there would be fewer nodes than a file has parts.
    """
    cut = layout or _present_layout(folder)
    width = cut.width if cut else LEAST_NODES
    registered, own = set(_registered(folder / REGISTRY)), own_nodes(folder)
    numbers = choose_numbers(max(width, LEAST_NODES) if count is None else count, registered, own)
    if len(registered | {f"n{number}" for number in numbers}) < width:
        raise ValueError(
            f"{len(numbers)} storage servers are too few: a file has {width} parts, each on a server of its own"
        )
    return ClusterPlan(folder, port, numbers, str(layout or ""), "" if users is None else str(users.absolute()))


def _present_layout(folder: Path) -> Layout | None:
    """Return the layout in the front's configuration file; None if it has none that can be read."""
    try:
        found = yaml.safe_load(_read(ClusterPlan(folder, 1, ()).config) or "")
        return parse_layout(found["layout"], 1)
    except (yaml.YAMLError, TypeError, KeyError, ValueError):
        return None  # the front says what is wrong with its file


def has_users(config: Path) -> bool:
    """Return whether the front's configuration file names a file of users."""
    try:
        found = yaml.safe_load(_read(config) or "")
    except yaml.YAMLError:
        return False  # the front says what is wrong with its file
    return isinstance(found, dict) and bool(found.get("users"))


def plan_growth(plan: ClusterPlan, joined: SetOf[str], count: int) -> ClusterPlan:
    """Plan the nodes that are to be added to a running cluster, and only these.

    :param joined: the ids of the nodes that its front knows.
    :raise FolderError: its registry cannot be read.
    :raise ValueError: a port would be out of range.
    """
    registered = set(_registered(plan.registry))
    numbers = choose_next(count, registered, own_nodes(plan.folder), joined)
    return attrs.evolve(plan, numbers=numbers)


def grown(plan: ClusterPlan) -> ClusterPlan:
    """Return the plan with the nodes whose folders were made since.

    :raise ValueError: a port would be out of range.
    """
    return attrs.evolve(plan, numbers=tuple(sorted({*plan.numbers, *numbers_of(_made(plan.folder))})))


def own_nodes(folder: Path) -> set[str]:
    """Return the ids of a cluster's own nodes.  An interrupted `splitctl grow` may have left some of them unregistered.

    :raise FolderError: its registry cannot be read.
    """
    registered = _registered(folder / REGISTRY)
    return _made(folder) | {node_id for node_id in registered if node_folder(folder, node_id).is_dir()}


def _made(folder: Path) -> set[str]:
    return {config.parent.name for config in node_folder(folder, "*").parent.glob(f"*/{NODE_CONFIG}")}


def prepare(plan: ClusterPlan) -> None:
    """Make the files of a folder match the plan.  Only the keys that the plan sets are changed in existing files.

    :raise FolderError: an existing file cannot be changed.
    """
    _make_key(plan.key)
    if not plan.s3_key.exists():
        write_file(plan.s3_key, format_key_file(*new_key()), 0o600)
    prepare_nodes(plan)
    plan.data.mkdir(parents=True, exist_ok=True)
    _settle(plan.config, _FRONT_HEAD, plan.settings())
    (plan.folder / "log").mkdir(exist_ok=True)
    # This comes last, so that a registered node always has its folder.
    old = _read(plan.registry)
    try:
        new = write_urls(_REGISTRY_HEAD if old is None else old, {node.node_id: node.url for node in plan.nodes})
    except ValueError as problem:
        raise FolderError(f"{plan.registry}: {problem}") from problem
    if new != old:
        write_file(plan.registry, new)


def prepare_nodes(plan: ClusterPlan) -> None:
    """Make the folders of a plan's nodes.  Only the keys that the plan sets are changed in existing files.

    :raise FolderError: an existing file cannot be changed.
    """
    for node in plan.nodes:
        node.data.mkdir(parents=True, exist_ok=True)
        # This comes last: a folder that has this file counts as a node's.
        _settle(node.config, _NODE_HEAD, node.settings())


def _make_key(path: Path) -> None:
    if not path.exists():
        write_file(path, secrets.token_hex(32) + "\n", 0o600)


def _settle(path: Path, head: str, settings: Mapping[str, str | int]) -> None:
    old = _read(path)
    try:
        new = write_settings(head if old is None else old, settings)
    except ValueError as problem:
        raise FolderError(f"{path}: {problem}") from problem
    if new != old:
        write_file(path, new)


def _read(path: Path) -> str | None:
    try:
        return read_text(path)
    except FileNotFoundError:
        return None
    except ValueError as problem:
        raise FolderError(f"{path}: {problem}") from problem


def _registered(path: Path) -> dict[str, str]:
    """Return the URLs of the nodes in a registry, by their ids; none if the file does not exist.

    :raise FolderError: the file cannot be read.
    """
    try:
        return read_urls(_read(path) or "")
    except ValueError as problem:
        raise FolderError(f"{path}: {problem}") from problem
