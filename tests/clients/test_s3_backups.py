"""Programs that back up to S3: what they restore is what there was."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path

from tests.clients.programs import find
from tests.clients.s3 import Recipe, Store
from tests.clients.trees import make_tree, read_tree
from tests.live.processes import wait_until

_AGAIN = """
restic backup documents
restic forget --keep-last 1 --prune
restic check --read-data
restic restore latest --target again
"""


def keys(store: Store, bucket: str) -> set[str]:
    pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {each["Key"] for page in pages for each in page.get("Contents", ())}


def test_restic_backs_up_checks_prunes_and_restores(store: Store, tmp_path: Path) -> None:
    recipe = Recipe(store, "restic", tmp_path)
    tree = make_tree(tmp_path / "documents")
    (tmp_path / "password").write_text("a secret")
    recipe.shell()
    assert read_tree(tmp_path / "restored" / "documents") == tree
    before = keys(store, "restic")
    shutil.rmtree(tmp_path / "documents" / "files")
    (tmp_path / "documents" / "new").write_bytes(b"new")
    recipe.run("sh", "-euc", "\n".join(recipe.block("sh").splitlines()[:1]) + _AGAIN)
    assert read_tree(tmp_path / "again" / "documents") == read_tree(tmp_path / "documents")
    after = keys(store, "restic")
    assert {key for key in before if key.startswith("data/")} - after, "what is not needed any more is deleted"
    assert not [key for key in after if key.startswith("locks/")]


def test_litestream_replicates_and_restores_a_database(store: Store, tmp_path: Path) -> None:
    recipe = Recipe(store, "litestream", tmp_path)
    (tmp_path / "litestream.yml").write_text(recipe.block("yaml"))
    shop = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    shop.execute("PRAGMA journal_mode = wal")
    shop.execute("CREATE TABLE sales (number INTEGER, what BLOB)")
    shop.execute("INSERT INTO sales VALUES (0, randomblob(3000000))")
    recipe.shell()
    assert sold(tmp_path / "restored.db") == sold(tmp_path / "shop.db")
    following = subprocess.Popen(
        [find("litestream"), "replicate", "-config", "litestream.yml"],
        cwd=tmp_path,
        env=store.environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    restore = recipe.block("sh").splitlines()[1]

    def is_replicated() -> bool:
        (tmp_path / "restored.db").unlink(missing_ok=True)
        recipe.run("sh", "-euc", restore)
        return sold(tmp_path / "restored.db") == sold(tmp_path / "shop.db")

    try:
        for number in range(1, 4):
            shop.execute("INSERT INTO sales VALUES (?, randomblob(100000))", [number])
            wait_until(is_replicated, f"sale {number} in the replica")
    finally:
        following.terminate()
        following.wait(60)
        shop.close()


def sold(database: Path) -> list[tuple[int, bytes]]:
    shop = sqlite3.connect(database)
    try:
        return shop.execute("SELECT * FROM sales ORDER BY number").fetchall()
    finally:
        shop.close()
