"""The door of keys and tokens that people make for themselves."""

from __future__ import annotations

from typing import Any

from splitd.access.grants import Principal
from splitd.assembly.access import Access
from splitd.config import Config
from splitd.frontends.http.entrance import Entrance
from splitd.frontends.http.made import MadeResource
from splitd.frontends.http.routes import Routes
from splitd.frontends.own.door import API, OwnDoor
from splitd.frontends.own.resource import keys_of
from storaged.http import StreamingResource
from storaged.system.clocks import WallClock


def with_own_keys(
    otherwise: StreamingResource, config: Config, access: Access, reactor: Any, wall: WallClock
) -> StreamingResource:
    """Return a door that makes keys and tokens, and takes them back, and leads everything else on.

    :param otherwise: answers everything else.
    """

    async def keep(principal: Principal) -> bool:
        return await access.identities.keep(principal, access.known_days())

    door = OwnDoor(access.own, keep, bool(config.s3) and access.s3_keys is not None, reactor, wall, config.base_path)
    names = {"checks_names": bool(config.names), "tells_nodes": config.node_request_ids}
    entrance = Entrance(access.guard, access.limits_of_clients(), None, refuses_other_sites=True, **names)
    return Routes(otherwise, {config.base_path + API: MadeResource(keys_of(door), entrance)})
