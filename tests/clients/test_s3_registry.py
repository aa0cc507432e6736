"""Docker's registry with its images in a bucket, and oras, which pushes and pulls them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.nginx import listens
from tests.clients.programs import find
from tests.clients.s3 import OTHERS, Recipe, Store
from tests.live.processes import wait_until
from tests.ports import free_ports

LAYER = os.urandom(12_000_001)

_PUSH = """
import sys
from oras.client import OrasClient
name = sys.argv[1]
pushed = OrasClient(insecure=True).push(target=name, files=["layer"])
assert pushed.status_code == 201, pushed.text
"""
_PULL = """
import sys
from oras.client import OrasClient
print(OrasClient(insecure=True).pull(target=sys.argv[1], outdir="pulled"))
"""


@contextmanager
def registry(store: Store, folder: Path, command: str, port: int) -> Iterator[None]:
    """Run the registry until the end of the block."""
    program, *arguments = command.split()
    keys = {
        "REGISTRY_STORAGE_S3_ACCESSKEY": store.access_key,
        "REGISTRY_STORAGE_S3_SECRETKEY": store.secret_key,
    }
    log = folder / "registry.log"
    with log.open("ab") as output:
        process = subprocess.Popen([find(program), *arguments], cwd=folder, env=keys, stdout=output, stderr=output)
    try:
        wait_until(lambda: listens(port), "the registry", log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_a_layer_is_pushed_and_pulled_from_another_registry(store: Store, tmp_path: Path) -> None:
    recipe = Recipe(store, "Docker registry", tmp_path, "registry")
    port = free_ports()
    address = f"127.0.0.1:{port}"
    (tmp_path / "registry.yml").write_text(recipe.block("yaml").replace("127.0.0.1:5000", address))
    (tmp_path / "layer").write_bytes(LAYER)
    with registry(store, tmp_path, recipe.block("sh"), port):
        recipe.run(OTHERS, "-c", _PUSH, f"{address}/team/app:v1")
    with registry(store, tmp_path, recipe.block("sh"), port):  # it has nothing but what is in the bucket
        recipe.run(OTHERS, "-c", _PULL, f"{address}/team/app:v1")
    assert (tmp_path / "pulled" / "layer").read_bytes() == LAYER
    assert "Uploads" not in store.client().list_multipart_uploads(Bucket="registry")
