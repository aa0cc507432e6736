"""What the database refuses, and may do when it is asked again."""

from __future__ import annotations

import psycopg
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import CatalogAway

_log = Logger()


def refusal(what: str, *kinds: type[Exception]) -> Failure:
    """Return the failure that is being handled; what the database has refused may be tried again.

    :param what: what the database could not do, as "make this change".
    :param kinds: errors that are such a refusal as well, besides those of operation.
    """
    failure = Failure()
    if failure.check(psycopg.OperationalError, *kinds):
        _log.failure("catalog: the database could not {what}", failure, what=what)
        return Failure(CatalogAway(f"the database of the catalog could not {what} now"))
    return failure
