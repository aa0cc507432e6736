"""The S3 door that the clients of other projects are tested with, and the recipes for them in docs/s3-clients.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import attrs
import boto3
from botocore.config import Config

from tests.clients.programs import CLIENTS, succeed

_PAGE = Path(__file__).parents[2] / "docs" / "s3-clients.md"
_ADDRESS = "s3.example.org:8082"
REGION = "us-east-1"

OURS = sys.executable
"""The Python of the tests, which has boto3 and minio."""

OTHERS = str(CLIENTS / "python")
"""The Python that has the other libraries."""


@attrs.frozen
class Store:
    """A running front's door for S3."""

    url: str
    access_key: str
    secret_key: str

    @property
    def address(self) -> str:
        """Its address and port."""
        return self.url.removeprefix("http://")

    def client(self, **config: Any) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            config=Config(retries={"max_attempts": 1}, **config),
        )

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the variables that clients need, as the page has them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_CONFIG_FILE": str(folder / "none"),
            "S3_ENDPOINT_URL": self.url,
        }


def headings() -> list[str]:
    """Return the headings of the recipes."""
    return re.findall(r"(?m)^## (.*)$", _PAGE.read_text())


class Recipe:
    """The blocks below a heading of docs/s3-clients.md, for a cluster; its bucket is made.

    :param folder: where they are run.
    """

    def __init__(self, store: Store, heading: str, folder: Path, bucket: str = "") -> None:
        [section] = re.findall(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", _PAGE.read_text())
        self._blocks: list[tuple[str, str]] = re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", section)
        self._store = store
        self._folder = folder
        store.client().create_bucket(Bucket=bucket or heading.lower())

    def block(self, language: str) -> str:
        """Return the only block in a language, with the address of the cluster."""
        [text] = [text for found, text in self._blocks if found == language]
        return text.replace(_ADDRESS, self._store.address)

    def shell(self, *more: str) -> str:
        """Run the block in shell, and more lines after it, which must all succeed; return their output."""
        return self.run("sh", "-euc", "\n".join([self.block("sh"), *more]))

    def python(self, interpreter: str) -> str:
        """Run the block in Python, which must succeed; return its output."""
        return self.run(interpreter, "-c", self.block("python"))

    def run(self, name: str, *arguments: str) -> str:
        """Run any program with the variables of the page; it must succeed.  Return its output."""
        return succeed(name, *arguments, folder=self._folder, environment=self._store.environment(self._folder))
