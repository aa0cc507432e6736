"""LOCK: takes or refreshes a lock, which for some time keeps others from changing a resource (RFC 4918 section
9.10).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from splitd.errors import LockConflict, LockUnknown
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target, href, parse_depth
from splitd.frontends.webdav.answers import XML_PROLOG, XML_TYPE
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.live import write_locks
from splitd.frontends.webdav.multistatus import answer_multistatus, protected_response, response, status_element
from splitd.frontends.webdav.xml import Element, parse_xml, write_standalone
from splitd.model.conditions import Condition
from splitd.model.locks import EXCLUSIVE, MAX_TIMEOUT_S, SHARED, Lock
from splitd.model.paths import is_below
from storaged.http import IRequest

_SECONDS = re.compile(r"\Asecond-([0-9]{1,19})\Z", re.IGNORECASE)
_DEFAULT_TIMEOUT_S = 3600
_MOST_OWNER = 4096
"""Bytes.  The owner is repeated in the properties of each resource that the lock covers."""


async def lock(request: IRequest, door: Door, target: Target) -> None:
    """Take a lock; or, if the request has no body, refresh the locks that `If` names."""
    timeout_s = parse_timeout(request.getHeader("Timeout"))
    condition = parse_condition(request, target)
    body = await read_body(request)
    await door.find(target)
    if body:
        depth = parse_depth(request, "infinity", "0")
        await _take(request, door, target, parse_xml(body, "lockinfo"), condition, timeout_s, deep=depth == "infinity")
    else:
        await _refresh(request, door, target, condition, timeout_s)


async def _take(
    request: IRequest,
    door: Door,
    target: Target,
    requested: Element,
    condition: Condition,
    timeout_s: int,
    *,
    deep: bool,
) -> None:
    owner = _owner(requested)
    try:
        taken, is_new = await door.store.lock(
            target.path,
            _scope(requested),
            condition,
            deep=deep,
            owner=owner,
            timeout_s=timeout_s,
        )
    except LockConflict as problem:
        below = [path for path in problem.paths if is_below(path, target.path)]
        if len(below) < len(problem.paths):
            raise
        itself = response(href(target.path, target.base, is_collection=True), status_element(424))
        answer_multistatus(request, "".join(protected_response(path, problem, target.base) for path in below) + itself)
        return
    request.setHeader("Lock-Token", f"<{taken.token}>")
    _answer(request, target, 201 if is_new else 200, [taken], door.lock_ms())


def _owner(requested: Element) -> str:
    element = requested.find("owner")
    owner = "" if element is None else write_standalone(element)
    if len(owner.encode()) > _MOST_OWNER:
        raise Refused(413, f"lockinfo: an owner of {len(owner.encode())} bytes, {_MOST_OWNER} are allowed")
    return owner


def _scope(requested: Element) -> str:
    scope, kind = requested.find("lockscope"), requested.find("locktype")
    if kind is None or kind.find("write") is None:
        raise Refused(422, "lockinfo: the one locktype there is is write")
    for each in (EXCLUSIVE, SHARED):
        if scope is not None and scope.find(each) is not None:
            return each
    raise Refused(422, "lockinfo: the lockscope should be exclusive or shared")


async def _refresh(request: IRequest, door: Door, target: Target, condition: Condition, timeout_s: int) -> None:
    if not condition.tokens():
        raise Refused(400, "LOCK takes a lockinfo element; or If with the token of the lock to refresh")
    try:
        refreshed = await door.locks.refresh(target.path, door.lock_ms() + timeout_s * 1000, condition)
    except LockUnknown as problem:
        raise Refused(412, str(problem), "<D:lock-token-matches-request-uri/>") from problem
    _answer(request, target, 200, refreshed, door.lock_ms())


def _answer(request: IRequest, target: Target, status: int, locks: Sequence[Lock], now_ms: int) -> None:
    inner = f"<D:lockdiscovery>{write_locks(locks, now_ms, target.base)}</D:lockdiscovery>"
    answer(request, status, f'{XML_PROLOG}<D:prop xmlns:D="DAV:">{inner}</D:prop>\n'.encode(), XML_TYPE)


def parse_timeout(value: str | None) -> int:
    """Read `Timeout` (RFC 4918 section 10.7).

    The header lists the client's wishes, the best first; the first one that can be read is granted.

    :return: seconds, at most as long as a lock may last.
    """
    for requested in (value or "").split(","):
        match = _SECONDS.match(requested.strip())
        if match is not None:
            return min(max(int(match[1]), 1), MAX_TIMEOUT_S)
        if requested.strip().lower() == "infinite":
            return MAX_TIMEOUT_S
    return _DEFAULT_TIMEOUT_S
