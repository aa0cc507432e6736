"""The settings of a storage server."""

from __future__ import annotations

from typing import Annotated

import msgspec

from storaged.system.settings import SettingsOptions
from storaged.system.sizes import Size


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a storage server; each is a key of its YAML file and an option of its command line."""

    node: Annotated[str, msgspec.Meta(description="The node's id, as in the registry.", min_length=1)]
    data: Annotated[str, msgspec.Meta(description="The folder where parts are kept.", min_length=1)]
    cluster_key_file: Annotated[str, msgspec.Meta(description="The file that holds the cluster key.", min_length=1)]
    listen: Annotated[
        str,
        msgspec.Meta(
            description="Where to listen: a Twisted endpoint, like tls:FOLDER:8090 with TLS. [default: tcp:8090]",
        ),
    ] = "tcp:8090"
    reserve: Annotated[
        Size, msgspec.Meta(description="Space of the volume that always stays free. [default: 1GiB]")
    ] = Size(2**30)
    access_log: Annotated[
        str,
        msgspec.Meta(
            description="A file that gets a JSON line for each request of the front; empty for none. [default: none]"
        ),
    ] = ""
    trash_keep_s: Annotated[
        float,
        msgspec.Meta(
            description="How long the trash keeps the parts that a sweep moved there. [default: 86400]",
            ge=0,
        ),
    ] = 86_400.0
    scrub_days: Annotated[
        float,
        msgspec.Meta(
            description="The days in which all parts are read once and checked, at a steady rate; 0 for never. "
            "[default: 14]",
            ge=0,
        ),
    ] = 14.0
    stop_timeout_s: Annotated[
        float,
        msgspec.Meta(
            description="How long a stop waits for pending requests. [default: 20]",
            ge=0,
        ),
    ] = 20.0
    threads: Annotated[
        int, msgspec.Meta(description="Threads that read and write the disk. [default: 16]", ge=1, le=256)
    ] = 16


class Options(SettingsOptions[Config]):
    """The command line of `twistd storaged`."""

    kind = Config
    synopsis = "[options]"
    longdesc = "A storage server of splitd: it keeps parts of files for the front."
