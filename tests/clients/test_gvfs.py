"""gvfs: the file access of GNOME's file managers."""

from __future__ import annotations

import os
from pathlib import Path

from tests.clients.programs import find, succeed
from tests.live.clients import ask

BACKENDS = [Path("/usr/lib/gvfs/gvfsd-dav"), Path("/usr/libexec/gvfsd-dav")]


def in_session(folder: Path, *lines: str) -> str:
    """Run lines of shell in their own D-Bus session; return the output."""
    find("gio")
    assert any(path.exists() for path in BACKENDS), "gvfsd-dav is missing; on Debian: apt-get install gvfs-backends"
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return succeed(
        "dbus-run-session",
        "--",
        "sh",
        "-euc",
        "\n".join(lines),
        folder=folder,
        environment={"XDG_RUNTIME_DIR": str(runtime), "GVFS_DISABLE_FUSE": "1", "GIO_USE_VFS": "gvfs"},
    )


def test_a_collection_is_mounted_and_its_files_are_managed(place: str, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"from gvfs\n")
    (tmp_path / "large").write_bytes(os.urandom(5_000_000))
    at = place.replace("http://", "dav://")
    said = in_session(
        tmp_path,
        f"gio mount {at}",
        f"gio mkdir '{at}/a folder'",
        f"gio copy local '{at}/a folder/caf\u00e9 %231'",
        f"gio copy large {at}/large",
        f"gio list -l '{at}/a folder'",
        f"gio cat '{at}/a folder/caf\u00e9 %231'",
        f"gio copy {at}/large got",
        f"gio move '{at}/a folder/caf\u00e9 %231' {at}/moved",
        f"gio copy {at}/moved {at}/copied",
        f"gio rename {at}/copied 'renamed %25'",
        f"echo replaced | gio save {at}/moved",
        f"gio info {at}/moved",
        f"gio remove '{at}/a folder'",
        f"gio list {at}",
        f"gio mount -u {at}",
    )
    assert "from gvfs\n" in said
    assert "standard::size: 9" in said
    assert {"large", "moved"} <= set(said.split())
    assert (tmp_path / "got").read_bytes() == (tmp_path / "large").read_bytes()
    assert ask(f"{place}/moved").body == b"replaced\n"
    assert ask(f"{place}/large").body == (tmp_path / "large").read_bytes()
    assert ask(f"{place}/a%20folder").status == 404
