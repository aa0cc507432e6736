"""splitctl grow: adds storage servers to a running local cluster."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import click

from splitd.cli.errors import CommandFailed, PortTaken
from splitd.cli.fill import show_nodes
from splitd.cli.joining import wait_until_up
from splitd.cli.local.cluster import StartFailed, is_well, last_words, taken_ports
from splitd.cli.local.folder import own_nodes, plan_growth, prepare_nodes
from splitd.cli.local.plan import HOST, LEAST_NODES, ClusterPlan, NodePlan
from splitd.cli.local.problems import reported_in_one_line
from splitd.cli.local.running import holder, read_ready
from splitd.cli.local.supervisor import NODES_ADDED
from splitd.cli.registry_editor import RegistryEditor
from splitd.cli.reload import describe_changes
from splitd.cli.session import Session, output, pass_session

_START_S = 60.0
_LOOK_S = 0.1


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var"),
    show_default=True,
    help="The folder of the running `splitctl up`.",
)
@click.option("--by", type=click.IntRange(min=1), default=1, show_default=True, help="How many storage servers to add.")
@pass_session
def grow(session: Session, folder: Path, by: int) -> None:
    """Add storage servers to a running `splitctl up`.

    No file is moved, and transfers in progress are not disturbed; new files use the new storage servers at once.  If
    the command is interrupted at any point, run it again, or run the next `splitctl up`: either finishes the work.

    Exit codes: 0 the servers were added, 1 they were not, 5 a port is taken.
    """
    with reported_in_one_line():
        _grow(session, folder.absolute(), by)


def _grow(session: Session, folder: Path, by: int) -> None:
    cluster = _wait_ready(folder, by)
    admin = attrs.evolve(session.admin, url=cluster["front"]["admin"])
    with _alone(folder):
        joined = {node["id"] for node in admin.document("/status")["nodes"]}
        port = urlsplit(cluster["front"]["url"]).port or 0
        plan = plan_growth(ClusterPlan(folder, port, ()), joined, by)
        _refuse_taken_ports(plan, {node["id"] for node in cluster["nodes"]})
        prepare_nodes(plan)
        os.kill(_holder(folder), NODES_ADDED)
        for node in plan.nodes:
            _wait_well(node, plan)
        entries = [{"id": node.node_id, "url": node.url} for node in plan.nodes]
        changes = RegistryEditor(plan.registry).join(entries, admin)
    found = wait_until_up(admin, {node.node_id for node in plan.nodes})
    if session.as_json:
        session.show({"added": [node.node_id for node in plan.nodes], "nodes": found["nodes"]})
    else:
        click.echo(f"{plan.registry}: {describe_changes(changes)}")
        show_nodes(output(), found)


def _wait_ready(folder: Path, by: int) -> dict[str, Any]:
    """Wait until the `splitctl up` of a folder is ready, and return its `cluster.json`.

    :raise CommandFailed: no `splitctl up` runs there, or it is not ready in time.
    """
    deadline = time.monotonic() + _START_S
    while (pid := holder(folder)) is not None and time.monotonic() < deadline:
        if pid and (cluster := read_ready(folder)):
            _require_same_user(folder, pid)
            return dict(cluster)
        time.sleep(_LOOK_S)
    if pid is not None:
        raise StartFailed(f"the cluster in {folder} is not ready after {_START_S:.0f} s")
    nodes = max(len(own_nodes(folder)) + by, LEAST_NODES)
    raise CommandFailed(f"no splitctl up runs in {folder}; `splitctl up --nodes {nodes} --dir {folder}` starts one")


def _holder(folder: Path) -> int:
    pid = holder(folder)
    if not pid:
        raise CommandFailed(f"the splitctl up in {folder} has ended; the next one goes on from here")
    return pid


def _require_same_user(folder: Path, pid: int) -> None:
    """Refuse to run as a different user: the daemons could not write to files that another user made for them.

    :raise CommandFailed: the `splitctl up` runs as a different user.
    """
    user = Path(f"/proc/{pid}").stat().st_uid
    if user != os.geteuid():
        raise CommandFailed(f"the splitctl up in {folder} runs as user {user}; run splitctl grow as the same")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock, so that other runs of this command wait."""
    nodes = os.open(folder / "nodes", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(nodes, fcntl.LOCK_EX)
        yield
    finally:
        os.close(nodes)


def _refuse_taken_ports(plan: ClusterPlan, running: set[str]) -> None:
    taken = taken_ports({node.port: f"node {node.node_id}" for node in plan.nodes if node.node_id not in running})
    if taken:
        raise PortTaken(f"taken on {HOST}: {', '.join(taken)}")


def _wait_well(node: NodePlan, plan: ClusterPlan) -> None:
    deadline = time.monotonic() + _START_S
    while not is_well(node.url):
        _holder(plan.folder)
        if time.monotonic() > deadline:
            reason = f"{node.node_id} is not well after {_START_S:.0f} s; `splitctl grow` tries again"
            raise StartFailed(f"{reason}{last_words(plan.log_of(node.node_id))}")
        time.sleep(_LOOK_S)
