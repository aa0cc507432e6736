"""Lets other processes find the cluster that runs in a folder: which process runs it, and the URLs of its daemons."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from splitd.access.key_file import parse_key_file
from splitd.cli.local.folder import FolderError, has_users
from splitd.cli.local.plan import ClusterPlan
from splitd.cli.writing import write_file


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second `splitctl up` out of a folder, which is made if it is missing; see `holder`.

    :raise FolderError: another `splitctl up` has the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock_file(folder).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise FolderError(f"another splitctl up runs in {folder}") from problem
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def holder(folder: Path) -> int | None:
    """Return the process id of the `splitctl up` that runs in a folder; None if none does, 0 if it is just starting."""
    try:
        with _lock_file(folder).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        pass
    return None


def write_ready(plan: ClusterPlan, pids: Mapping[str, int]) -> dict[str, Any]:
    """Write `cluster.json`, which says that all daemons are ready.

    :param pids: the process ids, by "front" and node id.
    :return: the content of the file.
    """
    document = {
        "front": {
            "url": plan.url,
            "admin": plan.admin,
            "s3": plan.s3,
            "pid": pids["front"],
            "config": str(plan.config),
        },
        "nodes": [
            {"id": node.node_id, "url": node.url, "pid": pids[node.node_id], "data": str(node.data)}
            for node in plan.nodes
        ],
        "registry": str(plan.registry),
        "cluster_key_file": str(plan.key),
        "s3_key": _s3_key(plan),
    }
    write_file(ready_file(plan.folder), json.dumps(document, indent=2) + "\n")
    return document


def _s3_key(plan: ClusterPlan) -> dict[str, str] | None:
    """Return the only key for S3; None if there are users, who have keys of their own."""
    if has_users(plan.config):
        return None
    access_key, secret_key = parse_key_file(plan.s3_key.read_text(encoding="utf-8"))
    return {"access_key": access_key, "secret_key": secret_key}


def read_ready(folder: Path) -> Any:
    """Return the content of `cluster.json`; None while the cluster is not ready."""
    try:
        return json.loads(ready_file(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def ready_file(folder: Path) -> Path:
    """Return the path of the file that exists while the cluster is ready."""
    return folder / "cluster.json"


def _lock_file(folder: Path) -> Path:
    return folder / "up.lock"
