"""What clients may take of the server: the content of `limits.yaml`.  Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec

from storaged.system.sizes import Size

_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class AtOnce(_Entry, frozen=True):
    """How many there may be at the same time; None for no limit.

    :param in_all: of all clients together.
    :param per_client: of each user, and of each address from which nobody has logged in.
    """

    in_all: _Count | None = None
    per_client: _Count | None = None


class ConnectionsEntry(_Entry, frozen=True):
    """How many connections there may be at the same time.

    :param per_address: of each address but those of trusted proxies; None for half of those that can be served.
    """

    per_address: _Count | None = None


class WorkEntry(_Entry, frozen=True):
    """How many requests the server works on at the same time.  It does not work on one while it waits for its client.

    :param at_once: the requests.
    :param waiting: further ones that wait for their turn; more are refused at once.
    :param wait_s: how many seconds one waits at most.
    """

    at_once: _Count
    waiting: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    wait_s: _Seconds = 1.0


class Rates(_Entry, frozen=True):
    """Bytes per second, of each direction; None for no limit.

    :param per_user: of all connections of a user together.
    :param per_address: of all connections of an address together.
    """

    per_user: Size | None = None
    per_address: Size | None = None


class QuotaEntry(_Entry, frozen=True):
    """How much may be stored at a path and below it.

    :param bytes: of files; None for no limit.
    :param files: how many of them; None for no limit.
    """

    path: str
    bytes: Size | None = None
    files: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Limits(_Entry, frozen=True):
    """All limits; what is not given has none.

    :param largest_file: bytes.
    """

    connections: ConnectionsEntry = ConnectionsEntry()
    requests: AtOnce = AtOnce()
    uploads: AtOnce = AtOnce()
    work: WorkEntry | None = None
    rates: Rates = Rates()
    largest_file: Size | None = None
    quotas: tuple[QuotaEntry, ...] = ()


NO_LIMITS = Limits()
