"""The door for resumable uploads, over the store as each client may see it."""

from __future__ import annotations

from splitd.access.grants import Principal
from splitd.assembly.access import Access
from splitd.config import Config
from splitd.frontends.resumable.door import ResumableSettings
from splitd.frontends.resumable.exclusive import Exclusive
from splitd.frontends.resumable.resource import ResumableResource, ResumableRoute
from splitd.interfaces.continued import IContinuedUploads
from splitd.interfaces.store import IObjectStore
from splitd.store import ObjectStore
from storaged.http import StreamingResource
from storaged.system.clocks import WallClock


def with_resumable(
    otherwise: StreamingResource,
    config: Config,
    store: ObjectStore,
    access: Access,
    exclusive: Exclusive,
    wall: WallClock,
) -> StreamingResource:
    """Return a door that takes resumable uploads, and leads everything else on.

    :param otherwise: answers everything else.
    :param exclusive: lets one request at a time use an upload.
    """

    def files_of(principal: Principal | None) -> tuple[IObjectStore, IContinuedUploads]:
        if principal is None:
            return store, store.continued
        limited = store.as_user(principal)[0]
        return limited, limited.continued

    resumable = ResumableResource(
        files_of,
        ResumableSettings(config.continued_uploads_days, access.limiting.largest_file, config.base_path),
        wall,
        access.guard,
        access.limits_of_clients(),
        config.cors(),
        checks_names=bool(config.names),
        tells_nodes=config.node_request_ids,
        exclusive=exclusive,
    )
    return ResumableRoute(otherwise, resumable, config.base_path)
