"""The resources of links: one to make them, one that answers them."""

from __future__ import annotations

import msgspec

from splitd.access.grants import Principal
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.entrance import Entrance, refuse_plainly
from splitd.frontends.shares import api, public
from splitd.frontends.shares.door import ShareDoor
from storaged.http import IRequest, StreamingResource


class SharesApi(StreamingResource):
    """Makes, lists and deletes links."""

    def __init__(self, door: ShareDoor, entrance: Entrance) -> None:
        super().__init__()
        self._door = door
        self._entrance = entrance

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""

        async def answer_as(principal: Principal | None) -> None:
            await api.respond(request, self._door, principal)

        await self._entrance.serve(request, answer_as, _refuse)


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


def _refuse(request: IRequest, refused: Refused) -> None:
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    body = msgspec.json.encode({"error": str(refused).encode("utf-8", "replace").decode()})
    answer(request, refused.status, body + b"\n", "application/json")
