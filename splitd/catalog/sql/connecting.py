"""Opens connections to the database of a catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

_OPTIONS = {
    "connect_timeout": 3,  # seconds
    "tcp_user_timeout": 5000,  # milliseconds: a machine that is gone is noticed by then
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "splitd",
}

_SETTINGS = """SET jit TO off; SET max_parallel_workers_per_gather TO 0; SET standard_conforming_strings TO on;
    SET idle_in_transaction_session_timeout TO '60s'; SET plan_cache_mode TO force_generic_plan"""


def connector(url: str, connection_class: type[Any] = psycopg.Connection) -> Callable[[], Any]:
    """Return a function that opens a connection.  If that fails, nothing is left open.

    :param url: the address of the database, as libpq reads it: "postgresql://…".
    """

    def connect() -> Any:
        connection = connection_class.connect(url, **_OPTIONS)
        try:
            connection.execute(_SETTINGS)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    return connect
