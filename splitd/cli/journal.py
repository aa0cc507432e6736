"""splitctl journal: reads a journal on this machine, whether its front runs or not, and the commands beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from splitd.catalog.compaction import fold
from splitd.catalog.journal.reader import JournalReader
from splitd.cli.backup import backup, restore
from splitd.cli.errors import ServerRefused
from splitd.cli.recover import recover
from splitd.cli.session import Session, output, pass_session
from splitd.errors import JournalDamaged
from splitd.model import records
from splitd.model.records import Record
from storaged.system.filesystem import OSFilesystem
from storaged.system.sizes import format_size

_TYPES = sorted(str(kind.__struct_config__.tag) for kind in records.Record.__args__)


class JournalFolderType(click.ParamType[Path]):
    """The folder of a journal, or the front's data folder that it lies in."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the folder of the journal itself."""
        inner = Path(value) / "journal"
        folder = inner if inner.is_dir() else Path(value)
        if not any(folder.glob("*.jsonl")):
            self.fail(f"{value}: no journal is there", param, ctx)
        return folder


folder_argument = click.argument("folder", type=JournalFolderType())


@click.group()
def journal() -> None:
    """Read a journal, the front's own record of what exists; back it up, restore it, or recover a lost one.

    FOLDER is the front's data folder, or the folder of the journal in it.  Only `recover` and `restore` change
    anything.
    """


journal.add_command(recover)
journal.add_command(backup)
journal.add_command(restore)


@journal.command()
@folder_argument
@pass_session
def check(session: Session, folder: Path) -> None:
    """Read a whole journal, and verify every line.

    The exit code is 1 if the journal is damaged; the message names file and line.
    """
    reader = JournalReader(OSFilesystem(), str(folder))
    with _reading(folder):
        state = fold(reader)
    found = {
        "cluster": state.cluster,
        "records": reader.sequence - 1,
        "snapshot": reader.snapshot,
        "segments": len(reader.segments),
        "size": reader.snapshot + sum(reader.segments.values()),
        "torn": reader.torn.size if reader.torn else 0,
        "files": state.files,
        "bytes": state.bytes_stored,
        "uploads": len(state.uploads),
        "continued": len(state.continued),
        "doomed": len(state.doomed),
    }
    if session.as_json:
        session.show(found)
    else:
        output().print(_summary(found))


def _summary(found: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    snapshot = f", and a snapshot of {format_size(found['snapshot'])}" if found["snapshot"] else ""
    for name, text in {
        "journal": "good"
        if not found["torn"]
        else f"good, but for {found['torn']} bytes at the end: a crash tore them, "
        "or they are being written; the next start cuts them off",
        "cluster": found["cluster"],
        "records": f"{found['records']}, {format_size(found['size'])} in {found['segments']} segments{snapshot}",
        "files": f"{found['files']}, {format_size(found['bytes'])}",
        "uploads": f"{found['uploads']} begun and not ended, {found['continued']} to be continued",
        "reaper": f"{found['doomed']} uploads and versions whose parts are to be deleted",
    }.items():
        table.add_row(name, text)
    return table


@journal.command()
@folder_argument
@click.option("--path", help="Only records about this path, or paths below it.")
@click.option("--upload", help="Only records about this upload.")
@click.option("--type", "kind", type=click.Choice(_TYPES), help="Only records of this type.")
@pass_session
def dump(session: Session, folder: Path, path: str | None, upload: str | None, kind: str | None) -> None:
    """Print the records, oldest first, one JSON document per line.

    The records of a snapshot say what existed, not what happened.
    """
    with _reading(folder):
        for batch in JournalReader(OSFilesystem(), str(folder)).batches():
            for number, record in enumerate(batch.records):
                if _is_about(record, path, upload, kind):
                    session.show(
                        {
                            "file": Path(batch.path).name,
                            "line": batch.line + number,
                            "seq": batch.sequence + number,
                            "record": msgspec.to_builtins(record),
                        }
                    )


def _is_about(record: Record, path: str | None, upload: str | None, kind: str | None) -> bool:
    if kind is not None and record.__struct_config__.tag != kind:
        return False
    if path is not None:
        names = [getattr(record, key, None) for key in ("path", "source", "target")]
        if not any(name is not None and _is_at(name, path) for name in names):
            return False
    if upload is not None:
        manifest = getattr(record, "manifest", None)
        return upload == (getattr(record, "upload", None) if manifest is None else manifest.upload)
    return True


def _is_at(name: str, path: str) -> bool:
    """Return whether a name is a path, or lies below it."""
    return name == path or name.startswith(path.rstrip("/") + "/")


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as problem:
        raise ServerRefused(
            f"{folder}: it was compacted while it was read; try again ({problem.filename} is gone)", 0
        ) from problem
    except (OSError, JournalDamaged) as problem:
        raise ServerRefused(str(problem), 0) from problem
