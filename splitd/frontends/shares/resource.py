"""The resource that answers links."""

from __future__ import annotations

from splitd.access.grants import Principal
from splitd.frontends.http.entrance import Entrance, refuse_plainly
from splitd.frontends.shares import public
from splitd.frontends.shares.door import ShareDoor
from storaged.http import IRequest, StreamingResource


class Links(StreamingResource):
    """Answers links."""

    def __init__(self, door: ShareDoor, entrance: Entrance) -> None:
        super().__init__()
        self._door = door
        self._entrance = entrance

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""

        async def answer_link(_: Principal | None) -> None:
            await public.respond(request, self._door)

        await self._entrance.serve(request, answer_link, refuse_plainly, is_open=True)
