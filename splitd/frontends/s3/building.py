"""Puts the door together."""

from __future__ import annotations

from collections.abc import Callable

from splitd.access.grants import Principal
from splitd.access.keys import IAccessKeys
from splitd.frontends.http.limits import RequestLimits
from splitd.frontends.s3.buckets.notes import Buckets
from splitd.frontends.s3.buckets.user_buckets import UserBuckets
from splitd.frontends.s3.door import S3Door, S3Settings
from splitd.frontends.s3.keys import Keys
from splitd.frontends.s3.resource import S3Resource
from splitd.frontends.s3.signing.authentication import Authenticator
from splitd.interfaces.continued import IContinuedUploads
from splitd.interfaces.keys import IKeys
from splitd.interfaces.names import INamespace
from splitd.interfaces.store import IObjectStore
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread

__all__ = ["Buckets", "Files", "S3Settings", "make_s3"]

Files = tuple[IObjectStore, IKeys, IContinuedUploads, INamespace]
"""The files, their keys, the uploads in parts, and the properties of names."""


def make_s3(
    files_of: Callable[[Principal], Files],
    buckets: Buckets,
    keys: IAccessKeys,
    settings: S3Settings,
    in_thread: InThread,
    wall: WallClock,
    limits: RequestLimits | None = None,
) -> S3Resource:
    """Return the resource of the door.

    :param files_of: returns the files, limited to what somebody may do.
    :param buckets: what is kept with buckets.
    :param keys: the pairs of keys that are good.
    :param in_thread: computes in a thread.
    :param limits: lets requests in; None for no limits.
    """

    def keys_of(principal: Principal) -> Keys:
        store, stored, parts, names = files_of(principal)
        grants = principal.grants
        return Keys(store, stored, parts, grants, UserBuckets(store, stored, parts, names, grants, buckets))

    door = S3Door(keys_of(keys.anonymous), buckets, settings, in_thread, wall)
    authenticator = Authenticator(keys, settings.region, wall, settings.domains)
    return S3Resource(door, authenticator, keys_of, limits)
