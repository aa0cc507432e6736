from __future__ import annotations

from tests.cluster.conftest import make_cluster

__all__ = ["make_cluster"]
