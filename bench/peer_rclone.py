"""rclone (Go), which serves one folder by WebDAV: one hop, without cutting, checks and syncs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from processes import Processes
from service import HOST, Children


class Rclone:
    """`rclone serve webdav`; see `service.Service`.

    :param folder: the folder of its files.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._children = Children(folder)
        self.url = f"http://{HOST}:{port}"

    def start(self) -> None:
        """Start it."""
        data = self._folder / "data"
        data.mkdir()
        command = ["rclone", "serve", "webdav", str(data), "--addr", f"{HOST}:{self._port}"]
        options = ["--config", str(self._folder / "rclone.conf"), "--dir-cache-time", "1h", "--buffer-size", "0"]
        self._children.start("rclone", command + options, self._port, os.environ | {"HOME": str(self._folder)})

    def processes(self) -> Processes:
        """Return its process."""
        return Processes(self._children.pids())

    def stop(self) -> None:
        """Stop it."""
        self._children.stop()


def missing_rclone(_programs: Path) -> str:
    """Return what must be installed first; empty if nothing."""
    return "" if shutil.which("rclone") else "there is no rclone on the path; see https://rclone.org"
