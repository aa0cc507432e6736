"""The recipes in docs/s3-clients.md do what they are for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.s3 import OTHERS, OURS, Recipe, Store, headings

PHOTO = os.urandom(6_000_000)

COPYING = {"aws-cli": "", "s5cmd": "", "rclone": "", "boto3": OURS, "minio-py": OURS, "s3fs": OTHERS, "obstore": OTHERS}
"""Recipes that store a photo, list it and fetch it; with the Python that runs them, if they are in Python."""

PRINTING = {
    "pyarrow": (OTHERS, "75000 2"),
    "polars": (OTHERS, "(75000, 4687462500)"),
    "Delta Lake": (OTHERS, "2 [0, 1, 2]"),
    "Iceberg": (OTHERS, "200"),
    "A lock": (OURS, "True False\nTrue"),
}
"""Recipes that print what they have found, and what that must be."""

BUCKETS = {"Delta Lake": "deltalake", "A lock": "lock"}
OTHERWISE = ["s3cmd", "DuckDB", "restic", "litestream", "Docker registry", "s3fs-fuse", "JuiceFS"]
"""Recipes with tests of their own."""

Make = Callable[[str], Recipe]


@pytest.fixture
def recipe(store: Store, tmp_path: Path) -> Make:
    """A function that makes the recipe with a heading."""
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    return lambda heading: Recipe(store, heading, tmp_path, BUCKETS.get(heading, ""))


def is_copied(folder: Path, said: str) -> bool:
    copies = [path for path in (folder / "copy.jpg", folder / "copy" / "photo.jpg") if path.exists()]
    return [path.read_bytes() == PHOTO for path in copies] == [True] and "2026/photo.jpg" in said


def test_every_recipe_is_run() -> None:
    assert sorted(headings()) == sorted([*COPYING, *PRINTING, *OTHERWISE])


@pytest.mark.parametrize("heading", COPYING)
def test_a_photo_is_copied_there_and_back(recipe: Make, heading: str, tmp_path: Path) -> None:
    one = recipe(heading)
    assert is_copied(tmp_path, one.python(COPYING[heading]) if COPYING[heading] else one.shell())


def test_s3cmd_copies_a_photo_there_and_back(recipe: Make, tmp_path: Path) -> None:
    one = recipe("s3cmd")
    (tmp_path / ".s3cfg").write_text(one.block("ini"))
    assert is_copied(tmp_path, one.shell())


@pytest.mark.parametrize("heading", PRINTING)
def test_what_was_stored_is_found(recipe: Make, heading: str) -> None:
    interpreter, expected = PRINTING[heading]
    assert recipe(heading).python(interpreter).strip() == expected


def test_duckdb_reads_what_it_has_copied_there(recipe: Make) -> None:
    # Its extension comes from PyPI here, not from DuckDB's own site.
    folder = "import duckdb_ext; db.execute(f\"SET extension_directory = '{duckdb_ext.__path__[0]}/extensions'\")"
    script = recipe("DuckDB").block("python").replace('db.execute("INSTALL httpfs")', folder)
    assert "duckdb_ext" in script
    assert recipe("DuckDB").run(OTHERS, "-c", script).strip() == "(100000, 4999950000)"
