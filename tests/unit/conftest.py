from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journal.file import FileJournal
from tests.contract.filesystems import PassingFilesystem
from tests.unit.front_double import FrontDouble, running_front


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    """A front for splitctl, which has no files yet."""
    with running_front() as running:
        yield running


@pytest.fixture
def journal_folder(tmp_path: Path) -> Path:
    """A folder for a journal, which is not there yet."""
    return tmp_path / "deep" / "journal"


@pytest.fixture
def make_journal(journal_folder: Path, pool: ThreadPool) -> Callable[..., FileJournal]:
    """A function that makes the journal of `journal_folder`, which is not read yet."""
    from twisted.internet import reactor

    def make(filesystem: PassingFilesystem | None = None, **options: Any) -> FileJournal:
        return FileJournal(str(journal_folder), filesystem or PassingFilesystem(), pool, reactor, **options)

    return make
