"""splitctl journal backup and restore: the journal in one file, taken while the front runs."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from splitd.catalog.backup import BackupReader, encode_backup
from splitd.cli.errors import CommandFailed, TransferBroken
from splitd.cli.recover import (
    Node,
    NotRecovered,
    ca_option,
    data_option,
    key_option,
    read_entries,
    read_keys,
    read_trust,
    registry_option,
)
from splitd.cli.server import read_pieces
from splitd.cli.session import Session, pass_session
from splitd.cli.writing import resolved, whole_file
from splitd.errors import BackupDamaged, JournalDamaged, RecoveryRefused
from splitd.takeover.history import load_history
from splitd.takeover.restoring import Restored, Restoring
from storaged.system.filesystem import OSFilesystem
from storaged.system.os_errors import os_reason
from storaged.system.sizes import format_size

_TRIES = 3
"""A compaction in the middle of a backup ends it; another one does not follow soon."""

_BLOCK = 1024 * 1024
_DAY_MS = 24 * 3600 * 1000


class NotBackedUp(CommandFailed):
    """There is no new backup; the message says why."""

    exit_code = 1


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Read the journal in this data folder of a front, in place of asking the front at --admin.",
)
@pass_session
def backup(session: Session, file: Path, data: Path | None) -> None:
    """Back up the front's journal to FILE, while the front runs.

    The backup has all that was acknowledged before it began.  FILE appears when every line was verified and is on the
    disk; a backup that was there before is replaced then, and any other file is not.  Files on the storage servers are
    not in it.  docs/operations.md says when a backup is of use, and `splitctl journal restore` uses it.
    """
    file = resolved(file)
    try:
        _refuse_other(file)
        for left in reversed(range(_TRIES)):
            try:
                reader, size = _take(session, file, data)
                break
            except (TransferBroken, FileNotFoundError):
                if not left:
                    raise
    except (BackupDamaged, JournalDamaged) as problem:
        raise NotBackedUp(str(problem)) from problem
    except OSError as problem:
        raise NotBackedUp(f"{problem.filename or file}: {os_reason(problem)}") from problem
    end = reader.finish()
    if session.as_json:
        session.show({"file": str(file), "records": end.next - 1, "bytes": size})
    else:
        click.echo(f"{file} has the journal up to record {end.next - 1}: {format_size(size)}")


def _refuse_other(file: Path) -> None:
    """Refuse to replace a file that is no backup.

    :raise NotBackedUp: it is none.
    """
    if not file.exists():
        return
    with file.open("rb") as present:
        try:
            BackupReader(str(file)).feed(present.readline(_BLOCK))
        except BackupDamaged as problem:
            raise NotBackedUp(f"{file} is there, and is no backup of a journal; it stays as it is") from problem


def _take(session: Session, file: Path, data: Path | None) -> tuple[BackupReader, int]:
    reader, size = BackupReader("the backup"), 0
    with whole_file(file, mode=0o600) as written, closing(_pieces(session, data)) as pieces:
        for piece in pieces:
            reader.feed(piece)
            written.write(piece)
            size += len(piece)
        reader.finish()
    return reader, size


def _pieces(session: Session, data: Path | None) -> Generator[bytes, None, None]:
    if data is None:
        with session.admin.ask("GET", "/journal/backup") as answer:
            yield from read_pieces(answer, "the backup")
        return
    filesystem, folder = OSFilesystem(), str(data / "journal")
    history = load_history(filesystem, folder)
    yield from encode_backup(filesystem, folder, _now_ms(), 0 if history is None else history.epoch)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@data_option
@registry_option
@key_option
@ca_option
@click.option(
    "--hold-days",
    type=click.FloatRange(min=0, max=3650),
    default=7.0,
    show_default=True,
    help="For how long no part is put aside because the backup does not know it.",
)
@click.option("--accept-loss", is_flag=True, help="Take the backup though the nodes have a newer copy of the journal.")
@pass_session
def restore(
    session: Session,
    file: Path,
    data: Path,
    registry: Path,
    key: Path,
    ca: Path | None,
    hold_days: float,
    accept_loss: bool,
) -> None:
    """Make the front's data folder from the backup FILE.

    It claims the next epoch on the storage servers: from then on they refuse all changes of any older front.  What was
    stored after the backup is not in it, and its parts are kept for --hold-days.  Then start a front on the folder.

    Exit code: 0 the folder is complete, 1 it is not made, and the message says what to do.
    """
    trust, keys = read_trust(ca), read_keys(key)
    nodes = [Node(entry, keys, trust) for entry in read_entries(registry) if str(entry.state) != "lost"]

    def say(sentence: str) -> None:
        if not session.as_json:
            click.echo(sentence, err=True)

    restoring = Restoring(nodes, data, OSFilesystem(), lambda: os.urandom(8).hex(), _now_ms(), say)
    try:
        with file.open("rb") as source:
            pieces = iter(lambda: source.read(_BLOCK), b"")
            restored = restoring.run(str(file), pieces, accept_loss=accept_loss, hold_ms=int(hold_days * _DAY_MS))
    except (RecoveryRefused, BackupDamaged) as problem:
        raise NotRecovered(str(problem)) from problem
    except OSError as problem:
        raise NotRecovered(f"{problem.filename or data}: {os_reason(problem)}") from problem
    report = _describe(restored, len(nodes))
    if session.as_json:
        session.show(report)
    else:
        click.echo(_summarize(report, data))


def _describe(restored: Restored, nodes: int) -> dict[str, Any]:
    return {
        "cluster": restored.state.cluster,
        "records": restored.records,
        "files": restored.state.files,
        "bytes": restored.state.bytes_stored,
        "taken_ms": restored.taken_ms,
        "held_until_ms": restored.until_ms,
        "epoch": restored.epoch,
        "front": restored.front,
        "accepted": restored.accepted,
        "nodes": nodes,
        "moved_parts": restored.found.moved,
        "silent": list(restored.found.silent),
    }


def _summarize(report: dict[str, Any], data: Path) -> str:
    taken, until = (
        f"{datetime.fromtimestamp(report[key] / 1000, UTC):%Y-%m-%d %H:%M} UTC" for key in ("taken_ms", "held_until_ms")
    )
    silent = (
        [
            f"Not searched for parts: {', '.join(report['silent'])}. What has moved there is not "
            "found; to find it, remove the folder, and restore again when all nodes answer."
        ]
        if report["silent"]
        else []
    )
    return "\n".join(
        [
            f"{data} has the journal of cluster {report['cluster']} as it was at {taken}: {report['files']} files.",
            f"{report['accepted']} of {report['nodes']} nodes have accepted epoch {report['epoch']}.",
            f"{report['moved_parts']} parts lie on other nodes than in the backup, and were found there.",
            *silent,
            f"Parts that it does not know are kept until {until}.",
            "Start a front on it now, and then let `splitctl check` look which files have all their parts.",
        ]
    )
