"""File systems that lie in a bucket, mounted in a private namespace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clients.s3 import Recipe, Store
from tests.clients.trees import read_tree

CONTENT = os.urandom(20_000_001)

_USE = [
    "cp -r source/. there/",
    "cmp source/large there/large",
    "mkdir there/folder",
    "mv there/large there/folder/moved",
    "echo first > there/folder/note",
    "echo second >> there/folder/note",
    "rm there/gone",
    "mkdir back",
    "cp -r there/* back/",  # JuiceFS has a hidden file there that never ends
]


_UNMOUNT = {"s3fs-fuse": "umount there", "JuiceFS": "juicefs umount there"}


@pytest.mark.parametrize("heading", _UNMOUNT)
def test_files_are_written_moved_removed_and_read_from_another_mount(
    store: Store, tmp_path: Path, heading: str
) -> None:
    recipe, unmounted = Recipe(store, heading, tmp_path), f"trap '{_UNMOUNT[heading]}' EXIT"
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "large").write_bytes(CONTENT)
    (source / "gone").write_bytes(b"gone")
    (source / "deep" / "er" / "naïve name").write_bytes(b"here")
    mounting = recipe.block("sh").splitlines()
    for lines in ([*mounting, unmounted, *_USE], [mounting[-1], unmounted, "mkdir again", "cp -r there/* again/"]):
        recipe.run("unshare", "--mount", "--propagation", "private", "sh", "-euc", "\n".join(lines))
    tree = read_tree(tmp_path / "again")
    assert tree == read_tree(tmp_path / "back")
    assert {name: data for name, data in tree.items() if data is not None} == {
        "folder/moved": CONTENT,
        "folder/note": b"first\nsecond\n",
        "deep/er/naïve name": b"here",
    }
    assert "Contents" in store.client().list_objects_v2(Bucket=heading.lower())
