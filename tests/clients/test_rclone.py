"""rclone: copies whole trees to a WebDAV remote and back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.clients.programs import succeed
from tests.clients.trees import Tree, make_tree, read_tree


class Rclone:
    """rclone with a remote, `to:`, which is a collection of the server."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self.environment = {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_TO_TYPE": "webdav",
            "RCLONE_CONFIG_TO_URL": url,
            "RCLONE_CONFIG_TO_VENDOR": "other",
            "RCLONE_NO_UNICODE_NORMALIZATION": "true",  # two names that look alike stay two names
            # Without retries, every failure is seen.
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "1",
        }

    def __call__(self, *arguments: str | Path) -> str:
        return succeed("rclone", *arguments, folder=self._folder, environment=self.environment)

    def fetch(self, remote: str) -> Tree:
        """Return the contents of a collection, as rclone downloads them."""
        back = self._folder / "back"
        self("copy", "--create-empty-src-dirs", remote, back)
        tree = read_tree(back)
        shutil.rmtree(back)
        return tree


@pytest.fixture
def rclone(place: str, tmp_path: Path) -> Rclone:
    return Rclone(place, tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    make_tree(made)
    return made


def test_rclone_copies_a_tree_there_and_back(rclone: Rclone, source: Path) -> None:
    rclone("copy", "--create-empty-src-dirs", source, "to:copied")
    rclone("check", "--download", source, "to:copied")
    assert rclone.fetch("to:copied") == read_tree(source)
    assert "0 B" in rclone("copy", "--stats-one-line", "-v", source, "to:copied")  # nothing is to be done again


def test_rclone_syncs_what_has_changed(rclone: Rclone, source: Path) -> None:
    rclone("sync", "--create-empty-src-dirs", source, "to:synced")
    (source / "files" / "hash#tag").write_bytes(b"changed, and of another size")
    (source / "files" / "100%").unlink()
    shutil.rmtree(source / "folders" / "what?")
    (source / "new %20 folder").mkdir()
    (source / "new %20 folder" / "new?").write_bytes(b"new")
    rclone("sync", "--create-empty-src-dirs", source, "to:synced")
    rclone("check", "--download", source, "to:synced")
    assert rclone.fetch("to:synced") == read_tree(source)


def test_rclone_moves_copies_and_deletes_on_the_server(rclone: Rclone, source: Path) -> None:
    tree = read_tree(source)
    rclone("copy", "--create-empty-src-dirs", source, "to:a")
    rclone("moveto", "to:a", "to:b # b")
    assert rclone("lsf", "to:") == "b # b/\n"
    assert rclone.fetch("to:b # b") == tree
    rclone("copy", "--create-empty-src-dirs", "to:b # b", "to:c")
    assert rclone.fetch("to:c") == tree
    rclone("moveto", "to:c/files/hash#tag", "to:c/100%?")
    assert rclone("size", "to:c/100%?").startswith("Total objects: 1")
    rclone("delete", "to:c/folders")
    assert rclone("lsf", "-R", "--files-only", "to:c/folders") == ""
    rclone("rmdirs", "--leave-root", "to:c/folders")
    assert rclone("lsf", "to:c/folders") == ""
    rclone("purge", "to:c")
    rclone("purge", "to:b # b")
    assert rclone("lsf", "to:") == ""


def test_rclone_brings_a_large_file_there_and_back(rclone: Rclone, tmp_path: Path) -> None:
    large = tmp_path / "source"
    large.mkdir()
    (large / "large").write_bytes(os.urandom(50_000_001))
    rclone("copy", large, "to:")
    rclone("check", "--download", large, "to:")
    # Of unknown length, so in chunks.
    succeed("sh", "-c", f"cat {large}/large | rclone rcat to:piped", folder=tmp_path, environment=rclone.environment)
    assert rclone.fetch("to:") == {"large": (large / "large").read_bytes(), "piped": (large / "large").read_bytes()}
