"""`splitctl catalog copy`, from a journal into a database and back, and killed in its middle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from splitd.catalog.journal.writer import write_snapshot
from splitd.cli.main import main
from splitd.model.records import VERSION, CollectionMade, FileCommitted, JournalOpened, PropertiesChanged, Record
from storaged.system.filesystem import OSFilesystem
from tests.catalogs import A, B, manifest
from tests.postgres import postgres

RECORDS: list[Record] = [
    JournalOpened(VERSION, "c" * 32, 1),
    CollectionMade("/c", 2),
    FileCommitted("/c/f", manifest(A)),
    FileCommitted("/g", manifest(B)),
    PropertiesChanged("/c/f", {"{DAV:}owner": "<owner/>"}),
]


def copy(source: str | Path, target: str | Path) -> Result:
    return CliRunner().invoke(main, ["--json", "catalog", "copy", "--from", str(source), "--to", str(target)])


def make_journal(data: Path) -> None:
    (data / "journal").mkdir(parents=True)
    write_snapshot(OSFilesystem(), str(data / "journal"), len(RECORDS) + 1, RECORDS)


def test_a_catalog_goes_into_a_database_and_back(tmp_path: Path) -> None:
    make_journal(tmp_path / "data")
    url = postgres().url(postgres().new_schema())
    assert copy(tmp_path / "data", url).exit_code == 0
    assert copy(url, tmp_path / "back").exit_code == 0
    again = copy(url, tmp_path / "back")
    assert (again.exit_code, "is not empty" in again.output) == (1, True)
    there = postgres().url(postgres().new_schema())
    assert copy(tmp_path / "back", there).exit_code == 0
    wrong = copy(tmp_path / "data", tmp_path / "other")
    assert (wrong.exit_code, "the other one a database" in wrong.output) == (2, True)


def test_a_copy_that_is_killed_leaves_nothing_and_is_repeated(tmp_path: Path) -> None:
    make_journal(tmp_path / "data")
    schema = postgres().new_schema()
    url = postgres().url(schema)
    command = [str(Path(sys.executable).with_name("splitctl")), "catalog", "copy"]
    # The copy waits for a row that is in the way of its own, when all others are there.
    with postgres().connect(schema) as connection:
        assert CliRunner().invoke(main, ["catalog", "migrate", url]).exit_code == 0
        connection.execute("INSERT INTO tally VALUES ('files', 0, 1)")
        child = subprocess.Popen([*command, "--from", str(tmp_path / "data"), "--to", url])
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND transactionid = %s::text::xid)"
        own = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert own is not None
        with postgres().connect(schema) as looking:
            looking.autocommit = True
            while looking.execute(waiting, own).fetchone() != (True,):
                assert child.poll() is None
        child.kill()
        child.wait()
        connection.rollback()
    assert copy(tmp_path / "data", url).exit_code == 0
    assert copy(url, tmp_path / "back").exit_code == 0
