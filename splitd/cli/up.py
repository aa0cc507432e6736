"""splitctl up: runs a local cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from splitd.cli.layout import LayoutType
from splitd.cli.local.cluster import LocalCluster, refuse_taken_ports
from splitd.cli.local.daemon import DaemonProcess
from splitd.cli.local.folder import grown, plan_cluster, prepare
from splitd.cli.local.plan import LEAST_NODES, ClusterPlan
from splitd.cli.local.problems import reported_in_one_line
from splitd.cli.local.running import locked, ready_file, write_ready
from splitd.cli.local.supervisor import Signals, Supervisor, received_signals, stop_in_order
from splitd.cli.session import Session, pass_session
from splitd.model.striping import Layout
from splitd.model.workers import AUTO, MOST_WORKERS


class WorkersType(click.ParamType[str]):
    """A number of workers, or `auto`."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the number."""
        if value == AUTO:
            return AUTO
        return str(click.IntRange(1, MOST_WORKERS).convert(value, param, ctx))


@click.command()
@click.option(
    "--nodes",
    type=click.IntRange(min=1),
    help=f"How many storage servers.  [default: {LEAST_NODES}, or as many as the layout has parts]",
)
@click.option(
    "--layout",
    type=LayoutType(),
    help="How new files are cut: data and parity parts, as 6+2.  [default: as before; 6+0 in a new folder]",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var"),
    show_default=True,
    help="The folder of the whole cluster.",
)
@click.option(
    "--users",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file of the users.  [default: as before; none in a new folder: everybody may do everything]",
)
@click.option(
    "--catalog",
    metavar="URL",
    help="Where names are kept: journal, or postgresql://…, a database.  [default: as before; journal in a new folder]",
)
@click.option(
    "--workers",
    type=WorkersType(),
    help="How many processes of the front serve clients, or auto: as many as fit the machine.  [default: as before; "
    "auto in a new folder]",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="The front's port.")
@pass_session
def up(
    session: Session,
    nodes: int | None,
    folder: Path,
    port: int,
    layout: Layout | None,
    users: Path | None,
    catalog: str | None,
    workers: str | None,
) -> None:
    """Run a whole cluster on this machine.

    It runs until Ctrl-C or SIGTERM, which stops all of it.  If it is started again on the same folder, it serves the
    same files.  It then has more storage servers if --nodes is larger than before, and never fewer.

    The front listens on port P, its operators' HTTP on P + 1, S3 on P + 2, storage server nX on P + 10 + X, all on
    127.0.0.1.  While all of them are ready, cluster.json in the folder holds their URLs and process ids, and the key
    for S3, which is made at the first start; if there are users, they have keys of their own.

    A daemon that ends by itself is started again.  If splitctl itself is killed, the kernel kills its daemons (Linux).

    `splitctl grow` adds storage servers while it runs.

    Exit codes: 0 it was stopped by a signal, 1 it could not start, 5 it did not try to start, because a port is taken.
    """
    folder = folder.absolute()
    # A process that reads our process id from the lock file may send a signal at once: signals are received first.
    with reported_in_one_line(), received_signals() as signals, locked(folder):
        ready_file(folder).unlink(missing_ok=True)
        planned = plan_cluster(folder, port, nodes, layout, users)
        plan = attrs.evolve(planned, catalog=catalog or "", workers=workers or "")
        refuse_taken_ports(plan.ports(), signals)
        prepare(plan)
        _run(session, plan, signals)


def _run(session: Session, plan: ClusterPlan, signals: Signals) -> None:
    cluster = LocalCluster(plan, signals)
    try:
        if cluster.start():
            document = write_ready(plan, cluster.pids())
            if session.as_json:
                session.show(document)
            else:
                click.echo(_greeting(plan))
            Supervisor(
                [cluster.front, *cluster.nodes],
                signals,
                _say,
                lambda: _note(cluster),
                lambda: _start_added_nodes(cluster),
            ).watch()
    finally:
        ready_file(plan.folder).unlink(missing_ok=True)
        stop_in_order([[cluster.front], cluster.nodes], signals, _say)


def _note(cluster: LocalCluster) -> None:
    write_ready(cluster.plan, cluster.pids())


def _start_added_nodes(cluster: LocalCluster) -> list[DaemonProcess]:
    """Start the storage servers whose folders were made since the start.  If this fails, the others keep running."""
    before = len(cluster.nodes)
    try:
        cluster.grow(grown(cluster.plan))
    except (ValueError, OSError) as problem:
        _say(f"a storage server cannot be started: {problem}")
    started = cluster.nodes[before:]
    for daemon in started:
        _say(f"{daemon.name} was added: pid {daemon.pid}; its output is in {daemon.output}")
    _note(cluster)
    return started


def _greeting(plan: ClusterPlan) -> str:
    return f"""\
splitd is ready at {plan.url}/ with {len(plan.nodes)} storage servers; everything lies in {plan.folder}.  Try:

  curl -T FILE {plan.url}/FILE
  curl -O {plan.url}/FILE

`splitctl grow --dir {plan.folder}` adds a storage server; Ctrl-C stops all."""


def _say(text: str) -> None:
    click.echo(f"splitctl: {text}", err=True)
