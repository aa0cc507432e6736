"""What a page of keys loads of a database: few statements for many collections, and few rows that it does not show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from splitd.catalog.sql.listing import ListedBranch, ListedRows
from splitd.model.keys import Page, Wanted, first_of, list_some

_ROOT = 1


class Rows:
    """The rows of some keys, in place of a database.

    :ivar asked: how many rows each statement got.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._ids = {"": _ROOT}
        self._rows: dict[int, dict[bytes, int | None]] = {_ROOT: {}}
        self.asked: list[int] = []
        for key in keys:
            *folders, name = key.split("/")
            parent = _ROOT
            for number, folder in enumerate(folders):
                parent = self._folder("/".join(folders[: number + 1]), parent, folder)
            self._rows[parent][name.encode()] = None

    def _folder(self, path: str, parent: int, name: str) -> int:
        id_ = self._ids.setdefault(path, len(self._ids) + 1)
        self._rows.setdefault(id_, {})
        self._rows[parent][name.encode() + b"/"] = id_
        return id_

    def execute(self, _: str, values: tuple[str, str, int]) -> Rows:
        ids = [int(each) for each in values[0].strip("{}").split(",")]
        firsts = [bytes.fromhex(each) for each in re.findall(r'x([0-9a-f]*)"', values[1])]
        assert len(set(ids)) == len(ids) == len(firsts)
        self._found: list[Sequence[Any]] = []
        for id_, first in zip(ids, firsts, strict=True):
            names = sorted(name for name in self._rows[id_] if name >= first)[: values[2]]
            self._found += [(id_, name, self._rows[id_][name], 1, True, *self._file(id_, name)) for name in names]
        self.asked.append(len(self._found))
        return self

    def _file(self, id_: int, name: bytes) -> Sequence[Any]:
        return (None,) * 5 if self._rows[id_][name] is not None else (b"u" * 16, 1, None, 1, None)

    def fetchall(self) -> list[Sequence[Any]]:
        return self._found


def listed(rows: Rows, prefix: str = "", after: str = "", delimiter: str = "") -> tuple[list[str], list[str]]:
    """The keys and common prefixes of a page of 250."""
    wanted, page = Wanted("/x", prefix, after, delimiter, 250), Page()
    root = ListedBranch(ListedRows(rows, 251), _ROOT, 1, None, implied=False)
    list_some(wanted, root, first_of(wanted), page, range(250))
    return [key for key, _ in page.keys], page.prefixes


def test_a_page_over_many_collections_takes_few_statements_and_hardly_more_rows_than_it_has_keys() -> None:
    keys = [f"{folder:03}/{number}" for folder in range(500) for number in range(3)]
    rows = Rows(keys)
    assert listed(rows)[0] == keys[:250]
    assert len(rows.asked) <= 6
    assert sum(rows.asked) < 251 + 300  # the collections, and what is in them


def test_a_page_of_deep_collections_takes_few_statements() -> None:
    keys = [f"{folder:03}/a/b/c" for folder in range(250)]
    rows = Rows(keys)
    assert listed(rows)[0] == keys
    assert len(rows.asked) <= 15


def test_a_page_of_one_collection_among_many_loads_no_other_one() -> None:
    keys = [f"{folder:03}/{number:03}" for folder in range(20) for number in range(30)]
    rows = Rows(keys)
    assert listed(rows, prefix="003/")[0] == [key for key in keys if key.startswith("003/")]
    assert len(rows.asked) == 2
    assert sum(rows.asked) < 40


def test_a_page_of_a_large_collection_takes_one_statement() -> None:
    keys = [f"{number:04}" for number in range(3000)]
    rows = Rows(keys)
    assert listed(rows, after="0999")[0] == keys[1000:1250]
    assert rows.asked == [251]


def test_a_page_of_common_prefixes_looks_into_no_collection() -> None:
    rows = Rows(f"{folder:03}/{number}" for folder in range(500) for number in range(3))
    assert listed(rows, delimiter="/")[1] == [f"{folder:03}/" for folder in range(250)]
    assert rows.asked == [251]


def test_common_prefixes_of_loaded_members_are_skipped_without_another_statement() -> None:
    rows = Rows(f"{number:02}-{each}" for number in range(50) for each in range(4))
    assert listed(rows, delimiter="-")[1] == [f"{number:02}-" for number in range(50)]
    assert len(rows.asked) == 1
