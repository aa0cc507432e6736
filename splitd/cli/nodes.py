"""splitctl nodes: lists the storage servers.  splitctl nodes add: adds one.  See `leaving` for the others."""

from __future__ import annotations

from pathlib import Path

import click

from splitd.cli.errors import CommandFailed
from splitd.cli.fill import show_nodes
from splitd.cli.joining import wait_until_up, watch_first_bytes
from splitd.cli.leaving import drain, lost
from splitd.cli.local.text import format_node
from splitd.cli.registry_editor import find_registry
from splitd.cli.reload import describe_changes
from splitd.cli.session import Session, output, pass_session
from storaged.system.sizes import format_size

_HEAVIEST = 1000


@click.group(invoke_without_command=True)
@pass_session
@click.pass_context
def nodes(context: click.Context, session: Session) -> None:
    """List the storage servers and how full they are, add one, or let one leave.

    With --json, each server is one JSON document on one line.
    """
    if context.invoked_subcommand is not None:
        return
    found = session.admin.document("/status")
    if session.as_json:
        for node in found["nodes"]:
            session.show(node)
    else:
        show_nodes(output(), found)


class NotJoined(CommandFailed):
    """A node was added to a registry that the front does not read."""


@nodes.command()
@click.option("--id", "node_id", required=True, help="Its id, the same as `node` in its storaged.yaml.")
@click.option("--url", required=True, help="Its URL as the front reaches it: http://HOST:PORT")
@click.option("--zone", help="Servers of one zone fail together; parts are spread over zones.")
@click.option(
    "--weight",
    type=click.FloatRange(0, _HEAVIEST, min_open=True),
    help="A factor by which its free space counts when parts are placed.",
)
@click.option(
    "--registry",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The registry that the front reads.  [default: where the front says it is]",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until the server takes parts.")
@pass_session
def add(
    session: Session,
    node_id: str,
    url: str,
    zone: str | None,
    weight: float | None,
    registry: Path | None,
    no_wait: bool,
) -> None:
    """Add a storage server while the service runs.

    The front asks the server first: it must prove that it has the cluster key, and belong to no other cluster.  Then it
    is added to the registry, where everything else stays as it is, and the front reads the registry again.  No file is
    moved; new files use the server at once.  Run this on the machine that has the registry.  If a check fails, nothing
    is written.

    Exit codes: 0 the server was added, 1 it was refused, or did not come up within a minute.
    """
    entry: dict[str, str | float] = {"id": node_id, "url": url}
    entry |= {} if zone is None else {"zone": zone}
    entry |= {} if weight is None else {"weight": int(weight) if weight.is_integer() else weight}
    found = session.admin.document("/status")
    server = session.admin.document("/probe", {"id": node_id, "url": url}, method="POST")
    file = find_registry(registry, found, f"write\n\n{format_node(entry)}\ninto it yourself and run `splitctl reload`")
    changes = file.join([entry], session.admin)
    if not session.as_json:
        room = f"{format_size(server['free'])} of {format_size(server['capacity'])} free"
        click.echo(f"{node_id} answers at {url}: {room}{', and holds parts already' if server['parts'] else ''}")
        click.echo(f"{file.path}: {describe_changes(changes)}")
    found = session.admin.document("/status")
    if node_id not in {node["id"] for node in found["nodes"]}:
        raise NotJoined(f"{file.path} has {node_id} now, and the front does not know it: does it read another file?")
    if not no_wait:
        found = watch_first_bytes(session.admin, {node_id}, wait_until_up(session.admin, {node_id}))
        if not session.as_json:
            show_nodes(output(), found)
    if session.as_json:
        node = next((node for node in found["nodes"] if node["id"] == node_id), None)
        session.show({"registry": str(file.path), "server": server, "changes": changes, "node": node})


nodes.add_command(lost)
nodes.add_command(drain)
