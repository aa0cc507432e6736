"""The clusters that the clients of other projects are tested with."""

from __future__ import annotations

import os
from pathlib import Path

from tests.live.local_cluster import LocalCluster


def new_cluster(folder: Path, **settings: object) -> LocalCluster:
    """Return a cluster that is not started yet, with as many workers as SPLITD_CLIENTS_WORKERS says, if it is set.

    :param settings: more keys of the front's configuration file.
    """
    workers = os.environ.get("SPLITD_CLIENTS_WORKERS")
    return LocalCluster(folder, **({"workers": int(workers)} if workers else {}), **settings)
