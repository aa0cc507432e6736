"""davfs2: the files as a file system, mounted in a private namespace."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.clients.programs import succeed
from tests.clients.trees import NAMES, make_tree, read_tree
from tests.live.clients import ask

CONFIGURATION = """
dav_user root
dav_group root
buf_size 256
cache_dir {folder}/cache
ask_auth 0
delay_upload 0
use_locks 1
"""

# davfs2 cannot open folders with very long names, on any server.
MOUNTED = [name for name in NAMES if not name.startswith("long ")]


def mounted(url: str, folder: Path, *lines: str) -> str:
    """Mount a collection at `folder/there`, run lines of shell in `folder`, and unmount it; return the output."""
    shutil.rmtree(folder / "cache", ignore_errors=True)  # so that reads come from the server
    (folder / "cache").mkdir()
    (folder / "there").mkdir(exist_ok=True)
    (folder / "davfs2.conf").write_text(CONFIGURATION.format(folder=folder))
    script = [
        "set -eu",
        # root can read `folder`; only the system's own configuration file may say so.
        "mount --bind davfs2.conf /etc/davfs2/davfs2.conf",
        f"mount.davfs {url}/ there </dev/null",
        *lines,
        "umount there",
    ]
    return succeed(
        "unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script), folder=folder,
    )  # fmt: skip


def test_a_tree_is_copied_into_a_mounted_collection_and_read_from_another_mount(place: str, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "source", MOUNTED)
    mounted(place, tmp_path, "cp -r source/. there/")
    mounted(place, tmp_path, "mkdir back", "cp -r there/. back/", "rmdir back/lost+found")
    assert read_tree(tmp_path / "back") == tree


def test_files_are_written_read_moved_and_removed(place: str, tmp_path: Path) -> None:
    said = mounted(
        place,
        tmp_path,
        "df --output=fstype,size,avail -B1 there",
        "mkdir there/one 'there/two #2'",
        "echo first > 'there/one/a file'",
        "echo second >> 'there/one/a file'",
        "cat 'there/one/a file'",
        "head -c 20000000 /dev/urandom > large",
        "cp large there/large",
        "cmp large there/large",
        "mv 'there/one/a file' 'there/two #2/100% moved'",
        "mv there/one there/three",
        "touch there/empty",
        "truncate -s 5 'there/two #2/100% moved'",
        "rm there/empty",
        "rmdir there/three",
        "ls -1 there 'there/two #2'",
    )
    assert "first\nsecond\n" in said
    assert "100% moved" in said
    # What was written is there when it is unmounted, and not before somebody asks for it.
    assert ask(f"{place}/two%20%232/100%25%20moved").body == b"first"
    assert ask(f"{place}/large").body == (tmp_path / "large").read_bytes()
    for gone in ("one", "three", "empty"):
        assert ask(f"{place}/{gone}").status == 404
