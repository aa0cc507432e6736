"""The front doors for clients, over the store as each client may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from splitd.access.grants import Claims, Principal
from splitd.access.oidc.sign_in import SignIn
from splitd.assembly.access import Access
from splitd.capacity import Capacity
from splitd.config import Config
from splitd.frontends.console.building import ConsoleDoor, ConsoleResource, Operating, Thumbnails, make_console
from splitd.frontends.http.routes import Routes
from splitd.frontends.s3.building import Buckets, Files, S3Settings, make_s3
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.resource import WebdavResource
from splitd.interfaces.bin import IBin
from splitd.interfaces.names import ILocks, INamespace
from splitd.interfaces.store import IObjectStore
from splitd.store import ObjectStore
from storaged.http import StreamingResource
from storaged.system.clocks import WallClock


def make_webdav(
    config: Config,
    store: ObjectStore,
    locks: ILocks,
    capacity: Capacity,
    access: Access,
    operating: Operating,
    reactor: Any,
    wall: WallClock,
    *,
    thumbnails: Thumbnails,
) -> StreamingResource:
    """Return the door for WebDAV and plain HTTP, with the console beside it if the settings want one.

    :param locks: the locks of the catalog.
    :param operating: what operators see and do in the console.
    :param thumbnails: makes thumbnails for the console.
    """
    console = None
    if config.console:
        console = _make_console(config, store, capacity, access, operating, thumbnails, reactor)

    def limit(door: Door, principal: Principal) -> Door:
        limited, locks = store.as_user(principal)
        return door.limited(limited, limited, locks)

    webdav = WebdavResource(
        Door(store, store, locks, capacity.quota, reactor, wall, None if console is None else console.page),
        access.guard,
        limit,
        config.cors(),
        access.limits_of_clients(),
        checks_names=bool(config.names),
        base=config.base_path,
        tells_nodes=config.node_request_ids,
    )
    return webdav if console is None else Routes(webdav, {f"{config.base_path}/.splitd/": console})


def _make_console(
    config: Config,
    store: ObjectStore,
    capacity: Capacity,
    access: Access,
    operating: Operating,
    thumbnails: Thumbnails,
    reactor: Any,
) -> ConsoleResource:
    def files_of(principal: Principal | None) -> tuple[IObjectStore, INamespace]:
        if principal is None:
            return store, store
        limited = store.as_user(principal)[0]
        return limited, limited

    limits, users = access.limits_of_clients(), access.users

    def sign_in() -> SignIn | None:
        return None if users is None else users.sign_in

    async def seen(claims: Claims, principal: Principal | None) -> None:
        await access.identities.seen(claims, principal, access.known_days())

    def bin_of(principal: Principal | None) -> IBin:
        return store.bin if principal is None else store.as_user(principal)[0].bin(reactor)

    more = config.base_path, limits, sign_in, seen
    shown = capacity.quota, access.guard, operating, thumbnails, reactor, *more
    own: dict[str, Any] = {"keep_days": config.bin.keep_days, "checks_names": bool(config.names)}
    return make_console(ConsoleDoor(files_of, *shown, bin_of=bin_of, **own))


def make_s3_door(
    config: Config,
    store: ObjectStore,
    access: Access,
    compute: Callable[[Callable[[], Any]], Deferred[Any]],
    wall: WallClock,
) -> StreamingResource | None:
    """Return the door for programs made for Amazon S3; None if nobody can have a key for it.

    :param compute: computes in a thread.
    """
    if access.s3_keys is None:
        return None

    def files_of(principal: Principal) -> Files:
        limited = store.as_user(principal)[0]
        return limited, limited, limited.continued, limited

    domains, md5 = tuple(map(str.lower, config.s3_domain)), config.s3_etag == "md5"
    settings = S3Settings(config.s3_region, domains, md5, config.node_request_ids)
    buckets, limits = Buckets(store, store), access.limits_of_clients()
    return make_s3(files_of, buckets, access.s3_keys, settings, compute, wall, limits)
