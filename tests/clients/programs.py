"""Runs programs of other projects to their end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs

PACKAGES = {
    "cadaver": "cadaver",
    "chromium": "chromium",
    "curl": "curl",
    "docker-registry": "docker-registry",
    "dbus-run-session": "dbus-daemon",
    "gio": "libglib2.0-bin",
    "git": "git",
    "litmus": "litmus",
    "mount.davfs": "davfs2",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "rclone": "rclone",
    "restic": "restic",
    "s3fs": "s3fs",
    "unshare": "util-linux",
}
"""Debian's packages by the programs that are needed of them; the others come from PyPI."""

CLIENTS = Path(sys.executable).parents[1] / "clients" / "bin"
"""Programs and libraries of others from PyPI, in an environment of their own."""

TIMEOUT_S = 240

_PATH = os.pathsep.join(
    [
        str(Path(sys.executable).parent),
        str(CLIENTS),
        os.environ.get("PATH", ""),
        "/usr/local/sbin",
        "/usr/sbin",
        "/sbin",
    ]
)


@attrs.frozen
class Done:
    """The result of a program: its exit code, and its output, both streams in one."""

    code: int
    said: str


def find(name: str) -> str:
    """Return the path of a program."""
    found = shutil.which(name, path=_PATH)
    missing = f"apt-get install {PACKAGES[name]}" if name in PACKAGES else "`make test-clients` installs it"
    assert found, f"{name} is missing; on Debian: {missing}"
    return found


def run(
    name: str, *arguments: str | Path, folder: Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> Done:
    """Run a program in a folder, which is its home too."""
    done = subprocess.run(
        [find(name), *arguments],
        cwd=folder,
        env={"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": str(folder), **(environment or {})},
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode("utf-8", "replace"))


def succeed(
    name: str, *arguments: str | Path, folder: Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> str:
    """Run a program that must succeed; return its output."""
    done = run(name, *arguments, folder=folder, stdin=stdin, environment=environment)
    assert done.code == 0, f"{name} {' '.join(map(str, arguments))}: exit code {done.code}:\n{done.said}"
    return done.said
