"""The front door's one resource: finds the method and answers what goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from splitd.errors import NotFound, SplitdError
from splitd.frontends.webdav.answers import ALLOWED, Refused, answer, refusal, refuse
from splitd.frontends.webdav.get import get
from splitd.frontends.webdav.put import put
from splitd.frontends.webdav.targets import Target, parse_condition, parse_target
from splitd.interfaces import IObjectStore
from splitd.model.manifest import Manifest
from storaged.streaming import BodyBroken, StreamingRequest, StreamingResource

_Method = Callable[[StreamingRequest, IObjectStore, Target], Awaitable[None]]


async def options(request: StreamingRequest, _store: IObjectStore, _target: Target) -> None:
    """OPTIONS: what can be asked here (RFC 9110 section 9.3.7)."""
    request.setHeader("Allow", ALLOWED)
    answer(request, 200)


async def delete(request: StreamingRequest, store: IObjectStore, target: Target) -> None:
    """DELETE: a file, or a collection with all in it, is no more (RFC 4918 section 9.6)."""
    if target.slash and isinstance(await store.stat(target.path), Manifest):
        raise NotFound(f"{target.path}/ does not exist: {target.path} is a file")
    await store.delete(target.path, parse_condition(request))
    answer(request, 204)


async def mkcol(request: StreamingRequest, store: IObjectStore, target: Target) -> None:
    """MKCOL: an empty collection (RFC 4918 section 9.3)."""
    if request.body.length != 0:
        raise Refused(415, "MKCOL with a body is not supported")
    await store.make_collection(target.path)
    answer(request, 201)


_METHODS: dict[bytes, _Method] = {
    b"OPTIONS": options,
    b"GET": get,
    b"HEAD": get,
    b"PUT": put,
    b"DELETE": delete,
    b"MKCOL": mkcol,
}


class WebdavResource(StreamingResource):
    """Answers every request on the front's port.

    :param store: the files.
    """

    def __init__(self, store: IObjectStore) -> None:
        super().__init__()
        self._store = store

    async def respond(self, request: StreamingRequest) -> None:
        """Answer a request."""
        try:
            await self._dispatch(request)
        except BodyBroken:
            raise
        except Refused as refused:
            self._refuse(request, refused)
        except SplitdError as problem:
            told = refusal(problem)
            if told.status >= 500:
                self._log.warn(
                    "{method} {uri}: {status} {problem}",
                    method=request.method.decode("ascii", "replace"),
                    uri=request.uri.decode("ascii", "replace"),
                    status=told.status,
                    problem=str(problem),
                )
            self._refuse(request, told)
        except Exception:
            self._log.failure("{method} {uri}", method=request.method, uri=request.uri)
            self._refuse(request, Refused(500, "this is a fault of the server; its log says more"))

    async def _dispatch(self, request: StreamingRequest) -> None:
        method = _METHODS.get(request.method)
        if method is None:
            name = request.method.decode("ascii", "replace")
            raise Refused(405, f"{name} is not a method of this server", Allow=ALLOWED)
        await method(request, self._store, parse_target(request.uri))

    @staticmethod
    def _refuse(request: StreamingRequest, refused: Refused) -> None:
        if request.startedWriting:
            # The status is gone; only a cut connection tells the client that this is not the whole.
            request.abort()
        else:
            refuse(request, refused)
