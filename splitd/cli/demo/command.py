"""The command `splitctl demo`: prepares the tour, runs it, and cleans up after it."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import click
from click.core import ParameterSource
from rich.console import Console

from splitd.cli.demo.files import make_sample
from splitd.cli.demo.own_cluster import OwnCluster
from splitd.cli.demo.report import show_summary
from splitd.cli.demo.results import all_passed
from splitd.cli.demo.scene import PLAIN, Scene
from splitd.cli.demo.signals import stoppable, undisturbed
from splitd.cli.demo.sizes import SizeType
from splitd.cli.demo.tour import run_tour
from splitd.cli.errors import CommandFailed
from splitd.cli.layout import LayoutType
from splitd.cli.session import Session, output, pass_session
from splitd.cli.tree import RemoteTree
from splitd.model.striping import Layout
from storaged.system.sizes import format_size

_SMALLEST = 2**20
_INTRODUCTION = """\
A tour of splitd.  Lines that begin with $ are what you would type; the tour does the same by itself, and checks what
came of it.  First it makes random.bin, {size} of random bytes."""


@click.command()
@click.option(
    "--size",
    type=SizeType(_SMALLEST),
    default="256MiB",
    show_default=True,
    help="The size of the file that is stored and read: 8MiB, 1GiB, 500MB.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="The front's port.  [default: a free one]")
@click.option(
    "--layout",
    type=LayoutType(),
    help="How files are cut: data and parity parts, as 6+2.  [default: 6+0, and 6+2 where the tour shows parity]",
)
@pass_session
@click.pass_context
def demo(context: click.Context, session: Session, size: int, port: int | None, layout: Layout | None) -> None:
    """Show what the service promises, and check every step.

    It runs its own cluster in a temporary folder, damages it on purpose, and removes it.  With --url (splitctl --url
    URL demo) or SPLITD_URL it uses a running service instead, in its own collection, which it removes.  It then leaves
    out the steps that need the processes or their folders.

    Exit codes: 0 all steps passed, 1 some failed.
    """
    assert context.parent is not None
    own = context.parent.get_parameter_source("url") is ParameterSource.DEFAULT
    for option, value in (("--port", port), ("--layout", layout)):
        if value is not None and not own:
            raise click.UsageError(f"{option} is for a cluster of the tour's own; with --url there is none")
    console = Console(quiet=True) if session.as_json else output()
    begun = time.monotonic()
    with stoppable(), _folder() as folder:
        console.print(_INTRODUCTION.format(size=format_size(size)))
        try:
            sample = make_sample(folder / "random.bin", size)
        except OSError as problem:
            raise CommandFailed(f"{folder}: {problem.strerror}; TMPDIR names another place") from problem
        cut = layout or PLAIN
        cluster = OwnCluster(folder / "cluster", port, cut) if own else None
        front = session.front
        login = front.authorization if cluster is None else ""
        scene = Scene(sample, cluster, front.url, f"/demo-{secrets.token_hex(4)}", cut, login)
        with _cleaned_up(scene):
            results = run_tour(scene, console)
            show_summary(console, results)
    passed, seconds = all_passed(results), time.monotonic() - begun
    console.print(f"\n{'All is well' if passed else 'NOT ALL IS WELL'}, after {seconds:.0f} s.")
    if session.as_json:
        steps = [result.document() for result in results]
        session.show({"passed": passed, "size": size, "seconds": round(seconds, 3), "steps": steps})
    if not passed:
        context.exit(1)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="splitd-demo-"))
    try:
        yield folder
    finally:
        with undisturbed():
            shutil.rmtree(folder)


@contextmanager
def _cleaned_up(scene: Scene) -> Iterator[None]:
    """Stop the tour's own cluster at the end, or remove the tour's files from the service."""
    try:
        yield
    finally:
        with undisturbed():
            if scene.cluster is not None:
                scene.cluster.stop()
            elif scene.made:
                _remove(scene)


def _remove(scene: Scene) -> None:
    try:
        RemoteTree(scene.files.front).delete(scene.collection)
    except CommandFailed as failure:
        raise CommandFailed(f"{scene.url}{scene.collection} is left behind: {failure.message}") from failure
