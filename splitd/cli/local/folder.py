"""The folder of a local cluster: its key, its configuration files, and the file that says it is ready."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from splitd.cli.local.plan import ClusterPlan, choose_numbers, node_folder
from splitd.cli.local.text import write_settings, write_urls

_REGISTRY_HEAD = """\
# The storage servers.  Add one at any time; never remove one.
# Those that lie under nodes/ beside this file are started and stopped by `splitctl up`; others may be listed, too.
"""
_FRONT_HEAD = "# The front.  `splitctl up` sets the keys below; add others as you like.\n"
_NODE_HEAD = "# A storage server.  `splitctl up` sets the keys below; add others as you like.\n"


class FolderError(Exception):
    """The folder cannot be used as it is; the message names the file."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second `splitctl up` away from a folder, which is made where it is missing.

    :raise FolderError: another one has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise FolderError(f"another splitctl up runs in {folder}") from problem
        yield


def plan_cluster(folder: Path, port: int, count: int) -> ClusterPlan:
    """Plan the cluster of a folder: the nodes it has, and new ones up to `count`.

    :raise FolderError: its registry cannot be read.
    :raise ValueError: there are no such ports.
    """
    registered = _registered(folder / "nodes.yaml")
    own = {node_id for node_id in registered if node_folder(folder, node_id).is_dir()}
    return ClusterPlan(folder, port, choose_numbers(count, registered, own))


def prepare(plan: ClusterPlan) -> None:
    """Make a folder what the plan says.  What is there stays, but for the ports and paths of the plan.

    :raise FolderError: a file that is there cannot be changed.
    """
    _make_key(plan.key)
    for node in plan.nodes:
        node.data.mkdir(parents=True, exist_ok=True)
        _settle(node.config, _NODE_HEAD, node.settings())
    plan.data.mkdir(parents=True, exist_ok=True)
    _settle(plan.config, _FRONT_HEAD, plan.settings())
    (plan.folder / "log").mkdir(exist_ok=True)
    # Last, so that a node that is registered always has its folder.
    old = _read(plan.registry)
    try:
        new = write_urls(_REGISTRY_HEAD if old is None else old, {node.node_id: node.url for node in plan.nodes})
    except ValueError as problem:
        raise FolderError(f"{plan.registry}: {problem}") from problem
    if new != old:
        write_file(plan.registry, new)


def write_ready(plan: ClusterPlan, pids: Mapping[str, int]) -> dict[str, Any]:
    """Write `cluster.json`, which says that all daemons are ready.

    :param pids: the process ids, by "front" and node id.
    :return: what it says.
    """
    document = {
        "front": {"url": plan.url, "admin": plan.admin, "pid": pids["front"], "config": str(plan.config)},
        "nodes": [
            {"id": node.node_id, "url": node.url, "pid": pids[node.node_id], "data": str(node.data)}
            for node in plan.nodes
        ],
        "registry": str(plan.registry),
    }
    write_file(ready_file(plan.folder), json.dumps(document, indent=2) + "\n")
    return document


def ready_file(folder: Path) -> Path:
    """The file that is there while the cluster is ready."""
    return folder / "cluster.json"


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Put a text in place of a file's in one step."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _make_key(path: Path) -> None:
    if not path.exists():
        write_file(path, secrets.token_hex(32) + "\n", 0o600)


def _settle(path: Path, head: str, settings: Mapping[str, str]) -> None:
    old = _read(path)
    try:
        new = write_settings(head if old is None else old, settings)
    except ValueError as problem:
        raise FolderError(f"{path}: {problem}") from problem
    if new != old:
        write_file(path, new)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _registered(path: Path) -> set[str]:
    text = _read(path)
    try:
        entries = yaml.safe_load(text or "") or []
        return {str(entry["id"]) for entry in entries}
    except (yaml.YAMLError, TypeError, KeyError) as problem:
        raise FolderError(f"{path}: not a list of nodes with their ids: {problem}") from problem
