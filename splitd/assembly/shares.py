"""The doors of links, over the store as their makers see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.threads import deferToThreadPool

from splitd.access.grants import Principal
from splitd.access.link_passwords import LinkPasswords
from splitd.access.links import LinkSigner
from splitd.assembly.access import Access
from splitd.config import Config
from splitd.frontends.http.archives import Archives
from splitd.frontends.http.entrance import Entrance
from splitd.frontends.http.made import MadeResource
from splitd.frontends.http.routes import Routes
from splitd.frontends.shares.api import links_of
from splitd.frontends.shares.door import API, LINKS, ShareDoor
from splitd.frontends.shares.resource import Links
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.store import IObjectStore
from splitd.store import ObjectStore
from storaged.http import StreamingResource
from storaged.system.clocks import WallClock


def with_shares(
    otherwise: StreamingResource,
    config: Config,
    store: ObjectStore,
    documents: IDocuments,
    access: Access,
    keys: Callable[[], Sequence[str]],
    reactor: Any,
    wall: WallClock,
) -> StreamingResource:
    """Return a door that makes and answers links, and leads everything else on.

    :param otherwise: answers everything else.
    :param keys: returns the cluster keys that are valid now.
    """
    users = access.users

    def files_of(principal: Principal | None) -> IObjectStore:
        return store if principal is None else store.as_user(principal)[0]

    async def user_of(name: str, by_issuer: bool) -> Principal | None:
        return None if users is None else await access.identities.find(users.logins, name, by_issuer=by_issuer)

    async def keep(principal: Principal) -> bool:
        return await access.identities.keep(principal, access.known_days())

    passwords = LinkPasswords(partial(deferToThreadPool, reactor, access.logins))
    door = ShareDoor(
        documents,
        LinkSigner(keys),
        files_of,
        user_of,
        keep,
        users is not None,
        passwords.hash,
        passwords.proves,
        access.link_attempts,
        Archives(reactor),
        reactor,
        wall,
        config.base_path,
    )
    names = {"checks_names": bool(config.names), "tells_nodes": config.node_request_ids}
    entrance = Entrance(access.guard, access.limits_of_clients(), None, refuses_other_sites=True, **names)
    routes = {API: MadeResource(links_of(door), entrance), f"{LINKS}/": Links(door, entrance)}
    return Routes(otherwise, {config.base_path + prefix: resource for prefix, resource in routes.items()})
