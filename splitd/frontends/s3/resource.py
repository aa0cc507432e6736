"""The single resource of the door: proves signatures, dispatches requests, and turns errors into answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import attrs
from twisted.internet.defer import Deferred

from splitd.access.grants import Principal
from splitd.access.keys import NotLooked
from splitd.errors import Busy, LoginRequired, SplitdError
from splitd.frontends.http.entering import Entering
from splitd.frontends.http.limits import RequestLimits
from splitd.frontends.s3.answers import refusal, refuse
from splitd.frontends.s3.buckets.cors import answer_preflight
from splitd.frontends.s3.buckets.service import create_bucket
from splitd.frontends.s3.buckets.user_buckets import no_such_bucket
from splitd.frontends.s3.cors import greet_page
from splitd.frontends.s3.door import OWNER, S3Door, S3Request, refuse_other_owner
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import refuse_unsupported, take_parameters
from splitd.frontends.s3.keys import Keys
from splitd.frontends.s3.objects.get import DECIDING, send_kept
from splitd.frontends.s3.objects.put import DECIDING as DECIDING_PUT
from splitd.frontends.s3.objects.put import answer_stored, begin_soon, put_object
from splitd.frontends.s3.operations import find_operation, refuse_deciding
from splitd.frontends.s3.signing.authentication import Authenticator
from splitd.frontends.s3.signing.stated import called_hosts
from splitd.frontends.s3.target import Target, parse_target
from splitd.interfaces.store import Kept
from splitd.model.manifest import Manifest
from storaged.http import BodyBroken, IRequest, Storing, StreamingResource
from storaged.system.tracing import doing_for

_MOST_DOORS = 4096


class S3Resource(StreamingResource):
    """Answers every request on S3's port.

    :param door: the collaborators of the operations.
    :param authenticator: proves signatures.
    :param limit: returns the objects limited to what somebody may do.
    :param limits: lets requests in; None for no limits.
    """

    def __init__(
        self,
        door: S3Door,
        authenticator: Authenticator,
        limit: Callable[[Principal], Keys],
        limits: RequestLimits | None = None,
    ) -> None:
        super().__init__()
        self._door = door
        self._authenticator = authenticator
        self._limit = limit
        self._entering = Entering(limits)
        self._doors: dict[Principal, S3Door] = {}  # those of the present users
        self._doors_of: object = None
        # The request that a short way has just left to `respond`, if its signature is good.
        self._proven: S3Request | None = None

    def respond_at_once(self, request: IRequest) -> bool | Deferred[bool]:
        """Answer with a small object that is in memory, or whose parts only have to come from their nodes, or with what
        a HEAD asks for of an object.  All else is left to `respond`, errors too.
        """
        self._proven = None
        if request.has_any_header(DECIDING):
            return False
        try:
            asked = self._prove_at_once(request)
            if asked is None or not self._entering.at_once(request):
                return False
            keys = asked.keys
            if request.method == b"HEAD":
                read = keys.stat_soon
            else:
                # Nodes are told of requests by the contexts of coroutines.
                read = keys.read_kept if self._door.settings.tells_nodes else keys.read_soon
            kept = read(asked.bucket, asked.key)
        except (NotLooked, S3Error, SplitdError):
            return False
        return kept.addCallback(self._send, asked) if isinstance(kept, Deferred) else self._send(kept, asked)

    def _send(self, kept: Kept | None, asked: S3Request) -> bool:
        self._proven = asked if kept is None else None
        if kept is None:
            return False
        send_kept(asked, *kept)
        return True

    def begin_at_once(self, request: IRequest) -> Storing | None:
        """Begin to store a small object.  All else is left to `respond`, also what can be refused before anything is
        stored.
        """
        self._proven = None
        if self._door.settings.tells_nodes or request.has_any_header(DECIDING_PUT):
            return None
        try:
            asked = self._prove_at_once(request)
            if asked is None:
                return None
            refuse_deciding(put_object, request)
            storing = begin_soon(asked) if self._entering.at_once(request) else None
        except (NotLooked, S3Error, SplitdError):
            return None
        if storing is not None:
            self._proven = None
            request.setHeader("x-amz-request-id", request.id)
        return storing

    def answer_stored(self, stored: tuple[Manifest, bool], request: IRequest) -> None:
        """Answer that an object is stored."""
        answer_stored(request, stored[0])

    def _prove_at_once(self, request: IRequest) -> S3Request | None:
        """Return a request for an object itself, after its signature was found good; None for all others."""
        target = self._read_target(request)
        if target.query or not target.key:
            return None
        refuse_unsupported(request)
        asked = self._proven = self._prove(request, target)
        return asked

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        request.setHeader("x-amz-request-id", request.id)
        if self._door.settings.tells_nodes:
            doing_for([request.id])
        request.body.greet_empty()
        await self.judge(request, partial(self._dispatch, request))

    async def judge(self, request: IRequest, work: Callable[[], Awaitable[None]]) -> None:
        """Do what a request asks for, and answer with its error, if there is one."""
        try:
            await work()
        except BodyBroken:
            raise
        except S3Error as problem:
            self._refuse(request, problem)
        except SplitdError as problem:
            refused = refusal(problem)
            # Under overload, the log would only add to it; the metrics count what is refused.
            if refused.status >= 500 and not isinstance(problem, Busy):
                self._log.warn(
                    "{method} {uri}: {outcome} {problem}",
                    method=request.method.decode("ascii", "replace"),
                    uri=_path_of(request),
                    outcome="cut:" if request.startedWriting else refused.status,
                    problem=str(problem),
                )
            self._refuse(request, refused)
        except Exception:
            self._log.failure("{method} {uri}", method=request.method, uri=_path_of(request))
            self._refuse(request, S3Error("InternalError", "this is a fault of the server; its log says more"))

    async def _dispatch(self, request: IRequest) -> None:
        proven, self._proven = self._proven, None
        if proven is not None and proven.http is request:
            await self._let_in(request)
            await self._operate(proven)
            return
        target = self._read_target(request)
        if request.has_header(b"origin") or request.method == b"OPTIONS":
            rules = (await self._door.buckets.notes(target.bucket)).cors if target.bucket else ()
            if request.method == b"OPTIONS":
                await self._let_in(request)
                answer_preflight(request, rules)
                return
            greet_page(request, rules)
        try:
            asked = self._prove(request, target)
        except NotLooked as unknown:
            asked = self._prove(request, target, await self._authenticator.look(unknown.access_key))
        take_parameters(request, target.query)
        await self._let_in(request)
        await self._operate(asked)

    def _read_target(self, request: IRequest) -> Target:
        domains = self._door.settings.domains
        return parse_target(request.uri, called_hosts(request) if domains else (), domains)

    def _prove(self, request: IRequest, target: Target, prover: Authenticator | None = None) -> S3Request:
        proof = (prover or self._authenticator).prove(request, target)
        request.user = proof.principal.name or None
        return S3Request(request, target, proof, self._door_for(proof.principal), self._authenticator, self._door_for)

    async def _operate(self, asked: S3Request) -> None:
        request, target = asked.http, asked.target
        operation = find_operation(
            request.method.decode("ascii", "replace"), target, copies=request.has_header(b"x-amz-copy-source")
        )
        refuse_unsupported(request)
        refuse_deciding(operation, request)
        if request.has_header(OWNER):
            await refuse_other_owner(asked, request)
        try:
            await operation(asked)
        except LoginRequired:
            # As in S3, the names of buckets are no secret: what is in them is.
            if target.bucket and operation is not create_bucket and not await self._door.buckets.exists(target.bucket):
                raise no_such_bucket(target.bucket) from None
            raise

    async def _let_in(self, request: IRequest) -> None:
        waiting = self._entering.enter(request)
        if waiting is not None:
            await waiting

    def _door_for(self, principal: Principal) -> S3Door:
        door = self._doors.get(principal)
        if door is None:
            # The principals of before a change are other ones, which do not come again.
            if len(self._doors) >= _MOST_DOORS or self._doors_of is not self._authenticator.generation:
                self._doors, self._doors_of = {}, self._authenticator.generation
            door = self._doors[principal] = attrs.evolve(self._door, keys=self._limit(principal))
        return door

    @staticmethod
    def _refuse(request: IRequest, problem: S3Error) -> None:
        if request.startedWriting:
            # The status has been sent; only a cut connection tells the client that the answer is not whole.
            request.abort()
        else:
            refuse(request, problem, _path_of(request))


def _path_of(request: IRequest) -> str:
    """Return the path of a request's URL, as it came: a query may hold a signature."""
    return request.uri.partition(b"?")[0].decode("ascii")
